r"""The English freshness rules, as data: which questions have an answer that depends on who asks or on when.

A pattern meets one clause at a time, prepared by `freshness.py`: case-folded, single blanks, straight apostrophes, and a
polite beginning that asks to be told something replaced by `ask ` ("could you tell me when my bill is due" reads
`ask when my bill is due`). Other polite beginnings are dropped. So patterns may be anchored with `^(?:ask )?`.

The rules ask for a form, not for a subject. "What is my X", "has my X been …", "do I have …", "how much did I …" are about
the state of something that belongs to the asker, whatever X is. "How do I …", "why was …", "can I …", "what if …" ask for
a procedure or a policy, which is the same for everybody.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["generic", "time_sensitive", "personal"]
Action = Literal["store", "short", "bypass"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why an answer must not be shared as usual.

    Attributes:
        name: what a trace calls it.
        kind: `personal` (the answer depends on who asks) or `time_sensitive` (on when).
        words: the rule is tried only on texts with one of these words (`#` stands for any digit, `@` for itself); without
            words it is tried on every text, which costs time on each request.
        pattern: regular expression searched in a clause.
        action: `store` for as long as anything, `short` for `ttl` seconds, or `bypass`.
        ttl: seconds, for `short`.
        unless: names of shields (see `SHIELDS`) under which the rule does not hold.
        besides: a further regular expression under which it does not hold.
    """

    name: str
    kind: Kind
    pattern: str
    words: tuple[str, ...] = ()
    action: Action = "short"
    ttl: float | None = None
    unless: tuple[str, ...] = ()
    besides: str = ""


_ASK = r"^(?:ask )?"
_MINE = r"(?:my|our)"
_ANY_FIRST = r"\b(?:i|im|ive|my|mine|me|we|our|us|myself)\b"
_YEAR = r"\b(?:1\d{3}|20[0-2]\d)\b"
_CURRENCY = (
    r"(?:dollars?|euros?|pounds?|yen|francs?|rupees?|pesos?|yuan|won|krona|kronor|rubles?|sterling|lira|rand|zloty|"
    r"usd|eur|gbp|jpy|chf|inr|cad|aud|cny|sek|nok|dkk|pln|try|zar|mxn|nzd|brl)"
)

SHIELDS: dict[str, str] = {
    # The clause asks how something is done, or what would happen: the same for everybody.
    "procedure": _ASK + r"(?:how (?:to|do|does|can|could|should|would|might|may|will)\b"
    r"|(?:what|where|who|which \w+|when|whom) (?:should|can|could|must|may|shall|would|might)\b"
    r"|(?:what|where|who|which \w+|when) (?:do|does) (?:i|we|you|one|people|someone|a|an)\b(?! (?:owe|have left)\b)"
    r"|(?:what|where|how|when|which \w+) (?:i|we) (?:should|can|could|must|need|have to)\b"
    r"|what (?:are|is|'s)? ?(?:the )?(?:steps?|procedure|process|way|requirements?)\b|what (?:happens|if|happened if|will happen|would happen|to do)\b"
    r"|(?:is there|are there|is it|are we|am i|are you) (?:a way|any way|a possibility|possible|able|allowed|permitted)\b"
    r"|(?:do|will|would) (?:i|we) (?:need|have to|get charged|be charged|be able)\b"
    r"|(?:the )?(?:steps?|way|procedure|process|instructions?) (?:to|for)\b|ways? to\b)|^if (?:i|my|we|the|a|you)\b",
    # It asks for the reason of something.
    "reason": _ASK + r"(?:why|how come|what(?:'?s| is| was| are| were)? (?:the (?:reason|matter|problem|issue|cause)|wrong|"
    r"going on|happening|causing|caused|went wrong)\b)",
    # It asks for permission, a possibility or advice.
    "permission": _ASK + r"(?:if |whether )?(?:can|could|may|might|should|must|shall|would) (?!you (?:tell|see|check)\b)\w+",
    # It is about words, or asks for a text to be made.
    "language": _ASK + r"(?:translat\w+|explain|describe|define|defin\w+ of|summari[sz]e|rewrite|rephrase|paraphrase|"
    r"proofread|spell|compose|draft|write|generate|invent|make up|give (?:\w+ )*tips)\b|^(?:ask )?(?:the )?difference between\b"
    r"|\bdifference between\b|\bhow (?:do|would|can|should) (?:you|i|we|one) (?:say|spell|pronounce|translate)\b"
    r"|\bwhat (?:does|do|did) .{1,60} mean\b|\bmean(?:ing|s)? of\b|\bwhat is meant by\b|\bhow is .{1,40} (?:spelled|pronounced|"
    r"made|calculated|computed|measured|produced|formed|determined|defined|protected|stored|used)\b",
    # It is about programs: their dates, times, users and branches are names, not facts of the day.
    "program": r"\b(?:in|with|using|for) (?:a )?(?:python|java|javascript|typescript|sql|mysql|postgres\w*|bash|shell|excel|"
    r"c\+\+|c#|rust|go|golang|php|ruby|perl|powershell|html|css|linux|git|docker|pandas|react)\b",
}

