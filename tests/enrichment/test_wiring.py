"""Which memory the settings choose, and what they must say for it."""

from __future__ import annotations

import sys

import pytest
from pydantic import ValidationError

from broker.edge.startup import mistakes
from enrichment.app import create_app
from enrichment.wiring import memory_of
from tests.enrichment.build import settings
from tests.local.stack import Plan
from tests.running import running

URL = "http://zep.example.org"
SECRET = "a-very-secret-key"
ZEP = {"zep_api_url": URL, "zep_api_key": SECRET}


def refusal(tmp_path, **changed):
    """Every mistake, as the process prints them before it ends."""
    with pytest.raises(ValidationError) as caught:
        settings(tmp_path, **changed)
    return mistakes(caught.value)


@pytest.mark.parametrize(
    ("backend", "given"), [("embedded", {}), ("zep", ZEP), ("zep-cloud", {"zep_api_key": SECRET})]
)
async def test_the_backend_that_is_named_is_opened(tmp_path, backend, given):
    async with memory_of(settings(tmp_path, memory_backend=backend, **given)) as memory:
        assert memory.name == backend


async def test_what_is_opened_is_closed(tmp_path):
    async with memory_of(settings(tmp_path, memory_backend="zep", **ZEP)) as memory:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await memory.recall("p", None, limit=1)


def test_who_does_not_choose_zep_cloud_needs_not_have_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zep_cloud", None)
    monkeypatch.setattr("enrichment.settings.find_spec", lambda _name: None)
    assert settings(tmp_path).memory_backend == "embedded"
    (line,) = refusal(tmp_path, memory_backend="zep-cloud", zep_api_key=SECRET)
    assert line.startswith("MEMORY_BACKEND: zep-cloud needs the extra")


def test_zep_needs_an_address_and_a_key_and_says_so_at_once(tmp_path):
    assert refusal(tmp_path, memory_backend="zep") == [
        "ZEP_API_URL: required with MEMORY_BACKEND=zep",
        "ZEP_API_KEY: required with MEMORY_BACKEND=zep",
    ]
    assert refusal(tmp_path, memory_backend="zep-cloud") == [
        "ZEP_API_KEY: required with MEMORY_BACKEND=zep-cloud"
    ]


@pytest.mark.parametrize(
    "url", ["zep.example.org", f"http://u:{SECRET}@zep.example.org", "ftp://zep.example.org"]
)
def test_an_address_that_is_none_is_refused_and_not_shown(tmp_path, url):
    (line,) = refusal(tmp_path, memory_backend="zep", zep_api_url=url, zep_api_key=SECRET)
    assert line.startswith("ZEP_API_URL: must be")
    assert SECRET not in line


@pytest.mark.parametrize("key", ["two words", "a\nheader", "ключ", " "])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(tmp_path, key):
    (line,) = refusal(tmp_path, memory_backend="zep", zep_api_url=URL, zep_api_key=key)
    assert line == "ZEP_API_KEY: must be one word of visible ASCII: it is sent in a header"


def test_the_path_that_the_sdk_adds_may_be_given(tmp_path):
    given = ZEP | {"zep_api_url": f"{URL}/api/v2/"}
    assert settings(tmp_path, memory_backend="zep", **given).zep_api_url == URL


def test_no_key_is_shown_with_the_settings(tmp_path):
    assert SECRET not in repr(settings(tmp_path, memory_backend="zep", **ZEP))


def test_a_local_system_with_an_address_of_zep_remembers_in_zep(tmp_path):
    def backend(**given):
        plan = Plan(tmp_path, settings=given)
        (enrichment,) = [each for each in plan.services() if each.name == "enrichment"]
        return enrichment.environment["MEMORY_BACKEND"]

    assert backend() == "embedded"
    assert backend(ZEP_API_URL=URL) == "zep"
    assert backend(ZEP_API_URL=URL, MEMORY_BACKEND="zep-cloud") == "zep-cloud"


async def test_the_service_remembers_where_the_settings_say(tmp_path):
    async with running(create_app(settings(tmp_path, memory_backend="zep", **ZEP))) as client:
        assert '"zep"' in (await client.get("/status")).text
