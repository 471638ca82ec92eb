import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from wsharness.interrupts import is_users
from wsharness.workers import run_all


@pytest.mark.parametrize(
    "error, users", [(KeyboardInterrupt(), True), (SystemExit(), False), (ValueError(), False)], ids=repr
)
def test_the_users_is_what_a_ctrl_c_raises(error, users):
    assert is_users(error) is users


def test_where_no_ctrl_c_arrives_it_is_the_apps():
    with ThreadPoolExecutor() as pool:
        assert not pool.submit(is_users, KeyboardInterrupt()).result()
    [(_, in_a_run)] = run_all(lambda: is_users(KeyboardInterrupt()), [()])
    assert in_a_run is False
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert not is_users(KeyboardInterrupt())
    finally:
        signal.signal(signal.SIGINT, before)
