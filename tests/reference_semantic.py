"""Reference for resopt's embedded semantic tier: tokenise, embed, guards, verify. numpy only, written to be read.

Kept as it came with the model: the oracle of the tests. It loads the whole model when imported.

    python tests/reference_semantic.py "How do I buy shares?" "How can I buy stocks?"

Shapes: T tokens (at most 32), D = 128 table columns, K = 64 hidden units, S = 14 signals. All arithmetic is float32.
Files in rust/core/models: vocab.txt, table.bin, verifier.bin (layouts in MODEL_CARD.md).
"""

import hashlib
import struct
import sys
import unicodedata
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent.parent / "rust" / "core" / "models"
MAX_TOKENS = 32  # the verifier reads the first 32 tokens of each text; the embedding reads the first 256


def read(name, magic):
    """64-byte header (magic 8s, version u32, five u32 dims, sha256 of the payload), then the payload."""
    raw = (HERE / name).read_bytes()
    got, version, *dims, digest = struct.unpack("<8sI5I32s", raw[:64])
    if got != magic or version != 1 or hashlib.sha256(raw[64:]).digest() != digest:
        raise ValueError(f"{name} is not a version-1 {magic.decode()} file or is damaged")
    return dims, raw[64:]


# ---------------------------------------------------------------- tokenise: BERT-uncased basic split + greedy WordPiece
VOCAB = {w: i for i, w in enumerate((HERE / "vocab.txt").read_text("utf-8").split("\n")[:-1])}
UNK = VOCAB["[UNK]"]


def is_punctuation(c):
    o = ord(c)
    return 33 <= o <= 47 or 58 <= o <= 64 or 91 <= o <= 96 or 123 <= o <= 126 or unicodedata.category(c)[0] == "P"


def is_cjk(c):
    o = ord(c)
    return any(
        a <= o <= b
        for a, b in (
            (0x4E00, 0x9FFF),
            (0x3400, 0x4DBF),
            (0x20000, 0x2A6DF),
            (0x2A700, 0x2B73F),
            (0x2B740, 0x2B81F),
            (0x2B920, 0x2CEAF),
            (0xF900, 0xFAFF),
            (0x2F800, 0x2FA1F),
        )
    )


def tokenise(text):
    """Token ids, without [CLS] and [SEP]. Drops controls, strips accents (NFD, no Mn), lower-cases, splits on space and punctuation."""
    pieces, word = [], ""
    for c in unicodedata.normalize("NFD", "".join(" " if c in "\t\n\r" else c for c in text)):
        category = unicodedata.category(c)
        if category == "Mn" or c in "\0\ufffd" or (category in ("Cc", "Cf", "Cn", "Co", "Cs")):
            continue
        for c in c.lower():
            if c.isspace() or is_punctuation(c) or is_cjk(c):
                pieces += [word] * bool(word) + [c] * (not c.isspace())
                word = ""
            else:
                word += c
    ids = []
    for word in pieces + [word] * bool(word):
        start, part = 0, []
        while start < len(word) <= 100:
            end = next(
                (e for e in range(len(word), start, -1) if ("##" if start else "") + word[start:e] in VOCAB), None
            )
            if end is None:
                break
            part.append(VOCAB[("##" if start else "") + word[start:end]])
            start = end
        ids += part if start == len(word) else [UNK]
    return ids


# ---------------------------------------------------------------- embed: sum of table rows, unit length
(ROWS, D, *_), _payload = read("table.bin", b"RSPTTABL")
TABLE = np.frombuffer(_payload, np.int8, ROWS * D).reshape(ROWS, D)
SCALE = np.frombuffer(_payload, np.float16, ROWS, ROWS * D).astype(np.float32)


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), np.float32(1e-9))


def embed(text):
    """[D] float32 of length one (all zero for a text without tokens)."""
    ids = tokenise(text)[:256]
    return unit((TABLE[ids].astype(np.float32) * SCALE[ids, None]).sum(0, dtype=np.float32))


