"""Starts the issuer and the city service as processes of their own, with fresh keys in a folder of this run."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 5.0
PID_TENANT, CITY_TENANT = "pid-provider", "leipzig"
REGISTER = Path(__file__).with_name("register.yaml")


class DemoFailed(Exception):
    """The demonstration can't go on; the message is one sentence."""


def choose_port(wanted: int) -> int:
    """A port to listen on; 0 takes a free one.

    Raises:
        DemoFailed: another program has it.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise DemoFailed(
                f"port {wanted} on this machine is taken ({error.strerror}); end the program that has it, "
                "or choose others: make demo ARGS='--port 9701 --city-port 9702'"
            ) from None
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """One running process."""

    name: str
    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_until_up(self, path: str) -> None:
        """Wait for the first good answer.

        Raises:
            DemoFailed: it ended, or does not answer in time.
        """
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise DemoFailed(f"{self.name} did not start: {self._last_line()}")
            try:
                if httpx.get(self.url + path, timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise DemoFailed(f"{self.name} does not answer at {self.url} (its log: {self.log})")

    def stop(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


@dataclass(frozen=True)
class Issuer:
    """The issuer's folder and settings, before and while it runs."""

    folder: Path
    url: str
    port: int
    provider_anchor: Path

    def environment(self) -> dict[str, str]:
        """Its settings: the demonstration's relaxations are all here."""
        settings = {
            "DATA_DIR": self.folder,
            "PUBLIC_URL": self.url,
            "ALLOW_LOOPBACK_HTTP": "true",
            "ALLOW_TEST_TYPES": "true",
            "DEMO_LOGIN": "true",
            "TEST_REGISTER": REGISTER,
            "WALLET_PROVIDER_ANCHORS": self.provider_anchor,
            "STATUS_TTL": "1",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ISSUER_")}
        return {**inherited, **{f"ISSUER_{name}": str(value) for name, value in settings.items()}}

    def run(self, *arguments: str) -> str:
        """Run a command of the issuer to its end; what it printed.

        Raises:
            DemoFailed: it failed.
        """
        command = [sys.executable, "-m", "stadtnachweis", "issuer", *arguments]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DemoFailed(f"`stadtnachweis issuer {' '.join(arguments)}` failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def keys(self, tenant: str) -> Path:
        """Where a tenant's keys and certificates are."""
        return self.folder / "keys" / tenant

    def start(self, log: Path) -> Server:
        """Serve."""
        command = [sys.executable, "-m", "stadtnachweis", "issuer", "serve", "--port", str(self.port)]
        return Server("the issuer", self.url, _start(command, self.environment(), log), log)


def prepare_issuer(folder: Path, *, port: int, provider_anchor: Path) -> Issuer:
    """Secrets, database, a mock PID provider and a city as tenants."""
    issuer = Issuer(folder, f"http://{HOST}:{port}", port, provider_anchor)
    issuer.run("init")
    issuer.run("tenant", "add", PID_TENANT, "--name", "TEST PID-Provider")
    issuer.run("tenant", "add", CITY_TENANT, "--name", "Stadt Leipzig")
    return issuer


def start_city(folder: Path, *, port: int, issuer: Issuer, log: Path) -> Server:
    """The city service: its access certificate and whom it trusts come from the issuer's folder."""
    folder.mkdir(mode=0o700, parents=True)
    url = f"http://{HOST}:{port}"
    city, pid = issuer.keys(CITY_TENANT), issuer.keys(PID_TENANT)

    def domain(name: str, keys: Path) -> Mapping[str, str]:
        return {"name": name, "credentials": str(keys / "iaca.crt.pem"), "status": str(keys / "status-ca.crt.pem")}

    config = folder / "city.json"
    config.write_text(
        json.dumps(
            {
                "public_url": url,
                "database": str(folder / "city.db"),
                "access_key": str(city / "access.key.pem"),
                "access_chain": str(city / "access.crt.pem"),
                "pid": domain("TEST PID", pid),
                "leipzig_pass": domain("Stadt Leipzig", city),
                "wallet_link": "openid4vp://",
            }
        )
    )
    command = [sys.executable, "-m", "demo.city", str(config), "--port", str(port)]
    return Server("the city service", url, _start(command, dict(os.environ), log), log)


def _start(command: list[str], environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    # a session of its own: Ctrl-C reaches the demonstration alone, which then ends its servers in order
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
