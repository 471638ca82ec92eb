"""MODULE:APP and factories: the app that somebody named, or one sentence about why there is none."""

import asyncio
import contextlib
import difflib
import importlib
import inspect
import logging
import os
import pkgutil
import socket
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from wsharness.asgi import App
from wsharness.errors import TargetError


def load_app(target: str, *, app_dir: str | None = None, factory: bool = False) -> App:
    """Import MODULE:APP, `app_dir` and the current folder on the path; TargetError says what is wrong."""
    found = load_object(target, app_dir=app_dir, form="MODULE:APP such as shop.main:app")
    if factory:
        return _check(_made(found, target), f"what the factory {target} returned")
    if _takes_nothing(found):
        raise TargetError(f"{target} is a function without arguments; if it makes the app, add --factory")
    return _check(found, target)


def load_object(target: str, *, app_dir: str | None = None, form: str = "MODULE:NAME such as shop.messages:Say") -> Any:
    """Import MODULE:NAME, as `load_app` does; `form` is what the error for another form says is expected."""
    module_name, _, name = target.partition(":")
    if (
        not module_name
        or not name
        or module_name.startswith(".")
        or ".." in target
        or _is_path(module_name)
        or "//" in name
    ):
        raise TargetError(f"expected {form}; got {target!r}{_as_module(target)}")
    _extend_path(app_dir)
    return _attribute(_import(module_name), name)


def load_module(name: str, *, app_dir: str | None = None) -> ModuleType:
    """Import a module, or a file such as `shop/checks.py`, for what it registers; TargetError says why not."""
    _extend_path(app_dir)
    return _import(_module_name(name))


def _is_path(module: str) -> bool:
    return "/" in module or module.endswith(".py")


def _as_module(target: str) -> str:
    """What a path such as `shop/main.py:app` would be called, or `shop.main.app`; what is done with a URL."""
    if "://" in target:
        return f"; a deployed server is tested with wsharness run FILES --target {target}"
    path, colon, name = target.partition(":")
    module, folder = _module_name(path), ""
    parent, dot, last = module.rpartition(".")
    if not colon and dot and Path(f"{parent.replace('.', '/')}.py").is_file():
        module, name = parent, last
    elif not module.replace(".", "").isidentifier():
        module, folder = _module_name(Path(path).name), f" with --app-dir {str(Path(path).parent)!r}"
    if not module.replace(".", "").isidentifier():
        return ""
    return f"; did you mean '{module}:{name or 'app'}'{folder}?"


def _module_name(path: str) -> str:
    return path.removesuffix(".py").strip("./").replace("/", ".")


def _extend_path(app_dir: str | None) -> None:
    if app_dir is not None and not Path(app_dir).is_dir():
        raise TargetError(f"expected --app-dir to be a folder; got {app_dir!r}")
    folders = [str(Path(folder).resolve()) for folder in (app_dir, os.curdir) if folder is not None]
    sys.path[:0] = [folder for folder in dict.fromkeys(folders) if folder not in sys.path]


# Importing


def _import(name: str) -> ModuleType:
    try:
        with _without_server():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise TargetError(_not_found(name, error.name)) from None
        raise TargetError(_import_failed(name, error)) from error
    except KeyboardInterrupt:
        raise
    except _ServerStarted as error:
        why = f"importing {name!r} starts a server{_place(error)}; put that under `if __name__ == '__main__':`"
        raise TargetError(why) from None
    except BaseException as error:  # an import may even call sys.exit()
        raise TargetError(_import_failed(name, error)) from error


class _ServerStarted(Exception):
    """A module serves while it is imported."""


@contextlib.contextmanager
def _without_server() -> Iterator[None]:
    """Refuse an address to whatever runs on an event loop: an import that serves would never end."""
    bind, disabled = socket.socket.bind, logging.root.manager.disable

    def refuse(one: Any, address: Any) -> None:
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 (the public one raises)
            logging.disable()  # the server would tell of its end at length
            raise _ServerStarted
        bind(one, address)

    socket.socket.bind = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        del socket.socket.bind  # what is left is the inherited one
        logging.disable(disabled)