_NOT_STATE = (
    r"(?!code\b|money back|card now)(?!(?:[\w'-]+ ){0,2}?(?:options?|rights?|choices?|alternatives?|chances|best|next steps?|obligations?|grammar|essay|"
    r"source code|bank that|bank (?:i|we)|bank to|boss|spelling|text|writing|english|sentence|paragraph|resume|cv|homework|thesis|poem|email to|letter to)\b)"
)
_WH = r"(?:what|which|when|where|who|whose|how (?:much|many|old|far|high|low|late|soon|full|close|big)|how long (?:until|till|before))"
_HAVE = r"(?:is|are|was|were|has|have|had|did|does|do|will)"
_VALUE = (
    r"(?:balance|limit|apr|interest rate|rate of interest|interest|status|expir\w+|points?|miles|rewards?|money|funds?|total|"
    r"level|pressure|number|name|tracking|eta|validity|update|payments?|bills?|transactions?|deposits?|charges|purchases?|due date|date|amount|sum|state|"
    r"income|tax(?:es)?|credit|score|size|model|minimum|mileage|mpg|gas|fuel|time|gate|seat|terminal)"
)
_USES = (
    r"\b(?:safe|secure|protected|insured|allowed|accepted|supported|compatible|valid (?:in|for|abroad|everywhere|only)|usable|normal|"
    r"considered|guaranteed|legal|able|same as|refundable|transferable)\b"
)
_STATIC = _USES + r"|\b(?:supposed|required)\b"
_CHILDREN = r"\bmy (?:daughter|son|child|kids?|children)\b(?!'s)"
_PROCEDURES = ("language", "procedure", "reason", "permission")

