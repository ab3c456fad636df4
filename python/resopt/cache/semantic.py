"""A response cache that also knows questions in other words, keeps to an error budget, and can be corrected.

The exact tier comes first and is not slowed down. What it does not find is looked for by meaning: nominated by a
vector, vetoed by guards, judged by a verifier, calibrated by what was learnt here, and served only where the
probability that the stored answer fits keeps the budget. A wrong answer is worse than a miss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from resopt._core import EMBEDDER_DIMENSIONS, Partition
from resopt.cache.audit import Audit
from resopt.cache.checks import seconds, share
from resopt.cache.embedding import Embedder
from resopt.cache.explain import Explanation, explain
from resopt.cache.meaning import Meaning
from resopt.cache.response import ResponseCache
from resopt.cache.second import Rewriter
from resopt.cache.space import Spaces
from resopt.cache.vectors import KINDS, open_index
from resopt.cache.verdicts import Opinions
from resopt.errors import ConfigurationError
from resopt.types import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from resopt.cache.audit import Judge, SemanticFigures
    from resopt.cache.embedding import EmbeddingFunction
    from resopt.cache.vectors import VectorStore
    from resopt.types import Response

Profile = Literal["strict", "balanced", "eager"]
"""How careful a namespace is before it has labels of its own: `strict` serves from a calibrated probability of .97 and
only where no content word is left over and the question word is the same, `balanced` from .95, `eager` from .90 and
then only rewritten."""

POLICY: Final = "1"
"""Version of what decides which questions may meet; a change starts clean."""


class SemanticCache(ResponseCache):
    """A `ResponseCache` that also serves answers to questions that mean the same, within an error budget.

    Args:
        similarity_threshold: with `verifier=None`, the cosine from which an answer is served.
        max_wrong_hits: the share of semantic hits that may be wrong. Where local labels allow, what is served is chosen
            to keep it; when they show that it is not kept, the namespace falls back to exact matching.
        profile: what is served before there are labels, see `Profile`.
        embedder: a function `list[str] -> array`, plain or async, or an `Embedder`; None for the bundled one (English,
            no download).
        verifier: `"bundled"`; a callable `(question, other_question, other_answer) -> probability`; an `LLMVerifier`;
            None for nobody, and then a plain cosine decides.
        guards: names of the guards that may refuse (`resopt.guard_names()`); None for all.
        rewriter: a `Rewriter` that adapts stored answers; needed by `eager`.
        judge: says whether two answers are the same, for audits and labels: `similar_answers`, `equal_answers`, or a
            callable of the same form, plain or async.
        audit_share: share of semantic hits for which the real answer is fetched in the background and compared.
        label_share: share of misses with a candidate whose answer is compared with the candidate's.
        index: `flat` looks at sign codes of all vectors, `exact` rules out every missed neighbour by a proven bound
            (the bundled embedder always does), `hnsw` is a graph for millions of entries (extra `hnsw`).
        deadline: seconds to wait for a user's embedder or verifier; then the question is a miss.
        **settings: as for `ResponseCache`.

    Raises:
        ConfigurationError: an argument is of the wrong type or outside its range.
    """

    def __init__(
        self,
        similarity_threshold: float = 0.95,
        *,
        max_wrong_hits: float = 0.02,
        profile: Profile = "strict",
        embedder: EmbeddingFunction | Embedder | None = None,
        verifier: Any = "bundled",
        guards: Iterable[str] | None = None,
        rewriter: Rewriter | None = None,
        judge: Judge | None = None,
        audit_share: float = 0.02,
        label_share: float = 0.05,
        index: Literal["flat", "exact", "hnsw"] = "flat",
        deadline: float = 0.1,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if profile not in get_args(Profile):
            raise ConfigurationError(f"profile must be one of {', '.join(get_args(Profile))}, not {profile!r}")
        if rewriter is not None and not isinstance(rewriter, Rewriter):
            raise ConfigurationError(f"rewriter must be a Rewriter or None, not {type(rewriter).__name__}")
        if profile == "eager" and rewriter is None:
            raise ConfigurationError("profile='eager' serves nothing as it is: give rewriter=Rewriter(model=…) too")
        deadline = seconds("deadline", deadline)
        if embedder is not None and not isinstance(embedder, Embedder):
            embedder = Embedder(embedder, deadline=deadline)
        opinions = Opinions(verifier, deadline)
        options: dict[str, Any] = {
            "verifier": opinions.kind,
            "profile": profile,
            "max_wrong_hits": share("max_wrong_hits", max_wrong_hits),
            "similarity_threshold": share("similarity_threshold", similarity_threshold),
            "audit_rate": share("audit_share", audit_share),
            "miss_rate": share("label_share", label_share),
            "guards": None if guards is None else _names(guards),
            "exact": index == "exact",
        }
        if index not in KINDS:
            raise ConfigurationError(f"index must be one of {', '.join(KINDS)}, not {index!r}")
        made = embedder

        def partition() -> tuple[Partition, VectorStore | None]:
            dimensions = None if made is None else made.dimensions
            graph = open_index(index, dimensions or EMBEDDER_DIMENSIONS) if index == "hnsw" else None
            return Partition(dimensions=dimensions, **options), graph

        if embedder is None:
            partition()  # what is wrong with an option shows now
        name = "bundled" if embedder is None else f"own:{embedder.name}"
        self.meaning = Meaning(
            Spaces(partition),
            embedder=embedder,
            opinions=opinions,
            rewriter=rewriter,
            policy=f"{POLICY}:{name}:{opinions.kind}:{','.join(sorted(options['guards'] or ()))}",
        )
        self.audit = Audit(self.meaning, judge)

    def report_bad_hit(self, which: Response | str) -> int:
        """Take back an answer that was wrong; how many stored answers were dropped.

        Evicts it with all that came from it, bars the two questions and what is near them from each other for good, and
        lowers what the namespace believes of such pairs.

        Args:
            which: the response, or its `trace.id`.

        Raises:
            ConfigurationError: it is neither, or nothing is known of such an id (only the last 10,000 are).
        """
        return self.audit.report(self, which)

    def explain(self, request: Request | str, **parameters: Any) -> Explanation:
        """Why a question would be served from memory or not: candidates, reasons, probabilities, decision.

        Changes nothing and counts nothing. A user's own embedder is not asked here: its vectors are those it gave
        before.

        Args:
            request: a `Request`, or the text of a question.
            **parameters: with a text, what `Request.chat` takes.
        """
        if isinstance(request, str):
            request = Request.chat(request, **parameters)
        return explain(self, self.meaning_tier, request)

    @property
    def meaning_tier(self) -> Meaning:
        """What finds answers to questions in other words."""
        meaning = self.meaning
        if meaning is None:
            raise ConfigurationError("this cache has lost its semantic tier")
        return meaning

    @property
    def semantic(self) -> SemanticFigures:
        """Figures of the semantic tier: hits, labels, the bound on the wrong share, and where it has retreated."""
        return self.audit.figures()

    def figures(self) -> dict[str, Any]:
        """Entries, bytes, ages, and what is known of the semantic hits, for the ledger's report."""
        figures = self.semantic
        retreated = sum(space.standing in ("drifted", "overspent") for space in figures.spaces)
        largest = max(figures.spaces, key=lambda space: space.hits, default=None)
        note = f"Semantic hits: {figures.hits:,}, {figures.reported:,} reported as wrong"
        if largest is not None and largest.audited:
            note += f"; audits of the busiest scope: at most {largest.wrong_at_most:.1%} wrong (95 %)"
        notes = (note, f"Scopes fallen back to exact matching: {retreated:,}") if retreated else (note,)
        return {**super().figures(), "notes": notes}

    def learnt(self) -> bytes:
        """What was learnt and which pairs are barred, versioned and checksummed; no answers."""
        return self.audit.to_bytes()

    def restore(self, learnt: bytes) -> None:
        """Take over what `learnt` gave.

        Raises:
            ConfigurationError: the bytes are damaged, or of another version; nothing is changed then.
        """
        self.audit.restore(learnt)


def _names(guards: Iterable[str]) -> list[str]:
    if isinstance(guards, str):
        raise ConfigurationError(f"guards must be names of guards, not the str {guards!r}")
    return [str(name) for name in guards]
