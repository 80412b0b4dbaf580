"""A software security module of a test's own: SoftHSM with its tokens in a throw-away folder."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
CONFIGURATION = "SOFTHSM2_CONF"


@dataclass(frozen=True, slots=True)
class SoftHsm:
    """Where it is. It reads its configuration once a process, so a process has one folder of tokens."""

    library: Path
    utility: str

    def make_token(self, label: str, *, pin: str) -> None:
        """A fresh token in this process's folder."""
        subprocess.run(
            [self.utility, "--init-token", "--free", "--label", label, "--so-pin", f"so-{pin}", "--pin", pin],
            check=True,
            capture_output=True,
            timeout=60,
        )


def find_softhsm(folder: Path) -> SoftHsm | None:
    """SoftHSM with a folder for tokens, if it is installed."""
    library = next((Path(each) for each in LIBRARIES if Path(each).exists()), None)
    utility = shutil.which("softhsm2-util")
    if library is None or utility is None:
        return None
    tokens = folder / "tokens"
    tokens.mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ[CONFIGURATION] = str(configuration)
    return SoftHsm(library, utility)
