"""Hypothesis strategies: payloads, close codes and reasons, faults, schedules, and whole scenarios."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from wsharness import fresh
from wsharness.asgi import App
from wsharness.errors import UsageError
from wsharness.link import Faults
from wsharness.payloads import CATALOGUE, SMOKE, Payload
from wsharness.payloads import near_misses as mutations
from wsharness.request import check_paths
from wsharness.scenario.entry import Entry, client_name, sending
from wsharness.scenario.model import ANY_CHECK, ClientSpec, RunInfo, Scenario, Step, Verb
from wsharness.schemas import allowed
from wsharness.targets import Route, discover_routes, varying

Data: TypeAlias = str | bytes
LARGEST = 1 << 18  # of a payload in a conversation: what is longer costs more time than it finds
SMALL_TALK: tuple[Any, ...] = ("hello", {"type": "message", "action": "ping", "text": "hi"})
"""What is said to an app of whose messages nothing is known."""
MAX_REASON = 123  # bytes of a close reason: 125 of a control frame but the code's two (RFC 6455 section 5.5)
PAUSES = (0.05, 1.0, 61.0)
DEVIATIONS = 4
STEPS = 12
HORIZON = 60  # contested steps of an ordinary conversation: what lies beyond does not happen


# Messages


def messages(*kinds: Any) -> SearchStrategy[Any]:
    """Well-formed messages: examples as they are, and the JSON values that pydantic models allow.

    Shrinks to the first example, or to the model's smallest values.
    """
    examples = [kind for kind in kinds if not _is_model(kind)]
    models = [allowed(kind) for kind in kinds if _is_model(kind)]
    return st.one_of(*([st.sampled_from(examples)] if examples else []), *models)


def near_misses(*kinds: Any) -> SearchStrategy[Data]:
    """Messages with one thing wrong: a key left out, a value of another type, half of the text, a second copy.

    Shrinks to the first mutation of the first example, or of the model's smallest values.
    """
    examples = [kind for kind in kinds if not _is_model(kind)]
    models = [allowed(kind).flatmap(_mutated) for kind in kinds if _is_model(kind)]
    known = [one.data for example in examples for one in mutations(example)]
    return st.one_of(*([st.sampled_from(known)] if known else []), *models)


def payloads(*kinds: Any, largest: int = LARGEST) -> SearchStrategy[Data]:
    """What a client may send: near misses of the messages given, then the catalogue of malformed payloads.

    `kinds` are example messages (text, bytes, or what JSON can express) and pydantic models. Shrinks to the
    first example's first near miss; without examples to `hello`.
    """
    known = tuple(kinds) or SMALL_TALK
    good = messages(*known).map(encoded)
    return st.one_of(
        near_misses(*known) if kinds else good,
        _catalogue(SMOKE, largest),
        good,
        _catalogue(CATALOGUE, largest),
    )


def _catalogue(entries: Iterable[Payload], largest: int) -> SearchStrategy[Data]:
    return st.sampled_from([data for one in entries if len(data := one.data) <= largest])


def encoded(message: Any) -> Data:
    """A message as it is sent."""
    return message if isinstance(message, (str, bytes)) else json.dumps(message)


def _mutated(message: Any) -> SearchStrategy[Data]:
    return st.sampled_from([one.data for one in mutations(message)])


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) or hasattr(kind, "__origin__")


# Endings


_EDGES = (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999)


def close_codes() -> SearchStrategy[int]:
    """Close codes that a close frame may carry (RFC 6455 section 7.4), the edges often; shrinks to 1000."""
    return st.one_of(st.sampled_from(_EDGES), st.integers(3000, 4999))


def close_reasons() -> SearchStrategy[str]:
    """Close reasons up to 123 bytes of UTF-8, the edges often; shrinks to the empty one."""
    edges = ("", "bye", "x" * MAX_REASON, "\u00e9" * 61, "\U0001f44b" * 30)
    text = st.text(
        "bye \n\x00\u00e9\u20ac\U0001f44b", max_size=MAX_REASON
    )  # not all of Unicode, which takes long to load
    return st.one_of(st.sampled_from(edges), text.map(_cut))


def _cut(reason: str) -> str:
    return reason.encode()[:MAX_REASON].decode(errors="ignore")


def endings() -> SearchStrategy[tuple[Verb, Any]]:
    """How a client leaves, as a step's verb and value.

    Dropped, reset, closed without a code, with one, with a code and a reason; shrinks to dropped.
    """
    named = st.fixed_dictionaries({"code": close_codes(), "reason": close_reasons()})
    return st.one_of(
        st.sampled_from(((Verb.DROP, None), (Verb.CLOSE, None), (Verb.DROP, {"reset": True}))),
        st.tuples(st.just(Verb.CLOSE), close_codes()),
        st.tuples(st.just(Verb.CLOSE), named),
    )


# Links and schedules


_FAULTS: tuple[SearchStrategy[dict[str, Any]], ...] = (
    st.sampled_from([{"latency": seconds} for seconds in (0.02, 0.2, 2.0)]),
    st.sampled_from([{"latency": 0.1, "jitter": 0.05}, {"latency": 1.0, "jitter": 0.5}]),
    st.just({"stall": True}),
    st.just({"half_open": True}),
    st.sampled_from([{"reset_peer": seconds} for seconds in (0.0, 0.05, 1.0)]),
    st.sampled_from([{"bandwidth": rate} for rate in (1_000.0, 20_000.0)]),
    st.sampled_from([{"slow_close": seconds} for seconds in (0.1, 5.0)]),
    st.integers(0, 1_000).map(lambda size: {"limit_data": size}),
)


def faults() -> SearchStrategy[Faults]:
    """What a link does to a connection: one kind of trouble at a time; shrinks to none."""
    return st.one_of(st.just({}), *_FAULTS).map(lambda fault: Faults(**fault))


def schedules(*, deviations: int = DEVIATIONS, horizon: int = HORIZON) -> SearchStrategy[dict[int, int]]:
    """Schedules: asyncio's own order but for a few contested steps, `{step: which task}`; shrinks to none.

    `deviations` is their greatest number, `horizon` the step before which they lie.
    """
    return st.just({}) | st.dictionaries(st.integers(0, horizon - 1), st.integers(1, 3), max_size=deviations)


# Scenarios


def scenarios(
    app: App,
    *,
    clients: int = 3,
    steps: int = STEPS,
    messages: Sequence[Any] = (),
    payloads: SearchStrategy[Data] | None = None,
    endings: SearchStrategy[tuple[Verb, Any]] | None = None,
    faults: bool | SearchStrategy[Faults] = False,
    schedules: bool | SearchStrategy[dict[int, int]] = True,
    paths: Sequence[str] = (),
    hello: Sequence[Any] = (),
    headers: Mapping[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
) -> SearchStrategy[Scenario]:
    """Conversations of up to `clients` clients with the app: `simulate(scenario, app).check()`.

    The routes are the app's own, or `paths`; each client says `hello` first. `messages` are examples and pydantic
    models of what the app understands. Shrinks to one client and one step, the first payload, no fault and
    asyncio's own order. While a run shows nothing, runs share this process; see `wsharness.fresh`.
    """
    entry = Entry(
        headers=headers or {},
        cookies=cookies or {},
        query=query or {},
        params=params or {},
        subprotocols=tuple(subprotocols),
        hello=tuple(hello),
    )
    made = conversations(
        routes_of(app, paths),
        entry,
        clients=clients,
        steps=steps,
        moves=Moves.of(messages, payloads, endings),
        faults=_chosen(faults, _make_faults),
        schedules=_chosen(schedules, _make_schedules),
    )
    fresh.keep(app)
    return made


def _chosen(
    given: bool | SearchStrategy[Any], default: Callable[[], SearchStrategy[Any]]
) -> SearchStrategy[Any] | None:
    if isinstance(given, bool):
        return default() if given else None
    return given


def routes_of(app: App, paths: Sequence[str]) -> list[Route]:
    """The app's own routes, or those with these paths; UsageError if there are none."""
    if isinstance(paths, str):
        raise UsageError(f"expected paths to be a list; got {paths!r}; write [{paths!r}]")
    found = {route.path: route for route in discover_routes(app)}
    check_paths(paths)
    routes = [found.get(path) or Route(path) for path in paths] or list(found.values())
    if not routes:
        raise UsageError(f"no WebSocket route found in {app!r}; name one: paths=['/ws']")
    return routes


