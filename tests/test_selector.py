"""Where a loop in virtual time watches files."""

import selectors
import socket

import pytest

from wsharness.errors import UnsupportedError
from wsharness.selector import VirtualSelector


def test_the_loop_is_asked_where_files_would_be_waited_for():
    asked = []
    selector = VirtualSelector(lambda timeout: asked.append(timeout) or [], None)
    assert selector.select(1.5) == []
    assert asked == [1.5]
    selector.close()
    assert selector.select(0) == []
    assert asked == [1.5]


def test_files_are_refused_unless_they_may_be_watched():
    selector = VirtualSelector(lambda _: [], None)
    with pytest.raises(UnsupportedError, match="add_reader"):
        selector.register(0, selectors.EVENT_READ)
    with pytest.raises(KeyError):
        selector.unregister(0)
    assert selector.get_map() == {}


def test_real_files_where_that_is_allowed():
    one, other = socket.socketpair()
    selector = VirtualSelector(lambda _: [], selectors.DefaultSelector())
    with one, other:
        selector.register(one, selectors.EVENT_READ, "one")
        assert [key.data for key in selector.get_map().values()] == ["one"]
        other.send(b"x")
        assert [key.data for key, _ in selector.wait(10)] == ["one"]
        selector.unregister(one)
        assert not selector.get_map()
        selector.close()
