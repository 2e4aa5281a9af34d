"""Nobody complains of the workflows; and each check complains of a copy in which one thing is wrong."""

from __future__ import annotations

import shutil

import pytest

from tests.pipelines import checks
from tests.pipelines.checks import ROOT

GITHUB = ROOT / ".github"


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_nobody_complains(check):
    assert list(check(GITHUB)) == []


RUN = "run: .github/scripts/smoke.sh"
WRONG = [
    ("zizmor", "workflows/deploy.yml", RUN, "run: echo ${{ inputs.environment }}", "template-injection"),
    ("zizmor", "workflows/ci.yml", "persist-credentials: false", "persist-credentials: true", "artipacked"),
    ("zizmor", "workflows/ci.yml", "pull_request:", "pull_request_target:", "dangerous-triggers"),
    ("zizmor", "workflows/ci.yml", "jobs:", "job:", "no audit was performed"),
    ("shellcheck", "workflows/deploy.yml", RUN, "run: cp $HOME/a b", "deploy.yml apply: -:1:4: note"),
    ("shellcheck", "scripts/ready.sh", 'name "$1"', "name $1", "ready.sh:5"),
    ("shellcheck", "scripts/ready.sh", "done", "doen", "ready.sh"),
    (
        "pinned",
        "workflows/ci.yml",
        "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
        "@v7.0.1",
        "not pinned",
    ),
    ("pinned", "workflows/ci.yml", " # v7.0.1", "", "not pinned"),
    ("limit", "workflows/ci.yml", "    timeout-minutes: 10\n", "", "bicep: has no limit of time"),
    ("limit", "workflows/deploy.yml", "contents: read", "contents: write", "has the rights"),
    ("limit", "workflows/ci.yml", "permissions: {}\n", "", "says nothing of its rights"),
    ("limit", "workflows/ci.yml", "concurrency:", "env:", "twice at once"),
]


@pytest.mark.parametrize(("check", "path", "old", "new", "complaint"), WRONG)
def test_a_check_complains_of_what_is_wrong(check, path, old, new, complaint, tmp_path):
    shutil.copytree(GITHUB, tmp_path / ".github")
    text = (GITHUB / path).read_text()
    assert old in text
    (tmp_path / ".github" / path).write_text(text.replace(old, new, 1))
    (found,) = [each for each in checks.CHECKS if check in each.__name__]
    complaints = list(found(tmp_path / ".github"))
    assert any(complaint in each for each in complaints), complaints
