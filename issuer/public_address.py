"""Looks at the issuer from outside, by its own public address: reached, the same, safely, and at the right time.

Nobody else is asked: the time is compared with the `Date` that the public address itself says.
"""

import asyncio
import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from cryptography import x509

from issuer.departures import Finding, Level
from issuer.service import IssuerService
from issuer.wallet_api.metadata import issuer_metadata
from specs.encoding import Malformed, strict_json
from specs.protocols.oauth_metadata import CREDENTIAL_ISSUER, well_known_url

ABOUT = "public address"
SETTING = "ISSUER_PUBLIC_URL"
CERTIFICATE_WARNING_DAYS = 14  # automatic renewal has been late by then
CLOCK_WARNING, CLOCK_PROBLEM = 5, 30  # seconds; wallets take times that are up to 60 s ahead
_DEADLINE = 10.0  # seconds
_MAX_BYTES = 4 * 1024 * 1024
_DAY = 86400


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    date: str | None


async def examine_public_address(
    service: IssuerService, *, now: int, trusted: ssl.SSLContext | None = None
) -> list[Finding]:
    """What the outside sees of a running issuer. now: seconds since the epoch. trusted: whom its certificate is by."""
    context = trusted or ssl.create_default_context()
    parts = urlsplit(service.settings.public_url)
    findings: list[Finding] = []
    if parts.scheme == "https":
        port = parts.port or 443
        findings += await asyncio.to_thread(
            lambda: list(examine_tls(parts.hostname or "", port, context=context, now=now))
        )
    for tenant_id in await service.tenants.ids():
        findings += await _examine_tenant(service, tenant_id, context=context, now=now)
    return findings


def examine_tls(host: str, port: int, *, context: ssl.SSLContext, now: int) -> Iterator[Finding]:
    """The listener's version, chain and the days that are left of it."""
    try:
        with (
            socket.create_connection((host, port), timeout=_DEADLINE) as plain,
            context.wrap_socket(plain, server_hostname=host) as agreed,
        ):
            version, leaf = agreed.version(), agreed.getpeercert(binary_form=True)
    except ssl.SSLCertVerificationError as error:
        yield _problem(f"Its TLS certificate is not believed: {error.verify_message}.")
        return
    except (OSError, ssl.SSLError) as error:
        yield _problem(f"No TLS connection to {host}:{port} ({type(error).__name__}).")
        return
    if version == "TLSv1.3":
        yield Finding(Level.FINE, ABOUT, "It speaks TLS 1.3, with a certificate that is believed.")
    else:
        yield Finding(
            Level.WARNING, ABOUT, f"It agrees on {version} with a client that knows TLS 1.3.", clause="BCP 195"
        )
    assert leaf is not None, "a chain that is believed begins with a certificate"
    end = x509.load_der_x509_certificate(leaf).not_valid_after_utc
    days = int((end.timestamp() - now) // _DAY)
    sentence = f"Its TLS certificate is good for {days} days, until {end:%Y-%m-%d}."
    yield Finding(Level.FINE if days >= CERTIFICATE_WARNING_DAYS else Level.WARNING, ABOUT, sentence)


async def _examine_tenant(
    service: IssuerService, tenant_id: str, *, context: ssl.SSLContext, now: int
) -> list[Finding]:
    tenant = await service.tenants.find(tenant_id)
    if tenant is None:
        return []
    url = well_known_url(tenant.issuer_url, CREDENTIAL_ISSUER)
    try:
        answer = await asyncio.to_thread(_get, url, context)
    except (OSError, http.client.HTTPException) as error:
        return [_problem(f"{url} does not answer ({type(error).__name__}).")]
    if answer.status != 200:
        return [_problem(f"{url} answers with {answer.status}.")]
    try:
        same = strict_json.parse_object(answer.body) == issuer_metadata(service, tenant)
    except Malformed:
        same = False
    if not same:
        return [_problem(f"{url} answers with other metadata: a proxy's cache, or another installation.")]
    return [
        Finding(Level.FINE, ABOUT, f"The metadata of {tenant_id} come from here."),
        *_examine_clock(answer.date, now=now),
    ]


def _examine_clock(date: str | None, *, now: int) -> Iterator[Finding]:
    shown = _parsed(date)
    if shown is None:
        return  # a proxy may leave it out
    away = abs(int(shown.timestamp()) - now)
    if away > CLOCK_WARNING:
        sentence = f"This machine's clock and that of the public address are {away} seconds apart."
        yield Finding(Level.PROBLEM if away > CLOCK_PROBLEM else Level.WARNING, ABOUT, sentence)


def _parsed(date: str | None) -> datetime | None:
    try:
        return None if date is None else parsedate_to_datetime(date)
    except ValueError:
        return None


def _get(url: str, context: ssl.SSLContext) -> _Answer:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=_DEADLINE, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_DEADLINE)
    try:
        connection.request("GET", parts.path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        return _Answer(response.status, response.read(_MAX_BYTES), response.getheader("Date"))
    finally:
        connection.close()


def _problem(sentence: str) -> Finding:
    return Finding(Level.PROBLEM, ABOUT, sentence, SETTING)
