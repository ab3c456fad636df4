"""Several questions in one prompt, and a second call when the first is late."""

import json

import anyio
import pytest

from asking import USAGE, Scripted
from resopt import (
    AsyncOptimizer,
    BatchError,
    BatchPrompt,
    ConfigurationError,
    HedgedProvider,
    InvalidRequestError,
    Response,
    ServerError,
)

pytestmark = pytest.mark.anyio


class Model:
    """Answers batch prompts in upper case, as `spoil` leaves them, and single questions too."""

    def __init__(self, spoil=lambda entries: entries):
        self.requests = []
        self.spoil = spoil

    async def __call__(self, request):
        self.requests.append(request)
        if "JSON array" in request.body["messages"][0]["content"]:
            items = json.loads(request.question)
            entries = [{"id": item["id"], "answer": item["text"].upper()} for item in items]
            text = self.spoil(entries)
            text = text if isinstance(text, str) else json.dumps({"answers": text})
        elif "response_format" in request.body:
            text = json.dumps({"answer": request.question.upper()})
        else:
            text = request.question.upper()
        return Response(text=text, model=request.model, usage=USAGE, finish_reason="stop")

    @property
    def together(self):
        return sum("JSON array" in request.body["messages"][0]["content"] for request in self.requests)


async def test_questions_go_together_and_answers_come_in_order():
    model = Model()
    prompt = BatchPrompt("Shout.", model, kind="translate", per_prompt=4)
    texts = [f"text {number}" for number in range(10)]
    assert await prompt.ask_all([*texts, "text 3"]) == [text.upper() for text in [*texts, "text 3"]]
    assert (model.together, len(model.requests)) == (3, 3)
    assert (prompt.asked_together, prompt.asked_alone, prompt.prompts) == (10, 0, 3)
    sent = model.requests[0].body
    assert sent["response_format"]["json_schema"]["strict"]
    assert model.requests[0].cache == "bypass"


async def test_a_single_text_is_asked_as_a_single_question():
    model = Model()
    prompt = BatchPrompt("Shout.", model, kind="extract", temperature=0)
    assert await prompt.ask_all(["a"]) == ["A"]
    assert await prompt.ask_all([]) == []
    assert model.together == 0
    assert model.requests[0].body["temperature"] == 0
    assert "response_format" not in model.requests[0].body


@pytest.mark.parametrize(
    ("spoil", "alone"),
    [
        (lambda entries: entries[:-1], 1),
        (lambda entries: [*entries, entries[0]], 1),
        (lambda entries: [{**entries[0], "id": 99}, *entries[1:]], 1),
        (lambda entries: [{**entries[0], "id": "1"}, *entries[1:]], 1),
        (lambda entries: [{**entries[0], "id": True}, *entries[1:]], 1),
        (lambda entries: [{**entries[0], "answer": ""}, *entries[1:]], 1),
        (lambda entries: [{**entries[0], "answer": 3}, *entries[1:]], 1),
        (lambda entries: ["garbage", None, *entries[2:]], 2),
        (lambda entries: "not JSON", 4),
        (lambda entries: '{"answers": 3}', 4),
        (lambda entries: "[]", 4),
    ],
)
async def test_what_is_missing_is_asked_alone(spoil, alone):
    model = Model(spoil)
    prompt = BatchPrompt("Shout.", model, kind="translate", per_prompt=4)
    assert await prompt.ask_all(["a", "b", "c", "d"]) == ["A", "B", "C", "D"]
    assert prompt.asked_alone == alone
    assert len(model.requests) == 1 + alone


async def test_a_prompt_that_fails_is_asked_in_single_questions_and_their_errors_are_theirs():
    model = Model()

    async def failing(request):
        if "JSON array" in request.body["messages"][0]["content"] or request.question == "b":
            raise ServerError("busy")
        return await model(request)

    prompt = BatchPrompt("Shout.", failing, kind="translate")
    with pytest.raises(BatchError, match="1 of 3 texts") as caught:
        await prompt.ask_all(["a", "b", "c"])
    assert [str(result) for result in caught.value.results] == ["A", "busy", "C"]


async def test_only_texts_of_one_group_share_a_prompt():
    model = Model()
    prompt = BatchPrompt("Translate.", model, kind="translate", group=lambda item: item[0])
    pairs = [("German", "a"), ("French", "a"), ("German", "b"), ("French", "b")]
    assert await prompt.ask_all(pairs, text_of=lambda item: item[1]) == ["A", "A", "B", "B"]
    systems = sorted(request.body["messages"][0]["content"].split("\n\n")[1] for request in model.requests)
    assert systems == ["French", "German"]


