//! Risk marks: the states, who is due to act until when, and what happens when nobody does.

use std::collections::HashMap;

use super::{Refusal, instruments::Risk};
use crate::{
    values::{Id, Moment},
    words,
};

/// Hours after raising until which somebody has seen a mark. This and the two below are this software's defaults: no
/// guideline sets them, and nothing here watches answers in real time.
pub const ACKNOWLEDGE_HOURS: i64 = 24;
/// Hours after raising until which the person was assessed. A late acknowledgement gives no more time.
pub const ASSESS_HOURS: i64 = 72;
/// Days after an assessment until which the mark is closed or the person assessed again.
pub const CLOSE_DAYS: i64 = 14;
/// Days that somebody can be stood in for at a time.
pub const COVER_DAYS: i64 = 92;

words! {
    /// How far a risk mark has come.
    pub enum State {
        /// An answer raised it; nobody has said yet that they saw it.
        Raised = "raised",
        Acknowledged = "acknowledged",
        /// A clinician has assessed the person.
        Assessed = "assessed",
        Closed = "closed",
    }
}

words! {
    /// What was done before a mark was closed.
    pub enum Disposition {
        /// Assessed, and no acute risk found.
        NoAcuteRisk = "no_acute_risk",
        /// A safety plan was made with the person, or gone through again.
        SafetyPlan = "safety_plan",
        /// Handed over to other care.
        ReferredOn = "referred_on",
        EmergencyServices = "emergency_services",
        /// The answer was not this person's: it has been corrected, or marked as entered in error, before.
        EnteredInError = "entered_in_error",
        /// Something else, which the note says.
        Other = "other",
    }
}

words! {
    /// What happened to a mark. Steps are added, never changed.
    pub enum Step {
        Raised = "raised",
        /// The answers behind it were corrected; `risk` says what they say now.
        Corrected = "corrected",
        /// The measure behind it was marked as entered in error.
        EnteredInError = "entered_in_error",
        /// It was given to another owner.
        Assigned = "assigned",
        Acknowledged = "acknowledged",
        Assessed = "assessed",
        Closed = "closed",
    }
}

/// Acknowledges a mark.
pub fn acknowledge(state: State) -> Result<State, Refusal> {
    match state {
        State::Raised => Ok(State::Acknowledged),
        State::Acknowledged | State::Assessed => Err(Refusal::clash("The mark has been acknowledged already.")),
        State::Closed => Err(is_closed()),
    }
}

/// Notes an assessment: the first one, or a further one while the mark stays open.
pub fn assess(state: State) -> Result<State, Refusal> {
    match state {
        State::Raised => Err(Refusal::clash("The mark has to be acknowledged first.")),
        State::Acknowledged | State::Assessed => Ok(State::Assessed),
        State::Closed => Err(is_closed()),
    }
}

/// Closes a mark. `stands`: the answer that raised it still counts.
///
/// # Errors
/// Nobody closes what was not assessed, unless the answer was an error; and no answer that still counts is put away as
/// one.
pub fn close(state: State, disposition: Disposition, stands: bool, has_note: bool) -> Result<State, Refusal> {
    let is_error = disposition == Disposition::EnteredInError;
    match state {
        State::Closed => return Err(is_closed()),
        State::Raised => return Err(Refusal::clash("The mark has to be acknowledged first.")),
        State::Acknowledged if !is_error => return Err(Refusal::clash("The person has to be assessed first.")),
        State::Acknowledged | State::Assessed => {}
    }
    if is_error && stands {
        return Err(Refusal::field(
            "/disposition",
            "the answer still counts: correct the measure, or mark it as entered in error, first",
        ));
    }
    if disposition == Disposition::Other && !has_note {
        return Err(Refusal::field("/note", "is missing: it says what was done"));
    }
    Ok(State::Closed)
}

/// Refuses to give away a mark that is closed.
pub fn check_open(state: State) -> Result<(), Refusal> {
    if state == State::Closed { Err(is_closed()) } else { Ok(()) }
}

fn is_closed() -> Refusal {
    Refusal::clash("The mark is closed.")
}

