"""What the annotations of a function say: its signature resolved, and which types are simple values."""

import dataclasses
import inspect
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel

from wsharness.app.calls import unwrapped
from wsharness.app.exceptions import AnnotationError, DependencyError

_SEQUENCES = (Sequence, list, tuple, set, frozenset, deque)


def signature_of(call: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of something callable, with forward references resolved."""
    try:
        return list(inspect.signature(call, eval_str=True).parameters.values())
    except NameError:
        # Often only the return type is imported for type checkers alone, and nobody needs that.
        parameters = inspect.signature(call).parameters.values()
        return [_resolved(parameter, call) for parameter in parameters]
    except (TypeError, ValueError) as error:
        raise DependencyError(f"expected a function, class or other callable with a signature; got {call!r}") from error


def _resolved(parameter: inspect.Parameter, call: Callable[..., Any]) -> inspect.Parameter:
    if not isinstance(parameter.annotation, str):
        return parameter
    try:
        annotation = eval(parameter.annotation, _namespace(call))  # noqa: S307 (the application's own source)
    except NameError as error:
        raise AnnotationError(
            f"cannot resolve the annotation {parameter.annotation!r} of parameter {parameter.name!r}"
            f" of {call!r}: {error}; import the name at run time, not under TYPE_CHECKING alone"
        ) from error
    return parameter.replace(annotation=annotation)


def _namespace(call: Callable[..., Any]) -> dict[str, Any]:
    """The names of the module where the function, or the class of the object, was written."""
    module = sys.modules.get(getattr(unwrapped(call), "__module__", ""))
    return {} if module is None else vars(module)


def unaliased(annotation: Any) -> Any:
    """The annotation behind a `type` statement."""
    return getattr(annotation, "__value__", annotation)


def is_subclass(annotation: Any, classes: type | tuple[type, ...]) -> TypeGuard[type]:
    """Whether the annotation is a class and one of these."""
    return isinstance(annotation, type) and issubclass(annotation, classes)


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model that is annotated, or annotated as optional."""
    if _is_union(annotation):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == len(get_args(annotation)) - 1 == 1:
            annotation = members[0]
    return annotation if is_subclass(annotation, BaseModel) else None


def is_sequence(annotation: Any) -> bool:
    """Whether several values of one name make up the parameter."""
    if get_origin(annotation) is Annotated:
        return is_sequence(get_args(annotation)[0])
    if _is_union(annotation):
        return any(is_sequence(member) for member in get_args(annotation))
    return _is_sequence_class(annotation) or _is_sequence_class(get_origin(annotation))


def is_scalar(annotation: Any) -> bool:
    """Whether one string can stand for it: no model, mapping, sequence or dataclass."""
    if annotation is Ellipsis:  # as in tuple[int, ...]
        return True
    origin = get_origin(annotation)
    if origin is Annotated:
        return is_scalar(get_args(annotation)[0])
    if _is_union(annotation):
        return all(is_scalar(member) for member in get_args(annotation))
    return not (
        _is_complex_class(annotation)
        or _is_complex_class(origin)
        or hasattr(origin, "__pydantic_core_schema__")
        or hasattr(origin, "__get_pydantic_core_schema__")
    )


def is_scalar_sequence(annotation: Any) -> bool:
    """Whether it is a sequence of such simple values."""
    if get_origin(annotation) is Annotated:
        return is_scalar_sequence(get_args(annotation)[0])
    if _is_union(annotation):
        members = get_args(annotation)
        sequences = [is_scalar_sequence(member) for member in members]
        return any(sequences) and all(
            sequence or is_scalar(member) for sequence, member in zip(sequences, members, strict=True)
        )
    return is_sequence(annotation) and all(is_scalar(member) for member in get_args(annotation))


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _is_sequence_class(annotation: Any) -> bool:
    return is_subclass(annotation, _SEQUENCES) and not issubclass(annotation, (str, bytes))


def _is_complex_class(annotation: Any) -> bool:
    return (
        is_subclass(annotation, (BaseModel, Mapping))
        or _is_sequence_class(annotation)
        or dataclasses.is_dataclass(annotation)
    )
