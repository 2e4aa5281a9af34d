"""Which outbox DATABASE_URL asks for, and that its address is never shown."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pydantic import ValidationError

from broker.edge.startup import mistakes
from tests.enrichment.build import settings

PG = "postgresql://somebody:canary@db.example.org/outbox"


def test_without_an_address_the_outbox_is_in_the_data_folder(tmp_path):
    assert settings(tmp_path).outbox_engine == "sqlite"
    assert settings(tmp_path).outbox_path == tmp_path / "outbox.db"


def test_an_address_of_sqlite_puts_it_elsewhere(tmp_path):
    elsewhere = settings(tmp_path, database_url="sqlite:////var/lib/outbox.db")
    assert (elsewhere.outbox_engine, elsewhere.outbox_path) == ("sqlite", Path("/var/lib/outbox.db"))


@pytest.mark.parametrize(
    "url",
    [
        PG,
        PG.replace("postgresql:", "postgres:"),
        "postgresql://somebody@db.example.org/outbox",
        "postgresql://a:1@one.example.org:5432,two.example.org:5433/outbox?target_session_attrs=read-write",
        "postgresql:///outbox?host=/run/postgresql",
    ],
)
def test_an_address_of_postgres_asks_for_the_shared_one(tmp_path, url):
    asked = settings(tmp_path, database_url=url)
    assert asked.outbox_engine == "postgres"
    assert asked.database_url.get_secret_value() == url
    assert "canary" not in f"{asked!r} {asked} {asked.model_dump()}"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///",
        "sqlite://outbox.db",
        "mysql://somebody:canary@db/outbox",
        "postgresql+asyncpg://somebody:canary@db/outbox",
        "postgresql://somebody:can/ary@db.example.org/outbox?canary=1",
        "postgresql://[canary/outbox",
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(tmp_path, url):
    with pytest.raises(ValidationError) as caught:
        settings(tmp_path, database_url=url)
    (line,) = mistakes(caught.value)
    assert line.startswith("DATABASE_URL: must be ")
    assert "canary" not in f"{line} {caught.value}"


def test_postgres_without_its_extra_is_refused_with_what_to_do(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "psycopg" else find(name))
    with pytest.raises(ValidationError) as caught:
        settings(tmp_path, database_url=PG)
    assert mistakes(caught.value) == [
        "DATABASE_URL: PostgreSQL needs the extra: pip install 'voicelive[postgres]'"
    ]
