"""`resopt.wrap` in front of the OpenAI SDK: what a hit costs, what a miss and a first streamed byte gain, and replay.

Targets of issue 4: a cached `chat.completions.create` at least 25 times faster than the same answer through a mock
transport under the SDK, and at least 20 times faster than LangChain's and LiteLLM's cache hits; time added to a miss at
most 0.15 times the bare SDK call; first streamed byte at most 1 ms later; replay of a 500-event stream at least 20
times faster than parsing it from a socket with the SDK. All ask the same question of the same model: the tenth message
of a support chat, as a chatbot sends it. LangChain's hit on a lone question, which grows with the messages as ours
does not, is shown beside that without a target; LiteLLM keeps no chats of so many messages.
"""

from __future__ import annotations

import itertools
import json
import os
import socketserver
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import resopt
from measure import Bench, duration, installed
from resopt.providers.simulated import SimulatedServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRICES = {"gpt-4o": ("2.5", "10")}
SYSTEM = "You are the support agent of a parcel service. Answer in two sentences, politely, and never guess."
QUESTION = "How do I change the address that a parcel is sent to?"
TURNS = (
    ("Hello, I am waiting for a parcel from Lyon. It was to come yesterday, and I was at home all day.", "user"),
    (
        "I am sorry that it is late. Could you tell me the number on the note, please? It begins with two letters.",
        "assistant",
    ),
    ("It says FR 4471 0093 28, and below that: second attempt, signature needed.", "user"),
    ("Thank you. It is in our depot in your town. The driver could not find your name at the door.", "assistant"),
    ("That is because I moved last month. The old tenant's name is still on the bell.", "user"),
    ("I understand. You can collect the parcel at the depot until Friday, with an identity card.", "assistant"),
    ("I cannot come to the depot during the week. Could somebody else collect it for me?", "user"),
    ("Yes, with a letter that you signed and a copy of your identity card.", "assistant"),
)
CHAT = [
    {"role": "system", "content": SYSTEM},
    *({"role": role, "content": content} for content, role in TURNS),
    {"role": "user", "content": QUESTION},
]
LONE = [CHAT[0], CHAT[-1]]
TEXT = "You can change the address in the app, under My Parcels, until the parcel is on its way. " * 3
EVENTS = 500


def completion() -> dict[str, Any]:
    """An answer as the API sends it."""
    message = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []}
    usage = {
        "prompt_tokens": 48,
        "completion_tokens": 66,
        "total_tokens": 114,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": "fp_1",
    }


def stream_of(events: int) -> bytes:
    """A stream of so many chunks as server-sent events."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "gpt-4o"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": f"word{number} "} for number in range(events - 2)]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


class Fixed(socketserver.StreamRequestHandler):
    """Answers every request of a connection with the same stream."""

    body = stream_of(EVENTS)

    def handle(self) -> None:
        """Read requests, whatever they ask, until the connection ends."""
        while self.rfile.readline():
            length = 0
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self.rfile.read(length)
            head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(self.body)}\r\n\r\n"
            self.wfile.write(head.encode() + self.body)


def serve() -> None:
    """In a process of its own: the fixed stream, on a port that is printed."""
    with socketserver.TCPServer(("127.0.0.1", 0), Fixed) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


def http() -> Any:
    """The HTTP library of the installed SDK."""
    import openai

    return __import__("httpx2" if int(openai.__version__.partition(".")[0]) >= 3 else "httpx")


def bench_hits(bench: Bench) -> None:
    import openai

    library, reply = http(), completion()
    mock = library.MockTransport(lambda _: library.Response(200, json=reply))
    bare = openai.OpenAI(api_key="none", http_client=library.Client(transport=mock))
    wrapped = resopt.wrap(bare, prices=PRICES)

    def ask(client: Any, messages: list[dict[str, str]] = CHAT) -> Any:
        return client.chat.completions.create(model="gpt-4o", messages=messages, temperature=0)

    for messages in (CHAT, LONE):
        miss, hit = ask(wrapped, messages), ask(wrapped, messages)
        if miss != ask(bare, messages) or hit != miss or resopt.last(hit).outcome != "hit":
            raise SystemExit("a hit is not what the SDK returns")
    times = bench.time(
        {"chat": lambda: ask(wrapped), "lone": lambda: ask(wrapped, LONE), "mock": lambda: ask(bare)},
        chunk_seconds=0.01,
    )
    bench.faster("hit in a chat, SDK over a mock transport", times["chat"], times["mock"], at_least=25)
    if installed("langchain-openai"):
        theirs = bench.time({"chat": prepare_langchain(CHAT), "lone": prepare_langchain(LONE)}, chunk_seconds=0.05)
        bench.faster("hit in a chat, LangChain's", times["chat"], theirs["chat"], at_least=20)
        ratio = theirs["lone"] / times["lone"]
        shown = (duration(times["lone"]), duration(theirs["lone"]), f"{ratio:.1f} x")
        bench.row("hit of a lone question, LangChain's", *shown, "-")
    else:
        bench.missing("hit in a chat, LangChain's", "langchain-openai")
    if installed("litellm"):
        seconds = bench.time({"litellm": prepare_litellm()}, chunk_seconds=0.05)["litellm"]
        bench.faster("hit of a lone question, LiteLLM's", times["lone"], seconds, at_least=20)
    else:
        bench.missing("hit of a lone question, LiteLLM's", "litellm")


def prepare_langchain(chat: list[dict[str, str]]) -> Callable[[], object]:
    """A cached call through LangChain's model of the same API, checked to be a hit."""
    from langchain_core.caches import InMemoryCache
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
    from langchain_openai import ChatOpenAI

    library, reply, asked = http(), completion(), itertools.count()

    def answer(_: Any) -> Any:
        next(asked)
        return library.Response(200, json=reply)

    client = library.Client(transport=library.MockTransport(answer))
    model = ChatOpenAI(model="gpt-4o", temperature=0, api_key="none", http_client=client, cache=InMemoryCache())
    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    messages = [kinds[message["role"]](message["content"]) for message in chat]
    for _ in range(3):
        model.invoke(messages)
    if next(asked) != 1:
        raise SystemExit("LangChain's call was not a hit")
    return lambda: model.invoke(messages)


