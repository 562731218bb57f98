//! A number that was measured with several seeds.

/// A number over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    /// The mean.
    pub(crate) mean: f64,
    /// The sample's standard deviation; `None` for one seed.
    pub(crate) deviation: Option<f64>,
}

impl Figure {
    /// Of these numbers; `None` if there is none.
    pub(crate) fn of(numbers: &[f64]) -> Option<Self> {
        if numbers.is_empty() {
            return None;
        }
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        let deviation = (numbers.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        Some(Self { mean, deviation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_sample_deviation() {
        let figure = Figure::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(figure, Figure { mean: 2.0, deviation: Some(1.0) });
        assert_eq!(Figure::of(&[4.0]), Some(Figure { mean: 4.0, deviation: None }));
        assert_eq!(Figure::of(&[]), None);
    }
}