PERSONAL: tuple[Rule, ...] = (
    Rule(
        name="e-mail address",
        kind="personal",
        words=("@",),
        pattern=r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63})+",
        action="store",
    ),
    Rule(
        name="account or card number",
        kind="personal",
        words=("#",),
        pattern=r"\b[a-z]{2}\d{2}(?=(?: ?[a-z]{0,4} ?\d){8})(?: ?[a-z0-9]{2,4}){3,8}\b|(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])",
        action="store",
    ),
    Rule(
        name="phone number",
        kind="personal",
        words=("#",),
        pattern=r"\+\d[\d ()./-]{7,16}\d\b|\(?\b\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b|\b0\d{2,5}[ /-]\d{3,5}[ -]?\d{2,6}\b",
        action="store",
    ),
    Rule(
        name="reference number",
        kind="personal",
        words=("#",),
        pattern=r"\b(?:order|account|booking|ticket|invoice|case|reservation|tracking|reference|customer|policy|parcel|package|"
        r"shipment|claim|member(?:ship)?|transaction|confirmation|loan|application|contract|employee|patient)"
        r"(?: (?:number|no|nr|id|code|ref|reference))?\.?:? (?:is )?#?(?!(?:19|20)\d\d\b)(?=(?:[a-z-]{0,4}\d){4})[a-z0-9-]{4,30}"
        r"|#\d{4,}|\bmy (?:[\w-]+ )?[\w-]+ #?\d{5,}",
        action="store",
    ),
    Rule(
        name="amount in my account",
        kind="personal",
        words=("#",),
        pattern=r"^(?:ask )?why\b(?=.*\b(?:my|i|me|our)\b).*(?:\b\d+[.,]\d\d\b|\b\d{2,} ?(?:euros?|dollars?|pounds?|usd|eur|gbp)\b)",
        ttl=300.0,
    ),
    Rule(
        name="asked for mine",
        kind="personal",
        words=("my", "our", "balance", "transaction", "transactions", "spending", "payslip", "payslips", "itinerary", "reminders", "appointments",
               "meetings", "messages", "emails", "mails", "inbox"),
        pattern=rf"^ask (?:about )?(?:all |the )?(?:(?:latest|last|recent|current|status|state|balance|total|amount|list|copy|rest|"
        rf"date|time|number|name|details|contents?)(?: [\w-]+){{0,2}} (?:of|on|in|for|from|to) )?{_MINE} {_NOT_STATE}"
        r"|^ask (?:the |all |all of |any |recent |last |latest |current |new |unread )*(?:account |bank |credit card )?(?:balance|transactions?|spending|"
        r"payslips?|itinerary|reminders|appointments|meetings|messages|e-?mails|inbox)(?:$| (?:for|from|on|in|of)\b)",
        ttl=300.0,
        unless=_PROCEDURES,
    ),
    Rule(
        name="value of mine",
        kind="personal",
        words=("my", "our"),
        pattern=rf"{_ASK}{_WH}(?:'?s| (?:[\w'-]+ ){{0,4}}?{_HAVE}) (?:(?:on|in|at|left on|left in|up with|next on) )?{_MINE} {_NOT_STATE}",
        ttl=300.0,
        unless=("language", "reason"),
        besides=rf"{_USES}|\b(?:mean|stand for|look like|take|takes|used for|needs?)\b|\b(?:last|work|works)(?: for| in| with| abroad|$)|\bwhat do my\b"
        rf"|\b(?:should|can|could|must|may) (?:i|we)\b|{_CHILDREN}",
    ),
    Rule(
        name="value on something of mine",
        kind="personal",
        words=("my", "our"),
        pattern=rf"^(?:(?:ask )?{_WH}|ask (?:the|all|any))\b[\w' -]{{0,50}}?\b{_VALUE}(?: (?:date|number|amount|level|left|due|available|remaining|"
        rf"i have|do i have|i've got|used|spent|charged|rate|[a-z]+))? (?:of|on|for|in|from|at) (?:[\w-]+ ){{0,2}}?{_MINE}\b",
        ttl=300.0,
        unless=_PROCEDURES,
        besides=r"\b(?:exchange rate|best|time limit|age limit|fees?|cost|can|could|should|steps?|procedure)\b",
    ),
    Rule(
        name="date of mine",
        kind="personal",
        words=("my", "our"),
        pattern=rf"{_ASK}(?:what|which|when|how)\b.{{0,40}}\b{_MINE} [\w' -]{{1,40}}?\b(?:expires?|expiring|is set to|is due|are due|ends|starts|renews)\b"
        rf"|{_ASK}how (?:long|many \w+|much \w+)\b(?: [\w']+){{0,5}}? (?:until|till|til|before) {_MINE}\b",
        ttl=300.0,
        unless=("language", "reason", "permission"),
        besides=r"\b(?:can|could|should|do i|after|if|once|what happens|take|takes)\b|\bwhen my\b.*\bwhat\b|\bwhat\b.*\b(?:when|before) my\b",
    ),
    Rule(
        name="state of mine",
        kind="personal",
        words=("my", "our"),
        pattern=rf"{_ASK}(?:if |whether )?(?:(?:is|are|was|were|has|have|had|did|hasn't|isn't|didn't|wasn't) {_MINE} {_NOT_STATE}"
        rf"|(?:will|does|do) {_MINE} .{{1,40}}\b(?:arrive|come|land|clear|expire|renew|end|start|leave|depart|be (?:delivered|here|"
        rf"ready|refunded|approved|processed|shipped|paid|due))\b"
        rf"|does {_MINE} (?:\w+ )?(?:plan|policy|contract|insurance|subscription|warranty|tariff|membership|ticket|booking)\b)",
        ttl=300.0,
        unless=_PROCEDURES,
        besides=rf"{_STATIC}|{_CHILDREN}",
    ),
    Rule(
        name="state of mine, asked for",
        kind="personal",
        words=("my", "our", "i"),
        pattern=rf"^ask (?:if|whether|when|where|what|which|who|how (?:much|many|long|old|far))\b(?: [\w'-]+){{0,4}}? "
        rf"(?:{_MINE} [\w' -]{{1,40}}?\b(?:is|are|was|were|has|have|had|will|can expect|arrive[sd]?|came|went|expires?|ends?|"
        rf"starts?|leaves?|due)\b|i (?:am|was|owe|have|had|spent|did|paid|ordered|got|earned|used|booked|bought|make|parked|said|"
        rf"asked|qualify)\b(?! to\b))",
        ttl=300.0,
        unless=_PROCEDURES,
        besides=_STATIC,
    ),
    Rule(
        name="state of the asker",
        kind="personal",
        words=("i", "we"),
        pattern=_ASK + r"(?:if |whether )?(?:am i|do i (?:still |currently |already )?(?:have|owe|qualify)|did i|have i|was i|"
        r"are we|do we (?:still )?have|have we|did we)\b",
        ttl=300.0,
        unless=("language", "reason", "permission", "procedure"),
        besides=r"\b(?:have to|do (?:something|anything) wrong|supposed|required|missing|doing|going to|charged (?:for|when|if)|"
        r"protected|talking|good to|needing|right to|in danger|at risk|the only)\b|\b(?:do|are|did|have) we\b(?!.*\b(?:scheduled|meet|met|meeting|booked|"
        r"have (?:any|a)|paid|ordered|spoken?|talk))",
    ),
    Rule(
        name="quantity of the asker",
        kind="personal",
        words=("much", "many", "often", "long", "far"),
        pattern=_ASK + r"how (?:much|many|often|long|far)\b(?: [\w'-]+){0,6}? (?:(?:have|did|had|was) i\b|do i (?:still |currently )?"
        r"(?:have|owe|make|earn|weigh|got)\b(?! to\b)|am i (?:paying|owed|earning|making|getting paid|overdrawn|worth)\b|do i have to pay (?:on|for) my\b"
        r")",
        ttl=300.0,
        unless=("language", "reason"),
        besides=r"\bhow long do i have (?:before|until|till|to)\b",
    ),
    Rule(
        name="quantity in something of mine",
        kind="personal",
        words=("much", "many"),
        pattern=rf"{_ASK}how (?:much|many)\b[\w' -]{{0,40}}? (?:in|on|left on|left in|from|of|off) {_MINE}\b",
        ttl=300.0,
        unless=("language", "reason"),
        besides=r"\b(?:can|could|should|may|costs?|fees?|charged?|to|would|will|need)\b",
    ),
    Rule(
        name="fact about the asker",
        kind="personal",
        words=("i",),
        pattern=_ASK + r"(?:what|which|where|when|who|whom)\b(?: [\w'-]+){0,3}? (?:(?:am|did|have|was) i\b|do i (?:owe|have left|get paid)\b"
        r"|do i (?:still |currently )?have (?!to\b))"
        r"|^(?:ask )?when (?:will|can|should|do|did) i (?:get|receive|expect|have|(?:have|need) to pay) (?:my|paid|the)\b"
        r"|^(?:ask )?(?:what|how)\b.{0,60}? i(?:'ve| have)? (?:already |currently |still )?(?:left|remaining|spent|earned|used|taken|saved|accumulated|owe|have left|"
        r"have remaining)\b",
        ttl=300.0,
        unless=("language", "reason"),
        besides=r"\b(?:wrong|missing|supposed|able|allowed|charged|doing|have i done|to do|going to|options?|rights?|choices?|chances?|happens?)\b",
    ),
    Rule(
        name="what you did with mine",
        kind="personal",
        words=("have", "has", "did"),
        pattern=_ASK + r"(?:if |whether )?(?:have|has|did) (?:you|they|he|she|anyone|someone|the \w+|\w+)(?: guys)? (?:already |ever |even |yet )?(?:receiv|got\b|get\b|sen[dt]\b|ship|process|refund|"
        r"approv|author|cancel|issu|dispatch|post(?:ed)?\b|mail|pay\b|paid\b|credit|book)\w* (?:it|my|our|me|anything|this)\b",
        ttl=300.0,
        unless=("language", "reason"),
    ),
    Rule(
        name="status of a case",
        kind="personal",
        words=("status", "tracking"),
        pattern=r"\b(?:order|application|refund|claim|delivery|shipping|reservation|request|parcel|package|payment|transfer|pto|leave)"
        r" status\b|\bstatus (?:of|on|for) (?:the|this|that|an?|my|our)? ?(?:[\w-]+ ){0,2}?(?:order|application|refund|claim|delivery|"
        r"reservation|request|parcel|package|payment|transfer|shipment|ticket|vacation|leave)\b",
        ttl=300.0,
        unless=_PROCEDURES,
    ),
    Rule(
        name="place of the asker",
        kind="personal",
        words=("near", "nearby", "nearest", "closest", "here", "around", "close", "location", "am"),
        pattern=r"\b(?:near(?:est)?(?: to)?|closest(?: to)?|close to|around|next to) (?:me|us|my|here|our)\b|\bnearby\b"
        r"|\bfrom (?:here(?! on\b)|my (?:location|place|house|home|position))\b|\bhow far (?:am i|is it) from\b|\bmy (?:current |exact )?location\b"
        r"|\b(?:nearest|closest) (?:(?!to\b)[\w-]+ ?){1,3}$|\bwhere am i\b",
        ttl=300.0,
        unless=_PROCEDURES,
    ),
    Rule(
        name="list of mine",
        kind="personal",
        words=("calendar", "schedule", "agenda", "list", "inbox", "itinerary", "diary", "planner", "reminders", "todo"),
        pattern=rf"\b(?:on|in|to|off|from|check|read|see) (?:{_MINE}|the) (?:[\w-]+ ){{0,3}}?(?:calendar|schedule|agenda|(?:to ?-?do|shopping|"
        rf"grocery|task|reminder) list|list of things to do|inbox|itinerary|diary|planner|reminders|todo)\b",
        ttl=300.0,
        unless=_PROCEDURES,
    ),
    Rule(
        name="linked to mine",
        kind="personal",
        words=("linked", "connected", "registered", "attached", "associated", "assigned"),
        pattern=rf"{_ASK}(?:what|which|who|how many|is|are)\b.*\b(?:linked|connected|registered|attached|associated|assigned) (?:to|with) {_MINE}\b",
        ttl=300.0,
        unless=_PROCEDURES,
        besides=r"\b(?:fees?|costs?|charges?)\b",
    ),
)

