//! Words that are another word in capitals: `US` is not `us`, `IT` not `it`.
//!
//! In text that also has small letters such a word keeps its capitals. A word belongs here when both readings turn up
//! in questions and mean different things. One missing here risks a wrong answer, one too many costs a hit; words that
//! people put in capitals only for stress (`NOT`, `ALL`, `NOW`) stay out.

/// In small letters, sorted; beside each, what it means in capitals.
#[rustfmt::skip]
const OTHER_WORDS: &[&str] = &[
    "ace",   // enzyme inhibitors
    "act",   // admission test
    "add",   // attention disorder
    "aids",  // illness
    "am",    // radio band
    "apt",   // package manager
    "arc",   // reference counting, credit
    "arm",   // processor, mortgage
    "art",   // reproductive therapy
    "asp",   // web framework
    "basic", // programming language
    "bat",   // crypto token
    "bus",   // data path between parts
    "cad",   // computer-aided design, Canadian dollar
    "cap",   // theorem, farm policy
    "cat",   // scan
    "chip",  // children's insurance
    "co",    // carbon monoxide, Colorado
    "cobra", // continued insurance
    "cod",   // cash on delivery
    "cola",  // living-cost adjustment
    "cop",   // climate conference, Colombian peso
    "dash",  // cryptocurrency, diet
    "doc",   // file format
    "dot",   // transport department
    "era",   // equal rights amendment, earned run average
    "fast",  // stroke check
    "fat",   // file system
    "fit",   // fecal test, Garmin file
    "gap",   // insurance
    "gas",   // assembler
    "gb",    // gigabyte, not gigabit
    "gem",   // government marketplace
    "get",   // HTTP method
    "go",    // gene ontology
    "head",  // HTTP method
    "hit",   // immune reaction
    "ice",   // immigration office, engine
    "in",    // Indiana
    "ira",   // retirement account, army
    "it",    // information technology
    "kb",    // kilobyte, not kilobit
    "lamp",  // web stack
    "led",   // light
    "mac",   // network address
    "mad",   // Moroccan dirham
    "map",   // arterial pressure
    "mat",   // tax
    "max",   // aircraft
    "mb",    // megabyte, not megabit
    "me",    // Maine, fatigue syndrome
    "met",   // exercise unit
    "mod",   // defence ministry
    "mw",    // megawatt, not milliwatt
    "nice",  // health institute
    "nor",   // logic gate
    "oh",    // Ohio
    "pa",    // physician assistant, Pennsylvania
    "pal",   // video standard
    "pan",   // card number, tax number
    "pap",   // smear
    "path",  // environment variable, train
    "pep",   // Python proposal, prophylaxis
    "pet",   // scan, plastic
    "pin",   // secret number
    "pip",   // disability payment, performance plan
    "pod",   // payable on death
    "pop",   // mail protocol
    "pos",   // point of sale
    "post",  // HTTP method, self-test
    "prep",  // HIV prophylaxis
    "put",   // HTTP method
    "rag",   // retrieval-augmented generation
    "raid",  // disks
    "ram",   // memory
    "rat",   // remote trojan
    "reach", // chemicals rule
    "rem",   // sleep
    "rest",  // web architecture
    "rice",  // first aid
    "rip",   // routing protocol
    "rom",   // memory
    "sad",   // seasonal disorder
    "safe",  // start-up agreement
    "sap",   // business software
    "sat",   // admission test
    "save",  // student-loan plan
    "sim",   // phone card
    "sip",   // phone protocol, investment plan
    "smart", // disk check, goals
    "snap",  // food benefit
    "soap",  // web protocol
    "spa",   // single-page application
    "spin",  // selling method
    "stem",  // science and engineering
    "swat",  // police
    "swift", // bank network
    "tan",   // one-time bank number
    "tar",   // archive
    "tb",    // terabyte, not terabit
    "tin",   // tax number
    "tips",  // inflation bonds
    "trim",  // disk command
    "us",    // United States
    "vat",   // tax
    "war",   // Java archive
    "wasp",  // people
    "who",   // health organisation
    "wins",  // name service
    "zip",   // archive, postcode
];

/// Octets of the longest word.
const LONGEST: usize = 5;

/// Whether `word`, in small letters, is another word in capitals.
pub(super) fn is_other_word(word: &[u8]) -> bool {
    word.len() <= LONGEST && OTHER_WORDS.binary_search_by(|other| other.as_bytes().cmp(word)).is_ok()
}

/// Whether text may hold such a word in capitals: runs of ASCII capitals are looked up, whatever stands around them.
pub(super) fn occur(text: &[u8]) -> bool {
    text.split(|octet| !octet.is_ascii_uppercase())
        .any(|word| word.len() > 1 && word.len() <= LONGEST && is_other_word(&word.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, OTHER_WORDS, occur};

    #[test]
    fn the_list_is_sorted_and_in_small_letters() {
        assert!(OTHER_WORDS.is_sorted_by(|left, right| left < right));
        assert!(
            OTHER_WORDS
                .iter()
                .all(|word| word.bytes().all(|octet| octet.is_ascii_lowercase()))
        );
        assert_eq!(OTHER_WORDS.iter().map(|word| word.len()).max(), Some(LONGEST));
    }

    #[test]
    fn capitals_are_found_anywhere() {
        assert!(occur(b"is the US big"));
        assert!(occur("naïve:IT".as_bytes()));
        assert!(!occur(b"What is an API"));
    }
}
