"""The command line: parse, call, exit code; the only place that prints."""

import io
import os
import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from wsharness import checks, conformance, conversations, demo, deployed, differences, playing, targets
from wsharness.asgi import App
from wsharness.errors import NoRouteError, UsageError, WSHarnessError
from wsharness.phrases import messages_of_model
from wsharness.report import console, render
from wsharness.results import Failure, Report, distinct
from wsharness.scenario.entry import Entry
from wsharness.scenario.loading import load
from wsharness.scenario.model import Scenario
from wsharness.scenario.writing import parse_duration
from wsharness.signs import ERRORS

app: typer.Typer = typer.Typer(
    name="wsharness",
    help="Test and simulate WebSocket applications: in one process, without a socket, in virtual time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

PASSED, FAILED, USAGE, INTERNAL, NOTHING = 0, 1, 2, 3, 5
RECORDS = Path("wsharness-report")

Target = Annotated[str, typer.Argument(metavar="MODULE:APP", help="the app, as uvicorn takes it")]
AppDir = Annotated[str | None, typer.Option("--app-dir", help="where MODULE is found, as uvicorn's")]
Factory = Annotated[bool, typer.Option("--factory", help="APP is a function that makes the app")]
Lifespan = Annotated[str | None, typer.Option("--lifespan", help="auto, on or off, as uvicorn's")]
ProfileName = Annotated[str, typer.Option("--profile", help="the server to simulate")]
Seed = Annotated[int, typer.Option("--seed", help="the only randomness")]
Pairs = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE")]
Subprotocols = Annotated[list[str] | None, typer.Option("--subprotocol")]
Messages = Annotated[
    list[str] | None,
    typer.Option("--messages", metavar="MODULE:MODEL", help="a pydantic model, or a list of examples; repeatable"),
]
AppName = Annotated[str | None, typer.Option("--app", metavar="MODULE:APP", help="instead of the file's")]
Hello = Annotated[Path | None, typer.Option("--hello", help="a scenario: what must be said first")]
FailOn = Annotated[str, typer.Option("--fail-on", help="failure or warning")]
Processes = Annotated[str, typer.Option("-n", help="processes, or auto")]
Folder = Annotated[Path, typer.Option("--record", help="where failures are written as scenarios")]
Models = Annotated[
    list[str] | None, typer.Option("--messages", metavar="MODULE:MODEL", help="pydantic models the app understands")
]
OwnChecks = Annotated[
    list[str] | None, typer.Option("--checks", metavar="MODULE", help="where checks of your own are registered")
]
Codes = Annotated[list[str] | None, typer.Option(metavar="CODE")]
Reports = Annotated[
    list[str] | None,
    typer.Option("--report", metavar="KIND=FILE", help="junit, html, json, github or sarif; repeatable"),
]


def main() -> None:
    """Run the command line; every mistake ends in one sentence and its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)
    try:
        status = app(standalone_mode=False)
        print(end="", flush=True)
    except WSHarnessError as error:
        _fail(error)
    except typer._click.exceptions.ClickException as error:  # noqa: SLF001 (typer names its click nowhere else)
        error.show()
        raise SystemExit(USAGE) from None
    except (KeyboardInterrupt, typer.Abort):
        raise SystemExit(130) from None
    except OSError as error:
        _hush()
        if not isinstance(error, BrokenPipeError):  # else nobody reads on, as `head` does not: no mistake
            print(f"error: {error}", file=sys.stderr)
        raise SystemExit(FAILED if isinstance(error, BrokenPipeError) else INTERNAL) from None
    raise SystemExit(status or PASSED)


def _hush() -> None:
    """Let what still is to be written go nowhere, or the interpreter complains at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: WSHarnessError) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    if isinstance(error, NoRouteError):
        raise SystemExit(NOTHING) from None
    raise SystemExit(USAGE if isinstance(error, UsageError) else INTERNAL) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"wsharness {version('wsharness')}")
        raise typer.Exit


