"""Import specs and verifier, module by module, where only the base dependencies are installed.

Run with the interpreter of such an environment, away from the checkout. Modules behind an extra are left out by name.
"""

import importlib
import importlib.util
import pkgutil
import sys

import specs
import verifier

BEHIND_AN_EXTRA = (
    "verifier.adapters.",
    "verifier.stores.sql",
    "verifier.stores.postgresql",
    "specs.profiles.reading",
    "specs.encoding.placed_yaml",
    "specs.trust.trusted_list_xml",
    "verifier.server",
    "verifier.settings",
)
FRAMEWORKS = (
    "fastapi",
    "starlette",
    "django",
    "flask",
    "httpx",
    "sqlalchemy",
    "sqlmodel",
    "alembic",
    "pydantic_settings",
)


def main() -> int:
    """Status 1 if a framework is installed after all, or a module does not import."""
    present = [name for name in FRAMEWORKS if importlib.util.find_spec(name)]
    if present:
        print(f"Not a base installation: {', '.join(present)}")
        return 1
    count = 0
    for package in (specs, verifier):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=fail):
            if not module.name.startswith(BEHIND_AN_EXTRA):
                importlib.import_module(module.name)
                count += 1
    print(f"{count} modules of specs and verifier import with the base dependencies alone.")
    return 0


def fail(name: str) -> None:
    """Let the error of a package that does not import be seen, unless it is behind an extra."""
    if not name.startswith(BEHIND_AN_EXTRA):
        raise ImportError(name)


if __name__ == "__main__":
    sys.exit(main())
