"""HTTP's own schemes: basic, bearer, digest (RFC 7617, RFC 6750, RFC 7616)."""

import base64
from typing import Any, cast

from pydantic import BaseModel
from starlette.requests import HTTPConnection

from wsharness.app.security.base import SecurityBase
from wsharness.app.security.utils import authorization


class HTTPBasicCredentials(BaseModel):
    """What HTTPBasic returns."""

    username: str
    password: str


class HTTPAuthorizationCredentials(BaseModel):
    """What HTTPBearer and HTTPDigest return."""

    scheme: str
    credentials: str


class HTTPBase(SecurityBase):
    """Credentials in the Authorization header, behind the name of a scheme."""

    # The scheme the header must name; None takes any.
    required_scheme: str | None = None

    def __init__(
        self,
        *,
        scheme: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(scheme_name=scheme_name, description=description, auto_error=auto_error)
        self.challenge: str = scheme.title()

    async def __call__(self, request: HTTPConnection) -> Any:
        """The scheme as it was sent, and the credentials."""
        scheme, credentials = authorization(request)
        if not (scheme and credentials):
            return self.refuse()
        if self.required_scheme is not None and scheme.lower() != self.required_scheme:
            return self.refuse()
        return HTTPAuthorizationCredentials(scheme=scheme, credentials=credentials)


class HTTPBearer(HTTPBase):
    """`Authorization: Bearer TOKEN`."""

    required_scheme: str | None = "bearer"

    def __init__(
        self,
        *,
        bearerFormat: str | None = None,  # noqa: N803 (FastAPI's name)
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(scheme="bearer", scheme_name=scheme_name, description=description, auto_error=auto_error)
        self.bearer_format = bearerFormat


class HTTPDigest(HTTPBase):
    """`Authorization: Digest ...`; the digest itself is the application's to check."""

    required_scheme: str | None = "digest"

    def __init__(
        self, *, scheme_name: str | None = None, description: str | None = None, auto_error: bool = True
    ) -> None:
        super().__init__(scheme="digest", scheme_name=scheme_name, description=description, auto_error=auto_error)


class HTTPBasic(HTTPBase):
    """`Authorization: Basic ...`: user name and password."""

    def __init__(
        self,
        *,
        scheme_name: str | None = None,
        realm: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(scheme="basic", scheme_name=scheme_name, description=description, auto_error=auto_error)
        self.realm = realm
        self.challenge: str = f'Basic realm="{realm}"' if realm else self.challenge

    async def __call__(self, request: HTTPConnection) -> HTTPBasicCredentials | None:
        """The credentials; malformed ones are an error even where missing ones are not."""
        scheme, encoded = authorization(request)
        if scheme.lower() != "basic":
            return cast(HTTPBasicCredentials | None, self.refuse())
        try:
            decoded = base64.b64decode(encoded).decode("ascii")
        except ValueError as error:  # binascii.Error and UnicodeDecodeError are ValueErrors
            raise self.make_not_authenticated_error() from error
        username, separator, password = decoded.partition(":")
        if not separator:
            raise self.make_not_authenticated_error()
        return HTTPBasicCredentials(username=username, password=password)
