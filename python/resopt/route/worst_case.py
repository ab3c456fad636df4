"""What a call can cost at most, before it is made: an upper bound of its tokens, without a tokenizer.

A byte-level tokenizer makes no more tokens of a text than it has bytes, and what chat templates add to a message is
less than the field names and quotes of its JSON. So the bytes of the body bound the input; the output is bounded by
what the request allows. What no bound holds for (files, audio, tools that the provider runs, conversations that it
keeps) has no worst case, and a budget refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from resopt.key import state_of
from resopt.types import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from resopt.types import Request

UNBOUNDED: Final = "http.unbounded"
"""The API of a request of which all that is known is that it costs money."""

IMAGE_TOKENS: Final = 50_000
"""More than any model charges for one image (gpt-4o-mini in high detail: up to 48,169)."""

TOOL_TOKENS: Final = 1_000
"""More than the instructions that providers add when a request brings tools."""

TEMPLATE_TOKENS: Final = 32
"""What stands around the messages as a whole."""

COMPLETION_TOKENS: Final = 16
"""How long a legacy completion is that sets no limit (`max_tokens`), by the API's own default."""

_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_COUNTS: Final = ("n", "best_of")
_IMAGES: Final = frozenset({"image_url", "input_image", "image", "image-url"})
_UNBOUNDED: Final = frozenset(
    {"input_audio", "audio", "document", "file", "input_file", "container_upload"}
    | {"audio-url", "video-url", "document-url", "uploaded-file"}
)
"""The second line is what pydantic-ai calls them, under `kind`; its `binary` is an image or has no bound."""


def worst_usage(
    request: Request, output_tokens: int | Mapping[str, int], count: Callable[[Request], int] | None = None
) -> Usage | None:
    """The tokens a call takes at most; None when nothing bounds them.

    Args:
        request: what would be sent.
        output_tokens: the longest answer of a model, for requests that set no limit; by model, or one for all.
        count: an exact counter of the input; the bytes of the body when None.
    """
    if request.api == UNBOUNDED or state_of(request):
        return None
    body = request.body
    parts = _media(body)
    if parts is None:
        return None
    if count is None:
        try:
            bound = len(msgspec.json.encode(body))
        except (TypeError, ValueError, RecursionError):  # objects of a client library, whose texts nobody can see
            return None
        bound += TEMPLATE_TOKENS + IMAGE_TOKENS * parts + (TOOL_TOKENS if body.get("tools") else 0)
    else:
        bound = count(request)
    output = _answers(request, output_tokens)
    return None if output is None else Usage(input_tokens=bound, output_tokens=output)


def _answers(request: Request, longest: int | Mapping[str, int]) -> int | None:
    """Tokens of all that one call brings."""
    if request.api == "openai.embeddings":
        return 0
    if request.api != "openai.completions":
        return _output(request.body, request.model, longest)
    body = {**request.body}
    if body.get("max_tokens") is None:
        body["max_tokens"] = COMPLETION_TOKENS
    prompts, output = _prompts(body.get("prompt")), _output(body, request.model, longest)
    return None if prompts is None or output is None else prompts * output


def _prompts(given: object) -> int | None:
    """How many prompts a legacy completion is of: a text, token ids, or a list of such; None when it is none."""
    if given is None or isinstance(given, str):
        return 1
    if not isinstance(given, list | tuple):
        return None
    return 1 if all(type(one) is int for one in given) else len(given)


def _output(body: Mapping[str, Any], model: str, longest: int | Mapping[str, int]) -> int | None:
    """Tokens of the answers at most; limits that make no sense bound nothing."""
    asked = [body[name] for name in _LIMITS if body.get(name) is not None]
    if not asked:
        asked = [longest.get(model) if isinstance(longest, Mapping) else longest]
    counts = [body[name] for name in _COUNTS if body.get(name) is not None]
    if any(type(number) is not int or number < 0 for number in (*asked, *counts)):
        return None
    tokens: int = max(asked)  # of two limits, which one a provider goes by is not for us to say
    answers: int = max((1, *counts))
    return tokens * answers


def _media(value: Any, depth: int = 0) -> int | None:
    """How many images a body holds; None when there is something of unknown size in it."""
    if isinstance(value, str | int | float | None):
        return 0
    if depth > 64:
        return None
    images = 0
    if isinstance(value, Mapping):
        kinds = [kind for kind in (value.get("type"), value.get("kind")) if isinstance(kind, str)]
        if "binary" in kinds:
            kinds.append("image" if str(value.get("media_type")).startswith("image/") else "file")
        if not _UNBOUNDED.isdisjoint(kinds):
            return None
        images = int(not _IMAGES.isdisjoint(kinds))
        value = value.values()
    elif not isinstance(value, list | tuple):
        return 0
    for part in value:
        found = _media(part, depth + 1)
        if found is None:
            return None
        images += found
    return images
