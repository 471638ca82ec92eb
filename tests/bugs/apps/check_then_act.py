"""A cinema that looks whether a seat is free, asks the bank, and then books."""

import asyncio

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import number_of, read

TITLE = "two clients book one seat while the bank is asked"
EXPECTS = ("WSH501", "WSH303")
FUNCTION = None
PATH = "/ws"
HELLO = [{"type": "book", "seat": 4}]
INVARIANT = "invariant"


async def charge():
    await asyncio.sleep(0.02)


class Cinema:
    def __init__(self):
        self.bookings = {}

    async def book(self, seat):
        holders = self.bookings.setdefault(seat, [])
        if holders:
            return False
        await charge()
        holders.append("a guest")
        return True

    def release(self, seats):
        for seat in seats:
            self.bookings[seat].pop()


class CarefulCinema(Cinema):
    async def book(self, seat):
        holders = self.bookings.setdefault(seat, [])
        if holders:
            return False
        holders.append("a guest")
        await charge()
        return True


def make(cinema):
    app = FastAPI()
    app.state.cinema = cinema

    @app.websocket("/ws")
    async def counter(websocket: WebSocket):
        await websocket.accept()
        mine = []
        try:
            while True:
                seat = number_of(await read(websocket), "seat", 0, 20)
                booked = await cinema.book(seat)
                mine += [seat] if booked else []
                await websocket.send_json({"type": "booked" if booked else "taken", "seat": seat})
        except WebSocketDisconnect:
            pass
        finally:
            cinema.release(mine)

    return app


def invariant(app):
    """One guest a seat."""
    for seat, holders in app.state.cinema.bookings.items():
        assert len(holders) <= 1, f"seat {seat} is booked {len(holders)} times"


def broken():
    return make(Cinema())


def correct():
    return make(CarefulCinema())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    bob = await drive.connect(PATH)
    ann.put(HELLO[0])
    bob.put(HELLO[0])
    await drive.settle(1)
    assert "booked" in ann.types()
    return ann.types() == bob.types() == ["booked"]
