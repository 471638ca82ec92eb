"""Masks every secret of a report, once and before anything is rendered."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wsharness.masking import Mask, Secret, is_secret, secrets_in
from wsharness.results import CaseResult, Failure, Report
from wsharness.transcript import Frame, Transcript

_VERBS = frozenset(["connect", "close", "drop", "stall", "resume"])  # of a client who is called token


def mask_report(report: Report) -> Report:
    """Make a copy of a report in which every secret is masked; masking it again changes nothing."""
    transcripts = {id(failure.transcript): failure.transcript for failure in report.failures}
    known = list(dict.fromkeys(secret for transcript in transcripts.values() for secret in secrets_in(transcript)))
    mask = Mask(known)
    masked = {key: Transcript(mask.record(record) for record in transcript) for key, transcript in transcripts.items()}
    return Report(
        mask.text(report.target),
        report.seed,
        report.profile,
        [_mask_failure(failure, mask, known, masked[id(failure.transcript)]) for failure in report.failures],
        [_mask_case(case, mask) for case in report.cases],
        mask.text(report.command),
        report.replay_options,
    )


def _mask_failure(failure: Failure, mask: Mask, known: Iterable[Secret], transcript: Transcript) -> Failure:
    return replace(
        failure,
        title=mask.text(failure.title),
        message=mask.text(failure.message),
        route=mask.text(failure.route, in_query=True),
        client=mask.text(failure.client),
        case=mask.text(failure.case),
        stack=tuple(Frame(frame.file, frame.line, mask.text(frame.function), frame.user) for frame in failure.stack),
        scenario=mask_scenario(failure.scenario, known),
        transcript=transcript,
    )


def _mask_case(case: CaseResult, mask: Mask) -> CaseResult:
    return replace(case, name=mask.text(case.name), route=mask.text(case.route, in_query=True))


def mask_scenario(text: str, known: Iterable[Secret] = ()) -> str:
    """Write `$(env.NAME)` in place of every secret of a scenario file, so that it still replays."""
    try:
        documents = list(YAML(typ="safe", pure=True).compose_all(text))
    except (YAMLError, RecursionError):
        return Mask(known).text(text)  # no scenario: nothing could replay it
    names = _EnvironmentNames()
    mask = Mask(known, names.refer)
    seen: set[int] = set()
    scalars = [scalar for document in documents for scalar in _scalars(document, (), seen)]
    for start, end, new in reversed([_replacement(text, *scalar, mask) for scalar in scalars]):
        text = text[:start] + new + text[end:]
    return text


class _EnvironmentNames:
    """One environment variable for each value: TOKEN, then TOKEN_2 for another one."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def refer(self, name: str, value: str) -> str:
        if value not in self._names:
            self._names[value] = self._free("".join(c if c.isalnum() else "_" for c in name).upper())
        return f"$(env.{self._names[value]})"

    def _free(self, name: str) -> str:
        taken = set(self._names.values())
        number = 2
        while (candidate := name if number == 2 else f"{name}_{number - 1}") in taken:  # noqa: PLR2004 (the second)
            number += 1
        return candidate


def _scalars(node: Any, names: tuple[str, ...], seen: set[int]) -> Iterator[tuple[ScalarNode, tuple[str, ...]]]:
    """Every scalar once, with the keys that lead to it; an alias leads to a node that was there before."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield from _scalars(value, (*names, str(key.value)), seen)
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _scalars(item, names, seen)
    elif isinstance(node, ScalarNode):
        yield node, names


def _replacement(text: str, node: Node, names: tuple[str, ...], mask: Mask) -> tuple[int, int, str]:
    """Which part of the text to replace by what."""
    start, end = node.start_mark.index, node.end_mark.index
    source = text[start:end]
    if _holds_secret(names) and _is_plain(node):
        ending = source[len(source.rstrip()) :]  # a block scalar's mark stands behind its line's end
        return start, end, mask.secret(names[-1], str(node.value)) + ending
    return start, end, mask.text(source, in_query=names[-1:] == ("path",))


def _holds_secret(names: tuple[str, ...]) -> bool:
    if not names:
        return False
    if "cookies" in names[-2:-1] or "auth" in names[-2:]:
        return True
    return is_secret(names[-1], in_query="query" in names[-2:-1])


def _is_plain(node: Node) -> bool:
    """Whether a scalar is a value of its own: neither empty, null, a boolean, a matcher nor a reference."""
    value = str(node.value)
    return (
        bool(value)
        and not value.startswith("$")
        and value not in _VERBS
        and str(node.tag).rpartition(":")[2] not in ("null", "bool")
    )
