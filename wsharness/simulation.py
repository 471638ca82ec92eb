"""simulate(): one seed, one loop, one result."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from wsharness import checks, fresh, holders, lastwords, probes
from wsharness.asgi import App, LifespanMode, Receive, Scope, Send
from wsharness.errors import UsageError, WebSocketError
from wsharness.growth import Growth
from wsharness.harness import GRACE, Harness
from wsharness.link import Faults, make_faults
from wsharness.loop import STEP_LIMIT, VirtualTimeLoop
from wsharness.profiles import Profile
from wsharness.results import Result
from wsharness.runner import run
from wsharness.scenario.model import ANY_CHECK, ClientSpec, RunInfo, Scenario, Step, Verb
from wsharness.scenario.running import play
from wsharness.scheduling import Schedule, make_schedule
from wsharness.stopping import BusyLoop, Deadlock, ProcessEnded, SimulationStopped
from wsharness.transcript import Direction, Fact, Progress, Record, Transcript
from wsharness.watchdog import own_work

Drive: TypeAlias = Callable[[Harness], Awaitable[Any]]
MOST_KEPT = 8  # connections that are told of: what holds one is found by a look at every object
NEVER_RETRIEVED = "exception was never retrieved"
LAST_TURNS = 10  # of the loop, in which timers of the harness let go of what has ended


def simulate(
    scenario: Scenario | Drive,
    app: App,
    *,
    seed: int | None = None,
    schedule: str | Mapping[int, int] | None = None,
    profile: str | Profile | None = None,
    faults: Mapping[str, Faults | Mapping[str, Any]] | None = None,
    timeout: float | None = None,
    lifespan: LifespanMode | None = None,
    memory: bool | Literal["holders"] = False,
    step_limit: float = STEP_LIMIT,
) -> Result:
    """Run a scenario, or an async function of a Harness, against the app in virtual time.

    The same seed gives the same transcript. What is not given is what the scenario's `run` says, else seed 0,
    schedule "fifo", profile "uvicorn", no faults, a timeout of 1 s. `faults` is client → what its link does.
    `memory` also looks for connections kept after their end, which costs a garbage collection; "holders" and for
    what holds them, which costs a look at every object. `step_limit` is how many seconds of CPU a step may take
    before it is called a busy loop. An async function's own exception is in `Result.error`; `Result.check()`
    raises it, or CheckFailed. UsageError inside a running event loop.
    """
    if not callable(app):
        raise UsageError(
            f"expected an ASGI app, a callable; got {app!r}; a deployed server is no simulation: "
            "open `Harness(url)`, or `wsharness run FILES --target URL`"
        )
    info = (scenario.run if isinstance(scenario, Scenario) else None) or RunInfo()
    how = _How(
        seed=info.seed if seed is None else seed,
        schedule=info.schedule if schedule is None else schedule,
        profile=profile or info.profile or "uvicorn",
        faults=make_faults((info.faults or {}) if faults is None else faults),
        timeout=timeout or info.timeout or 1.0,
        lifespan=lifespan or info.lifespan or "auto",  # type: ignore[arg-type]  # a file's has been checked
        memory=memory,
        step_limit=step_limit,
    )
    kept = fresh.find(app) if info.expects == ANY_CHECK else None
    return _simulate(app, scenario, how) if kept is None else kept.run(warm_up, _simulate, scenario, how)


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """How a run is run, all said."""

    seed: int
    schedule: str | Mapping[int, int]
    profile: str | Profile
    faults: dict[str, Faults]
    timeout: float
    lifespan: LifespanMode
    memory: bool | Literal["holders"]
    step_limit: float


def _simulate(app: App, scenario: Scenario | Drive, how: _How) -> Result:
    schedule = make_schedule(how.schedule, how.seed, horizon=_horizon(app, scenario, how))
    result = _run(app, scenario, how, schedule)
    result.name = str(getattr(scenario, "name", None) or getattr(scenario, "__name__", ""))
    result.schedule = schedule.deviations
    return result


def _horizon(app: App, scenario: Scenario | Drive, how: _How) -> int:
    """How many contested steps there are, which pct must know: taken from a run in the loop's own order."""
    if not (isinstance(how.schedule, str) and how.schedule.startswith("pct")):
        return 0
    measured = make_schedule({})
    _run(app, scenario, how, measured)
    return measured.contested


