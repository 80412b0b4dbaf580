"""The wallet on the command line."""

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from issuer.collect.qr import qr_png
from issuer.store.tables import Grant
from specs.protocols.credential_offer import CredentialOffer, offer_link
from specs.protocols.dcql import parse_dcql
from specs.protocols.openid4vp import ResponseMode, build_transaction_data
from specs.trust.x509 import TrustAnchor
from stadtnachweis.__main__ import main
from tests.issuer.wallet_api.world import MDOC, SD_JWT
from tests.wallet_sim.city import ACCEPTING, DOC_TYPE, VCT, City, procedures, running_counter
from verifier import Flow, Procedure


def _pem(anchors: tuple[TrustAnchor, ...], path: Path) -> str:
    path.write_bytes(x509.load_der_x509_certificate(anchors[0].certificate).public_bytes(Encoding.PEM))
    return str(path)


def test_collect_list_show_and_present(
    city: City, wallet_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link, code = city.offer(tx_code=True, configurations=(SD_JWT,))
    assert code is not None
    file = ["--file", str(wallet_file)]
    roots = _pem(city.anchors("iaca"), tmp_path / "roots.pem")

    collecting = ["wallet", "collect", link, "--tx-code", code, "--copies", "2", "--issuer-anchors", roots]
    assert main([*collecting, "--yes", "--allow-loopback-http", *file]) == 0
    told = capsys.readouterr()
    assert f"Stadt Leipzig ({city.world.issuer_url()}) offers:\n  Leipzig-Pass (dc+sd-jwt)" in told.err

    assert main(["wallet", "list", *file]) == 0
    listed = capsys.readouterr().out
    assert listed.splitlines() == [listed.strip()]
    assert "Leipzig-Pass (Stadt Leipzig)" in listed
    assert listed.strip().endswith("2 copies")

    assert main(["wallet", "show", listed[:6], *file]) == 0
    assert '"given_name": "Mila"' in capsys.readouterr().out

    with running_counter(city, procedures(mode=ResponseMode.DIRECT_POST_JWT)) as counter:
        question = counter.verifier.ask("sd-jwt", flow=Flow.APP)
        anchors = _pem(counter.anchors, tmp_path / "verifiers.pem")
        presenting = ["wallet", "present", question.wallet_url, "--verifier-anchors", anchors, "--yes"]
        assert main([*presenting, "--allow-loopback-http", *file]) == 0
        shown = capsys.readouterr()
    assert shown.err == "Stadt Leipzig asks for:\n  Leipzig-Pass: entitled, given_name\n"
    assert shown.out.startswith("The verifier took the answer.\nGo on in your browser: https://city.example/back?")


@pytest.mark.parametrize(
    ("more", "said", "collected"),
    [
        (["--yes"], [], 2),
        (["--yes", "--dataset", "2"], [], 1),
        ([], ["y", "n", "y"], 1),
        ([], ["y", "n", "n"], 0),
    ],
    ids=["all", "by number", "by asking", "none"],
)
def test_only_the_datasets_that_are_wanted(
    city: City,
    wallet_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: list[str],
    collected: int,
) -> None:
    """Their identifiers are the issuer's own, new for each token: a person tells them apart by their place."""
    monkeypatch.setattr("builtins.input", lambda: said.pop(0))
    link, _ = city.offer(datasets=("first", "second"), configurations=(SD_JWT,))

    collecting = ["wallet", "collect", link, "--allow-loopback-http", "--file", str(wallet_file), *more]
    assert main(collecting) == 0

    told = capsys.readouterr()
    assert "There are 2 of leipzig_pass-sd-jwt:\n  1: " in told.err
    assert len(told.out.splitlines()) == 1 + collected
    assert len(city.wallet(wallet_file).credentials()) == collected
    assert said == []


def test_transaction_data_are_told_before_they_are_agreed_to(
    city: City, wallet_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    city.wallet(wallet_file).collect(city.offer(configurations=(SD_JWT,))[0], holder=ACCEPTING)
    fee = build_transaction_data("urn:example:fee:1", credential_ids=["pass"], members={"amount": {"value": "30.70"}})
    asked = procedures(mode=ResponseMode.DIRECT_POST_JWT, transaction_data=(fee,))
    with running_counter(city, asked) as counter:
        anchors = _pem(counter.anchors, tmp_path / "verifiers.pem")
        options = ["--verifier-anchors", anchors, "--yes", "--allow-loopback-http", "--file", str(wallet_file)]
        link = counter.verifier.ask("sd-jwt", flow=Flow.APP).wallet_url
        assert main(["wallet", "present", link, *options]) == 1
        assert "invalid_transaction_data" in capsys.readouterr().err
        link = counter.verifier.ask("sd-jwt", flow=Flow.APP).wallet_url
        assert main(["wallet", "present", link, "--transaction-type", "urn:example:fee:1", *options]) == 0
    assert "You would agree to urn:example:fee:1:\n  amount/value: 30.70\n" in capsys.readouterr().err


CHOICE = {
    "credentials": [
        {
            "id": "pass",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": [VCT]},
            "claims": [{"id": name, "path": [name]} for name in ("entitled", "given_name", "birthdate")],
            "claim_sets": [["entitled"], ["given_name", "birthdate"]],
        },
        {
            "id": "mdoc",
            "format": "mso_mdoc",
            "meta": {"doctype_value": DOC_TYPE},
            "claims": [{"path": [DOC_TYPE, "entitled"]}],
        },
    ],
    "credential_sets": [{"options": [["pass"], ["mdoc"]]}, {"options": [["mdoc"]], "required": False}],
}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (["", "2", "", "2", "y"], {"pass": ["given_name", "birthdate"]}),
        (["2", "x", "9", "1", "y"], {"mdoc": [DOC_TYPE]}),
        (["1", "1", "1", "1", "y"], {"pass": ["entitled"], "mdoc": [DOC_TYPE]}),
        (["1", "2", "1", "1", "n"], None),
        (["x", "x", "x"], None),
    ],
    ids=["other claims", "the other way", "all", "declined", "no answer"],
)
def test_what_can_be_chosen_is_asked(
    city: City,
    wallet_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    said: list[str],
    shown: dict[str, list[str]] | None,
) -> None:
    for names in ((SD_JWT, MDOC), (SD_JWT,)):
        city.wallet(wallet_file).collect(city.offer(configurations=names)[0], holder=ACCEPTING)
    monkeypatch.setattr("builtins.input", lambda: said.pop(0))
    mode = ResponseMode.DIRECT_POST_JWT
    asked = Procedure(id="choice", query=parse_dcql(json.dumps(CHOICE)), response_mode=mode)
    with running_counter(city, {"choice": asked}) as counter:
        question = counter.verifier.ask("choice", flow=Flow.CROSS_DEVICE)
        presenting = ["wallet", "present", question.wallet_url, "--allow-loopback-http", "--file", str(wallet_file)]
        presenting += ["--verifier-anchors", _pem(counter.anchors, tmp_path / "verifiers.pem")]

        assert main(presenting) == (1 if shown is None else 0), capsys.readouterr().err

        assert said == []
        if shown is not None:
            verdict = counter.verifier.result(question.id, session_secret=question.session_secret).verdict
            assert verdict.accepted
            told = {each.query_id: {*each.claims} for each in verdict.credentials}
            assert told.keys() == shown.keys()
            assert all(told[name] >= {*claims} for name, claims in shown.items())
            assert ("entitled" in told.get("pass", ())) == ("entitled" in shown.get("pass", ()))


