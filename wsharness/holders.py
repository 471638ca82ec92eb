"""Who keeps an object alive, as an expression that reads like the app's own code: `shop.rooms[…].members[…]`."""

import asyncio
import functools
import gc
import inspect
import types
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

DEPTH = 12  # holders that are looked at, from the object outwards
ITEM = "[…]"  # which item differs from run to run, and says nothing
_CONTAINERS = (list, dict, set, frozenset, tuple, deque)
_SUSPENDED = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)
_PREFIXES = ("cr", "gi", "ag")


def path_to(target: Any, app: Any = None) -> str:
    """What keeps an object alive, from the app on if it does; the empty text where nothing is found."""
    gc.unfreeze()  # frozen objects, all that a forked run began with, would not be named as holders
    steps: list[str] = []
    root, where = "", ""
    held, seen = target, {id(target)}
    for _ in range(DEPTH):
        holder = _holder(held, seen)
        if holder is None:
            break
        found = _root(holder, held, seen)
        if found is not None:
            root, where = found
            break
        steps.append(_step(holder, held))
        if holder is app:
            root = "app"
            break
        root = type(holder).__qualname__
        seen.add(id(holder))
        held = holder
    while steps and (not steps[0] or steps[0].startswith("._")):
        del steps[0]  # what other people's classes do inside says nothing
    return root + "".join(reversed(steps)) + where


def _holder(target: Any, seen: set[int]) -> Any:
    """The first holder that says most: a module's variable, else a container or an object, else what runs."""
    skipped = (types.FrameType, weakref.ref)
    holders = [one for one in gc.get_referrers(target) if id(one) not in seen and not isinstance(one, skipped)]
    return min(holders, key=_rank, default=None)


def _rank(holder: Any) -> int:
    if _is_module(holder):
        return 0
    return 2 if isinstance(holder, (types.MethodType, types.CellType, types.FunctionType, *_SUSPENDED)) else 1


def _is_module(holder: Any) -> bool:
    return isinstance(holder, types.ModuleType) or (type(holder) is dict and "__name__" in holder)


def _root(holder: Any, held: Any, seen: set[int]) -> tuple[str, str] | None:
    """The variable at which a way ends, and where that is; None if the way goes on."""
    if _is_module(holder):
        names = holder if type(holder) is dict else vars(holder)
        return f"{names['__name__']}.{_key(names, held)}", ""
    if isinstance(holder, _SUSPENDED):
        frame = next(filter(None, (getattr(holder, f"{prefix}_frame", None) for prefix in _PREFIXES)), None)
        return _key(frame.f_locals if frame else {}, held) or "a call", f" in {_short(holder)}"
    if isinstance(holder, types.FunctionType):
        variables = zip(holder.__code__.co_freevars, holder.__closure__ or (), strict=True)
        return next((name for name, cell in variables if id(cell) in seen), "a value"), f" in {_short(holder)}"
    return None


def _step(holder: Any, held: Any) -> str:
    """How one gets from the holder to what it holds."""
    if type(holder) is dict and _is_namespace(holder):
        return f".{_key(holder, held)}"
    if isinstance(holder, tuple) and all(type(one) is types.CellType for one in holder):
        return ""  # a function's variables
    if isinstance(holder, _CONTAINERS):
        return ITEM
    key = _key(getattr(holder, "__dict__", {}), held) or _slot(holder, held)
    return f".{key}" if key else ""


def _is_namespace(names: dict[Any, Any]) -> bool:
    owners = gc.get_referrers(names)
    return any(getattr(owner, "__dict__", None) is names or isinstance(owner, type) for owner in owners)


def _key(names: Any, held: Any) -> str | None:
    return next((key for key, value in list(names.items()) if value is held and isinstance(key, str)), None)


def _slot(holder: Any, held: Any) -> str | None:
    names = (name for kind in type(holder).__mro__ for name in getattr(kind, "__slots__", ()))
    return next((name for name in names if getattr(holder, name, None) is held), None)


def _short(function: Any) -> str:
    return str(function.__qualname__.replace(".<locals>", ""))


MOST = 10_000  # objects that are looked at, on the way from a coroutine


def leads_to(coroutine: Any, target: Any) -> bool:
    """Whether what a coroutine was given leads to an object, by attributes and by variables of functions alone.

    What stands in lists, sets and dictionaries belongs to many; what a loop has taken from them, too.
    """
    ways, seen = [coroutine], {id(coroutine)}
    while ways and len(seen) < MOST:
        for one in _given(ways.pop()):
            if one is target:
                return True
            if id(one) not in seen and not issubclass(type(one), _SHARED):
                seen.add(id(one))
                ways.append(one)
    return False


_SHARED = (type, types.ModuleType, asyncio.AbstractEventLoop, *_CONTAINERS)


def _given(one: Any) -> Iterable[Any]:
    """What a coroutine or function has from outside; what an object has as attributes."""
    kind = type(one)
    if kind is types.CoroutineType:
        frame = one.cr_frame
        return () if frame is None else _arguments(frame)
    if kind is types.FunctionType:
        return [cell.cell_contents for cell in one.__closure__ or () if cell != _EMPTY_CELL]
    if kind is types.MethodType:
        return one.__self__, one.__func__
    if kind is functools.partial:
        return one.func, *one.args, *one.keywords.values()
    return [*gc.get_referents(one), *_attributes(one).values()]


def _attributes(one: Any) -> dict[str, Any]:
    """An object's own attributes, without a look at what its class makes of them: some ask a database."""
    places = (vars(kind).get("__dict__") for kind in type(one).__mro__)
    place = next((place for place in places if isinstance(place, types.GetSetDescriptorType)), None)
    return {} if place is None else place.__get__(one)


_EMPTY_CELL = types.CellType()


def _arguments(frame: types.FrameType) -> list[Any]:
    """The values of a frame's arguments, of several alike each, and of what it has from functions around it."""
    values = frame.f_locals
    found = list(_arguments_in(frame.f_code, values))
    if type(values) is dict:
        values.clear()  # before Python 3.13 the frame keeps this copy, and all that is in it
    return found


def _arguments_in(code: types.CodeType, values: Mapping[str, Any]) -> Iterator[Any]:
    count = code.co_argcount + code.co_kwonlyargcount
    yield from (values[name] for name in (*code.co_varnames[:count], *code.co_freevars) if name in values)
    several = code.co_varnames[count : count + bool(code.co_flags & inspect.CO_VARARGS)]
    named = code.co_varnames[count + len(several) :][: bool(code.co_flags & inspect.CO_VARKEYWORDS)]
    yield from (one for name in several for one in values.get(name, ()))
    yield from (one for name in named for one in values.get(name, {}).values())
