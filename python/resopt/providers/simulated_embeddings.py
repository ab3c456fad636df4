"""The simulated provider's `POST /v1/embeddings`: one unit vector per input, the same for the same input always."""

from __future__ import annotations

import base64
from typing import Any, Literal

import msgspec

from resopt.errors import ConfigurationError
from resopt.providers.simulated_answers import count_tokens, seeded
from resopt.providers.simulated_delivery import Api, Reply, event, openai_error
from resopt.providers.simulated_speech import Moment, Prompt

_MOST_INPUTS = 2048
"""OpenAI's limit."""

_DIMENSIONS = {"text-embedding-3-large": 3072}
_USUAL_DIMENSIONS = 1536


class EmbeddingsBody(msgspec.Struct):
    """What the simulator reads of an embeddings request."""

    input: str | list[str | int | list[int]]
    model: str = ""
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None

    stream = False

    @property
    def inputs(self) -> list[str | list[int]]:
        """Each text, or list of tokens."""
        if isinstance(self.input, str):
            return [self.input]
        if self.input and isinstance(self.input[0], int):
            return [self.input]  # type: ignore[list-item]
        return self.input  # type: ignore[return-value]

    @property
    def prompt(self) -> Prompt:
        """The last text as a prompt, where its markers are read."""
        last = self.inputs[-1]
        return Prompt(messages=[{"role": "user", "content": last if isinstance(last, str) else ""}])


def read(body: bytes, deployment: str | None) -> EmbeddingsBody:
    """The request of a body; refuses what OpenAI refuses.

    Raises:
        ConfigurationError: says what is wrong.
    """
    request = msgspec.json.decode(body, type=EmbeddingsBody)
    request.model = deployment or request.model
    if not request.model:
        raise ConfigurationError("you must provide a `model`")
    inputs = request.inputs
    if not inputs or len(inputs) > _MOST_INPUTS:
        raise ConfigurationError(f"`input` must have 1 to {_MOST_INPUTS} elements")
    if not all(inputs) or len({type(one) for one in inputs}) > 1 or isinstance(inputs[0], int):
        raise ConfigurationError("`input` must be texts or lists of tokens, all alike and none empty")
    most = _DIMENSIONS.get(request.model, _USUAL_DIMENSIONS)
    if request.dimensions is not None and not 1 <= request.dimensions <= most:
        raise ConfigurationError(f"`dimensions` must be from 1 to {most}")
    return request


def complete(request: EmbeddingsBody, moment: Moment) -> Reply:
    """The reply to an embeddings request."""
    data = [
        {"object": "embedding", "index": index, "embedding": _encode(_embed(one, request, moment.seed), request)}
        for index, one in enumerate(request.inputs)
    ]
    tokens = sum(count_tokens(one) if isinstance(one, str) else len(one) for one in request.inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Reply({"object": "list", "data": data, "model": request.model, "usage": usage}, [], tokens, 0)


def _embed(one: str | list[int], request: EmbeddingsBody, seed: int) -> Any:
    """A random direction; fewer dimensions are the first ones of all, as with OpenAI's models."""
    import numpy as np

    draw = np.random.default_rng(seeded("embedding", seed, request.model, one).getrandbits(64))
    vector = draw.standard_normal(_DIMENSIONS.get(request.model, _USUAL_DIMENSIONS))[: request.dimensions]
    return (vector / np.linalg.norm(vector)).astype("<f4")


def _encode(vector: Any, request: EmbeddingsBody) -> Any:
    if request.encoding_format == "base64":
        return base64.b64encode(vector.tobytes()).decode()
    return vector.tolist()


def _error_event(_: int) -> bytes:
    return event(openai_error(500, "There are no streams of embeddings.")).data


API = Api(
    path="/embeddings",
    read=read,
    complete=complete,
    error=openai_error,
    error_event=_error_event,
    empty={"object": "list", "data": [], "model": "", "usage": {"prompt_tokens": 0, "total_tokens": 0}},
    request_id="x-request-id",
)
