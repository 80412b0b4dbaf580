"""Check that a wheel holds our packages with their data files, and neither tests nor demo.

Usage: `check_wheel.py FILE.whl`.
"""

import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("specs", "verifier", "issuer", "wallet_sim", "conformance", "stadtnachweis")
BASE = {"cryptography", "cbor2", "jwcrypto", "pydantic", "qrcode"}
EXTRAS = {"issuer", "oidc", "wallet", "conformance", "sql", "postgres", "fastapi", "django", "flask", "hsm", "all"}


def findings(wheel: Path) -> list[str]:
    """What the wheel lacks, or holds without need."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = message_from_bytes(
            archive.read(next(name for name in names if name.endswith(".dist-info/METADATA")))
        )
    held = {name for name in names if ".dist-info/" not in name}
    listing = subprocess.run(["git", "ls-files", "-z", *PACKAGES], cwd=ROOT, capture_output=True, check=True).stdout
    wanted = {name.decode() for name in listing.split(b"\0") if name}
    found = [f"missing: {name}" for name in sorted(wanted - held)]
    found += [f"does not belong: {name}" for name in sorted(held) if name.partition("/")[0] not in PACKAGES]
    required = metadata.get_all("Requires-Dist") or []
    base = {line.partition(">")[0].strip() for line in required if "extra ==" not in line}
    if base != BASE:
        found.append(f"base dependencies are {sorted(base)}")
    missing_extras = EXTRAS - set(metadata.get_all("Provides-Extra") or [])
    if missing_extras:
        found.append(f"missing extras: {sorted(missing_extras)}")
    if metadata["License-Expression"] != "EUPL-1.2":
        found.append(f"licence is {metadata['License-Expression']}")
    return found


def main() -> int:
    """Print the findings; 0 if there are none."""
    found = findings(Path(sys.argv[1]))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
