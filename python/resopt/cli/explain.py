"""`resopt explain`: whether one question would be answered by the answer to another, and why not."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import Annotated, Literal

import msgspec
import typer

from resopt.errors import ConfigurationError


def explain(
    question: Annotated[str, typer.Argument(help="What is asked.")],
    stored: Annotated[
        list[str] | None, typer.Argument(help="Questions that were answered before.", show_default=False)
    ] = None,
    file: Annotated[Path | None, typer.Option(help="More of them, one a line.")] = None,
    profile: Annotated[Literal["strict", "balanced"], typer.Option(help="How careful the cache is.")] = "balanced",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Say which stored questions are near, what refuses them, and what a semantic cache would do."""
    from resopt.cache.semantic import SemanticCache

    questions = list(stored or ())
    if file is not None:
        try:
            questions += [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot read {file}: {error}") from error
    if not questions:
        raise ConfigurationError("give at least one question that was answered before, or --file")
    cache = SemanticCache(profile=profile, max_size=None, audit_share=0, label_share=0)
    for other in questions:
        cache.set(other, f"the answer to: {other}")
    explanation = cache.explain(question)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(explanation)).decode())
    else:
        typer.echo(str(explanation))
