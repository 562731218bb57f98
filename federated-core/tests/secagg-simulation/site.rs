//! The edge around a participant's session: what is on its disk, what is in its memory, and what it sends.

use std::sync::Arc;

use federated_core::{
    ids::TaskId,
    privacy::secagg::{
        Cohort, Consistency, CoordinatorMessage, Header, Mask, ParticipantMessage, ParticipantProtocol as _,
        ParticipantSession, Reply, Stage, Survivors, Unmask, participant::AdvertisedKeys,
    },
    task::TrainTask,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::{
    liar,
    names::{self, Attempt},
    network::{Directive, Request},
    planted::Plant,
    schedule::Lie,
};

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) index: usize,
    /// On its disk: the last session that it began.
    pub(crate) noted: Option<Attempt>,
    /// Where its secrets come from: no process draws what one before it drew.
    entropy: ChaCha20Rng,
    pub(crate) process: Option<Process>,
    pub(crate) cut_off: bool,
    pub(crate) fails_next: bool,
    pub(crate) lie: Option<Lie>,
}

/// What a crash takes.
#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) connection: Option<usize>,
    pub(crate) work: Option<Work>,
}

/// The task that it works on.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) task: TaskId,
    pub(crate) stage: WorkStage,
    pub(crate) open: Option<Open>,
}

#[derive(Clone, Debug)]
pub(crate) enum WorkStage {
    Training,
    Uploading(Arc<[u8]>),
    Submitted,
    Declined { reason: String, noted: bool },
}

/// A session, with what a liar or the books want to know of it.
#[derive(Debug)]
pub(crate) struct Open {
    session: ParticipantSession,
    pub(crate) header: Header,
    /// The generator as it was when the secrets were drawn.
    before: ChaCha20Rng,
    pub(crate) masks: Option<Vec<Mask>>,
    pub(crate) cohort: Option<Cohort>,
    pub(crate) shared: std::collections::BTreeSet<u32>,
    pub(crate) survivors: Option<Survivors>,
}

/// What a site does about something that it was told.
#[derive(Debug, Default)]
pub(crate) struct Reaction {
    pub(crate) requests: Vec<Request>,
    /// What it sends is not what an honest participant sends.
    pub(crate) lied: bool,
    pub(crate) liked_no_second_announcement: bool,
    pub(crate) lost_its_session: bool,
}

impl Site {
    pub(crate) fn new(index: usize, order: u64) -> Self {
        let entropy = ChaCha20Rng::seed_from_u64(order ^ (index as u64) << 56);
        Self {
            index,
            noted: None,
            entropy,
            process: Some(Process::default()),
            cut_off: false,
            fails_next: false,
            lie: None,
        }
    }

    pub(crate) fn start(&mut self) {
        self.process.get_or_insert_default();
    }

    pub(crate) fn crash(&mut self, plant: Option<Plant>) {
        self.process = None;
        if plant == Some(Plant::ForgetsSessions) {
            self.noted = None;
        }
    }

    pub(crate) fn connection(&self) -> Option<usize> {
        self.process.as_ref()?.connection
    }

    pub(crate) fn open(&self) -> Option<&Open> {
        self.process.as_ref()?.work.as_ref()?.open.as_ref()
    }

    /// What it says on a new connection: what it said last, and what has no answer.
    pub(crate) fn connected(&mut self, connection: usize) -> Vec<Request> {
        let Some(process) = &mut self.process else { return Vec::new() };
        process.connection = Some(connection);
        let Some(work) = &process.work else { return Vec::new() };
        let task = work.task.clone();
        let sent = work.open.as_ref().and_then(|open| open.session.sent().cloned());
        let again = sent.map(|message| Request::Answer { task, message: Arc::new(message) });
        again.into_iter().chain(work.pending(false)).collect()
    }

    pub(crate) fn told(&mut self, directive: Directive, plant: Option<Plant>) -> Reaction {
        let Some(process) = &mut self.process else { return Reaction::default() };
        match directive {
            Directive::Train(task) => self.train(&task),
            Directive::Withdraw { task } => {
                if process.work.as_ref().is_some_and(|work| work.task == task) {
                    process.work = None;
                }
                Reaction::default()
            }
            Directive::Secure { task, message } => self.secure(&task, &message, plant),
        }
    }

