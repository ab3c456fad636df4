"""Invariant 6: money is exact, and spent + avoided = baseline for every record, by mechanism and in all.

The expected sums are made here from the published rules with fractions of dollars, apart from the code under test.
"""

from collections import Counter
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from resopt.metrics.ledger import Ledger
from resopt.metrics.prices import PriceBook
from resopt.types import Scope, Step, Usage

PRICES = {
    "large": {"input": "2.5", "output": "10", "cached_input": "1.25", "cache_write": "3.125"},
    "small": {"input": "0.15", "output": "0.6", "cached_input": "0.075"},
    "odd": {"input": "0.333333", "output": "0.000001"},
}
NAMES = ["large", "small", "odd", "large-2026-01-02", "openai/small", "nobody-knows"]
SAVED = {"hit": ["exact", "folded", "semantic"], "coalesced": ["coalesced"]}


@st.composite
def usages(draw):
    cached, written, fresh = (draw(st.integers(0, 10**6)) for _ in range(3))
    return Usage(
        input_tokens=cached + written + fresh,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=draw(st.integers(0, 10**6)),
        reasoning_tokens=draw(st.integers(0, 100)),
    )


@st.composite
def requests(draw):
    outcome = draw(st.sampled_from(["hit", "coalesced", "miss", "bypass", "error", "cancelled"]))
    mechanism = draw(st.sampled_from(SAVED.get(outcome, [None, None, "route"])))
    return {
        "outcome": outcome,
        "mechanism": mechanism,
        "model": draw(st.sampled_from(NAMES)),
        "served_model": draw(st.none() | st.sampled_from(NAMES)),
        "usage": draw(st.none() | usages()),
        "latency": draw(st.floats(0, 1e6)),
        "upstream_latency": draw(st.none() | st.floats(0, 1e6)),
        "scope": draw(st.sampled_from([Scope(), Scope(tenant="t"), Scope(user="u")])),
        "stages": draw(st.sampled_from([(), (Step("cache", "miss", "", 0.001),)])),
        "ts": draw(st.floats(0, 2e9)),
    }


def dollars(name, usage):
    """Dollars by the published price, as a fraction; None when the name has none."""
    price = PRICES.get({"large-2026-01-02": "large", "openai/small": "small"}.get(name, name))
    if price is None:
        return None
    cached, written = usage.cached_input_tokens, usage.cache_write_tokens
    return (
        (usage.input_tokens - cached - written) * Fraction(price["input"])
        + cached * Fraction(price.get("cached_input", price["input"]))
        + written * Fraction(price.get("cache_write", price["input"]))
        + usage.output_tokens * Fraction(price["output"])
    ) / 10**6


def expected(request):
    """(spent, baseline) in dollars of one request; None where unknown."""
    usage, asked, served = request["usage"], request["model"], request["served_model"] or request["model"]
    failed = request["outcome"] in ("error", "cancelled")
    if usage is None or usage.total_tokens == 0:
        spent = 0 if failed or request["outcome"] in SAVED else None
        return spent, 0 if failed else None
    of_asked, of_served = dollars(asked, usage), dollars(served, usage)
    if request["outcome"] in SAVED:
        return 0, of_served if of_asked is None else of_asked
    if request["mechanism"] == "route":
        return of_served, of_asked
    spent = of_asked if of_served is None else of_served
    return spent, spent


def check(report, requests_):
    spent = baseline = unknown = Fraction(0)
    avoided = Counter()
    for request in requests_:
        one_spent, one_baseline = expected(request)
        if one_spent is None or one_baseline is None:
            unknown += 1
            continue
        spent += one_spent
        baseline += one_baseline
        avoided[request["mechanism"]] += one_baseline - one_spent
    assert avoided.pop(None, 0) == 0
    assert (report.requests, report.unknown_prices) == (len(requests_), unknown)
    assert report.priced_requests == len(requests_) - unknown
    for value, dollars_ in ((report.spent, spent), (report.baseline, baseline), (report.avoided, baseline - spent)):
        assert type(value) is int
        assert Fraction(value, 10**12) == dollars_
    assert report.spent + report.avoided == report.baseline
    by_mechanism = {saving.mechanism: saving.avoided for saving in report.savings}
    assert sum(by_mechanism.values()) == report.avoided
    assert {name: value for name, value in by_mechanism.items() if value} == {
        name: value * 10**12 for name, value in avoided.items() if value
    }
    assert sum(model.spent for model in report.models) == report.spent
    assert sum(model.avoided for model in report.models) == report.avoided
    assert sum(model.requests for model in report.models) == report.requests == sum(report.outcomes.values())


@settings(deadline=None, max_examples=150)
@given(st.lists(requests(), max_size=30), st.lists(requests(), max_size=10))
def test_spent_plus_avoided_is_the_baseline(first, second):
    ledger, other = Ledger(PRICES, keep=3), Ledger(PriceBook(PRICES), keep=0)
    for request in first:
        record = ledger.record(**request)
        if record.cost is not None and record.baseline_cost is not None:
            assert record.cost + sum(record.avoided.values()) == record.baseline_cost
            assert record.cost + record.avoided_cost == record.baseline_cost
    for request in second:
        other.record(**request)
    assert len(ledger.records) == min(len(first), 3)
    check(ledger.summary(), first)
    check(other.summary(), second)
    ledger.merge(other)
    check(ledger.summary(), first + second)
    check(other.summary(), second)


@settings(deadline=None, max_examples=50)
@given(st.lists(requests(), max_size=20))
def test_no_token_is_billed_and_avoided_at_once(all_requests):
    ledger = Ledger(PRICES)
    billed = avoided = 0
    for request in all_requests:
        record = ledger.record(**request)
        tokens = request["usage"].total_tokens if request["usage"] else 0
        saved = request["outcome"] in SAVED
        assert (record.usage.total_tokens, record.avoided_usage.total_tokens) == ((0, tokens) if saved else (tokens, 0))
        billed += 0 if saved else tokens
        avoided += tokens if saved else 0
    report = ledger.summary()
    assert (report.billed.total_tokens, report.avoided_tokens.total_tokens) == (billed, avoided)
