use federated_proto::v1;

use crate::{Attendance, Federation, RawParticipant, Update};

/// A participant that is enrolled and present, and does what it should unless told otherwise.
#[derive(Debug)]
pub struct Site {
    /// For calls.
    pub raw: RawParticipant,
    /// Its open Attend stream.
    pub line: Attendance,
}

impl Site {
    /// Enrolls a participant, connects and attends.
    pub async fn join(federation: &Federation, name: &str) -> Self {
        let mut raw = federation.participant(name).await;
        let line = raw.attend().await;
        Self { raw, line }
    }

    /// The same for several.
    pub async fn join_all<const N: usize>(federation: &Federation, names: [&str; N]) -> [Self; N] {
        let mut sites = Vec::with_capacity(N);
        for name in names {
            sites.push(Self::join(federation, name).await);
        }
        sites.try_into().expect("as many sites as names")
    }

    /// Waits for the next task and answers it with an update in which every value is `value`.
    ///
    /// # Panics
    /// When the update is refused.
    pub async fn contribute(&mut self, value: f32, examples: u64) -> v1::TrainTask {
        let task = self.line.task().await;
        let update = Update::constant(&task, value, examples);
        let receipt = self.raw.submit(&update).await.expect("a receipt");
        assert_eq!((receipt.task, receipt.duplicate), (task.id.clone(), false));
        assert_eq!(receipt.digest, update.header.digest);
        task
    }
}
