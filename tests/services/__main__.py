"""Set up what the tests need and say what is missing; in CI something missing is a failure."""

import sys

from tests.availability import in_ci
from tests.services import node
from tests.services.packages import install_missing


def main() -> int:
    """0 unless something is missing in CI; elsewhere the tests that need it skip with the reason."""
    absent = install_missing()
    if (no_wallets := node.install()) is not None:
        absent.append(no_wallets)
    for sentence in absent:
        print(f"tests: {sentence}", flush=True)
    return 1 if absent and in_ci() else 0


if __name__ == "__main__":
    sys.exit(main())
