import ast
import textwrap

import pytest

from wsharness.vocabulary import words_of


def words(source, function="handler", more=""):
    text = textwrap.dedent(source)
    tree = ast.parse(text)
    line = next(
        min([node.lineno, *(one.lineno for one in node.decorator_list)])
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function
    )
    files = {"shop.py": text, "more.py": textwrap.dedent(more)}
    return words_of([("shop.py", line), ("more.py", 1)], files.__getitem__)


SOURCE = """
HANDLERS = {'join': 1, 'part': 2}
WORDS = {'ann': 's3cret'}
ADD, DEL = 'add', 'del'
LIMIT = 9

class Kind(enum.Enum):
    ON = 'on'
    OFF = 'off'

class Room:
    NAMES: set = {'one', 'two'}

    def __init__(self):
        self.shelves = {'left': 1}

def check(kind):
    kind == 'given'

class Desk:
    def check_mine(self, kind):
        kind == 'mine'
"""


@pytest.mark.parametrize(
    "body, keys, values",
    [
        ("message['room']", {"room": set()}, {}),
        ("message.get('room', 'x')", {"room": set()}, {}),
        ("text_of(message, 'room')", {"room": set()}, {}),
        ("text_of(await read(ws), 'room')", {"room": set()}, {}),
        ("number_of(message, 'n')", {"n": {"number"}}, {}),
        ("int(message['n'])", {"n": {"number"}}, {}),
        ("isinstance(message['tags'], list)", {"tags": {"array"}}, {}),
        ("isinstance(message['x'], Other)", {"x": set()}, {}),
        ("'room' in message", {"room": set()}, {}),
        ("message['type'] == 'join'", {"type": set()}, {"type": ["join"]}),
        ("'join' == message['type'].lower()", {"type": set()}, {"type": ["join"]}),
        ("message['n'] == 0", {"n": {"number"}}, {"n": [0]}),
        ("message['type'] in ('join', 'part')", {"type": set()}, {"type": ["join", "part"]}),
        ("kind = message['type']\n    kind == 'join'", {"type": set()}, {"type": ["join"]}),
        ("(kind := message['type']) != 'join'", {"type": set()}, {"type": ["join"]}),
        ("message['type'].startswith(('a', 'b'))", {"type": set()}, {"type": ["a", "b"]}),
        ("HANDLERS[message['type']]", {"type": set()}, {"type": ["join", "part"]}),
        ("HANDLERS.get(message['type'])", {"type": set()}, {"type": ["join", "part"]}),
        ("message['type'] in self.NAMES", {"type": set()}, {"type": ["one", "two"]}),
        ("event['type'] == 'websocket.disconnect'", {"type": set()}, {}),
        ("message['room'] = 1", {}, {}),
        (
            "event = await ws.receive()\n    event['text'], event.get('bytes'), event['type'] == 'websocket.receive'",
            {},
            {},
        ),
        ("{message['a'], message['b']} == {'x', 'y'}", {"a": set(), "b": set()}, {"a": ["x", "y"], "b": ["x", "y"]}),
        (
            "kind, n = message['type'], message['n']\n    kind == 'join'",
            {"type": set(), "n": set()},
            {"type": ["join"]},
        ),
        ("kind: str = message.get('type') or ''\n    kind == 'join'", {"type": set()}, {"type": ["join"]}),
        ("kind = message['type'] if message else None\n    kind == 'join'", {"type": set()}, {"type": ["join"]}),
        ("str(message['type'])[:4] == 'join'", {"type": set()}, {"type": ["join"]}),
        ("type(message['n']) is int", {"n": {"number"}}, {}),
        ("isinstance(message['n'], (int, float))", {"n": {"number"}}, {}),
        ("message['n'] < LIMIT", {"n": {"number"}}, {"n": [9]}),
        ("message['type'] in (ADD, DEL)", {"type": set()}, {"type": ["add", "del"]}),
        ("Kind(message['type'])", {"type": set()}, {"type": ["on", "off"]}),
        ("Kind[message['type']]", {"type": set()}, {"type": ["ON", "OFF"]}),
        ("message['type'] == Kind.ON.value", {"type": set()}, {"type": ["on"]}),
        ("self.shelves[message['shelf']]", {"shelf": set()}, {"shelf": ["left"]}),
        ("WORDS.get(name) == message['word']", {"word": set()}, {"word": ["s3cret"]}),
        ("check(message['type'])", {"type": set()}, {"type": ["given"]}),
        ("check(kind=message['type'])", {"type": set()}, {"type": ["given"]}),
        ("Desk().check_mine(message['type'])", {"type": set()}, {"type": ["mine"]}),
        ("say('room')", {}, {}),
        ("'no' in message['text']", {"no": set(), "text": set()}, {"text": ["no"]}),
        ("Error(message, 'room')", {}, {}),
        ("reply(message, 'no such room')", {}, {}),
        ("message['type'].replace('-', '_') == 'join'", {"type": set()}, {"type": ["join"]}),
        ("message['type']\n    type == 'join'", {"type": set()}, {"type": ["join"]}),
        ("dt.datetime.fromisoformat(message['at'])", {"at": set()}, {"at": ["2030-01-01T00:00:00"]}),
        ("date.fromisoformat(message['on'])", {"on": set()}, {"on": ["2030-01-01"]}),
        ("strptime(message['on'], '%d.%m.%Y')", {"on": set()}, {"on": ["01.01.2030"]}),
        ("strptime(message['on'], given)", {"on": set()}, {}),
        ("b64decode(message['data'])", {"data": set()}, {"data": ["YWxpY2U="]}),
    ],
)
def test_what_is_looked_for(body, keys, values):
    found = words(f"{SOURCE}\nasync def handler(ws, message):\n    {body}\n")
    assert (found.keys, found.values, found.texts) == (keys, values, [])