def _run(app: App, scenario: Scenario | Drive, how: _How, schedule: Schedule) -> Result:
    world = _World(scenario, app, how)
    lastwords.begin(world.transcript)
    progress = Progress(lambda: [world.transcript])
    try:
        with world.harness.watch.logs():
            run(
                world.main,
                schedule=schedule,
                seed=how.seed,
                progress=progress,
                step_limit=how.step_limit,
            )
    except SimulationStopped as stopped:
        progress.forget_later()
        note_stopped(world.transcript, stopped)
    try:
        return world.harness.result(seed=how.seed, error=world.error)
    finally:
        world.harness.let_go()


async def _closes(scope: Scope, receive: Receive, send: Send) -> None:
    del scope
    await receive()
    await send({"type": "websocket.close"})


def warm_up() -> None:
    """Import and cache here what every run in a copy of this process would else do again; no app runs."""
    steps = (Step(client="alice", verb=Verb.CONNECT),)
    scenario = Scenario(clients={"alice": ClientSpec()}, steps=steps, run=RunInfo(expects=ANY_CHECK))
    simulate(scenario, _closes, lifespan="off")


class _World:
    """One run: its harness, and what its driver raised."""

    def __init__(self, scenario: Scenario | Drive, app: App, how: _How) -> None:
        self.harness = Harness(
            app,
            profile=how.profile,
            timeout=how.timeout,
            grace=GRACE,
            lifespan=how.lifespan,
            raise_app_exceptions=False,
        )
        self.harness.patience = GRACE
        self.harness.keeps_errors = False
        self.harness.set_faults(how.faults, how.seed)
        self.transcript = self.harness.transcript
        self.error: BaseException | None = None
        self._scenario = scenario
        self._memory = how.memory
        self._broken: set[str] = set()

    async def main(self) -> None:
        """Start the app, drive it, let it end, and look at what is left."""
        harness = self.harness
        _hide_this_task()
        await harness.start()
        self._loop.set_exception_handler(lambda _, context: note_loop_error(harness, context))
        try:
            await self._drive()
        finally:
            if self._loop.outcome is None:  # else what happens from here on is not the app's doing
                await harness.finish()
                note_failed_tasks(self.harness, self._loop)
                await self._look_at_memory()

    @property
    def _loop(self) -> VirtualTimeLoop:
        loop = self.harness.runtime.loop  # type: ignore[attr-defined]  # simulations run on asyncio
        assert isinstance(loop, VirtualTimeLoop)
        return loop

    async def _drive(self) -> None:
        try:
            if isinstance(self._scenario, Scenario):
                await self._play(self._scenario)
            else:
                await self._scenario(self.harness)
        except (WebSocketError, AssertionError) as error:
            self.error = error
            self.harness.note_unexpected(error)
        except Exception as error:  # noqa: BLE001 (the driver's own: reported by Result.check)
            self.error = error

    async def _play(self, scenario: Scenario) -> None:
        growth = Growth(self.harness, scenario) if self._memory else None

        def before(step: Step) -> None:
            self._look_at_state()
            if growth is not None:
                with own_work(self._loop):
                    growth.before(step)

        try:
            await play(scenario, self.harness, before)
            self._look_at_state()
            self._look_at_locks()
            if growth is not None:
                with own_work(self._loop):
                    growth.end()
        finally:
            if growth is not None:
                growth.close()

    def _look_at_state(self) -> None:
        """The user's invariants, between two steps; each is reported once."""
        for name, message in checks.broken_invariants(self.harness.app):
            if name not in self._broken:
                self._broken.add(name)
                self.harness.note("", Fact("invariant broken", message, data={"name": name}))

    def _look_at_locks(self) -> None:
        """Before the clients leave, which some frameworks take as a reason to cancel a handler that waits for ever."""
        if self._loop.app_timers() == 0 and self._loop.is_at_rest():
            for task, fact in probes.lost_locks(self._loop.alive()):
                self.harness.note(self._served_by(task), fact)

    def _served_by(self, task: "asyncio.Task[Any]") -> str:
        """Whose connection a task serves, as far as that shows: a framework may have made it for the handler."""
        here = [client.connection.name for client in self.harness.clients if client.state == "connected"]
        return next((name for name in here if task.get_name() == f"app {name}"), here[-1] if here else "")

    async def _look_at_memory(self) -> None:
        if not self._memory:
            return
        for _ in range(LAST_TURNS):
            await self.harness.runtime.turn()
        with own_work(self._loop):
            self._note_kept()

    def _note_kept(self) -> None:
        self._loop.drop_cancelled_timers()
        gc.collect()
        for name, channel in self.harness.kept()[:MOST_KEPT]:
            path = holders.path_to(channel(), self.harness.app) if self._memory == "holders" else ""
            by = f" by {path or 'nobody knows what'}" if self._memory == "holders" else ""
            self.harness.note(name, Fact("kept", f"the connection of {name} is still held{by}", data={"holder": path}))


