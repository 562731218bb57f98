#![no_main]
//! Rows of a coordinator's journal, as a damaged disk or another program leaves them.
//!
//! The first byte says whether the rest are rows as they stand, or what is in them, under a digest that is right: each with
//! its length (u16, little-endian) in front. Rows that can be read are a job's log, or are refused.

use std::{collections::BTreeSet, time::Duration};

use federated_core::{
    checkpoint,
    compression::Encoding,
    config::JobConfig,
    fault::Fault,
    ids::Digest,
    job::{Entry, Job, JobEvent, JobTerms},
    round::{Event, OutReason, Receipt, UpdateKind},
    selection::UniformSelector,
    time::Timestamp,
};
use federated_fuzz::{
    header, layout, model, seed,
    sessions::{Honest, name},
    task,
};
use libfuzzer_sys::fuzz_target;

/// Bytes of a row before the digest, and before what is in it.
const DIGEST: usize = 5;
const CONTENT: usize = DIGEST + 32;

fn events() -> Vec<JobEvent> {
    let config = JobConfig::parse(include_str!("../job.toml")).expect("a job file");
    let terms = Box::new(JobTerms::new(config, layout(), model().digest));
    let answer = Honest::new(false).answers[4][0].clone().expect("everyone answers");
    let declined = OutReason::Declined { code: "BUSY".to_owned(), message: "no\n".to_owned() };
    let receipt =
        |encoding| Receipt { content: Digest::of(b"update"), bytes: 44, kind: header(encoding).kind };
    let round = [
        Event::Joined(name(0)),
        Event::Tick,
        Event::UpdateStored { participant: name(0), task: task(), receipt: receipt(Encoding::PLAIN) },
        Event::MemberFailed { participant: name(1), task: task(), reason: declined },
        Event::ModelPublished { task: task(), model: model().digest },
        Event::StopRequested { operator: "ada".to_owned() },
        Event::Answered { participant: name(0), task: task(), message: answer },
        Event::Left(name(0)),
    ];
    let masked = Receipt { kind: UpdateKind::Masked, ..receipt(Encoding::PLAIN) };
    let stored = Event::UpdateStored { participant: name(2), task: task(), receipt: masked };
    let names: BTreeSet<_> = ["a", "b", "c", "d"].map(|name| name.parse().expect("a name")).into();
    let mut events = vec![JobEvent::Created { terms, present: names }];
    events.extend(round.into_iter().chain([stored]).map(JobEvent::Round));
    events.extend([
        JobEvent::Restarted,
        JobEvent::Downloaded { bytes: 9 },
        JobEvent::Told { participant: name(0) },
    ]);
    events
}

fn seeds() -> Vec<Vec<u8>> {
    let at = |number| Timestamp::from_millis(0).after(Duration::from_secs(number));
    let rows = (0..)
        .zip(events())
        .map(|(number, event)| checkpoint::encode(&Entry { at: at(number), event }).expect("an entry"));
    let rows: Vec<Vec<u8>> = rows.collect();
    let framed = |row: &[u8]| [&(row.len() as u16).to_le_bytes(), row].concat();
    let contents: Vec<u8> = rows.iter().flat_map(|row| framed(&row[CONTENT..])).collect();
    let first = framed(&rows[0][CONTENT..]);
    let mut seeds = vec![[vec![1], contents].concat()];
    seeds.extend(rows.iter().map(|row| [vec![0], framed(row)].concat()));
    seeds.extend(rows.iter().skip(1).map(|row| [&[1], &first[..], &framed(&row[CONTENT..])].concat()));
    seeds
}

/// The bytes that say what a row is, and the digest that `content` should have.
fn row(content: &[u8]) -> Vec<u8> {
    let begun = checkpoint::encode(&()).expect("nothing");
    [&begun[..DIGEST], Digest::of(content).as_bytes(), content].concat()
}

fuzz_target!(init: seed(seeds()), |bytes: &[u8]| {
    let Some((kind, mut bytes)) = bytes.split_first() else { return };
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (body, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
        bytes = rest;
        let body = if kind % 2 == 0 { body.to_vec() } else { row(body) };
        match checkpoint::decode::<Entry>(&body) {
            Ok(entry) => {
                let again = checkpoint::encode(&entry).expect("an entry");
                checkpoint::decode::<Entry>(&again).expect("an entry that was written here");
                entries.push(entry);
            }
            Err(error) => assert_ne!(error.fault(), Fault::Peer),
        }
    }
    let _ = Job::replay(entries, &UniformSelector);
});