@dataclass(frozen=True, slots=True)
class Moves:
    """What clients do once they are in."""

    talk: SearchStrategy[Data]
    noise: SearchStrategy[Data]
    leave: SearchStrategy[tuple[Verb, Any]]

    @classmethod
    def of(
        cls,
        kinds: Sequence[Any],
        noise: SearchStrategy[Data] | None = None,
        leave: SearchStrategy[tuple[Verb, Any]] | None = None,
    ) -> "Moves":
        """The usual ones, with what is given in their place."""
        if isinstance(kinds, (str, bytes, Mapping)):
            raise UsageError(f"expected messages to be a list of examples and models; got {kinds!r}; write [{kinds!r}]")
        good = messages(*(tuple(kinds) or SMALL_TALK)).map(encoded)
        return cls(
            good,
            _make_payloads(*kinds) if noise is None else noise,
            _make_endings() if leave is None else leave,
        )


_make_payloads, _make_endings, _make_faults, _make_schedules = payloads, endings, faults, schedules
"""The names are arguments of `scenarios` too."""


def conversations(
    routes: Sequence[Route],
    entry: Entry,
    *,
    clients: int,
    steps: int,
    moves: Moves,
    faults: SearchStrategy[Faults] | None = None,
    schedules: SearchStrategy[dict[int, int]] | None = None,
) -> SearchStrategy[Scenario]:
    """What `scenarios` makes, from its parts."""
    if clients < 1 or steps < 1:
        raise UsageError(f"expected at least one client and one step; got clients={clients!r}, steps={steps!r}")
    move = _move(clients, (moves.talk, moves.leave, moves.noise, st.sampled_from(PAUSES)))
    build = partial(_scenario, tuple(routes), entry, clients)
    return st.tuples(  # not st.builds, whose arguments Hypothesis would try to explain one by one
        st.integers(1, clients),
        st.booleans(),
        st.lists(move, max_size=steps),
        st.just(()) if len(routes) == 1 else st.lists(st.integers(0, len(routes) - 1), max_size=clients),
        _shared(routes, entry),
        st.just({}) if schedules is None else schedules,
        st.just(()) if faults is None else st.lists(faults, max_size=clients),
    ).map(lambda drawn: build(*drawn))


