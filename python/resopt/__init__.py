"""resopt: answers from memory, exact keys, honest accounting. The public names; heavy ones load on first use."""

# ruff: noqa: F401 - what a type checker sees of the lazy names below
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resopt._core import KeySpace, ManualClock, guard_names
    from resopt.batch.adaptive import AdaptiveBatcher
    from resopt.batch.deferred import Deferred, DeferredStatus
    from resopt.batch.embedding import EmbeddingBatcher
    from resopt.batch.figures import BatchFigures
    from resopt.batch.gather import batch_process, batch_process_blocking
    from resopt.batch.hedging import HedgedProvider
    from resopt.batch.limits import LimitFigures, Limits
    from resopt.batch.processor import BatchProcessor
    from resopt.batch.prompting import BatchPrompt
    from resopt.batch.stream import BatchStream
    from resopt.cache.embedding import Embedder
    from resopt.cache.freshness import Freshness
    from resopt.cache.function import cached
    from resopt.cache.judging import equal_answers, similar_answers
    from resopt.cache.memory import Cache
    from resopt.cache.response import ResponseCache
    from resopt.cache.second import LLMVerifier, Rewriter
    from resopt.cache.semantic import SemanticCache
    from resopt.cache.tiers import MultiTierCache
    from resopt.errors import (
        AuthenticationError,
        BadRequestError,
        BatchError,
        BatchInputError,
        BudgetExceededError,
        CacheMissError,
        CheckpointError,
        ClosedError,
        ConfigurationError,
        DamagedModelError,
        DeadlineError,
        FlightRecursionError,
        InvalidRequestError,
        ItemCancelledError,
        MissingExtraError,
        ProviderConnectionError,
        ProviderError,
        ProviderResponseError,
        ProviderTimeoutError,
        QueueFullError,
        RateLimitError,
        ResoptError,
        RoutingError,
        ServerError,
        StreamLagError,
        UnkeyableError,
        UnknownHandleError,
    )
    from resopt.flight import Flight
    from resopt.metrics.ledger import Ledger
    from resopt.metrics.prices import Price, PriceBook
    from resopt.metrics.profile import Baseline, profile_request
    from resopt.metrics.report import Report
    from resopt.optimizer import AsyncOptimizer
    from resopt.prompt.compress import CompressedContext, compress_context
    from resopt.prompt.history import PrunedHistory, prune_history
    from resopt.prompt.length import AnswerLength
    from resopt.prompt.optimizer import OptimizedPrompt, optimize_prompt
    from resopt.prompt.prefix import PrefixPlanner, pays_after
    from resopt.prompt.stage import PromptFigures, PromptOptimizer
    from resopt.providers.anthropic_batches import AnthropicBatches
    from resopt.providers.openai import OpenAIProvider
    from resopt.providers.openai_batches import OpenAIBatches
    from resopt.providers.simulated import SimulatedServer
    from resopt.quality.feedback import Feedback
    from resopt.quality.guardrail import Guardrails
    from resopt.quality.judge import Judge
    from resopt.quality.signals import append_signals
    from resopt.rollout.buckets import Rollout, optimization_enabled, use_rollout
    from resopt.rollout.experiment import Experiment
    from resopt.rollout.plan import pairs_needed, per_arm_needed
    from resopt.rollout.shadow import Shadow
    from resopt.route.answers import AnswerScorer
    from resopt.route.budget import Budget, Limit
    from resopt.route.cascade import CostAwareRouter
    from resopt.route.complexity import Complexity, analyze_complexity
    from resopt.route.router import ModelRouter
    from resopt.route.tier import RoutePolicy, Tier
    from resopt.route.wishes import routing
    from resopt.sync import Optimizer
    from resopt.terms import on_terms
    from resopt.tokens import (
        TokenCount,
        TokenRatios,
        count_tokens,
        count_tokens_many,
        decode,
        decode_many,
        encode,
        encode_many,
        fits,
        fits_many,
        truncate,
        truncate_many,
    )
    from resopt.tokens.learning import TokenLearning
    from resopt.types import Request, Response, Scope, Step, ToolCall, Trace, Usage
    from resopt.wrap import transport
    from resopt.wrap.options import last, options
    from resopt.wrap.wrapping import wrap

