//! Jobs whose updates travel encoded: what becomes of them, and what a peer may do wrong.

use federated_client::trainer::{LocalTrainer, StopSignal, TrainerError};
use federated_core::{
    compression::{ErrorFeedback, decode, encode},
    metrics::Metrics,
    model::ModelParameters,
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};
use federated_proto::v1;
use federated_tests::{Client, Federation, Job, Site, Update, assert_refused, model};
use tonic::Code;

/// Features of a model with two blocks.
const FEATURES: u64 = 70_000;

/// A trainer whose every update holds these values.
struct Fixed {
    values: Vec<f32>,
    examples: u64,
}

impl LocalTrainer for Fixed {
    fn example_count(&self) -> u64 {
        self.examples
    }

    fn train(
        &mut self,
        _: &TrainTask,
        model: ModelParameters,
        _: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        Ok(ClientUpdate {
            delta: ModelParameters::new(model.layout().clone(), self.values.clone())?,
            examples: ExampleCount::new(self.examples)?,
            metrics: Metrics::new(),
        })
    }
}

/// Values between -1 and 1, different for each site.
fn waves(site: u16) -> Vec<f32> {
    (0..=FEATURES).map(|n| (n as f32 * 0.37 + f32::from(site)).sin()).collect()
}

/// Runs a job of one round with this table `[compression]` and two sites of the library.
async fn run(table: &'static str) -> (v1::JobStatus, ModelParameters) {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let sites = [("a", 1), ("b", 3)].map(|(name, number)| {
        let trainer = Fixed { values: waves(number), examples: number.into() };
        Client::start(&federation.enroll(name), trainer)
    });
    operator.present(&["a", "b"]).await;
    let job = Job { compression: table, model: model(FEATURES, 0.0), ..Job::new("heart", 2) };
    operator.start(&job).await;
    let completed = operator.completed("heart").await;
    for site in sites {
        site.ended().await.unwrap();
    }
    completed
}

#[tokio::test]
async fn with_each_codec_a_job_ends_with_the_model_it_should_and_fewer_bytes() {
    let (status, plain) = run("").await;
    let round = &status.history[0];
    assert_eq!((round.bytes_up, round.bytes_up_plain), (2 * 280_004, 2 * 280_004));
    assert_eq!((round.bytes_down, status.bytes_up), (2 * 280_004, 2 * 280_004));
    // How far a value of at most 1 may be off, and what is left of its four bytes, at most.
    for (table, error, share) in [
        ("codec = \"none\"", 0.0, 1.0),
        ("codec = \"none\"\nzstd = true", 0.0, 0.999),
        ("codec = \"bf16\"", 1.0 / 256.0, 0.501),
        ("codec = \"f16\"\nzstd = true", 1.0 / 2_048.0, 0.5),
        ("codec = \"int8\"", 1.01 / 127.0, 0.255),
        ("codec = \"int4\"\nzstd = true", 1.01 / 7.0, 0.131),
        ("codec = \"top-k\"\nfraction = 1.0", 0.0, 1.501),
    ] {
        let (status, found) = run(table).await;
        let errors = found.values().iter().zip(plain.values()).map(|(found, plain)| (found - plain).abs());
        let largest = errors.fold(0.0, f32::max);
        assert!(largest <= error, "{table}: {largest} is more than {error}");
        assert!((error == 0.0) == (largest == 0.0), "{table}: the codec was not used");
        let round = &status.history[0];
        assert_eq!((round.bytes_up_plain, round.bytes_down), (2 * 280_004, 2 * 280_004), "{table}");
        assert!(round.bytes_up as f64 <= share * 2.0 * 280_004.0, "{table}: {} bytes", round.bytes_up);
        assert_eq!(status.bytes_up, round.bytes_up, "{table}");
    }
}

