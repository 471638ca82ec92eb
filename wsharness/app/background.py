"""Starlette's background tasks, under the name FastAPI has for them."""

from starlette.background import BackgroundTasks

__all__ = ["BackgroundTasks"]
