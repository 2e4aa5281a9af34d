"""``python -m enrichment serve``: enrichment as a process."""

from __future__ import annotations

import argparse

from broker.edge.startup import serve, settings_or_exit
from broker.edge.telemetry import configure_logging
from enrichment.app import create_app
from enrichment.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m enrichment", description="Brings transcripts into memory."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "serve", help="answer HTTP until SIGTERM; settings come from the environment"
    )
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    command.add_argument("--port", type=int, default=8081, help="port to listen on (%(default)s)")
    arguments = parser.parse_args()
    settings = settings_or_exit("Enrichment", Settings)
    configure_logging(settings.log_level)
    serve(create_app(settings), host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