# ---------------------------------------------------------------- guards: deterministic reasons why two texts differ
NEGATIONS = set(
    "not no never without cannot none nor neither nobody nothing unable dont doesnt isnt cant wont didnt arent shouldnt wouldnt couldnt wasnt werent hasnt havent".split()
)
QUESTION = {"who": 1, "whom": 1, "whose": 1, "when": 2, "where": 3, "why": 4, "how": 5, "what": 6, "which": 6}
NUMBER = {
    w: str(n)
    for n, w in enumerate(
        "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split(),
        2,
    )
}
NUMBER.update(
    thirty="30",
    forty="40",
    fifty="50",
    sixty="60",
    seventy="70",
    eighty="80",
    ninety="90",
    hundred="100",
    thousand="1000",
    million="1000000",
)
FUNCTION = set(
    "a an the of in on at to for from by with and or is are was were be been am do does did i you he she it we they my your his her its our their me us them this that these those there as if so can could should would will shall may might must have has had what which who how why when where please thanks thank hi hello any some s t re ve ll d m".split()
)
CONTRACTION = {
    "can't": "can not",
    "cannot": "can not",
    "won't": "will not",
    "shan't": "shall not",
    "what's": "what is",
    "who's": "who is",
    "how's": "how is",
    "where's": "where is",
    "it's": "it is",
    "i'm": "i am",
    "i've": "i have",
    "i'd": "i would",
    "you're": "you are",
    "they're": "they are",
    "we're": "we are",
    "that's": "that is",
    "there's": "there is",
    "let's": "let us",
}
AUXILIARY = set("is are was were am do does did can could should would will has have had may might must".split())
DIRECTION = {"from", "to", "into", "than", "over", "before", "after", "by"}
OPPOSITE = """increase/decrease best/worst gain/lose buy/sell before/after start/stop open/close enable/disable install/uninstall
advantages/disadvantages advantage/disadvantage pros/cons strengths/weaknesses good/bad legal/illegal maximum/minimum max/min cheap/expensive
cheapest/expensive import/export upload/download add/remove include/exclude hot/cold left/right north/south east/west mother/father
husband/wife boys/girls men/women girlfriend/boyfriend male/female love/hate easy/difficult easy/hard fast/slow high/low highest/lowest
higher/lower true/false possible/impossible rich/poor strong/weak happy/sad old/new young/old public/private local/global encrypt/decrypt
lock/unlock hide/show first/last more/less most/least long/short big/small improve/worsen win/lose remember/forget introvert/extrovert
positive/negative early/late attack/defend accept/reject approve/reject pass/fail push/pull above/below inside/outside active/inactive
create/delete send/receive incoming/outgoing deposit/withdraw deposit/withdrawal credit/debit checking/savings income/expense asset/liability
fixed/variable traditional/roth joint/individual hire/fire read/write encode/decode input/output front/back hardware/software morning/night
summer/winter lend/borrow teach/learn ascending/descending dead/alive safe/dangerous healthy/unhealthy married/single freeze/unfreeze
activate/deactivate subscribe/unsubscribe follow/unfollow block/unblock with/without often/rarely always/never domestic/international
internal/external lossless/lossy mandatory/optional required/optional free/paid temporary/permanent personal/business buyer/seller
employer/employee landlord/tenant arrival/departure sunrise/sunset even/odd synchronous/asynchronous prepaid/postpaid child/adult
children/adults largest/smallest biggest/smallest tallest/shortest longest/shortest oldest/youngest oldest/newest fastest/slowest
rise/fall rising/falling increasing/decreasing grow/shrink compress/decompress expand/collapse last/next enter/exit login/logout sender/recipient
lender/borrower winner/loser import/export plus/minus major/minor on/off up/down systolic/diastolic hypertension/hypotension hyperglycemia/hypoglycemia hyperthyroidism/hypothyroidism""".split()
CLASSES = """monday tuesday wednesday thursday friday saturday sunday
january february march april june july august september october november december
hourly daily,day weekly,week monthly,month quarterly,quarter yearly,annual,annually,year
first second third fourth fifth
dollar,dollars,usd euro,euros,eur pound,pounds,gbp,sterling yen,jpy rupee,rupees,inr franc,francs,chf bitcoin,btc ethereum,eth
celsius fahrenheit kelvin
kilometers,kilometer,km miles,mile meters,meter feet,foot inches,inch
english spanish french german japanese chinese,mandarin hindi korean arabic tamil italian portuguese russian turkish dutch polish greek hebrew latin urdu bengali vietnamese swedish
india pakistan china japan germany france russia canada brazil australia italy spain mexico iran israel turkey egypt nigeria sweden norway usa,america uk,england,britain ireland poland portugal greece switzerland austria netherlands belgium denmark finland vietnam thailand indonesia malaysia singapore philippines bangladesh nepal argentina chile ukraine iraq syria afghanistan kenya
london paris mumbai delhi bangalore,bengaluru chennai hyderabad pune kolkata tokyo sydney toronto chicago boston seattle houston dubai berlin moscow madrid rome vienna amsterdam melbourne vancouver montreal miami dallas atlanta denver philadelphia
java python javascript,js php ruby swift scala perl rust haskell kotlin matlab golang typescript
google facebook amazon microsoft apple twitter netflix uber instagram snapchat whatsapp linkedin youtube quora reddit tumblr paypal ebay tesla nvidia
iphone ipad android windows linux ubuntu macbook chromebook
physics chemistry biology mathematics,maths,math economics psychology history geography
toyota honda ford bmw audi mercedes hyundai
harvard stanford mit yale princeton oxford cambridge berkeley
breakfast lunch dinner
yesterday today tomorrow
symptom,symptoms cause,causes treatment,treatments,cure prevention
red blue green yellow black white
visa mastercard amex
stock,stocks bond,bonds
mother father sister brother wife husband son daughter uncle aunt""".split("\n")
OPP = {}
for pair in OPPOSITE:
    x, y = pair.split("/")
    OPP.setdefault(x, []).append(y)
    OPP.setdefault(y, []).append(x)
