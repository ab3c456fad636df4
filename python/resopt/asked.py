"""What a caller may hand in as a request: a `Request`, or the text of a question with its parameters."""

from __future__ import annotations

from typing import Any

from resopt.errors import ConfigurationError
from resopt.types import Request


def as_request(request: Request | str, parameters: dict[str, Any]) -> Request:
    """The request itself, or the question in a text with its parameters.

    Raises:
        ConfigurationError: it is neither, or a `Request` comes with parameters.
    """
    if isinstance(request, str):
        if parameters and "prompt" in parameters:
            raise ConfigurationError("the prompt is given twice: as the request, and as prompt=…")
        return Request.chat(request, **parameters)
    if not isinstance(request, Request):
        raise ConfigurationError(f"request must be a Request or a str, not {type(request).__name__}")
    if parameters:
        raise ConfigurationError(f"a Request takes no further parameters, but got {', '.join(sorted(parameters))}")
    return request
