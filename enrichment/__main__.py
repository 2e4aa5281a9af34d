"""``python -m enrichment serve``: enrichment as a process."""

from broker.edge.startup import command_line
from enrichment.app import create_app
from enrichment.settings import Settings

if __name__ == "__main__":
    command_line("enrichment", "Brings transcripts into memory.", 8081, Settings, create_app)
