"""The WebSocket class and what belongs to it, under the name FastAPI has for the module."""

from wsharness.app.websocket import WebSocket, WebSocketDisconnect, WebSocketState

__all__ = ["WebSocket", "WebSocketDisconnect", "WebSocketState"]
