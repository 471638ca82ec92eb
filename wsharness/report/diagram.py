"""Draws a conversation as a sequence diagram: inline SVG, a lifeline for each client and one for the app."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from unicodedata import east_asian_width

from wsharness.events import Closed, Lost, Rejected
from wsharness.narration import Gap, Step, printable
from wsharness.transcript import Connect, Dropped, Leave

APP = ""
"""The app's lifeline; no client has that name."""
GUTTER, COLUMN, ROW, HEAD = 74, 96, 26, 40  # pixels: times, between lifelines, between steps, the names
PAUSE = 16  # more room where the clock moves by a second or more
LABEL, NAME, CHARACTER = 60, 11, 7.25  # characters of a label and of a name; pixels of one character
MISS = 18  # how far before its goal a lost message ends


_KINDS = {"fact": ["fact"], "app": ["app-only"]}


@dataclass(slots=True)
class Layout:
    """Where everything stands."""

    columns: dict[str, float] = field(default_factory=dict)
    """Each lifeline's x."""
    rows: list[tuple[Step | Gap, float]] = field(default_factory=list)
    """Each step and its y."""
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """Where the clock moves: y and seconds."""
    width: float = 0.0
    height: float = 0.0

    @property
    def text(self) -> float:
        """Where the labels begin."""
        return self.columns[APP] + 26

    @property
    def bottom(self) -> float:
        """Where the lifelines end."""
        return self.height - HEAD

    def arrival(self, step: Step) -> float:
        """The y at which the other end saw it: between the steps before and after."""
        own = next(y for other, y in self.rows if other is step)
        seen = step.arrival
        if seen is None or not step.late:
            return own
        before = [y for other, y in self.rows if isinstance(other, Step) and other.index < seen]
        return max(own, before[-1]) + ROW * 0.4


def lifeline_of(step: Step) -> str:
    """The client of a connection: `alice` for `alice#2`."""
    name, sharp, number = step.record.client.rpartition("#")
    return name if sharp and number.isdecimal() else step.record.client


def lay_out(steps: list[Step | Gap]) -> Layout:
    """Give every lifeline a column and every step a row."""
    layout = Layout()
    told = [step for step in steps if isinstance(step, Step)]
    names = dict.fromkeys(lifeline_of(step) for step in told)
    names.pop(APP, None)
    for number, name in enumerate([*names, APP]):
        layout.columns[name] = GUTTER + COLUMN * (number + 0.5)
    y, time = float(HEAD), 0.0
    for step in steps:
        y += ROW
        if isinstance(step, Step):
            if step.time - time >= 1:
                layout.pauses.append((y, step.time - time))
                y += PAUSE
            time = step.time
        layout.rows.append((step, y))
    layout.height = y + ROW + HEAD
    longest = max((_width(label(step)) for step in told), default=0)
    layout.width = layout.text + longest * CHARACTER + 16
    return layout


