"""OpenID for Verifiable Presentations 1.0: the question as a message, its signature, its ways, and the answer.

| module | clause |
|---|---|
| `client_id` | who asks: §5.9 |
| `metadata` | what the asker can read: §5.1, §11.1, Appendix B |
| `transaction_data` | what is agreed to: §5.1, §8.4, §B.2.1, §B.3.3 |
| `request` | the parameters: §5.1 to §5.6, §A.2 |
| `request_object` | their signature: §5, §5.8, §12, RFC 9101 |
| `request_uri` | links and fetching: §5.4, §5.10 |
| `dc_api` | the browser's API: Appendix A |
| `response` | the answer: §8 |
| `errors`, `addresses` | §8.5; where things may be sent |

The query language is `specs.protocols.dcql`.
"""

from specs.protocols.openid4vp.client_id import (
    ClientId,
    ClientIdPrefix,
    parse_client_id,
    x509_hash_client_id,
    x509_san_dns_client_id,
)
from specs.protocols.openid4vp.dc_api import (
    CoSigner,
    DcApiProtocol,
    DcApiRequest,
    build_dc_api_response,
    build_multi_signed_request,
    build_signed_request,
    build_unsigned_request,
    parse_dc_api_request,
    parse_dc_api_response,
)
from specs.protocols.openid4vp.errors import AnswerAddress, ErrorCode, RequestError
from specs.protocols.openid4vp.metadata import (
    ALL_FORMATS,
    HAIP_FORMATS,
    ClientMetadata,
    MdocAlgorithms,
    SdJwtAlgorithms,
    SupportedFormats,
    build_client_metadata,
    check_formats,
    cose_alg_announced,
    jose_alg_announced,
    parse_client_metadata,
)
from specs.protocols.openid4vp.request import (
    AuthorizationRequest,
    ResponseMode,
    VerifierInfo,
    build_authorization_request,
    parse_authorization_request,
)
from specs.protocols.openid4vp.request_object import (
    REQUEST_OBJECT_MEDIA_TYPE,
    RequestTrust,
    VerifiedRequest,
    build_request_object,
    decrypt_request_object,
    encrypt_request_object,
    parse_and_verify_request_object,
)
from specs.protocols.openid4vp.request_uri import (
    RequestByReference,
    RequestByValue,
    RequestEncryption,
    RequestUriMethod,
    RequestUriPost,
    build_request_link,
    build_request_uri_post,
    build_unsigned_link,
    parse_request_link,
    parse_request_uri_post,
)
from specs.protocols.openid4vp.response import (
    AuthorizationResponse,
    EncryptedResponse,
    ErrorResponse,
    ResponseError,
    build_endpoint_answer,
    build_error_response,
    build_response,
    form_fields,
    parse_endpoint_answer,
    parse_form,
    parse_response_form,
    parse_response_members,
    parse_response_payload,
)
from specs.protocols.openid4vp.transaction_data import (
    MdocTransactionType,
    TransactionData,
    build_transaction_data,
    choose_hash,
    hash_transaction_data,
    parse_transaction_data,
)

__all__ = [
    "ALL_FORMATS",
    "HAIP_FORMATS",
    "REQUEST_OBJECT_MEDIA_TYPE",
    "AnswerAddress",
    "AuthorizationRequest",
    "AuthorizationResponse",
    "ClientId",
    "ClientIdPrefix",
    "ClientMetadata",
    "CoSigner",
    "DcApiProtocol",
    "DcApiRequest",
    "EncryptedResponse",
    "ErrorCode",
    "ErrorResponse",
    "MdocAlgorithms",
    "MdocTransactionType",
    "RequestByReference",
    "RequestByValue",
    "RequestEncryption",
    "RequestError",
    "RequestTrust",
    "RequestUriMethod",
    "RequestUriPost",
    "ResponseError",
    "ResponseMode",
    "SdJwtAlgorithms",
    "SupportedFormats",
    "TransactionData",
    "VerifiedRequest",
    "VerifierInfo",
    "build_authorization_request",
    "build_client_metadata",
    "build_dc_api_response",
    "build_endpoint_answer",
    "build_error_response",
    "build_multi_signed_request",
    "build_request_link",
    "build_request_object",
    "build_request_uri_post",
    "build_response",
    "build_signed_request",
    "build_transaction_data",
    "build_unsigned_link",
    "build_unsigned_request",
    "check_formats",
    "choose_hash",
    "cose_alg_announced",
    "decrypt_request_object",
    "encrypt_request_object",
    "form_fields",
    "hash_transaction_data",
    "jose_alg_announced",
    "parse_and_verify_request_object",
    "parse_authorization_request",
    "parse_client_id",
    "parse_client_metadata",
    "parse_dc_api_request",
    "parse_dc_api_response",
    "parse_endpoint_answer",
    "parse_form",
    "parse_request_link",
    "parse_request_uri_post",
    "parse_response_form",
    "parse_response_members",
    "parse_response_payload",
    "parse_transaction_data",
    "x509_hash_client_id",
    "x509_san_dns_client_id",
]
