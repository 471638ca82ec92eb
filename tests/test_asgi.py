"""The vocabulary is ASGI's own: what is typed for a framework is typed for the harness."""

import pytest
from starlette import types

from wsharness import asgi

SAME = {"Scope": "Scope", "ASGIEvent": "Message", "Receive": "Receive", "Send": "Send"}


@pytest.mark.parametrize(("ours", "starlettes"), SAME.items())
def test_a_type_is_starlettes(ours: str, starlettes: str) -> None:
    assert getattr(asgi, ours) == getattr(types, starlettes)
