"""How late a process is: on a busy machine what is planned for a time comes after it, and what is seen then proves nothing."""

import asyncio
import time

BEAT = 0.005  # seconds: a shorter delay is none
WORTH_NOTING = 0.002


class Pulse:
    """Beats in an event loop from the first `start` on, and remembers the beats that were late."""

    def __init__(self) -> None:
        self._due = time.monotonic()
        self._late: list[tuple[float, float]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Beat in this loop, if it does not yet."""
        if self._task is None or self._task.get_loop() is not asyncio.get_running_loop():
            self._due = time.monotonic() + BEAT
            self._task = asyncio.ensure_future(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._due - time.monotonic())
            now = time.monotonic()
            if now - self._due > WORTH_NOTING:
                self._late.append((now, now - self._due))
            self._due = now + BEAT

    def latest_since(self, begun: float) -> float:
        """By how many seconds a beat was late, at most, since then."""
        now = time.monotonic()
        return max([by for when, by in self._late if when >= begun] + [now - self._due, 0.0])
