use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use federated_core::{
    ids::{Digest, Fingerprint},
    privacy::secagg::{
        AgreementPublic, Mask, MaskSecret, MaskSeed, Modulus, PreparedMask, SelfMaskSecret, SessionId, Sign,
        add, apply,
        keys::{pair_seed, self_seed},
    },
};

use super::{
    Checked,
    difference::{bytes32, equal_all, equal_hex},
    schema,
};

/// Makes a whole session again: keys, seeds, masks, masked inputs and their sum.
pub(super) fn check(session: &schema::Session, at: &str, checked: &mut Checked) -> Result<()> {
    let made = Session::of(session, at)?;
    check_pairs(&made, &session.pair_seeds, at)?;
    let mut sum = made.zeros(session.sum_all.len())?;
    for (nth, participant) in session.participants.iter().enumerate() {
        let at = format!("{at}.participants[{nth}]");
        let masked = check_participant(&made, participant, &at)?;
        ensure!(masked.len() == sum.len(), "{at}.input: expected as many elements as sum_all has");
        add(made.modulus, &mut sum, &masked)?;
    }
    for participant in made.participants.values() {
        apply(made.modulus, &[prepared(&participant.self_seed, Sign::Subtract)?], 0, &mut sum)?;
    }
    equal_all(&format!("{at}.sum_all"), &session.sum_all, &made.elements(&sum))?;
    for (name, long) in schema::named("long_mask", &session.long_mask) {
        let mut mask = made.zeros(long.elements)?;
        let seed = made.pair(long.lo, long.hi, &format!("{at}.{name}"))?;
        apply(made.modulus, &[prepared(&seed, Sign::Add)?], 0, &mut mask)?;
        equal_hex(&format!("{at}.{name}.sha256"), &long.sha256, Fingerprint::of(&mask).as_bytes())?;
        checked.long_masks += 1;
    }
    checked.sessions += 1;
    checked.participants += session.participants.len();
    checked.pairs += session.pair_seeds.len();
    Ok(())
}

struct Participant {
    secret: MaskSecret,
    public: AgreementPublic,
    self_seed: MaskSeed,
}

struct Session {
    modulus: Modulus,
    session: SessionId,
    model: Digest,
    participants: BTreeMap<u32, Participant>,
}

impl Session {
    /// Makes keys and self seeds, and compares them.
    fn of(file: &schema::Session, at: &str) -> Result<Self> {
        let mut made = Self {
            modulus: Modulus::try_from(file.modulus_bits).with_context(|| format!("{at}.modulus_bits"))?,
            session: bytes32(&format!("{at}.session_id"), &file.session_id)?.into(),
            model: bytes32(&format!("{at}.model_hash"), &file.model_hash)?.into(),
            participants: BTreeMap::new(),
        };
        for (nth, participant) in file.participants.iter().enumerate() {
            let at = |field: &str| format!("{at}.participants[{nth}].{field}");
            let secret = bytes32(&at("mask_secret_key"), &participant.mask_secret_key)?;
            let secret = MaskSecret::from_bytes(secret.into());
            let public = secret.public();
            equal_hex(&at("mask_public_key"), &participant.mask_public_key, public.as_bytes())?;
            let own = bytes32(&at("self_mask_secret"), &participant.self_mask_secret)?;
            let own = SelfMaskSecret::from_bytes(own.into());
            let self_seed = self_seed(&own, &made.session, participant.index, &made.model);
            equal_hex(&at("self_seed"), &participant.self_seed, self_seed.as_bytes())?;
            let twice =
                made.participants.insert(participant.index, Participant { secret, public, self_seed });
            ensure!(twice.is_none(), "{}: expected each index once", at("index"));
        }
        Ok(made)
    }

    fn participant(&self, index: u32, at: &str) -> Result<&Participant> {
        self.participants.get(&index).with_context(|| format!("{at}: there is no participant {index}"))
    }

    /// The seed between two participants, as the first of them makes it.
    fn pair(&self, me: u32, them: u32, at: &str) -> Result<MaskSeed> {
        let (mine, theirs) = (self.participant(me, at)?, self.participant(them, at)?);
        pair_seed(&mine.secret, &theirs.public, &self.session, me, them, &self.model)
            .with_context(|| at.to_owned())
    }

    fn zeros(&self, elements: usize) -> Result<Vec<u8>> {
        Ok(vec![0; elements.checked_mul(self.modulus.bytes()).context("a vector that fits into memory")?])
    }

    fn elements(&self, bytes: &[u8]) -> Vec<u64> {
        let element =
            |bytes: &[u8]| bytes.iter().rev().fold(0, |element, byte| element << 8 | u64::from(*byte));
        bytes.chunks(self.modulus.bytes()).map(element).collect()
    }

    fn bytes(&self, elements: &[u64], at: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (nth, element) in elements.iter().enumerate() {
            let element_bytes = element.to_le_bytes();
            let (low, high) = element_bytes.split_at(self.modulus.bytes());
            ensure!(high.iter().all(|byte| *byte == 0), "{at}[{nth}]: {element} is not below the modulus");
            bytes.extend_from_slice(low);
        }
        Ok(bytes)
    }
}

fn prepared(seed: &MaskSeed, sign: Sign) -> Result<PreparedMask> {
    Ok(Mask { seed: MaskSeed::new((*seed.as_bytes()).into()), sign }.prepare()?)
}

/// Both of a pair must make the file's seed, and that must make its mask.
fn check_pairs(made: &Session, pairs: &[schema::Pair], at: &str) -> Result<()> {
    for (nth, pair) in pairs.iter().enumerate() {
        let at = |field: &str| format!("{at}.pair_seeds[{nth}].{field}");
        ensure!(pair.lo < pair.hi, "{}: expected a number below {}, found {}", at("lo"), pair.hi, pair.lo);
        let seed = made.pair(pair.lo, pair.hi, &at("hi"))?;
        equal_hex(&at("seed"), &pair.seed, seed.as_bytes())?;
        equal_hex(&at("seed"), &pair.seed, made.pair(pair.hi, pair.lo, &at("lo"))?.as_bytes())?;
        let mut mask = made.zeros(pair.mask.len())?;
        apply(made.modulus, &[prepared(&seed, Sign::Add)?], 0, &mut mask)?;
        equal_all(&at("mask"), &pair.mask, &made.elements(&mask))?;
    }
    Ok(())
}

/// Masks one participant's input, and compares it.
fn check_participant(made: &Session, participant: &schema::Participant, at: &str) -> Result<Vec<u8>> {
    let me = participant.index;
    let mut masks = vec![prepared(&made.participant(me, at)?.self_seed, Sign::Add)?];
    for them in made.participants.keys().filter(|them| **them != me) {
        let sign = if me < *them { Sign::Add } else { Sign::Subtract };
        masks.push(prepared(&made.pair(me, *them, at)?, sign)?);
    }
    let mut vector = made.bytes(&participant.input, &format!("{at}.input"))?;
    apply(made.modulus, &masks, 0, &mut vector)?;
    equal_all(&format!("{at}.masked_input"), &participant.masked_input, &made.elements(&vector))?;
    Ok(vector)
}
