"""`stadtnachweis verifier …`: judge a recorded answer, read a phone on the spot, say what each reason means."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from specs.credentials.identifier_list import IDENTIFIER_LIST_CWT
from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonValue
from specs.protocols.dcql import DcqlQuery, MdocMeta, SdJwtVcMeta, parse_dcql
from specs.protocols.proximity import parse_engagement_link
from specs.refusal import ReasonCode, Refusal
from specs.trust.x509 import CertificateError
from verifier import cli_certificates, cli_evidence, cli_service, cli_trust_list
from verifier.ask import Procedure
from verifier.check.revocation import OCSP_MEDIA_TYPE
from verifier.cli_files import ACCEPTED, REFUSED, USAGE, UsageError, anchors, described, from_file, read
from verifier.expectations import (
    STATUS_LIST_CWT,
    STATUS_LIST_JWT,
    DirectPost,
    Fetched,
    Policy,
    RevocationRule,
    StatusRule,
    Trust,
    TrustDomain,
)
from verifier.fetch import PolicedFetcher
from verifier.proximity import DeviceUnreachable
from verifier.proximity_stream import StreamTransport
from verifier.reader import Reader
from verifier.texts import LANGUAGES, Audience, sentence
from verifier.verdict import Verdict
from verifier.verify import Reference, references, verify_presentation

_CRL = "application/pkix-crl"
_THUMBPRINT_BYTES = 32
_ASKED = "command line"
ACCEPTED_SENTENCE = {
    "de-simple": "Die Antwort ist echt und passt zur Frage. Sie dürfen sie verwenden.",
    "de": "Die Antwort ist echt, passt zur Frage und darf verwendet werden.",
    "en": "The answer is authentic, fits the question and may be used.",
}
_DESCRIPTION = """\
Checks what wallets present. `verify` does not talk to the network: what is needed besides the answer comes from files.

  stadtnachweis verifier verify --vp-token answer.json --query query.json --nonce … --client-id … \\
      --response-uri https://… --anchors roots.pem --status-anchors status-roots.pem \\
      --status-list https://issuer.example/status/1=list.jwt
  stadtnachweis verifier read 'mdoc:…' --query query.json --anchors roots.pem --status-anchors status-roots.pem
  stadtnachweis verifier evidence record.jwt --signer evidence.crt.pem --keys /srv/evidence-keys
  stadtnachweis verifier reasons --language en
  stadtnachweis verifier serve
