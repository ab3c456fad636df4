"""Single-flight for streams, without any client: boarding, leaving, lagging, ending, forking."""

import gc
import os
import threading

import anyio
import pytest

from resopt.errors import ClosedError, StreamLagError
from resopt.flight.reading import AHEAD, TaskReading, ThreadReading
from resopt.flight.relay import Deserted, EndOfRelay, Relay, Relays
from resopt.sync import drive


class Source:
    """A stream of numbered events, blocking and not."""

    def __init__(self, count, error=None, size=8):
        self.left, self.error, self.size = count, error, size
        self.given = 0
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.given == self.left:
            if self.error is not None:
                raise self.error
            raise StopIteration
        self.given += 1
        return b"%d" % self.given * self.size

    def __aiter__(self):
        return self

    async def __anext__(self):
        await anyio.lowlevel.checkpoint()
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None


class Closing(Source):
    def close(self):
        self.closed += 1


class AsyncClosing(Source):
    async def close(self):
        self.closed += 1


class Ends:
    """What streams ended with."""

    def __init__(self):
        self.seen = []
        self.opened = 0

    def __call__(self, retire):
        self.opened += 1
        return lambda events, error: self.seen.append((events, error))


def asking(source):
    async def ask():
        return source

    return ask


def rest(reader):
    events = []
    try:
        while True:
            events.append(reader.next())
    except EndOfRelay:
        return events


async def count_of(reader):
    count = 0
    try:
        while await reader.next():
            count += 1
    except EndOfRelay:
        return count


def test_readers_share_a_source_and_the_table_forgets_it():
    relays, ends, source = Relays(), Ends(), Closing(5)
    one, first = relays.board("k", ThreadReading, ends)
    other, second = relays.board("k", ThreadReading, ends)
    assert (first, second, ends.opened, len(relays)) == (True, False, 1, 1)
    drive(one.begin(asking(source), True))
    drive(other.begin(asking(None), False))
    assert rest(one) == rest(other)
    assert source.given == 5
    assert len(relays) == 0
    [(events, error)] = ends.seen
    assert (len(events), error) == (5, None)
    assert [one.relay.claim(), one.relay.claim()] == [True, False]


def test_who_boards_while_the_last_leaves_gets_a_stream_of_their_own():
    relays, ends, source = Relays(), Ends(), Closing(5)
    reader, _ = relays.board("k", ThreadReading, ends)
    drive(reader.begin(asking(source), True))
    boarded = []
    relay = reader.relay
    finish = relay.finish

    def meanwhile(events, error):
        finish(events, error)
        boarded.append(relays.board("k", ThreadReading, ends))

    relay.finish = meanwhile
    reader.leave()
    [(newcomer, first)] = boarded
    assert first
    assert newcomer.relay is not relay
    assert isinstance(ends.seen[0][1], Deserted)
    assert source.closed == 1
    assert len(relays) == 1  # the end of the old stream did not take the new one from the table


def test_a_clean_stream_can_be_joined_until_its_answer_is_kept():
    relays, ends, source = Relays(), Ends(), Closing(3)
    reader, _ = relays.board("k", ThreadReading, ends)
    drive(reader.begin(asking(source), True))
    joined = []
    reader.relay.finish = lambda *_: joined.append(relays.board("k", ThreadReading, ends))
    assert len(rest(reader)) == 3
    [(late, first)] = joined
    assert not first
    assert len(rest(late)) == 3
    assert ends.opened == 1


def test_nobody_joins_a_stream_that_failed():
    relays, ends = Relays(), Ends()
    source = Closing(2, OSError("gone"))
    reader, _ = relays.board("k", ThreadReading, ends)
    drive(reader.begin(asking(source), True))
    seen = []
    reader.relay.finish = lambda *_: seen.append(relays.board("k", ThreadReading, ends)[1])
    with pytest.raises(OSError, match="gone"):
        rest(reader)
    assert seen == [True]


def test_a_stream_that_is_needed_no_more_is_not_opened():
    relays = Relays()
    assert relays.board("k", ThreadReading, lambda _: None) is None
    assert len(relays) == 0