MEMBER = {}
for c, members in enumerate(CLASSES):
    for m, names in enumerate(members.split()):
        for w in names.split(","):
            MEMBER.setdefault(w, (c, m))


def words(s):
    """Lower-cased words: runs of alphanumerics, apostrophes kept inside, + and # kept at the end (c++, c#); contractions expanded."""
    out, word = [], ""
    s = s.lower().replace("\u2019", "'") + " "
    for i, c in enumerate(s):
        inside = s[i + 1 : i + 2].isalnum()
        if c.isalnum() or (word and ((c == "'" and inside) or (c in "+#" and not inside and not word[-1].isdigit()))):
            word += c
            continue
        if word in CONTRACTION:
            out += CONTRACTION[word].split()
        elif word.endswith("n't"):
            out += [word[:-3]] * (len(word) > 3) + ["not"]
        elif word.endswith("'s"):
            out.append(word[:-2])
        elif word:
            out.append(word.replace("'", ""))
        word = ""
    return out


def numbers(s, ws):
    """Sorted canonical numbers: 1,000 = 1000 = 1k, 3.50 = 3.5, two = 2; digits inside words count (i7, b2b)."""
    found, i, s = [], 0, s.lower()
    digit = lambda k: "0" <= s[k : k + 1] <= "9"
    while i < len(s):
        if not digit(i):
            i += 1
            continue
        j = i
        while digit(j) or (s[j : j + 1] in (",", ".") and digit(j + 1)):
            j += 1
        t = s[i:j].replace(",", "")
        if s[j : j + 1] == "k" and not s[j + 1 : j + 2].isalnum() and t.count(".") < 2:
            t = "%.3f" % (float(t) * 1000)
        if t.count(".") == 1:
            t = t.rstrip("0").rstrip(".")
        found.append(t.lstrip("0") or "0")
        i = j
    return sorted(found + [NUMBER[w] for w in ws if w in NUMBER])


def acronyms(s):
    """Function words written in capitals inside a text that also has small letters: IT, ME, US, WHO."""
    if s.upper() == s:
        return set()
    runs = "".join(c if c.isalnum() else " " for c in s).split()
    return {w for w in runs if len(w) > 1 and w.isupper() and w.lower() in FUNCTION}


def signals(a, b):
    """Deterministic comparisons, all symmetric, most in 0..1. The first 15 feed the network; GUARDS names those that veto."""
    wa, wb = words(a), words(b)
    sa, sb = set(wa), set(wb)
    na, nb = numbers(a, wa), numbers(b, wb)
    qa, qb = (next((QUESTION[w] for w in ws if w in QUESTION), 0) for ws in (wa, wb))  # 0: no question word
    only_a, only_b = sa - sb, sb - sa
    content_a, content_b = only_a - FUNCTION, only_b - FUNCTION
    more, fewer = max(len(content_a), len(content_b)), min(len(content_a), len(content_b))
    after_a, after_b = ({(p, w) for p, w in zip(ws, ws[1:]) if p in DIRECTION} for ws in (wa, wb))
    swapped = any(p == q and v in sb and w in sa for p, v in after_a - after_b for q, w in after_b - after_a)
    classes_a, classes_b = {}, {}
    for ws, classes in ((sa, classes_a), (sb, classes_b)):
        for w in ws & MEMBER.keys():
            classes.setdefault(MEMBER[w][0], set()).add(MEMBER[w][1])
    member = any(c in classes_b and not (m <= classes_b[c] or classes_b[c] <= m) for c, m in classes_a.items())
    shared = [wb.index(w) for w in dict.fromkeys(wa) if w in sb and w not in FUNCTION]
    k = len(shared)
    inverted = sum(shared[i] > shared[j] for i in range(k) for j in range(i + 1, k))
    fa, fb = (q or 7 * bool(ws and ws[0] in AUXILIARY) for q, ws in ((qa, wa), (qb, wb)))  # 7: a yes/no question
    return dict(
        number=float(na != nb),
        negation=float((sum(w in NEGATIONS for w in wa) - sum(w in NEGATIONS for w in wb)) % 2),
        question=float(qa != qb and 0 < qa < 6 and 0 < qb < 6),
        direction=float(swapped),
        opposite=float(any(o in only_b for w in only_a for o in OPP.get(w, ()))),
        member=float(member),
        numbers_both=float(bool(na) and bool(nb)),
        question_same=float(qa == qb),
        question_what=float(qa != qb and qa * qb > 0 and 6 in (qa, qb)),
        order=inverted / (k * (k - 1) / 2) if k > 1 else 0.0,
        one_word=float(more == fewer == 1),
        same_words=float(sa == sb),
        length=min(len(wa), len(wb)) / max(1, len(wa), len(wb)),
        extra=min(4, more) / 4,
        extra_min=min(4, fewer) / 4,
        question_form=float(more == 0 and fa != fb and fa * fb > 0),  # "can I X" / "how do I X", nothing else differs
        reference=float(bool(sa & {"this", "these", "those"}) != bool(sb & {"this", "these", "those"})),
        symbol=float({w for w in sa if w.endswith(("+", "#"))} != {w for w in sb if w.endswith(("+", "#"))}),
        acronym=float(acronyms(a) != acronyms(b)),
    )


