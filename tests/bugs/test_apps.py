"""The ground truth: each broken app misbehaves as it says, and its twin does not."""

import inspect

import pytest

from tests.bugs import NAMES, load
from tests.bugs.driver import play
from wsharness.payloads import CATALOGUE, near_misses


def test_there_are_enough_of_them():
    assert len(NAMES) >= 30


@pytest.mark.parametrize("name", NAMES)
def test_the_bug_shows(name):
    bug = load(name)
    assert play(bug.demonstrate, bug.broken()) is True


@pytest.mark.parametrize("name", NAMES)
def test_the_twin_does_not_show_it(name):
    bug = load(name)
    assert play(bug.demonstrate, bug.correct()) is False


def conversation(bug, extra=()):
    """A good client among others: it says hello and what is asked of it, and leaves in some way."""

    async def talk(drive):
        options = {"path": bug.PATH, "subprotocols": getattr(bug, "SUBPROTOCOLS", ())}
        other = await drive.connect(**options)
        for leave in (1000, 1001, 1006):
            ann = await drive.connect(**options)
            for message in (*bug.HELLO, *extra):
                await ann.send(message)
                await other.send(message) if message in bug.HELLO else None
            await ann.leave(leave)
        await drive.settle(60)
        return drive

    return talk


def attack(bug, payloads):
    """A client for each payload: it sends it and is lost."""

    async def talk(drive):
        for payload in payloads:
            ann = await drive.connect(bug.PATH, subprotocols=getattr(bug, "SUBPROTOCOLS", ()))
            await ann.send(payload.data)
            await ann.leave(1006)
        return drive

    return talk


PAYLOAD_BUGS = [
    "background_exception",
    "binary_for_text",
    "close_code_not_allowed",
    "close_reason_too_long",
    "deep_nesting",
    "division_by_count",
    "double_close",
    "empty_answer",
    "huge_integer",
    "invalid_json",
    "lone_surrogate",
    "missing_key",
    "negative_index",
    "top_level_list",
    "unhashable_type",
]


def payloads_for(bug):
    """The catalogue and the near misses of what a good client says first."""
    payloads = [*CATALOGUE, *(miss for message in bug.HELLO[:2] for miss in near_misses(message))]
    return [payload for payload in payloads if not is_frameworks_own(bug, payload)]


@pytest.mark.parametrize("name", PAYLOAD_BUGS)
def test_some_payload_shows_the_bug(name):
    bug = load(name)
    drive = play(attack(bug, payloads_for(bug)), bug.broken())
    assert any(peer.failure for peer in drive.peers) or drive.background_errors() + drive.crashes()


def is_frameworks_own(bug, payload):
    """Quart looks for a text where a binary message is empty: nothing an app can do about."""
    return payload.name == "empty-binary" and hasattr(bug, "Quart")


@pytest.mark.parametrize("name", NAMES)
def test_the_twin_survives_every_payload(name):
    bug = load(name)
    payloads = payloads_for(bug)
    drive = play(attack(bug, payloads), bug.correct())
    assert [(p.name, peer.failure) for p, peer in zip(payloads, drive.peers) if peer.failure] == []
    assert drive.background_errors() + drive.crashes() == []


@pytest.mark.parametrize("name", NAMES)
def test_the_twin_ends_cleanly_however_its_clients_leave(name):
    bug = load(name)
    app = bug.correct()
    drive = play(conversation(bug), app)
    assert [peer.failure for peer in drive.peers if peer.failure] == []
    assert drive.background_errors() + drive.crashes() == []
    if bug.INVARIANT:
        getattr(bug, bug.INVARIANT)(app)


@pytest.mark.parametrize("name", NAMES)
def test_each_bug_says_what_it_is(name):
    bug = load(name)
    assert bug.__doc__ and bug.TITLE and bug.PATH.startswith("/")
    assert all(code.startswith("WSH") for code in bug.EXPECTS) and bug.EXPECTS
    assert bug.broken() is not bug.broken()
    if bug.FUNCTION:
        assert f"def {bug.FUNCTION}(" in inspect.getsource(bug)
    if bug.INVARIANT:
        getattr(bug, bug.INVARIANT)(bug.broken())
