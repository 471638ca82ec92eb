"""Reads a file of measured cases; what is wrong with one is said in a sentence."""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEASURED = ("uvicorn", "uvicorn-legacy", "uvicorn-wsproto", "hypercorn", "daphne", "granian")
LEVELS = ("message", "frame", "size")
NEEDED = ("app", "client", "expect")


class BadFile(ValueError):
    """A file that is none of measured cases: which, where in it, what was expected and what is there."""


def load(path: Path) -> dict[str, Any]:
    """The cases of a file; BadFile if it is none."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}; give a file like tests/data/cases.json") from None
    except ValueError as error:
        raise BadFile(f"{path}: expected JSON like tests/data/cases.json; {error}") from None
    cases = given.get("cases") if isinstance(given, dict) else None
    if not isinstance(cases, dict):
        raise BadFile(f'{path}: expected {{"meta": …, "cases": {{id: case}}}}; got {shown(given)}')
    for name, case in cases.items():
        for problem in problems(case):
            raise BadFile(f"{path}: case {name!r}: {problem}")
    return {
        name: {"level": "message", **case, "handshake": case.get("handshake") or {}} for name, case in cases.items()
    }


def shown(value: Any) -> str:
    """A value, short enough for a sentence."""
    if isinstance(value, dict):
        return f"an object with {', '.join(map(repr, list(value)[:5])) or 'nothing in it'}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def problems(case: Any) -> Iterator[str]:
    """What keeps a case from being replayed."""
    if not isinstance(case, dict):
        yield f"expected an object with {', '.join(NEEDED)}; got {shown(case)}"
        return
    missing = [key for key in NEEDED if key not in case]
    if missing:
        yield f"expected the keys {', '.join(NEEDED)}; missing {', '.join(missing)}"
        return
    if case.get("level", "message") not in LEVELS:
        yield f"expected a level of {', '.join(LEVELS)}; got {shown(case['level'])}"
    for key in ("handshake", "server"):
        if not isinstance(case.get(key) or {}, dict):
            yield f"expected an object as {key}; got {shown(case[key])}"
            return
    programs = {"app": case["app"], "client": case["client"], "on_close": (case.get("handshake") or {}).get("on_close")}
    for side, program in programs.items():
        if program is not None:
            yield from _program_problems(side, program)
    yield from _expect_problems(case["expect"])


def _program_problems(side: str, program: Any) -> Iterator[str]:
    if not isinstance(program, list):
        yield f"expected a list of operations as {side}; got {shown(program)}"
        return
    for number, operation in enumerate(program, 1):
        if not isinstance(operation, list) or not operation or not isinstance(operation[0], str):
            yield f'{side}, operation {number}: expected a list like ["recv"]; got {shown(operation)}'
        elif operation[0] == "batch":
            yield from _program_problems(f"{side}, batch", operation[1] if len(operation) > 1 else None)


def _expect_problems(expect: Any) -> Iterator[str]:
    if not isinstance(expect, dict):
        yield f"expected an object as expect, by profile; got {shown(expect)}"
        return
    for profile, cell in expect.items():
        if profile not in MEASURED:
            near = difflib.get_close_matches(profile, MEASURED, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(MEASURED)}"
            yield f"unknown profile {profile!r}; {hint}"
        elif isinstance(cell, dict) and cell.get("unstable"):
            continue
        elif not isinstance(cell, dict) or not (_are_tokens(cell.get("app")) and _are_tokens(cell.get("client"))):
            yield f"{profile}: expected app and client, a list of tokens each; got {shown(cell)}"


def _are_tokens(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(token, str) for token in given)
