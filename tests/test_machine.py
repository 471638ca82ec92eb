import asyncio
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, invariant, rule, run_state_machine_as_test
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from wsharness import loop
from wsharness.errors import CheckFailed, ConnectionRejected, UsageError
from wsharness.machine import WebSocketMachine
from wsharness.runner import run

quick = settings(
    max_examples=60,
    stateful_step_count=12,
    database=None,
    derandomize=True,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def serve(handler):
    return Starlette(routes=[WebSocketRoute("/ws", handler)])


def chat(*, copy):
    """With `copy` a client who leaves while others speak hurts nobody."""
    members = []

    async def handle(websocket):
        await websocket.accept()
        members.append(websocket)
        try:
            while True:
                text = await websocket.receive_text()
                for member in list(members):
                    if copy and member is not websocket:
                        continue
                    await member.send_text(text)
        except WebSocketDisconnect:
            pass
        finally:
            if copy:
                members.remove(websocket)

    app = serve(handle)
    app.state.members = members
    return app


class Chat(WebSocketMachine):
    clients = Bundle("clients")
    copy = True

    def make_app(self):
        self.made = chat(copy=self.copy)
        return self.made

    @rule(target=clients)
    def join(self):
        return self.connect("/ws")

    @rule(client=clients, text=st.text(max_size=3))
    def say(self, client, text):
        if client.state == "connected":
            client.send(text)

    @rule(client=consumes(clients))
    def leave(self, client):
        client.drop()

    @rule()
    def wait(self):
        self.sleep(60)


def fails(machine, error=CheckFailed):
    with pytest.raises(error) as raised:
        run_state_machine_as_test(machine, settings=quick)
    return raised.value


def test_a_sound_app_passes():
    run_state_machine_as_test(Chat, settings=quick)
    assert run(_still_works) == 5.0  # the clock and the lock were given back


async def _still_works():
    await asyncio.sleep(5)
    return asyncio.get_running_loop().time()


def test_a_bug_is_shown_by_the_fewest_rules():
    class Broken(Chat):
        copy = False

    error = fails(Broken)
    assert "WSH101" in str(error)
    steps = [line for line in "\n".join(error.__notes__).splitlines() if "state." in line]
    names = [line.partition("state.")[2].partition("(")[0] for line in steps]
    assert names[0] == "join" and names[-1] == "teardown" and "leave" in names
    assert len(names) <= 9


def test_invariants_see_the_transcript_the_app_and_the_time():
    class Counted(Chat):
        @invariant()
        def members_are_those_inside(self):
            inside = sum(1 for member in self.made.state.members)
            assert inside <= 2, self.now
            assert self.transcript is not None

    error = fails(Counted, AssertionError)
    assert "3" in str(error) or "0.0" in str(error)


def test_virtual_time_passes_in_sleep_and_the_wall_clock_follows():
    class Clock(WebSocketMachine):
        app = serve(lambda websocket: websocket.accept())

        @rule()
        def an_hour(self):
            before, wall = self.now, time.time()
            self.sleep(3600)
            assert self.now == before + 3600
            assert time.time() == pytest.approx(wall + 3600)

    run_state_machine_as_test(Clock, settings=settings(quick, max_examples=5))


def test_an_app_that_is_a_function_is_not_bound():
    async def bare(scope, receive, send):
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})

    class Bare(WebSocketMachine):
        app = bare

        @rule()
        def turned_away(self):
            with pytest.raises(ConnectionRejected):
                self.connect("/")

    run_state_machine_as_test(Bare, settings=settings(quick, max_examples=3))


def test_a_machine_without_an_app_says_how_to_give_one():
    class Empty(WebSocketMachine):
        @rule()
        def nothing(self): ...

    error = fails(Empty, UsageError)
    assert "Empty has no app; write `app = my_app` in the class, or `def make_app(self)" in str(error)


def test_a_startup_that_fails_gives_the_clock_back():
    async def failing(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    class Failing(WebSocketMachine):
        app = failing

        @rule()
        def nothing(self): ...

    assert "no database" in str(fails(Failing, UsageError))
    assert run(_still_works) == 5.0


def test_a_handler_that_stays_behind_is_found_at_the_end():
    async def stays(websocket):
        await websocket.accept()
        await asyncio.Event().wait()

    class Staying(WebSocketMachine):
        app = serve(stays)

        @rule()
        def visit(self):
            self.connect("/ws")

    assert "WSH105" in str(fails(Staying))


def test_a_busy_loop_is_found_where_it_turns(monkeypatch):
    monkeypatch.setitem(loop.VirtualTimeLoop.__init__.__kwdefaults__, "turn_limit", 2_000)

    async def turns(websocket):
        await websocket.accept()
        await websocket.receive()
        while True:
            await asyncio.sleep(0)

    class Turning(WebSocketMachine):
        app = serve(turns)

        @rule()
        def visit(self):
            self.connect("/ws").send("x")

    error = fails(Turning)
    assert "WSH103" in str(error)


def test_an_exception_in_a_task_that_nobody_awaits_is_a_failure():
    async def later(websocket):
        await websocket.accept()
        asyncio.ensure_future(fail())
        await websocket.receive()

    async def fail():
        raise KeyError("later")

    class Later(WebSocketMachine):
        app = serve(later)

        @rule()
        def visit(self):
            self.connect("/ws").close()
            self.sleep(1)

    assert "WSH110" in str(fails(Later))


def test_a_coroutine_runs_in_the_examples_loop():
    class Fake(WebSocketMachine):
        app = serve(lambda websocket: websocket.accept())

        @rule()
        def ask(self):
            async def loop_time():
                return asyncio.get_running_loop().time()

            assert self.run(loop_time()) == self.now

    run_state_machine_as_test(Fake, settings=settings(quick, max_examples=3))


def test_teardown_twice_is_teardown_once():
    machine = Chat()
    machine.join()
    machine.teardown()
    machine.teardown()
    machine.close()
    assert run(_still_works) == 5.0
