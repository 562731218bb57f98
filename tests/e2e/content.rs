//! Updates whose content cannot be used. The offender is told why and is out of the attempt, the operator sees it, and
//! the round goes on without it.

use federated_proto::v1::{self, ElementType};
use federated_tests::{Federation, Job, Site, Update, assert_refused, model};
use tonic::Code;

/// A kind of bad content: how it is made, the reason code, and what the message must say.
type Case<'a> = (&'a dyn Fn(&mut Update), &'a str, &'a str);

/// Plays one round for each case, in which `c` sends bad content while `a` and `b` do what they should.
async fn refuses(cases: &[Case<'_>]) {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b, mut c] = Site::join_all(&federation, ["a", "b", "c"]).await;
    let rounds = u32::try_from(cases.len()).unwrap();
    let job = Job { rounds, quorum: 2, ..Job::new("heart", 3) };
    operator.start(&job).await;
    for (spoil, why, words) in cases {
        let task = c.line.task().await;
        let good = Update::constant(&task, 100.0, 1);
        let mut bad = good.clone();
        spoil(&mut bad);
        assert_refused(c.raw.submit(&bad).await, Code::InvalidArgument, why, words);
        // Its chance is gone: what it sends next is not looked at.
        let out = format!("goes on without this participant, which its update was refused: {why}");
        assert_refused(c.raw.submit(&good).await, Code::FailedPrecondition, "TASK_OUT", &out);
        a.contribute(1.0, 1).await;
        b.contribute(3.0, 1).await;
    }
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(2, 2.0 * rounds as f32));
    assert!(status.history.iter().all(|round| round.contributors == ["a", "b"] && round.attempt == 1));
    let seen: Vec<_> =
        status.incidents.iter().map(|seen| (seen.participant.as_str(), seen.reason.as_str())).collect();
    let expected: Vec<_> = cases.iter().map(|(_, why, _)| ("c", *why)).collect();
    assert_eq!(seen, expected);
    for (incident, (_, _, words)) in status.incidents.iter().zip(cases) {
        assert!(incident.message.contains(words), "{incident:?}");
    }
}

fn tensors(update: &mut Update) -> &mut Vec<v1::TensorSpec> {
    &mut update.header.layout.as_mut().unwrap().tensors
}

/// Replaces one value and announces the result as it is.
fn with_value(update: &mut Update, element: usize, value: f32) {
    let mut bytes = update.bytes.to_vec();
    bytes[element * 4..][..4].copy_from_slice(&value.to_le_bytes());
    announce(update, bytes);
}

/// Makes `bytes` the content, with its true digest.
fn announce(update: &mut Update, bytes: Vec<u8>) {
    let digest = federated_core::ids::Digest::of(&bytes);
    update.header.digest = bytes::Bytes::copy_from_slice(digest.as_bytes());
    update.bytes = bytes.into();
}

#[tokio::test]
async fn an_update_of_the_wrong_shape_is_refused() {
    let other_model = "`weight`: expected shape [2, 1], found [5, 1]";
    refuses(&[
        (
            &|update| tensors(update)[0].shape = vec![1, 2],
            "UPDATE_WRONG_SHAPE",
            "tensor `weight`: expected shape [2, 1], found [1, 2]",
        ),
        (
            &|update| tensors(update)[1].name = "offset".to_owned(),
            "UPDATE_WRONG_SHAPE",
            "tensor number 1: expected `bias`, found `offset`",
        ),
        (
            &|update| tensors(update).reverse(),
            "UPDATE_WRONG_SHAPE",
            "tensor number 0: expected `weight`, found `bias`",
        ),
        (
            &|update| {
                tensors(update)[0].shape = vec![5, 1];
                update.header.size_bytes = 24;
                announce(update, vec![0; 24]);
            },
            "UPDATE_WRONG_SHAPE",
            other_model,
        ),
        (
            &|update| {
                tensors(update).pop();
                update.header.size_bytes = 8;
                announce(update, vec![0; 8]);
            },
            "UPDATE_WRONG_SHAPE",
            "expected 2 tensors, found 1",
        ),
        (&|update| tensors(update).clear(), "LAYOUT_INVALID", "a model has between 1 and"),
        (
            &|update| tensors(update)[0].shape = vec![u64::MAX, 3],
            "LAYOUT_INVALID",
            "tensor `weight` has shape [18446744073709551615, 3]",
        ),
        (&|update| update.header.size_bytes = 8, "UPDATE_WRONG_SIZE", "expected 3 values, found 2"),
    ])
    .await;
}

