"""The workflows as data: their jobs and steps."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from tests.pipelines.checks import ROOT

GITHUB = ROOT / ".github"


@cache
def workflow(name: str) -> dict[str, Any]:
    read: dict[Any, Any] = yaml.safe_load((GITHUB / "workflows" / f"{name}.yml").read_text())
    read["on"] = read.pop(True)  # YAML 1.1 takes the word for a truth
    return read


def steps(name: str, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = workflow(name)["jobs"][job]["steps"]
    return found