    fn train(&mut self, task: &TrainTask) -> Reaction {
        let (index, attempt) = (self.index, Attempt::of(&task.id));
        let Some(process) = &mut self.process else { return Reaction::default() };
        if let Some(work) = process.work.as_ref().filter(|work| work.task == task.id) {
            return Reaction { requests: work.pending(true).into_iter().collect(), ..Reaction::default() };
        }
        let header = task.header().expect("every task is secure");
        if self.noted.is_some_and(|noted| attempt <= noted) {
            let stage = WorkStage::Declined { reason: "SECAGG_SESSION_LOST".to_owned(), noted: false };
            let work = process.work.insert(Work { task: task.id.clone(), stage, open: None });
            let requests = work.pending(true).into_iter().collect();
            return Reaction { requests, lost_its_session: true, ..Reaction::default() };
        }
        self.noted = Some(attempt);
        let before = self.entropy.clone();
        let begun = AdvertisedKeys::begin(names::site(index), header.clone(), &mut self.entropy);
        let message = Arc::new(ParticipantMessage::AdvertiseKeys(begun.1.clone()));
        let open = Open {
            session: ParticipantSession::new(begun),
            header,
            before,
            masks: None,
            cohort: None,
            shared: std::collections::BTreeSet::new(),
            survivors: None,
        };
        process.work = Some(Work { task: task.id.clone(), stage: WorkStage::Training, open: Some(open) });
        let requests = vec![Request::Answer { task: task.id.clone(), message }];
        Reaction { requests, ..Reaction::default() }
    }

    fn secure(&mut self, task: &TaskId, message: &CoordinatorMessage, plant: Option<Plant>) -> Reaction {
        let mut reaction = Reaction::default();
        let work = self.process.as_mut().and_then(|process| process.work.as_mut());
        let work = work.filter(|work| work.task == *task);
        let Some((work, mut open)) = work.and_then(|work| work.open.take().map(|open| (work, open))) else {
            // Lost with an earlier process: the others need not wait for an answer.
            let reason = "SECAGG_SESSION_LOST".to_owned();
            reaction.requests.push(Request::Decline { task: task.clone(), reason });
            reaction.lost_its_session = true;
            return reaction;
        };
        if let (Some(Plant::SignsAgain), CoordinatorMessage::Survivors(survivors)) = (plant, message)
            && open.survivors.as_ref().is_some_and(|before| before != survivors)
        {
            let signed = sign(self.index, &open, survivors);
            open.survivors = Some(survivors.clone());
            work.open = Some(open);
            reaction.answer(task, ParticipantMessage::Consistency(signed));
            return reaction;
        }
        open.note(message);
        let answer = match open.session.handle(message.clone(), &mut self.entropy) {
            Ok(Reply::Send(answer)) => Some(answer),
            Ok(Reply::RecordAndSend(signed)) => Some(ParticipantMessage::Consistency(signed)),
            Ok(Reply::Mask) => {
                open.masks = Some(open.session.masks().expect("it is time"));
                None
            }
            Ok(_) => None,
            Err(error) => {
                let reason = error.reason().to_string();
                reaction.liked_no_second_announcement = reason == "SECAGG_SECOND_ANNOUNCEMENT";
                work.stage = WorkStage::Declined { reason, noted: false };
                reaction.requests.extend(work.pending(true));
                return reaction;
            }
        };
        let announced = matches!(message, CoordinatorMessage::Survivors(_));
        if let (Some(Plant::RevealsUnsigned), true, Some(survivors)) = (plant, announced, &open.survivors) {
            let shares = survivors.0.iter().map(|index| (*index, [7; 32].into())).collect();
            let early = Unmask { self_masks: shares, ..Unmask::default() };
            reaction.answer(task, ParticipantMessage::Unmask(early));
        }
        if let Some(mut answer) = answer {
            reaction.lied = lie(&mut self.lie, &open, self.index, &mut answer);
            if let (Some(Plant::RevealsBoth), ParticipantMessage::Unmask(unmask)) = (plant, &mut answer) {
                let both: Vec<u32> = unmask.self_masks.keys().copied().collect();
                unmask.mask_secrets.extend(both.into_iter().map(|index| (index, [7; 32].into())));
            }
            reaction.answer(task, answer);
        }
        work.open = Some(open);
        reaction
    }

