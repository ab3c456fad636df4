"""A stage that changes nothing: it teaches `TokenRatios` what real replies were billed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resopt.errors import ConfigurationError
from resopt.tokens.models import tokens_of
from resopt.tokens.ratios import TokenRatios

if TYPE_CHECKING:
    from resopt.stage import Prepared
    from resopt.types import Request, Response


class TokenLearning:
    """Lets estimates learn in the pipeline: `AsyncOptimizer(provider, stages=[…, TokenLearning(ratios)])`.

    Put it last: it learns from what was sent. It learns of the model asked for and of the one that the reply names:
    tokens are counted by either, and behind an alias (`prod-chat`) they are two.

    Args:
        ratios: what learns; a new one when None.

    Raises:
        ConfigurationError: `ratios` is something else.
    """

    name = "tokens"
    policy = ""

    def __init__(self, ratios: TokenRatios | None = None) -> None:
        if ratios is not None and not isinstance(ratios, TokenRatios):
            raise ConfigurationError(f"ratios must be a TokenRatios or None, not {type(ratios).__name__}")
        self.ratios = TokenRatios() if ratios is None else ratios

    def prepare(self, request: Request) -> Prepared | None:  # noqa: ARG002 - of the protocol
        """Nothing is changed."""
        return None

    def again(self, request: Request, response: Response) -> Prepared | None:  # noqa: ARG002 - of the protocol
        """Nothing is asked again."""
        return None

    def learn(self, request: Request, response: Response) -> None:
        """Compare what was billed with what o200k counts."""
        if response.usage is None or not response.usage.input_tokens:
            return
        models = {tokens_of(model).name: model for model in (request.model, response.model) if model}
        for model in models.values():
            self.ratios.learn(model, request, response.usage.input_tokens)
