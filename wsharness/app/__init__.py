"""FastAPI's WebSocket routes on Starlette and pydantic alone: change the import, keep the code."""

from starlette import status
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from wsharness.app.applications import FastAPI
from wsharness.app.encoders import jsonable_encoder
from wsharness.app.exceptions import (
    FastAPIError,
    HTTPException,
    RequestValidationError,
    WebSocketException,
    WebSocketRequestValidationError,
)
from wsharness.app.params import Body, Cookie, Depends, Header, Path, Query, Security
from wsharness.app.routers import APIRouter
from wsharness.app.routing import APIRoute, APIWebSocketRoute
from wsharness.app.security import SecurityScopes
from wsharness.app.websocket import WebSocket, WebSocketDisconnect, WebSocketState

__all__ = [
    "APIRoute",
    "APIRouter",
    "APIWebSocketRoute",
    "BackgroundTasks",
    "Body",
    "Cookie",
    "Depends",
    "FastAPI",
    "FastAPIError",
    "HTTPConnection",
    "HTTPException",
    "Header",
    "JSONResponse",
    "Path",
    "Query",
    "Request",
    "RequestValidationError",
    "Response",
    "Security",
    "SecurityScopes",
    "WebSocket",
    "WebSocketDisconnect",
    "WebSocketException",
    "WebSocketRequestValidationError",
    "WebSocketState",
    "jsonable_encoder",
    "status",
]
