//! Requests to amend a record: until when they are answered, on which grounds one is denied, what may follow.
//!
//! Source: 45 CFR 164.526. An amendment is linked to the record and shown beside it; nothing is ever overwritten.

use super::{Refusal, exports::Part};
use crate::{values::Moment, words};

/// Days after the request within which it is acted on (45 CFR 164.526(b)(2)(i)).
pub const DUE_DAYS: i64 = 60;
/// Days by which that is extended, once and with a reason (45 CFR 164.526(b)(2)(ii)).
pub const EXTENSION_DAYS: i64 = 30;

words! {
    /// What a member can ask to have corrected: what they read of their own record.
    pub enum RecordKind {
        Measure = "measure",
        Attendance = "attendance",
        ProgressEntry = "progress_entry",
        Goal = "goal",
        Homework = "homework",
    }
}

impl RecordKind {
    /// The part of an export in which such a record stands.
    pub fn part(self) -> Part {
        match self {
            RecordKind::Measure => Part::Measures,
            RecordKind::Attendance => Part::Attendances,
            RecordKind::ProgressEntry => Part::ProgressEntries,
            RecordKind::Goal => Part::Goals,
            RecordKind::Homework => Part::Homework,
        }
    }

    /// The parts that tell what such a record says.
    pub fn parts(self) -> &'static [Part] {
        match self {
            RecordKind::Measure => &[Part::Measures, Part::Answers, Part::Subscales],
            RecordKind::Attendance => &[Part::Attendances],
            RecordKind::ProgressEntry => &[Part::ProgressEntries],
            RecordKind::Goal => &[Part::Goals, Part::GoalWordings, Part::GoalRatings],
            RecordKind::Homework => &[Part::Homework],
        }
    }
}

words! {
    /// Where a request stands.
    pub enum State { Received = "received", Accepted = "accepted", Denied = "denied" }
}

words! {
    /// What is decided.
    pub enum Decision { Accepted = "accepted", Denied = "denied" }
}

impl From<Decision> for State {
    fn from(decision: Decision) -> State {
        match decision {
            Decision::Accepted => State::Accepted,
            Decision::Denied => State::Denied,
        }
    }
}

words! {
    /// Why a request is denied; there is no other ground (45 CFR 164.526(a)(2)).
    pub enum Basis {
        AccurateAndComplete = "accurate_and_complete",
        /// By whoever keeps the record here, while whoever made it can still act on a request.
        NotCreatedHere = "not_created_here",
        NotPartOfTheRecord = "not_part_of_the_record",
        NotOpenToAccess = "not_open_to_access",
    }
}

words! {
    /// What followed a request.
    pub enum Step {
        Extended = "extended",
        Accepted = "accepted",
        Denied = "denied",
        /// The member disagreed in writing.
        Stated = "stated",
        Rebutted = "rebutted",
        /// The member asked that request and denial go with every disclosure.
        SentAlong = "sent_along",
        /// Those who had received the record before were told.
        Informed = "informed",
    }
}

/// What is told to whoever was denied (45 CFR 164.526(d)(1)).
pub const WHAT_YOU_MAY_DO: &str = "You may file a statement of disagreement: it goes with every disclosure of the record from then on. You may instead \
     ask that your request and this denial go with them. You may complain to the organization's privacy officer, or to \
     the Secretary of Health and Human Services.";

/// Until when a request is to be decided.
pub fn due_at(asked_at: Moment) -> Moment {
    asked_at.plus_days(DUE_DAYS)
}

/// The new day by which a request is decided; refused once it was extended, was decided, or is overdue: the reason has to
/// reach the member within the first sixty days.
pub fn extend(state: State, asked_at: Moment, steps: &[Step], now: Moment) -> Result<Moment, Refusal> {
    check_open(state)?;
    if steps.contains(&Step::Extended) {
        return Err(Refusal::clash("The time was extended already: it can be once (45 CFR 164.526(b)(2)(ii))."));
    }
    if now > due_at(asked_at) {
        return Err(Refusal::clash("The sixty days are over: the time cannot be extended any more."));
    }
    Ok(asked_at.plus_days(DUE_DAYS + EXTENSION_DAYS))
}

fn check_open(state: State) -> Result<(), Refusal> {
    match state {
        State::Received => Ok(()),
        State::Accepted | State::Denied => Err(Refusal::clash("The request has been decided.")),
    }
}

/// A denial says on which ground and in plain words; an acceptance has no ground.
pub fn decide(state: State, decision: Decision, basis: Option<Basis>, has_words: bool) -> Result<(), Refusal> {
    check_open(state)?;
    match (decision, basis) {
        (Decision::Denied, None) => {
            Err(Refusal::field("/basis", "is missing: there are four grounds for a denial (45 CFR 164.526(a)(2))"))
        }
        (Decision::Denied, Some(_)) if !has_words => {
            Err(Refusal::field("/words", "is missing: a denial is written in plain language (45 CFR 164.526(d)(1))"))
        }
        (Decision::Accepted, Some(_)) => Err(Refusal::field("/basis", "is the ground of a denial: leave it out")),
        _ => Ok(()),
    }
}

/// Nobody decides about their own record.
pub fn check_not_own(is_own: bool) -> Result<(), Refusal> {
    match is_own {
        true => Err(Refusal::clash("The request is your own: another therapist of the group decides it.")),
        false => Ok(()),
    }
}

/// A statement of disagreement follows a denial, once.
pub fn state_disagreement(state: State, steps: &[Step]) -> Result<(), Refusal> {
    check_denied(state)?;
    match steps.contains(&Step::Stated) {
        true => Err(Refusal::clash("There is a statement already. What is new is a new request.")),
        false => Ok(()),
    }
}

/// A rebuttal follows a statement, once.
pub fn rebut(steps: &[Step]) -> Result<(), Refusal> {
    match (steps.contains(&Step::Stated), steps.contains(&Step::Rebutted)) {
        (false, _) => Err(Refusal::clash("There is no statement of disagreement to answer.")),
        (true, true) => Err(Refusal::clash("There is a rebuttal already.")),
        (true, false) => Ok(()),
    }
}

/// A denied request goes along where the member asks for it; with a statement it does already.
pub fn send_along(state: State, goes_along: bool) -> Result<(), Refusal> {
    check_denied(state)?;
    match goes_along {
        true => Err(Refusal::clash("It goes with every disclosure already.")),
        false => Ok(()),
    }
}

fn check_denied(state: State) -> Result<(), Refusal> {
    match state {
        State::Denied => Ok(()),
        State::Received | State::Accepted => Err(Refusal::clash("The request was not denied.")),
    }
}

/// Those who had the record are told of an amendment that was accepted (45 CFR 164.526(c)(3)).
pub fn check_informs(state: State) -> Result<(), Refusal> {
    match state {
        State::Accepted => Ok(()),
        State::Received | State::Denied => Err(Refusal::clash("There is no amendment of which to tell anybody.")),
    }
}
