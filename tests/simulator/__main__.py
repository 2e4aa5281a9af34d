"""``python -m tests.simulator``: the simulated resource on a local port."""

from __future__ import annotations

import argparse
import ipaddress
import signal
import socket
import sys
from contextlib import suppress

import uvicorn

from tests.simulator.azure import KEY, SLOW_S, TOKEN_TTL_S, create_app


class Server(uvicorn.Server):
    """Says one line when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.servers:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            print(f"Simulated Azure OpenAI Realtime on http://{host}:{port}", flush=True)


def is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8790, help="0 takes a free one")
    parser.add_argument("--key", default=KEY, help="the api-key that is accepted")
    parser.add_argument("--bearer", help="an Entra access token that is accepted too")
    parser.add_argument(
        "--token-ttl", type=int, default=TOKEN_TTL_S, help="seconds, when a mint asks for none"
    )
    parser.add_argument(
        "--slow", type=float, default=SLOW_S, help="seconds that gpt-realtime-slow takes to mint"
    )
    args = parser.parse_args()
    app = create_app(
        key=args.key,
        bearer=args.bearer,
        token_ttl_s=args.token_ttl,
        slow_s=args.slow,
        loopback=is_loopback(args.host),
    )
    config = uvicorn.Config(
        app,
        host=args.host,
        port=args.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(0)
    )  # uvicorn shuts down and then raises the signal again
    with suppress(KeyboardInterrupt):
        Server(config).run()


if __name__ == "__main__":
    main()
