"""What an operator writes: settings, tenants, procedures; each mistake is refused at start, with its place."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from specs.encoding.placed_yaml import FileInvalid
from stadtnachweis.__main__ import main
from tests.verifier.registrar import REGISTRATION, certificate
from tests.verifier.serving import PARKING, Service
from tests.verifier.world import DOC_TYPE, NAME_SPACE, VCT
from verifier import FailedPresentation, OverDisclosure, StatusRule
from verifier.ask import Procedure
from verifier.server.procedure_file import parse_procedure
from verifier.server.service import NotPrepared, build_service, prepare
from verifier.settings import SettingsError, load_settings

MDOC_ENTRY = {
    "id": "mdoc",
    "format": "mso_mdoc",
    "meta": {"doctype_value": DOC_TYPE},
    "claims": [{"path": [NAME_SPACE, "family_name"]}],
}


def written(procedure: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(procedure))


def changed(*path: str | int, to: object) -> str:
    """The procedure with one value changed."""
    tree: Any = deepcopy(dict(PARKING))
    node = tree
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = to
    return written(tree)


ENTRY = ("query", "credentials", 0)
TWO = {"credentials": [PARKING["query"]["credentials"][0], MDOC_ENTRY]}
WITHOUT_CLAIMS = {"credentials": [{k: v for k, v in each.items() if k != "claims"} for each in TWO["credentials"]]}


def test_a_procedure_is_read_with_all_that_it_says() -> None:
    text = written(
        {
            **PARKING,
            "query": TWO,
            "lifetime": 120,
            "request_way": "request_uri_post",
            "policy": {
                "status": "required",
                "on_over_disclosure": "refuse",
                "on_failed_presentation": "refuse",
                "same_person": [{"pid": ["family_name"], "mdoc": [NAME_SPACE, "family_name"]}],
                "key_binding_max_age": 60,
            },
            "transaction_types": [{"type": "urn:fee", "name_space": "de.leipzig.fee.1", "element": "fee"}],
        }
    )
    found: Procedure = parse_procedure(text, name="parking.yaml").procedure()
    assert (found.id, found.lifetime, found.request_way) == ("parking", 120, "request_uri_post")
    assert found.policy.status is StatusRule.REQUIRED
    assert found.policy.on_over_disclosure is OverDisclosure.REFUSE
    assert found.policy.on_failed_presentation is FailedPresentation.REFUSE
    assert found.policy.same_person[0].paths["mdoc"] == (NAME_SPACE, "family_name")
    assert found.transaction_types[0].element == "fee"
    assert not found.policy.allow_test_anchors


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (changed("more", to=1), "Extra inputs"),
        (changed("query", "purpose", to="x"), "no member purpose"),
        (changed(*ENTRY, "vct_value", to=VCT), "no member vct_value"),
        (changed(*ENTRY, "meta", "vct", to=VCT), "no member vct"),
        (changed(*ENTRY, "claims", 0, "namespace", to="x"), "no member namespace"),
        (changed(*ENTRY, "claims", 0, "path", to=["nationalities", 0]), "use null"),
        (changed(*ENTRY, "claims", 0, "path", to=["cnf"]), "always shown"),
        (changed(*ENTRY, "format", to="jwt_vc_json"), "can't be checked|type_values"),
        (changed(*ENTRY, "id", to="not an id"), "credentials"),
        (changed("query", to={"credentials": []}), "credentials"),
        (changed("policy", to={"status": "sometimes"}), "status"),
        (changed("policy", to={"key_binding_max_age": 4000}), "key_binding_max_age"),
        (changed("policy", to={"same_person": [{"pid": ["family_name"]}]}), "two credentials or more"),
        (
            changed("policy", to={"same_person": [{"pid": ["family_name"], "other": ["family_name"]}]}),
            "other does not ask",
        ),
        (changed("policy", to={"same_person": [{"pid": ["birthdate"], "x": ["y"]}]}), "pid does not ask"),
        (
            written(
                {
                    **PARKING,
                    "query": WITHOUT_CLAIMS,
                    "policy": {"same_person": [{"pid": ["family_name"], "mdoc": [NAME_SPACE, "family_name"]}]},
                }
            ),
            f"policy.same_person: mdoc does not ask for {NAME_SPACE}/family_name",
        ),
        (changed("purpose", to={}), "purpose"),
        (changed("id", to="Parking"), "id"),
        (changed("return_url", to="http://portal.example/back"), "return_url: https is demanded"),
        (changed("return_url", to="http://127.0.0.1/back"), "return_url: https is demanded"),
        (changed("return_url", to="https://[portal.example/back"), "return_url: not an address"),
        (changed("return_url", to="https:///back"), "return_url"),
        (changed("return_url", to="https://portal.example:port/"), "return_url: not an address"),
        (changed("origins", to=["https://portal.example", "https://portal.example/"]), "as a browser writes them"),
        (changed("origins", to=["http://portal.example"]), "expected_origins: https is demanded"),
        (changed("response_mode", to="query"), "response_mode"),
        ("id: a\nid: b\n", "stands here twice"),
        ("- a\n", "valid dictionary|instance of"),
    ],
)
def test_a_careless_procedure_is_refused_with_its_line(text: str, finding: str, tmp_path: Path) -> None:
    assert parse_procedure(written(PARKING), name="good.yaml").id == "parking"
    with pytest.raises(FileInvalid, match=finding) as refused:
        parse_procedure(text, name="bad.yaml")
    assert str(refused.value).startswith("bad.yaml:")
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    assert main(["verifier", "lint", str(path)]) == 1


@pytest.mark.parametrize(
    "entry",
    [
        {**PARKING["query"]["credentials"][0], "claims": [{"path": ["nationalities", None]}]},
        {**PARKING["query"]["credentials"][0], "claims": [{"path": ["address", "status"]}]},
        {**MDOC_ENTRY, "claims": [{"path": ["status", "iss"]}]},  # a name space, which is not always shown
        {key: value for key, value in MDOC_ENTRY.items() if key != "claims"},
    ],
    ids=["null for each element", "a claim below another", "an element", "all that may be shown"],
)
def test_a_careful_question_is_taken(entry: Mapping[str, Any]) -> None:
    assert parse_procedure(changed("query", to={"credentials": [dict(entry)]}), name="x").id == "parking"


def test_a_procedure_for_another_device_needs_no_way_back() -> None:
    assert parse_procedure(changed("return_url", to=None), name="x").procedure().return_url is None


@pytest.mark.parametrize(
    ("member", "value", "is_taken"),
    [
        ("return_url", "https://portal.example/#/back", True),
        ("return_url", "http://127.0.0.1:8000/back", True),
        ("return_url", "http://portal.example/back", False),
        ("origins", ["http://localhost:8000"], True),
        ("origins", ["http://portal.example"], False),
    ],
)
def test_plain_http_is_taken_of_this_machine_alone(member: str, value: object, is_taken: bool) -> None:
    """With the setting for demonstrations, the code that redeems a verdict could go to any host over plain http."""
    text = changed(member, to=value)
    if is_taken:
        assert parse_procedure(text, name="good.yaml", allow_loopback_http=True).id == "parking"
        return
    with pytest.raises(FileInvalid, match="https is demanded"):
        parse_procedure(text, name="bad.yaml", allow_loopback_http=True)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (changed("query", "purpose", to="x"), "bad.yaml:8:3: query: query: a question has no member purpose"),
        (
            changed(*ENTRY, "vct_value", to=VCT),
            "bad.yaml:8:3: query: credentials[0]: a question has no member vct_value",
        ),
        (
            changed(*ENTRY, "claims", 1, "values_", to=["x"]),
            "bad.yaml:8:3: query: credentials[0].claims[1]: a question has no member values_",
        ),
        (
            changed(*ENTRY, "meta", "", to=VCT),
            "bad.yaml:8:3: query: credentials[0].meta: a question has no member ",
        ),
        (
            changed("query", "credential_sets", to=[{"options": [["pid"]], "purpose": "x"}]),
            "bad.yaml:8:3: query: credential_sets[0]: a question has no member purpose",
        ),
        (changed("query", "credentials", to=["pid"]), "bad.yaml:8:3: query: "),
        (changed(*ENTRY, "claims", 0, "values", to=[{"a": 1}]), "bad.yaml:8:3: query: credentials[0].claims[0].values"),
        (
            changed(*ENTRY, "format", to="x_custom"),
            "bad.yaml:8:3: query: pid: the format x_custom can't be checked here",
        ),
        (changed(*ENTRY, "claims", 1, "path", to=["a", 0]), "bad.yaml:8:3: query: pid: an index in ['a', 0]"),
        (changed(*ENTRY, "claims", 0, "path", to=["status"]), "bad.yaml:8:3: query: pid: status is always shown"),
        (changed("origins", to=["portal.example"]), "bad.yaml:1:1: expected_origins: "),
    ],
)
def test_a_mistake_in_a_question_is_told_with_its_place(text: str, finding: str) -> None:
    with pytest.raises(FileInvalid) as refused:
        parse_procedure(text, name="bad.yaml")
    assert str(refused.value).startswith(finding)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "verifier", procedures=(PARKING,)).written()


BROKEN: list[tuple[str, Callable[[Service, Path], object], str]] = [
    ("no access key", lambda _, folder: (folder / "access.key.pem").unlink(), "cannot be read"),
    ("no key in it", lambda _, folder: (folder / "access.key.pem").write_bytes(b"x"), "no key"),
    ("no anchor in it", lambda _, folder: (folder / "pid.pem").write_bytes(b"x"), "no PEM"),
    ("an unknown member", lambda one, _: one.write_tenant("leipzig", more=1), "Extra inputs"),
    ("nobody trusted", lambda one, _: one.write_tenant("leipzig", trust=[]), "trust"),
    (
        "another type trusted",
        lambda one, _: one.write_tenant("leipzig", trust=[_domain(types={"dc+sd-jwt": ["urn:other"]})]),
        f"nobody is trusted for {VCT}",
    ),
    (
        "test anchors",
        lambda one, _: one.write_tenant("leipzig", trust=[_domain(kind="pinned_test")]),
        "refused by the settings",
    ),
    (
        "German preset without registration certificate",
        lambda one, _: one.write_tenant("leipzig", preset="de-2026-11"),
        "registration certificate",
    ),
    ("no procedure", lambda _, folder: (folder / "procedures" / "parking.yaml").unlink(), "no procedure"),
    (
        "a procedure twice",
        lambda _, folder: (folder / "procedures" / "again.yaml").write_text(written(PARKING)),
        "in another file already",
    ),
    (
        "a mode that the preset does not know",
        lambda _, folder: (folder / "procedures" / "parking.yaml").write_text(
            changed("response_mode", to="direct_post")
        ),
        "^leipzig: haip-1.0: no answers by direct_post",
    ),
]


def _domain(**changes: object) -> dict[str, object]:
    return {
        "name": "pid",
        "anchors": ["pid.pem"],
        "types": {"dc+sd-jwt": [VCT], "mso_mdoc": [DOC_TYPE]},
        **changes,
    }


@pytest.mark.parametrize(("change", "finding"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_tenant_that_is_not_as_it_should_be_keeps_the_service_down(
    change: Callable[[Service, Path], object], finding: str, service: Service
) -> None:
    prepare(service.settings)
    assert set(build_service(service.settings).tenants) == {"leipzig", "halle"}
    change(service, service.settings.effective_tenants_dir / "leipzig")
    with pytest.raises(FileInvalid, match=finding):
        build_service(service.settings)


@pytest.mark.parametrize("of_procedure", [True, False])
def test_the_german_preset_with_its_registration_certificate(of_procedure: bool, service: Service) -> None:
    """The certificate of the tenant, or of one intended use; more than is registered keeps the service down."""
    registered = {"registration_certificates": ["wrprc.jwt"]}
    folder = service.write_tenant("leipzig", preset="de-2026-11", **({} if of_procedure else registered))
    (folder / "wrprc.jwt").write_text(f"{certificate(REGISTRATION)}\n", encoding="utf-8")
    path = folder / "procedures" / "parking.yaml"
    described = {**PARKING, **(registered if of_procedure else {})}
    path.write_text(written(described), encoding="utf-8")
    prepare(service.settings)
    verifier = build_service(service.settings).tenants["leipzig"].verifier
    attested = (*verifier.relying_party.verifier_info, *verifier.procedures["parking"].verifier_info)
    assert [each.format for each in attested] == ["registration_cert"]
    more = deepcopy(described)
    more["query"]["credentials"][0]["claims"].append({"path": ["place_of_birth"]})
    path.write_text(written(more), encoding="utf-8")
    with pytest.raises(FileInvalid, match="registration"):
        build_service(service.settings)


def test_the_sealing_key_is_made_once_and_for_this_user_alone(service: Service) -> None:
    with pytest.raises(NotPrepared, match="init"):
        build_service(service.settings)
    prepare(service.settings)
    path = service.settings.data_dir / "sealing.key"
    first = path.read_bytes()
    prepare(service.settings)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (first, 0o600)
    assert [each.name for each in path.parent.glob("sealing.key*")] == ["sealing.key"]
    path.write_text("short")
    with pytest.raises(NotPrepared):
        build_service(service.settings)


@pytest.mark.parametrize(
    ("environment", "finding"),
    [
        ({"VERIFIER_PUBLIK_URL": "https://verifier.example"}, "unknown setting: VERIFIER_PUBLIK_URL"),
        ({"VERIFIER_PUBLIC_URL": "http://verifier.example"}, "must be https"),
        ({"VERIFIER_PUBLIC_URL": "http://verifier.example", "VERIFIER_ALLOW_LOOPBACK_HTTP": "true"}, "must be https"),
        ({"VERIFIER_PUBLIC_URL": "https://verifier.example/path"}, "scheme, host and port only"),
        ({"VERIFIER_PUBLIC_URL": "https://verifier.example", "VERIFIER_PORT": "70000"}, "VERIFIER_PORT"),
    ],
)
def test_a_setting_that_is_wrong_or_unknown_is_named(environment: dict[str, str], finding: str) -> None:
    good = load_settings({"VERIFIER_PUBLIC_URL": "https://verifier.example", "OTHER": "1"})
    assert good.effective_database_url.endswith("verifier.db")
    demo = load_settings({"VERIFIER_PUBLIC_URL": "http://127.0.0.1:8703", "VERIFIER_ALLOW_LOOPBACK_HTTP": "1"})
    assert demo.allow_loopback_http
    with pytest.raises(SettingsError, match=finding):
        load_settings(environment)


def test_the_service_on_the_command_line(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VERIFIER_DATA_DIR", str(service.settings.data_dir))
    monkeypatch.setenv("VERIFIER_PUBLIC_URL", "https://verifier.example")
    assert main(["verifier", "add-key", "leipzig", "--name", "portal"]) == 1
    assert "verifier init" in capsys.readouterr().err
    assert main(["verifier", "revoke-key", "0" * 16]) == 1
    assert "the database does not answer (OperationalError)" in capsys.readouterr().err  # it has no tables
    assert main(["verifier", "init"]) == 0
    capsys.readouterr()
    assert main(["verifier", "add-key", "dresden", "--name", "portal"]) == 1
    assert "no tenant dresden" in capsys.readouterr().err
    assert main(["verifier", "add-key", "leipzig", "--name", "portal"]) == 0
    key = capsys.readouterr().out.strip()
    assert build_service(service.settings).clients.authenticate(f"Bearer {key}").tenant == "leipzig"
    assert main(["verifier", "revoke-key", key.split("_")[1]]) == 0
    assert main(["verifier", "revoke-key", key.split("_")[1]]) == 1
    good = service.settings.effective_tenants_dir / "leipzig" / "procedures" / "parking.yaml"
    assert main(["verifier", "lint", str(good)]) == 0
    capsys.readouterr()
    assert main(["verifier", "openapi"]) == 0
    assert json.loads(capsys.readouterr().out)["openapi"].startswith("3.1")
    monkeypatch.setenv("VERIFIER_UNKNOWN", "1")
    assert main(["verifier", "serve"]) == 1
    assert "VERIFIER_UNKNOWN" in capsys.readouterr().err


def test_a_service_without_tenants_does_not_start(service: Service) -> None:
    empty = replace(service, folder=service.folder / "empty")
    prepare(empty.settings)
    with pytest.raises(FileInvalid, match="no tenant"):
        build_service(empty.settings)
