//! Federated statistics as a job: what sites count comes out with noise, and their books say so.

use std::{fs, num::NonZeroU32};

use federated_client::{
    config::{ParticipantConfig, SiteBudget},
    statistics::{RecordTable, StatisticsTrainer},
};
use federated_core::{
    config::JobConfig,
    model::ModelParameters,
    privacy::dp::{Delta, Epsilon},
    statistics::{Answers, Questions, SiteTotals},
};
use federated_proto::v1::JobStatus;
use federated_tests::{Client, Federation, Job, Signatories};

const QUESTIONS: &str =
    "age from 20 to 90: mean, variance, 90 bins\nchol from 100 to 400: mean\nca from 0 to 3: count\n";
/// One release with this noise spends an epsilon of about 2.2 at a delta of 1e-5.
const PRIVACY: &str =
    "placement = \"local\"\nepsilon = 4.0\ndelta = 1e-5\nclip = 2.0\nnoise_multiplier = 2.0";
const RECORDS: u32 = 1_000;

fn questions() -> Questions {
    QUESTIONS.parse().unwrap()
}

/// A site's records: ages spread over 30 years, cholesterol that every fourth lacks, and `ca` that three of four lack.
fn records(site: u32) -> Vec<[Option<f64>; 3]> {
    let record = |number: u32| {
        let (place, one_in_four) = (f64::from(number) / f64::from(RECORDS), number.is_multiple_of(4));
        let chol = (!one_in_four).then_some(180.0 + 100.0 * place);
        [Some(35.0 + 5.0 * f64::from(site) + 30.0 * place), chol, one_in_four.then_some(1.0)]
    };
    (0..RECORDS).map(record).collect()
}

fn trainer(site: u32) -> StatisticsTrainer<RecordTable> {
    let values = records(site).into_iter().flatten().collect();
    StatisticsTrainer::new(RecordTable::new(["age", "chol", "ca"], values).unwrap())
}

fn job(sites: u32, secure_aggregation: String) -> Job {
    Job {
        privacy: PRIVACY.to_owned(),
        secure_aggregation,
        training: format!("statistics = {QUESTIONS:?}"),
        model: ModelParameters::zeros(questions().layout().clone()).unwrap(),
        ..Job::new("statistics", sites)
    }
}

fn with_budget(config: ParticipantConfig) -> ParticipantConfig {
    let folder = config.state.with_file_name("privacy");
    let (epsilon, delta) = (Epsilon::new(8.0).unwrap(), Delta::new(1e-5).unwrap());
    ParticipantConfig { privacy: Some(SiteBudget::new(epsilon, delta, folder)), ..config }
}

/// What the mean over sites would be without noise, for a clip norm of 2.
fn exact(sites: u32) -> Vec<f64> {
    let questions = questions();
    let mut totals = SiteTotals::new(&questions);
    (0..sites).flat_map(records).for_each(|record| totals.add(&record).unwrap());
    totals.steps().iter().map(|steps| *steps as f64 * 2.0 / 2_f64.powi(30) / f64::from(sites)).collect()
}

/// That the noise on the 98 values of the mean is as wide as it must be (the sum of their squares is within 30 and 230 deviations'
/// squares, but for one run in 10^11), and each answer within six of its deviations (one in 50 million).
fn check(job: &Job, status: &JobStatus, model: &ModelParameters) {
    let sites = u32::try_from(status.history[0].contributors.len()).unwrap();
    assert_eq!((status.history[0].examples, status.history[0].metrics.len()), (sites.into(), 0));
    let deviation = 2.0 * 2.0 / f64::from(sites).sqrt();
    let noise =
        model.values().iter().zip(exact(sites)).map(|(found, exact)| (f64::from(*found) - exact) / deviation);
    let squares: f64 = noise.map(|noise| noise * noise).sum();
    assert!((30.0..230.0).contains(&squares), "{squares} of {}", model.values().len());
    let terms = JobConfig::parse(&job.to_toml()).unwrap().privacy;
    let answers: Answers =
        questions().answers(model, NonZeroU32::new(sites).unwrap(), terms.as_ref()).unwrap();
    let number = f64::from(sites * RECORDS);
    let ages: Vec<f64> = (0..sites).flat_map(records).filter_map(|[age, ..]| age).collect();
    let mean = ages.iter().sum::<f64>() / number;
    let variance = ages.iter().map(|age| (age - mean).powi(2)).sum::<f64>() / number;
    let [age, chol, ca] = &answers.columns[..] else { panic!("{answers:?}") };
    for (name, truth, found) in [
        ("records", number, answers.records),
        ("count of age", number, age.count),
        ("count of chol", 0.75 * number, chol.count),
        ("count of ca", 0.25 * number, ca.count),
        ("mean of age", mean, age.mean.unwrap()),
        ("variance of age", variance, age.variance.unwrap()),
        ("mean of chol", 230.0, chol.mean.unwrap()),
    ] {
        assert!((found.value - truth).abs() < 6.0 * found.deviation, "{name}: {found:?} of {truth}");
        assert!(found.deviation < 0.25 * truth, "{name}: {found:?} is of some use");
    }
    let median = age.histogram.as_ref().unwrap().quantile(0.5);
    assert!((median.value - mean).abs() < 8.0, "{median:?} of {mean}");
}

/// That each site's ledger has one release, and that it left the site.
fn check_books(configs: &[ParticipantConfig]) {
    for config in configs {
        let folder = &config.privacy.as_ref().unwrap().folder;
        let text = fs::read_to_string(folder.join("ledger.jsonl")).unwrap();
        let lines = |kind: &str| text.lines().filter(|line| line.contains(kind)).count();
        assert_eq!((lines("\"reserved\""), lines("\"committed\"")), (1, 1), "{text}");
    }
}

async fn run(
    federation: &Federation,
    configs: &[ParticipantConfig],
    names: &[&str],
    job: &Job,
) -> (JobStatus, ModelParameters) {
    let mut operator = federation.operator().await;
    let clients = (0..).zip(configs).map(|(site, config)| Client::start_with(config.clone(), trainer(site)));
    let clients: Vec<Client> = clients.collect();
    operator.present(names).await;
    operator.start(job).await;
    let done = operator.completed("statistics").await;
    for client in clients {
        client.ended().await.unwrap();
    }
    done
}

#[tokio::test]
async fn three_sites_answer_questions_with_noise_that_each_of_them_adds() {
    let names = ["a", "b", "c"];
    let federation = Federation::signing(|builder, _| builder).await;
    let configs = names.map(|name| with_budget(Client::config(&federation.enroll(name))));
    let job = job(3, String::new());
    let (status, model) = run(&federation, &configs, &names, &job).await;
    check(&job, &status, &model);
    check_books(&configs);
}

#[tokio::test]
async fn under_masks_the_coordinator_sees_no_sites_answers() {
    let names = ["a", "b", "c", "d"];
    let federation = Federation::signing(|builder, _| builder).await;
    let signatories = Signatories::enroll(&federation, &names);
    let configs = names.map(|name| with_budget(signatories.config(name)));
    let terms = JobConfig::parse(&job(4, String::new()).to_toml()).unwrap().privacy;
    let clip = questions().reach(RECORDS, terms.as_ref()).ceil();
    let job = job(4, format!("clip = {clip:?}\nmax_examples = 1\nmax_participants = 4"));
    let (status, model) = run(&federation, &configs, &names, &job).await;
    assert!(status.session_bytes_up > 0, "it was masked");
    check(&job, &status, &model);
    check_books(&configs);
}
