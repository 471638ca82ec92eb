"""Harness: an app, its lifespan and its virtual clients on the running event loop."""

import contextlib
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from wsharness import births, checks, probes, stalls
from wsharness.arguments import check_app, check_surroundings, not_called, seconds
from wsharness.asgi import App, LifespanMode
from wsharness.client import ANY, Client, has_ended
from wsharness.connecting import HOW_TO_CONNECT, AsyncOnly, Connecting
from wsharness.connection import Connection, OnEvent
from wsharness.deployed import Target
from wsharness.endpoint import ClientDisconnected
from wsharness.errors import BusyLoop, ExpectationError, HandlerStuck, LoopBlocked, UsageError, WSHarnessError
from wsharness.explaining import View, Words, brief
from wsharness.http import open_client
from wsharness.inprocess import InProcessConnection, InProcessServer
from wsharness.interrupts import as_failure
from wsharness.lifespan import LIFESPAN_LIMIT
from wsharness.link import PERFECT, Faults, Link
from wsharness.narration import render_transcript
from wsharness.profiles import Profile, get_profile
from wsharness.request import Request
from wsharness.results import Result
from wsharness.runtime import AsyncioRuntime, Runtime, current_runtime
from wsharness.transcript import Direction, Fact, Record, Transcript
from wsharness.watching import Watch

if TYPE_CHECKING:
    import httpx

    from wsharness.wire import WireConnection, WireServer

CLOSE_TIMEOUT = 10.0  # seconds a client waits for the answer to its close, as the websockets library does
TAIL = 12  # steps shown in an error
AT_ONCE = 1_000  # clients that connect or leave in one turn of the loop: more would look like a busy loop
SHOWN = 6  # clients shown in an error
DEPLOYED = "deployed"  # the profile of a server that is none of ours
GRACE = 60.0  # virtual seconds a handler gets to end after its client left: they cost nothing
TIMEOUT, FAR_TIMEOUT = 1.0, 5.0  # seconds a wait may take: in this process, and where a network lies between


@dataclass(slots=True)
class _Crash:
    error: BaseException
    raised: bool = False


@dataclass(slots=True)
class _Served:
    """One connection the harness opened."""

    connection: "InProcessConnection | WireConnection"
    client: Client
    channel: Any = field(repr=False)
    """A weak reference to the app's end."""


