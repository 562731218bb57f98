//! What is on its way between the coordinator and the sites.
//!
//! What a participant is told on one connection stays in order, as TLS over TCP keeps it. Requests and their answers
//! overtake each other. What was sent before a connection broke may arrive after it.

use std::{collections::VecDeque, sync::Arc};

use federated_core::{
    ids::TaskId,
    privacy::secagg::{CoordinatorMessage, ParticipantMessage},
    task::TrainTask,
};

/// What the coordinator tells a participant.
#[derive(Clone, Debug)]
pub(crate) enum Directive {
    Train(Box<TrainTask>),
    Secure { task: TaskId, message: Arc<CoordinatorMessage> },
    Withdraw { task: TaskId },
}

/// What a participant sends.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Answer { task: TaskId, message: Arc<ParticipantMessage> },
    Upload { task: TaskId, vector: Arc<[u8]> },
    Decline { task: TaskId, reason: String },
}

/// How far a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Travelling,
    /// The vector is durable, and its event is not.
    Storing,
    /// Its answer waits for the log.
    Waiting,
    Answering {
        refused: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) site: usize,
    /// `None` where nobody waits for the answer.
    pub(crate) connection: Option<usize>,
    pub(crate) request: Arc<Request>,
    pub(crate) progress: Progress,
}

/// A participant's stream of directives.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) site: usize,
    pub(crate) open: bool,
    /// When the coordinator notices at the earliest that it is not.
    pub(crate) noticed_at: u64,
    pub(crate) stream: VecDeque<Directive>,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) connections: Vec<Connection>,
    pub(crate) calls: Vec<Call>,
    /// Everything that was ever sent, to be sent again by whoever kept it.
    pub(crate) sent: Vec<(usize, Arc<Request>)>,
    /// Everything that was ever said.
    pub(crate) told: Vec<(usize, Directive)>,
    next_call: u64,
}

impl Network {
    pub(crate) fn open(&mut self, site: usize) -> usize {
        self.connections.push(Connection { site, open: true, noticed_at: 0, stream: VecDeque::new() });
        self.connections.len() - 1
    }

    /// Says something to a participant; where the connection is broken it is lost.
    pub(crate) fn tell(&mut self, connection: usize, directive: Directive) {
        let connection = &mut self.connections[connection];
        if connection.open {
            self.told.push((connection.site, directive.clone()));
            connection.stream.push_back(directive);
        }
    }

    pub(crate) fn call(&mut self, site: usize, connection: usize, request: Arc<Request>) {
        self.sent.push((site, Arc::clone(&request)));
        self.push(site, Some(connection), request);
    }

    /// Sends a request whose answer nobody waits for.
    pub(crate) fn replay(&mut self, site: usize, request: Arc<Request>) {
        self.push(site, None, request);
    }

    fn push(&mut self, site: usize, connection: Option<usize>, request: Arc<Request>) {
        self.next_call += 1;
        let (id, progress) = (self.next_call, Progress::Travelling);
        self.calls.push(Call { id, site, connection, request, progress });
    }

    pub(crate) fn answer(&mut self, id: u64, refused: bool) {
        let Some(place) = self.calls.iter().position(|call| call.id == id) else { return };
        if self.calls[place].connection.is_some_and(|connection| self.connections[connection].open) {
            self.calls[place].progress = Progress::Answering { refused };
        } else {
            self.calls.remove(place);
        }
    }

    /// Breaks a connection. `arrives` says whether requests that are on their way still arrive.
    pub(crate) fn sever(&mut self, index: usize, noticed_at: u64, arrives: bool) {
        let connection = &mut self.connections[index];
        (connection.open, connection.noticed_at) = (false, noticed_at);
        connection.stream.clear();
        self.calls.retain_mut(|call| {
            let ends = call.connection == Some(index);
            if ends {
                call.connection = None;
            }
            !ends || arrives && call.progress == Progress::Travelling || call.progress == Progress::Storing
        });
    }

    /// The coordinator's process ends: nobody is left to give an answer.
    pub(crate) fn coordinator_crashed(&mut self) {
        for connection in &mut self.connections {
            connection.open = false;
            connection.stream.clear();
        }
        self.calls.retain(|call| call.progress == Progress::Travelling && call.connection.is_none());
    }
}
