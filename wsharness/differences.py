"""How the profiles differ, as a table: what `wsharness profiles` prints and docs/servers.md shows."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from wsharness.profiles import PROFILES, Profile, State

MIB = 1024 * 1024
SHOWN_KINDS = ("accept", "send", "close")
OUTCOMES = {"does": "works", "fails": "OSError", "nothing": "ignored"}
Row = tuple[str, tuple[str, ...]]


def rows(profiles: tuple[Profile, ...] = tuple(PROFILES.values())) -> list[Row]:
    """What differs between profiles: a name, and each profile's value, in their order."""
    every = [*_settings(profiles), *_outcomes(profiles)]
    return [(name, values) for name, values in every if len(set(values)) > 1]


def _settings(profiles: tuple[Profile, ...]) -> Iterator[Row]:
    for item in fields(Profile):
        if item.name not in ("name", "server", "sends"):
            values = (getattr(profile, item.name) for profile in profiles)
            yield item.name.replace("_", " "), tuple(_shown(item.name, value) for value in values)


def _outcomes(profiles: tuple[Profile, ...]) -> Iterator[Row]:
    for state in State:
        for kind in SHOWN_KINDS:
            found = (profile.sends[state][kind] for profile in profiles)
            yield f"{kind} {state.value}", tuple(OUTCOMES.get(outcome, outcome) for outcome in found)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if name in ("max_size", "max_outbound", "write_limit"):
        return f"{value // MIB} MiB"
    return f"{value:g} s" if isinstance(value, float) else str(value)


def markdown(profiles: tuple[Profile, ...] = tuple(PROFILES.values())) -> str:
    """The table in Markdown."""
    names = [profile.name for profile in profiles]
    lines = [("", *names), ("---",) * (len(names) + 1), *((name, *values) for name, values in rows(profiles))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def text(profiles: tuple[Profile, ...] = tuple(PROFILES.values())) -> str:
    """The table for a terminal: each profile's server, then a column for each."""
    names = tuple(profile.name for profile in profiles)
    lines = [("", names), *rows(profiles)]
    first = max(len(name) for name, _ in lines)
    widths = [max(len(values[column]) for _, values in lines) for column in range(len(names))]
    servers = [f"{profile.name:16} {profile.server}" for profile in profiles]
    table = [
        "  ".join((name.ljust(first), *(value.ljust(width) for value, width in zip(values, widths, strict=True))))
        for name, values in lines
    ]
    return "\n".join([*servers, "", *(line.rstrip() for line in table)])
