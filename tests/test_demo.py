"""`resopt demo`: the scripted day is what it claims, the demo runs over real HTTP, and its checks can fail."""

import subprocess
import sys

import anyio
import msgspec
import pytest

from resopt.cache.freshness import Freshness
from resopt.cli import demo_day
from resopt.cli.demo import _run
from resopt.cli.demo_run import Answered, Day, DemoError, Lived, check

pytestmark = pytest.mark.anyio


def asks(moments):
    return [ask for moment in moments for ask in moment.asks]


def test_the_day_is_the_same_for_the_same_seed():
    assert demo_day.scripted_day(3) == demo_day.scripted_day(3)
    assert demo_day.scripted_day(3) != demo_day.scripted_day(4)


@pytest.mark.parametrize("requests", [100, 400])
def test_the_day_has_what_it_promises(requests):
    moments = demo_day.scripted_day(0, requests)
    assert len(asks(moments)) == requests
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)
    assert all(0 <= ask.at < 86_400 for ask in asks(moments))
    assert {ask.kind for ask in asks(moments)} == {"generic", "personal", "time_sensitive"}
    assert max(len(moment.asks) for moment in moments) >= 8
    assert sum(moment.refusals for moment in moments) > 0
    assert {ask.model for ask in asks(moments)} == {demo_day.LARGE, demo_day.SMALL}


def test_the_freshness_rules_agree_with_the_script():
    freshness = Freshness()
    for ask in asks(demo_day.scripted_day(1, 1_000)):
        assert freshness.classify(ask.text).kind == ask.kind, ask.text


def test_there_are_forty_to_sixty_questions():
    groups = (demo_day.QUESTIONS, demo_day.SMALL_TALK, demo_day.PERSONAL, demo_day.TIMELY, demo_day.RUSH)
    texts = [text for group in groups for text in group]
    assert len(set(texts)) == len(texts)
    assert 40 <= len(texts) + 1 <= 60


@pytest.fixture
async def lived():
    day = Day(demo_day.scripted_day(0, 60), seed=0, time_scale=0.01, on_answer=lambda: None)
    with day.server:
        yield await day.without(), await day.with_resopt()


async def test_both_runs_answer_everything_and_the_sums_agree(lived):
    without, optimized = lived
    assert len(without.answers) == len(optimized.answers) == 60
    assert without.received.requests == 60 + without.received.faults["429"]
    calls = optimized.report.outcomes["miss"] + optimized.report.outcomes.get("bypass", 0)
    assert optimized.received.requests == calls + optimized.received.faults["429"]
    assert optimized.report.spent == optimized.received.picodollars < without.received.picodollars
    assert len(check(without, optimized)) == 3
    letter = [each for each in optimized.answers if each.ask.text == demo_day.AFTER_THE_LETTER]
    assert sum(each.response.trace.outcome == "miss" for each in letter) == 1
    own = [each for each in optimized.answers if each.ask.at in (34_200.0, 34_260.0, 34_320.0)]
    assert [each.response.trace.outcome for each in own] == ["miss", "miss", "hit"]


async def test_moments_may_overlap():
    in_turn = next(moment for moment in demo_day.scripted_day() if moment.in_turn)
    between = demo_day.Ask(34_230.0, "customer-09", "What is an IBAN?")
    moments = [in_turn, demo_day.Moment((between,))]
    day = Day(moments, seed=0, time_scale=0, on_answer=lambda: None)
    with day.server:
        optimized = await day.with_resopt()
    assert [each.response.trace.outcome for each in optimized.answers] == ["miss", "miss", "hit", "miss"]


async def test_the_checks_can_fail(lived):
    without, optimized = lived

    def changed(place, **changes):
        answers = list(optimized.answers)
        answered = answers[place]
        answers[place] = Answered(answered.ask, msgspec.structs.replace(answered.response, **changes), answered.seconds)
        return msgspec.structs.replace(optimized, answers=tuple(answers))

    with pytest.raises(DemoError, match="differs"):
        check(without, changed(5, text="Something else."))
    report = msgspec.structs.replace(optimized.report, spent=optimized.report.spent + 1)
    with pytest.raises(DemoError, match="picodollars were spent, but the provider billed"):
        check(without, msgspec.structs.replace(optimized, report=report))
    first, second = (place for place, each in enumerate(optimized.answers) if each.ask.at in (34_200.0, 34_260.0))
    leak = changed(second, trace=optimized.answers[first].response.trace)
    with pytest.raises(DemoError, match="customer-02 was given customer-01's answer"):
        check(without, leak)
    assert isinstance(leak, Lived)


def test_an_error_of_many_requests_is_one_error():
    async def fail():
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(refuse)

    async def refuse():
        raise DemoError("no answer")

    with pytest.raises(DemoError, match="no answer"):
        _run(fail)


@pytest.mark.timeout(60)
def test_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "resopt", "demo", "--quick"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("✓") == 6
    for words in ("the provider's bill", "latency, P95", "from memory", "it for customer-02", "makes 1 call for 10"):
        assert words in done.stdout
