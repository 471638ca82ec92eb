"""What one parameter of a signature declares: a dependency, or where its value is read."""

import inspect
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from wsharness.app.annotations import is_scalar, is_scalar_sequence, model_of, unaliased
from wsharness.app.exceptions import DeclarationError
from wsharness.app.fields import MISSING, BodyReader, ModelReader, ValueReader, is_json
from wsharness.app.params import Dependency, Location, Param

_NO_DEFAULT = inspect.Parameter.empty


@dataclass
class Declaration:
    """One parameter: its name, type, default, and what Annotated or the default say of it."""

    name: str
    annotation: Any
    type: Any
    default: Any
    in_path: set[str]
    dependency: Dependency | None = None
    param: Param | None = None
    annotated: bool = False

    @property
    def has_default(self) -> bool:
        """Whether the function can be called without it."""
        return self.default is not _NO_DEFAULT

    def reader(self) -> ValueReader | ModelReader | BodyReader:
        """What reads this parameter from the connection."""
        if self.param is None:
            location, info = self._inferred()
            convert, embed = False, None
        else:
            location, info = self.param.location, self._declared(self.param)
            convert, embed = self.param.convert_underscores, self.param.embed
        self._check_location(location)
        alias = info.alias or (self.name.replace("_", "-") if convert else self.name)
        if location is Location.BODY:
            return BodyReader(self.name, info, alias, embed=bool(embed))
        model = model_of(info.annotation)
        self._check_type(location, info, is_model=model is not None)
        if location is Location.PATH and model is not info.annotation:
            model = None  # a path that may be missing is no path
        if model is not None and not is_json(info):
            return ModelReader(self.name, location, info, model, convert_underscores=convert)
        if location is Location.PATH:
            self._choose_alias(info)
        return ValueReader(self.name, location, info, alias)

    def _declared(self, param: Param) -> FieldInfo:
        """What Query() and the like say, with everything else Annotated holds."""
        if not self.annotated:
            info = copy(param.info)
            info.annotation = self.type
            return info
        if param.info.default is not MISSING:
            raise DeclarationError(
                f"parameter {self.name!r} has its default inside Annotated;"
                f" write it behind: {self.name}: Annotated[...] = {param.info.default!r}"
            )
        if self.has_default and self.name in self.in_path:
            raise DeclarationError(
                f"parameter {self.name!r} is part of the path and always there; leave its default out"
            )
        info = self._merged()
        info.default = self.default if self.has_default else MISSING
        if self.has_default and info.default_factory is not None:
            raise TypeError(f"parameter {self.name!r} has a default and a default_factory; leave one of them out")
        return info

    def _inferred(self) -> tuple[Location, FieldInfo]:
        """Where a parameter without a marker is read: path by name, query if simple, else the body."""
        info = self._merged()
        if self.name in self.in_path:
            info.default, info.default_factory = MISSING, None
            return Location.PATH, info
        info.default = self.default if self.has_default else MISSING
        return Location.QUERY if is_scalar(self.type) else Location.BODY, info

    def _merged(self) -> FieldInfo:
        if get_origin(self.annotation) is not Annotated:
            return FieldInfo.from_annotation(self.annotation)
        first, *metadata = get_args(self.annotation)
        kept = [item.info if isinstance(item, Param) else item for item in metadata if not isinstance(item, Dependency)]
        return copy(FieldInfo.from_annotation(Annotated[(first, *kept)]))

    def _check_location(self, location: Location) -> None:
        if self.name in self.in_path and location is not Location.PATH:
            raise DeclarationError(
                f"parameter {self.name!r} is part of the path; got {location.value.title()}():"
                " write Path(), or give the parameter another name"
            )

    def _check_type(self, location: Location, info: FieldInfo, *, is_model: bool) -> None:
        annotation = info.annotation
        if self.name in self.in_path and (is_model or not is_scalar(annotation)):
            raise DeclarationError(
                f"path parameter {self.name!r} is one string; got the type {annotation!r}:"
                " annotate str, int, an Enum or the like"
            )
        if location is Location.QUERY and not (is_model or is_scalar(annotation) or is_scalar_sequence(annotation)):
            raise DeclarationError(
                f"query parameter {self.name!r} is one or several strings; got the type {annotation!r}:"
                " annotate a simple type, a list of one, or a pydantic model"
            )

    def _choose_alias(self, info: FieldInfo) -> None:
        """Of several names for a path parameter, the one the path has."""
        choices = info.validation_alias
        if not isinstance(choices, AliasChoices):
            return
        if all(isinstance(choice, str) for choice in choices.choices):
            for choice in choices.choices:
                if choice in self.in_path:
                    info.validation_alias = choice
                    return


def declaration_of(parameter: inspect.Parameter, in_path: set[str]) -> Declaration:
    """What this parameter declares; `in_path` are the names its route's path has."""
    annotation = Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
    annotation = unaliased(annotation)
    annotated = get_origin(annotation) is Annotated
    declaration = Declaration(
        name=parameter.name,
        annotation=annotation,
        type=get_args(annotation)[0] if annotated else annotation,
        default=parameter.default,
        in_path=in_path,
    )
    if annotated:
        _read_annotated(declaration, get_args(annotation)[1:])
    _read_default(declaration)
    return declaration


def _read_annotated(declaration: Declaration, metadata: tuple[Any, ...]) -> None:
    markers = [item for item in metadata if isinstance(item, (Param, Dependency))]
    if not markers:
        return
    declaration.annotated = True
    if isinstance(markers[-1], Param):
        declaration.param = markers[-1]
    else:
        declaration.dependency = markers[-1]


def _read_default(declaration: Declaration) -> None:
    default = declaration.default
    if isinstance(default, FieldInfo):
        raise DeclarationError(
            f"parameter {declaration.name!r} has pydantic's Field() as its default;"
            " say where it is read: Query(), Path(), Header(), Cookie() or Body()"
        )
    if not isinstance(default, (Param, Dependency)):
        return
    if declaration.annotated:
        raise DeclarationError(
            f"parameter {declaration.name!r} is declared twice, in Annotated and as {default!r}; leave one of them out"
        )
    declaration.default = _NO_DEFAULT
    if isinstance(default, Param):
        declaration.param = default
    else:
        declaration.dependency = default
