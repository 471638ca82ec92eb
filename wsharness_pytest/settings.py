"""What a test is run with: its marks come before the command line, which comes before the ini file."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

OPTIONS = ("ws_seed", "ws_schedule", "ws_profile", "ws_timeout", "ws_app")
SIMULATED = ("seed", "schedule", "profile")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a test is run with; None is what the harness takes by itself."""

    seed: int
    schedule: str | Mapping[int, int]
    profile: str | None
    timeout: float | None
    is_simulated: bool


def add_options(parser: pytest.Parser) -> None:
    """Add the options and ini values, each with its line in `pytest --help`."""
    group = parser.getgroup("wsharness", "WebSocket applications")
    group.addoption("--ws-app", metavar="MODULE:APP", help="app of `ws_app` and of *.ws.yaml files")
    group.addoption("--ws-profile", metavar="NAME", help="server that is simulated (uvicorn); see `wsharness profiles`")
    group.addoption("--ws-timeout", metavar="SECONDS", help="limit of every wait of a client (1)")
    group.addoption("--ws-seed", metavar="N", help="seed of simulated tests and scenario files (0)")
    group.addoption(
        "--ws-schedule", metavar="NAME", help="order of tasks in simulated tests: fifo, random, pct, pct:DEPTH (fifo)"
    )
    group.addoption(
        "--ws-transcripts",
        metavar="DIR",
        help="write the transcript of every test that has clients, passed or failed, into DIR as NDJSON",
    )
    parser.addini("ws_app", "app of `ws_app` and of *.ws.yaml files: MODULE:APP; --ws-app overrides it", default="")
    parser.addini("ws_profile", "server that is simulated (uvicorn); --ws-profile overrides it", default="")
    parser.addini(
        "ws_timeout", "limit of every wait of a client, in seconds (1); --ws-timeout overrides it", default=""
    )


def chosen(config: pytest.Config, name: str) -> str:
    """An option's value, else its ini value, else nothing."""
    value = config.getoption(name)
    if value is None and name in ("ws_app", "ws_profile", "ws_timeout"):
        value = config.getini(name)
    return str(value or "")


def check_options(config: pytest.Config) -> None:
    """pytest.UsageError for a value that no test could use; imports wsharness only for what was given."""
    for name, read in (
        ("ws_seed", _seed),
        ("ws_timeout", _timeout),
        ("ws_profile", _profile),
        ("ws_schedule", _schedule),
    ):
        value = chosen(config, name)
        if value:
            try:
                read(value)
            except ValueError as error:
                raise pytest.UsageError(f"{_place(config, name)}: {error}") from None
    folder = config.getoption("ws_transcripts")
    if folder is not None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise pytest.UsageError(f"--ws-transcripts: expected a folder; got {folder!r}: {error.strerror}") from None


def _place(config: pytest.Config, name: str) -> str:
    return name if config.getoption(name) is None else "--" + name.replace("_", "-")


def settings_of(item: pytest.Item) -> Settings:
    """The settings of one test; fails it for a mark that cannot be meant."""
    try:
        return _read(item)
    except ValueError as error:
        wrong = str(error)
    pytest.fail(f"{item.name}: {wrong}", pytrace=False)


def _read(item: pytest.Item) -> Settings:
    simulated = item.get_closest_marker("simulated")
    marked = {} if simulated is None else _simulated(simulated)
    own = item.get_closest_marker("ws_profile")
    profile = _own_profile(own) if own else marked.get("profile")
    config = item.config
    seed, timeout = marked.get("seed"), chosen(config, "ws_timeout")
    return Settings(
        seed=_seed(chosen(config, "ws_seed") or 0) if seed is None else seed,
        schedule=marked.get("schedule") or chosen(config, "ws_schedule") or "fifo",
        profile=profile or chosen(config, "ws_profile") or None,
        timeout=_timeout(timeout) if timeout else None,
        is_simulated=simulated is not None,
    )


def _simulated(mark: pytest.Mark) -> dict[str, Any]:
    wrong = [*map(repr, mark.args), *(name for name in mark.kwargs if name not in SIMULATED)]
    if wrong:
        raise ValueError(f"simulated takes seed=, schedule= and profile=; got {wrong[0]}")
    given: dict[str, Any] = {name: value for name, value in mark.kwargs.items() if value is not None}
    readers: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("seed", _whole),
        ("schedule", _schedule),
        ("profile", _profile),
    )
    for name, read in readers:
        if name in given:
            read(given[name])
    return given


def _own_profile(mark: pytest.Mark) -> str:
    values = [*mark.args, *mark.kwargs.values()]
    if len(values) != 1 or set(mark.kwargs) - {"name"}:
        raise ValueError('ws_profile takes one name, as in ws_profile("hypercorn")')
    return _profile(values[0])


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"expected a whole number as seed; got {value!r}")  # noqa: TRY004 (one kind)
    return value


def _seed(value: Any) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"expected a whole number as seed; got {value!r}") from None


def _timeout(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ValueError(f"expected seconds above 0, such as 2.5; got {value!r}")
    return seconds


def _profile(value: Any) -> str:
    from wsharness.errors import UsageError  # noqa: PLC0415 (starting pytest must not import wsharness)
    from wsharness.profiles import get_profile  # noqa: PLC0415

    if not isinstance(value, str):
        raise ValueError(f"expected the name of a profile, such as 'uvicorn'; got {value!r}")  # noqa: TRY004 (one kind)
    try:
        return get_profile(value).name
    except UsageError as error:
        raise ValueError(str(error)) from None


def _schedule(value: Any) -> Any:
    from wsharness.errors import UsageError  # noqa: PLC0415 (starting pytest must not import wsharness)
    from wsharness.scheduling import make_schedule  # noqa: PLC0415

    try:
        return make_schedule(value)
    except UsageError as error:
        raise ValueError(str(error)) from None
