use rand_chacha::rand_core::{CryptoRng, RngCore};

use super::*;
use crate::privacy::secagg::{
    AdvertiseKeys, AgreementPublic, Delivery, Index, RevealedShare, Roster, Signatures, Survivors, Unmask,
};

const N: usize = 5;

fn bench() -> Bench {
    Bench::new(header(5, 3, 0.333_333, 0.1), N, 7)
}

/// A session in which everyone has answered everything before this stage, and nobody this stage.
fn at(stage: Stage) -> Bench {
    let mut bench = bench();
    while bench.coordinator.stage() < stage {
        bench.deliver().unwrap();
        bench.close().unwrap();
    }
    bench
}

/// What the coordinator would tell this participant.
fn told(bench: &Bench, index: usize) -> CoordinatorMessage {
    bench.coordinator.messages(&name(index)).pop().unwrap()
}

fn reason(result: Result<(), ParticipantError>) -> &'static str {
    result.unwrap_err().reason().as_str()
}

/// The roster that an honest coordinator would hand out after everyone has advertised.
fn roster_of(bench: &mut Bench) -> Roster {
    bench.deliver().unwrap();
    let next = bench.coordinator.clone().close(&BTreeSet::new()).unwrap();
    let Some(CoordinatorMessage::Roster(roster)) = next.messages(&name(0)).pop() else { panic!() };
    roster
}

fn given_roster(change: impl FnOnce(&mut BTreeMap<ParticipantName, AdvertiseKeys>)) -> &'static str {
    let mut bench = bench();
    let mut roster = roster_of(&mut bench);
    change(&mut roster.0);
    let result = bench.tell(0, CoordinatorMessage::Roster(roster));
    assert!(bench.pending.is_empty(), "nothing leaves");
    reason(result)
}

#[test]
fn a_coordinator_that_swaps_a_key_in_the_roster_is_told_so_and_gets_no_shares() {
    let swapped = given_roster(|roster| {
        let other = roster[&name(2)].seal;
        roster.get_mut(&name(1)).unwrap().seal = other;
    });
    let mine = given_roster(|roster| {
        let other = roster[&name(1)].clone();
        roster.insert(name(0), other);
    });
    let stranger = given_roster(|roster| {
        let other = roster.remove(&name(1)).unwrap();
        roster.insert(name(99), other);
    });
    assert_eq!([swapped, mine, stranger], ["SECAGG_ROSTER"; 3]);
    assert_eq!(
        given_roster(|roster| assert!(roster.remove(&name(0)).is_some())),
        "SECAGG_ROSTER",
        "it is not in it"
    );
    assert_eq!(given_roster(|roster| roster.retain(|member, _| *member <= name(1))), "SECAGG_COHORT");
}

#[test]
fn participants_with_different_headers_do_not_take_each_others_keys() {
    let mut bench = bench();
    let other = Header { model: Digest::of(b"another model"), ..bench.header.clone() };
    let mut others = Bench::new(other, N, 8);
    let (mut roster, foreign) = (roster_of(&mut bench), roster_of(&mut others));
    roster.0.insert(name(1), foreign.0[&name(1)].clone());
    assert_eq!(reason(bench.tell(0, CoordinatorMessage::Roster(roster))), "SECAGG_ROSTER");
}

#[test]
fn any_byte_of_the_header_decides_about_every_mask() {
    // Two participants that do not check signatures, to see that the masks themselves depend on the header.
    let bytes = bench().header.to_bytes();
    let roster = roster_of(&mut bench());
    let terms = bench().header.terms;
    let id = |bytes: &[u8]| super::super::Cohort::new(bytes, &terms, &roster).unwrap().id;
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert_ne!(id(&changed), id(&bytes), "byte {place}");
    }
}

#[test]
fn shares_that_were_changed_or_are_anothers_end_the_session() {
    let mut bench = at(Stage::ShareKeys);
    bench.deliver().unwrap();
    let next = bench.coordinator.clone().close(&BTreeSet::new()).unwrap();
    let delivery = |index: usize| match next.messages(&name(index)).pop() {
        Some(CoordinatorMessage::Delivery(delivery)) => delivery,
        other => panic!("{other:?}"),
    };
    let changes: [fn(&mut Delivery, &Delivery); 4] = [
        |mine, others| assert!(mine.shares.insert(1, others.shares[&1].clone()).is_some()),
        |mine, _| assert!(mine.shares.remove(&1).is_some()),
        |mine, _| mine.shared = [0, 1].into(),
        |mine, _| assert!(mine.shared.remove(&0)),
    ];
    let mut reasons = Vec::new();
    for change in changes {
        let mut bench = at(Stage::ShareKeys);
        let mut mine = delivery(0);
        change(&mut mine, &delivery(2));
        reasons.push(reason(bench.tell(0, CoordinatorMessage::Delivery(mine))));
        assert!(bench.masked.is_empty(), "nothing is masked");
    }
    assert_eq!(reasons, ["SECAGG_SHARES", "SECAGG_SHARES", "SECAGG_SURVIVORS", "SECAGG_SURVIVORS"]);
}

