"""Ratios learned from usage: a band that holds, memory that is bounded, files that survive damage."""

import random
import threading

import pytest

from resopt import Request, TokenRatios, count_tokens, fits, truncate
from resopt.errors import ConfigurationError

MODEL = "claude-sonnet-5"
PROSE = "The parcel is still waiting at the depot although it should have been here by Tuesday. "
JSON = '{"id": "ord_9f31", "items": [{"sku": "SH-42", "quantity": 1}], "paid": true}\n'
CHINESE = "您好，我的订单什么时候发货？我已经等了三天了。谢谢！"


def taught(ratio=1.4, spread=0.05, replies=100, text=PROSE, seed=1):
    chance, ratios = random.Random(seed), TokenRatios()
    for _ in range(replies):
        content = text * chance.randint(2, 30)
        tokens = count_tokens(content).tokens * chance.uniform(ratio - spread, ratio + spread)
        assert ratios.learn(MODEL, content, round(tokens))
    return ratios


def test_a_learned_ratio_replaces_the_assumed_one_and_its_band_holds():
    ratios = taught()
    before, after = count_tokens(PROSE * 10, MODEL), count_tokens(PROSE * 10, MODEL, ratios=ratios)
    base = count_tokens(PROSE * 10).tokens
    assert after.tokens == pytest.approx(1.4 * base, rel=0.02)
    assert 1.33 * base < after.low < 1.37 * base
    assert 1.43 * base < after.high < 1.47 * base
    assert (after.high - after.low) < (before.high - before.low) / 2
    assert after.basis == "ratio"
    assert ratios.ratio(MODEL, "prose").seen == 100


def test_nine_replies_in_ten_lie_in_the_band():
    ratios, chance = taught(spread=0.2, replies=400), random.Random(9)
    inside = 0
    for _ in range(300):
        content = PROSE * chance.randint(2, 30)
        tokens = count_tokens(content).tokens * chance.uniform(1.2, 1.6)
        count = count_tokens(content, MODEL, ratios=ratios)
        inside += count.low <= tokens <= count.high
    assert 0.84 <= inside / 300 <= 0.96


def test_classes_are_learned_apart():
    ratios = taught(ratio=2.0, text=CHINESE)
    assert ratios.ratio(MODEL, "cjk").value == pytest.approx(2.0, rel=0.02)
    assert ratios.ratio(MODEL, "prose") == TokenRatios().ratio(MODEL, "prose")
    assert ratios.ratio(MODEL, "prose").seen == 0


def test_spellings_and_releases_of_a_model_are_one_and_versions_and_sizes_are_not():
    ratios = TokenRatios()
    ratios.learn("claude-sonnet-5-20260901", PROSE * 5, 150)
    ratios = TokenRatios.from_bytes(ratios.to_bytes())
    same = (
        "claude-sonnet-5",
        "Anthropic/Claude-Sonnet-5",
        "anthropic.claude-sonnet-5-20260901-v1:0",
        "claude-sonnet-5:free",
    )
    assert [ratios.ratio(model, "prose").seen for model in same] == [1] * 4
    others = ("claude-sonnet-4-5", "claude-opus-5", "claude-sonnet-5-5", "claude-sonnet-51", "sonnet-5")
    assert [ratios.ratio(model, "prose").seen for model in others] == [0] * 5
    pairs = [
        ("gemini-2.5-pro", "gemini-2-5-pro"),
        ("deepseek-v3", "deepseek"),
        ("qwen2.5:7b", "qwen2.5"),
        ("2026-01-01", ""),
    ]
    for model, other in pairs:
        ratios.learn(model, PROSE * 5, 150)
        assert ratios.ratio(model, "prose").seen == 1
        assert ratios.ratio(other, "prose").seen == (other == "gemini-2-5-pro"), model


def test_a_few_replies_widen_the_assumed_band_only():
    ratios, assumed = taught(replies=3), TokenRatios().ratio(MODEL, "prose")
    learned = ratios.ratio(MODEL, "prose")
    assert learned.seen == 3
    assert learned.low <= assumed.low
    assert learned.high >= assumed.high


def test_requests_teach_without_their_frame_and_mixed_ones_what_the_rest_leaves():
    ratios = TokenRatios()
    for _ in range(30):
        request = Request.chat(PROSE * 20, model=MODEL)
        frame = 3 + 3
        assert ratios.learn(MODEL, request, round(count_tokens(PROSE * 20).tokens * 1.5) + frame + 1)
    assert ratios.ratio(MODEL, "prose").value == pytest.approx(1.5, rel=0.01)
    code = ratios.ratio(MODEL, "code").value
    messages = [{"role": "user", "content": PROSE * 20}, {"role": "user", "content": JSON}]
    mixed = count_tokens(PROSE * 20).tokens * 1.5 + count_tokens(JSON).tokens * code + 2 + 3 * 2 + 3
    assert ratios.learn(MODEL, messages, round(mixed))
    assert ratios.ratio(MODEL, "prose").high == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize(
    ("model", "content", "tokens"),
    [
        ("gpt-4o", PROSE * 5, 100),  # exact already
        (MODEL, "Hi", 3),  # too short
        (MODEL, PROSE * 5 + "\n", 0),  # nothing was billed
        (
            MODEL,
            [{"role": "user", "content": [{"type": "image", "source": {}}, {"type": "text", "text": PROSE * 5}]}],
            900,
        ),
        (MODEL, [{"role": "user", "content": [{"type": "file"}, {"type": "text", "text": PROSE * 5}]}], 900),
        (MODEL, [{"role": "user", "content": PROSE * 5}, {"role": "user", "content": JSON * 4}], 300),  # half and half
    ],
)
def test_some_replies_teach_nothing(model, content, tokens):
    ratios = TokenRatios()
    assert not ratios.learn(model, content, tokens)
    assert ratios.to_bytes() == TokenRatios().to_bytes()


