"""Refusals: the closed vocabulary of reasons why something that was shown to us is not believed.

One failure has one reason. Callers switch on the values; a value never changes its meaning, new ones may be added.
"""

from enum import StrEnum


class ReasonCode(StrEnum):
    """Why a presentation, or a part of one, was refused."""

    # the answer as a whole (OpenID4VP §8)
    RESPONSE_MALFORMED = "response_malformed"  # the answer is not of the form that was asked for
    RESPONSE_NOT_ENCRYPTED = "response_not_encrypted"  # encryption was asked for, the answer came in clear
    RESPONSE_TOO_LARGE = "response_too_large"  # more bytes than the limit
    ENCRYPTION_NOT_ALLOWED = "encryption_not_allowed"  # an algorithm or compression that was not offered
    ENCRYPTION_KEY_UNKNOWN = "encryption_key_unknown"  # encrypted to a key that is not this question's
    DECRYPTION_FAILED = "decryption_failed"  # the ciphertext does not open
    STATE_MISMATCH = "state_mismatch"  # `state` is missing or another question's
    TRANSACTION_UNKNOWN = "transaction_unknown"  # no such question is open: never asked, ended or answered
    WALLET_ERROR = "wallet_error"  # the wallet answered with an error of its own
    VP_TOKEN_MALFORMED = "vp_token_malformed"  # noqa: S105  # not an object of non-empty arrays
    QUERY_ID_UNKNOWN = "query_id_unknown"  # an entry that nobody asked for
    TOO_MANY_PRESENTATIONS = "too_many_presentations"  # more than one without `multiple`, or above the limit
    FORMAT_MISMATCH = "format_mismatch"  # another credential format than the one asked for
    LIMIT_EXCEEDED = "limit_exceeded"  # larger, deeper or more numerous than the limits allow

    # forms
    JWT_MALFORMED = "jwt_malformed"
    SD_JWT_MALFORMED = "sd_jwt_malformed"
    CBOR_MALFORMED = "cbor_malformed"
    COSE_MALFORMED = "cose_malformed"
    MDOC_MALFORMED = "mdoc_malformed"
    MSO_MALFORMED = "mso_malformed"
    TYP_MISMATCH = "typ_mismatch"  # the token says that it is something else
    CRITICAL_HEADER_UNKNOWN = "critical_header_unknown"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"  # none, a MAC, unlisted, or not the key's own
    KEY_INVALID = "key_invalid"  # not a public key of an allowed kind, or not on its curve
    SIGNATURE_INVALID = "signature_invalid"

    # whom to believe
    ISSUER_KEY_MISSING = "issuer_key_missing"  # no certificate chain where one is demanded
    TRUST_NOT_CONFIGURED = "trust_not_configured"  # no anchor speaks for this type
    CERTIFICATE_MALFORMED = "certificate_malformed"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"  # no path to an anchor of this type
    CERTIFICATE_EXPIRED = "certificate_expired"  # a certificate of the path is past its end, or before its begin
    CERTIFICATE_PROFILE = "certificate_profile"  # usage, constraint or extension does not fit the purpose
    CERTIFICATE_REVOKED = "certificate_revoked"
    REVOCATION_UNKNOWN = "revocation_unknown"  # the certificate names a revocation service that gave no usable answer
    TRUST_LIST_MALFORMED = "trust_list_malformed"  # not a list of the kind that was expected, or not understood
    TRUST_LIST_UNTRUSTED = "trust_list_untrusted"  # signed by nobody who may publish it
    TRUST_LIST_EXPIRED = "trust_list_expired"  # past its next update, or from the future
    TRUST_LIST_OLDER = "trust_list_older"  # older than the one that is known already
    TRUSTED_AUTHORITY_MISMATCH = "trusted_authority_mismatch"  # the chain is none of those the question named

    # what the asker is registered for (ETSI TS 119 475)
    REGISTRATION_MALFORMED = "registration_malformed"
    REGISTRATION_UNTRUSTED = "registration_untrusted"  # signed by no registrar that we believe
    REGISTRATION_EXPIRED = (
        "registration_expired"  # past its end, from the future, or without the end or status it needs
    )
    REGISTRATION_MISMATCH = "registration_mismatch"  # another party's
    REQUEST_NOT_REGISTERED = "request_not_registered"  # more is asked than was registered

    # the credential
    CLAIM_INVALID = "claim_invalid"  # a registered claim has a value it can't have
    CREDENTIAL_EXPIRED = "credential_expired"
    CREDENTIAL_NOT_YET_VALID = "credential_not_yet_valid"
    VALIDITY_UNBOUNDED = "validity_unbounded"  # neither an end nor a status
    TYPE_MISMATCH = "type_mismatch"  # `vct` or `docType` is not the one asked for
    TYPE_METADATA_INVALID = "type_metadata_invalid"
    HASH_ALGORITHM_NOT_ALLOWED = "hash_algorithm_not_allowed"
    DISCLOSURE_MALFORMED = "disclosure_malformed"
    DISCLOSURE_UNREFERENCED = "disclosure_unreferenced"
    DIGEST_REPEATED = "digest_repeated"
    CLAIM_NAME_FORBIDDEN = "claim_name_forbidden"  # `_sd`, `...` or `_sd_alg` where they may not be
    CLAIM_COLLISION = "claim_collision"  # the same name twice at one level
    CLAIM_NOT_DISCLOSABLE = "claim_not_disclosable"  # a claim that must be permanent came as a disclosure
    DIGEST_MISMATCH = "digest_mismatch"  # an mdoc item is not the one that was signed
    DIGEST_MISSING = "digest_missing"  # an mdoc item that was never signed
    ELEMENT_REPEATED = "element_repeated"  # the same mdoc element or digest id twice
    VERSION_NOT_SUPPORTED = "version_not_supported"

    # the holder
    KEY_BINDING_MISSING = "key_binding_missing"
    KEY_BINDING_MALFORMED = "key_binding_malformed"
    KEY_BINDING_SIGNATURE_INVALID = "key_binding_signature_invalid"
    KEY_BINDING_EXPIRED = "key_binding_expired"  # made too long ago, or past its own end
    KEY_BINDING_NOT_YET_VALID = "key_binding_not_yet_valid"  # made in the future
    HOLDER_KEY_MISSING = "holder_key_missing"
    HOLDER_KEY_INVALID = "holder_key_invalid"
    NONCE_MISMATCH = "nonce_mismatch"  # not an answer to this question, or replayed
    AUDIENCE_MISMATCH = "audience_mismatch"  # made for somebody else
    SD_HASH_MISMATCH = "sd_hash_mismatch"  # made for another selection of disclosures
    DEVICE_AUTHENTICATION_MISSING = "device_authentication_missing"
    DEVICE_AUTHENTICATION_INVALID = "device_authentication_invalid"  # other key, other session, other document
    DEVICE_MAC_NOT_ALLOWED = "device_mac_not_allowed"  # a MAC although no key for one was offered
    DEVICE_CLAIM_NOT_AUTHORIZED = "device_claim_not_authorized"
    TRANSACTION_DATA_MISMATCH = "transaction_data_mismatch"
    DIFFERENT_PERSONS = "different_persons"  # the credentials do not belong to one person

    # the status
    STATUS_MALFORMED = "status_malformed"  # the credential's own reference is unusable
    STATUS_MISSING = "status_missing"  # the procedure demands a status, the credential has none
    STATUS_UNAVAILABLE = "status_unavailable"  # the list could not be had
    STATUS_LIST_MALFORMED = "status_list_malformed"
    STATUS_LIST_MISMATCH = "status_list_mismatch"  # the token is another list's
    STATUS_LIST_EXPIRED = "status_list_expired"
    STATUS_LIST_UNTRUSTED = "status_list_untrusted"  # signed by nobody who may
    STATUS_INDEX_OUT_OF_RANGE = "status_index_out_of_range"
    STATUS_REVOKED = "status_revoked"
    STATUS_SUSPENDED = "status_suspended"
    STATUS_UNKNOWN = "status_unknown"  # a value that is not VALID and has no meaning for us

    # the question
    CLAIMS_MISSING = "claims_missing"
    CLAIM_VALUE_MISMATCH = "claim_value_mismatch"
    CLAIM_NOT_REQUESTED = "claim_not_requested"  # more was disclosed than asked, and the procedure refuses that
    QUERY_NOT_SATISFIED = "query_not_satisfied"


class Refusal(Exception):
    """Something shown to us does not hold. reason: for machines. detail: for the log, no personal data, no secret."""

    def __init__(self, reason: ReasonCode, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
