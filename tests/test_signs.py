"""An output whose encoding lacks our signs is given others."""

import io

import pytest

from wsharness.signs import ERRORS, SIGNS, writable


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", "0.0  > 'h\\xfc\\u2713' - x..."), ("cp1252", "0.0  > 'hü\\u2713' · ×…")]
)
def test_our_signs_have_others_and_all_else_is_escaped(encoding, shown):
    assert "0.0  → 'hü✓' · ×…".encode(encoding, ERRORS).decode(encoding) == shown


def test_what_stands_below_each_other_still_does():
    assert {len(other) for sign, other in SIGNS.items() if sign != "…"} == {1}


def test_a_stream_can_write_all_meanwhile():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with writable(out, io.StringIO()):
        out.write("alice  ← \ud83d")
    assert out.errors == "strict"
    out.flush()
    assert out.buffer.getvalue() == b"alice  < \\ud83d"


def test_bytes_that_cannot_be_read_are_an_error_as_ever():
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", ERRORS)
