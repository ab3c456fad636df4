"""Texts to hold one tokenizer against another with, and the tokenizer to hold resopt's against: tiktoken on our ranks.

Run as a program it compares as many texts as the time allows (`make fuzz-tokens`).
"""

import base64
import hashlib
import os
import random
import sys
import time
from functools import cache
from unittest import mock

import tiktoken
from tiktoken_ext import openai_public

from resopt._core import Encoding

NAMES = ("o200k_base", "cl100k_base")

FRAGMENTS = (
    # Contractions in every case, with what stands before and after them; the long s and the Kelvin sign fold to ASCII.
    "'s", "'S", "'t", "'T", "'re", "'RE", "'Re", "'ve", "'VE", "'m", "'M", "'ll", "'LL", "'lL", "'d", "'D", "'\u017f",
    "\u017f", "\u212a", "'x", "''s", "'sample", "'reap", "'verily", "'llama", "\u2019s", "I'm", "we'LL", "DON'T", "'",
    # Blanks and line breaks of every kind.
    " ", "  ", "   ", "\t", "\t\t", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", " \n", "\n ", "  \n  ", "\x0b", "\x0c",
    "\x85",
    "\xa0", "\xa0\xa0", " \xa0", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u3000\n",
    "\u200b",
    # Numbers that are no digits, digits of other scripts, runs of more than three.
    "0", "1", "42", "123", "1234", "1234567", "3.14", "1,000,000", "\u2167", "\u2177", "\u00b2", "\u00bd", "\u2460",
    "\u0663\u0664\u0665\u0666", "\u0967\u0968", "\U0001d7d8", "\u3007", "x\u00b2", "H\u2082O", " \u2167",
    # Marks that join, marks alone, titlecase and modifier letters, capitals beside letters without case.
    "\u0301", "e\u0301", "\u0301\u0301", " \u0301", "\u0301A", "\u0301AB", "\u0301a", "!\u0301", "\u0903", "\u20dd",
    "\ufe0f",
    "\u01c5", "\u01c5a", "A\u01c5", "\u02b0", "\u02b0A", "A\u02b0B", "\u00aa", "\u00ba", "AB\u4e2dCD", "AB\u4e2dcd",
    "\u4e2dA",
    # Emoji: alone, with skin, joined, flags, keycaps.
    "\U0001f600", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U0001f1e9\U0001f1ea",
    "1\ufe0f\u20e3", "\u2764\ufe0f\u200d\U0001f525", "\u200d",
    # What looks like a special token is text.
    "<|endoftext|>", "<|endofprompt|>", "<|im_start|>", "<|fim_prefix|>", "<|start|>", "<|", "|>", "<|endoftext",
    # Signs, slashes after them, code, markup.
    "/", "//", "./", ")/", "?/\n", "!\n/", ";\n", "{\n", "}\r\n", "();", "=>", "!=", "...", "---", "\u2014",
    "\u2026", "_", "__",
    "a_b", "camelCase", "HTTPServer", "XMLHttpRequest2", "iPhone", "$x", "@user", "#tag", "foo/bar",
    "https://a.example/b?c=d",
    "\x00", "\x1b[0m", "\x7f", "\ufeff", "\ufffd", "\uffff", "\U0010ffff", "\ue000", "\u0378",
    # Words.
    "the", " the", "The", " THE", "hello", "world", " tokenizer", "antidisestablishmentarianism", "I", "a", " A",
    "Stra\u00dfe",
    "na\u00efve", "\u0130stanbul", "\u03a3\u03c3\u03c2", "\u10d0\u10d1", "\u1c90\u10d0", "\u13a0\uab70",
)  # fmt: skip

SCRIPTS = (
    (0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x600, 0x6FF),
    (0x900, 0x97F),
    (0xE00, 0xE4F), (0x1100, 0x11FF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1FAFF),
    (0x20, 0x7E),
    (0x2000, 0x2BFF), (0x1D400, 0x1D7FF), (0xA640, 0xABFF), (0x10400, 0x104FF), (0x1E900, 0x1E95F),
)  # fmt: skip

