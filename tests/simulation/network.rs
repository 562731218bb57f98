//! What is on its way between the coordinator and the sites.
//!
//! The directives of one connection stay in order, as TLS over TCP keeps them. Calls and their answers overtake each
//! other and the directives. What was sent before a connection broke may arrive until the receiver notices.

use std::collections::VecDeque;

use federated_client::simulation::Input;
use federated_core::ids::{Digest, TaskId};

/// A participant's stream of directives, with the connection under it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) site: usize,
    /// Nothing that is sent from here on arrives.
    pub(crate) broken: bool,
    /// When the participant notices at the earliest that it is broken.
    pub(crate) site_notices: Option<u64>,
    /// The same for the coordinator.
    pub(crate) coordinator_notices: Option<u64>,
    /// The coordinator's number of the stream, once it has one.
    pub(crate) session: Option<u64>,
    /// The coordinator has answered the call.
    pub(crate) attended: bool,
    /// The participant has the answer.
    pub(crate) up: bool,
    pub(crate) stream: VecDeque<Input>,
}

/// What a call is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Query { content: Digest },
    Submit { content: Digest },
    Decline { reason: String },
    Fetch { model: Digest },
}

/// What the coordinator says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The update is there and counts.
    Complete,
    /// The update is wanted.
    Wanted,
    Receipt {
        duplicate: bool,
    },
    Refused {
        reason: String,
        retry: bool,
    },
    DeclineNoted,
    Model,
}

/// How far a call is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    Travelling,
    /// In the coordinator's mailbox.
    Waiting,
    /// The update's bytes go to the spool.
    Spooling,
    /// They are durable, and that is in the mailbox.
    Storing,
    Answering(Answer),
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: u32,
    pub(crate) site: usize,
    pub(crate) connection: usize,
    pub(crate) task: TaskId,
    pub(crate) kind: Kind,
    pub(crate) stage: Stage,
    /// It does not arrive before.
    pub(crate) not_before: u64,
    /// The same participant began an upload after it.
    pub(crate) superseded: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) connections: Vec<Connection>,
    pub(crate) calls: Vec<Call>,
    next_call: u32,
}

impl Network {
    /// Opens a connection, on which the participant asks to attend.
    pub(crate) fn open(&mut self, site: usize) -> usize {
        self.connections.push(Connection {
            site,
            broken: false,
            site_notices: None,
            coordinator_notices: None,
            session: None,
            attended: false,
            up: false,
            stream: VecDeque::new(),
        });
        self.connections.len() - 1
    }

    /// Sends a directive; where the connection is broken it is lost.
    pub(crate) fn direct(&mut self, connection: usize, directive: Input) {
        let connection = &mut self.connections[connection];
        if !connection.broken {
            connection.stream.push_back(directive);
        }
    }

    /// Makes a call; where the connection is broken it is lost.
    pub(crate) fn call(&mut self, connection: usize, task: TaskId, kind: Kind) -> u32 {
        self.next_call += 1;
        let Connection { site, broken, .. } = self.connections[connection];
        if !broken {
            self.calls.push(Call {
                id: self.next_call,
                site,
                connection,
                task,
                kind,
                stage: Stage::Travelling,
                not_before: 0,
                superseded: false,
            });
        }
        self.next_call
    }

    /// Sends a copy of a request, which arrives at this moment or later; nobody waits for its answer.
    pub(crate) fn duplicate(&mut self, index: usize, not_before: u64) {
        self.next_call += 1;
        let copy = Call { id: self.next_call, not_before, ..self.calls[index].clone() };
        self.calls.push(copy);
    }

    pub(crate) fn find(&mut self, id: u32) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.id == id)
    }

    /// Sends the answer to a call.
    pub(crate) fn answer(&mut self, id: u32, answer: Answer) {
        let Some(index) = self.calls.iter().position(|call| call.id == id) else { return };
        if self.connections[self.calls[index].connection].broken {
            self.calls.remove(index);
        } else {
            self.calls[index].stage = Stage::Answering(answer);
        }
    }

    /// Breaks a connection. `arrives` says whether what is on its way still arrives, and calls go on to their ends.
    pub(crate) fn sever(&mut self, index: usize, site_notices: u64, coordinator_notices: u64, arrives: bool) {
        let connection = &mut self.connections[index];
        if connection.broken {
            return;
        }
        connection.broken = true;
        connection.site_notices = Some(site_notices);
        connection.coordinator_notices = Some(coordinator_notices);
        if !arrives {
            connection.stream.clear();
            // What the coordinator was doing for a call ends with the call, wherever it is.
            self.calls.retain(|call| call.connection != index);
        }
    }

    /// The coordinator's process ends, and every connection with it.
    pub(crate) fn coordinator_crashed(&mut self, now: u64, arrives: bool) {
        for index in 0..self.connections.len() {
            self.sever(index, now, now, arrives);
            self.connections[index].coordinator_notices = None;
        }
        self.calls.retain(|call| matches!(call.stage, Stage::Answering(_)));
    }
}
