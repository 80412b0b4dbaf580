"""A whole answer, judged plainly (OpenID4VP §6.4, §8.1, §8.6): which claims of it may be believed, or none."""

import zlib
from typing import Any

import cbor2
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from tests.specs.protocols.dcql_naive import NoClaim, asked, judge, sets_needed
from tests.verifier.naive.credentials import HIDDEN, OtherQuestion, Question, Shown, read_mdoc, read_sd_jwt
from tests.verifier.naive.proofs import No, b64, key_identifiers, require, unb64

READERS = {"dc+sd-jwt": read_sd_jwt, "mso_mdoc": read_mdoc}
BROKEN = (
    *(No, NoClaim, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError),
    *(cbor2.CBORError, zlib.error, x509.ExtensionNotFound, x509.DuplicateExtension, UnsupportedAlgorithm),
)


def believed(vp_token: Any, question: Question) -> list[tuple[str, dict[str, Any]]]:
    """The claims of each credential that counts, with its query id, in the order of the question.

    Raises:
        No: the answer is refused.
    """
    require(isinstance(vp_token, dict), "not an object")
    queries = {each["id"]: each for each in question.query["credentials"]}
    require(vp_token.keys() <= queries.keys(), "never asked")
    for query_id, texts in vp_token.items():
        require(isinstance(texts, list) and texts, "not a non-empty array")
        require(len(texts) == 1 or queries[query_id].get("multiple", False), "more than one")
        is_mdoc = queries[query_id]["format"] == "mso_mdoc"
        for text in texts:
            require(isinstance(text, str), "no text")
            require("~" not in text if is_mdoc else "~" in text or "." in text, "format")
    holding = []
    for query_id, wanted in queries.items():
        for text in vp_token.get(query_id, []):
            try:
                shown = READERS[wanted["format"]](text, wanted, question)
                holding.append((query_id, shown, _claim_set(wanted, shown)))
            except OtherQuestion:
                raise
            except BROKEN:
                continue
    satisfied, needed = sets_needed(question.query, {query_id for query_id, _, _ in holding})
    require(satisfied and needed, "not what was asked")
    counted = [each for each in holding if each[0] in needed]
    for entry in question.transaction_data:
        require(any(entry in shown.agreed for _, shown, _ in counted), "not agreed to")
    made = []
    for query_id, shown, _ in counted:
        paths = [path for _, other, paths in counted if other.identity == shown.identity for path in paths]
        made.append((query_id, _visible(shown.tree, shown.disclosed, paths)))
    return made


def _claim_set(wanted: dict[str, Any], shown: Shown) -> list[list[object]]:
    """The paths of the first claim set that the credential satisfies."""
    claims = wanted.get("claims")
    authorities = wanted.get("trusted_authorities")
    if authorities is not None:
        named = {value for each in authorities if each["type"] == "aki" for value in each["values"]}
        require({b64(unb64(each)) for each in named} & key_identifiers(shown.chain), "another authority")
    if claims is None:
        return []
    named_claims = [{"id": str(number), **claim} for number, claim in enumerate(claims)]
    number = judge({**wanted, "claims": named_claims}, shown.tree)
    require(isinstance(number, int), str(number))
    assert isinstance(number, int)
    ids = wanted["claim_sets"][number] if wanted.get("claim_sets") else [claim["id"] for claim in named_claims]
    return [claim["path"] for claim in named_claims if claim["id"] in ids]


def _visible(tree: dict[str, Any], disclosed: set[tuple[str | int, ...]], paths: list[list[object]]) -> dict[str, Any]:
    """Without what was shown unasked, and without the gaps of arrays."""

    def copy(node: Any, at: tuple[str | int, ...]) -> Any:
        if isinstance(node, dict):
            return {key: copy(value, (*at, key)) for key, value in node.items() if stays((*at, key))}
        if isinstance(node, list):
            return [copy(each, (*at, i)) for i, each in enumerate(node) if each is not HIDDEN and stays((*at, i))]
        return node

    def stays(position: tuple[str | int, ...]) -> bool:
        return position not in disclosed or asked(position, paths)

    copied = copy(tree, ())
    assert isinstance(copied, dict)
    return copied
