"""Streams in the air at their edges: the moment one ends, and the moment the last reader leaves."""

import json
from time import perf_counter

import anyio
import pytest

from provider_faces import drive
from resopt import OpenAIProvider, Optimizer, Request
from resopt.flight.reading import TaskReading, ThreadReading
from resopt.flight.relay import Deserted, EndOfRelay, Relays
from resopt.streaming import Piece, Streams


def board(relays, reading, finish=lambda events, error: None):
    return relays.board("key", reading, lambda _: finish)


class Short:
    """An async stream that is over before anyone can look."""

    def __init__(self, *events):
        self.events = list(events)

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.events:
            raise StopAsyncIteration
        return self.events.pop(0)

    async def close(self):
        pass


@pytest.mark.anyio
@pytest.mark.parametrize("events", [(), (b"one",), (b"one", b"two")])
async def test_a_stream_that_ends_at_once_is_read_whole(events):
    async def ask():
        return Short(*events)

    reader, first = board(Relays(), TaskReading)
    await reader.begin(ask, first)
    read = [await reader.next() for _ in events]
    with pytest.raises(EndOfRelay):
        await reader.next()
    assert tuple(read) == events


def test_who_comes_while_a_stream_is_put_away_reads_it_still():
    relays, late = Relays(), []

    def finish(events, error):
        reader, first = board(relays, ThreadReading)
        late.append((reader, first, events, error))

    reader, _ = board(relays, ThreadReading, finish)
    reader.relay.open(object())
    reader.relay.put(b"one")
    reader.relay.end(None)
    assert len(relays) == 0
    ((reader, first, events, error),) = late
    assert (first, events, error) == (False, [b"one"], None)
    assert reader.next() == b"one"
    with pytest.raises(EndOfRelay):
        reader.next()


def test_who_comes_while_a_deserted_stream_is_closed_opens_another():
    relays, late = Relays(), []

    def finish(events, error):
        assert isinstance(error, Deserted)
        late.append(board(relays, ThreadReading))

    reader, _ = board(relays, ThreadReading, finish)
    reader.leave()
    ((newcomer, first),) = late
    assert first
    assert newcomer.relay is not reader.relay
    assert len(relays) == 1
    assert board(relays, ThreadReading)[1] is False


@pytest.mark.anyio
async def test_a_reader_that_waits_gets_the_error_that_kept_a_stream_from_opening():
    relays = Relays()

    async def ask():
        await anyio.sleep(0.01)
        raise ValueError("no")

    first, second = board(relays, TaskReading), board(relays, TaskReading)
    failed = []

    async def begin(reader, is_first):
        with pytest.raises(ValueError, match="no"):
            await reader.begin(ask, is_first)
        failed.append(reader)

    async with anyio.create_task_group() as group:
        group.start_soon(begin, *first)
        group.start_soon(begin, *second)
    assert len(failed) == 2


CHUNKS = [
    {"index": 0, "delta": {"role": "assistant", "content": "Hello."}, "finish_reason": None},
    {"index": 0, "delta": {}, "finish_reason": "stop"},
]
EVENTS = [json.dumps({"id": "1", "model": "m", "object": "chat.completion.chunk", "choices": [c]}) for c in CHUNKS]


class Told:
    """A blocking stream of two chunks."""

    def __init__(self):
        self.left = [Piece(event.encode(), None) for event in EVENTS]

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop(0)

    def close(self):
        pass


@pytest.mark.parametrize(("cache", "calls"), [("default", 1), ("refresh", 2), ("bypass", 2)])
def test_a_stream_that_landed_since_it_was_looked_up_is_replayed(cache, calls):
    """What threads do at one moment, step by step: both have looked and found nothing before either asks."""
    pipeline = Optimizer(OpenAIProvider("http://127.0.0.1:1", api_key="k")).pipeline
    streams, asked = Streams(pipeline, ThreadReading), []
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    request = Request(body=body, cache=cache)

    async def ask(_):
        asked.append(True)
        return Told()

    assert streams.recall(request, 0.0) is None
    assert streams.recall(request, 0.0) is None
    read = []
    for _ in range(2):
        passage = drive(streams.open(request, perf_counter(), ask))
        while (piece := passage.next()) is not None:
            read.append(piece if isinstance(piece, bytes) else piece.data)
    assert read == [event.encode() for event in EVENTS] * 2
    assert len(asked) == calls
    outcomes = [record.outcome for record in pipeline.ledger.records]
    assert outcomes == {"default": ["miss", "hit"], "refresh": ["miss"] * 2, "bypass": ["bypass"] * 2}[cache]
