"""``python -m broker serve``: the broker as a process."""

from broker.app import create_app
from broker.edge.startup import command_line
from broker.settings import Settings

if __name__ == "__main__":
    command_line("broker", "Mints tokens for browser calls.", 8080, Settings, create_app)
