"""Clients of both HTTP libraries, blocking and async, on one face; and what a caller reads of a reply."""

import re

import anyio
import httpx
import httpx2
import pytest

from provider_faces import drive
from resopt.wrap.transport import AsyncTransport, SyncTransport

MODULES = {"httpx": httpx, "httpx2": httpx2}
TALK = [{"role": "user", "content": "What is Python?"}]
BODIES = {
    "/v1/chat/completions": {"model": "gpt-4o", "messages": TALK},
    "/v1/responses": {"model": "gpt-4o", "input": "What is Python?"},
    "/v1/messages": {"model": "claude-haiku-4-5", "max_tokens": 900, "messages": TALK},
}
OURS = {"x-resopt", "age"}
OF_ONE_REPLY = {"transfer-encoding", "connection"}

_NEW = re.compile(r'"(id|item_id|created\w*|completed_at|obfuscation)": ?[^,}]*')


class Reply:
    """What a caller reads: status, headers, and the bytes of the body as they came and decoded."""

    def __init__(self, response, chunks, text):
        self.status = response.status_code
        self.headers = {name: value for name, value in response.headers.items() if name not in OURS | OF_ONE_REPLY}
        self.how = response.headers.get("x-resopt")
        self.age = response.headers.get("age")
        self.chunks = chunks
        self.raw = b"".join(chunks)
        self.text = text
        self.version, self.reason = response.http_version, response.reason_phrase
        self.response = response

    def read(self):
        return (self.status, self.headers, self.raw, self.text, self.version, self.reason)

    def shape(self):
        """The same without what is new in each reply of the simulator."""
        names = sorted(self.headers)
        return (
            self.status,
            names,
            re.sub(r'"(id|item_id|created\w*|completed_at|obfuscation)": ?[^,}]*', "", self.text),
        )


class Client:
    """A client of one HTTP library; every method is a coroutine, which never suspends over a blocking client."""

    def __init__(self, client, server):
        self.http, self._url = client, server.url

    async def post(self, path, body=None, *, decoded=False, **headers):
        """One exchange, read to its end: as raw chunks, or decoded by the library."""
        headers = {"authorization": "Bearer k", **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = self.http.build_request("POST", self._url + path, json=body or BODIES[path], headers=headers)
        if not hasattr(self.http, "aclose"):
            response = self.http.send(request, stream=True)
            try:
                chunks = list(response.iter_bytes() if decoded else response.iter_raw())
            finally:
                response.close()
        else:
            response = await self.http.send(request, stream=True)
            try:
                reading = response.aiter_bytes() if decoded else response.aiter_raw()
                chunks = [chunk async for chunk in reading]
            finally:
                await response.aclose()
        again = type(response)(200, headers=response.headers, content=b"".join(chunks)) if not decoded else None
        text = b"".join(chunks).decode() if again is None else again.text
        return Reply(response, chunks, text)


@pytest.fixture(params=MODULES)
def module(request):
    return MODULES[request.param]


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def play(request, module, server):
    """Play a scenario, `async def scenario(client, transport)`, on one face of one HTTP library."""

    def play(scenario, **settings):
        async def session():
            if request.param == "blocking":
                transport = SyncTransport(**settings)
                with module.Client(transport=transport) as client:
                    return await scenario(Client(client, server), transport)
            transport = AsyncTransport(**settings)
            async with module.AsyncClient(transport=transport) as client:
                return await scenario(Client(client, server), transport)

        return drive(session()) if request.param == "blocking" else anyio.run(session, backend=request.param)

    play.face = request.param
    return play
