"""The conversations that `wsharness check` tries on a route, the simplest first."""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, groupby, islice
from typing import Any
from urllib.parse import quote

from wsharness.packing import pack, unpack
from wsharness.payloads import CATALOGUE, SMOKE, Payload, near_misses, reorderings
from wsharness.phrases import Data, own
from wsharness.scenario.entry import Entry, client_name, client_number, sending
from wsharness.scenario.model import ANY_CHECK, ClientSpec, RunInfo, Scenario, Step, Verb
from wsharness.targets import Route, varying

NAMES = ("alice", "bob", "carol")
CROWD = tuple(client_name(number) for number in range(1, 13))
"""More than a small app has colours, seats or names for."""
SMALL_TALK = ("hello", '{"type": "message", "action": "ping", "text": "hi"}')
SEVERAL = 6  # of which any two are said at the same time
MOST_MISSES = 60  # of a message, where many messages are known
FLOOD = 24  # messages that arrive at once: more than a small buffer takes
FEW = 3  # messages of those that are known, for what is tried with each
STALL = 61.803  # virtual seconds without reading; no whole number, so that nothing else happens at its end
IDLE = (STALL, 1000.618)  # virtual seconds without a message: beyond what is usual before an idle client is sent away
SOON = 6.18  # virtual seconds: longer than what is put off for a moment, such as saving
HOURS = 2 * 3600.0
MOST_PAIRS = 6
FEW_MESSAGES, MANY_MESSAGES = 60, 600
FEW_VISITS, MANY_VISITS = 40, 1200
COMINGS, TALKING, ABRUPT = "comings and goings", "comings with talk", "comings cut short"
"""Who comes and leaves, says something in between, or leaves in the middle of it."""
SLOW_READER = "slow reader"
SETTLE = 0.05  # virtual seconds between two steps that shall not race


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may say about a check."""

    target: str
    app_dir: str | None = None
    factory: bool = False
    lifespan: str | None = None
    """As in a scenario's `run`: auto, on or off."""
    paths: tuple[str, ...] = ()
    profile: str = "uvicorn"
    seed: int = 0
    runs: int = 200
    """Random conversations per route, beside the systematic ones."""
    schedule: str = "random"
    headers: tuple[tuple[str, str], ...] = ()
    cookies: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()
    hello: tuple[Step, ...] = ()
    messages: tuple[Data, ...] = ()
    """What the app understands, as far as is known."""
    opening: tuple[Data, ...] = ()
    """What has to be said before `deep` is understood."""
    own: bool = False
    """Each client says it with a name of its own."""
    deep: tuple[Data, ...] = ()
    asked: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """What the app looks for in a handshake: query, headers or cookies; the name; values it may know."""
    given: tuple[str, ...] = ()
    """What the app gave who came first, and may know again in a handshake."""
    subprotocols_known: tuple[str, ...] = ()
    """What the app may choose from what a client offers."""
    parallel: int = 1
    ignore: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    limit: float = 30.0
    """Real seconds after which one run is ended from outside."""


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation to try: which kind it is, and under which schedule and seed."""

    kind: str
    scenario: Scenario
    seed: int = 0
    schedule: str | dict[int, int] = "fifo"


def run_info_of(options: Options, **how: Any) -> RunInfo:
    """How the options say that a scenario is run; `how` adds its seed and schedule."""
    return RunInfo(
        expects=ANY_CHECK,
        app=options.target,
        app_dir=options.app_dir,
        factory=options.factory,
        lifespan=options.lifespan,
        profile=options.profile,
        **how,
    )


def entry_of(options: Options) -> Entry:
    """What every client brings along."""
    return Entry(
        headers=dict(options.headers),
        cookies=dict(options.cookies),
        query=dict(options.query),
        params=dict(options.params),
        subprotocols=options.subprotocols,
        hello=options.hello,
        own=options.own,
    )


def conversations(route: Route, options: Options) -> Iterator[Case]:
    """Everything that is tried on one route, the simplest first."""
    make = _Conversations(route, options)
    yield from make.leaving()
    yield from make.idling()
    yield from make.strangers()
    yield from make.returning()
    yield from make.payloads(CATALOGUE)
    yield from make.together(make.meetings)
    yield from make.together(make.crowds)
    yield from make.together(make.held_up)
    yield from make.random(options.runs - options.runs // 2 * bool(options.opening))
    if options.opening:
        inside = _Conversations(route, opened(options))
        yield from make.openings()
        yield from inside.leaving()
        yield from inside.idling()
        yield from inside.payloads(SMOKE, "bob")
        yield from inside.together(inside.meetings)
        yield from inside.together(inside.crowds)
        yield from inside.together(inside.held_up)
        yield from inside.random(options.runs // 2)
        yield from inside.together(inside.stalls)
    yield from make.together(make.stalls)
    yield make.comings(FEW_VISITS)
    yield visiting(route, options).comings(FEW_VISITS, TALKING)
    yield visiting(route, options).comings(FEW_VISITS, ABRUPT)


def opened(options: Options) -> Options:
    """The options of conversations that begin with what has to be said first."""
    hello = (*options.hello, *(sending("alice", one) for one in options.opening))
    return replace(options, hello=hello, messages=options.deep, opening=(), deep=())


def visiting(route: Route, options: Options) -> "_Conversations":
    """Of who says what has to be said first."""
    return _Conversations(route, opened(options) if options.opening else options)


def longer(route: Route, options: Options, case: Case) -> Case:
    """The same with so many visits, or messages, that what still grows has no limit."""
    if case.kind == SLOW_READER:
        return replace(case, scenario=replace(case.scenario, steps=tuple(_more_messages(case.scenario.steps))))
    make = _Conversations(route, options) if case.kind == COMINGS else visiting(route, options)
    return make.comings(MANY_VISITS, case.kind)


def _more_messages(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps, with MANY_MESSAGES for FEW_MESSAGES alike."""
    for step, alike in groupby(steps):
        count = len(list(alike))
        yield from [step] * (MANY_MESSAGES if count == FEW_MESSAGES else count)


