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
/// Could tell a router what to do: how hard a thing is, how able, what is routed, where to, and the commands.
pub(super) const STEERING: u16 = 1 << 3;
/// Says nothing by itself; with the words above it makes sentences.
pub(super) const SMALL: u16 = 1 << 4;

const LISTS: [(u16, &str); 5] = [
    (
        LOGIC,
        "if unless given suppose assume assuming provided whether not no never except without neither nor cannot only \
         either must all some when then than wenn falls nicht kein ohne außer si sauf sans sin excepto solo nunca",
    ),
    (
        QUANTITY,
        "half twice double triple thrice third quarter each every per total times percent percentage more less average \
         remaining left altogether both fewer ratio rate sum difference as equally combined halb doppelt jeder mehr weniger insgesamt moitié chaque plus moins mitad doble cada más menos",
    ),
    (
        CRAFT,
        "function code script program algorithm class method api regex json xml yaml sql implement debug refactor \
         compile prove proof theorem lemma integral derivative matrix polynomial funktion fonction función programm \
         programme programa beweise",
    ),
    (
        STEERING,
        "complex complicated complexity simple easy hard harder hardest difficult difficulty trivial tricky challenging \
         basic demanding expert easiest simplest schwierig einfach difficile facile difícil fácil complejo compleja \
         powerful strong stronger strongest best better smart smarter smartest advanced cheap cheaper cheapest fast \
         faster fastest premium expensive capable able large larger largest small smaller smallest big bigger biggest top \
         flagship frontier balanced weak weaker weakest slow mighty potent leistungsstark puissant potente max maximum \
         level most least pro mini important urgent available possible \
         question query prompt request task problem frage aufgabe tâche pregunta tarea \
         model models modell modelle modèle modelo tier tiers llm llms router routing gpt o1 o3 o4 claude gemini opus \
         sonnet haiku llama mistral deepseek qwen grok \
         use route pick choose select escalate send switch upgrade downgrade treat classify mark label want need needs \
         requires nutze verwende utilise usa",
    ),
    (
        SMALL,
        "a an the this that these those it its is are was were be been am i me my we us our you your he she they them his \
         her their here there please to for with by on of in at as and or so very really extremely do does did can could \
         should will would may might have has had go get let just now too also from into like what which who \
         der die das den dem ein eine einen einem ist sind es zu für mit auf bitte ich du wir sie mir dies diese \
         le la les un une est ce cette à pour avec s il plaît je vous de du des et \
         el los una es este esta para con por favor yo y",
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

/// Whether a word of this kind is left out of a score.
///
/// It is so wherever the word stands: if that hung on the words around it, a sentence that is added could take away what
/// counted before. It costs little, for such words tell hard questions from easy ones as little as any.
#[inline]
pub(super) fn is_left_out(kind: u16) -> bool {
    kind & (STEERING | SMALL) != 0 && kind & (LOGIC | QUANTITY | CRAFT) == 0
}
