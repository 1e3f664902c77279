//! Goals and their ratings, homework and what became of it.
//!
//! Goal attainment scaling: each goal is rated from -2 (much less than expected) over 0 (as expected) to +2 (much more
//! than expected), and a weighted summary puts all goals of a person on one scale with mean 50 and standard deviation 10
//! (Kiresuk and Sherman, Community Mental Health Journal 1968; 4: 443–453. The formula as it is used here is that of
//! Turner-Stokes, Clinical Rehabilitation 2009; 23: 362–370, in the form of its erratum).

use super::{Refusal, instruments::Points, members::State as MemberState, sessions};
use crate::{
    policy::Standing,
    values::{Id, Moment},
    words,
};

words! {
    /// For whom somebody speaks: the two never mix.
    pub enum Side { Member = "member", Clinician = "clinician" }
}

words! {
    /// Where a goal stands.
    pub enum State {
        /// Waits for the agreement of one side.
        Proposed = "proposed",
        /// Both sides agreed to the wording that stands.
        Live = "live",
        Ended = "ended",
    }
}

words! {
    /// What a goal came to.
    pub enum Outcome {
        Attained = "attained",
        PartlyAttained = "partly_attained",
        NotAttained = "not_attained",
        /// Given up, or of no concern any more. Its ratings go on counting: a summary does not rise because somebody
        /// drops what went badly.
        Dropped = "dropped",
        /// Never was this member's goal: counts nowhere.
        EnteredInError = "entered_in_error",
    }
}

words! {
    /// Why there is no summary.
    pub enum NoSummary {
        /// There is no goal to which both sides agreed.
        NothingAgreed = "nothing_agreed",
        /// There are such goals, and this side rated none of them.
        NothingRated = "nothing_rated",
    }
}

words! {
    /// What became of homework.
    pub enum Said {
        Done = "done",
        Partly = "partly",
        NotDone = "not_done",
        /// Asked, and left without an answer: always an answer.
        NotSaid = "not_said",
    }
}

/// For whom somebody speaks about a member: for themselves, if it is their own membership, whatever else they are.
pub fn side_of(own_member: Option<Id>, member: Id) -> Side {
    if own_member == Some(member) { Side::Member } else { Side::Clinician }
}

/// When each side agreed to the wording that stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Agreement {
    pub member_at: Option<Moment>,
    pub clinician_at: Option<Moment>,
}

impl Agreement {
    /// The moment from which both sides stood behind the wording.
    pub fn since(self) -> Option<Moment> {
        Some(self.member_at?.max(self.clinician_at?))
    }

    pub fn of(self, side: Side) -> Option<Moment> {
        match side {
            Side::Member => self.member_at,
            Side::Clinician => self.clinician_at,
        }
    }
}

pub fn state(agreement: Agreement, outcome: Option<Outcome>) -> State {
    match (outcome, agreement.since()) {
        (Some(_), _) => State::Ended,
        (None, Some(_)) => State::Live,
        (None, None) => State::Proposed,
    }
}

/// Refuses whatever is new about a member who gives no live consent.
pub fn check_consent(has_live_consent: bool) -> Result<(), Refusal> {
    match has_live_consent {
        true => Ok(()),
        false => Err(Refusal::clash("Nothing is taken without this member's live consent.")),
    }
}

/// Refuses what looks ahead for somebody whose membership is over.
pub fn check_belongs(state: MemberState) -> Result<(), Refusal> {
    match state.standing() {
        Some(Standing::FormerMember) => Err(Refusal::clash("This membership has ended.")),
        _ => Ok(()),
    }
}

/// A goal that has ended stays as it is.
pub fn check_open(state: State) -> Result<(), Refusal> {
    match state {
        State::Ended => Err(Refusal::clash("The goal has ended: propose another one.")),
        State::Proposed | State::Live => Ok(()),
    }
}

/// Judges an agreement: it counts for the wording that was read, and for no other.
pub fn check_agreement(state: State, stands: i32, named: i32) -> Result<(), Refusal> {
    check_open(state)?;
    match named == stands {
        true => Ok(()),
        false => Err(Refusal::clash("The goal has another wording now: read it again.")),
    }
}

/// When somebody's membership ended, where it did.
pub fn ended_at(state: MemberState, state_from: Moment) -> Option<Moment> {
    (state.standing() == Some(Standing::FormerMember)).then_some(state_from)
}

