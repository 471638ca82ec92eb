"""How a function says where its parameters come from: Query(), Path(), Header(), Depends() and so on."""

import difflib
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypedDict, Unpack, cast

from pydantic import AliasChoices, AliasPath, Discriminator, Field
from pydantic.fields import FieldInfo

from wsharness.app.concurrency import Limit
from wsharness.app.exceptions import DeclarationError, FastAPIDeprecationWarning


class Location(Enum):
    """Which part of a connection a parameter is read from."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    COOKIE = "cookie"
    BODY = "body"


class Options(TypedDict, total=False):
    """What every kind of parameter takes beside its default: pydantic's constraints and aliases."""

    default_factory: Callable[[], Any] | None
    alias: str | None
    alias_priority: int | None
    validation_alias: str | AliasPath | AliasChoices | None
    serialization_alias: str | None
    title: str | None
    description: str | None
    gt: float | None
    ge: float | None
    lt: float | None
    le: float | None
    min_length: int | None
    max_length: int | None
    pattern: str | re.Pattern[str] | None
    regex: str | None
    discriminator: str | Discriminator | None
    strict: bool | None
    validate_default: bool | None
    union_mode: Literal["smart", "left_to_right"] | None
    fail_fast: bool | None
    multiple_of: float | None
    allow_inf_nan: bool | None
    max_digits: int | None
    decimal_places: int | None
    examples: list[Any] | None
    example: Any
    openapi_examples: dict[str, Any] | None
    deprecated: str | bool | None
    include_in_schema: bool
    json_schema_extra: dict[str, Any] | Callable[[dict[str, Any]], None] | None


# They describe a parameter in a schema, and there is none here.
_SCHEMA_ONLY = {"example", "openapi_examples", "include_in_schema"}
_RENAMED = {"regex": "pattern", "example": "examples"}


@dataclass(frozen=True, eq=False)
class Param:
    """Where a parameter is read, and what pydantic shall ask of it."""

    location: Location
    info: FieldInfo
    convert_underscores: bool = False
    embed: bool | None = None

    def __repr__(self) -> str:
        return f"{self.location.value.title()}({self.info.default})"


def Query(default: Any = ..., **options: Unpack[Options]) -> Any:  # noqa: N802
    """Read the parameter from the query string."""
    return Param(Location.QUERY, _info(default, options))


def Header(default: Any = ..., *, convert_underscores: bool = True, **options: Unpack[Options]) -> Any:  # noqa: N802
    """Read the parameter from a header; underscores of its name stand for hyphens."""
    return Param(Location.HEADER, _info(default, options), convert_underscores=convert_underscores)


def Cookie(default: Any = ..., **options: Unpack[Options]) -> Any:  # noqa: N802
    """Read the parameter from a cookie."""
    return Param(Location.COOKIE, _info(default, options))


def Path(default: Any = ..., **options: Unpack[Options]) -> Any:  # noqa: N802
    """Read the parameter from the path."""
    if default is not ...:
        raise DeclarationError(f"a path parameter has no default, it is always there; got {default!r}: leave it out")
    return Param(Location.PATH, _info(default, options))


def Body(  # noqa: N802
    default: Any = ...,
    *,
    embed: bool | None = None,
    media_type: str = "application/json",  # noqa: ARG001 (describes the body in a schema)
    **options: Unpack[Options],
) -> Any:
    """Read the parameter from the JSON body of an HTTP request; a WebSocket has none."""
    return Param(Location.BODY, _info(default, options), embed=embed)


def _info(default: Any, options: Options) -> FieldInfo:
    for name in options:
        if name not in Options.__annotations__:
            raise TypeError(_unknown(name))
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for old in _RENAMED.keys() & given.keys():
        new = _RENAMED[old]
        warnings.warn(f"{old!r} is deprecated; write {new!r}", FastAPIDeprecationWarning, stacklevel=4)
    if "regex" in given:
        given.setdefault("pattern", given.pop("regex"))
    kept = {name: value for name, value in given.items() if name not in _SCHEMA_ONLY}
    if "default_factory" in kept and default is ...:
        return cast(FieldInfo, Field(**kept))
    return cast(FieldInfo, Field(default=default, **kept))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, Options.__annotations__, n=1, cutoff=0.5)
    advice = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(Options.__annotations__)}"
    return f"unexpected keyword argument {name!r}; {advice}"


@dataclass(frozen=True)
class Dependency:
    """What Depends() says: call this, and pass on what it returns."""

    dependency: Callable[..., Any] | None = None
    use_cache: bool = True
    scope: Literal["function", "request"] | None = None
    max_concurrency: int | None = field(default=None, kw_only=True)
    scopes: Sequence[str] = ()
    # Shared by every use of this declaration, and by what dataclasses.replace() makes of it.
    limit: Limit | None = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.scope not in {None, "function", "request"}:
            raise ValueError(f"expected the scope 'function' or 'request'; got {self.scope!r}")
        if isinstance(self.scopes, str):
            raise TypeError(f"expected a list of scopes; got {self.scopes!r}: write [{self.scopes!r}]")
        object.__setattr__(self, "limit", self._limit())

    def _limit(self) -> Limit | None:
        if self.max_concurrency is None:
            return None
        if type(self.max_concurrency) is not int or self.max_concurrency < 1:
            raise ValueError(f"expected max_concurrency to be a positive integer or None; got {self.max_concurrency!r}")
        if self.limit is not None and self.limit.size == self.max_concurrency:
            return self.limit
        return Limit(self.max_concurrency)


def Depends(  # noqa: N802
    dependency: Callable[..., Any] | None = None,
    *,
    use_cache: bool = True,
    scope: Literal["function", "request"] | None = None,
    max_concurrency: int | None = None,
) -> Any:
    """Call `dependency` first and pass on what it returns; without one, the parameter's own type."""
    return Dependency(dependency, use_cache, scope, max_concurrency=max_concurrency)


def Security(  # noqa: N802
    dependency: Callable[..., Any] | None = None,
    *,
    scopes: Sequence[str] | None = None,
    use_cache: bool = True,
) -> Any:
    """Depends() that also names OAuth2 scopes, which SecurityScopes collects further down."""
    return Dependency(dependency, use_cache, scopes=() if scopes is None else scopes)
