//! What is claimed in words: who saw what, what sampling is assumed, what is not covered.

use serde::Serialize;

use super::RunFacts;
use crate::privacy::dp::{
    ledger::PrivacyUnit,
    terms::{Placement, PrivacyTerms},
};

/// What somebody saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Seen {
    /// Who.
    pub who: String,
    /// What of the data, and whether there was noise in it.
    pub what: String,
}

/// Whether what is assumed about sampling is made so by code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Enforcement {
    /// Nothing is assumed: everyone is in each sum.
    NotNeeded,
    /// By the code of each site that runs this project's trainer. The coordinator cannot see whether a site does.
    AtEachSite,
}

/// What sampling is assumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sampling {
    /// What is assumed, in words.
    pub assumption: String,
    /// Who sees to it.
    pub enforced: Enforcement,
}

pub(super) fn seen(facts: &RunFacts) -> Vec<Seen> {
    let seen = |who: &str, what: String| Seen { who: who.to_owned(), what };
    let placement = facts.terms.placement();
    let coordinator = match (placement, facts.least_summed) {
        (Placement::Local, None) => "each site's update by itself, with noise for its records".to_owned(),
        (Placement::Local, Some(least)) => {
            format!("sums of {least} updates or more, with each site's noise for its records in them")
        }
        (Placement::Central, _) => {
            "each participant's update by itself, without noise; it adds noise to their mean".to_owned()
        }
        (Placement::Distributed, least) => {
            let least = least.unwrap_or(1);
            format!(
                "sums of {least} updates or more, with the participants' noise in them; no update by itself"
            )
        }
    };
    let site = match placement {
        Placement::Local => "its own records; what leaves it has noise",
        Placement::Central => "its own records; its update leaves without noise",
        Placement::Distributed => "its own records; its update leaves with its share of the noise, masked",
    };
    vec![
        seen("each site", site.to_owned()),
        seen("the coordinator", coordinator),
        seen("the other participants", "each round's model, with noise".to_owned()),
        seen("operators", "who took part and when, the model, and this report".to_owned()),
    ]
}

pub(super) fn sampling(terms: &PrivacyTerms) -> Sampling {
    let rate = terms.sampling_rate();
    if rate.is_full() {
        let assumption = "none: each unit is counted as being in every sum".to_owned();
        return Sampling { assumption, enforced: Enforcement::NotNeeded };
    }
    let assumption = format!(
        "Poisson: each {} is in a step's batch with a chance of {rate}, by itself, and nobody else knows which are",
        terms.unit()
    );
    Sampling { assumption, enforced: Enforcement::AtEachSite }
}

pub(super) fn not_covered(facts: Option<&RunFacts>) -> Vec<String> {
    let mut list = vec![
        "Who took part, was asked, was absent or declined, and when: it is in logs and in this report.",
        "How long training takes and how large messages are.",
        "What a site's own trainer writes, prints or sends beside its update.",
        "Choices made by looking at the data elsewhere: settings that were tried, which model is kept, preprocessing. They count only \
         as far as they are releases in the ledger.",
        "What is known anyway: whatever follows from the population, and not from one unit's presence.",
        "Lines cut off the end of the ledger by whoever can write its file: compare the SHA-256 of its last line with a copy kept \
         elsewhere.",
    ];
    match facts {
        None => list.push(
            "People with several records: one record is hidden, all of a person's together are hidden less.",
        ),
        Some(facts) => {
            list.push(
                "The same records in other jobs: this budget is the job's alone. Each site's own ledger adds up over all jobs.",
            );
            list.push("The initial model: it is taken as public.");
            list.extend(of_placement(&facts.terms));
        }
    }
    list.into_iter().map(str::to_owned).collect()
}

fn of_placement(terms: &PrivacyTerms) -> Vec<&'static str> {
    let mut list = match terms.placement() {
        Placement::Local => vec![
            "How many records a site says it has, which weighs its update: the site's own ledger pays for that number, this one does not.",
            "A site that does not run the trainer that it should: the noise of its own records is its own affair, and nobody \
             outside can check it.",
        ],
        Placement::Central => vec![
            "The coordinator: it sees each update, and must be trusted to add the noise.",
            "A coordinator that lies about who was asked: the noise is divided by that number.",
        ],
        Placement::Distributed => vec![
            "More participants who leave out their share of the noise than secure aggregation allows for.",
            "The coordinator together with so many participants that they can take off masks.",
        ],
    };
    if terms.unit() == PrivacyUnit::Participant {
        list.push("Single records: a whole participant is hidden here; a site's own ledger counts its records, at half the noise.");
    } else {
        list.push(
            "People with several records: one record is hidden, all of a person's together are hidden less.",
        );
    }
    list
}
