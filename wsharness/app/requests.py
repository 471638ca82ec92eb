"""Starlette's connections, under the name FastAPI has for them."""

from starlette.requests import HTTPConnection, Request

__all__ = ["HTTPConnection", "Request"]
