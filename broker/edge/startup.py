"""Starting a service: bad settings end it with one message that lists every mistake and no value."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import uvicorn
from pydantic import ValidationError
from starlette.types import ASGIApp

EXIT_CONFIG = os.EX_CONFIG if hasattr(os, "EX_CONFIG") else 78
KEEP_ALIVE_S = 75  # longer than the idle time of the proxies in front, so that they never reuse a dead socket

Settings = TypeVar("Settings")


def settings_or_exit(service: str, read: Callable[[], Settings]) -> Settings:
    """What ``read`` gives; exits with 78 and the whole list of mistakes when the settings do not hold."""
    try:
        return read()
    except ValidationError as exc:
        _refuse(f"{service} cannot start with these settings:", mistakes(exc))


def mistakes(exc: ValidationError) -> list[str]:
    """One line for each setting that is wrong, by the name of its environment variable."""
    lines = []
    for error in exc.errors(include_url=False, include_input=False, include_context=False):
        name = str(error["loc"][0]).upper() if error["loc"] else ""
        text = error["msg"].removeprefix("Value error, ")
        lines += [f"{name}: {text}"] if name else text.split("; ")
    return lines


def serve(app: ASGIApp, *, host: str, port: int) -> None:
    """Run until SIGINT or SIGTERM; what is being answered then is answered first."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=10,
    )


def _refuse(headline: str, lines: list[str]) -> NoReturn:
    print("\n".join([headline, *(f"  - {line}" for line in lines)]), file=sys.stderr)  # noqa: T201 - before logs exist
    sys.exit(EXIT_CONFIG)