def talking(route: Route, messages: Sequence[Data], options: Options) -> Case:
    """One client says something twice while another listens; comes again for each message."""
    make = _Conversations(route, options)
    leave = [Step(client="alice", verb=Verb.CLOSE), _pause()]
    visits = [
        [*make.enter("alice"), sending("alice", one), _pause(), sending("alice", one), _pause()] for one in messages
    ]
    steps = [step for visit in visits for step in (*leave, *visit)][len(leave) :]
    return make.case("talking", [*make.enter("bob"), *steps])


ENDS: tuple[tuple[str, Verb, Any], ...] = (
    ("close", Verb.CLOSE, None),
    ("close 1001", Verb.CLOSE, {"code": 1001}),
    ("close 4001", Verb.CLOSE, {"code": 4001, "reason": "bye"}),
    ("drop", Verb.DROP, None),
)


def joined(scenarios: Sequence[Scenario]) -> Scenario:
    """Conversations one after another as one: after each, its clients leave."""
    clients: dict[str, ClientSpec] = {}
    steps: list[Step] = []
    for number, scenario in enumerate(scenarios, 1):
        clients |= scenario.clients
        steps += scenario.steps
        if number < len(scenarios):
            steps += [*(Step(client=name, verb=Verb.CLOSE) for name in scenario.clients), _pause()]
    return replace(scenarios[-1], clients=clients, steps=tuple(steps))


