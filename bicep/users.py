"""Makes a database and a user for each app, and sets the user's password. The job ``…-env-users`` runs it.

Whoever deploys does not reach the database: in production it has no public address, elsewhere it lets nobody
in but Azure. The job does, and only its identity may read the administrator's password. Run it once after the
first deployment, and again after a password was changed; what is there already it leaves as it is.

An app's user owns the tables that the app makes in its own database, and may not even connect to the other.
"""

from __future__ import annotations

import os
import sys

import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Composed, Identifier, Literal

CONNECT_S = 10  # longer than a server takes that is there; the job itself is ended after two minutes


def make(admin_url: str, app_url: str) -> None:
    """The database and the user that ``app_url`` names, by whoever ``admin_url`` names."""
    app = conninfo_to_dict(app_url)
    user, database, password = str(app["user"]), str(app["dbname"]), str(app["password"])
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=CONNECT_S) as server:
        if not _is_there(server, "SELECT FROM pg_roles WHERE rolname = %s", user):
            server.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(user)))
        server.execute(_with_password(server, user, password))
        if not _is_there(server, "SELECT FROM pg_database WHERE datname = %s", database):
            server.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))
        names = {"database": Identifier(database), "user": Identifier(user)}
        server.execute(SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))
        server.execute(SQL("GRANT CONNECT ON DATABASE {database} TO {user}").format(**names))
    with psycopg.connect(admin_url, dbname=database, autocommit=True, connect_timeout=CONNECT_S) as inside:
        inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        inside.execute(SQL("GRANT USAGE, CREATE ON SCHEMA public TO {user}").format(**names))


def _is_there(server: Connection, query: str, name: str) -> bool:
    return server.execute(query, (name,)).fetchone() is not None


def _with_password(server: Connection, user: str, password: str) -> Composed:
    """Hashed here, in the way that the server hashes: its log may keep statements."""
    hashed = server.pgconn.encrypt_password(password.encode(), user.encode())
    return SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(user), Literal(hashed.decode()))


def main() -> None:
    for app_url in (os.environ["BROKER_URL"], os.environ["ENRICHMENT_URL"]):
        try:
            make(os.environ["ADMIN_URL"], app_url)
        except psycopg.Error as exc:  # its text may quote a statement
            sys.exit(f"not made: {type(exc).__name__} {exc.sqlstate}")
    print("Both apps have their user and their database.")  # noqa: T201 - the job's log


if __name__ == "__main__":
    main()
