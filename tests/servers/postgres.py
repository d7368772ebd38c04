"""A PostgreSQL server for one test run: loopback only, any free port, its files under /tmp."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pg8000.dbapi
import psutil

from tests.servers.processes import Child, NotStarted, free_ports, unprivileged

SUPERUSER = "forewarn"
# A killed process loses nothing of what the operating system has: only a power cut would, and no test cuts the power.
FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=60")


def find_programs() -> Path | None:
    """Return the folder of the newest installed server's programs; None where PostgreSQL is not installed."""
    if initdb := shutil.which("initdb"):
        return Path(initdb).parent
    folders = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda p: int(p.parent.name), default=None)


class Postgres:
    """A running server; each test makes itself a database of its own."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = unprivileged("postgres", "nobody")  # the server refuses to run as root
        self._folder = Path(tempfile.mkdtemp(prefix="fw-pg-", dir="/tmp"))
        self._numbers = itertools.count(1)
        self._password = secrets.token_urlsafe(16)
        self._child: Child | None = None
        self.port = 0
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start it, again after a `kill` too; the port stays the same from the first start on."""
        for attempt in range(3):
            port = self.port or free_ports()[0]
            settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *FAST]
            arguments = [str(self._programs / "postgres"), "-D", str(self._data)]
            self._child = Child(
                [*arguments, *itertools.chain.from_iterable(("-c", s) for s in settings)],
                self._folder / "server.log",
                user=self._user,
            )
            try:
                self._child.wait_until(lambda p=port: self._answers(p), within_s=20)
            except NotStarted:
                self._child.stop(first=signal.SIGINT)
                if self.port or attempt == 2:
                    raise
            else:
                self.port = port
                return

    def create_database(self) -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        name = f"t{next(self._numbers)}"
        with contextlib.closing(self._connect(self.port)) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name}")
        return f"postgresql+pg8000://{SUPERUSER}:{self._password}@127.0.0.1:{self.port}/{name}"

    def kill(self) -> None:
        """SIGKILL the server and wait until its own children have noticed: while one lives, no new server starts."""
        assert self._child is not None
        children = psutil.Process(self._child.pid).children(recursive=True)
        self._child.kill()
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive, f"processes of the killed server are still there: {alive}"

    def close(self) -> None:
        """Stop it and remove its files."""
        if self._child is not None:
            self._child.stop(first=signal.SIGINT)  # a fast shutdown: sessions are ended
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _initialise(self) -> None:
        secret = self._folder / "password"
        secret.write_text(self._password)
        secret.chmod(0o600)
        if self._user is not None:
            shutil.chown(self._folder, self._user)
            shutil.chown(secret, self._user)
        subprocess.run(
            [
                *(str(self._programs / "initdb"), "-D", str(self._data), "-U", SUPERUSER, "--pwfile", str(secret)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=self._folder,
            user=self._user,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            timeout=60,
        )

    def _connect(self, port: int) -> pg8000.dbapi.Connection:
        return pg8000.dbapi.connect(
            SUPERUSER, host="127.0.0.1", port=port, database="postgres", password=self._password, timeout=5
        )

    def _answers(self, port: int) -> bool:
        try:
            self._connect(port).close()
        except (pg8000.dbapi.Error, OSError):
            return False
        return True
