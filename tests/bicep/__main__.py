"""``python -m tests.bicep``: what is wrong with ``bicep/``, as far as it shows without the compiler."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.bicep.checks import CHECKS
from tests.bicep.project import ENVIRONMENTS, Files, parsed
from tests.bicep.settings import complaints
from tests.bicep.shapes import SHAPES, unknown
from tests.bicep.shells import shell
from tests.bicep.tokens import NotBicep
from tests.bicep.working_out import Resource, worked_out


def problems(files: Files) -> Iterator[str]:
    """Of the files, then, when they hold together, of each environment that they make."""
    found = [each for check in CHECKS for each in check(files)]
    yield from found
    for environment in [] if found else ENVIRONMENTS:
        yield from (f"{environment}: {each}" for each in complaints(files, environment))
        for resource in worked_out(files, environment, shell()).resources:
            yield from (f"{environment}: {each}" for each in parts_of_nothing(resource))


def parts_of_nothing(resource: Resource) -> Iterator[str]:
    if resource.type in SHAPES and not resource.is_existing:
        for name in unknown(resource.type, "properties", resource.body.get("properties", {})):
            yield f"{resource.type} has no {name}"


def main() -> int:
    try:
        found = list(problems(parsed()))
    except NotBicep as exc:
        found = [str(exc)]
    print("\n".join(found or ["bicep: nothing is wrong that can be seen without the compiler"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