#[tokio::test]
async fn what_top_k_leaves_out_of_a_round_comes_in_a_later_one() {
    let (rounds, values) = (5, vec![4.0, 3.0, 2.0, 1.0]);
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    // Two that do the same, since a site does not train alone.
    let start = |name| Client::start(&federation.enroll(name), Fixed { values: values.clone(), examples: 1 });
    let sites = ["a", "b"].map(start);
    let compression = "codec = \"top-k\"\nfraction = 0.25\nzstd = true";
    let job = Job { rounds, compression, model: model(3, 0.0), ..Job::new("heart", 2) };
    operator.start(&job).await;
    let (status, found) = operator.completed("heart").await;
    for site in sites {
        site.ended().await.unwrap();
    }
    let encoding = "top-k:0.25+zstd".parse().unwrap();
    let (mut expected, mut feedback) = ([0.0; 4], ErrorFeedback::new(4));
    for _ in 0..rounds {
        let mut delta = values.clone();
        feedback.compensate(&mut delta).unwrap();
        let bytes = encode(encoding, &delta, 0).unwrap();
        for (sum, sent) in expected.iter_mut().zip(decode(encoding, 4, &bytes).unwrap()) {
            *sum += sent;
        }
        feedback = ErrorFeedback::after(delta, encoding, &bytes).unwrap();
    }
    assert_eq!(found.values(), expected);
    for (element, value) in values.iter().enumerate() {
        assert_eq!(expected[element] + feedback.residual()[element], 5.0 * value);
    }
    assert!(expected[2] > 0.0, "the third largest came too: {expected:?}");
    assert_eq!(status.history.len(), 5);
}

#[tokio::test]
async fn an_update_in_an_encoding_that_the_job_does_not_use_is_refused_and_the_round_goes_on() {
    let words = "field `header.encoding`: expected int8, as the task says, or f32, found";
    for (compression, sent, words) in [
        ("", "int8", "expected f32: the job does not compress, found int8"),
        ("codec = \"int8\"", "bf16", words),
        ("codec = \"int8\"", "int8+zstd", words),
    ] {
        let federation = Federation::start().await;
        let mut operator = federation.operator().await;
        let [mut a, mut b, mut c] = Site::join_all(&federation, ["a", "b", "c"]).await;
        operator.start(&Job { compression, quorum: 2, ..Job::new("heart", 3) }).await;
        let update = Update::constant(&c.line.task().await, 9.0, 1).encoded(sent);
        let result = c.raw.submit(&update).await;
        assert_refused(result, Code::InvalidArgument, "UPDATE_WRONG_ENCODING", words);
        a.contribute(1.0, 1).await;
        b.contribute(3.0, 1).await;
        let (status, found) = operator.completed("heart").await;
        assert_eq!(found, model(2, 2.0));
        assert_eq!(status.incidents[0].reason, "UPDATE_WRONG_ENCODING");
    }
}

/// Bytes of one block.
fn block(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_le_bytes(), payload].concat()
}

#[tokio::test]
async fn bytes_that_are_no_encoded_update_are_refused_as_content_and_the_participant_is_named() {
    // A frame that is as short as three values may be, and becomes 256 KiB.
    let bomb = encode("f32+zstd".parse().unwrap(), &[0.0; 65_536], 0).unwrap();
    let zstd = "codec = \"none\"\nzstd = true";
    let int8 = "codec = \"int8\"";
    let invalid = "UPDATE_ENCODING_INVALID";
    let scale = [&f32::NAN.to_le_bytes()[..], &[1, 2, 3]].concat();
    let infinite = [&[0, 0, 0, 0], &[0x80, 0x7f][..]].concat();
    for (compression, encoding, bytes, why, words) in [
        (zstd, "f32+zstd", bomb, invalid, "a zstd frame of at most 12 bytes when decompressed"),
        (zstd, "f32+zstd", block(b"no frame at all"), invalid, "block 0: expected a zstd frame"),
        (
            int8,
            "int8",
            [vec![200, 0, 0, 0], vec![0; 7]].concat(),
            invalid,
            "block 0: expected a payload of 7",
        ),
        (int8, "int8", block(&scale), invalid, "a scale of at least 0"),
        ("codec = \"bf16\"", "bf16", block(&infinite), "UPDATE_NOT_FINITE", "`bias`"),
        (int8, "int8", vec![0; 12], "UPDATE_WRONG_SIZE", "11 to 11 bytes in the encoding int8, found 12"),
    ] {
        let federation = Federation::start().await;
        let mut operator = federation.operator().await;
        let [mut a, mut b, mut c] = Site::join_all(&federation, ["a", "b", "c"]).await;
        operator.start(&Job { compression, quorum: 2, ..Job::new("heart", 3) }).await;
        let task = c.line.task().await;
        let honest = Update::constant(&task, 1.0, 1);
        let bad = honest.encoded(encoding).with_bytes(bytes);
        assert_refused(c.raw.submit(&bad).await, Code::InvalidArgument, why, words);
        a.contribute(1.0, 1).await;
        b.contribute(3.0, 1).await;
        let (status, found) = operator.completed("heart").await;
        assert_eq!(found, model(2, 2.0));
        let incident = &status.incidents[0];
        assert_eq!((incident.participant.as_str(), incident.reason.as_str()), ("c", why));
    }
}

