//! What a site does with an update before it leaves, when the task asks for differential privacy.

use federated_core::{
    metrics::Metrics,
    model::ModelError,
    privacy::dp::{
        ClipNorm, Clipped,
        terms::{Placement, PrivacyTerms},
    },
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};

/// The update as it may leave: without metrics, which have no noise; where a participant is hidden, clipped as a whole and as
/// heavy as any other.
///
/// # Errors
/// [`ModelError`], which clipping never causes.
pub(super) fn protect(task: &TrainTask, update: ClientUpdate) -> Result<ClientUpdate, ModelError> {
    let Some(terms) = &task.privacy else { return Ok(update) };
    let metrics = Metrics::new();
    if terms.placement() == Placement::Local {
        return Ok(ClientUpdate { metrics, ..update });
    }
    let delta = Clipped::new(update.delta, clip(task, terms))?.into_parameters();
    Ok(ClientUpdate { delta, examples: ExampleCount::ONE, metrics })
}

/// The norm of a whole update: as agreed, or that of the masked vector where this is less.
fn clip(task: &TrainTask, terms: &PrivacyTerms) -> ClipNorm {
    let masked = task.secure.as_deref().map_or(f64::INFINITY, |secure| secure.terms.vector().clip().into());
    ClipNorm::new(terms.clip().get().min(masked)).unwrap_or(terms.clip())
}

#[cfg(test)]
mod tests {
    use federated_core::model::ModelParameters;

    use super::*;
    use crate::session::fixture;

    fn update(task: &TrainTask) -> ClientUpdate {
        let mut metrics = Metrics::new();
        metrics.insert("loss", 0.7).unwrap();
        let delta = ModelParameters::new(task.layout.clone(), vec![3.0, -4.0]).unwrap();
        ClientUpdate { delta, examples: ExampleCount::new(123).unwrap(), metrics }
    }

    #[test]
    fn nothing_without_noise_is_beside_the_update() {
        let task = fixture::task("heart", 1);
        assert_eq!(
            protect(&task, update(&task)).unwrap(),
            update(&task),
            "without privacy nothing is changed"
        );
        let local = TrainTask { privacy: Some(fixture::privacy(Placement::Local)), ..task.clone() };
        let protected = protect(&local, update(&task)).unwrap();
        assert_eq!(protected, ClientUpdate { metrics: Metrics::new(), ..update(&task) });
        for placement in [Placement::Central, Placement::Distributed] {
            let hidden = TrainTask { privacy: Some(fixture::privacy(placement)), ..task.clone() };
            let protected = protect(&hidden, update(&task)).unwrap();
            assert_eq!((protected.examples, protected.metrics), (ExampleCount::ONE, Metrics::new()));
            let norm =
                protected.delta.values().iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
            assert!((0.999..=1.0).contains(&norm), "{norm}");
        }
    }
}
