"""What a client sends to the simulator's two routes."""

KEY = {"api-key": "simulator-key"}
MINT = "/openai/v1/realtime/client_secrets"
CALLS = "/openai/v1/realtime/calls"
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"


def session(**fields):
    return {"session": {"type": "realtime", "model": "gpt-realtime", **fields}}


async def offered(azure, token, sdp=OFFER, query=""):
    """The reply to an SDP offer that comes with this token."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    return await azure.post(f"{CALLS}{query}", headers=headers, content=sdp)
