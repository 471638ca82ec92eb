"""The simulated server against what real servers did: every stable cell of the measured cases."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fidelity.cases import MEASURED, BadFile
from tests.fidelity.replay import CASES, FOUND, Seen, cells, expected, inexpressible, load, replay
from wsharness.profiles import PROFILES

FILE = Path(os.environ.get("WSHARNESS_FIDELITY", CASES))
CASE = load(FILE)  # tests/conftest.py has looked at it


def differences(case: str, profile: str, shared: list[str]) -> str | None:
    want = expected(CASE[case]["expect"][profile])
    try:
        got = replay(CASE[case], profile, shared)
    except Exception as error:  # noqa: BLE001 (a file of others may hold anything: one cell is lost, not the count)
        return f"{case} on {profile}\n  the replay raised {type(error).__name__}: {error}"
    if got == want:
        return None
    lines = [f"{case} on {profile}"]
    for side in ("app", "client", "scope"):
        if getattr(got, side) != getattr(want, side):
            lines.append(f"  {side}: expected {show(getattr(want, side))}")
            lines.append(f"  {' ' * len(side)}       got {show(getattr(got, side))}")
    return "\n".join(lines)


def show(tokens: Any) -> str:
    return " | ".join(tokens) if isinstance(tokens, list) else repr(tokens)


def test_every_stable_cell_agrees_token_for_token(capsys):
    wrong: list[str] = []
    levels: Counter[str] = Counter()
    shared: dict[str, list[str]] = {}
    every = cells(CASE)
    reasons = {cell: reason for cell in every if (reason := inexpressible(CASE[cell[0]], cell[1]))}
    for case, profile in every:
        if (case, profile) in reasons:
            continue
        difference = differences(case, profile, shared.setdefault(profile, []))
        if difference is not None:
            wrong.append(difference)
            levels[CASE[case].get("level", "message")] += 1
    agreed = len(every) - len(wrong) - len(reasons)
    with capsys.disabled():
        listed = [f"not expressible: {case} on {profile}: {reason}" for (case, profile), reason in reasons.items()]
        print("", *wrong, *listed, sep="\n")
        print(f"disagree by level: {dict(levels)}" if wrong else "")
        print(f"fidelity: {agreed}/{len(every)} cells agree, {len(reasons)} not expressible")
    assert not wrong


@pytest.mark.skipif(FILE != CASES, reason="another file is replayed")
def test_what_the_drawn_programs_found_agrees_too():
    found = load(FOUND)
    shared: list[str] = []
    assert [
        cell
        for cell in cells(found)
        if replay(found[cell[0]], cell[1], shared) != expected(found[cell[0]]["expect"][cell[1]])
    ] == []


def test_the_comparison_can_fail():
    case = load()["send_text"]
    assert replay(case, "uvicorn") == expected(case["expect"]["uvicorn"])
    assert replay(case, "uvicorn") != expected(case["expect"]["hypercorn"])
    assert Seen(["a"], ["b"]) != Seen(["a"], ["b", "c"])


def test_an_operation_nobody_knows_is_a_reason_and_no_crash():
    case = {"app": [["recv"], ["juggle"]], "client": [["batch", [["hum"]]]], "handshake": {"dance": 1}}
    assert inexpressible(case, "uvicorn") == "the replay does not know 'juggle', 'hum', 'dance'"
    assert inexpressible(load()["send_text"], "uvicorn") is None


def test_a_server_setting_nobody_knows_is_a_reason_and_no_crash():
    case = {"app": [["recv"]], "client": [], "handshake": {}, "server": {"close_timeout": 3, "max_size": 10}}
    assert inexpressible(case, "hypercorn") == "the replay does not know 'close_timeout'"


GOOD = {"app": [["recv"]], "client": [], "expect": {"daphne": {"app": ["connect"], "client": ["101"]}}}


def given(**changes):
    """A file's text with one case, a good one but for what changes; None leaves a key out."""
    return json.dumps({"cases": {"one": {key: item for key, item in (GOOD | changes).items() if item is not None}}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "expected JSON like tests/data/cases.json; Expecting property name"),
        ("[1, 2]", 'expected {"meta": …, "cases": {id: case}}; got [1, 2]'),
        ('{"case": {}}', "got an object with 'case'"),
        ('{"cases": {"one": 3}}', "case 'one': expected an object with app, client, expect; got 3"),
        (given(app=None, expect=None), "case 'one': expected the keys app, client, expect; missing app, expect"),
        (given(app="recv"), "expected a list of operations as app; got 'recv'"),
        (given(client=[["text", "m"], "fin"]), "client, operation 2: expected a list like [\"recv\"]; got 'fin'"),
        (given(client=[["batch", ["fin"]]]), "client, batch, operation 1: expected a list"),
        (given(handshake={"on_close": [[]]}), "on_close, operation 1: expected a list"),
        (given(handshake=["path"]), "expected an object as handshake; got ['path']"),
        (given(level="messages"), "expected a level of message, frame, size; got 'messages'"),
        (given(expect=[]), "expected an object as expect, by profile; got []"),
        (given(expect={"hypercron": {}}), "unknown profile 'hypercron'; did you mean 'hypercorn'?"),
        (
            given(expect={"daphne": {"app": []}}),
            "daphne: expected app and client, a list of tokens each; got an object",
        ),
    ],
)
def test_a_bad_file_is_one_clear_sentence(tmp_path, text, words):
    file = tmp_path / "cases.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as raised:
        load(file)
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(BadFile, match=r"nowhere\.json: No such file or directory; give a file like"):
        load(Path("nowhere.json"))


def test_a_case_may_leave_out_what_has_a_default(tmp_path):
    file = tmp_path / "cases.json"
    file.write_text(given(), encoding="utf-8")
    assert load(file)["one"]["handshake"] == {}
    assert load(file)["one"]["level"] == "message"


def test_what_was_measured_are_the_profiles_of_servers():
    assert {*MEASURED, "strict"} == set(PROFILES)


@pytest.mark.parametrize(
    ("text", "code", "words"), [("{", 4, "ERROR: WSHARNESS_FIDELITY: "), (given(), 1, "one on daphne")]
)
def test_another_file_is_replayed_instead(tmp_path, text, code, words):
    file = tmp_path / "others.json"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_fidelity.py"]
    command += ["-k", "every_stable_cell"]
    done = subprocess.run(
        command, env=os.environ | {"WSHARNESS_FIDELITY": str(file)}, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == code
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
