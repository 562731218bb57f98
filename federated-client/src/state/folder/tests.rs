use std::io::Read;

use federated_core::{
    compression::{CompressionError, decode, encode},
    metrics::Metrics,
    model::{TensorSpec, bytes_of, from_safetensors},
    privacy::dp::NoiseSeed,
    update::ExampleCount,
};

use super::*;
use crate::{session::fixture, state::Values};

fn folder() -> (tempfile::TempDir, StateFolder) {
    let root = tempfile::tempdir().unwrap();
    let folder = StateFolder::open(&root.path().join("state")).unwrap();
    (root, folder)
}

/// One that writes each large download that takes longer than this.
fn folder_that_writes_after(worth_writing: Duration) -> (tempfile::TempDir, StateFolder) {
    let (root, folder) = folder();
    (root, StateFolder { worth_writing, ..folder })
}

fn update(values: [f32; 2]) -> ClientUpdate {
    ClientUpdate {
        delta: ModelParameters::new(fixture::task("heart", 1).layout, values.to_vec()).unwrap(),
        examples: ExampleCount::new(7).unwrap(),
        metrics: Metrics::new(),
    }
}

fn values_of(update: &StoredUpdate, offset: u64) -> Vec<u8> {
    match update.values_from(offset).unwrap() {
        Values::Memory(bytes) => bytes.to_vec(),
        Values::File(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            bytes
        }
    }
}

fn download(state: &StateFolder, layout: &ModelLayout, digest: Digest) -> PartialModel {
    state.download(digest, layout).unwrap().unwrap()
}

fn has_model(state: &StateFolder, task: &TrainTask) -> bool {
    state.download(task.model, &task.layout).unwrap().is_none()
}

#[test]
fn a_folder_belongs_to_one_participant_at_a_time() {
    let (root, first) = folder();
    let path = root.path().join("state");
    assert!(matches!(StateFolder::open(&path), Err(StateError::InUse { .. })));
    drop(first);
    assert!(StateFolder::open(&path).is_ok());
}

#[test]
fn a_broken_download_goes_on_where_it_was() {
    let (_root, state) = folder();
    let task = fixture::task("heart", 1);
    let bytes = fixture::model_bytes();
    let mut first = download(&state, &task.layout, task.model);
    first.append(&bytes[..5]).unwrap();
    first.finish(&state).unwrap();
    let mut second = download(&state, &task.layout, task.model);
    assert_eq!(second.length(), 5);
    second.append(&bytes[5..]).unwrap();
    second.finish(&state).unwrap();
    assert!(has_model(&state, &task));
    let model = state.read_model(&task.model, &task.layout).unwrap();
    assert_eq!(model.as_le_bytes(), bytes);
}

fn large_model(elements: usize, first: f32) -> (ModelLayout, Vec<f32>, Digest) {
    let layout = ModelLayout::new(vec![TensorSpec::new("w", [elements as u64])]).unwrap();
    let values: Vec<f32> = (0..elements).map(|n| first + n as f32).collect();
    let digest = Digest::of(bytes_of(&values));
    (layout, values, digest)
}

#[test]
fn a_large_download_goes_on_after_a_restart_and_is_read_as_often_as_needed() {
    let (root, state) = folder_that_writes_after(Duration::ZERO);
    let (layout, values, digest) = large_model((17 << 20) / 4, 0.0);
    let (beginning, rest) = bytes_of(&values).split_at(9 << 20);
    let mut first = download(&state, &layout, digest);
    first.append(beginning).unwrap();
    drop((first, state));
    let state = StateFolder::open(&root.path().join("state")).unwrap();
    let mut second = download(&state, &layout, digest);
    assert_eq!(second.length(), beginning.len() as u64);
    second.append(rest).unwrap();
    second.finish(&state).unwrap();
    for _ in 0..2 {
        assert_eq!(state.read_model(&digest, &layout).unwrap().values(), values);
    }
}

#[test]
fn a_beginning_that_was_cut_short_counts_for_nothing() {
    let (root, state) = folder_that_writes_after(Duration::ZERO);
    let (layout, values, digest) = large_model((17 << 20) / 4, 0.0);
    let part = root.path().join(format!("state/models/{digest}.part"));
    for left in [0, 5, 9] {
        let mut partial = download(&state, &layout, digest);
        partial.append(&bytes_of(&values)[..100]).unwrap();
        drop(partial);
        std::fs::File::options().write(true).open(&part).unwrap().set_len(left).unwrap();
        assert_eq!(download(&state, &layout, digest).length(), 0, "{left} bytes left");
    }
}

#[test]
fn a_large_download_that_is_fast_is_not_written() {
    let (root, state) = folder_that_writes_after(Duration::from_secs(3_600));
    let (layout, values, digest) = large_model((17 << 20) / 4, 0.0);
    let mut partial = download(&state, &layout, digest);
    partial.append(bytes_of(&values)).unwrap();
    partial.finish(&state).unwrap();
    assert_eq!(std::fs::read_dir(root.path().join("state/models")).unwrap().count(), 0);
    assert_eq!(state.read_model(&digest, &layout).unwrap().values(), values);
    assert_eq!(download(&state, &layout, digest).length(), 0, "it would be fetched again");
}

