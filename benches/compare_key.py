"""Keys against what people write today: `json.dumps` and sha256 for bodies, the md5 recipe for questions.

Targets of issue 3: the key of a 4.5 KB chat body at least 5 times faster than `json.dumps(sort_keys=True)` + sha256;
fold and key of 1 KB at least 6 times (ASCII) and 5 times (other text) faster than NFKC, casefold, split and join and
the md5 recipe in Python. Both sides must agree first: on what folds together, and on which bodies are equal.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

from measure import Bench
from resopt._core import KeySpace, fold, fold_unicode
from resopt.key import RequestKey
from resopt.types import Request

PARAMETERS = {"model": "gpt-4o", "temperature": 0.2, "max_tokens": 256, "top_p": 1.0}

ENGLISH = (
    "I ordered a pair of shoes last week and the parcel still shows as waiting at the depot, although the "
    "confirmation said it would be here by Tuesday. I tried to reach the carrier, but the number on their page only "
    "plays a message and hangs up. Can you tell me whether it is lost, and if so, how do I get my money back without "
    "sending anything in? I paid half of it with a gift card and the rest with my own card, so I would like to know "
    "where each part of the refund goes and how long that takes. My account also lists an old address; I changed it "
    "twice in the settings, but it comes back each time I log in on the phone. Should I delete the app, or is there a"
    " way to do this on the site? One more thing: the invoice shows the wrong tax rate, and our bookkeeper needs a "
    "corrected copy before the end of the month. Please do not close this ticket before all of that is settled, the "
    "last one was closed on me within an hour. What do you need from me to get this done today, and who do I call if "
    "it goes wrong once more?"
)
GERMAN = (
    "Ich möchte für meine Bestellung Nr. \uff12\uff10\uff14\uff18 die Rechnungsadresse ändern, weil die Straße falsch"
    " geschrieben ist. Der o\ufb03zielle Weg über das Konto führt leider nur zu einer Fehlermeldung, und der "
    "Kundenservice verspricht seit \uff13 Wochen, sich darum zu kümmern. Außerdem wäre es schön, wenn die Größe der "
    "Schuhe noch geändert werden könnte: statt \uff14\uff12 bräuchte ich \uff14\uff13. Falls das nicht möglich ist, "
    "würde ich das Paket zurückschicken und später neu bestellen. Wie läuft die Rücksendung ab, und wer trägt die "
    "Gebühren? Ich habe zur Hälfte mit einem Gutschein bezahlt und möchte wissen, ob ich dafür einen neuen bekomme. "
    "Bitte erklären Sie mir auch, warum auf der Rechnung ein falscher Steuersatz steht; unsere Buchhaltung benötigt "
    "bis zum Monatsende eine berichtigte Ausführung. Könnten Sie mich außerdem zurückrufen? Zwischen acht und fünf "
    "Uhr bin ich gut zu erreichen, danach nur über das Büro. Vielen Dank für die Mühe, und schöne Grüße aus Köln!"
)


def first(text: str, octets: int) -> str:
    """The beginning of `text`, `octets` long in UTF-8."""
    return text.encode()[:octets].decode(errors="ignore")


def chat_body() -> dict[str, Any]:
    """A conversation of about 4.5 KB as JSON: a system prompt, a tool and eleven messages."""
    tool = {
        "type": "function",
        "function": {
            "name": "order_status",
            "description": "Where an order is and when it arrives.",
            "parameters": {
                "type": "object",
                "properties": {"order": {"type": "string", "description": "Order number"}},
                "required": ["order"],
            },
        },
    }
    messages = [{"role": "system", "content": ENGLISH[:800]}]
    for turn in range(5):
        messages.append({"role": "user", "content": ENGLISH[turn * 40 : turn * 40 + 240]})
        messages.append({"role": "assistant", "content": ENGLISH[200 + turn * 30 : 560 + turn * 30]})
    messages.append({"role": "user", "content": "How long does the refund to the gift card take?"})
    return {**PARAMETERS, "messages": messages, "tools": [tool], "stream": True}


def recipe(text: str, parameters: dict[str, Any]) -> str:
    """The recipe of the blog posts: fold, print, md5."""
    prompt = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return hashlib.md5(f"{prompt}|{sorted(parameters.items())}".encode()).hexdigest()


def json_key(body: dict[str, Any]) -> str:
    """What most services do."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def check_agreement(space: KeySpace, body: dict[str, Any]) -> None:
    """Stop unless both sides call the same things the same."""
    for text in (ENGLISH, GERMAN, " A  b\u00a0C ", "\ufb03 \uff13"):
        if fold_unicode(text) != " ".join(unicodedata.normalize("NFKC", text).casefold().split()):
            raise SystemExit(f"the fold differs from Python's for {text[:40]!a}")
    reordered = dict(reversed(body.items()))
    changed = {**body, "top_p": 0.5}
    for key in (space.key, json_key):
        if key(body) != key(reordered) or key(body) == key(changed):
            raise SystemExit(f"{key} does not tell bodies apart")


def main() -> int:
    bench = Bench("compare_key", columns=("what", "resopt", "today's way", "ratio", "target"))
    space, body = KeySpace("bench"), chat_body()
    check_agreement(space, body)
    size = f"{len(json.dumps(body)) / 1000:.1f} KB"

    times = bench.time({"ours": lambda: space.key(body), "peer": lambda: json_key(body)})
    bench.faster(f"key of a {size} chat body", times["ours"], times["peer"], at_least=5)

    for name, text, at_least in (("ASCII", ENGLISH, 6), ("German, wide digits, ligatures", GERMAN, 5)):
        kilobyte = first(text, 1000)
        times = bench.time(
            {
                "ours": lambda text=kilobyte: space.key((fold(text), PARAMETERS)),
                "peer": lambda text=kilobyte: recipe(text, PARAMETERS),
            }
        )
        bench.faster(
            f"fold + key of {len(kilobyte.encode()):,} bytes ({name})", times["ours"], times["peer"], at_least=at_least
        )

    request_key = RequestKey()
    for name, request, peer in (
        (f"request key of the {size} body", Request(body=body), lambda: json_key(body)),
        ("request key of a 60-byte question", *question()),
    ):
        times = bench.time({"ours": lambda request=request: request_key(request), "peer": peer})
        bench.row(
            name,
            *(f"{times[side] * 1e6:.2f} µs" for side in ("ours", "peer")),
            f"{times['peer'] / times['ours']:.1f} x",
            "-",
        )
    return bench.finish()


def question() -> tuple[Request, Any]:
    """A short question as a request, and the recipe's way to its key."""
    text = "How do I change the delivery address of an order I placed?  "
    return Request.chat(text, **PARAMETERS), lambda: recipe(text, PARAMETERS)


if __name__ == "__main__":
    raise SystemExit(main())
