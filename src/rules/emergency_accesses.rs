//! Emergency access (break-glass): how long, how many, who may judge it and until when.
//!
//! 45 CFR 164.312(a)(2)(ii) asks for a procedure that gets at what is needed in an emergency; 164.308(a)(1)(ii)(D) and
//! 164.312(b) ask that somebody looks at what was done. Psychotherapy notes stay out (164.508(a)(2)).

use super::Refusal;
use crate::{
    values::{Id, Moment},
    words,
};

/// Minutes for which one is opened at least: shorter ones would be opened again and again.
pub const LEAST_MINUTES: i32 = 15;
/// Minutes for which one is opened at most: whoever needs longer takes over the person's care, and has a term.
pub const MOST_MINUTES: i32 = 240;
/// How many one person may have running in an organization.
pub const MOST_RUNNING: usize = 3;
/// Hours after the opening until which somebody has reviewed it. A default of this software; no rule sets a number.
pub const REVIEW_HOURS: i64 = 72;

words! {
    /// How far an emergency access has come.
    pub enum State {
        /// Its time is not over, and nobody ended it.
        Running = "running",
        /// Over, and not judged yet.
        Waiting = "waiting",
        Reviewed = "reviewed",
    }
}

words! {
    /// What a privacy officer found.
    pub enum Finding {
        Justified = "justified",
        NotJustified = "not_justified",
        /// What is known does not decide it; the words say what was asked and of whom.
        Unclear = "unclear",
    }
}

/// Which member of which group one opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub group: Id,
    pub member: Id,
}

/// How far one has come at a moment.
pub fn state(reviewed: bool, until_at: Moment, ended_at: Option<Moment>, now: Moment) -> State {
    match reviewed {
        true => State::Reviewed,
        false if ended_at.is_none() && until_at > now => State::Running,
        false => State::Waiting,
    }
}

/// Until when one that was opened at a moment is reviewed.
pub fn due_at(from_at: Moment) -> Moment {
    from_at.plus_minutes(REVIEW_HOURS * 60)
}

/// Whether the time for the review is over.
pub fn is_overdue(state: State, due_at: Moment, now: Moment) -> bool {
    state != State::Reviewed && due_at <= now
}

/// Judges another one beside those that the same person has running. In one group there is one at a time: what is read
/// there must be about one member, whatever a path names.
pub fn check_opening(running: &[Opened], wanted: Opened) -> Result<(), Refusal> {
    if running.contains(&wanted) {
        return Err(Refusal::clash("Your emergency access to this member runs already."));
    }
    if running.iter().any(|opened| opened.group == wanted.group) {
        return Err(Refusal::clash("Your emergency access to another member of this group runs: end it first."));
    }
    if running.len() >= MOST_RUNNING {
        return Err(Refusal::clash(format!("{MOST_RUNNING} emergency accesses of yours run: end one first.")));
    }
    Ok(())
}

/// Refuses to end what is over.
pub fn check_running(state: State) -> Result<(), Refusal> {
    match state {
        State::Running => Ok(()),
        State::Waiting | State::Reviewed => Err(Refusal::clash("The emergency access is over already.")),
    }
}

/// Judges a review: once, of all that was read, and by somebody else.
pub fn check_review(state: State, is_own: bool) -> Result<(), Refusal> {
    if is_own {
        return Err(Refusal::clash("Nobody reviews their own emergency access."));
    }
    match state {
        State::Running => Err(Refusal::clash("The emergency access still runs: end it first.")),
        State::Waiting => Ok(()),
        State::Reviewed => Err(Refusal::clash("The emergency access has been reviewed already.")),
    }
}