"""
_VERIFY = """\
Judge the opened answer of a wallet. The verdict is printed as JSON; with an accepted answer it holds the claims.
`wanted` names documents that the answer refers to and that were not given. The sentence for the caseworker follows on
the error stream. Exit status: 0 accepted, 1 refused, 2 the question or a file cannot be used.
"""
_READ = """\
Meet a simulated device on this machine (`stadtnachweis wallet meet` waits as one), ask it, and judge its answer. Status
and revocation lists are fetched. Output and exit status are those of `verify`.
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command `verifier`."""
    parser = subparsers.add_parser(
        "verifier",
        help="judge a recorded answer of a wallet, and list the reasons for refusals",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--profile", choices=("oidf",), help="start a target for the OpenID Foundation's conformance suite instead"
    )
    parser.add_argument("--port", type=int, default=9444, help="port of that target, 0 for a free one (default: 9444)")
    for name, meaning in (
        ("--issuer-root", "one more root of SD-JWT VCs that this target shall believe; repeatable"),
        ("--mdoc-signer", "one more signer of mdocs that this target shall believe; repeatable"),
    ):
        parser.add_argument(name, type=Path, action="append", default=[], metavar="PEM", help=meaning)
    parser.set_defaults(run=_target)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _register_verify(commands)
    _register_read(commands)
    cli_evidence.register(commands)
    cli_trust_list.register(commands)
    cli_certificates.register(commands)
    cli_service.register(commands)
    reasons = commands.add_parser("reasons", help="list all reason codes, each with its sentence for the caseworker")
    reasons.add_argument("--language", choices=LANGUAGES, default="en", help="language of the sentences (default: en)")
    reasons.add_argument("--json", action="store_true", help="as one JSON object")
    reasons.set_defaults(run=_reasons)


def _register_verify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verify = commands.add_parser("verify", help="judge a recorded answer", description=_VERIFY)
    question = verify.add_argument_group("the question as it was asked")
    question.add_argument("--query", type=Path, required=True, metavar="FILE", help="the DCQL query (JSON)")
    question.add_argument("--nonce", required=True)
    question.add_argument("--client-id", required=True, metavar="ID", help="with its prefix, such as x509_hash:…")
    question.add_argument("--response-uri", required=True, metavar="URI", help="where the answer was posted to")
    question.add_argument(
        "--key-thumbprint",
        metavar="BASE64URL",
        help="SHA-256 thumbprint of the key the answer was encrypted to; without: it came in clear",
    )
    answer = verify.add_argument_group("the answer")
    answer.add_argument("--vp-token", type=Path, required=True, metavar="FILE", help="the opened vp_token (JSON)")
    answer.add_argument(
        "--now", type=int, metavar="SECONDS", help="when to judge, in seconds since 1970 (default: this moment)"
    )
    trust = _trust_arguments(verify)
    trust.add_argument(
        "--status-list", action="append", default=[], metavar="URI=FILE", help="a fetched status list; repeatable"
    )
    trust.add_argument(
        "--crl", action="append", default=[], metavar="URI=FILE", help="a fetched revocation list (DER); repeatable"
    )
    trust.add_argument(
        "--ocsp",
        action="append",
        default=[],
        metavar="URI=FILE",
        help="a responder's answer (DER), at the address that `wanted` names; repeatable",
    )
    verify.set_defaults(run=_verify)


def _register_read(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    read = commands.add_parser("read", help="read a phone on the spot", description=_READ)
    read.add_argument("engagement", help="what the device's QR code says: mdoc:…")
    read.add_argument("--query", type=Path, required=True, metavar="FILE", help="the DCQL query (JSON), mdocs only")
    read.add_argument(
        "--allow-loopback-http", action="store_true", help="fetch over plain http from this machine, for demonstrations"
    )
    _trust_arguments(read)
    read.set_defaults(run=_read_device)


def _trust_arguments(parser: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    trust = parser.add_argument_group("whom to believe, for each type the query names")
    trust.add_argument("--anchors", type=Path, required=True, metavar="PEM", help="roots of those who issue")
    trust.add_argument("--status-anchors", type=Path, metavar="PEM", help="roots of those who sign status lists")
    trust.add_argument(
        "--status",
        choices=tuple(StatusRule),
        default=StatusRule.WHEN_PRESENT,
        help="how much a credential's status matters (default: when_present)",
    )
    trust.add_argument(
        "--revocation",
        choices=tuple(RevocationRule),
        default=RevocationRule.REQUIRED,
        help="whether certificates that name a list or responder need a good answer (default: required)",
    )
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="language of the sentence (default: en)")
    return trust


def _target(arguments: argparse.Namespace) -> int:
    """Without a command: the conformance suite's target."""
    if arguments.profile is None:
        print("stadtnachweis: say what to do: stadtnachweis verifier --help lists it.", file=sys.stderr)
        return USAGE
    from verifier.adapters.oidf.target import run_target

    try:
        return run_target(port=arguments.port, issuer_roots=arguments.issuer_root, mdoc_signers=arguments.mdoc_signer)
    except (OSError, CertificateError) as error:
        print(f"stadtnachweis: the target cannot start: {error}", file=sys.stderr)
        return USAGE


def _verify(arguments: argparse.Namespace) -> int:
    try:
        verdict, wanted = _judged(arguments)
    except UsageError as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return USAGE
    return _said(arguments, verdict, wanted)


def _read_device(arguments: argparse.Namespace) -> int:
    try:
        verdict = _met(arguments)
    except UsageError as error:
        print(f"stadtnachweis: {error}", file=sys.stderr)
        return USAGE
    return _said(arguments, verdict, [])


def _met(arguments: argparse.Namespace) -> Verdict:
    query = from_file(arguments.query, parse_dcql)
    reader = Reader(
        procedures={_ASKED: Procedure(id=_ASKED, query=query, policy=Policy(status=StatusRule(arguments.status)))},
        trust=_trust(arguments, query),
        fetcher=PolicedFetcher(allow_loopback_http=arguments.allow_loopback_http),
    )
    try:
        engagement = parse_engagement_link(arguments.engagement)
        with closing(StreamTransport(engagement)) as transport:
            return reader.read(_ASKED, engagement, transport)
    except (Refusal, ValueError, DeviceUnreachable) as error:
        raise UsageError(str(error)) from None


