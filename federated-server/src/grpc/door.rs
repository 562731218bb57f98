use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use federated_core::ids::Fingerprint;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Connections of one certificate that may be on their way in at one time: a peer opens one, and perhaps another because
/// the first seems dead.
const OF_ONE_PEER: usize = 2;
/// Between two lines in the log about strangers that had to go.
const QUIET: Duration = Duration::from_secs(10);

/// How far a stranger is on its way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Its first message is missing, which a peer sends together with the end of the TCP handshake.
    Silent,
    /// It owes the rest of the TLS handshake or the HTTP/2 preface: up to two round trips.
    Greeted,
}

impl Stage {
    /// How long a stranger may take for this stage in any case, also when all seats are taken and others wait. They wait
    /// in the system's queue, in which nobody is told from another: were this longer, somebody who opens connections
    /// faster than they become due could fill it. Most have longer, since the oldest go first, and only as many as others
    /// come; with nobody waiting it is as long as `limits.handshake`.
    const fn due(self) -> Duration {
        match self {
            Self::Silent => Duration::from_millis(10),
            Self::Greeted => Duration::from_millis(50),
        }
    }
}

/// Where connections wait until their peers have introduced themselves: so many seats, and whoever has sat there for the
/// longest without getting on makes room for the next.
///
/// Whoever opens connections and says nothing can therefore hold nobody up for long, however many they are: not with a
/// limit of connections for each address, which a hospital behind one address would meet first.
#[derive(Debug)]
pub(super) struct Door {
    /// For those who stay.
    seats: usize,
    /// With those who have to go and are not gone.
    most: usize,
    strangers: Mutex<Strangers>,
    /// Somebody left.
    left: Notify,
}

#[derive(Debug, Default)]
struct Strangers {
    by_number: BTreeMap<u64, Stranger>,
    next: u64,
    /// Since the last line in the log.
    sent_away: u64,
    told: Option<Instant>,
}

#[derive(Debug)]
struct Stranger {
    stage: Stage,
    since: Instant,
    peer: Option<Fingerprint>,
    go: CancellationToken,
}

impl Stranger {
    /// When it has to go, if somebody else waits.
    fn due(&self) -> Instant {
        self.since + self.stage.due()
    }

    /// Who goes first: of those who are due, the silent before the others; else whoever is due next.
    fn turn(&self, now: Instant) -> impl Ord + use<> {
        let due = self.due();
        let stage = (due <= now).then_some(self.stage);
        (stage.is_none(), stage, due)
    }
}

/// A stranger's seat, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    door: Arc<Door>,
    number: u64,
    go: CancellationToken,
}

impl Door {
    /// A door with so many seats. A fourth of them is for those who have been sent away and are not gone yet: whoever comes
    /// next does not wait for them.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(2);
        Self { seats: most - most.div_ceil(4), most, strangers: Mutex::default(), left: Notify::new() }
    }

    /// Waits for a seat.
    pub(super) async fn enter(self: &Arc<Self>) -> Seat {
        loop {
            let wait = match self.try_enter() {
                Ok(seat) => return seat,
                Err(wait) => wait,
            };
            tokio::select! {
                () = self.left.notified() => {}
                () = sleep_until(wait) => {}
            }
        }
    }

    /// A seat; or when to ask again, if nobody leaves before.
    fn try_enter(self: &Arc<Self>) -> Result<Seat, Instant> {
        let now = Instant::now();
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.by_number.len() >= self.most {
            // Those who have to go are told already; one of them leaves before long.
            return Err(now + Stage::Greeted.due());
        }
        let staying = || strangers.by_number.values().filter(|stranger| !stranger.go.is_cancelled());
        if staying().count() >= self.seats {
            let Some(first) = staying().min_by_key(|stranger| stranger.turn(now)) else {
                return Err(now + Stage::Greeted.due());
            };
            if first.due() > now {
                return Err(first.due());
            }
            first.go.cancel();
            strangers.tell(now);
        }
        let (number, go) = (strangers.next, CancellationToken::new());
        strangers.next += 1;
        let stranger = Stranger { stage: Stage::Silent, since: now, peer: None, go: go.clone() };
        strangers.by_number.insert(number, stranger);
        Ok(Seat { door: Arc::clone(self), number, go })
    }
}

