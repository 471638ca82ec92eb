import json

import litestar
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from tests.bugs import load
from wsharness.conversations import Options
from wsharness.scouting import as_text, scout, sight, talking, with_messages
from wsharness.targets import Param, Route, discover_routes

ROUTE = Route("/ws", "", {})
OPTIONS = Options(target="x:app", parallel=2)


@pytest.mark.parametrize(
    "name, key, values",
    [
        ("missing_key", "op", {"insert", "delete"}),
        ("send_after_close", "type", {"bye"}),
        ("unhashable_type", "command", {"on", "off", "dim"}),
        ("check_then_act", "seat", {0}),
    ],
)
def test_the_words_of_an_app_are_found_in_its_source(name, key, values):
    messages = [json.loads(text) for text in scout(load(name).broken(), ROUTE, OPTIONS) if text.startswith("{")]
    assert values <= {message.get(key) for message in messages}


def test_what_is_given_comes_first_and_the_same_app_gives_the_same():
    app = load("missing_key").broken()
    found = with_messages(app, ROUTE, Options(target="x:app", messages=("given",))).messages
    assert found[0] == "given" and len(found) > 1
    assert with_messages(app, ROUTE, Options(target="x:app", messages=("given",), parallel=3)).messages == found


def test_a_sighting_says_where_a_message_led_and_who_heard_of_it():
    app = load("dead_connection").broken()
    message = '{"type": "say", "text": "hi"}'
    seen = sight(app, talking(ROUTE, [message], OPTIONS), message, OPTIONS)
    assert seen.heard > 0 and not seen.busy and any("hi" in text for text in seen.said)
    assert {file.rpartition("/")[2] for file, _ in seen.functions} >= {"dead_connection.py", "messages.py"}
    assert len(seen.lines) > len(seen.functions)


def test_what_the_app_gives_its_first_client_is_known():
    app = load("session_resumed_twice").broken()
    found = with_messages(app, *discover_routes(app), OPTIONS)
    assert found.asked == (("query", "resume", ()),) and len(found.given) == 2
    assert not {"welcome", "counted"} & set(found.given)


async def needs_keys(scope, receive, send):
    """Its keys are nowhere to be read: only its KeyErrors tell."""
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept"})
    event = await receive()
    wanted = json.loads("".join(chr(code) for code in (91, 34, 113, 34, 93)))
    try:
        message = json.loads(event.get("text") or "x")
    except ValueError:
        message = None
    if isinstance(message, dict):
        for key in wanted:
            message.__getitem__(key)
        await send({"type": "websocket.send", "text": "deep"})
    await send({"type": "websocket.close"})


def test_a_key_that_was_missed_is_added():
    messages = scout(needs_keys, ROUTE, OPTIONS)
    assert any('"q"' in text for text in messages)