fn announced(survivors: impl IntoIterator<Item = Index>) -> CoordinatorMessage {
    CoordinatorMessage::Survivors(Survivors(survivors.into_iter().collect()))
}

#[test]
fn a_coordinator_that_drops_too_many_or_announces_others_gets_no_signature() {
    for survivors in [vec![0], vec![0, 1], vec![1, 2, 3, 4], vec![0, 1, 2, 9]] {
        let mut bench = at(Stage::MaskedInput);
        assert_eq!(reason(bench.tell(0, announced(survivors))), "SECAGG_SURVIVORS");
        assert!(bench.pending.is_empty());
    }
}

#[test]
fn a_second_announcement_ends_the_session_and_the_same_one_is_answered_the_same() {
    let mut bench = at(Stage::MaskedInput);
    bench.tell(0, announced([0, 1, 2, 3, 4])).unwrap();
    let signed = bench.pending.remove(&0);
    assert!(signed.is_some());
    bench.tell(0, announced([0, 1, 2, 3, 4])).unwrap();
    assert_eq!(bench.pending.remove(&0), signed);
    assert_eq!(reason(bench.tell(0, announced([0, 1, 2, 3]))), "SECAGG_SECOND_ANNOUNCEMENT");
    // It is over: the first announcement is not answered any more either.
    assert_eq!(reason(bench.tell(0, announced([0, 1, 2, 3, 4]))), "SECAGG_STAGE");
    assert!(bench.pending.is_empty());
}

#[test]
fn without_a_quorum_of_signatures_under_the_same_announcement_nothing_is_revealed() {
    let mut bench = at(Stage::Consistency);
    bench.deliver().unwrap();
    let Some(CoordinatorMessage::Signatures(Signatures(all))) =
        bench.coordinator.clone().close(&BTreeSet::new()).unwrap().messages(&name(0)).pop()
    else {
        panic!()
    };
    assert_eq!(bench.header.terms.parameters(5).unwrap().quorum(), 4);
    let three: BTreeMap<_, _> = all.iter().take(3).map(|(index, signature)| (*index, *signature)).collect();
    assert_eq!(reason(bench.tell(0, CoordinatorMessage::Signatures(Signatures(three)))), "SECAGG_SIGNATURES");
    // One participant's signature in everyone's name.
    let same = all.keys().map(|index| (*index, all[&1])).collect();
    assert_eq!(reason(bench.tell(1, CoordinatorMessage::Signatures(Signatures(same)))), "SECAGG_SIGNATURES");
    assert!(bench.pending.is_empty());
    bench.tell(2, CoordinatorMessage::Signatures(Signatures(all))).unwrap();
    assert!(matches!(bench.pending[&2], ParticipantMessage::Unmask(_)));
}

#[test]
fn signatures_under_different_announcements_do_not_make_a_quorum() {
    // The coordinator tells two halves two different sets.
    let mut bench = at(Stage::MaskedInput);
    for index in 0..N {
        let survivors = if index < 3 { vec![0, 1, 2, 3, 4] } else { vec![0, 1, 3, 4] };
        bench.tell(index, announced(survivors)).unwrap();
    }
    let signatures: BTreeMap<Index, _> = std::mem::take(&mut bench.pending)
        .into_iter()
        .map(|(index, message)| match message {
            ParticipantMessage::Consistency(signed) => (u32::try_from(index).unwrap(), signed.0),
            other => panic!("{other:?}"),
        })
        .collect();
    for index in 0..N {
        let told = CoordinatorMessage::Signatures(Signatures(signatures.clone()));
        assert_eq!(reason(bench.tell(index, told)), "SECAGG_SIGNATURES");
    }
    assert!(bench.pending.is_empty());
}

