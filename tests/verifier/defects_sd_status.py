"""Defects of the status: the reference in the credential, the list it points to, and how that was answered."""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from specs.credentials.status_list import StatusMediaType
from specs.encoding import base64url
from specs.keys.jose import jwk_from_public_key, x5c_header
from specs.keys.signer import generate_signer
from tests.defects import defect
from tests.verifier.defects_sd_form import keyed
from tests.verifier.sd_presentation import Http, SdPresentation, twin
from tests.verifier.world import HOUR, STATUS_URI, World
from verifier import ReasonCode

MEBIBYTE = bytes(1024 * 1024)
OTHER_URI = "https://issuer.example/t/pid/status/2"
METADATA_SERVICE = "https://169.254.169.254/latest/meta-data/"


@cache
def bomb(mebibytes: int) -> bytes:
    """So many MiB of zeros, deflated to a thousandth."""
    stream = zlib.compressobj(9)
    return b"".join([*(stream.compress(MEBIBYTE) for _ in range(mebibytes)), stream.flush()])


def content(shown: SdPresentation) -> Mapping[str, object]:
    """The list inside the token."""
    value = shown.status_list.claims["status_list"]
    assert isinstance(value, dict)
    return value


def in_a_list_of_one_bit(shown: SdPresentation) -> SdPresentation:
    """The credential before ours in the byte's other end is revoked; ours is not."""
    return shown.status_listing(b"\x01" + bytes(99), bits=1)


@defect("sd-001", refused_as=ReasonCode.LIMIT_EXCEEDED)
def zlib_bomb(shown: SdPresentation) -> SdPresentation:
    """Token Status List §11: half a MiB that would be 512."""
    return shown.status_saying(status_list={"bits": 2, "lst": base64url.encode(bomb(512))})


