"""The ledger, its report, and profiles: figures worked out by hand, threads, bad input."""

import io
import json
import math
import random
import subprocess
import sys
import threading

import msgspec
import pytest

from resopt._core import Tally
from resopt.errors import ConfigurationError, ProviderTimeoutError
from resopt.metrics.ledger import Ledger
from resopt.metrics.prices import PriceBook
from resopt.metrics.profile import Baseline, Profile, profile_request
from resopt.metrics.render import dollars, seconds, size
from resopt.metrics.report import CacheFigures
from resopt.types import EVERYONE, Request, Response, Scope, Step, Trace, Usage

PRICES = {"large": (2, 10), "small": (1, 1)}
USAGE = Usage(input_tokens=100, output_tokens=30)  # 500 picodollars·10⁶ at `large`, 130 at `small`
LARGE, SMALL = 500 * 10**6, 130 * 10**6


def a_day():
    """One hit, one coalesced, two misses, one routed miss, one error, one bypass without a price; a second apart."""
    ledger = Ledger(PRICES)
    common = {"model": "large", "served_model": "large", "usage": USAGE}
    rows = [
        {"outcome": "miss", "latency": 1.1, "upstream_latency": 1.0, **common},
        {"outcome": "miss", "latency": 2.1, "upstream_latency": 2.0, **common},
        {"outcome": "hit", "mechanism": "exact", "latency": 0.001, "upstream_latency": 1.0, "age": 5.0, **common},
        {"outcome": "coalesced", "latency": 0.5, "upstream_latency": 2.0, **common},
        {"outcome": "miss", "mechanism": "route", "latency": 0.3, **common, "served_model": "small"},
        {"outcome": "error", "latency": 9.0, "model": "large", "error": ProviderTimeoutError("slow")},
        {"outcome": "bypass", "latency": 0.4, "model": "secret", "served_model": "secret", "usage": USAGE},
    ]
    for second, row in enumerate(rows):
        ledger.record(ts=1_000.0 + second, **row)
    return ledger


def test_a_hit_spends_nothing_and_avoids_its_whole_baseline():
    record = Ledger(PRICES, clock=lambda: 42.0).record(
        outcome="hit", mechanism="folded", model="large", served_model="large-2026-01-01", usage=USAGE,
        latency=2e-5, upstream_latency=0.8, age=60.0,
    )  # fmt: skip
    assert (record.cost, record.baseline_cost, record.avoided) == (0, LARGE, {"folded": LARGE})
    assert (record.usage.total_tokens, record.avoided_usage) == (0, USAGE)
    assert (record.ts, record.latency, record.baseline_latency, record.age) == (42.0, 2e-5, 0.8, 60.0)
    assert record.id
    assert record.scope == ""


def test_a_miss_costs_what_the_model_that_answered_charges():
    ledger = Ledger(PRICES)
    alias = ledger.record(outcome="miss", model="large", served_model="small", usage=USAGE, latency=1.0)
    assert (alias.cost, alias.baseline_cost, alias.avoided) == (SMALL, SMALL, {})
    deployment = ledger.record(outcome="miss", model="large", served_model="my-deployment", usage=USAGE, latency=1.0)
    assert (deployment.cost, deployment.baseline_cost) == (LARGE, LARGE)
    routed = ledger.record(
        outcome="miss", mechanism="route", model="large", served_model="small", usage=USAGE, latency=1.0
    )
    assert (routed.cost, routed.baseline_cost, routed.avoided) == (SMALL, LARGE, {"route": LARGE - SMALL})
    dearer = ledger.record(
        outcome="miss", mechanism="route", model="small", served_model="large", usage=USAGE, latency=1.0
    )
    assert dearer.avoided == {"route": SMALL - LARGE}
    unknown = ledger.record(outcome="miss", mechanism="route", model="large", served_model="x", usage=USAGE, latency=1)
    assert (unknown.cost, unknown.baseline_cost, unknown.avoided) == (None, LARGE, {})


@pytest.mark.parametrize("usage", [None, Usage()])
@pytest.mark.parametrize("outcome", ["miss", "bypass"])
def test_an_answer_whose_usage_the_provider_did_not_say_has_no_cost(outcome, usage):
    ledger = Ledger(PRICES)
    record = ledger.record(outcome=outcome, model="large", served_model="large", usage=usage, latency=1.0)
    assert (record.cost, record.baseline_cost, record.avoided_cost) == (None, None, None)
    assert ledger.summary().unknown_prices == 1


