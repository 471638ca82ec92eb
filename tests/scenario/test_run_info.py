"""`run` says how a scenario was run; mistakes in it are named."""

import pytest

from tests.scenario.test_loading import problems
from wsharness.scenario.loading import loads
from wsharness.scenario.model import RunInfo

WRONG = [
    ("3", "3:6: expected run to be a mapping such as {seed: 7}; got 3"),
    ("{sed: 1}", "3:7: unknown key 'sed'; did you mean 'seed'?"),
    ("{seed: x}", "3:13: expected the seed to be a whole number; got 'x'"),
    ("{seed: true}", "3:13: expected the seed to be a whole number; got True"),
    ("{factory: 1}", "3:16: expected factory to be true or false; got 1"),
    ("{app: [a]}", "3:12: expected text; got a list"),
    ("{schedule: {a: 1}}", "3:18: expected a contested step and which task ran; got 'a': 1"),
    ("{schedule: {'1': x}}", "3:18: expected a contested step and which task ran; got '1': 'x'"),
    ("{lifespan: onn}", "3:17: unknown lifespan 'onn'; did you mean 'on'?"),
    ("{timeout: 2}", "3:16: durations need a unit: 2s"),
    ("{faults: 2}", "3:15: expected faults such as {alice: {latency: 20ms}}; got 2"),
]


@pytest.mark.parametrize(("run", "why"), WRONG, ids=[run for run, _ in WRONG])
def test_what_is_wrong_with_run_is_said_at_its_place(run, why):
    assert problems(f"wsharness: 1\nsteps: []\nrun: {run}", "f") == [f"f:{why}"]


def test_an_empty_run_has_the_defaults_and_a_dollar_means_nothing_there():
    assert loads("wsharness: 1\nsteps: []\nrun: {}")[0].run == RunInfo()
    assert loads("wsharness: 1\nsteps: []\nrun: {app: $(x), faults: null}")[0].run == RunInfo(app="$(x)")