#[tokio::test]
async fn an_update_of_the_wrong_element_type_is_refused() {
    let kind = |update: &mut Update, kind: i32| tensors(update)[0].element_type = kind;
    refuses(&[
        (
            &|update| kind(update, ElementType::F16.into()),
            "UPDATE_WRONG_DTYPE",
            "tensor `weight`: expected elements of type f32, found f16",
        ),
        (&|update| kind(update, ElementType::Bf16.into()), "UPDATE_WRONG_DTYPE", "found bf16"),
        (&|update| kind(update, ElementType::F64.into()), "UPDATE_WRONG_DTYPE", "found f64"),
        (&|update| kind(update, 0), "UPDATE_WRONG_DTYPE", "found an unknown element type (0)"),
        (&|update| kind(update, 77), "UPDATE_WRONG_DTYPE", "found an unknown element type (77)"),
    ])
    .await;
}

#[tokio::test]
async fn an_update_with_a_value_that_is_not_finite_is_refused() {
    refuses(&[
        (
            &|update| with_value(update, 1, f32::NAN),
            "UPDATE_NOT_FINITE",
            "tensor `weight`, element 1: expected a finite number, found NaN",
        ),
        (
            &|update| with_value(update, 2, f32::INFINITY),
            "UPDATE_NOT_FINITE",
            "tensor `bias`, element 0: expected a finite number, found inf",
        ),
        (
            &|update| with_value(update, 0, f32::NEG_INFINITY),
            "UPDATE_NOT_FINITE",
            "tensor `weight`, element 0: expected a finite number, found -inf",
        ),
        (
            &|update| with_value(update, 0, -2_147_483_648.0),
            "UPDATE_TOO_LARGE",
            "tensor `weight`, element 0: expected a magnitude below 2^31",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_update_from_no_examples_is_refused() {
    refuses(&[
        (
            &|update| update.header.examples = 0,
            "UPDATE_EXAMPLE_COUNT",
            "expected an example count between 1 and 4294967295, found 0",
        ),
        (&|update| update.header.examples = 1 << 32, "UPDATE_EXAMPLE_COUNT", "found 4294967296"),
    ])
    .await;
}

#[tokio::test]
async fn an_update_with_unusable_metrics_is_refused() {
    let metric = |update: &mut Update, name: &str, value| {
        update.header.metrics.insert(name.to_owned(), value);
    };
    refuses(&[
        (
            &|update| metric(update, "loss", f64::NAN),
            "METRICS_INVALID",
            "metric `loss`: expected a finite number, found NaN",
        ),
        (
            &|update| metric(update, "a b", 1.0),
            "METRICS_INVALID",
            "expected metric names of 1 to 64 printable ASCII characters",
        ),
        (
            &|update| (0..64).for_each(|n| metric(update, &format!("m{n}"), 1.0)),
            "METRICS_INVALID",
            "expected at most 64 metrics, found 65",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_update_with_another_content_than_announced_is_refused() {
    refuses(&[(
        &|update| update.bytes = vec![1; update.bytes.len()].into(),
        "UPLOAD_DIGEST_MISMATCH",
        "expected content with digest",
    )])
    .await;
}

#[tokio::test]
async fn an_update_that_is_longer_than_announced_is_refused() {
    refuses(&[
        (
            &|update| update.bytes = vec![0; update.bytes.len() + 4].into(),
            "UPLOAD_OVERSIZED",
            "expected 12 bytes in all, found more",
        ),
        (
            &|update| {
                update.bytes = vec![0; update.bytes.len() + 1].into();
                update.step = 1;
            },
            "UPLOAD_OVERSIZED",
            "expected 12 bytes in all, found more",
        ),
    ])
    .await;
}