@app.callback()
def _options(
    shows_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """What stands before a command."""
    del shows_version


@app.command("check")
def check_command(
    target: Target,
    app_dir: AppDir = None,
    factory: Factory = False,
    lifespan: Lifespan = None,
    path: Annotated[list[str] | None, typer.Option("--path", help="a route to attack; repeatable")] = None,
    profile: ProfileName = "uvicorn",
    seed: Seed = 0,
    runs: Annotated[int, typer.Option("--runs", min=0, help="random conversations per route")] = 200,
    schedule: Annotated[str, typer.Option(help="random or fifo")] = "random",
    header: Pairs = None,
    cookie: Pairs = None,
    query: Pairs = None,
    param: Pairs = None,
    subprotocol: Subprotocols = None,
    hello: Hello = None,
    messages: Models = None,
    own_checks: OwnChecks = None,
    ignore: Codes = None,
    warn: Codes = None,
    fail_on: FailOn = "failure",
    workers: Processes = "auto",
    report: Reports = None,
    record: Folder = RECORDS,
) -> int:
    """Attack every WebSocket route of an app and report real bugs, each with the smallest scenario."""
    _status((), fail_on)
    outputs = _outputs(report, record)
    application = _load(target, app_dir, own_checks, factory=factory)
    options = conversations.Options(
        messages=tuple(_messages(messages, app_dir)),
        **_about(target, app_dir, lifespan, ignore, warn, factory=factory),
        paths=tuple(path or ()),
        profile=profile,
        seed=seed,
        runs=runs,
        schedule=schedule,
        headers=_pairs(header, "header"),
        cookies=_pairs(cookie, "cookie"),
        query=_pairs(query, "query"),
        params=_pairs(param, "param"),
        subprotocols=tuple(subprotocol or ()),
        hello=_hello(hello),
        parallel=_workers(workers),
    )
    found = conformance.check(application, options)
    found.replay_options = _replay_options(own_checks)
    _publish(found, outputs, record)
    return _status(found.failures, fail_on) if _is_reached(found) else NOTHING


@app.command("explore")
def explore_command(
    target: Target,
    app_dir: AppDir = None,
    factory: Factory = False,
    lifespan: Lifespan = None,
    path: Annotated[list[str] | None, typer.Option("--path", help="a route to explore; repeatable")] = None,
    budget: Annotated[str | None, typer.Option("--budget", help="real time, such as 60s, the default")] = None,
    runs: Annotated[int | None, typer.Option("--runs", help="conversations in one order each")] = None,
    profile: ProfileName = "uvicorn",
    seed: Seed = 0,
    schedule: Annotated[str, typer.Option(help="random, pct or fifo")] = "random",
    clients: Annotated[int, typer.Option("--clients", help="how many take part at most")] = 3,
    message: Messages = None,
    header: Pairs = None,
    cookie: Pairs = None,
    query: Pairs = None,
    param: Pairs = None,
    subprotocol: Subprotocols = None,
    hello: Hello = None,
    own_checks: OwnChecks = None,
    ignore: Codes = None,
    warn: Codes = None,
    fail_on: FailOn = "failure",
    workers: Processes = "auto",
    report: Reports = None,
    record: Folder = RECORDS,
) -> int:
    """Let Hypothesis talk to an app, in many orders, until a budget is spent; known failures come back first."""
    from wsharness import exploration  # noqa: PLC0415 (Hypothesis costs start-up time)

    _status((), fail_on)
    outputs = _outputs(report, record)
    options = exploration.Options(
        **_about(target, app_dir, lifespan, ignore, warn, factory=factory),
        paths=tuple(path or ()),
        profile=profile,
        seed=seed,
        runs=runs,
        budget=_seconds(budget, "budget"),
        schedule=schedule,
        clients=clients,
        messages=tuple(kind for name in message or () for kind in _kinds(name, app_dir)),
        entry=_entry(header, cookie, query, param, subprotocol, hello),
        parallel=_workers(workers),
    )
    application = _load(target, app_dir, own_checks, factory=factory)
    found = exploration.explore(application, options, exploration.default_database())
    found.replay_options = _replay_options(own_checks)
    return _explored(found, outputs, record, fail_on)


def _explored(found: Report, outputs: list[tuple[str, Path]], record: Path, fail_on: str) -> int:
    _publish(found, outputs, record)
    return NOTHING if any(one.code == "WSH304" for one in found.failures) else _status(found.failures, fail_on)


def _entry(header: Pairs, cookie: Pairs, query: Pairs, param: Pairs, subprotocol: Subprotocols, hello: Hello) -> Entry:
    return Entry(
        headers=dict(_pairs(header, "header")),
        cookies=dict(_pairs(cookie, "cookie")),
        query=dict(_pairs(query, "query")),
        params=dict(_pairs(param, "param")),
        subprotocols=tuple(subprotocol or ()),
        hello=_hello(hello),
    )


def _about(
    target: str, app_dir: str | None, lifespan: str | None, ignore: Codes, warn: Codes, *, factory: bool
) -> dict[str, Any]:
    """What check and explore take alike."""
    if lifespan not in (None, "auto", "on", "off"):
        raise UsageError(f"expected --lifespan auto, on or off; got {lifespan!r}")
    app = {"target": target, "app_dir": app_dir, "factory": factory, "lifespan": lifespan}
    return {**app, "ignore": tuple(ignore or ()), "warn": tuple(warn or ())}


def _seconds(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    try:
        found = parse_duration(text)
    except ValueError:
        raise UsageError(f"expected --{option} with a unit, such as 60s or 5m; got {text!r}") from None
    if found <= 0:
        raise UsageError(f"expected --{option} above 0; got {text!r}; write --{option} 60s")
    return found


def _kinds(name: str, app_dir: str | None) -> list[Any]:
    """A model, or examples from a list."""
    found = targets.load_object(name, app_dir=app_dir)
    return list(found) if isinstance(found, (list, tuple)) else [found]


@app.command()
def run(
    files: Annotated[list[Path], typer.Argument(help="scenario files")],
    app_name: AppName = None,
    target: Annotated[str | None, typer.Option("--target", metavar="URL", help="a deployed server, ws://…")] = None,
    app_dir: AppDir = None,
    factory: Factory = False,
    profile: Annotated[str | None, typer.Option("--profile")] = None,
    seed: Annotated[int | None, typer.Option("--seed")] = None,
    timeout: Annotated[str | None, typer.Option("--timeout", help="what a step may wait: 1s, 5s on a target")] = None,
    header: Pairs = None,
    cookie: Pairs = None,
    query: Pairs = None,
    subprotocol: Subprotocols = None,
    authority: Annotated[Path | None, typer.Option("--ca", help="a target's authority, a PEM file")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="do not check a target's certificate")] = False,
    proxy: Annotated[str | None, typer.Option("--proxy", metavar="URL", help="the way to a target")] = None,
    own_checks: OwnChecks = None,
    ignore: Codes = None,
    warn: Codes = None,
    fail_on: FailOn = "failure",
    report: Reports = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="print one line")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="tell warnings in full")] = False,
) -> int:
    """Run scenario files against an app, in simulation, or on a deployed server."""
    _status((), fail_on)
    _load_checks(own_checks, app_dir)
    checks.apply_severity((), ignore=ignore or (), warn=warn or ())
    outputs = _outputs(report)
    settings = playing.Settings(
        app=app_name,
        app_dir=app_dir,
        factory=factory,
        profile=profile,
        seed=seed,
        timeout=_seconds(timeout, "timeout"),
        clients=_brings(header, cookie, query, subprotocol),
    )
    place = _place(target, settings, authority, proxy, insecure=insecure)
    scenarios = [scenario for file in files for scenario in load(file)]
    if place is None:
        found = playing.run_in_simulation(scenarios, settings)
    else:
        found = playing.run_on_target(scenarios, place, settings)
    found.failures = checks.apply_severity(found.failures, ignore=ignore or (), warn=warn or ())
    _publish(found, outputs, None, quiet=quiet, verbose=verbose)
    return NOTHING if not scenarios else _status(found.failures, fail_on)


