use std::path::Path;

use anyhow::{Context, Result, anyhow};
use federated_server::config::OperatorConfig;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Share, board::Board};
use crate::processes::{Cluster, Process, Program, Said, Serving};

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Coordinator,
    /// The participant at this place.
    Participant(usize),
}

type Ears = UnboundedSender<(Victim, Said)>;

/// A coordinator and its participants, any of which can be killed and is started again at once.
#[derive(Debug)]
pub(crate) struct Crew {
    cluster: Cluster,
    participants: Vec<Option<Process>>,
    work: u32,
    ears: Ears,
    heard: UnboundedReceiver<(Victim, Said)>,
    board: Board,
}

impl Crew {
    /// Starts all of them. Participants work as [`Share::work`] says.
    pub(crate) async fn start(
        program: Program,
        dir: Option<&Path>,
        serving: Serving,
        participants: usize,
        work: u32,
    ) -> Result<Self> {
        let cluster = Cluster::start(program, dir, serving).await?;
        let (ears, heard) = unbounded_channel();
        let board = Board::new(participants);
        let mut crew = Self { cluster, participants: Vec::new(), work, ears, heard, board };
        let url = format!("https://{}", crew.cluster.address());
        for place in 0..participants {
            crew.cluster.enroll(&name(place), &url)?;
            crew.participants.push(None);
        }
        for place in 0..participants {
            crew.start_participant(place)?;
        }
        Ok(crew)
    }

    pub(crate) fn operator(&self) -> Result<OperatorConfig> {
        self.cluster.operator_config()
    }

    pub(crate) const fn board(&self) -> &Board {
        &self.board
    }

    pub(crate) const fn participants(&self) -> usize {
        self.participants.len()
    }

    /// Kills one, and starts it again without waiting until it is ready. Gives what it was in the middle of.
    pub(crate) async fn kill(&mut self, who: Victim) -> Result<&'static str> {
        while let Ok((who, said)) = self.heard.try_recv() {
            self.note(who, &said)?;
        }
        let scene = self.board.scene(who);
        match who {
            Victim::Coordinator => self.cluster.kill_coordinator().await?,
            Victim::Participant(place) => {
                self.participants[place].take().context("the participant runs")?.kill().await?;
            }
        }
        // Its last words come before those of the one that is started now.
        while let Ok((who, said)) = self.heard.try_recv() {
            self.note(who, &said)?;
        }
        self.board.restarted(who);
        match who {
            Victim::Coordinator => self.cluster.begin_coordinator(into(&self.ears, who))?,
            Victim::Participant(place) => self.start_participant(place)?,
        }
        Ok(scene)
    }

    fn start_participant(&mut self, place: usize) -> Result<()> {
        let Share { place: own, of, work } = Share { place, of: self.participants.len(), work: self.work };
        let arguments = ["--place", &own.to_string(), "--of", &of.to_string(), "--work", &work.to_string()];
        let mut process = self.cluster.start_site("tally", &name(place), &arguments.map(str::to_owned))?;
        process.tell(into(&self.ears, Victim::Participant(place)))?;
        self.participants[place] = Some(process);
        Ok(())
    }

    /// The coordinator with its folder.
    pub(crate) const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The number of the coordinator's process.
    pub(crate) fn coordinator_id(&mut self) -> Result<u32> {
        self.cluster.coordinator().context("the coordinator runs")?.id()
    }

    /// Waits until a participant that was started has a connection.
    pub(crate) async fn connected(&mut self, place: usize) -> Result<()> {
        while !self.board.has_connected(place) {
            self.hear().await?;
        }
        Ok(())
    }

    /// Waits until somebody says something. Gives whether the job is further than before.
    pub(crate) async fn hear(&mut self) -> Result<bool> {
        // This value holds a sender itself.
        let (who, said) = self.heard.recv().await.context("somebody who listens")?;
        self.note(who, &said)
    }

    fn note(&mut self, who: Victim, said: &Said) -> Result<bool> {
        self.board.note(who, said).map_err(|error| anyhow!(error))
    }

    /// Fails when one of them has ended by itself: none should.
    pub(crate) async fn check(&mut self) -> Result<()> {
        if let Some(coordinator) = self.cluster.coordinator() {
            coordinator.runs().await?;
        }
        for participant in self.participants.iter_mut().flatten() {
            participant.runs().await?;
        }
        Ok(())
    }

    /// Ends all of them, and gives what they said.
    pub(crate) async fn end(mut self) -> Result<Board> {
        self.check().await?;
        for participant in std::mem::take(&mut self.participants).into_iter().flatten() {
            participant.kill().await?;
        }
        self.cluster.kill_coordinator().await?;
        while let Ok((who, said)) = self.heard.try_recv() {
            self.note(who, &said)?;
        }
        Ok(self.board)
    }
}

/// The name of the participant at a place.
pub(crate) fn name(place: usize) -> String {
    format!("site-{place}")
}

fn into(ears: &Ears, who: Victim) -> impl FnMut(Said) + Send + 'static {
    let ears = ears.clone();
    // Nobody listens once the test is over.
    move |said| drop(ears.send((who, said)))
}
