//! The loops in NEON's own instructions, with the sums in the order of the portable bodies, so that the bits are equal.

use std::arch::aarch64::{
    float32x4_t, int32x4_t, uint8x16_t, uint64x2_t, vaddq_f32, vaddq_u8, vaddq_u64, vcgeq_f32, vcntq_u8, vcvtq_f32_s32,
    vdupq_n_f32, vdupq_n_s16, vdupq_n_s32, vdupq_n_u8, vdupq_n_u64, veorq_u64, vget_high_s8, vget_low_s8, vget_low_s16,
    vld1q_f32, vld1q_s32, vld1q_u64, vld2q_s8, vmaxvq_u32, vmlal_high_s16, vmlal_s16, vmovl_s8, vmulq_f32, vpaddlq_u8,
    vpaddlq_u16, vpaddlq_u32, vreinterpretq_u8_u64, vst1q_f32, vst1q_s32, vst1q_u64, vsubq_f32,
};

use super::{BLOCK, GROUP, LANES, combined, push_near};

/// 32-bit and 64-bit numbers in a register.
const FOUR: usize = 4;
const TWO: usize = 2;
/// Words whose bits are counted in octets before these are added up: each adds at most 8 to an octet.
const COUNTED: usize = 31;

#[target_feature(enable = "neon")]
fn load(values: &[f32; FOUR]) -> float32x4_t {
    // SAFETY: 16 octets are read from an array of four 32-bit numbers.
    unsafe { vld1q_f32(values.as_ptr()) }
}

#[target_feature(enable = "neon")]
fn store(values: &mut [f32; FOUR], register: float32x4_t) {
    // SAFETY: 16 octets are written to an array of four 32-bit numbers.
    unsafe { vst1q_f32(values.as_mut_ptr(), register) }
}

/// See `dot_body`. A product is rounded before it is added: the fused instruction would give other bits.
#[target_feature(enable = "neon")]
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left_chunks, left_rest) = left.as_chunks::<LANES>();
    let (right_chunks, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [vdupq_n_f32(0.0); LANES / FOUR];
    for (left, right) in left_chunks.iter().zip(right_chunks) {
        let pairs = left.as_chunks::<FOUR>().0.iter().zip(right.as_chunks::<FOUR>().0);
        for (sum, (left, right)) in sums.iter_mut().zip(pairs) {
            *sum = vaddq_f32(*sum, vmulq_f32(load(left), load(right)));
        }
    }
    let mut lanes = [0.0; LANES];
    for (lanes, sum) in lanes.as_chunks_mut::<FOUR>().0.iter_mut().zip(sums) {
        store(lanes, sum);
    }
    for ((lane, &left), &right) in lanes.iter_mut().zip(left_rest).zip(right_rest) {
        *lane += left * right;
    }
    combined(lanes)
}

/// See `near_body`.
#[target_feature(enable = "neon")]
pub(super) fn near(groups: &[u64], query: &[u64], most: u32, found: &mut Vec<u64>) {
    let mut row = 0;
    for group in groups.chunks_exact(GROUP * query.len()) {
        let (words, _) = group.as_chunks::<GROUP>();
        let mut sums = [vdupq_n_u64(0); GROUP / TWO];
        for (words, query) in words.chunks(COUNTED).zip(query.chunks(COUNTED)) {
            let mut counts = [vdupq_n_u8(0); GROUP / TWO];
            for (words, &wanted) in words.iter().zip(query) {
                let wanted = vdupq_n_u64(wanted);
                for (count, words) in counts.iter_mut().zip(words.as_chunks::<TWO>().0) {
                    *count = vaddq_u8(*count, differing(words, wanted));
                }
            }
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = vaddq_u64(*sum, vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(count))));
            }
        }
        let mut distances = [0u64; GROUP];
        for (distances, sum) in distances.as_chunks_mut::<TWO>().0.iter_mut().zip(sums) {
            // SAFETY: 16 octets are written to an array of two 64-bit numbers.
            unsafe { vst1q_u64(distances.as_mut_ptr(), sum) };
        }
        push_near(&distances, u64::from(most), row, found);
        row += GROUP as u64;
    }
}