#[test]
fn a_large_model_is_written_over_the_one_before_of_which_nothing_counts() {
    let (root, state) = folder_that_writes_after(Duration::ZERO);
    let models = || std::fs::read_dir(root.path().join("state/models")).unwrap().count();
    for (elements, first) in [((18 << 20) / 4, 0.0), ((17 << 20) / 4, 7.0), ((19 << 20) / 4, 3.0)] {
        let (layout, values, digest) = large_model(elements, first);
        let mut partial = download(&state, &layout, digest);
        assert_eq!(partial.length(), 0);
        partial.append(&bytes_of(&values)[..5]).unwrap();
        drop(partial);
        let mut partial = download(&state, &layout, digest);
        assert_eq!(partial.length(), 5);
        partial.append(&bytes_of(&values)[5..]).unwrap();
        partial.finish(&state).unwrap();
        for _ in 0..2 {
            assert_eq!(state.read_model(&digest, &layout).unwrap().values(), values);
        }
        assert_eq!(models(), 1);
        state.retain_models(&BTreeSet::new()).unwrap();
        assert_eq!(models(), 1);
    }
    state.discard_job(&fixture::task("heart", 1).id.job).unwrap();
    assert_eq!(models(), 0, "nothing stays when the job is over");
}

#[test]
fn a_model_with_another_digest_is_thrown_away() {
    let (_root, state) = folder();
    let task = fixture::task("heart", 1);
    let mut partial = download(&state, &task.layout, task.model);
    partial.append(&[1; 8]).unwrap();
    let wrong = partial.finish(&state);
    assert!(matches!(wrong, Err(StateError::Digest { expected, .. }) if expected == task.model));
    assert_eq!(download(&state, &task.layout, task.model).length(), 0);
}

#[test]
fn models_that_no_task_needs_are_removed() {
    let (_root, state) = folder();
    let task = fixture::task("heart", 1);
    let mut partial = download(&state, &task.layout, task.model);
    partial.append(&fixture::model_bytes()).unwrap();
    partial.finish(&state).unwrap();
    state.retain_models(&[task.model].into()).unwrap();
    assert!(has_model(&state, &task));
    state.retain_models(&BTreeSet::new()).unwrap();
    assert!(!has_model(&state, &task));
}

#[test]
fn after_a_restart_the_same_task_gets_the_same_bytes() {
    let (root, state) = folder();
    let task = fixture::task("heart", 1);
    state.store_update(&task, update([1.0, 2.0])).unwrap();
    let stored = state.find_update(&task).unwrap().unwrap();
    drop(state);
    let state = StateFolder::open(&root.path().join("state")).unwrap();
    let found = state.find_update(&task).unwrap().unwrap();
    assert_eq!(found.header(), stored.header());
    assert_eq!(values_of(&found, 0), values_of(&stored, 0));
    assert_eq!(values_of(&found, 4), 2.0_f32.to_le_bytes());
    assert_eq!(values_of(&stored, 4), 2.0_f32.to_le_bytes());
}

#[test]
fn an_update_for_another_run_of_the_job_is_no_answer() {
    let (_root, state) = folder();
    let task = fixture::task("heart", 1);
    state.store_update(&task, update([1.0, 2.0])).unwrap();
    let other = TrainTask { seed: task.seed + 1, ..task.clone() };
    assert!(state.find_update(&other).unwrap().is_none());
    assert!(state.find_update(&task).unwrap().is_none(), "it was thrown away");
}

#[test]
fn a_damaged_update_is_no_answer() {
    let (root, state) = folder();
    let task = fixture::task("heart", 1);
    state.store_update(&task, update([1.0, 2.0])).unwrap();
    drop(state);
    let state = StateFolder::open(&root.path().join("state")).unwrap();
    let path = root.path().join("state/updates/heart/1.1");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(state.find_update(&task).unwrap().is_none());
    fs::write(&path, b"short").unwrap();
    assert!(state.find_update(&task).unwrap().is_none());
}

#[test]
fn updates_go_with_their_round_and_their_job() {
    let (_root, state) = folder();
    let (first, second) = (fixture::task("heart", 1), fixture::task("heart", 2));
    state.store_update(&first, update([1.0, 2.0])).unwrap();
    assert!(state.find_update(&second).unwrap().is_none());
    assert!(state.find_update(&first).unwrap().is_none(), "a later round began");
    state.store_update(&second, update([1.0, 2.0])).unwrap();
    state.discard_job(&second.id.job).unwrap();
    assert!(state.find_update(&second).unwrap().is_none());
    state.discard_update(&second.id).unwrap();
}

