"""A step's panel shows its payload and everything about it."""

import re
from html import unescape

import pytest

from tests.report import samples
from tests.report.samples import EVIL, ODD, Script
from wsharness.events import Rejected
from wsharness.narration import narrate
from wsharness.report.details import LONGEST, detail, hexdump, stack_list
from wsharness.transcript import Connect, Direction, Fact, Frame


def panel(direction, event):
    return detail(narrate(Script().add("a", direction, event).transcript)[0], anchor="x", failing=False)


def payloads(html):
    return [unescape(text) for text in re.findall(r"<pre[^>]*>(.*?)</pre>", html, re.DOTALL)]


def sent(data):
    script = Script().connect("a", "/").send("a", data)
    return detail(narrate(script.transcript)[-1], anchor="x", failing=False)


def test_json_is_shown_with_a_line_for_each_key_and_as_it_came():
    assert payloads(sent('{"a":1,"b":"é"}')) == ['{\n  "a": 1,\n  "b": "é"\n}', '{"a":1,"b":"é"}']


@pytest.mark.parametrize("text", ["hi", "", '{"broken":', "[" * 3000, "1"])
def test_what_is_no_json_document_is_shown_as_it_came(text):
    assert payloads(sent(text)) == [text]


def test_lines_and_tabs_are_kept_and_other_controls_escaped():
    assert payloads(sent("a\n\tb\x00")) == ["a\n\tb\\x00"]


def test_a_long_text_is_cut_and_its_size_told():
    html = sent("x" * (1 << 20))
    assert "text, 1,048,576 characters" in html
    assert len(html) < LONGEST + 2000


def test_binary_is_a_hexdump():
    assert "000000  00 ff 41 3c              ··A&lt;" in sent(b"\x00\xffA<")
    assert "binary, 1 byte<" in sent(b"a")
    rows = hexdump(bytes(100_000)).splitlines()
    assert len(rows) == 65
    assert rows[48] == "… 99,488 more bytes …"
    assert rows[-1].startswith(f"{100_000 - 8:06x}")
    assert hexdump(b"") == ""


def test_headers_have_a_line_each():
    html = panel(Direction.CLIENT, Connect("/", (("accept", "a<b"),)))
    assert "<dt>accept:</dt><dd>a&lt;b</dd>" in html
    html = panel(Direction.SEND, {"type": "websocket.accept", "headers": [(b"x-a", b"1")]})
    assert "<dt>x-a:</dt><dd>1</dd>" in html


def test_a_body_is_a_payload():
    assert payloads(panel(Direction.SERVER, Rejected(403, body=b"no <way>"))) == ["no <way>"]
    assert "binary" in panel(Direction.SERVER, Rejected(403, body=b"\xff"))


def test_a_finding_shows_its_facts_and_its_stack():
    fact = Fact("crashed", "boom", (Frame("a.py", 1, "f"), Frame("lib.py", 2, "g", user=False)), {"n": 5})
    html = panel(Direction.FACT, fact)
    assert "<dt>n</dt><dd>5</dd>" in html
    assert '<li class="own">a.py:1 in f</li><li>lib.py:2 in g</li>' in html


def test_both_ends_times_are_told():
    script = Script().connect("a", "/").get("a", "x", after=0.25)
    html = detail(narrate(script.transcript)[-1], anchor="x", failing=True)
    assert "<dt>arrives</dt><dd>0.250000 s</dd>" in html
    assert '<section class="detail failing open" id="x"' in html


def test_nothing_hostile_gets_through():
    for step in narrate(samples.hostile().transcript):
        html = detail(step, anchor="x", failing=False)
        html.encode()
        assert "<script" not in html
        assert "<img" not in html
    assert EVIL not in stack_list((Frame(EVIL, 1, ODD),))
