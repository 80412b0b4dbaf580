"""The published test vectors: a folder beside the checkout, or where STADTNACHWEIS_VECTORS says."""

import os
from pathlib import Path

from tests.availability import missing

CHECKOUT = Path(__file__).resolve().parent.parent


def vectors_root() -> Path:
    """The folder of the vectors, whether or not it is there."""
    named = os.environ.get("STADTNACHWEIS_VECTORS")
    return Path(named) if named else CHECKOUT.parent / "shared" / "vectors"


def vectors_path(*parts: str) -> Path:
    """The path of one vector file or folder; skips the test, saying so, where it is absent (fails in CI)."""
    path = vectors_root().joinpath(*parts)
    if not path.exists():
        missing(f"no published vectors at {'/'.join(parts) or '.'}: set STADTNACHWEIS_VECTORS to their folder")
    return path
