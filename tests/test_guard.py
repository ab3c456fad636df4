"""The guards one by one, with near misses, and the suite of traps and paraphrases against guards and verifier."""

from collections import Counter

import pytest

from resopt import _core
from resopt._core import Question, guard_names
from resopt.cache.traps import read_traps
from resopt.errors import ConfigurationError


def names(left, right, guards=None):
    return {name for name, _, _ in Question(left).compare(Question(right), guards)}


REFUSED = [
    ("number", "Is a deposit of 1,000 insured?", "Is a deposit of 10k insured?"),
    ("number", "Can three people share it?", "Can 4 people share it?"),
    ("number", "What is -5 squared?", "What is 5 squared?"),
    ("number", "Is 3/4 a majority?", "Is 2/3 a majority?"),
    ("number", "Does it need Python 3?", "Does it need Python?"),
    ("unit", "Is 10 km far?", "Is 10 miles far?"),
    ("unit", "Can I leave after two weeks?", "Can I leave after two months?"),
    ("currency", "Is €20 enough?", "Is $20 enough?"),
    ("currency", "Do you pay in yen?", "Do you pay in euros?"),
    ("date", "Are you open on Monday?", "Are you open on Sundays?"),
    ("date", "Does it leave at 3 pm?", "Does it leave at 3 am?"),
    ("date", "What happened on 2024-03-12?", "What happened on 2024-12-03?"),
    ("date", "Is 4 May a holiday?", "Is 5 May a holiday?"),
    ("identifier", "What is INC-40213?", "What is INC-40231?"),
    ("identifier", "Who is a@example.org?", "Who is b@example.org?"),
    ("identifier", "What does rm -rf /tmp/a do?", "What does rm -rf /tmp/b do?"),
    ("identifier", "Is Python 3.10 old?", "Is Python 3.1 old?"),
    ("identifier", "Is release 1.2.3 stable?", "Is release 1.2.4 stable?"),
    ("name", "Where does Ada Byron live?", "Where does Ida Byron live?"),
    ("name", "where does anna live", "where does peter live"),
    ("name", "Does it run on Fedora?", "Does it run on Debian?"),
    ("negation", "Is it refundable?", "Is it non-refundable?"),
    ("negation", "Are pets allowed?", "Are pets not allowed?"),
    ("negation", "Which fees can be waived?", "Which fees can't be waived?"),
    ("negation", "Who is eligible?", "Who is ineligible?"),
    ("negation", "Why is my file readable?", "Why is my file unreadable?"),
    ("opposite", "Can I come before lunch?", "Can I come after lunch?"),
    ("opposite", "Does it work with a battery?", "Does it work without a battery?"),
    ("opposite", "How do I turn the alarm on?", "How do I turn the alarm off?"),
    ("opposite", "Do prices increase in May?", "Do prices fall in May?"),
    ("direction", "How far is it from Rome to Bari?", "How far is it from Bari to Rome?"),
    ("direction", "Is tea stronger than coffee?", "Is coffee stronger than tea?"),
    ("direction", "Do lions eat crocodiles?", "Do crocodiles eat lions?"),
    ("direction", "Flights to Lisbon", "Flights from Lisbon"),
    ("direction", "Was the shop bought by the bank?", "Was the bank bought by the shop?"),
    ("direction", "Is there a red house with a blue door?", "Is there a blue house with a red door?"),
    ("question", "When do I pay?", "Why do I pay?"),
    ("question", "How long is the film?", "How much is the film?"),
    ("question", "Can I renew it?", "How do I renew it?"),
    ("question", "What happens if I unsubscribe?", "How do I unsubscribe?"),
    ("question", "What is a chargeback?", "Why is there a chargeback?"),
    ("quantifier", "Do all doctors work here?", "Do some doctors work here?"),
    ("quantifier", "Do at least 5 people come?", "Do at most 5 people come?"),
    ("quantifier", "Is it only for members?", "Is it for members?"),
    ("modality", "Can I wear a hat?", "Must I wear a hat?"),
    ("modality", "Should I call?", "Do I have to call?"),
    ("qualifier", "What does the premium plan cost?", "What does the basic plan cost?"),
    ("qualifier", "What is the fee for a debit card?", "What is the fee for a credit card?"),
    ("qualifier", "How do I open an account?", "How do I open a business account?"),
    ("qualifier", "Can I fly?", "Can I fly with a broken arm?"),
    ("substitution", "Can I deduct the cost of a desk?", "Can I deduct the cost of a violin?"),
    ("substitution", "How do I prune roses?", "How do I prune hedges?"),
    ("comparison", "Which tyre is cheap?", "Which tyre is the cheapest?"),
    ("comparison", "Who is most popular?", "Who is least popular?"),
    ("language", "How do I pay my bill?", "¿Cómo puedo pagar mi factura con tarjeta?"),
    ("language", "Is it in Greek?", "Is it in Dutch?"),
    ("tense", "When did it ship?", "When will it ship?"),
    ("tense", "Who is the mayor?", "Who was the mayor?"),
    ("action", "Cancel my subscription", "How do I cancel my subscription?"),
    ("action", "Please delete the file", "Please delete the file"),
    ("action", "Could you lock my card?", "What happens when my card is locked?"),
    ("reference", "Why do tests fail?", "Why do these tests fail?"),
    ("freshness", "Is the site down right now?", "Is the site currently down?"),
    ("unread", "a " * 4000 + "b", "a " * 4000 + "c"),
]

