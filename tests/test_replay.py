"""`resopt replay`: what the cache would have done on logged traffic, under the clock of the rows."""

import gzip
import json
import os
import random
import subprocess
import sys

import pytest

from resopt.cli import main
from resopt.cli.replay_result import Settings
from resopt.cli.replay_run import Replay
from resopt.cli.traffic import BadRow, Traffic, TrafficError
from resopt.errors import ConfigurationError
from resopt.metrics.prices import PriceBook


def write(path, rows, *, packed=False):
    text = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


def replay(path, prices=None, *, strict=False, model="gpt-4o", isolate_users=False, **settings):
    with Traffic(path, model=model, isolate_users=isolate_users) as traffic:
        return Replay(Settings(**settings), prices).run(traffic.rows(), strict=strict)


def ask(ts, prompt="How do I set a new password?", **more):
    return {"ts": ts, "prompt": prompt, **more}


@pytest.fixture
def log(tmp_path):
    return lambda *rows, packed=False: write(
        tmp_path / ("log.jsonl.gz" if packed else "log.jsonl"), rows, packed=packed
    )


def test_the_same_question_is_a_hit_in_its_own_and_in_another_spelling(log):
    result = replay(
        log(ask(1), ask(2), ask(3, " how do I  SET a new password?? "), ask(4, "How do I open an account?"))
    )
    assert (result.rows, result.hits, result.exact_hits, result.folded_hits) == (4, 2, 1, 1)
    assert result.exact_only_hits == 1
    assert result.unlimited_hits == 2
    assert result.report.outcomes == {"hit": 2, "miss": 2}


def test_exact_matching_has_nothing_to_compare_with(log):
    result = replay(log(ask(1), ask(2), ask(3, "how do i set a new password")), matching="exact")
    assert (result.hits, result.folded_hits, result.exact_only_hits) == (1, 0, None)


def test_time_is_that_of_the_rows(log):
    rows = log(ask(1_000), ask(1_000 + 3_599), ask(1_000 + 3_601), ask(1_000 + 7_100))
    result = replay(rows)
    assert result.hits == 2  # the second, and the fourth by what the third stored
    assert result.expirations == 1
    assert result.unlimited_hits == 3
    assert result.window == 7_100
    assert replay(rows, ttl=10).hits == 1
    assert replay(rows, ttl=1).hits == 0
    assert replay(rows, ttl=None).hits == 3


def test_room_is_that_of_the_settings(log):
    rows = log(*(ask(number, f"What is number {number % 3}?") for number in range(9)))
    assert replay(rows).hits == 6
    tight = replay(rows, max_size=2)
    assert (tight.hits, tight.unlimited_hits) == (0, 6)
    assert tight.evictions == 7
    assert replay(rows, max_bytes="1500").hits == 0


def test_rows_out_of_order_do_not_turn_the_clock_back(log):
    result = replay(log(ask(100), ask(50), ask(3_000), ask(2_000), ask(4_000)))
    assert result.out_of_order == 2
    assert result.window == 3_900
    assert result.hits == 3


@pytest.mark.parametrize("start", [0, -5, 1_772_000_000.25, "2026-03-02T08:00:00Z", "2026-03-02T08:00:00"])
def test_any_start_will_do(log, start):
    result = replay(log(ask(start), ask(start)))
    assert (result.hits, result.window) == (1, 0.0)


