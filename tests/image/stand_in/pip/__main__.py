"""``python -m pip --python VENV install … --require-hashes --only-binary :all: -r LOCK``, without a network.

Takes the packages of the lock from the folder where pip itself has installed them for these tests, by their
hashes. Any other version, or any other way to call pip, ends the build. Pip itself takes 13 s of CPU for it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

INSTALLED = "/tmp/installed"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True, type=Path)
    parser.add_argument("install", choices=["install"])
    parser.add_argument("--no-cache-dir", action="store_true")
    parser.add_argument("--require-hashes", action="store_true", required=True)
    parser.add_argument("--only-binary", choices=[":all:"], required=True)
    parser.add_argument("-r", dest="lock", required=True, type=Path)
    asked = parser.parse_args()
    sys.path.append(INSTALLED)  # for packaging
    (target,) = (asked.python / "lib").glob("python3*/site-packages")
    there = {_name(each.metadata["Name"]): each for each in distributions(path=[INSTALLED])}
    wanted = []
    for name, version in pinned(asked.lock.read_text()):
        found = there.get(_name(name))
        if found is None or found.version != version:
            sys.exit(f"{name}=={version} is not what these tests have; they have {found and found.version}")
        wanted.append(found)
    _copied(wanted, target)


def pinned(lock: str) -> list[tuple[str, str]]:
    """Name and version of each line that is meant for this machine. Exits where a line has no hash."""
    from packaging.requirements import Requirement

    wanted = []
    for line in re.sub(r"\\\n", " ", lock).splitlines():
        what, *hashes = line.split(" --hash=sha256:")
        if not hashes:
            sys.exit(f"no hash: {line}")
        asked = Requirement(what.strip())
        if asked.marker is None or asked.marker.evaluate():
            (pin,) = asked.specifier
            wanted.append((asked.name, pin.version))
    return wanted


def _copied(found: Iterable[Distribution], target: Path) -> None:
    """Their files, without programs, which nothing here calls."""
    files = [str(path) for each in found for path in each.files or () if ".." not in path.parts]
    words = ["xargs", "-0", "cp", "--parents", "--preserve=mode,timestamps", "-t", str(target)]
    subprocess.run(words, input="\0".join(files), cwd=INSTALLED, text=True, check=True)


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