@dataclass(slots=True)
class _Conversations:
    route: Route
    options: Options
    _random: random.Random = field(init=False)
    _talk_of: tuple[Data, ...] = field(init=False)
    _varying: tuple[str, ...] = field(init=False)
    _near: dict[Data, list[Payload]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._talk_of = self.options.messages[:FEW] or SMALL_TALK
        self._varying = varying(self.route, dict((*self.options.params, *self.options.query)))
        self._random = random.Random(f"{self.options.seed} {self.route.path}")  # noqa: S311 (no secret)

    def case(self, kind: str, steps: Iterable[Step], **how: Any) -> Case:
        """A case of the clients its steps name."""
        steps = tuple(steps)
        names = [name for name in CROWD if any(step.client == name for step in steps)]
        clients = {name: self._client(number) for number, name in enumerate(names, 1)}
        scenario = Scenario(
            name=f"{kind} on {self.route.path}", clients=clients, steps=steps, run=run_info_of(self.options, **how)
        )
        return Case(kind, scenario, **how)

    def _client(self, number: int, shared: Sequence[str] = ()) -> ClientSpec:
        return entry_of(self.options).client(self.route, number, shared)

    def enter(self, *names: str) -> list[Step]:
        """Connect clients and say what must be said first."""
        entry, steps = entry_of(self.options), list[Step]()
        for name in names:
            steps += entry.steps(name)
        return [*steps, _pause()]

    def leaving(self) -> Iterator[Case]:
        """One client leaves in every way at every step."""
        for how, verb, value in ENDS:
            end = Step(client="alice", verb=verb, value=value)
            enter = self.enter("alice")
            yield self.case(how, [*enter[:-1], end])
            yield self.case(how, [*enter, end])
            for talk in self._talk_of:
                said = Step(client="alice", verb=Verb.SEND, value=talk)
                yield self.case(how, [*enter, said, end])
                yield self.case(how, [*enter, said, _pause(), end])
                yield self.case(how, [*enter, said, said, said, _pause(), end])
                yield self.case(how, [*enter, *[said] * FLOOD, end])
        again = [*self.enter("alice"), Step(client="alice", verb=Verb.DROP), _pause()]
        yield self.case("drop", again * 3)

    def idling(self) -> Iterator[Case]:
        """One client says nothing for a while: at once, and after it has said something."""
        enter = self.enter("alice")
        for seconds in IDLE:
            wait = Step(client=None, verb=Verb.PAUSE, value=seconds)
            yield self.case("idle", [*enter, wait])
            for talk in self._talk_of:
                said = [sending("alice", talk), _pause()]
                yield self.case("idle", [*enter, *said, wait, *said, Step(client="alice", verb=Verb.CLOSE)])
                yield self.case("idle", [*enter, *said, Step(client="alice", verb=Verb.DROP), wait])
                if (more := _advanced(talk)) is not None:
                    yield self.case("idle", [*enter, *said, wait, sending("alice", more), _pause(), wait])

    def openings(self) -> Iterator[Case]:
        """What has to be said first, in another order or nearly right, and what is understood after it."""
        opening, deep = self.options.opening, self.options.deep[:FEW]
        talks = [one.messages for one in reorderings((*opening, *deep))]
        for place, message in enumerate(opening):
            for miss in islice(near_misses(message), MOST_MISSES):
                talks.append((*opening[:place], miss.data, *opening[place + 1 :], *deep))
                talks.append((*opening[:place], miss.data, *opening[place:], *deep))
        for talk in talks:
            said = [step for message in talk for step in (sending("alice", message), _pause())]
            yield self.case("opening", [*self.enter("alice"), *said, Step(client="alice", verb=Verb.CLOSE)])

    def payloads(self, catalogue: Sequence[Payload], *names: str) -> Iterator[Case]:
        """One client sends each of the catalogue's payloads and near misses, then something harmless.

        Those who are named are there too.
        """
        known = self.options.messages
        near = [miss for message in known[:FEW] for miss in near_misses(message)]
        near += [miss for message in known[FEW:] for miss in islice(near_misses(message), MOST_MISSES)]
        soon = Step(client=None, verb=Verb.PAUSE, value=SOON)
        for wait, payload in (*((_pause(), one) for one in catalogue), *((soon, one) for one in near)):
            steps = [*self.enter("alice", *names), sending("alice", payload.data), _pause()]
            steps += [sending("alice", self._talk_of[0]), wait, Step(client="alice", verb=Verb.CLOSE)]
            yield self.case("payloads", steps)

    def together(self, make: Callable[[], Iterator[Case]]) -> Iterator[Case]:
        """Cases of clients with parameters of their own; then with the first shared, often a room; then alike."""
        yield from make()
        for shared in dict.fromkeys((self._varying[:1], self._varying)):
            if shared:
                yield from (self._sharing(case, shared) for case in make())

    def _sharing(self, case: Case, shared: Sequence[str]) -> Case:
        """The same case with one value of these parameters for all clients."""
        clients = {name: self._client(number, shared) for number, name in enumerate(case.scenario.clients, 1)}
        return replace(case, scenario=replace(case.scenario, clients=clients))

    def meetings(self) -> Iterator[Case]:
        """Two or three clients: one ends while others speak, in every order."""
        for talk in self._talk_of:
            for how, verb, value in (ENDS[0], ENDS[3]):
                end = Step(client="bob", verb=verb, value=value)
                say = sending("alice", talk)
                for names in (NAMES[:2], NAMES):
                    for middle in ([end, say], [say, end], [end, _pause(), say], [say, _pause(), end]):
                        yield self.case(f"{how} beside others", [*self.enter(*names), *middle, _pause(), say])
        known = self.options.messages[:SEVERAL] or SMALL_TALK
        for talk in known:
            for answer in (*known, *_exchanged(talk)):
                both = [sending("alice", talk), sending("bob", answer), _pause()]
                yield self.case("at the same time", [*self.enter(*NAMES[:2]), *both])
        for _, verb, value in (ENDS[0], ENDS[3]):
            ends = [Step(client=name, verb=verb, value=value) for name in NAMES]
            yield self.case("all at once", [*self.enter(*NAMES), *ends])
            yield self.case("all at once", [*self.enter(*NAMES), *reversed(ends)])
            yield self.case("all at once", [*self.enter(*NAMES), sending("alice", self._talk_of[0]), *ends])

    def crowds(self) -> Iterator[Case]:
        """Many clients come, say something one after another, and leave; hours later one comes back."""
        leave = [step for name in CROWD for step in (Step(client=name, verb=Verb.CLOSE), _pause())]
        later = [Step(client=None, verb=Verb.PAUSE, value=HOURS), *self.enter("alice")]
        for number, talk in enumerate(self._talk_of):
            said = [step for name in CROWD for step in (sending(name, talk), _pause())]
            yield self.case("crowd", [*self.enter(*CROWD), *said, *leave, *(later if number == 0 else ())])

    def stalls(self) -> Iterator[Case]:
        """One client does not read while another speaks and a third listens."""
        stall = Step(client="carol", verb=Verb.STALL, value={"full": True})
        resume = Step(client="carol", verb=Verb.RESUME)
        for talk in self._talk_of:
            speak = [sending("alice", talk)] * FEW_MESSAGES
            wait = Step(client=None, verb=Verb.PAUSE, value=STALL)
            steps = [*self.enter(*NAMES), stall, *speak, _pause(), *speak, wait, resume, _pause()]
            yield self.case(SLOW_READER, steps)

    def held_up(self) -> Iterator[Case]:
        """While one is waited for who does not read, others come, say something of their own, and leave."""
        stall = Step(client="carol", verb=Verb.STALL, value={"full": True})
        leave = Step(client="bob", verb=Verb.CLOSE)
        first = [step.value for step in self.options.hello if step.verb in (Verb.SEND, Verb.SEND_BYTES)]
        known = dict.fromkeys([*first, *(self.options.messages[:SEVERAL] or SMALL_TALK)])
        come = [step for name, one in zip(CROWD[3:], known, strict=False) for step in self._coming(name, one)]
        for talk in self._talk_of:
            said = [step for name in NAMES for step in (_saying(name, talk), _pause())]
            speak = [sending("alice", talk), _pause()] * 2  # the first may still find room in a buffer
            for verb, seconds in ((Verb.RESUME, SOON), (Verb.DROP, STALL), (Verb.RESUME, IDLE[1])):
                wait = Step(client=None, verb=Verb.PAUSE, value=seconds)  # what the app sends by itself is held up too
                end = [Step(client="carol", verb=verb), _pause(), sending("alice", talk), _pause()]
                meanwhile = [stall, *speak, wait, *come, leave, _pause()]
                yield self.case("held up", [*self.enter(*NAMES), *said, *meanwhile, *end])

    def _coming(self, name: str, message: Data) -> list[Step]:
        """A client comes in and says something, with a name of its own."""
        return [*self.enter(name), _saying(name, message), _pause()]

    def comings(self, count: int, kind: str = COMINGS) -> Case:
        """One client comes and goes, again and again; then nothing for hours, and once more."""
        enter, close = self.enter("alice"), Step(client="alice", verb=Verb.CLOSE)
        said = [sending("alice", talk) for talk in self._talk_of]
        visit = [*enter, close, _pause()]
        visits = visit * count
        if kind == TALKING:
            visits = [*enter, *(step for one in said[:1] for step in (one, _pause())), close, _pause()] * count
        elif kind == ABRUPT:
            drop = Step(client="alice", verb=Verb.DROP)
            ways = [[*enter[:-1], drop], [*enter, *said, drop], [*enter, *said[:1], close]]
            visits = [*visit * 2, *(step for number in range(count - 2) for step in (*ways[number % 3], _pause()))]
        return self.case(kind, [*visits, Step(client=None, verb=Verb.PAUSE, value=HOURS), *visit])

    def random(self, count: int) -> Iterator[Case]:
        """Random conversations of one to three clients, every second under a random schedule."""
        for number in range(count):
            seed = self.options.seed + number
            schedule = self.options.schedule if number % 2 else "fifo"
            shared = [name for name in self._varying if self._random.random() < 0.5]  # noqa: PLR2004
            yield self._sharing(self.case("random", self._talk(), seed=seed, schedule=schedule), shared)

    def _talk(self) -> list[Step]:
        draw = self._random
        names = NAMES[: draw.choice((1, 2, 2, 3, 3))]
        steps = self.enter(*names)
        here = set(names)
        for _ in range(draw.randint(2, 9)):
            name = draw.choice(names)
            steps += self._act(name, here)
            if draw.random() < 0.3:  # noqa: PLR2004 (often enough that some steps race and some do not)
                steps.append(_pause())
        return steps

    def _act(self, name: str, here: set[str]) -> list[Step]:
        draw = self._random
        if name not in here:
            here.add(name)
            return self.enter(name)[:-1]
        if draw.random() < 0.6:  # noqa: PLR2004 (more talk than leaving)
            return [sending(name, self._say())]
        here.discard(name)
        _, verb, value = draw.choice(ENDS)
        return [Step(client=name, verb=verb, value=value)]

    def _say(self) -> Data:
        """Mostly what is understood, as it is or nearly so."""
        draw = self._random
        known = self.options.messages or SMALL_TALK
        which = draw.random()
        if which < 0.7:  # noqa: PLR2004 (deep conversations need many good messages in a row)
            return draw.choice(known)
        if which < 0.8:  # noqa: PLR2004
            good = draw.choice(known)
            return draw.choice(_exchanged(good) or [good])
        if which < 0.9:  # noqa: PLR2004
            return draw.choice(self._misses(draw.choice(known))).data
        return draw.choice(SMOKE).data

    def _misses(self, message: Data) -> list[Payload]:
        if message not in self._near:
            self._near[message] = list(near_misses(message))
        return self._near[message]

    def strangers(self) -> Iterator[Case]:
        """One client lacks something that was given; one offers another subprotocol, or one that nobody knows."""
        knows = self.case("stranger", self.enter("alice")).scenario
        spec = knows.clients["alice"]
        others = [spec.merged({place: {name: None}}) for place in _GIVEN for name in getattr(spec, place)]
        others += [replace(spec, query=dict.fromkeys(spec.query, "x"))] if spec.query else []
        others += [
            self._with(spec, place, name, value)
            for place, name, values in self.options.asked
            for value in dict.fromkeys((*_ODD, *values))
        ]
        offers = (*_STRANGE, *((name,) for name in self.options.subprotocols_known))
        others += [replace(spec, subprotocols=names) for names in offers if names != spec.subprotocols]
        said = (sending("alice", self._talk_of[0]), _pause(), Step(client="alice", verb=Verb.CLOSE))
        for other in others:
            yield Case("stranger", replace(knows, clients={"alice": other}))
        for other in others:
            yield Case("stranger", replace(knows, clients={"alice": other}, steps=(*knows.steps, *said)))

    def returning(self) -> Iterator[Case]:
        """Others come with what the app gave the first client: beside it, after it, and two of them at once."""
        alice, bob, carol = NAMES
        talk = [sending(name, self._talk_of[0]) for name in NAMES]
        leave = [Step(client=name, verb=verb) for name, verb in zip(NAMES, _LEAVES, strict=True)]
        come, both = self.enter(bob), [*self.enter(bob)[:-1], *self.enter(carol)]
        meetings = (
            [*come, *talk[:2], leave[0], _pause(), talk[1], _pause(), leave[1]],
            [leave[0], _pause(), *come, talk[1], _pause(), leave[1], _pause(), *self.enter(carol), talk[2], _pause()],
            [leave[0], *both, *talk[1:], *leave[1:]],
        )
        for place, name, _ in self.options.asked:
            for value in self.options.given if place != "params" else ():
                for steps in meetings:
                    case = self.case("coming back", [*self.enter(alice), *steps])
                    clients = dict(case.scenario.clients)
                    clients |= {one: self._with(clients[one], place, name, value) for one in clients if one != alice}
                    yield replace(case, scenario=replace(case.scenario, clients=clients))

    def _with(self, spec: ClientSpec, place: str, name: str, value: str) -> ClientSpec:
        """A client with another value of what is looked for in its handshake."""
        if place != "params":
            return spec.merged({place: {name: value}})
        segment = quote(value or "x", safe="")
        params = (*self.options.params, (name, segment))
        return replace(spec, path=entry_of(replace(self.options, params=params)).client(self.route, 1).path)


def _saying(name: str, message: Data) -> Step:
    """The step that sends a message, with the name of who says it where it names anybody."""
    return sending(name, own(message, client_number(name)))


def _exchanged(message: Data) -> list[Data]:
    """An object with the values of two keys of one type exchanged: what was from one to another goes back."""
    form, value = (unpack(message) or ("", None)) if isinstance(message, bytes) else ("", _decoded(message))
    if not isinstance(value, dict):
        return []
    pairs = [(one, other) for one, other in combinations(value, 2) if type(value[one]) is type(value[other])]
    changed = [{**value, one: value[other], other: value[one]} for one, other in pairs[:MOST_PAIRS]]
    packed = [pack(form, one) if form else json.dumps(one) for one in changed]
    return [one for one in packed if one is not None]


def _advanced(message: Data) -> str | None:
    """The message with each of its numbers one higher, as of a later bid, turn or version; None if it has none."""
    value = _decoded(message) if isinstance(message, str) else None
    if not isinstance(value, dict) or not any(type(one) is int for one in value.values()):
        return None
    return json.dumps({key: one + 1 if type(one) is int else one for key, one in value.items()})


def _decoded(message: str) -> Any:
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


_ODD = ("x", "", "-1", "0", "1", "1000000", "9" * 400, "null", "\u00e9")
"""Values of what the app looks for in a handshake, of which it may expect anything."""
_LEAVES = (Verb.CLOSE, Verb.CLOSE, Verb.DROP)
_GIVEN = ("query", "headers", "cookies")
_STRANGE: tuple[tuple[str, ...], ...] = ((), ("no-such-protocol",))


def _pause() -> Step:
    return Step(client=None, verb=Verb.PAUSE, value=SETTLE)