async def spins(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    while True:
        pass


def test_an_app_that_turns_for_ever_is_not_asked_on():
    assert len(scout(spins, ROUTE, Options(target="x:app", limit=20.0))) <= 2


def test_messages_are_text():
    assert as_text({"a": 1}) == '{"a": 1}' and as_text("hi") == "hi"


async def asks_for_a_name(scope, receive, send):
    """Understands `say` after `join` after the right `word`, and ends with what it does not understand."""
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept"})
    stage = 0
    while (event := await receive())["type"] == "websocket.receive":
        try:
            message = json.loads(event["text"])
            op = message["op"]
        except (ValueError, RecursionError, KeyError, TypeError):
            break
        if stage == 0 and op == "hello" and message.get("word") == "sesame":
            stage = 1
        elif stage == 1 and op == "join":
            stage = 2
        elif stage == 2 and op == "say":
            text = "heard"
            await send({"type": "websocket.send", "text": text})
        else:
            break
    await send({"type": "websocket.close"})


def test_what_has_to_be_said_first_is_found():
    found = with_messages(asks_for_a_name, ROUTE, OPTIONS)
    first, second = map(json.loads, found.opening)
    assert (first["op"], first["word"], second["op"]) == ("hello", "sesame", "join")
    assert json.loads(found.deep[0])["op"] == "say"


def test_where_nothing_has_to_be_said_first_there_is_no_opening():
    found = with_messages(load("missing_key").broken(), ROUTE, OPTIONS)
    assert (found.opening, found.deep) == ((), ())


async def knows_each_by_name(scope, receive, send):
    """A name is taken once; those who have one may shout."""
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept"})
    mine = []
    while (event := await receive())["type"] == "websocket.receive":
        verb, _, rest = (event.get("text") or "").partition(" ")
        if verb == "NAME" and rest and rest not in TAKEN:
            mine.append(rest)
            TAKEN.add(rest)
        elif verb == "SHOUT" and mine:
            text = rest.upper()
            await send({"type": "websocket.send", "text": ascii(text)})
    TAKEN.difference_update(mine)


TAKEN = set()


def test_who_is_known_by_name_says_a_name_of_its_own():
    found = with_messages(knows_each_by_name, ROUTE, OPTIONS)
    assert (found.opening, found.own) == (("NAME alice",), True)
    assert any(one.startswith("SHOUT") for one in found.deep)


async def turns_for_ever(websocket):
    await websocket.accept()
    if await websocket.receive_text() == "spin":
        while True:
            pass


def test_what_makes_an_app_turn_for_ever_is_said():
    app = Starlette(routes=[WebSocketRoute("/ws", turns_for_ever)])
    assert "spin" in scout(app, ROUTE, OPTIONS)


@litestar.websocket_listener("/ws", sync_to_thread=True)
def in_a_thread(data: str) -> str:
    if data.startswith("lamp "):
        return "light"
    return "dark"


def test_what_runs_in_a_thread_is_seen_too():
    assert any(one.startswith("lamp ") for one in scout(litestar.Litestar([in_a_thread]), ROUTE, OPTIONS))


async def quotes(websocket):
    symbol = websocket.path_params["symbol"]
    await websocket.accept()
    if symbol in QUOTES:
        quote = QUOTES[symbol]
        await websocket.send_json({"quote": quote})
    await websocket.close()


QUOTES = {"ACME": 100}


def test_what_leads_further_than_others_is_brought_along():
    app = Starlette(routes=[WebSocketRoute("/quotes/{symbol}", quotes)])
    route = Route("/quotes/{symbol}", "", {"symbol": Param("symbol")})
    assert with_messages(app, route, OPTIONS).params == (("symbol", "ACME"),)


def gate(wanted):
    """An app that lets in who brings a token in the query, or speaks its subprotocol, or takes that for granted."""

    async def by_token(websocket):
        if websocket.query_params.get("token") not in TOKENS:
            await websocket.close()
            return
        await websocket.accept()
        await websocket.receive()

    async def by_subprotocol(websocket):
        if "chat.v2" not in websocket.scope["subprotocols"]:
            await websocket.close()
            return
        await websocket.accept(subprotocol="chat.v2")
        await websocket.receive()

    async def as_it_likes(websocket):
        await websocket.accept(subprotocol="chat.v3")
        await websocket.receive()

    handlers = {"token": by_token, "subprotocol": by_subprotocol, "nothing": as_it_likes}
    return Starlette(routes=[WebSocketRoute("/ws", handlers[wanted])])


TOKENS = {"s3cret": "ann"}


def test_what_lets_a_client_in_is_found_in_the_source():
    assert with_messages(gate("token"), ROUTE, OPTIONS).query == (("token", "s3cret"),)
    assert with_messages(gate("subprotocol"), ROUTE, OPTIONS).subprotocols == ("chat.v2",)
    assert with_messages(gate("nothing"), ROUTE, OPTIONS).subprotocols == ("chat.v3",)
    given = Options(target="x:app", query=(("token", "s3cret"),))
    assert with_messages(gate("token"), ROUTE, given).query == given.query


async def numbers_its_clients(scope, receive, send):
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": '{"ticket": 470}'})
    while (event := await receive())["type"] == "websocket.receive":
        try:
            message = json.loads(event["text"])
            known = message.get("ticket") == int("470")
        except (ValueError, RecursionError, KeyError, AttributeError):
            continue
        if known:
            await send({"type": "websocket.send", "text": "your turn"})


def test_an_id_that_the_app_gave_is_said_back():
    messages = [json.loads(text) for text in scout(numbers_its_clients, ROUTE, OPTIONS) if text.startswith("{")]
    assert 470 in [message.get("ticket") for message in messages]
