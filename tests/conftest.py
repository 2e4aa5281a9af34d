"""Fixtures for every suite."""

from __future__ import annotations

import logging

import pytest
import respx
import structlog
from httpx_aiohttp import AiohttpTransport

from tests.local.processes import SETTINGS


@pytest.fixture
def respx_mock(monkeypatch):
    """Upstreams answered in process: whatever our services send goes to the router instead of a socket."""
    with respx.mock(assert_all_called=False) as router:

        async def handle(_transport, request):
            return await router.async_handler(request)

        monkeypatch.setattr(AiohttpTransport, "handle_async_request", handle)
        yield router


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
