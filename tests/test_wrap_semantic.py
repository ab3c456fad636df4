"""Questions in other words in front of the real clients: streams and whole answers serve one another here too."""

import openai
import pytest

import resopt
from provider_faces import KEY
from resopt import MultiTierCache, Rewriter, SemanticCache

TESTED_WITH = ("OpenAI", "openai")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

STORED, OTHER_WORDS = "How do I reset my password?", "How can I reset my password?"


@pytest.fixture
def client(server):
    bare = openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
    return resopt.wrap(bare, cache=SemanticCache(profile="balanced", audit_share=0, label_share=0))


def ask(client, question, *, stream, model="gpt-4o"):
    streaming = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    made = client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}], **streaming)
    if not stream:
        return made.choices[0].message.content, resopt.last(made)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in made if chunk.choices)
    return text, resopt.last(made)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_a_hit_in_other_words_comes_in_the_form_that_was_asked_for(client, server, first, second):
    text, _ = ask(client, STORED, stream=first)
    again, trace = ask(client, OTHER_WORDS, stream=second)
    assert (again, trace.outcome, trace.mechanism) == (text, "hit", "semantic")
    assert server.stats().requests == 1
    assert ask(client, OTHER_WORDS, stream=second)[1].mechanism == "semantic"
    assert client.resopt.report_bad_hit(trace.id) == 2
    assert ask(client, OTHER_WORDS, stream=second)[1].outcome == "miss"
    assert client.resopt.skipped == {}


def test_two_customers_never_meet(client, server):
    ask(client, STORED, stream=False)
    with resopt.options(tenant="acme"):
        assert ask(client, OTHER_WORDS, stream=False)[1].outcome == "miss"


@pytest.mark.parametrize("stream", [False, True])
def test_a_rewritten_answer_is_streamed_too(server, stream):
    tiers = MultiTierCache(l3_threshold=0.5, rewriter=Rewriter(model="gpt-4o-mini"), audit_share=0, label_share=0)
    client = resopt.wrap(openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0), cache=tiers)
    ask(client, STORED, stream=False)
    text, trace = ask(client, "How do I change my password?", stream=stream)
    assert (trace.outcome, trace.mechanism) == ("hit", "rewrite")
    assert text
    assert client.resopt.skipped == {}
