"""The simulated provider over real sockets: its shape, its determinism, its faults, its counters, its way down."""

import contextlib
import json
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

import anyio
import httpx2
import pytest

from raw_server import wait_until
from resopt.errors import ClosedError, ConfigurationError
from resopt.providers.simulated import Faults, SimulatedModel, SimulatedServer
from resopt.providers.simulated_answers import answer, count_tokens, fold

QUESTION = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is Python?"}]}


@pytest.fixture(scope="module")
def running():
    with SimulatedServer(time_scale=0) as server:
        yield server


@pytest.fixture
def server(running):
    running.reset()
    return running


@pytest.fixture
def client(server):
    with httpx2.Client(base_url=server.base_url, timeout=10) as client:
        yield client


def ask(client, body=QUESTION, **headers):
    return client.post("chat/completions", json=body, headers=headers)


def text_of(reply):
    return reply.json()["choices"][0]["message"]["content"]


def test_the_shape_of_a_completion(client):
    reply = ask(client)
    assert reply.status_code == 200
    body = reply.json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "gpt-4o"
    assert body["choices"][0]["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["completion_tokens"] == count_tokens(text_of(reply))
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_equal_questions_get_equal_answers_in_every_run_and_others_do_not(client):
    first = text_of(ask(client))
    same = {"model": "gpt-4o", "messages": [{"role": "user", "content": "  what IS\npython "}]}
    assert text_of(ask(client, same)) == first
    assert text_of(ask(client, {**QUESTION, "model": "gpt-4o-mini"})) != first
    system = {"role": "system", "content": "Be brief."}
    assert text_of(ask(client, {**QUESTION, "messages": [system, *QUESTION["messages"]]})) != first
    with (
        SimulatedServer(time_scale=0) as again,
        SimulatedServer(time_scale=0, seed=1) as other,
        httpx2.Client() as second,
    ):
        assert text_of(second.post(f"{again.base_url}/chat/completions", json=QUESTION)) == first
        assert text_of(second.post(f"{other.base_url}/chat/completions", json=QUESTION)) != first


def test_answers_vary_in_length():
    lengths = {len(answer(0, "m", [{"role": "user", "content": f"question {n}"}])) for n in range(200)}
    assert min(lengths) < 200 < 400 < max(lengths)
    assert fold(" What  is PYTHON?! ") == "what is python"


def test_several_choices_tools_and_token_limits(client):
    body = ask(client, {**QUESTION, "n": 3}).json()
    assert len({choice["message"]["content"] for choice in body["choices"]}) == 3
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    choice = ask(client, {**QUESTION, "tools": tools, "tool_choice": "required"}).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "look_up"
    reply = ask(client, {**QUESTION, "max_tokens": 5}).json()
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 5


def stream(client, body, **headers):
    with client.stream("POST", "chat/completions", json={**body, "stream": True}, headers=headers) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        return [line.removeprefix("data: ") for line in reply.iter_lines() if line]


@pytest.mark.parametrize("include_usage", [False, True])
def test_a_stream_brings_the_same_answer_piece_by_piece(client, include_usage):
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    *events, done = stream(client, {**QUESTION, **options})
    assert done == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"]]
    whole = ask(client)
    assert "".join(deltas) == text_of(whole)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    if include_usage:
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"] == whole.json()["usage"]
        assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
        assert all(chunk["usage"] is None for chunk in chunks[:-1])
    else:
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert all("usage" not in chunk for chunk in chunks)


def test_a_stream_may_break_off_or_be_cut(client):
    with pytest.raises(httpx2.RemoteProtocolError):
        stream(client, QUESTION, **{"x-simulate": "disconnect"})
    *events, _ = stream(client, QUESTION, **{"x-simulate": "truncate"})
    assert json.loads(events[-1])["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("fault", "status", "sign"),
    [
        ("429", 429, "rate_limit_exceeded"),
        ("500", 500, "server_error"),
        ("truncate", 200, '"length"'),
        ("malformed", 200, '"chat.comp'),
        ("html", 200, "<html>"),
        ("empty", 200, '"choices":[]'),
        ("filter", 200, '"content_filter"'),
    ],
)
def test_a_fault_can_be_asked_for_by_header_or_script(server, client, fault, status, sign):
    reply = ask(client, **{"x-simulate": fault})
    assert (reply.status_code, sign in reply.text) == (status, True)
    server.next_faults(None, fault)
    assert ask(client).json()["choices"][0]["finish_reason"] == "stop"
    assert sign in ask(client).text
    assert text_of(ask(client))
    assert server.stats().faults == {fault: 2}


def test_a_reply_can_close_in_the_middle_or_carry_extra_headers(client):
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(client, **{"x-simulate": "disconnect"})
    extra = json.dumps({"retry-after-ms": "20", "x-should-retry": "false"})
    reply = ask(client, **{"x-simulate": "429", "x-simulate-headers": extra})
    assert reply.headers["retry-after-ms"] == "20"
    assert reply.headers["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "malformed"),
        (b"[]", 400, "malformed"),
        (b'{"messages": [{"role": "user", "content": "a"}]}', 400, "model"),
        (b'{"model": "gpt-4o", "messages": []}', 400, "must not be empty"),
        (b'{"model": "gpt-4o", "messages": ["a"]}', 400, "messages[0]"),
        (b'{"model": "gpt-4o", "messages": [{"content": "a"}]}', 400, "role"),
        (b'{"model": "gpt-4o", "messages": [{"role": "user"}], "max_tokens": 0}', 400, "max_tokens"),
        (b'{"model": "gpt-9", "messages": [{"role": "user", "content": "a"}]}', 404, "gpt-9"),
    ],
)
def test_bad_requests_get_errors_in_openai_shape(client, body, status, words):
    reply = client.post("chat/completions", content=body)
    assert reply.status_code == status
    assert words in reply.json()["error"]["message"]


