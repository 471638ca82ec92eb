"""Starlette's data structures, under the name FastAPI has for them."""

from starlette.datastructures import URL, Address, FormData, Headers, QueryParams, State

__all__ = ["URL", "Address", "FormData", "Headers", "QueryParams", "State"]