@pytest.mark.parametrize("outcome", ["error", "cancelled"])
def test_failures_cost_nothing_unless_they_were_billed(outcome):
    ledger = Ledger(PRICES)
    free = ledger.record(outcome=outcome, model="no-price", latency=1.0, error="ServerError")
    assert (free.cost, free.baseline_cost, free.error) == (0, 0, "ServerError")
    billed = ledger.record(outcome=outcome, model="large", usage=USAGE, latency=1.0)
    assert (billed.cost, billed.baseline_cost, billed.avoided) == (LARGE, LARGE, {})
    report = ledger.summary()
    assert (report.unknown_prices, report.spent, report.avoided) == (0, LARGE, 0)
    assert report.latency.requests == 0


def test_the_report_of_a_day_worked_out_by_hand():
    report = a_day().summary()
    assert report.requests == 7
    assert report.outcomes == {"bypass": 1, "coalesced": 1, "error": 1, "hit": 1, "miss": 3}
    assert report.errors == {"ProviderTimeoutError": 1}
    assert report.hit_rate == pytest.approx(1 / 7)
    assert report.no_call_rate == pytest.approx(2 / 7)
    assert (report.started, report.ended, report.window) == (1_000.0, 1_006.0, 6.0)
    assert report.requests_per_second == pytest.approx(7 / 6)
    assert (report.priced_requests, report.unknown_prices) == (6, 1)
    assert (report.spent, report.baseline) == (2 * LARGE + SMALL, 5 * LARGE)
    assert report.avoided == 3 * LARGE - SMALL
    assert report.avoided_share == pytest.approx(report.avoided / report.baseline)
    assert report.cost_per_request == round(report.spent / 6)
    assert report.daily == round(report.spent * 86_400 / 6)
    assert report.monthly == pytest.approx(30 * report.daily, abs=30)
    assert report.baseline_monthly == round(report.baseline * 30 * 86_400 / 6)
    assert [(s.mechanism, s.requests, s.avoided, s.avoided_tokens) for s in report.savings] == [
        ("coalesced", 1, LARGE, 130),
        ("exact", 1, LARGE, 130),
        ("route", 1, LARGE - SMALL, 0),
    ]
    assert sum(s.share for s in report.savings) == pytest.approx(report.avoided_share)
    models = {m.model: (m.requests, m.calls, m.spent, m.unknown_prices) for m in report.models}
    assert models == {"large": (5, 2, 2 * LARGE, 0), "small": (1, 1, SMALL, 0), "secret": (1, 1, 0, 1)}
    assert report.billed == Usage(input_tokens=400, output_tokens=120)
    assert report.avoided_tokens == Usage(input_tokens=200, output_tokens=60)
    assert report.tokens_per_request == pytest.approx(520 / 7)
    assert report.baseline_tokens_per_request == pytest.approx(780 / 7)


def test_latencies_are_told_apart_by_what_answered():
    report = a_day().summary()
    assert (report.latency.requests, report.latency.maximum) == (6, 2.1)  # the error is not an answer
    assert report.hit_latency.p95 == pytest.approx(0.001, rel=0.01)
    assert report.miss_latency.requests == 3
    assert report.miss_latency.p50 == pytest.approx(1.1, rel=0.01)
    assert report.miss_latency.mean == pytest.approx(3.5 / 3)
    large = next(model for model in report.models if model.model == "large")
    assert (large.latency.requests, large.latency.maximum) == (2, 2.1)  # hits say nothing of the model's speed
    assert report.baseline_latency.mean == pytest.approx((1.0 + 2.0 + 1.0 + 2.0 + 0.3 + 0.4) / 6)


def test_stage_times_are_summed_by_stage():
    ledger = Ledger(PRICES)
    steps = (Step("key", "made", "", 0.002), Step("cache", "miss", "", 0.004), Step("freshness", "generic"))
    for _ in range(3):
        ledger.record(outcome="miss", model="large", usage=USAGE, latency=1.0, stages=steps)
    stages = ledger.summary().stages
    assert {name: (stage.requests, stage.maximum) for name, stage in stages.items()} == {
        "key": (3, 0.002),
        "cache": (3, 0.004),
    }
    assert ledger.records[0].stages == steps


