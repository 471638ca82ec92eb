"""Starlette's TrustedHostMiddleware, under the name FastAPI has for the module."""

from starlette.middleware.trustedhost import TrustedHostMiddleware

__all__ = ["TrustedHostMiddleware"]
