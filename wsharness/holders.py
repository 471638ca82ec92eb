"""Who keeps an object alive, as an expression that reads like the app's own code: `shop.rooms[…].members[…]`."""

import gc
import types
import weakref
from collections import deque
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
