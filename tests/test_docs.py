"""Every Python and YAML block of README and docs, run as its reader would run it.

Python blocks of one page are written into one folder and run by one pytest process there. A block that
begins with `# name.py` becomes that file, so blocks of a page can build on each other; others become a test
of their own. An HTML comment before a block changes what is expected of it: `<!-- not run: reason -->`, or
`<!-- fails as below -->` when it must fail and the next `text` block shows lines of the failure, in order,
`...` standing for any others.
"""

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree as ET

import pytest

from wsharness.scenario.loading import loads

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
MARK = re.compile(r"<!-- ((?:not run: |fails).*?) -->\s*$")
FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|yaml))\b")
SETTINGS = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
PLUGIN = ("-p", "wsharness_pytest.plugin", "-p", "no:wsharness")  # installed or not, loaded once


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, what it says, what is expected of it."""

    line: int
    language: str
    text: str
    mark: str = ""
    shown: str = ""
    """The `text` block after it."""

    @property
    def runs(self) -> bool:
        return not self.mark.startswith("not run: ")

    @property
    def fails(self) -> bool:
        return self.mark.startswith("fails")

    @property
    def file_name(self) -> str | None:
        named = FILE_NAME.match(self.text)
        return named[1] if named else None


def blocks_of(page: str) -> list[Block]:
    found: list[Block] = []
    fences = list(FENCE.finditer(page))
    for fence, following in zip_longest(fences, fences[1:]):
        mark = MARK.search(page[: fence.start()])
        shown = following and following["language"] == "text" and dedent(following["text"])
        line = page[: fence.start("text")].count("\n") + 1
        found.append(Block(line, fence["language"], dedent(fence["text"]), mark[1] if mark else "", shown or ""))
    return found


def python_blocks(page: str) -> list[Block]:
    return [block for block in blocks_of(page) if block.language in {"python", "py"} and block.runs]


def scenario_blocks(page: str) -> list[Block]:
    return [
        block
        for block in blocks_of(page)
        if block.language in {"yaml", "yml"} and block.runs and re.match(r"(#.*\n)*wsharness: 1", block.text)
    ]


def is_fixture(node: ast.AST) -> bool:
    return any("fixture" in ast.unparse(decorator) for decorator in getattr(node, "decorator_list", ()))


def is_test(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef):
        return node.name.startswith("Test") or any("TestCase" in ast.unparse(base) for base in node.bases)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")


def place(block: Block) -> str:
    """The file the block becomes: its own name, or one that says what pytest shall do with it."""
    if block.file_name:
        return block.file_name
    body = ast.parse(block.text).body
    if any(map(is_test, body)):
        return f"test_line_{block.line}.py"
    return "conftest.py" if any(map(is_fixture, body)) else f"line_{block.line}.py"


def write(block: Block, folder: Path) -> str:
    """Write the block; return the test module that runs it. Line numbers stay those of the page."""
    path = folder / place(block)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n" * (block.line - 1) + block.text, encoding="utf-8")
    if path.name.startswith("test_") or path.name == "conftest.py":
        return path.stem
    runner = folder / f"test_run_{block.line}.py"
    runner.write_text(
        f"import runpy\ndef test_runs(): runpy.run_path({str(path)!r}, run_name='__main__')\n", encoding="utf-8"
    )
    return runner.stem


def run_pytest(folder: Path) -> tuple[str, dict[str, list[str]]]:
    """What pytest printed, and the failures of each test module that ran."""
    (folder / "pytest.ini").write_text(SETTINGS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", *PLUGIN, "-p", "no:cacheprovider", "--junitxml=junit.xml"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "80", "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", cwd=folder, env=environment, timeout=600, check=False
    )
    outcome: dict[str, list[str]] = {}
    for case in ET.parse(folder / "junit.xml").iter("testcase"):
        module = case.get("classname", "").split(".")[0] or case.get("name", "")
        failures = [problem.text or "" for problem in case if problem.tag in {"failure", "error"}]
        outcome.setdefault(module, []).extend(failures)
    return done.stdout + done.stderr, outcome


def missing_line(shown: str, output: str) -> str | None:
    """The first line the page shows that the output does not have, in this order."""
    rest = iter([line.strip() for line in output.splitlines()])
    expected = [line.strip() for line in shown.splitlines() if line.strip() not in {"", "..."}]
    return next((line for line in expected if line not in rest), None)


def judge(block: Block, failures: list[str] | None, output: str) -> str | None:
    """What is wrong with a block that ran, if anything."""
    if failures is None:
        return "pytest ran nothing of it"
    if not block.fails:
        return "\n".join(failures) or None
    if not failures:
        return "expected it to fail; it passed"
    missing = missing_line(block.shown, output)
    return missing and f"the page shows {missing!r}; the failure does not, in this order:\n{output}"


def problems(page: str, folder: Path) -> list[str]:
    blocks = {write(block, folder): block for block in python_blocks(page)}
    blocks = {module: block for module, block in blocks.items() if module != "conftest"}
    if not blocks:
        return []
    output, outcome = run_pytest(folder)
    judged = [(block.line, judge(block, outcome.get(module), output)) for module, block in blocks.items()]
    return [f"line {line}: {problem}" for line, problem in judged if problem]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    assert problems(page.read_text(encoding="utf-8"), tmp_path) == []


SCENARIOS = [
    pytest.param(page, block, id=f"{page.name}:{block.line}")
    for page in PAGES
    for block in scenario_blocks(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "block"), SCENARIOS)
def test_scenario_blocks_load(page: Path, block: Block) -> None:
    assert loads(block.text, str(page))


@pytest.mark.parametrize(("page", "block"), SCENARIOS)
def test_scenario_blocks_that_name_their_app_run(page: Path, block: Block, tmp_path: Path) -> None:
    if not re.search(r"^run:", block.text, re.MULTILINE):
        return  # loading was the whole claim
    (tmp_path / "page.ws.yaml").write_text(block.text, encoding="utf-8")
    command = [sys.executable, "-m", "wsharness", "run", str(tmp_path / "page.ws.yaml")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT, timeout=600, check=False)
    assert done.returncode == (1 if block.fails else 0), done.stdout + done.stderr
    assert missing_line(block.shown if block.fails else "", done.stdout) is None, done.stdout


def test_the_readme_has_blocks_to_run() -> None:
    assert python_blocks((ROOT / "README.md").read_text(encoding="utf-8"))


PAGE = """
# shown
```python
# shop/main.py
app = 1
```
<!-- not run: it needs a network -->
```python
1 / 0
```
```python
# test_shop.py
from shop.main import app

def test_app():
    assert app == {value}
```
```python
total = {total}
assert total == 1
```
"""


def test_blocks_of_a_page_build_on_each_other(tmp_path: Path) -> None:
    assert problems(PAGE.format(value=1, total=1), tmp_path) == []


def test_a_wrong_block_is_named_by_its_line(tmp_path: Path) -> None:
    first, second = problems(PAGE.format(value=2, total=2), tmp_path)
    assert first.startswith("line 12: ")
    assert "test_shop.py:16: AssertionError" in first
    assert second.startswith("line 19: ")


FAILING = """
<!-- fails as below -->
```python
def test_sum():
    assert 1 + 1 == {total}
```
```text
...
E       assert (1 + 1) == 3
test_line_4.py:5: AssertionError
```
"""


def test_a_block_that_shall_fail_fails_as_the_page_shows(tmp_path: Path) -> None:
    assert problems(FAILING.format(total=3), tmp_path) == []


@pytest.mark.parametrize(("total", "complaint"), [(2, "expected it to fail"), (4, "the page shows 'E ")])
def test_a_block_that_fails_otherwise_is_named(total: int, complaint: str, tmp_path: Path) -> None:
    (problem,) = problems(FAILING.format(total=total), tmp_path)
    assert complaint in problem
