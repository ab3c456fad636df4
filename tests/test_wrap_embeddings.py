"""`embeddings.create` of a wrapped OpenAI client: kept element by element, against the simulator over real HTTP."""

import base64
import threading
from array import array

import anyio
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import resopt
from resopt.wrap.embeddings import apportioned, elements

TESTED_WITH = ("OpenAI", "openai")
MODEL = "text-embedding-3-small"
PRICES = {MODEL: ("0.02", "0")}


@pytest.fixture(scope="module")
def server():
    with resopt.SimulatedServer(time_scale=0.0) as running:
        yield running


@pytest.fixture
def bare(server):
    server.reset()
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def client(bare):
    return resopt.wrap(bare, prices=PRICES)


def sent(server):
    """The inputs of all requests the provider got."""
    import json

    return [json.loads(request.body)["input"] for request in server.requests() if "embeddings" in request.path]


INPUTS = [
    pytest.param("one text", id="str"),
    pytest.param(["one text"], id="list of one"),
    pytest.param(["a", "b", "Why?", "why"], id="list"),
    pytest.param([101, 202, 303], id="tokens"),
    pytest.param([[101, 202], [303]], id="lists of tokens"),
]


@pytest.mark.parametrize("given_input", INPUTS)
@pytest.mark.parametrize("format_", [None, "float", "base64"])
def test_a_hit_is_the_miss_and_the_miss_is_the_bare_client_s(server, bare, client, given_input, format_):
    arguments = {"model": MODEL, "input": given_input}
    if format_:
        arguments["encoding_format"] = format_
    expected = bare.embeddings.create(**arguments)
    miss = client.embeddings.create(**arguments)
    hit = client.embeddings.create(**arguments)
    # Of base64 the library's own type says that it is a list of floats, and pydantic warns of its own dump.
    assert miss.model_dump(warnings=False) == expected.model_dump(warnings=False)
    assert hit.model_dump(warnings=False) == miss.model_dump(warnings=False)
    assert hit == miss
    assert type(hit) is type(expected)
    assert type(hit.data[0]) is type(expected.data[0])
    assert type(hit.usage) is type(expected.usage)
    assert [resopt.last(miss).outcome, resopt.last(hit).outcome] == ["miss", "hit"]
    assert sent(server)[1:] == [given_input]  # as the caller gave it


def test_the_rollout_switches_the_cache_of_embeddings_too(server, bare):
    """For whom caching is off nothing is looked up, and nothing is kept; for the others nothing changes."""
    rollout = resopt.Rollout({"caching": 50})
    users = [f"user {number}" for number in range(40)]
    on = next(user for user in users if rollout.enabled(user, "caching"))
    off = next(user for user in users if not rollout.enabled(user, "caching"))
    client = resopt.wrap(bare, prices=PRICES, rollout=rollout)

    def embed(user, **options):
        with resopt.options(tenant="t", user=user, **options):
            return client.embeddings.create(model=MODEL, input=["one", "two", "one"])

    traces = [resopt.last(embed(user)) for user in (off, off, on, on, off)]
    assert [trace.outcome for trace in traces] == ["bypass", "bypass", "miss", "hit", "bypass"]
    assert [step.reason for step in traces[0].steps if step.stage == "cache"] == ["switched off for this user"]
    assert len(sent(server)) == 4
    assert len(client.resopt.cache) == 2
    with pytest.raises(resopt.CacheMissError):
        embed(off, cache="only")
    assert embed(on, cache="only") == embed(on)
    rollout.set("caching", 100)
    assert resopt.last(embed(off)).outcome == "hit"
    rollout.set("caching", 0)
    assert resopt.last(embed(on)).outcome == "bypass"


def test_where_nobody_is_named_the_first_text_decides(server, bare):
    client = resopt.wrap(bare, prices=PRICES, rollout=resopt.Rollout({"caching": 50}))
    for text in range(60):
        for given_input in (str(text), [str(text), "another"]):
            client.embeddings.create(model=MODEL, input=given_input)
    off = [record.outcome == "bypass" for record in client.resopt.ledger.records]
    assert off[::2] == off[1::2]
    assert 30 <= sum(off) <= 90


