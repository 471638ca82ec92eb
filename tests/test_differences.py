"""The table of differences, and that docs/servers.md shows it as it is."""

from dataclasses import replace
from pathlib import Path

from wsharness.differences import markdown, rows, text
from wsharness.profiles import PROFILES, UVICORN

PAGE = Path(__file__).parent.parent / "docs" / "servers.md"


def test_the_page_shows_the_table_as_it_is():
    assert markdown() in PAGE.read_text(encoding="utf-8"), "docs/servers.md: write the table anew with `make servers`"


def test_only_what_differs_is_shown():
    other = replace(UVICORN, name="other", max_size=None, poll=1.5, both_keys=True, refused_events=())
    assert rows((UVICORN, UVICORN)) == []
    assert rows((UVICORN, other)) == [
        ("refused events", ("1006, 1005", "none")),
        ("both keys", ("no", "yes")),
        ("max size", ("16 MiB", "none")),
        ("poll", ("none", "1.5 s")),
    ]


def test_every_profile_is_a_column_and_every_send_that_differs_a_row():
    table = dict(rows())
    assert table["send after the client left"] == (
        "OSError", "OSError", "OSError", "ignored", "ignored", "ignored", "OSError"
    )  # fmt: skip
    lines = text().splitlines()
    assert lines[0].startswith("uvicorn ")
    heads = next(line for line in lines if line.startswith(" "))
    assert heads.split() == list(PROFILES)
