"""A wrapped Anthropic client over real HTTP: what it answers is what the bare one would, from memory too."""

import itertools

import pytest
from pydantic import BaseModel, field_validator

import resopt
from claude import BODY, PRICES, TALK, Claude, Face, anthropic, calls, dumped, face, running, server
from test_simulated_sdks import MESSAGES, simulate

TESTED_WITH = ("Anthropic", "anthropic")
__all__ = ["face", "running", "server"]
pytestmark = pytest.mark.filterwarnings("ignore:.*thinking.type=enabled.*:UserWarning")

TURNS = [*TALK, {"role": "assistant", "content": "A language."}, {"role": "user", "content": "And Rust?"}]
RESULT = [
    *TALK,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"a": 1}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "12"}]},
]
FEATURES = {**MESSAGES, "turns": {"messages": TURNS}, "tool result": {"messages": RESULT}}
NEVER_STORED = ("refusal", "length", "blank")
RAW = {"X-Stainless-Raw-Response": "raw"}


class Shape(BaseModel):
    name: str
    size: int


class Huge(BaseModel):
    size: int

    @field_validator("size")
    @classmethod
    def is_huge(cls, size):
        raise ValueError("never huge enough")


def parts(events):
    """The kinds of events in order, however many there are of a kind in a row."""
    return [kind for kind, _ in itertools.groupby(event.type for event in events)]


def outcome(made):
    return resopt.last(made).outcome


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("beta", [False, True], ids=["", "beta"])
def test_a_hit_is_what_the_bare_client_returns(face, feature, beta):
    async def test(wrapped, bare):
        wrapped, bare = Claude(wrapped.client, beta=beta), Claude(bare.client, beta=beta)
        body = FEATURES[feature]
        expected, miss, hit = await bare.create(**body), await wrapped.create(**body), await wrapped.create(**body)
        assert type(hit) is type(miss) is type(expected)
        assert dumped(miss, identified=False) == dumped(expected, identified=False)
        if feature in NEVER_STORED:
            assert (outcome(hit), calls(face.server)) == ("miss", 3)
            return
        assert (outcome(miss), outcome(hit), calls(face.server)) == ("miss", "hit", 2)
        for again in (hit, await wrapped.create(**body), await wrapped.create(**body), await wrapped.create(**body)):
            assert dumped(again) == dumped(miss)
            assert again == miss
            assert (again._request_id, outcome(again)) == (None, "hit")
            again.content.clear()
        assert resopt.last(expected) is None
        assert miss._request_id.startswith("req_")
        bare_body, sent = [request.body for request in face.server.requests()]
        assert sent == bare_body

    face.run(test)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("beta", [False, True], ids=["", "beta"])
def test_a_stream_from_memory_is_what_the_bare_client_streams(face, feature, beta):
    async def test(wrapped, bare):
        wrapped, bare = Claude(wrapped.client, beta=beta), Claude(bare.client, beta=beta)
        body = FEATURES[feature]
        expected = await bare.events(**body)
        opened = await wrapped.open(**body)
        miss = await wrapped.read(opened)
        again = await wrapped.open(**body)
        hit = await wrapped.read(again)
        assert isinstance(again, anthropic.Stream if face.blocking else anthropic.AsyncStream)
        assert dumped(miss, identified=False) == dumped(expected, identified=False)
        assert [type(event) for event in hit] == [type(event) for event in expected]
        if feature in NEVER_STORED:
            assert (outcome(again), calls(face.server)) == ("miss", 3)
            return
        assert (outcome(opened), outcome(again), calls(face.server)) == ("miss", "hit", 2)
        assert dumped(hit) == dumped(miss)
        assert opened.response.headers["request-id"].startswith("req_")
        assert again.response.status_code == 200
        assert "request-id" not in again.response.headers

    face.run(test)


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("beta", [False, True], ids=["", "beta"])
def test_the_helper_around_streams_does_on_a_hit_what_it_does_on_a_miss(face, feature, beta):
    async def test(wrapped, bare):
        wrapped, bare = Claude(wrapped.client, beta=beta), Claude(bare.client, beta=beta)
        body = FEATURES[feature]
        events, message, texts, _ = await bare.helped(**body)
        miss_events, miss, miss_texts, trace = await wrapped.helped(**body)  # its texts are a hit already
        assert (dumped(miss, identified=False), miss_texts) == (dumped(message, identified=False), texts)
        assert [type(event) for event in miss_events] == [type(event) for event in events]
        if feature in NEVER_STORED:
            assert calls(face.server) == 4
            return
        hit_events, hit, hit_texts, hit_trace = await wrapped.helped(**body)
        assert (dumped(hit_events), dumped(hit), hit_texts) == (dumped(miss_events), dumped(miss), miss_texts)
        assert (trace.outcome, hit_trace.outcome, calls(face.server)) == ("miss", "hit", 3)

    face.run(test)


