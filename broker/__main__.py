"""``python -m broker serve``: the broker as a process.

``probe``: what keeps it from minting. ``audit verify``: whether what is on record is whole.
"""

from broker import probe
from broker.app import create_app
from broker.edge.audit import command as audit
from broker.edge.startup import Command, command_line
from broker.settings import Settings

if __name__ == "__main__":
    probing = Command("probe", "ask every way to mint once, and say what to mend", probe.options, probe.run)
    command_line(
        "broker", "Mints tokens for browser calls.", 8080, Settings, create_app, [probing, audit.commands()]
    )
