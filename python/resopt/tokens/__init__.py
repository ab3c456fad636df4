"""Tokens: counted exactly where the tokenizer is public, estimated with a band where it is not."""

from resopt.tokens.count import TokenCount, count_tokens, count_tokens_many
from resopt.tokens.ratios import TokenRatios
from resopt.tokens.text import decode, decode_many, encode, encode_many, fits, fits_many, truncate, truncate_many

__all__ = [
    "TokenCount",
    "TokenRatios",
    "count_tokens",
    "count_tokens_many",
    "decode",
    "decode_many",
    "encode",
    "encode_many",
    "fits",
    "fits_many",
    "truncate",
    "truncate_many",
]
