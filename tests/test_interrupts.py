import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from wsharness.interrupts import is_ctrl_c
from wsharness.workers import run_all


@pytest.fixture
def ctrl_c_raises():
    """As in a terminal's foreground; what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "error, users", [(KeyboardInterrupt(), True), (SystemExit(), False), (ValueError(), False)], ids=repr
)
def test_the_users_is_what_a_ctrl_c_raises(error, users, ctrl_c_raises):
    assert is_ctrl_c(error) is users


def test_where_no_ctrl_c_arrives_it_is_the_apps(ctrl_c_raises):
    with ThreadPoolExecutor() as pool:
        assert not pool.submit(is_ctrl_c, KeyboardInterrupt()).result()
    [(_, in_a_run)] = run_all(lambda: is_ctrl_c(KeyboardInterrupt()), [()])
    assert in_a_run is False
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert not is_ctrl_c(KeyboardInterrupt())