REALISTIC = (
    "You are a support agent for a shop that sells shoes. Answer in at most three sentences, don't promise a refund, "
    "and never name another customer. If the order number (e.g. #A-10482) is missing, ask for it.\n\n",
    'def retry(call, *, attempts=3, wait=0.25):\n    """Call until it works."""\n    for turn in range(attempts):\n'
    "        try:\n            return call()\n        except TimeoutError as error:\n            last = error\n"
    "            time.sleep(wait * 2**turn)\n    raise last\n",
    '{"id":"ord_9f31","items":[{"sku":"SH-42/BLK","quantity":1,"price":89.95},{"sku":"LC-3","quantity":2}],'
    '"paid":true,"note":null,"created_at":"2026-11-28T16:42:01Z"}\r\n',
    "# Returns\n\n- Within 30 days: **free**.\n- After that: EUR 4.95, see [the terms](https://shop.example/terms#returns).\n"
    "\n| size | left |\n|------|-----:|\n| 42   |   17 |\n",
    "SELECT o.id, SUM(i.price * i.quantity) AS total FROM orders o JOIN items i ON i.order_id = o.id\n"
    "WHERE o.created_at >= '2026-01-01' AND o.status <> 'cancelled' GROUP BY o.id HAVING SUM(i.quantity) > 3;\n",
    "Ich hätte gern gewusst, ob die Größe 42½ noch lieferbar ist; falls nicht, genügt auch 43. Übrigens: Das wär's!\n",
    "Où est passée ma commande ? L'étiquette dit « livrée », mais je n'ai rien reçu depuis l'été dernier…\n",
    "Здравствуйте! Где мой заказ №10482? Его обещали доставить ещё вчера.\n",
    "您好，我的订单什么时候发货？我已经等了３天了。谢谢！\n靴のサイズを42から43に変更できますか？よろしくお願いします。\n",
    "안녕하세요, 주문한 신발이 아직 도착하지 않았습니다.\nสวัสดีค่ะ ขอเปลี่ยนที่อยู่จัดส่งได้ไหมคะ\n",
    "مرحبًا، أين طلبي رقم ١٠٤٨٢؟ לא קיבלתי את החבילה. नमस्ते, मेरा ऑर्डर कहाँ है?\n",
    "2026-11-28 16:42:01,337 WARN  [pool-3-thread-7] c.e.shop.Cart - lock wait 1204ms > 1000ms (cart=0x7fa3c0)\n",
)


def nasty(chance):
    return "".join(chance.choices(FRAGMENTS, k=chance.randint(1, 6)))


def of_scripts(chance):
    """Characters of a few scripts; one in twenty is any character at all."""
    text = []
    for _ in range(chance.randint(1, 4)):
        low, high = chance.choice(SCRIPTS)
        text += [chr(chance.randint(low, high)) for _ in range(chance.randint(1, 5))]
        text.append(chance.choice(("", "", " ", "'", "\n", chance.choice(FRAGMENTS))))
    if chance.random() < 0.2:
        text.append(chr(chance.choice((chance.randint(0, 0xD7FF), chance.randint(0xE000, 0x10FFFF)))))
    return "".join(text)


def realistic(chance):
    """A stretch of real text, now and then with something in it that does not belong there."""
    source = chance.choice(REALISTIC)
    start = chance.randrange(len(source))
    text = source[start : start + chance.randint(1, 60)]
    if chance.random() < 0.5:
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(FRAGMENTS) + text[at + chance.randint(0, 2) :]
    return text.upper() if chance.random() < 0.05 else text


def ascii_noise(chance):
    return bytes(chance.choices(range(128), k=chance.randint(1, 24))).decode()


def unbroken(chance):
    """Letters without a break: beyond what is scanned, so that they are merged by the heap."""
    alphabet = chance.choice(("ab", "abcdefghijklmnopqrstuvwxyz", "ACGT", "\u4e2d\u6587\u5b57\u8a9e", " ", "=-", "aA"))
    return "".join(chance.choices(alphabet, k=chance.randint(40, 400)))


KINDS = ((nasty, 40), (of_scripts, 25), (realistic, 25), (ascii_noise, 9.8), (unbroken, 0.2))


def texts(chance, count):
    """So many texts of all kinds."""
    kinds = chance.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS], k=count)
    return [kind(chance) for kind in kinds]


@cache
def oracle(name):
    """tiktoken's encoding with its own pattern and our ranks, which must be the file that it would download."""
    tokens = Encoding(name).tokens()
    published = b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens))

    def ranks(address, expected_hash):
        assert hashlib.sha256(published).hexdigest() == expected_hash, address
        return {token: rank for rank, token in enumerate(tokens)}

    with mock.patch.object(openai_public, "load_tiktoken_bpe", ranks):
        return tiktoken.Encoding(**openai_public.ENCODING_CONSTRUCTORS[name]())


def differences(name, several):
    """The texts of `several` that resopt encodes in another way than tiktoken, with both encodings."""
    ours = Encoding(name).encode_many(several)
    theirs = oracle(name).encode_ordinary_batch(several, num_threads=1)
    return [(name, text, mine, other) for text, mine, other in zip(several, ours, theirs, strict=True) if mine != other]


def main():
    seconds, seed = float(os.environ.get("FUZZ_SECONDS", "60")), int(os.environ.get("FUZZ_SEED", str(time.time_ns())))
    chance, compared, end = random.Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        several = texts(chance, 10_000)
        for name in NAMES:
            for difference in differences(name, several):
                sys.stdout.write(f"seed {seed}: {difference}\n")
                return 1
        compared += len(several)
    sys.stdout.write(f"{compared:,} texts in two encodings, no difference (seed {seed})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
