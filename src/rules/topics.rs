//! Topics and tips: what may happen to a proposal in which state, and how many of one's own may wait.

use super::{Refusal, sessions};
use crate::words;

words! {
    /// Where a proposed subject stands.
    pub enum State {
        Proposed = "proposed",
        /// For a session that is still to come.
        Chosen = "chosen",
        /// Its session was held.
        TalkedAbout = "talked_about",
        /// Taken back: its text is gone.
        Withdrawn = "withdrawn",
    }
}

/// Proposals of one member that may wait at once, so that nobody fills the list alone.
pub const OWN_PROPOSALS: i64 = 20;

/// Judges one more proposal beside `own` that wait already.
pub fn check_proposing(own: i64) -> Result<(), Refusal> {
    if own >= OWN_PROPOSALS {
        return Err(Refusal::clash(format!("{own} of your topics wait already: withdraw one first.")));
    }
    Ok(())
}

/// What has been talked about is over.
pub fn check_waiting(state: State) -> Result<(), Refusal> {
    match state {
        State::Proposed | State::Chosen => Ok(()),
        State::TalkedAbout => Err(Refusal::clash("The group has talked about this.")),
        State::Withdrawn => Err(Refusal::clash("The topic was withdrawn.")),
    }
}

/// A topic is chosen for a session that is still to come.
pub fn check_session(state: sessions::State) -> Result<(), Refusal> {
    match state {
        sessions::State::Scheduled => Ok(()),
        _ => Err(Refusal::field("/session", "was held or cancelled already")),
    }
}
