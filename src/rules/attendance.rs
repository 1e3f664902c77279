//! Attendance: which status fits which times, and how many minutes it comes to.

use super::Refusal;
use crate::{values::Moment, words};

words! {
    /// What came of one member's place in one session.
    pub enum Status {
        Attended = "attended",
        Late = "late",
        LeftEarly = "left_early",
        Excused = "excused",
        NoShow = "no_show",
    }
}

impl Status {
    pub fn was_there(self) -> bool {
        matches!(self, Status::Attended | Status::Late | Status::LeftEarly)
    }
}

words! {
    /// How somebody was there.
    pub enum Presence { InPerson = "in_person", Online = "online" }
}

/// When a session was held.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub from: Moment,
    pub until: Moment,
}

/// Minutes that somebody was there: derived from the times, never typed in. Without times, the whole session counts.
///
/// # Errors
/// When the times do not fit the status or the session; `pointer` names the entry.
pub fn minutes(
    status: Status,
    arrived: Option<Moment>,
    left: Option<Moment>,
    held: Held,
    pointer: &str,
) -> Result<i32, Refusal> {
    if !status.was_there() {
        if arrived.is_some() || left.is_some() {
            return Err(Refusal::field(format!("{pointer}/arrived_at"), "somebody who was not there has no times"));
        }
        return Ok(0);
    }
    let (from, until) = (arrived.unwrap_or(held.from), left.unwrap_or(held.until));
    // People come before the start and stay after the end: an hour is believed.
    if arrived.is_some_and(|at| at < held.from.plus_minutes(-60) || at > held.until) {
        return Err(Refusal::field(format!("{pointer}/arrived_at"), "lies outside the session"));
    }
    if left.is_some_and(|at| at < held.from || at > held.until.plus_minutes(60)) {
        return Err(Refusal::field(format!("{pointer}/left_at"), "lies outside the session"));
    }
    if until <= from {
        return Err(Refusal::field(format!("{pointer}/left_at"), "is not after the arrival"));
    }
    let (from, until) = (from.max(held.from), until.min(held.until));
    Ok(until.minutes_since(from).max(0) as i32)
}
