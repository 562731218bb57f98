use super::{BLOCK_ELEMENTS, BlockDecoder, BlockReader, CompressionError, Encoding, plain};

/// What was left out of the updates sent so far: added to the next one, so that nothing is lost, only late.
///
/// With a residual `e`, a new delta `d` and a codec `C`: `p = d + e` is encoded, and the next residual is `p - C(p)`.
/// What was sent in all rounds plus the residual is the sum of all deltas, but for the rounding of these additions.
/// Top-k needs this to converge. Unbiased codecs do not.
///
/// Keep the former residual until the update has its receipt, and go on with it if the update never counted.
///
/// # Examples
/// ```
/// use federated_core::compression::{ErrorFeedback, encode};
///
/// let encoding = "top-k:0.5".parse()?;
/// let feedback = ErrorFeedback::new(4);
/// let mut delta = vec![1.0_f32, 0.25, -2.0, 0.5];
/// feedback.compensate(&mut delta)?;
/// let bytes = encode(encoding, &delta, 0)?;
/// let next = ErrorFeedback::after(delta, encoding, &bytes)?;
/// assert_eq!(next.residual(), [0.0, 0.25, 0.0, 0.5]);
/// # Ok::<(), federated_core::compression::CompressionError>(())
/// ```
///
/// # Privacy
/// The residual comes from the site's examples like an update does, and more of it: keep it where the examples are.
///
/// # References
/// Seide et al., "1-Bit Stochastic Gradient Descent and its Application to Data-Parallel Distributed Training of Speech
/// DNNs", Interspeech 2014, section 3.2. Karimireddy et al., "Error Feedback Fixes SignSGD and other Gradient
/// Compression Schemes", ICML 2019, algorithm 2.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorFeedback {
    residual: Vec<f32>,
}

impl ErrorFeedback {
    /// Nothing is left out yet, of `elements` elements.
    #[must_use]
    pub fn new(elements: usize) -> Self {
        Self { residual: vec![0.0; elements] }
    }

    /// Goes on with a residual that was kept.
    ///
    /// # Errors
    /// [`CompressionError`] when a value is not finite or not below 2^31 in magnitude.
    pub fn from_residual(residual: Vec<f32>) -> Result<Self, CompressionError> {
        plain::check(&residual, 0)?;
        Ok(Self { residual })
    }

    /// What is left out: one value for each element.
    #[must_use]
    pub fn residual(&self) -> &[f32] {
        &self.residual
    }

    /// Adds the residual to a new delta, in place: what is to be encoded then.
    ///
    /// # Errors
    /// [`CompressionError`] when the lengths differ, or a sum is not finite or not below 2^31 in magnitude.
    pub fn compensate(&self, delta: &mut [f32]) -> Result<(), CompressionError> {
        same_length(self.residual.len(), delta.len())?;
        delta.iter_mut().zip(&self.residual).for_each(|(value, residual)| *value += residual);
        plain::check(delta, 0)
    }

    /// The residual after `bytes` were sent, which encode `compensated`.
    ///
    /// # Errors
    /// [`CompressionError`] when the bytes do not decode to as many values.
    pub fn after(
        mut compensated: Vec<f32>,
        encoding: Encoding,
        mut bytes: &[u8],
    ) -> Result<Self, CompressionError> {
        let elements = compensated.len() as u64;
        let (mut reader, mut decoder) = (BlockReader::new(encoding, elements), BlockDecoder::new(encoding));
        let mut sent = vec![0.0; BLOCK_ELEMENTS.min(compensated.len())];
        for values in compensated.chunks_mut(BLOCK_ELEMENTS) {
            let Some(block) = reader.next_block(&mut bytes)? else { break };
            let sent = sent.get_mut(..block.elements).unwrap_or_default();
            decoder.decode(block.index, block.payload, sent)?;
            values.iter_mut().zip(sent).for_each(|(value, sent)| *value -= *sent);
        }
        reader.next_block(&mut bytes)?;
        reader.finish()?;
        Ok(Self { residual: compensated })
    }
}