def prepare_litellm() -> Callable[[], object]:
    """A cached call through LiteLLM, checked to be a hit; it keeps no chats of as many messages as ours."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.cache = litellm.Cache(type="local")

    def call() -> Any:
        return litellm.completion(model="gpt-4o", messages=LONE, temperature=0, mock_response=TEXT, caching=True)

    first = call()
    for _ in range(50):  # it stores in a thread of its own
        time.sleep(0.1)
        if call().id == first.id:
            return call
    raise SystemExit("LiteLLM's call was not a hit")


def questions() -> Iterator[dict[str, Any]]:
    """Requests that were never made before."""
    for number in itertools.count():
        content = f"What is the number after {number}?"
        yield {"model": "gpt-4o", "messages": [*CHAT[:-1], {"role": "user", "content": content}]}


def bench_misses(bench: Bench) -> None:
    import openai

    rounds = 150 if bench.options.quick else 1500
    fresh = questions()
    with SimulatedServer(process=True, time_scale=0.0) as server:
        bare = openai.OpenAI(base_url=server.base_url, api_key="none")
        wrapped = resopt.wrap(bare, prices=PRICES)

        def ask(client: Any) -> float:
            request = next(fresh)
            began = time.perf_counter()
            client.chat.completions.create(**request)
            return time.perf_counter() - began

        def first(client: Any) -> float:
            request = next(fresh)
            began = time.perf_counter()
            stream = client.chat.completions.create(**request, stream=True)
            next(stream)
            took = time.perf_counter() - began
            for _ in stream:
                pass
            return took

        alone, ours = in_turns(rounds, lambda: ask(bare), lambda: ask(wrapped))
        what = "miss: time added to the bare SDK call"
        ratio = (ours - alone) / alone
        bench.row(
            what,
            duration(max(ours - alone, 0.0)),
            duration(alone),
            f"{ratio:.2f}",
            bench.check(what, ratio, at_most=0.15),
        )
        alone, ours = in_turns(rounds // 5, lambda: first(bare), lambda: first(wrapped))
        what = "first streamed byte: milliseconds added"
        added = (ours - alone) * 1000
        bench.row(
            what, duration(max(ours - alone, 0.0)), duration(alone), f"{added:.2f}", bench.check(what, added, at_most=1)
        )
        bare.close()


def in_turns(rounds: int, *calls: Callable[[], float]) -> list[float]:
    """The median of what each returns, called in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, values in zip(calls, times, strict=True):
            values.append(call())
    return [statistics.median(values[rounds // 10 :]) for values in times]


def bench_replay(bench: Bench) -> None:
    import openai

    with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline())  # type: ignore[union-attr]
            bare = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
            wrapped = resopt.wrap(bare)

            def read(client: Any) -> list[Any]:
                return list(client.chat.completions.create(model="gpt-4o", messages=CHAT, stream=True))

            if not len(read(wrapped)) == len(read(wrapped)) == EVENTS or read(wrapped) != read(bare):
                raise SystemExit("a replay is not what the SDK yields")
            times = bench.time({"resopt": lambda: read(wrapped), "sdk": lambda: read(bare)}, chunk_seconds=0.1)
            what = f"replay of {EVENTS} events, SDK parsing a socket"
            bench.faster(what, times["resopt"], times["sdk"], at_least=20)
            bare.close()
        finally:
            server.kill()


def main() -> int:
    bench = Bench("compare_dropin", packages=("openai", "langchain-openai", "litellm"))
    if not installed("openai"):
        bench.missing("everything", "openai")
        return bench.finish()
    bench_misses(bench)
    bench_replay(bench)
    bench_hits(bench)
    return bench.finish()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    else:
        raise SystemExit(main())