_QUESTION = r"(?:ask (?=(?:what|which|who|where|when|how|if|the|any|about|today|tonight|tomorrow|this)\b)|what'?s?|which|who'?s?|where'?s?|when'?s?|how'?s?|is|are|was|were|will|does|do|did|has|have|any|anything)"
_NOW = r"(?:right now|at the moment|at this (?:moment|time)|now$|currently|as of (?:now|today)|at present|presently|as we speak|so far)"
_DAY = (
    r"(?:today|tonight|tomorrow|yesterday|last night|this (?:morning|afternoon|evening|week|weekend|month|season|summer|winter|spring|"
    r"autumn|fall)|next (?:week|weekend|month))"
)

TIME: tuple[Rule, ...] = (
    Rule(
        name="clock or date",
        kind="time_sensitive",
        words=("time", "date", "day", "month", "year", "week", "clock", "hour", "weekday", "monday", "tuesday", "wednesday", "thursday",
               "friday", "saturday", "sunday"),
        pattern=_ASK + r"(?:what|which|wat|whats|what's)?(?: is|'s)? ?(?:the )?(?:current |exact |local |right |correct )?(?:time|day|date|month|year|"
        r"week|weekday|hour)(?: of (?:the )?(?:week|month|year|day))?(?: is it| is today| is this| is (?:the|today's) date|$| (?:right )?now\b|"
        r" (?:today|currently)\b| (?:is it )?(?:in|at) (?!which|python|the (?:morning|evening|world))[\w .'-]{2,40}(?: (?:right )?now)?$)"
        r"|\b(?:what's|what is) today's date\b|\btoday's date\b|\bis it (?:already |still )?(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
        r"|\bwhat (?:date|day) (?:will it be|it will be|was it)\b|\b(?:date|day) [\w ]{1,20} from now\b|\btoday is what\b"
        r"|\bwhat time (?:is it|it is)\b|\bcurrent (?:time|date)\b|\bhow late is it\b",
        action="bypass",
        unless=("language", "procedure", "program", "reason"),
        besides=rf"{_YEAR}|\bof (?:birth|issue)\b|\b(?:my|your|our)\b|\btime zone\b",
    ),
    Rule(
        name="time until",
        kind="time_sensitive",
        words=("until", "till", "til", "before", "since", "away"),
        pattern=_ASK + r"how (?:many (?:more )?(?:days|weeks|months|hours|minutes|years|sleeps)|long|much (?:time|longer))\b.{0,30}?\b(?:until|till|til|"
        r"before|away|since)\b",
        action="bypass",
        unless=("language", "procedure", "reason"),
        besides=rf"{_ANY_FIRST}|\byou\b|\b(?:should|can|could|take|takes|refund|card|order|expires?|deliver\w*|arriv\w*|"
        r"cook\w*|keep|stay|wait|boil\w*|bake|comes?|transfer\w*|payments?|money|funds|cheques?|checks?|deposits?)\b",
    ),
    Rule(
        name="weather",
        kind="time_sensitive",
        words=("weather", "forecast", "temperature", "rain", "raining", "rainy", "snow", "snowing", "sunny", "windy", "humid",
               "humidity", "cold", "hot", "warm", "umbrella", "pollen", "storm", "cloudy", "hail", "jacket", "coat", "sunset", "sunrise",
               "sunscreen", "storms", "freezing", "foggy"),
        pattern=r"\bweather\b(?: (?:going|like|today|tomorrow|tonight|forecast|report|update|outside|this|now|right|in|for|at|on|will|be|is|"
        r"look|looking|here|there|over)\b|$)|\b(?:what|how)(?:'?s| is| are| will) the (?:[\w-]+ ){0,2}?(?:weather|forecast|pollen|humidity)\b"
        r"|\b(?:is|will|was) it (?:going to |gonna |be |likely to |currently |still |get )*(?:rain|snow|hail|storm|sunn?y?|wind|cloud|cold|hot|"
        r"warm|humid|freez|fog)(?:y|ing|er)?\b|\bchances? of (?:rain|snow|storms?)\b"
        r"|\b(?:need|take|bring|carry|pack|wear) (?:an umbrella|my umbrella|a (?:rain)?coat|a jacket|sunscreen)\b"
        r"|\btemperature (?:outside|today|tomorrow|tonight|right now|now|going to be)\b|\bwhat(?:'?s| is| will) the temperature(?:$| (?:be|like)\b"
        r"| in (?!a |an |the |celsius|fahrenheit|kelvin))|\bhow (?:hot|cold|warm|windy|humid|high) (?:is|will|was) (?:it|the pollen\w*)\b"
        r"|\b(?:when|what time|what)(?:'s| is) (?:the )?(?:sunset|sunrise)\b|\bforecast (?:for|today|tomorrow|this)\b|\b(?:day|week|weekend|hourly|local) forecast\b",
        ttl=600.0,
        unless=("language", "program"),
        besides=rf"{_YEAR}|\b(?:usually|typically|normally|generally|average|in general|climate|app|in (?:january|february|march|april|"
        r"may|june|july|august|september|october|november|december|summer|winter|spring|autumn|fall))\b|\bhow (?:is|are) .{1,40} made\b",
    ),
    Rule(
        name="market price or rate",
        kind="time_sensitive",
        words=("peso", "pesos", "franc", "francs", "rupee", "rupees", "price", "prices", "rate", "rates", "worth", "trading", "stock", "stocks", "share", "shares", "bitcoin", "crypto", "convert",
               "nasdaq", "dow", "ftse", "dax", "nikkei", "market", "markets", "dollar", "dollars", "euro", "euros", "pound", "pounds", "usd", "eur",
               "gbp", "yen"),
        pattern=r"\b(?:stock|share|bitcoin|crypto\w*|ethereum|gold|silver|(?:crude )?oil|gas(?:oline)?|petrol|diesel|electricity|wheat|copper)(?:'s)?"
        r" prices?\b|\bprices? (?:of|for) (?:a |an |one |the )?(?:bitcoin|ethereum|btc|eth|gold|silver|(?:crude )?oil|gas|petrol|diesel|[\w-]+ (?:stock|shares?))\b"
        r"|\b(?:stock|share|shares|bitcoin|btc|ethereum|nasdaq|dow(?: jones)?|ftse|dax|nikkei|s&p(?: 500)?|stock markets?) (?:is |are )?"
        r"(?:worth|trading|doing|open|up|down|close[ds]?|performing|at)\b|\bhow (?:did|is|are|was|were) (?:the )?(?:nasdaq|dow|ftse|dax|nikkei|s&p|(?:stock )?markets?)\b"
        rf"|\bhow (?:much|many) (?:is |are |{_CURRENCY} )?[\w. ]{{0,30}}?\b{_CURRENCY} (?:worth |right now )?(?:in|to|into|for|per|is|are|can|will|do|would)\b[\w. ]{{0,30}}\b{_CURRENCY}\b"
        rf"|\b(?:convert|change) [\w. ]{{0,20}}{_CURRENCY} (?:in|to|into)\b"
        rf"|\b\d[\d.,]* (?:[a-z]+ )?{_CURRENCY} (?:\w+ )?(?:to|in|into) (?:[a-z]+ )?{_CURRENCY}\b|\b(?:convert|conversion|exchange)\b.{{0,30}}\b{_CURRENCY} (?:to|and|into|for|in) (?:\w+ )?{_CURRENCY}\b"
        rf"|\b{_CURRENCY} (?:to|into) {_CURRENCY} conversion\b|\b{_CURRENCY} equal\b.{{0,15}}\b{_CURRENCY}\b|\bexchange rates? between\b"
        rf"|\b{_CURRENCY} (?:to|into|vs\.?|versus|against|/) (?:the )?(?:[\w]+ )?{_CURRENCY}\b.*\b(?:rate|now|today)\b"
        rf"|\brates? (?:of|for|between|from) (?:the )?(?:[\w]+ )?{_CURRENCY} (?:to|and|vs\.?|against|in|into)\b"
        r"|\b(?:what|how)(?:'?s| is| are) (?:the |your |today's )?(?:current |latest |live )?(?:exchange|conversion|currency) rates?(?: (?:right )?now| today| at the moment| currently| like| looking| between| for| from|$)"
        r"|\b(?:mortgage|interest|savings|exchange|conversion|inflation|unemployment|base) rates? (?:is |are )?(?:right now|now|today|at the moment|currently|this week)\b"
        r"|\b(?:current|today's|live|latest) (?:[\w-]+ ){0,2}?(?:price|prices|rate|rates)\b",
        ttl=60.0,
        unless=("language", "procedure", "program", "permission"),
        besides=rf"{_YEAR}|\b(?:used|use|using|apply|applied|based|determined?|calculat\w+|wrong|incorrect)\b",
    ),
    Rule(
        name="news",
        kind="time_sensitive",
        words=("news", "headlines", "headline", "trending", "happening"),
        pattern=r"\b(?:latest|breaking|today's|recent|current|any|the|top|new|local|world|sports?) (?:[\w-]+ )?(?:news|headlines?)\b|\b(?:news|headlines) (?:about|on|today|"
        r"from|in|of|for|regarding)\b|^(?:ask )?(?:the )?news$|\btrending\b|\bhappening (?:in the world|right now|now|today|around|tonight|this)\b|\bin the news\b",
        ttl=300.0,
        unless=("language", "procedure"),
        besides=_YEAR,
    ),
    Rule(
        name="result of a game or vote",
        kind="time_sensitive",
        words=("score", "won", "winning", "win", "lost", "leading", "leads", "scores", "results", "result", "standings", "beat"),
        pattern=r"\b(?:what'?s|what is|what was|what are|who has|ask)\b.{0,20}\b(?:scores?|results?|standings)(?: (?:of|in|for|from|between|at|right now|now|today|last night)\b|$)"
        r"|\bwho(?:'s| is)? (?:winning|leading|leads|in the lead|ahead)\b|\b(?:who|did|has|have)\b.{0,40}\b(?:won|win|lost|lose|beat)\b.{0,40}\b(?:game|match|race|election|fight|final|"
        r"last night|yesterday|today|tonight|this (?:week|weekend|morning|afternoon|evening))\b",
        ttl=60.0,
        unless=("language", "procedure", "reason"),
        besides=rf"{_YEAR}|\b(?:coin|dice|die|roll|flip)\b|\b(?:credit|test|exam|my|world war|civil war|first|fico) ",
    ),
    Rule(
        name="open or available now",
        kind="time_sensitive",
        words=("open", "closed", "stock", "available", "left", "sold", "busy", "crowded", "queue", "line", "wait", "waiting", "full", "close"),
        pattern=r"^(?:ask )?(?:if |whether )?(?:is|are) (?:you|they|it|the|your|there)\b[\w' -]{0,40}?\b(?:open|closed)(?: (?:right now|now|today|tonight|tomorrow|yet|still|at the moment|"
        r"currently|this \w+|late))?$|\b(?:in stock|out of stock|sold out|back in stock|stock left)\b|\b(?:any|many|have) (?:[\w-]+ ){0,3}?(?:available|left)(?: (?:today|tonight|tomorrow|now|"
        r"right now|for (?:today|tonight|tomorrow|this|next)\b.*))?$|\bhow (?:busy|crowded|full|long) (?:is|are|will) (?:the |it\b|(?:[\w'-]+ ){1,3})[\w' ]{0,25}\b(?:queue|line|wait|busy|be|now|today|tonight|"
        r"at the moment|around|at)\b|^(?:ask )?how (?:busy|crowded) (?:is|are|will|[\w ]{1,40} (?:is|are|will))\b|\b(?:current |the )wait(?:ing)? times? (?:at|for|in|right now)\b|\bhow long (?:is|'s) the (?:wait|queue|line)\b|\b(?:still|currently|now) available\b",
        ttl=60.0,
        unless=("language", "procedure", "reason", "permission"),
        besides=rf"{_ANY_FIRST}|\b(?:usually|typically?|average|normally|tends?)\b|\b(?:account|source|to (?:everyone|anyone|all|the public|students|new)|on (?:sundays?|saturdays?|weekends?|holidays|bank holidays))\b",
    ),
    Rule(
        name="outage or disruption",
        kind="time_sensitive",
        words=("alert", "advisory", "warning", "down", "outage", "outages", "offline", "working", "delay", "delays", "delayed", "disruption", "disruptions", "problems", "issues", "strike", "cancelled",
               "canceled", "maintenance", "running", "alerts", "advisories", "warnings", "incident", "incidents", "accident", "accidents", "jam", "closures"),
        pattern=r"^(?:ask )?(?:if |whether )?(?:is|are) (?!there a (?:way|fee))(?:[\w'&.-]+ ){1,6}?(?:down|offline|delayed|cancelled|canceled|running|having (?:problems|issues|trouble)|under maintenance)\b"
        r"(?! (?:payment|fee))|^(?:ask )?(?:if |whether )?(?:are|is) there (?:(?:currently|still) )?(?:any |an? )?(?:[\w-]+ ){0,3}?(?:outages?|disruptions?|delays?|strikes?|problems|issues|incidents?|advisories|"
        r"alerts?|warnings?|accidents?|maintenance|closures?|traffic|jams?)\b|\bany (?:[\w-]+ ){0,3}?(?:outages?|disruptions?|delays|travel alerts|warnings|accidents|closures)\b|\b(?:travel|weather|security) (?:alerts?|advisor\w+|warnings?) (?:for|in|on|about)\b",
        ttl=60.0,
        unless=("language", "procedure", "reason", "permission"),
        besides=rf"{_YEAR}|\b(?:network|web|internet|http|site|data) traffic\b|\bin case of\b|{_ANY_FIRST}",
    ),
    Rule(
        name="traffic",
        kind="time_sensitive",
        words=("traffic", "congestion"),
        pattern=r"\b(?:how|what|ask|is|are|will|does|any|check|the)\b.{0,25}\b(?:traffic|congestion)\b(?! (?:light|sign|law|rule|ticket|fine|lights|signs|laws|"
        r"rules|tickets|fines))|\btraffic (?:right now|now|today|jams?|report|updates?)\b",
        ttl=60.0,
        unless=("language", "procedure", "reason"),
        besides=rf"{_YEAR}|\b(?:network|web|internet|http|site|website|data|organic|api|human|drug) traffic\b|\bin case of\b|\b(?:usually|typically|on average)\b",
    ),
    Rule(
        name="next or due",
        kind="time_sensitive",
        words=("next", "upcoming", "soonest"),
        pattern=r"^(?:ask )?(?:when|what time|what|which|who)(?:'?s| is| are| does| do| will)? (?:is |are )?(?:the |your |our )?(?:very )?(?:next|upcoming|soonest)\b(?! (?:steps?|to|of kin|level|stage|version|thing))"
        r"|\bwhen (?:does|is|will|do) the next\b",
        ttl=60.0,
        unless=("language", "procedure"),
        besides=rf"{_YEAR}|\b(?:after|in the (?:series|sequence))\b",
    ),
    Rule(
        name="journey of the day",
        kind="time_sensitive",
        words=("flight", "train", "bus", "ferry", "tram"),
        pattern=r"\b(?:flight|train|bus|ferry|tram) (?:number )?[a-z]{0,3} ?\d{1,4}\b.{0,40}\b(?:delay\w*|on time|late|cancell?ed|land\w*|arriv\w*|depart\w*|leav\w*|gate|status|board\w*|take off)\b"
        r"|\b(?:status|arrival|departure|gate|when)\b.{0,30}\b(?:flight|train) [a-z]{0,3} ?\d{1,4}\b",
        ttl=60.0,
        unless=("language",),
    ),
    Rule(
        name="latest or current",
        kind="time_sensitive",
        words=("latest", "newest", "current", "recent", "currently", "playing", "showing"),
        pattern=rf"^(?!.*{_ANY_FIRST})(?:ask|what|which|who|how|is|any|are|when)\b.*\b(?:latest|newest|most recent|(?:the|any|your) recent|(?:the|your|a) current(?! (?:account|branch|directory|user|"
        r"password|row|line|page|selection|cell|address|flow|version control|working|folder|window|density))|currently)\b"
        r"|\b(?:films?|movies?|shows?) (?:is|are) (?:currently |now )?(?:playing|showing|on)\b|^(?:ask )?(?:what'?s|what is) (?:playing|showing)\b",
        ttl=900.0,
        unless=("language", "procedure", "program", "permission"),
        besides=rf"{_YEAR}|\bwas the\b|\b(?:electric|alternating|direct) current\b|\byou (?:currently )?(?:currently|support|accept|hold|offer)\b",
    ),
    Rule(
        name="right now",
        kind="time_sensitive",
        words=("now", "moment", "currently", "present", "presently"),
        pattern=rf"^(?!.*{_ANY_FIRST}){_QUESTION}\b.*\b{_NOW}\b",
        ttl=60.0,
        unless=("language", "procedure", "program", "permission", "reason"),
        besides=rf"{_YEAR}|\b(?:what|how about|from|until|till|by|just|for) now\b|\byou (?:currently )?(?:currently|support|accept|hold|offer)\b",
    ),
    Rule(
        name="day of asking",
        kind="time_sensitive",
        words=("today", "tonight", "tomorrow", "yesterday", "last", "this", "next"),
        pattern=rf"^(?!.*{_ANY_FIRST})(?:(?:{_QUESTION})\b.*\b{_DAY}\b|(?:ask )?(?:the )?(?:today|tonight|tomorrow|yesterday|this week|this weekend)'s\b)",
        ttl=300.0,
        unless=("language", "procedure", "program", "permission"),
        besides=rf"{_YEAR}|\bhow(?: are| is| was|'s) (?:you|it|everything)\b",
    ),
)

DEFAULT_RULES: tuple[Rule, ...] = PERSONAL + TIME
"""What `Freshness()` uses. To change some: `Freshness([rule for rule in DEFAULT_RULES if …] + [Rule(…)])`."""
