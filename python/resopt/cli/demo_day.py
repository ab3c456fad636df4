"""A scripted day at the help desk of Fernbank, a bank that does not exist: who asks what, and when.

The same seed gives the same day. Questions are listed from the most to the least asked; how often each comes up falls
with its rank, as in real support traffic. What is scripted on top shows one thing each: two customers with the same
personal question, many who ask the same at once, a rush that meets a provider that says 429.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["generic", "personal", "time_sensitive"]

LARGE: Final = "gpt-4o"
SMALL: Final = "gpt-4o-mini"

SYSTEM: Final = (
    "You are the help desk of Fernbank, an online bank. Answer in a few sentences, plainly and kindly. Name the place "
    "in the app where the customer finds what they need. Never ask for a password, a PIN or a full card number. When "
    "you do not know, say so and offer a call from a colleague. Fees, limits and opening hours are in the price list."
)

QUESTIONS: Final[tuple[str, ...]] = (
    "How do I set a new password?",
    "How can I block a lost card?",
    "Why did the shop refuse my card?",
    "How do I tell you my new address?",
    "What does an instant transfer cost?",
    "How long does a transfer abroad take?",
    "How do I raise my daily limit?",
    "Can I open a joint account?",
    "What is a standing order?",
    "How do I set up a savings pot?",
    "How do I add a card to my phone?",
    "What documents do I need to open an account?",
    "Can I deposit cash?",
    "How do I cancel a direct debit?",
    "What happens if I go overdrawn?",
    "How do I dispute a payment?",
    "Is there a fee for using a card abroad?",
    "How do I close an account?",
    "Which browsers does the web bank support?",
    "Can a sixteen-year-old open an account?",
    "How do I download a statement as PDF?",
    "What is the difference between a debit and a credit card?",
    "How do I order a second card?",
    "Can I choose the number of a card?",
    "How do I report a suspicious message?",
    "Why do I have to confirm payments twice?",
    "What is an IBAN?",
    "How can I share an account with a bookkeeper?",
    "Do you offer business accounts?",
    "How do I delete a saved recipient?",
    "How are deposits protected?",
    "What is the minimum amount for a fixed deposit?",
    "Can I pay in instalments?",
    "How do I switch the app to Spanish?",
)
"""Asked by anyone, with the same answer for everyone."""

SMALL_TALK: Final[tuple[str, ...]] = ("Hello!", "Are you a robot?", "Thanks a lot!", "Can I talk to a human?")
"""These go to the small model."""

PERSONAL: Final[tuple[str, ...]] = (
    "What is my balance?",
    "Where is my new card?",
    "Has my salary arrived?",
    "When is my next payment due?",
)
"""The answer depends on who asks."""

TIMELY: Final[tuple[str, ...]] = (
    "What is the dollar exchange rate today?",
    "Is the app down right now?",
    "What time is it?",
    "What are the latest mortgage rates?",
)
"""The answer depends on when."""

RUSH: Final[tuple[str, ...]] = (
    "How do I import transactions into a spreadsheet?",
    "Can I print a letter of confirmation?",
    "How do I set a travel notice?",
    "What is a virtual card?",
    "How do I round up payments into savings?",
    "Can I pay by cheque?",
    "How do I appoint a representative?",
    "What does an account freeze mean?",
)
"""Asked once, all in the same second: all must be asked upstream."""

AFTER_THE_LETTER: Final = "What changes with the new Fern card?"
"""Asked by many in the second in which a letter reached all customers."""

_CUSTOMERS: Final = 40
_HOURS: Final = (1, 1, 1, 1, 1, 2, 5, 12, 22, 30, 32, 30, 28, 28, 30, 30, 28, 26, 24, 20, 16, 10, 5, 2)
"""How busy each hour of the day is."""

_SHARES: Final = ((0.80, QUESTIONS), (0.06, SMALL_TALK), (0.08, PERSONAL), (0.06, TIMELY))
_RESPELLED: Final = 0.3


class Ask(msgspec.Struct, frozen=True):
    """One request of the day: at which second of it, by whom, what, and what kind of question it is."""

    at: float
    customer: str
    text: str
    kind: Kind = "generic"
    model: str = LARGE


class Moment(msgspec.Struct, frozen=True):
    """Requests that belong together.

    Attributes:
        asks: one or more.
        in_turn: each is sent when the one before is answered, and nobody else is served meanwhile; otherwise all are
            sent in the same instant.
        refusals: how many of the provider's next replies are a 429.
    """

    asks: tuple[Ask, ...]
    in_turn: bool = False
    refusals: int = 0

    @property
    def at(self) -> float:
        """Second of the day."""
        return self.asks[0].at


def scripted_day(seed: int = 0, requests: int = 400) -> list[Moment]:
    """The day, in order: the scripted moments, and single requests up to the number asked for (at least 40)."""
    draw = random.Random(seed)  # noqa: S311 - a script, not a secret
    moments = _scripted()
    left = requests - sum(len(moment.asks) for moment in moments)
    moments += [Moment((_single(draw),)) for _ in range(max(left, 0))]
    return sorted(moments, key=lambda moment: moment.at)


def _scripted() -> list[Moment]:
    balance = PERSONAL[0]
    crowd = [f"customer-{number:02}" for number in range(1, _CUSTOMERS + 1)]
    half_past_nine, half_past_twelve, two, four = 9.5 * 3600, 12.5 * 3600, 14 * 3600, 16 * 3600
    return [
        Moment(
            tuple(
                Ask(half_past_nine + 60 * step, crowd[who], balance, "personal") for step, who in enumerate((0, 1, 0))
            ),
            in_turn=True,
        ),
        Moment(tuple(Ask(half_past_twelve, who, AFTER_THE_LETTER) for who in crowd[:10])),
        Moment(tuple(Ask(two, who, text) for who, text in zip(crowd, RUSH, strict=False)), refusals=4),
        Moment(tuple(Ask(four, who, TIMELY[1], "time_sensitive") for who in crowd[10:18])),
    ]


def _single(draw: random.Random) -> Ask:
    hour = draw.choices(range(24), _HOURS)[0]
    at = round((hour + draw.random()) * 3600, 1)
    (texts,) = draw.choices([texts for _, texts in _SHARES], [share for share, _ in _SHARES])
    text = draw.choices(texts, [1 / (rank + 1) ** 0.8 for rank in range(len(texts))])[0]
    kind: Kind = "personal" if texts is PERSONAL else "time_sensitive" if texts is TIMELY else "generic"
    spelled = draw.choice(_SPELLINGS)(text) if draw.random() < _RESPELLED else text
    customer = f"customer-{draw.randint(1, _CUSTOMERS):02}"
    return Ask(at, customer, spelled, kind, SMALL if texts is SMALL_TALK else LARGE)


def _without_mark(text: str) -> str:
    return text.rstrip("?!")


def _hurried(text: str) -> str:
    return f"{text}??" if text.endswith("?") else f"{text}!"


def _blanks(text: str) -> str:
    return f" {text.replace(' ', '  ')} "


_SPELLINGS: tuple[Callable[[str], str], ...] = (str.lower, str.upper, _without_mark, _hurried, _blanks)
"""What people do to the same question."""
