"""wsharness/app/fields.py: every kind of parameter with missing, empty, repeated, wrong and odd values."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, Json

from tests.app.driver import connect, request
from wsharness.app import Body, Cookie, FastAPI, Header, Path, Query, WebSocket

KINDS = {"query": Query, "header": Header, "cookie": Cookie}


def read(annotation: Any, *, path: str = "/", route: str = "/", default: Any = ..., **sent: Any) -> Any:
    """What one parameter named `item_id` becomes: its value, or the errors."""
    app = FastAPI()
    found: list[Any] = []

    async def endpoint(websocket: WebSocket, item_id: Any) -> None:
        found.append(item_id)

    endpoint.__annotations__["item_id"] = annotation
    if default is not ...:
        endpoint.__defaults__ = (default,)
    app.add_api_websocket_route(route, endpoint)
    transcript = connect(app, path, **sent)
    assert transcript.raised is None
    if found:
        return found[0]
    assert transcript.closed is not None
    assert transcript.closed[0] == 1008
    return [(error["type"], error["loc"]) for error in transcript.closed[1]]


def sending(kind: str, *values: str | bytes) -> dict[str, Any]:
    raw = [value if isinstance(value, bytes) else value.encode() for value in values]
    if kind == "query":
        return {"query": b"&".join(b"item_id=" + value for value in raw)}
    if kind == "header":
        return {"headers": [(b"item-id", value) for value in raw]}
    return {"headers": [(b"cookie", b"item_id=" + value) for value in raw]}


NAME = {"query": "item_id", "header": "item-id", "cookie": "item_id"}


@pytest.mark.parametrize("kind", KINDS)
def test_missing(kind: str) -> None:
    assert read(Annotated[int, KINDS[kind]()]) == [("missing", [kind, NAME[kind]])]
    assert read(Annotated[int, KINDS[kind]()], default=3) == 3
    assert read(Annotated[int | None, KINDS[kind]()], default=None) is None
    assert read(Annotated[list[int], KINDS[kind](default_factory=lambda: [1])]) == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_empty(kind: str) -> None:
    assert read(Annotated[str, KINDS[kind]()], **sending(kind, "")) == ""
    assert read(Annotated[int, KINDS[kind]()], **sending(kind, "")) == [("int_parsing", [kind, NAME[kind]])]


@pytest.mark.parametrize("kind", ["query", "header"])
def test_repeated(kind: str) -> None:
    assert read(Annotated[list[int], KINDS[kind]()], **sending(kind, "1", "2")) == [1, 2]
    assert read(Annotated[set[str] | None, KINDS[kind]()], **sending(kind, "a", "a")) == {"a"}
    first_or_last = {"query": "2", "header": "1"}  # as Starlette's QueryParams and Headers have it
    assert read(Annotated[str, KINDS[kind]()], **sending(kind, "1", "2")) == first_or_last[kind]
    errors = read(Annotated[list[int], KINDS[kind]()], **sending(kind, "1", "x", "y"))
    assert errors == [("int_parsing", [kind, NAME[kind], index]) for index in (1, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_constraints(kind: str) -> None:
    annotation = Annotated[int, KINDS[kind](ge=2, le=4)]
    assert read(annotation, **sending(kind, "3")) == 3
    assert read(annotation, **sending(kind, "5")) == [("less_than_equal", [kind, NAME[kind]])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [b"\xff\xfe", b"%ff%fe", b"\x00", "\u20ac".encode()], ids=repr)
def test_bytes_that_are_no_utf8_are_text_all_the_same(kind: str, value: bytes) -> None:
    assert isinstance(read(Annotated[str, KINDS[kind]()], **sending(kind, value)), str)


@pytest.mark.parametrize("kind", KINDS)
def test_enormous(kind: str) -> None:
    assert len(read(Annotated[str, KINDS[kind]()], **sending(kind, "x" * 1_000_000))) == 1_000_000
    [(fault, place)] = read(Annotated[int, KINDS[kind]()], **sending(kind, "9" * 5000))
    assert (fault, place) == ("int_parsing_size", [kind, NAME[kind]])


def test_a_path_parameter_is_converted_and_validated() -> None:
    assert read(int, route="/{item_id}", path="/7") == 7
    assert read(int, route="/{item_id}", path="/x") == [("int_parsing", ["path", "item_id"])]
    assert read(str, route="/{item_id:path}", path="/a/b") == "a/b"
    assert read(float, route="/{item_id:float}", path="/1.5") == 1.5
    assert read(Annotated[int, Path(gt=7)], route="/{item_id}", path="/7") == [("greater_than", ["path", "item_id"])]


def test_a_path_parameter_the_path_does_not_have_is_missing() -> None:
    assert read(Annotated[int, Path()]) == [("missing", ["path", "item_id"])]


def test_aliases() -> None:
    assert read(Annotated[int, Query(alias="n")], query="n=1") == 1
    assert read(Annotated[int, Query(alias="n")], query="item_id=1") == [("missing", ["query", "n"])]
    assert read(Annotated[int, Query(validation_alias="n")], query="n=1") == 1
    choices = Annotated[int, Query(validation_alias=AliasChoices("one", "two"))]
    assert read(choices, query="two=2") == 2
    assert read(choices, query="two=2&one=1") == 1
    assert read(choices) == [("missing", ["query", "one"])]
    assert read(Annotated[str, Header(convert_underscores=False)], headers=[("item_id", "x")]) == "x"


def test_json_is_decoded_from_one_value() -> None:
    assert read(Annotated[Json[list[int]], Query()], query="item_id=[1,2]") == [1, 2]
    assert read(Annotated[Json[list[int]], Query()], query="item_id=") == [("missing", ["query", "item_id"])]


def test_defaults_are_validated_only_where_that_is_asked() -> None:
    assert read(Annotated[int, Query()], default="x") == "x"
    assert read(Annotated[int, Query(validate_default=True)], default="x") == [("int_parsing", ["query", "item_id"])]


def test_a_default_is_not_shared_between_connections() -> None:
    default: list[int] = []
    first = read(Annotated[list[int], Query()], default=default)
    first.append(1)
    assert default == []


def test_a_body_is_never_there() -> None:
    assert read(list[int]) == [("missing", ["body"])]
    assert read(dict[str, int], default=None) is None


class Filters(BaseModel):
    model_config = ConfigDict(extra="forbid")
    item_id: int
    tags: list[str] = Field([], alias="tag")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True)
    user_agent: str = Field("none", alias="agent")


def test_a_model_of_the_query() -> None:
    model = read(Annotated[Filters, Query()], query="item_id=1&tag=a&tag=b")
    assert model == Filters(item_id=1, tag=["a", "b"])
    assert read(Annotated[Filters, Query()], query="item_id=1&other=2") == [("extra_forbidden", ["query", "other"])]
    assert read(Annotated[Filters, Query()]) == [("missing", ["query", "item_id"])]


def test_a_model_of_the_headers_has_hyphens() -> None:
    class Headers(BaseModel):
        user_agent: str
        x_tag: list[int] = []

    headers = [("user-agent", "me"), ("X-Tag", "1"), ("x-tag", "2")]
    assert read(Annotated[Headers, Header()], headers=headers) == Headers(user_agent="me", x_tag=[1, 2])
    assert read(Annotated[Headers, Header()], headers=[("user_agent", "me")]) == [("missing", ["header", "user-agent"])]


def test_a_model_takes_extras_and_either_name() -> None:
    assert read(Annotated[Open, Query()], query="user_agent=me").user_agent == "me"
    model = read(Annotated[Open, Query()], query="agent=me&x=1&x=2&y=3")
    assert model.model_extra == {"x": ["1", "2"], "y": "3"}
    assert read(Annotated[Open, Cookie()], headers=[("cookie", "agent=me; z=1")]).model_extra == {"z": "1"}


def test_an_optional_model_is_none_where_nothing_of_it_was_sent() -> None:
    class Plain(BaseModel):
        term: str

    assert read(Annotated[Plain | None, Query()], default=None) is None
    assert read(Annotated[Plain | None, Query()], default=None, query="other=1") is None
    assert read(Annotated[Plain | None, Query()], default=None, query="term=x") == Plain(term="x")


def test_a_model_may_have_paths_into_values_and_names_of_its_own() -> None:
    class ByName(BaseModel):
        model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)
        term: str = Field(alias="q")

    class ByPath(BaseModel):
        first: str = Field("none", validation_alias=AliasPath("names", 0))
        second: str = Field("none", validation_alias=AliasChoices("one", "two"))

    assert read(Annotated[ByName, Query()], query="term=x").term == "x"
    assert read(Annotated[ByName, Query()], query="q=x") == [("missing", ["query", "term"])]
    assert read(Annotated[ByPath, Query()], query="names=a&names=b").first == "a"
    assert read(Annotated[ByPath, Query()], query="two=x").second == "x"


def test_a_discriminator_chooses_the_model() -> None:
    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    app = FastAPI()

    def endpoint(pet: Any) -> Any:
        return type(pet).__name__

    endpoint.__annotations__["pet"] = Annotated[Cat | Dog, Body(discriminator="kind")]
    app.post("/pets")(endpoint)
    json = [("content-type", "application/json")]
    assert request(app, "POST", "/pets", body=b'{"kind": "dog"}', headers=json).body == b'"Dog"'
    assert b"union_tag_invalid" in request(app, "POST", "/pets", body=b'{"kind": "x"}', headers=json).body


def test_one_marker_of_a_pydantic_field_alone_reads_the_query() -> None:
    assert read(Annotated[int, Field(3, gt=2)], query="item_id=4") == 4
    assert read(Annotated[int, Field(3, gt=2)]) == [("missing", ["query", "item_id"])]
    assert read(Annotated[int, Field(default_factory=lambda: 5)]) == 5


def test_headers_of_a_model_are_found_in_any_case() -> None:
    class Tagged(BaseModel):
        model_config = ConfigDict(extra="forbid")
        tag: str = Field("none", alias="X-Tag")

    annotation = Annotated[Tagged | None, Header()]
    assert read(annotation, default=None, headers=[("x-tag", "a")]).tag == "a"
    assert read(annotation, default=None) is None
