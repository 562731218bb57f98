//! What a schedule is, and how one is drawn from a seed.

use federated_core::privacy::secagg::Stage;

use crate::dice::Dice;

/// A federation and what happens to it. The same schedule gives the same run, to the last byte of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) setup: Setup,
    pub(crate) ops: Vec<Op>,
}

/// The federation of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// 3 to 5.
    pub(crate) sites: u8,
    pub(crate) rounds: u8,
    pub(crate) attempts: u8,
    /// At least 3.
    pub(crate) min_participants: u8,
    pub(crate) quorum: u8,
    /// A third of the participants may be corrupt; else nobody: then fewer are enough to go on.
    pub(crate) third: bool,
    /// A round closes when most have delivered; else it waits for all.
    pub(crate) early: bool,
    /// The coordinator checks signatures itself.
    pub(crate) pinned: bool,
    /// Bits of an element: 16, 24 or 32.
    pub(crate) modulus: u8,
    /// In which order things happen that may happen in any order; and the randomness of the participants.
    pub(crate) order: u64,
}

impl Setup {
    /// So many sites, one of which may drop out; one round.
    pub(crate) const fn of(sites: u8) -> Self {
        Self {
            sites,
            rounds: 1,
            attempts: 2,
            min_participants: 3,
            quorum: 2,
            third: false,
            early: false,
            pinned: true,
            modulus: 32,
            order: 0,
        }
    }
}

/// Who can crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Coordinator,
    Site(u8),
}

/// A moment at which a crash or a lost message is worth most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The session is at this stage.
    At(Stage),
    /// A message of this stage is on its way to the coordinator.
    Sent(Stage),
    /// An event waits to be written.
    Unwritten,
    /// Events are in the log, and their commands or answers wait.
    Written,
    /// A vector is durable in the spool, and its event is not in the log.
    Spooled,
    /// A sum is to be made.
    Aggregating,
    /// A participant can mask its update.
    Ready,
}

/// What a participant does that lies once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// It seals something that its neighbours cannot open.
    Broken,
    /// It shares out other secrets than it has.
    WrongToAll,
    /// It gives one neighbour a wrong share.
    WrongToOne,
    /// It leaves a neighbour out.
    Missing,
    /// It reveals a wrong share of somebody.
    Revealed,
}

/// Something that happens. Numbers that choose among what there is are taken modulo how much there is; where there is
/// nothing, nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Life goes on for so many steps: participants join and answer, messages arrive in any order.
    Go(u8),
    /// Life goes on until this moment, or for some time.
    Until(Moment),
    /// Time passes: [`WAITS`].
    Wait(u8),
    /// A participant's connection breaks; the coordinator notices at once, or late.
    Break {
        site: u8,
        late: bool,
    },
    /// A participant's connection breaks, and there is no other before [`Op::Mend`].
    Cut(u8),
    Mend(u8),
    /// A request is lost on its way.
    DropRequest(u8),
    /// An answer is lost on its way.
    DropResponse(u8),
    /// A request arrives twice.
    Duplicate(u8),
    /// A request of an earlier stage or attempt arrives again.
    ReplayRequest(u8),
    /// Something that a participant was told earlier arrives again.
    ReplayDirective {
        site: u8,
        index: u8,
    },
    Crash(Party),
    Restart(Party),
    /// A participant lies when it next can.
    Lie(u8, Lie),
    /// The coordinator tells a participant that somebody else has dropped out, or nobody.
    OtherSurvivors(u8),
    /// The next training of a site fails.
    FailTraining(u8),
}

/// What the faults of a schedule cannot be an excuse for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Bears {
    /// Messages are lost or come twice, connections break, the coordinator crashes, and no time passes: every attempt
    /// gives the sum over everyone in it.
    AllOf,
    /// One participant is disturbed, and the others are enough: every attempt gives a sum.
    AllButOne,
    /// An attempt may be abandoned.
    #[default]
    Anything,
}

/// How much time may pass, in milliseconds, around the time-outs of the job: 5 s, 10 s and 100 s.
pub(crate) const WAITS: [u64; 5] = [10, 4_000, 6_000, 11_000, 101_000];

const STAGES: [Stage; 5] =
    [Stage::AdvertiseKeys, Stage::ShareKeys, Stage::MaskedInput, Stage::Consistency, Stage::Unmask];
const LIES: [Lie; 5] = [Lie::Broken, Lie::WrongToAll, Lie::WrongToOne, Lie::Missing, Lie::Revealed];

