"""Collects scenario files: every document of a `*.ws.yaml` is a test that runs in simulation."""

from collections.abc import Iterator
from typing import Any

import pytest

from wsharness.errors import ScenarioError, UsageError, WSHarnessError
from wsharness.narration import render_transcript
from wsharness.results import Failure, Result, describe
from wsharness.scenario.loading import load
from wsharness.scenario.model import Scenario
from wsharness.simulation import simulate
from wsharness.targets import load_app
from wsharness_pytest.reporting import set_property
from wsharness_pytest.settings import chosen, settings_of


class ScenarioFailed(Exception):
    """What a scenario showed, as text."""


class ScenarioFile(pytest.File):
    """One `*.ws.yaml`."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each document."""
        try:
            scenarios = load(self.path)
        except ScenarioError as error:
            raise self.CollectError(str(error)) from None
        for number, scenario in enumerate(scenarios, 1):
            yield ScenarioItem.from_parent(self, name=scenario.name or f"scenario {number}", scenario=scenario)


class ScenarioItem(pytest.Item):
    """One scenario."""

    def __init__(self, *, scenario: Scenario, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.scenario = scenario

    def runtest(self) -> None:
        """Run the scenario in simulation; fails on checks too."""
        info, settings = self.scenario.run, settings_of(self)
        name = (info.app if info else None) or chosen(self.config, "ws_app")
        if not name:
            raise UsageError("which app? give --ws-app MODULE:APP, or `ws_app = MODULE:APP` in pytest's settings")
        seed = info.seed if info else settings.seed
        set_property(self, "ws_seed", seed)
        result = simulate(
            self.scenario,
            load_app(name, app_dir=info.app_dir if info else None),
            seed=seed,
            schedule=info.schedule if info else settings.schedule,
            profile=(info.profile if info else None) or settings.profile,
            timeout=settings.timeout,
        )
        self._judge(result, info.expects if info else None)

    def _judge(self, result: Result, expects: str | None) -> None:
        bad = [failure for failure in result.failures if failure.severity == "failure"]
        if expects is not None:
            bad = [failure for failure in result.failures if failure.code == expects]
        if bad:
            raise ScenarioFailed("\n".join(_tell(failure) for failure in bad))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Our own errors are sentences; anything else keeps its traceback."""
        if isinstance(excinfo.value, (ScenarioFailed, WSHarnessError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where the scenario stands."""
        return self.path, None, f"{self.path.name}: {self.name}"


def _tell(failure: Failure) -> str:
    return f"{describe(failure)}\n{render_transcript(failure.transcript, mark=failure.index, last=30)}"
