use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::{
    privacy::{
        dp::{Accountant, Composition, Delta, Epsilon, MechanismStep, NoiseMultiplier, SamplingRate},
        secagg::SigningSecret,
    },
    time::Timestamp,
};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn key() -> SigningSecret {
    SigningSecret::from_seed(Zeroizing::new([7; 32]))
}

fn budget(epsilon: f64) -> Budget {
    Budget {
        unit: PrivacyUnit::Record,
        adjacency: Adjacency::AddRemove,
        epsilon: Epsilon::new(epsilon).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        accountant: Accountant::Rdp,
    }
}

fn charge(noise: f64) -> Composition {
    let noise_multiplier = NoiseMultiplier::new(noise).unwrap();
    MechanismStep { noise_multiplier, sampling_rate: SamplingRate::FULL, rounds: 1.try_into().unwrap() }
        .into()
}

/// A ledger and the file that its owner has.
struct Owner {
    file: String,
    ledger: Ledger,
}

impl Owner {
    fn open(epsilon: f64) -> Self {
        let (ledger, file) = Ledger::open("cleveland", budget(epsilon), &key(), AT).unwrap();
        Self { file, ledger }
    }

    fn plan(&mut self, release: &str, noise: f64) {
        let (ledger, line) = self.ledger.clone().plan(release, &charge(noise), &key(), AT).unwrap();
        self.ledger = ledger;
        self.file.push_str(&line.unwrap_or_default());
    }

    fn reserve(&mut self, release: &str, occasion: &str) -> Result<Granted, OverBudget> {
        let (next, line, result) = match self.ledger.clone().reserve(release, occasion, &key(), AT).unwrap() {
            Reservation::Granted { ledger, line, granted } => (ledger, line, Ok(granted)),
            Reservation::Refused { ledger, line, error } => (ledger, line, Err(error)),
        };
        self.ledger = next;
        self.file.push_str(&line);
        result
    }

    fn commit(&mut self, granted: Granted) {
        let (ledger, line) = self.ledger.clone().commit(granted, &key(), AT).unwrap();
        self.ledger = ledger;
        self.file.push_str(&line);
    }

    fn epsilon(&self) -> f64 {
        self.ledger.spent().unwrap().epsilon
    }
}

/// A ledger of several releases, the last of them not committed.
fn used() -> Owner {
    let mut owner = Owner::open(4.0);
    owner.plan("heart", 5.0);
    for round in 1..=3 {
        let granted = owner.reserve("heart", &format!("round {round}/attempt 1")).unwrap();
        if round < 3 {
            owner.commit(granted);
        }
    }
    owner
}

#[test]
fn a_ledger_is_what_its_lines_give() {
    let owner = used();
    assert_eq!(Ledger::verify(owner.file.as_bytes(), &key().public()), Ok(owner.ledger.clone()));
    assert_eq!((owner.ledger.reserved(), owner.ledger.committed()), (3, 2));
    assert_eq!(owner.ledger.total().rounds(), 3);
    assert_eq!(owner.file.lines().count(), 1 + 1 + 3 + 2);
    assert!(owner.file.starts_with("{\"sequence\":0,\"previous\":\""));
    assert_eq!(owner.ledger.subject(), "cleveland");
}

#[test]
fn what_would_exceed_the_budget_is_refused_and_spends_nothing() {
    let mut owner = Owner::open(4.0);
    owner.plan("heart", 2.0);
    let left = owner.ledger.left("heart").unwrap();
    assert!(left > 1);
    for round in 0..left {
        assert_eq!(owner.ledger.left("heart").unwrap(), left - round);
        let _granted = owner.reserve("heart", &round.to_string()).unwrap();
    }
    let before = owner.epsilon();
    assert!(before <= 4.0);
    let refused = owner.reserve("heart", "once more").unwrap_err();
    assert!(refused.would_be.unwrap() > 4.0, "{refused}");
    assert!(refused.to_string().contains("the privacy budget is epsilon 4 with delta 0.00001"), "{refused}");
    assert_eq!((owner.epsilon(), owner.ledger.refused()), (before, 1));
    assert_eq!(Ledger::verify(owner.file.as_bytes(), &key().public()), Ok(owner.ledger));
}

