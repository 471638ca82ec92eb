"""What is meant to end a process, raised in an app: whether the app's own, or the user's who presses Ctrl-C."""

import dis
import functools
import signal
import threading
from types import TracebackType
from typing import Any

from wsharness.errors import ExpectationError

ENDS_PROCESS = (SystemExit, KeyboardInterrupt)
"""What asyncio lets out of its loop, whoever raises it there."""


def is_ctrl_c(error: BaseException) -> bool:
    """Whether it may be the user's wish to stop: SIGINT raises it in this thread, as in no run's own process."""
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and callable(signal.getsignal(signal.SIGINT))
        and not _is_raised_by_hand(error.__traceback__)
    )


def as_failure(error: BaseException) -> BaseException:
    """What is raised in a test for what the app raised: a KeyboardInterrupt would end all tests."""
    if not isinstance(error, KeyboardInterrupt) or is_ctrl_c(error):
        return error
    failure = ExpectationError("expected an app that ends no process; it raised KeyboardInterrupt, as a Ctrl-C does")
    failure.__cause__ = error
    return failure


_RAISE = dis.opmap["RAISE_VARARGS"]
_LOOPS = ("asyncio", "trio", "anyio")
"""Who may raise it in the name of a Ctrl-C that came before."""


def _is_raised_by_hand(place: TracebackType | None) -> bool:
    """Whether an app's `raise` raised it: a signal's exception comes up between instructions, or in its handler."""
    by_hand, handler = False, _code_of(signal.getsignal(signal.SIGINT))
    while place is not None:
        code = place.tb_frame.f_code
        if code is handler:
            return False
        own = str(place.tb_frame.f_globals.get("__name__")).partition(".")[0] not in _LOOPS
        by_hand = own and code.co_code[place.tb_lasti] == _RAISE
        place = place.tb_next
    return by_hand


def _code_of(handler: Any) -> Any:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return getattr(getattr(handler, "__func__", handler), "__code__", None)