#[test]
fn of_each_participant_one_share_is_revealed_once() {
    let mut bench = at(Stage::MaskedInput);
    bench.masked.remove(&4);
    bench.drop_out(4);
    bench.close().unwrap();
    bench.deliver().unwrap();
    bench.close().unwrap();
    for (index, message) in &bench.pending {
        let ParticipantMessage::Unmask(Unmask { self_masks, mask_secrets }) = message else { panic!() };
        assert!(self_masks.keys().copied().eq(0..4), "{index}: of those whose vectors are in");
        assert!(mask_secrets.keys().copied().eq([4]), "{index}: of the one who dropped out");
    }
    let again = told(&bench, 0);
    let before = bench.pending.clone();
    bench.tell(0, again).unwrap();
    assert_eq!(bench.pending, before, "asked again it says the same");
    let CoordinatorMessage::Signatures(Signatures(mut fewer)) = told(&bench, 1) else { panic!() };
    fewer.remove(&3);
    assert_eq!(reason(bench.tell(1, CoordinatorMessage::Signatures(Signatures(fewer)))), "SECAGG_STAGE");
}

#[test]
fn messages_of_a_later_stage_or_of_an_old_session_end_the_session() {
    let mut bench = bench();
    assert_eq!(reason(bench.tell(0, announced([0, 1, 2, 3, 4]))), "SECAGG_STAGE");
    // A whole roster of an old session: this participant's keys are others.
    let (mut old, mut new) =
        (Bench::new(header(5, 3, 0.333_333, 0.1), N, 1), Bench::new(header(5, 3, 0.333_333, 0.1), N, 2));
    let replayed = roster_of(&mut old);
    assert_eq!(reason(new.tell(0, CoordinatorMessage::Roster(replayed))), "SECAGG_ROSTER");
}

#[test]
fn a_participants_floors_win_over_what_the_coordinator_asks() {
    let mut bench = Bench::new(header(5, 3, 0.0, 0.0), N, 3);
    let roster = roster_of(&mut bench);
    let site = |min_cohort, min_threshold| Site {
        name: name(0),
        signing: signing(0),
        roster: super::roster(N),
        min_cohort,
        min_threshold,
    };
    for (site, expected) in [(site(6, 2), "SECAGG_COHORT"), (site(3, 4), "SECAGG_THRESHOLD")] {
        let begun = AdvertisedKeys::begin(Arc::new(site), bench.header.clone(), &mut bench.entropy);
        let mut roster = roster.clone();
        roster.0.insert(name(0), begun.1.clone());
        let mut session = ParticipantSession::new(begun);
        let result = session.handle(CoordinatorMessage::Roster(roster), &mut bench.entropy);
        assert_eq!(result.unwrap_err().reason().as_str(), expected);
    }
}

/// A generator that gives one byte only: whatever is secret shows in what it made.
struct Telltale;

impl RngCore for Telltale {
    fn next_u32(&mut self) -> u32 {
        0xabab_abab
    }

    fn next_u64(&mut self) -> u64 {
        0xabab_abab_abab_abab
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(0xab);
    }
}

impl CryptoRng for Telltale {}

#[test]
fn a_session_prints_none_of_its_secrets_at_any_stage_and_wipes_them() {
    let check = |printed: &str| {
        for secret in ["171, 171", "abab", "ABAB"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    };
    let site = Site {
        name: name(0),
        signing: SigningSecret::from_seed(Zeroizing::new([0xab; 32])),
        roster: roster(N),
        min_cohort: 3,
        min_threshold: 2,
    };
    let (advertised, _) = AdvertisedKeys::begin(Arc::new(site), bench().header, &mut Telltale);
    check(&format!("{advertised:?} {advertised:#?}"));
    for stage in STAGES {
        let bench = at(stage);
        let printed = format!("{:?}", bench.participants);
        // Shares are random: that none is printed shows in what is printed of them.
        for hidden in ["ShareValue(..)", "SelfMaskSecret(..)", "MaskSecret(..)", "SealSecret(..)"] {
            let kind = hidden.trim_end_matches("(..)");
            assert_eq!(
                printed.matches(&format!("{kind}(")).count(),
                printed.matches(hidden).count(),
                "{printed}"
            );
        }
    }
    assert!(std::mem::needs_drop::<AdvertisedKeys>(), "secrets are wiped when they are dropped");
    assert!(std::mem::needs_drop::<crate::privacy::secagg::ShareValue>());
}

fn refused(bench: &Bench, index: usize, message: &ParticipantMessage) -> &'static str {
    bench.coordinator.admit(&name(index), message, Some(&bench.roster)).unwrap_err().reason().as_str()
}

