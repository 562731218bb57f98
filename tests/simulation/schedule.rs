//! What a schedule is, and how one is drawn from a seed.

use crate::dice::Dice;

/// A federation and what happens to it. The same schedule gives the same run, to the last byte of every log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) setup: Setup,
    pub(crate) ops: Vec<Op>,
}

/// The federation of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// 2 to 6.
    pub(crate) sites: u8,
    /// 1 or 2. The first starts at once, the second with [`Op::Start`], or when the faults stop.
    pub(crate) jobs: u8,
    pub(crate) rounds: u8,
    pub(crate) attempts: u8,
    pub(crate) min_participants: u8,
    pub(crate) quorum: u8,
    /// The share of those present that a round aims for, in percent.
    pub(crate) fraction: u8,
    /// Tasks handed out for each update aimed for, in percent.
    pub(crate) over_selection: u8,
    /// In which order things happen that may happen in any order.
    pub(crate) order: u64,
}

impl Setup {
    /// So many sites, all of which are needed; one job of two rounds.
    pub(crate) const fn of(sites: u8) -> Self {
        Self {
            sites,
            jobs: 1,
            rounds: 2,
            attempts: 3,
            min_participants: sites,
            quorum: sites,
            fraction: 100,
            over_selection: 100,
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
    /// An event is in the log, and its commands or answers wait.
    Logged,
    /// An update is durable in the spool, and its event is not in the log.
    Spooled,
    /// A model is in the store, and the job does not know it.
    Aggregated,
    /// An update is in a participant's state folder, and its machine does not know it.
    Trained,
    /// A receipt is on its way.
    Receipt,
}

/// Something that happens. Numbers that choose among what there is are taken modulo how much there is; where there is
/// nothing, nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Life goes on for so many steps: participants connect, train and submit, messages arrive in any order.
    Go(u8),
    /// Life goes on until this moment, or for some time.
    Until(Moment),
    /// Time passes: [`WAITS`].
    Wait(u8),
    /// A participant's connection breaks; both sides notice.
    Break(u8),
    /// A participant's connection breaks, and one side takes it for open until it misses the signs of life.
    HalfOpen {
        site: u8,
        late: Side,
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
    /// A request or an answer stays on its way: [`DELAYS`].
    Delay(u8),
    Crash(Party),
    Restart(Party),
    /// The coordinator's clock is put forward or back: [`JUMPS`].
    ClockJump(u8),
    /// The next training of a site fails.
    FailTraining(u8),
    /// The next aggregation fails.
    FailAggregation,
    /// An operator's doing, for a job.
    Start(u8),
    Stop(u8),
    Pause(u8),
    Queue(u8),
    Release(u8),
    Retry(u8),
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Coordinator,
    Site,
}

/// How much time may pass, in milliseconds, around the time-outs of jobs: 5 s, 10 s and 100 s.
pub(crate) const WAITS: [u64; 6] = [10, 1_000, 6_000, 11_000, 45_000, 101_000];
/// How long a message may be late, in milliseconds: a step of life takes one.
pub(crate) const DELAYS: [u64; 4] = [10, 40, 80, 20_000];
/// By how much the clock may be put, in milliseconds.
pub(crate) const JUMPS: [i64; 6] = [-86_400_000, -20_000, -1_000, 1_000, 20_000, 86_400_000];

impl Schedule {
    /// The schedule of a seed.
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let setup = setup(&mut dice);
        let mut ops = Vec::new();
        let count = 3 + dice.below(14);
        while ops.len() < count {
            draw(&mut dice, &setup, &mut ops);
        }
        Self { setup, ops }
    }
}

fn setup(dice: &mut Dice) -> Setup {
    let sites = [2, 2, 2, 3, 3, 4, 5, 6][dice.below(8)];
    let min_participants = sites - dice.byte(sites.min(3));
    let all = dice.chance(75);
    Setup {
        sites,
        jobs: if dice.chance(20) { 2 } else { 1 },
        rounds: [1, 2, 2, 3][dice.below(4)],
        attempts: 1 + dice.byte(3),
        min_participants,
        quorum: min_participants - dice.byte(min_participants.min(3)),
        fraction: if all { 100 } else { [50, 70][dice.below(2)] },
        over_selection: if all { 100 } else { [100, 150][dice.below(2)] },
        order: dice.next(),
    }
}

/// Draws an operation, with what makes it worth while before and after it.
fn draw(dice: &mut Dice, setup: &Setup, ops: &mut Vec<Op>) {
    let site = dice.byte(setup.sites);
    let job = dice.byte(setup.jobs);
    let any = dice.byte(8);
    match dice.below(100) {
        0..16 => ops.push(Op::Go(1 + dice.byte(30))),
        16..40 => crash(dice, site, ops),
        40..50 => lose(dice, any, ops),
        50..54 => ops.extend([Op::Go(1 + dice.byte(30)), Op::Duplicate(any)]),
        54..58 => ops.push(Op::Delay(any)),
        58..66 => leave(dice, site, ops),
        66..72 => ops.push(Op::Wait(any)),
        72..76 => ops.push(Op::ClockJump(any)),
        76..79 => ops.push(Op::FailTraining(site)),
        79..81 => ops.push(Op::FailAggregation),
        81..84 => ops.push(Op::Start(job)),
        84..87 => ops.extend([Op::Stop(job), Op::Go(1 + dice.byte(20)), Op::Retry(job)]),
        87..88 => ops.push(Op::Stop(job)),
        88..91 => ops.extend([Op::Pause(job), Op::Go(1 + dice.byte(20)), Op::Release(job)]),
        91..92 => ops.push(Op::Queue(job)),
        92..94 => ops.push(Op::Release(job)),
        94..97 => ops.push(Op::Retry(job)),
        _ => ops.push(Op::Mend(site)),
    }
}

/// Somebody crashes, mostly at a moment that was waited for, and mostly comes back soon.
fn crash(dice: &mut Dice, site: u8, ops: &mut Vec<Op>) {
    let party = if dice.chance(65) { Party::Coordinator } else { Party::Site(site) };
    let moment = match (party, dice.below(8)) {
        (Party::Coordinator, 0 | 1) => Op::Until(Moment::Logged),
        (Party::Coordinator, 2 | 3) => Op::Until(Moment::Spooled),
        (Party::Coordinator, 4) => Op::Until(Moment::Aggregated),
        (Party::Site(_), 0..3) => Op::Until(Moment::Trained),
        (_, 5) => Op::Until(Moment::Receipt),
        _ => Op::Go(1 + dice.byte(25)),
    };
    ops.extend([moment, Op::Crash(party)]);
    if dice.chance(80) {
        ops.extend([Op::Go(1 + dice.byte(6)), Op::Restart(party)]);
    }
}

/// A message is lost, often the one that matters.
fn lose(dice: &mut Dice, any: u8, ops: &mut Vec<Op>) {
    match dice.below(3) {
        0 => ops.extend([Op::Go(1 + dice.byte(15)), Op::DropRequest(any)]),
        1 => ops.extend([Op::Go(1 + dice.byte(15)), Op::DropResponse(any)]),
        _ => ops.extend([Op::Until(Moment::Receipt), Op::DropResponse(any)]),
    }
}

/// A connection breaks in one of the ways in which that happens.
fn leave(dice: &mut Dice, site: u8, ops: &mut Vec<Op>) {
    ops.push(Op::Go(1 + dice.byte(20)));
    ops.push(match dice.below(4) {
        0 => Op::Break(site),
        1 => Op::Cut(site),
        2 => Op::HalfOpen { site, late: Side::Coordinator },
        _ => Op::HalfOpen { site, late: Side::Site },
    });
}
