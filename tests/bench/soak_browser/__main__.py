"""``python -m tests.bench.soak_browser``, which is ``make soak-browser``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import structlog

from tests.bench.report import finish
from tests.bench.soak_browser.bars import LEAST_ENDS, SHORT_ENDS, bars_of, rows
from tests.bench.soak_browser.soak import Size, Soaked, soak


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.soak_browser",
        description="Whether what a page has stored reaches memory once and in order, whatever ends it.",
    )
    parser.add_argument("--short", action="store_true", help=f"{SHORT_ENDS} ends; about a minute")
    parser.add_argument("--ends", type=int, help=f"how many (default: {LEAST_ENDS})")
    parser.add_argument("--seed", type=int, default=1, help="of ends, moments and texts (default: 1)")
    return parser.parse_args()


def report(soaked: Soaked, *, seed: int, is_whole: bool) -> int:
    print(f"Seed {seed}, {soaked.seconds:.0f} s, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}.")
    told = ", ".join(f"{name} {count}" for name, count in sorted(soaked.seen.items()))
    print(f"Enrichment and the proxy: {told}. Answers cut short and remembered so: {soaked.interrupted}.\n")
    stored = {str(row["end"]): float(str(row["turns stored"])) for row in rows(soaked)}
    details = {"seed": seed, **asdict(soaked)}
    bars = bars_of(soaked, is_whole=is_whole)
    return finish("soak-browser", rows(soaked), bars, stored, "turns stored", details)


def main() -> int:
    given = arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    is_whole = not (given.short or given.ends)
    size = Size(ends=given.ends or (SHORT_ENDS if given.short else LEAST_ENDS))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        soaked = asyncio.run(soak(size, given.seed, Path(folder)))
    return report(soaked, seed=given.seed, is_whole=is_whole)


if __name__ == "__main__":
    sys.exit(main())
