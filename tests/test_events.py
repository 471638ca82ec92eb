import dataclasses

import pytest

from wsharness.events import Accepted, CloseCode, Closed, Lost, Message, Rejected, is_sendable

SENDABLE = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
NEVER_SENT = [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535, 65536]


@pytest.mark.parametrize("code", SENDABLE)
def test_a_close_frame_may_carry(code):
    assert is_sendable(code)


@pytest.mark.parametrize("code", NEVER_SENT)
def test_a_close_frame_may_not_carry(code):
    assert not is_sendable(code)


def test_the_reserved_codes_are_the_registered_ones_that_are_not_sent():
    assert [code.value for code in CloseCode if not is_sendable(code)] == [1005, 1006, 1015]


def test_a_plain_close_is_normal_and_a_loss_is_abnormal():
    assert (Closed().code, Closed().reason, Lost().code) == (1000, "", 1006)


@pytest.mark.parametrize("event", [Accepted(), Rejected(403), Message("x"), Closed(), Lost()])
def test_events_are_values(event):
    assert event == dataclasses.replace(event) and hash(event) == hash(dataclasses.replace(event))


def test_text_and_binary_are_different_messages():
    assert Message("x") != Message(b"x")
