//! The serialised form of a [`Calibrator`]: versioned, checksummed, never trusted.
//!
//! `RCL` and the version; whether there is a verifier; standing, floor, expected share, retreats, labels, drift; the
//! belief; both bounds; recent probabilities and labels (little-endian); 8 bytes of the BLAKE3 digest of all before.

use super::evidence::FEATURES;
use super::floor::Label;
use super::{Calibrator, Policy, Standing};
use crate::error::Error;
use crate::frame::{Frame, Reader, push_length};
use crate::stats::bound::Bound;

const FRAME: Frame = Frame {
    magic: *b"RCL\x01",
    what: "a calibration for this namespace",
};
const STANDINGS: [Standing; 4] = [Standing::Cold, Standing::Warm, Standing::Drifted, Standing::Overspent];
/// More entries than a window ever holds.
const LONGEST: usize = 1 << 16;

impl Calibrator {
    /// Everything learned, as bytes that [`Calibrator::restore`] reads back. The policy is not part of it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = FRAME.begin(64 * 1024);
        out.push(u8::from(self.policy.is_verified()));
        let standing = STANDINGS.iter().position(|&standing| standing == self.standing);
        out.push(standing.and_then(|at| u8::try_from(at).ok()).unwrap_or(0));
        out.extend_from_slice(&self.floor.to_le_bytes());
        out.extend_from_slice(&self.retreats.to_le_bytes());
        out.extend_from_slice(&self.labels.to_le_bytes());
        for number in [self.expected_wrong, self.drift.evidence] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let belief = self
            .regression
            .mean
            .iter()
            .chain(self.regression.covariance.iter().flatten());
        belief.for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        for bound in [&self.life, &self.epoch] {
            bound
                .numbers()
                .iter()
                .for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        }
        push_length(&mut out, self.window.recent.len());
        for probability in &self.window.recent {
            out.extend_from_slice(&probability.to_le_bytes());
        }
        push_length(&mut out, self.window.labels.len());
        for label in &self.window.labels {
            out.extend_from_slice(&label.probability.to_le_bytes());
            out.push(u8::from(label.right));
            out.extend_from_slice(&label.weight.to_le_bytes());
        }
        FRAME.seal(out)
    }

    /// A namespace that knows what [`Calibrator::to_bytes`] wrote.
    ///
    /// # Errors
    /// `InvalidArgument` when the policy is out of range, or the bytes are cut short, changed, of another version, or
    /// were learned with a verifier and the policy has none (or the other way round).
    pub fn restore(policy: Policy, alpha: f64, bytes: &[u8]) -> Result<Self, Error> {
        let mut calibrator = Self::new(policy, alpha)?;
        let mut reader = FRAME.open(bytes)?;
        calibrator.read(&mut reader)?;
        reader.finish()?;
        Ok(calibrator)
    }

    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let [verified, standing] = reader.take()?;
        if (verified == 1) != self.policy.is_verified() {
            return Err(reader.corrupt("one was learned with a verifier, the other without"));
        }
        let standing = STANDINGS.get(usize::from(standing));
        self.standing = *standing.ok_or_else(|| reader.corrupt("their standing is unknown"))?;
        self.floor = f32::from_le_bytes(reader.take()?);
        self.retreats = u32::from_le_bytes(reader.take()?);
        self.labels = u64::from_le_bytes(reader.take()?);
        self.expected_wrong = finite(reader)?;
        self.drift.evidence = finite(reader)?;
        for at in 0..FEATURES {
            self.regression.mean[at] = finite(reader)?;
        }
        for at in 0..FEATURES * FEATURES {
            self.regression.covariance[at / FEATURES][at % FEATURES] = finite(reader)?;
        }
        for bound in [&mut self.life, &mut self.epoch] {
            let mut numbers = [0.0; Bound::NUMBERS];
            for number in &mut numbers {
                *number = finite(reader)?;
            }
            let read = Bound::from_numbers(&numbers)?;
            // Counted under another audit rate or confidence: the count starts anew.
            if read.options() == bound.options() {
                *bound = read;
            }
        }
        for _ in 0..length(reader)? {
            self.window.recent.push_back(f32::from_le_bytes(reader.take()?));
        }
        for _ in 0..length(reader)? {
            let probability = f32::from_le_bytes(reader.take()?);
            let [right] = reader.take()?;
            let weight = f32::from_le_bytes(reader.take()?);
            self.window.labels.push_back(Label {
                probability,
                right: right == 1,
                weight,
            });
        }
        Ok(())
    }
}

fn finite(reader: &mut Reader<'_>) -> Result<f64, Error> {
    Some(f64::from_le_bytes(reader.take()?))
        .filter(|number| number.is_finite())
        .ok_or_else(|| reader.corrupt("a number is not finite"))
}

fn length(reader: &mut Reader<'_>) -> Result<usize, Error> {
    Some(reader.length()?)
        .filter(|&length| length <= LONGEST)
        .ok_or_else(|| reader.corrupt("they claim more than a window holds"))
}
