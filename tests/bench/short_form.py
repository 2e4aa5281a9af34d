"""A bench in its short form, run by a test as an operator runs it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.local.processes import ROOT

WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How it ended, what it printed, and the bars of its JSON."""

    code: int | None
    printed: str
    bars: list[dict[str, Any]]


async def short_form(module: str, name: str, folder: Path, *arguments: str) -> Ran:
    """``python -m MODULE --short`` in ``folder``, which is killed with the test. ``name`` is of its JSON."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, "--short", *arguments),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    bars = json.loads((folder / ".bench" / f"{name}.json").read_text())["bars"]
    return Ran(process.returncode, printed.decode(), bars)
