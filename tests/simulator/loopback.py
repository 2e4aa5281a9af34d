"""Peer connections that talk over 127.0.0.1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aioice.ice


@contextmanager
def loopback_only() -> Iterator[None]:
    """Inside, every peer connection of this process gathers 127.0.0.1 as its only address.

    aioice never offers the loopback address by itself, so on a machine without a network no call would
    start. There is no setting for it, hence this replacement of one of its functions (aioice 0.13.0, checked
    2026-11-20); remove it when aioice can be told. Browsers need ``--allow-loopback-in-peer-connection``.
    """
    original = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = original
