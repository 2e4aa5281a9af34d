"""Each thing of the browser has one module that touches it."""

from __future__ import annotations

import pytest

from tests.web.modules.services import WEB


@pytest.mark.parametrize(
    ("words", "owners"),
    [
        (["document.", "innerHTML", "querySelector"], "page.js"),
        (["RTCPeerConnection"], "realtime-call.js"),
        (["getUserMedia("], "microphone.js"),
        (["indexedDB", "IDBTransaction"], "stored-turns.js"),
        (["sessionStorage", "localStorage"], "voice-session.js"),
        (["fetch("], "broker.js enrichment.js realtime-call.js"),
        (["sendBeacon("], "enrichment.js"),
        (["navigator.locks", "BroadcastChannel("], "other-tabs.js"),
        (["console.", "eval(", "beforeunload", '"unload"'], ""),
    ],
)
def test_each_thing_of_the_browser_has_one_module(words, owners):
    users = {path.name for path in WEB.glob("*.js") if any(word in path.read_text() for word in words)}
    assert users == set(owners.split())