#[tokio::test]
async fn an_encoded_upload_that_breaks_off_goes_on_where_it_ended() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    let compression = "codec = \"none\"\nzstd = true";
    operator.start(&Job { compression, model: model(FEATURES, 0.0), ..Job::new("heart", 2) }).await;
    a.contribute(0.0, 1).await;
    let task = b.line.task().await;
    let update = Update { step: 50_000, ..Update::of(&task, &waves(1), 1).encoded("f32+zstd") };
    let begun: Vec<_> = update.messages(0).into_iter().take(3).collect();
    let words = "the stream ended after 100000; go on from there";
    assert_refused(b.raw.send(begun).await, Code::InvalidArgument, "UPLOAD_TRUNCATED", words);
    assert_eq!(b.raw.query(&update).await.unwrap().durable_bytes, 100_000);
    b.raw.send(update.messages(100_000)).await.expect("a receipt");
    let (status, found) = operator.completed("heart").await;
    let expected: Vec<f32> = waves(1).iter().map(|value| value / 2.0).collect();
    assert_eq!(found.values(), expected);
    assert_eq!(status.history[0].bytes_up, 280_004 + update.bytes.len() as u64);
}

#[tokio::test]
async fn an_encoded_update_that_is_complete_is_answered_with_its_own_length() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b] = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&Job { compression: "codec = \"bf16\"", ..Job::new("heart", 2) }).await;
    let update = Update::constant(&a.line.task().await, 1.0, 1).encoded("bf16");
    a.raw.submit(&update).await.expect("a receipt");
    let query = a.raw.query(&update).await.unwrap();
    assert_eq!((query.complete, query.durable_bytes), (true, 4 + 3 * 2));
    assert!(a.raw.submit(&update).await.expect("a receipt").duplicate);
    b.contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}

#[tokio::test]
async fn a_participant_of_an_earlier_version_takes_part_beside_those_that_compress() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut raw = federation.participant("a").await;
    let line = raw.attend_up_to(0).await;
    let mut a = Site { raw, line };
    let mut b = Site::join(&federation, "b").await;
    operator.start(&Job { compression: "codec = \"bf16\"", ..Job::new("heart", 2) }).await;
    let task = a.contribute(1.0, 1).await;
    assert_eq!(task.encoding, None);
    let task = b.line.task().await;
    let asked = v1::UpdateEncoding { codec: v1::UpdateCodec::Bf16.into(), ..Default::default() };
    assert_eq!(task.encoding, Some(asked));
    let update = Update::constant(&task, 3.0, 1).encoded("bf16");
    b.raw.submit(&update).await.expect("a receipt");
    let (status, found) = operator.completed("heart").await;
    assert_eq!(found, model(2, 2.0));
    let round = &status.history[0];
    assert_eq!((round.bytes_up, round.bytes_up_plain), (12 + 10, 24));
}

#[test]
fn the_bytes_in_the_protocol_s_document_are_what_they_are_said_to_be() {
    let document = include_str!("../../docs/protocol.md");
    for (line, encoding, values) in [
        ("BF16  ", "bf16", [0.5, -1.0, 0.0, 0.25]),
        ("INT8, scale 2^-6", "int8", [0.5, -1.0, 0.0, 0.25]),
        ("TOP_K, 1/2 of them", "top-k:0.5", [0.5, -1.0, 0.0, 0.0]),
    ] {
        let rest = document.lines().find_map(|found| found.strip_prefix(line)).expect("the example");
        let digits: Vec<u8> = rest.trim_start().split("  ").next().unwrap_or_default().bytes().collect();
        let digits: Vec<u8> = digits.into_iter().filter(|digit| *digit != b' ').collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        assert_eq!(decode(encoding.parse().unwrap(), 4, &bytes).unwrap(), values, "{line}");
    }
}
