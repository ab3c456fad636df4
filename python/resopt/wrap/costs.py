"""Which requests cost money, by method, path and body: what passes the gates though no answer to it is kept.

Of most of them nobody can say what they cost at most. A budget refuses those, unless it was told what to set aside.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from resopt.route.worst_case import UNBOUNDED

if TYPE_CHECKING:
    from collections.abc import Callable

_PRICED: Final = tuple(
    (re.compile(rf"{path}\Z"), api, frozenset(fields.split()))
    for path, api, fields in (
        ("/chat/completions", "openai.chat", "messages model"),
        ("/completions", "openai.completions", "prompt model"),
        ("/embeddings", "openai.embeddings", "input model"),
        ("/responses", "openai.responses", "input prompt model"),
        ("/threads/.+/messages", "", ""),  # a message put there asks nobody
        ("/messages", "anthropic.messages", "messages"),
        ("/images/(generations|edits|variations)", UNBOUNDED, ""),
        ("/audio/(speech|transcriptions|translations)", UNBOUNDED, ""),
        ("/videos(/edits|/extensions|/[^/]+/remix)?", UNBOUNDED, "prompt"),
        ("/responses/compact", UNBOUNDED, ""),
        ("/messages/batches", UNBOUNDED, "requests"),
        ("/batches", UNBOUNDED, "input_file_id"),
        ("/fine_tuning/(jobs|alpha/graders/run)", UNBOUNDED, ""),
        ("/threads/([^/]+/)?runs", UNBOUNDED, "assistant_id"),
        ("/threads/[^/]+/runs/[^/]+/submit_tool_outputs", UNBOUNDED, ""),
        ("/evals/[^/]+/runs", UNBOUNDED, "data_source"),
        ("/decisions", UNBOUNDED, "model"),
        ("/(realtime/calls|live/sessions)(/[^/]+/(accept|fork))?", UNBOUNDED, ""),
        ("/agents/(sessions(/[^/]+/events)?|automations/[^/]+/invocations)", UNBOUNDED, ""),
        ("/v1/complete", UNBOUNDED, "prompt"),
        ("/v1/sessions(/[^/]+/events)?", UNBOUNDED, "agent events"),
        ("/v1/(deployments/[^/]+/run|dreams)", UNBOUNDED, ""),
        ("/model/.+/(invoke|converse)(-with-response-stream|-stream)?", UNBOUNDED, ""),
        ("/models/(?!count-tokens:)[^/]+:(r|streamR)awPredict", UNBOUNDED, ""),
    )
)
"""Ends of paths, of which the first that fits counts: the API, and fields of which a body that can be read has at least
one, for a client may talk to anybody. The last five are Anthropic's, two of them on Bedrock and Vertex."""


def priced(method: str, path: str, read: Callable[[], Any]) -> tuple[str, dict[str, Any]] | None:
    """API and body of a request that costs money; None for any other.

    What cannot be read (sent piece by piece, a form, a file) is judged by its path, and its API is `UNBOUNDED`.

    Args:
        method: of the request.
        path: of its URL.
        read: gives the body, decoded, or None; called when the path is one of those.
    """
    if method.upper() != "POST":
        return None
    for end, api, fields in _PRICED:
        if end.search(path):
            body = read() if api else {}
            if body is None:
                return UNBOUNDED, {}
            if not api or not isinstance(body, dict) or (fields and fields.isdisjoint(body)):
                return None
            return api, body
    return None
