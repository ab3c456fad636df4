//! The few words that the prior knows, as one table made at compile time.
//!
//! Words are looked up by the hash that the scan makes anyway, so a word costs one probe. The lists are short on purpose:
//! measured on three public sets, words that *name* a kind of thinking (why, how, explain, compare, design) carry no
//! signal at all; words that bind the parts of a task together (quantities, conditions, negations) and words of trades
//! that small models are weak in (code, mathematics) carry some.

/// FNV-1a's start, 32 bits.
pub(super) const HASH_START: u32 = 0x811c_9dc5;
const HASH_PRIME: u32 = 0x0100_0193;

/// One step of FNV-1a.
#[inline]
pub(super) const fn hash_byte(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as u32).wrapping_mul(HASH_PRIME)
}

/// What is known of a word; a set of bits.
pub(super) const LOGIC: u16 = 1;
pub(super) const QUANTITY: u16 = 1 << 1;
pub(super) const CRAFT: u16 = 1 << 2;
/// Says how hard something is: `complex`, `simple`.
const DIFFICULTY: u16 = 1 << 3;
/// Says how able something is: `powerful`, `cheap`.
const STRENGTH: u16 = 1 << 4;
/// What a router decides about: `question`, `task`.
const MATTER: u16 = 1 << 5;
/// What a router decides for, in a word that other trades use too.
const MODEL: u16 = 1 << 6;
/// The same in a word of its own: `tier`, `llm`, names of models.
const TIER: u16 = 1 << 7;
/// What one tells a router to do.
const COMMAND: u16 = 1 << 8;

const LISTS: [(u16, &str); 9] = [
    (
        LOGIC,
        "if unless given suppose assume assuming provided whether not no never except without neither nor cannot only \
         either must all some when then than wenn falls nicht kein ohne außer si sauf sans sin excepto solo nunca",
    ),
    (
        QUANTITY,
        "half twice double triple thrice third quarter each every per total times percent percentage more less most \
         least average remaining left altogether both fewer ratio rate sum difference as equally combined halb doppelt \
         jeder mehr weniger insgesamt moitié chaque plus moins mitad doble cada más menos",
    ),
    (
        CRAFT,
        "function code script program algorithm class method api regex json xml yaml sql implement debug refactor \
         compile prove proof theorem lemma integral derivative matrix polynomial funktion fonction función programm \
         programme programa beweise",
    ),
    (
        DIFFICULTY,
        "complex complicated simple easy hard harder hardest difficult trivial tricky challenging basic demanding expert \
         easiest simplest schwierig einfach difficile facile difícil fácil complejo compleja",
    ),
    (
        STRENGTH,
        "powerful strong stronger strongest best better smart smarter smartest advanced cheap cheaper cheapest fast faster \
         fastest premium expensive capable large larger largest small smaller smallest big bigger biggest top flagship \
         frontier balanced weak weaker weakest slow mighty potent leistungsstark puissant potente",
    ),
    (
        MATTER,
        "question query prompt request task problem frage aufgabe tâche pregunta tarea",
    ),
    (MODEL, "model models modell modelle modèle modelo"),
    (
        TIER,
        "tier tiers llm llms router routing gpt claude gemini opus sonnet haiku llama mistral deepseek qwen grok",
    ),
    (
        COMMAND,
        "use route pick choose select escalate send switch upgrade downgrade treat classify rate mark label want need \
         requires nutze verwende utilise usa",
    ),
];

const SLOTS: usize = 1024;
const TABLE: [(u32, u16); SLOTS] = table();

const fn insert(table: &mut [(u32, u16); SLOTS], hash: u32, kind: u16) {
    let mut slot = hash as usize % SLOTS;
    while table[slot].1 != 0 && table[slot].0 != hash {
        slot = (slot + 1) % SLOTS;
    }
    table[slot] = (hash, table[slot].1 | kind);
}

const fn table() -> [(u32, u16); SLOTS] {
    let mut table = [(0, 0); SLOTS];
    let mut list = 0;
    while list < LISTS.len() {
        let (kind, words) = LISTS[list];
        let bytes = words.as_bytes();
        let (mut at, mut hash, mut length) = (0, HASH_START, 0);
        while at <= bytes.len() {
            if at == bytes.len() || bytes[at] == b' ' {
                if length > 0 {
                    insert(&mut table, hash, kind);
                }
                (hash, length) = (HASH_START, 0);
            } else {
                hash = hash_byte(hash, bytes[at]);
                length += 1;
            }
            at += 1;
        }
        list += 1;
    }
    table
}

/// What is known of the lower-case word with this hash; 0 for nearly all.
#[inline]
pub(super) fn known(hash: u32) -> u16 {
    let mut slot = hash as usize % SLOTS;
    loop {
        let (held, kind) = TABLE[slot];
        if kind == 0 || held == hash {
            return kind;
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// Whether a clause in which words of these kinds stand speaks to a router instead of asking something.
///
/// `this is a complex question`, `use the powerful model`, `route to gpt`: such clauses are not scored, neither up nor
/// down. A text about models (`train a model`) or difficulty (`a hard surface`) is scored like any other.
#[inline]
pub(super) fn steers(kinds: u16) -> bool {
    let speaks_of = |kind: u16| kinds & kind != 0;
    (speaks_of(DIFFICULTY) && speaks_of(MATTER | MODEL | TIER))
        || (speaks_of(STRENGTH) && speaks_of(MODEL | TIER))
        || (speaks_of(COMMAND) && speaks_of(TIER))
}
