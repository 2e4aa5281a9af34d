"""What must hold of ``.github/``. Each check answers with its complaints of a folder like it; none is good.

zizmor knows what is unsafe in a workflow, shellcheck what is wrong in shell, also in that of a ``run:``. The
wheels of both have the programs inside. Neither says that an action's version stands beside its SHA, and that
a job has a limit of time.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
OTHER_SHELL = (ROOT / ".ci" / "run", *sorted((Path(__file__).parent / "azure").iterdir()))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+\.\d+)?")


def zizmor_finds_nothing(github: Path) -> Iterator[str]:
    """Of all that it knows. Without ``--strict-collection`` it passes over a file that it cannot read."""
    options = ["--offline", "--no-progress", "--quiet", "--persona", "auditor", "--strict-collection"]
    command = [PROGRAMS / "zizmor", *options, github / "workflows"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        yield f"zizmor: {told.stdout}{told.stderr}"


def shellcheck_finds_nothing(github: Path) -> Iterator[str]:
    scripts = [*sorted((github / "scripts").glob("*.sh")), *OTHER_SHELL]
    yield from (f"shellcheck: {each}" for each in shellcheck(*scripts))
    for path in sorted((github / "workflows").glob("*.yml")):
        for job, step in steps_of(path):
            if "run" in step:
                shell = re.sub(r"\$\{\{.*?\}\}", "put-in-by-github", step["run"])
                told = shellcheck("-", "--shell", "bash", "--exclude", "SC2148", text=shell)
                yield from (f"{path.name} {job}: {each}" for each in told)


def shellcheck(*arguments: str | Path, text: str | None = None) -> list[str]:
    command = [PROGRAMS / "shellcheck", "--format", "gcc"]
    told = subprocess.run([*command, *arguments], input=text, capture_output=True, text=True, check=False)
    if told.returncode > 1:
        return [told.stderr]
    return told.stdout.splitlines()


def actions_are_pinned(github: Path) -> Iterator[str]:
    for path in sorted((github / "workflows").glob("*.yml")):
        for line in path.read_text().splitlines():
            _, uses, action = line.partition("uses: ")
            if uses and not PINNED.fullmatch(action):
                yield f"{path.name}: {action} is not pinned by a SHA with its version beside it"


def jobs_have_a_limit_and_few_rights(github: Path) -> Iterator[str]:
    for path in sorted((github / "workflows").glob("*.yml")):
        read = yaml.safe_load(path.read_text())
        if read.get("permissions") != {}:
            yield f"{path.name}: a job that says nothing of its rights has some"
        if "concurrency" not in read:
            yield f"{path.name}: may run twice at once"
        for name, job in read["jobs"].items():
            rights = set(job.get("permissions", {}).items())
            if not rights <= {("contents", "read"), ("id-token", "write")}:
                yield f"{path.name} {name}: has the rights {sorted(rights)}"
            if "timeout-minutes" not in job:
                yield f"{path.name} {name}: has no limit of time"


def steps_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in yaml.safe_load(path.read_text())["jobs"].items():
        yield from ((name, step) for step in job["steps"])


CHECKS = (
    zizmor_finds_nothing,
    shellcheck_finds_nothing,
    actions_are_pinned,
    jobs_have_a_limit_and_few_rights,
)