@defect("sd-107", refused_as=ReasonCode.STATUS_REVOKED)
@twin(in_a_list_of_one_bit)
def revoked(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3, §4.1: lowest bits first."""
    return shown.status_listing(b"\x80" + bytes(99), bits=1)


@defect("sd-108", refused_as=ReasonCode.STATUS_SUSPENDED)
def suspended(shown: SdPresentation) -> SdPresentation:
    """Token Status List §7.1: 2 is SUSPENDED."""
    return shown.status_listing(b"\x00\x80" + bytes(98), bits=2)


@defect("sd-109", refused_as=ReasonCode.STATUS_UNKNOWN)
def application_specific(shown: SdPresentation) -> SdPresentation:
    """Token Status List §7.1: 3 means what somebody agreed; ours: nobody with us."""
    return shown.status_listing(b"\x00\xc0" + bytes(98), bits=2)


@defect("sd-110", refused_as=ReasonCode.STATUS_UNAVAILABLE)
def http_500(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.2: 2xx, whatever the body says."""
    return replace(shown, http=Http(status=500))


@defect("sd-110b", refused_as=ReasonCode.STATUS_UNAVAILABLE)
def http_302(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.2: a redirection is no list."""
    return replace(shown, http=Http(status=302))


@defect("sd-111", refused_as=ReasonCode.STATUS_UNAVAILABLE)
def content_type_wrong(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.2; ours: the server must know that it is a list."""
    return replace(shown, http=Http(content_type="text/plain"))


@defect("sd-111b", refused_as=ReasonCode.STATUS_UNAVAILABLE)
def content_type_of_the_other_form(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.2; ours: a JWT under the CWT's name."""
    return replace(shown, http=Http(content_type=StatusMediaType.CWT))


@defect("sd-112", refused_as=ReasonCode.STATUS_MALFORMED)
def index_negative(shown: SdPresentation) -> SdPresentation:
    """Token Status List §6.2: from 0 on; -1 is not the last."""
    return shown.pointing(idx=-1)


@defect("sd-113", refused_as=ReasonCode.STATUS_MALFORMED)
def index_boolean(shown: SdPresentation) -> SdPresentation:
    """Token Status List §6.2: true is not 1."""
    return shown.pointing(idx=True)


@defect("sd-114", refused_as=ReasonCode.STATUS_MALFORMED)
def index_float(shown: SdPresentation) -> SdPresentation:
    """Token Status List §6.2: an integer."""
    return shown.pointing(idx=7.5)


@defect("sd-114b", refused_as=ReasonCode.STATUS_MALFORMED)
def index_text(shown: SdPresentation) -> SdPresentation:
    """Token Status List §6.2: an integer."""
    return shown.pointing(idx="7")


@defect("sd-115", refused_as=ReasonCode.STATUS_UNAVAILABLE)
def address_of_a_metadata_service(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC on SSRF; ours: no list stands on a link-local address."""
    return replace(
        shown.pointing(uri=METADATA_SERVICE).status_saying(sub=METADATA_SERVICE), status_uri=METADATA_SERVICE
    )


@defect("sd-116", refused_as=ReasonCode.STATUS_MALFORMED)
def mechanism_unknown(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3; ours: a status that we can't ask is not a good one."""
    return shown.issuer_saying(status={"revocation_oracle": {"uri": STATUS_URI}})


@defect("sd-116b", refused_as=ReasonCode.STATUS_MALFORMED)
def status_null(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.2.2: status is an object; null is not its absence."""
    return shown.issuer_saying(status=None)


@defect("sd-117", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def typ_missing(shown: SdPresentation) -> SdPresentation:
    """Token Status List §5.1: typ is statuslist+jwt."""
    return replace(shown, status_list=shown.status_list.headless("typ"))


@defect("sd-117b", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def typ_of_a_credential(shown: SdPresentation) -> SdPresentation:
    """Token Status List §5.1: another token of the same signer is no list."""
    return replace(shown, status_list=shown.status_list.heading(typ="dc+sd-jwt"))


@defect("sd-118", refused_as=ReasonCode.STATUS_LIST_MISMATCH)
def sub_differs(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3 4.a: sub is the uri, exactly."""
    return shown.status_saying(sub=STATUS_URI + "/")


@defect("sd-119", refused_as=ReasonCode.STATUS_LIST_MISMATCH)
def of_another_list(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3 4.a: another list of the same issuer answers for others."""
    return shown.status_saying(sub=OTHER_URI)


@defect("sd-120", refused_as=ReasonCode.STATUS_LIST_EXPIRED)
def list_expired(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3 4.c: an old list hides a revocation."""
    return shown.status_saying(iat=shown.world.now - 2 * HOUR, exp=shown.world.now - HOUR)


@defect("sd-121", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def iat_missing(shown: SdPresentation) -> SdPresentation:
    """Token Status List §5.1: iat is required."""
    return replace(shown, status_list=shown.status_list.lacking("iat"))


@defect("sd-121b", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def iat_in_the_future(shown: SdPresentation) -> SdPresentation:
    """RFC 7519 §4.1.6: nobody signed it tomorrow."""
    return shown.status_saying(iat=shown.world.now + HOUR)


@defect("sd-122", refused_as=ReasonCode.STATUS_LIST_UNTRUSTED)
def signed_by_an_untrusted_chain(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3 3.a: who publishes the status must be entitled to."""
    stranger = World().status_identity
    return replace(
        shown,
        status_list=replace(
            shown.status_list.heading(x5c=x5c_header(stranger.chain)),
            sign=stranger.signer.sign,
        ),
    )


@defect("sd-122b", refused_as=ReasonCode.STATUS_LIST_UNTRUSTED)
def signed_by_who_issues_credentials(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3 3.a: where another authority signs the lists, the issuer's signer does not."""
    issuer = shown.world.sd_jwt_identity
    return replace(
        shown, status_list=replace(shown.status_list.heading(x5c=x5c_header(issuer.chain)), sign=issuer.signer.sign)
    )


@defect("sd-122c", refused_as=ReasonCode.STATUS_LIST_UNTRUSTED)
def signed_wrongly_under_the_right_chain(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3 3.a: the certificate's key, not any."""
    return replace(shown, status_list=replace(shown.status_list, sign=generate_signer().sign))


@defect("sd-123", refused_as=ReasonCode.STATUS_LIST_UNTRUSTED)
def signed_by_a_key_of_its_own_header(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.3: a key that comes along vouches for nobody."""
    thief = generate_signer()
    header = shown.status_list.headless("x5c").heading(jwk=jwk_from_public_key(thief.public_key))
    return replace(shown, status_list=replace(header, sign=thief.sign))


@defect("sd-124", refused_as=ReasonCode.STATUS_LIST_UNTRUSTED)
def keyed_with_a_certificate(shown: SdPresentation) -> SdPresentation:
    """RFC 8725 §2.1: a public certificate is no secret."""
    token = shown.status_list.heading(alg="HS256")
    return replace(shown, status_list=replace(token, sign=keyed(shown.world.sd_jwt_identity.chain[0])))


@defect("sd-125", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def bits_missing(shown: SdPresentation) -> SdPresentation:
    """Token Status List §4.2: bits is required."""
    return shown.status_saying(status_list={"lst": content(shown)["lst"]})


@defect("sd-126", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def bits_text(shown: SdPresentation) -> SdPresentation:
    """Token Status List §4.2: a number."""
    return shown.status_saying(status_list={**content(shown), "bits": "1"})


@defect("sd-126b", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def bits_three(shown: SdPresentation) -> SdPresentation:
    """Token Status List §4.2: 1, 2, 4 or 8."""
    return shown.status_saying(status_list={**content(shown), "bits": 3})


@defect("sd-126c", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def bits_true(shown: SdPresentation) -> SdPresentation:
    """Token Status List §4.2: true is not 1."""
    return shown.status_saying(status_list={**content(shown), "bits": True})


@defect("sd-127", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def list_not_compressed(shown: SdPresentation) -> SdPresentation:
    """Token Status List §4.1: zlib."""
    return shown.status_saying(status_list={"bits": 2, "lst": base64url.encode(bytes(250))})


@defect("sd-127b", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def list_cut_off(shown: SdPresentation) -> SdPresentation:
    """Token Status List §4.1: a whole stream, with its checksum."""
    whole = base64url.decode(str(content(shown)["lst"]))
    return shown.status_saying(status_list={"bits": 2, "lst": base64url.encode(whole[:-2])})


@defect("sd-128", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def list_missing(shown: SdPresentation) -> SdPresentation:
    """Token Status List §5.1: status_list is required."""
    return replace(shown, status_list=shown.status_list.lacking("status_list"))


@defect("sd-129", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def html_page(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.2: a login page is no list."""
    return replace(shown, http=Http(body=b"<!doctype html><title>Anmeldung</title>"))


@defect("sd-904", refused_as=ReasonCode.STATUS_INDEX_OUT_OF_RANGE)
def index_beyond_the_list(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3: what is not in the list is not VALID."""
    return shown.pointing(idx=1000)


@defect("sd-904b", refused_as=ReasonCode.STATUS_REVOKED)
def entry_invalid(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3, §7.1: 1 is INVALID."""
    return shown.status_listing(b"\x00\x40" + bytes(98), bits=2)


@defect("sd-904c", refused_as=ReasonCode.STATUS_SUSPENDED)
def entry_suspended_in_wider_list(shown: SdPresentation) -> SdPresentation:
    """Token Status List §8.3, §7.1: 2 is SUSPENDED, with eight bits as with two."""
    return shown.status_listing(bytes(7) + b"\x02" + bytes(92), bits=8)


@defect("sd-904d", refused_as=ReasonCode.STATUS_UNKNOWN)
def entry_without_meaning(shown: SdPresentation) -> SdPresentation:
    """Token Status List §7.1: 17 is reserved."""
    return shown.status_listing(bytes(7) + b"\x11" + bytes(92), bits=8)
