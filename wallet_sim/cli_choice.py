"""What can be chosen in answer to a question, asked on the terminal: which option, which credential, which claims."""

import sys
from collections.abc import Sequence

from wallet_sim.question import Chosen, QuestionShown, SetShown
from wallet_sim.terminal import plain

_TRIES = 3


def chosen_on_terminal(question: QuestionShown) -> Chosen:
    """A yes with the person's choices; what leaves none is not asked. An empty line takes the asker's favourite."""
    sets = tuple(_set(question, each) for each in question.sets)
    needed = [
        query_id
        for each, index in zip(question.sets, sets, strict=True)
        if index is not None
        for query_id in each.options[index]
    ]
    credentials: dict[str, str] = {}
    claim_sets: dict[str, int] = {}
    for query_id in dict.fromkeys(needed):
        options = question.options[query_id]
        lines = [f"{each.credential} ({each.issuer}), {each.credential_id[:4]}" for each in options]
        option = options[_picked("Which one?", lines)]
        credentials[query_id] = option.credential_id
        names = [", ".join(each) or "that you have it" for each in option.claim_sets]
        claim_sets[query_id] = _picked(f"Which claims of {option.credential}?", names)
    return Chosen(credentials, sets, claim_sets)


def _set(question: QuestionShown, each: SetShown) -> int | None:
    """The index of an option; None: nothing of it."""
    lines = [
        " and ".join(f"{question.options[name][0].credential} ({question.options[name][0].format})" for name in option)
        for option in each.options
    ]
    if each.required:
        return _picked("Which way?", lines)
    picked = _picked("Which way?", [*lines, "nothing of it"])
    return picked if picked < len(each.options) else None


def _picked(prompt: str, lines: Sequence[str]) -> int:
    if len(lines) < 2:
        return 0
    for number, line in enumerate(lines, 1):
        print(plain(f"  {number}: {line}"), file=sys.stderr)
    for _ in range(_TRIES):
        print(plain(prompt), "[1]", end=" ", file=sys.stderr, flush=True)
        said = input().strip() or "1"
        if said.isascii() and said.isdigit() and 1 <= int(said) <= len(lines):
            return int(said) - 1
    raise EOFError
