"""Login by presenting a PID: the embedded verifier asks, and what it accepts says who is there (OpenID4VP 1.0).

Each tenant that arranged it is a relying party with its access certificate. A PID holds no number of the person, so the
city's reference is made of claims, in the order of the tenant's file, with `|` between them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from issuer.keys.tenant_pki import load_tenant_keys
from issuer.login import Person
from issuer.settings import IssuerSettings
from issuer.tenant_file import PidLogin, TenantFile
from specs.encoding.strict_json import JsonValue
from specs.protocols.dcql import FORMAT_SD_JWT_VC
from specs.protocols.interactive_authorization import derived_origin
from specs.trust.anchors import AnchorKind, anchors_from_pem
from verifier import (
    AsyncVerifier,
    Policy,
    Procedure,
    RelyingParty,
    ResponseMode,
    StatusRule,
    TrustDomain,
    Verdict,
    Verifier,
    parse_dcql,
)
from verifier.ask import Endpoints
from verifier.stores.sql import SqlStore

PROCEDURE = "login"
INTERACTIVE_PROCEDURE = "interactive"
RETURN_PATH = "/pid/return"
PRESENT_PATH = "/present"
_QUERY_ID = "pid"
_SCHEMA = "presentations"
_LOCK = 0x5AD7_0002  # any number that nothing else uses
_MAX_REFERENCE = 200


class PidUnusable(Exception):
    """The PID was accepted, but does not say who the person is."""


@dataclass(frozen=True, slots=True)
class PidLogins:
    """The verifiers of the tenants that arranged it."""

    verifiers: Mapping[str, Verifier]

    def of(self, tenant_id: str) -> AsyncVerifier | None:
        """A tenant's verifier."""
        found = self.verifiers.get(tenant_id)
        return None if found is None else AsyncVerifier(found)


def build_pid_logins(
    settings: IssuerSettings, files: Mapping[str, TenantFile], *, sealing_key: bytes, clock: Callable[[], int]
) -> PidLogins:
    """A verifier for each tenant that asks for PIDs; the table of its transactions is made if it is not there.

    Raises:
        KeysError, CertificateError, OSError: a file of keys or anchors can't be used.
    """
    asking = {tenant: file.login.pid for tenant, file in files.items() if file.login.pid is not None}
    if not asking:
        return PidLogins({})
    engine = _engine(settings)
    return PidLogins(
        {
            tenant: _verifier(settings, tenant, pid, engine=engine, sealing_key=sealing_key, clock=clock)
            for tenant, pid in asking.items()
        }
    )


def person_of(arranged: PidLogin, verdict: Verdict) -> Person:
    """Who showed the PID, by the tenant's own mapping.

    Raises:
        PidUnusable: a claim that names the person is missing.
        LookupError: the verdict is a refusal.
    """
    claims = verdict.claims(_QUERY_ID)
    parts = [_at(claims, path) for path in arranged.reference]
    if not all(isinstance(part, str) and part for part in parts):
        raise PidUnusable
    reference = "|".join(str(part) for part in parts)
    if len(reference) > _MAX_REFERENCE or not reference.isprintable():
        raise PidUnusable
    known: dict[str, dict[str, JsonValue]] = {}
    for credential_type, mapping in arranged.claims.items():
        values = {ours: _at(claims, theirs) for ours, theirs in mapping.items()}
        known[credential_type] = {ours: value for ours, value in values.items() if value is not None}
    return Person(reference, known)


def _verifier(
    settings: IssuerSettings,
    tenant: str,
    pid: PidLogin,
    *,
    engine: Engine,
    sealing_key: bytes,
    clock: Callable[[], int],
) -> Verifier:
    here = f"{settings.public_url}/t/{tenant}"
    paths = dict.fromkeys((*pid.reference, *(path for mapping in pid.claims.values() for path in mapping.values())))
    query = parse_dcql(
        {
            "credentials": [
                {
                    "id": _QUERY_ID,
                    "format": FORMAT_SD_JWT_VC,
                    "meta": {"vct_values": [pid.vct]},
                    "claims": [{"path": list(path.split("."))} for path in paths],
                }
            ]
        }
    )
    domain = TrustDomain(
        "PID",
        anchors_from_pem(pid.anchors.read_bytes(), kind=AnchorKind.CA, name="PID"),
        anchors_from_pem(pid.status_anchors.read_bytes(), kind=AnchorKind.CA, name="PID status"),
    )
    by_browser = Procedure(
        id=PROCEDURE,
        query=query,
        policy=Policy(status=StatusRule.REQUIRED),
        purpose=dict(pid.purpose),
        return_url=f"{here}{RETURN_PATH}",
    )
    interactive = replace(
        by_browser,
        id=INTERACTIVE_PROCEDURE,
        return_url=None,
        response_mode=ResponseMode.IA_POST_JWT,
        origins=(derived_origin(here),),
    )
    return Verifier(
        RelyingParty(load_tenant_keys(settings.data_dir, tenant).access),
        procedures={each.id: each for each in (by_browser, *((interactive,) if pid.interactive else ()))},
        trust={(FORMAT_SD_JWT_VC, pid.vct): (domain,)},
        store=SqlStore(engine, tenant=tenant),
        sealing_key=sealing_key,
        endpoints=Endpoints(f"{here}{PRESENT_PATH}/request", f"{here}{PRESENT_PATH}/response"),
        allow_loopback_http=settings.allow_loopback_http,
        clock=clock,
    )


def _engine(settings: IssuerSettings) -> Engine:
    """Where transactions lie: a file of their own beside SQLite's, a schema of their own in PostgreSQL."""
    if settings.effective_database_url.startswith("sqlite"):
        engine = create_engine(
            f"sqlite:///{settings.data_dir / 'presentations.db'}", connect_args={"timeout": 10}, hide_parameters=True
        )
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA secure_delete=ON"))
        try:
            SqlStore(engine).create_tables()
        except OperationalError:
            SqlStore(engine).create_tables()  # another worker made them meanwhile
        return engine
    url = make_url(settings.effective_database_url)
    engine = create_engine(
        url, connect_args={"options": f"-csearch_path={_SCHEMA}"}, hide_parameters=True, pool_pre_ping=True
    )
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}"))
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        SqlStore(engine).create_tables()
    return engine


def _at(claims: Mapping[str, JsonValue], path: str) -> JsonValue:
    value: JsonValue = dict(claims)
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
