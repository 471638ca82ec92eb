"""The console report reads well, in colour and without."""

import re
from dataclasses import replace

import pytest

from tests.report import samples
from wsharness.report.console import WIDTH, count, render, summary
from wsharness.results import CaseResult, Failure, Report

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def test_a_line_for_each_route():
    lines = [" ".join(line.split()) for line in render(samples.report()).splitlines()]
    assert lines[0] == "chat.app:app · profile uvicorn · seed 7"
    assert lines[2:6] == [
        "FAIL /ws/chat 3 cases 60 runs WSH101",
        "FAIL /ws/feed 3 cases 60 runs WSH103, WSH112",
        "ok /ws/echo 3 cases 60 runs",
        "warn /ws/{room_id} 1 case 20 runs WSH304",
    ]


def test_failures_come_last_and_the_summary_ends():
    text = render(samples.report())
    order = [text.index(code + " ") for code in ("WSH112", "WSH304", "WSH101", "WSH103")]
    found = [text.rindex(f"\n{code} ") for code in ("WSH112", "WSH304", "WSH101", "WSH103")]
    assert found == sorted(found) and order
    assert text.splitlines()[-1] == "2 failures, 2 warnings · 10 cases, 200 runs · seed 7"


def test_a_failure_tells_place_message_conversation_stack_and_replay():
    report = samples.report()
    files = {failure.key: f"failures/{failure.code} 1.ws.yaml" for failure in report.failures}
    text = render(report, files=files)
    block = text[text.index("\nWSH101 unhandled exception\n") : text.index("\nWSH103")]
    for part in (
        "\nchat/rooms.py:31 in Room.broadcast\n",
        "\n/ws/chat · client alice · case drop-while-broadcasting\n",
        "\n  RuntimeError: Connection lost\n",
        "\n    30.250  bob    × drop: connection reset\n",
        "\n  > 30.250  alice  ! RuntimeError: Connection lost, at chat/rooms.py:31 in Room.broadcast\n",
        "\n    chat/app.py:52 in chat\n    chat/rooms.py:31 in Room.broadcast\n",
        "\n    starlette/websockets.py:97 in WebSocket.send\n",
        "\n  replay  wsharness replay 'failures/WSH101 1.ws.yaml'\n",
    ):
        assert part in block
    assert "fastapi" not in block


def test_what_else_goes_wrong_at_a_place_is_a_line():
    report = samples.report()
    crash = next(failure for failure in report.failures if failure.code == "WSH101")
    report.failures.append(replace(crash, kind="KeyError", message="KeyError: 'text'\nand more"))
    files = {failure.key: f"{failure.code}-{failure.kind}.ws.yaml" for failure in report.failures}
    text = render(report, files=files)
    block = text[text.index("\nWSH101 unhandled exception\n") : text.index("\nWSH103")]
    assert block.endswith("\n\n  also here  KeyError: 'text'\n  replay  wsharness replay WSH101-KeyError.ws.yaml\n")
    assert text.count("\nWSH101 ") == 1 and render(report, verbose=True).count("\nWSH101 ") == 2


def test_without_a_file_the_command_replays():
    text = render(samples.report())
    assert "replay  wsharness check chat.app:app --seed 7 --header 'Authorization: ***'" in text


def test_a_long_conversation_is_cut_around_what_matters():
    text = render(samples.report())
    assert "… 1184 more steps" in text
    assert len(text.splitlines()) < 120


def test_warnings_are_told_in_full_on_request():
    assert "bytes 00 ff fe" not in render(samples.report())
    assert "bytes 00 ff fe" in render(samples.report(), verbose=True)


def test_colour_changes_nothing_but_colour():
    plain, colored = (render(samples.report(), color=color) for color in (False, True))
    assert "\x1b" not in plain
    assert "\x1b[1;31mWSH101\x1b[0m" in colored
    stripped = [line.rstrip() for line in ANSI.sub("", colored).splitlines()]
    assert stripped == plain.splitlines()


def test_colour_does_not_depend_on_the_environment(monkeypatch):
    before = render(samples.report(), color=True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "20")
    assert render(samples.report(), color=True) == before


@pytest.mark.parametrize("color", [False, True])
def test_hostile_text_cannot_command_the_terminal(color):
    text = render(samples.hostile_report(), color=color)
    text.encode()
    assert all(char.isprintable() or char in "\n\t" for char in ANSI.sub("", text))
    assert "\x1b[31mred" not in text


def test_no_secret_gets_out():
    for make in (samples.report, samples.hostile_report):
        assert samples.SECRET not in render(make())


def test_a_long_message_is_cut():
    failure = Failure("WSH501", "expectation not met", "\n".join(["x" * 1000] * 50))
    text = render(Report("a:b", 0, "uvicorn", [failure]))
    assert "… 38 more lines" in text
    assert max(map(len, text.splitlines())) < 400


def test_other_seeds_and_profiles_are_told():
    failure = Failure("WSH402", "t", "m", seed=3, profile="daphne")
    assert "profile daphne · seed 3" in render(Report("a:b", 0, "all", [failure]))


def test_summaries():
    assert summary(samples.empty_report()) == "nothing ran · seed 0"
    assert summary(samples.passing_report()) == "no failures · 1 case, 20 runs · seed 0"
    assert count(1200, "run") == "1,200 runs"
    assert render(samples.empty_report()).splitlines()[-1] == "nothing ran · seed 0"


def test_cases_without_a_route_are_listed_by_name():
    report = Report("a:b", 0, "uvicorn", [], [CaseResult("chat.ws.yaml", "", "uvicorn", 1)])
    assert "ok    chat.ws.yaml" in render(report)


def test_rules_are_of_one_width():
    rules = [line for line in render(samples.report()).splitlines() if line.startswith("━")]
    assert [len(rule) for rule in rules] == [WIDTH, WIDTH]