def test_iso_times_count_seconds(log):
    result = replay(log(ask("2026-03-02T08:00:00Z"), ask("2026-03-02T10:30:00+02:00")))
    assert (result.window, result.hits) == (1_800.0, 1)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{oops\n", "not JSON"),
        ("[1]\n", "Expected `object`"),
        ('{"prompt": "x"}\n', "missing required field `ts`"),
        (ask(None), "`ts`"),
        (ask(True), "`ts`"),
        (ask("soon"), "ISO 8601"),
        (ask(1_772_000_000_000), "not milliseconds"),
        (ask(1, 5), "`prompt`"),
        ({"ts": 1}, "none of them"),
        (ask(1, messages=[{"role": "user", "content": "x"}]), "more than one"),
        ({"ts": 1, "messages": []}, "not empty"),
        ({"ts": 1, "messages": ["x"]}, "`messages[0]`"),
        ({"ts": 1, "body": {"model": "gpt-4o"}}, "not empty"),
        ({"ts": 1, "body": {"model": 4, "messages": [{}]}}, "body.model"),
        (ask(1, usage={}), "prompt_tokens"),
        (ask(1, usage={"prompt_tokens": -1}), "negative"),
        (ask(1, usage={"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}), "cached"),
        (ask(1, response={"id": "x"}), "neither a text nor a chat completion"),
        (ask(1, response=[1]), "`response`"),
        (ask(1, latency=-1), "latency"),
        (ask(1, user_id=[]), "`user_id`"),
        ('{"ts": 1, "prompt": "\\ud800"}\n', "not JSON"),
        (b'{"ts": 1, "prompt": "\xff"}\n'.decode("latin-1"), None),
        ('{"ts": 1, "body": {"messages": [{"a": ' + "[" * 70 + "]" * 70 + "}]}}\n", "depth|deep|nested"),
    ],
)
def test_a_bad_row_is_named_and_left_out(log, row, reason):
    rows = log(ask(1), row, "\n", ask(2))
    result = replay(rows)
    if reason is None:
        assert (result.rows, result.bad_rows) == (3, 0)
        return
    assert (result.rows, result.hits, result.bad_rows) == (2, 1, 1)
    assert result.bad[0].line == 2
    with pytest.raises(TrafficError, match=f"line 2: .*({reason})".replace("`", ".").replace("[0]", ".0.")):
        replay(rows, strict=True)


def test_bytes_that_are_no_utf8_are_a_bad_row(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"ts": 1, "prompt": "\xff"}\n{"ts": 1, "prompt": "x"}\n')
    result = replay(path)
    assert (result.rows, result.bad) == (1, (BadRow(1, result.bad[0].reason),))
    assert "not JSON" in result.bad[0].reason or "UTF-8" in result.bad[0].reason


def test_gzip_is_told_by_content(log, tmp_path):
    plain = replay(log(ask(1), ask(2)))
    packed = log(ask(1), ask(2), packed=True)
    assert replay(packed).hits == plain.hits == 1
    renamed = tmp_path / "packed.jsonl"
    renamed.write_bytes(packed.read_bytes())
    assert replay(renamed).hits == 1


def test_a_pipe_will_do(log):
    packed = log(ask(1), ask(2), packed=True)
    command = [sys.executable, "-m", "resopt", "replay", "--json", "--progress", "/dev/stdin"]
    done = subprocess.run(command, input=packed.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hits"] == 1


def test_a_byte_order_mark_is_no_bad_row(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ask(1)).encode())
    assert replay(path).bad_rows == 0


def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path, log):
    with pytest.raises(TrafficError, match="No such file"):
        replay(tmp_path / "none.jsonl")
    with pytest.raises(TrafficError, match="directory"):
        replay(tmp_path)
    with pytest.raises(TrafficError, match="empty"):
        replay(log())
    with pytest.raises(TrafficError, match="no row to replay: line 1"):
        replay(log("{}\n"))
    fake = write(tmp_path / "fake.jsonl.gz", [ask(1)])
    with pytest.raises(TrafficError, match="not gzip"):
        replay(fake)
    words = [ask(number, f"{random.random()}") for number in range(500)]
    whole = write(tmp_path / "whole.jsonl.gz", words, packed=True)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(whole.read_bytes()[:-2_000])
    with pytest.raises(TrafficError, match="breaks off after line"):
        replay(cut)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(log):
    path = log(ask(1))
    path.chmod(0)
    with pytest.raises(TrafficError, match="Permission denied"):
        replay(path)


def test_freshness_is_accounted_by_rule(log):
    balance = "What is my balance?"
    rows = log(
        ask(1, balance, user_id="ann"),
        ask(2, balance, user_id="bob"),  # lost: the answer is ann's
        ask(3, balance, user_id="ann"),  # still a hit, her own
        ask(4, "What time is it?"),
        ask(5, "What time is it?"),  # lost: never kept
        ask(6, "What is the weather in Rome today?"),
        ask(5_000, balance),  # nobody is named: nobody's
    )
    result = replay(rows, ttl=None)
    assert result.hits == 1
    freshness = result.freshness
    assert freshness.hits_without == 4
    assert (freshness.rows, freshness.hits_lost, freshness.hits_gained, freshness.hits_lost_to_room) == (7, 3, 0, 0)
    lost = {(rule.treatment, rule.rows, rule.hits_lost) for rule in freshness.rules}
    assert ("kept for the user alone", 3, 1) in lost
    assert ("bypassed", 2, 1) in lost
    assert ("bypassed", 1, 1) in lost
    assert any(treatment == "kept briefly" and rows_met == 1 for treatment, rows_met, _ in lost)
    assert result.report.outcomes == {"bypass": 3, "hit": 1, "miss": 3}
    off = replay(rows, ttl=None, freshness=False)
    assert (off.hits, off.freshness) == (4, None)


def test_a_short_time_to_live_is_kept(log):
    weather = "What is the weather in Rome today?"
    result = replay(log(ask(0, weather), ask(1, weather), ask(3_500, weather)))
    assert result.hits == 1
    assert result.freshness.hits_lost == 1
    assert result.unlimited_hits == 2


def test_hits_balance_with_and_without_freshness_on_random_traffic(log):
    draw = random.Random(7)
    texts = ["What is my balance?", "What time is it?", "Is the app down right now?"]
    texts += [f"How do I use feature {number}?" for number in range(40)]
    rows = log(*(ask(60 * step, draw.choice(texts), user_id=draw.choice("abc")) for step in range(2_000)))
    for limit in (5, 20, 1_000):
        result = replay(rows, max_size=limit)
        freshness = result.freshness
        assert result.hits == freshness.hits_without - freshness.hits_lost + freshness.hits_gained
        assert freshness.hits_without == replay(rows, max_size=limit, freshness=False).hits
        assert result.exact_only_hits == replay(rows, max_size=limit, matching="exact").hits
        assert result.unlimited_hits >= result.hits
        assert freshness.hits_lost == freshness.hits_lost_to_room + sum(rule.hits_lost for rule in freshness.rules)


def test_user_scope_shares_nothing(log):
    rows = log(ask(1, user_id="ann"), ask(2, user_id=7), ask(3, user_id="7"), ask(4, user_id="ann"))
    assert replay(rows).hits == 3
    assert replay(rows, isolate_users=True).hits == 2


def test_money_is_that_of_the_logged_usage(log):
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}
    rows = log(ask(0, usage=usage, response="Press the button."), ask(100, usage=usage))
    report = replay(rows, PriceBook({"gpt-4o": (2, 8)})).report
    assert report.spent == 100 * 2_000_000 + 10 * 8_000_000
    assert report.avoided == report.spent
    assert report.avoided_share == 0.5
    assert replay(rows).report.unknown_prices == 2


