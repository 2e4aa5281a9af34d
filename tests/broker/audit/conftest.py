"""A PostgreSQL of our own, as the outbox's tests have it."""

from __future__ import annotations

from tests.enrichment.conftest import database, postgres

__all__ = ["database", "postgres"]