def test_the_text_shows_every_figure_and_stays_narrow():
    ledger = a_day()
    ledger.attach(lambda: CacheFigures(entries=12_345, bytes=6_789_000, ages={"< 1 min": 1, "< 1 h": 3}))
    out = io.StringIO()
    report = ledger.report(file=out)
    text = out.getvalue()
    assert text == f"{report}\n"
    for figure in (
        "7 requests in 6.00 s (1.17 per second)", "Hit rate 14.3 %", "$0.00113", "$0.00250", "54.8 %", "per 30 days",
        "coalesced", "exact", "route", "P50", "P95", "P99", "without resopt", "cache hits", "cache misses", "to small",
        "ProviderTimeoutError 1", "12,345 entries, 6.79 MB", "< 1 h: 75.0 %", "unknown: 1 requests (14.3 %)",
    ):  # fmt: skip
        assert figure in text, figure
    assert max(map(len, text.splitlines())) <= 100
    for line in text.splitlines():
        assert line == line.rstrip()


def test_the_text_stays_narrow_and_short_with_long_names_and_large_sums():
    ledger = Ledger({"*": (1, 1), **{f"{'m' * 60}{n}": (900_000, 900_000) for n in range(30)}})
    huge = Usage(input_tokens=10**9, output_tokens=10**9)
    for number in range(30):
        ledger.record(outcome="miss", model=f"{'m' * 60}{number}", usage=huge, latency=86_399.0, ts=number * 1e5)
    text = str(ledger.summary())
    assert max(map(len, text.splitlines())) <= 100
    assert "… and 18 more" in text
    assert "$54,000,000,000.00" in text


def test_the_report_is_plain_data():
    ledger = a_day()
    ledger.attach(lambda: {"entries": 1, "bytes": 2, "ages": {"< 1 min": 1}})
    plain = json.loads(json.dumps(ledger.summary().to_dict()))
    assert plain["spent"] + plain["avoided"] == plain["baseline"] == 5 * LARGE
    assert plain["cache"] == {"entries": 1, "bytes": 2, "ages": {"< 1 min": 1}, "notes": []}
    assert plain["savings"][0]["mechanism"] == "coalesced"
    assert plain["units"]["money"].startswith("picodollars")


def test_an_empty_ledger_and_a_single_record_divide_by_nothing():
    empty = Ledger().summary()
    assert (empty.requests, empty.hit_rate, empty.cost_per_request, empty.avoided_share) == (0, 0.0, None, None)
    assert Ledger().hit_rate == 0.0
    assert "no requests" in str(empty)
    json.dumps(empty.to_dict())
    ledger = Ledger(PRICES)
    ledger.record(outcome="miss", model="large", usage=USAGE, latency=0.0)
    single = ledger.summary()
    assert (single.requests_per_second, single.daily, single.monthly) == (None, None, None)
    assert single.cost_per_request == LARGE
    assert "n/a" in str(single)


def test_unknown_prices_are_counted_and_never_zero():
    ledger = Ledger()
    hit = ledger.record(outcome="hit", mechanism="exact", model="m", usage=USAGE, latency=0.1)
    assert (hit.cost, hit.baseline_cost, hit.avoided_cost, hit.avoided) == (0, None, None, {})
    ledger.record(outcome="miss", model="m", usage=USAGE, latency=0.1)
    report = ledger.summary()
    assert (report.requests, report.unknown_prices, report.priced_requests) == (2, 2, 0)
    assert (report.cost_per_request, report.avoided_share) == (None, None)
    assert "no figure of money includes them" in str(report)


def test_records_are_bounded_and_sums_are_not():
    ledger = Ledger(PRICES, keep=10)
    for number in range(5_000):
        ledger.record(outcome="miss", model="large", usage=USAGE, latency=0.1, ts=float(number))
    assert [record.ts for record in ledger.records] == [float(n) for n in range(4_990, 5_000)]
    assert ledger.summary().spent == 5_000 * LARGE
    ledger.reset()
    assert ledger.records == []
    assert ledger.summary().requests == 0


def test_made_up_model_and_error_names_do_not_grow_the_sums():
    ledger = Ledger(PRICES)
    for number in range(2_000):
        ledger.record(outcome="error", model=f"model-{number}", latency=0.1, error=f"Error{number}")
    report = ledger.summary()
    assert report.requests == 2_000
    assert len(report.models) == 257
    assert len(report.errors) == 65
    assert report.models[0].model == "(other)"
    assert sum(report.errors.values()) == sum(model.requests for model in report.models) == 2_000