def test_what_was_not_logged_is_estimated_and_said_so(log):
    rows = log(
        ask(0, "abcdefgh"), ask(1, "x", response="four"), ask(2, "y", usage={"input_tokens": 3, "output_tokens": 1})
    )
    result = replay(rows, answer_tokens=50)
    assert (result.unlogged_answers, result.estimated_usages) == (2, 2)
    billed = result.report.billed
    assert billed.input_tokens == (3 + 4 + 2) + (3 + 4 + 1) + 3
    assert billed.output_tokens == 50 + 1 + 1


def test_models_and_bodies_count(log):
    messages = [{"role": "user", "content": "How do I set a new password?"}]
    rows = log(
        ask(1),
        {"ts": 2, "messages": messages},
        {"ts": 3, "body": {"messages": messages}},
        {"ts": 4, "body": {"model": "gpt-4o", "messages": messages, "user": "x"}},
        ask(5, model="other"),
        {"ts": 6, "body": {"messages": messages, "temperature": 0.5}},
    )
    assert replay(rows).hits == 3
    assert replay(rows, model="other").hits == 3


def test_an_answer_that_was_cut_off_is_not_kept(log):
    cut = {"choices": [{"message": {"content": "Press"}, "finish_reason": "length"}], "model": "gpt-4o"}
    whole = {"choices": [{"message": {"content": "Press it"}, "finish_reason": "stop"}], "model": "gpt-4o"}
    result = replay(log(ask(1, response=cut), ask(2, response=whole), ask(3, response=cut)))
    assert result.hits == 1
    assert result.not_admitted == {"ended by length": 1}
    assert result.unlimited_hits == 1


def test_latency_only_where_rows_carry_it(log):
    assert replay(log(ask(1), ask(2))).latency_rows == 0
    result = replay(log(ask(1, latency=2.0), ask(2, latency=1.0), ask(3)))
    assert result.latency_rows == 2
    assert result.baseline_latency.mean == pytest.approx(1.5)
    assert 2.0 < result.latency.maximum < 2.5
    assert result.latency.mean < 1.3


