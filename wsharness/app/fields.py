"""Reading parameters: each reader takes its value from a connection and has pydantic validate it."""

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Annotated, Any, Protocol

from pydantic import AliasChoices, AliasPath, BaseModel, Json, TypeAdapter, ValidationError
from pydantic import Field as PydanticField
from pydantic.errors import PydanticSchemaGenerationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from starlette.datastructures import Headers, ImmutableMultiDict

from wsharness.app.annotations import is_sequence, is_subclass
from wsharness.app.exceptions import AnnotationError
from wsharness.app.params import Location

Source = Mapping[str, Any]
Values = dict[str, Any]
Errors = list[dict[str, Any]]
Place = tuple[str | int, ...]

MISSING: Any = PydanticUndefined


class Reader(Protocol):
    """Reads one parameter of a function."""

    name: str
    alias: str
    location: Location
    field_info: FieldInfo

    def read(self, source: Source, values: Values, errors: Errors) -> None:
        """Put the parameter into `values`, or say in `errors` what is wrong with it."""


class Field:
    """What a parameter must be: its type, its constraints and its default, ready to validate."""

    def __init__(self, name: str, info: FieldInfo) -> None:
        self.name = name
        self.info = info
        self.required: bool = info.is_required()
        self.validate: Callable[..., Any] = _adapter(name, info).validate_python

    def accept(self, value: Any, place: Place, values: Values, errors: Errors) -> None:
        """Validate `value`, or take the default where it is missing."""
        if value is MISSING:
            if self.required:
                errors.append({"type": "missing", "loc": place, "msg": "Field required", "input": None})
                return
            value = self.info.get_default(call_default_factory=True)
            if not self.info.validate_default:
                values[self.name] = value
                return
        try:
            values[self.name] = self.validate(value, from_attributes=True)
        except ValidationError as error:
            errors += [{**fault, "loc": place + fault.get("loc", ())} for fault in error.errors(include_url=False)]


def _adapter(name: str, info: FieldInfo) -> TypeAdapter[Any]:
    constraints = list(info.metadata)
    if info.discriminator is not None:
        constraints.append(PydanticField(discriminator=info.discriminator))
    annotation: Any = info.annotation
    if constraints:
        annotation = Annotated[(annotation, *constraints)]
    try:
        return TypeAdapter(annotation)
    except PydanticSchemaGenerationError as error:
        raise AnnotationError(
            f"cannot validate parameter {name!r}: pydantic knows nothing about {info.annotation!r};"
            " annotate a type it knows, or say with Depends() where the value comes from"
        ) from error


class ValueReader:
    """Reads a parameter that is one value, or the several values of one name."""

    def __init__(self, name: str, location: Location, info: FieldInfo, alias: str) -> None:
        self.name = name
        self.location = location
        self.field_info = info
        self.field: Field = Field(name, info)
        self.keys: list[str] = _keys(info, alias, location)
        self.alias: str = self.keys[0]
        self.shape: _Shape = _Shape(info)

    def read(self, source: Source, values: Values, errors: Errors) -> None:
        """Take the first of its names that was sent."""
        key = self.keys[0]
        if len(self.keys) > 1:
            key = next((key for key in self.keys if key in source), key)
        self.field.accept(self.shape.pick(source, key), (self.location.value, key), values, errors)


class ModelReader:
    """Reads a parameter that is a pydantic model of everything in one place: Annotated[Model, Query()]."""

    def __init__(
        self,
        name: str,
        location: Location,
        info: FieldInfo,
        model: type[BaseModel],
        *,
        convert_underscores: bool,
    ) -> None:
        self.name = name
        self.alias: str = name
        self.location = location
        self.field_info = info
        self.field: Field = Field(name, info)
        self.members: list[_Member] = [
            _Member(member, member_info, model, convert_underscores=convert_underscores)
            for member, member_info in model.model_fields.items()
        ]
        self.optional: bool = info.annotation is not model
        self.takes_extras: bool = model.model_config.get("extra") in ("allow", "forbid")
        self.shows_aliases: bool = model.model_config.get("loc_by_alias", True)
        self.own_keys: set[str] = {self._folded(key) for member in self.members for _, key in member.names}

    def read(self, source: Source, values: Values, errors: Errors) -> None:
        """Hand the model what its fields are called and, last, everything nobody asked for."""
        found: dict[str, Any] = {}
        used: set[str] = set()
        renamed: dict[str, str] = {}
        for member in self.members:
            alias, key = member.chosen(source)
            value = member.shape.pick(source, key)
            if value is not MISSING:
                found[alias] = value
            used.add(self._folded(key))
            if self.location is Location.HEADER:
                # The name with underscores is no header; it must not come in as an extra either.
                used.update(self._folded(alias) for alias, key in member.names if alias != key)
                if alias != key:
                    renamed[member.name] = key
        found.update(_extras(source, used))
        if self.optional and not self._is_given(source, found):
            found = MISSING
        faults: Errors = []
        self.field.accept(found, (self.location.value,), values, faults)
        errors += self._renamed(faults, renamed) if self.shows_aliases else faults

    def _folded(self, key: str) -> str:
        return key.lower() if self.location is Location.HEADER else key

    def _is_given(self, source: Source, found: dict[str, Any]) -> bool:
        return not self.own_keys.isdisjoint(source) or (self.takes_extras and bool(found))

    def _renamed(self, faults: Errors, renamed: dict[str, str]) -> Errors:
        for fault in faults:
            place = fault["loc"]
            if len(place) > 1 and place[1] in renamed:
                fault["loc"] = (place[0], renamed[place[1]], *place[2:])
        return faults


