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


async def test_unknown_usage_teaches_nothing():
    learning = TokenLearning()
    optimizer = AsyncOptimizer(Scripted(usage=None), stages=[learning])
    assert (await optimizer.complete(TEXT, model="claude-sonnet-5")).text
    assert optimizer.skipped == {}


def test_what_cannot_learn_is_refused():
    with pytest.raises(ConfigurationError):
        TokenLearning({})