def run(capsys, *arguments):
    status = main(["replay", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_shorter_prompts_are_counted_by_rule_on_what_goes_upstream(log, capsys):
    wordy = "Could you please tell me how I set a new password?"
    rows = log(ask(1, wordy), ask(2, wordy), ask(3, "How do I open an account?"))
    assert replay(rows).prompts is None
    savings = replay(rows, prompts="light").prompts
    assert (savings.level, savings.requests, savings.shortened) == ("light", 2, 1)
    assert savings.by_rule == {"politeness": savings.tokens_saved}
    assert 0 < savings.tokens_saved < savings.tokens
    assert main(["replay", str(rows), "--prompts", "light"]) == 0
    shown = capsys.readouterr().out
    assert "Prompts, light" in shown
    assert "politeness" in shown
    assert "All rules, 1 of 2 calls upstream" in shown


def test_the_table_says_it_in_words(log, capsys):
    status, out, err = run(capsys, log(ask(1, latency=1), ask(2, latency=1)), "--price", "gpt-4o=2.5:10")
    assert (status, err) == (0, "")
    assert "Answered from the cache" in out
    assert "50.0 %" in out
    assert "$0.002" in out
    assert "without (as logged)" in out
    assert max(map(len, out.splitlines())) <= 110
    _, out, _ = run(capsys, log(ask(1)))
    assert "prices unknown" in out


def test_json_is_one_object(log, capsys):
    status, out, err = run(capsys, log(ask(1), "{}\n", ask(2)), "--json", "--no-progress")
    assert status == 0
    found = json.loads(out)
    assert found["hit_rate"] == 0.5
    assert found["bad_rows"] == 1
    assert found["bad"] == [{"line": 2, "reason": found["bad"][0]["reason"]}]
    assert found["report"]["units"]["money"].startswith("picodollars")
    assert err.startswith("line 2: ")


def test_strict_stops_with_one_line(log, capsys):
    status, out, err = run(capsys, log(ask(1), "{}\n", "[]\n"), "--strict")
    assert (status, out) == (1, "")
    assert err.startswith("resopt: line 2: ")
    assert err.count("\n") == 1


def test_many_bad_rows_are_counted_not_listed(log, capsys):
    status, _, err = run(capsys, log(ask(1), *["{}\n"] * 30))
    assert status == 0
    assert len(err.splitlines()) == 6
    assert "25 more" in err


def test_progress_goes_to_stderr(log, capsys):
    status, out, err = run(capsys, log(*(ask(step) for step in range(600))), "--json", "--progress")
    assert status == 0
    assert json.loads(out)["rows"] == 600
    assert "Replaying" in err


def test_prices_come_from_options_and_files(log, tmp_path, capsys):
    rows = log(ask(1, usage={"prompt_tokens": 1_000_000, "completion_tokens": 0}))
    book = tmp_path / "prices.json"
    book.write_text('{"gpt-4o": [3, 4], "o": {"input": 1, "output": 2, "cached_input": 0.5}}')
    assert json.loads(run(capsys, rows, "--json", "--prices", book)[1])["report"]["spent"] == 3 * 10**12
    overridden = run(capsys, rows, "--json", "--prices", book, "--price", "gpt-4o=5:6")[1]
    assert json.loads(overridden)["report"]["spent"] == 5 * 10**12
    book.write_text("[1]")
    for arguments in (
        ("--price", "gpt-4o"),
        ("--price", "gpt-4o=1"),
        ("--price", "gpt-4o=a:b"),
        ("--prices", book),
        ("--prices", tmp_path / "none.json"),
        ("--max-size", "0"),
        ("--max-bytes", "many"),
        ("--ttl", "-1"),
    ):
        status, out, err = run(capsys, rows, *arguments)
        assert status != 0, arguments
        assert out == ""
        assert err.count("\n") == 1, err


def test_settings_are_checked():
    with pytest.raises(ConfigurationError):
        Replay(Settings(matching="fuzzy"))


def test_as_a_program(log):
    command = [sys.executable, "-m", "resopt", "replay"]
    done = subprocess.run([*command, log(ask(1), ask(2))], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "50.0 %" in done.stdout
    failed = subprocess.run([*command, "/nowhere.jsonl"], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "resopt: cannot read /nowhere.jsonl: No such file or directory\n"
