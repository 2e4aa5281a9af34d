"""The page as it is published: the right files, under the policy that the broker would give it."""

from __future__ import annotations

import re

import pytest

from broker.page import page_headers
from broker.wiring import endpoints_of
from tests.bicep.project import ENVIRONMENTS
from tests.bicep.settings import deployed, settings_of, variables_of
from tests.pipelines.published import as_azure_prints, page_script, published

EACH = pytest.mark.parametrize("environment", ENVIRONMENTS)


@EACH
def test_it_has_the_headers_that_the_broker_gives_its_own_page_and_may_talk_to_the_broker_too(
    environment, tmp_path
):
    outcome = deployed(environment)
    broker = settings_of("broker", variables_of(outcome, "broker"))
    told = published(outcome.outputs, tmp_path / "page")["globalHeaders"]
    expected = page_headers([*endpoints_of(broker), broker.enrichment_url, outcome.outputs["brokerUrl"]])
    assert told == expected | {"Strict-Transport-Security": "max-age=31536000"}
    assert told["Content-Security-Policy"].count("azurecontainerapps.io") == 2


def test_it_is_the_page_and_nothing_else_of_the_library(tmp_path):
    published(deployed("test").outputs, tmp_path / "page")
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert {"index.html", "main.js", "style.css", "staticwebapp.config.json"} <= names
    assert {path.suffix for path in (tmp_path / "page").iterdir()} == {".html", ".css", ".js", ".json"}
    assert not names & {
        "package.json",
        "package-lock.json",
        "tsconfig.json",
        "node_modules",
        "types",
        "LICENSE",
    }


def test_what_was_there_before_is_not_published_again(tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "old.js").touch()
    published(deployed("test").outputs, tmp_path / "page")
    assert not (tmp_path / "page" / "old.js").exists()


def test_it_says_where_the_broker_is_and_finds_its_files_from_every_deep_link(tmp_path):
    outputs = deployed("test").outputs
    published(outputs, tmp_path / "page")
    text = (tmp_path / "page" / "index.html").read_text()
    assert f'<meta name="broker" content="{outputs["brokerUrl"]}">' in text
    referred = re.findall(r"<(?:link|script)[^>]* (?:href|src)=\"([^\"]+)\"", text)
    assert [each for each in referred if not each.startswith(("/", "data:"))] == []
    assert {"/main.js", "/style.css", "/panels.css"} <= set(referred)


def test_a_file_that_is_not_there_is_not_answered_with_the_page(tmp_path):
    """A module that came as HTML would be a page that stays blank; a deep link is the page."""
    config = published(deployed("test").outputs, tmp_path / "page")
    (pattern,) = config["navigationFallback"]["exclude"]
    kinds = re.fullmatch(r"/\*\.\{([a-z,]+)\}", pattern)
    assert kinds
    excluded = {f".{kind}" for kind in kinds[1].split(",")}
    assert {path.suffix for path in (tmp_path / "page").iterdir()} <= excluded
    assert config["navigationFallback"]["rewrite"] == "/index.html"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("brokerUrl", "https://broker.example; script-src *"),
        ("brokerUrl", "broker.example"),
        ("ENRICHMENT_URL", "javascript:alert(1)"),
        ("AZURE_VOICELIVE_ENDPOINT", 'https://a"b.example'),
    ],
)
def test_an_output_that_is_no_address_is_refused(name, value, tmp_path):
    outputs = as_azure_prints(deployed("test").outputs | {name: value})
    with pytest.raises(ValueError, match="is no address"):
        page_script().put_together(outputs, tmp_path / "page")


def test_a_page_that_has_changed_under_it_is_refused():
    script = page_script()
    with pytest.raises(ValueError, match="stands 0 times"):
        script.index("<!doctype html>", "https://broker.example")
