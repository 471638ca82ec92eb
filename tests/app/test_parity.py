"""The same application on FastAPI and on wsharness.app: both transcripts must be equal.

Deviations that docs/app.md lists, and only those, are evened out here: the numbers of WebSocketState do not
show in a transcript, and errors of use are subclasses of what FastAPI raises.
"""

import os
from typing import Any

import fastapi
import fastapi.exceptions
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import wsharness.app as ours
from tests.app.drawn import AppSpec, Built, apps, conversations
from tests.app.driver import Transcript, binary, connect, left, text

EXAMPLES = int(os.environ.get("WSHARNESS_PARITY_EXAMPLES", "150"))


def built(spec: AppSpec, framework: Any) -> Built | Exception:
    try:
        return Built(spec, framework)
    except Exception as error:
        return error


def played(app: Built, conversation: dict[str, Any]) -> Transcript:
    return connect(
        app.app,
        conversation["path"],
        *map(as_event, conversation["messages"]),
        query=conversation["query"],
        headers=conversation["headers"],
        extensions=conversation["extensions"],
    )


def as_event(message: Any) -> dict[str, Any]:
    if isinstance(message, int):
        return left(message)
    return text(message) if isinstance(message, str) else binary(message)


def same_error(theirs: BaseException | None, mine: BaseException | None) -> bool:
    """Ours may be a subclass of theirs, with a sentence of its own."""
    if theirs is None or mine is None:
        return theirs is mine
    if isinstance(theirs, fastapi.exceptions.ValidationException):
        return theirs.errors() == mine.errors()  # type: ignore[attr-defined]
    return type(theirs).__name__ in {known.__name__ for known in type(mine).__mro__}


def refusal(theirs: Built | Exception, spec: AppSpec, data: st.DataObject) -> BaseException | None:
    """FastAPI analyses what is included when the first connection comes, not when it is declared."""
    if isinstance(theirs, Exception):
        return theirs
    return played(theirs, data.draw(conversations(spec), label="conversation")).raised


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="WSHARNESS_PARITY_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_a_drawn_app_behaves_the_same_on_both(data: st.DataObject) -> None:
    spec = data.draw(apps(), label="app")
    theirs, mine = built(spec, fastapi), built(spec, ours)
    if isinstance(mine, Exception):
        event("refused where it is declared")
        assert same_error(refusal(theirs, spec, data), mine), f"{theirs!r} and {mine!r}"
        return
    assert not isinstance(theirs, Exception), f"only FastAPI refuses: {theirs!r}"
    conversation = data.draw(conversations(spec), label="conversation")
    expected, got = played(theirs, conversation), played(mine, conversation)
    if isinstance(expected.raised, RecursionError):
        assert isinstance(got.raised, RecursionError)
        return
    event("accepted" if expected.accepted else "refused")
    assert got.events == expected.events
    assert mine.log == theirs.log
    assert same_error(expected.raised, got.raised), f"{expected.raised!r} and {got.raised!r}"
