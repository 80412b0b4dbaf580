"""Who asks: an identity that wallets can check, under one of the client identifier prefixes (OpenID4VP 1.0 §5.9)."""

from dataclasses import dataclass

from specs.keys.signer import SigningIdentity
from specs.protocols.openid4vp import (
    ALL_FORMATS,
    ClientId,
    ClientIdPrefix,
    CoSigner,
    SupportedFormats,
    VerifierInfo,
    parse_client_id,
    x509_hash_client_id,
    x509_san_dns_client_id,
)


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who asks: a key, what vouches for it, and what is attested about it.

    identity: signs; for `x509_…` with the chain of the access certificate, without the anchor; None if questions are
    never signed. prefix: `x509_hash` is HAIP's only one. identifier: what stands behind the prefix where the identity
    does not say it: the DNS name if the certificate has several, the attestation's subject, the DID, the entity
    identifier, the pre-registered name. send_chain: False sends the leaf of the chain alone; None: as the preset says.
    attestation: for `verifier_attestation`, renewed by whoever holds it. kid: names the key where the prefix needs it.
    trust_chain: for `openid_federation`, may be empty. reader: signs device requests by its reader certificate
    (ISO/IEC 18013-5 §9.1.4), where mdocs are asked for by `org-iso-mdoc`.
    """

    identity: SigningIdentity | None
    prefix: ClientIdPrefix = ClientIdPrefix.X509_HASH
    send_chain: bool | None = None
    verifier_info: tuple[VerifierInfo, ...] = ()
    formats: SupportedFormats = ALL_FORMATS
    identifier: str | None = None
    attestation: str | None = None
    kid: str | None = None
    trust_chain: tuple[str, ...] = ()
    reader: SigningIdentity | None = None

    @property
    def client_id(self) -> ClientId:
        """The client identifier (OpenID4VP §5.9.3).

        Raises:
            ValueError: it is another one for each question (`redirect_uri`), or something of it is missing.
        """
        return self.client_id_for(None)

    def client_id_for(self, answer_address: str | None) -> ClientId:
        """The client identifier of a question whose answer goes to an address.

        Raises:
            ValueError: something that the prefix needs is missing.
        """
        match self.prefix:
            case ClientIdPrefix.REDIRECT_URI:
                if answer_address is None:
                    raise ValueError("under redirect_uri each question has a client identifier of its own")
                return parse_client_id(f"{self.prefix}:{answer_address}")
            case ClientIdPrefix.X509_HASH:
                return x509_hash_client_id(self._leaf)
            case ClientIdPrefix.X509_SAN_DNS:
                return x509_san_dns_client_id(self._leaf, dns_name=self.identifier)
        if self.identifier is None:
            raise ValueError(f"{self.prefix}: the identifier is missing")
        if self.prefix is ClientIdPrefix.PRE_REGISTERED:
            return _pre_registered(self.identifier)
        return parse_client_id(f"{self.prefix}:{self.identifier}")

    def signing_identity(self, *, send_chain: bool = True) -> SigningIdentity:
        """The identity as it signs request objects. send_chain: what counts if the relying party does not say.

        Raises:
            ValueError: there is none.
        """
        if self.identity is None:
            raise ValueError(f"{self.prefix}: no key to sign with")
        if send_chain if self.send_chain is None else self.send_chain:
            return self.identity
        return SigningIdentity(self.identity.signer, self.identity.chain[:1])

    def co_signer(self, *, send_chain: bool = True) -> CoSigner:
        """The same as one of several who sign a question (OpenID4VP §A.3.2.2)."""
        return CoSigner(
            self.client_id,
            self.signing_identity(send_chain=send_chain),
            self.verifier_info,
            attestation=self.attestation,
            kid=self.kid,
        )

    @property
    def _leaf(self) -> bytes:
        if self.identity is None or not self.identity.chain:
            raise ValueError(f"{self.prefix}: the access certificate is missing")
        return self.identity.chain[0]


def _pre_registered(identifier: str) -> ClientId:
    client_id = parse_client_id(identifier)
    if client_id.prefix is not ClientIdPrefix.PRE_REGISTERED:
        # §5.9.2: a wallet would take it for another kind
        raise ValueError("a pre-registered identifier must not look like one with a prefix")
    return client_id
