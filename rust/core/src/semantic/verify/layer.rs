//! A dense layer of the network, and how the layers are read from the model's file.

use crate::error::Error;
use crate::vector::bundle;

/// A dense layer to `OUT` units, weights as [in][out].
#[derive(Debug)]
pub(super) struct Layer<const OUT: usize> {
    weights: Box<[[f32; OUT]]>,
    pub(super) bias: [f32; OUT],
}

impl<const OUT: usize> Layer<OUT> {
    /// `sum += weights[from..][i] * input[i]`.
    #[inline]
    pub(super) fn add(&self, sum: &mut [f32; OUT], from: usize, input: &[f32]) {
        for (row, &value) in self.weights[from..].iter().zip(input) {
            if value != 0.0 {
                for (total, &weight) in sum.iter_mut().zip(row) {
                    *total += weight * value;
                }
            }
        }
    }
}

/// Takes numbers and layers off the front of the payload.
pub(super) struct Reader<'a> {
    pub(super) octets: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self
            .octets
            .split_at_checked(length)
            .ok_or_else(|| bundle::damaged("RSPTVERI", "is shorter than its layers"))?;
        self.octets = rest;
        Ok(taken)
    }

    pub(super) fn float(&mut self) -> Result<f32, Error> {
        Ok(self.floats::<1>()?[0])
    }

    fn floats<const N: usize>(&mut self) -> Result<[f32; N], Error> {
        let octets = self.take(4 * N)?;
        let mut values = [0.0; N];
        for (value, octets) in values.iter_mut().zip(octets.as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*octets);
        }
        Ok(values)
    }

    /// Stored as int8 [out][in], f32 scale [out], f32 bias [out].
    pub(super) fn layer<const OUT: usize>(&mut self, inputs: usize) -> Result<Layer<OUT>, Error> {
        let codes = self.take(OUT * inputs)?;
        let scales = self.floats::<OUT>()?;
        let bias = self.floats::<OUT>()?;
        let weight = |input: usize, unit: usize| f32::from(codes[unit * inputs + input].cast_signed()) * scales[unit];
        Ok(Layer {
            weights: (0..inputs)
                .map(|input| std::array::from_fn(|unit| weight(input, unit)))
                .collect(),
            bias,
        })
    }
}