/// Judges when a goal was rated: between the agreement of both sides and now, and while the member belonged here.
pub fn check_rated_at(
    agreement: Agreement,
    rated_at: Moment,
    membership_ended_at: Option<Moment>,
    now: Moment,
) -> Result<(), Refusal> {
    let Some(since) = agreement.since() else {
        return Err(Refusal::clash("Both sides have to agree to the goal before it is rated."));
    };
    // A device's clock may run a little ahead.
    if rated_at > now.plus_minutes(5) {
        return Err(Refusal::field("/rated_at", "lies in the future"));
    }
    if rated_at < since {
        return Err(Refusal::field("/rated_at", "lies before both sides agreed to this wording"));
    }
    if membership_ended_at.is_some_and(|ended| rated_at > ended) {
        return Err(Refusal::field("/rated_at", "lies after the end of the membership"));
    }
    Ok(())
}

/// Nobody corrects what the other side said.
pub fn check_rater(rated_as: Side, by: Side) -> Result<(), Refusal> {
    match rated_as == by {
        true => Ok(()),
        false => Err(Refusal::clash("The other side gave this rating: give your own.")),
    }
}

/// How goals are assumed to correlate with each other (Kiresuk and Sherman 1968).
const INTERCORRELATION: f64 = 0.3;

/// One rated goal: its weight (1 to 9) and the level that was reached (-2 to +2).
#[derive(Clone, Copy, Debug)]
pub struct Rated {
    pub weight: i32,
    pub level: i32,
}

/// The T score of a person's rated goals: `50 + 10 Σwx / √((1 − ρ) Σw² + ρ (Σw)²)`, to a thousandth; `None` without any.
/// A goal that was not rated is left out: to count it as 0 would say that it was attained as expected.
pub fn t_score(goals: &[Rated]) -> Option<Points> {
    if goals.is_empty() {
        return None;
    }
    let sum = |part: fn(&Rated) -> i32| f64::from(goals.iter().map(part).sum::<i32>());
    let weighted = sum(|goal| goal.weight * goal.level);
    let (squares, weights) = (sum(|goal| goal.weight * goal.weight), sum(|goal| goal.weight));
    let spread = ((1.0 - INTERCORRELATION) * squares + INTERCORRELATION * weights * weights).sqrt();
    let score = 50.0 + 10.0 * weighted / spread;
    Some(Points::from_thousandths((score * 1000.0).round() as i32))
}

/// A goal of a member, as a summary looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Scaled {
    pub weight: i32,
    pub agreement: Agreement,
    pub outcome: Option<Outcome>,
    /// The last level that one side gave under the wording that stands.
    pub level: Option<i32>,
}

/// What one side's ratings come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// In thousandths.
    pub t_score: Option<Points>,
    pub no_score: Option<NoSummary>,
    /// How many goals both sides agreed to, those that have ended included.
    pub agreed: usize,
    /// How many of them this side rated.
    pub rated: usize,
}

/// Whether a goal counts in a summary: both sides agreed to its wording, and it was no mistake.
pub fn counts(agreement: Agreement, outcome: Option<Outcome>) -> bool {
    agreement.since().is_some() && outcome != Some(Outcome::EnteredInError)
}

/// Sums up what one side said of a member's goals.
pub fn summary(goals: &[Scaled]) -> Summary {
    let agreed: Vec<&Scaled> = goals.iter().filter(|goal| counts(goal.agreement, goal.outcome)).collect();
    let rated: Vec<Rated> =
        agreed.iter().filter_map(|goal| goal.level.map(|level| Rated { weight: goal.weight, level })).collect();
    let t_score = t_score(&rated);
    let no_score = match (t_score, agreed.is_empty()) {
        (Some(_), _) => None,
        (None, true) => Some(NoSummary::NothingAgreed),
        (None, false) => Some(NoSummary::NothingRated),
    };
    Summary { t_score, no_score, agreed: agreed.len(), rated: rated.len() }
}

/// Whether an agenda item gave its homework: the session was held, and the item was not skipped.
pub fn is_given(session: sessions::State, delivered: Option<sessions::Delivered>) -> bool {
    session == sessions::State::Held && delivered != Some(sessions::Delivered::Skipped)
}
