"""A stream of questions of our own making: intents with many wordings, some of them a word apart, and who is right.

Nothing of it comes from a data set: subjects, questions and frames are put together here. Neighbouring intents share
their words ("where is my card", "where is my refund"), so that cosine alone is often wrong.
"""

from __future__ import annotations

import random

SUBJECTS = {
    "card": ("card", "bank card", "plastic card"),
    "account": ("account", "bank account"),
    "savings": ("savings account", "savings pot"),
    "loan": ("loan", "personal loan"),
    "mortgage": ("mortgage", "home loan"),
    "transfer": ("transfer", "bank transfer", "wire"),
    "statement": ("statement", "monthly statement"),
    "address": ("address", "home address", "postal address"),
    "password": ("password", "login password"),
    "refund": ("refund", "money back"),
}
ASKS = {
    "arrive": (
        "when will my {} arrive",
        "how long until my {} gets here",
        "where is my {} right now",
        "is my {} on its way yet",
    ),
    "fee": (
        "what does a {} cost",
        "how much do you charge for a {}",
        "are there fees for the {}",
        "what is the price of a {}",
    ),
    "change": (
        "how do I change my {}",
        "how can I update my {}",
        "where do I edit the {}",
        "which way can my {} be modified",
    ),
    "limit": (
        "what is the limit on my {}",
        "how much can I do with my {}",
        "is there a maximum for the {}",
        "what cap does my {} have",
    ),
    "lost": (
        "what happens if my {} is lost",
        "my {} went missing, what now",
        "how do I report my {} as lost",
        "I cannot find my {} any more",
    ),
    "slow": (
        "why does my {} take so long",
        "why is the {} still pending",
        "my {} is late, why is that",
        "what delays my {}",
    ),
    "open": (
        "how do I get a {}",
        "how can I apply for a {}",
        "what do I need for a new {}",
        "where do I sign up for a {}",
    ),
    "wrong": (
        "why is my {} wrong",
        "there is a mistake in my {}",
        "my {} looks incorrect, what should I do",
        "who fixes an error in my {}",
    ),
}
BEFORE = ("", "", "", "hello, ", "hi there, ", "quick question: ", "I would like to know ", "please tell me ", "so ")
AFTER = ("", "", "", "?", "?", " please", " these days", " in the app", " as a customer", " exactly?")


def stream(seed: int, length: int) -> list[tuple[str, int]]:
    """Different questions with the numbers of their intents, in an order that depends on the seed."""
    chance = random.Random(seed)
    intents = [(subject, ask) for subject in SUBJECTS for ask in ASKS]
    seen: set[str] = set()
    questions: list[tuple[str, int]] = []
    while len(questions) < length:
        number = chance.randrange(len(intents))
        subject, ask = intents[number]
        frame = chance.choice(ASKS[ask]).format(chance.choice(SUBJECTS[subject]))
        text = chance.choice(BEFORE) + frame + chance.choice(AFTER)
        if text not in seen:
            seen.add(text)
            questions.append((text, number))
    return questions
