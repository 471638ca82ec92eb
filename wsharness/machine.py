"""WebSocketMachine: a RuleBasedStateMachine people subclass; its clients talk to an app in virtual time."""

import inspect
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from wsharness import runner
from wsharness.asgi import App, LifespanMode
from wsharness.errors import UsageError
from wsharness.harness import GRACE, Harness
from wsharness.profiles import Profile
from wsharness.simulation import note_failed_tasks, note_loop_error, note_stopped
from wsharness.stopping import SimulationStopped
from wsharness.sync import SyncClient, SyncHarness
from wsharness.transcript import Direction, Progress, Transcript

T = TypeVar("T")


class WebSocketMachine(RuleBasedStateMachine):
    """Rules make clients connect, speak and leave; after each the app must be well.

    Give `app`, or `make_app`, which makes one with fresh state for each example. Clients are values for a
    bundle: `connect` returns one, whose verbs need no await. Each example is one run in virtual time; time
    passes in `sleep` and in the clients' waits only. Shrinks as Hypothesis shrinks: to the fewest rules.
    """

    app: ClassVar[App | None] = None
    profile: ClassVar[str | Profile] = "uvicorn"
    schedule: ClassVar[str | dict[int, int]] = "fifo"
    seed: ClassVar[int] = 0
    timeout: ClassVar[float] = 1.0
    """Virtual seconds after which a client's wait fails."""
    lifespan: ClassVar[LifespanMode] = "auto"
    clock: ClassVar[bool] = True
    """Whether `time.time()` and `datetime.now()` follow virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self._looked_at = 0
        self._ended = False
        self._harness = Harness(
            self.make_app(),
            profile=self.profile,
            timeout=self.timeout,
            grace=GRACE,
            lifespan=self.lifespan,
            raise_app_exceptions=False,
        )
        self._runner = runner.Runner(
            schedule=self.schedule, seed=self.seed, wall_clock=self.clock, progress=Progress(lambda: [self.transcript])
        )
        self._runner.loop.set_exception_handler(lambda _, context: note_loop_error(self._harness, context))
        self._sync = SyncHarness(self._harness, self)
        try:
            self.run(self._harness.start())
        except BaseException:
            self.close()
            raise

    def make_app(self) -> App:
        """The app of one example."""
        app: App | None = inspect.getattr_static(self, "app")  # a function would become a method
        if app is None:
            name = type(self).__name__
            raise UsageError(
                f"{name} has no app; write `app = my_app` in the class, "
                "or `def make_app(self): return create_app()` for fresh state in each example"
            )
        return app

    # What rules use

    @property
    def transcript(self) -> Transcript:
        """What happened so far in this example."""
        return self._harness.transcript

    @property
    def now(self) -> float:
        """Virtual seconds since the example began."""
        return self._runner.loop.time()

    def connect(self, path: str = "/", **options: Any) -> SyncClient:
        """Open a connection; keyword arguments as for `Harness.connect`. Raises ConnectionRejected."""
        return self._sync.connect(path, **options)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._sync.sleep(seconds)

    def settle(self) -> None:
        """Let the app do all it can do without more time or messages."""
        self._sync.settle()

    def run(self, coroutine: Coroutine[Any, Any, T], /) -> T:
        """Run a coroutine in the example's loop: a fake's method, say."""
        try:
            return self._runner.run(coroutine)
        except SimulationStopped as stopped:
            note_stopped(self.transcript, stopped)
            self._harness.check()
            raise

    # What Hypothesis calls

    def check_invariants(self, *args: Any, **options: Any) -> None:
        """After each rule: raise CheckFailed as soon as a check fails. No invariant, which every report would list."""
        self.settle()
        if any(record.direction is Direction.FACT for record in self.transcript[self._looked_at :]):
            self._harness.check()
        self._looked_at = len(self.transcript)
        super().check_invariants(*args, **options)

    def teardown(self) -> None:
        """Let every client leave, wait for the app, and run all checks."""
        if self._ended:
            return
        try:
            self.run(self._harness.finish())
            note_failed_tasks(self._harness, self._runner.loop)
        finally:
            self.close()
        self._harness.check()

    def close(self) -> None:
        """End the loop and give the clock and `random` back."""
        if not self._ended:
            self._ended = True
            self._runner.close()
