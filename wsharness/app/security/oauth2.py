"""OAuth2: the token of the Authorization header, and the scopes an endpoint asks for."""

from typing import Any, cast

from starlette.requests import HTTPConnection

from wsharness.app.security.base import SecurityBase
from wsharness.app.security.utils import authorization


class SecurityScopes:
    """The OAuth2 scopes that Security() asks for, from the endpoint down to here."""

    def __init__(self, scopes: list[str] | None = None) -> None:
        self.scopes: list[str] = scopes or []
        self.scope_str: str = " ".join(self.scopes)


class OAuth2(SecurityBase):
    """An OAuth2 scheme: returns the Authorization header as it is."""

    def __init__(
        self,
        *,
        flows: Any = None,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(scheme_name=scheme_name, description=description, auto_error=auto_error)
        self.flows: Any = flows or {}

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The Authorization header."""
        return request.headers.get("Authorization") or self.refuse()


class _OAuth2Token(OAuth2):
    """Returns the token of `Authorization: Bearer TOKEN`."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The token."""
        scheme, token = authorization(request)
        if scheme.lower() != "bearer":
            return cast(str | None, self.refuse())
        return token


class OAuth2PasswordBearer(_OAuth2Token):
    """A token that was had for a user name and a password."""

    def __init__(
        self,
        tokenUrl: str,  # noqa: N803
        scheme_name: str | None = None,
        scopes: dict[str, str] | None = None,
        description: str | None = None,
        auto_error: bool = True,
        refreshUrl: str | None = None,  # noqa: N803
    ) -> None:
        flow = {"tokenUrl": tokenUrl, "refreshUrl": refreshUrl, "scopes": scopes or {}}
        super().__init__(
            flows={"password": flow},
            scheme_name=scheme_name,
            description=description,
            auto_error=auto_error,
        )


class OAuth2AuthorizationCodeBearer(_OAuth2Token):
    """A token that was had for an authorization code."""

    def __init__(
        self,
        authorizationUrl: str,  # noqa: N803
        tokenUrl: str,  # noqa: N803
        refreshUrl: str | None = None,  # noqa: N803
        scheme_name: str | None = None,
        scopes: dict[str, str] | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        flow = {
            "authorizationUrl": authorizationUrl,
            "tokenUrl": tokenUrl,
            "refreshUrl": refreshUrl,
            "scopes": scopes or {},
        }
        super().__init__(
            flows={"authorizationCode": flow},
            scheme_name=scheme_name,
            description=description,
            auto_error=auto_error,
        )