def _said(arguments: argparse.Namespace, verdict: Verdict, wanted: Sequence[Reference]) -> int:
    print(json.dumps(described(verdict, wanted), indent=2, ensure_ascii=False))
    if verdict.reason is None:
        print(ACCEPTED_SENTENCE[arguments.language], file=sys.stderr)
        return ACCEPTED
    print(sentence(verdict.reason, language=arguments.language, audience=Audience.CASEWORKER), file=sys.stderr)
    return REFUSED


def _judged(arguments: argparse.Namespace) -> tuple[Verdict, list[Reference]]:
    now = int(time.time()) if arguments.now is None else arguments.now
    query = from_file(arguments.query, parse_dcql)
    vp_token = _vp_token(arguments.vp_token)
    binding = DirectPost(arguments.response_uri, _thumbprint(arguments.key_thumbprint))
    trust = _trust(arguments, query)
    policy = Policy(status=StatusRule(arguments.status))
    status_lists = _status_lists(arguments.status_list, now=now)
    revocation = {uri: Fetched(body, 200, _CRL, now) for uri, body in _documents(arguments.crl, option="--crl").items()}
    answers = _documents(arguments.ocsp, option="--ocsp")
    revocation |= {uri: Fetched(body, 200, OCSP_MEDIA_TYPE, now) for uri, body in answers.items()}
    asked = references(
        vp_token,
        query=query,
        nonce=arguments.nonce,
        client_id=arguments.client_id,
        binding=binding,
        trust=trust,
        policy=policy,
        now=now,
        status_lists=status_lists,
        revocation=revocation,
    )
    verdict = verify_presentation(
        vp_token,
        query=query,
        nonce=arguments.nonce,
        client_id=arguments.client_id,
        binding=binding,
        trust=trust,
        status_lists=status_lists,
        policy=policy,
        now=now,
        revocation=revocation,
    )
    given = {uri for uri, _ in status_lists} | set(revocation)
    return verdict, [reference for reference in asked if reference.url not in given]


def _trust(arguments: argparse.Namespace, query: DcqlQuery) -> Trust:
    """One domain for every type that the query names."""
    domain = TrustDomain(
        name="command line",
        anchors=anchors(arguments.anchors),
        status_anchors=() if arguments.status_anchors is None else anchors(arguments.status_anchors),
        revocation=RevocationRule(arguments.revocation),
    )
    trust: dict[tuple[str, str], tuple[TrustDomain, ...]] = {}
    for entry in query.credentials:
        match entry.meta:
            case SdJwtVcMeta(vct_values=types):
                trust |= {(entry.format, each): (domain,) for each in types}
            case MdocMeta(doctype_value=doc_type):
                trust[entry.format, doc_type] = (domain,)
    return trust


def _status_lists(given: Sequence[str], *, now: int) -> dict[tuple[str, str], Fetched | None]:
    lists: dict[tuple[str, str], Fetched | None] = {}
    for uri, body in _documents(given, option="--status-list").items():
        is_jwt = body.lstrip().startswith(b"ey")
        for media_type in (STATUS_LIST_JWT,) if is_jwt else (STATUS_LIST_CWT, IDENTIFIER_LIST_CWT):
            lists[uri, media_type] = Fetched(body.strip() if is_jwt else body, 200, media_type, now)
    return lists


def _documents(given: Sequence[str], *, option: str) -> dict[str, bytes]:
    documents: dict[str, bytes] = {}
    for each in given:
        uri, separator, file = each.rpartition("=")
        if not separator or not uri or not file:
            raise UsageError(
                f"{option} is an address, “=” and a file, such as https://issuer.example/status/1=list.jwt"
            )
        documents[uri] = read(Path(file))
    return documents


def _vp_token(path: Path) -> JsonValue:
    """What a wallet sent may be broken: that is for the verdict, unless it is no JSON at all."""
    return from_file(path, strict_json.parse)


def _thumbprint(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        thumbprint = base64url.decode(text)
    except Malformed:
        thumbprint = b""
    if len(thumbprint) != _THUMBPRINT_BYTES:
        raise UsageError(f"--key-thumbprint is the base64url of {_THUMBPRINT_BYTES} bytes (RFC 7638, SHA-256)")
    return thumbprint


def _reasons(arguments: argparse.Namespace) -> int:
    sentences = {
        code.value: sentence(code, language=arguments.language, audience=Audience.CASEWORKER) for code in ReasonCode
    }
    if arguments.json:
        print(json.dumps(sentences, indent=2, ensure_ascii=False))
        return ACCEPTED
    width = max(map(len, sentences))
    for code, text in sentences.items():
        print(f"{code:<{width}}  {text}")
    return ACCEPTED
