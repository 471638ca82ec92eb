"""Starlette's HTTPSRedirectMiddleware, under the name FastAPI has for the module."""

from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware

__all__ = ["HTTPSRedirectMiddleware"]
