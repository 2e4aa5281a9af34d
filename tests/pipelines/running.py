"""Runs a job of a workflow as GitHub would, as far as ours go: its shell is real, what that calls is not.

Known are steps in order, outputs, variables of workflow, job and step, and the one condition that is used.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.pipelines.checks import PROGRAMS, ROOT
from tests.pipelines.workflows import workflow

MADE_UP = Path(__file__).parent / "azure"
AFTER_FAILURE = "(failure() || cancelled()) && steps.before.outcome == 'success'"


@dataclass
class GitHub:
    """One run of a workflow in ``folder``; ``says`` is what Azure and the internet answer, by name."""

    folder: Path
    says: dict[str, Any]
    values: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)
    printed: str = ""

    def __post_init__(self) -> None:
        for name in ("bicep", ".github", "web", "Dockerfile"):
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / "says").write_text("".join(f"{name}={text}\n" for name, text in self.says.items()))
        (self.folder / "asked").touch()

    def job(self, name: str, job: str) -> bool:
        """Whether it succeeded."""
        read = workflow(name)
        body = read["jobs"][job]
        outcomes: dict[str, bool] = {}
        has_failed = False
        for step in body["steps"]:
            if self._is_due(step, outcomes, has_failed):
                variables = read.get("env", {}) | body.get("env", {}) | step.get("env", {})
                worked = self._step(step, variables)
                outcomes[step.get("id", "")] = worked
                has_failed = has_failed or not worked
        for output, text in body.get("outputs", {}).items():
            self.outputs[f"needs.{job}.outputs.{output}"] = self._filled(text)
        return not has_failed

    def _is_due(self, step: dict[str, Any], outcomes: dict[str, bool], has_failed: bool) -> bool:
        if "if" not in step:
            return not has_failed
        assert step["if"] == AFTER_FAILURE
        return has_failed and outcomes.get("before", False)

    def _step(self, step: dict[str, Any], variables: dict[str, str]) -> bool:
        if "uses" in step:
            given = " ".join(self._filled(str(text)) for text in step.get("with", {}).values())
            with (self.folder / "asked").open("a") as asked:
                asked.write(f"{step['uses'].partition('@')[0]} {given}\n")
            return True
        told = subprocess.run(
            ["bash", "-e", "-c", self._filled(step["run"])],
            cwd=self.folder,
            env=self._environment({name: self._filled(text) for name, text in variables.items()}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.printed += told.stdout
        written = (self.folder / "output").read_text().splitlines() if "id" in step else []
        for line in written:
            name, _, value = line.partition("=")
            self.outputs[f"steps.{step['id']}.outputs.{name}"] = value
        return told.returncode == 0

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        (self.folder / "output").write_text("")
        return {
            "PATH": os.pathsep.join([str(MADE_UP), str(PROGRAMS), os.environ["PATH"]]),
            "ASKED": str(self.folder / "asked"),
            "SAYS": str(self.folder / "says"),
            "RUNNER_TEMP": str(self.folder),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_SHA": "0a1b2c",
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": "us/voicelive",
            "PAUSE_S": "0",
            "TRIES": "2",
        } | variables

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: self._value(found[1]), text)

    def _value(self, name: str) -> str:
        return self.outputs.get(name, self.values.get(name, ""))

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text()
