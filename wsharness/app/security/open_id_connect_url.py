"""OpenID Connect."""

from starlette.requests import HTTPConnection

from wsharness.app.security.base import SecurityBase


class OpenIdConnect(SecurityBase):
    """OpenID Connect: returns the Authorization header as it is."""

    def __init__(
        self,
        *,
        openIdConnectUrl: str,  # noqa: N803
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(scheme_name=scheme_name, description=description, auto_error=auto_error)
        self.url = openIdConnectUrl

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The Authorization header."""
        return request.headers.get("Authorization") or self.refuse()
