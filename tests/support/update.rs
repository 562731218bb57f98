use bytes::Bytes;
use federated_core::{
    compression::encode,
    ids::Digest,
    model::{values_from_le_bytes, values_to_le_bytes},
    round::UpdateKind,
};
use federated_proto::{
    chunk::split,
    convert::UpdateHeader,
    v1::{self, submit_update_request::Part},
};

/// An update as it will be sent. The fields are open: a test breaks what it wants broken.
#[derive(Clone, Debug)]
pub struct Update {
    /// The first message.
    pub header: v1::UpdateHeader,
    /// What the chunks carry.
    pub bytes: Bytes,
    /// Bytes of a chunk.
    pub step: usize,
}

impl Update {
    /// An update for `task` in which every value is `value`.
    #[must_use]
    pub fn constant(task: &v1::TrainTask, value: f32, examples: u64) -> Self {
        let size = task.model.as_ref().map_or(0, |model| model.size_bytes);
        let count = usize::try_from(size / 4).expect("a small model");
        Self::of(task, &vec![value; count], examples)
    }

    /// An update for `task` with these values.
    #[must_use]
    pub fn of(task: &v1::TrainTask, values: &[f32], examples: u64) -> Self {
        let bytes = Bytes::from(values_to_le_bytes(values));
        let header = v1::UpdateHeader {
            task: task.id.clone(),
            layout: task.model.clone().and_then(|model| model.layout),
            digest: digest(&bytes),
            size_bytes: bytes.len() as u64,
            examples,
            metrics: [("loss".to_owned(), f64::from(values[0]))].into(),
            encoding: None,
            masked: None,
        };
        let step = 1 << 20;
        Self { header, bytes, step }
    }

    /// The same update in this encoding, for instance `int8+zstd`.
    #[must_use]
    pub fn encoded(self, encoding: &str) -> Self {
        let encoding = encoding.parse().expect("an encoding");
        let values = values_from_le_bytes(&self.bytes);
        let bytes = encode(encoding, &values, self.header.examples).expect("values that can be encoded");
        let mut header = UpdateHeader::try_from(self.header).expect("a header");
        if let UpdateKind::Open { encoding: of_header, .. } = &mut header.kind {
            *of_header = encoding;
        }
        Self { header: (&header).into(), ..self }.with_bytes(bytes)
    }

    /// The same header about other bytes, with their true length and digest.
    #[must_use]
    pub fn with_bytes(mut self, bytes: Vec<u8>) -> Self {
        self.header.size_bytes = bytes.len() as u64;
        self.header.digest = digest(&bytes);
        Self { bytes: bytes.into(), ..self }
    }

    /// The same update for another task.
    #[must_use]
    pub fn for_task(mut self, job: &str, round: u32, attempt: u32) -> Self {
        self.header.task = Some(v1::TaskId { job: job.to_owned(), round, attempt });
        self
    }

    /// The header as a message.
    #[must_use]
    pub fn first(&self) -> v1::SubmitUpdateRequest {
        message(Part::Header(self.header.clone()))
    }

    /// The bytes from `offset` on, as messages.
    pub fn rest(&self, offset: u64) -> impl Iterator<Item = v1::SubmitUpdateRequest> + use<> {
        split(self.bytes.clone(), offset, self.step).map(|chunk| message(Part::Chunk(chunk)))
    }

    /// All messages of an upload that begins at `offset`.
    #[must_use]
    pub fn messages(&self, offset: u64) -> Vec<v1::SubmitUpdateRequest> {
        std::iter::once(self.first()).chain(self.rest(offset)).collect()
    }

    /// What asks how much of it is at the coordinator.
    #[must_use]
    pub fn query(&self) -> v1::QueryUploadRequest {
        v1::QueryUploadRequest { task: self.header.task.clone(), digest: self.header.digest.clone() }
    }
}

fn message(part: Part) -> v1::SubmitUpdateRequest {
    v1::SubmitUpdateRequest { part: Some(part) }
}

fn digest(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(Digest::of(bytes).as_bytes())
}