def test_unknown_faults_are_refused(server, client):
    assert ask(client, **{"x-simulate": "418"}).status_code == 400
    with pytest.raises(ConfigurationError, match="418"):
        server.next_faults("418")


def test_counters_add_up_and_reset(server, client):
    replies = [ask(client), ask(client, {**QUESTION, "model": "gpt-4o-mini"}), ask(client, **{"x-simulate": "500"})]
    stats = server.stats()
    usages = [reply.json()["usage"] for reply in replies[:2]]
    assert stats.requests == 3
    assert {name: model.requests for name, model in stats.models.items()} == {"gpt-4o": 2, "gpt-4o-mini": 1}
    assert stats.statuses == {"200": 2, "500": 1}
    assert stats.input_tokens == sum(usage["prompt_tokens"] for usage in usages)
    assert stats.output_tokens == sum(usage["completion_tokens"] for usage in usages)
    dear, cheap = usages
    expected = dear["prompt_tokens"] * 2_500_000 + dear["completion_tokens"] * 10_000_000
    expected += cheap["prompt_tokens"] * 150_000 + cheap["completion_tokens"] * 600_000
    assert stats.picodollars == expected
    assert httpx2.get(f"{server.base_url}/models").json()["data"][0]["id"] == "gpt-4o"
    assert json.loads(server.last_request().body) == QUESTION
    server.reset()
    assert server.stats().requests == 0
    assert server.last_request() is None


def test_drawn_faults_come_at_their_rates_and_repeat_with_the_seed():
    runs = []
    for _ in range(2):
        faults = Faults(rate_429=0.2, rate_500=0.1, rate_truncated=0.1, rate_malformed=0.1)
        with SimulatedServer(time_scale=0, seed=7, faults=faults) as server, httpx2.Client() as client:
            url = f"{server.base_url}/chat/completions"
            runs.append([client.post(url, json=QUESTION).text[:150].partition('"created"')[0] for _ in range(200)])
            seen = server.stats().faults
    assert runs[0] == runs[1]
    assert 25 <= seen["429"] <= 57
    assert set(seen) == {"429", "500", "truncate", "malformed"}


def test_latencies_follow_the_quantiles():
    model = SimulatedModel(name="m", input_price=1, output_price=1, p50=0.8, p95=2.4)
    drawn = random.Random(3)
    latencies = [model.latency(drawn) for _ in range(20_000)]
    assert statistics.median(latencies) == pytest.approx(0.8, rel=0.03)
    assert statistics.quantiles(latencies, n=20)[-1] == pytest.approx(2.4, rel=0.05)


def test_pace_and_time_scale_make_the_delay():
    model = SimulatedModel(name="m", input_price=1, output_price=1, p50=1, p95=1, tokens_per_second=100)
    with SimulatedServer([model], time_scale=0.1) as server, httpx2.Client() as client:
        start = time.monotonic()
        reply = client.post(f"{server.base_url}/chat/completions", json={**QUESTION, "model": "m"})
        elapsed = time.monotonic() - start
    assert elapsed >= 0.1 + 0.001 * reply.json()["usage"]["completion_tokens"]


