"""English freshness rules, as data, second half: questions whose answer depends on when they are asked."""

from __future__ import annotations

from resopt.cache.freshness_rules import PROCEDURES, Rule

_FIRST_PERSON = r"\b(?:i|im|ive|my|mine|me|we|our|us|myself)\b"
"""A day or a "now" in a sentence about the asker mostly tells a story ("I paid today, can I …")."""

_YEAR = r"\b(?:1\d{3}|20[0-2]\d)\b"
_CURRENCY = (
    r"(?:dollars?|euros?|pounds?|yens?|francs?|rupees?|pesos?|yuan|won|krona|krone|kronor|kroner|rubles?|sterling|"
    r"lira|rand|"
    r"zloty|usd|eur|gbp|jpy|chf|inr|cad|aud|cny|sek|nok|dkk|pln|try|zar|mxn|nzd|brl)"
)
_MARKET = r"(?:nasdaq|dow(?: jones)?|ftse|dax|nikkei|s&p(?: 500)?|stock markets?)"
_QUESTION = (
    r"(?:ask (?=(?:what|which|who|where|when|how|if|the|any|about|today|tonight|tomorrow|this)\b)|what'?s?|which|"
    r"who'?s?|"
    r"where'?s?|when'?s?|how'?s?|is|are|was|were|will|does|do|did|has|have|any|anything)"
)
_NOW = (
    r"(?:right now|at the moment|at this (?:moment|time)|now$|currently|as of (?:now|today)|at present|presently|"
    r"as we speak|"
    r"so far)"
)
_DAY = (
    r"(?:today|tonight|tomorrow|yesterday|last night|this (?:morning|afternoon|evening|week|weekend|month|season|"
    r"summer|winter|"
    r"spring|autumn|fall)|next (?:week|weekend|month))"
)
_AS_A_RULE = r"\b(?:usually|typically?|average|normally|generally|tends?)\b"
_SUPPLY = r"\byou (?:currently )?(?:currently|support|accept|hold|offer)\b"

