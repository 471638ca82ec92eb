"""Starlette's test client, under the name FastAPI has for it; wsharness.testclient has one that does not hang."""

from starlette.testclient import TestClient

__all__ = ["TestClient"]
