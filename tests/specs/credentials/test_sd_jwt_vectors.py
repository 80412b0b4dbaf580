"""The published SD-JWT cases: what the issuer hid and the holder showed is what the verifier reads."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from specs.credentials.key_binding import build_key_binding, parse_key_binding, verify_key_binding
from specs.credentials.sd_jwt import Path, SdJwt, parse_sd_jwt, process_payload, verify_issuer_jwt
from specs.credentials.sd_jwt_issue import Claim, Sd, build_sd_jwt, issuer_header
from specs.credentials.sd_jwt_json import build_flattened_json, build_general_json, parse_sd_jwt_json
from specs.credentials.sd_jwt_present import read_as_holder, select_disclosures, serialize
from specs.encoding import base64url, strict_json
from specs.keys.jose import jwk_from_public_key, parse_jws
from tests.specs.credentials.sd_jwt_drawing import AUDIENCE, HOLDER, ISSUER, NONCE, NOW, STRANGER
from tests.vectors import vectors_path, vectors_root

TYP = "example+sd-jwt"


class _Loader(yaml.SafeLoader):
    """Reads `!sd`: on a value it marks an element, on a name it marks the member."""


def _sd(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return Sd(_members(loader, node))
    if isinstance(node, yaml.SequenceNode):
        return Sd(loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.ScalarNode)
    return Sd(yaml.safe_load(node.value if node.style is None else json.dumps(node.value)))


def _members(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, Claim]:
    members: dict[str, Claim] = {}
    for name, value in node.value:
        inner = loader.construct_object(value, deep=True)
        members[name.value] = Sd(inner) if name.tag == "!sd" else inner
    return members


_Loader.add_constructor("!sd", _sd)
_Loader.add_constructor("tag:yaml.org,2002:map", _members)


def _cases() -> list[str]:
    root = vectors_root() / "sd_jwt"
    found = sorted(str(path.parent.relative_to(root)) for path in root.glob("*/*/specification.yml"))
    return found or ["testcases/no_sd"]


def _load(case: str) -> dict[str, Any]:
    loaded = yaml.load(vectors_path("sd_jwt", case, "specification.yml").read_text(), _Loader)  # noqa: S506
    assert isinstance(loaded, dict)
    return loaded


def _shown_paths(shown: object, place: Path = ()) -> list[Path]:
    """The paths that a case's `holder_disclosed_claims` names."""
    if isinstance(shown, dict):
        inner = [path for name, value in shown.items() for path in _shown_paths(value, (*place, name))]
    elif isinstance(shown, list):
        inner = [path for at, value in enumerate(shown) for path in _shown_paths(value, (*place, at))]
    else:
        return [place] if shown is True else []
    return [place, *inner] if place else inner


def _issue(specification: Mapping[str, Any]) -> str:
    claims = {"iss": "https://example.com/issuer", "iat": 1683000000, "exp": 1883000000, **specification["user_claims"]}
    if specification.get("key_binding"):
        claims["cnf"] = {"jwk": jwk_from_public_key(HOLDER.public_key)}
    header = issuer_header(alg="ES256", typ=TYP, header={"x-case": 1})
    return build_sd_jwt(claims, signer=ISSUER, header=header, decoys=3 if specification.get("add_decoy_claims") else 0)


def _present(issued: str, specification: Mapping[str, Any]) -> SdJwt:
    sd_jwt = parse_sd_jwt(issued)
    paths = _shown_paths(specification["holder_disclosed_claims"])
    shown = select_disclosures(sd_jwt, read_as_holder(sd_jwt, expected_typ=TYP), paths=paths, whole=False)
    if specification.get("key_binding"):
        shown = build_key_binding(shown, signer=HOLDER, nonce=NONCE, audience=AUDIENCE, issued_at=NOW)
    return shown


def _verify(sd_jwt: SdJwt, specification: Mapping[str, Any]) -> dict[str, Any]:
    payload = verify_issuer_jwt(parse_jws(sd_jwt.issuer_jwt, expected_typ=TYP), ISSUER.public_key)
    processed = process_payload(payload, sd_jwt.disclosures)
    if specification.get("key_binding"):
        assert sd_jwt.kb_jwt is not None
        verify_key_binding(
            parse_key_binding(sd_jwt),
            holder_key=HOLDER.public_key,
            hashed_part=sd_jwt.hashed_part,
            sd_alg=processed.sd_alg,
            expected_nonce=NONCE,
            expected_audience=AUDIENCE,
            now=NOW,
        )
    return processed.claims


def _expected(specification: Mapping[str, Any], verified: Mapping[str, Any]) -> dict[str, Any]:
    defaults = ("iss", "iat", "exp", "cnf")
    kept = {name: verified[name] for name in defaults if name in verified}
    return {**kept, **specification["expect_verified_user_claims"]}


_EXPECTING = [case for case in _cases() if case.startswith("testcases/")]


@pytest.mark.parametrize("case", _EXPECTING)
def test_verified_contents_are_those_that_the_case_expects(case: str) -> None:
    specification = _load(case)

    verified = _verify(parse_sd_jwt(serialize(_present(_issue(specification), specification))), specification)

    assert verified == _expected(specification, verified)


@pytest.mark.parametrize("case", _EXPECTING)
@pytest.mark.parametrize("form", ["flattened", "general"])
def test_json_serialisations_say_the_same_as_the_compact_one(case: str, form: str) -> None:
    specification = _load(case)
    shown = _present(_issue(specification), specification)
    further = _second_signature(shown)
    document = (
        build_flattened_json(shown) if form == "flattened" else build_general_json(shown, further_issuer_jwts=[further])
    )

    read = parse_sd_jwt_json(strict_json.dumps(document))

    assert read == shown
    verified = _verify(read, specification)
    assert verified == _expected(specification, verified)


def _second_signature(shown: SdJwt) -> str:
    header, payload, _ = shown.issuer_jwt.split(".")
    signature = STRANGER.sign(f"{header}.{payload}".encode())
    return f"{header}.{payload}.{base64url.encode(signature)}"


@pytest.mark.parametrize("case", [case for case in _cases() if case.startswith("examples/")])
def test_examples_can_be_issued_fully_shown_and_read_back(case: str) -> None:
    specification = _load(case)

    sd_jwt = parse_sd_jwt(_issue(specification))
    processed = process_payload(
        verify_issuer_jwt(parse_jws(sd_jwt.issuer_jwt, expected_typ=TYP), ISSUER.public_key), sd_jwt.disclosures
    )

    assert {name: processed.claims[name] for name in specification["user_claims"]} == _plain(
        specification["user_claims"]
    )
    assert len(processed.disclosed) == len(sd_jwt.disclosures)


def _plain(value: Any) -> Any:
    if isinstance(value, Sd):
        return _plain(value.value)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(element) for element in value] if isinstance(value, list) else value
