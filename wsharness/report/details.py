"""What a click on a step shows: the payload as text, JSON or hexadecimal, and all else about it."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from wsharness.events import Rejected
from wsharness.narration import Step, as_text, elide, payload_of, place, printable
from wsharness.transcript import Fact, Stack, to_json

BREAKS = "\n\t"
"""What text in several lines may keep."""
LONGEST = 4000  # characters of a payload
BYTES, ROW = 512, 8  # of a binary payload

_WAYS = {
    "to app": "{client} → app",
    "to client": "app → {client}",
    "client": "at {client}",
    "app": "at the app, for {client}",
    "fact": "finding, on {client}",
}


def detail(step: Step, *, anchor: str, failing: bool) -> str:
    """The panel of one step, as HTML."""
    way = _WAYS[step.way].format(client=step.client)
    parts = [*_payload(step), *_stack(step)]
    return (
        f'<section class="detail{" failing open" if failing else ""}" id="{anchor}" tabindex="-1">'
        f"<h4>{text(way)}</h4><p>{text(elide(step.text, 200) + step.note)}</p>"
        f"<dl>{''.join(_facts(step))}</dl>{''.join(parts)}</section>"
    )


def text(value: str, keep: str = "") -> str:
    """Text for an element: escaped, and without what cannot be shown."""
    return escape(printable(value, keep), quote=True)


def stack_list(stack: Stack) -> str:
    """A stack as a list, the user's own frames marked."""
    items = (f"<li{_own(frame.user)}>{text(place(frame))}</li>" for frame in stack)
    return f'<ol class="stack">{"".join(items)}</ol>'


def _own(user: bool) -> str:
    return ' class="own"' if user else ""


def _facts(step: Step) -> Iterator[str]:
    yield _pair("time", f"{step.time:.6f} s")
    if step.arrives is not None and step.arrives != step.time:
        yield _pair("arrives", f"{step.arrives:.6f} s")
    yield _pair("record", f"{step.index}" + (f", arrives as {step.arrival}" if step.arrival is not None else ""))
    for key, value in to_json(step.record)["event"].items():
        if key not in ("body", "data", "text", "bytes", "stack") and value not in (None, [], {}, ""):
            yield from _field(key, value)
    if isinstance(step.record.event, Fact):
        for key, value in step.record.event.data.items():
            yield from _field(key, value)


def _field(key: str, value: Any) -> Iterator[str]:
    if key == "headers" and isinstance(value, list) and all(_is_pair(item) for item in value):
        for name, content in value:
            yield _pair(f"{_flat(name)}:", _flat(content))
    else:
        yield _pair(key, _flat(value))


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2  # noqa: PLR2004 (a pair)


def _flat(value: Any) -> str:
    if isinstance(value, dict) and list(value) == ["hex"]:
        data = bytes.fromhex(value["hex"])
        return data.decode("utf-8", "backslashreplace")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else str(value)


def _pair(name: str, value: str) -> str:
    return f"<div><dt>{text(name)}</dt><dd>{text(elide(value, 400), BREAKS)}</dd></div>"


def _payload(step: Step) -> Iterator[str]:
    event = step.record.event
    data = as_text(event.body) if isinstance(event, Rejected) else payload_of(event)
    if isinstance(data, bytes):
        yield _block(f"binary, {_size(len(data), 'byte')}", hexdump(data), "hex")
    elif data is not None:
        pretty = _pretty(data)
        if pretty is not None:
            yield _block("JSON", pretty)
        yield _block(f"text, {_size(len(data), 'character')}", text(elide(data, LONGEST), BREAKS))


def _size(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _block(caption: str, content: str, kind: str = "") -> str:
    pre = f'<pre class="payload {kind}" tabindex="0">{content}</pre>'
    return f"<figure><figcaption>{caption}</figcaption>{pre}</figure>"


def _pretty(data: str) -> str | None:
    """JSON with a line for each key, where it is an object or an array of sensible size."""
    if len(data) > LONGEST or data.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return text(json.dumps(json.loads(data), indent=2, ensure_ascii=False), BREAKS)
    except (ValueError, RecursionError):
        return None


def hexdump(data: bytes) -> str:
    """Offset, bytes and text, eight to a line, elided in the middle."""
    starts = list(range(0, len(data), ROW))
    keep = BYTES // ROW
    if len(starts) <= keep:
        return "\n".join(_row(data, start) for start in starts)
    head, tail = starts[: keep * 3 // 4], starts[-keep // 4 :]
    left_out = f"… {(len(starts) - len(head) - len(tail)) * ROW:,} more bytes …"
    return "\n".join([*(_row(data, start) for start in head), left_out, *(_row(data, start) for start in tail)])


def _row(data: bytes, start: int) -> str:
    row = data[start : start + ROW]
    shown = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in row)  # noqa: PLR2004 (printable ASCII)
    return f"{start:06x}  {row.hex(' '):<{ROW * 3}} {escape(shown)}"


def _stack(step: Step) -> Iterator[str]:
    event = step.record.event
    if isinstance(event, Fact) and event.stack:
        yield f"<h5>the app's stack, innermost last</h5>{stack_list(event.stack)}"