GUARDS = (
    "number",
    "negation",
    "question",
    "direction",
    "opposite",
    "member",
    "question_form",
    "reference",
    "symbol",
    "acronym",
)


def guards(a, b):
    """Reasons why one answer cannot serve both texts; an empty list lets the verifier decide."""
    found = signals(a, b)
    return [name for name in GUARDS if found[name]]


# ---------------------------------------------------------------- verify: token-alignment network
(_, K, H, S, KIND), _payload = read("verifier.bin", b"RSPTVERI")


def _load():
    """Scalars f32: beta, median row norm, Platt slope, Platt offset. Then per layer weight [out, in], bias f32 [out]."""
    scalars, at, layers = np.frombuffer(_payload, np.float32, 4), 16, {}
    for name, out, into in (
        ("project", K, D + 1),
        ("context", K, 3 * K),
        ("compare", K, 4 * K),
        ("hidden", H, 4 * K + S),
        ("output", 1, H),
    ):
        if KIND == 8:  # int8 rows, f32 scale per row
            w = np.frombuffer(_payload, np.int8, out * into, at).reshape(out, into).astype(np.float32)
            at += out * into
            w = w * np.frombuffer(_payload[at : at + 4 * out], np.float32)[:, None]
            at += 4 * out
        else:  # f16
            w = np.frombuffer(_payload, np.float16, out * into, at).reshape(out, into).astype(np.float32)
            at += 2 * out * into
        layers[name] = w, np.frombuffer(_payload[at : at + 4 * out], np.float32)
        at += 4 * out
    assert at == len(_payload)
    return scalars, layers


(BETA, MEDIAN, SLOPE, OFFSET), LAYER = _load()


def dense(name, x, relu=True):
    w, b = LAYER[name]
    y = x @ w.T + b
    return np.maximum(y, 0) if relu else y


def encode(ids):
    """unit rows [T, D]; states [T, K]: a projection of (unit row, log norm), then a window of three."""
    ids = ids[:MAX_TOKENS]
    rows = TABLE[ids].astype(np.float32)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.maximum(length, np.float32(1e-6))
    log_norm = np.log1p(length * SCALE[ids, None] / MEDIAN)
    x = dense("project", np.concatenate([rows, log_norm], 1))
    z = np.zeros((1, K), np.float32)
    return rows, dense("context", np.concatenate([np.concatenate([z, x[:-1]]), x, np.concatenate([x[1:], z])], 1))


def compare(similarity, left, right):
    """Every left state beside its soft alignment in right; [2K]: sum and maximum over left tokens."""
    w = np.exp(BETA * (similarity - similarity.max(1, keepdims=True)))
    aligned = (w / w.sum(1, keepdims=True)) @ right
    v = dense("compare", np.concatenate([left, aligned, np.abs(left - aligned), left * aligned], 1))
    return np.concatenate([v.sum(0), v.max(0)])


def score(a, b):
    """The network's logit before calibration."""
    ids_a, ids_b = tokenise(a), tokenise(b)
    if not ids_a or not ids_b:
        return np.float32(-20.0)
    (ra, ha), (rb, hb) = encode(ids_a), encode(ids_b)
    similarity = ra @ rb.T
    u, v = compare(similarity, ha, hb), compare(similarity.T, hb, ha)
    x = np.concatenate([u + v, np.abs(u - v), np.array(list(signals(a, b).values())[:S], np.float32)])
    return dense("output", dense("hidden", x), relu=False)[0]


def verify(a, b):
    """P(one answer serves both texts), calibrated on pairs that pass the guards; callers also require guards(a, b) == []."""
    return float(1 / (1 + np.exp(-(SLOPE * score(a, b) + OFFSET))))


if __name__ == "__main__":
    a, b = sys.argv[1:3]
    print(dict(cosine=float(embed(a) @ embed(b)), guards=guards(a, b), probability=verify(a, b)))
