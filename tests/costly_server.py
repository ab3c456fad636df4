"""A provider of everything but answers, over real HTTP: completions, images, audio, batches, runs, and what is free."""

import asyncio
import json
import socket
import threading
import time

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PRICES = {"gpt-3.5-turbo-instruct": (1.5, 2), "gpt-4o": (2.5, 10), "claude-haiku-4-5": (1, 5)}
ONE_DOLLAR = 10**12


class CostlyServer:
    """Answers whatever it is asked, and remembers it: `requests` holds (path, body) in order.

    Attributes:
        status: of the replies.
        held: while it is set, a stream pauses behind its first event.
    """

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.base_url = self.url + "/v1"
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])
        quiet = {"log_config": None, "access_log": False}
        config = uvicorn.Config(app, lifespan="off", ws="none", timeout_graceful_shutdown=1, **quiet)
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self.reset()

    def reset(self):
        self.requests, self.status, self.held, self.billed = [], 200, False, 0

    def __enter__(self):
        self._thread.start()
        while not self._uvicorn.started:
            time.sleep(0.005)
        return self

    def __exit__(self, *_):
        self._uvicorn.should_exit = True
        self._thread.join(5)
        self._socket.close()

    @property
    def paths(self):
        return [path for path, _ in self.requests]

    async def _answer(self, request):
        content, path = await request.body(), request.url.path
        self.requests.append((path, content))
        if self.status != 200:
            return JSONResponse({"error": {"message": "no", "type": "no"}}, self.status)
        if path.endswith("/completions") and not path.endswith("/chat/completions"):
            return self._completion(json.loads(content))
        if path.endswith("/speech"):
            return Response(b"RIFF", media_type="audio/wav")
        reply = {"id": "x_1", "object": "thing", "type": "thing", "created_at": 0, "data": [], "text": "Hello"}
        return JSONResponse(reply, headers={"x-seen": path})

    def _completion(self, body):
        """As dear as it may become: every answer is as long as it is allowed to be."""
        usage = usage_of(body)
        self.billed += cost_of(usage)
        choice = {"index": 0, "text": " Python", "logprobs": None, "finish_reason": None}
        reply = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"], "choices": [choice]}
        if not body.get("stream"):
            return JSONResponse({**reply, "choices": [{**choice, "finish_reason": "length"}], "usage": usage})
        events = [{**reply, "usage": None}] * 3
        if (body.get("stream_options") or {}).get("include_usage"):
            events.append({**reply, "choices": [], "usage": usage})
        return StreamingResponse(self._events(events), media_type="text/event-stream")

    async def _events(self, events):
        for event in [*map(json.dumps, events), "[DONE]"]:
            yield f"data: {event}\n\n"
            while self.held:  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.005)


def usage_of(body):
    """Tokens by the word, or by the id."""
    prompt = body.get("prompt") or ""
    lists = isinstance(prompt, list) and not all(isinstance(one, int) for one in prompt)
    prompts = prompt if lists else [prompt]
    asked = sum(len(one.split() if isinstance(one, str) else one) for one in prompts)
    length = 16 if body.get("max_tokens") is None else body["max_tokens"]
    answered = length * max(body.get("n") or 1, body.get("best_of") or 1) * len(prompts)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def cost_of(usage):
    """Picodollars at the price of `gpt-3.5-turbo-instruct`."""
    return usage["prompt_tokens"] * 1_500_000 + usage["completion_tokens"] * 2_000_000