def test_patterns_of_match():
    found = words(
        """
        async def handler(message, ws):
            match message["op"]:
                case "add" | "del": pass
            match message:
                case {"type": "join", "room": room}: pass
                case ["leave", str(room), *_]: pass
            match message.split():
                case ["quit"]: pass
            match (await ws.receive_text()).split():
                case ["part", room]: pass
        """
    )
    assert set(found.keys) == {"op", "type", "room"}
    assert found.values == {"op": ["add", "del"], "type": ["join"]}
    assert found.models == [{"type": "join", "room": "alice"}, ["leave", "alice"], ["quit"]]
    assert "part alice" in found.texts


def test_a_pattern_is_a_message_with_what_stands_inside():
    found = words(
        """
        def handler(message):
            match message:
                case {"type": "subscribe" | "resume", "id": int(), "tags": [*_], "payload": {"query": str(), "n": 1 as n}}:
                    pass
        """
    )
    inside = {"id": 1, "tags": [], "payload": {"query": "alice", "n": 1}}
    assert found.models == [{"type": "subscribe", **inside}, {"type": "resume", **inside}]


def test_keys_inside_the_value_of_a_key():
    found = words("def handler(m):\n    data = m['data']\n    data.get('user', {})['name']\n    m['data']['x']")
    assert found.inside == {"data": {"user", "x"}, "user": {"name"}}


def test_what_is_looked_for_in_the_handshake_is_no_message():
    found = words(
        """
        PROTOCOL = "chat.v2"

        async def handler(ws, req):
            ws.query_params.get("since", "0"), ws.headers["x-room"], req.get_param_as_int("page"), ws.args.get("q")
            ws.path_params["room"], ws.scope["path"]
            ws.cookies.get("token") in ("s3cret",)
            if PROTOCOL in ws.scope["subprotocols"] or "chat.v1" in ws.subprotocols:
                ws.accept(subprotocol="chat.v3", headers=[("x-by", "us")])
            await send({"type": "websocket.accept", "subprotocol": "chat.v4", **more})
        """
    )
    asked = {place: list(names) for place, names in found.asked.items()}
    assert asked.pop("scope") and asked.pop("params") == ["room"]
    assert asked == {"query": ["since", "page", "q"], "headers": ["x-room"], "cookies": ["token"]}
    assert (found.keys, found.values["token"]) == ({}, ["s3cret"])
    assert found.subprotocols == ["chat.v2", "chat.v1", "chat.v3", "chat.v4"]


def test_what_reads_bytes():
    found = words(
        """
        HEAD = struct.Struct("!BH")
        BAD = struct.Struct("no")

        def handler(frame, ws):
            ws.receive_bytes(), HEAD.unpack(frame), BAD, struct.unpack(b"<f", frame), struct.pack(given, 1)
            frame[0] == 7 or frame == b"PING"
            msgpack.unpackb(frame)
        """
    )
    assert (found.binary, found.layouts, found.numbers) == (True, ["<f", "!BH"], [7])
    assert (found.texts, found.packings) == ([b"PING"], {"msgpack"})
    assert words("def handler(event):\n    event.get('bytes')").binary


def test_whole_messages():
    found = words(
        "def handler(text):\n    text == 'ping' or text.startswith('/join ')\n    text in ('a', 'b') or text > 3"
    )
    assert found.texts == ["ping", "/join ", "a", "b"]


def test_the_first_word_of_a_message_is_compared_and_looked_up():
    found = words(
        """
        class Desk:
            def __init__(self):
                self.commands = {"NICK": self.nick}

            async def handler(self, ws):
                async for line in ws.iter_text():
                    verb, _, rest = line.partition(" ")
                    self.commands.get(verb)
                    HANDLERS[line.split()[0]]

        HANDLERS = {"JOIN": 1}
        """
    )
    assert (found.texts, found.keys) == (["NICK", "JOIN"], {})


