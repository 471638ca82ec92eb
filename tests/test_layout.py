"""The house rules that a reader relies on, kept by the build."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("wsharness", "wsharness_pytest")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
CODE = sorted([*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
MAX_FILE = 600
MAX_FUNCTION = 50


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


APP = (
    "tests/app/test_parity.py",
    "applications declarations decorators dependencies exception_handlers exceptions fields "
    "inclusion params routers routing security solving",
)
TESTED_IN = {
    **{f"wsharness/app/{part}.py": APP[0] for part in APP[1].split()},
    **{
        f"wsharness/app/{part}.py": "tests/app/test_reexports.py"
        for part in "background datastructures requests responses staticfiles testclient middleware/__init__ "
        "middleware/cors middleware/gzip middleware/httpsredirect middleware/trustedhost security/utils".split()
    },
    **{
        f"wsharness/app/security/{part}.py": "tests/app/test_security.py"
        for part in ("__init__", "api_key", "base", "http", "oauth2", "open_id_connect_url")
    },
    "wsharness/answering.py": "tests/test_fidelity.py",
    "wsharness/closing.py": "tests/test_fidelity.py",
    "wsharness/codes.py": "tests/test_checks.py",
    "wsharness/endpoint.py": "tests/test_fidelity.py",
    "wsharness/deployed.py": "tests/test_wire.py",
    "wsharness/frames.py": "tests/test_fidelity.py",
    "wsharness/inprocess.py": "tests/test_harness.py",
    "wsharness/probes.py": "tests/test_simulation.py",
    "wsharness/profiles.py": "tests/test_fidelity.py",
    "wsharness/scenario/loading.py": "tests/test_patterns.py",
    "wsharness/scenario/nodes.py": "tests/test_plugin.py",
    "wsharness/scenario/run_info.py": "tests/scenario/test_model.py",
    "wsharness/scenario/steps.py": "tests/scenario/test_model.py",
    "wsharness/scenario/values.py": "tests/scenario/test_model.py",
    "wsharness/scenario/writing.py": "tests/scenario/test_model.py",
    "wsharness/scope.py": "tests/test_fidelity.py",
    "wsharness/server.py": "tests/test_fidelity.py",
    "wsharness/shapes.py": "tests/test_fidelity.py",
    "wsharness/stopping.py": "tests/test_loop.py",
    "wsharness/watchdog.py": "tests/test_loop.py",
}
"""Modules that are parts of one behaviour, and the file that tests it."""


NAMED_BY_FASTAPI = {"wsharness/app/security/utils.py"}
"""Modules whose names code that moves over imports."""


def own_test(module: Path) -> Path:
    """wsharness/x.py is tested by tests/test_x.py, wsharness/scenario/y.py by tests/scenario/test_y.py."""
    inside = module.relative_to(ROOT).relative_to(module.relative_to(ROOT).parts[0])
    return ROOT / "tests" / inside.with_name(f"test_{module.stem.strip('_')}.py")


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in CODE}


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, encoding="utf-8", cwd=ROOT, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def imported_by(statement: str, *suspects: str) -> set[str]:
    """Which of the suspects a fresh interpreter has imported after the statement."""
    code = f"import sys; {statement}; print(*(name for name in {suspects!r} if name in sys.modules))"
    return set(python("-c", code).split())


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 10


def test_a_module_says_in_one_line_what_it_is(trees: dict[Path, ast.Module]) -> None:
    wrong = {name(module): said for module in MODULES if (said := wrong_docstring(trees[module]))}
    assert not wrong


def wrong_docstring(module: ast.Module) -> str:
    docstring = ast.get_docstring(module)
    if not docstring:
        return "the module has no docstring"
    first, _, rest = docstring.partition("\n")
    if not first.strip():
        return "the docstring begins with an empty line"
    return "the docstring's first sentence takes more than its first line" if rest and rest[0] != "\n" else ""


def test_a_module_has_its_own_test_file() -> None:
    missing = {name(module): name(own_test(module)) for module in MODULES if not is_tested(module)}
    assert not missing


def is_tested(module: Path) -> bool:
    elsewhere = TESTED_IN.get(name(module))
    here = module.stem == "__init__" or own_test(module).exists()
    return here or (elsewhere is not None and (ROOT / elsewhere).exists())


def test_text_has_the_same_encoding_on_every_machine(trees: dict[Path, ast.Module]) -> None:
    wrong = [f"{name(path)}:{node.lineno}" for path in CODE for node in ast.walk(trees[path]) if is_local(node)]
    assert not wrong, "give encoding='utf-8': else it is whatever the machine's language has"


def is_local(call: ast.AST) -> bool:
    """Whether it reads or writes text in the machine's encoding."""
    if not isinstance(call, ast.Call):
        return False
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    texts = {"read_text": not call.args, "write_text": len(call.args) == 1}
    opens = isinstance(call.func, ast.Name) and called == "open" and "b'" not in ast.unparse(call)
    return "encoding" not in given and (texts.get(called, opens) or given.get("text") == "True")


def test_files_and_functions_stay_short(trees: dict[Path, ast.Module]) -> None:
    long = {
        name(path): lines for path in CODE if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE
    }
    long |= {
        f"{name(path)}: {node.name}": length(node)
        for path, tree in trees.items()
        for node in functions(tree)
        if length(node) > MAX_FUNCTION
    }
    assert not long


def test_folders_say_what_is_in_them() -> None:
    vague = {"utils", "core", "common", "helpers", "misc"}
    names = (path.relative_to(ROOT) for path in CODE if name(path) not in NAMED_BY_FASTAPI)
    assert [str(path) for path in names if vague & {*path.with_suffix("").parts}] == []


def test_import_wsharness_is_light() -> None:
    heavy = ("hypothesis", "pytest", "websockets", "faker", "time_machine", "typer", "rich", "trio")
    assert imported_by("import wsharness", *heavy) == set()


def test_pytest_starts_without_wsharness() -> None:
    assert imported_by("import wsharness_pytest.plugin", "wsharness", "hypothesis", "ruamel.yaml") == set()


def test_pytest_does_not_import_wsharness_where_it_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\ndef test(): assert 'wsharness' not in sys.modules\n", encoding="utf-8"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    plugin = ("-p", "wsharness_pytest.plugin", "-p", "no:wsharness")
    assert "1 passed" in python("-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, str(tmp_path))


def test_the_page_on_architecture_shows_the_layers_that_the_build_keeps() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    modules = {path.stem for path in (ROOT / "wsharness").iterdir()}
    kept = ([name.strip(" ()") for name in layer.split("|")] for layer in layers)
    shown = (" | ".join(name for name in names if name in modules) for names in kept)
    assert "```text\n" + "\n".join(line for line in shown if line) + "\n```" in (
        ROOT / "docs/architecture.md"
    ).read_text(encoding="utf-8")