def _shared(routes: Sequence[Route], entry: Entry) -> SearchStrategy[Sequence[str]]:
    """Of which parameters, such as a room's name, all clients have one value."""
    names = list(dict.fromkeys(name for route in routes for name in varying(route, {**entry.params, **entry.query})))
    return st.lists(st.sampled_from(names), unique=True) if names else st.just(())


@st.composite
def _move(draw: st.DrawFn, clients: int, kinds: Sequence[SearchStrategy[Any]]) -> tuple[int | None, Verb, Any]:
    """Who does what: one draw for both, and one for the message, the ending or the time."""
    kind, who = divmod(draw(st.integers(0, clients * len(kinds) - 1)), clients)
    value = draw(kinds[kind])
    if kind == _LEAVE:
        return (who, *value)
    return (None, Verb.PAUSE, value) if kind == _PAUSE else (who, Verb.SEND, value)


_LEAVE, _PAUSE = 1, 3  # of the kinds of a move


def _scenario(
    routes: tuple[Route, ...],
    entry: Entry,
    clients: int,
    there: int,
    at_once: bool,
    moves: Sequence[tuple[int | None, Verb, Any]],
    places: Sequence[int],
    shared: Sequence[str],
    schedule: dict[int, int],
    links: Sequence[Faults],
) -> Scenario:
    names = [client_name(number) for number in range(1, clients + 1)]
    steps = list(_steps(entry, names, there, at_once, moves))
    used = {step.client for step in steps}
    specs: dict[str, ClientSpec] = {}
    for number, name in enumerate(names):
        if name in used:
            route = routes[places[number]] if number < len(places) else routes[0]
            specs[name] = entry.client(route, number + 1, shared)
    run = RunInfo(expects=ANY_CHECK, schedule=schedule or "fifo", faults=_links(names, links))
    return Scenario(clients=specs, steps=tuple(steps), run=run)


def _steps(
    entry: Entry, names: Sequence[str], there: int, at_once: bool, moves: Sequence[tuple[int | None, Verb, Any]]
) -> Iterable[Step]:
    """The moves of clients who are in; whoever is not comes in first."""
    inside = set(names[:there])
    for name in names[:there]:
        yield from entry.steps(name, at_once=at_once)
    for who, verb, value in moves:
        if who is None:
            yield Step(None, verb, value)
            continue
        name = names[who]
        if name not in inside:
            inside.add(name)
            yield from entry.steps(name)
        if verb is Verb.SEND:
            yield sending(name, value)
        else:
            inside.discard(name)
            yield Step(name, verb, value)


def _links(names: Sequence[str], links: Sequence[Faults]) -> dict[str, Any] | None:
    perfect = asdict(Faults())
    found: dict[str, Any] = {}
    for name, link in zip(names, links, strict=False):
        changed = {key: value for key, value in asdict(link).items() if value != perfect[key]}
        if changed:
            found[name] = changed
    return found or None
