"""Claims are called what their issuer calls them, in the person's language; hostile descriptions stay harmless."""

from typing import Any

import pytest

from specs.protocols.issuer_metadata import CredentialConfiguration
from tests.wallet_sim.city import ACCEPTING, City
from wallet_sim.labels import MAX_LENGTH, labelled, labels_of
from wallet_sim.wallet import Wallet


def described(*claims: dict[str, Any], form: str = "dc+sd-jwt") -> CredentialConfiguration:
    """A configuration with these descriptions."""
    return CredentialConfiguration(format=form, claims=tuple(claims))


def test_collected_credentials_know_what_their_claims_are_called(city: City, wallet: Wallet) -> None:
    """The same words for the elements of an mdoc; they go with the last copy."""
    wallet.collect(city.offer()[0], holder=ACCEPTING, copies=2)
    batches = {each.format: each.batch for each in wallet.credentials()}

    for batch in batches.values():
        labels = wallet.store.labels(batch)
        assert labelled("given_name", labels, locale="de") == "Vorname (given_name)"
        assert labelled("given_name", labels, locale="en") != labelled("given_name", labels, locale="de")
        assert labelled("shoe_size", labels, locale="de") == "shoe_size"
    wallet.forget([each.id for each in wallet.credentials() if each.format == "mso_mdoc"])
    assert wallet.store.labels(batches["mso_mdoc"]) == {}
    assert wallet.store.labels(batches["dc+sd-jwt"])


@pytest.mark.parametrize(
    ("path", "claim"),
    [(["nationalities", None], "nationalities/3"), (["nationalities", 3], "nationalities/3"), (["a", "b"], "a/b")],
)
def test_claims_inside_others_are_found(path: list[str | int | None], claim: str) -> None:
    labels = labels_of(described({"path": path, "display": [{"name": "Name", "locale": "de-DE"}]}))

    assert labelled(claim, labels, locale="de") == f"Name ({claim})"
    assert labelled(claim, labels, locale="en") == claim


@pytest.mark.parametrize(
    "claim",
    [
        {"path": ["x"]},
        {"path": "x", "display": [{"name": "Name"}]},
        {"path": ["x"], "display": "Name"},
        {"path": ["x"], "display": ["Name", {"locale": "de"}, {"name": 1}, {"name": "N", "locale": 1}]},
    ],
)
def test_what_is_no_description_is_none(claim: dict[str, Any]) -> None:
    assert labelled("x", labels_of(described(claim)), locale="de") == "x"


def test_names_are_short_lines() -> None:
    name = "a\n\x1b\u202eb" + "c" * 200
    labels = labels_of(described({"path": ["ns", "x"], "display": [{"name": name}]}, form="mso_mdoc"))

    shown = labelled("x", labels, locale="de")

    assert shown.startswith("abc")
    assert len(shown) == MAX_LENGTH + len(" (x)")
