use crate::classification::Quality;
use serde::Serialize;

use crate::hospitals::experiment::Outcome;

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

/// Accuracy and AUC over seeds. `None` where a number is not defined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct QualityFigures {
    /// The share on the right side of probability 0.5.
    pub(crate) accuracy: Option<Figure>,
    /// The area under the ROC curve.
    pub(crate) auc: Option<Figure>,
}

/// Accuracy and AUC as they are written into the JSON file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Written {
    accuracy: Option<f64>,
    auc: Option<f64>,
}

impl QualityFigures {
    /// Of one quality an outcome.
    pub(crate) fn over(outcomes: &[Outcome], pick: impl Fn(&Outcome) -> Quality) -> Self {
        let qualities = || outcomes.iter().map(&pick);
        let auc: Option<Vec<f64>> = qualities().map(|quality| quality.auc).collect();
        let accuracy: Vec<f64> = qualities().map(|quality| quality.accuracy).collect();
        Self { accuracy: Figure::of(&accuracy), auc: auc.and_then(|auc| Figure::of(&auc)) }
    }

    /// The means.
    pub(crate) fn means(&self) -> Written {
        self.written(|figure| Some(figure.mean))
    }

    /// The standard deviations.
    pub(crate) fn deviations(&self) -> Written {
        self.written(|figure| figure.deviation)
    }

    fn written(&self, pick: fn(Figure) -> Option<f64>) -> Written {
        Written { accuracy: self.accuracy.and_then(pick), auc: self.auc.and_then(pick) }
    }
}

impl Outcome {
    /// The best that any hospital's own model reaches on the test sets of all: accuracy and AUC each for itself.
    pub(crate) fn best_alone(&self) -> Quality {
        let own = || self.sites.iter().map(|site| site.alone_overall);
        Quality {
            accuracy: own().map(|quality| quality.accuracy).fold(0.0, f64::max),
            auc: own().filter_map(|quality| quality.auc).reduce(f64::max),
        }
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
