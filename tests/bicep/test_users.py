"""The job of the users: an app can do all it needs in its own database, and nothing in the other's."""

from __future__ import annotations

import base64
import hashlib
import hmac

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from broker.edge.audit.postgres import PostgresSink, stored_lines
from broker.edge.audit.sealing import Head, Seal
from broker.edge.postgres_limits import PostgresLimits
from enrichment.memory.addresses_postgres import PostgresAddresses
from enrichment.outbox.postgres import PostgresOutbox
from tests.bicep.settings import container_of, deployed, job_of
from tests.enrichment.build import turn
from tests.enrichment.postgres import server

APPS = ("broker", "enrichment")


def run_job():
    """What the container of the job would run, here."""
    python, option, text = container_of(job_of(deployed("production")))["command"]
    assert (python, option) == ("python", "-c")
    exec(compile(text, "users.py", "exec"), {"__name__": "__main__"})


@pytest.fixture(scope="module")
def administrator():
    """Whom Azure makes: may make roles and databases, and is no superuser."""
    with server(synced=False) as running:
        with psycopg.connect(running.url(), autocommit=True) as connection:
            connection.execute("CREATE ROLE voicelive LOGIN CREATEROLE CREATEDB")
        yield make_conninfo(running.url(), user="voicelive", dbname="postgres")


@pytest.fixture(scope="module")
def run(administrator):
    """Runs the job, as its container would; the addresses of the apps."""

    def of(**passwords):
        addresses = {
            app: make_conninfo(administrator, user=app, dbname=app, password=passwords.get(app, f"{app}/s:@"))
            for app in APPS
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ADMIN_URL", administrator)
            for app, address in addresses.items():
                patch.setenv(f"{app.upper()}_URL", address)
            run_job()
        return addresses

    return of


@pytest.fixture(scope="module")
def addresses(run):
    run()
    return run()  # any number of times


@pytest.mark.parametrize("app", APPS)
async def test_what_an_app_shares_and_puts_on_record_it_keeps_in_its_own_database(addresses, app):
    limits = PostgresLimits(addresses[app], answer_s=5.0)
    await limits.open()
    try:
        assert await limits.change(["somebody"], lambda states, now_ms: [1]) == [1]
    finally:
        await limits.close()
    sink, at = PostgresSink(addresses[app]), b"2026-11-20T08:00:00.000Z"
    sink.append([Seal(b"made-up").line(Head(f"{app}-1"), at, {"action": "start"})])
    sink.close()
    assert [chain for chain, _ in stored_lines(addresses[app])] == [f"{app}-1"]


async def test_enrichment_keeps_turns_and_addresses_there(addresses):
    outbox, kept = PostgresOutbox(addresses["enrichment"]), PostgresAddresses(addresses["enrichment"])
    await outbox.open()
    await kept.open()
    try:
        accepted = await outbox.accept("alice", "s-1", [turn("u1")], granted_at=0)
        assert accepted.accepted == ["u1"]
        assert await kept.keep("a", "b") == "b"
    finally:
        await outbox.close()
        await kept.close()


@pytest.mark.parametrize("app", APPS)
def test_the_other_s_database_is_closed_and_so_is_everything_of_the_server(addresses, app):
    other = next(name for name in APPS if name != app)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(addresses[app], dbname=other)
    with psycopg.connect(addresses[app], autocommit=True) as connection:
        for forbidden in (
            "CREATE ROLE more",
            "CREATE DATABASE more",
            f"ALTER ROLE {other} PASSWORD 'mine'",
            f"ALTER DATABASE {app} OWNER TO {app}",
            "CREATE SCHEMA more",
            "SELECT rolpassword FROM pg_authid",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(forbidden)


def test_a_password_that_was_changed_counts_from_the_next_run(administrator, addresses, run):
    before = kept_password(administrator, "broker")
    changed = run(broker="the next one")
    assert kept_password(administrator, "broker") != before
    assert is_password_of(administrator, "broker", conninfo_to_dict(changed["broker"])["password"])
    assert not is_password_of(administrator, "broker", conninfo_to_dict(addresses["broker"])["password"])


def kept_password(administrator, user):
    with psycopg.connect(administrator, user="tests") as connection:
        return connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [user]).fetchone()[
            0
        ]


def is_password_of(administrator, user, password):
    """The server of the tests asks nobody for one, so what it keeps is checked: RFC 5802."""
    mechanism, cost, keys = kept_password(administrator, user).split("$")
    assert mechanism == "SCRAM-SHA-256"
    rounds, salt = cost.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return stored == base64.b64decode(keys.split(":")[0])


def test_when_the_server_is_away_the_job_fails_and_quotes_nothing(run, monkeypatch, tmp_path):
    nowhere = f"postgresql://voicelive:canary@/postgres?host={tmp_path}"
    for name in ("ADMIN_URL", "BROKER_URL", "ENRICHMENT_URL"):
        monkeypatch.setenv(name, nowhere)
    with pytest.raises(SystemExit, match=r"not made: OperationalError") as caught:
        run_job()
    assert "canary" not in str(caught.value)