def test_methods_chosen_by_a_value_and_what_they_take():
    found = words(
        """
        class Rpc:
            def rpc_add(self, a: int, b: int): ...
            def rpc_ping(self):
                self.message["pinged"]

        async def handler(rpc, ws, message):
            method = getattr(rpc, "rpc_" + message["method"], None)
            args = kwargs = message["params"]
            method(*args, **kwargs)
        """
    )
    assert found.values == {"method": ["add", "ping"]} and set(found.keys) == {"method", "params", "pinged"}
    assert {"method": "add", "params": {"a": 1, "b": 1}} in found.calls
    assert {"method": "add", "params": [1, 1]} in found.calls
    assert {"method": "ping", "params": {}} in found.calls


def test_functions_that_are_registered_are_chosen_by_what_looks_them_up():
    found = words(
        """
        HANDLERS = {}

        def on(kind):
            def add(function):
                HANDLERS[kind] = function
                return function
            return add

        @on("move")
        async def move(ws, x: int, y: int): ...

        async def handler(ws, message):
            await HANDLERS[message.pop("type")](ws, **message)
        """
    )
    assert found.values == {"type": ["move"]}
    assert found.calls == [{"type": "move", "x": 1, "y": 1}]


def test_what_a_chosen_function_is_given_is_looked_into():
    found = words(
        """
        HANDLERS = {}

        def on(kind):
            def add(function):
                HANDLERS[kind] = function
            return add

        @on("push")
        def push(stack, args):
            args.get("value")

        async def handler(stack, message):
            function = HANDLERS[message["op"]]
            function(stack, message.get("args") or {})
        """
    )
    assert (found.inside, found.asked) == ({"args": {"value"}}, {})


def test_a_literal_may_name_a_member_of_an_enum():
    found = words(
        """
        class Kind(str, Enum):
            login = "log-in"

        class Login:
            kind: Literal[Kind.login]
            sure: Literal[True]
            other: Literal[Elsewhere.x]

        def handler(message):
            Login(message)
        """
    )
    assert {"kind": "log-in", "sure": True, "other": "alice"} in found.models


def test_parameters_of_a_route_are_looked_for_in_the_handshake():
    text = "PRICES = {'ACME': 1}\ndef handler(ws, symbol, other):\n    PRICES[symbol], other == 'x'"
    found = words_of([("x.py", 2)], lambda _: text, {"symbol": "params"})
    assert found.asked == {"params": {"symbol": None}}
    assert (found.values, found.keys) == ({"symbol": ["ACME"]}, {})


def test_what_a_function_names_is_read_too_and_nothing_else():
    found = words(
        """
        class Desk:
            async def take(self, message):
                return helper(message)["a"]

        def helper(message):
            return message["b"]

        def elsewhere(message):
            return message["c"]

        async def handler(desk, message):
            await desk.take(message)
            other(message)
        """,
        more="def first(): ...\ndef other(message):\n    return message['d']\n",
    )
    assert set(found.keys) == {"a", "b", "d"}


def test_models_make_messages():
    found = words(
        """
        class Spot(Thing):
            x: int

        class Named:
            name: str = Field(alias="from")

        class Join(Named):
            type: Literal["join", "rejoin"]
            spot: Spot
            spots: list[Spot]
            kind: Kind
            room: str
            seats: int | None
            only: Literal["x"]
            tags: list[str]
            when: datetime
            LIMIT = 5

        class Empty: ...

        class Kind(StrEnum):
            ON = "on"

        def handler(message):
            Join.model_validate(message), Empty()
        """
    )
    model = next(one for one in found.models if "type" in one)
    inner = {"spot": {"x": 1}, "spots": [{"x": 1}], "kind": "on"}
    plain = {
        "from": "alice",
        "type": "join",
        "room": "alice",
        "seats": 1,
        "only": "x",
        "tags": [],
        "when": "2030-01-01T00:00:00",
    }
    assert model == {**plain, **inner}


def test_a_file_that_cannot_be_read_is_passed_over():
    assert words_of([("x.py", 1)], lambda _: "def (").keys == {}
    assert words_of([], lambda _: "").keys == {}


@pytest.mark.parametrize(
    "query",
    [
        "parse_qs(scope['query_string'].decode())",
        "dict(urllib.parse.parse_qsl(text))",
        "websocket.query_params",
    ],
)
def test_what_is_looked_for_in_a_query_is_found_under_any_name(query):
    assert words(f"def handler():\n    found = {query}\n    found.get('user')").asked["query"] == {"user": None}


@pytest.mark.parametrize(
    "first",
    ["verb, *rest = json.loads(text)", "said = await websocket.receive_json(); verb = said[0]"],
)
def test_the_first_of_a_json_array_says_what_it_is(first):
    found = words(f"async def handler():\n    {first}\n    verb == 'undo'")
    assert found.arrays and found.texts == ["undo"]
    assert not words("def handler():\n    verb, *rest = text.split()\n    verb == 'undo'").arrays
