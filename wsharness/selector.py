"""Where a loop in virtual time watches files: nowhere, unless it may reach the outside."""

import selectors
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from wsharness.refusals import unsupported

Events: TypeAlias = list[tuple[selectors.SelectorKey, int]]
Pause: TypeAlias = Callable[[float | None], Events]


class VirtualSelector(selectors.BaseSelector):
    """Where the loop would wait for files, its clock moves instead: `pause` is asked once a turn.

    `real` watches files where that is allowed.
    """

    def __init__(self, pause: Pause, real: selectors.BaseSelector | None) -> None:
        self._pause = pause
        self.real = real

    def select(self, timeout: float | None = None) -> Events:
        """What the loop calls once a turn."""
        return self._pause(timeout)

    def wait(self, timeout: float | None) -> Events:
        """Really wait for files."""
        assert self.real is not None
        return self.real.select(timeout)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file, if real I/O is allowed."""
        if self.real is None:
            raise unsupported("add_reader")
        return self.real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch it no more."""
        if self.real is None:
            raise KeyError(fileobj)
        return self.real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """The files it watches."""
        return {} if self.real is None else self.real.get_map()

    def close(self) -> None:
        """Watch nothing any more, and let go of the loop, which holds this."""
        self._pause = _never
        if self.real is not None:
            self.real.close()


def _never(_: float | None) -> Events:
    """The loop is closed."""
    return []