ALLOWED = [
    ("number", "Is a deposit of 1,000 insured?", "Is a deposit of 1k insured?"),
    ("number", "Is it one thousand two hundred?", "Is it 1,200?"),
    ("number", "Is 50% enough?", "Is 50 percent enough?"),
    ("number", "Is $5 million a lot?", "Is $5m a lot?"),
    ("number", "Can 2 dogs stay?", "Can two dogs stay?"),
    ("number", "Is it 3.50?", "Is it 3.5?"),
    ("unit", "Can I leave after 2 weeks?", "Can I leave after 14 days?"),
    ("unit", "Is 1 h enough?", "Is 60 minutes enough?"),
    ("currency", "Is €20 enough?", "Are 20 euros enough?"),
    ("date", "Does it leave at 3 pm?", "Does it leave at 15:00?"),
    ("date", "Is 12 March 2024 free?", "Is March 12, 2024 free?"),
    ("date", "Are you open on Sunday?", "Are you open on Sundays?"),
    ("identifier", "What is INC-40213?", "what is inc-40213"),
    ("name", "Where does Ada Byron live?", "where does ada byron live"),
    ("name", "How Do I Reset My Password", "How do I reset my password?"),
    ("name", "What is AI?", "What is Artificial Intelligence?"),
    ("name", "Is there a tax in the US?", "Is there a tax in the USA?"),
    ("negation", "Are pets allowed?", "Are pets permitted?"),
    ("negation", "I cannot log in", "I am unable to log in"),
    ("negation", "The app is broken", "The app is not working"),
    ("negation", "I don't know how to pay", "How do I pay?"),
    ("opposite", "How do I turn the alarm on?", "How do I switch the alarm on?"),
    ("opposite", "Which pros and cons does it have?", "What cons and pros does it have?"),
    ("direction", "How far is Bari from Rome?", "How far is Bari from Rome exactly?"),
    ("direction", "Does the plan cover glasses?", "Are glasses covered by the plan?"),
    ("direction", "What differs between tea and coffee?", "What differs between coffee and tea?"),
    ("question", "How can I pay?", "How do I pay?"),
    ("question", "How do I pay?", "What is the way to pay?"),
    ("question", "What does it cost?", "How much is it?"),
    ("question", "Could you tell me when it ships?", "When does it ship?"),
    ("question", "Where is the exit?", "What is the location of the exit?"),
    ("quantifier", "Do you have any tea?", "Do you have some tea?"),
    ("modality", "What can I do about noise?", "What should I do about noise?"),
    ("qualifier", "How do I cancel a plan?", "How can plans be cancelled?"),
    ("substitution", "How do I buy a flat?", "How do I purchase an apartment?"),
    ("substitution", "How do I get a refund?", "How do I get a reimbursement?"),
    ("comparison", "Which is the biggest lake?", "Which is the largest lake?"),
    ("language", "Is it in Greek?", "Is it in greek"),
    ("tense", "When does it ship?", "When will it ship?"),
    ("tense", "Why was my card declined?", "Why is my card declined?"),
    ("action", "How do I cancel my subscription?", "How can I cancel my subscription?"),
    ("action", "Explain how to cancel my subscription", "How can I cancel my subscription?"),
    ("reference", "Why does the test fail?", "Why does this test fail?"),
    ("freshness", "How do I open a current account?", "How can I open a current account?"),
    ("unread", "a " * 4000 + "b", "a " * 4000 + "b"),
]


