"""What an unmet expectation says: the expected, what came instead, where they differ; secrets masked."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from wsharness.errors import WSHarnessError
from wsharness.masking import Mask, secrets_in
from wsharness.narration import elide, printable, show
from wsharness.patterns import Matcher, closest, decode, describe, match_message, mismatch
from wsharness.transcript import Transcript

LINE = 88  # characters of a value in a diff
SHOWN = 200  # of a message in a sentence
UNREAD = 3  # of another client's messages
MOST = 24  # lines of a diff


class View(NamedTuple):
    """What another client looks like."""

    name: str
    state: str
    unread: tuple[str | bytes, ...]


class Words:
    """Says what came instead of what was expected, with the secrets of a transcript masked."""

    def __init__(self, transcript: Transcript) -> None:
        self._mask = Mask(secrets_in(transcript))

    def expected(self, pattern: Any) -> str:
        """A pattern, for the sentence `expected ...`."""
        return self._mask.known(describe(self._mask.plain(pattern)))

    def message(self, data: str | bytes) -> str:
        """A message, for a sentence."""
        return show(self._mask.data(data), SHOWN)

    def unlike(self, pattern: Any, data: str | bytes) -> str:
        """Why a message does not match, and the difference where one line cannot show it."""
        lines = [] if isinstance(pattern, (str, bytes)) else [f"  {self._why(pattern, data)}"]
        value = data if isinstance(pattern, (str, bytes)) else decode(data)
        if type(pattern) in (dict, list, str, bytes) and type(value) is type(pattern):
            lines += _framed(self._mask.plain(pattern), self._mask.plain(value))
        return "".join(f"\n{line}" for line in lines)

    def _why(self, pattern: Any, data: str | bytes) -> str:
        masked = self._mask.plain(pattern)
        if isinstance(pattern, (dict, list)):
            why = mismatch(masked, self._mask.plain(decode(data)))
        else:
            why = match_message(masked, self._mask.data(data))
        if why is None:  # what differs is a secret
            place = str(match_message(pattern, data)).partition("expected ")[0]
            why = f"{place}expected another value; both are masked"
        return self._mask.known(printable(why, keep="\n"))

    def skipped(self, pattern: Any, messages: list[str | bytes]) -> str:
        """How many messages did not match, and the nearest of them."""
        near = closest(pattern, messages)
        others = f"{len(messages)} other{'s' * (len(messages) > 1)}"
        return f"after {others}, the nearest {self.message(near)}{self.unlike(pattern, near)}"

    def others(self, views: Iterable[View]) -> str:
        """What other clients have in their inboxes, a line each."""
        return "\n".join(self._view(view) for view in views)

    def _view(self, view: View) -> str:
        unread = view.unread
        if not unread:
            return f"{printable(view.name)} ({view.state}) has nothing unread"
        shown = ", ".join(show(self._mask.data(data), LINE // 2) for data in unread[-UNREAD:])
        more = f"{len(unread) - UNREAD} more, then " if len(unread) > UNREAD else ""
        return f"{printable(view.name)} ({view.state}) has {len(unread)} unread: {more}{shown}"


def brief(error: BaseException) -> str:
    """An error's first line, without transcript and difference."""
    text = str(error)
    return text.partition("\n")[0] if isinstance(error, WSHarnessError) else text


def _framed(pattern: Any, value: Any) -> list[str]:
    if isinstance(pattern, bytes):
        pattern, value = pattern.hex(" "), value.hex(" ")
    if isinstance(pattern, str) and max(len(pattern), len(value)) <= LINE // 2:
        return []  # the sentence shows both
    lines = list(_diff(pattern, value))
    if len(lines) > MOST:
        lines = [*lines[: MOST // 2], f"  … {len(lines) - MOST} more lines", *lines[-MOST // 2 :]]
    return [f"    {printable(line)}" for line in lines]


def _diff(pattern: Any, value: Any, key: str = "", indent: str = "") -> Iterator[str]:
    """Lines that begin with `-` for what was expected, `+` for what came, and a space for what matches."""
    if mismatch(pattern, value) is None:
        yield f"  {indent}{key}{_value(value)}"
    elif isinstance(pattern, Mapping) and isinstance(value, Mapping):
        yield f"  {indent}{key}{{"
        yield from _keys(pattern, value, indent + "  ")
        yield f"  {indent}}}"
    elif isinstance(pattern, (list, tuple)) and isinstance(value, (list, tuple)):
        yield f"  {indent}{key}["
        yield from _items(pattern, value, indent + "  ")
        yield f"  {indent}]"
    elif isinstance(pattern, str) and isinstance(value, str):
        yield from _texts(pattern, value, key, indent)
    else:
        yield f"- {indent}{key}{elide(describe(pattern), LINE)}"
        yield f"+ {indent}{key}{_value(value)}"


def _keys(pattern: Mapping[Any, Any], value: Mapping[Any, Any], indent: str) -> Iterator[str]:
    for name, expected in pattern.items():
        key = f"{name!r}: "
        if name in value and expected is not Matcher.ABSENT:
            yield from _diff(expected, value[name], key, indent)
        elif name in value:
            yield f"+ {indent}{key}{_value(value[name])}"
        elif expected is not Matcher.ABSENT:
            yield f"- {indent}{key}{elide(describe(expected), LINE)}"
    more = sum(name not in pattern for name in value)
    if more:
        yield f"  {indent}… {more} more key{'s' * (more > 1)}, which may be there"


def _items(pattern: Any, value: Any, indent: str) -> Iterator[str]:
    for expected, item in zip(pattern, value, strict=False):
        yield from _diff(expected, item, "", indent)
    for expected in pattern[len(value) :]:
        yield f"- {indent}{elide(describe(expected), LINE)}"
    for item in value[len(pattern) :]:
        yield f"+ {indent}{_value(item)}"


def _texts(pattern: str, value: str, key: str, indent: str) -> Iterator[str]:
    """Two texts, from a little before the first difference."""
    same = next((n for n, pair in enumerate(zip(pattern, value, strict=False)) if pair[0] != pair[1]), None)
    same = min(len(pattern), len(value)) if same is None else same
    start = max(0, same - LINE // 3) if max(len(pattern), len(value)) > LINE else 0
    for sign, text in (("-", pattern), ("+", value)):
        shown = text[start : start + LINE]
        before, after = "…" * (start > 0), "…" * (len(text) > start + LINE)
        yield f"{sign} {indent}{key}{before}{shown!r}{after}"


def _value(value: Any) -> str:
    return elide(repr(value), LINE)