def _brings(
    header: list[str] | None, cookie: list[str] | None, query: list[str] | None, subprotocols: list[str] | None
) -> dict[str, Any]:
    """What every client brings along, as the keys of a `connect` mapping."""
    given = {
        "headers": dict(_pairs(header, "header")),
        "cookies": dict(_pairs(cookie, "cookie")),
        "query": dict(_pairs(query, "query")),
        "subprotocols": subprotocols,
    }
    return {key: value for key, value in given.items() if value}


def _place(
    target: str | None, settings: playing.Settings, authority: Path | None, proxy: str | None, *, insecure: bool
) -> deployed.Target | None:
    """The deployed server to play on, if one is named."""
    if target is None:
        if authority or proxy or insecure:
            raise UsageError("--ca, --insecure and --proxy are for a deployed server; name it with --target ws://…")
        return None
    if settings.app or settings.app_dir or settings.factory or settings.profile:
        raise UsageError("--app, --app-dir, --factory and --profile are for a simulation; leave them out with --target")
    return deployed.Target(target, deployed.make_tls(authority=authority, insecure=insecure), proxy)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="a scenario file that a failure left behind")],
    app_name: AppName = None,
    app_dir: AppDir = None,
    profile: Annotated[str | None, typer.Option("--profile")] = None,
    seed: Annotated[int | None, typer.Option("--seed")] = None,
    own_checks: OwnChecks = None,
) -> int:
    """Run a failure's scenario again; exit code 1 if it fails the same way."""
    _load_checks(own_checks, app_dir)
    scenarios = load(file)
    settings = playing.Settings(app=app_name, app_dir=app_dir, profile=profile, seed=seed)
    found = playing.run_in_simulation(scenarios, settings)
    expected = {scenario.run.expects for scenario in scenarios if scenario.run and scenario.run.expects}
    again = [failure for failure in found.failures if not expected or failure.code in expected]
    found.failures = again
    _publish(found, [], None)
    if expected and not again:
        print(f"{', '.join(sorted(expected))} did not show again")
    return FAILED if again else PASSED