def test_memory_is_bounded_and_who_lags_is_told():
    ends = []
    relay = Relay(lambda events, error: ends.append((events, error)), lambda: None, limit=1000)
    slow, fast = ThreadReading(relay), ThreadReading(relay)
    assert relay.board(slow)
    assert relay.board(fast)
    relay.open(Closing(1000, size=10))
    for _ in range(40):
        fast.next()
    assert relay._bytes <= 1000
    assert slow.next()
    heard = 0
    while True:
        try:
            fast.next()
        except EndOfRelay:
            break
        heard += 1
        assert relay._bytes <= 2 * 1000 + 60
    assert heard == 960
    with pytest.raises(StreamLagError, match="1,000 bytes"):
        rest(slow)
    assert ends == [(None, None)]
    assert not relay.board(ThreadReading(relay))


def test_readers_that_are_garbage_leave_while_others_are_counted():
    """A set that changes while it is walked would end the stream for everybody."""
    relay = Relay(lambda *_: None, lambda: None)
    keeper = ThreadReading(relay)
    relay.board(keeper)

    class Holder:
        def __init__(self):
            self.circle = self
            self.reader = ThreadReading(relay)
            relay.board(self.reader)

        def __del__(self):
            self.reader.leave()

    relay.open(Closing(3000))
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(300):
            Holder()
            keeper.next()
            relay.lead()
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert relay._readers == {keeper}


def test_an_opener_that_fails_fails_for_those_who_wait():
    relays, ends = Relays(), Ends()
    reader, _ = relays.board("k", ThreadReading, ends)
    other, _ = relays.board("k", ThreadReading, ends)
    failed = []

    def wait():
        try:
            drive(other.begin(asking(None), False))
        except ValueError as error:
            failed.append(error)

    async def ask():
        waiting.start()
        raise ValueError("no")

    waiting = threading.Thread(target=wait)
    with pytest.raises(ValueError, match="no") as raised:
        drive(reader.begin(ask, True))
    waiting.join()
    assert failed[0] is not raised.value
    assert len(relays) == 0


@pytest.mark.anyio
async def test_a_stream_that_nobody_reads_stops_at_its_source():
    relays, ends, source = Relays(), Ends(), AsyncClosing(1000)
    reader, _ = relays.board("k", TaskReading, ends)
    await reader.begin(asking(source), True)
    for _ in range(500):
        await anyio.lowlevel.checkpoint()
    assert source.given < 2 * AHEAD
    assert await count_of(reader) == 1000
    assert source.closed == 1


@pytest.mark.anyio
async def test_no_event_is_lost_when_a_stream_ends_before_its_reader_wakes():
    for count in range(4):
        relays, ends = Relays(), Ends()

        class Sudden(AsyncClosing):
            async def __anext__(self):
                try:
                    return next(self)
                except StopIteration:
                    raise StopAsyncIteration from None

        reader, _ = relays.board("k", TaskReading, ends)
        await reader.begin(asking(Sudden(count)), True)
        assert await count_of(reader) == count


@pytest.mark.anyio
async def test_closing_waits_for_the_source_to_be_closed():
    relays, ends, source = Relays(), Ends(), AsyncClosing(10_000)
    reader, _ = relays.board("k", TaskReading, ends)
    await reader.begin(asking(source), True)
    await reader.next()
    await reader.close()
    assert source.closed == 1
    assert reader.relay.carrier is None
    await reader.close()


def test_a_run_that_ends_tells_readers_elsewhere():
    relays, ends, source = Relays(), Ends(), AsyncClosing(10_000)
    kept = []

    async def story():
        reader, _ = relays.board("k", TaskReading, ends)
        kept.append(reader)
        await reader.begin(asking(source), True)
        await reader.next()

    anyio.run(story)
    relay = kept[0].relay
    assert relay.ended
    assert isinstance(relay.error, ClosedError)
    assert source.closed == 1
    assert len(relays) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_waits_for_no_stream_of_its_parent():
    relays, ends = Relays(), Ends()
    reader, _ = relays.board("k", ThreadReading, ends)
    drive(reader.begin(asking(Closing(3)), True))
    relays._lock.acquire()
    child = os.fork()
    if child == 0:  # pragma: no cover
        mine, first = relays.board("k", ThreadReading, ends)
        drive(mine.begin(asking(Closing(3)), True))
        os._exit(0 if first and len(rest(mine)) == 3 else 1)
    relays._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(rest(reader)) == 3
