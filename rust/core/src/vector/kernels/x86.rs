//! The one loop that compilers do not turn into the multiply-and-add instruction that it is.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_madd_epi16, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_storeu_si256,
};

use super::BLOCK;

/// Both codes of a pair in one register element.
fn both([first, second]: [i16; 2]) -> i32 {
    let [low, high] = [first.to_ne_bytes(), second.to_ne_bytes()];
    i32::from_ne_bytes([low[0], low[1], high[0], high[1]])
}

#[target_feature(enable = "avx2")]
pub(super) fn block_products(pairs: &[[i8; BLOCK * 2]], query: &[[i16; 2]]) -> [i32; BLOCK] {
    let mut sums: [__m256i; 2] = [_mm256_setzero_si256(); 2];
    for (codes, &wanted) in pairs.iter().zip(query) {
        let wanted = _mm256_set1_epi32(both(wanted));
        for (sum, half) in sums.iter_mut().zip(codes.as_chunks::<BLOCK>().0) {
            // SAFETY: 16 octets are read from an array of 16.
            let codes = unsafe { _mm_loadu_si128(half.as_ptr().cast()) };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(codes), wanted));
        }
    }
    let mut products = [0; BLOCK];
    for (sum, half) in sums.into_iter().zip(products.as_chunks_mut::<8>().0) {
        // SAFETY: 32 octets are written to an array of 8 numbers of 32 bits.
        unsafe { _mm256_storeu_si256(half.as_mut_ptr().cast(), sum) };
    }
    products
}
