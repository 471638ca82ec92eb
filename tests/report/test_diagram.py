"""The sequence diagram is well-formed SVG that says what happened."""

import re
import xml.etree.ElementTree as ET

import pytest

from tests.report import samples
from tests.report.samples import Script
from wsharness.events import Lost
from wsharness.narration import narrate
from wsharness.report.diagram import APP, LABEL, PAUSE, ROW, clip, draw, label, lay_out, lifeline_of
from wsharness.transcript import Direction, Dropped, Leave, Record


def svg(transcript, mark=-1, **options):
    text = draw(narrate(transcript, mark=mark, **options), mark=mark, prefix="f1-s", title="a <title>")
    return ET.fromstring(text)


def classes(root, name):
    return [element for element in root.iter() if name in element.get("class", "").split()]


def texts(root, name):
    return [element.text for element in classes(root, name)]


def test_a_lifeline_for_each_client_and_one_for_the_app():
    root = svg(samples.chat_transcript())
    names = [actor.find("text").text for actor in classes(root, "actor")]
    assert names == ["alice", "alice", "bob", "bob", "carol", "carol", "app", "app"]
    assert len(classes(root, "life")) == 4


def test_a_client_who_comes_back_keeps_the_lifeline():
    script = Script().connect("alice", "/").add("alice", Direction.CLIENT, Leave()).connect("alice#2", "/")
    root = svg(script.transcript)
    assert len(classes(root, "life")) == 2
    assert len(classes(root, "alive")) == 2


@pytest.mark.parametrize(("name", "line"), [("a#2", "a"), ("a", "a"), ("a#b", "a#b"), ("#", "#"), ("", APP)])
def test_lifelines(name, line):
    step = narrate(samples.Transcript([Record(0.0, name, Direction.CLIENT, Dropped())]))[0]
    assert lifeline_of(step) == line


def test_every_step_links_to_its_panel_and_only_the_failing_one_is_marked():
    failure = samples.chat_crash()
    root = svg(failure.transcript, mark=failure.index)
    steps = classes(root, "step")
    assert len(steps) == 19
    assert len({step.get("href") for step in steps}) == 19
    assert [step.get("href") for step in classes(root, "failing")] == [f"#f1-s-{failure.index}"]
    assert "the failing step" in classes(root, "failing")[0].get("aria-label")


def test_drops_closes_and_lost_messages_are_faults():
    failure = samples.chat_crash()
    faults = texts_of(svg(failure.transcript), "fault")
    assert [text.split(":")[0].split(" ")[0] for text in faults] == ["drop", '{"type"', "lost", "close"]
    assert len(classes(svg(failure.transcript), "cross")) == 3


def texts_of(root, name):
    return [element.find("*[@class='label']").text for element in classes(root, name)]


def test_a_late_message_slants_and_one_on_time_is_level():
    script = Script().connect("a", "/").get("a", "x").get("a", "late", after=1)
    lines = [element.get("d") for element in classes(svg(script.transcript), "line")]
    ends = [[float(y) for y in re.findall(r"[ML][\d.-]+ ([\d.-]+)", path)] for path in lines]
    assert [start == end for start, end in ends] == [True, True, True, False]
    assert ends[-1][1] > ends[-1][0]


def test_a_lost_message_ends_before_its_goal():
    script = Script().connect("a", "/").get("a", "x", seen=False).send("a", "y", read=False)
    root = svg(script.transcript)
    assert len(classes(root, "torn")) == 2
    assert len(classes(root, "tip")) == 2


def test_time_goes_down_and_pauses_take_room():
    script = Script().connect("a", "/").wait(30).send("a", "x").send("a", "y")
    layout = lay_out(narrate(script.transcript))
    heights = [y for _, y in layout.rows]
    assert [low - high for high, low in zip(heights, heights[1:], strict=False)] == [ROW, ROW + PAUSE, ROW]
    assert "+30 s" in "".join(svg(script.transcript).itertext())


def test_the_clock_stands_once_for_each_moment():
    script = Script().connect("a", "/").wait(1).send("a", "x").send("a", "y")
    assert texts(svg(script.transcript), "clock") == ["0.000", None, "1.000", None]


def test_gaps_say_how_much_is_missing():
    assert texts(svg(samples.busy_loop().transcript, limit=30), "gap") == ["… 1,184 more steps"]


def test_a_long_label_is_cut_and_told_in_full_by_its_title():
    script = Script().connect("a", "/").send("a", '{"text": "' + "a" * 70 + '"}')
    root = svg(script.transcript)
    assert len(texts(root, "label")[-1]) == LABEL
    assert "a" * 70 in classes(root, "step")[-1].find("title").text
    assert clip("abcdefghij", 5) == "abc…j"
    assert clip("abc", 5) == "abc"


def test_labels_fit_into_the_picture():
    steps = narrate(samples.chat_transcript())
    layout = lay_out(steps)
    assert all(layout.text + 7 * len(label(step)) < layout.width for step in steps)


def test_a_lost_connection_is_a_torn_line_to_its_client():
    script = Script().connect("a", "/").add("a", Direction.SERVER, Lost())
    root = svg(script.transcript)
    assert len(classes(root, "torn")) == 1
    assert len(classes(root, "alive")) == 1


def test_hostile_text_is_text():
    failure = samples.hostile()
    root = svg(failure.transcript, mark=failure.index)
    assert {element.tag for element in root.iter()} <= set("svg a g rect text line circle path title".split())
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
