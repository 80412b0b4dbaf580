"""A wallet that does exactly one thing wrong, by name: for whoever must notice it.

| module | in which exchange |
|---|---|
| `client` | at the authorization server: pushed requests, tokens, attestation of the wallet |
| `dpop` | with tokens: RFC 9449 |
| `proofs` | at the credential issuer: proofs of the holder's keys |
| `requests` | at the credential issuer: what is asked for, encryption, size, pace |
| `sd_jwt` | showing an SD-JWT VC: disclosures and key binding |
| `credentials` | showing a credential that was altered, or is another |
| `mdoc` | showing an mdoc, over the network and on the spot |
| `answers` | the answer as a whole |
| `proximity` | the session on the spot |
"""

from wallet_sim.misbehaviour import (  # noqa: F401  # each registers what it holds
    answers,
    client,
    credentials,
    dpop,
    mdoc,
    proofs,
    proximity,
    requests,
    sd_jwt,
)
from wallet_sim.misbehaviour.registry import (
    Misbehaviour,
    Misconduct,
    Need,
    Phase,
    Reaction,
    UnknownMisbehaviour,
    find_misbehaviour,
    misbehaviours,
)

__all__ = [
    "Misbehaviour",
    "Misconduct",
    "Need",
    "Phase",
    "Reaction",
    "UnknownMisbehaviour",
    "find_misbehaviour",
    "misbehaviours",
]