async def test_a_classification_knows_its_labels():
    model = Model(lambda entries: [{**entries[0], "answer": "WRONG"}, *entries[1:]])
    prompt = BatchPrompt("Classify.", model, kind="classify", labels=["A", "B"])
    assert await prompt.ask_all(["a", "b"]) == ["A", "B"]
    assert prompt.asked_alone == 1
    with pytest.raises(BatchError) as caught:
        await prompt.ask_all(["neither"])
    assert isinstance(caught.value.exceptions[0], InvalidRequestError)


async def test_answers_are_looked_up_and_kept_as_those_of_single_questions():
    model = Model()
    provider = Scripted()
    provider.complete = model
    async with AsyncOptimizer(provider) as optimizer:
        options = {"kind": "translate", "lookup": optimizer.lookup, "admit": optimizer.cache.admit}
        prompt = BatchPrompt("Shout.", optimizer.complete, **options)
        assert await prompt.ask_all(["a", "b"]) == ["A", "B"]
        assert await prompt.ask_all(["b", "c", "a"]) == ["B", "C", "A"]
        assert (await optimizer.complete(prompt.single("a"))).text == "A"
    assert model.together == 1
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"instruction": " "}, "instruction"),
        ({"kind": "reason"}, "kind must be one of"),
        ({"labels": ["a"]}, "labels"),
        ({"kind": "classify"}, "labels"),
        ({"kind": "classify", "labels": ["a"], "answer": {}}, "not both"),
        ({"per_prompt": 0}, "per_prompt"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ConfigurationError, match=match):
        BatchPrompt(**{"instruction": "x", "complete": Model(), "kind": "translate", **options})


# ---- hedging


class Scheduled:
    """Each call takes what is next in its schedule: seconds, or an error."""

    name = "scheduled"

    def __init__(self, *schedule):
        self.schedule = list(schedule)
        self.cancelled = self.calls = 0

    async def complete(self, request):
        self.calls += 1
        number, what = self.calls, self.schedule.pop(0)
        try:
            await anyio.sleep(what if isinstance(what, float) else 0.05)
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        if isinstance(what, Exception):
            raise what
        return Response(text=str(number), model="gpt-4o", usage=USAGE, finish_reason="stop")

    async def aclose(self):
        pass

    def blocking(self):
        return self


async def hedge(provider, **options):
    from resopt import Request

    hedged = HedgedProvider(provider, **options)
    for _ in range(30):
        hedged._learn("gpt-4o", 0.01)
    hedged._tokens = 1.0
    return hedged, Request.chat("q")


async def test_a_late_answer_is_asked_for_again_and_the_first_is_taken():
    provider = Scheduled(5.0, 0.001)
    hedged, request = await hedge(provider)
    with anyio.fail_after(3):
        assert (await hedged.complete(request)).text == "2"
    assert provider.cancelled == 1
    assert (hedged.figures.hedges, hedged.figures.won, hedged.figures.calls) == (1, 1, 1)
    assert hedged.blocking() is provider


async def test_second_calls_are_capped():
    provider = Scheduled(0.05, 0.05)
    hedged, request = await hedge(provider)
    hedged._tokens = 0.0
    assert (await hedged.complete(request)).text == "1"
    assert (hedged.figures.hedges, hedged.figures.capped) == (0, 1)


async def test_a_prompt_answer_and_a_cold_start_need_no_second_call():
    provider = Scheduled(0.001, 0.05)
    hedged, request = await hedge(provider)
    await hedged.complete(request)
    assert provider.calls == 1
    cold = HedgedProvider(Scheduled(0.05))
    await cold.complete(request)
    assert cold.figures.hedges == 0


async def test_errors_count_when_no_call_answers():
    first, second = ServerError("first"), ServerError("second")
    hedged, request = await hedge(Scheduled(first, 0.1))
    assert (await hedged.complete(request)).text == "2"
    hedged, request = await hedge(Scheduled(first, second))
    with pytest.raises(ServerError, match="first"):
        await hedged.complete(request)


@pytest.mark.parametrize("options", [{"quantile": 1}, {"share": 0}, {"burst": 0}, {"share": "all"}])
def test_options_of_hedging(options):
    with pytest.raises(ConfigurationError):
        HedgedProvider(Scheduled(), **options)