@app.command()
def routes(target: Target, app_dir: AppDir = None, factory: Factory = False) -> int:
    """List the app's WebSocket routes."""
    application = targets.load_app(target, app_dir=app_dir, factory=factory)
    found = targets.discover_routes(application)
    for route in found:
        path, query = targets.fill(route)
        example = path + "?" * bool(query) + "&".join(f"{name}={value}" for name, value in query.items())
        print(route.path if example == route.path else f"{route.path}  (tried as {example})")
    if not found:
        print("no WebSocket route found; check takes --path /ws", file=sys.stderr)
    return PASSED if found else NOTHING


@app.command()
def profiles() -> int:
    """List the servers that can be simulated, and how they differ."""
    print(differences.text())
    return PASSED


@app.command()
def explain(code: Annotated[str, typer.Argument(metavar="CODE", help="such as WSH101")]) -> int:
    """Say what a check means and what to do about it."""
    check = checks.get_check(code)
    print(f"{check.code} {check.title} ({check.severity})\n\n{check.explanation}")
    return PASSED


@app.command("demo")
def demo_command(
    report_dir: Annotated[Path, typer.Option("--report-dir", help="where the reports go")] = RECORDS,
) -> int:
    """Check the example applications and compare what is found with what is known."""
    return demo.main(report_dir, print, write_scenarios, _workers("auto"))


