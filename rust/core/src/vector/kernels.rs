//! The inner loops of the index, compiled once for each instruction set and chosen when the program runs.
//!
//! One portable body serves all of x86, but for one loop of whole numbers; NEON has its own ([`neon`]). Integers count
//! exactly, and floating-point sums have a fixed order of lanes that no compiler may change, so every kernel gives the
//! same bits. Nothing is fused: a fused product rounds differently.
#![expect(
    unsafe_code,
    reason = "code for an instruction set may only be called where the processor has it, which the compiler cannot see"
)]

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Rows whose sign codes are interleaved, word by word, so that one vector register holds the same word of each.
pub(super) const GROUP: usize = 8;
/// Rows whose codes are interleaved, two dimensions at a time: a register of 16-bit products holds them all.
pub(super) const BLOCK: usize = 16;
/// Sums that a dot product is spread over.
const LANES: usize = 32;

/// An instruction set that the loops are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// What every processor of the architecture has.
    Baseline,
    /// AVX2 and POPCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, VL and VPOPCNTDQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Kernel {
    /// All that this processor can run, the fastest last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[cfg_attr(
            not(any(target_arch = "x86_64", target_arch = "aarch64")),
            expect(unused_mut, reason = "nothing to add")
        )]
        let mut kernels = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
                kernels.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vpopcntdq")
            {
                kernels.push(Self::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            kernels.push(Self::Neon);
        }
        kernels
    }

    /// The fastest that this processor can run; detected once.
    #[must_use]
    pub fn fastest() -> Self {
        static FASTEST: std::sync::OnceLock<Kernel> = std::sync::OnceLock::new();
        *FASTEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Baseline))
    }
}

/// Give a portable body a safe front that runs it as compiled for the wanted instruction set, or its twin in `neon`.
macro_rules! kernels {
    ($($(#[$meta:meta])* $name:ident = $body:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        $(
            $(#[$meta])*
            pub(super) fn $name(kernel: Kernel, $($argument: $type),*) $(-> $result)? {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2,popcnt")]
                fn avx2($($argument: $type),*) $(-> $result)? {
                    $body($($argument),*)
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx2,popcnt")]
                fn avx512($($argument: $type),*) $(-> $result)? {
                    $body($($argument),*)
                }
                match kernel {
                    Kernel::Baseline => $body($($argument),*),
                    // SAFETY: an index takes its kernel from `Kernel::available`, so that the processor has these.
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx2 => unsafe { avx2($($argument),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx512 => unsafe { avx512($($argument),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "aarch64")]
                    Kernel::Neon => unsafe { neon::$name($($argument),*) },
                }
            }
        )*
    };
}

kernels! {
    /// The dot product of two vectors of equal length.
    dot = dot_body(left: &[f32], right: &[f32]) -> f32;
    /// Push `row << 32 | distance` for each row of the interleaved `groups` that differs from `query` in at most
    /// `most` bits; rows are counted from 0.
    near = near_body(groups: &[u64], query: &[u64], most: u32, found: &mut Vec<u64>);
    /// Push the bound `scale·figures[0]·product + error·figures[1] + figures[2]` and the number of each row, counted from
    /// 0, whose bound reaches `threshold`. Whole blocks of [`BLOCK`] rows are looked at.
    reaching = reaching_body(
        products: &[i32], scales: &[f32], errors: &[f32], figures: [f32; 3], threshold: f32, found: &mut Vec<(f32, usize)>
    );
    /// Walsh–Hadamard transform of a power-of-two number of values, not scaled.
    hadamard = hadamard_body(values: &mut [f32]);
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the body must be compiled with the features of its front"
)]
fn dot_body(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (left_chunks, left_rest) = left.as_chunks::<LANES>();
    let (right_chunks, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left_chunks.iter().zip(right_chunks) {
        for lane in 0..LANES {
            lanes[lane] += left[lane] * right[lane];
        }
    }
    for ((lane, &left), &right) in lanes.iter_mut().zip(left_rest).zip(right_rest) {
        *lane += left * right;
    }
    combined(lanes)
}

/// The sum of the lanes: the halves are added until one is left.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the body must be compiled with the features of its front"
)]
fn combined(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the body must be compiled with the features of its front"
)]
fn near_body(groups: &[u64], query: &[u64], most: u32, found: &mut Vec<u64>) {
    let most = u64::from(most);
    let mut row = 0;
    for group in groups.chunks_exact(GROUP * query.len()) {
        let mut distances = [0u64; GROUP];
        let (words, _) = group.as_chunks::<GROUP>();
        for (words, &wanted) in words.iter().zip(query) {
            for lane in 0..GROUP {
                distances[lane] += u64::from((words[lane] ^ wanted).count_ones());
            }
        }
        push_near(&distances, most, row, found);
        row += GROUP as u64;
    }
}

/// Push those rows of a group that differ in at most `most` bits; most groups have none.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the body must be compiled with the features of its front"
)]
fn push_near(distances: &[u64; GROUP], most: u64, row: u64, found: &mut Vec<u64>) {
    let mut nearest = distances[0];
    for &distance in &distances[1..] {
        nearest = nearest.min(distance);
    }
    if nearest <= most {
        for (lane, &distance) in (0u64..).zip(distances) {
            if distance <= most {
                found.push((row + lane) << 32 | distance);
            }
        }
    }
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the body must be compiled with the features of its front"
)]
#[expect(clippy::cast_precision_loss, reason = "the caller's slack covers it")]
fn reaching_body(
    products: &[i32],
    scales: &[f32],
    errors: &[f32],
    figures: [f32; 3],
    threshold: f32,
    found: &mut Vec<(f32, usize)>,
) {
    let (scales, errors) = (scales.as_chunks::<BLOCK>().0, errors.as_chunks::<BLOCK>().0);
    let blocks = products.as_chunks::<BLOCK>().0.iter().zip(scales).zip(errors);
    for (block, ((products, scales), errors)) in blocks.enumerate() {
        let mut bounds = [0.0f32; BLOCK];
        let mut reached = 0u32;
        for lane in 0..BLOCK {
            bounds[lane] = scales[lane] * figures[0] * products[lane] as f32 + errors[lane] * figures[1] + figures[2];
            reached |= u32::from(bounds[lane] >= threshold);
        }
        if reached != 0 {
            for (lane, &bound) in bounds.iter().enumerate() {
                if bound >= threshold {
                    found.push((bound, block * BLOCK + lane));
                }
            }
        }
    }
}

