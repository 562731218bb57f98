//! The result as JSON, for programs.
//!
//! One seed gives exactly the fields of [`Report`]. With more seeds, its figures are means, `model_digest` is that of
//! the first seed, and [`Report::spread`] and [`Report::runs`] are added. An AUC that is not defined is `null`.

use serde::Serialize;

use crate::hospitals::{
    experiment::{Experiment, Outcome},
    figures::{QualityFigures, Written},
};

/// What `--json` writes.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seed: u64,
    rounds: u32,
    strategy: String,
    sites: Vec<Site>,
    overall: Overall,
    bytes_up: u64,
    bytes_down: u64,
    seconds: f64,
    model_digest: String,
    /// Standard deviations of the figures of the same name, over the seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<Spread>,
    /// Each seed by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Site {
    name: &'static str,
    train: usize,
    test: usize,
    alone: Written,
    federated: Written,
}

#[derive(Debug, Serialize)]
struct Overall {
    alone_best: Written,
    federated: Written,
    pooled: Written,
}

#[derive(Debug, Serialize)]
struct Spread {
    seeds: usize,
    sites: Vec<SiteSpread>,
    overall: Overall,
}

#[derive(Debug, Serialize)]
struct SiteSpread {
    name: &'static str,
    alone: Written,
    federated: Written,
}

#[derive(Debug, Serialize)]
struct Run {
    seed: u64,
    overall: Overall,
    model_digest: String,
}

impl Report {
    /// Of at least one outcome; `None` of none.
    pub(crate) fn new(experiment: &Experiment, outcomes: &[Outcome]) -> Option<Self> {
        let first = outcomes.first()?;
        let many = outcomes.len() > 1;
        let seeds = outcomes.len() as u64;
        let mean = |pick: fn(&Outcome) -> u64| outcomes.iter().map(pick).sum::<u64>() / seeds;
        let seconds: f64 = outcomes.iter().map(|outcome| outcome.elapsed.as_secs_f64()).sum();
        Some(Self {
            seed: first.seed,
            rounds: experiment.recipe.rounds.get(),
            strategy: experiment.recipe.learning.to_string(),
            sites: sites(outcomes),
            overall: overall(outcomes, QualityFigures::means),
            bytes_up: mean(|outcome| outcome.bytes_up),
            bytes_down: mean(|outcome| outcome.bytes_down),
            seconds: seconds / outcomes.len() as f64,
            model_digest: first.model.to_string(),
            spread: many.then(|| Spread {
                seeds: outcomes.len(),
                sites: site_spreads(outcomes),
                overall: overall(outcomes, QualityFigures::deviations),
            }),
            runs: if many { outcomes.iter().map(Run::new).collect() } else { Vec::new() },
        })
    }
}

impl Run {
    fn new(outcome: &Outcome) -> Self {
        Self {
            seed: outcome.seed,
            overall: overall(std::slice::from_ref(outcome), QualityFigures::means),
            model_digest: outcome.model.to_string(),
        }
    }
}

fn sites(outcomes: &[Outcome]) -> Vec<Site> {
    let names = outcomes.first().into_iter().flat_map(|first| first.sites.iter().enumerate());
    let site = |(index, site): (usize, &crate::hospitals::experiment::SiteOutcome)| Site {
        name: site.hospital.name(),
        train: site.train,
        test: site.test,
        alone: QualityFigures::over(outcomes, |outcome| outcome.sites[index].alone).means(),
        federated: QualityFigures::over(outcomes, |outcome| outcome.sites[index].federated).means(),
    };
    names.map(site).collect()
}

fn site_spreads(outcomes: &[Outcome]) -> Vec<SiteSpread> {
    let names = outcomes.first().into_iter().flat_map(|first| first.sites.iter().enumerate());
    let spread = |(index, site): (usize, &crate::hospitals::experiment::SiteOutcome)| SiteSpread {
        name: site.hospital.name(),
        alone: QualityFigures::over(outcomes, |outcome| outcome.sites[index].alone).deviations(),
        federated: QualityFigures::over(outcomes, |outcome| outcome.sites[index].federated).deviations(),
    };
    names.map(spread).collect()
}

