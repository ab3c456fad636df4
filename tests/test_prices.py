"""Prices: exact conversion, names, validation, and the bundled snapshot against genai-prices' own arithmetic."""

import socket
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from resopt.errors import ConfigurationError, MissingExtraError
from resopt.metrics.prices import Price, PriceBook
from resopt.types import Usage

MILLION = Usage(input_tokens=10**6, output_tokens=10**6)
DOLLAR = 10**12


def test_costs_are_exact_picodollars():
    book = PriceBook({"m": Price("2.50", 10, cached_input="1.25", cache_write="3.125")})
    usage = Usage(input_tokens=1_000, cached_input_tokens=300, cache_write_tokens=200, output_tokens=7)
    assert book.cost("m", usage) == 500 * 2_500_000 + 300 * 1_250_000 + 200 * 3_125_000 + 7 * 10_000_000
    assert book.cost("m", Usage()) == 0


@pytest.mark.parametrize("amount", ["0.1", 0.1, Decimal("0.1"), "1e-1"])
def test_a_price_means_the_number_that_is_written(amount):
    assert PriceBook({"m": Price(amount, 0)}).cost("m", Usage(input_tokens=3)) == 300_000


def test_cached_and_written_tokens_cost_as_input_unless_priced():
    usage = Usage(input_tokens=10, cached_input_tokens=4, cache_write_tokens=3)
    assert PriceBook({"m": Price(1, 2)}).cost("m", usage) == 10 * 10**6
    assert PriceBook({"m": Price(1, 2, cached_input=0)}).cost("m", usage) == 6 * 10**6


def test_long_prompts_are_charged_at_their_tier_as_a_whole():
    book = PriceBook({"m": Price(1, 2, above={200: Price(3, 4), 100: Price(2, 3)})})
    assert book.cost("m", Usage(input_tokens=100, output_tokens=1)) == 102 * 10**6
    assert book.cost("m", Usage(input_tokens=101, output_tokens=1)) == (202 + 3) * 10**6
    assert book.cost("m", Usage(input_tokens=201, output_tokens=1)) == (603 + 4) * 10**6


def test_prices_are_rounded_once_half_to_even():
    book = PriceBook({"m": Price("0.0000015", "0.0000025"), "third": Price(1 / 3, 0)})
    assert book.cost("m", MILLION) == 2 * 10**6 + 2 * 10**6
    assert book.cost("third", Usage(input_tokens=1)) == 333_333


@pytest.mark.parametrize(
    ("usage", "why"),
    [
        (Usage(input_tokens=-1), "negative"),
        (Usage(input_tokens=10, output_tokens=-1), "negative"),
        (Usage(input_tokens=10, cached_input_tokens=-1), "negative"),
        (Usage(input_tokens=10, cache_write_tokens=-1), "negative"),
        (Usage(input_tokens=10, cached_input_tokens=6, cache_write_tokens=5), "more cached than sent"),
    ],
)
def test_a_usage_that_contradicts_itself_has_no_cost(usage, why):
    assert PriceBook({"m": Price(1, 1)}).cost("m", usage) is None, why


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o",
        "GPT-4o",
        "gpt-4o-2024-08-06",
        "gpt-4o-20240806",
        "gpt-4o@20240806",
        "gpt-4o-latest",
        "openai/gpt-4o",
        "openrouter/openai/gpt-4o-2024-08-06",
    ],
)
def test_names_of_one_model_share_its_price(name):
    assert PriceBook({"gpt-4o": (2.5, 10)}).cost(name, MILLION) == 12.5 * DOLLAR


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-mini",
        "gpt-4o-mini-2024-07-18",
        "gpt-4",
        "ft:gpt-4o:acme::id",
        "gpt-4o:free",
        "gpt-4o-2024-13-06",
        "gpt-4o-0613",
        "gpt-4o/openai",
        "",
        "/",
        "-2024-08-06",
    ],
)
def test_other_models_stay_unknown(name):
    book = PriceBook({"gpt-4o": (2.5, 10)})
    assert book.cost(name, MILLION) is None
    assert book.price(name) is None