/// How many bits differ, by octet.
#[target_feature(enable = "neon")]
fn differing(words: &[u64; TWO], wanted: uint64x2_t) -> uint8x16_t {
    // SAFETY: 16 octets are read from an array of two 64-bit numbers.
    let words = unsafe { vld1q_u64(words.as_ptr()) };
    vcntq_u8(vreinterpretq_u8_u64(veorq_u64(words, wanted)))
}

/// See `reaching_body`.
#[target_feature(enable = "neon")]
pub(super) fn reaching(
    products: &[i32],
    scales: &[f32],
    errors: &[f32],
    figures: [f32; 3],
    threshold: f32,
    found: &mut Vec<(f32, usize)>,
) {
    let [by_scale, by_error, always] = figures.map(|figure| vdupq_n_f32(figure));
    let least = vdupq_n_f32(threshold);
    let rows = products.as_chunks::<FOUR>().0.iter();
    let rows = rows.zip(scales.as_chunks::<FOUR>().0).zip(errors.as_chunks::<FOUR>().0);
    let whole = products.len().min(scales.len()).min(errors.len()) / BLOCK * (BLOCK / FOUR);
    for (at, ((products, scales), errors)) in rows.take(whole).enumerate() {
        // SAFETY: 16 octets are read from an array of four 32-bit numbers.
        let products = vcvtq_f32_s32(unsafe { vld1q_s32(products.as_ptr()) });
        let nearness = vmulq_f32(vmulq_f32(load(scales), by_scale), products);
        let bounds = vaddq_f32(vaddq_f32(nearness, vmulq_f32(load(errors), by_error)), always);
        if vmaxvq_u32(vcgeq_f32(bounds, least)) == 0 {
            continue;
        }
        let mut each = [0.0; FOUR];
        store(&mut each, bounds);
        let reached = (at * FOUR..).zip(each).filter(|&(_, bound)| bound >= threshold);
        found.extend(reached.map(|(row, bound)| (bound, row)));
    }
}

/// See `hadamard_body`.
#[target_feature(enable = "neon")]
pub(super) fn hadamard(values: &mut [f32]) {
    let mut half = values.len() / 2;
    while half >= FOUR {
        for block in values.chunks_exact_mut(half * 2) {
            let (first, second) = block.split_at_mut(half);
            let (first, second) = (first.as_chunks_mut::<FOUR>().0, second.as_chunks_mut::<FOUR>().0);
            for (left, right) in first.iter_mut().zip(second) {
                let (before, after) = (load(left), load(right));
                store(left, vaddq_f32(before, after));
                store(right, vsubq_f32(before, after));
            }
        }
        half /= 2;
    }
    super::hadamard_from(values, half);
}

/// See `block_products` of the portable kernel.
#[target_feature(enable = "neon")]
pub(super) fn block_products(pairs: &[[i8; BLOCK * 2]], query: &[[i16; 2]]) -> [i32; BLOCK] {
    let mut sums: [int32x4_t; BLOCK / FOUR] = [vdupq_n_s32(0); BLOCK / FOUR];
    for (codes, wanted) in pairs.iter().zip(query) {
        // SAFETY: 32 octets are read from an array of 32; they come apart into first and second codes.
        let codes = unsafe { vld2q_s8(codes.as_ptr()) };
        for (codes, &wanted) in [codes.0, codes.1].into_iter().zip(wanted) {
            let wanted = vdupq_n_s16(wanted);
            let wide = [vmovl_s8(vget_low_s8(codes)), vmovl_s8(vget_high_s8(codes))];
            for (sums, codes) in sums.as_chunks_mut::<TWO>().0.iter_mut().zip(wide) {
                sums[0] = vmlal_s16(sums[0], vget_low_s16(codes), vget_low_s16(wanted));
                sums[1] = vmlal_high_s16(sums[1], codes, wanted);
            }
        }
    }
    let mut products = [0; BLOCK];
    for (products, sum) in products.as_chunks_mut::<FOUR>().0.iter_mut().zip(sums) {
        // SAFETY: 16 octets are written to an array of four 32-bit numbers.
        unsafe { vst1q_s32(products.as_mut_ptr(), sum) };
    }
    products
}
