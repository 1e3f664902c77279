//! Sessions: when they are in which zone, what may happen to them in which state, what an agenda may hold.

use jiff::{civil::DateTime, tz::TimeZone};

use super::{Refusal, techniques};
use crate::{values::Moment, words};

words! {
    /// Where a session stands. A cancelled session is no absence.
    pub enum State { Scheduled = "scheduled", Held = "held", Cancelled = "cancelled" }
}

words! {
    /// How far a session's record has come.
    pub enum Recording { None = "none", Partial = "partial", Complete = "complete" }
}

words! {
    /// What became of an agenda item.
    pub enum Delivered { Delivered = "delivered", Partly = "partly", Skipped = "skipped" }
}

/// The instant of a local wall time. In the gap of a spring change the wall time does not exist: it is read with
/// the offset before the change; in the overlap of autumn the first of the two is meant (RFC 5545, 3.3.5).
///
/// # Errors
/// When the text is not `2026-03-29T18:30`, or the zone is unknown.
pub fn instant(local: &str, zone: &str) -> Result<Moment, Refusal> {
    let bad =
        || Refusal::field("/starts_local", "is not a local date and time without a zone, such as 2026-03-29T18:30");
    let well_formed = local.len() == 16 && local.as_bytes()[10] == b'T' && local.as_bytes()[13] == b':';
    let time: DateTime = well_formed.then(|| local.parse().ok()).flatten().ok_or_else(bad)?;
    if !(1900..=9000).contains(&time.year()) {
        return Err(bad());
    }
    let zone = TimeZone::get(zone).map_err(|_| Refusal::field("/zone", "is not a zone of the IANA database"))?;
    let zoned = zone.to_ambiguous_zoned(time).compatible().map_err(|_| bad())?;
    Ok(Moment::from(zoned.timestamp()))
}

/// Whether the session can still be moved, planned anew or called off.
pub fn check_plannable(state: State) -> Result<(), Refusal> {
    match state {
        State::Scheduled => Ok(()),
        State::Held => Err(Refusal::clash("The session was held already.")),
        State::Cancelled => Err(Refusal::clash("The session is cancelled.")),
    }
}

/// A meeting of peers that has begun stays where it is: what may be kept of it goes by when it began.
pub fn check_move(kept: Moment, moved: Moment, now: Moment) -> Result<(), Refusal> {
    match kept <= now && moved != kept {
        true => Err(Refusal::clash("The session has begun: cancel it, and plan another one.")),
        false => Ok(()),
    }
}

/// Judges holding a session from `from` until `until`.
pub fn check_holding(state: State, from: Moment, until: Option<Moment>, now: Moment) -> Result<(), Refusal> {
    if state == State::Cancelled {
        return Err(Refusal::clash("The session is cancelled."));
    }
    if from > now {
        return Err(Refusal::field("/held_from", "lies in the future"));
    }
    if until.is_some_and(|until| until <= from) {
        return Err(Refusal::field("/held_until", "is not after held_from"));
    }
    if until.is_some_and(|until| until.minutes_since(from) > 24 * 60) {
        return Err(Refusal::field("/held_until", "is more than a day after held_from"));
    }
    Ok(())
}

/// Judges one agenda item: its words must be of the vocabulary.
pub fn check_item(position: usize, technique: &str, factors: &[impl AsRef<str>], pointer: &str) -> Result<(), Refusal> {
    if techniques::find(technique).is_none() {
        return Err(Refusal::field(
            format!("{pointer}/{position}/technique"),
            "is not in the vocabulary: GET /v1/techniques",
        ));
    }
    match factors.iter().position(|factor| !techniques::is_factor(factor.as_ref())) {
        Some(index) => Err(Refusal::field(
            format!("{pointer}/{position}/factors/{index}"),
            "is not in the vocabulary: GET /v1/techniques",
        )),
        None => Ok(()),
    }
}

/// What was delivered of an item, with its minutes: a skipped item took none.
pub fn check_delivery(delivered: Delivered, minutes: Option<i32>, pointer: &str) -> Result<i32, Refusal> {
    match (delivered, minutes) {
        (Delivered::Skipped, None | Some(0)) => Ok(0),
        (Delivered::Skipped, Some(_)) => Err(Refusal::field(pointer, "a skipped item took no minutes")),
        (_, Some(minutes)) if minutes > 0 => Ok(minutes),
        _ => Err(Refusal::field(pointer, "is missing: say how long it took")),
    }
}
