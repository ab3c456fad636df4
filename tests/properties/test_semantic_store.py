"""Store and index tell the same story, whatever happens; and no scope ever sees another's answers."""

import os
import random

import msgspec

from resopt import ManualClock, Request, Response, Scope, SemanticCache

OPERATIONS = int(os.environ.get("RESOPT_OPERATIONS", "6000"))
REQUESTS = int(os.environ.get("RESOPT_REQUESTS", "20000"))
TOPICS = ("password", "card", "loan", "invoice", "router", "ticket", "passport", "contract", "parcel", "account")
FORMS = ("How do I reset the {}?", "How can I reset the {}?", "What does the {} cost?", "Why was the {} refused?")


def questions():
    return [form.format(topic) for form in FORMS for topic in TOPICS]


def answer(text):
    return Response(text=text, model="gpt-4o", finish_reason="stop", body=b"{}")


def consistent(cache):
    """Every posting belongs to a stored answer, and every stored answer that is a source has its posting."""
    postings = 0
    for space in cache.meaning.spaces:
        assert len(space) == len(space.partition)
        for number in list(space._sources):
            source = space.source(number)
            stored = cache.held(source.key)
            assert stored is not None
            assert stored.value.posting.id == number
            assert stored.value.question == source.question
            assert number in space.partition
        postings += len(space)
    return postings


def store(cache, request, text, chance):
    cache.admit(request, answer(text + "x" * chance.randrange(2_000)))


def ask(cache, request, text, chance):
    if cache.lookup(request) is None:
        store(cache, request, text, chance)


OPERATION = (
    (550, ask),
    (200, store),
    (100, lambda cache, request, text, chance: cache.invalidate(tag=text.split()[-1])),
    (50, lambda cache, request, text, chance: cache.clock.advance(chance.random() * 20)),
    (30, lambda cache, request, text, chance: cache.invalidate(older_than=chance.random() * 40)),
    (20, lambda cache, request, text, chance: cache.invalidate(key=cache.key(request))),
    (2, lambda cache, request, text, chance: cache.invalidate(model="gpt-4o")),
    (1, lambda cache, request, text, chance: cache.clear()),
)


def test_a_random_life_leaves_store_and_index_consistent():
    chance, clock = random.Random(7), ManualClock()
    cache = SemanticCache(profile="balanced", max_size=25, max_bytes="200KB", ttl_seconds=50, clock=clock)
    cache.clock = clock
    weights, operations = zip(*OPERATION, strict=True)
    most = 0
    for number in range(OPERATIONS):
        text = chance.choice(questions())
        request = Request.chat(text, scope=Scope(tenant=chance.choice(("a", "b"))), tags=(text.split()[-1],))
        (operation,) = chance.choices(operations, weights)
        operation(cache, request, f"{text} {number}", chance)
        if not number % 50:
            for _ in range(30):  # what has expired is freed while the cache is used
                cache.lookup(Request.chat("nothing"))
            most = max(most, consistent(cache))
            assert cache.stats.bytes <= 200_000
    assert most > 10
    cache.clear()
    assert consistent(cache) == 0


def test_no_answer_ever_crosses_a_scope():
    """Every answer names the scope it was made for; each hit must name the asker's own."""
    chance = random.Random(11)
    cache = SemanticCache(profile="balanced", max_size=None)
    texts = questions()
    hits = {"exact": 0, "folded": 0, "semantic": 0}
    for _ in range(REQUESTS):
        scope = Scope(tenant=f"t{chance.randrange(12)}", namespace=chance.choice(("", "n")))
        system, model = chance.choice((None, "Be brief.")), chance.choice(("gpt-4o", "gpt-4o-mini"))
        request = Request.chat(chance.choice(texts), system=system, model=model, scope=scope)
        owner = repr((scope.tenant, scope.namespace, system, model))
        found = cache.lookup(request)
        if found is None:
            cache.admit(request, msgspec.structs.replace(answer(owner), model=model))
        else:
            assert found.text == owner
            hits[found.trace.mechanism] += 1
    assert hits["exact"] > REQUESTS / 3
    assert hits["semantic"] > 100
