use std::{io::IsTerminal, time::Duration};

use federated_proto::v1::{JobState, JobStatus, MemberState};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::hospitals::{experiment::Outcome, hospital::Hospital};

/// Without a terminal, a line is printed every so many rounds.
const ROUNDS_A_LINE: u32 = 10;

/// Shows on standard error how far the experiment is: live on a terminal, as plain lines elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    display: Display,
    seeds: u32,
    done: u32,
}

#[derive(Debug)]
enum Display {
    Live { whole: MultiProgress, rounds: ProgressBar, sites: [ProgressBar; 4] },
    Lines { round: u32 },
}

impl Progress {
    /// Of an experiment with so many seeds.
    pub(crate) fn new(seeds: u32) -> Self {
        let display = if std::io::stderr().is_terminal() { live() } else { Display::Lines { round: 0 } };
        let progress = Self { display, seeds, done: 0 };
        progress.say("starting a coordinator and four hospitals, each a process of its own");
        progress
    }

    /// Something began.
    fn say(&self, what: &str) {
        match &self.display {
            Display::Live { rounds, .. } => rounds.set_message(what.to_owned()),
            Display::Lines { .. } if self.done == 0 => eprintln!("{what}"),
            Display::Lines { .. } => {}
        }
    }

    fn seed(&self, seed: u64) -> String {
        if self.seeds == 1 {
            format!("seed {seed}")
        } else {
            format!("seed {seed} ({} of {})", self.done + 1, self.seeds)
        }
    }

    /// The hospitals tell the moments of their columns.
    pub(crate) fn statistics(&mut self, seed: u64, status: &JobStatus) {
        let prefix = self.seed(seed);
        match &mut self.display {
            Display::Live { rounds, sites, .. } => {
                rounds.set_prefix(prefix);
                rounds.set_position(0);
                rounds.set_message("statistics of the columns");
                show_members(sites, status);
            }
            Display::Lines { round } => *round = 0,
        }
    }

    /// They train.
    pub(crate) fn training(&mut self, seed: u64, status: &JobStatus) {
        let done =
            if status.state() == JobState::Completed { status.round } else { status.round.saturating_sub(1) };
        let loss = status.history.last().and_then(|round| round.metrics.get("loss"));
        let loss = loss.map_or_else(String::new, |loss| format!("loss {loss:.3}"));
        let prefix = self.seed(seed);
        match &mut self.display {
            Display::Live { rounds, sites, .. } => {
                rounds.set_length(status.rounds.into());
                rounds.set_position(done.into());
                rounds.set_message(loss);
                show_members(sites, status);
            }
            Display::Lines { round } => {
                let due =
                    done / ROUNDS_A_LINE > *round / ROUNDS_A_LINE || (done == status.rounds && done > *round);
                if due && self.seeds == 1 {
                    eprintln!("{prefix}: round {done} of {}, {loss}", status.rounds);
                }
                *round = done;
            }
        }
    }

    /// The models that the federation is compared with are trained.
    pub(crate) fn compare(&self) {
        self.say("for comparison: each hospital alone, and all patients in one place");
    }

    /// A seed is done.
    pub(crate) fn seed_done(&mut self, outcome: &Outcome) {
        if self.seeds > 1 {
            let shown = |auc: Option<f64>| auc.map_or_else(|| "-".to_owned(), |auc| format!("{auc:.3}"));
            let (federated, pooled) = (outcome.federated, outcome.pooled);
            let line = format!(
                "{}: federated accuracy {:.3}, AUC {}; pooled {:.3}, {}",
                self.seed(outcome.seed),
                federated.accuracy,
                shown(federated.auc),
                pooled.accuracy,
                shown(pooled.auc),
            );
            self.tell(&line);
        }
        self.done += 1;
    }

    /// Something happened that stays on the screen.
    pub(crate) fn tell(&self, line: &str) {
        match &self.display {
            Display::Live { rounds, .. } => rounds.println(line),
            Display::Lines { .. } => eprintln!("{line}"),
        }
    }

    /// Leaves the screen to the result.
    pub(crate) fn finish(self) {
        if let Display::Live { whole, .. } = self.display {
            // A terminal that cannot be written to any more is no reason to lose the result.
            let _unseen = whole.clear();
        }
    }
}

fn live() -> Display {
    let style =
        |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let whole = MultiProgress::new();
    let rounds = whole.add(ProgressBar::new(1));
    rounds.set_style(style("{spinner} {prefix} [{bar:30}] round {pos} of {len}  {msg}"));
    rounds.enable_steady_tick(Duration::from_millis(100));
    let sites = Hospital::ALL.map(|hospital| {
        let site = whole.add(ProgressBar::new_spinner());
        site.set_style(style("    {prefix:<12} {msg}"));
        site.set_prefix(hospital.name());
        site
    });
    Display::Live { whole, rounds, sites }
}

fn show_members(sites: &[ProgressBar; 4], status: &JobStatus) {
    for (site, hospital) in sites.iter().zip(Hospital::ALL) {
        let member = status.cohort.iter().find(|member| member.participant == hospital.name());
        site.set_message(match member.map(|member| member.state()) {
            Some(MemberState::Working) => "at work",
            Some(MemberState::Absent) => "not connected",
            Some(MemberState::Reported) => "reported",
            Some(MemberState::Out) => "out of this round",
            Some(MemberState::Unspecified) | None => "",
        });
    }
}
