use std::num::NonZeroU32;

use proptest::{collection::vec, prelude::*};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;
use crate::{
    model::ModelParameters,
    privacy::dp::{
        Accountant, ClipNorm, Delta, DiscreteGaussian, Epsilon, Keystream, NoiseMultiplier, SamplingRate,
        Variance,
        ledger::Adjacency,
        terms::{Placement, PrivacyTerms, Proposal},
    },
};

fn terms(clip: f64, noise: f64) -> PrivacyTerms {
    let proposal = Proposal {
        placement: Placement::Local,
        adjacency: Adjacency::AddRemove,
        clip: ClipNorm::new(clip).unwrap(),
        noise_multiplier: NoiseMultiplier::new(noise).unwrap(),
        sampling_rate: SamplingRate::FULL,
        steps: NonZeroU32::MIN,
        epsilon: Epsilon::new(1.0).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        accountant: Accountant::Gaussian,
    };
    proposal.check().unwrap()
}

fn sites(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn counted<'a>(questions: &'a Questions, records: &[Vec<Option<f64>>]) -> SiteTotals<'a> {
    let mut totals = SiteTotals::new(questions);
    records.iter().for_each(|record| totals.add(record).unwrap());
    totals
}

fn value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        1 => Just(None),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::MIN), Just(f64::MAX), Just(0.0)].prop_map(Some),
        6 => (-150.0..150.0).prop_map(Some),
    ]
}

/// Up to eight questions of any kind.
fn questions() -> impl Strategy<Value = Questions> {
    let question = (-100.0..50.0, 1e-3..100.0, any::<bool>(), 0_u32..9);
    vec(question, 1..8).prop_map(|kinds| {
        let questions = kinds.into_iter().enumerate().map(|(index, (lower, width, moments, bins))| {
            let question =
                Question::new(format!("c{index}"), Bounds::new(lower, lower + width).unwrap()).unwrap();
            let question = if moments { question.with_moments() } else { question };
            if bins > 0 { question.with_bins(bins).unwrap() } else { question }
        });
        Questions::new(questions.collect()).unwrap()
    })
}

fn with_records(most: usize) -> impl Strategy<Value = (Questions, Vec<Vec<Option<f64>>>)> {
    questions().prop_flat_map(move |questions| {
        let columns = questions.questions().len();
        (Just(questions), vec(vec(value(), columns), 0..most))
    })
}

