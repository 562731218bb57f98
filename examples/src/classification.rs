//! How good the predictions of a yes-or-no question are.

use serde::Serialize;

/// Accuracy and area under the ROC curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// The share of examples that are put on their side of probability 0.5; 0 to 1.
    pub accuracy: f64,
    /// The probability that a positive example gets a higher score than a negative one, ties counting half; 0 to 1.
    /// `None` where all examples have the same label.
    pub auc: Option<f64>,
}

/// Scores with the labels they should have predicted.
///
/// # Examples
/// ```
/// use federated_examples::classification::Predictions;
///
/// let mut predictions = Predictions::new();
/// predictions.extend([(-1.0, false), (0.5, false), (2.0, true)]);
/// let quality = predictions.quality().unwrap();
/// assert_eq!(quality.auc, Some(1.0));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Predictions(Vec<(f32, bool)>);

impl Predictions {
    /// No predictions.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How good they are; `None` for no predictions, or if a score is not a number.
    #[must_use]
    pub fn quality(&self) -> Option<Quality> {
        if self.0.is_empty() || self.0.iter().any(|(score, _)| score.is_nan()) {
            return None;
        }
        let right = self.0.iter().filter(|(score, label)| (*score > 0.0) == *label);
        Some(Quality { accuracy: right.count() as f64 / self.0.len() as f64, auc: self.auc() })
    }

    /// The Mann-Whitney statistic: the positives' mean rank, scaled to 0..1. Equal scores share their mean rank.
    fn auc(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let positives = sorted.iter().filter(|(_, label)| *label).count() as f64;
        let negatives = sorted.len() as f64 - positives;
        if positives == 0.0 || negatives == 0.0 {
            return None;
        }
        let (mut rank_sum, mut before) = (0.0, 0.0);
        // Grouped by `==`, which takes -0 and +0 for equal; `total_cmp` puts them side by side.
        for tied in sorted.chunk_by(|(one, _), (other, _)| one == other) {
            let count = tied.len() as f64;
            let mean_rank = before + (count + 1.0) / 2.0;
            rank_sum += mean_rank * tied.iter().filter(|(_, label)| *label).count() as f64;
            before += count;
        }
        Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
    }
}

impl Extend<(f32, bool)> for Predictions {
    /// Adds pairs of a score and a label. A score is a logit: above 0 means "yes".
    fn extend<I: IntoIterator<Item = (f32, bool)>>(&mut self, pairs: I) {
        self.0.extend(pairs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(pairs: &[(f32, bool)]) -> Option<Quality> {
        let mut predictions = Predictions::new();
        predictions.extend(pairs.iter().copied());
        predictions.quality()
    }

    #[test]
    fn accuracy_is_the_share_on_the_right_side_of_a_half() {
        let pairs = [(0.1, true), (-0.1, false), (0.0, false), (3.0, false)];
        assert_eq!(quality(&pairs).unwrap().accuracy, 0.75);
    }

    #[test]
    fn auc_counts_the_pairs_in_order_and_ties_by_half() {
        // Six pairs of a positive with a negative: 2 > 0, 2 > 1, 2 = 2, 1 > 0, 1 = 1, 1 < 2.
        let pairs = [(2.0, true), (1.0, true), (0.0, false), (1.0, false), (2.0, false)];
        assert_eq!(quality(&pairs).unwrap().auc, Some(4.0 / 6.0));
        let mut pairs = pairs;
        pairs.reverse();
        assert_eq!(quality(&pairs).unwrap().auc, Some(4.0 / 6.0));
    }

    #[test]
    fn equal_scores_for_all_are_a_coin_toss() {
        let pairs = [(-0.0, true), (0.0, false), (0.0, true)];
        assert_eq!(quality(&pairs).unwrap().auc, Some(0.5));
    }

    #[test]
    fn one_label_alone_has_an_accuracy_and_no_auc() {
        assert_eq!(quality(&[(1.0, true), (-1.0, true)]), Some(Quality { accuracy: 0.5, auc: None }));
    }

    #[test]
    fn nothing_and_nan_have_no_quality() {
        assert_eq!(quality(&[]), None);
        assert_eq!(quality(&[(f32::NAN, true), (1.0, false)]), None);
    }
}
