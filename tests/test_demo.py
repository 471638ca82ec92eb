import sys

import pytest

from wsharness import cli, conversations, demo
from wsharness.errors import UsageError
from wsharness.results import Failure
from wsharness.transcript import Frame

CRASH = ("chat", "uvicorn", "WSH101", "KeyError", "chat.py", "chat")
KEPT = ("chat", "uvicorn", "WSH107", "", "", "")


def test_outside_a_clone_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="wsharness check MODULE:APP"):
        demo.main(tmp_path / "out", print, cli.write_scenarios, 1)
    assert not (tmp_path / "out").exists()


def test_what_is_known_and_found_is_0():
    said = []
    assert demo.compare([CRASH, KEPT], [KEPT, CRASH], said.append) == 0
    assert said == [f"found what is known: 2 distinct failures and warnings in {len(demo.EXAMPLES)} checks"]


def test_what_is_missing_or_new_is_1_and_said():
    said = []
    assert demo.compare([KEPT], [CRASH], said.append) == 1
    assert said == ["missing: chat uvicorn WSH101 KeyError chat.py chat", "not known: chat uvicorn WSH107"]


def test_what_is_found_twice_is_known_once():
    said = []
    assert demo.compare([CRASH, CRASH], [CRASH], said.append) == 1
    assert said == ["not known: chat uvicorn WSH101 KeyError chat.py chat"]


def test_a_finding_has_no_line_and_no_message():
    frame = Frame("chat.py", 12, "chat")
    crash = Failure("WSH101", "", "x", kind="KeyError", stack=(frame,))
    kept = Failure("WSH107", "", "y", kind="in a list")
    assert demo.findings("chat", "uvicorn", [kept, crash]) == [CRASH, KEPT]


def test_the_committed_list_is_read_as_it_is_written(tmp_path):
    file = tmp_path / "expected.json"
    file.write_text(demo.to_rows([KEPT, CRASH]), encoding="utf-8")
    assert demo.load_expected(file) == [CRASH, KEPT]


def test_the_committed_list_is_of_the_examples():
    rows = demo.load_expected(demo.EXPECTED)
    assert {(app, profile) for app, profile, *_ in rows} <= set(demo.EXAMPLES)
    assert demo.to_rows(rows) == demo.EXPECTED.read_text(encoding="utf-8")


def test_an_example_is_checked_and_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "EXAMPLES", (("bearer", "uvicorn"),))
    monkeypatch.setattr(demo, "RUNS", 0)
    monkeypatch.setattr(conversations, "CATALOGUE", conversations.CATALOGUE[:2])
    monkeypatch.setattr(conversations, "MANY_MESSAGES", 30)
    monkeypatch.setattr("wsharness.growth.sizes", dict)
    known = [row for row in demo.load_expected(demo.EXPECTED) if row[0] == "bearer"]
    file = tmp_path / "expected.json"
    file.write_text(demo.to_rows(known), encoding="utf-8")
    monkeypatch.setattr(demo, "EXPECTED", file)
    said = []
    assert demo.main(tmp_path / "out", said.append, cli.write_scenarios, 2) == 0
    assert said[0].startswith("bearer on uvicorn: ")
    assert "WSH304" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("default")  # as where the demo runs
@pytest.mark.parametrize(("app", "profile"), demo.EXAMPLES)
def test_what_is_found_of_an_example_is_what_is_committed(app, profile, monkeypatch):
    """Each of them whole, as in `make demo`; a test for each, so that they run beside each other."""
    monkeypatch.delitem(sys.modules, f"scenarios.apps.{app}", raising=False)  # with the state other tests left
    known = [row for row in demo.load_expected(demo.EXPECTED) if row[:2] == (app, profile)]
    said = []
    found = demo.findings(app, profile, demo.check(app, profile, 1).failures)
    assert demo.compare(found, known, said.append) == 0, said
