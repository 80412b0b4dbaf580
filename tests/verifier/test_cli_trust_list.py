"""Publishing and reading lists of trusted entities on the command line."""

import json
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from specs.trust.trust_list import PUB_EAA_NOTIFIED, PUB_EAA_PROVIDERS
from stadtnachweis.__main__ import main
from tests.specs.trust.lists import publisher
from tests.verifier.world import signing_authority


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A description, a root that it names, and a publisher's key and certificate."""
    now = int(time.time())
    identity = publisher(now)
    key = identity.signer._ec  # type: ignore[attr-defined]
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    for name, der in (("chain", identity.chain[0]), ("root", signing_authority("Root", now=now).certificate)):
        (tmp_path / f"{name}.pem").write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
    service = {
        "type": "http://uri.etsi.org/19602/SvcType/PubEAA/Issuance",
        "certificates": "root.pem",
        "status": PUB_EAA_NOTIFIED,
        "since": "2026-01-01T00:00:00Z",
    }
    described = {
        "type": PUB_EAA_PROVIDERS,
        "operator": "Stadt Leipzig",
        "territory": "DE",
        "entities": [{"name": "Sozialamt", "services": [service]}],
    }
    (tmp_path / "list.json").write_text(json.dumps(described))
    return tmp_path


def publish(folder: Path, *more: str) -> int:
    """Run the command."""
    key, chain = str(folder / "key.pem"), str(folder / "chain.pem")
    command = ["verifier", "trust-list", "publish", str(folder / "list.json"), "--key", key, "--chain", chain]
    return main([*command, "--number", "3", *more])


def show(folder: Path, list_type: str = PUB_EAA_PROVIDERS) -> int:
    """Run the other one."""
    signer = str(folder / "chain.pem")
    return main(["verifier", "trust-list", "show", str(folder / "list.jwt"), "--type", list_type, "--signer", signer])


def test_what_is_published_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(folder) == 0
    (folder / "list.jwt").write_text(capsys.readouterr().out)
    assert show(folder) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["operator"], found["number"], found["entities"][0]["name"]) == ("Stadt Leipzig", 3, "Sozialamt")
    assert show(folder, PUB_EAA_PROVIDERS.replace("PubEAA", "PID")) == 1
    assert "trust_list_malformed" in capsys.readouterr().err


def test_a_description_that_says_too_much_or_too_little_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = json.loads((folder / "list.json").read_text())
    (folder / "list.json").write_text(json.dumps({**described, "operater": "x"}))
    assert publish(folder) == 2
    assert "operater" in capsys.readouterr().err
    (folder / "list.json").write_text(json.dumps(described))
    assert publish(folder, "--days", "400") == 2
    assert "six months" in capsys.readouterr().err
    (folder / "key.pem").unlink()
    assert publish(folder) == 2
    (folder / "list.jwt").write_text("nothing")
    (folder / "chain.pem").unlink()
    assert show(folder) == 2
