"""Limits of a cascade as a stage of the pipeline, and judges that hang, fail or say what is no score."""

import time

import anyio
import pytest

from resopt import AsyncOptimizer, ConfigurationError, CostAwareRouter, Optimizer, PriceBook, Response, Tier, routing
from resopt.types import Usage

PRICES = PriceBook({"m1": (0.15, 0.6), "m2": (2.5, 10), "m3": (20, 80)})
TIERS = (Tier("a", "m1"), Tier("b", "m2"), Tier("c", "m3"))
USAGE = Usage(input_tokens=20, output_tokens=5)


class Models:
    """Says nothing of use, but for the models named, and takes its time by the clock."""

    name = "models"

    def __init__(self, clock, seconds=0.0, good=()):
        self.asked, self.clock, self.seconds, self.good = [], clock, seconds, good

    async def complete(self, request):
        self.asked.append(request.model)
        self.clock[0] += self.seconds
        text = "Tea is a drink." if request.model in self.good else ""
        return Response(text=text, model=request.model, usage=USAGE, finish_reason="stop", body=b"{}")

    def blocking(self):
        return self

    async def aclose(self):
        """Nothing is open."""


def cascade(clock=None, **options):
    clock = [0.0] if clock is None else clock
    return CostAwareRouter(None, tiers=TIERS, prices=PRICES, clock=lambda: clock[0], **options)


@pytest.mark.parametrize(
    ("options", "wishes", "asked"),
    [
        ({"max_attempts": 2}, {}, ["m1", "m2"]),
        ({"max_attempts": 2}, {"min_tier": "b"}, ["m2", "m3"]),
        ({"max_attempts": 2}, {"deny": ["m2"]}, ["m1", "m3"]),
        ({"max_attempts": 1}, {"min_tier": "b"}, ["m2"]),
        ({"deadline": 5}, {}, ["m1", "m2"]),
        ({"deadline": 3}, {}, ["m1"]),
        ({}, {}, ["m1", "m2", "m3"]),
    ],
)
def test_attempts_and_deadline_hold_in_the_pipeline(options, wishes, asked):
    clock = [0.0]
    models = Models(clock, seconds=3.0)
    with Optimizer(models, prices=PRICES, stages=[cascade(clock, **options)]) as optimizer, routing(**wishes):
        for question in ("Tell me of tea.", "Tell me of coffee."):
            models.asked.clear()
            optimizer.complete(question, model="m3")
            assert models.asked == asked


def test_a_router_knows_what_was_asked_beside_what_was_decided():
    stage = cascade()
    with Optimizer(Models([0.0], good=("m2",)), prices=PRICES, stages=[stage]) as optimizer:
        assert optimizer.complete("Tell me of tea.", model="m3").text
    assert stage.router.distribution == {"a": 1, "b": 0, "c": 0}
    assert stage.router.answered == {"a": 1, "b": 1, "c": 0}


@pytest.mark.anyio
async def test_a_judge_that_hangs_is_cut_off_at_the_deadline():
    async def hanging(question, answer, context):
        await anyio.sleep_forever()

    def tiers():
        async def call(request):
            return Response(text="Tea is a drink.", model=request.model, usage=USAGE, finish_reason="stop")

        return [Tier(tier.name, tier.model, call=call) for tier in TIERS]

    alone = CostAwareRouter(None, tiers=tiers(), prices=PRICES, judge=hanging, deadline=0.1)
    with anyio.fail_after(5):
        result = await alone.execute("Tell me of tea.")
    assert result.attempts[0].verdict.reason == "the judge did not answer within the deadline"
    assert result.cost is None, "what was cut off may be billed"
    assert alone.judge_failures == 1

    piped = CostAwareRouter(None, tiers=TIERS, prices=PRICES, judge=hanging, deadline=0.1)
    models = Models([0.0], good=("m1",))
    async with AsyncOptimizer(models, prices=PRICES, stages=[piped]) as optimizer:
        with anyio.fail_after(5):
            answer = await optimizer.complete("Tell me of tea.", model="m3")
    assert (answer.text, models.asked, piped.judge_failures) == ("Tea is a drink.", ["m1"], 1)


def test_a_judge_that_fails_is_counted_and_logged_once(caplog):
    def broken(question, answer, context):
        raise ValueError("out of order")

    def call(request):
        return Response(text="Tea is a drink.", model=request.model, usage=USAGE, finish_reason="stop")

    own = CostAwareRouter(None, tiers=[Tier("a", "m1", call=call), Tier("b", "m2", call=call)], judge=broken)
    for _ in range(3):
        assert own.execute_blocking("Tell me of tea.").attempts[0].verdict.reason.startswith("the judge failed")
    assert own.judge_failures == 3
    assert [record.message for record in caplog.records] == ["the judge of a cascade failed and has no say"]


@pytest.mark.parametrize("judge", [lambda question, answer: 1.0, lambda: 1.0, lambda *, answer: 1.0])
def test_a_judge_that_cannot_be_called_is_refused_at_once(judge):
    with pytest.raises(ConfigurationError, match=r"judge must take \(question, answer, context\)"):
        cascade(judge=judge)


def test_a_blocking_judge_is_not_asked_when_the_time_is_up():
    clock, judged = [0.0], []

    def call(request):
        clock[0] += 3
        return Response(text="Tea is a drink.", model=request.model, usage=USAGE, finish_reason="stop")

    tiers = [Tier("a", "m1", call=call), Tier("b", "m2", call=call)]
    own = CostAwareRouter(None, tiers=tiers, judge=lambda *_: judged.append(1), deadline=2, clock=lambda: clock[0])
    began = time.monotonic()
    assert own.execute_blocking("Tell me of tea.").attempts[0].verdict.reason == "no time was left for the judge"
    assert (judged, time.monotonic() - began < 2) == ([], True)
