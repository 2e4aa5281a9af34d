"""Each thing of the browser has one module that touches it."""

from __future__ import annotations

import re

import pytest

from tests.web.modules.services import WEB


@pytest.mark.parametrize(
    ("words", "owners"),
    [
        (["RTCPeerConnection"], "realtime-call.js"),
        (["getUserMedia("], "microphone.js"),
        (["indexedDB", "IDBTransaction"], "stored-turns.js"),
        (["sessionStorage", "localStorage"], "tab-storage.js"),
        (["fetch("], "broker.js enrichment.js realtime-call.js"),
        (["sendBeacon("], "enrichment.js"),
        (["navigator.locks", "BroadcastChannel("], "other-tabs.js"),
        (["console.", "eval(", "innerHTML", "insertAdjacentHTML", 'setAttribute("style'], ""),
        (["beforeunload", '"unload"'], ""),
    ],
)
def test_each_thing_of_the_browser_has_few_owners(words, owners):
    assert users_of(words) == set(owners.split())


def test_only_the_modules_of_the_page_touch_its_document():
    users = users_of(["document.", "querySelector", "createElement", "./page-elements.js"])
    assert "page-elements.js" in users
    assert [name for name in users if not re.fullmatch(r"page(-[a-z-]+)?\.js", name)] == []


def test_nothing_of_the_library_imports_the_page():
    pages = [path.name for path in WEB.glob("page*.js")]
    users = users_of([f'"./{name}"' for name in pages if name != "page-words.js"])
    assert users - {*pages} == {"main.js"}


def users_of(words):
    return {path.name for path in WEB.glob("*.js") if any(word in path.read_text() for word in words)}