def test_an_experiment_on_the_cache_counts_embeddings(server, bare):
    experiment = resopt.Experiment("cache", stage="cache", ramp=[100], per_step=1_000)
    client = resopt.wrap(bare, prices=PRICES, experiments=[experiment])
    for number in range(20):
        with resopt.options(tenant="t", user=f"user {number}"):
            for _ in range(2):
                client.embeddings.create(model=MODEL, input="one")
    arms = experiment.result().arms
    assert len(sent(server)) == arms["control"].requests + 1, "of the treated only the first was sent"
    assert arms["treatment"].requests > 0
    assert sum(arm.requests for arm in arms.values()) == 40


def test_of_a_batch_only_the_unknown_is_sent_and_billed(server, bare, client):
    known = [f"text {number}" for number in range(90)]
    client.embeddings.create(model=MODEL, input=known)
    batch = known[::-1] + [f"new text {number}" for number in range(10)]
    mixed = client.embeddings.create(model=MODEL, input=batch)
    assert sent(server)[1] == batch[90:]
    expected = bare.embeddings.create(model=MODEL, input=batch)
    assert mixed.model_dump()["data"] == expected.model_dump()["data"]
    trace = resopt.last(mixed)
    assert (trace.outcome, trace.mechanism) == ("miss", "exact")
    assert trace.cost + trace.avoided == trace.baseline_cost
    assert 0 < trace.cost < trace.avoided
    assert mixed.usage.prompt_tokens == expected.usage.prompt_tokens
    records = client.resopt.ledger.records
    assert len(records) == 2
    assert sum(record.cost for record in records) == sum(20_000 * record.usage.input_tokens for record in records)


def test_equal_elements_are_sent_once(server, bare, client):
    batch = ["a", "b", "a", "a"]
    answer = client.embeddings.create(model=MODEL, input=batch)
    assert sent(server) == [["a", "b"]]
    assert answer.data == bare.embeddings.create(model=MODEL, input=batch).data
    assert [entry.index for entry in answer.data] == [0, 1, 2, 3]


def test_texts_are_matched_to_the_letter_and_freshness_does_not_apply(server, client):
    for text in ("What time is it?", "what time is it", "my balance", "My balance"):
        assert resopt.last(client.embeddings.create(model=MODEL, input=text)).outcome == "miss"
        assert resopt.last(client.embeddings.create(model=MODEL, input=text)).outcome == "hit"


@pytest.mark.parametrize(
    "change", [{"model": "text-embedding-3-large"}, {"dimensions": 8}, {"encoding_format": "float"}]
)
def test_another_model_size_or_format_is_another_vector(client, change):
    client.embeddings.create(model=MODEL, input="a")
    assert resopt.last(client.embeddings.create(**{"model": MODEL, "input": "a", **change})).outcome == "miss"


def test_the_end_user_is_not_part_of_a_vector(client):
    client.embeddings.create(model=MODEL, input="a", user="ann")
    assert resopt.last(client.embeddings.create(model=MODEL, input="a", user="bob")).outcome == "hit"


def test_callers_get_objects_of_their_own(client):
    first = client.embeddings.create(model=MODEL, input=["a"])
    before = first.model_dump()
    first.data[0].embedding.clear()
    second = client.embeddings.create(model=MODEL, input=["a"])
    assert second.model_dump() == before
    second.data.clear()
    assert client.embeddings.create(model=MODEL, input=["a"]).model_dump() == before


def test_modes_tags_and_tenants(server, client):
    def outcome(**settings):
        with resopt.options(**settings):
            return resopt.last(client.embeddings.create(model=MODEL, input=["a", "b"])).outcome

    with pytest.raises(resopt.CacheMissError):
        outcome(cache="only")
    assert outcome(tags=("kb",)) == "miss"
    assert outcome(cache="only") == "hit"
    assert outcome(cache="bypass") == "bypass"
    assert outcome(cache="refresh", tags=("kb",)) == "miss"
    assert outcome(tenant="acme") == "miss"
    assert client.resopt.invalidate(tag="kb") == 2
    assert outcome() == "miss"
    assert outcome(tenant="acme") == "hit"