TIME: tuple[Rule, ...] = (
    Rule(
        name="clock or date",
        kind="time_sensitive",
        words=(
            "time date day month year week clock hour weekday late today monday tuesday wednesday thursday  "
            "friday saturday sunday"
        ),
        opening=(
            r"(?:what|which|wat|whats|what's)?(?: is|'s)? ?(?:the )?(?:current |exact |local |right |correct )?"
            r"(?:time|day|date|month|year|week|weekday|hour)(?: of (?:the )?(?:week|month|year|day))?"
            r"(?: is it| is today| is this| is (?:the|today's) date|$| (?:right )?now\b| (?:today|currently)\b|"
            r" (?:is it )?(?:in|at) (?!which|python|the (?:morning|evening|world))[\w .'-]{2,40}(?: (?:right )?now)?$)",
        ),
        anywhere=(
            r"\b(?:what's|what is) today's date\b|\btoday's date\b|\btoday is what\b|\bcurrent (?:time|date)\b",
            r"\bis it (?:already |still )?(?:mon|tues|wednes|thurs|fri|satur|sun)day\b",
            r"\bwhat (?:date|day) (?:will it be|it will be|was it)\b|\b(?:date|day) [\w ]{1,20} from now\b",
            r"\bwhat time (?:is it|it is)\b|\bhow late is it\b",
        ),
        unless=("language", "procedure", "program", "reason"),
        besides=(_YEAR, r"\bof (?:birth|issue)\b|\b(?:my|your|our)\b|\btime zone\b"),
        action="bypass",
    ),
    Rule(
        name="time until",
        kind="time_sensitive",
        words="until till til before since away",
        opening=(
            r"how (?:many (?:more )?(?:days|weeks|months|hours|minutes|years|sleeps)|long|much (?:time|"
            r"longer))\b.{0,30}?"
            r"\b(?:until|till|til|before|away|since)\b",
        ),
        unless=("language", "procedure", "reason"),
        besides=(
            _FIRST_PERSON,
            r"\b(?:you|should|can|could|takes?|refund|card|order|expires?|deliver\w*|arriv\w*|comes?|transfer\w*|"
            r"payments?|money|"
            r"funds|cheques?|checks?|deposits?|cook\w*|keep|stay|wait|boil\w*|bake)\b",
        ),
        action="bypass",
    ),
    Rule(
        name="weather",
        kind="time_sensitive",
        words=(
            "weather forecast temperature rain raining rainy snow snowing sunny windy humid humidity cold hot  "
            "warm umbrella pollen storm storms cloudy hail jacket coat sunset sunrise sunscreen freezing foggy"
        ),
        anywhere=(
            r"\bweather(?:$| (?:going|like|today|tomorrow|tonight|forecast|report|update|outside|this|now|right|in|"
            r"for|at|on|will|"
            r"be|is|look|looking|here|there|over)\b)",
            r"\b(?:what|how)(?:'?s| is| are| will) the (?:[\w-]+ ){0,2}?(?:weather|forecast|pollen|humidity)\b",
            r"\b(?:is|will|was) it (?:going to |gonna |be |likely to |currently |still |get )*"
            r"(?:rain|snow|hail|storm|sunn?y?|wind|cloud|cold|hot|warm|humid|freez|fog)(?:y|ing|er)?\b",
            r"\bchances? of (?:rain|snow|storms?)\b|\bwill there be (?:a |any )?(?:rain|snow|storms?|hail|wind|fog|"
            r"sun)\b",
            r"\b(?:need|take|bring|carry|pack|wear) (?:an umbrella|my umbrella|a (?:rain)?coat|a jacket|sunscreen)\b",
            r"\btemperature (?:outside|today|tomorrow|tonight|right now|now|going to be)\b",
            r"\bwhat(?:'?s| is| will) the temperature(?:$| (?:be|like)\b| in (?!a |an |the |celsius|fahrenheit|"
            r"kelvin))",
            r"\bhow (?:hot|cold|warm|windy|humid|high) (?:is|will|was) (?:it|the pollen\w*)\b",
            r"\b(?:when|what time|what)(?:'s| is) (?:the )?(?:sunset|sunrise)\b",
            r"\bforecast (?:for|today|tomorrow|this)\b|\b(?:day|week|weekend|hourly|local) forecast\b",
        ),
        unless=("language", "program"),
        besides=(
            _YEAR,
            r"\b(?:usually|typically|normally|generally|average|in general|climate|app)\b",
            r"\bin (?:january|february|march|april|may|june|july|august|september|october|november|december|summer|"
            r"winter|"
            r"spring|autumn|fall)\b",
        ),
        ttl=600.0,
    ),
    Rule(
        name="market price or rate",
        kind="time_sensitive",
        words=(
            ""
            "price prices rate rates worth trading stock stocks share shares bitcoin crypto convert conversion  "
            "nasdaq dow ftse dax nikkei market markets dollar dollars euro euros pound pounds usd eur gbp yen  "
            "peso pesos franc francs rupee rupees"
        ),
        anywhere=(
            r"\b(?:stock|share|bitcoin|crypto\w*|ethereum|gold|silver|(?:crude )?oil|gas(?:oline)?|petrol|diesel|"
            r"electricity|"
            r"wheat|copper)(?:'s)? prices?\b",
            r"\bprices? (?:of|for) (?:a |an |one |the )?(?:bitcoin|ethereum|btc|eth|gold|silver|(?:crude )?oil|gas|"
            r"petrol|diesel|"
            r"[\w-]+ (?:stock|shares?))\b",
            rf"\b(?:stock|shares?|bitcoin|btc|ethereum|{_MARKET}) (?:is |are )?(?:worth|trading|doing|open|up|down|"
            rf"close[ds]?|"
            r"performing|at)\b",
            rf"\bhow (?:did|is|are|was|were) (?:the )?(?:{_MARKET}|markets?)\b",
            rf"\b{_CURRENCY} (?:is |are )?(?:doing|trading|worth|performing|standing)\b",
            rf"\bhow (?:much|many) (?:is |are |{_CURRENCY} )?[\w. ]{{0,30}}?\b{_CURRENCY} (?:worth |right now )?"
            rf"(?:in|to|into|for|per|is|are|can|will|do|would)\b[\w. ]{{0,30}}\b{_CURRENCY}\b",
            rf"\b(?:convert|change) [\w. ]{{0,20}}{_CURRENCY} (?:in|to|into)\b",
            rf"\b\d[\d.,]* (?:[a-z]+ )?{_CURRENCY} (?:\w+ )?(?:to|in|into) (?:[a-z]+ )?{_CURRENCY}\b",
            rf"\b(?:convert|conversion)\b.{{0,30}}\b{_CURRENCY} (?:to|and|into|for|in) (?:\w+ )?{_CURRENCY}\b",
            rf"\b{_CURRENCY} (?:to|into) {_CURRENCY} conversion\b|\b{_CURRENCY} equal\b.{{0,15}}\b{_CURRENCY}\b",
            rf"\b{_CURRENCY} (?:to|into|vs\.?|versus|against|/) (?:the )?(?:\w+ )?{_CURRENCY}\b.*\b(?:rate|now|"
            rf"today)\b",
            rf"\brates? (?:of|for|between|from) (?:the )?(?:\w+ )?{_CURRENCY} (?:to|and|vs\.?|against|in|into)\b",
            r"\bexchange rates? between\b",
            r"\b(?:what|how)(?:'?s| is| are) (?:the |your |today's )?(?:current |latest |live )?(?:exchange|"
            r"conversion|currency)"
            r" rates?(?:$| (?:now|right now|today|at the moment|currently|like|looking|between|for|from)\b)",
            r"\b(?:mortgage|interest|savings|exchange|conversion|inflation|unemployment|base) rates? (?:is |"
            r"are )?(?:right now|now|"
            r"today|at the moment|currently|this week)\b",
            r"\b(?:current|today's|live|latest) (?:[\w-]+ ){0,2}?(?:prices?|rates?)\b",
        ),
        unless=("language", "procedure", "program", "permission"),
        besides=(_YEAR, r"\b(?:used?|using|apply|applied|based|determined?|calculat\w+|wrong|incorrect)\b"),
        ttl=60.0,
    ),
    Rule(
        name="news",
        kind="time_sensitive",
        words="news headlines headline trending happening",
        anywhere=(
            r"\b(?:latest|breaking|today's|recent|current|any|the|top|new|local|world|sports?) (?:[\w-]+ )?(?:news|"
            r"headlines?)\b",
            r"\b(?:news|headlines) (?:about|on|today|from|in|of|for|regarding)\b|^(?:ask )?news$|\bin the news\b|"
            r"\btrending\b",
            r"\bhappening (?:in the world|right now|now|today|around|tonight|this)\b",
        ),
        unless=("language", "procedure"),
        besides=(_YEAR,),
        ttl=300.0,
    ),
    Rule(
        name="result of a game or vote",
        kind="time_sensitive",
        words="score won winning win lost leading leads scores results result standings beat",
        anywhere=(
            r"\b(?:what'?s|what is|what was|what are|who has|ask)\b.{0,20}\b(?:scores?|results?|standings)"
            r"(?:$| (?:of|in|for|from|between|at|right now|now|today|last night)\b)",
            r"\bwho(?:'s| is)? (?:winning|leading|leads|in the lead|ahead)\b",
            r"\b(?:who|did|has|have)\b.{0,40}\b(?:won|win|lost|lose|beat)\b.{0,40}\b(?:game|match|race|election|fight|"
            r"final|"
            r"last night|yesterday|today|tonight|this (?:week|weekend|morning|afternoon|evening))\b",
        ),
        unless=("language", "procedure", "reason"),
        besides=(_YEAR, r"\b(?:credit|fico|test|exam|my|world war|civil war|first) |\b(?:coin|dice|die|roll|flip)\b"),
        ttl=60.0,
    ),
    Rule(
        name="open now",
        kind="time_sensitive",
        words="open closed busy crowded",
        opening=(
            r"(?:if |whether )?(?:is|are) (?:you|they|it|the|your|there)\b[\w' -]{0,40}?\b(?:open|closed)"
            r"(?:$| (?:right now|now|today|tonight|tomorrow|yet|still|at the moment|currently|this \w+|late)$)",
            r"how (?:busy|crowded) (?:is|are|will|[\w ]{1,40} (?:is|are|will))\b",
        ),
        unless=PROCEDURES,
        besides=(
            _FIRST_PERSON,
            _AS_A_RULE,
            r"\b(?:account|source)\b|\bto (?:everyone|anyone|all|the public|students|new)\b",
            r"\bon (?:sun|satur)days?\b|\bon (?:weekends?|(?:bank )?holidays)\b",
        ),
        ttl=60.0,
    ),
    Rule(
        name="available now",
        kind="time_sensitive",
        words="stock available left sold queue line wait waiting",
        anywhere=(
            r"\b(?:in stock|out of stock|sold out|back in stock|stock left)\b|\b(?:still|currently|now) available\b",
            r"\b(?:any|many|have) (?:[\w-]+ ){0,3}?(?:available|left)"
            r"(?:$| (?:(?:today|tonight|tomorrow|now|right now)$|for (?:today|tonight|tomorrow|this|next)\b))",
            r"\b(?:are|is) there (?:any |still )*(?:[\w-]+ ){0,3}?(?:left|available)\b",
            r"\bhow long (?:is|are|will|'s) (?:the |it\b|(?:[\w'-]+ ){1,3})[\w' ]{0,25}\b(?:queue|line|wait)\b",
            r"\b(?:current |the )wait(?:ing)? times? (?:at|for|in|right now)\b",
        ),
        unless=PROCEDURES,
        besides=(_FIRST_PERSON, _AS_A_RULE),
        ttl=60.0,
    ),
    Rule(
        name="outage or disruption",
        kind="time_sensitive",
        words=(
            "down outage outages offline working delay delays delayed disruption disruptions problems issues  "
            "trouble strike strikes cancelled canceled maintenance running alert alerts advisory advisories  "
            "warning warnings incident incidents accident accidents closures"
        ),
        opening=(
            r"(?:if |whether )?(?:is|are) (?!there a (?:way|fee))(?:[\w'&.-]+ ){1,6}?(?:down|offline|delayed|"
            r"cancelled|canceled|"
            r"running|having (?:an? |any )?(?:problems?|issues?|trouble|difficulties|outage|downtime)|"
            r"under maintenance)\b(?! (?:payment|fee))",
            r"(?:if |whether )?(?:are|is) there (?:(?:currently|still) )?(?:any |an? )?(?:[\w-]+ ){0,3}?(?:outages?|"
            r"disruptions?|"
            r"delays?|strikes?|problems|issues|incidents?|advisories|alerts?|warnings?|accidents?|maintenance|"
            r"closures?)\b",
        ),
        anywhere=(
            r"\bany (?:[\w-]+ ){0,3}?(?:outages?|disruptions?|delays|travel alerts|warnings|accidents|closures)\b",
            r"\b(?:travel|weather|security) (?:alerts?|advisor\w+|warnings?) (?:for|in|on|about)\b",
        ),
        unless=PROCEDURES,
        besides=(_YEAR, _FIRST_PERSON, r"\bin case of\b"),
        ttl=60.0,
    ),
    Rule(
        name="traffic",
        kind="time_sensitive",
        words="traffic congestion",
        anywhere=(
            r"\b(?:how|what|ask|is|are|will|does|any|check|the)\b.{0,25}\b(?:traffic|congestion)\b"
            r"(?! (?:lights?|signs?|laws?|rules?|tickets?|fines?|school)\b)",
            r"\btraffic (?:right now|now|today|jams?|report|updates?)\b",
        ),
        unless=("language", "procedure", "reason"),
        besides=(
            _YEAR,
            r"\b(?:network|web|internet|http|site|website|data|organic|api|human|drug) traffic\b|\bin case of\b",
            r"\b(?:usually|typically|on average)\b",
        ),
        ttl=60.0,
    ),
    Rule(
        name="next or due",
        kind="time_sensitive",
        words="next upcoming soonest",
        opening=(
            r"(?:when|what time|what|which|who)(?:'?s| is| are| does| do| will)? (?:is |are )?(?:the |your |"
            r"our )?(?:very )?"
            r"(?:next|upcoming|soonest)\b(?! (?:steps?|to|of kin|level|stage|version|thing))",
        ),
        anywhere=(r"\bwhen (?:does|is|will|do) the next\b",),
        unless=("language", "procedure"),
        besides=(_YEAR, r"\b(?:after|in the (?:series|sequence))\b"),
        ttl=60.0,
    ),
    Rule(
        name="journey of the day",
        kind="time_sensitive",
        words="flight train bus ferry tram",
        anywhere=(
            r"\b(?:flight|train|bus|ferry|tram) (?:number )?[a-z]{0,3} ?\d{1,4}\b.{0,40}\b(?:delay\w*|on time|late|"
            r"cancell?ed|land\w*|"
            r"arriv\w*|depart\w*|leav\w*|gate|status|board\w*|take off)\b",
            r"\b(?:status|arrival|departure|gate|when)\b.{0,30}\b(?:flight|train) [a-z]{0,3} ?\d{1,4}\b",
        ),
        unless=("language",),
        ttl=60.0,
    ),
    Rule(
        name="latest or current",
        kind="time_sensitive",
        words="latest newest current recent currently playing showing",
        opening=(
            r"(?:what|which|who|how|is|any|are|when|ask)\b.*\b(?:latest|newest|most recent|(?:the|any|your) recent|"
            r"currently)\b",
            r"(?:what|which|who|how|is|any|are|when|ask)\b.*\b(?:the|your|a) current\b(?! (?:account|branch|directory|"
            r"user|"
            r"password|row|line|page|selection|cell|address|flow|version control|working|folder|window|density))",
            r"(?:what'?s|what is) (?:playing|showing)\b",
        ),
        anywhere=(r"\b(?:films?|movies?|shows?) (?:is|are) (?:currently |now )?(?:playing|showing|on)\b",),
        unless=("language", "procedure", "program", "permission"),
        besides=(_YEAR, _FIRST_PERSON, _SUPPLY, r"\bwas the\b|\b(?:electric|alternating|direct) current\b"),
        ttl=900.0,
    ),
    Rule(
        name="right now",
        kind="time_sensitive",
        words="now moment currently present presently far speak",
        opening=(rf"{_QUESTION}\b.*\b{_NOW}\b",),
        unless=("language", "procedure", "program", "permission", "reason"),
        besides=(_YEAR, _FIRST_PERSON, _SUPPLY, r"\b(?:what|how about|from|until|till|by|just|for) now\b"),
        ttl=60.0,
    ),
    Rule(
        name="day of asking",
        kind="time_sensitive",
        words="today tonight tomorrow yesterday last this next",
        opening=(
            rf"{_QUESTION}\b.*\b{_DAY}\b",
            r"(?:the )?(?:today|tonight|tomorrow|yesterday|this week|this weekend)'s\b",
        ),
        unless=("language", "procedure", "program", "permission"),
        besides=(_YEAR, _FIRST_PERSON, r"\bhow(?: are| is| was|'s) (?:you|it|everything)\b"),
        ttl=300.0,
    ),
)
"""The answer depends on when it is asked."""