def _not_found(name: str, missing: str) -> str:
    parent, _, last = missing.rpartition(".")
    near = difflib.get_close_matches(last, _modules_in(parent), 1)
    if not near:
        found = next(iter(getattr(sys.modules.get(parent), "__path__", ())), None)
        which = (
            f"; {parent!r} is the package in {found}"
            if found
            else "; give the folder it is in with --app-dir, or as `pythonpath` to pytest"
        )
        return f"no module named {missing!r}{which}"
    right = f"{parent}.{near[0]}" if parent else near[0]
    return f"no module named {missing!r}; did you mean {right + name[len(missing) :]!r}?"


def _modules_in(package: str) -> list[str]:
    """The modules of a package, or those of the current folders."""
    if not package:
        folders = [entry for entry in sys.path if "-packages" not in entry and not entry.startswith(sys.base_prefix)]
    else:
        folders = list(getattr(sys.modules.get(package), "__path__", ()))
    return [found.name for found in pkgutil.iter_modules(folders)]


def _import_failed(name: str, error: BaseException) -> str:
    what = f"importing {name!r} raised {type(error).__name__}: "
    if isinstance(error, SyntaxError):
        return what + error.msg + (f" at {error.filename}:{error.lineno}" if error.filename else "")
    return what + _in_one_line(error) + _place(error)


def _in_one_line(error: BaseException) -> str:
    """What an exception says; pydantic says it in many lines."""
    return " ".join(str(error).split())


def _place(error: BaseException) -> str:
    """Where the user's own code raised: the innermost frame outside installed packages and ourselves."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_user_code(frame.filename)]
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


_OURS = str(Path(__file__).parent.parent)
_STANDARD = str(Path(os.__file__).parent)


def _is_user_code(file: str) -> bool:
    installed = "site-packages" in file or "dist-packages" in file
    return Path(file).is_absolute() and not (installed or file.startswith((_OURS, _STANDARD)))


# The object


def _attribute(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise TargetError(f"{_described(found)} has no attribute {part!r}{_alternatives(found, module, part)}")
        found = getattr(found, part)
    return found


def _described(found: Any) -> str:
    return f"module {found.__name__!r}" if isinstance(found, ModuleType) else repr(found)


def _alternatives(found: Any, module: ModuleType, part: str) -> str:
    near = difflib.get_close_matches(part, [name for name in dir(found) if not name.startswith("_")], 1)
    apps = _apps_in(module)
    if near and (near[0] in apps or not apps):
        return f"; did you mean {near[0]!r}?"
    if len(apps) == 1:
        return f"; did you mean {apps[0]!r}?"
    return f"; the apps there are {', '.join(map(repr, apps))}" if apps else ""


def _apps_in(module: ModuleType) -> list[str]:
    """The names of what looks like an ASGI app."""
    return [name for name, value in _public(module) if _looks_like_app(value)]


def _public(module: ModuleType) -> Iterable[tuple[str, Any]]:
    return ((name, value) for name, value in vars(module).items() if not name.startswith("_"))


def _looks_like_app(value: Any) -> bool:
    if isinstance(value, type) or not callable(value):
        return False
    call = value if inspect.isroutine(value) else type(value).__call__
    return _arguments(call)[-3:] == ["scope", "receive", "send"]


def _arguments(call: Any) -> list[str]:
    try:
        return list(inspect.signature(call).parameters)
    except (TypeError, ValueError):
        return []


def _takes_nothing(found: Any) -> bool:
    return inspect.isfunction(found) and not _arguments(found)


def _made(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise TargetError(f"expected {target} to be a function that makes the app; got {factory!r}")
    if _looks_like_app(factory):
        raise TargetError(f"{target} is an app and no factory; leave out --factory")
    try:
        return factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # it may even call sys.exit()
        sentence = f"the factory {target} raised {type(error).__name__}: {_in_one_line(error)}"
        raise TargetError(sentence + _place(error)) from error


def _check(found: Any, what: str) -> App:
    if inspect.isawaitable(found):
        getattr(found, "close", lambda: None)()
        raise TargetError(f"expected {what} to be an ASGI app; got a coroutine; make the factory a plain function")
    if isinstance(found, type) and not hasattr(found, "__await__"):
        raise TargetError(f"expected {what} to be an ASGI app; got a class; name what is made of it, or add --factory")
    if isinstance(found, ModuleType) or not callable(found):
        raise TargetError(f"expected {what} to be an ASGI app, which is a callable; got {found!r}")
    return found  # type: ignore[no-any-return]