    /// The update is masked; with its vector as it would be without.
    pub(crate) fn mask(&mut self, plant: Option<Plant>) -> Option<(TaskId, Vec<u8>, Request)> {
        let fails = std::mem::take(&mut self.fails_next);
        let work = self.process.as_mut()?.work.as_mut()?;
        let open = work.open.as_mut()?;
        let mut masks = open.masks.take()?;
        if fails {
            work.stage = WorkStage::Declined { reason: "TRAINING_FAILED".to_owned(), noted: false };
            let decline = work.pending(true)?;
            return Some((work.task.clone(), Vec::new(), decline));
        }
        if let (Some(Plant::WrongSign), Some(last)) = (plant, masks.last_mut()) {
            last.sign = last.sign.opposite();
        }
        let plain = crate::vector::plain(open.header.terms.vector(), &work.task, self.index);
        let mut vector = plain.clone();
        crate::vector::apply(open.header.terms.vector(), &masks, &mut vector);
        work.stage = WorkStage::Uploading(vector.into());
        Some((work.task.clone(), plain, work.pending(true)?))
    }

    /// The coordinator has answered.
    pub(crate) fn answered(&mut self, request: &Request, refused: bool) {
        let Some(work) = self.process.as_mut().and_then(|process| process.work.as_mut()) else { return };
        match (request, &mut work.stage) {
            (Request::Upload { task, .. }, WorkStage::Uploading(_)) if *task == work.task => {
                work.stage = if refused {
                    WorkStage::Declined { reason: "REFUSED".to_owned(), noted: true }
                } else {
                    WorkStage::Submitted
                };
            }
            (Request::Decline { task, .. }, WorkStage::Declined { noted, .. }) if *task == work.task => {
                *noted = true;
            }
            _ => {}
        }
    }
}

impl Work {
    /// What it has yet to send, or sends again when it is asked.
    fn pending(&self, asked: bool) -> Option<Request> {
        let task = self.task.clone();
        match &self.stage {
            WorkStage::Uploading(vector) => Some(Request::Upload { task, vector: Arc::clone(vector) }),
            WorkStage::Declined { reason, noted } if asked || !noted => {
                Some(Request::Decline { task, reason: reason.clone() })
            }
            _ => None,
        }
    }
}

impl Open {
    fn note(&mut self, message: &CoordinatorMessage) {
        match message {
            CoordinatorMessage::Roster(roster) if self.cohort.is_none() => {
                self.cohort = Cohort::new(&self.header.to_bytes(), &self.header.terms, roster).ok();
            }
            CoordinatorMessage::Delivery(delivery) => self.shared.clone_from(&delivery.shared),
            CoordinatorMessage::Survivors(survivors) if self.survivors.is_none() => {
                self.survivors = Some(survivors.clone());
            }
            _ => {}
        }
    }
}

impl Reaction {
    fn answer(&mut self, task: &TaskId, message: ParticipantMessage) {
        self.requests.push(Request::Answer { task: task.clone(), message: Arc::new(message) });
    }
}

/// Lies where that is the time for it.
fn lie(lie: &mut Option<Lie>, open: &Open, index: usize, answer: &mut ParticipantMessage) -> bool {
    let Some((chosen, cohort)) = lie.zip(open.cohort.as_ref()) else { return false };
    let lied = match (chosen, answer) {
        (Lie::Revealed, ParticipantMessage::Unmask(unmask)) => liar::reveal(unmask),
        (Lie::Revealed, _) => false,
        (_, ParticipantMessage::ShareKeys(shares)) => {
            liar::share(chosen, cohort, index, &mut open.before.clone(), shares);
            true
        }
        _ => false,
    };
    if lied {
        *lie = None;
    }
    lied
}

/// Signs as if there had been no announcement before.
fn sign(index: usize, open: &Open, survivors: &Survivors) -> Consistency {
    let cohort = open.cohort.as_ref().expect("it has the roster");
    let signed =
        federated_core::privacy::secagg::transcript(&cohort.id, cohort.len(), &open.shared, &survivors.0);
    Consistency(names::site(index).signing.sign(signed.as_bytes()))
}

/// At which stage a message is sent, for the trace.
pub(crate) fn stage_of(request: &Request) -> Option<Stage> {
    match request {
        Request::Answer { message, .. } => Some(message.stage()),
        Request::Upload { .. } => Some(Stage::MaskedInput),
        Request::Decline { .. } => None,
    }
}