@pytest.mark.parametrize(("guard", "left", "right"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_guard_refuses_both_ways(guard, left, right):
    assert guard in names(left, right)
    assert guard in names(right, left)


@pytest.mark.parametrize(("guard", "left", "right"), ALLOWED, ids=lambda value: str(value)[:40])
def test_a_guard_lets_the_same_question_pass(guard, left, right):
    assert guard not in names(left, right)
    assert guard not in names(right, left)


def test_every_guard_is_tested_both_ways():
    assert {guard for guard, _, _ in REFUSED} == set(guard_names())
    assert {guard for guard, _, _ in ALLOWED} == set(guard_names())


def test_the_evidence_is_what_differs():
    left, right = "What does the gold card cost?", "What does the silver card cost?"
    assert Question(left).compare(Question(right)) == [("qualifier", "gold", "silver")]
    assert Question(right).compare(Question(left)) == [("qualifier", "silver", "gold")]


def test_guards_are_chosen_by_name():
    left, right = "Is 5 enough for Rome?", "Is 6 not enough for Bari?"
    assert names(left, right) >= {"number", "negation", "name"}
    assert names(left, right, ["number"]) == {"number"}
    assert names(left, right, []) == set()
    with pytest.raises(ConfigurationError, match='no guard is called "numbers"; there are: number, unit'):
        names(left, right, ["numbers"])


@pytest.mark.parametrize(
    "text",
    [
        "Cancel my order",
        "please transfer 50 euros to Ann",
        "Could you please delete my account?",
        "Hi, lock the door",
        "My bag was stolen. Block my card!",
        "go ahead and book the flight",
    ],
)
def test_commands_are_actions(text):
    assert Question(text).is_action


@pytest.mark.parametrize(
    "text",
    [
        "How do I cancel my order?",
        "What happens when I cancel my order?",
        "I want to cancel my order",
        "Exchange rate for yen",
        "Can I cancel my order?",
        "Explain transfers",
        "List my options",
        "Order status?",
        "",
    ],
)
def test_questions_about_them_are_not(text):
    assert not Question(text).is_action


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I reset my password?", "en"),
        ("reset password", "en"),
        ("¿Dónde puedo cambiar mi contraseña?", "es"),
        ("Wie kann ich mein Passwort zurücksetzen?", "de"),
        ("Comment puis-je changer mon mot de passe ?", "fr"),
        ("Как сменить пароль?", "cyrillic"),
        ("パスワードを変更する方法", "kana"),
        ("如何重置密码", "han"),
    ],
)
def test_languages_are_told_apart(text, language):
    question = Question(text)
    assert question.language == language
    assert question.needs_strict == (language != "en")


