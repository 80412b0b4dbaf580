"""The mint of one tenant: its signers, prepared once, and the one way to a signed credential."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from issuer.catalog.loader import Configuration
from issuer.catalog.schema import CredentialFormat
from issuer.catalog.type_metadata import hosted_path
from issuer.keys.tenant_pki import TenantKeys
from issuer.minting.mdoc import mint_mdocs
from issuer.minting.sd_jwt_vc import mint_sd_jwt_vcs
from issuer.minting.window import Window, window_for
from specs.credentials.mdoc_issue import mdoc_identity
from specs.credentials.sd_jwt_vc import vc_issuer
from specs.credentials.status_list import StatusReference
from specs.encoding.strict_json import JsonValue
from specs.keys.jose import PublicKey


@dataclass(frozen=True, slots=True)
class MintOrder:
    """What is to be minted: one copy a holder key. `window` and `statuses`, one a key, were recorded before."""

    configuration: Configuration
    claims: Mapping[str, JsonValue]
    holder_keys: Sequence[PublicKey]
    statuses: Sequence[StatusReference | None]
    window: Window


class Mint:
    """Signs credentials of one tenant. Knows no database: what it signs was recorded by its caller."""

    def __init__(self, keys: TenantKeys, *, issuer_url: str) -> None:
        self._keys = keys
        self._issuer_url = issuer_url
        self._sd_jwt = {
            alg: vc_issuer(signer.identity)
            for (form, alg), signer in keys.credential_signers.items()
            if form is CredentialFormat.SD_JWT_VC
        }
        self._mdoc = {
            alg: mdoc_identity(signer.identity)
            for (form, alg), signer in keys.credential_signers.items()
            if form is CredentialFormat.MDOC
        }

    def window(self, configuration: Configuration, *, now: int) -> Window:
        """The times that a credential of this configuration would carry if it were minted now.

        Raises:
            KeysError: the tenant has no signer for it.
            SignerNotValid: the signer's certificate does not cover them.
        """
        kind = configuration.credential_type
        signer = self._keys.credential_signer(configuration.format, kind.alg)
        return window_for(validity=kind.validity.seconds, signer=signer, now=now)

    def mint(self, order: MintOrder) -> list[str]:
        """The credentials in the order of the keys: compact SD-JWT, or IssuerSigned in base64url."""
        kind = order.configuration.credential_type
        if order.configuration.format is CredentialFormat.MDOC:
            return mint_mdocs(
                kind,
                order.claims,
                identity=self._mdoc[kind.alg],
                device_keys=order.holder_keys,
                statuses=order.statuses,
                window=order.window,
            )
        return mint_sd_jwt_vcs(
            kind,
            order.claims,
            issuer=self._sd_jwt[kind.alg],
            issuer_url=self._issuer_url,
            holder_keys=order.holder_keys,
            statuses=order.statuses,
            window=order.window,
            vct_integrity=order.configuration.vct_integrity if self._hosts(kind.vct) else None,
        )

    def _hosts(self, vct: str) -> bool:
        """Whether type metadata lie at this `vct`, under this tenant or a sister of it that shares the catalogue."""
        return hosted_path(vct, issuer_url=self._issuer_url) is not None
