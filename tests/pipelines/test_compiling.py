"""Every file goes through the compiler. This machine has none: one that is made up says what it would get."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.bicep.project import sources
from tests.pipelines.checks import ROOT
from tests.pipelines.running import MADE_UP


def compiled(folder, **variables):
    told = subprocess.run(
        [ROOT / ".github/scripts/bicep.sh"],
        cwd=ROOT,
        env={
            "PATH": f"{MADE_UP}{os.pathsep}{os.environ['PATH']}",
            "ASKED": str(folder / "asked"),
            **variables,
        },
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return told.returncode, (folder / "asked").read_text().splitlines()


def test_every_module_is_built_and_linted_and_every_parameter_file_built_with_its_variables(tmp_path):
    code, asked = compiled(tmp_path)
    assert code == 0
    for path in sources():
        if path.endswith(".bicep"):
            assert {f"build bicep/{path} image=", f"lint bicep/{path} image="} <= set(asked)
        else:
            assert f"build-params bicep/{path} image=https://made-up.invalid" in asked


@pytest.mark.parametrize(
    "faulty",
    ["build bicep/main.bicep", "lint bicep/modules/app.bicep", "build-params bicep/env/test.bicepparam"],
)
def test_one_that_is_faulty_is_enough(faulty, tmp_path):
    assert compiled(tmp_path, FAULTY=faulty)[0] == 1