class BodyReader:
    """Reads a parameter from the decoded JSON body; on a WebSocket there never is one."""

    location = Location.BODY

    def __init__(self, name: str, info: FieldInfo, alias: str, *, embed: bool) -> None:
        self.field: Field = Field(name, info)
        self.key: str = _keys(info, alias, Location.BODY)[0]
        self.embed = embed

    def read_body(self, body: Any, values: Values, errors: Errors, *, whole: bool) -> None:
        """The whole body, or what stands in it under the parameter's name."""
        if whole:
            self.field.accept(body, ("body",), values, errors)
            return
        value = body.get(self.key, MISSING) if isinstance(body, dict) else MISSING
        self.field.accept(value, ("body", self.key), values, errors)


class _Shape:
    """Whether a parameter is made of one value or of all values of its name."""

    def __init__(self, info: FieldInfo) -> None:
        self.sequence: bool = is_sequence(info.annotation)
        self.listed: bool = self.sequence and not is_json(info)

    def pick(self, source: Source, key: str) -> Any:
        if self.listed and isinstance(source, (ImmutableMultiDict, Headers)):
            return source.getlist(key) or MISSING
        value = source.get(key)
        if value is None or (self.sequence and value == ""):
            return MISSING
        return value


class _Member:
    """One field of a model of parameters: its names, in order of preference."""

    def __init__(self, name: str, info: FieldInfo, model: type[BaseModel], *, convert_underscores: bool) -> None:
        self.name = name
        self.shape = _Shape(info)
        self.names = _names(name, info, model, convert_underscores=convert_underscores)

    def chosen(self, source: Source) -> tuple[str, str]:
        """The name pydantic knows and the name it was sent under."""
        return next((names for names in self.names if names[1] in source), self.names[0])


def is_json(info: FieldInfo) -> bool:
    """Whether the value is JSON text that pydantic decodes itself."""
    return any(type(item) is Json for item in info.metadata)


def _keys(info: FieldInfo, alias: str, location: Location) -> list[str]:
    given = info.validation_alias
    if isinstance(given, str) and given:
        return [given]
    return (location is not Location.PATH and _plain_choices(info)) or [alias]


def _plain_choices(info: FieldInfo) -> list[str]:
    """The alternatives of AliasChoices, where none of them is a path into a value."""
    if not isinstance(info.validation_alias, AliasChoices):
        return []
    choices = info.validation_alias.choices
    names = [choice for choice in choices if isinstance(choice, str)]
    return names if len(names) == len(choices) else []


def _names(name: str, info: FieldInfo, model: type[BaseModel], *, convert_underscores: bool) -> list[tuple[str, str]]:
    def sent(own: str) -> str:
        return own.replace("_", "-") if convert_underscores and own == name else own

    given = info.validation_alias
    alias = given if isinstance(given, str) and given else info.alias or name
    choices = _plain_choices(info)
    if isinstance(given, (AliasPath, AliasChoices)) and not choices:
        return [(alias, sent(alias))]
    names = [(choice, choice) for choice in choices] or [(alias, sent(alias))]
    config = {} if _is_nested(info.annotation) else model.model_config
    if config.get("validate_by_alias") is False:
        return [(name, sent(name))]
    by_name = config.get("validate_by_name", config.get("populate_by_name", False))
    if by_name and name not in [alias for alias, _ in names]:
        names.append((name, sent(name)))
    return names


def _is_nested(annotation: Any) -> bool:
    return is_subclass(annotation, (BaseModel, dict)) or is_dataclass(annotation)


def _extras(source: Source, used: set[str]) -> dict[str, Any]:
    """What was sent beside the model's own fields; a repeated name gives a list."""
    if not isinstance(source, (ImmutableMultiDict, Headers)):
        return {key: value for key, value in source.items() if key not in used}
    grouped: dict[str, list[Any]] = {}
    items = source.items() if isinstance(source, Headers) else source.multi_items()
    for key, value in items:
        if key not in used:
            grouped.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in grouped.items()}