/// Until when the next step is due; never once closed. `stepped_at`: when the mark came into this state.
pub fn due_at(state: State, raised_at: Moment, stepped_at: Moment) -> Option<Moment> {
    match state {
        State::Raised => Some(raised_at.plus_minutes(ACKNOWLEDGE_HOURS * 60)),
        State::Acknowledged => Some(raised_at.plus_minutes(ASSESS_HOURS * 60)),
        State::Assessed => Some(stepped_at.plus_days(CLOSE_DAYS)),
        State::Closed => None,
    }
}

/// Whether the time for the next step is over.
pub fn is_overdue(due_at: Option<Moment>, now: Moment) -> bool {
    due_at.is_some_and(|due| due <= now)
}

/// Whether corrected answers raise a mark of their own, besides the step that every mark of the measure gets. `before`:
/// what the answers said until now, `None` where they did not count; `newest`: the measure's last mark.
///
/// A mark that nobody has seen yet shows the correction by itself. One that somebody has acted upon was judged by other
/// answers: what is worse than those is new.
pub fn raises_anew(before: Risk, corrected: Risk, newest: Option<(State, Option<Disposition>)>) -> bool {
    match newest {
        None => corrected != Risk::None,
        Some((State::Raised, _)) => false,
        // Closed because the answer was none: now it is one.
        Some((_, Some(Disposition::EnteredInError))) => corrected != Risk::None,
        Some(_) => corrected > before,
    }
}

/// Who leads a group at a moment and who stands in for whom: what says whom a mark asks to act.
#[derive(Clone, Debug, Default)]
pub struct Duty {
    /// Accounts of those who lead; therapists before co-therapists, those with the older term first.
    pub leads: Vec<Id>,
    /// Stand-ins by whom they stand in for.
    pub covers: HashMap<Id, Id>,
}

impl Duty {
    /// Whose a mark is: its owner's, as long as they lead; otherwise that of whoever leads first.
    pub fn owner(&self, assigned: Option<Id>) -> Option<Id> {
        assigned.filter(|owner| self.leads.contains(owner)).or(self.leads.first().copied())
    }

    /// The owner, whoever stands in for them, whoever stands in for that one in turn, and so on, each once.
    fn line(&self, assigned: Option<Id>) -> Vec<Id> {
        let mut line: Vec<Id> = self.owner(assigned).into_iter().collect();
        while let Some(&next) = line.last().and_then(|who| self.covers.get(who)) {
            if line.contains(&next) || !self.leads.contains(&next) {
                break;
            }
            line.push(next);
        }
        line
    }

    /// Whoever let somebody stand in for them does not count as there, whether or not that one leads or is there.
    fn is_there(&self, who: Id) -> bool {
        !self.covers.contains_key(&who)
    }

    /// Who stands in for a mark's owner and is there; nobody where all who would are away.
    pub fn stand_in(&self, assigned: Option<Id>) -> Option<Id> {
        match self.line(assigned).as_slice() {
            [_, .., last] if self.is_there(*last) => Some(*last),
            _ => None,
        }
    }

    /// Whom an open mark asks to act: its owner, or the stand-in whom they named. Where that one is stood in for too,
    /// the owner, the stand-in and whoever stands in for those in turn; where none of them is there, or once the mark
    /// is overdue, everybody who leads.
    pub fn asked(&self, assigned: Option<Id>, is_overdue: bool) -> Vec<Id> {
        let line = self.line(assigned);
        match line.as_slice() {
            [.., last] if is_overdue || !self.is_there(*last) => self.leads.clone(),
            [_, stand_in] => vec![*stand_in],
            _ => line,
        }
    }
}

/// Refuses a cover that covers nothing.
pub fn check_cover(owner: Id, stand_in: Id, from_at: Moment, until_at: Moment, now: Moment) -> Result<(), Refusal> {
    if owner == stand_in {
        return Err(Refusal::field("/stand_in", "is yourself"));
    }
    if until_at <= from_at {
        return Err(Refusal::field("/until_at", "is not after the beginning"));
    }
    if until_at <= now {
        return Err(Refusal::field("/until_at", "lies in the past"));
    }
    if until_at > from_at.plus_days(COVER_DAYS) {
        return Err(Refusal::field("/until_at", format!("is more than {COVER_DAYS} days after the beginning")));
    }
    Ok(())
}
