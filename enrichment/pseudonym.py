"""What stands for a person where who it is need not be known: in tombstones, and in news between replicas."""

from __future__ import annotations

import hashlib


def hashed(person: str) -> str:
    """The same for the same person, everywhere."""
    return hashlib.sha256(person.encode()).hexdigest()
