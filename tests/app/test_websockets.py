"""wsharness/app/websockets.py: FastAPI's name of the module."""

from wsharness.app import websocket, websockets


def test_it_holds_the_same_classes() -> None:
    for name in websockets.__all__:
        assert getattr(websockets, name) is getattr(websocket, name)
