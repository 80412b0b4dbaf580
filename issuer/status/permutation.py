"""A secret order of the entries of a status list: the n-th entry given out stands at a place that tells nothing of n.

A Feistel network with HMAC-SHA-256 as round function is a bijection on 2^k numbers whatever its rounds compute, so no
entry is given out twice, none is searched for, and nothing but a counter and a key is stored.
"""

import hashlib
import hmac

_ROUNDS = 10


def permute(position: int, *, size: int, key: bytes) -> int:
    """The place of the `position`-th entry in a list of `size` entries.

    size: a power of two, at least 4. key: 32 secret random bytes of this list.

    Raises:
        ValueError: size is no power of two, or position lies outside.
    """
    if size < 4 or size & (size - 1) or not 0 <= position < size:
        raise ValueError("position outside a list whose size is a power of two")
    bits = size.bit_length() - 1
    left_bits, right_bits = bits // 2, bits - bits // 2
    left, right = position >> right_bits, position & ((1 << right_bits) - 1)
    for number in range(_ROUNDS):
        # halves may differ by a bit: each round changes one of them, in turn, by a function of the other
        if number % 2 == 0:
            left ^= _round(right, number, key) & ((1 << left_bits) - 1)
        else:
            right ^= _round(left, number, key) & ((1 << right_bits) - 1)
    return left << right_bits | right


def _round(half: int, number: int, key: bytes) -> int:
    return int.from_bytes(
        hmac.digest(key, number.to_bytes(1, "big") + half.to_bytes(4, "big"), hashlib.sha256)[:4], "big"
    )
