"""`kill -9` at random moments, of processes that do paid work: every row answered once, and billed once."""

import os
import random
import subprocess
import sys
import time

import pytest

from resopt.providers.simulated import BatchTimes, SimulatedModel, SimulatedServer

MODELS = [
    SimulatedModel(name="gpt-4o", input_price=2.5, output_price=10.0, p50=0.03, p95=0.05),
    SimulatedModel(name="claude-haiku-4-5", input_price=1.0, output_price=5.0, p50=0.0, p95=0.0),
]
KILLS = int(os.environ.get("RESOPT_KILLS", "10"))
"""Of each kind of work; `RESOPT_KILLS=20` takes about a minute."""

RESUMABLE = """
import sys, anyio
from resopt import AsyncOptimizer, OpenAIProvider
async def main(base_url, path, count):
    async with AsyncOptimizer(OpenAIProvider(base_url, api_key="k")) as optimizer:
        questions = [f"question {number}" for number in range(count)]
        answers = await optimizer.gather(questions, 10, checkpoint=path)
        assert [f"question {number}" in answer.text for number, answer in enumerate(answers)] == [True] * count
    print("done", len({answer.text for answer in answers}))
anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""

DEFERRED = """
import sys, anyio
from resopt import AnthropicBatches, Budget, Deferred, Limit, OpenAIBatches, PriceBook, Request
async def main(url, path, count, api):
    prices = PriceBook({"gpt-4o": (2.5, 10), "claude-haiku-4-5": (1, 5)})
    budget = Budget(Limit(50), prices=prices, output_tokens=500)
    batches = [OpenAIBatches(url + "/v1", "k"), AnthropicBatches(url, "k")]
    def ask(number):
        message = {"role": "user", "content": f"question {number}"}
        if api == "openai":
            return Request(body={"model": "gpt-4o", "messages": [message]})
        body = {"model": "claude-haiku-4-5", "max_tokens": 500, "messages": [message]}
        return Request(api="anthropic.messages", body=body)
    async with Deferred(path, batches, gates=[budget], poll=(0.02, 0.05), most_rows=40) as deferred:
        open_here = budget.accounts.open
        await deferred.submit([ask(number) for number in range(count)], name="job")
        assert budget.accounts.open in (open_here, count), "what others left is held again, once"
        answers = await deferred.result("job")
        cost = sum(-(-prices.cost(answer.model, answer.usage) // 2) for answer in answers)
        assert budget.accounts.open == 0
        assert 0 < budget.balance(budget.limits[0]).spent <= cost
        assert [f"question {number}" in answer.text for number, answer in enumerate(answers)] == [True] * count
    print("done", len({answer.text for answer in answers}))
anyio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
"""


def run_until_done(program, arguments, kills, draw, longest):
    """Start the program again and again, and kill it so many times, before it is let run to its end."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    killed = 0
    while killed < kills:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            output, errors = process.communicate(timeout=draw.uniform(0.35, longest))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
        else:
            assert process.returncode == 0, errors
            return output, killed
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout, killed


def test_a_resumable_run_that_is_killed_pays_for_nothing_twice(tmp_path):
    count, draw = 200 * KILLS, random.Random(8)  # more than the runs that are killed can do
    with SimulatedServer(MODELS, seed=8) as server:
        output, killed = run_until_done(
            RESUMABLE, (server.base_url, tmp_path / "run.sqlite", count), KILLS, draw, longest=0.8
        )
        stats = server.stats()
        answered = stats.models["gpt-4o"]
        server.reset()
        again, _ = run_until_done(RESUMABLE, (server.base_url, tmp_path / "run.sqlite", count), 0, draw, 1.0)
        assert server.stats().requests == 0, "everything is in the checkpoint"
    assert output == again == f"done {count}\n"
    assert killed == KILLS
    expected = sum(_price(number) for number in range(count))
    assert answered.picodollars == expected, "every answer was billed exactly once"


def _price(number):
    """What the simulator bills for one question, reckoned apart from it."""
    from resopt.providers.simulated_answers import answer, count_prompt_tokens, count_tokens

    messages = [{"role": "user", "content": f"question {number}"}]
    text = answer(8, "gpt-4o", messages)
    return MODELS[0].price(count_prompt_tokens(messages), count_tokens(text))


@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_deferred_work_that_is_killed_is_done_and_billed_once(tmp_path, api):
    count, draw = 400, random.Random(80)
    with SimulatedServer(MODELS, seed=8, batches=BatchTimes(seconds=0.4 * KILLS)) as server:
        path = tmp_path / "deferred.sqlite"
        output, killed = run_until_done(DEFERRED, (server.url, path, count, api), KILLS // 2, draw, longest=0.65)
        time.sleep(0.01)
        stats = server.stats()
    assert output == f"done {count}\n"
    assert killed == KILLS // 2
    assert stats.batch_rows == count, "every row was worked on exactly once"
    assert stats.batches == count // 40
