"""Batches that go wrong: a tenth fails, some are cancelled, the provider writes nonsense. Counts add up."""

import json
import random

import anyio
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asking import ask
from resopt import Deferred, ItemCancelledError, OpenAIBatches, batch_process

pytestmark = pytest.mark.anyio


async def test_a_tenth_fails_and_a_twentieth_is_cancelled_and_the_rest_is_right():
    draw = random.Random(5)
    fates = [draw.choices(["fine", "fails", "cancelled"], [85, 10, 5])[0] for _ in range(1_000)]

    async def work(item):
        await anyio.sleep(draw.random() / 500)
        if fates[item] == "fails":
            raise ValueError(item)
        if fates[item] == "cancelled":
            await cancelled_from_within()
        return item * 3

    results = await batch_process(range(1_000), 50, run=work, errors="return")
    kinds = {"fine": int, "fails": ValueError, "cancelled": ItemCancelledError}
    assert [type(result) for result in results] == [kinds[fate] for fate in fates]
    assert all(result == item * 3 for item, result in enumerate(results) if fates[item] == "fine")


async def cancelled_from_within():
    """What a task sees whose own work is cancelled: on asyncio its exception, on trio a scope that ends it."""
    import sniffio

    if sniffio.current_async_library() == "asyncio":
        import asyncio

        raise asyncio.CancelledError
    raise ItemCancelledError("its own scope")


def row(name):
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
            "model": "gpt-4o", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}  # fmt: skip
    return {"id": "x", "custom_id": name, "response": {"status_code": 200, "body": body}, "error": None}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SPOIL = st.sampled_from(["whole", "half", "lost", "twice", "error", "status", "replaced", "renamed"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoils=st.lists(SPOIL, min_size=1, max_size=6), extra=st.binary(max_size=20), value=JSON)
def test_whatever_the_provider_writes_every_row_ends_once(tmp_path_factory, spoils, extra, value):  # noqa: C901
    """A provider made of fuzz: rows whole, cut, lost, doubled, replaced by other JSON, under other names."""
    made = []

    def answer(request):
        path = request.url.path
        if path.endswith("/files"):
            content = request.content.split(b"\r\n\r\n")[2].rsplit(b"\r\n--", 1)[0]
            made[:] = [json.loads(line)["custom_id"] for line in content.strip().split(b"\n")]
            return httpx2.Response(200, json={"id": "file"})
        if path.endswith("/content"):
            return httpx2.Response(200, content=written())
        status = "in_progress" if request.method == "POST" else "completed"
        return httpx2.Response(200, json={"id": "batch", "status": status, "output_file_id": "out"})

    def written():
        lines = [extra]
        for name, spoil in zip(made, spoils, strict=True):
            line = row(name)
            if spoil == "error":
                line = {**line, "response": None, "error": {"code": "strange", "message": "?"}}
            elif spoil == "status":
                line["response"]["status_code"] = 418
            elif spoil == "replaced":
                line["response"]["body"] = value
            elif spoil == "renamed":
                line["custom_id"] = value
            text = json.dumps(line).encode()
            lines += {"half": [text[: len(text) // 2]], "lost": [], "twice": [text, text]}.get(spoil, [text])
        return b"\n".join(lines)

    async def main():
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
            api = OpenAIBatches("http://simulated/v1", "k", client=client)
            path = tmp_path_factory.mktemp("fuzz") / "deferred.sqlite"
            async with Deferred(path, [api], poll=(0.001, 0.01), attempts=1) as deferred:
                handle = await deferred.submit([ask(f"q{number}") for number in range(len(spoils))])
                with anyio.fail_after(10):
                    results = await deferred.result(handle, errors="return")
                status = deferred.status(handle)
        return results, status

    results, status = anyio.run(main)
    assert status.answered + status.failed == status.total == len(spoils)
    for spoil, result in zip(spoils, results, strict=True):
        if spoil in ("whole", "twice"):
            assert result.text == "hi"
        elif spoil in ("half", "lost", "error", "status"):
            assert isinstance(result, Exception)
