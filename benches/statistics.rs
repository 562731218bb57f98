//! What many measurements come to.

/// The value in the middle; of an even number of values the mean of the two in the middle.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { f64::midpoint(sorted[middle - 1], upper) })
}

/// The smallest and the largest value.
#[must_use]
pub fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((least, most)) => Some((value.min(least), value.max(most))),
    })
}

/// A figure as it is reported: to so many decimals.
#[must_use]
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 100.0, 1.0, 2.0]), Some(3.0));
    }

    #[test]
    fn a_range_holds_every_value() {
        assert_eq!(range([]), None);
        assert_eq!(range([2.0, -1.0, 5.0]), Some((-1.0, 5.0)));
    }

    #[test]
    fn a_figure_has_as_many_decimals_as_it_should() {
        assert_eq!(rounded(0.123_456_789, 6), 0.123_457);
        assert_eq!(rounded(52.06, 1), 52.1);
    }
}
