"""Debian's packages for the tests: installed when absent, and only where we are root."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tests.services.chromium import find_chromium
from tests.services.nginx import find_nginx
from tests.services.postgresql import find_binaries

APT = ["apt-get", "--quiet=2", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package, and how to tell that what it brings is already here."""

    name: str
    present: Callable[[], object]


PACKAGES = (
    Package("postgresql", find_binaries),
    Package("chromium", find_chromium),
    Package("nginx", find_nginx),
    Package("softhsm2", lambda: shutil.which("softhsm2-util")),
)
JAVA = (
    Package("default-jdk-headless", lambda: shutil.which("javac")),
    Package("maven", lambda: shutil.which("mvn")),
)


def install_missing(packages: tuple[Package, ...] = PACKAGES) -> list[str]:
    """Install what is missing if we are root on Debian or Ubuntu; returns a sentence for each thing still absent."""
    absent = [package.name for package in packages if not package.present()]
    if not absent:
        return []
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return [f"{name} is absent, and only root can install it (apt-get install {name})" for name in absent]
    print(f"Installing Debian packages: {' '.join(absent)} …", flush=True)
    # run level 1: what is installed isn't started as a service
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    steps = ([*APT, "update"], [*APT, "install", "--yes", "--no-install-recommends", *absent, "fonts-dejavu-core"])
    for step in steps:
        done = subprocess.run(
            step, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            print(f"{' '.join(step)} ended with {done.returncode}:\n{done.stderr.strip()[-2000:]}", flush=True)
    return [f"{package.name} could not be installed" for package in packages if not package.present()]