/// What holds whatever was in the model.
fn check_possible(questions: &Questions, answers: &Answers) {
    let finite = |estimate: Estimate| estimate.value.is_finite() && estimate.deviation >= 0.0;
    assert!(answers.records.value >= 0.0 && finite(answers.records));
    for (question, answer) in questions.questions().iter().zip(&answers.columns) {
        let (bounds, count) = (question.bounds(), answer.count);
        assert!((0.0..=answers.records.value).contains(&count.value) && finite(count), "{count:?}");
        let within = |value: f64| (bounds.lower()..=bounds.upper()).contains(&value);
        if question.moments() {
            let (mean, variance) = (answer.mean.unwrap(), answer.variance.unwrap());
            assert!(within(mean.value) && mean.deviation <= bounds.half_width(), "{mean:?}");
            let most = bounds.half_width().powi(2);
            assert!((0.0..=most).contains(&variance.value) && variance.deviation <= most, "{variance:?}");
        }
        if let Some(histogram) = &answer.histogram {
            let sum: f64 = histogram.counts().iter().sum();
            assert!(histogram.counts().iter().all(|count| *count >= 0.0));
            assert!((sum - count.value).abs() <= 1e-6 * (1.0 + count.value), "{sum} of {}", count.value);
            let quantiles = [0.0, 0.1, 0.5, 0.9, 1.0].map(|share| histogram.quantile(share));
            assert!(
                quantiles.iter().all(|quantile| within(quantile.value) && finite(*quantile)),
                "{quantiles:?}"
            );
            assert!(quantiles.is_sorted_by(|a, b| a.value <= b.value), "{quantiles:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_record_adds_no_more_than_the_sensitivity((questions, records) in with_records(8)) {
        let most = u128::from(questions.sensitivity()).pow(2);
        for record in &records {
            let totals = counted(&questions, std::slice::from_ref(record));
            let square: u128 = totals.steps().iter().map(|steps| u128::from(steps.unsigned_abs()).pow(2)).sum();
            prop_assert!(square <= most, "{square} of {most}: {record:?}");
        }
    }

    #[test]
    fn no_record_adds_less_than_six_sevenths_of_it((questions, records) in with_records(8)) {
        // Nothing is lost by adding noise for more than a record can do: the least is that of values with t^2 = 1/2.
        let least = questions.sensitivity() as f64 * 6.0 / 7.0;
        for record in &records {
            let totals = counted(&questions, std::slice::from_ref(record));
            let square: f64 = totals.steps().iter().map(|steps| (*steps as f64).powi(2)).sum();
            prop_assert!(square.sqrt() > least, "{}: {record:?}", square.sqrt());
        }
    }

    #[test]
    fn without_noise_answers_are_those_of_all_records(
        (questions, records) in with_records(40), number in 1_usize..4, private in any::<bool>(),
    ) {
        // Nearly no noise is added here; the terms are for the unit.
        let privacy = private.then(|| terms(3.0, 1e-12));
        let clip = privacy.map(|terms| terms.clip());
        let parts: Vec<_> = records.chunks(records.len().div_ceil(number).max(1)).collect();
        let models: Vec<_> =
            parts.iter().map(|part| questions.to_model(counted(&questions, part).steps(), clip).unwrap()).collect();
        let slots = usize::try_from(questions.layout().elements()).unwrap();
        let mean = |slot: usize| models.iter().map(|model| model.values()[slot]).sum::<f32>() / models.len().max(1) as f32;
        let mean = ModelParameters::new(questions.layout().clone(), (0..slots).map(mean).collect()).unwrap();
        let number = sites(u32::try_from(models.len().max(1)).unwrap());
        let answers = questions.answers(&mean, number, privacy.as_ref()).unwrap();
        check_possible(&questions, &answers);
        let near = |found: f64, expected: f64, scale: f64| (found - expected).abs() <= 2e-5 * scale;
        prop_assert!(near(answers.records.value, records.len() as f64, 1.0 + records.len() as f64));
        for (index, (question, answer)) in questions.questions().iter().zip(&answers.columns).enumerate() {
            let bounds = question.bounds();
            let values: Vec<f64> = records.iter().filter_map(|record| record[index]).filter(|value| value.is_finite())
                .map(|value| value.clamp(bounds.lower(), bounds.upper())).collect();
            let number = values.len() as f64;
            prop_assert!(near(answer.count.value, number, 1.0 + number), "{answer:?}");
            if let (Some(mean), Some(variance), false) = (answer.mean, answer.variance, values.is_empty()) {
                let expected = values.iter().sum::<f64>() / number;
                prop_assert!(near(mean.value, expected, bounds.half_width()), "{mean:?} {expected}");
                let expected = values.iter().map(|value| (value - expected).powi(2)).sum::<f64>() / number;
                prop_assert!(near(variance.value, expected, bounds.half_width().powi(2)), "{variance:?} {expected}");
            }
            if let (Some(histogram), false) = (&answer.histogram, values.is_empty()) {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                let median = sorted[(values.len() - 1) / 2];
                let found = histogram.quantile((f64::from(u32::try_from((values.len() - 1) / 2).unwrap()) + 0.5) / number).value;
                prop_assert!((found - median).abs() <= histogram.width() * 1.001, "{found} {median}");
            }
        }
    }

    #[test]
    fn whatever_is_in_a_model_answers_are_possible(
        questions in questions(), seed in vec(-2e9_f32..2e9, 1..9), scale in -12_i32..1, noise in 1e-6..1e6_f64,
        number in 1_u32..1_000, clip in prop_oneof![Just(1.0), Just(1e-300), Just(1e300)],
    ) {
        let slots = usize::try_from(questions.layout().elements()).unwrap();
        let values = (0..slots).map(|slot| seed[slot % seed.len()] * 10_f32.powi(scale)).collect();
        let model = ModelParameters::new(questions.layout().clone(), values).unwrap();
        for privacy in [None, Some(terms(clip, noise)), Some(terms(clip, 1e300))] {
            check_possible(&questions, &questions.answers(&model, sites(number), privacy.as_ref()).unwrap());
        }
    }

    #[test]
    fn questions_are_read_as_they_are_written(questions in questions()) {
        prop_assert_eq!(&questions.to_string().parse::<Questions>().unwrap(), &questions);
    }

    #[test]
    fn no_text_is_too_strange_to_be_refused(text in "\\PC{0,40}( from \\PC{0,9} to \\PC{0,9}: \\PC{0,20})?") {
        drop(text.parse::<Questions>());
    }
}

#[test]
fn a_question_is_a_line() {
    let text =
        "\nblood pressure: from here from -1.5e2 to 250 : variance,  16 bins\n  sex from 0 to 1: count\n";
    let questions: Questions = text.parse().unwrap();
    let [first, second] = questions.questions() else { panic!("{questions:?}") };
    assert_eq!(first.column(), "blood pressure: from here");
    assert_eq!((first.bounds().lower(), first.bounds().upper()), (-150.0, 250.0));
    assert_eq!((first.moments(), first.bins().unwrap().get()), (true, 16));
    assert_eq!((second.moments(), second.bins()), (false, None));
    let lengths: Vec<_> =
        questions.layout().tensors().iter().map(|tensor| (tensor.name.as_str(), tensor.shape[0])).collect();
    assert_eq!(lengths, [("records", 1), ("missing", 2), ("sum", 1), ("closeness", 1), ("bins", 16)]);
}

#[test]
fn what_cannot_be_asked_is_told_with_its_line() {
    let many: String = (0..17).map(|index| format!("c{index} from 0 to 1: 65536 bins\n")).collect();
    for (text, expected) in [
        ("\n", "expected at least one line `COLUMN from LOWER to UPPER: STATISTICS`, found none"),
        (
            "age from 0 to 120",
            "line 1: expected `COLUMN from LOWER to UPPER: STATISTICS`, found `age from 0 to 120`",
        ),
        ("age from 0 to old: mean", "line 1: expected `COLUMN from"),
        (
            "\nage from 9 to 3: mean",
            "line 2: expected two bounds within -1e100 to 1e100, the lower below the upper, found 9 and 3",
        ),
        ("age from 0 to inf: mean", "line 1: expected two bounds"),
        ("age from nan to 1: mean", "line 1: expected two bounds"),
        ("age from 0 to 1: median", "a number of bins from 1 to 65536 such as `20 bins`, found `median`"),
        ("age from 0 to 1: ", "found ``"),
        ("age from 0 to 1: 0 bins", "found `0 bins`"),
        (" from 0 to 1: mean", "line 1: expected"),
        ("a from 0 to 1: mean\na from 0 to 1: 3 bins", "column `a` is asked for twice"),
        (&many, "expected at most 1048576 totals, found 1114130"),
    ] {
        let error = text.parse::<Questions>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn values_without_one_and_beyond_the_bounds_are_counted_as_said() {
    let questions: Questions = "x from 0 to 10: mean, 5 bins".parse().unwrap();
    let records =
        [Some(-7.0), Some(0.0), Some(1.999), Some(2.0), Some(10.0), Some(1e300), None, Some(f64::NAN)];
    let records = records.map(|value| vec![value]);
    let model = questions.to_model(counted(&questions, &records).steps(), None).unwrap();
    let answers = questions.answers(&model, sites(1), None).unwrap();
    let column = &answers.columns[0];
    assert_eq!((answers.records.value.round(), column.count.value.round()), (8.0, 6.0));
    let counts: Vec<f64> =
        column.histogram.as_ref().unwrap().counts().iter().map(|count| count.round()).collect();
    assert_eq!(counts, [3.0, 1.0, 0.0, 0.0, 2.0]);
    assert!((column.mean.unwrap().value - 23.999 / 6.0).abs() < 1e-5);
    assert!(column.mean.unwrap().deviation <= 0.0, "no noise");
}

#[test]
fn a_record_of_another_length_is_refused_and_totals_do_not_show() {
    let questions: Questions = "x from 0 to 10: mean".parse().unwrap();
    let mut totals = SiteTotals::new(&questions);
    assert_eq!(totals.add(&[]), Err(StatisticsError::Record { expected: 1, found: 0 }));
    totals.add(&[Some(9.0)]).unwrap();
    assert_eq!(format!("{totals:?}"), "SiteTotals { .. }");
    let other: Questions = "x from 0 to 10: count".parse().unwrap();
    let model = other.to_model(&[0, 0], None).unwrap();
    assert!(questions.answers(&model, sites(1), None).is_err());
    assert!(questions.to_model(&[0], None).is_err());
}

#[test]
fn no_update_is_beyond_its_reach() {
    let questions: Questions = "x from 0 to 10: mean, 5 bins\ny from 0 to 1: count".parse().unwrap();
    let terms = terms(0.5, 3.0);
    for record in [[None, None], [Some(0.0), Some(0.0)], [Some(5.0), None]] {
        let records = vec![record.to_vec(); 100];
        let model = questions.to_model(counted(&questions, &records).steps(), Some(terms.clip())).unwrap();
        let largest =
            model.values().iter().fold(0.0_f64, |largest, value| largest.max(f64::from(value.abs())));
        let reach = questions.reach(100, Some(&terms));
        assert!(
            largest + 8.0 * 3.0 * 0.5 <= reach * 1.000_001 && reach < 2.0 * (largest + 12.0),
            "{largest} {reach}"
        );
    }
}

/// 1,000 records a site, 4 sites, a noise multiplier of 5, 400 times with a fixed seed.
#[test]
fn noise_moves_answers_by_as_much_as_they_say() {
    let questions: Questions =
        "age from 20 to 90: mean, variance, 14 bins\nchol from 100 to 400: mean\nca from 0 to 3: count"
            .parse()
            .unwrap();
    let records: Vec<Vec<Option<f64>>> = (0..1_000_u32)
        .map(|record| {
            let place = f64::from(record) / 1_000.0;
            let one_in_four = record.is_multiple_of(4);
            let chol = (!one_in_four).then_some(180.0 + 100.0 * place);
            vec![Some(40.0 + 30.0 * place), chol, one_in_four.then_some(1.0)]
        })
        .collect();
    let (terms, totals) = (terms(2.0, 5.0), counted(&questions, &records));
    // In multiples of 1,024 steps, which no answer shows.
    let sigma = 5.0 * questions.sensitivity() as f64 / 1_024.0;
    let noise = DiscreteGaussian::new(Variance::of_sigma(sigma).unwrap());
    let mut stream = Keystream::new(ChaCha20Rng::from_seed([7; 32]));
    let mut answers = Vec::new();
    for _ in 0..400 {
        let mut mean = vec![0.0; totals.steps().len()];
        for _ in 0..4 {
            let noisy: Vec<i64> =
                totals.steps().iter().map(|steps| steps + 1_024 * noise.sample(&mut stream)).collect();
            let model = questions.to_model(&noisy, Some(terms.clip())).unwrap();
            mean.iter_mut().zip(model.values()).for_each(|(mean, value)| *mean += value / 4.0);
        }
        let model = ModelParameters::new(questions.layout().clone(), mean).unwrap();
        answers.push(questions.answers(&model, sites(4), Some(&terms)).unwrap());
        check_possible(&questions, answers.last().unwrap());
    }
    type Read = fn(&Answers) -> Estimate;
    let reads: [(&str, f64, Read); 7] = [
        ("records", 4_000.0, |answers| answers.records),
        ("count of chol", 3_000.0, |answers| answers.columns[1].count),
        ("count of ca", 1_000.0, |answers| answers.columns[2].count),
        ("mean of age", 54.985, |answers| answers.columns[0].mean.unwrap()),
        ("variance of age", 75.0, |answers| answers.columns[0].variance.unwrap()),
        ("mean of chol", 230.0, |answers| answers.columns[1].mean.unwrap()),
        ("variance of chol", 10_000.0 / 12.0, |answers| answers.columns[1].variance.unwrap()),
    ];
    for (name, truth, read) in reads {
        let number = answers.len() as f64;
        let mean = answers.iter().map(|answers| read(answers).value).sum::<f64>() / number;
        let spread = (answers.iter().map(|answers| (read(answers).value - truth).powi(2)).sum::<f64>()
            / number)
            .sqrt();
        let said = answers.iter().map(|answers| read(answers).deviation).sum::<f64>() / number;
        assert!((mean - truth).abs() < 0.3 * said, "{name}: {mean} is not {truth}, by {said}");
        assert!((0.85..1.15).contains(&(spread / said)), "{name}: {spread}, said {said}");
    }
    let medians = answers.iter().map(|answers| answers.columns[0].histogram.as_ref().unwrap().quantile(0.5));
    let (mut within, mut widest) = (0, 0.0_f64);
    for median in medians {
        within += usize::from((median.value - 55.0).abs() < 3.0 * median.deviation);
        widest = widest.max(median.deviation);
    }
    assert!(within >= 390 && widest < 8.0, "{within} of 400, {widest}");
}

#[test]
fn variances_cost_nothing_beside_means_and_missing_values_nothing_at_all() {
    // The weights of `records` and of a column's sum, squared, in those of the sensitivity.
    for columns in [1_u32, 6, 50] {
        let text: String = (0..columns).map(|column| format!("c{column} from 0 to 1: mean\n")).collect();
        let questions: Questions = text.parse().unwrap();
        let of = |record: Vec<Option<f64>>| {
            counted(&questions, &[record])
                .steps()
                .iter()
                .map(|steps| *steps as f64 / 2_f64.powi(30))
                .collect::<Vec<_>>()
        };
        let number = usize::try_from(columns).unwrap();
        let ones = of(vec![Some(1.0); number]);
        let parts = f64::from(columns);
        let norm = parts + (parts / 2.0).sqrt();
        assert!((ones[0].powi(2) - (parts / 2.0).sqrt() / norm).abs() < 1e-6);
        assert!((ones[1 + number].powi(2) - 1.0 / norm).abs() < 1e-6);
        for value in [None, Some(0.0), Some(0.5), Some(1.0)] {
            let norm = of(vec![value; number]).iter().map(|part| part * part).sum::<f64>();
            assert!((norm - 1.0).abs() < 1e-6, "{value:?}: {norm}");
        }
    }
}

#[test]
fn the_job_file_in_the_documents_is_valid() {
    let page = include_str!("../../../docs/differential-privacy.md");
    let section = page.split("## Federated statistics").nth(1).unwrap();
    let file = section.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let job = crate::config::JobConfig::parse(file).unwrap();
    let terms = job.privacy.unwrap();
    assert_eq!((terms.steps().get(), terms.placement()), (1, Placement::Local));
    let questions: Questions = job.settings[Questions::SETTING].parse().unwrap();
    assert_eq!(questions.to_string().lines().nth(1), Some("chol from 100 to 400: mean, variance"));
}
