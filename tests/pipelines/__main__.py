"""``python -m tests.pipelines``: what is wrong with ``.github/``, without GitHub."""

from __future__ import annotations

import sys

from tests.pipelines.checks import CHECKS, ROOT


def main() -> int:
    found = [each for check in CHECKS for each in check(ROOT / ".github")]
    print("\n".join(found or ["workflows: zizmor and shellcheck find nothing"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
