"""Options, ini values and marks: which comes first, and what is refused."""

import pytest

from tests.nested import run as run
from wsharness_pytest import reporting

SHOWS = """
async def test_x(ws, request):
    print(f"profile={ws.profile.name} timeout={ws.timeout:g}")
    assert 0
"""


@pytest.mark.parametrize(
    ("mark", "options", "shown"),
    [
        ("", [], "profile=uvicorn timeout=1"),
        ("", ["-o", "ws_profile=daphne", "-o", "ws_timeout=2"], "profile=daphne timeout=2"),
        ("", ["-o", "ws_profile=daphne", "--ws-profile=hypercorn", "--ws-timeout=3"], "profile=hypercorn timeout=3"),
        ("@pytest.mark.ws_profile('granian')", ["--ws-profile=hypercorn"], "profile=granian"),
        ("@pytest.mark.ws_profile(name='granian')", [], "profile=granian"),
        ("@pytest.mark.simulated(profile='daphne')", ["--ws-profile=hypercorn"], "profile=daphne"),
        ("@pytest.mark.simulated", ["--ws-seed=8"], "pytest test_it.py::test_x --ws-seed 8\n"),
        ("@pytest.mark.simulated(seed=7)", ["--ws-seed=8"], "pytest test_it.py::test_x --ws-seed 7\n"),
        (
            "@pytest.mark.simulated(schedule='random')",
            ["--ws-schedule=pct:3", "--ws-profile=daphne"],
            "pytest test_it.py::test_x --ws-seed 0 --ws-schedule random --ws-profile daphne\n",
        ),
        ("@pytest.mark.simulated", ["--ws-schedule=pct:3"], "--ws-seed 0 --ws-schedule pct:3\n"),
    ],
)
def test_marks_come_before_options_and_options_before_ini(mark, options, shown, run):
    assert shown in run(f"import pytest\n{mark}{SHOWS}", *options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--ws-seed=x"], "--ws-seed: expected a whole number as seed; got 'x'"),
        (["--ws-timeout=soon"], "--ws-timeout: expected seconds above 0, such as 2.5; got 'soon'"),
        (["-o", "ws_timeout=-1"], "ws_timeout: expected seconds above 0, such as 2.5; got '-1'"),
        (["--ws-timeout=inf"], "expected seconds above 0"),
        (["--ws-profile=hypercron"], "--ws-profile: unknown profile 'hypercron'; did you mean 'hypercorn'?"),
        (["-o", "ws_profile=hypercron"], "ws_profile: unknown profile 'hypercron'"),
        (["--ws-schedule=lifo"], "--ws-schedule: "),
        (["--ws-transcripts=conftest.py"], "--ws-transcripts: expected a folder; got 'conftest.py'"),
    ],
)
def test_a_bad_option_is_a_usage_error(options, sentence, run):
    out = run("def test_x(): pass", *options)
    assert "ERROR: " in out and sentence in out and "Traceback" not in out, out


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        ("simulated(7)", "simulated takes seed=, schedule= and profile=; got 7"),
        ("simulated(sede=7)", "got sede"),
        ("simulated(seed='x')", "expected a whole number as seed; got 'x'"),
        ("simulated(seed=True)", "expected a whole number as seed; got True"),
        ("simulated(schedule='lifo')", "lifo"),
        ("simulated(profile=3)", "expected the name of a profile, such as 'uvicorn'; got 3"),
        ("ws_profile()", 'ws_profile takes one name, as in ws_profile("hypercorn")'),
        ("ws_profile('a', 'b')", "ws_profile takes one name"),
        ("ws_profile(nmae='daphne')", "ws_profile takes one name"),
        ("ws_profile('hypercron')", "unknown profile 'hypercron'; did you mean 'hypercorn'?"),
    ],
)
def test_a_bad_mark_is_a_sentence(mark, sentence, run):
    reporting.hide_own_frames()  # as a test before this one has
    out = run(f"import pytest\n@pytest.mark.{mark}\nasync def test_x(ws):\n    pass\n")
    assert sentence in out and "1 error" in out and "settings.py" not in out, out
    assert "entries are hidden" not in out and "another exception" not in out, out


def test_help_has_every_option(run):
    out = run("", "--help")
    for option in ("--ws-app", "--ws-profile", "--ws-timeout", "--ws-seed", "--ws-schedule", "--ws-transcripts"):
        assert f"{option}=" in out
    for value in ("ws_app (string)", "ws_profile (string)", "ws_timeout (string)"):
        assert value in out