def test_other_languages_keep_numbers_codes_and_names():
    assert names("Wie viel kosten 3 Karten für das Museum?", "Wie viel kosten 4 Karten für das Museum?") == {"number"}
    assert names("Wo ist das Paket AB-12 von mir?", "Wo ist das Paket AB-21 von mir?") == {"identifier"}
    assert names("Wie weit ist es von hier nach Bonn?", "Wie weit ist es von hier nach Kiel?") == {"name"}


def test_code_is_recognised():
    assert Question("for (i = 0; i < 3; i++) { run(); }").is_code
    assert Question("why does this fail?\n```python\nx = 1\n```").is_code
    assert not Question("How do I sort a list (in place)?").is_code


def test_questions_are_counted():
    assert Question("How much is it?").questions == 1
    assert Question("How much is it? When does it ship? Who pays?").questions == 3


def test_signals_refuse_nothing():
    same = Question("How do I reset my password?").signals(Question("how can I reset my password"))
    assert (same["unmatched_left"], same["unmatched_right"], same["same_question"], same["order"]) == (0, 0, True, 1.0)
    other = Question("How do I reset my router?").signals(Question("Why is my password reset?"))
    assert other["unmatched_left"] == other["unmatched_right"] == 1
    assert not other["same_question"]


@pytest.mark.parametrize(
    "text", ["", " ", "\0", "\ud800", "'" * 300, "a" * 10**6, "1" * 10**6, "日" * 10**5, "?! " * 10**5]
)
def test_any_text_is_read_in_bounded_room(text):
    question = Question(text)
    assert question.bytes < 64 * 1024
    assert question.compare(question, [name for name in guard_names() if name not in {"action", "freshness"}]) == []


# ------------------------------------------------------------------------------------------------------- the suite

TRAPS = [trap for trap in read_traps() if not trap.should_hit]
PARAPHRASES = [trap for trap in read_traps() if trap.should_hit]
STRICT, BALANCED, EAGER = 0.97, 0.95, 0.90


def probability(trap):
    return _core.verify(trap.cached, trap.query)["probability"]


def test_the_suite_is_large_and_mixed():
    assert len(read_traps()) >= 300
    assert 0.5 <= len(TRAPS) / len(read_traps()) <= 0.7
    assert len({trap.domain for trap in read_traps()}) >= 6
    assert len({(trap.cached, trap.query) for trap in read_traps()}) == len(read_traps())
    kinds = {"product", "tier", "negation", "identifier", "action", "freshness", "principal"}
    assert kinds <= {trap.kind for trap in TRAPS}
    assert {trap.guard for trap in TRAPS} == set(guard_names()) - {"unread"}
    assert {trap.guard for trap in PARAPHRASES} == {""}


def test_no_trap_is_served():
    """A trap is served when no guard speaks and the verifier is sure; at strict and balanced none, at eager 1 %."""
    served = Counter()
    for trap in TRAPS:
        if not names(trap.cached, trap.query):
            chance = probability(trap)
            served["balanced"] += chance >= BALANCED
            served["eager"] += chance >= EAGER
    assert served["balanced"] == 0
    assert served["eager"] <= len(TRAPS) / 100


def test_refused_traps_name_the_right_guard():
    refused = [(trap, found) for trap in TRAPS if (found := names(trap.cached, trap.query))]
    right = [trap for trap, found in refused if trap.guard in found]
    assert len(right) >= 0.9 * len(refused)
    assert len(refused) >= 0.95 * len(TRAPS)


def test_paraphrases_are_rarely_refused():
    refused = [trap for trap in PARAPHRASES if names(trap.cached, trap.query)]
    assert len(refused) <= 0.08 * len(PARAPHRASES), [(trap.cached, trap.query) for trap in refused]


def test_a_trap_is_refused_in_either_order():
    for trap in TRAPS:
        assert bool(names(trap.cached, trap.query)) == bool(names(trap.query, trap.cached)), trap