def test_scopes_are_told_apart_and_never_named():
    ledger = Ledger(PRICES, scope_key=b"k")

    def digest(scope, ledger=ledger):
        return ledger.record(outcome="miss", model="large", latency=0.1, scope=scope).scope

    digests = [
        digest(scope)
        for scope in (Scope(tenant="acme"), Scope(user="acme"), Scope(namespace="acme"), Scope(tenant="ac", user="me"))
    ]
    assert len(set(digests)) == 4
    assert all(len(digest) == 16 and "acme" not in digest for digest in digests)
    assert digest(Scope()) == ""
    assert digest(Scope(tenant="acme")) == digests[0] == digest(Scope(tenant="acme"), Ledger(scope_key=b"k"))
    assert digest(Scope(tenant="acme"), Ledger()) != digests[0]


@pytest.mark.parametrize(
    "bad",
    [{"outcome": "maybe"}, {"latency": -1.0}, {"latency": float("nan")}, {"upstream_latency": float("inf")},
     {"upstream_latency": -0.5}],
)  # fmt: skip
def test_bad_records_are_refused_and_not_counted(bad):
    ledger = Ledger(PRICES)
    with pytest.raises(ConfigurationError, match="outcome" if "outcome" in bad else "latencies"):
        ledger.record(**{"outcome": "miss", "model": "large", "latency": 1.0, **bad})
    assert ledger.summary().requests == 0


def test_bad_options_are_refused():
    for keep in (-1, 1.5, "many"):
        with pytest.raises(ConfigurationError, match="keep"):
            Ledger(keep=keep)
    for key in (b"", b"x" * 65, "text"):
        with pytest.raises(ConfigurationError, match="scope_key"):
            Ledger(scope_key=key)
    ledger = Ledger()
    with pytest.raises(ConfigurationError, match="itself"):
        ledger.merge(ledger)
    for figures in ({"entries": 1}, {"entries": "many", "bytes": 1}, 7):
        ledger.attach(lambda figures=figures: figures)
        with pytest.raises(ConfigurationError, match="entries, bytes, ages"):
            ledger.summary()


def test_a_record_never_waits_for_a_reader():
    ledger = Ledger(PRICES)
    done = threading.Event()

    def write():
        for _ in range(3_000):
            ledger.record(outcome="hit", mechanism="exact", model="large", usage=USAGE, latency=1e-5)
        done.set()

    with ledger._lock:  # a reader that takes for ever
        threading.Thread(target=write, daemon=True).start()
        assert done.wait(30)
    assert ledger.summary().requests == 3_000


def test_writers_empty_the_queue_when_nobody_reads():
    ledger = Ledger(PRICES)
    for _ in range(5_000):
        ledger.record(outcome="hit", mechanism="exact", model="large", usage=USAGE, latency=1e-5)
    assert len(ledger._queue) <= 128
    assert ledger.summary().requests == 5_000


def test_what_waited_for_a_reader_is_counted_by_the_next_writers_in_order():
    ledger = Ledger(PRICES)
    with ledger._lock:
        ids = [ledger.record(outcome="miss", model="large", usage=USAGE, latency=1.0).id for _ in range(1_000)]
    assert len(ledger._queue) == 1_000
    ids += [ledger.record(outcome="miss", model="large", usage=USAGE, latency=1.0).id for _ in range(40)]
    assert len(ledger._queue) <= 128
    assert [record.id for record in ledger.records] == ids
    assert ledger.summary().spent == 1_040 * LARGE


@pytest.mark.parametrize("usage", [USAGE, None, Usage(), Usage(input_tokens=7, cached_input_tokens=9)])
@pytest.mark.parametrize("scope", [EVERYONE, Scope(tenant="acme", user="ann")])
@pytest.mark.parametrize("model", ["large", "unheard-of", "alias"])
@pytest.mark.parametrize("seconds", [0.0, 0.7])
def test_a_hit_is_written_down_as_record_would(usage, scope, model, seconds):
    ledger = Ledger({**PRICES, "small-2026": (1, 1)}, clock=lambda: 42.0)
    steps = (Step("cache", "hit", "the same request was answered before"),)
    trace = Trace(outcome="hit", mechanism="folded", key=bytes(16), age=60.0, steps=steps)
    found = Response(text="Yes.", model="small-2026", usage=usage, latency=seconds, trace=trace)
    request = Request.chat("Is it?", model=model, scope=scope)
    expected = ledger.record(
        outcome="hit", mechanism="folded", model=model, served_model="small-2026", usage=usage, latency=2e-5,
        upstream_latency=seconds, scope=scope, stages=steps, age=60.0, key=bytes(16), id="same",
    )  # fmt: skip
    written = ledger.hit(request, found, 2e-5)
    assert written.id != "same"
    assert msgspec.structs.replace(written, id="same") == expected
    assert ledger.summary().outcomes == {"hit": 2}
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ConfigurationError, match="latencies"):
            ledger.hit(request, found, bad)


