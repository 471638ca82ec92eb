"""Starlette's GZipMiddleware, under the name FastAPI has for the module."""

from starlette.middleware.gzip import GZipMiddleware

__all__ = ["GZipMiddleware"]
