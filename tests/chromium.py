"""Finds the Chromium that the browser tests drive, and installs one where that is possible.

``python -m tests.chromium`` is what ``make test`` runs first: a machine without a browser must get one
or fail here with a sentence, never skip the tests that need it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

# headless-shell first: half the memory and start time of the full browser, and it calls no host by itself.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Playwright appends these to its own; a --disable-features here would silently replace Playwright's list.
FLAGS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--no-pings",
]


def executable() -> str:
    """The path of a Chromium on PATH, else Playwright's own. Raises LookupError when there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    if path := _playwrights_own():
        return path
    raise LookupError("no Chromium found: install one (Debian: apt-get install chromium-headless-shell)")


def _playwrights_own() -> str | None:
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> None:
    """Ask Playwright for its browser, then the distribution when we are root on Debian."""
    print("No Chromium here yet; trying to install one ...", flush=True)
    asked = [[sys.executable, "-m", "playwright", "install", "--no-shell", "chromium"]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        asked.append(["apt-get", "update"])
        asked.append(["apt-get", "install", "-y", "--no-install-recommends", "chromium-headless-shell"])
    for command in asked:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        print(f"  {' '.join(command[-4:])}: {'done' if done.returncode == 0 else 'failed'}", flush=True)
        if done.returncode == 0 and command[-1] != "update" and _found():
            return


def _found() -> bool:
    try:
        executable()
    except LookupError:
        return False
    return True


if __name__ == "__main__":
    if not _found():
        install()
    try:
        print(f"Browser tests use {executable()}")
    except LookupError as exc:
        sys.exit(str(exc))
