"""A real PostgreSQL server for tests: one they start themselves, on a private unix socket, as an unprivileged user.

    server = PostgresServer(folder)     # folder: new, and short (a socket's path has about 100 characters)
    server.start()
    server.dsn("trading")               # a new database, as a DSN
    server.kill()                       # as `kill -9` of the whole server
    server.discard()

`postgres` refuses to run as root: there it runs as the user `nobody`, whom the folder is given to. No TCP port is opened.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from hlfast import clock

from .children import surroundings

DURABILITY = ("fsync=off", "full_page_writes=off", "synchronous_commit=on")
"""A commit that was confirmed is with the kernel, which outlives a killed server; a test does not cut the power."""


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`: on PATH, or where Debian keeps them; the newest version."""
    found = shutil.which("initdb")
    if found and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    folders = sorted(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda folder: float(folder.parent.name),
    )
    return folders[-1] if folders else None


class PostgresServer:
    """A server in `folder`, with one superuser `trader` that needs no password on its socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data, self.socket = folder / "data", folder / "s"
        found = programs()
        assert found is not None, "look with programs() first"
        self.programs = found
        self._process: subprocess.Popen[bytes] | None = None
        self._names = 0
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.socket.mkdir(parents=True)
        self.socket.chmod(0o700)
        self._give_away(folder)
        self._run("initdb", "-D", str(self.data), "-U", "trader", "--auth=trust", "--encoding=UTF8", "--locale=C", "-N")

    def _give_away(self, path: Path) -> None:
        if self._user is None:
            return
        for one in (path, self.socket):
            os.chown(one, self._user.pw_uid, self._user.pw_gid)

    def _options(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            env=surroundings(HOME=str(self.folder), LC_ALL="C"),
            cwd=self.folder,
            capture_output=True,
            timeout=120,
            **self._options(),  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    # -- life -------------------------------------------------------------------------------------------------------
    def start(self, *settings: str) -> None:
        """Returns when it takes connections. `settings`: as "name=value"."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        given = (
            *DURABILITY,
            "listen_addresses=",
            f"unix_socket_directories={self.socket}",
            "max_connections=40",
            *settings,
        )
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", str(self.data), *[part for one in given for part in ("-c", one)]],
                env=surroundings(HOME=str(self.folder), LC_ALL="C"),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._options(),  # type: ignore[call-overload]
            )
        end = clock.monotonic_ns() + 60 * 10**9
        ready = [self.programs / "pg_isready", "-q", "-h", str(self.socket), "-U", "trader", "-d", "postgres"]
        while subprocess.run(ready, env=surroundings(), timeout=30).returncode:
            assert self._process.poll() is None and clock.monotonic_ns() < end, self.log()
            _sleep(0.05)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def kill(self) -> None:
        """Kill every process of the server at once: nothing is written that was not."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)
        self._process = None

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # fast: sessions are ended
        try:
            self._process.wait(30)
            self._process = None
        except subprocess.TimeoutExpired:
            self.kill()

    def discard(self) -> None:
        """End it at once: its folder is thrown away."""
        if self._process is not None:
            self.kill()

    @property
    def is_up(self) -> bool:
        return self._process is not None

    # -- databases --------------------------------------------------------------------------------------------------
    def dsn(self, name: str | None = None, *, user: str = "trader", password: str = "", create: bool = True) -> str:
        """A database, new unless `create=False`, as a DSN."""
        if name is None:
            self._names += 1
            name = f"d{self._names}"
        if create:
            self.sql(f'CREATE DATABASE "{name}"')
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@/{name}?host={self.socket}"

    def sql(self, text: str, database: str = "postgres") -> str:
        """What `psql` prints for `text`: rows as lines, columns with | between them."""
        done = subprocess.run(
            [
                self.programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                "-h", str(self.socket), "-U", "trader", "-d", database, "-c", text,
            ],
            env=surroundings(),
            capture_output=True,
            text=True,
            timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _sleep(seconds: float) -> None:
    import threading

    threading.Event().wait(seconds)
