#![no_main]
//! A coordinator's session of secure aggregation, and participants that say anything at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use arbitrary::Arbitrary;
use federated_core::privacy::secagg::{
    CoordinatorProtocol as _, CoordinatorSession, MessageAdmission, ParticipantMessage, RevealedShare, ShareKeys, Stage, Unmask,
};
use federated_fuzz::{
    patched,
    sessions::{Honest, N, keystream, name, pinned},
};
use federated_proto::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message;

static HONEST: LazyLock<[Honest; 2]> = LazyLock::new(|| [Honest::new(false), Honest::new(true)]);

#[derive(Arbitrary, Debug)]
struct Play {
    drops_out: bool,
    /// Where it begins: everything before was honest.
    stage: u8,
    /// Whether the coordinator has the roster.
    pinned: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Say { who: u8, said: Said },
    Close { survivors: u8 },
}

#[derive(Arbitrary, Debug)]
enum Said {
    /// What an honest one says, or another one, or at another stage; with bytes changed.
    Honest {
        of: u8,
        stage: u8,
        patches: Vec<(u16, u8)>,
    },
    Shares(Vec<(u8, u8)>),
    Unmask {
        self_masks: BTreeMap<u8, Share>,
        mask_secrets: BTreeMap<u8, Share>,
    },
    Bytes(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Share {
    /// What this one would honestly reveal of the same participant.
    Of(u8),
    Made([u8; 32]),
}

fn message(honest: &Honest, said: Said) -> Option<ParticipantMessage> {
    let read = |bytes: &[u8]| v1::AnswerSessionRequest::decode(bytes).ok()?.message?.try_into().ok();
    match said {
        Said::Honest { of, stage, patches } => {
            let answer = honest.answers[usize::from(stage) % 5][usize::from(of) % N].as_ref()?;
            let wire = v1::AnswerSessionRequest { task: None, message: Some(answer.into()) };
            read(&patched(wire.encode_to_vec(), &patches))
        }
        Said::Shares(shares) => {
            let all = &honest.answers[Stage::ShareKeys as usize];
            let sealed = |of: u8| match &all[usize::from(of) % N] {
                Some(ParticipantMessage::ShareKeys(ShareKeys(shares))) => shares.values().next().cloned(),
                _ => None,
            };
            let shares = shares.into_iter().filter_map(|(index, of)| Some((index.into(), sealed(of)?)));
            Some(ParticipantMessage::ShareKeys(ShareKeys(shares.collect())))
        }
        Said::Unmask { self_masks, mask_secrets } => {
            let share = |(of, share): (u8, Share)| {
                let honestly =
                    |holder: u8| match &honest.answers[Stage::Unmask as usize][usize::from(holder) % N] {
                        Some(ParticipantMessage::Unmask(Unmask { self_masks, mask_secrets })) => {
                            self_masks.get(&of.into()).or(mask_secrets.get(&of.into())).cloned()
                        }
                        _ => None,
                    };
                let share = match share {
                    Share::Of(holder) => honestly(holder)?,
                    Share::Made(bytes) => RevealedShare::from(bytes),
                };
                Some((u32::from(of), share))
            };
            let self_masks = self_masks.into_iter().filter_map(share).collect();
            let mask_secrets = mask_secrets.into_iter().filter_map(share).collect();
            Some(ParticipantMessage::Unmask(Unmask { self_masks, mask_secrets }))
        }
        Said::Bytes(bytes) => read(&bytes),
    }
}

fn say(session: &mut CoordinatorSession, who: usize, message: ParticipantMessage, is_pinned: bool) {
    let (who, roster) = (name(who), pinned());
    let before = session.has_answered(&who);
    let admitted = session.admit(&who, &message, is_pinned.then_some(&roster));
    if matches!(admitted, Ok(MessageAdmission::Welcome)) {
        assert!(!before);
        session.receive(&who, message.clone());
        let again = session.admit(&who, &message, is_pinned.then_some(&roster));
        assert_eq!(again, Ok(MessageAdmission::Duplicate));
    }
}

fuzz_target!(|play: Play| {
    let honest = &HONEST[usize::from(play.drops_out)];
    let stage = usize::from(play.stage) % 5;
    let mut session = honest.coordinator[stage].clone();
    for step in play.steps {
        match step {
            Step::Say { who, said } => {
                let Some(message) = message(honest, said) else { continue };
                // One more than there are: a stranger.
                say(&mut session, usize::from(who) % (N + 1), message, play.pinned);
            }
            Step::Close { survivors } => {
                let survivors: BTreeSet<_> =
                    (0..N).filter(|index| survivors >> index & 1 == 1).map(name).collect();
                if let Ok(next) = session.clone().close(&survivors) {
                    session = next;
                }
            }
        }
        (0..=N).for_each(|index| drop(session.messages(&name(index))));
        assert!(session.needed().1 > 0);
    }
    let unmasking = session.unmasking();
    if stage == Stage::Unmask as usize
        && let Ok(unmasking) = unmasking
    {
        assert_eq!(keystream(&unmasking.masks), honest.unmasking, "a sum is right or is not there");
    }
});
