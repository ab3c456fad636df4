"""Write characters.bin: what the tokeniser makes of every code point, frozen at Unicode 14.0.0.

The model was made with Python 3.11, whose Unicode is 14.0.0. What a text's tokens are must not change with the Rust
compiler, a crate or the interpreter, because stored vectors would no longer fit; so the answers are kept as a table.
Decomposition, category and small letters of one code point are all that the tokeniser asks: it drops the marks that
normalisation could move past each other, and of the few others that could move none is in the vocabulary.

    python3.11 rust/core/models/make_characters.py

Layout (little-endian): a header of 64 bytes (magic `RSPTCHAR`, version u32 = 1, five u32: pages, sequences, Unicode
major, minor, patch; SHA-256 of the payload), then the payload: the page of each 256 code points u8 [4352]; the pages
u16 [pages, 256]; the sequences u32 [sequences, 3], padded with 0. An entry of a page is DROP, SPACE, WORD (the
character itself continues a word), ALONE (the character is a token's text by itself), HANGUL (a syllable, decomposed
by arithmetic), or 5 + the number of a sequence. A sequence's element is the code point, plus `ALONE_BIT` when it
stands alone.
"""

from __future__ import annotations

import hashlib
import struct
import sys
import unicodedata
from pathlib import Path

UNICODE = "14.0.0"
HERE = Path(__file__).resolve().parent
CODE_POINTS, PAGE = 0x110000, 256
DROP, SPACE, WORD, ALONE, HANGUL, FIRST_SEQUENCE = range(6)
ALONE_BIT = 1 << 31
LONGEST = 3
HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)
CJK = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def stands_alone(character: str) -> bool:
    """Whether it is punctuation (all of ASCII's symbols count) or a Han character."""
    code = ord(character)
    if code < 128:
        return 33 <= code <= 126 and not character.isalnum()
    return unicodedata.category(character)[0] == "P" or any(first <= code <= last for first, last in CJK)


def outcome(code: int) -> tuple[tuple[str, bool], ...]:
    """What the tokeniser reads in place of a code point: characters, each with whether it stands alone."""
    character = chr(code)
    if character in "\t\n\r":
        character = " "
    read = []
    for part in unicodedata.normalize("NFD", character):
        category = unicodedata.category(part)
        if category in ("Mn", "Cc", "Cf", "Cn", "Co", "Cs") or part == "\ufffd":
            continue
        read += [(small, stands_alone(small)) for small in part.lower()]
    return tuple(read)


def entry(code: int, sequences: dict[tuple[int, ...], int]) -> int:
    """The entry of one code point; new sequences are numbered as they come."""
    read = outcome(code)
    if not read:
        return DROP
    if read[0][0].isspace():
        return SPACE
    if code in HANGUL_SYLLABLES:
        return HANGUL
    if len(read) == 1 and read[0][0] == chr(code):
        return ALONE if read[0][1] else WORD
    if len(read) > LONGEST or any(character.isspace() for character, _ in read):
        raise ValueError(f"U+{code:04X} does not fit the layout")
    sequence = tuple(ord(character) | (ALONE_BIT if alone else 0) for character, alone in read)
    return FIRST_SEQUENCE + sequences.setdefault(sequence, len(sequences))


def build() -> bytes:
    """The whole file."""
    if unicodedata.unidata_version != UNICODE:
        raise SystemExit(f"Unicode {UNICODE} is needed (Python 3.11), this Python has {unicodedata.unidata_version}")
    sequences: dict[tuple[int, ...], int] = {}
    pages: dict[tuple[int, ...], int] = {}
    index = []
    for first in range(0, CODE_POINTS, PAGE):
        page = tuple(entry(code, sequences) for code in range(first, first + PAGE))
        index.append(pages.setdefault(page, len(pages)))
    payload = bytes(index)
    payload += b"".join(struct.pack(f"<{PAGE}H", *page) for page in pages)
    payload += b"".join(struct.pack("<3I", *(*sequence, 0, 0)[:LONGEST]) for sequence in sequences)
    version = tuple(map(int, UNICODE.split(".")))
    digest = hashlib.sha256(payload).digest()
    return struct.pack("<8sI5I32s", b"RSPTCHAR", 1, len(pages), len(sequences), *version, digest) + payload


if __name__ == "__main__":
    written = build()
    (HERE / "characters.bin").write_bytes(written)
    sys.stdout.write(f"{len(written):,} bytes\n")
