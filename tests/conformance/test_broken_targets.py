"""No check that has never caught anything: each has a target that is broken for it, or stands here with the reason."""

from conformance.cli import all_checks
from tests.conformance.german_defects import GERMAN_DEFECTS
from tests.conformance.issuer_defects import ISSUER_DEFECTS
from tests.conformance.page_defects import PAGE_ANSWER_DEFECTS, QUESTION_DEFECTS
from tests.conformance.published_defects import OFFER_DEFECTS, PUBLISHED_DEFECTS
from tests.conformance.sweeps import ISSUER_SWEEPS
from tests.conformance.test_issuer_suite import DEFECTS
from tests.conformance.test_oidf_target import TARGET_DEFECTS
from tests.conformance.verifier_defects import (
    ANSWER_DEFECTS,
    GERMAN_REQUEST_DEFECTS,
    LINK_DEFECTS,
    REQUEST_DEFECTS,
    SWITCHES,
)

IN_TESTS_OF_THEIR_OWN = {
    "vci-metadata-identity", "vci-unknown-issuer", "de-signed-metadata-offered", "oauth-details-type", "oauth-jwks",
    "tls-old-versions", "tls-weak-suites", "tls-newest", "de-request-scheme", "de-post-without-accept",
    "vp-client-id-response-uri",
}  # fmt: skip
NO_OCCASION = {
    "att-challenge-header": "none of our issuers sends its challenge in a header",
    "sdjwt-type-metadata": "the types of our test tenants are URNs",
    "mdoc-mdl-elements": "we issue no driving licences",
    "dpop-htu-port": "our test issuers are at ports of their own",
    "tls-newest-preferred": "OpenSSL as a server always takes the newest version",
    "authz-request-uri-expired": "waits for more than a minute",
    "token-code-expired": "waits for more than a minute",
    "vp-binding-transaction-data-missing": "the verifier of the tests asks for no confirmation",
    "vp-binding-transaction-data-other": "the verifier of the tests asks for no confirmation",
}


def test_each_check_of_an_issuer_or_a_verifier_has_a_broken_target() -> None:
    """Those of wallets are held against two wallets that are wrong throughout, each of them: `test_our_wallet`."""
    single = (
        GERMAN_DEFECTS, ISSUER_DEFECTS, PUBLISHED_DEFECTS, OFFER_DEFECTS, QUESTION_DEFECTS, PAGE_ANSWER_DEFECTS,
        ANSWER_DEFECTS, LINK_DEFECTS, REQUEST_DEFECTS, SWITCHES,
    )  # fmt: skip
    caught = {expected for table in single for _, expected in table.values()}
    caught |= {expected for _, expected, _ in GERMAN_REQUEST_DEFECTS.values()}
    caught |= {name for _, names in (*DEFECTS.values(), *ISSUER_SWEEPS.values()) for name in names}
    caught |= set(TARGET_DEFECTS) | IN_TESTS_OF_THEIR_OWN
    checks = all_checks()
    known = {check.id for role in ("issuer", "verifier") for check in checks[role]}
    # each refusal of an answer is held against a verifier that says thanks to everything: `test_our_verifier`
    swept = {name for name in known if name.startswith(("vp-", "cred-key-attestation"))} - set(NO_OCCASION)
    assert known - caught - swept - set(NO_OCCASION) == set()
    assert set(NO_OCCASION) <= known - caught