def test_a_tally_is_exact_and_merges():
    chance = random.Random(5)
    whole, parts = Tally(), [Tally(), Tally(), Tally()]
    money, billed = [0, 0, 0], [0] * 5
    for number in range(3_000):
        cost, avoided = chance.randrange(10**15), chance.randrange(-(10**25), 10**25)
        usage = Usage(**{name: chance.randrange(10**6) for name in Usage.__struct_fields__})
        unknown = chance.randrange(10) == 0
        amounts = (None if unknown else cost, cost + avoided, avoided)
        for tally in (whole, parts[number % 3]):
            tally.count(*amounts, usage, None, 0.25, 1.0 + number)
        billed = [sum(both) for both in zip(billed, msgspec.structs.astuple(usage), strict=True)]
        if not unknown:
            money = [sum(both) for both in zip(money, amounts, strict=True)]
    for part in parts[1:]:
        parts[0].merge(part)
    whole.merge(Tally())
    for tally in (whole, parts[0]):
        assert [tally.spent, tally.baseline, tally.avoided] == money
        assert tally.spent + tally.avoided == tally.baseline
        assert list(tally.billed_tokens) == billed
        assert tally.avoided_tokens == (0, 0, 0, 0, 0)
        assert (tally.requests, tally.latency.count, tally.baseline_latency.maximum) == (3_000, 3_000, 3_000.0)
    assert whole.unknown == parts[0].unknown > 0
    whole.merge(whole)
    assert whole.requests == 6_000


def test_what_no_tally_can_hold_is_unknown_and_what_is_no_number_is_refused():
    tally = Tally()
    tally.count(10**40, 10**40, 0, None, None, 1.0, 1.0)
    assert (tally.requests, tally.unknown, tally.spent) == (1, 1, 0)
    with pytest.raises(TypeError):
        tally.count("1", 1, 0, None, None, 1.0, 1.0)
    with pytest.raises(ConfigurationError, match="finite numbers from 0 up"):
        tally.count(1, 1, 0, None, None, 1.0, -1.0)
    assert (tally.requests, tally.latency.count) == (1, 1)


def run(writers, readers, done):
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()


def test_eight_writers_and_two_readers_lose_nothing_and_count_nothing_twice():
    ledger, other = Ledger(PRICES, keep=100_000), Ledger(PRICES)
    writers, each = 8, 3_000
    start, done = threading.Barrier(writers + 2), threading.Event()
    wrong = []

    def write(number):
        start.wait()
        for index in range(each):
            outcome = ("hit", "miss", "coalesced")[index % 3]
            ledger.record(outcome=outcome, model=f"m{number}", usage=USAGE, latency=0.1, ts=float(number))

    def read():
        start.wait()
        seen = 0
        while not done.is_set():
            report = ledger.summary()
            rate, held = ledger.hit_rate, len(ledger.records)
            if not (report.requests >= seen and 0 <= rate <= 1 and held >= report.requests):
                wrong.append((report.requests, seen, rate, held))
            if report.spent + report.avoided != report.baseline:
                wrong.append(report)
            seen = report.requests

    ledger.prices = PriceBook({f"m{number}": (2, 10) for number in range(writers)})
    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    run(threads, readers, done)
    other.merge(ledger)
    assert not wrong
    records = ledger.records
    assert len({record.id for record in records}) == len(records) == writers * each
    for report in (ledger.summary(), other.summary()):
        assert report.requests == writers * each
        assert report.outcomes == {"hit": 8_000, "miss": 8_000, "coalesced": 8_000}
        assert {model.requests for model in report.models} == {each}
        assert (report.spent, report.avoided) == (8_000 * LARGE, 16_000 * LARGE)
        assert report.latency.requests == report.baseline_latency.requests == writers * each


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_child_does_not_repeat_its_parents_ids():
    script = (
        "import os\n"
        "from resopt.metrics.ledger import Ledger\n"
        "ledger = Ledger()\n"
        "child = os.fork()\n"
        "if child:\n"  # the parent writes second: two writers would mix their lines in the pipe
        "    os.waitpid(child, 0)\n"
        "print(ledger.record(outcome='miss', model='m', latency=0.1).id, flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    child, parent = done.stdout.split()
    assert parent != child


@pytest.mark.parametrize(
    ("picodollars", "text"),
    [(None, "n/a"), (0, "$0.00"), (1, "$0.00000000000100"), (123 * 10**6, "$0.000123"), (-5 * 10**11, "-$0.500"),
     (999 * 10**9, "$0.999"), (10**12, "$1.00"), (1_234_567 * 10**10, "$12,345.67")],
)  # fmt: skip
def test_money_reads_as_dollars(picodollars, text):
    assert dollars(picodollars) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "n/a"), (0.0, "0.00 µs"), (12.34e-6, "12.3 µs"), (0.5, "500 ms"), (2.345, "2.35 s"), (600.0, "10.0 min"),
     (86_400.0, "24.0 h"), (864_000.0, "10.0 days")],
)  # fmt: skip
def test_times_read_in_their_unit(value, text):
    assert seconds(value) == text


