"""Each thing of the browser has one module that touches it."""

from __future__ import annotations

import pytest

from tests.web.modules.services import WEB


@pytest.mark.parametrize(
    ("words", "owner"),
    [
        (["document.", "innerHTML", "querySelector"], "page.js"),
        (["RTCPeerConnection"], "realtime-call.js"),
        (["getUserMedia("], "microphone.js"),
        (["indexedDB", "IDBTransaction"], "transcript-outbox.js"),
        (["sessionStorage", "localStorage"], "tab-storage.js"),
        (["console.", "eval("], None),
    ],
)
def test_each_thing_of_the_browser_has_one_module(words, owner):
    users = {path.name for path in WEB.glob("*.js") if any(word in path.read_text() for word in words)}
    assert users == ({owner} if owner else set())
