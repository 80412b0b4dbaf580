"""The times in a credential, rounded so that copies and their holders can't be linked by them."""

from dataclasses import dataclass

from issuer.keys.tenant_pki import CredentialSigner

HOUR = 3600
SHORTEST = 2 * HOUR


class SignerNotValid(Exception):
    """No credential can be dated: the signer's certificate hasn't begun for a full hour, or ends too soon."""


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when a credential is good, in seconds since the epoch, both full hours."""

    begins_at: int
    expires_at: int


def window_for(*, validity: int, signer: CredentialSigner, now: int) -> Window:
    """The full hour begun, plus the type's validity, never beyond the signer's certificate. validity: seconds.

    Raises:
        SignerNotValid: less than two hours would be left, or the hour begun lies before the certificate.
    """
    begins_at = now - now % HOUR
    last = signer.not_after - signer.not_after % HOUR
    expires_at = min(begins_at + validity, last)
    if begins_at < signer.not_before or expires_at - begins_at < SHORTEST:
        raise SignerNotValid("the signer's certificate does not cover the time of the credential")
    return Window(begins_at, expires_at)
