#![no_main]
//! A participant's session of secure aggregation, and a coordinator that says anything at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use arbitrary::Arbitrary;
use federated_core::privacy::secagg::{
    CoordinatorMessage, Delivery, ParticipantMessage, ParticipantProtocol as _, Reply, Roster, ShareKeys, Signatures, Stage, Survivors,
};
use federated_fuzz::{
    patched,
    sessions::{Honest, N, name},
};
use federated_proto::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message;

static HONEST: LazyLock<[Honest; 2]> = LazyLock::new(|| [Honest::new(false), Honest::new(true)]);

#[derive(Arbitrary, Debug)]
struct Play {
    drops_out: bool,
    /// Which participant, and where it begins: everything before was honest.
    who: u8,
    stage: u8,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Told(Told),
    Mask,
}

#[derive(Arbitrary, Debug)]
enum Told {
    /// What an honest coordinator says, or says to another, or at another stage; with bytes changed.
    Honest {
        to: u8,
        stage: u8,
        other: bool,
        patches: Vec<(u16, u8)>,
    },
    /// Names with keys of somebody.
    Roster(Vec<(u8, u8)>),
    /// Senders with shares that this one sealed for that one.
    Delivery {
        shared: BTreeSet<u8>,
        shares: BTreeMap<u8, (u8, u8)>,
    },
    Survivors(BTreeSet<u8>),
    /// Indices with the signatures of somebody.
    Signatures(BTreeMap<u8, u8>),
    Bytes(Vec<u8>),
}

fn message(honest: &Honest, told: Told) -> Option<CoordinatorMessage> {
    let read = |bytes: &[u8]| v1::SecureDirective::decode(bytes).ok()?.message?.try_into().ok();
    let said = |stage: Stage, of: u8| honest.answers[stage as usize][usize::from(of) % N].clone();
    Some(match told {
        Told::Honest { to, stage, other, patches } => {
            let honest = if other { &HONEST[0] } else { honest };
            let told = honest.told[usize::from(stage) % 5][usize::from(to) % N].as_ref()?;
            let wire = v1::SecureDirective { task: None, message: Some(told.into()) };
            read(&patched(wire.encode_to_vec(), &patches))?
        }
        Told::Roster(members) => {
            let member = |(who, of): (u8, u8)| match said(Stage::AdvertiseKeys, of)? {
                ParticipantMessage::AdvertiseKeys(keys) => Some((name(who.into()), keys)),
                _ => None,
            };
            CoordinatorMessage::Roster(Roster(members.into_iter().filter_map(member).collect()))
        }
        Told::Delivery { shared, shares } => {
            let sealed = |(from, (of, to)): (u8, (u8, u8))| match said(Stage::ShareKeys, of)? {
                ParticipantMessage::ShareKeys(ShareKeys(shares)) => {
                    Some((from.into(), shares.get(&to.into())?.clone()))
                }
                _ => None,
            };
            CoordinatorMessage::Delivery(Delivery {
                shared: shared.into_iter().map(Into::into).collect(),
                shares: shares.into_iter().filter_map(sealed).collect(),
            })
        }
        Told::Survivors(survivors) => {
            CoordinatorMessage::Survivors(Survivors(survivors.into_iter().map(Into::into).collect()))
        }
        Told::Signatures(signatures) => {
            let signed = |(index, of): (u8, u8)| match said(Stage::Consistency, of)? {
                ParticipantMessage::Consistency(signed) => Some((index.into(), signed.0)),
                _ => None,
            };
            CoordinatorMessage::Signatures(Signatures(signatures.into_iter().filter_map(signed).collect()))
        }
        Told::Bytes(bytes) => read(&bytes)?,
    })
}

fuzz_target!(|play: Play| {
    let honest = &HONEST[usize::from(play.drops_out)];
    let (mut session, mut entropy) =
        honest.participant(usize::from(play.who) % N, usize::from(play.stage) % 5);
    let (mut over, mut signed, mut revealed) = (false, None, None);
    if let Some(ParticipantMessage::Consistency(message)) = session.sent() {
        signed = Some(message.clone());
    }
    for step in play.steps {
        let told = match step {
            Step::Told(told) => told,
            Step::Mask => {
                let masks = session.masks();
                assert!(!over || masks.is_err());
                continue;
            }
        };
        let Some(message) = message(honest, told) else { continue };
        let reply = session.handle(message, &mut entropy);
        assert!(!over || reply.is_err(), "a session that is over stays over");
        match reply {
            Err(_) => over = true,
            Ok(Reply::RecordAndSend(message) | Reply::Send(ParticipantMessage::Consistency(message))) => {
                assert_eq!(*signed.get_or_insert(message.clone()), message, "it signs once");
            }
            Ok(Reply::Send(ParticipantMessage::Unmask(shares))) => {
                assert!(signed.is_some());
                assert!(shares.self_masks.keys().all(|index| !shares.mask_secrets.contains_key(index)));
                assert_eq!(*revealed.get_or_insert(shares.clone()), shares, "it reveals once");
            }
            Ok(_) => {}
        }
    }
});
