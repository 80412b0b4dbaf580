"""Make the checkout's own Python environment from a hash-pinned lock file, and redo it only when the lock changes.

Usage: `python3 scripts/environment.py demo` (what the demo needs) or `… dev` (that and the tools).
It needs nothing but Python with venv.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must get a sentence, not a syntax error
    sys.exit(
        "Stadtnachweis needs Python 3.11 or newer; this is Python {}.{}. Install a newer one and name it, "
        "for example: make demo PYTHON=python3.12".format(*sys.version_info[:2])
    )

import fcntl
import hashlib
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
LARGER = {"demo": ("demo", "dev"), "dev": ("dev",)}


def fingerprint(name: str) -> str:
    """SHA-256 (hex) of the lock file."""
    return hashlib.sha256((ROOT / "requirements" / f"{name}.txt").read_bytes()).hexdigest()


def stamp(name: str) -> Path:
    """Where the fingerprint of the installed lock is kept."""
    return ENVIRONMENT / f".{name}.stamp"


def is_current(name: str) -> bool:
    """Whether the environment already holds this lock, or a larger one that includes it."""
    return any(stamp(each).is_file() and stamp(each).read_text() == fingerprint(each) for each in LARGER[name])


def works() -> bool:
    """Whether the environment's interpreter starts, has pip and is new enough; a moved or half-made one does not."""
    if not PYTHON.exists():
        return False
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([PYTHON, "-c", check], capture_output=True, check=False).returncode == 0


def create() -> None:
    """Create an empty environment; exits with a sentence where venv is not installed."""
    print(f"Creating .venv with Python {sys.version.split()[0]} …", flush=True)
    if ENVIRONMENT.exists():
        shutil.rmtree(ENVIRONMENT)
    made = subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        sys.exit(
            "Python's venv module is missing or incomplete. On Debian and Ubuntu: apt install python3-venv\n"
            + made.stderr.strip()
        )


def install(name: str) -> None:
    """Install the locked packages, each checked against its hash, then the checkout itself."""
    lock = ROOT / "requirements" / f"{name}.txt"
    pip: list[str | Path] = [
        PYTHON,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
        "--no-warn-script-location",
    ]
    steps: tuple[list[str | Path], ...] = (
        [*pip, "--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", lock],
        [*pip, "--no-index", "--no-deps", "--no-build-isolation", "--editable", ROOT],
    )
    for step in steps:
        if subprocess.run(step, check=False, cwd=ROOT).returncode != 0:
            sys.exit(
                f"Could not install the packages of requirements/{name}.txt. Is the network there, and your package "
                "index reachable? pip's message stands above; the next try goes on from here."
            )


def main() -> None:
    """Bring the environment up to date, once, even if two make processes ask at the same time."""
    if len(sys.argv) != 2 or sys.argv[1] not in LARGER:
        sys.exit("Usage: python3 scripts/environment.py demo|dev")
    name = sys.argv[1]
    with (ROOT / "pyproject.toml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if works() and is_current(name):
            return
        started = time.monotonic()
        if not works():
            create()
        print(f"Installing requirements/{name}.txt …", flush=True)
        install(name)
        stamp(name).write_text(fingerprint(name))
        print(f"Environment ready in {time.monotonic() - started:.0f} s.", flush=True)


if __name__ == "__main__":
    main()
