"""Limits of waits in virtual time: timers only where time is about to pass, since most waits end before."""

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from wsharness.runtime import give_up

Plan: TypeAlias = Callable[[float, int, Callable[[asyncio.Future[bool]], None], asyncio.Future[bool]], asyncio.Handle]
"""Makes a timer: when, the number of its turn among those due at once, and what to call with what."""


class VirtualLimits:
    """Ends waits whose time is up, exactly as a timer for each would."""

    __slots__ = ("_armed", "_number", "_plan", "_waiting", "time")

    def __init__(self, now: Callable[[], float], number: Callable[[], int], plan: Plan) -> None:
        self.time: Callable[[], float] = now
        self._number = number
        self._plan = plan
        self._waiting: dict[asyncio.Future[bool], tuple[float, int]] = {}
        self._armed: dict[asyncio.Future[bool], asyncio.Handle] = {}

    def begin(self, waiter: asyncio.Future[bool], due: float) -> None:
        """Let the wait end at that time."""
        if due > self.time():
            self._waiting[waiter] = due, self._number()
        else:
            self._armed[waiter] = self._plan(due, self._number(), give_up, waiter)

    def end(self, waiter: asyncio.Future[bool]) -> None:
        """It has ended."""
        if self._waiting.pop(waiter, None) is None:
            self._armed.pop(waiter).cancel()

    def arm(self) -> bool:
        """Make timers of those that have none, since time is about to pass; whether there were any."""
        waiting, self._waiting = self._waiting, {}
        for waiter, (due, number) in waiting.items():
            self._armed[waiter] = self._plan(due, number, give_up, waiter)
        return bool(waiting)
