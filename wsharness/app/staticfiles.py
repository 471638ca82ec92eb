"""Starlette's static files, under the name FastAPI has for them."""

from starlette.staticfiles import StaticFiles

__all__ = ["StaticFiles"]
