"""The same invariant where a request took detours: other models, shorter prompts, discounts, further calls, audits.

What each mechanism avoided is worked out here from the published prices in fractions of dollars.
"""

from collections import Counter
from fractions import Fraction

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from test_money import NAMES, PRICES, SAVED, dollars, requests, usages

from resopt.metrics.ledger import Ledger
from resopt.types import Billed, Detour

billed = st.builds(
    Billed,
    mechanism=st.sampled_from(["route", "rewrite", "verifier", "prompt"]),
    model=st.sampled_from(NAMES),
    usage=st.none() | usages(),
)


@st.composite
def detoured(draw):
    request = draw(requests().filter(lambda one: one["outcome"] in ("hit", "miss", "bypass", "coalesced")))
    if request["outcome"] not in SAVED:
        request["mechanism"] = None  # the detour says it
    request["detour"] = Detour(
        mechanism=draw(st.sampled_from([None, "route"])),
        shortened=draw(st.integers(0, 10**5)),
        replayed=draw(st.integers(0, 10**5)),
        discount=draw(st.sampled_from([0, 0, 50])),
        also=tuple(draw(st.lists(billed, max_size=3))),
    )
    return request


def longer(usage, detour):
    """What was left out would have gone the way of the rest: read from the provider's cache, or written to it."""
    replayed = min(detour.replayed, detour.shortened) if usage.cached_input_tokens else 0
    fresh = detour.shortened - replayed if usage.cache_write_tokens else 0
    return msgspec.structs.replace(
        usage,
        input_tokens=usage.input_tokens + detour.shortened,
        cached_input_tokens=usage.cached_input_tokens + replayed,
        cache_write_tokens=usage.cache_write_tokens + fresh,
    )


def priced(name, other, usage):
    if usage is None or usage.total_tokens == 0:
        return None
    found = dollars(name, usage)
    return dollars(other, usage) if found is None and other is not None else found


def parts(request):
    """(spent, baseline, avoided by mechanism) in dollars; None where a price is unknown."""
    usage, detour, asked = request["usage"], request["detour"], request["model"]
    served = request["served_model"] or asked
    saved = request["outcome"] in SAVED
    routed = detour.mechanism is not None and not saved
    whole = priced(asked, None if routed else request["served_model"], usage and longer(usage, detour))
    further = [(call.mechanism, priced(call.model, None, call.usage)) for call in detour.also]
    if whole is None or any(cost is None for _, cost in further):
        return None, whole, {}
    avoided = Counter()
    if saved:
        avoided[request["mechanism"]] += whole
    else:
        plain = priced(asked, None if routed else request["served_model"], usage)
        real = priced(served, None, usage) if routed else plain
        if plain is None or real is None:
            return None, whole, {}
        avoided["prompt"] += whole - plain
        if routed:
            avoided["route"] += plain - real
        if detour.discount:
            avoided["deferred"] += Fraction(int(real * 10**12) * detour.discount // 100, 10**12)
    for name, cost in further:
        avoided[name] -= cost
    return whole - sum(avoided.values()), whole, avoided


@settings(deadline=None, max_examples=200)
@given(st.lists(detoured(), max_size=15), st.lists(billed, max_size=4))
def test_every_mechanism_accounts_for_its_own_step(all_requests, background):
    ledger, copy = Ledger(PRICES), Ledger(PRICES)
    spent = baseline = Fraction(0)
    avoided, unknown = Counter(), 0
    for request in all_requests:
        record = ledger.record(**request)
        one_spent, one_baseline, one_avoided = parts(request)
        if one_spent is None:
            assert record.cost is None
            assert record.avoided == {}
            unknown += 1
            continue
        assert Fraction(record.cost, 10**12) == one_spent
        assert Fraction(record.baseline_cost, 10**12) == one_baseline
        assert record.cost + sum(record.avoided.values()) == record.baseline_cost
        spent += one_spent
        baseline += one_baseline
        avoided.update(one_avoided)
    for call in background:
        record = ledger.background(call.mechanism, call.model, call.usage)
        if record.cost is not None:
            spent += Fraction(record.cost, 10**12)
            avoided[call.mechanism] -= Fraction(record.cost, 10**12)
    copy.merge(ledger)
    for report in (ledger.summary(), copy.summary()):
        assert Fraction(report.spent, 10**12) == spent
        assert Fraction(report.baseline, 10**12) == baseline
        assert report.spent + report.avoided == report.baseline
        assert (report.requests, report.unknown_prices) == (len(all_requests), unknown)
        found = {saving.mechanism: saving.avoided for saving in report.savings if saving.avoided}
        assert found == {name: value * 10**12 for name, value in avoided.items() if value}
