"""A PostgreSQL server of the test run's own: loopback only, a free port, a throw-away folder, no rights beyond it.

The first test that asks starts it, under a file lock; the process that started the run ends it, by its process id.
"""

import fcntl
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql

START_SECONDS = 60
STOP_SECONDS = 30
LOCALE = {"LC_ALL": "C.UTF-8"}


class Unavailable(Exception):
    """No PostgreSQL can be had here; the message says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: `pid` is its own process, `folder` goes with it."""

    pid: int
    port: int
    password: str
    folder: str

    def url(self, database: str) -> str:
        """The address of one database, as SQLAlchemy writes it for psycopg."""
        return f"postgresql+psycopg://tester:{self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection for creating and dropping databases."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="tester", password=self.password, dbname="postgres", autocommit=True
        )


def find_binaries() -> Path | None:
    """The folder with initdb and postgres: Debian's newest, else what is on the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name.partition(".")[0]))
    on_path = shutil.which("postgres")
    candidates = [*reversed(debian), *([Path(on_path).resolve().parent] if on_path else [])]
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _packaged_binaries() -> Path | None:
    """The folder with the binaries that the package `pgserver` brings, where it is installed."""
    try:
        import pgserver
    except ImportError:
        return None
    folder = Path(pgserver.__file__).parent / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def shared_server(run_folder: Path) -> Server:
    """The server of this test run, started by whoever asks first.

    Raises:
        Unavailable: there are no binaries, or the server does not start.
    """
    note = run_folder / "postgresql.json"
    with _locked(run_folder / "postgresql.lock"):
        if note.exists():
            return Server(**json.loads(note.read_text()))
        server = start()
        note.write_text(json.dumps(asdict(server)))
        return server


def stop_shared_server(run_folder: Path) -> None:
    """End the server of this test run, if one was started."""
    note = run_folder / "postgresql.json"
    if note.exists():
        stop(Server(**json.loads(note.read_text())))
        note.unlink()


def start() -> Server:
    """Make a cluster in a new folder and start it on a free loopback port, as an unprivileged user if we are root.

    Raises:
        Unavailable: there are no binaries, or the server does not start.
    """
    binaries = find_binaries() or _packaged_binaries()
    if binaries is None:
        raise Unavailable("no PostgreSQL: neither Debian's package postgresql nor PyPI's pgserver is installed")
    folder = Path(tempfile.mkdtemp(prefix="stadtnachweis-pg-"))
    try:
        return _start_in(folder, binaries)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise Unavailable(f"PostgreSQL did not start: {error}") from error


def _start_in(folder: Path, binaries: Path) -> Server:
    user, group = _unprivileged_user()
    data, secret, log = folder / "data", folder / "password", folder / "log"
    password = secrets.token_urlsafe(24)
    secret.write_text(password)
    secret.chmod(0o600)
    if user is not None and group is not None:
        for path in (folder, secret):
            os.chown(path, user, group)
    initdb: list[str | Path] = [
        binaries / "initdb", "--pgdata", data, "--username", "tester", "--pwfile", secret, "--auth", "scram-sha-256",
        "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
    ]  # fmt: skip
    made = subprocess.run(
        initdb, cwd=folder, env=os.environ | LOCALE, user=user, group=group, extra_groups=[] if user else None,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        raise OSError(f"initdb ended with {made.returncode}: {made.stderr.strip()[-500:]}")
    port = _free_port()
    settings = {
        "listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", "fsync": "off",
        "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200", "shared_buffers": "64MB",
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with log.open("w") as output:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options], cwd=folder, env=os.environ | LOCALE, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, user=user, group=group,
            extra_groups=[] if user else None,
        )  # fmt: skip
    server = Server(process.pid, port, password, str(folder))
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            server.connect().close()
        except psycopg.OperationalError:
            time.sleep(0.1)
            continue
        process.returncode = 0  # it outlives this object: ended by its id, later, perhaps by another process
        return server
    process.kill()
    process.wait()
    raise OSError(log.read_text()[-500:].strip())


def stop(server: Server) -> None:
    """Ask the server to end (fast shutdown), insist after a while, and remove its folder."""
    for patience, how in ((STOP_SECONDS, signal.SIGINT), (5, signal.SIGKILL)):
        try:
            os.kill(server.pid, how)
        except ProcessLookupError:
            break
        if _gone(server.pid, patience):
            break
    shutil.rmtree(server.folder, ignore_errors=True)


def _gone(pid: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return True
        except ChildProcessError:
            if not _running(pid):
                return True
        time.sleep(0.05)
    return False


def _running(pid: int) -> bool:
    """Whether the process lives; one that ended and whom nobody reaps counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def database(server: Server, name: str) -> Iterator[str]:
    """A new, empty database, dropped at the end; yields its address."""
    identifier = sql.Identifier(name)
    with server.connect() as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(identifier))
    try:
        yield server.url(name)
    finally:
        with server.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def _unprivileged_user() -> tuple[int | None, int | None]:
    """Whom the server runs as: ourselves, or, since PostgreSQL refuses root, somebody with no rights."""
    if os.geteuid() != 0:
        return None, None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise OSError("we are root and there is no unprivileged user to run PostgreSQL as")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
