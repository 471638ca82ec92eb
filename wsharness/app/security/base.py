"""What all security schemes share: credentials, or a 401 that says how to send them."""

from typing import Any

from wsharness.app.exceptions import HTTPException


class SecurityBase:
    """A scheme: call it with a connection and it returns the credentials, or raises a 401.

    With `auto_error=False` missing credentials are None.
    """

    challenge = "Bearer"

    def __init__(
        self, *, scheme_name: str | None = None, description: str | None = None, auto_error: bool = True
    ) -> None:
        self.scheme_name: str = scheme_name or type(self).__name__
        self.description = description
        self.auto_error = auto_error

    def make_authenticate_headers(self) -> dict[str, str]:
        """The header that tells the client how to authenticate."""
        return {"WWW-Authenticate": self.challenge}

    def make_not_authenticated_error(self) -> HTTPException:
        """The error for missing or malformed credentials."""
        return HTTPException(status_code=401, detail="Not authenticated", headers=self.make_authenticate_headers())

    def refuse(self) -> Any:
        """Raise the error, or return None where credentials are optional."""
        if self.auto_error:
            raise self.make_not_authenticated_error()
