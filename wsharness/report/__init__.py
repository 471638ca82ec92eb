"""Renders a report: for people, for CI and for programs, always with its secrets masked."""

from difflib import get_close_matches
from types import ModuleType
from typing import Any

from wsharness.errors import UsageError
from wsharness.report import console, github, html, json, junit, sarif
from wsharness.results import Report

RENDERERS: dict[str, ModuleType] = {
    "console": console,
    "github": github,
    "html": html,
    "json": json,
    "junit": junit,
    "sarif": sarif,
}
"""What `--report KIND=FILE` knows; each module has `render(report) -> str`."""


def render(kind: str, report: Report, **options: Any) -> str:
    """Render a report by the name of its kind; UsageError if there is no such kind."""
    try:
        module = RENDERERS[kind]
    except KeyError:
        near = get_close_matches(kind, RENDERERS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"unknown report {kind!r}; expected one of {', '.join(RENDERERS)}{hint}") from None
    text: str = module.render(report, **options)
    return text
