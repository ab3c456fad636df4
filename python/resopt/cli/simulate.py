"""`resopt simulate`: a provider on this machine, to try resopt (or any OpenAI client) without keys and without cost."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from resopt.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

    from resopt.providers.simulated import SimulatedModel
    from resopt.providers.simulated_counters import SimulatedStats

_PICODOLLARS = 10**12


def simulate(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 for any free one.")] = 8089,
    seed: Annotated[int, typer.Option(help="Seed of answers, delays and faults.")] = 0,
    time_scale: Annotated[float, typer.Option(help="Factor on all delays; 0 answers at once.")] = 1.0,
    rate_429: Annotated[float, typer.Option("--rate-429", help="Share of requests refused with 429.")] = 0.0,
    rate_500: Annotated[float, typer.Option("--rate-500", help="Share of requests failed with 500.")] = 0.0,
    rate_timeout: Annotated[float, typer.Option(help="Share of requests never answered.")] = 0.0,
    rate_truncated: Annotated[float, typer.Option(help="Share of answers cut short.")] = 0.0,
    rate_disconnect: Annotated[float, typer.Option(help="Share of replies broken off in the middle.")] = 0.0,
    rate_malformed: Annotated[float, typer.Option(help="Share of replies that are not JSON.")] = 0.0,
    retry_after: Annotated[float | None, typer.Option(help="Seconds in the Retry-After header of a 429.")] = None,
    requests_per_minute: Annotated[float | None, typer.Option(min=0.001, help="Requests each model allows.")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option(min=0.001, help="Tokens each model allows.")] = None,
    batch_seconds: Annotated[float, typer.Option(min=0.0, help="Seconds that a batch of deferred work takes.")] = 10.0,
    api_key: Annotated[str | None, typer.Option(help="Key that requests must carry.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A model to serve, NAME:INPUT:OUTPUT:P50:P95[:TOKENS_PER_SECOND]: dollars per million tokens and"
            " seconds. May be repeated; replaces the models served by default."
        ),
    ] = None,
) -> None:
    """Serve a simulated provider in OpenAI's chat shape until Ctrl-C, then print what it received."""
    from rich.console import Console

    from resopt.providers.simulated import BatchTimes, Faults, RateLimits, SimulatedServer

    faults = Faults(
        rate_429=rate_429,
        rate_500=rate_500,
        rate_timeout=rate_timeout,
        rate_truncated=rate_truncated,
        rate_disconnect=rate_disconnect,
        rate_malformed=rate_malformed,
        retry_after=retry_after,
    )
    models = [parse_model(text) for text in model] if model else None
    server = SimulatedServer(
        models,
        seed=seed,
        faults=faults,
        time_scale=time_scale,
        port=port,
        api_key=api_key,
        limits=RateLimits(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute),
        batches=BatchTimes(seconds=batch_seconds),
    )
    console = Console(highlight=False, soft_wrap=True)
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with server:
            _greet(console, server.base_url, server.models, api_key)
            ended.wait()
            stats = server.stats()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _print_stats(console, stats)


def parse_model(text: str) -> SimulatedModel:
    """The model that an option describes.

    Raises:
        ConfigurationError: it is not of the form `NAME:INPUT:OUTPUT:P50:P95[:TOKENS_PER_SECOND]`.
    """
    from resopt.providers.simulated import SimulatedModel

    # From the right, because names such as `llama3:8b` hold colons themselves: a sixth number is the pace.
    for count in (5, 4):
        name, *fields = text.rsplit(":", count)
        try:
            numbers = [float(field) for field in fields]
        except ValueError:
            continue
        if name and len(numbers) == count:
            input_price, output_price, p50, p95, *pace = numbers
            return SimulatedModel(
                name=name,
                input_price=input_price,
                output_price=output_price,
                p50=p50,
                p95=p95,
                tokens_per_second=pace[0] if pace else None,
            )
    raise ConfigurationError(f"--model must be NAME:INPUT:OUTPUT:P50:P95[:TOKENS_PER_SECOND], not {text!r}")


def _greet(console: Console, base_url: str, models: tuple[SimulatedModel, ...], api_key: str | None) -> None:
    """The URL alone on the first line, for programs; then what a person needs."""
    from rich.table import Table

    console.print(base_url, markup=False)
    body = f'{{"model": "{models[0].name}", "messages": [{{"role": "user", "content": "What is Python?"}}]}}'
    key = f" -H 'authorization: Bearer {api_key}'" if api_key else ""
    console.print(
        f"\ncurl {base_url}/chat/completions -H 'content-type: application/json'{key} -d '{body}'\n", markup=False
    )
    table = Table("model", "$ per 1M input", "$ per 1M output", "p50 s", "p95 s")
    for model in models:
        table.add_row(
            model.name, f"{model.input_price:g}", f"{model.output_price:g}", f"{model.p50:g}", f"{model.p95:g}"
        )
    console.print(table)
    console.print("Ctrl-C stops.", markup=False)
    console.file.flush()


def _print_stats(console: Console, stats: SimulatedStats) -> None:
    from rich.table import Table

    table = Table("model", "requests", "input tokens", "output tokens", "cost $", title="Received")
    for name, counters in sorted(stats.models.items()):
        counts = (counters.requests, counters.input_tokens, counters.output_tokens)
        cost = f"{counters.picodollars / _PICODOLLARS:.6f}"
        table.add_row(name, *(f"{count:,}" for count in counts), cost)
    console.print(table)
    statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(stats.statuses.items())) or "none"
    faults = ", ".join(f"{fault}: {count:,}" for fault, count in sorted(stats.faults.items())) or "none"
    console.print(
        f"{stats.requests:,} requests, at most {stats.in_flight_max:,} at once; replies {statuses}; faults {faults}",
        markup=False,
    )