/// The dot product of `query` with each row of interleaved codes: in `blocks`, the codes of [`BLOCK`] rows for the first
/// two dimensions, then for the next two, and so on; `query` has one element for each two.
pub(super) fn dot_codes(kernel: Kernel, blocks: &[i8], query: &[[i16; 2]], products: &mut [i32]) {
    let rows = blocks.chunks_exact((query.len() * BLOCK * 2).max(1));
    for (block, products) in rows.zip(products.as_chunks_mut::<BLOCK>().0) {
        let pairs = block.as_chunks::<{ BLOCK * 2 }>().0;
        *products = match kernel {
            Kernel::Baseline => block_products(pairs, query),
            // Wider registers gain nothing here: widening the codes is the bottleneck.
            // SAFETY: an index takes its kernel from `Kernel::available`, so that the processor has AVX2.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 | Kernel::Avx512 => unsafe { x86::block_products(pairs, query) },
            // SAFETY: as above, NEON.
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => unsafe { neon::block_products(pairs, query) },
        };
    }
}

fn block_products(pairs: &[[i8; BLOCK * 2]], query: &[[i16; 2]]) -> [i32; BLOCK] {
    let mut sums = [0i32; BLOCK];
    for (codes, &[first, second]) in pairs.iter().zip(query) {
        for lane in 0..BLOCK {
            let (left, right) = (i16::from(codes[lane * 2]), i16::from(codes[lane * 2 + 1]));
            sums[lane] += i32::from(left) * i32::from(first) + i32::from(right) * i32::from(second);
        }
    }
    sums
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the body must be compiled with the features of its front"
)]
fn hadamard_body(values: &mut [f32]) {
    hadamard_from(values, values.len() / 2);
}

/// The steps of the transform from distance `half` down to 1.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the body must be compiled with the features of its front"
)]
fn hadamard_from(values: &mut [f32], mut half: usize) {
    while half > 0 {
        for block in values.chunks_exact_mut(half * 2) {
            let (first, second) = block.split_at_mut(half);
            for (left, right) in first.iter_mut().zip(second) {
                (*left, *right) = (*left + *right, *left - *right);
            }
        }
        half /= 2;
    }
}
