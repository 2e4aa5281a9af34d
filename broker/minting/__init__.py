"""Minting an ephemeral token: the ways there are (rows), how to ask one (attempt), in which order (chain)."""