fn overall(outcomes: &[Outcome], written: fn(&QualityFigures) -> Written) -> Overall {
    Overall {
        alone_best: written(&QualityFigures::over(outcomes, Outcome::best_alone)),
        federated: written(&QualityFigures::over(outcomes, |outcome| outcome.federated)),
        pooled: written(&QualityFigures::over(outcomes, |outcome| outcome.pooled)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use crate::classification::Quality;
    use federated_client::device::Device;
    use federated_core::ids::Digest;

    use super::*;
    use crate::hospitals::{
        experiment::SiteOutcome,
        hospital::Hospital,
        recipe::{Learning, Recipe},
        split::Split,
    };

    fn experiment() -> Experiment {
        let recipe = Recipe {
            rounds: NonZeroU32::MIN,
            learning: Learning::Fedavg,
            local_epochs: NonZeroU32::MIN,
            batch_size: NonZeroU32::MIN,
            learning_rate: 0.1,
            compression: federated_core::compression::Encoding::PLAIN,
            secure_aggregation: false,
            privacy: None,
        };
        Experiment { split: Split::Own, recipe, device: Device::Cpu, kill: None }
    }

    pub(crate) fn outcome(seed: u64, accuracy: f64) -> Outcome {
        let quality = Quality { accuracy, auc: Some(0.75) };
        let site = |hospital| SiteOutcome {
            hospital,
            train: 2,
            test: 1,
            alone: Quality { accuracy, auc: None },
            alone_overall: quality,
            federated: quality,
            pooled: quality,
        };
        Outcome {
            seed,
            sites: Hospital::ALL.map(site),
            federated: quality,
            pooled: quality,
            bytes_up: 10,
            training_bytes_up: 8,
            bytes_down: 20,
            elapsed: Duration::from_millis(1500),
            model: Digest::of(&seed.to_le_bytes()),
        }
    }

    fn written(outcomes: &[Outcome]) -> serde_json::Value {
        serde_json::to_value(Report::new(&experiment(), outcomes).unwrap()).unwrap()
    }

    #[test]
    fn one_seed_gives_these_fields_and_no_others() {
        let quality = serde_json::json!({ "accuracy": 0.5, "auc": 0.75 });
        let site = |name| {
            let alone = serde_json::json!({ "accuracy": 0.5, "auc": null });
            serde_json::json!({ "name": name, "train": 2, "test": 1, "alone": alone, "federated": quality })
        };
        let expected = serde_json::json!({
            "seed": 3,
            "rounds": 1,
            "strategy": "fedavg",
            "sites": [site("cleveland"), site("hungarian"), site("switzerland"), site("va")],
            "overall": { "alone_best": quality, "federated": quality, "pooled": quality },
            "bytes_up": 10,
            "bytes_down": 20,
            "seconds": 1.5,
            "model_digest": Digest::of(&3_u64.to_le_bytes()).to_string(),
        });
        assert_eq!(written(&[outcome(3, 0.5)]), expected);
    }

    #[test]
    fn more_seeds_give_means_with_their_spread_and_each_seed() {
        let json = written(&[outcome(3, 0.5), outcome(4, 1.0)]);
        assert_eq!(json["overall"]["federated"]["accuracy"], 0.75);
        assert_eq!(json["sites"][0]["alone"]["accuracy"], 0.75);
        assert_eq!(json["spread"]["seeds"], 2);
        assert_eq!(json["spread"]["overall"]["federated"]["accuracy"], 0.125_f64.sqrt());
        assert_eq!(json["spread"]["sites"][3]["federated"]["auc"], 0.0);
        assert_eq!(json["runs"][1]["seed"], 4);
        assert_eq!(json["runs"][1]["overall"]["federated"]["accuracy"], 1.0);
        assert_eq!(json["model_digest"], json["runs"][0]["model_digest"]);
    }
}
