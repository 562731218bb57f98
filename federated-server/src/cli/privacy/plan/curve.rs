use federated_core::privacy::dp::terms::PrivacyPlan;

/// What is spent by round, with the limit.
#[derive(Debug)]
pub(super) struct Curve {
    /// Rounds and epsilon, from round 0; those only that have a finite epsilon.
    pub(super) points: Vec<(f64, f64)>,
    /// The job's epsilon.
    pub(super) limit: f64,
    /// The job's rounds.
    pub(super) rounds: f64,
}

impl Curve {
    pub(super) fn of(plan: &PrivacyPlan) -> Self {
        let finite = |point: &federated_core::privacy::dp::terms::SpentByRound| {
            Some((f64::from(point.round), point.epsilon?))
        };
        Self {
            points: plan.spent.iter().filter_map(finite).collect(),
            limit: plan.terms.target().epsilon.get(),
            rounds: f64::from(plan.rounds.get()),
        }
    }

    /// The last round that is shown.
    pub(super) fn last(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.0).max(self.rounds)
    }

    /// The largest epsilon that is shown.
    pub(super) fn most(&self) -> f64 {
        self.points.iter().map(|point| point.1).fold(self.limit, f64::max)
    }

    /// Epsilon at any round, on straight lines between those that were asked; nothing beyond the last.
    pub(super) fn at(&self, round: f64) -> Option<f64> {
        self.points.windows(2).find_map(|pair| match pair {
            [(x0, y0), (x1, y1)] if *x0 <= round && round <= *x1 => {
                Some(y0 + (y1 - y0) * (round - x0) / (x1 - x0))
            }
            _ => None,
        })
    }
}