def _pairs(values: Iterable[str] | None, option: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for value in values or ():
        name, equals, rest = value.partition("=")
        if not equals or not name:
            raise UsageError(f"expected --{option} NAME=VALUE; got {value!r}")
        pairs.append((name, rest))
    return tuple(pairs)


def _hello(file: Path | None) -> tuple[Any, ...]:
    if file is None:
        return ()
    scenarios: list[Scenario] = load(file)
    return tuple(step for step in scenarios[0].steps if step.verb.value != "connect")


def _load(target: str, app_dir: str | None, modules: Iterable[str] | None, *, factory: bool) -> App:
    application = targets.load_app(target, app_dir=app_dir, factory=factory)
    _load_checks(modules, app_dir)
    return application


def _load_checks(modules: Iterable[str] | None, app_dir: str | None) -> None:
    for module in modules or ():
        targets.load_module(module, app_dir=app_dir)


def _replay_options(modules: Iterable[str] | None) -> str:
    return " ".join(f"--checks {shlex.quote(module)}" for module in modules or ())


def _is_reached(found: Report) -> bool:
    """Whether some route ever accepted."""
    unreached = {failure.route for failure in found.failures if failure.code == "WSH304"}
    return not unreached >= {case.route for case in found.cases if case.runs}


def _messages(names: Iterable[str] | None, app_dir: str | None) -> Iterable[str]:
    for name in names or ():
        found = messages_of_model(targets.load_object(name, app_dir=app_dir))
        if not found:
            raise UsageError(f"expected --messages MODULE:MODEL with a pydantic model or a union of them; got {name!r}")
        yield from found


def _workers(text: str) -> int:
    if text == "auto":
        return os.cpu_count() or 1
    if not text.isdigit() or text == "0":
        raise UsageError(f"expected -n with a number from 1 on, or auto; got {text!r}")
    return int(text)


def _outputs(reports: Iterable[str] | None, record: Path | None = None) -> list[tuple[str, Path]]:
    """What is to be written at the end; UsageError, before the work, for what cannot be."""
    if record is not None and record.exists() and not record.is_dir():
        raise UsageError(f"expected --record to be a folder; got the file {str(record)!r}")
    outputs = []
    for one in reports or ():
        kind, equals, file = one.partition("=")
        if not equals or not file:
            raise UsageError(f"expected --report KIND=FILE, such as html=report.html; got {one!r}")
        render(kind, Report("", 0, ""))
        path = Path(file)
        if path.is_dir():
            raise UsageError(f"expected --report {kind}=FILE with the name of a file; {file!r} is a folder")
        if not path.parent.is_dir():
            raise UsageError(f"cannot write {file!r}: there is no folder {str(path.parent)!r}; make it first")
        outputs.append((kind, path))
    return outputs


def _publish(
    found: Report, outputs: list[tuple[str, Path]], record: Path | None, *, quiet: bool = False, verbose: bool = False
) -> None:
    """Write and print; what cannot be written is said after what was found."""
    files: dict[tuple[str, str, str, int], str] = {}
    failed: OSError | None = None
    try:
        if record is not None:
            files = write_scenarios(found.failures, record)
        for kind, file in outputs:
            file.write_text(render(kind, found), encoding="utf-8")
    except OSError as error:
        failed = error
    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(console.summary(found) if quiet else console.render(found, color=color, files=files, verbose=verbose))
    if failed is not None:
        raise UsageError(f"cannot write {failed.filename!r}: {failed.strerror}")


def write_scenarios(failures: Iterable[Failure], folder: Path) -> dict[tuple[str, str, str, int], str]:
    """Write each failure's scenario as a file; return which file holds which."""
    files: dict[tuple[str, str, str, int], str] = {}
    taken: set[str] = set()
    for failure in distinct(failures):
        if not failure.scenario:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        name = _file_name(failure, taken)
        (folder / name).write_text(failure.scenario, encoding="utf-8")
        files[failure.key] = str(folder / name)
    return files


def _file_name(failure: Failure, taken: set[str]) -> str:
    frame = failure.frame
    where = Path(frame.file).stem if frame else failure.route.strip("/").replace("/", "-") or "app"
    where = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in where).strip("-")
    base = f"{failure.code}-{where}" + (f"-{frame.line}" if frame else "")
    name = next(name for n in range(1, 1000) if (name := base + f"-{n}" * (n > 1)) not in taken)
    taken.add(name)
    return f"{name}.ws.yaml"


def _status(failures: Iterable[Failure], fail_on: str) -> int:
    if fail_on not in ("failure", "warning"):
        raise UsageError(f"expected --fail-on failure or warning; got {fail_on!r}")
    severities = {failure.severity for failure in failures}
    return FAILED if "failure" in severities or (fail_on == "warning" and severities) else PASSED
