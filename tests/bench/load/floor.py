"""The least that a flow can cost: as many requests that do nothing, and the cryptography that can't be left out."""

import time
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

_CALLS = 300


@dataclass(frozen=True, slots=True)
class Unavoidable:
    """What a flow asks of cryptography and HTTP: requests, signatures made, signatures checked, key agreements."""

    requests: int
    signatures: int = 0
    verifications: int = 0
    agreements: int = 0

    def cryptography_ms(self) -> float:
        """Milliseconds of CPU for P-256 with loaded keys, measured now."""
        key = ec.generate_private_key(ec.SECP256R1())
        public, algorithm, message = key.public_key(), ec.ECDSA(hashes.SHA256()), b"m" * 1024
        signature = key.sign(message, algorithm)
        once = 0.0
        for count, call in (
            (self.signatures, lambda: key.sign(message, algorithm)),
            (self.verifications, lambda: public.verify(signature, message, algorithm)),
            (self.agreements, lambda: key.exchange(ec.ECDH(), public)),
        ):
            if count:
                begin = time.process_time()
                for _ in range(_CALLS):
                    call()
                once += count * (time.process_time() - begin) / _CALLS * 1000
        return once


def app() -> FastAPI:
    """An application on the same stack that does nothing."""
    nothing = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @nothing.api_route("/nothing", methods=["GET", "POST"])
    async def nothing_at_all() -> dict[str, bool]:
        return {"nothing": True}

    return nothing