def _hide_this_task() -> None:
    """From asyncio.all_tasks(): an app that cancels all tasks when it shuts down means its own."""
    task = asyncio.current_task()
    assert task is not None
    asyncio._unregister_task(task)  # noqa: SLF001 (public by its documentation)


def note_stopped(transcript: Transcript, stopped: SimulationStopped) -> None:
    """The loop could not go on, or was stopped from outside: say where the app was."""
    kind = "busy loop" if isinstance(stopped, BusyLoop) else "handler stuck"
    kind = "process ended" if isinstance(stopped, ProcessEnded) else kind
    stacks = [probes.without_own(probes.make_frame(*place) for place in stack) for stack in stopped.stacks.values()]
    stack = max(stacks, key=lambda frames: sum(frame.user for frame in frames), default=())
    data = {"deadlock": isinstance(stopped, Deadlock), "seconds": stopped.seconds}
    transcript.append(Record(transcript.end, "", Direction.FACT, Fact(kind, str(stopped), stack, data)))


def seconds_lost(result: Result) -> float:
    """How many seconds of real time a run took until it was stopped, as a rule; 0 if it was not or at once."""
    return max((record.event.data.get("seconds", 0.0) for record in result.transcript.facts()), default=0.0)  # type: ignore[union-attr]


def _is_the_apps(error: BaseException, context: dict[str, Any]) -> bool:
    """Whether a task of the app died, or a callback that it gave to the loop, as `loop.call_later` takes it."""
    message = context.get("message", "")
    if message.startswith("Exception in callback"):
        return any(frame.user for frame in probes.stack_of_error(error))
    if getattr(context.get("future"), "dismissed", False):  # it may have ended as it should, by its client's leaving
        return any(frame.user for frame in probes.stack_of_error(error)[-1:])
    return bool(message.endswith(NEVER_RETRIEVED))


def note_loop_error(harness: Harness, context: dict[str, Any]) -> None:
    """An exception of a task that nobody retrieved, or of a callback, of which asyncio tells its exception handler."""
    error = context.get("exception")
    if error is None or not _is_the_apps(error, context):
        return
    name = probes.class_name(error)
    message = f"{name.rpartition('.')[2]}: {error}"
    data = {"exception": name, "refused": probes.refused(error)}
    harness.note("", Fact("never retrieved", message, probes.stack_of_error(error), data))


def note_failed_tasks(harness: Harness, loop: VirtualTimeLoop) -> None:
    """A task that failed and that something holds is not collected in time: asyncio would not tell of it."""
    for task in loop.failed():
        note_loop_error(harness, {"message": NEVER_RETRIEVED, "exception": task.exception(), "future": task})
