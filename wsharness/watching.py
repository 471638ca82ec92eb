"""What an app's own sends give away: rules they break, and exceptions that its framework caught."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from wsharness import probes
from wsharness.asgi import ASGIEvent
from wsharness.inprocess import serving
from wsharness.rules import Broken, Phase, broken, says_internal_error
from wsharness.transcript import Fact

Note: TypeAlias = Callable[[str, Fact], object]


class Watch:
    """Looks on while an app sends, with its stack at hand, and writes facts with `note`."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._caught: list[BaseException] = []
        self._judged: ASGIEvent | None = None

    def __call__(
        self, name: str, event: ASGIEvent, phase: Phase, offered: tuple[str, ...], error: Exception | None
    ) -> None:
        """The app sends what is not simply a message; or its server raises."""
        rule = broken(event, phase, offered) if error is None else _encoding(error) or broken(event, phase, offered)
        if error is None:
            self._note_caught(name, event)
        else:
            error.broke_rule = rule is not None  # type: ignore[attr-defined]
        if rule is None or event is self._judged:
            return
        self._judged = event
        stack = probes.stack_here()
        if rule.rule != "unseen" or probes.is_users_call(stack):
            self._note(name, Fact("rule broken", rule.message, stack, {"rule": rule.rule}))

    def _note_caught(self, name: str, event: ASGIEvent) -> None:
        """A framework tells the client of an exception that it does not let out."""
        error = sys.exc_info()[1]
        if error is not None and says_internal_error(event) and not probes.is_users_call(probes.stack_here()):
            self._note_error(name, error)

    def _note_error(self, name: str, error: BaseException) -> None:
        def harmless(one: BaseException) -> bool:
            return type(one).__name__ == "WebSocketDisconnect" or probes.disconnected_client(one) == name

        error = probes.worst(error, harmless)
        if harmless(error) or any(error is known for known in self._caught):
            return
        self._caught.append(error)
        data = {
            "exception": probes.class_name(error),
            "rule": getattr(error, "broke_rule", False),
            "refused": probes.refused(error),
        }
        self._note(name, Fact("crashed", probes.text_of(error), probes.stack_of_error(error), data))

    def forget(self) -> None:
        """A handler has ended: let go of the exceptions that were noted, and so of their frames."""
        self._caught.clear()

    def let_go(self) -> None:
        """Write nothing any more."""
        self._note = _write_nothing

    @contextmanager
    def logs(self) -> Iterator[None]:
        """Take what frameworks log of exceptions; what the user's own code logs has been handled."""
        handler = _idle.pop() if _idle else _Handler()
        handler.take = self._logged
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)
            handler.take = None
            _idle.append(handler)

    def _logged(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and record.name != "asyncio" and not probes.place(record.pathname)[1]:
            self._note_error(serving.get(), error)


def _write_nothing(_: str, __: Fact) -> None:
    """The run is over."""


class _Handler(logging.Handler):
    take: Callable[[logging.LogRecord], object] | None = None

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        if self.take is not None:
            self.take(record)


_idle: list[_Handler] = []  # to make one costs a run more than all it will hear


def _encoding(error: Exception) -> Broken | None:
    if not isinstance(error, UnicodeEncodeError):
        return None
    return Broken("encoding", f"text that cannot be encoded as UTF-8: {error.reason}")
