"""wsharness.app itself: the names FastAPI users import, and nothing of FastAPI or the harness behind them."""

import subprocess
import sys

import fastapi
import fastapi.security

import wsharness.app
import wsharness.app.security

NOT_HERE = {"File", "Form", "UploadFile"}


def test_every_websocket_name_of_fastapi_is_there() -> None:
    theirs = {name for name in vars(fastapi) if name[0].isupper()} - NOT_HERE
    assert theirs <= set(wsharness.app.__all__)
    assert {name for name in wsharness.app.__all__ if not hasattr(wsharness.app, name)} == set()


def test_every_security_scheme_of_fastapi_is_there() -> None:
    theirs = {name for name in vars(fastapi.security) if name[0].isupper()}
    ours = {name for name in vars(wsharness.app.security) if name[0].isupper()}
    assert theirs - ours == {"OAuth2PasswordRequestForm", "OAuth2PasswordRequestFormStrict"}


def test_it_needs_neither_fastapi_nor_the_harness() -> None:
    code = (
        "import sys, types\n"
        "import wsharness\n"
        "before = set(sys.modules)\n"
        "import wsharness.app.security\n"
        "new = {name for name in set(sys.modules) - before if name.startswith(('wsharness', 'fastapi'))}\n"
        "print(sorted(name for name in new if not name.startswith('wsharness.app')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.stdout == "[]\n", done.stderr