def test_the_most_exact_name_counts():
    book = PriceBook(
        {"gpt-4o": (1, 1), "gpt-4o-2024-05-13": (2, 2), "azure/gpt-4o": (3, 3), "azure/gpt-4o-2024-05-13": (4, 4)}
    )
    each = {
        "gpt-4o-2024-08-06": 1,
        "openai/gpt-4o": 1,
        "gpt-4o-2024-05-13": 2,
        "openai/gpt-4o-2024-05-13": 2,
        "azure/gpt-4o": 3,
        "azure/gpt-4o-2024-08-06": 3,
        "azure/gpt-4o-2024-05-13": 4,
    }
    assert {name: book.cost(name, MILLION) for name in each} == {name: 2 * n * DOLLAR for name, n in each.items()}
    assert PriceBook({"openai/gpt-4o": (1, 1)}).cost("gpt-4o", MILLION) is None


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ((-1, 1), "from 0 up"),
        (("nan", 1), "from 0 up"),
        ((float("inf"), 1), "from 0 up"),
        (("cheap", 1), "'cheap'"),
        ((True, 1), "bool"),
        ((None, 1), "NoneType"),
        ((2_000_000, 1), "more than a dollar for each token"),
        (("0.0000001", 1), "less than can be counted"),
        ((1, 2, 3), "pair"),
        (5, "pair"),
        ({"input": 1}, "output"),
        ({"input": 1, "output": 1, "cached": 1}, "cached"),
        ({"input": 1, "output": 1, "above": 5}, "above"),
        ({"input": 1, "output": 1, "above": {0: Price(1, 1)}}, "above"),
        ({"input": 1, "output": 1, "above": {5: (1, 1)}}, "above"),
    ],
)
def test_bad_prices_are_refused_by_name(price, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        PriceBook({"some-model": price})
    assert "some-model" in str(caught.value)


def test_bad_books_and_names_are_refused():
    with pytest.raises(ConfigurationError, match="must map"):
        PriceBook([("gpt-4o", 1)])
    with pytest.raises(ConfigurationError, match="model name"):
        PriceBook({7: (1, 1)})
    with pytest.raises(ConfigurationError, match="two prices"):
        PriceBook({"GPT-4o": (1, 1), "gpt-4o": (1, 1)})
    with pytest.raises(ConfigurationError, match="model must be a str"):
        PriceBook().cost(7, MILLION)


def test_many_made_up_names_do_not_grow_the_book():
    book = PriceBook({"gpt-4o": (1, 1)})
    for number in range(10_000):
        assert book.cost(f"model-{number}", MILLION) is None
    assert len(book._rates) <= 4_096
    assert book.cost("gpt-4o", MILLION) == 2 * DOLLAR


# The bundled snapshot.

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_the_bundled_prices_agree_with_genai_prices_own_arithmetic():
    from genai_prices import Usage as TheirUsage
    from genai_prices.data import providers

    book = PriceBook.bundled(at=AT)
    compared = 0
    for provider in providers:
        for model in provider.models:
            name = f"{provider.id}/{model.id}"
            for tokens in (1_000, 150_000, 300_000):
                usage = Usage(
                    input_tokens=tokens, cached_input_tokens=tokens // 4, cache_write_tokens=10, output_tokens=500
                )
                cost = book.cost(name, usage)
                if cost is None:
                    continue
                theirs = _their_model(providers, name).calc_price(
                    TheirUsage(
                        input_tokens=tokens, cache_read_tokens=tokens // 4, cache_write_tokens=10, output_tokens=500
                    ),
                    provider,
                    genai_request_timestamp=AT,
                )
                # A listed price finer than our unit is rounded by half a picodollar for each token at most.
                assert abs(Decimal(cost) - theirs.total_price * DOLLAR) <= (tokens + 500) / 2, name
                compared += 1
    assert compared > 3_000


def _their_model(providers, name):
    from genai_prices.data_snapshot import DataSnapshot

    provider, _, model = name.partition("/")
    return DataSnapshot(providers=providers, from_auto_update=False).find_provider_model(model, None, provider, None)[1]


def test_the_bundled_book_knows_models_with_and_without_their_provider():
    book = PriceBook.bundled(at=AT)
    for name in ("gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o", "openrouter/openai/gpt-4o"):
        assert book.cost(name, MILLION) == 12.5 * DOLLAR
    tiers = book.price("claude-sonnet-4-5")
    assert tiers.above[200_000].input > tiers.input


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("perplexity/sonar", "a fee per request besides the tokens"),
        ("perplexity/sonar-deep-research", "reasoning tokens have their own price"),
        ("deepseek/deepseek-chat", "the price depends on the hour of the day"),
        ("github-copilot/gpt-4o", "listed without a price"),
        ("groq/whisper-large-v3", "charged by the hour of audio"),
        ("gpt-4o-that-nobody-made", "no such model"),
        ("no-such-provider/gpt-4o", "no such provider"),
    ],
)
def test_what_token_counts_cannot_price_is_unknown(name, why):
    assert PriceBook.bundled(at=AT).cost(name, MILLION) is None, why


def test_the_users_own_prices_come_first():
    book = PriceBook.bundled({"gpt-4o": (1, 1), "house-model": (0, 0)}, at=AT)
    assert book.cost("openai/gpt-4o", MILLION) == 2 * DOLLAR
    assert book.cost("house-model", MILLION) == 0
    assert book.cost("gpt-4o-mini", MILLION) == PriceBook.bundled(at=AT).cost("gpt-4o-mini", MILLION) != 0


def test_the_bundled_book_never_opens_a_connection_nor_a_thread(monkeypatch):
    from genai_prices import data_snapshot

    def refuse(*arguments, **options):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    before = threading.active_count()
    # What an updater elsewhere in the process has fetched must not reach us either.
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot(providers=[], from_auto_update=True))
    try:
        assert PriceBook.bundled().cost("gpt-4o", MILLION) is not None
    finally:
        data_snapshot.set_custom_snapshot(None)
    assert threading.active_count() == before


def test_without_the_extra_the_message_names_it(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "genai_prices"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(MissingExtraError, match=r"resopt\[prices\]"):
        PriceBook.bundled()
