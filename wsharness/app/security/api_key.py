"""API keys: in a header, in the query string, in a cookie."""

from collections.abc import Mapping

from starlette.requests import HTTPConnection

from wsharness.app.security.base import SecurityBase


class APIKeyBase(SecurityBase):
    """A key under a name of the application's own choice."""

    challenge = "APIKey"

    def __init__(
        self,
        *,
        name: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(scheme_name=scheme_name, description=description, auto_error=auto_error)
        self.name = name

    def place(self, connection: HTTPConnection) -> Mapping[str, str]:
        """Where the key is looked for."""
        raise NotImplementedError

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The key."""
        return self.place(request).get(self.name) or self.refuse()


class APIKeyQuery(APIKeyBase):
    """A key in the query string."""

    def place(self, connection: HTTPConnection) -> Mapping[str, str]:
        """The query string."""
        return connection.query_params


class APIKeyHeader(APIKeyBase):
    """A key in a header."""

    def place(self, connection: HTTPConnection) -> Mapping[str, str]:
        """The headers."""
        return connection.headers


class APIKeyCookie(APIKeyBase):
    """A key in a cookie."""

    def place(self, connection: HTTPConnection) -> Mapping[str, str]:
        """The cookies."""
        return connection.cookies
