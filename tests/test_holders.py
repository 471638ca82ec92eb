import asyncio
import gc
from collections import deque

import pytest

from wsharness.holders import path_to

ROOMS = {}


class Thing:
    pass


class Slotted:
    __slots__ = ("thing",)


class Room:
    def __init__(self, thing):
        self.members = {"alice": thing}


class Queue:
    def __init__(self, thing):
        self._items = deque([thing])


@pytest.fixture(autouse=True)
def tidy():
    yield
    ROOMS.clear()


def keep(make):
    thing = Thing()
    ROOMS["x"] = make(thing)
    return path_to(thing)


def slotted(thing):
    slotted = Slotted()
    slotted.thing = thing
    return slotted


@pytest.mark.parametrize(
    "make, path",
    [
        (lambda thing: thing, "tests.test_holders.ROOMS[…]"),
        (Room, "tests.test_holders.ROOMS[…].members[…]"),
        (slotted, "tests.test_holders.ROOMS[…].thing"),
        (lambda thing: {(1, thing)}, "tests.test_holders.ROOMS[…][…][…]"),
        (lambda thing: {thing: 1}, "tests.test_holders.ROOMS[…][…]"),
        (lambda thing: [Queue(thing)], "tests.test_holders.ROOMS[…][…]._items[…]"),
    ],
)
def test_a_modules_variable_is_the_beginning(make, path):
    assert keep(make) == path


class Board:
    members = []


def test_a_classs_attribute_has_its_name():
    Board.members.append(Thing())
    path = path_to(Board.members[0])
    Board.members.clear()
    assert path == "tests.test_holders.Board.members[…]"


def test_what_a_foreign_class_does_inside_is_left_out():
    queue = Queue(None)
    ROOMS["x"] = queue
    queue._items.clear()
    assert path_to(queue._items) == "tests.test_holders.ROOMS[…]"


async def test_a_variable_of_what_is_suspended():
    async def handler():
        room = Room(Thing())
        things.append(room.members["alice"])
        await asyncio.sleep(100)

    things = []
    task = asyncio.create_task(handler())
    await asyncio.sleep(0)
    assert path_to(things.pop()) == "room.members[…] in test_a_variable_of_what_is_suspended.handler"
    task.cancel()


def test_a_variable_of_a_function():
    def make():
        thing = Thing()
        return (lambda: thing), path_to

    ROOMS["x"], path = make()
    assert path(ROOMS["x"]()) == "thing in test_a_variable_of_a_function.make.<lambda>"


def test_what_nobody_knows_has_no_path():
    gc.collect()
    assert path_to(object()) == ""
