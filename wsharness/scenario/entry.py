"""How the clients of a generated conversation come in: what they ask for, and what they say first."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wsharness.phrases import own
from wsharness.scenario.model import ClientSpec, Step, Verb
from wsharness.targets import Route, example, fill, fill_headers

NAMES = ("alice", "bob", "carol", "dave")


def client_name(number: int) -> str:
    """What the client of that number, from 1, is called."""
    return NAMES[number - 1] if number <= len(NAMES) else f"client{number}"


def client_number(name: str) -> int:
    """The number of the client that is called so; 1 for any other name."""
    number = name.removeprefix("client")
    return NAMES.index(name) + 1 if name in NAMES else int(number) if number.isdecimal() else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What every client brings along, over what its route declares."""

    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    """Values of the route's path parameters."""
    subprotocols: tuple[str, ...] = ()
    hello: tuple[Any, ...] = ()
    """What is said first: messages, or steps of any client."""
    own: bool = False
    """Each client says it with a name of its own."""

    def client(self, route: Route, number: int, shared: Collection[str] = ()) -> ClientSpec:
        """The client of that number, from 1, on a route; parameters in `shared` have the first client's values."""
        given = {name: example(param) for name, param in route.params.items() if name in shared} | dict(self.params)
        path, query = fill(route, client=number, given=given)
        headers, cookies = fill_headers(route, client=number, given=given)
        return ClientSpec(
            path=path,
            query={**query, **self.query},
            headers={**headers, **self.headers},
            cookies={**cookies, **self.cookies},
            subprotocols=tuple(self.subprotocols),
        )

    def steps(self, name: str, *, at_once: bool = False) -> Iterator[Step]:
        """The steps by which a client comes in; `at_once` does not wait for the answer before others act."""
        yield Step(name, Verb.CONNECT, within=0.0 if at_once else None)
        yield from (self._said(one, name) for one in self.hello)

    def _said(self, one: Any, name: str) -> Step:
        step = replace(one, client=name) if isinstance(one, Step) else sending(name, one)
        if not self.own or not isinstance(step.value, (str, bytes)):
            return step
        return replace(step, value=own(step.value, client_number(name)))


def sending(name: str, message: Any) -> Step:
    """The step that sends a message: text or bytes verbatim, anything else as JSON."""
    return Step(name, Verb.SEND_BYTES if isinstance(message, bytes) else Verb.SEND, message)