impl Schedule {
    /// What must come of it whatever else happens.
    pub(crate) fn bears(&self) -> Bears {
        let mut disturbed = None;
        for op in &self.ops {
            let site = match *op {
                Op::Break { site, late: true }
                | Op::Cut(site)
                | Op::Crash(Party::Site(site))
                | Op::ReplayDirective { site, .. }
                | Op::FailTraining(site) => site,
                Op::Wait(_) | Op::Lie(..) | Op::OtherSurvivors(_) => return Bears::Anything,
                _ => continue,
            };
            if *disturbed.get_or_insert(site) != site {
                return Bears::Anything;
            }
        }
        let Setup { sites, min_participants, quorum, early, .. } = self.setup;
        // A round that closes early has nobody to spare.
        let spare = sites > 3 && min_participants == sites && quorum < sites && !early;
        match disturbed {
            None => Bears::AllOf,
            Some(_) if spare => Bears::AllButOne,
            Some(_) => Bears::Anything,
        }
    }

    /// The schedule of a seed.
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let setup = setup(&mut dice);
        let mut ops = Vec::new();
        let count = 2 + dice.below(9);
        while ops.len() < count {
            draw(&mut dice, &setup, &mut ops);
        }
        Self { setup, ops }
    }
}

fn setup(dice: &mut Dice) -> Setup {
    // What an attempt costs grows with the square of the sites.
    let sites = match dice.below(100) {
        0..82 => 3,
        82..97 => 4,
        _ => 5,
    };
    let min_participants = sites - dice.byte(sites - 2);
    Setup {
        sites,
        rounds: if dice.chance(12) { 2 } else { 1 },
        attempts: if dice.chance(30) { 2 } else { 1 },
        min_participants,
        quorum: min_participants - dice.byte(min_participants),
        third: dice.chance(if sites == 3 { 15 } else { 60 }),
        early: dice.chance(25),
        pinned: dice.chance(35),
        modulus: [16, 24, 32][dice.below(3)],
        order: dice.next(),
    }
}

/// Draws an operation, with what makes it worth while before and after it.
fn draw(dice: &mut Dice, setup: &Setup, ops: &mut Vec<Op>) {
    let site = dice.byte(setup.sites);
    let any = dice.byte(16);
    let moment = moment(dice);
    match dice.below(100) {
        0..10 => ops.push(Op::Go(1 + dice.byte(30))),
        10..28 => crash(dice, Party::Coordinator, ops),
        28..42 => crash(dice, Party::Site(site), ops),
        42..52 => ops.extend([Op::Until(moment), lose(dice, any)]),
        52..56 => ops.extend([Op::Until(moment), Op::Duplicate(any)]),
        56..62 => ops.extend([Op::Until(moment), Op::ReplayRequest(any)]),
        62..67 => ops.extend([Op::Until(moment), Op::ReplayDirective { site, index: any }]),
        67..74 => ops.extend([Op::Until(moment), Op::Break { site, late: dice.chance(50) }]),
        74..78 => ops.extend([Op::Until(moment), Op::Cut(site)]),
        78..81 => ops.push(Op::Mend(site)),
        81..87 => ops.extend([Op::Until(moment), Op::Wait(any)]),
        87..95 => ops.push(Op::Lie(site, LIES[dice.below(5)])),
        95..98 => {
            let stage = [Stage::MaskedInput, Stage::Consistency, Stage::Unmask][dice.below(3)];
            ops.extend([Op::Until(Moment::At(stage)), Op::Go(dice.byte(8)), Op::OtherSurvivors(site)]);
        }
        _ => ops.push(Op::FailTraining(site)),
    }
}

fn moment(dice: &mut Dice) -> Moment {
    match dice.below(12) {
        0..4 => Moment::At(STAGES[dice.below(5)]),
        4..7 => Moment::Sent(STAGES[dice.below(5)]),
        7 => Moment::Unwritten,
        8 => Moment::Written,
        9 => Moment::Spooled,
        10 => Moment::Aggregating,
        _ => Moment::Ready,
    }
}

/// Somebody crashes, mostly at a moment that was waited for, and mostly comes back soon.
fn crash(dice: &mut Dice, party: Party, ops: &mut Vec<Op>) {
    ops.push(Op::Until(moment(dice)));
    // Somewhere between that moment and the next.
    ops.push(Op::Go(dice.byte(10)));
    ops.push(Op::Crash(party));
    if dice.chance(80) {
        ops.extend([Op::Go(1 + dice.byte(6)), Op::Restart(party)]);
    }
}

fn lose(dice: &mut Dice, any: u8) -> Op {
    if dice.chance(50) { Op::DropRequest(any) } else { Op::DropResponse(any) }
}
