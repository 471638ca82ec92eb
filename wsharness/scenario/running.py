"""Plays a scenario: each step in file order, against the clients of a harness."""

from collections.abc import Callable, Mapping
from typing import Any

from wsharness.client import ANY, Client
from wsharness.errors import (
    ConnectionRejected,
    ExpectationError,
    HandlerStuck,
    WebSocketError,
)
from wsharness.harness import Harness
from wsharness.patterns import mismatch
from wsharness.request import Request
from wsharness.scenario.model import ClientSpec, Scenario, Step, Verb
from wsharness.transcript import Fact

HANDSHAKE_LIMIT = 30.0  # virtual seconds a generated conversation waits for an answer to its handshake


async def play(scenario: Scenario, harness: Harness, before: Callable[[Step], object] | None = None) -> None:
    """Do every step; raise ExpectationError or WebSocketError, with the step's place, at the first that fails.

    `before` is called with each step. A generated scenario (its `run` says what it `expects`) asks for nothing by
    itself: steps that its client can no longer do are passed over, and a `connect` within 0 s leaves the answer to
    the client's next step.
    """
    player = _Player(scenario, harness)
    for number, step in enumerate(scenario.steps, 1):
        if before is not None:
            before(step)
        try:
            await player.do(step)
        except (ExpectationError, WebSocketError) as error:
            if isinstance(error, HandlerStuck):
                raise
            raise ExpectationError(f"{_where(scenario, step, number)}: {error}") from error
    await player.all_answered()


def _where(scenario: Scenario, step: Step, number: int) -> str:
    line = getattr(step, "line", None)
    place = f"line {line}" if line else f"step {number}"
    return f"{scenario.name or 'scenario'}, {place}"


class _Player:
    """The clients of one scenario."""

    def __init__(self, scenario: Scenario, harness: Harness) -> None:
        self._harness = harness
        self._generated = scenario.run is not None and scenario.run.expects is not None
        self._specs = scenario.clients
        self._clients = {name: harness.new_client(name, request_of(spec)) for name, spec in scenario.clients.items()}

    async def do(self, step: Step) -> None:
        """Do one step."""
        if step.after:
            await self._sleep(step.after)
        if step.verb is Verb.PAUSE:
            await self._sleep(step.value)
            return
        assert step.client is not None
        client = self._clients[step.client]
        if step.verb is Verb.CONNECT:
            await self._connect(client, step)
            return
        if self._generated and client.state == "connecting":
            await self._try_handshake(client)
        if not (self._generated and client.state != "connected"):
            await self._act(client, step)

    async def all_answered(self) -> None:
        """Wait for the handshakes that nobody waited for."""
        for client in self._clients.values():
            if self._generated and client.state == "connecting":
                await self._try_handshake(client)

    async def _sleep(self, seconds: float) -> None:
        runtime = self._harness.runtime
        await runtime.signal().wait_until(lambda: False, seconds)

    async def _connect(self, client: Client, step: Step) -> None:
        if client.state in ("connected", "connecting"):
            return
        value = step.value if isinstance(step.value, Mapping) else {}
        spec = self._specs[client.name].merged(value) if value else self._specs[client.name]
        client.ignore = spec.ignore
        client.begin(**request_fields(spec))
        if self._generated:
            if step.within != 0:
                await self._try_handshake(client)
        elif "rejected" in value:
            await self._expect_rejection(client, value["rejected"], step.within)
        else:
            await client.opened(step.within)
            _expect_accepted(client, value.get("accepted"))

    async def _try_handshake(self, client: Client) -> None:
        """Connect as a generated conversation does: any answer will do, none is a finding."""
        if await client.answered(HANDSHAKE_LIMIT):
            return
        job = getattr(client.connection, "job", None)
        fact = Fact("unanswered", f"no answer to the handshake within {HANDSHAKE_LIMIT:g} s")
        if job is not None:
            self._harness.note(client.connection.name, fact)
        await client.drop()

    async def _expect_rejection(self, client: Client, expected: Any, within: float | None) -> None:
        try:
            await client.opened(within)
        except ConnectionRejected as error:
            wanted = expected if isinstance(expected, Mapping) else {"status": expected}
            got = {"status": error.status, "headers": dict(error.headers), "body": error.body.decode(errors="replace")}
            why = mismatch(dict(wanted), got)
            if why is not None:
                raise ExpectationError(f"expected another rejection{why}") from error
            return
        raise ExpectationError(f"expected the handshake to be rejected with {expected!r}; it was accepted")

    async def _act(self, client: Client, step: Step) -> None:
        verb, value, within = step.verb, step.value, step.within
        if verb in (Verb.SEND, Verb.SEND_BYTES):
            await client.send(value)
        elif verb is Verb.CLOSE:
            await client.close(**_close_arguments(value))
        elif verb is Verb.DROP:
            await client.drop(reset=bool(isinstance(value, Mapping) and value.get("reset")))
        elif verb is Verb.STALL:
            client.stall(full=bool(value))
        elif verb is Verb.RESUME:
            client.resume()
        elif not self._generated:
            await self._expect(client, verb, value, within)

    async def _expect(self, client: Client, verb: Verb, value: Any, within: float | None) -> None:
        if verb is Verb.EXPECT:
            await client.expect(value, within=within)
        elif verb is Verb.WAIT_FOR:
            await client.wait_for(value, within=within)
        elif verb is Verb.EXPECT_NONE:
            await client.expect_none(value if isinstance(value, (int, float)) else 0.2)
        else:
            arguments = _close_arguments(value)
            await client.expect_close(arguments.get("code", ANY), arguments.get("reason", ANY), within=within)


def _expect_accepted(client: Client, expected: Mapping[str, Any] | None) -> None:
    if expected is None or client.accepted is None:
        return
    got = {"subprotocol": client.accepted.subprotocol, "headers": dict(client.accepted.headers)}
    why = mismatch(dict(expected), got)
    if why is not None:
        raise ExpectationError(f"expected another answer to the handshake{why}")


def _close_arguments(value: Any) -> dict[str, Any]:
    if value is None or value is True:
        return {}
    return dict(value) if isinstance(value, Mapping) else {"code": value}


def request_of(spec: ClientSpec) -> Request:
    """What a client of a scenario asks for."""
    return Request(**request_fields(spec))


def request_fields(spec: ClientSpec) -> dict[str, Any]:
    """The same as keyword arguments of `connect`."""
    return {
        "path": spec.path,
        "query": dict(spec.query),
        "headers": dict(spec.headers),
        "cookies": dict(spec.cookies),
        "subprotocols": tuple(spec.subprotocols),
        "link": spec.link,
    }
