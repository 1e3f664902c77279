//! Terms of those who lead: when they count, what is left to do before and after one in a peer-led group.

use jiff::tz::TimeZone;

use super::Refusal;
use crate::values::{Day, Moment, Whole};

/// Hours before a facilitator's term in which they can prepare, hours after it in which they can finish, and hours
/// after those in which they can still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub preparing_hours: i32,
    pub finishing_hours: i32,
    pub reading_hours: i32,
}

/// Hours that can be set: up to a week before, two weeks and a month after.
pub type PreparingHours = Whole<0, 168>;
pub type FinishingHours = Whole<0, 336>;
pub type ReadingHours = Whole<0, 720>;

/// No window reaches farther: before a term, and after it.
pub const LONGEST_BEFORE_HOURS: i64 = 168;
pub const LONGEST_AFTER_HOURS: i64 = 336 + 720;

impl Windows {
    pub const DEFAULT: Windows = Windows { preparing_hours: 24, finishing_hours: 72, reading_hours: 168 };
}

/// When somebody leads: `[from_at, until_at)`.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    pub from_at: Moment,
    pub until_at: Option<Moment>,
    /// Ended by hand before its time: it leaves nothing to finish and nothing to read.
    pub cut_short: bool,
}

/// What a facilitator's term gives at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing, before or after.
    Outside,
    /// Everything: preparing, leading, or finishing.
    Leading,
    /// Reading what was done.
    Reading,
}

impl Term {
    /// Whether the term itself runs.
    pub fn runs(&self, now: Moment) -> bool {
        self.from_at <= now && self.until_at.is_none_or(|until| now < until)
    }

    /// What it gives a facilitator, windows included. Each window ends half-open, as the term does.
    pub fn phase(&self, windows: Windows, now: Moment) -> Phase {
        let hours = |hours: i32| i64::from(hours) * 60;
        if now < self.from_at.plus_minutes(-hours(windows.preparing_hours)) {
            return Phase::Outside;
        }
        let Some(until) = self.until_at else { return Phase::Leading };
        // Ended before it began: without this, the hours of preparing would outlive it.
        if until <= self.from_at {
            return Phase::Outside;
        }
        if now < until {
            return Phase::Leading;
        }
        if self.cut_short {
            return Phase::Outside;
        }
        let finished = until.plus_minutes(hours(windows.finishing_hours));
        match now {
            now if now < finished => Phase::Leading,
            now if now < finished.plus_minutes(hours(windows.reading_hours)) => Phase::Reading,
            _ => Phase::Outside,
        }
    }
}

/// The first moment of a day in a zone. Where clocks change at midnight, the day begins later than 00:00. The zone is
/// a group's, so it is known; UTC otherwise, as in [`Moment::day_in`].
///
/// # Errors
/// When the day lies outside the years 1900 to 9998.
pub fn start_of_day(day: Day, zone: &str, pointer: &str) -> Result<Moment, Refusal> {
    let outside = || Refusal::field(pointer, "is outside the years 1900 to 9998");
    if !(1900..=9998).contains(&day.0.year()) {
        return Err(outside());
    }
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    day.0.to_zoned(zone).map(|start| Moment::from(start.timestamp())).map_err(|_| outside())
}

/// When a term is asked to be: each end as a moment, or as a day in the group's zone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub from_at: Option<Moment>,
    pub until_at: Option<Moment>,
    pub from_on: Option<Day>,
    /// Half-open, as the moments are: the first day that is no longer part of the term.
    pub until_on: Option<Day>,
}

impl Asked {
    /// A steward stays until they go themselves, which the last one cannot: an end would take the last one too.
    pub fn check_no_end(&self) -> Result<(), Refusal> {
        let pointer = match (self.until_at, self.until_on) {
            (Some(_), _) => "/until_at",
            (None, Some(_)) => "/until_on",
            (None, None) => return Ok(()),
        };
        Err(Refusal::field(
            pointer,
            "is given, and a steward's term has no end: it is ended when another steward is there",
        ))
    }

    /// Beginning and end, where they are said.
    pub fn judge(&self, zone: &str, now: Moment) -> Result<(Option<Moment>, Option<Moment>), Refusal> {
        let end = |at: Option<Moment>, on: Option<Day>, pointer: &str| match (at, on) {
            (Some(_), Some(_)) => Err(Refusal::field(pointer, "is given as a moment already")),
            (at, None) => Ok(at),
            (None, Some(day)) => start_of_day(day, zone, pointer).map(Some),
        };
        let from = end(self.from_at, self.from_on, "/from_on")?;
        let until = end(self.until_at, self.until_on, "/until_on")?;
        let pointer = if self.until_on.is_some() { "/until_on" } else { "/until_at" };
        match until {
            Some(until) if from.is_some_and(|from| until <= from) => {
                Err(Refusal::field(pointer, "is not after the beginning"))
            }
            Some(until) if until <= now => Err(Refusal::field(pointer, "lies in the past")),
            until => Ok((from, until)),
        }
    }
}
