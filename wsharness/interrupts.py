"""What is meant to end a process, raised in an app: whether the app's own, or the user's who presses Ctrl-C."""

import signal
import threading

ENDS_PROCESS = (SystemExit, KeyboardInterrupt)
"""What asyncio lets out of its loop, whoever raises it there."""


def is_ctrl_c(error: BaseException) -> bool:
    """Whether it may be the user's wish to stop: SIGINT raises it in this thread, as in no run's own process."""
    return (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
        and callable(signal.getsignal(signal.SIGINT))
    )
