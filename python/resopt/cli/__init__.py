"""The command line, `resopt VERB`: one file per verb. Needs the extra `cli` (typer and rich)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from resopt.errors import ConfigurationError, InvalidRequestError, MissingExtraError, ResoptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

__all__ = ["build", "main"]


def build() -> typer.Typer:
    """The application with every verb. A verb's module imports heavy things inside its function, so this stays quick.

    Raises:
        MissingExtraError: typer or rich is not installed.
    """
    try:
        import rich  # noqa: F401 - the verbs print with it
        import typer
    except ImportError as error:
        raise MissingExtraError("the command line needs: pip install 'resopt[cli]'") from error
    from resopt.cli.bench import bench
    from resopt.cli.demo import demo
    from resopt.cli.evaluate import evaluate
    from resopt.cli.explain import explain
    from resopt.cli.replay import replay
    from resopt.cli.report import report
    from resopt.cli.simulate import simulate

    application = typer.Typer(
        name="resopt",
        help="Cuts the cost and the latency of LLM calls.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @application.callback()
    def resopt() -> None:
        """Cuts the cost and the latency of LLM calls."""

    application.add_typer(bench)
    application.command()(demo)
    application.command()(explain)
    application.command()(replay)
    application.command()(report)
    application.command()(simulate)
    application.add_typer(evaluate)
    return application


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; an error that resopt raises on purpose is one line on stderr, never a traceback.

    Args:
        arguments: words after `resopt`; those of this process by default.

    Returns:
        Exit status: 0; 1 when the work failed; 2 when it was asked for wrongly; 130 after Ctrl-C.
    """
    try:
        result = build()(args=arguments, prog_name="resopt", standalone_mode=True)
    except ResoptError as error:
        sys.stderr.write(f"resopt: {error}\n")
        return 2 if isinstance(error, ConfigurationError | InvalidRequestError) else 1
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else 0
