//! Any sequence of calls: the store and its naive reference must agree after each.
#![no_main]

#[path = "../../core/tests/model/mod.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [entries, heavy, light, operations @ ..] = data else {
        return;
    };
    let bytes = match u16::from_le_bytes([*light, *heavy]) {
        0 => i64::MAX as u64,
        bytes => u64::from(bytes) % 1500,
    };
    let (operations, _) = operations.as_chunks();
    model::compare(u32::from(entries % 20) + 1, bytes, operations);
});
