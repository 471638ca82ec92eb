"""The same drawn programs on real server processes and on their profiles: what both sides see must agree."""

import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest

from tests.differential import comparing, keep, measure, pulse, remeasure
from tests.differential.comparing import Comparison, alike, compare, described
from tests.differential.drawing import LEVELS, draw
from tests.fidelity.replay import CASES, SETTINGS, Seen

# Programs a server and level; `make differential` draws many more, from other seeds.
PROGRAMS = int(os.environ.get("WSHARNESS_DIFFERENTIAL", "5"))
SEED = int(os.environ.get("WSHARNESS_DIFFERENTIAL_SEED", "1"))


@pytest.mark.parametrize("profile", SETTINGS)
def test_drawn_programs_do_the_same_on_the_server_and_on_its_profile(profile, capsys):
    cases = {key: case for level in LEVELS for key, case in draw(level, PROGRAMS, SEED).items()}
    found = compare(cases, profile)
    with capsys.disabled():
        print(f"\ndifferential: {profile}: {found}")
    assert not found.wrong, "\n".join(described(key, cases[key], want, got) for key, want, got in found.wrong)


def test_drawing_is_the_same_for_the_same_seed():
    assert draw("message", 6, 3) == draw("message", 6, 3) != draw("message", 6, 4)
    assert {case["level"] for case in draw("frame", 4).values()} == {"frame"}


def test_a_disagreement_is_described():
    case = {"level": "message", "app": [["recv"]], "client": [], "handshake": {"path": "/x"}}
    text = described("one", case, Seen(["a"], ["b"]), Seen(["c"], ["b"]))
    assert "app real: a" in text
    assert "app ours: c" in text
    assert "client real" not in text
    found = Comparison(1, [], frozenset({"one"}), frozenset({"two"}))
    assert str(found) == "1/3 agree, 0 differ, 1 unstable, 1 ended the server"


@pytest.mark.parametrize(
    ("times", "wrong"),
    [
        ([("a", 0)] * 3, 1),
        ([("a", 0.5), ("a", 0), ("c", 0.1), ("a", 0), ("a", 0)], 1),
        ([("a", 0.5)] * comparing.ROUNDS, 0),
        ([("a", 0), ("c", 0)], 0),
        ([("a", 0.5), ("b", 0)], 0),
    ],
    ids=["on time", "late now and then", "always late", "unstable", "as the profile when on time"],
)
def test_what_was_measured_late_proves_nothing(monkeypatch, times, wrong):
    measured = [{"one": Seen([token], [], late=late)} for token, late in times]
    asked = []

    async def measure_all(cases, name):
        asked.append(cases)
        return measured[len(asked) - 1]

    monkeypatch.setattr(comparing, "measure_all", measure_all)
    monkeypatch.setattr(comparing, "replay", lambda *_, **__: Seen(["b"], []))
    found = compare({"one": {}}, "uvicorn")
    assert (len(asked), len(found.wrong), len(found.unstable_keys)) == (len(times), wrong, 1 - wrong)


async def test_a_process_knows_how_late_it_was():
    beats = pulse.Pulse()
    beats.start()
    await asyncio.sleep(0.05)
    begun = time.monotonic()
    time.sleep(0.3)
    assert beats.latest_since(begun) >= 0.2
    await asyncio.sleep(0.05)
    assert beats.latest_since(begun) >= 0.2
    assert beats.latest_since(time.monotonic() + 3600) < 0.2


@pytest.mark.parametrize(("installed", "changes"), [("2.8.7", 0), ("2.8.9", 1), ("2.9.0", 1), ("3.0", 1)])
def test_what_a_later_version_does_otherwise_is_known(monkeypatch, installed, changes):
    monkeypatch.setattr(comparing, "version", lambda name: installed)
    assert len(comparing.changes_since("granian")) == changes
    assert comparing.changes_since("uvicorn") == {}


def test_how_long_a_send_took_may_differ_a_little_and_nothing_else():
    real = Seen(["close:ok(1.9s)"], ["101"])
    assert alike(real, Seen(["close:ok(1.8s)"], ["101"]))
    assert not alike(real, Seen(["close:ok(1.4s)"], ["101"]))
    assert not alike(real, Seen(["close RAISES Exception(1.9s)"], ["101"]))
    assert not alike(real, Seen(["close:ok(1.9s)"], ["403"]))
    assert not alike(real, Seen(["close:ok(1.9s)", "return"], ["101"]))


class Mortal:
    """A server that some cases end."""

    started_ones = 0

    def __init__(self):
        self.alive = True

    async def started(self):
        Mortal.started_ones += 1

    def is_alive(self):
        return self.alive


async def measured_on(case, server):
    if case["app"] == "deadly":
        server.alive = False
    await asyncio.sleep(0)
    if not server.is_alive():
        raise measure.ServerDied
    return Seen([case["app"]], [])


def test_a_case_that_ends_the_server_costs_no_other(monkeypatch):
    monkeypatch.setattr(measure, "real_server", lambda name, settings: contextlib.nullcontext(Mortal()))
    monkeypatch.setattr(measure, "measure", measured_on)
    monkeypatch.setattr(measure, "TOGETHER", 2)
    cases = {str(number): {"app": "deadly" if number == 3 else "quiet"} for number in range(7)}
    found = asyncio.run(measure.measure_all(cases, "granian"))
    assert found.pop("3") == measure.DIED
    assert found == {key: Seen(["quiet"], []) for key in found}
    assert len(found) == 6
    assert Mortal.started_ones == 4  # for all, for those two alone that were under way, and for the rest


def test_a_kept_cell_says_what_a_server_did_and_whether_it_always_does():
    one, other = Seen(["a"], ["b"], {"path": "/"}), Seen(["a"], ["c"])
    assert keep.cell([one, one]) == {"app": ["a"], "client": ["b"], "scope": {"path": "/"}}
    assert keep.cell([other, one]) == {"app": ["a"], "client": ["c"], "unstable": True}


def test_what_changed_on_a_server_is_said():
    text = remeasure.described("one", "daphne", Seen(["a"], ["b"]), Seen(["c"], ["b"]))
    assert text.splitlines() == ["one on daphne", "  app was a", "  app now c"]
    assert all("->" in line for line in remeasure.versions(CASES))


def test_every_profile_of_a_server_is_measured():
    assert (Path(__file__).parent / "differential" / "serve.py").exists()
    assert set(SETTINGS) == {"uvicorn", "uvicorn-legacy", "uvicorn-wsproto", "hypercorn", "daphne", "granian"}
