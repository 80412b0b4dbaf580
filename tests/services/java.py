"""The Java wallet of tests/interop: libraries of fixed versions, fetched by Maven into a folder beside it."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.services.packages import JAVA, install_missing

FOLDER = Path(__file__).parent.parent / "interop" / "java"
_LIBRARIES = FOLDER / "lib"
_DONE = _LIBRARIES / "fetched-for.xml"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def installed() -> bool:
    """Whether the libraries that the project file names are here."""
    return _DONE.exists() and _DONE.read_bytes() == (FOLDER / "pom.xml").read_bytes()


def install() -> str | None:
    """Fetch what is missing, whoever asks first; a sentence if that can't be done."""
    _LIBRARIES.mkdir(exist_ok=True)
    with (_LIBRARIES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if absent := install_missing(JAVA):
            return "; ".join(absent)
        return None if installed() else _fetch()


def _fetch() -> str | None:
    command = ["mvn", "-q", "-B", "-f", str(FOLDER / "pom.xml"), _COPY, f"-DoutputDirectory={_LIBRARIES}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"mvn ended with {done.returncode}: {done.stdout.strip()[-300:]}"
    shutil.copy(FOLDER / "pom.xml", _DONE)
    return None


def command() -> list[str]:
    """How the wallet is started; the compiler runs in the same process."""
    return ["java", "-cp", f"{_LIBRARIES}/*", str(FOLDER / "Wallet.java")]
