"""The JavaScript wallets of tests/interop: npm packages of fixed versions, installed beside their lock file."""

import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "interop" / "node"
_DONE = FOLDER / "node_modules" / ".package-lock.json"


def installed() -> bool:
    """Whether the packages of the lock file are here."""
    lock = FOLDER / "package-lock.json"
    return _DONE.exists() and _DONE.stat().st_mtime >= lock.stat().st_mtime


def install() -> str | None:
    """Install what is missing; a sentence if that can't be done."""
    if installed():
        return None
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return "Node and npm are absent, so that no JavaScript wallet can be run"
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"npm ci ended with {done.returncode}: {done.stderr.strip()[-300:]}"