def test_a_model_that_changes_is_learned_anew():
    ratios = taught(ratio=1.2, spread=0.01, replies=1000)
    for _ in range(1001):
        ratios.learn(MODEL, PROSE * 10, round(count_tokens(PROSE * 10).tokens * 1.6))
    assert ratios.ratio(MODEL, "prose").low == pytest.approx(1.6, rel=0.01)
    assert ratios.ratio(MODEL, "prose").seen <= 1000


def test_memory_is_bounded_and_the_longest_unused_model_goes_first():
    ratios = TokenRatios(max_models=3)
    for number in range(3):
        ratios.learn(f"model-{number}", PROSE * 3, 80)
    ratios.learn("model-0", PROSE * 3, 80)
    ratios.learn("model-3", PROSE * 3, 80)
    assert [ratios.ratio(f"model-{number}", "prose").seen for number in range(4)] == [2, 0, 1, 1]


def test_estimates_go_by_the_learned_ratio():
    ratios = taught(ratio=2.0, spread=0.02)
    text = PROSE * 10
    tokens = count_tokens(text).tokens
    assert fits(text, round(tokens * 1.7), MODEL)
    assert not fits(text, round(tokens * 1.9), MODEL, ratios=ratios)
    assert fits(text, round(tokens * 2.1), MODEL, ratios=ratios)
    assert len(truncate(text, 50, MODEL, ratios=ratios)) < len(truncate(text, 50, MODEL))


def test_saving_and_loading_brings_everything_back(tmp_path):
    ratios = taught()
    ratios.learn("mistral-large", CHINESE * 5, 200)
    path = tmp_path / "ratios"
    ratios.save(path)
    again = TokenRatios.load(path)
    assert again.to_bytes() == ratios.to_bytes()
    assert again.ratio(MODEL, "prose") == ratios.ratio(MODEL, "prose")
    assert [file.name for file in tmp_path.iterdir()] == ["ratios"]


def test_a_missing_file_is_a_fresh_start_and_a_damaged_one_says_so(tmp_path):
    path = tmp_path / "ratios"
    assert TokenRatios.load(path).ratio(MODEL, "prose").seen == 0
    data = taught().to_bytes()
    for damaged in (
        b"",
        b"RSTR",
        data[:-1],
        data + b"x",
        data[:40] + bytes([data[40] ^ 1]) + data[41:],
        b"X" + data[1:],
    ):
        path.write_bytes(damaged)
        with pytest.warns(RuntimeWarning, match="damaged"):
            assert TokenRatios.load(path).ratio(MODEL, "prose").seen == 0
        with pytest.raises(ConfigurationError, match="damaged"):
            TokenRatios.from_bytes(damaged)


def test_what_is_no_file_is_a_fresh_start_that_says_so_and_is_never_written(tmp_path):
    with pytest.warns(RuntimeWarning, match="cannot be read"):
        assert TokenRatios.load(tmp_path).ratio(MODEL, "prose").seen == 0
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(OSError, match="taken"):
        TokenRatios().save(taken)
    assert [file.name for file in tmp_path.iterdir()] == ["taken"]


def test_bad_arguments_are_refused():
    for call in (
        lambda: TokenRatios(0),
        lambda: TokenRatios("3"),
        lambda: TokenRatios().learn(MODEL, PROSE, -1),
        lambda: TokenRatios().learn(MODEL, PROSE, 1.5),
        lambda: TokenRatios().learn(MODEL, PROSE, True),
        lambda: TokenRatios().learn(3, PROSE, 1),
        lambda: TokenRatios().learn(MODEL, PROSE, 10**5000),
        lambda: TokenRatios().ratio(MODEL, "poems"),
        lambda: TokenRatios().ratio(MODEL, []),
        lambda: TokenRatios.from_bytes(None),
        lambda: TokenRatios.from_bytes("RSTR"),
        lambda: TokenRatios.load(None),
        lambda: TokenRatios.load("a\0b"),
        lambda: TokenRatios.load("missing", max_models=0),
        lambda: TokenRatios().save(None),
    ):
        with pytest.raises(ConfigurationError):
            call()


def test_threads_learn_without_losing_a_reply():
    ratios, start = TokenRatios(), threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(100):
            ratios.learn(MODEL, PROSE * 3, 80)
            ratios.ratio(MODEL, "prose")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ratios.ratio(MODEL, "prose").seen == 400