class Harness(AsyncOnly):
    """An app under test: `async with Harness(app) as ws: client = await ws.connect("/ws")`.

    A URL (`"ws://127.0.0.1:8000"`, or a Target) instead of an app opens real connections to a deployed server.

    Nothing waits for ever: `timeout` bounds every wait, in seconds of the loop's time (1 by default, 5 to a deployed
    server). At the end every client leaves, handlers get `grace` seconds to end, and what the app raised is raised
    here, once.
    """

    def __init__(
        self,
        app: App | str | Target,
        *,
        profile: str | Profile = "uvicorn",
        timeout: float | None = None,
        grace: float | None = None,
        lifespan: LifespanMode = "auto",
        state: Mapping[str, Any] | None = None,
        root_path: str = "",
        client: tuple[str, int] = ("testclient", 50000),
        raise_app_exceptions: bool = True,
    ) -> None:
        self.is_deployed: bool = isinstance(app, (str, Target))
        """Whether the app is a deployed server, of which nothing is seen but what it sends."""
        if not isinstance(app, Target):
            check_app(app)
        check_surroundings(lifespan, state, root_path, client)
        self.app: App | Target = Target(app) if isinstance(app, str) else app
        if self.is_deployed and (profile, lifespan, state, root_path) != ("uvicorn", "auto", None, ""):
            raise UsageError(
                "profile, lifespan, state and root_path are for an app in this process; leave them out with a URL"
            )
        self.profile: Profile = get_profile(profile)
        usual = FAR_TIMEOUT if self.is_deployed else TIMEOUT
        self.timeout: float = usual if timeout is None else seconds(timeout, "timeout")
        self.grace: float = max(TIMEOUT, self.timeout) if grace is None else seconds(grace, "grace")
        self.raise_app_exceptions: bool = raise_app_exceptions or self.is_deployed  # there, they are no app's
        self.transcript: Transcript = Transcript()
        self.clients: list[Client] = []
        self._options: dict[str, Any] = {"lifespan": lifespan, "state": state, "root_path": root_path, "client": client}
        self._server: InProcessServer | WireServer | None = None
        self._runtime: Runtime | None = None
        self._served: dict[str, _Served] = {}
        self.crashes: dict[str, _Crash] = {}
        """What the app raised, by connection."""
        self.keeps_errors: bool = True
        """Whether `crashes` is filled: an exception holds its frames, and those hold the app's connections."""
        self._known_tasks: set[Any] = set()
        self.watch: Watch = Watch(self.note)
        """Looks on while the app sends."""
        self.patience: float = 0.0
        """Seconds that tasks have, at the end, to finish by themselves."""
        self._closed = self._left = False  # left: every client has, and none may act any more
        self._watching = contextlib.ExitStack()
        self._stuck: list[str] = []
        self._counts: dict[str, int] = {}
        self._ended_signal: Any = None
        self._http: httpx.AsyncClient | None = None
        self.set_faults({})

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            where = f"; that is a client's: {HOW_TO_CONNECT}" if hasattr(Client, name) else ""
            raise AttributeError(f"the harness has no {name!r}{where}")

    # Life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose(error)

    @property
    def abandoned(self) -> bool:
        """Whether it was started and never closed."""
        return self._server is not None and not self._closed

    @property
    def runtime(self) -> Runtime:
        """The event loop it runs on; UsageError before the first await."""
        if self._runtime is None:
            raise UsageError("the harness is not started; write `async with Harness(app) as ws:`")
        return self._runtime

    async def start(self) -> None:
        """Run the app's startup, once; called by the first connect."""
        if self._closed:
            raise UsageError("the harness has ended; open a new one: async with Harness(app) as ws")
        if self._server is not None:
            self.need_running("connect")
            return
        self._runtime = current_runtime()
        self._ended_signal = self._runtime.signal()
        self._known_tasks = probes.tasks_now()
        if isinstance(self._runtime, AsyncioRuntime) and not self.is_deployed:
            self._watching.callback(births.watch(self._runtime.loop))
        self._server = self._make_server(self._runtime)
        with stalls.watching(self._runtime, self.note, LIFESPAN_LIMIT):
            await self._server.start()
        self._watching.enter_context(stalls.watching(self._runtime, self.note, self.timeout))

    def _make_server(self, runtime: Runtime) -> "InProcessServer | WireServer":
        if isinstance(self.app, Target):
            from wsharness.wire import WireServer  # noqa: PLC0415 (websockets only where there is a wire)

            return WireServer(self.app, runtime=runtime, transcript=self.transcript, on_end=self._on_end)
        return InProcessServer(
            self.app,
            runtime=runtime,
            transcript=self.transcript,
            profile=self.profile,
            on_end=self._on_end,
            watch=self.watch,
            **self._options,
        )

    def need_running(self, verb: str) -> None:
        """UsageError where the harness has ended, or another event loop runs than the one it started on."""
        if self._runtime is not None and self._runtime.is_current() and not self._left:
            return
        if self._left:
            raise has_ended(verb)
        assert self.runtime is not None
        raise UsageError(
            f"the harness was started on another event loop or thread; {verb} in the same test function and loop"
        )

    # Clients

    def connect(
        self,
        path: str = "/",
        *,
        query: Mapping[str, Any] | Sequence[tuple[str, Any]] | str | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        cookies: Mapping[str, str] | None = None,
        auth: tuple[str, str] | str | None = None,
        subprotocols: Sequence[str] = (),
        link: Faults | Mapping[str, Any] | None = None,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Connecting:
        """Open a connection: await it, or `async with` it; `auth` is a bearer token or (user, password).

        `link` puts a bad way between client and server: `Faults(latency=0.2)`, or `{"latency": 0.2}`.
        """
        request = Request(path, query, headers, cookies, auth, subprotocols, link)
        if name is not None and (not isinstance(name, str) or not name):
            raise UsageError(f"expected a client's name; got {name!r}; write name='alice'")
        if timeout is not None:
            seconds(timeout, "timeout")

        async def start() -> Client:
            if self._server is None or self._closed:
                await self.start()
            client = self.new_client(name, request)
            client.begin()
            return await client.opened(timeout)

        return Connecting(start)

    async def connect_many(self, count: int, path: str = "/", **options: Any) -> list[Client]:
        """Open `count` connections at once; keyword arguments as for `connect`."""
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise UsageError(f"expected how many clients to connect; got {count!r}; write connect_many(3, '/ws')")
        await self.start()
        timeout = options.pop("timeout", None)
        request = Request.of(path=path, **options)
        clients = [self.new_client(None, request.but()) for _ in range(count)]
        for number, client in enumerate(clients, 1):
            client.begin()
            if number % AT_ONCE == 0:
                await self.runtime.turn()
        for client in clients:
            await client.opened(timeout)
        return clients

    async def expect_all(
        self,
        clients: Iterable[Client],
        pattern: Any = ANY,
        *,
        where: Callable[[Any], Any] | None = None,
        within: float | None = None,
    ) -> list[Any]:
        """Take the next message of each client, which must match; return them in the clients' order.

        All clients wait at once: `within` bounds the whole. The failure names every client that got something else.
        """
        limit = self.timeout if within is None else seconds(within)
        clients = _listed(clients)
        self.need_running("expect_all")
        deadline = self.runtime.time() + limit
        found: list[Any] = []
        failed: list[ExpectationError] = []
        for client in clients:
            left = max(0.0, deadline - self.runtime.time())
            try:
                found.append(await client.expect(pattern, where=where, within=left))
            except ExpectationError as error:
                failed.append(error)
        if failed:
            told = "".join(f"\n  {brief(error)}" for error in failed)
            count = f"{len(failed)} of {len(found) + len(failed)} clients"
            raise ExpectationError(f"{count} got something else{told}\n{self.explain()}")
        return found

    def new_client(self, name: str | None, request: Request) -> Client:
        """A client that is not connected yet."""
        name = name or f"client{len(self.clients) + 1}"
        client = Client(name, self, request)
        self.clients.append(client)
        return client

    def open(self, client: Client) -> Connection:
        """Start a connection for a client; its second is named `name#2`."""
        count = self._counts[client.name] = self._counts.get(client.name, 0) + 1
        name = client.name if count == 1 else f"{client.name}#{count}"
        faults = client.link if self.links or client.request.link is not None else PERFECT
        if faults is not PERFECT:
            return self._open_link(name, client, faults)
        return self._serve(name, client, client.on_event)

    def _serve(self, name: str, client: Client, on_event: OnEvent) -> Connection:
        assert self._server is not None
        connection, channel = self._server.connect(name, client.request.handshake(), on_event)
        self._served[name] = _Served(connection, client, weakref.ref(channel))
        return connection

    def _open_link(self, name: str, client: Client, faults: Faults) -> Link:
        def connect(on_event: OnEvent) -> Connection:
            return self._serve(name, client, on_event)

        return Link(name, client.on_event, connect, faults, seed=self._seed, runtime=self.runtime)

    def linked(self, client: Client, connection: Connection) -> Connection:
        """The client's connection, through a link with the client's faults from now on."""
        faults = client.link
        if isinstance(connection, Link):
            connection.faults = faults
        elif client.state in ("connecting", "connected"):
            accepted = client.accepted is not None
            return Link.around(connection, faults, accepted=accepted, seed=self._seed, runtime=self.runtime)
        return connection

    def set_faults(self, faults: Mapping[str, Faults], seed: int = 0) -> None:
        """Put links with these faults between clients, by name, and the server: for what connects from now on."""
        self.links: dict[str, Faults] = dict(faults)
        self._seed = seed

    @property
    def http(self) -> "httpx.AsyncClient":
        """An HTTP client of the same app, sharing its state: `await ws.http.get("/")`; needs the extra `http`."""
        if isinstance(self.app, Target):
            raise UsageError(f"ws.http is for an app in this process; send HTTP to {self.app} with httpx itself")
        if self._http is None:
            root_path, client = self._options["root_path"], self._options["client"]
            self._http = open_client(self.app, self._state, root_path=root_path, client=client)
        return self._http

    async def _state(self) -> dict[str, Any]:
        await self.start()
        assert isinstance(self._server, InProcessServer)
        return self._server.state

    # What the app did

    def _on_end(self, connection: "InProcessConnection | WireConnection", error: BaseException | None) -> None:
        if error is not None and self.is_deployed:
            self.crashes[connection.name] = _Crash(error)
        elif error is not None and not connection.cancelled and not self._is_stopped:
            self._note_crash(connection, error)
        if connection.ended_open:
            fact = Fact("ended open", "the handler returned, and did not close its connection")
            self.note(connection.name, fact)
        self.watch.forget()
        served = self._served.get(connection.name)
        if served is not None:
            served.client.wake()
        self._ended_signal.wake()

    @property
    def _is_stopped(self) -> bool:
        """Whether the run was stopped, which says itself why: what its end does to the app is not the app's."""
        return getattr(getattr(self._runtime, "loop", None), "outcome", None) is not None

    def _note_crash(self, connection: "InProcessConnection | WireConnection", error: BaseException) -> None:
        is_own_end = partial(_is_own_end, connection, probes.scopes_of(error))
        error = probes.worst(error, is_own_end)
        if isinstance(error, TypeError) and error.__traceback__ is not None and error.__traceback__.tb_next is None:
            error = not_called(self.app, error)  # raised where the app is called, before a line of it ran
        if isinstance(error, BusyLoop):
            self.note(connection.name, Fact("busy loop", error.brief or str(error), probes.stack_of_error(error)))
            if self.keeps_errors:
                self.crashes[connection.name] = _Crash(LoopBlocked(str(error)))
            return
        harmless = is_own_end(error)
        data = {
            "exception": probes.class_name(error),
            "left": connection.left,
            "harmless": harmless,
            "of": probes.disconnected_client(error),
            "refused": probes.refused(error),
            "rule": getattr(error, "broke_rule", False),
        }
        fact = Fact("crashed", probes.text_of(error), probes.stack_of_error(error), data)
        self.note(connection.name, fact)
        if not harmless and self.keeps_errors:
            self.crashes[connection.name] = _Crash(as_failure(error))

    def note(self, client: str, fact: Fact) -> None:
        """Write a fact into the transcript."""
        if not self._is_stopped:
            self.transcript.append(Record(self.runtime.time(), client, Direction.FACT, fact))

    def note_unexpected(self, error: BaseException) -> None:
        """Write into the transcript what was expected and did not come."""
        if isinstance(error, WSHarnessError):
            self.note("", Fact("not expected", str(error)))

    def unanswered(self, client: Client, limit: float) -> None:
        """A handshake got no answer in time; UnreachableError where there may be no WebSocket server at all."""
        error = self._served[client.connection.name].connection.silence(limit)
        if error is not None:
            raise error

    def answered_nothing(self, client: Client) -> bool:
        """Whether the app's handler returned, and sent nothing."""
        name = client.connection.name
        if self.is_deployed or name in self.crashes or not self._served[name].connection.ended:
            return False
        seen = [record.direction for record in self.transcript.of(name)]
        return Direction.RECEIVE in seen and Direction.SEND not in seen

    def app_error(self, client: Client) -> BaseException | None:
        """The app's exception on the client's connection, once."""
        if not self.raise_app_exceptions or not self.crashes:
            return None
        crash = self.crashes.get(client.connection.name)
        return None if crash is None or crash.raised else crash.error

    def mark_raised(self, error: BaseException) -> None:
        """The app's exception has been raised in the test: do not raise it again."""
        for crash in self.crashes.values():
            if crash.error is error:
                crash.raised = True

    def explain(self, client: Client | None = None) -> str:
        """The transcript's tail, where the app is suspended, and what the other clients have not read."""
        lines = [render_transcript(self.transcript, last=TAIL).rstrip()]
        mine = [served for served in self._served.values() if client is None or served.client is client]
        lines += [_where(served.connection) for served in mine[-SHOWN:] if not self.is_deployed]
        lines += probes.threads_at()[:SHOWN]
        if client is not None:
            others = [other for other in self.clients if other is not client and other.state != "left"]
            lines.append(self.words().others(View(o.name, o.state, o.unread) for o in others[:SHOWN]))
            lines += [f"{len(others) - SHOWN} more clients"] * (len(others) > SHOWN)
        return "\n".join(line for line in lines if line)

    def words(self) -> Words:
        """Says what came instead of what was expected."""
        return Words(self.transcript)

    # Ending

    async def settle(self, within: float | None = None) -> None:
        """Wait until nothing can run before time passes, a client acts or the outside answers."""
        limit = self.timeout if within is None else seconds(within)
        self.need_running("settle")
        if not await self.runtime.settle(limit):
            raise ExpectationError(f"expected the app to settle within {limit:g} s; it goes on\n{self.explain()}")

    async def aclose(self, error: BaseException | None = None) -> None:
        """Let every client leave, wait for the app, and raise what it did wrong; does nothing the second time."""
        if self._closed or self._server is None:
            self._closed = True
            return
        self.need_running("close it")
        await self.finish()
        self._raise(error)

    async def finish(self) -> None:
        """Let every client leave, wait for the app's cleanup and shutdown; write what is wrong as facts."""
        assert self._server is not None
        with self._watching:
            self._closed = True
            for number, client in enumerate(self.clients, 1):
                await (client.drop() if self.is_deployed and client.state == "connecting" else client.close())
                if number % AT_ONCE == 0:
                    await self.runtime.turn()
            self._left = True
            await self._wait_for_ends()
            for served in list(self._served.values()):
                self._note_stuck(served.connection)
            await self._cancel_stuck()
            if self._http is not None:
                await self._http.aclose()
            await self._server.stop()
            if not self.is_deployed:
                for fact in await births.left_behind(self._known_tasks, self.patience, self._served):
                    self.note("", fact)

    async def _wait_for_ends(self) -> None:
        """Give handlers time; a client whose close nobody answers ends its TCP connection, as libraries do.

        An end that still is on its way through a slow link comes through then: nobody can blame the app for not
        knowing of it.
        """
        if self._all_ended():
            return
        patience = min(CLOSE_TIMEOUT, self.grace / 2)
        if not await self._all_end_within(patience):
            await self._drop_where(lambda connection: connection.left)
            if not await self._all_end_within(self.grace - patience):
                await self._drop_where(lambda connection: not connection.left)
                await self._all_end_within(patience)

    async def _all_end_within(self, limit: float) -> bool:
        ended: bool = await self._ended_signal.wait_until(self._all_ended, limit)
        return ended

    async def _drop_where(self, wanted: Callable[[InProcessConnection], bool]) -> None:
        for served in self._served.values():
            connection = served.connection
            if isinstance(connection, InProcessConnection) and connection.is_up and wanted(connection):
                await connection.drop()

    def _all_ended(self) -> bool:
        return all(served.connection.ended for served in self._served.values())

    def _note_stuck(self, connection: "InProcessConnection | WireConnection") -> None:
        job = connection.job
        if job is None:
            return
        timers = getattr(getattr(self.runtime, "loop", None), "app_timers", None)
        fact = probes.stuck_fact(job.coroutine, hopeless=timers is not None and timers() == 0)
        self.note(connection.name, fact)
        self._stuck.append(f"{connection.name}: {_where(connection)}")

    async def _cancel_stuck(self) -> None:
        if self._all_ended():
            return
        for served in self._served.values():
            if not served.connection.ended:
                served.connection.cancel()
        if not await self._ended_signal.wait_until(self._all_ended, self.grace):
            for served in self._served.values():
                if served.connection.job is not None:
                    served.connection.job.abandon()

    def _raise(self, primary: BaseException | None) -> None:
        """Raise what the app did wrong, unless the test's body failed: then it becomes a note."""
        errors: list[BaseException] = []
        if self.raise_app_exceptions:
            errors += [c.error for c in self.crashes.values() if not c.raised and c.error is not primary]
        if self._stuck:
            stuck = "\n".join(self._stuck + probes.threads_at()[:SHOWN])
            errors.append(
                HandlerStuck(f"the app's handler did not end within {self.grace:g} s after its client left\n{stuck}")
            )
        if not errors:
            return
        first, rest = (primary, errors) if primary is not None else (errors[0], errors[1:])
        for other in rest:
            first.add_note(f"also, in the app: {type(other).__name__}: {other}")
        if primary is None:
            raise first

    def result(self, **about: Any) -> Result:
        """What happened so far, with all checks run over it."""
        return self._checked(self.transcript, **about)

    def _checked(self, transcript: Transcript, **about: Any) -> Result:
        profile = DEPLOYED if self.is_deployed else self.profile.name
        failures = checks.run(transcript, profile=profile)
        return Result(transcript=transcript, failures=failures, profile=profile, **about)

    def check(self) -> None:
        """Run all checks over what happened so far, and tasks that outlive it; raise CheckFailed if one fails."""
        transcript = self.transcript
        if self.abandoned and not self.is_deployed:
            leaks = births.left_so_far(self._known_tasks, self._served)  # at the end they are written down
            facts = (Record(self.runtime.time(), "", Direction.FACT, fact) for fact in leaks)
            transcript = Transcript([*transcript, *facts])
        self._checked(transcript).check()

    def let_go(self) -> None:
        """Hold nothing of a run that is over but what its clients heard: what is in no cycle is freed at once."""
        for client in self.clients:
            client.let_go()
        self._served.clear()
        self.watch.let_go()
        self._server = None

    def kept(self) -> "list[tuple[str, weakref.ref[Any]]]":
        """Connections that ended whose `receive` or `send` something still holds, and their app's end."""
        served = ((name, served.channel) for name, served in self._served.items() if served.connection.ended)
        return [(name, channel) for name, channel in served if channel() is not None]


def _listed(clients: Iterable[Client]) -> list[Client]:
    listed = list(clients) if isinstance(clients, Iterable) else None
    if listed is None or not all(isinstance(one, Client) for one in listed):
        raise UsageError(f"expected a list of clients, as in expect_all([alice, bob], ...); got {listed or clients!r}")
    return listed


def _is_own_end(connection: "InProcessConnection | WireConnection", scopes: list[Any], error: BaseException) -> bool:
    """Whether an exception only says that the connection's own client has gone."""
    whose = probes.disconnected_client(error)
    if type(error).__name__ == "WebSocketDisconnect" or probes.was_found_gone(error, scopes):
        return connection.left and whose in (None, connection.name)
    return type(error) is ClientDisconnected and whose == connection.name


def _where(connection: "InProcessConnection | WireConnection") -> str:
    found = "has ended" if connection.job is None else probes.whereabouts(connection.job.coroutine)
    return f"the app's handler for {connection.name} {found}"
