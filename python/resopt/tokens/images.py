"""How large an image is, from the first bytes of its file: what an image costs depends on nothing else."""

from __future__ import annotations

import base64
import binascii
from typing import Final

_READ: Final = 1 << 18
"""Characters of base64 that are read: a JPEG may carry a preview and a profile before its size."""


def size_of_url(url: str) -> tuple[int, int] | None:
    """Width and height of an image in a `data:` URL; None for an address, and for what is no image of a known kind."""
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None
    return size_of_base64(data)


def size_of_base64(data: str) -> tuple[int, int] | None:
    """Width and height of a PNG, JPEG, GIF or WebP image; None when it is none of them."""
    start = data[:_READ]
    try:
        octets = base64.b64decode(start[: len(start) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    size = _size(octets)
    return size if size is not None and size[0] > 0 and size[1] > 0 else None


def _size(octets: bytes) -> tuple[int, int] | None:
    if octets.startswith(b"\x89PNG\r\n\x1a\n") and len(octets) >= 24:
        return int.from_bytes(octets[16:20], "big"), int.from_bytes(octets[20:24], "big")
    if octets[:6] in (b"GIF87a", b"GIF89a") and len(octets) >= 10:
        return int.from_bytes(octets[6:8], "little"), int.from_bytes(octets[8:10], "little")
    if octets.startswith(b"\xff\xd8"):
        return _size_of_jpeg(octets)
    if octets[:4] == b"RIFF" and octets[8:12] == b"WEBP" and len(octets) >= 30:
        return _size_of_webp(octets)
    return None


def _size_of_jpeg(octets: bytes) -> tuple[int, int] | None:
    """The size in the first frame header (markers C0 to CF, but for C4, C8 and CC, which are tables)."""
    at = 2
    while at + 9 <= len(octets) and octets[at] == 0xFF:
        marker = octets[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(octets[at + 7 : at + 9], "big"), int.from_bytes(octets[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(octets[at + 2 : at + 4], "big")
    return None


def _size_of_webp(octets: bytes) -> tuple[int, int] | None:
    kind = octets[12:16]
    if kind == b"VP8X":
        return int.from_bytes(octets[24:27], "little") + 1, int.from_bytes(octets[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(octets[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(octets[26:28], "little") & 0x3FFF, int.from_bytes(octets[28:30], "little") & 0x3FFF
    return None
