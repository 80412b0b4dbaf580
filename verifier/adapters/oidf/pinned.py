"""The suite signs its mdocs with one self-signed certificate; known by its fingerprint, pinned when seen.

Only what has exactly the known fingerprint becomes an anchor, of the kind that is for tests alone (`pinned_test`).
"""

import contextlib
import hashlib
from collections.abc import Collection, Iterator

from specs.credentials.mdoc import issuer_chain, parse_device_response, sole_document
from specs.encoding import Malformed, base64url
from specs.encoding.strict_json import JsonValue
from specs.refusal import Refusal
from specs.trust.anchors import AnchorKind, TrustAnchor
from verifier.response import OpenedResponse

SUITE_SIGNER = "6cb412be8d1e78f77b1bce09592b0c88f690034855753b1954d6bcadf3b92b53"
"""SHA-256 of the DER certificate CN=certification.openid.net, which ends on 2027-08-03."""


def signers_of(opened: OpenedResponse, *, fingerprints: Collection[str]) -> tuple[TrustAnchor, ...]:
    """The signers in an answer that have one of these fingerprints (SHA-256, hexadecimal); nothing of it is judged."""
    found = {leaf for leaf in _leaves(opened.vp_token) if hashlib.sha256(leaf).hexdigest() in fingerprints}
    return tuple(TrustAnchor(AnchorKind.PINNED_TEST, leaf, "TEST suite's mdoc signer") for leaf in sorted(found))


def _leaves(vp_token: JsonValue) -> Iterator[bytes]:
    for presentations in vp_token.values() if isinstance(vp_token, dict) else ():
        for presentation in presentations if isinstance(presentations, list) else ():
            # what can't be read is for the verifier to refuse
            with contextlib.suppress(Refusal, Malformed):
                response = parse_device_response(base64url.decode(str(presentation)))
                yield issuer_chain(sole_document(response).issuer_signed)[0]
