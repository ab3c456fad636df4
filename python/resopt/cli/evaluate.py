"""`resopt eval`: what a part of resopt is worth on a file of your own; one verb per part."""

from __future__ import annotations

import typer

from resopt.cli.eval_routing import routing
from resopt.cli.eval_semantic import semantic
from resopt.cli.eval_traps import traps

evaluate = typer.Typer(
    name="eval",
    help="Measure a part of resopt on labelled data of your own.",
    no_args_is_help=True,
    add_completion=False,
)
evaluate.command("routing")(routing)
evaluate.command("semantic")(semantic)
evaluate.command("traps")(traps)


@evaluate.callback()
def _group() -> None:
    """Measure a part of resopt on labelled data of your own."""
