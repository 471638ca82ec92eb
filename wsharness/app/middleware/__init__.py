"""Starlette's middleware, under the names FastAPI has for it."""

from starlette.middleware import Middleware

__all__ = ["Middleware"]
