"""What FastAPI only hands on from Starlette, under the module names that imports name."""

import importlib

import pytest

HANDED_ON = (
    "background",
    "datastructures",
    "middleware",
    "middleware.cors",
    "middleware.gzip",
    "middleware.httpsredirect",
    "middleware.trustedhost",
    "requests",
    "responses",
    "staticfiles",
    "testclient",
)


@pytest.mark.parametrize("module", HANDED_ON)
@pytest.mark.filterwarnings("ignore")  # Starlette says once which HTTP client it would rather have
def test_it_is_starlettes_and_where_fastapi_has_it(module: str) -> None:
    ours = importlib.import_module(f"wsharness.app.{module}")
    theirs = importlib.import_module(f"fastapi.{module}")
    starlettes = importlib.import_module(f"starlette.{module}")
    assert ours.__all__
    for name in ours.__all__:
        assert getattr(ours, name) is getattr(starlettes, name)
        assert hasattr(theirs, name)


SCHEMES = {
    "api_key": ("APIKeyCookie", "APIKeyHeader", "APIKeyQuery"),
    "base": ("SecurityBase",),
    "http": ("HTTPAuthorizationCredentials", "HTTPBasic", "HTTPBasicCredentials", "HTTPBearer", "HTTPDigest"),
    "oauth2": ("OAuth2", "OAuth2AuthorizationCodeBearer", "OAuth2PasswordBearer", "SecurityScopes"),
    "open_id_connect_url": ("OpenIdConnect",),
    "utils": ("get_authorization_scheme_param",),
}


@pytest.mark.parametrize("module", SCHEMES)
def test_security_has_fastapis_modules(module: str) -> None:
    ours = importlib.import_module(f"wsharness.app.security.{module}")
    theirs = importlib.import_module(f"fastapi.security.{module}")
    for name in SCHEMES[module]:
        assert getattr(ours, name).__module__ == ours.__name__
        assert hasattr(theirs, name)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer token", "Bearer  two words ", "x"])
def test_the_header_is_taken_apart_as_fastapi_does(header: str | None) -> None:
    ours = importlib.import_module("wsharness.app.security.utils").get_authorization_scheme_param
    theirs = importlib.import_module("fastapi.security.utils").get_authorization_scheme_param
    assert ours(header) == theirs(header)
