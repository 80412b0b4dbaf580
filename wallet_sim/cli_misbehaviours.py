"""`stadtnachweis wallet misbehaviours`, and what `--misbehave` says about the reaction it met."""

import argparse
import json
import sys

from wallet_sim.conduct import HONEST, Conduct
from wallet_sim.misbehaviour import Misbehaviour, Misconduct, Phase, find_misbehaviour, misbehaviours

_HEAD = """\
# Misbehaviours of the simulated wallet

`stadtnachweis wallet collect|present|meet … --misbehave NAME` does one thing wrong and says whether the other side did
what it must; status 0 only if it did. Written by `stadtnachweis wallet misbehaviours --markdown`; with `--json` for
machines. In Python: `Wallet(…, conduct=Misconduct(find_misbehaviour(NAME)))` from `wallet_sim.misbehaviour`.

*Needs*: without it there is no occasion, and the wallet says so. *Must meet*: HTTP status, `error` and endpoint, or the
status with which a reader ends the session. *Reason*: what this project's verifier and reader call it.
"""


class NotMet(Exception):
    """The other side did not do what it must."""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `misbehaviours`."""
    listed = commands.add_parser("misbehaviours", help="what --misbehave can do, and the reaction each must meet")
    listed.add_argument("--phase", choices=[phase.value for phase in Phase], help="those of one exchange")
    form = listed.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for machines")
    form.add_argument("--markdown", action="store_true", help="as a table, for documentation")
    listed.set_defaults(run=_list)


def misbehave_option() -> argparse.ArgumentParser:
    """The option `--misbehave`, as a parent of commands."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "--misbehave", metavar="NAME", help="do one thing wrong, and say whether the other side reacts as it must"
    )
    return parent


def conduct_of(arguments: argparse.Namespace) -> Conduct:
    """Honest, unless the option says otherwise.

    Raises:
        UnknownMisbehaviour: there is none of this name.
    """
    name: str | None = arguments.misbehave
    return HONEST if name is None else Misconduct(find_misbehaviour(name))


def tell_reaction(conduct: Conduct, phase: Phase) -> None:
    """Say what came back, if the wallet misbehaved.

    Raises:
        NotMet: not what must come back, or there was no occasion.
    """
    if not isinstance(conduct, Misconduct):
        return
    case = conduct.misbehaviour
    reaction = case.reaction_in(phase)
    if not conduct.is_done:
        needs = ", ".join(sorted(case.needs)) or f"another exchange than {phase}"
        raise NotMet(f"{case.id} had no occasion here; it needs: {needs}")
    seen = reaction.seen(conduct.exchanges)
    came = "nothing" if seen is None else f"{seen.status or 'a broken connection'} {seen.error or ''}".rstrip()
    if not conduct.is_met(phase):
        raise NotMet(f"{case.id}: {came} came back; it must be {reaction} ({case.clause})")
    print(f"{case.id}: {came} came back, as it must ({case.clause})")


def _list(arguments: argparse.Namespace) -> int:
    phase = Phase(arguments.phase) if arguments.phase else None
    if arguments.markdown:
        sys.stdout.write(as_markdown(phase))
    elif arguments.json:
        print(json.dumps([as_json(each) for each in misbehaviours(phase)], indent=2, ensure_ascii=False))
    else:
        for each in misbehaviours(phase):
            print(f"{each.id:<34} {each.sentence}")
    return 0


def as_json(case: Misbehaviour) -> dict[str, object]:
    """One misbehaviour for machines."""
    return {
        "id": case.id,
        "phases": [phase.value for phase in case.phases],
        "formats": list(case.formats),
        "clause": case.clause,
        "sentence": case.sentence,
        "needs": sorted(case.needs),
        "reaction": {
            "at": case.reaction.at.value,
            "statuses": list(case.reaction.statuses),
            "errors": list(case.reaction.errors),
            "reason": case.reaction.reason,
            "refused": case.reaction.is_refusal,
        },
    }


def as_markdown(phase: Phase | None = None) -> str:
    """All of them as tables, one for each exchange."""
    lines = [_HEAD]
    for each in Phase:
        if phase in (None, each):
            lines += [f"## {each.value.title()}\n", "| name | what it does | breaks | needs | must meet | reason |"]
            lines += ["|---|---|---|---|---|---|", *(_row(case, each) for case in misbehaviours(each)), ""]
    return "\n".join(lines)


def _row(case: Misbehaviour, phase: Phase) -> str:
    reaction = case.reaction_in(phase)
    formats = "" if len(case.formats) > 1 or phase is Phase.PROXIMITY else f" ({case.formats[0]})"
    needs = ", ".join(sorted(case.needs)) or "–"
    reason = f"`{reaction.reason}`" if reaction.reason else "–"
    return f"| `{case.id}`{formats} | {case.sentence} | {case.clause} | {needs} | {reaction} | {reason} |"