_HOMES = {
    "_core": ("KeySpace", "ManualClock", "guard_names"),
    "batch.adaptive": ("AdaptiveBatcher",),
    "batch.deferred": ("Deferred", "DeferredStatus"),
    "batch.embedding": ("EmbeddingBatcher",),
    "batch.figures": ("BatchFigures",),
    "batch.gather": ("batch_process", "batch_process_blocking"),
    "batch.hedging": ("HedgedProvider",),
    "batch.limits": ("LimitFigures", "Limits"),
    "batch.processor": ("BatchProcessor",),
    "batch.prompting": ("BatchPrompt",),
    "batch.stream": ("BatchStream",),
    "cache.freshness": ("Freshness",),
    "cache.function": ("cached",),
    "cache.memory": ("Cache",),
    "cache.embedding": ("Embedder",),
    "cache.judging": ("equal_answers", "similar_answers"),
    "cache.response": ("ResponseCache",),
    "cache.second": ("LLMVerifier", "Rewriter"),
    "cache.semantic": ("SemanticCache",),
    "cache.tiers": ("MultiTierCache",),
    "errors": (
        "AuthenticationError",
        "BadRequestError",
        "BudgetExceededError",
        "BatchError",
        "BatchInputError",
        "CacheMissError",
        "CheckpointError",
        "ClosedError",
        "ConfigurationError",
        "DamagedModelError",
        "DeadlineError",
        "FlightRecursionError",
        "InvalidRequestError",
        "ItemCancelledError",
        "MissingExtraError",
        "ProviderConnectionError",
        "ProviderError",
        "ProviderResponseError",
        "ProviderTimeoutError",
        "QueueFullError",
        "RateLimitError",
        "ResoptError",
        "RoutingError",
        "ServerError",
        "StreamLagError",
        "UnkeyableError",
        "UnknownHandleError",
    ),
    "flight": ("Flight",),
    "metrics.ledger": ("Ledger",),
    "metrics.prices": ("Price", "PriceBook"),
    "metrics.profile": ("Baseline", "profile_request"),
    "metrics.report": ("Report",),
    "optimizer": ("AsyncOptimizer",),
    "providers.anthropic_batches": ("AnthropicBatches",),
    "providers.openai_batches": ("OpenAIBatches",),
    "prompt.compress": ("CompressedContext", "compress_context"),
    "prompt.history": ("PrunedHistory", "prune_history"),
    "prompt.length": ("AnswerLength",),
    "prompt.optimizer": ("OptimizedPrompt", "optimize_prompt"),
    "prompt.prefix": ("PrefixPlanner", "pays_after"),
    "prompt.stage": ("PromptFigures", "PromptOptimizer"),
    "providers.openai": ("OpenAIProvider",),
    "providers.simulated": ("SimulatedServer",),
    "quality.feedback": ("Feedback",),
    "quality.guardrail": ("Guardrails",),
    "quality.judge": ("Judge",),
    "quality.signals": ("append_signals",),
    "route.budget": ("Budget", "Limit"),
    "rollout.buckets": ("Rollout", "optimization_enabled", "use_rollout"),
    "rollout.experiment": ("Experiment",),
    "rollout.plan": ("pairs_needed", "per_arm_needed"),
    "rollout.shadow": ("Shadow",),
    "route.answers": ("AnswerScorer",),
    "route.cascade": ("CostAwareRouter",),
    "route.complexity": ("Complexity", "analyze_complexity"),
    "route.router": ("ModelRouter",),
    "route.tier": ("RoutePolicy", "Tier"),
    "route.wishes": ("routing",),
    "sync": ("Optimizer",),
    "terms": ("on_terms",),
    "tokens.learning": ("TokenLearning",),
    "tokens": (
        "TokenCount",
        "TokenRatios",
        "count_tokens",
        "count_tokens_many",
        "decode",
        "decode_many",
        "encode",
        "encode_many",
        "fits",
        "fits_many",
        "truncate",
        "truncate_many",
    ),
    "wrap.options": ("last", "options"),
    "wrap.transport": ("transport",),
    "wrap.wrapping": ("wrap",),
    "types": ("Request", "Response", "Scope", "Step", "ToolCall", "Trace", "Usage"),
}
_HOME_OF = {name: f"resopt.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604 - the names are those of the table above
    *_HOME_OF,
    "__version__",
]


def __getattr__(name: str) -> object:
    """Load the module of a public name when it is first used, so that importing resopt costs next to nothing."""
    if name == "__version__":
        from resopt._core import __version__

        return __version__
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'resopt' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(home)
    value = getattr(module, name, module)  # `transport` is a module itself
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