def test_sizes_read_in_their_unit():
    assert [size(n) for n in (0, 999, 1_000, 1_234_567, 5 * 10**9)] == ["0 B", "999 B", "1.00 kB", "1.23 MB", "5.00 GB"]


# Profiles and baselines.

ANSWER = Response(text="4", model="large", usage=USAGE)


def test_a_call_is_measured_and_priced():
    def call(prompt, *, model):
        assert (prompt, model) == ("2+2?", "large")
        return ANSWER

    profile = profile_request(call, "2+2?", model="large", prices=PriceBook(PRICES))
    assert profile.response is ANSWER
    assert 0 <= profile.latency < 5
    assert (profile.usage, profile.cost) == (USAGE, LARGE)
    assert "Tokens: 130 | Cost: $0.000500 | Model: large" in str(profile)


def test_without_prices_or_usage_the_cost_is_unknown():
    assert profile_request(lambda: ANSWER).cost is None
    silent = Response(text="4", model="large")
    assert profile_request(lambda: silent, prices=PriceBook(PRICES)).cost is None
    with pytest.raises(ConfigurationError, match="return a Response, not str"):
        profile_request(lambda: "4")
    with pytest.raises(ZeroDivisionError):
        profile_request(lambda: 1 / 0)


def test_an_optimizers_answer_brings_its_own_bill():
    hit = Response(text="4", model="large", usage=USAGE, trace=Trace(id="a-1", outcome="hit", cost=0))
    profile = profile_request(lambda: hit, prices=PriceBook(PRICES))
    assert (profile.cost, profile.usage.total_tokens) == (0, 0)


@pytest.mark.anyio
async def test_an_async_call_is_measured_to_its_end():
    import anyio

    async def call(request):
        await anyio.sleep(0.05)
        return ANSWER

    profile = await profile_request(call, Request.chat("2+2?"), prices=PriceBook(PRICES))
    assert profile.latency >= 0.045
    assert profile.cost == LARGE


def test_a_baseline_sums_up_profiles_and_compares_with_a_report():
    profiles = [
        Profile(response=ANSWER, latency=latency, usage=USAGE, cost=LARGE) for latency in (1.0, 1.0, 1.0, 2.0, 3.0)
    ]
    baseline = Baseline.of(profiles)
    assert (baseline.requests, baseline.average_cost, baseline.tokens_per_request) == (5, LARGE, 130.0)
    assert baseline.average_latency == pytest.approx(1.6)
    assert baseline.p50_latency == pytest.approx(1.0, rel=0.001)
    assert baseline.p95_latency == pytest.approx(2.0, rel=0.001)
    comparison = baseline.compare(a_day().summary())
    assert comparison.average_latency.share == pytest.approx((1.1 + 2.1 + 0.001 + 0.5 + 0.3 + 0.4) / 6 / 1.6 - 1)
    assert comparison.average_cost.share == pytest.approx((2 * LARGE + SMALL) / 6 / LARGE - 1, abs=1e-6)
    text = str(comparison)
    assert "P95 latency" in text
    assert "-62.3 %" in text


def test_a_baseline_may_be_typed_in_and_know_only_a_part():
    comparison = Baseline(average_latency=1.2, p95_latency=2.5).compare(Ledger().summary())
    assert comparison.average_latency.share is None
    assert "n/a" in str(comparison)
    with pytest.raises(ConfigurationError, match="at least one"):
        Baseline.of([])
    unknown = Profile(response=ANSWER, latency=1.0, usage=USAGE, cost=None)
    assert Baseline.of([unknown]).average_cost is None
