"""Fixtures for every suite."""

from __future__ import annotations

import logging
import ssl
from functools import cache

import aiohttp
import httpx
import pytest
import respx
import structlog
from hypothesis import HealthCheck, settings
from multidict import CIMultiDict

from tests.local.processes import SETTINGS

# The same examples each time, however slow the machine: what a change breaks is seen with that change.
# To look for new ones: pytest --hypothesis-profile default
settings.register_profile(
    "gate", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gate")

# Workers take whole files, in this order. A long one taken last would keep one core busy and the other idle.
LONGEST_FIRST = (
    "tests/web/test_trouble.py",
    "tests/test_chaos.py",
    "tests/web/test_call.py",
    "tests/web/test_survival.py",
    "tests/web/modules/test_calls_that_cross.py",
    "tests/test_soak_browser.py",
    "tests/web/modules/test_moving.py",
    "tests/attacks/test_identity.py",
    "tests/attacks/test_leaving.py",
    "tests/enrichment/test_outbox_postgres.py",
)


# What structlog does by default but for tracebacks in boxes and colours, each of which takes 0.4 s.
PLAIN = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
)


def pytest_collection_modifyitems(items):
    items.sort(
        key=lambda item: (
            LONGEST_FIRST.index(name) if (name := file_of(item)) in LONGEST_FIRST else len(LONGEST_FIRST)
        )
    )


def file_of(item):
    return item.nodeid.partition("::")[0]


class Answered:
    """What our code uses of an aiohttp response, out of one that respx made."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = CIMultiDict(response.headers.multi_items())
        self.content = self
        self._body = response.content

    async def iter_any(self):
        yield self._body

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        self._body = b""


def as_aiohttp_has_it(error: httpx.TransportError) -> Exception:
    if isinstance(error, httpx.TimeoutException):
        return aiohttp.SocketTimeoutError()
    return aiohttp.ClientConnectionError()


@pytest.fixture
def respx_mock(monkeypatch):
    """Upstreams answered in process: whatever our services send goes to the router instead of a socket.

    respx knows httpx, which enrichment uses; the broker's aiohttp is led to it here.
    """
    with respx.mock(assert_all_called=False) as router:

        async def request(_session, method, url, *, headers, data, **_options):
            try:
                answer = await router.async_handler(
                    httpx.Request(method, str(url), headers=headers, content=data)
                )
            except httpx.TransportError as exc:
                raise as_aiohttp_has_it(exc) from exc
            return Answered(answer)

        monkeypatch.setattr(aiohttp.ClientSession, "_request", request)
        yield router


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    structlog.configure(processors=[*PLAIN])
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once():
    """Every HTTP client of a test would read all authorities of this machine again, which takes 20 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield
