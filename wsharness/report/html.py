"""The HTML report: one offline file with a matrix of routes and cases, and a diagram of every failure."""

import base64
import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files

from wsharness.narration import Step, elide, narrate, place
from wsharness.report.console import count
from wsharness.report.details import BREAKS, detail, stack_list, text
from wsharness.report.diagram import draw
from wsharness.report.masking import mask_report
from wsharness.report.matching import cases_of, failures_of
from wsharness.results import CaseResult, Failure, Report

STEPS = 90  # of a conversation
_MESSAGE, _NAME = 4000, 60  # characters

_EXPECTED = re.compile(r"\A(?P<before>.*?)expected (?P<expected>.+?); got (?P<got>.+)\Z", re.DOTALL)
_SIGNS = {"pass": "✓", "failure": "✗", "warning": "!"}


def render(report: Report) -> str:
    """Render one HTML page that needs no network; all text is escaped, and only its own script may run."""
    report = mask_report(report)
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    failures = sorted(report.failures, key=lambda failure: failure.severity)
    anchors = {id(failure): f"f{number}" for number, failure in enumerate(failures, start=1)}
    body = [
        _header(report),
        "<main>",
        _contents(failures, anchors),
        _matrix(report, failures, anchors),
        *(_article(failure, anchors[id(failure)], report) for failure in failures),
        "</main>",
        f"<footer><p>{text(_verdict(report)[1])} · seed {report.seed}</p></footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(elide(report.target, _NAME))}: {text(_verdict(report)[1])}</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + f"\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    return files("wsharness.report").joinpath(name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _verdict(report: Report) -> tuple[str, str]:
    counts = report.counts
    if counts["failures"]:
        return "failure", count(counts["failures"], "failure")
    if counts["warnings"]:
        return "warning", count(counts["warnings"], "warning")
    return ("pass", "no failures") if counts["cases"] else ("", "nothing ran")


def _header(report: Report) -> str:
    kind, verdict = _verdict(report)
    tiles = "".join(_tile(word, number) for word, number in report.counts.items())
    command = (
        f'<div class="command"><code id="command">{text(report.command)}</code>{_copy("command")}</div>'
        if report.command
        else ""
    )
    return (
        f'<header><p class="verdict {kind}">{verdict}</p><h1>{text(elide(report.target, 200))}</h1>'
        f'<p class="facts">profile {text(elide(report.profile, _NAME))} · seed {report.seed}</p>{command}'
        f'<ul class="tiles">{tiles}</ul></header>'
    )


def _tile(word: str, number: int) -> str:
    kind = word.removesuffix("s") if number and word in ("failures", "warnings") else ""
    shown = word if number != 1 else word.removesuffix("s")
    return f'<li class="tile {kind}"><b>{number:,}</b> {shown}</li>'


def _copy(target: str) -> str:
    return f'<button type="button" class="copy" data-copy="{target}">copy</button>'


def _contents(failures: list[Failure], anchors: dict[int, str]) -> str:
    if not failures:
        return ""
    items = "".join(_entry(failure, anchors[id(failure)]) for failure in failures)
    return f'<nav aria-label="what was found"><h2>What was found</h2><ol class="found">{items}</ol></nav>'


def _entry(failure: Failure, anchor: str) -> str:
    where = place(failure.frame) if failure.frame else failure.route
    title = f'<span class="title">{text(elide(failure.title, 100))}</span>'
    return (
        f'<li><a href="#{anchor}">{_badge(failure)} {title}</a> '
        f'<span class="where">{text(elide(where, 100))}</span></li>'
    )


def _badge(failure: Failure) -> str:
    return f'<span class="badge {failure.severity}">{text(failure.code)}</span>'


def _matrix(report: Report, failures: list[Failure], anchors: dict[int, str]) -> str:
    cases = cases_of(report)
    if not cases:
        return ""
    profiles = dict.fromkeys(case.profile for case in cases)
    rows: dict[str, dict[str, CaseResult]] = {}
    for case in cases:
        route = case.route or report.target
        row = f"{route} ({case.profile})" if len(profiles) > 1 else route
        rows.setdefault(row, {})[case.name] = case
    names = list(dict.fromkeys(case.name for case in cases))
    head = "".join(f'<th scope="col"><span title="{text(name)}">{text(_short(name))}</span></th>' for name in names)
    body = "".join(
        f'<tr><th scope="row" title="{text(row)}">{text(_short(row))}</th>'
        + "".join(_cell(of_row.get(name), cases, failures, anchors) for name in names)
        + "</tr>"
        for row, of_row in rows.items()
    )
    return (
        '<section class="matrix"><h2>Routes and cases</h2><div class="scroll" tabindex="0" role="region" '
        f'aria-label="routes and cases"><table><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{_legend()}</section>"
    )


def _short(name: str) -> str:
    return elide(name, 28) if len(name) > _NAME else name or "other"


def _legend() -> str:
    words = {"pass": "passed", "failure": "failed", "warning": "passed with a warning"}
    items = (f'<li><i class="{kind}">{_SIGNS[kind]}</i> {word}</li>' for kind, word in words.items())
    return f'<ul class="legend">{"".join(items)}</ul>'


def _cell(case: CaseResult | None, cases: list[CaseResult], failures: list[Failure], anchors: dict[int, str]) -> str:
    if case is None:
        return '<td class="none"></td>'
    own = failures_of(case, cases, failures)
    # equal failures are reported once: another case that showed the code leads there
    shown = own or [failure for failure in failures if failure.code in case.codes]
    kind = min((failure.severity for failure in shown), default="pass")
    codes = ", ".join(dict.fromkeys([*case.codes, *(failure.code for failure in own)])) or "passed"
    told = text(f"{_short(case.route)}, {_short(case.name)}: {codes}")
    sign = _SIGNS[kind]
    if not shown:
        return f'<td><i class="{kind}" role="img" aria-label="{told}" title="{told}">{sign}</i></td>'
    anchor = anchors[id(shown[0])]
    return f'<td><a class="{kind}" href="#{anchor}" aria-label="{told}" title="{told}">{sign}</a></td>'


def _article(failure: Failure, anchor: str, report: Report) -> str:
    parts = [
        f"<h2>{_badge(failure)} {text(elide(failure.title, 200))}</h2>",
        f'<p class="place"><code>{text(place(failure.frame))}</code></p>' if failure.frame else "",
        f'<p class="facts">{" · ".join(_where(failure, report))}</p>',
        _message(failure.message),
        _conversation(failure, anchor),
        _stack(failure),
        _scenario(failure, anchor),
    ]
    return f'<article id="{anchor}" class="{failure.severity}">{"".join(parts)}</article>'


def _where(failure: Failure, report: Report) -> Iterator[str]:
    facts = {
        "route": failure.route,
        "client": failure.client,
        "case": failure.case,
        "profile": failure.profile if failure.profile != report.profile else "",
        "seed": str(failure.seed),
    }
    for name, value in facts.items():
        if value:
            yield f"{name} <b>{text(elide(value, 100))}</b>"


def _message(message: str) -> str:
    if not message:
        return ""
    found = _EXPECTED.match(message)
    if found is None or len(message) > _MESSAGE:
        return f'<pre class="message">{text(elide(message, _MESSAGE), BREAKS)}</pre>'
    parts = (f"<dt>{name}</dt><dd>{text(found[name], BREAKS)}</dd>" for name in ("expected", "got"))
    before = f"<p>{text(found['before'].strip(' :'), BREAKS)}</p>" if found["before"].strip() else ""
    return f'<div class="message difference">{before}<dl>{"".join(parts)}</dl></div>'


def _conversation(failure: Failure, anchor: str) -> str:
    steps = narrate(failure.transcript, mark=failure.index, limit=STEPS)
    told = [step for step in steps if isinstance(step, Step)]
    if not told:
        return ""
    prefix = f"{anchor}-s"
    panels = "".join(detail(step, anchor=f"{prefix}-{step.index}", failing=step.covers(failure.index)) for step in told)
    title = f"sequence diagram of {count(len(told), 'step')} between clients and app"
    drawing = draw(steps, mark=failure.index, prefix=prefix, title=title)
    return (
        '<h3>The conversation</h3><p class="hint">Select a step to see its payload.</p>'
        f'<div class="conversation"><div class="scroll">{drawing}</div>'
        f'<div class="panel" aria-live="polite">{panels}</div></div>'
    )


def _stack(failure: Failure) -> str:
    if not failure.stack:
        return ""
    hint = '<p class="hint">Innermost last, your own code marked.</p>'
    return f"<h3>The app's stack</h3>{hint}{stack_list(failure.stack)}"


def _scenario(failure: Failure, anchor: str) -> str:
    if not failure.scenario:
        return ""
    return (
        f"<h3>The scenario that shows it {_copy(anchor + '-yaml')}</h3>"
        f'<pre class="yaml" id="{anchor}-yaml" tabindex="0">{text(failure.scenario.rstrip(), BREAKS)}</pre>'
    )
