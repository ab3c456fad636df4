"""Pack a published `.tiktoken` file into the form that resopt's core carries: the merges instead of the tokens.

A token of two bytes or more is the merge of two earlier tokens. Byte-pair encoding makes each token in one way only, so
its pair says everything: the bytes of the token, and the merge itself. Two small numbers take a quarter of the base64
text, need no decompressor, and the tables for merging need not be worked out when the library is first used.

    python pack.py o200k_base.tiktoken o200k_base.merges

Layout: `RSMG`, version (1 byte), width of a token number in bits (1), number of tokens (4, little-endian), the 256
single bytes in the order of their tokens, then for each further token the numbers of its left and right half, `width`
bits each, lowest bit first, and zeros up to a whole byte. The core checks the SHA-256 of this file, and that of the
published file, which it writes again from the merges (`rust/core/src/tokens/ranks.rs`).
"""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

SINGLE = 256


def tokens_of(published: bytes) -> list[bytes]:
    """The tokens of a `.tiktoken` file in the order of their numbers."""
    tokens = []
    for number, line in enumerate(published.splitlines()):
        text, rank = line.split()
        if int(rank) != number:
            raise SystemExit(f"line {number + 1} has rank {int(rank)}: ranks must count up from 0")
        tokens.append(base64.b64decode(text))
    return tokens


def halves(token: bytes, ranks: dict[bytes, int]) -> tuple[int, int]:
    """The pair whose merge is the last one when the token itself is encoded."""
    parts = [token[at : at + 1] for at in range(len(token))]
    while len(parts) > 2:
        merges = [ranks.get(parts[at] + parts[at + 1], sys.maxsize) for at in range(len(parts) - 1)]
        lowest = min(merges)
        if lowest >= ranks[token]:
            raise SystemExit(f"token {ranks[token]} cannot be made by merging earlier ones")
        at = merges.index(lowest)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    left, right = (ranks[part] for part in parts)
    if max(left, right) >= ranks[token]:
        raise SystemExit(f"token {ranks[token]} is made of a later one")
    return left, right


def pack(published: bytes) -> bytes:
    """The packed form of a published file."""
    tokens = tokens_of(published)
    ranks = {token: rank for rank, token in enumerate(tokens)}
    if len(ranks) != len(tokens) or any(len(token) != 1 for token in tokens[:SINGLE]):
        raise SystemExit("the first 256 tokens must be the single bytes, and no token may come twice")
    width = (len(tokens) - 1).bit_length()
    bits = filled = 0
    body = bytearray()
    for token in tokens[SINGLE:]:
        left, right = halves(token, ranks)
        bits |= (left | right << width) << filled
        filled += 2 * width
        while filled >= 8:
            body.append(bits & 0xFF)
            bits >>= 8
            filled -= 8
    if filled:
        body.append(bits)
    head = b"RSMG" + bytes([1, width]) + len(tokens).to_bytes(4, "little")
    return head + b"".join(tokens[:SINGLE]) + bytes(body)


def main() -> None:
    """Pack the file named first into the file named second, and print both hashes."""
    source, target = map(Path, sys.argv[1:])
    published = source.read_bytes()
    packed = pack(published)
    target.write_bytes(packed)
    print(f"published {hashlib.sha256(published).hexdigest()}\npacked    {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