#[test]
fn a_release_has_one_charge_and_is_planned_first() {
    let mut owner = Owner::open(4.0);
    owner.plan("heart", 5.0);
    let again = owner.ledger.clone().plan("heart", &charge(5.0), &key(), AT).unwrap();
    assert_eq!(again, (owner.ledger.clone(), None));
    let other = owner.ledger.clone().plan("heart", &charge(6.0), &key(), AT);
    assert_eq!(other, Err(LedgerError::Replanned { release: "heart".to_owned() }));
    let unplanned = owner.ledger.reserve("lungs", "1", &key(), AT).unwrap_err();
    assert_eq!(unplanned, LedgerError::Unplanned { release: "lungs".to_owned() });
}

#[test]
fn any_bit_that_is_flipped_anywhere_is_found() {
    let file = used().file.into_bytes();
    for place in 0..file.len() {
        for bit in [0, 5, 7] {
            let mut changed = file.clone();
            changed[place] ^= 1 << bit;
            assert!(Ledger::verify(&changed, &key().public()).is_err(), "bit {bit} of byte {place}");
        }
    }
}

#[test]
fn lines_left_out_doubled_or_swapped_are_found() {
    let file = used().file;
    let lines: Vec<&str> = file.split_inclusive('\n').collect();
    for line in 0..lines.len() - 1 {
        let mut missing = lines.clone();
        missing.remove(line);
        assert!(Ledger::verify(missing.concat().as_bytes(), &key().public()).is_err(), "without {line}");
        let mut swapped = lines.clone();
        swapped.swap(line, line + 1);
        assert!(Ledger::read(swapped.concat().as_bytes(), &key().public()).is_err(), "{line} swapped");
        let mut doubled = lines.clone();
        doubled.insert(line, lines[line]);
        assert!(Ledger::read(doubled.concat().as_bytes(), &key().public()).is_err(), "{line} twice");
    }
    let stranger = SigningSecret::from_seed(Zeroizing::new([8; 32])).public();
    assert_eq!(Ledger::verify(file.as_bytes(), &stranger), Err(LedgerError::Signature { line: 1 }));
}

/// What was spent is never less than what was reserved durably, and the cut-off line counts.
fn killed_after(file: &[u8], length: usize) {
    let public = key().public();
    let kept = &file[..length];
    let Ok((ledger, tail)) = Ledger::read(kept, &public) else {
        // The first line is not whole: nothing can have been spent.
        assert!(!kept.contains(&b'\n'));
        return;
    };
    let lines = kept.iter().filter(|byte| **byte == b'\n').count();
    let Some(tail) = tail else {
        assert_eq!(kept.last(), Some(&b'\n'));
        return;
    };
    assert_eq!(Ledger::verify(kept, &public), Err(LedgerError::Torn { bytes: tail.len() }));
    let (mended, line) = ledger.clone().mend(&tail, &key(), AT).unwrap();
    let file = [kept, line.as_bytes()].concat();
    assert_eq!(Ledger::verify(&file, &public), Ok(mended.clone()));
    assert_eq!(mended.torn(), 1);
    let planned = lines >= 2;
    let more = mended.spent().unwrap().epsilon > ledger.spent().unwrap().epsilon;
    assert_eq!(more, planned, "counts as spent once there is something to spend");
    // Killed again while noting it, at some bytes.
    for length in (kept.len()..file.len()).step_by(41) {
        let (again, tail) = Ledger::read(&file[..length], &public).unwrap();
        let (mended, line) = again.mend(&tail.unwrap(), &key(), AT).unwrap();
        let file = [&file[..length], line.as_bytes()].concat();
        assert_eq!(Ledger::verify(&file, &public), Ok(mended));
    }
}

