"""The tiny app does the same on every framework, driven by hand."""

import pytest

from tests.bugs.driver import play
from tests.frameworks.apps import APPS, NO_CODE, SEEN


@pytest.fixture(params=APPS)
def name(request):
    SEEN.clear()
    return request.param


async def echo_and_leave(drive):
    ann = await drive.connect("/ws")
    await ann.send("hi")
    await ann.send(b"\x00\xff")
    await ann.send("state")
    await ann.leave(4321)
    return ann


async def ask_to_close(drive):
    ann = await drive.connect("/ws")
    await ann.send("close")
    return ann


async def ask_to_raise(drive):
    ann = await drive.connect("/ws")
    await ann.send("raise")
    assert ann.ended
    return drive.crashes(), ann.closed


async def be_denied(drive):
    return await drive.connect("/deny")


def test_it_echoes_and_sees_the_client_leave(name):
    ann = play(echo_and_leave, APPS[name]())
    assert ann.sent == [b"hi", b"\x00\xff", b"none"]
    assert SEEN == [(name, None if name in NO_CODE else 4321)]
    assert ann.ended and ann.error is None


def test_it_closes_when_asked(name):
    ann = play(ask_to_close, APPS[name]())
    assert (ann.closed, ann.sent) == (4001, [])
    assert ann.error is None


def test_it_raises_when_asked_or_closes_in_its_frameworks_way(name):
    crashes, closed = play(ask_to_raise, APPS[name]())
    raised = [error for error in crashes if isinstance(error, ValueError)]
    assert raised or closed == 4500


def test_it_denies_before_it_accepts(name):
    ann = play(be_denied, APPS[name]())
    assert ann.accepted is None
    assert ann.status == 403
    assert ann.error is None
