"""`resopt eval traps`: whether a semantic cache serves wrong answers to questions that look alike."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable  # noqa: TC003 - for those who read the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resopt.cache.traps import Trap


class Outcome(msgspec.Struct, frozen=True):
    """One pair, and whether the cache served the first question's answer to the second."""

    trap: Any
    served: bool


class Tally(msgspec.Struct):
    """Pairs of one sort."""

    traps: int = 0
    traps_served: int = 0
    paraphrases: int = 0
    paraphrases_served: int = 0

    def count(self, outcome: Outcome) -> None:
        """Count one pair."""
        if outcome.trap.should_hit:
            self.paraphrases += 1
            self.paraphrases_served += outcome.served
        else:
            self.traps += 1
            self.traps_served += outcome.served


def traps(
    cache: Annotated[
        str | None,
        typer.Option(
            help="Your own: module:name of a cache, or of a function that makes one, with get(prompt) and"
            " set(prompt, answer), plain or async. resopt's own by default."
        ),
    ] = None,
    profile: Annotated[Literal["strict", "balanced"], typer.Option(help="Of resopt's own cache.")] = "balanced",
    show: Annotated[int, typer.Option(help="Name so many of the traps that were served.", min=0)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Run the bundled traps and paraphrases through a semantic cache. Exit code 1 when a trap is served."""
    from resopt.cache.traps import read_traps

    pairs = read_traps()
    outcomes = run(pairs, _ours(profile) if cache is None else load(cache))
    served = [outcome.trap for outcome in outcomes if outcome.served and not outcome.trap.should_hit]
    kinds, domains, total = tally(outcomes)
    if as_json:
        plain = {"total": total, "by_kind": kinds, "by_domain": domains, "served_traps": served}
        typer.echo(msgspec.json.format(msgspec.json.encode(plain)).decode())
    else:
        _show(kinds, domains, total, served[:show])
    if served:
        raise typer.Exit(1)


def run(pairs: Sequence[Trap], make: Callable[[], Any]) -> list[Outcome]:
    """Each pair in a cache of its own: the first question is stored, the second is asked."""
    outcomes = []
    for number, pair in enumerate(pairs):
        cache, answer = make(), f"answer {number}"
        _done(cache.set(pair.cached, answer))
        found = _done(cache.get(pair.query))
        outcomes.append(Outcome(pair, _text(found) == answer))
        if callable(clear := getattr(cache, "clear", None)):
            _done(clear())
    return outcomes


def load(name: str) -> Callable[[], Any]:
    """A maker of the caches that `module:name` stands for.

    Raises:
        ConfigurationError: there is no such thing, or it is no cache.
    """
    import sys
    from pathlib import Path

    module, colon, attribute = name.partition(":")
    if not colon or not attribute:
        raise ConfigurationError(f"--cache must be module:name, such as myapp.cache:make_cache, not {name!r}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"--cache {name}: {error}") from error
    if _is_cache(found):
        return lambda: found
    try:
        makes_one = callable(found) and _is_cache(found())
    except TypeError:  # it wants arguments
        makes_one = False
    if not makes_one:
        raise ConfigurationError(
            f"--cache {name}: neither it nor what it makes has get(prompt) and set(prompt, answer)"
        )
    maker: Callable[[], Any] = found
    return maker


def tally(outcomes: Sequence[Outcome]) -> tuple[dict[str, Tally], dict[str, Tally], Tally]:
    """Counts by kind of trap, by domain, and in all."""
    kinds: dict[str, Tally] = {}
    domains: dict[str, Tally] = {}
    total = Tally()
    for outcome in outcomes:
        for sums in (
            kinds.setdefault(outcome.trap.kind, Tally()),
            domains.setdefault(outcome.trap.domain, Tally()),
            total,
        ):
            sums.count(outcome)
    return kinds, domains, total


def _ours(profile: Literal["strict", "balanced"]) -> Callable[[], Any]:
    from resopt.cache.semantic import SemanticCache

    made = SemanticCache(profile=profile, audit_share=0, label_share=0)
    return lambda: made


def _is_cache(value: Any) -> bool:
    return (
        callable(getattr(value, "get", None)) and callable(getattr(value, "set", None)) and not isinstance(value, type)
    )


def _done(made: Any) -> Any:
    if not inspect.isawaitable(made):
        return made
    import anyio

    async def wait() -> Any:
        return await made

    return anyio.run(wait)


def _text(found: Any) -> Any:
    return getattr(found, "text", found)


def _show(kinds: dict[str, Tally], domains: dict[str, Tally], total: Tally, served: Sequence[Trap]) -> None:
    from rich import box
    from rich.table import Table

    from resopt.cli.screen import make_console

    console = make_console()
    for title, sums in (("Kind", kinds), ("Domain", domains)):
        table = Table(title, box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("traps", "served (wrong)", "paraphrases", "served (right)"):
            table.add_column(name, justify="right")
        for name, each in sorted(sums.items()):
            table.add_row(name, *_cells(each))
        table.add_section()
        table.add_row("all", *_cells(total), style="bold")
        console.print(table)
    for trap in served:
        console.print(f"served: {trap.cached}  ->  {trap.query}  ({trap.kind})", markup=False, soft_wrap=True)


def _cells(each: Tally) -> tuple[str, str, str, str]:
    return (
        f"{each.traps:,}" if each.traps else "",
        f"{each.traps_served:,}" if each.traps else "",
        f"{each.paraphrases:,}" if each.paraphrases else "",
        f"{each.paraphrases_served:,}" if each.paraphrases else "",
    )
