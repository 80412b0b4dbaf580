"""A city's register as an HTTP server of its own thread: it checks who asks, and answers as a test wants it to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509

from issuer.claims_source.messages import ANSWER_TYP, QUESTION_TYP
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import build_jws, jwk_from_public_key, parse_jws, parse_x5c, verify_jws
from specs.keys.signer import FileSigner, generate_signer
from tests.issuer.wallet_api.world import CLAIMS

HUNDRED_MEGABYTES = 100 * 1024 * 1024


@dataclass
class Register:
    """What it knows and how it behaves. failures: 503 answers before the first good one. redirect: where it sends."""

    clock: Callable[[], int]
    key: FileSigner = field(default_factory=generate_signer)
    signing_key: FileSigner | None = None
    claims: JsonObject = field(default_factory=lambda: dict(CLAIMS))
    outcome: JsonObject | None = None  # instead of the claims
    changes: JsonObject = field(default_factory=dict)  # in the answer's payload; None leaves a member out
    typ: str = ANSWER_TYP
    status: int = 200
    failures: int = 0
    is_silent: bool = False
    is_endless: bool = False
    redirect: str | None = None
    questions: list[JsonObject] = field(default_factory=list)
    askers: list[str] = field(default_factory=list)
    sent: int = 0
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}/claims"

    @property
    def yaml(self) -> str:
        """What a tenant's file says about it."""
        key = ", ".join(f'{name}: "{value}"' for name, value in jwk_from_public_key(self.key.public_key).items())
        return f'{{url: "{self.url}", key: {{{key}}}, timeout: 0.5, budget: 1.0, patience: 1.5, max_bytes: 65536}}'

    def answer(self, question: JsonObject) -> bytes:
        """The signed answer to a question."""
        now = self.clock()
        payload: JsonObject = {
            "iss": self.url,
            "aud": question["iss"],
            "iat": now,
            "exp": now + 30,
            "request": question["jti"],
            "sub": question["sub"],
            "credential_type": question["credential_type"],
            **({"claims": self.claims} if self.outcome is None else self.outcome),
        } | self.changes
        payload = {name: value for name, value in payload.items() if value is not None}
        return build_jws(strict_json.dumps(payload), signer=self.signing_key or self.key, typ=self.typ).encode()

    def heard(self, body: bytes) -> JsonObject:
        """The question in a request, if its signature is that of the certificate that it shows."""
        jws = parse_jws(body.decode("ascii"), expected_typ=QUESTION_TYP)
        leaf = x509.load_der_x509_certificate(parse_x5c(jws.header)[0])
        verify_jws(jws, leaf.public_key())  # type: ignore[arg-type]
        question = strict_json.parse_object(jws.payload)
        assert question["aud"] == self.url
        assert question["exp"] == question["iat"] + 60 == self.clock() + 60  # type: ignore[operator]
        self.questions.append(question)
        self.askers.append(leaf.subject.rfc4514_string())
        return question


@contextmanager
def running_register(clock: Callable[[], int]) -> Iterator[Register]:
    """A register on a free port."""
    register = Register(clock)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(register))
    server.daemon_threads = True
    register.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield register
    finally:
        register.closing.set()
        server.shutdown()
        server.server_close()


def _handler_of(register: Register) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = register.heard(self.rfile.read(int(self.headers["Content-Length"])))
            with suppress(BrokenPipeError, ConnectionResetError):
                self._answer(question)

        def _answer(self, question: JsonObject) -> None:
            if register.is_silent:
                register.closing.wait()
                return
            if register.failures:
                register.failures -= 1
                self.send_response(503)
                self.end_headers()
                return
            self.send_response(302 if register.redirect else register.status)
            if register.redirect:
                self.send_header("Location", register.redirect)
            self.send_header("Content-Type", "application/jwt")
            self.end_headers()
            if register.is_endless:
                while register.sent < HUNDRED_MEGABYTES:
                    register.sent += self.wfile.write(bytes(65536))
                return
            self.wfile.write(register.answer(question))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