def test_picture_of_the_code_will_do(
    city: City, wallet_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "offer.png"
    picture.write_bytes(qr_png(city.offer(configurations=(SD_JWT,))[0]))
    collecting = ["wallet", "collect", str(picture), "--yes", "--allow-loopback-http", "--file", str(wallet_file)]

    assert main(collecting) == 0
    assert "In the wallet now:" in capsys.readouterr().out
    picture.write_bytes(b"hello")
    assert main(collecting) == 1
    assert "this is no picture that can be read" in capsys.readouterr().err


def test_login_by_itself(
    city: City, wallet_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    link, _ = city.offer(grant=Grant.AUTHORIZATION_CODE, configurations=(SD_JWT,))
    monkeypatch.setattr("wallet_sim.cli.getpass", lambda _prompt: "einfach")

    collecting = ["wallet", "collect", link, "--login-as", "mila", "--yes", "--allow-loopback-http"]

    assert main([*collecting, "--file", str(wallet_file)]) == 0
    assert "In the wallet now:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "status", "sentence"),
    [
        ("proof-nonce-wrong", 0, "proof-nonce-wrong: 400 invalid_nonce came back, as it must"),
        ("proofs-one-bad", 1, "proofs-one-bad had no occasion here; it needs: batch issuance"),
        ("impolite", 1, "no misbehaviour is called impolite"),
    ],
)
def test_misbehaving_says_whether_the_issuer_reacts_as_it_must(
    city: City, wallet_file: Path, capsys: pytest.CaptureFixture[str], name: str, status: int, sentence: str
) -> None:
    link, _ = city.offer(configurations=(SD_JWT,))
    collecting = ["wallet", "collect", link, "--yes", "--allow-loopback-http", "--misbehave", name]

    assert main([*collecting, "--file", str(wallet_file)]) == status
    told = capsys.readouterr()
    assert sentence in told.out + told.err


def test_misbehaviours_are_listed_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wallet", "misbehaviours", "--json", "--phase", "proximity"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"id", "phases", "formats", "clause", "sentence", "needs", "reaction"} == listed[0].keys()
    assert all("proximity" in each["phases"] for each in listed)


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("ja", 0), ("n", 1), ("", 1)])
def test_consent_is_asked_for(
    city: City,
    wallet_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    status: int,
) -> None:
    link, _ = city.offer(configurations=(SD_JWT,))
    monkeypatch.setattr("builtins.input", lambda: answer)

    assert main(["wallet", "collect", link, "--allow-loopback-http", "--file", str(wallet_file)]) == status
    assert "Take it? [y/N]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["collect", "openid-credential-offer://?credential_offer=%7B%7D"], "credential_configuration_ids"),
        (["collect", "mailto://somebody"], "another scheme than an offer's"),
        (["collect", "nowhere.png"], "No such file or directory: nowhere.png"),
        (["present", "openid4vp://?x=1", "--verifier-anchors", "/nowhere.pem"], "No such file or directory: /nowhere"),
        (["show", "ffff"], "0 credentials have an id that begins with ffff"),
        (["show", ""], "give at least the first 4 characters of the id"),
    ],
)
def test_failure_is_one_sentence_and_a_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["wallet", *arguments, "--file", str(tmp_path / "wallet.db")]) == 1

    told = capsys.readouterr().err
    assert told.startswith("stadtnachweis: ")
    assert sentence in told
    assert told.count("\n") == 1


