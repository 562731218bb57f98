use federated_core::compression::Encoding;
use serde::Serialize;

use crate::{classification::Quality, compression::Compared, figure::Figure, hospitals::experiment::Outcome};

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
    /// What the federation reached over these seeds, for a comparison of encodings.
    pub(crate) fn compared(encoding: Encoding, outcomes: &[Self]) -> Compared {
        Compared {
            encoding,
            accuracy: outcomes.iter().map(|outcome| outcome.federated.accuracy).collect(),
            bytes_up: outcomes.iter().map(|outcome| outcome.training_bytes_up).collect(),
        }
    }

    /// The best that any hospital's own model reaches on the test sets of all: accuracy and AUC each for itself.
    pub(crate) fn best_alone(&self) -> Quality {
        let own = || self.sites.iter().map(|site| site.alone_overall);
        Quality {
            accuracy: own().map(|quality| quality.accuracy).fold(0.0, f64::max),
            auc: own().filter_map(|quality| quality.auc).reduce(f64::max),
        }
    }
}