def draw(steps: list[Step | Gap], *, mark: int, prefix: str, title: str) -> str:
    """Draw the steps as SVG.

    Each step links to `#PREFIX-INDEX`; the one that covers `mark` has the class `failing`.
    """
    layout = lay_out(steps)
    width, height = f"{layout.width:.0f}", f"{layout.height:.0f}"
    opening = (
        f'<svg class="diagram" role="group" aria-label="{attribute(title)}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    )
    pauses = (_pause(layout, y, seconds) for y, seconds in layout.pauses)
    return "\n".join([opening, *_lifelines(layout), *pauses, *_steps(layout, mark, prefix), "</svg>"])


def label(step: Step) -> str:
    """What stands beside a step, cut in its middle; the step's panel has it all."""
    return clip(step.text, LABEL)


def clip(text: str, limit: int) -> str:
    """Cut a text in its middle to exactly so many characters."""
    tail = limit // 4
    return text if len(text) <= limit else f"{text[: limit - tail - 1]}…{text[len(text) - tail :]}"


def attribute(text: str) -> str:
    """Text for an attribute or an element: escaped, and without what cannot be shown."""
    return escape(printable(text), quote=True)


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _lifelines(layout: Layout) -> Iterator[str]:
    for name, x in layout.columns.items():
        shown = clip(printable(name), NAME) if name else "app"
        kind = "actor" if name else "actor app"
        yield f'<line class="life" x1="{x}" x2="{x}" y1="{HEAD}" y2="{layout.bottom}"/>'
        for y in (4, layout.bottom):
            yield (
                f'<g class="{kind}"><title>{attribute(name or "the app")}</title>'
                f'<rect x="{x - 43}" y="{y}" width="86" height="{HEAD - 8}" rx="6"/>'
                f'<text x="{x}" y="{y + 21}">{escape(shown)}</text></g>'
            )
        if name:
            yield from (_alive(x, *span) for span in _open_spans(layout, name))


def _alive(x: float, start: float, end: float) -> str:
    return f'<line class="alive" x1="{x}" x2="{x}" y1="{start:.1f}" y2="{end:.1f}"/>'


def _open_spans(layout: Layout, name: str) -> Iterator[tuple[float, float]]:
    """From where to where the client had a connection."""
    begun: float | None = None
    for step, y in layout.rows:
        if not isinstance(step, Step) or lifeline_of(step) != name:
            continue
        if isinstance(step.record.event, Connect):
            begun = y
        elif begun is not None and _ends(step):
            yield begun, layout.arrival(step) if step.way == "to client" else y
            begun = None
    if begun is not None:
        yield begun, layout.bottom


def _ends(step: Step) -> bool:
    event = step.record.event
    if isinstance(event, (Closed, Dropped, Leave, Lost, Rejected)):
        return True
    return isinstance(event, dict) and event.get("type") == "websocket.close" and not step.lost


def _pause(layout: Layout, y: float, seconds: float) -> str:
    middle = y - ROW / 2 + PAUSE / 2
    return (
        f'<g class="pause"><line x1="{GUTTER}" x2="{layout.columns[APP]}" y1="{middle}" y2="{middle}"/>'
        f'<text x="{GUTTER - 12}" y="{middle + 4}">+{seconds:,.6g} s</text></g>'
    )


def _steps(layout: Layout, mark: int, prefix: str) -> Iterator[str]:
    time: float | None = None
    for step, y in layout.rows:
        if isinstance(step, Gap):
            yield f'<text class="gap" x="{layout.text}" y="{y + 4}">… {step.count:,} more steps</text>'
            continue
        clock = f"{step.time:.3f}" if step.time != time else ""
        time = step.time
        yield _step(layout, step, y, clock, failing=step.covers(mark), prefix=prefix)


def _step(layout: Layout, step: Step, y: float, clock: str, *, failing: bool, prefix: str) -> str:
    bad = step.fault or step.lost or isinstance(step.record.event, Lost)
    classes = " ".join(["step", *["fault"] * bad, *["failing"] * failing, *_KINDS.get(step.way, ())])
    spoken = f"{step.time:.3f} s, {step.client}, {step.text}{step.note}" + ", the failing step" * failing
    return (
        f'<a class="{classes}" href="#{prefix}-{step.index}" aria-label="{attribute(spoken)}">'
        f"<title>{attribute(step.text + step.note)}</title>"
        f'<rect class="hit" x="2" y="{y - ROW / 2}" width="{layout.width - 4:.0f}" height="{ROW}" rx="4"/>'
        f'<text class="clock" x="{GUTTER - 12}" y="{y + 4}">{clock}</text>'
        f"{_drawing(layout, step, y)}"
        f'<text class="label" x="{layout.text}" y="{y + 4}">{attribute(label(step))}</text></a>'
    )


def _drawing(layout: Layout, step: Step, y: float) -> str:
    client, app = layout.columns[lifeline_of(step)], layout.columns[APP]
    if step.way == "to app":
        return _across(layout, step, client, app, y)
    if step.way == "to client":
        return _across(layout, step, app, client, y)
    if step.way == "fact":
        return _finding(app, y)
    if isinstance(step.record.event, Dropped):
        return _cross(client, y)
    return f'<circle class="dot" cx="{app if step.way == "app" else client}" cy="{y}" r="4"/>'


def _across(layout: Layout, step: Step, start: float, end: float, y: float) -> str:
    if isinstance(step.record.event, Lost):
        return _torn(start, end, y)
    if step.lost:
        return _torn(start, end - MISS if end > start else end + MISS, y)
    return _arrow(start, end, y, layout.arrival(step)) + _ring(step, start, y)


def _ring(step: Step, start: float, y: float) -> str:
    """A ring where a connection begins."""
    begins = isinstance(step.record.event, Connect)
    return f'<circle class="ring" cx="{start}" cy="{y}" r="4"/>' if begins else ""


def _arrow(start: float, end: float, y: float, arrival: float) -> str:
    side = 1 if end > start else -1
    tip = end - 3 * side
    return (
        f'<path class="line" d="M{start} {y}L{tip} {arrival:.1f}"/>'
        f'<path class="tip" d="M{tip} {arrival:.1f}l{-9 * side} -4.5v9z"/>'
    )


def _torn(start: float, end: float, y: float) -> str:
    return f'<path class="line torn" d="M{start} {y}L{end} {y}"/>' + _cross(end, y)


def _cross(x: float, y: float) -> str:
    return f'<path class="cross" d="M{x - 5} {y - 5}l10 10m0 -10l-10 10"/>'


def _finding(x: float, y: float) -> str:
    return f'<circle class="finding" cx="{x}" cy="{y}" r="9"/><text class="sign" x="{x}" y="{y + 4.5}">!</text>'