#[test]
fn keys_of_low_order_of_others_or_not_signed_are_refused_by_the_coordinator() {
    let mut bench = bench();
    let ParticipantMessage::AdvertiseKeys(keys) = bench.pending[&0].clone() else { panic!() };
    let of = |keys| ParticipantMessage::AdvertiseKeys(keys);
    let low = AgreementPublic::from([0; 32]);
    assert_eq!(refused(&bench, 0, &of(AdvertiseKeys { mask: low, ..keys.clone() })), "SECAGG_ROSTER");
    assert_eq!(refused(&bench, 0, &of(AdvertiseKeys { mask: keys.seal, ..keys.clone() })), "SECAGG_ROSTER");
    assert_eq!(refused(&bench, 1, &of(keys.clone())), "SECAGG_ROSTER", "another's keys");
    bench.deliver().unwrap();
    assert_eq!(refused(&bench, 0, &of(AdvertiseKeys { seal: keys.mask, ..keys })), "SECAGG_CONFLICT");
}

#[test]
fn shares_for_others_than_the_neighbours_are_refused_by_the_coordinator() {
    let bench = at(Stage::ShareKeys);
    let ParticipantMessage::ShareKeys(mut shares) = bench.pending[&0].clone() else { panic!() };
    let one = shares.0.remove(&1).unwrap();
    assert_eq!(refused(&bench, 0, &ParticipantMessage::ShareKeys(shares.clone())), "SECAGG_SHARES");
    shares.0.insert(0, one);
    assert_eq!(refused(&bench, 0, &ParticipantMessage::ShareKeys(shares)), "SECAGG_SHARES");
    assert_eq!(refused(&bench, 99, &bench.pending[&0]), "SECAGG_STAGE", "not in the roster");
}

fn unmask_with(change: impl Fn(usize, &mut Unmask), dropped: bool) -> Bench {
    let mut bench = at(Stage::MaskedInput);
    if dropped {
        bench.masked.remove(&4);
        bench.drop_out(4);
    }
    bench.close().unwrap();
    bench.deliver().unwrap();
    bench.close().unwrap();
    for (index, message) in &mut bench.pending {
        let ParticipantMessage::Unmask(unmask) = message else { panic!() };
        change(*index, unmask);
    }
    bench
}

#[test]
fn both_shares_of_one_participant_are_not_taken() {
    let bench = unmask_with(
        |_, unmask| assert!(unmask.mask_secrets.insert(1, RevealedShare::from([0; 32])).is_none()),
        false,
    );
    assert_eq!(refused(&bench, 0, &bench.pending[&0]), "SECAGG_SHARES");
}

#[test]
fn a_liar_among_those_who_reveal_shares_is_named_and_the_sum_is_right() {
    let lie = |index: usize, unmask: &mut Unmask| {
        if index == 1 {
            unmask.self_masks.insert(0, RevealedShare::from([9; 32]));
        }
    };
    let mut bench = unmask_with(lie, false);
    bench.deliver().unwrap();
    let unmasking = bench.coordinator.unmasking().unwrap();
    assert_eq!(unmasking.liars, [name(1)].into());
    let mut total = vec![0; ELEMENTS * MODULUS.bytes()];
    bench.masked.values().for_each(|vector| add(MODULUS, &mut total, vector).unwrap());
    apply(&unmasking.masks, &mut total);
    assert_eq!(total, sum(0..N));
}

#[test]
fn with_too_many_liars_nothing_is_unmasked() {
    // Four shares are there of the one who dropped out, and four are needed.
    let lie = |index: usize, unmask: &mut Unmask| {
        if index == 1 {
            unmask.mask_secrets.insert(4, RevealedShare::from([9; 32]));
        }
    };
    let mut bench = unmask_with(lie, true);
    bench.deliver().unwrap();
    let found = bench.coordinator.unmasking().unwrap_err();
    assert_eq!(found, UnmaskError::Wrong { of: name(4) });
}

#[test]
fn a_coordinator_that_cuts_an_arc_out_of_the_ring_gets_no_signature_from_anybody() {
    let mut bench = Bench::new(header(300, 280, 0.05, 0.05), 300, 5);
    for _ in 0..2 {
        bench.deliver().unwrap();
        bench.close().unwrap();
    }
    let graph = bench.coordinator.cohort().unwrap().graph.clone();
    let arc: BTreeSet<Index> = graph.neighbours(0).collect();
    let survivors: Vec<Index> = (0..300).filter(|index| !arc.contains(index)).collect();
    assert!(survivors.len() > 200, "there would be enough: {}", bench.header.terms.min_survivors());
    for index in survivors.iter().map(|index| usize::try_from(*index).unwrap()).step_by(17) {
        assert_eq!(reason(bench.tell(index, announced(survivors.clone()))), "SECAGG_SURVIVORS");
    }
    assert!(bench.pending.is_empty());
}
