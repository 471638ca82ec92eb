"""Security schemes: what a client sends to say who it is, on HTTP and on WebSockets alike."""

from wsharness.app.security.api_key import APIKeyCookie, APIKeyHeader, APIKeyQuery
from wsharness.app.security.http import (
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    HTTPDigest,
)
from wsharness.app.security.oauth2 import OAuth2, OAuth2AuthorizationCodeBearer, OAuth2PasswordBearer, SecurityScopes
from wsharness.app.security.open_id_connect_url import OpenIdConnect

__all__ = [
    "APIKeyCookie",
    "APIKeyHeader",
    "APIKeyQuery",
    "HTTPAuthorizationCredentials",
    "HTTPBasic",
    "HTTPBasicCredentials",
    "HTTPBearer",
    "HTTPDigest",
    "OAuth2",
    "OAuth2AuthorizationCodeBearer",
    "OAuth2PasswordBearer",
    "OpenIdConnect",
    "SecurityScopes",
]
