"""What is wrong with an installation, or will be soon: files, database, certificates, and each list in force or not.

Changes nothing and fetches nothing: lists are judged as the running service left them.
"""

import time
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.exc import SQLAlchemyError

from specs.encoding.placed_yaml import FileInvalid
from verifier.registered import Severity, findings
from verifier.server.models import list_answer
from verifier.server.service import NotPrepared, TenantVerifier, build_service
from verifier.settings import VerifierSettings
from verifier.trust_lists import ListStanding, ListState


class Level(StrEnum):
    """How bad a finding is."""

    FINE = "fine"
    WARNING = "warning"  # works, but not for long
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing."""

    level: Level
    about: str
    sentence: str


def examine(settings: VerifierSettings) -> list[Finding]:
    """Look at all that the service would start with."""
    try:
        service = build_service(settings)
    except (NotPrepared, FileInvalid) as error:
        return [Finding(Level.PROBLEM, "files", str(error))]
    try:
        service.clients.look()
        found = [Finding(Level.FINE, "database", "It answers.")]
    except (SQLAlchemyError, OSError) as error:
        found = [Finding(Level.PROBLEM, "database", f"It does not answer ({type(error).__name__}).")]
    finally:
        service.close()
    now = int(time.time())
    for name, tenant in service.tenants.items():
        found += _about_certificates(name, tenant, now=now)
        found += [_about_list(name, standing) for standing in tenant.lists.standings(now=now)]
    return found


def _about_certificates(name: str, tenant: TenantVerifier, *, now: int) -> list[Finding]:
    verifier = tenant.verifier
    wrong = findings(verifier.relying_party, verifier.procedures, now=now)
    if not wrong:
        return [Finding(Level.FINE, name, "The certificates hold.")]
    return [
        Finding(
            Level.PROBLEM if each.severity is Severity.ERROR else Level.WARNING,
            f"{name}: {each.about}",
            f"{each.code} {each.detail}".strip(),
        )
        for each in wrong
    ]


def _about_list(name: str, standing: ListStanding) -> Finding:
    said = list_answer(standing)
    trouble = "" if said["trouble"] is None else f"; the last fetch: {said['trouble']}"
    about = f"{name}: {standing.url}"
    match standing.state:
        case ListState.IN_FORCE:
            level = Level.FINE if standing.trouble is None else Level.WARNING
            return Finding(
                level, about, f"Number {standing.sequence} is in force until {said['next_update']}{trouble}."
            )
        case ListState.EXPIRED:
            sentence = f"Number {standing.sequence} ended at {said['next_update']}: nobody of it is trusted{trouble}."
            return Finding(Level.PROBLEM, about, sentence)
    return Finding(Level.PROBLEM, about, f"There is no list that is believed: nobody of it is trusted{trouble}.")
