"""Estimates learn in the pipeline from what real replies were billed."""

import pytest

from asking import Scripted
from resopt import AsyncOptimizer, ConfigurationError, TokenLearning, Usage, count_tokens

pytestmark = pytest.mark.anyio

TEXT = "The quick brown fox jumps over the lazy dog, and nobody in the village thinks anything of it any more. " * 8


async def test_what_was_billed_moves_the_estimate():
    learning = TokenLearning()
    before = count_tokens(TEXT, "claude-sonnet-5", ratios=learning.ratios)
    provider = Scripted(usage=Usage(input_tokens=3 * before.tokens, output_tokens=5))
    optimizer = AsyncOptimizer(provider, stages=[learning])
    for number in range(30):
        await optimizer.complete(f"{TEXT} {number}", model="claude-sonnet-5")
    after = count_tokens(TEXT, "claude-sonnet-5", ratios=learning.ratios)
    assert not after.exact
    assert after.tokens > 2 * before.tokens
    assert optimizer.skipped == {}


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("claude-sonnet-5", "claude-sonnet-5-20260901"),
        ("anthropic/claude-sonnet-5", "claude-sonnet-5-20260901"),
        ("us.anthropic.claude-sonnet-5-20260901-v1:0", "claude-sonnet-5"),
        ("claude-opus-4.7", "claude-opus-4-7@20260114"),
        ("gemini-flash", "gemini-3-flash-001"),  # an alias that says nothing of what is behind it
        ("prod-chat", ""),
    ],
)
async def test_what_a_dated_model_is_billed_is_learned_of_the_one_asked_for(asked, named):
    learning = TokenLearning()
    before = count_tokens(TEXT, asked, ratios=learning.ratios)
    optimizer = AsyncOptimizer(
        Scripted(model=named, usage=Usage(input_tokens=3 * before.tokens, output_tokens=5)), stages=[learning]
    )
    for number in range(40):
        await optimizer.complete(f"{TEXT} {number}", model=asked)
    assert optimizer.skipped == {}
    for model in filter(None, (asked, named)):
        assert count_tokens(TEXT, model, ratios=learning.ratios).tokens > 2 * before.tokens, model
        assert learning.ratios.ratio(model, "prose").seen == 40


async def test_unknown_usage_teaches_nothing():
    learning = TokenLearning()
    optimizer = AsyncOptimizer(Scripted(usage=None), stages=[learning])
    assert (await optimizer.complete(TEXT, model="claude-sonnet-5")).text
    assert optimizer.skipped == {}


def test_what_cannot_learn_is_refused():
    with pytest.raises(ConfigurationError):
        TokenLearning({})