@pytest.mark.anyio
async def test_it_sees_concurrency_and_clients_that_leave():
    model = SimulatedModel(name="gpt-4o", input_price=1, output_price=1, p50=30, p95=30)
    async with SimulatedServer([model]) as server, httpx2.AsyncClient() as client:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(lambda: client.post(f"{server.base_url}/chat/completions", json=QUESTION, timeout=20))
            await anyio.to_thread.run_sync(wait_until, server, lambda stats: stats.in_flight == 5)
            group.cancel_scope.cancel()
        stats = await anyio.to_thread.run_sync(wait_until, server, lambda stats: stats.disconnected == 5)
    assert (stats.in_flight, stats.in_flight_max, stats.picodollars) == (0, 5, 0)


@pytest.mark.parametrize("process", [False, True])
def test_it_stops_quickly_even_with_requests_in_the_air(process):
    server = SimulatedServer(process=process).start()
    ended = threading.Event()

    def wait():
        with httpx2.Client(timeout=30) as client, contextlib.suppress(httpx2.TransportError):
            client.post(f"{server.base_url}/chat/completions", json=QUESTION, headers={"x-simulate": "timeout"})
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    wait_until(server, lambda stats: stats.in_flight == 1)
    start = time.monotonic()
    server.stop()
    assert time.monotonic() - start < 3
    assert ended.wait(5)
    server.stop()
    with pytest.raises(ClosedError, match="start"):
        server.base_url  # noqa: B018 - reading it is the test


def test_a_child_process_serves_the_same(server, client):
    expected = text_of(ask(client))
    with SimulatedServer(time_scale=0, process=True) as child, httpx2.Client() as other:
        assert text_of(other.post(f"{child.base_url}/chat/completions", json=QUESTION)) == expected
        assert child.stats().requests == 1
        child.next_faults("500")
        assert other.post(f"{child.base_url}/chat/completions", json=QUESTION).status_code == 500


@pytest.mark.parametrize("process", [False, True])
def test_a_taken_port_is_one_clear_error(server, process):
    port = int(server.base_url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(Exception, match=f"cannot listen on port {port}"):
        SimulatedServer(port=port, process=process).start()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SimulatedServer([]), "models"),
        (lambda: SimulatedServer(["gpt-4o"]), "models"),
        (lambda: SimulatedServer(time_scale=-1), "time_scale"),
        (lambda: SimulatedServer(time_scale=float("nan")), "time_scale"),
        (lambda: SimulatedServer(port=70_000), "port"),
        (lambda: SimulatedServer(seed="1"), "seed"),
        (lambda: Faults(rate_429=1.5), "rate_429"),
        (lambda: Faults(rate_429=0.6, rate_500=0.6), "together"),
        (lambda: Faults(retry_after=-1), "retry_after"),
        (lambda: SimulatedModel(name="", input_price=1, output_price=1, p50=1, p95=1), "name"),
        (lambda: SimulatedModel(name="m", input_price=-1, output_price=1, p50=1, p95=1), "input_price"),
        (lambda: SimulatedModel(name="m", input_price=1, output_price=1, p50=2, p95=1), "p95"),
        (lambda: SimulatedModel(name="m", input_price=1, output_price=1, p50=0, p95=1), "p95"),
        (lambda: SimulatedModel(name="m", input_price=1, output_price=1, p50=1, p95=1, tokens_per_second=0), "tokens"),
    ],
)
def test_wrong_settings_are_refused_by_name(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()


def run_cli(*arguments, code="import sys; from resopt.cli import main; sys.exit(main())"):
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line_serves_until_interrupted():
    command = [sys.executable, "-W", "error", "-m", "resopt", "simulate", "--port", "0", "--model", "m:8b:1:2:0:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        reply = httpx2.post(f"{url}/chat/completions", json={**QUESTION, "model": "m:8b"})
        process.send_signal(signal.SIGINT)
        # Not communicate(): it would lose what readline() has buffered.
        out, err = process.stdout.read(), process.stderr.read()
    assert reply.status_code == 200
    assert process.returncode == 0
    assert err == ""
    assert "curl http://127.0.0.1" in out
    assert "1 requests" in out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["simulate", "--model", "x"], 2, "--model must be"),
        (["simulate", "--rate-429", "2"], 2, "rate_429"),
        (["simulate", "--port", "abc"], 2, "--port"),
        (["nonsense"], 2, "nonsense"),
        (["--help"], 0, ""),
    ],
)
def test_the_command_line_says_what_is_wrong_in_one_line(arguments, status, words):
    ran = run_cli(*arguments)
    assert ran.returncode == status
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_command_line_names_its_extra_when_that_is_missing():
    code = "import sys; sys.modules['typer'] = None; from resopt.cli import main; sys.exit(main())"
    ran = run_cli(code=code)
    assert ran.returncode == 1
    assert ran.stderr == "resopt: the command line needs: pip install 'resopt[cli]'\n"
