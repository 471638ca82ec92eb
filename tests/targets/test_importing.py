"""MODULE:APP is found, or one sentence says why not and what to write."""

import os
import re
import socket
import sys

import pytest

from wsharness.errors import TargetError
from wsharness.targets import load_app, load_object

APP = "async def app(scope, receive, send):\n    pass\n"


@pytest.fixture(autouse=True)
def forget_modules(monkeypatch, tmp_path):
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("shop"):
            del sys.modules[name]


def write(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__', os.sep)}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, encoding="utf-8")


def test_an_app_in_the_current_folder_is_found(tmp_path):
    write(tmp_path, shop=APP)
    assert load_app("shop:app").__name__ == "app"


def test_an_app_in_a_package_below_app_dir_is_found_by_its_dotted_name(tmp_path):
    write(tmp_path / "src", shop__init=APP, shop__main=APP + "class holder:\n    inner = app\n")
    assert load_app("shop.main:holder.inner", app_dir="src").__name__ == "app"


def test_a_factory_is_called(tmp_path):
    write(tmp_path, shop=APP + "def make():\n    return app\n")
    assert load_app("shop:make", factory=True).__name__ == "app"


SERVES = "\n\nimport uvicorn\nuvicorn.run(app, port=0, log_level='critical')\n"
BROKEN = [
    ("shop", {}, "expected MODULE:APP such as shop.main:app; got 'shop'"),
    ("shop/main.py", {}, "got 'shop/main.py'; did you mean 'shop.main:app'?"),
    ("shop/main.py:api", {}, "did you mean 'shop.main:api'?"),
    (":app", {}, "expected MODULE:APP"),
    ("ws://127.0.0.1:8000", {}, "; a deployed server is tested with wsharness run FILES --target ws://127.0.0.1:8000"),
    ("shop:", {}, "expected MODULE:APP"),
    ("shopp:app", {"shop": APP}, "no module named 'shopp'; did you mean 'shop'?"),
    ("shop.mian:app", {"shop__main": APP}, "no module named 'shop.mian'; did you mean 'shop.main'?"),
    ("nowhere_at_all:app", {}, "no module named 'nowhere_at_all'; give the folder it is in with --app-dir"),
    ("shop:app", {"shop": "x = 1\nimport not_installed"}, "ModuleNotFoundError: No module named 'not_installed' at"),
    ("shop:app", {"shop": "def f():\n    raise KeyError('k')\nf()\n"}, "'shop' raised KeyError: 'k' at "),
    ("shop:app", {"shop": "import json\njson.loads('{')\n"}, "shop.py:2"),
    ("shop:app", {"shop": APP + SERVES}, "starts a server at "),
    ("shop:app", {"shop": "def f(:\n"}, "importing 'shop' raised SyntaxError: "),
    ("shop:app", {"shop": "import sys\nsys.exit(3)\n"}, "importing 'shop' raised SystemExit: 3 at "),
    ("shop:ap", {"shop": APP}, "module 'shop' has no attribute 'ap'; did you mean 'app'?"),
    ("shop:app", {"shop": APP.replace("app", "service")}, "has no attribute 'app'; did you mean 'service'?"),
    ("shop:app", {"shop": "x = 1\n"}, "module 'shop' has no attribute 'app'"),
    ("shop:app", {"shop": "app = 3\n"}, "expected shop:app to be an ASGI app, which is a callable; got 3"),
    (
        "shop:app",
        {"shop": "def app():\n    pass\n"},
        "shop:app is a function without arguments; if it makes the app, add --factory",
    ),
]


@pytest.mark.parametrize(("target", "files", "why"), BROKEN, ids=map(str, range(len(BROKEN))))
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, target, files, why):
    write(tmp_path, **files)
    with pytest.raises(TargetError, match=re.escape(why)) as caught:
        load_app(target)
    assert "\n" not in str(caught.value)


def test_a_free_port_may_be_looked_for_in_an_import(tmp_path):
    write(tmp_path, shop=APP + "import socket\nwith socket.socket() as one:\n    one.bind(('127.0.0.1', 0))\n")
    load_app("shop:app")
    assert "bind" not in vars(socket.socket)


def test_a_package_that_stands_before_the_one_that_is_meant_is_named(tmp_path):
    write(tmp_path, shop__init=APP, other__shop__main=APP)
    (tmp_path / "shop" / "__init__.py").touch()
    with pytest.raises(TargetError, match=re.escape(f"; 'shop' is the package in {tmp_path / 'shop'}")):
        load_app("shop.nothing_like_it:app", app_dir="other")


def test_the_place_where_an_import_raises_is_the_users_own(tmp_path):
    write(tmp_path, shop="import json\n\njson.loads('{')\n")
    with pytest.raises(TargetError, match=re.escape(f"at {tmp_path / 'shop.py'}:3")):
        load_app("shop:app")


BROKEN_FACTORIES = [
    ("app", "shop:app is an app and no factory; leave out --factory"),
    ("x", "expected shop:x to be a function that makes the app; got 1"),
    ("fails", "the factory shop:fails raised ValueError: no database at"),
    ("nothing", "expected what the factory shop:nothing returned to be an ASGI app, which is a callable; got None"),
    ("later", "got a coroutine; make the factory a plain function"),
]


@pytest.mark.parametrize(("name", "why"), BROKEN_FACTORIES, ids=[name for name, _ in BROKEN_FACTORIES])
def test_what_is_wrong_with_a_factory_is_said(tmp_path, name, why):
    text = "x = 1\ndef fails():\n    raise ValueError('no database')\n"
    write(tmp_path, shop=APP + text + "def nothing():\n    pass\nasync def later():\n    pass\n")
    with pytest.raises(TargetError, match=re.escape(why)):
        load_app(f"shop:{name}", factory=True)


def test_several_apps_are_named(tmp_path):
    write(tmp_path, shop=APP.replace("app", "first") + APP.replace("app", "second"))
    with pytest.raises(TargetError, match="the apps there are 'first', 'second'"):
        load_app("shop:xyz")


def test_an_app_dir_that_is_no_folder_is_named(tmp_path):
    with pytest.raises(TargetError, match="expected --app-dir to be a folder; got 'nowhere'"):
        load_app("shop:app", app_dir="nowhere")


def test_any_object_can_be_loaded(tmp_path):
    write(tmp_path, shop="EXAMPLES = [1]\n")
    assert load_object("shop:EXAMPLES") == [1]
    with pytest.raises(TargetError, match="expected MODULE:NAME such as shop.messages:Say; got 'shop'"):
        load_object("shop")
