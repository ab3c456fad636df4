//! Any octets as text: the tokeniser never panics, keeps its limit, and reads a text's beginning the same at any limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use resopt_core::vector::embed::Table;
use resopt_core::vector::wordpiece::tokenise;

fuzz_target!(|octets: &[u8]| {
    let text = String::from_utf8_lossy(octets);
    let (Ok(ids), Ok(table)) = (tokenise(&text, 256), Table::bundled()) else {
        panic!("the bundled model is damaged");
    };
    assert!(ids.len() <= 256 && ids.iter().all(|&id| id < 30_522));
    let few = tokenise(&text, 32).unwrap_or_default();
    assert_eq!(few, ids[..ids.len().min(32)]);
    if let Some(vector) = table.embed(&ids) {
        let square: f32 = vector.iter().map(|value| value * value).sum();
        assert!((square - 1.0).abs() < 1e-5);
    }
});
