"""A tenant's files, mistake by mistake: each is told with its file and place, and keeps the service down."""

from pathlib import Path

import pytest

from specs.encoding.placed_yaml import FileInvalid
from specs.trust.x509 import AnchorKind
from tests.verifier.serving import ISO_IN_PAGE, PARKING, Service, pem
from tests.verifier.world import DOC_TYPE, VCT
from verifier.server import tenant_file
from verifier.server.tenant_file import Tenant, load_tenant

URL = "https://lists.example/pid.jwt"


def domain(**changes: object) -> dict[str, object]:
    return {"name": "pid", "anchors": ["pid.pem"], "types": {"dc+sd-jwt": [VCT], "mso_mdoc": [DOC_TYPE]}, **changes}


def followed(**changes: object) -> dict[str, object]:
    return {
        "url": URL,
        "signers": ["pid.pem"],
        "list_type": "urn:list",
        "issuance": "urn:issuance",
        "revocation": "urn:revocation",
        "types": {"dc+sd-jwt": [VCT], "mso_mdoc": [DOC_TYPE]},
        **changes,
    }


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "verifier", procedures=(PARKING,))


def loaded(service: Service, *, tenant: str = "leipzig", **changes: object) -> Tenant:
    return load_tenant(service.write_tenant(tenant, **changes), settings=service.settings)


def access(**changes: object) -> dict[str, object]:
    return {"key": "access.key.pem", "chain": "access.crt.pem", **changes}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"more": 1}, "leipzig/tenant.yaml:4:7: more: Extra inputs are not permitted"),
        (
            {"access": access(chain="access.key.pem")},
            "leipzig/tenant.yaml:1:1: access: no key or no certificates in these files",
        ),
        (
            {"access": access(key="access.crt.pem")},
            "leipzig/tenant.yaml:1:1: access: no key or no certificates in these files",
        ),
        (
            {"reader": access(chain="access.key.pem")},
            "leipzig/tenant.yaml:1:1: reader: no key or no certificates in these files",
        ),
        ({"wallet": "javascript:alert(1)"}, "leipzig/tenant.yaml:18:9: wallet: "),
        ({"wallet": "openid4vp:// "}, "leipzig/tenant.yaml:18:9: wallet: "),
        ({"access": access(key="none.pem")}, "leipzig/none.pem: cannot be read (No such file or directory)"),
        ({"access": access(key="no\0ne.pem")}, "leipzig/'no\\x00ne.pem': not a name that a file can have"),
        ({"registration_certificates": ["latin.txt"]}, "leipzig/latin.txt: not UTF-8"),
        (
            {"trust": [domain(), domain(kind="pinned_test")]},
            "leipzig/tenant.yaml:1:1: pid: test anchors are refused by the settings",
        ),
        ({"trust": [domain(anchors=["access.key.pem"])]}, "leipzig/tenant.yaml:1:1: pid: no PEM certificate"),
        (
            {"trust": [domain(status_anchors=["access.key.pem"])]},
            "leipzig/tenant.yaml:1:1: pid: status: no PEM certificate",
        ),
        (
            {"trust": [], "trust_lists": [followed(signers=["access.key.pem"])]},
            f"leipzig/tenant.yaml:1:1: {URL}: no PEM certificate",
        ),
        (
            {"trust_lists": [followed(), followed(url=f"{URL}2"), followed()]},
            "leipzig/tenant.yaml:1:1: trust_lists: an address is there twice",
        ),
        (
            {"trust": [domain(types={"mso_mdoc": [VCT, DOC_TYPE]})]},
            f"leipzig/procedures/parking.yaml:1:1: pid: nobody is trusted for {VCT} as dc+sd-jwt",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_tenant_is_told_with_its_place(
    changes: dict[str, object], finding: str, service: Service
) -> None:
    folder = service.write_tenant("leipzig")
    (folder / "latin.txt").write_bytes(b"\xfc")
    load_tenant(folder, settings=service.settings)
    with pytest.raises(FileInvalid) as refused:
        load_tenant(service.write_tenant("leipzig", **changes), settings=service.settings)
    assert str(refused.value).startswith(finding)


def test_a_procedure_for_an_mdoc_that_nobody_may_sign_is_refused(tmp_path: Path) -> None:
    procedure = {**PARKING, "id": "mdoc", "query": ISO_IN_PAGE["query"]}
    service = Service(tmp_path / "verifier", procedures=(procedure,))
    assert set(loaded(service).procedures) == {"mdoc"}
    with pytest.raises(FileInvalid) as refused:
        loaded(service, trust=[domain(types={"dc+sd-jwt": [VCT, DOC_TYPE]})])
    place = "leipzig/procedures/mdoc.yaml:1:1: pid"
    assert str(refused.value) == f"{place}: nobody is trusted for {DOC_TYPE} as mso_mdoc"


@pytest.mark.parametrize(
    ("url", "loopback", "finding"),
    [
        ("https://lists.example/pid.jwt", False, None),
        ("http://127.0.0.1:8000/pid.jwt", True, None),
        ("http://127.0.0.1:8000/pid.jwt", False, "https is demanded"),
        ("http://lists.example/pid.jwt", True, "https is demanded"),
        ("https://[lists.example/pid.jwt", False, "not an address"),
        ("https://:443/pid.jwt", False, "an absolute address"),
    ],
)
def test_a_list_is_had_over_https_or_from_this_machine(
    url: str, loopback: bool, finding: str | None, tmp_path: Path
) -> None:
    """Plain http was taken from everywhere where this machine's own was allowed; it was never fetched from there."""
    service = Service(tmp_path / "verifier", allow_loopback_http=loopback, procedures=(PARKING,))
    if finding is None:
        assert [each.url for each in loaded(service, trust_lists=[followed(url=url)]).lists] == [url]
        return
    with pytest.raises(FileInvalid) as refused:
        loaded(service, trust_lists=[followed(url=url)])
    assert str(refused.value).startswith(f"leipzig/tenant.yaml:1:1: trust_lists: {url}: {finding}")


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("l", True),
        ("l" * 63, True),
        ("l" * 64, False),
        ("stadt-2", True),
        ("2-stadt", False),
        ("Leipzig", False),
        ("köln", False),
        ("bad ems", False),
        ("leipzig\n", False),
        ("lost+found", False),
    ],
)
def test_a_tenants_name_fits_into_an_address(name: str, is_taken: bool, service: Service) -> None:
    """The name of a folder went into addresses unchecked; `bad ems` could be asked by no wallet."""
    if is_taken:
        assert loaded(service, tenant=name).id == name
        return
    with pytest.raises(FileInvalid, match="a tenant's folder is named by"):
        loaded(service, tenant=name)


