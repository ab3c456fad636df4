"""What a model is called: one name for it, whatever vendors, gateways, clouds and releases put around it.

Callers ask for an alias in their gateway's spelling (`anthropic/claude-opus-4.7`), and replies name a dated release
(`claude-opus-4-7-20260114`); both are the same tokenizer, so what is known or learned of one holds for the other.
"""

from __future__ import annotations

import re
from typing import Final

_FRAMES: Final = re.compile(r"^(?:ft:|openai[.:]|anthropic[.:]|bedrock:|(?:us-gov|us|eu|apac|jp|au|ca|global)\.)+")
"""Fine-tuning, vendors and Bedrock's regions, as they stand before a name."""

_RELEASE: Final = re.compile(r"(?:[-@]\d{8}|[-@]\d{4}-\d{2}-\d{2}|[-@]latest|@default|-v\d+:\d+|:[a-z]+)+$")
"""Dates, `latest`, Bedrock's versions and OpenRouter's variants (`:free`), as they stand behind a name."""

_VERSION: Final = re.compile(r"(?<!\d)(\d{1,2})(?:-(\d{1,2}))?(?!\d)")


def plain_name(model: str) -> str:
    """A model's name in lower case, without path, vendor, region and fine-tuning; Claude's versions with dashes."""
    name = _FRAMES.sub("", model.strip().lower().rpartition("/")[2])
    at = name.find("claude")
    return name if at < 0 else name[at:].replace(".", "-")


def learned_name(model: str) -> str:
    """The name under which is kept what was learned of a model: without its release, and with dashes for dots.

    `claude-sonnet-5`, `anthropic/claude-sonnet-5-20260901` and `us.anthropic.claude-sonnet-5-20260901-v1:0` are one.
    """
    name = plain_name(model)
    return (_RELEASE.sub("", name) or name).replace(".", "-")


def claude_version(name: str) -> tuple[int, int] | None:
    """The version in a plain name of Claude, in either order: `claude-3-5-sonnet`, `claude-opus-4-7`."""
    found = _VERSION.search(name)
    return None if found is None else (int(found[1]), int(found[2] or 0))
