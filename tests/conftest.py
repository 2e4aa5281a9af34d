"""Fixtures for every suite."""

from __future__ import annotations

import logging

import pytest
import respx
import structlog

from tests.local.processes import SETTINGS


@pytest.fixture
def respx_mock():
    """Upstreams answered in process, whatever the transport; the app under test is let through.

    ``using="httpx"`` patches the client and not httpcore, because ours runs over aiohttp.
    """
    with respx.mock(using="httpx", assert_all_called=False) as router:
        router.route(host="test").pass_through()
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
