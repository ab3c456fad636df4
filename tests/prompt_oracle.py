"""What must survive any shortening of a prompt, found by other means than the rules use: plain regular expressions.

`violations(before, after)` names what was lost, as often as it was lost. Nothing here knows the rules.
"""

import re
from collections import Counter
from pathlib import Path

FENCE = re.compile(r"```.*?```", re.DOTALL)
INLINE = re.compile(r"`[^`\n]+`")
QUOTED = re.compile(r'"[^"\n]+"|“[^”\n]+”|„[^“\n]+“|«[^»\n]+»')
PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}|\{\w+\}|\$\{?\w+\}?|%\(?\w*\)?[sd]|<[/\w][^<>\n]*>|\[\w+\]")
URL = re.compile(r"https?://\S+|\S+@\S+\.\w+|(?<!\w)/[\w./-]+/[\w./-]+")
NUMBER = re.compile(r"\d+(?:[.:/-]\d+|,\d{3}(?!\d))*%?")
UNIT = re.compile(
    r"\d+(?:[.,]\d+)?\s?(?:kg|g|mg|ml|km|cm|mm|m/s|EUR|USD|mAh|seconds?|minutes?|days?|words?|sentences?|%)\b"
)
NEGATION = re.compile(r"\b(?:not|never|no|none|nor|neither|nothing|without|cannot|\w+n['’]t)\b", re.IGNORECASE)
CONDITION = re.compile(
    r"\b(?:must|may|might|shall|if|unless|until|only|except|provided that|at least|at most|whenever)\b", re.IGNORECASE
)
NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w&-]+(?: [A-Z][\w&-]+)*")
IDENTIFIER = re.compile(r"\b\w+_\w+\b|\b[A-Z][a-z]+[A-Z]\w+\b|\b[A-Z]{2,}[0-9]*\b")
KEYS = re.compile(r'"(?:[^"\\\n]|\\.)*"\s*:')

WHOLE = {"code": FENCE, "inline code": INLINE, "quote": QUOTED, "placeholder": PLACEHOLDER, "address": URL, "key": KEYS}
COUNTED = {"number": NUMBER, "unit": UNIT, "negation": NEGATION}
SET = {"name": NAME, "identifier": IDENTIFIER}

NOT_NAMES = {"I", "I'd", "AI"}


def found(pattern, text):
    matches = (match.group().replace(" :", ":") for match in pattern.finditer(text))
    return Counter(match.lower() if pattern is NEGATION else match for match in matches)


def violations(before, after):
    """Everything protected that `after` has lost."""
    lost = []
    for kind, pattern in {**WHOLE, **COUNTED}.items():
        gone = found(pattern, before) - found(pattern, after)
        lost += [(kind, text) for text in gone.elements()]
    for kind, pattern in SET.items():
        gone = set(found(pattern, before)) - NOT_NAMES
        lost += [(kind, text) for text in gone if text not in after]
    for line in code_lines(before):
        if line not in after:
            lost.append(("code line", line))
    less = Counter(text.lower() for text in CONDITION.findall(before)) - Counter(
        text.lower() for text in CONDITION.findall(after)
    )
    lost += [("condition", text) for text in less.elements() if not grown(before, text)]
    return lost


def code_lines(text):
    """Lines that anyone would call code."""
    return [
        line
        for line in FENCE.sub("", text).split("\n")
        if re.match(r"\s*(?:def |class |import |return |for .*:$|SELECT |@\w+|\w+ = )", line) and not line.endswith(".")
    ]


def grown(text, word):
    """Whether a condition stands in a phrase of politeness: `it would be great if you could`."""
    return word == "if" and re.search(
        r"(?:great|nice|helpful|grateful|appreciate it|wondering|thankful) if you could", text
    )


def corpus():
    """The prompts of tests/data: (name, kind, style, text)."""
    prompts = []
    for file in sorted((Path(__file__).parent / "data").glob("verbose_prompts_*.txt")):
        for block in re.split(r"^=== ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            head, _, text = block.partition("\n")
            name, kind, style = (part.strip() for part in head.split("|"))
            prompts.append((name, kind, style, text.strip("\n")))
    return prompts
