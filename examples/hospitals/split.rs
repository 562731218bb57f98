use std::fmt;

use anyhow::{Context, Result};
use clap::ValueEnum;
use federated_core::ids::Fingerprint;

use crate::hospitals::{hospital::Hospital, patient::Patient};

/// Which patients are trained on and which are tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Split {
    /// All 920 patients and all attributes; a third of each hospital is the test set, drawn by the seed.
    Own,
    /// The 740 patients and the split that FLamby published results for; the seed decides on the training only.
    Published,
}

/// Training or test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Trained on.
    Train,
    /// Tested on.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Own => "own",
            Self::Published => "published",
        })
    }
}

/// A hospital's patients, divided.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Divided {
    /// Trained on.
    pub(crate) train: Vec<Patient>,
    /// Tested on.
    pub(crate) test: Vec<Patient>,
}

impl Split {
    /// Divides a hospital's patients.
    pub(crate) fn divide(self, hospital: Hospital, patients: &[Patient], seed: u64) -> Result<Divided> {
        let mut divided = Divided::default();
        let drawn = drawn_for_test(hospital, patients, seed);
        for (patient, drawn) in patients.iter().zip(drawn) {
            let part = match self {
                Self::Own if drawn => Part::Test,
                Self::Own => Part::Train,
                Self::Published => {
                    patient.part.context("the published split names the part of every patient")?
                }
            };
            match part {
                Part::Train => divided.train.push(patient.clone()),
                Part::Test => divided.test.push(patient.clone()),
            }
        }
        Ok(divided)
    }
}

/// For each patient whether it is in the test set: a third of the ill and a third of the others, rounded.
///
/// The order of a shuffle is that of SHA-256 digests of seed, hospital and line. So a seed gives the same sets on every
/// machine, with every version of every random number generator, and a hospital needs no other hospital's data.
fn drawn_for_test(hospital: Hospital, patients: &[Patient], seed: u64) -> Vec<bool> {
    let mut drawn = vec![false; patients.len()];
    for ill in [false, true] {
        let with_label = patients.iter().enumerate().filter(|(_, patient)| patient.ill == ill);
        let mut order: Vec<usize> = with_label.map(|(index, _)| index).collect();
        order.sort_by_cached_key(|index| {
            Fingerprint::of(format!("split {seed} {hospital} {index}").as_bytes())
        });
        let third = (order.len() + 1) / 3;
        order.iter().take(third).for_each(|index| drawn[*index] = true);
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(split: Split, seed: u64) -> [Divided; 4] {
        Hospital::ALL.map(|hospital| {
            let patients = Patient::read_all(&hospital.records(split), split).unwrap();
            split.divide(hospital, &patients, seed).unwrap()
        })
    }

    #[test]
    fn a_third_of_each_hospital_and_of_each_diagnosis_is_tested_on() {
        for seed in [0, 42] {
            let sets = divided(Split::Own, seed);
            assert_eq!(sets.each_ref().map(|set| set.train.len()), [202, 196, 82, 133]);
            assert_eq!(sets.each_ref().map(|set| set.test.len()), [101, 98, 41, 67]);
            let ill = |set: &Divided| set.test.iter().filter(|patient| patient.ill).count();
            assert_eq!(sets.each_ref().map(ill), [46, 35, 38, 50]);
        }
    }

    #[test]
    fn the_published_split_is_flamby_s_whatever_the_seed() {
        let sets = divided(Split::Published, 42);
        assert_eq!(sets.each_ref().map(|set| set.train.len()), [199, 172, 30, 85]);
        assert_eq!(sets.each_ref().map(|set| set.test.len()), [104, 89, 16, 45]);
        assert_eq!(sets, divided(Split::Published, 43));
    }

    #[test]
    fn the_seed_decides_who_is_tested_on() {
        assert_eq!(divided(Split::Own, 42), divided(Split::Own, 42));
        let (one, other) = (divided(Split::Own, 42), divided(Split::Own, 43));
        assert!(one.iter().zip(&other).all(|(one, other)| one.test != other.test));
    }

    #[test]
    fn the_split_of_a_seed_never_changes() {
        let va = Hospital::Va;
        let patients = Patient::read_all(&va.records(Split::Own), Split::Own).unwrap();
        let drawn = drawn_for_test(va, &patients, 42);
        let first: Vec<usize> = (0..drawn.len()).filter(|index| drawn[*index]).take(6).collect();
        assert_eq!(first, [5, 6, 8, 9, 10, 11]);
    }
}
