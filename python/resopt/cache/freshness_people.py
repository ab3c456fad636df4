"""English freshness rules, as data, first half: questions whose answer depends on who asks."""

from __future__ import annotations

from resopt.cache.freshness_rules import PROCEDURES, Rule

_MINE = r"(?:my|our)"
_NOT_STATE = (
    r"(?!code\b|money back|card now)(?!(?:[\w'-]+ ){0,2}?(?:options?|rights?|choices?|alternatives?|chances|best|"
    r"next steps?|"
    r"obligations?|grammar|essay|source code|bank that|bank (?:i|we)|bank to|boss|spelling|text|writing|english|"
    r"sentence|"
    r"paragraph|resume|cv|homework|thesis|poem|email to|letter to)\b)"
)
_WH = (
    r"(?:what|which|when|where|who|whose|how (?:much|many|old|far|high|low|late|soon|full|close|big)|"
    r"how long (?:until|till|before))"
)
_HOW_MUCH = r"how (?:much|many|long|old|far|soon)"
_HAVE = r"(?:is|are|was|were|has|have|had|did|does|do|will)"
_VALUE = (
    r"(?:balance|limit|apr|interest rate|rate of interest|interest|status|expir\w+|points?|miles|rewards?|money|"
    r"funds?|total|"
    r"level|pressure|number|name|tracking|eta|validity|update|payments?|bills?|transactions?|deposits?|charges|"
    r"purchases?|"
    r"due date|date|amount|sum|state|income|tax(?:es)?|credit|score|size|model|minimum|mileage|mpg|gas|fuel|time|gate|"
    r"seat|"
    r"terminal)"
)
_USES = (
    r"\b(?:safe|secure|protected|insured|allowed|accepted|supported|compatible|valid (?:in|for|abroad|everywhere|"
    r"only)|usable|"
    r"normal|considered|guaranteed|legal|able|same as|encrypted|private|"
    r"confidential|visible|refundable|transferable)\b"
)
_STATIC = _USES + r"|\b(?:supposed|required)\b"
_CHILDREN = r"\bmy (?:daughter|son|child|kids?|children)\b(?!'s)"
_LISTS = (
    r"(?:calendar|schedule|agenda|(?:to ?-?do|shopping|grocery|task|reminder) list|list of things to do|inbox|"
    r"itinerary|diary|"
    r"planner|reminders|todo)"
)
_PERSONAL_TTL = 300.0  # even for one user a balance or a status does not stay for long