#[test]
fn a_final_model_is_a_safetensors_file() {
    let (_root, state) = folder();
    let model = update([1.0, 2.0]).delta;
    let path = state.save_final(&"heart".parse().unwrap(), &model).unwrap();
    assert_eq!(from_safetensors(&fs::read(path).unwrap()).unwrap(), model);
}

#[test]
fn an_encoded_update_is_the_same_after_a_restart_and_its_memory_is_spare() {
    let (root, state) = folder();
    let task = TrainTask { encoding: "int8+zstd".parse().unwrap(), ..fixture::task("heart", 1) };
    state.store_update(&task, update([1.0, -1.0])).unwrap();
    assert_eq!(state.recent().spare.len(), 2);
    let stored = state.find_update(&task).unwrap().unwrap();
    assert!(matches!(stored.header().kind, UpdateKind::Open { encoding, .. } if encoding == task.encoding));
    let bytes = values_of(&stored, 0);
    assert_eq!(stored.header().bytes, bytes.len() as u64);
    assert_eq!(bytes, encode(task.encoding, &[1.0, -1.0], task.seed).unwrap());
    drop(state);
    let state = StateFolder::open(&root.path().join("state")).unwrap();
    let found = state.find_update(&task).unwrap().unwrap();
    assert_eq!((found.header(), values_of(&found, 3)), (stored.header(), bytes[3..].to_vec()));
    let plain = fixture::task("heart", 1);
    assert!(state.find_update(&plain).unwrap().is_none(), "a task that asks for another encoding");
}

#[test]
fn what_top_k_leaves_out_comes_with_the_next_update_once_there_is_a_receipt() {
    let (_root, state) = folder();
    let job = "heart".parse().unwrap();
    let sent = |round, values, receipt: bool| {
        let task = TrainTask { encoding: "top-k:0.5".parse().unwrap(), ..fixture::task("heart", round) };
        state.store_update(&task, update(values)).unwrap();
        let stored = state.find_update(&task).unwrap().unwrap();
        let sent = decode(task.encoding, 2, &values_of(&stored, 0)).unwrap();
        if receipt {
            state.confirm_update(&task.id).unwrap();
        }
        state.discard_update(&task.id).unwrap();
        sent
    };
    assert_eq!(sent(1, [1.0, 0.75], true), [1.0, 0.0]);
    assert_eq!(sent(2, [0.25, 0.5], false), [0.0, 1.25]);
    assert_eq!(sent(3, [0.25, 0.5], true), [0.0, 1.25], "as if the second had not been");
    assert_eq!(sent(4, [0.0, 0.0], true), [0.25, 0.0]);
    assert_eq!(sent(5, [1.0, 0.75], true), [1.0, 0.0]);
    state.discard_job(&job).unwrap();
    assert_eq!(sent(6, [0.0, 0.25], true), [0.0, 0.25], "nothing is left of the job");
}

#[test]
fn values_that_the_encoding_cannot_hold_are_an_error_and_leave_nothing() {
    let (_root, state) = folder();
    let task = TrainTask { encoding: "f16".parse().unwrap(), ..fixture::task("heart", 1) };
    let error = state.store_update(&task, update([1.0, 70_000.0])).unwrap_err();
    assert!(matches!(error, StateError::Encoding(CompressionError::Overflow { element: 1, .. })));
    assert!(state.find_update(&task).unwrap().is_none());
}

#[test]
fn a_masked_update_is_no_answer_after_a_restart_and_the_next_is_written_over_it() {
    use federated_core::privacy::secagg::{Mask, MaskSeed, Modulus, RoundingSeed, Sign, VectorPlan};

    let (root, state) = folder();
    let task = fixture::task("heart", 1);
    let plan =
        VectorPlan::new(Modulus::B32, 1.0, ExampleCount::new(10).unwrap(), 3, BTreeMap::new()).unwrap();
    let rounding = RoundingSeed::new([1; 32].into());
    let masks = [Mask { seed: MaskSeed::new([2; 32].into()), sign: Sign::Add }.prepare().unwrap()];
    let masking =
        Masking { plan: &plan, rounding: &rounding, masks: &masks, noise: &NoiseSeed::new([9; 32].into()) };
    state.store_masked(&task, update([1.0, 2.0]), masking).unwrap();
    let stored = state.recent_update(&task).unwrap();
    let bytes = fs::read(stored.path()).unwrap();
    let header = stored.header();
    assert_eq!((header.bytes, header.content), (plan.byte_len(2), Digest::of(&bytes)));
    assert_eq!(header.kind, UpdateKind::Masked);
    drop(state);
    let state = StateFolder::open(&root.path().join("state")).unwrap();
    assert!(state.find_update(&task).unwrap().is_none());
    state.store_masked(&task, update([1.0, 2.0]), masking).unwrap();
    state.discard_update(&task.id).unwrap();
    assert!(state.recent_update(&task).is_none() && !stored.path().exists());
}