def test_what_others_say_moves_no_cursor(city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name with control sequences could rewrite what the holder is asked."""
    link = offer_link(CredentialOffer(city.world.issuer_url(), ("\x1b[2J\x9b1Apass",)))

    assert main(["wallet", "collect", link, "--allow-loopback-http", "--file", str(tmp_path / "wallet.db")]) == 1
    told = capsys.readouterr().err
    assert "�[2J�1Apass" in told
    assert told.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["collect", "openid4vp://?client_id=x509_hash%3Ax"], "wallet present"),
        (["present", "--verifier-anchors", "ROOTS", "haip-vci://?credential_offer=%7B%7D"], "wallet collect"),
        (
            ["collect", "openid-credential-offer://?credential_offer_uri=http%3A%2F%2F127.0.0.1"],
            "--allow-loopback-http",
        ),
    ],
)
def test_a_link_of_another_kind_gets_a_hint(
    command: list[str], hint: str, city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roots = _pem(city.anchors("access-ca"), tmp_path / "roots.pem")
    arguments = [roots if word == "ROOTS" else word for word in command]
    assert main(["wallet", *arguments, "--file", str(tmp_path / "wallet.sqlite3")]) == 1
    assert hint in capsys.readouterr().err


def test_nobody_to_ask_is_said(
    city: City, wallet_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def closed() -> str:
        raise EOFError

    link, _ = city.offer(configurations=(SD_JWT,))
    monkeypatch.setattr("builtins.input", closed)

    assert main(["wallet", "collect", link, "--allow-loopback-http", "--file", str(wallet_file)]) == 1
    assert "--yes agrees beforehand" in capsys.readouterr().err


def test_empty_wallet_and_its_providers_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = ["--file", str(tmp_path / "wallet.db")]

    assert main(["wallet", "list", *file]) == 0
    assert "The wallet is empty" in capsys.readouterr().out
    assert main(["wallet", "provider-anchor", *file]) == 0
    assert capsys.readouterr().out.startswith("-----BEGIN CERTIFICATE-----")
