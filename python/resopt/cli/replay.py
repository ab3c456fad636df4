"""`resopt replay`: what resopt would have done on logged traffic, without calling anyone."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from resopt.cli.replay_meaning import SemanticProfile  # noqa: TC001 - typer reads the annotations at run time
from resopt.cli.replay_prompts import PromptLevel  # noqa: TC001 - typer reads the annotations at run time
from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from resopt.cli.replay_result import Replayed
    from resopt.cli.traffic import BadRow, Traffic
    from resopt.metrics.prices import PriceBook

_NAMED_BAD_ROWS = 5


def replay(
    file: Annotated[
        Path,
        typer.Argument(
            help="Rows {ts, prompt | messages | body, user_id?, model?, response?, usage?, latency?}, one JSON object a"
            " line, plain or gzip.",
            show_default=False,
        ),
    ],
    ttl: Annotated[float, typer.Option(help="Seconds an answer may be served.")] = 3600.0,
    max_size: Annotated[int, typer.Option(help="Answers kept at most.")] = 1000,
    max_bytes: Annotated[str | None, typer.Option(help="Bytes kept at most, such as 64MB.")] = None,
    matching: Annotated[
        Literal["folded", "exact"],
        typer.Option(help="folded: case, blanks and closing marks of a question do not matter."),
    ] = "folded",
    freshness: Annotated[
        Literal["on", "off"], typer.Option(help="Rules that keep apart what depends on who or when.")
    ] = "on",
    semantic: Annotated[
        SemanticProfile, typer.Option(help="Answer questions in other words too, this carefully. English.")
    ] = "off",
    pairs: Annotated[
        Path | None,
        typer.Option(help="Write the pairs of questions that were hardest to decide here, for a person to label."),
    ] = None,
    prompts: Annotated[
        PromptLevel, typer.Option(help="Show by rule what shorter prompts would save on the calls that go upstream.")
    ] = "off",
    model: Annotated[str, typer.Option(help="The model of rows that name none.")] = "gpt-4o",
    price: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=INPUT:OUTPUT in dollars per million tokens. May be repeated.", show_default=False),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(help='JSON: {"MODEL": [INPUT, OUTPUT]} or {"MODEL": {"input": …, "output": …, …}}.'),
    ] = None,
    public_prices: Annotated[
        bool, typer.Option("--public-prices", help="Public prices, from the installed genai-prices.")
    ] = False,
    answer_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer that was not logged.")] = 200,
    user_scope: Annotated[
        bool, typer.Option("--user-scope", help="Share nothing between users: one cache key per user_id.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad row.")] = False,
    progress: Annotated[
        bool | None, typer.Option(help="Show a progress bar (by default on a terminal).", show_default=False)
    ] = None,
) -> None:
    """Show what resopt would have done on logged traffic. Nobody is called."""
    from resopt.cli.replay_result import Settings
    from resopt.cli.replay_run import Replay
    from resopt.cli.traffic import Traffic

    settings = Settings(
        ttl=ttl,
        max_size=max_size,
        max_bytes=max_bytes,
        matching=matching,
        freshness=freshness == "on",
        answer_tokens=answer_tokens,
        semantic=semantic,
        prompts=prompts,
    )
    if pairs is not None and semantic == "off":
        raise ConfigurationError("--pairs needs --semantic strict or balanced: without it no pair is decided")
    book = read_prices(price or (), prices, public=public_prices)
    run = Replay(settings, book)
    with Traffic(file, model=model, isolate_users=user_scope) as traffic, _bar(traffic, progress) as on_progress:
        result = run.run(traffic.rows(), strict=strict, on_progress=on_progress)
    _name_bad_rows(result.bad, result.bad_rows)
    if pairs is not None and run.meaning is not None:
        count = run.meaning.write(pairs)
        sys.stderr.write(f"{count:,} pairs written to {pairs}: set fits to true or false, then resopt eval semantic\n")
    _print(result, file, as_json=as_json)


def read_prices(pairs: Sequence[str], path: Path | None, *, public: bool) -> PriceBook | None:
    """The prices that the options give; the later of two for a model counts. None when they give none.

    Raises:
        ConfigurationError: an option is not of its form, or the file cannot be read.
        MissingExtraError: public prices are asked for and `genai-prices` is not installed.
    """
    from resopt.metrics.prices import PriceBook

    given: dict[str, Any] = {} if path is None else _read_price_file(path)
    for pair in pairs:
        name, separator, rates = pair.rpartition("=")
        numbers = rates.split(":")
        if not separator or not name or len(numbers) != 2:
            raise ConfigurationError(f"--price must be MODEL=INPUT:OUTPUT, such as gpt-4o=2.5:10, not {pair!r}")
        given[name] = (numbers[0], numbers[1])
    if public:
        return PriceBook.bundled(given)
    return PriceBook(given) if given else None


def _read_price_file(path: Path) -> dict[str, Any]:
    import msgspec

    try:
        read = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise ConfigurationError(f"--prices: cannot read {path}: {error.strerror or error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--prices: {path} must be a JSON object of model names: {error}") from error
    return {name: tuple(price) if isinstance(price, list) else price for name, price in read.items()}


@contextmanager
def _bar(traffic: Traffic, wanted: bool | None) -> Iterator[Callable[[], object] | None]:
    """A progress bar on stderr over the bytes of the file, which are known before the rows are."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Replaying"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, force_terminal=wanted), transient=True) as bar:
        task = bar.add_task("", total=max(traffic.size, 1))
        yield lambda: bar.update(task, completed=traffic.position)
        bar.update(task, completed=max(traffic.size, 1))


def _name_bad_rows(bad: Sequence[BadRow], count: int) -> None:
    for row in bad[:_NAMED_BAD_ROWS]:
        sys.stderr.write(f"line {row.line}: {row.reason}\n")
    if count > _NAMED_BAD_ROWS:
        sys.stderr.write(f"… and {count - _NAMED_BAD_ROWS:,} more bad rows (--strict stops at the first)\n")


def _print(result: Replayed, file: Path, *, as_json: bool) -> None:
    if as_json:
        import msgspec

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(result.to_dict()), indent=2).decode() + "\n")
        return
    from resopt.cli.replay_table import show
    from resopt.cli.screen import make_console

    show(make_console(), result, file.name)
