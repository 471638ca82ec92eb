"""The Authorization header, taken apart."""

from starlette.requests import HTTPConnection


def get_authorization_scheme_param(authorization_header_value: str | None) -> tuple[str, str]:
    """The scheme and what follows it; two empty strings where there is no header."""
    scheme, _, parameter = (authorization_header_value or "").partition(" ")
    return scheme, parameter.strip()


def authorization(connection: HTTPConnection) -> tuple[str, str]:
    """The scheme of a connection's header and what follows it."""
    return get_authorization_scheme_param(connection.headers.get("Authorization"))
