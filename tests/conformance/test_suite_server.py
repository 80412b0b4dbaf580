"""Where targets come to: over https by the suite's own root or by given files, or over plain http on this machine."""

import socket
import ssl
from pathlib import Path

import httpx
import pytest

from conformance.build import verifier_target, wallet_target
from conformance.check import Outcome, tried
from conformance.identity import SuiteIdentity
from conformance.run import wallet_checks
from conformance.settings import Settings, SettingsWrong, Source
from tests.conformance.our_wallet import running_wallet

CHECKS = {check.id: check for check in wallet_checks()}


def _trusting(root: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=root.decode("ascii"))
    return context


def _settings(folder: Path, **members: object) -> Settings:
    SuiteIdentity.of(folder / "suite")
    return Settings.model_validate({"wallet": "https://wallet.example", "identity": folder / "suite", **members})


def test_https_is_by_the_root_of_the_identity(tmp_path: Path) -> None:
    settings = _settings(tmp_path, suite_tls=True, suite_url="https://suite.example:8710")
    with httpx.Client() as client, wallet_target(settings, client) as target:
        assert target.server.url == "https://suite.example:8710"
        port = target.server.port
        context = _trusting((tmp_path / "suite" / "suite-tls-root.pem").read_bytes())
        assert httpx.get(f"https://localhost:{port}/nothing", verify=context).status_code == 404
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="suite.example") as wrapped,
        ):
            assert wrapped.version() == "TLSv1.3"
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://localhost:{port}/nothing")
        assert httpx.get(f"https://localhost:{port}/nothing", verify=context).status_code == 404


def test_https_is_by_given_files_that_belong_together(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    settings = _settings(tmp_path, suite_certificate=certificate, suite_key=key)
    folder = tmp_path / "suite"
    certificate.write_bytes((folder / "suite-tls-root.pem").read_bytes())
    key.write_bytes((folder / "suite-tls-root.key.pem").read_bytes())
    with httpx.Client() as client, wallet_target(settings, client) as target:
        assert target.server.url.startswith("https://localhost:")
    key.write_bytes((folder / "verifier.key.pem").read_bytes())
    with httpx.Client() as client:
        unusable = wallet_target(settings, client)
        with pytest.raises(SettingsWrong, match="suite_certificate"):
            unusable.__enter__()


def test_one_file_without_the_other_is_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        Settings(suite_certificate=Path("a.pem"))


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = _settings(tmp_path, suite_port=taken.getsockname()[1])
        with httpx.Client() as client:
            unusable = wallet_target(settings, client)
            with pytest.raises(SettingsWrong, match="suite_port"):
                unusable.__enter__()


@pytest.mark.parametrize(
    ("members", "is_reachable"),
    [({}, False), ({"allow_loopback_http": True}, True), ({"suite_url": "https://suite.example"}, True)],
)
def test_a_verifier_elsewhere_finds_status_lists_only_where_an_address_is_named(
    members: dict[str, object], is_reachable: bool, tmp_path: Path
) -> None:
    SuiteIdentity.of(tmp_path / "suite")
    asking = Source(uri="openid4vp://?client_id=a")
    settings = Settings.model_validate(
        {"verifier": "https://v.example", "identity": tmp_path / "suite", "question": asking, **members}
    )
    with httpx.Client() as client, verifier_target(settings, client) as target:
        assert (target.server is not None) is is_reachable


@pytest.mark.parametrize("name", ["wi-collects-sd-jwt", "wp-answers-sd-jwt"])
def test_a_wallet_that_speaks_https_alone_is_judged(name: str, tmp_path: Path) -> None:
    with running_wallet(tmp_path, is_https=True) as target:
        assert target.server.url.startswith("https://")
        result = tried(CHECKS[name], target, profile="haip-1.0")
    assert result.outcome is Outcome.PASSED, result.came
