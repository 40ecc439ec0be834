"""A PostgreSQL server of a test's own, on 127.0.0.1, run by a user without privileges."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

INSTALLED = "usr/lib/postgresql/*/bin"  # Debian's, of any version
UNPRIVILEGED = "postgres"  # as whom root starts it: the server refuses root


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        port: on 127.0.0.1.
        user: who may make databases.
        password: of the user.
        programs: the folder of `psql` and the others.
    """

    port: int
    user: str
    password: str
    programs: Path

    @property
    def credentials(self) -> dict[str, str]:
        """Environment variables."""
        return {"PGUSER": self.user, "PGPASSWORD": self.password}

    def database(self, name: str) -> str:
        """The address of a new, empty database, without a password."""
        where = ["--host=127.0.0.1", f"--port={self.port}", name]
        command = [str(self.programs / "createdb"), *where]
        subprocess.run(command, env={**os.environ, **self.credentials}, check=True)
        return f"postgresql+psycopg://127.0.0.1:{self.port}/{name}"


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server, and stop it at the end; a test is skipped where none is installed."""
    found = sorted(Path("/").glob(INSTALLED))
    if not found:
        pytest.skip(f"no PostgreSQL in /{INSTALLED}: apt-get install postgresql")
    server = Server(free_port(), "posinfo", secrets.token_hex(16), found[-1])
    # not below pytest's folders, which no other user may enter
    folder = Path(tempfile.mkdtemp(prefix="posinfo-postgresql-"))
    try:
        (folder / "password").write_text(server.password)
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, UNPRIVILEGED)
        made = f"--username={server.user} --auth=scram-sha-256 --pwfile={folder}/password"
        _as_owner(folder, f"initdb -D data {made} --no-sync", server)
        how = f"-c fsync=off -c listen_addresses=127.0.0.1 -c port={server.port}"
        how += f" -c unix_socket_directories={folder}"
        _as_owner(folder, f"pg_ctl -D data -l log -w -o '{how}' start", server)
        try:
            yield server
        finally:
            _as_owner(folder, "pg_ctl -D data -m immediate -w stop", server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _as_owner(folder: Path, command: str, server: Server) -> None:
    line = f"cd {folder} && {server.programs}/{command}"
    start = ["su", UNPRIVILEGED, "-s", "/bin/bash", "-c"] if os.geteuid() == 0 else ["bash", "-c"]
    with (folder / "said").open("w+") as said:  # a pipe would stay open as long as the server
        result = subprocess.run(
            [*start, line], stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False
        )
        said.seek(0)
        assert result.returncode == 0, said.read()