def test_two_api_keys_never_meet(client):
    client.embeddings.create(model=MODEL, input="a")
    other = client.with_options(api_key="another")
    assert resopt.last(other.embeddings.create(model=MODEL, input="a")).outcome == "miss"


def test_errors_are_the_library_s_own_and_leave_nothing(server, client):
    server.next_faults("500")
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model=MODEL, input="a")
    assert resopt.last(client.embeddings.create(model=MODEL, input="a")).outcome == "miss"
    assert [record.outcome for record in client.resopt.ledger.records] == ["error", "miss"]


def test_an_input_that_is_none_is_the_library_s_to_judge(client):
    with pytest.raises(openai.OpenAIError):
        client.embeddings.create(model=MODEL, input=[])
    raw = client.embeddings.with_raw_response.create(model=MODEL, input="a")
    assert raw.parse().data[0].embedding


def test_threads_that_ask_the_same_share_a_call(server, client):
    server.next_faults(None)
    answers, barrier = [], threading.Barrier(20)

    def ask():
        barrier.wait()
        answers.append(
            client.embeddings.create(model=MODEL, input=["x", "y"], extra_headers={"x-simulate": "first_byte=0.3"})
        )

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent(server)) == 1
    assert len({id(answer) for answer in answers}) == 20
    assert all(answer == answers[0] for answer in answers)
    assert sorted({record.outcome for record in client.resopt.ledger.records}) in (
        ["coalesced", "miss"],
        ["coalesced", "hit", "miss"],
    )


@pytest.mark.anyio
async def test_tasks_that_ask_the_same_share_a_call(server):
    server.reset()
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0) as bare:
        client = resopt.wrap(bare, prices=PRICES)
        answers = []

        async def ask(seconds=None):
            with anyio.move_on_after(seconds or 60):
                answers.append(
                    await client.embeddings.create(
                        model=MODEL, input=["x", "y"], extra_headers={"x-simulate": "first_byte=0.3"}
                    )
                )

        async with anyio.create_task_group() as group:
            group.start_soon(ask, 0.1)  # the first, who leaves
            await anyio.sleep(0.05)
            for _ in range(20):
                group.start_soon(ask)
        assert len(sent(server)) == 1
        assert len(answers) == 20
        assert all(answer == answers[0] for answer in answers)
        assert (
            resopt.last(
                await client.embeddings.create(
                    model=MODEL, input=["x", "y"], extra_headers={"x-simulate": "first_byte=0.3"}
                )
            ).outcome
            == "hit"
        )


@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**4), min_size=1, max_size=50))
def test_tokens_are_apportioned_to_the_last_one(total, weights):
    parts = apportioned(total, weights)
    assert sum(parts) == total
    assert all(abs(part - total * weight / sum(weights)) < 1 for part, weight in zip(parts, weights, strict=True))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", ["a"]), ([], None), (["a", 1], None), ([1, 2], [[1, 2]]), ([[1], [2]], [[1], [2]]), (3, None), (None, None)],
)
def test_elements(value, expected):
    assert elements(value) == expected


def test_vectors_that_are_not_exact_in_32_bits_stay_exact():
    from resopt.wrap.embeddings import Kept

    narrow = array("f", [0.1, -2.5, 3e-8]).tolist()
    assert Kept.of({"embedding": narrow}, {}).packed == "f"
    assert Kept.of({"embedding": narrow}, {}).embedding() == narrow
    wide = [0.1, 1 / 3]
    assert Kept.of({"embedding": wide}, {}).packed == "d"
    assert Kept.of({"embedding": wide}, {}).embedding() == wide
    text = base64.b64encode(b"1234").decode()
    assert Kept.of({"embedding": text}, {}).embedding() == text
