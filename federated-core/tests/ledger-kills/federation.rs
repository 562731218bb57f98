use std::collections::BTreeMap;

use federated_core::privacy::dp::{Accountant, Composition, MechanismStep, NoiseMultiplier, SamplingRate};

use super::{
    disk::{Dice, Moment},
    machine::{Machine, Release, Stopped},
    truth::Violation,
};

/// How many attempts at rounds a run has.
const ATTEMPTS: u32 = 24;
const JOBS: [&str; 2] = ["heart", "lungs"];

/// A coordinator and its sites, each a machine with a ledger of its own.
pub(crate) struct Federation {
    coordinator: Machine,
    sites: Vec<Machine>,
    dice: Dice,
}

fn rounds(noise: f64, rounds: u32) -> Composition {
    Composition::from(MechanismStep {
        noise_multiplier: NoiseMultiplier::new(noise).expect("noise"),
        sampling_rate: SamplingRate::FULL,
        rounds: rounds.try_into().expect("a round"),
    })
}

impl Federation {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, false)
    }

    pub(crate) fn on_lying_disks(seed: u64) -> Self {
        Self::with(seed, true)
    }

    fn with(seed: u64, lies: bool) -> Self {
        let mut dice = Dice::new(seed);
        // The last is beyond every limit, and never granted.
        let at_sites: [Release; 3] =
            [("heart", rounds(10.0, 2)), ("lungs", rounds(8.0, 1)), ("liver", rounds(0.05, 1))];
        let central: [Release; 2] = [("heart", rounds(8.0, 1)), ("lungs", rounds(12.0, 1))];
        let mut machine = |name: &str, limit, releases: &[Release]| {
            let own = Dice::new(seed << 32 | u64::from(dice.below(u32::MAX)));
            Machine::new(name, limit, releases, own, lies)
        };
        let coordinator = machine("coordinator", (3.0, Accountant::Gaussian), &central);
        let limits = [("cleveland", 1.0), ("budapest", 3.0), ("zurich", 6.0)];
        let sites = limits.map(|(name, limit)| machine(name, (limit, Accountant::Rdp), &at_sites)).into();
        Self { coordinator, sites, dice }
    }

    /// Attempts at rounds of both jobs, whatever breaks.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        for machine in std::iter::once(&mut self.coordinator).chain(&mut self.sites) {
            done(machine.start())?;
        }
        for attempt in 0..ATTEMPTS {
            let job = JOBS[usize::try_from(self.dice.below(2)).expect("one of two")];
            self.attempt(job, &format!("attempt {attempt}"))?;
        }
        // Everyone starts once more: what they read is what counts.
        for machine in std::iter::once(&mut self.coordinator).chain(&mut self.sites) {
            done(Err(machine.again(Stopped::Cut)))?;
        }
        Ok(())
    }

    /// How often the power went, and when.
    pub(crate) fn cuts(&self) -> BTreeMap<Moment, u64> {
        let mut all = BTreeMap::new();
        for machine in std::iter::once(&self.coordinator).chain(&self.sites) {
            for (moment, times) in machine.disk.cuts() {
                *all.entry(moment).or_default() += times;
            }
        }
        all
    }

    /// How much was released, and how often a limit did not allow it.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let machines = std::iter::once(&self.coordinator).chain(&self.sites);
        machines.fold((0, 0), |(releases, refused), machine| {
            (releases + machine.truth.releases(), refused + machine.refused())
        })
    }

    /// The coordinator reserves the model, the sites their updates; the model is released if there is an update.
    fn attempt(&mut self, job: &str, occasion: &str) -> Result<(), Violation> {
        let granted = match self.coordinator.reserve(job, occasion) {
            Ok(granted) => granted,
            Err(stopped) => return done(Err(self.coordinator.again(stopped))),
        };
        let mut updates = 0;
        for site in &mut self.sites {
            match Self::update(site, job, occasion) {
                Ok(()) => updates += 1,
                Err(stopped) => done(Err(stopped))?,
            }
            if self.dice.one_in(5) {
                let beyond = site.reserve("liver", occasion).map(|_granted| panic!("nothing allows it"));
                done(beyond.map_err(|stopped| site.again(stopped)))?;
            }
        }
        if updates == 0 {
            return Ok(());
        }
        let released = self.coordinator.release(job, occasion, granted);
        done(released.map_err(|stopped| self.coordinator.again(stopped)))
    }

    /// A site's update; one that is refused or cut is left out.
    fn update(site: &mut Machine, job: &str, occasion: &str) -> Result<(), Stopped> {
        let all = |site: &mut Machine| {
            let granted = site.reserve(job, occasion)?;
            site.release(job, occasion, granted)
        };
        all(site).map_err(|stopped| site.again(stopped)).or_else(|stopped| {
            // What it had released it may send once more.
            site.send_again(job, occasion).map_err(|cut| site.again(cut))?;
            Err(stopped)
        })
    }
}

/// Everything but a violation is a day's work.
fn done(result: Result<(), Stopped>) -> Result<(), Violation> {
    match result {
        Err(Stopped::Violation(violation)) => Err(violation),
        _ => Ok(()),
    }
}
