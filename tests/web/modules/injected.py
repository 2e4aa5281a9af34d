"""Scripts that every page here has before its own: Azure's end of a call, and what the tests call in it."""

from __future__ import annotations

# Azure's end of every call, in the page itself: real WebRTC, no server. `azure` scripts the newest call and
# hears all of them; `azure.calls` has each.
AZURE = r"""(() => {
  const network = window.fetch.bind(window);
  const azure = (window.azure = { calls: [], heard: [], over: false, refuse: 0, hold: null, dark: false });
  azure.say = (event) => azure.calls.at(-1).say(event);
  const gathered = (peer) => new Promise((done) => {
    const check = () => peer.iceGatheringState === "complete" && done();
    peer.onicegatheringstatechange = check;
    check();
  });
  window.fetch = async (url, request) => {
    if (!String(url).startsWith("https://azure.test/")) return network(url, request);
    azure.request = { url, headers: request.headers };
    azure.offer = request.body;
    if (azure.hold) await azure.hold;
    if (azure.refuse) return new Response('{"error":{"message":"no"}}', { status: azure.refuse });
    const peer = (azure.peer = new RTCPeerConnection());
    const call = { peer, heard: [], over: false };
    azure.calls.push(call);
    peer.ondatachannel = ({ channel }) => {
      azure.label = channel.label;
      call.say = (event) => channel.send(JSON.stringify(event));
      channel.onclose = () => (azure.over = call.over = true);
      channel.onmessage = ({ data }) => {
        call.heard.push(JSON.parse(data));
        azure.heard.push(JSON.parse(data));
      };
    };
    const voice = new AudioContext().createMediaStreamDestination().stream;
    peer.addTrack(voice.getAudioTracks()[0], voice);
    await peer.setRemoteDescription({ type: "offer", sdp: request.body });
    await peer.setLocalDescription();
    await gathered(peer);
    const { sdp } = peer.localDescription;
    return new Response(azure.dark ? sdp.replaceAll(/a=candidate:.*\r\n/g, "") : sdp, { status: 201 });
  };
})()"""

TOOLS = """
window.until = async (condition, what = String(condition)) => {
  const deadline = performance.now() + 5000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error("waited in vain for " + what);
    await new Promise((next) => setTimeout(next, 5));
  }
};
window.turn = (id, text = "words of " + id) => ({ turn_id: id, previous_turn_id: null, speaker: "user", text,
  spoken_at: "2026-11-20T08:00:00Z", interrupted: false });
"""
