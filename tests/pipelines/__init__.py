"""What ``.github/`` does: its scripts against an Azure that is made up, its workflows as text."""