fn same_length(expected: usize, found: usize) -> Result<(), CompressionError> {
    if expected == found {
        return Ok(());
    }
    Err(CompressionError::ValueCount { expected: expected as u64, found: found as u64 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compression::{Codec, Fraction, encode};

    /// What the coordinator decodes in each round, and the last residual.
    fn rounds(deltas: &[Vec<f32>], encoding: Encoding) -> (Vec<Vec<f32>>, ErrorFeedback) {
        let elements = deltas[0].len();
        let mut feedback = ErrorFeedback::new(elements);
        let sent = deltas.iter().enumerate().map(|(round, delta)| {
            let mut compensated = delta.clone();
            feedback.compensate(&mut compensated).unwrap();
            let bytes = encode(encoding, &compensated, round as u64).unwrap();
            feedback = ErrorFeedback::after(compensated, encoding, &bytes).unwrap();
            crate::compression::decode(encoding, elements, &bytes).unwrap()
        });
        (sent.collect(), feedback)
    }

    #[test]
    fn what_is_left_out_once_comes_later() {
        let encoding = Encoding::new(Codec::TopK(Fraction::new(0.5).unwrap()));
        let (sent, feedback) = rounds(&[vec![1.0, 0.75], vec![0.25, 0.5], vec![0.0, 0.0]], encoding);
        assert_eq!(sent, [[1.0, 0.0], [0.0, 1.25], [0.25, 0.0]]);
        assert_eq!(feedback, ErrorFeedback::new(2));
    }

    #[test]
    fn a_residual_of_another_model_is_refused() {
        let feedback = ErrorFeedback::new(3);
        let expected = CompressionError::ValueCount { expected: 3, found: 2 };
        assert_eq!(feedback.compensate(&mut [0.0, 1.0]), Err(expected));
        assert!(ErrorFeedback::from_residual(vec![0.0, f32::NAN]).is_err());
        let large = ErrorFeedback::from_residual(vec![2e9]).unwrap();
        assert!(matches!(large.compensate(&mut [2e9]), Err(CompressionError::TooLarge { element: 0, .. })));
        assert!(ErrorFeedback::after(vec![0.0; 3], Encoding::PLAIN, &[0; 8]).is_err());
        assert!(ErrorFeedback::after(vec![0.0; 3], Encoding::PLAIN, &[0; 13]).is_err());
    }

    fn encoding() -> impl Strategy<Value = Encoding> {
        let codec = prop_oneof![
            (1_u32..=1_000_000)
                .prop_map(|millionths| Codec::TopK(Fraction::from_millionths(millionths).unwrap())),
            Just(Codec::Int4),
            Just(Codec::Bf16),
        ];
        (codec, any::<bool>()).prop_map(|(codec, zstd)| Encoding { codec, zstd })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_sent_and_the_residual_sum_to_all_deltas(
            deltas in (1_usize..50).prop_flat_map(|elements| {
                prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, elements), 1..12)
            }),
            encoding in encoding(),
        ) {
            let (sent, feedback) = rounds(&deltas, encoding);
            for element in 0..deltas[0].len() {
                let sum = |updates: &[Vec<f32>]| updates.iter().map(|values| f64::from(values[element])).sum::<f64>();
                let kept = sum(&sent) + f64::from(feedback.residual()[element]);
                // Each round adds once and subtracts once, magnitudes of up to 12, in f32.
                let rounding = deltas.len() as f64 * 2.0 * 12.0 * 2.0_f64.powi(-24);
                prop_assert!((kept - sum(&deltas)).abs() <= rounding, "{kept} for {}", sum(&deltas));
            }
        }

        #[test]
        fn top_k_sends_exactly_what_it_takes_from_the_residual(
            values in prop::collection::vec(-1e9_f32..1e9, 1..300),
            millionths in 1_u32..=1_000_000,
        ) {
            let encoding = Encoding::new(Codec::TopK(Fraction::from_millionths(millionths).unwrap()));
            let (sent, feedback) = rounds(std::slice::from_ref(&values), encoding);
            for ((value, sent), left) in values.iter().zip(&sent[0]).zip(feedback.residual()) {
                let all_or_nothing = if *sent == 0.0 { *left } else { *sent };
                prop_assert_eq!(all_or_nothing.to_bits(), value.to_bits());
                prop_assert!(*sent == 0.0 || *left == 0.0);
            }
        }
    }
}
