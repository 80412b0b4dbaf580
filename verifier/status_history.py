"""A recorded examination judged again by what the issuer says today of that time (Token Status List §8.4)."""

from dataclasses import replace

from specs.credentials.signed_list import StatusListError
from specs.credentials.status_history import covers, history_url
from specs.credentials.status_list import MAX_BYTES
from specs.keys.jose import PublicKey
from specs.trust.parsed_certificate import CertificateError, parse_certificate
from verifier.check.listed import parse_list, verify_list
from verifier.examination import Examination
from verifier.expectations import Fetched
from verifier.fetch import Fetcher, FetchFailed


def with_status_history(examination: Examination, *, fetcher: Fetcher) -> Examination:
    """The examination with each of its status lists as it was when the answer came.

    A list that can't be had, or does not speak of that time, is missing: where a status matters, the verdict is a
    refusal. Whose list it may be is judged with the rest.
    """
    lists = {
        (uri, media_type): _then(uri, media_type, time=examination.now, fetcher=fetcher)
        for uri, media_type in examination.status_lists
    }
    return replace(examination, status_lists=lists)


def _then(uri: str, media_type: str, *, time: int, fetcher: Fetcher) -> Fetched | None:
    try:
        fetched = fetcher.fetch(history_url(uri, time=time), accept=media_type)
        if not 200 <= fetched.http_status < 300:
            return None
        signed = parse_list(fetched.body, media_type)
        key = parse_certificate(signed.chain[0]).key
        if not isinstance(key, PublicKey):
            return None
        token = verify_list(signed, key=key, expected_uri=uri, now=time, max_bytes=MAX_BYTES)
    except (FetchFailed, StatusListError, CertificateError):
        return None
    # its time to live counts from when it was had then, not from today
    return replace(fetched, fetched_at=time) if covers(token, time=time) else None