PERSONAL: tuple[Rule, ...] = (
    Rule(
        name="e-mail address",
        kind="personal",
        words="@",
        anywhere=(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63})+",),
        action="store",
    ),
    Rule(
        name="account or card number",
        kind="personal",
        words="#",
        anywhere=(
            r"\b[a-z]{2}\d{2}(?=(?: ?[a-z]{0,4} ?\d){8})(?: ?[a-z0-9]{2,4}){3,8}\b",  # IBAN
            r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])",
        ),
        action="store",
    ),
    Rule(
        name="phone number",
        kind="personal",
        words="#",
        anywhere=(
            r"\+\d[\d ()./-]{7,16}\d\b",
            r"\(?\b\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b",
            r"\b0\d{2,5}[ /-]\d{3,5}[ -]?\d{2,6}\b",
        ),
        action="store",
    ),
    Rule(
        name="reference number",
        kind="personal",
        words="#",
        anywhere=(
            r"\b(?:order|account|booking|ticket|invoice|case|reservation|tracking|reference|customer|policy|parcel|"
            r"package|"
            r"shipment|claim|member(?:ship)?|transaction|confirmation|loan|application|contract|employee|patient)"
            r"(?: (?:number|no|nr|id|code|ref|reference))?\.?:? (?:is )?#?"
            r"(?!(?:19|20)\d\d\b)(?=(?:[a-z-]{0,4}\d){4})[a-z0-9-]{4,30}",
            r"#\d{4,}",
            r"\bmy (?:[\w-]+ )?[\w-]+ #?\d{5,}",
        ),
        action="store",
    ),
    Rule(
        name="amount in my account",
        kind="personal",
        words="#",
        opening=(
            r"why\b(?=.*\b(?:my|i|me|our)\b).*(?:\b\d+[.,]\d\d\b|\b\d{2,} ?(?:euros?|dollars?|pounds?|usd|eur|gbp)\b)",
        ),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="asked for mine",
        kind="personal",
        words=(
            "my our balance transaction transactions spending payslip payslips itinerary reminders   "
            "appointments meetings messages emails mails inbox"
        ),
        opening=(
            r"ask (?:about )?(?:all |the )?(?:(?:latest|last|recent|current|status|state|balance|total|amount|list|"
            r"copy|rest|date|"
            r"time|number|name|details|contents?)(?: [\w-]+){0,2} (?:of|on|in|for|from|to) )?"
            + f"{_MINE} {_NOT_STATE}",
            r"ask (?:the |all |all of |any |recent |last |latest |current |new |unread )*(?:account |bank |"
            r"credit card )?"
            r"(?:balance|transactions?|spending|payslips?|itinerary|reminders|appointments|meetings|messages|e-?mails|"
            r"inbox)"
            r"(?:$| (?:for|from|on|in|of)\b)",
        ),
        unless=PROCEDURES,
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="value of mine",
        kind="personal",
        words="my our",
        opening=(
            rf"{_WH}(?:'?s| (?:[\w'-]+ ){{0,4}}?{_HAVE}) (?:(?:on|in|at|left on|left in|up with|"
            rf"next on) )?{_MINE} {_NOT_STATE}",
        ),
        unless=("language", "reason"),
        besides=(
            _USES,
            _CHILDREN,
            r"\b(?:mean|stand for|look like|take|takes|used for|needs?)\b",
            r"\b(?:last|work|works)(?: for| in| with| abroad|$)",
            r"\bwhat do my\b",
            r"\b(?:should|can|could|must|may) (?:i|we)\b",
        ),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="value on something of mine",
        kind="personal",
        words="my our",
        opening=(
            rf"(?:{_WH}|ask (?:the|all|any))\b[\w' -]{{0,50}}?\b{_VALUE}"
            r"(?: (?:date|number|amount|level|left|due|available|remaining|i have|do i have|i've got|[a-z]+))?"
            rf" (?:of|on|for|in|from|at) (?:[\w-]+ ){{0,2}}?{_MINE}\b",
        ),
        unless=PROCEDURES,
        besides=(r"\b(?:exchange rate|best|time limit|age limit|fees?|cost|can|could|should|steps?|procedure)\b",),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="date of mine",
        kind="personal",
        words="my our",
        opening=(
            rf"(?:what|which|how|(?<=ask )when)\b.{{0,40}}\b{_MINE} [\w' -]{{1,40}}?"
            r"\b(?:expires?|expiring|is set to|is due|are due|ends|starts|renews)\b",
            rf"how (?:long|many \w+|much \w+)\b(?: [\w']+){{0,5}}? (?:until|till|til|before) {_MINE}\b",
        ),
        unless=("language", "reason", "permission"),
        besides=(
            r"\b(?:can|could|should|do i|after|if|once|what happens|take|takes)\b",
            r"\bwhen my\b.*\bwhat\b|\bwhat\b.*\b(?:when|before) my\b",
        ),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="state of mine",
        kind="personal",
        words="my our",
        opening=(
            rf"(?:if |whether )?(?:is|are|was|were|has|have|had|did|hasn't|isn't|didn't|wasn't) {_MINE} {_NOT_STATE}",
            rf"(?:if |whether )?(?:will|does|do) {_MINE} .{{1,40}}\b(?:arrive|come|land|clear|expire|renew|end|start|"
            rf"leave|depart|"
            r"be (?:delivered|here|ready|refunded|approved|processed|shipped|paid|due))\b",
            rf"does {_MINE} (?:\w+ )?(?:plan|policy|contract|insurance|subscription|warranty|tariff|membership|ticket|"
            rf"booking)\b",
        ),
        unless=PROCEDURES,
        besides=(_STATIC, _CHILDREN),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="state of mine, asked for",
        kind="personal",
        words="my our i",
        opening=(
            rf"ask (?:if|whether|when|where|what|which|who|{_HOW_MUCH})\b(?: [\w'-]+){{0,4}}? {_MINE} {_NOT_STATE}",
            rf"ask (?:if|whether|when|where|what|which|who|{_HOW_MUCH})\b(?: [\w'-]+){{0,4}}? "
            r"i (?:am|was|owe|have|had|spent|did|paid|ordered|got|earned|used|booked|bought|make|parked|said|asked|"
            r"qualify)\b"
            r"(?! to\b)",
        ),
        unless=PROCEDURES,
        besides=(_STATIC, r"\b(?:can|could|should|would|must|may|might|needs?|works?|fees?|costs?)\b"),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="what happened to mine",
        kind="personal",
        words="my our mine",
        opening=(
            rf"(?:if |whether )?(?:has|had|did|was|were|have (?:they|you|we|"
            rf"any\w*))\b(?! to\b).*\b(?:{_MINE} {_NOT_STATE}|mine\b)",
            rf"(?:what|where|who|which)\b(?: [\w'-]+){{0,3}}? (?:did|has|was|were)\b(?! to\b).*\b{_MINE} {_NOT_STATE}",
            rf"when (?:did|was|were|has)\b.*\b{_MINE} {_NOT_STATE}",
            rf"who (?:has |have )?\w+(?:ed|en|id|ent|old|ought|ook) (?:to |on |off |for |at )?{_MINE}\b",
            rf"how(?:'s|'re| is| are) {_MINE} .*\b(?:doing|going|coming|looking|progressing|performing)\b",
        ),
        unless=PROCEDURES,
        besides=(_STATIC, _CHILDREN),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="kept for the asker",
        kind="personal",
        words="me file record us",
        opening=(r"(?:is|are|was|were|do|does|did|have|has)\b.*\b(?:for (?:me|us)|(?:about|on) me)$",),
        anywhere=(
            r"\b(?:have|is|are|got|has) (?:[\w-]+ ){0,3}?on (?:file|record)\b|\b(?:scheduled|booked|planned|reserved|"
            r"waiting) for me\b",
        ),
        unless=PROCEDURES,
        besides=(
            r"\b(?:right|best|good|suitable|safe|possible|worth|recommend\w*|idea|ideas|suggestions?|tips?|advice) ",
        ),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="state of the asker",
        kind="personal",
        words="i we",
        opening=(
            r"(?:if |whether )?(?:am i|do i (?:still |currently |already )?(?:have|owe|qualify)|did i|have i|was i)\b",
            r"(?:are|do|have|did) we\b.*\b(?:scheduled|meet|met|meeting|booked|have (?:any|a)|paid|ordered|spoken?|"
            r"talk)",
        ),
        unless=PROCEDURES,
        besides=(
            r"\b(?:have to|do (?:something|anything) wrong|supposed|required|missing|doing|going to|charged (?:for|"
            r"when|if))\b",
            r"\b(?:protected|talking|good to|needing|right to|in danger|at risk|the only)\b",
        ),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="quantity of the asker",
        kind="personal",
        words="much many often long far close old late early am",
        opening=(
            r"how (?:much|many|often|long|far)\b(?: [\w'-]+){0,6}? (?:have|did|had|was) i\b",
            r"how (?:close|near|far|old|late|early|overdue|tall|heavy) am i\b",
            r"how (?:much|many|long)\b(?: [\w'-]+){0,6}? do i (?:still |currently )?(?:have|owe|make|earn|weigh|"
            r"got)\b(?! to\b)",
            r"how (?:much|many)\b(?: [\w'-]+){0,6}? am i (?:paying|owed|earning|making|getting paid|overdrawn|worth)\b",
            r"how much do i have to pay (?:on|for) my\b",
        ),
        unless=("language", "reason"),
        besides=(r"\bhow long do i have (?:before|until|till|to)\b",),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="quantity in something of mine",
        kind="personal",
        words="much many",
        opening=(rf"how (?:much|many)\b[\w' -]{{0,40}}? (?:in|on|left on|left in|from|of|off) {_MINE}\b",),
        unless=("language", "reason"),
        besides=(r"\b(?:can|could|should|may|costs?|fees?|charged?|to|would|will|need)\b",),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="fact about the asker",
        kind="personal",
        words="i",
        opening=(
            r"(?:what|which|where|when|who|whom)\b(?: [\w'-]+){0,3}? (?:am|did|have|was) i\b",
            r"(?:what|which|who|whom)\b(?: [\w'-]+){0,3}? do i (?:owe\b|(?:still |currently )?have (?!to\b))",
            r"(?:what|how)\b.{0,60}? i(?:'ve| have)? (?:already |currently |still )?(?:left|remaining|spent|earned|"
            r"used|taken|"
            r"saved|accumulated|owe|have left|have remaining)\b",
        ),
        unless=PROCEDURES,
        besides=(
            r"\b(?:can|could|wrong|missing|supposed|able|allowed|charged|doing|have i done|to do|going to|options?|"
            r"rights?|"
            r"choices?|"
            r"chances?|happens?)\b",
        ),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="when something comes to the asker",
        kind="personal",
        words="when",
        opening=(
            r"when (?:will|can|should|do|did) (?:i|we) (?:get|receive|expect|have|(?:have|need) to pay) (?:my|our|"
            r"paid|the)\b",
        ),
        unless=("language",),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="what was done with mine",
        kind="personal",
        words="have has did",
        opening=(
            r"(?:if |whether )?(?:have|has|did) (?:the )?\w+(?: guys)? (?:already |ever |even |yet )?"
            r"(?:receiv|got\b|get\b|sen[dt]\b|ship|process|refund|approv|author|cancel|issu|dispatch|post(?:ed)?\b|"
            r"mail|pay\b|"
            r"paid\b|credit|book)\w* (?:it|my|our|me|anything|this)\b",
        ),
        unless=("language", "reason"),
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="status of a case",
        kind="personal",
        words="status tracking",
        anywhere=(
            r"\b(?:order|application|refund|claim|delivery|shipping|reservation|request|parcel|package|payment|"
            r"transfer|pto|"
            r"leave) status\b",
            r"\bstatus (?:of|on|for) (?:the|this|that|an?|my|our)? ?(?:[\w-]+ ){0,2}?(?:order|application|refund|"
            r"claim|delivery|"
            r"reservation|request|parcel|package|payment|transfer|shipment|ticket|vacation|leave)\b",
        ),
        unless=PROCEDURES,
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="place of the asker",
        kind="personal",
        words="near nearby nearest closest here around close location am house place",
        anywhere=(
            r"\b(?:near(?:est)?(?: to)?|closest(?: to)?|close to|around|next to) (?:me|us|my|here|our)\b|\bnearby\b",
            r"\bfrom (?:here(?! on\b)|my (?:location|place|house|home|position))\b",
            r"\bmy (?:current |exact )?location\b|\bwhere am i\b(?! able| supposed| allowed)",
            r"\b(?:nearest|closest) (?:(?!to\b)[\w-]+ ?){1,3}$",
        ),
        unless=PROCEDURES,
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="list of mine",
        kind="personal",
        words="calendar schedule agenda list inbox itinerary diary planner reminders todo",
        anywhere=(rf"\b(?:on|in|to|off|from|check|read|see) (?:{_MINE}|the) (?:[\w-]+ ){{0,3}}?{_LISTS}\b",),
        unless=PROCEDURES,
        ttl=_PERSONAL_TTL,
    ),
    Rule(
        name="linked to mine",
        kind="personal",
        words="linked connected registered attached associated assigned",
        opening=(
            r"(?:what|which|who|how many|is|are)\b.*\b(?:linked|connected|registered|attached|associated|"
            r"assigned) (?:to|with) "
            rf"{_MINE}\b",
        ),
        unless=PROCEDURES,
        besides=(r"\b(?:fees?|costs?|charges?)\b",),
        ttl=_PERSONAL_TTL,
    ),
)
"""The answer depends on who asks."""
