"""The holder's side of SD-JWT: accept what an issuer sent, choose what to show, write it down (RFC 9901 §7.2)."""

from collections.abc import Collection, Iterable
from typing import TypeAlias

from specs.credentials.sd_jwt import (
    DEFAULT_LIMITS,
    Limits,
    Path,
    Processed,
    SdJwt,
    SdJwtError,
    parse_sd_jwt,
    read_payload,
)
from specs.keys.jose import SIGNATURE_ALGS, parse_jws
from specs.refusal import ReasonCode

WantedPath: TypeAlias = tuple[str | int | None, ...]
"""A place in the credential as issued; None stands for each element of an array."""


def parse_issued(text: str, *, limits: Limits = DEFAULT_LIMITS) -> SdJwt:
    """Take over an SD-JWT from its issuer (RFC 9901 §7.2).

    Raises:
        SdJwtError: as `parse_sd_jwt`, or it carries a KB-JWT, which only a holder can make.
    """
    sd_jwt = parse_sd_jwt(text, limits=limits)
    if sd_jwt.kb_jwt is not None:
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "an issuer sends no KB-JWT")
    return sd_jwt


def read_as_holder(sd_jwt: SdJwt, *, expected_typ: str | tuple[str, ...], limits: Limits = DEFAULT_LIMITS) -> Processed:
    """What the credential says and where each disclosure belongs; the issuer's signature is not checked here.

    Raises:
        JoseError: the issuer-signed JWT is malformed or of another `typ`.
        SdJwtError: as `process_payload`.
    """
    jws = parse_jws(sd_jwt.issuer_jwt, expected_typ=expected_typ, allowed_algs=SIGNATURE_ALGS)
    return read_payload(sd_jwt, jws, limits=limits)


def select_disclosures(
    sd_jwt: SdJwt, processed: Processed, *, paths: Iterable[WantedPath], whole: bool = True
) -> SdJwt:
    """Keep the disclosures that show what the paths name: what encloses it, itself, and what is inside it.

    processed: this credential, all disclosures in place. whole: False leaves out what is inside a named claim.
    """
    wanted = tuple(paths)
    kept = {shown.disclosure for shown in processed.disclosed if _is_wanted(shown.path, wanted, whole)}
    return with_disclosures(sd_jwt, kept)


def with_disclosures(sd_jwt: SdJwt, disclosures: Collection[str]) -> SdJwt:
    """The same credential with these of its disclosures only, in their order, and without a KB-JWT."""
    chosen = [part for part in sd_jwt.parts[1:-1] if part.decode("ascii") in disclosures]
    return SdJwt((sd_jwt.parts[0], *chosen, b""), None)


def serialize(sd_jwt: SdJwt) -> str:
    """The compact form (RFC 9901 §4)."""
    return b"~".join(sd_jwt.parts).decode("ascii")


def _is_wanted(place: Path, wanted: tuple[WantedPath, ...], whole: bool) -> bool:
    for path in wanted:
        if not whole and len(place) > len(path):
            continue
        if all(
            step == there or (step is None and isinstance(there, int)) for step, there in zip(path, place, strict=False)
        ):
            return True
    return False
