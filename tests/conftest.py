"""What every test may rely on."""

import gc
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fidelity.cases import BadFile, load

pytest_plugins = ["pytester"]


def run_at_full_speed() -> None:
    """In a forked run: it ends without saving what was measured, so measuring would only make it slow."""
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=run_at_full_speed)


# A slow machine is no failure, and a run of the tests tries what the last one tried.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")

OUTSIDE = {"CI", "BUILD_NUMBER", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "PYTEST_ADDOPTS"}
"""What tells pytest and its plugins how to look, and should not tell those that tests start."""


def forget_the_outside() -> None:
    """What a machine has in its environment is no business of the tests: colours, and proxies to other machines."""
    for name in list(os.environ):
        if name in OUTSIDE or name.lower().endswith("_proxy"):
            del os.environ[name]


def pytest_configure() -> None:
    """A bad file to replay is one sentence, before anything runs."""
    forget_the_outside()
    try:
        if "WSHARNESS_FIDELITY" in os.environ:
            load(Path(os.environ["WSHARNESS_FIDELITY"]))
    except BadFile as wrong:
        raise pytest.UsageError(f"WSHARNESS_FIDELITY: {wrong}") from None


@pytest.fixture
def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets no limit waits long for a real server: a busy machine is late."""
    from tests.wire.servers import PATIENCE
    from wsharness import harness

    monkeypatch.setattr(harness, "FAR_TIMEOUT", PATIENCE)


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host has an address. Asking for one goes beyond this machine, and without a resolver takes long."""

    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(scope="session", autouse=True)
def a_frozen_process() -> Iterator[None]:
    """All that was imported and collected costs no garbage collection, of those in forked runs' parents neither."""
    from wsharness.workers import frozen

    with frozen():
        yield


@pytest.fixture(scope="module", autouse=True)
def frozen_again(a_frozen_process: None) -> None:
    """A look at the memory of this process has thawed it."""
    gc.collect()
    gc.freeze()