@pytest.mark.parametrize("feature", [name for name in FEATURES if name not in NEVER_STORED])
def test_streams_and_whole_answers_serve_each_other(face, feature):
    async def test(wrapped, bare):
        body = FEATURES[feature]
        whole = await wrapped.create(**body)
        streamed = await wrapped.open(**body)
        async with wrapped.helper(**body) as stream:
            message = await wrapped.came(stream.get_final_message())
        assert message.model_dump(exclude={"content": {"__all__": {"parsed_output"}}}) == dumped(whole)
        expected = await bare.events(**body)  # which may be cut elsewhere
        assert parts(await wrapped.read(streamed)) == parts(expected)
        assert (outcome(streamed), outcome(stream), calls(face.server)) == ("hit", "hit", 2)
        wrapped.client.resopt.invalidate(model=BODY["model"])
        await wrapped.events(**body)
        again = await wrapped.create(**body)
        assert dumped(again, identified=False) == dumped(whole, identified=False)
        assert (outcome(again), calls(face.server)) == ("hit", 3)

    face.run(test)


@pytest.mark.parametrize("beta", [False, True], ids=["", "beta"])
def test_parsed_answers(face, beta):
    async def test(wrapped, bare):
        wrapped, bare = Claude(wrapped.client, beta=beta), Claude(bare.client, beta=beta)
        expected = await bare.parse(output_format=Shape)
        miss, hit = [await wrapped.parse(output_format=Shape) for _ in range(2)]
        assert type(hit) is type(miss) is type(expected)
        assert dumped(miss, identified=False) == dumped(expected, identified=False)
        assert dumped(hit) == dumped(miss)
        assert isinstance(hit.parsed_output, Shape)
        assert (outcome(miss), outcome(hit), calls(face.server)) == ("miss", "hit", 2)
        assert (miss._request_id[:4], hit._request_id) == ("req_", None)
        async with wrapped.helper(output_format=Shape) as stream:
            message = await wrapped.came(stream.get_final_message())
        assert (message.parsed_output, outcome(stream)) == (hit.parsed_output, "hit")

    face.run(test)


def test_an_answer_that_cannot_be_parsed_is_not_served_again(face):
    async def test(wrapped, bare):
        for asked in (1, 2):
            with pytest.raises(ValueError, match="never huge enough"):
                await wrapped.parse(output_format=Huge)
            assert calls(face.server) == asked

    face.run(test)


def test_what_is_no_answer_is_not_stored(face):
    async def test(wrapped, bare):
        for wishes in ("refusal", "blank", "error_body"):
            for _ in range(2):
                await wrapped.create(**simulate(wishes))
        for wishes in ("refusal", "blank", "unended", "cut=4"):
            for _ in range(2):
                await wrapped.events(**simulate(wishes))
        assert calls(face.server) == 14
        assert wrapped.client.resopt.stats.entries == 0

    face.run(test)


def test_hits_are_made_afresh(face):
    async def test(wrapped, bare):
        for ask in (wrapped.create, wrapped.events):
            first = await ask()
            message = first[0].message if isinstance(first, list) else first
            expected = dumped(first)
            message.content.append("mine")
            message.usage.input_tokens = -1
            assert dumped(await ask()) == expected

    face.run(test)


