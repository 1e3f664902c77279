//! Referrals and the public listing: where a referral stands, how many are open at once, what a listing is asked for.

use super::Refusal;
use crate::words;

words! {
    /// Where a referral stands.
    pub enum State {
        /// Not answered yet.
        Sent = "sent",
        Accepted = "accepted",
        Declined = "declined",
        /// Taken back by its sender: what was shared is gone.
        Withdrawn = "withdrawn",
    }
}

/// Referrals of one account that may wait for an answer at once.
pub const OPEN_AT_ONCE: usize = 5;

/// Judges one more referral beside `open` that are not answered yet.
pub fn check_open(open: usize) -> Result<(), Refusal> {
    if open >= OPEN_AT_ONCE {
        return Err(Refusal::clash(format!("{open} of your referrals are not answered yet: withdraw one first.")));
    }
    Ok(())
}

/// A referral is answered once.
pub fn check_answerable(state: State) -> Result<(), Refusal> {
    match state {
        State::Sent => Ok(()),
        _ => Err(Refusal::clash("The referral was answered already.")),
    }
}

/// Whether a group is for this condition, whatever the case of its letters.
pub fn is_for(conditions: &[String], asked: &str) -> bool {
    let asked = asked.trim().to_lowercase();
    conditions.iter().any(|condition| condition.to_lowercase() == asked)
}

/// Whether a language falls under what was asked for (RFC 4647, basic filtering): `en` finds `en-GB` as well.
pub fn is_in_language(language: &str, asked: &str) -> bool {
    let asked = asked.trim();
    match (language.get(..asked.len()), language.get(asked.len()..)) {
        (Some(start), Some(rest)) => start.eq_ignore_ascii_case(asked) && (rest.is_empty() || rest.starts_with('-')),
        _ => false,
    }
}
