"""What holds for every prompt and every conversation, however odd."""

from hypothesis import given
from hypothesis import strategies as st

from prompt_oracle import violations
from resopt import compress_context, count_tokens, optimize_prompt, prune_history
from resopt.prompt.dense import compact, distinct
from resopt.prompt.optimizer import LEVELS

PIECES = [
    "Please ", "make sure that you ", "You are a helpful assistant. ", "I would like you to ", "Could you please ",
    "answer", "in order to ", ". ", "? ", ", ", "! ", "\n", "\n\n", "  ", "- ", "2. ", "# Rules\n", "Text:\n",
    "Review: ", "```\n", "`x`", '"please"', "{name}", "{{ x }}", "<doc>", "</doc>", "do not ", "never ", "unless ",
    "3 kg ", "with Alice ", "each of the items ", '{\n  "a": 1,\n  "b": [1, 2]\n}', "| a   | b |\n", "-----------\n",
    "that are mentioned ", "Example 1: x\n\n", "é", "的。", "👩\u200d💻", "Thank you! ", "Hello, ", "Bitte nicht. ",
    "write ", "https://a.b/c ", "the answer is accurate and helpful. ",
]  # fmt: skip

prompts = st.lists(st.sampled_from(PIECES), max_size=20).map("".join) | st.text(max_size=80)
levels = st.sampled_from(LEVELS)
words = st.lists(st.sampled_from(["alpha", "beta.", "gamma", "Delta", "7", "the", "of", "\n"]), max_size=40).map(
    " ".join
)


@given(prompts, levels)
def test_a_prompt_settles_never_grows_and_can_be_undone(prompt, level):
    result = optimize_prompt(prompt, level)
    assert result.restore() == prompt
    assert len(result.text) <= len(prompt)
    assert result.tokens_after <= result.tokens_before
    assert result.tokens_before == count_tokens(prompt).tokens
    assert sum(change.tokens for change in result.changes) == result.tokens_saved
    again = optimize_prompt(result.text, level)
    assert again.text == result.text
    assert again.changes == ()


@given(
    st.lists(st.sampled_from([piece for piece in PIECES if piece.strip() not in ("```", "`x`")]), max_size=14), levels
)
def test_the_oracle_misses_nothing(pieces, level):
    prompt = ""
    for piece in dict.fromkeys(pieces):
        # A capital in the middle of a sentence makes a name for the oracle.
        inside = piece[0].isupper() and prompt and not prompt.rstrip(" ").endswith((".", "!", "?", "\n", ":"))
        prompt += (". " if inside else "") + (piece if "\n" in piece else f"{piece.strip()} ")
    lost = violations(prompt, optimize_prompt(prompt, level).text)
    assert [loss for loss in lost if loss[0] not in ("key", "quote")] == []  # JSON loses blanks, which split those


@given(st.lists(words, max_size=5), words, st.floats(0.05, 1))
def test_an_extraction_is_made_of_what_was_there(passages, question, share):
    found = compress_context(passages, question, share=share)
    assert found.tokens_after <= found.tokens_before
    if found.compressed:
        assert found.words_after <= share * found.words_before
    rest = " ".join(passages).split()
    for word in " ".join(found.context).split():  # in the same order
        rest = rest[rest.index(word) + 1 :]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    ),
    st.sampled_from([None, 2]),
)
def test_compact_results_say_the_same(value, indent):
    import json

    text = json.dumps(value, indent=indent, ensure_ascii=False)
    shorter = compact(text)
    assert len(shorter) <= len(text)
    if not shorter.startswith("rows of"):
        assert json.loads(shorter) == value


@given(
    st.lists(
        st.fixed_dictionaries({"name": words, "at": st.integers(), "more": st.lists(words, max_size=2)}), max_size=12
    ),
    words,
    st.floats(0.05, 1),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_json_stays_json_of_the_same_records(rows, question, share, indent, wrapped):
    import json

    text = json.dumps({"page": 1, "rows": rows} if wrapped else rows, indent=indent)
    found = compress_context(text, question, share=share)
    made = json.loads(found.context)
    left = made["rows"] if wrapped else made
    rest = iter(rows)
    assert all(any(row == other for other in rest) for row in left)  # in the same order
    assert found.tokens_after <= found.tokens_before
    assert not wrapped or made["page"] == 1


@given(st.lists(st.sampled_from(["a", "b", "2026-01-01 10:00:00 c", "2026-01-02 11:00:00 c", ""]), max_size=30))
def test_distinct_lines_are_no_longer(lines):
    text = "\n".join(lines)
    assert len(distinct(text)) <= len(text)


calls = st.integers(0, 3)


@given(
    st.lists(st.tuples(words, calls, words), min_size=1, max_size=6),
    st.integers(1, 400),
    st.integers(1, 3),
    st.sampled_from(["openai", "anthropic"]),
)
def test_calls_and_results_are_never_parted(turns, budget, keep_last, shape):
    messages = [{"role": "system", "content": "Be kind."}]
    number = 0
    for question, many, answer in turns:
        messages.append({"role": "user", "content": question})
        ids = [f"call-{number + at}" for at in range(many)]
        number += many
        if many and shape == "openai":
            made = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in ids]
            messages.append({"role": "assistant", "content": None, "tool_calls": made})
            messages += [{"role": "tool", "tool_call_id": name, "content": answer * 3} for name in ids]
        elif many:
            used = [{"type": "tool_use", "id": name, "name": "f", "input": {}} for name in ids]
            got = [{"type": "tool_result", "tool_use_id": name, "content": answer * 3} for name in ids]
            messages += [{"role": "assistant", "content": used}, {"role": "user", "content": got}]
        messages.append({"role": "assistant", "content": answer})
    pruned = prune_history(messages, budget, keep_last=keep_last)
    text = str(pruned.messages)
    for at in range(number):
        assert text.count(f"'call-{at}'") in (0, 2)
    assert pruned.messages[0] == messages[0]
    assert pruned.tokens_after <= pruned.tokens_before
    assert pruned.fits == (pruned.tokens_after <= budget)
    if pruned.tokens_before <= budget:
        assert pruned.messages == messages
    start = [
        at for at, message in enumerate(messages) if message["role"] == "user" and isinstance(message["content"], str)
    ][-keep_last:][0]
    assert len([message for message in pruned.messages if message["role"] == "assistant"]) >= len(
        [message for message in messages[start:] if message["role"] == "assistant"]
    )
