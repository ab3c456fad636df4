"""For those who cannot wrap a client: transports to put below it, and middleware, which answer from memory.

`OpenAI(http_client=httpx2.Client(transport=resopt.transport.SyncTransport()))`. What is asked of chat completions,
responses and messages is answered from memory where it may; everything else passes through untouched, though past the
gates where it costs money and there are any. What the caller reads on a hit (status, headers, bytes of the body) is
what came on the miss, but for headers that concern one connection, caller or moment, and with `x-resopt: hit` and
`age` added.

A client library's retries happen above: each attempt passes here. A caller who streams and one who does not are kept
apart here, because their bytes differ; `resopt.wrap` serves the one from the other.
"""

from __future__ import annotations

from resopt.wrap.middleware import middleware
from resopt.wrap.selfcheck import check
from resopt.wrap.transports import AsyncTransport, SyncTransport

__all__ = ["AsyncTransport", "SyncTransport", "check", "middleware"]