def test_usage_reaches_the_ledger_with_the_right_prices(face):
    prices = resopt.PriceBook({"claude-haiku-4-5": resopt.Price(1.0, 5.0, cached_input=0.1, cache_write=1.25)})

    async def test(wrapped, bare):
        wrapped = Claude(resopt.wrap(bare.client, prices=prices))
        marked = [{"type": "text", "text": "word " * 40, "cache_control": {"type": "ephemeral"}}]
        for stream in (False, True):
            face.server.reset()
            for question, kind in (("One?", "cache_write_tokens"), ("Two?", "cached_input_tokens")):
                messages = [{"role": "user", "content": f"{question} {stream}"}]
                made = await wrapped.create(system=marked, messages=messages, stream=stream)
                if stream:
                    await wrapped.read(made)
                billed = resopt.last(made)
                assert getattr(billed.usage, kind) == 50
                fresh = billed.usage.input_tokens - 50
                assert fresh > 0
                special = 1_250_000 if kind == "cache_write_tokens" else 100_000
                assert billed.cost == fresh * 1_000_000 + 50 * special + billed.usage.output_tokens * 5_000_000
                served = await wrapped.create(system=marked, messages=messages)
                assert resopt.last(served).avoided == billed.cost

    face.run(test)


def test_what_is_not_covered_works_as_before(face):
    async def test(wrapped, bare):
        messages = wrapped.messages
        await wrapped.create()
        raw = await wrapped.came(messages.with_raw_response.create(**BODY))
        parsed = raw.parse()
        assert (parsed if face.blocking else await parsed).content
        assert raw.headers["request-id"].startswith("req_")
        assert calls(face.server) == 2
        manager = messages.with_streaming_response.create(**BODY)
        if face.blocking:
            with manager as reply:
                assert b"content" in reply.read()
        else:
            async with manager as reply:
                assert b"content" in await reply.read()
        assert calls(face.server) == 3
        raw = await wrapped.came(messages.parse(**BODY, output_format=Shape, extra_headers=RAW))
        parsed = raw.parse()
        assert isinstance((parsed if face.blocking else await parsed).parsed_output, Shape)
        counted = await wrapped.came(messages.count_tokens(model=BODY["model"], messages=TALK))
        assert counted.input_tokens > 4
        assert type(messages.batches) is type(bare.client.messages.batches)
        listed = wrapped.client.models.list()
        assert (listed if face.blocking else await listed).data
        assert isinstance(wrapped.client, face.kind)
        assert type(wrapped.client).__name__ == face.kind.__name__
        assert isinstance(messages, type(bare.client.messages))

    face.run(test)


def test_a_generator_of_messages_is_sent_whole(face):
    async def test(wrapped, bare):
        first = await wrapped.create(messages=iter(TALK))
        again = await wrapped.create(messages=(turn for turn in TALK))
        assert dumped(again) == dumped(first)
        assert calls(face.server) == 1
        await bare.create()
        sent, expected = [request.body for request in face.server.requests()]
        assert sent == expected

    face.run(test)


def test_prices_are_those_of_the_model(face):
    async def test(wrapped, bare):
        made = await wrapped.create()
        usage = made.usage
        fresh, out = PRICES[BODY["model"]]
        assert resopt.last(made).cost == (usage.input_tokens * fresh + usage.output_tokens * out) * 10**6

    face.run(test)


def test_the_beta_is_a_place_of_its_own(face):
    async def test(wrapped, bare):
        beta = Claude(wrapped.client, beta=True)
        await wrapped.create()
        await beta.create()
        await beta.create(betas=["context-1m-2025-08-07"])
        await beta.create(betas=["context-1m-2025-08-07"])
        await wrapped.create(extra_headers={"anthropic-beta": "context-1m-2025-08-07"})
        await beta.events(betas=["context-1m-2025-08-07"])
        await wrapped.create()
        assert calls(face.server) == 4
        assert [request.headers.get("anthropic-beta") for request in face.server.requests()] == [
            None,
            None,
            "context-1m-2025-08-07",
            "context-1m-2025-08-07",
        ]

    face.run(test)


def test_faces_are_three(server):
    assert Face("trio", server).kind is anthropic.AsyncAnthropic