impl Strangers {
    /// Logs that somebody was sent away, now and then.
    fn tell(&mut self, now: Instant) {
        self.sent_away += 1;
        if self.told.is_none_or(|told| now - told >= QUIET) {
            let count = std::mem::take(&mut self.sent_away);
            tracing::warn!(count, "connections that did not introduce themselves were cut: others waited");
            self.told = Some(now);
        }
    }
}

impl Seat {
    /// Ready when the stranger has to go.
    pub(super) fn must_go(&self) -> CancellationToken {
        self.go.clone()
    }

    /// Its first message is there.
    pub(super) fn greeted(&self) {
        self.change(|stranger| (stranger.stage, stranger.since) = (Stage::Greeted, Instant::now()));
    }

    /// It has shown a certificate. Of too many connections with one, the oldest has to go.
    pub(super) fn introduced(&self, peer: Fingerprint) {
        self.change(|stranger| stranger.peer = Some(peer));
        let strangers = self.door.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = strangers.by_number.values().filter(|stranger| stranger.peer == Some(peer));
        let mut staying: Vec<_> = of_peer.filter(|stranger| !stranger.go.is_cancelled()).collect();
        staying.sort_by_key(|stranger| stranger.since);
        let surplus = staying.len().saturating_sub(OF_ONE_PEER);
        staying.into_iter().take(surplus).for_each(|stranger| stranger.go.cancel());
    }

    fn change(&self, change: impl FnOnce(&mut Stranger)) {
        let mut strangers = self.door.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stranger) = strangers.by_number.get_mut(&self.number) {
            change(stranger);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut strangers = self.door.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.by_number.remove(&self.number);
        drop(strangers);
        self.door.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether there is no seat now.
    async fn is_full(door: &Arc<Door>) -> bool {
        tokio::time::timeout(Duration::from_millis(1), door.enter()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_sat_longest_makes_room_but_not_before_it_could_speak() {
        let door = Arc::new(Door::new(3));
        let (oldest, newest) = (door.enter().await, door.enter().await);
        assert!(is_full(&door).await);
        assert!(!oldest.must_go().is_cancelled());
        let third = door.enter().await;
        assert_eq!((oldest.must_go().is_cancelled(), newest.must_go().is_cancelled()), (true, false));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(is_full(&door).await, "nobody has left");
        drop(oldest);
        let _fourth = door.enter().await;
        assert_eq!((newest.must_go().is_cancelled(), third.must_go().is_cancelled()), (true, false));
    }

    #[tokio::test(start_paused = true)]
    async fn the_silent_go_before_those_who_have_greeted() {
        let door = Arc::new(Door::new(3));
        let (greeted, silent) = (door.enter().await, door.enter().await);
        greeted.greeted();
        tokio::time::advance(Duration::from_secs(1)).await;
        let _third = door.enter().await;
        assert_eq!((greeted.must_go().is_cancelled(), silent.must_go().is_cancelled()), (false, true));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_let_in_as_soon_as_anybody_is_due() {
        let door = Arc::new(Door::new(3));
        let greeted = door.enter().await;
        greeted.greeted();
        tokio::time::advance(Stage::Greeted.due() - Duration::from_millis(1)).await;
        let silent = door.enter().await;
        let began = Instant::now();
        let _third = door.enter().await;
        assert_eq!((greeted.must_go().is_cancelled(), silent.must_go().is_cancelled()), (true, false));
        assert!(began.elapsed() < Stage::Silent.due(), "it waited for one who is due later");
    }

    #[tokio::test(start_paused = true)]
    async fn one_peer_has_two_seats_at_most() {
        let door = Arc::new(Door::new(8));
        let peer = Fingerprint::of(b"certificate");
        let mut seats = Vec::new();
        for _ in 0..3 {
            seats.push(door.enter().await);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let other = door.enter().await;
        other.introduced(Fingerprint::of(b"another"));
        seats.iter().for_each(|seat| seat.introduced(peer));
        let gone: Vec<bool> = seats.iter().map(|seat| seat.must_go().is_cancelled()).collect();
        assert_eq!((gone, other.must_go().is_cancelled()), (vec![true, false, false], false));
    }
}
