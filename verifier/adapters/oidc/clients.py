"""Who may use the bridge, and which question each request of theirs becomes."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain, combinations
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin

from specs.protocols.dcql import CredentialQuery, DcqlQuery, Path
from verifier.ask import Procedure
from verifier.subject_link import SubjectRule, check_rule

OPENID = "openid"
MAX_SCOPES = 6  # each combination is a question of its own, checked when the bridge starts
_OURS = frozenset(  # claims of an ID token that say something of the login (OpenID Connect Core §2, §3.1.3.6)
    ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash")
)


@dataclass(frozen=True, slots=True)
class ClaimSource:
    """A claim of an ID token, and where it stands in the answer. claim: its name in OpenID Connect Core §5.1."""

    claim: str
    query_id: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OidcClient(ClientMixin):  # type: ignore[misc]  # authlib has no types
    """A registered client: confidential, with PKCE.

    secret_digest: SHA-256 (hex) of a secret of at least 128 random bits. procedure: what is asked of the wallet, from
    which only what a request's scopes need is taken. scopes: beside `openid`, with the claims of each. acr: what the
    login amounts to (OpenID Connect Core §2).

    Raises:
        ValueError: at construction: a redirect address that is not https (or loopback), too many scopes, or a claim
            that would take the place of one of ours.
    """

    client_id: str
    name: str
    secret_digest: str
    redirect_uris: tuple[str, ...]
    procedure: str
    subject: SubjectRule
    scopes: Mapping[str, tuple[ClaimSource, ...]] = field(default_factory=dict)
    acr: str | None = None

    def __post_init__(self) -> None:
        if len(self.scopes) > MAX_SCOPES or OPENID in self.scopes:
            raise ValueError(f"{self.client_id}: at most {MAX_SCOPES} scopes, beside openid")
        for address in self.redirect_uris:
            parts = urlsplit(address)
            loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
            safe = parts.scheme == "https" or (parts.scheme == "http" and loopback)
            if not safe or not parts.hostname or "#" in address:
                raise ValueError(f"{self.client_id}: a redirect address is https, without a fragment")
        if not _OURS.isdisjoint(source.claim for sources in self.scopes.values() for source in sources):
            raise ValueError(f"{self.client_id}: a claim of the wallet would take the place of one of the bridge")

    def procedure_for(self, scopes: Sequence[str]) -> str:
        """The id of the question that a request with these scopes becomes."""
        return "+".join([f"oidc:{self.client_id}", *sorted(set(scopes) & self.scopes.keys())])

    def sources_for(self, scopes: Sequence[str]) -> tuple[ClaimSource, ...]:
        """Where the claims of these scopes stand."""
        return tuple(source for scope in sorted(set(scopes) & self.scopes.keys()) for source in self.scopes[scope])

    # what authlib asks of a client

    def get_client_id(self) -> str:
        """RFC 6749 §2.2."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """The address is always said (OpenID Connect Core §3.1.2.1)."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The scope if the client may have all of it, else None: nothing is dropped in silence (RFC 6749 §3.3)."""
        asked = (scope or "").split()
        if OPENID not in asked or len(set(asked)) != len(asked) or set(asked) - {OPENID} - self.scopes.keys():
            return None
        return " ".join(asked)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Compared exactly (RFC 9700 §2.1)."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(self.secret_digest, sha256(client_secret.encode()).hexdigest())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Clients have a secret."""
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        """Codes only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Codes only: a login is over when the portal has it."""
        return grant_type == "authorization_code"


def bridge_procedures(
    clients: Sequence[OidcClient], *, procedures: Mapping[str, Procedure], return_url: str
) -> dict[str, Procedure]:
    """The questions of all clients for all combinations of their scopes, to give to the `Verifier`.

    procedures: those that the clients name. return_url: the bridge's own address `…/return`.

    Raises:
        KeyError: a client names no such procedure.
        ValueError: a claim that the procedure does not ask for, an account that can't be linked by it, or two clients
            whose questions have one name.
    """
    found: dict[str, Procedure] = {}
    for client in clients:
        whole = procedures[client.procedure]
        check_rule(client.subject, policy=whole.policy)
        for scopes in chain.from_iterable(
            combinations(sorted(client.scopes), size) for size in range(len(client.scopes) + 1)
        ):
            name = client.procedure_for(scopes)
            if name in found:
                raise ValueError(f"{client.client_id}: another client's question is called {name}, too")
            needed = _needed(client, scopes, whole)
            query = _restricted(whole.query, needed, client=client)
            found[name] = replace(whole, id=name, query=query, return_url=return_url)
    return found


def _needed(client: OidcClient, scopes: Sequence[str], procedure: Procedure) -> dict[str, set[Path]]:
    """By query id, the paths without which the login can't be judged or its claims not be given."""
    needed: dict[str, set[Path]] = {client.subject.query_id: {client.subject.path}}
    for same in procedure.policy.same_person:
        for query_id, path in same.paths.items():
            needed.setdefault(query_id, set()).add(path)
    for source in client.sources_for(scopes):
        needed.setdefault(source.query_id, set()).add(source.path)
    return needed


def _restricted(query: DcqlQuery, needed: Mapping[str, set[Path]], *, client: OidcClient) -> DcqlQuery:
    by_id = {entry.id: entry for entry in query.credentials}
    credentials: list[CredentialQuery] = []
    for query_id, paths in needed.items():
        entry = by_id.get(query_id)
        claims = tuple(claim for claim in entry.claims if claim.path in paths) if entry is not None else ()
        if entry is None or {claim.path for claim in claims} != paths or entry.claim_sets:
            raise ValueError(f"{client.client_id}: {query_id} does not ask for each claim that is given or compared")
        credentials.append(replace(entry, claims=claims))
    return replace(query, credentials=tuple(credentials), credential_sets=())
