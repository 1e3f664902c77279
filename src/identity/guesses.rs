//! How often somebody may try a code, kept in this process's memory alone: no address is stored for it.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use crate::problem::Problem;

/// Tries at once, and in every hour after that: a whole group sits behind the one address of its hall.
const TRIES_AN_HOUR: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// Wrong ones at once; one more comes back every minute.
const WRONG_ONES: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// What is tried. Each is counted for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Try {
    /// The short code that is read out at a session.
    SessionCode,
    /// The long code of a visit.
    VisitCode,
    /// A paper that somebody holds in their hands.
    Proof,
    /// A hand-over note, which must not hold a member's name.
    HandOver,
    /// A name that may be somebody else's in a group.
    Name,
}

/// Counts tries, and wrong ones more strictly. Who tries is an address or an account, as text.
pub struct Guesses {
    tries: DefaultKeyedRateLimiter<(Try, String)>,
    wrong: DefaultKeyedRateLimiter<(Try, String)>,
    /// Until when nothing more is judged of those who were wrong too often, right codes included.
    pauses: Mutex<HashMap<(Try, String), Instant>>,
}

impl Default for Guesses {
    fn default() -> Self {
        let wrong = Quota::per_minute(NonZeroU32::MIN).allow_burst(WRONG_ONES);
        Guesses {
            tries: DefaultKeyedRateLimiter::keyed(Quota::per_hour(TRIES_AN_HOUR)),
            wrong: DefaultKeyedRateLimiter::keyed(wrong),
            pauses: Mutex::default(),
        }
    }
}

impl Guesses {
    /// Counts a try, before it is judged.
    ///
    /// # Errors
    /// `TooMany` when it may not be judged yet.
    pub fn begin(&self, what: Try, who: &str) -> Result<(), Problem> {
        let now = DefaultClock::default().now();
        let key = (what, who.to_owned());
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = pauses.get(&key).filter(|until| **until > now) {
            return Err(too_many(*until - now));
        }
        self.tries.check_key(&key).map_err(|not_until| too_many(not_until.wait_time_from(now)))
    }

    /// Counts a try that was wrong.
    pub fn was_wrong(&self, what: Try, who: &str) {
        let key = (what, who.to_owned());
        if let Err(not_until) = self.wrong.check_key(&key) {
            let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
            pauses.insert(key, not_until.earliest_possible());
        }
    }

    /// Forgets those who have not tried for a while. Part of the server's housekeeping.
    pub fn forget(&self) {
        self.tries.retain_recent();
        self.wrong.retain_recent();
        let now = DefaultClock::default().now();
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, until| *until > now);
    }
}

fn too_many(wait: Duration) -> Problem {
    Problem::TooMany(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX - 1) + 1)
}
