//! The inner loops of the index, compiled once for each instruction set and chosen when the program runs.
//!
//! One portable body serves all: integers count exactly, and floating-point sums have a fixed order of lanes that no
//! compiler may change, so every kernel gives the same bits. Nothing is fused: a fused product rounds differently.
#![expect(
    unsafe_code,
    reason = "code for an instruction set may only be called where the processor has it, which the compiler cannot see"
)]

/// Rows whose sign codes are interleaved, word by word, so that one vector register holds the same word of each.
pub(super) const GROUP: usize = 8;
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
}

impl Kernel {
    /// All that this processor can run, the fastest last. On ARM the baseline is NEON already.
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "nothing to add"))]
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
        kernels
    }

    /// The fastest that this processor can run; detected once.
    #[must_use]
    pub fn fastest() -> Self {
        static FASTEST: std::sync::OnceLock<Kernel> = std::sync::OnceLock::new();
        *FASTEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Baseline))
    }
}

/// Give a portable body a safe front that runs it as compiled for the wanted instruction set.
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
    /// The dot product of `query` with each row of codes, one result a row.
    dot_codes = dot_codes_body(rows: &[i8], query: &[i16], products: &mut [i32]);
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
        let mut nearest = distances[0];
        for &distance in &distances[1..] {
            nearest = nearest.min(distance);
        }
        if nearest <= most {
            for (lane, &distance) in (0u64..).zip(&distances) {
                if distance <= most {
                    found.push((row + lane) << 32 | distance);
                }
            }
        }
        row += GROUP as u64;
    }
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the body must be compiled with the features of its front"
)]
fn dot_codes_body(rows: &[i8], query: &[i16], products: &mut [i32]) {
    for (row, product) in rows.chunks_exact(query.len()).zip(products) {
        let mut sum = 0i32;
        for (&code, &wanted) in row.iter().zip(query) {
            sum += i32::from(i16::from(code)) * i32::from(wanted);
        }
        *product = sum;
    }
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the body must be compiled with the features of its front"
)]
fn hadamard_body(values: &mut [f32]) {
    let mut half = values.len() / 2;
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