def test_a_list_in_xml_needs_its_extra(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = [followed(form="xml", territory="DE")]
    assert loaded(service, trust_lists=lists).lists[0].territory == "DE"
    monkeypatch.setattr(tenant_file, "find_spec", lambda name: None if name == "signxml" else name)
    assert loaded(service, trust_lists=[followed()]).lists
    with pytest.raises(FileInvalid) as refused:
        loaded(service, trust_lists=lists)
    assert str(refused.value) == "leipzig/tenant.yaml:1:1: trust_lists: a list in XML needs the extra [trust]"


def test_test_anchors_are_pinned_where_the_settings_allow_it(service: Service) -> None:
    folder = service.write_tenant("leipzig", trust=[domain(kind="pinned_test")])
    allowed = service.settings.model_copy(update={"allow_test_anchors": True})
    tenant = load_tenant(folder, settings=allowed)
    (own,) = tenant.trust["dc+sd-jwt", VCT]
    assert [each.kind for each in own.anchors] == [AnchorKind.PINNED_TEST]
    assert tenant.procedures["parking"].policy.allow_test_anchors


def test_whom_a_tenant_believes_and_as_whom_it_asks(service: Service) -> None:
    """Several may speak for a type, each with anchors of its own; a reader is needed for device requests alone."""
    other = service.write_tenant("halle") / "status.pem"
    other.write_bytes(pem(service.world.status_authority.certificate))
    trust = [domain(), domain(name="status", status_anchors=["../halle/status.pem"], types={"dc+sd-jwt": [VCT]})]
    tenant = loaded(service, trust=trust, reader=None, wallet="https://wallet.example/authorize?of=us")
    assert (tenant.wallet, loaded(service).wallet) == ("https://wallet.example/authorize?of=us", "openid4vp://")
    assert [each.name for each in tenant.trust["dc+sd-jwt", VCT]] == ["pid", "status"]
    assert [each.name for each in tenant.trust["mso_mdoc", DOC_TYPE]] == ["pid"]
    first, second = tenant.trust["dc+sd-jwt", VCT]
    assert first.status_anchors == ()
    assert [(each.kind, each.name) for each in second.status_anchors] == [(AnchorKind.CA, "status: status")]
    assert tenant.relying_party.reader is None
    reader = loaded(service).relying_party.reader
    assert reader is not None
    chain = (service.settings.effective_tenants_dir / "leipzig" / "reader.crt.pem").read_bytes()
    assert [pem(each) for each in reader.chain] == [chain]
