import os
import threading

import pytest

from wsharness import fresh, workers
from wsharness.errors import WSHarnessError
from wsharness.results import Failure, Result
from wsharness.workers import Hung


class App:
    """What a test changes, and whoever runs it."""

    def __init__(self):
        self.runs = []

    async def __call__(self, scope, receive, send): ...


def run(app, outcome, *rest):
    """Results as a simulation gives them; bad runs leave something behind."""
    app.runs.append(outcome)
    result = Result(name=f"{os.getpid()} {app.runs}")
    if outcome in ("bad", "worse"):
        result.failures.append(Failure("WSH101", "t", "m"))
    if outcome == "warned":
        result.failures.append(Failure("WSH106", "t", "m", "warning"))
    if outcome == "error":
        result.error = ValueError("x")
    if outcome == "unpicklable":
        result.error = Locked()
    if outcome == "our own":
        raise WSHarnessError("ours")
    if outcome == "polluted" and len(app.runs) > 1:
        result.failures.append(Failure("WSH102", "t", "m"))
    return result


class Locked(Exception):
    def __init__(self):
        super().__init__("no pickle")
        self.lock = threading.Lock()


def kept():
    app = App()
    fresh.keep(app)
    return app, fresh.find(app)


def go(one, *args):
    return one.run(lambda: None, run, *args)


def here(result):
    return result.name.startswith(f"{os.getpid()} ")


def test_an_app_that_nobody_keeps_is_not_found():
    assert fresh.find(App()) is None


def test_while_all_is_well_runs_share_the_process():
    app, one = kept()
    assert here(go(one, "good"))
    assert here(go(one, "warned"))
    assert app.runs == ["good", "warned"]
    assert not one.spoiled


def test_what_shows_something_is_run_again_from_the_first_state_and_so_is_all_that_follows():
    app, one = kept()
    go(one, "good")
    result = go(one, "bad")
    assert not here(result)
    assert result.name.endswith("['bad']")
    assert result.failures
    again = go(one, "good")
    assert again.name.endswith("['good']")
    assert app.runs == ["good", "bad"]


def test_a_failure_that_came_from_an_earlier_run_is_none():
    _, one = kept()
    go(one, "good")
    assert go(one, "polluted").failures == []


def test_a_run_that_was_run_in_a_copy_is_remembered(monkeypatch):
    monkeypatch.setattr(fresh, "REMEMBERED", 2)
    _, one = kept()
    first = go(one, "bad")
    assert go(one, "bad") is first
    go(one, "worse")
    go(one, "error")
    assert go(one, "bad") is not first


def test_errors_come_back_as_they_are_or_by_name():
    _, one = kept()
    assert isinstance(go(one, "error").error, ValueError)
    assert str(go(one, "unpicklable").error) == "Locked: no pickle"
    with pytest.raises(WSHarnessError, match="ours"):
        go(one, "our own")


def test_a_copy_that_hangs_is_ended(monkeypatch):
    _, one = kept()
    go(one, "bad")
    monkeypatch.setattr(workers.Reserve, "call", lambda *_, **__: Hung(60))
    with pytest.raises(WSHarnessError, match="did not end within 60 s of real time"):
        go(one, "worse")


def test_one_copy_serves_the_apps_that_have_not_run():
    (_, first), (_, second) = kept(), kept()
    go(first, "good")
    assert first.reserve is second.reserve


def test_another_process_keeps_nothing():
    app, _ = kept()
    [(_, found)] = workers.run_all(lambda: fresh.find(app) is None, [()])
    assert found


def test_only_so_many_are_kept_and_none_where_nothing_can_be_copied(monkeypatch):
    monkeypatch.setattr(fresh, "MOST", 2)
    apps = [kept()[0] for _ in range(3)]
    assert fresh.find(apps[0]) is None
    assert fresh.find(apps[2]) is not None
    monkeypatch.delattr(os, "fork")
    assert kept()[1] is None


def test_what_runs_in_a_copy_takes_back_what_can_be_pickled():
    app, _ = kept()
    assert fresh._run_kept(id(app), run, ("good",)).error is None
    assert isinstance(fresh._run_kept(id(app), run, ("error",)).error, ValueError)
    assert isinstance(fresh._run_kept(id(app), run, ("unpicklable",)).error, WSHarnessError)
