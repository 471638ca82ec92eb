"""wsharness/app/security/: every scheme on a WebSocket, with good, bad and missing credentials."""

import base64
from typing import Any

import pytest

from tests.app.driver import Transcript, connect, request
from wsharness.app import FastAPI, Security, WebSocket, jsonable_encoder
from wsharness.app.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPBasic,
    HTTPBearer,
    HTTPDigest,
    OAuth2,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
    OpenIdConnect,
    SecurityScopes,
)
from wsharness.app.security.api_key import APIKeyBase
from wsharness.app.security.base import SecurityBase
from wsharness.app.security.http import HTTPBase

BASIC = "Basic " + base64.b64encode(b"john:secret").decode()
SCHEMES: dict[str, tuple[Any, dict[str, Any], dict[str, Any], Any, str]] = {
    "base": (HTTPBase, {"scheme": "other"}, {"headers": [("authorization", "Other x")]},
             {"scheme": "Other", "credentials": "x"}, "Other"),
    "basic": (HTTPBasic, {}, {"headers": [("authorization", BASIC)]},
              {"username": "john", "password": "secret"}, "Basic"),
    "bearer": (HTTPBearer, {}, {"headers": [("authorization", "bearer x")]},
               {"scheme": "bearer", "credentials": "x"}, "Bearer"),
    "digest": (HTTPDigest, {}, {"headers": [("authorization", "Digest x")]},
               {"scheme": "Digest", "credentials": "x"}, "Digest"),
    "query": (APIKeyQuery, {"name": "key"}, {"query": "key=x"}, "x", "APIKey"),
    "header": (APIKeyHeader, {"name": "X-Key"}, {"headers": [("x-key", "x")]}, "x", "APIKey"),
    "cookie": (APIKeyCookie, {"name": "key"}, {"headers": [("cookie", "key=x")]}, "x", "APIKey"),
    "oauth2": (OAuth2, {}, {"headers": [("authorization", "Bearer x")]}, "Bearer x", "Bearer"),
    "password": (OAuth2PasswordBearer, {"tokenUrl": "/t"}, {"headers": [("authorization", "Bearer x")]},
                 "x", "Bearer"),
    "code": (OAuth2AuthorizationCodeBearer, {"authorizationUrl": "/a", "tokenUrl": "/t"},
             {"headers": [("authorization", "Bearer x")]}, "x", "Bearer"),
    "openid": (OpenIdConnect, {"openIdConnectUrl": "/o"}, {"headers": [("authorization", "Bearer x")]},
               "Bearer x", "Bearer"),
}  # fmt: skip


def played(scheme: SecurityBase, **sent: Any) -> tuple[Transcript, list[Any]]:
    app = FastAPI()
    found: list[Any] = []

    @app.websocket("/")
    async def endpoint(websocket: WebSocket, credentials: Any = Security(scheme)) -> None:
        found.append(jsonable_encoder(credentials))
        await websocket.accept()

    return connect(app, **sent), found


def refused(transcript: Transcript, challenge: str) -> bool:
    return (
        transcript.status == 401
        and transcript.headers["www-authenticate"] == challenge
        and transcript.body == b'{"detail":"Not authenticated"}'
    )


@pytest.mark.parametrize("name", SCHEMES)
def test_credentials_are_handed_on(name: str) -> None:
    scheme, options, sent, expected, _ = SCHEMES[name]
    transcript, found = played(scheme(**options), **sent)
    assert transcript.accepted
    assert found == [expected]


@pytest.mark.parametrize("name", SCHEMES)
def test_missing_credentials_are_answered_with_401(name: str) -> None:
    scheme, options, _, _, challenge = SCHEMES[name]
    transcript, found = played(scheme(**options))
    assert refused(transcript, challenge)
    assert found == []


@pytest.mark.parametrize("name", SCHEMES)
def test_missing_credentials_are_none_where_they_are_optional(name: str) -> None:
    scheme, options, _, _, _ = SCHEMES[name]
    assert played(scheme(auto_error=False, **options))[1] == [None]


@pytest.mark.parametrize("name", ["basic", "bearer", "digest", "password", "code"])
def test_another_scheme_is_no_credential(name: str) -> None:
    scheme, options, _, _, challenge = SCHEMES[name]
    sent = {"headers": [("authorization", "Strange x")]}
    assert refused(played(scheme(**options), **sent)[0], challenge)
    assert played(scheme(auto_error=False, **options), **sent)[1] == [None]


@pytest.mark.parametrize("value", ["Basic", "Basic ***", "Basic YWJj", "Basic /w==", "Basic a"])
def test_malformed_basic_credentials_are_refused_even_where_they_are_optional(value: str) -> None:
    transcript, _ = played(HTTPBasic(auto_error=False, realm="here"), headers=[("authorization", value)])
    assert refused(transcript, 'Basic realm="here"')


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", " ", "Bearer\tx"])
def test_a_bearer_without_token_is_refused(value: str) -> None:
    assert refused(played(HTTPBearer(), headers=[("authorization", value)])[0], "Bearer")


def test_schemes_have_names() -> None:
    assert HTTPBearer().scheme_name == "HTTPBearer"
    assert HTTPBearer(scheme_name="mine", bearerFormat="JWT").bearer_format == "JWT"
    assert OAuth2PasswordBearer("/t", scopes={"a": "b"}).flows["password"]["scopes"] == {"a": "b"}
    with pytest.raises(NotImplementedError):
        APIKeyBase(name="x").place(None)  # type: ignore[arg-type]


def test_scopes_join_with_spaces() -> None:
    assert SecurityScopes(["a", "b"]).scope_str == "a b"
    assert SecurityScopes().scopes == []


def test_they_work_on_http_too() -> None:
    app = FastAPI()

    @app.get("/")
    def endpoint(key: Any = Security(APIKeyQuery(name="key"))) -> Any:
        return key

    assert request(app).status == 401
    assert request(app, query="key=x").body == b'"x"'