#[test]
fn a_line_that_is_cut_off_at_any_byte_is_noticed_and_counts_as_spent() {
    let file = used().file.into_bytes();
    // Every 53rd byte, and each next to a line break.
    let near = |length: usize| file[length - 1] == b'\n' || file.get(length) == Some(&b'\n');
    (1..=file.len())
        .filter(|length| length % 53 == 0 || near(*length))
        .for_each(|length| killed_after(&file, length));
}

#[test]
fn damage_before_the_last_line_is_no_crash() {
    let mut file = used().file.into_bytes();
    let middle = file.len() / 2;
    file[middle] ^= 1;
    assert!(Ledger::read(&file, &key().public()).is_err());
}

#[test]
fn two_last_lines_that_are_damaged_are_no_crash_either() {
    let file = used().file;
    let lines: Vec<&str> = file.split_inclusive('\n').collect();
    let damaged = |lines: &[&str], from: usize| {
        let mut file = lines.concat().into_bytes();
        let end = file.len() - lines[from..].concat().len();
        file[end..].iter_mut().filter(|byte| **byte == b'e').for_each(|byte| *byte = b'f');
        Ledger::read(&file, &key().public())
    };
    let last = lines.len() - 1;
    let (_, tail) = damaged(&lines, last).unwrap();
    assert_eq!(tail.unwrap().len(), lines[last].len(), "one may be a crash's, and counts as spent");
    assert!(damaged(&lines, last - 1).is_err());
}

#[test]
fn a_line_that_was_cut_off_is_no_release_that_could_not_be_granted() {
    let mut owner = Owner::open(4.0);
    owner.plan("heart", 5.0);
    // By itself beyond the budget, and beyond any.
    owner.plan("lungs", 0.5);
    owner.plan("liver", 1e-6);
    assert!(owner.reserve("lungs", "1").is_err());
    assert!(owner.reserve("liver", "1").unwrap_err().would_be.is_none_or(|epsilon| epsilon > 1e9));
    owner.file.push_str("{\"seq");
    let (ledger, tail) = Ledger::read(owner.file.as_bytes(), &key().public()).unwrap();
    let (mended, _) = ledger.mend(&tail.unwrap(), &key(), AT).unwrap();
    assert_eq!(mended.total(), &charge(5.0));
}

#[test]
fn the_exact_accountant_is_not_asked_about_sampled_rounds() {
    let exact = Budget { accountant: Accountant::Gaussian, ..budget(4.0) };
    let (ledger, _) = Ledger::open("cleveland", exact, &key(), AT).unwrap();
    let half = SamplingRate::new(0.5).unwrap();
    let sampled =
        charge(5.0).steps().iter().map(|step| MechanismStep { sampling_rate: half, ..*step }).collect();
    assert!(matches!(ledger.clone().plan("heart", &sampled, &key(), AT), Err(LedgerError::Accountant(_))));
    assert!(ledger.plan("heart", &charge(5.0), &key(), AT).is_ok());
}

#[test]
fn a_closer_accountant_grants_more_and_exactly_as_many_as_it_says_are_left() {
    let left = |accountant| {
        let (ledger, _) =
            Ledger::open("cleveland", Budget { accountant, ..budget(1.0) }, &key(), AT).unwrap();
        let (mut ledger, _) = ledger.plan("heart", &charge(15.0), &key(), AT).unwrap();
        let left = ledger.left("heart").unwrap();
        for round in 0..left {
            let found = ledger.reserve("heart", &round.to_string(), &key(), AT).unwrap();
            let Reservation::Granted { ledger: next, .. } = found else {
                panic!("{accountant}: {round} of {left}")
            };
            ledger = next;
        }
        assert!(ledger.spent().unwrap().epsilon <= 1.0);
        assert!(matches!(ledger.reserve("heart", "x", &key(), AT), Ok(Reservation::Refused { .. })));
        left
    };
    let [rdp, pld, exact] = [Accountant::Rdp, Accountant::Pld, Accountant::Gaussian].map(left);
    assert!(rdp < pld && pld <= exact, "{rdp} {pld} {exact}");
}

