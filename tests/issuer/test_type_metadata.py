"""Type metadata lie at a `vct` that is an address of ours, and credentials name their hash and keep their promises."""

from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import pytest

from issuer.catalog.loader import load_catalog
from issuer.catalog.placed_yaml import CatalogError
from specs.credentials.sd_jwt import parse_sd_jwt
from specs.credentials.sd_jwt_vc import parse_issuer_jwt, read_sd_jwt_vc
from specs.credentials.type_metadata import check_claims, integrity_of, load_type
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from tests.issuer.collecting import authorize, collect, tenant_of
from tests.issuer.house import PASS, PID, PUBLIC_URL, House, open_house, settings_for

VCT = f"{PUBLIC_URL}/t/leipzig/vct/leipzig_pass/1"
PID_VCT = f"{PUBLIC_URL}/t/leipzig/vct/pid/1"
CHILD_VCT = f"{PUBLIC_URL}/t/leipzig/vct/leipzig_pass_plus/1"
LOOKS = """\
logo: {uri: "data:image/svg+xml,%3Csvg/%3E", alt: {de: Wappen, en: Coat of arms}}
svg_template:
  uri: https://leipzig.example/card.svg
  integrity: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
"""


def shipped(name: str) -> str:
    return (resources.files("issuer.catalog") / "types" / f"{name}.yaml").read_text(encoding="utf-8")


def write_catalog(folder: Path, *, child: str = "") -> Path:
    """The types that come with the program at addresses of ours, and one that extends the pass."""
    folder.mkdir()
    own = shipped("leipzig_pass").replace("urn:example:leipzig:leipzig_pass:1", VCT)
    (folder / "leipzig_pass.yaml").write_text(own + LOOKS, encoding="utf-8")
    (folder / "pid_mock.yaml").write_text(shipped("pid_mock").replace("urn:eudi:pid:de:1", PID_VCT), encoding="utf-8")
    text = own.replace(VCT, CHILD_VCT).replace("type: leipzig_pass\n", "type: leipzig_pass_plus\n")
    text = text.replace(".leipzig_pass.", ".leipzig_pass_plus.") + f"extends: {{vct: {VCT!r}}}\n{child}"
    (folder / "leipzig_pass_plus.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
async def hosting(tmp_path: Path) -> AsyncIterator[House]:
    """An issuer that hosts the metadata of its types."""
    settings = settings_for(tmp_path).model_copy(update={"catalog_dir": write_catalog(tmp_path / "types")})
    opened = await open_house(settings)
    yield opened
    await opened.http.aclose()
    await opened.store.close()


async def document(house: House, vct: str) -> bytes:
    answer = await house.http.get(vct)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    again = await house.http.get(vct, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    return answer.content


@pytest.mark.parametrize(
    ("kind", "claims", "vct"),
    [
        ("leipzig_pass", PASS, VCT),
        ("pid_mock", PID, PID_VCT),
        ("leipzig_pass_plus", PASS, CHILD_VCT),
    ],
)
async def test_a_credential_names_the_hash_of_its_type_and_keeps_what_it_promises(
    kind: str, claims: JsonObject, vct: str, hosting: House
) -> None:
    configuration = f"{kind}-sd-jwt"
    offer = await hosting.offer(credential_types=[kind], claims={kind: claims}, formats=["dc+sd-jwt"])
    await authorize(hosting, str(offer["id"]), configurations=[configuration])
    _, minted, _ = await collect(hosting, str(offer["id"]), configuration)
    sd_jwt = parse_sd_jwt(minted[0])
    issuer_jwt = parse_issuer_jwt(sd_jwt)
    payload = strict_json.parse_object(issuer_jwt.jws.payload)
    tenant = await tenant_of(hosting)

    integrity = payload["vct#integrity"]
    assert isinstance(integrity, str)
    assert integrity == integrity_of(await document(hosting, vct))
    documents = {each: await document(hosting, each) for each in (VCT, PID_VCT, CHILD_VCT)}
    loaded = load_type(vct, integrity=integrity, documents=documents, require_integrity=True)
    signer = tenant.keys.credential_signer(
        hosting.service.catalog.configurations[configuration].format,
        hosting.service.catalog.types[kind].alg,
    )
    credential = read_sd_jwt_vc(issuer_jwt, issuer_key=signer.identity.signer.public_key)
    check_claims(loaded, credential.processed)
    assert loaded.lineage == ((CHILD_VCT, VCT) if kind == "leipzig_pass_plus" else (vct,))
    always = {claim.path for claim in loaded.claims if claim.sd == "always"}
    assert always >= {(name,) for name in claims}
    if kind == "pid_mock":
        assert {("nationalities", None), ("address", "locality"), ("age_equal_or_over", "18")} <= always


async def test_a_type_is_shown_in_both_languages_with_its_pictures(hosting: House) -> None:
    shown = strict_json.parse_object(await document(hosting, VCT))
    assert set(shown) == {"vct", "name", "description", "display", "claims"}
    display = shown["display"]
    assert isinstance(display, list)
    assert [each["locale"] for each in display if isinstance(each, dict)] == ["de", "en"]
    english = display[1]
    assert isinstance(english, dict)
    assert english["rendering"] == {
        "simple": {
            "logo": {"uri": "data:image/svg+xml,%3Csvg/%3E", "alt_text": "Coat of arms"},
            "background_color": "#004b7d",
            "text_color": "#ffffff",
        },
        "svg_templates": [
            {
                "uri": "https://leipzig.example/card.svg",
                "uri#integrity": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            }
        ],
    }
    child = strict_json.parse_object(await document(hosting, CHILD_VCT))
    assert (child["extends"], child["extends#integrity"]) == (VCT, integrity_of(await document(hosting, VCT)))


async def test_there_is_nothing_at_other_addresses(hosting: House) -> None:
    assert (await hosting.http.get(f"{PUBLIC_URL}/t/leipzig/vct/leipzig_pass/2")).status_code == 404
    assert (await hosting.http.get(VCT.replace("/t/leipzig/", "/t/dresden/"))).status_code == 404


async def test_a_type_that_others_describe_has_no_hash_in_its_credentials(house: House) -> None:
    offer = await house.offer(formats=["dc+sd-jwt"])
    await authorize(house, str(offer["id"]), configurations=["leipzig_pass-sd-jwt"])
    _, minted, _ = await collect(house, str(offer["id"]), "leipzig_pass-sd-jwt")
    payload = strict_json.parse_object(parse_issuer_jwt(parse_sd_jwt(minted[0])).jws.payload)
    assert "vct#integrity" not in payload
    assert (await house.http.get(VCT)).status_code == 404


def test_a_type_may_not_loosen_what_it_extends_or_extend_itself(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "types")
    child = folder / "leipzig_pass_plus.yaml"
    good = child.read_text(encoding="utf-8")
    load_catalog(folder)
    optional = good.replace(
        "  - name: family_name\n    type: string\n    mandatory: true\n", "  - name: family_name\n    type: string\n"
    )
    assert optional != good
    child.write_text(optional, encoding="utf-8")
    with pytest.raises(CatalogError, match="a child makes a mandatory claim optional"):
        load_catalog(folder)
    child.write_text(good.replace(f"extends: {{vct: {VCT!r}}}", f"extends: {{vct: {CHILD_VCT!r}}}"), encoding="utf-8")
    with pytest.raises(CatalogError, match="extends itself in a circle"):
        load_catalog(folder)
