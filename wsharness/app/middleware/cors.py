"""Starlette's CORSMiddleware, under the name FastAPI has for the module."""

from starlette.middleware.cors import CORSMiddleware

__all__ = ["CORSMiddleware"]
