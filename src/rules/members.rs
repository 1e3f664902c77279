//! Membership as intervals: which state follows which, who belongs to a session's expected roster, capacity.

use super::Refusal;
use crate::{
    policy::Standing,
    values::{Id, Moment},
    words,
};

words! {
    /// Where a membership stands during an interval.
    pub enum State {
        Invited = "invited",
        Screened = "screened",
        Active = "active",
        Paused = "paused",
        Completed = "completed",
        Left = "left",
        Transferred = "transferred",
        Discharged = "discharged",
        Removed = "removed",
    }
}

impl State {
    /// What the policy sees of this state: nothing before the first active day.
    pub fn standing(self) -> Option<Standing> {
        match self {
            State::Invited | State::Screened => None,
            State::Active | State::Paused => Some(Standing::Member),
            State::Completed | State::Left | State::Transferred | State::Discharged | State::Removed => {
                Some(Standing::FormerMember)
            }
        }
    }

    /// Whether a member in this state takes one of the group's places.
    pub fn takes_a_place(self) -> bool {
        matches!(self, State::Active | State::Paused)
    }

    /// The states that may come next. Coming back after an end is a new interval, never a changed one.
    pub fn next(self) -> &'static [State] {
        use State::*;
        match self {
            Invited => &[Screened, Active, Left, Removed],
            Screened => &[Active, Left, Removed],
            Active => &[Paused, Completed, Left, Transferred, Discharged, Removed],
            Paused => &[Active, Completed, Left, Transferred, Discharged, Removed],
            Completed | Left | Transferred | Discharged | Removed => &[Active],
        }
    }
}

/// Judges a move from one state to the next at `at`, which may lie in the past but not before the current interval.
pub fn check_move(from: State, since: Moment, to: State, at: Moment, now: Moment) -> Result<(), Refusal> {
    if !from.next().contains(&to) {
        return Err(Refusal::clash(format!("A membership that is {from} cannot become {to}.")));
    }
    if at < since {
        return Err(Refusal::field("/from_at", "lies before the interval that it would end"));
    }
    if at > now {
        return Err(Refusal::field("/from_at", "lies in the future"));
    }
    Ok(())
}

/// Refuses one more member than the group has places. `taken`: members who take a place now.
pub fn check_capacity(capacity: Option<i32>, taken: i64) -> Result<(), Refusal> {
    match capacity {
        Some(capacity) if taken >= i64::from(capacity) => Err(Refusal::clash("The group is full.")),
        _ => Ok(()),
    }
}

/// One interval of a membership, half-open: `[from_at, until_at)`.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    pub member: Id,
    pub state: State,
    pub from_at: Moment,
    pub until_at: Option<Moment>,
}

/// Who was expected at `at`: the members active at that moment, whatever they are today.
pub fn roster(intervals: &[Interval], at: Moment) -> Vec<Id> {
    let mut members: Vec<Id> = intervals
        .iter()
        .filter(|interval| interval.state == State::Active)
        .filter(|interval| interval.from_at <= at && interval.until_at.is_none_or(|until| at < until))
        .map(|interval| interval.member)
        .collect();
    members.sort_unstable();
    members.dedup();
    members
}