#[test]
fn what_was_counted_before_is_what_is_counted_again() {
    let close = Budget { accountant: Accountant::Gaussian, ..budget(1.0) };
    let (ledger, _) = Ledger::open("cleveland", close, &key(), AT).unwrap();
    let (ledger, _) = ledger.plan("heart", &charge(8.0), &key(), AT).unwrap();
    let (mut ledger, _) = ledger.plan("lungs", &charge(9.0), &key(), AT).unwrap();
    let asked_anew = |ledger: &Ledger| Accountant::Gaussian.epsilon(ledger.total(), close.delta).unwrap();
    let mut refused = Vec::new();
    for release in ["heart", "heart", "heart", "heart", "lungs", "heart", "heart"] {
        match ledger.reserve(release, "x", &key(), AT).unwrap() {
            Reservation::Granted { ledger: next, .. } => ledger = next,
            Reservation::Refused { ledger: next, error, .. } => {
                assert_eq!(error.spent.to_bits(), asked_anew(&next).epsilon.to_bits());
                refused.push(error);
                ledger = next;
            }
        }
        assert_eq!(ledger.spent().unwrap(), asked_anew(&ledger));
    }
    assert!(refused.len() >= 3, "{refused:?}");
    assert_eq!(refused[refused.len() - 1], refused[refused.len() - 2]);
    let (raised, _) =
        ledger.rebudget(&Budget { epsilon: Epsilon::new(2.0).unwrap(), ..close }, &key(), AT).unwrap();
    assert!(matches!(raised.reserve("heart", "x", &key(), AT), Ok(Reservation::Granted { .. })));
}

#[test]
fn the_page_says_what_the_ledger_holds_and_no_terminal_obeys_it() {
    let mut owner = used();
    owner.plan("\u{1b}[2Jlungs", 50.0);
    let summary = owner.ledger.summary().unwrap();
    assert_eq!((summary.reserved, summary.released, summary.refused, summary.torn), (3, 2, 0, 0));
    let page = summary.to_string();
    for part in [
        "privacy ledger of cleveland\n",
        "limit      epsilon 4 with delta 0.00001\n",
        "releases   3 reserved, of which 2 released for certain; 0 refused\n",
        "lines      8, the last of 2023-11-14T22:13:20Z\n",
        "\nheart                  3         2        0 ",
        "\n\\u{1b}[2Jlungs         0         0        0 ",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains('\u{1b}'));
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["releases"][1]["left_at_least"], owner.ledger.left("heart").unwrap());
    assert_eq!(json["budget"]["epsilon"], 4.0);
    let late = Timestamp::from_millis(u64::MAX);
    let (ledger, _) = Ledger::open("x", budget(1.0), &key(), late).unwrap();
    assert!(ledger.summary().unwrap().to_string().contains("18446744073709551615 ms after 1970"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// However releases of different charges follow each other: what the ledger says is what the accountant says of all.
    #[test]
    fn what_is_spent_is_the_composition_of_everything_reserved(releases in prop::collection::vec(0_usize..3, 0..12)) {
        let noises = [8.0, 5.0, 20.0];
        let mut owner = Owner::open(1_000.0);
        let mut expected = Composition::EMPTY;
        for (number, noise) in noises.iter().enumerate() {
            owner.plan(&number.to_string(), *noise);
        }
        for release in releases {
            let _granted = owner.reserve(&release.to_string(), "x").unwrap();
            charge(noises[release]).steps().iter().for_each(|step| expected.push(*step));
        }
        prop_assert_eq!(owner.ledger.total(), &expected);
        prop_assert_eq!(Ledger::verify(owner.file.as_bytes(), &key().public()), Ok(owner.ledger));
    }
}
