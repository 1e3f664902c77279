//! Off track by a stated rule, each reason as data.
//!
//! No published curve of expected response is applied: the trial behind the best known one left group therapy out
//! (Delgadillo J, de Jong K, Lucock M, et al. Lancet Psychiatry 2018;5:564-572). What is applied here is the group's own
//! rule, and whoever reads a reason can check it.

use serde::Serialize;

use super::{ReliableSet, State, Trace, Yardstick};
use crate::{rules::attendance::Status, values::Moment};

/// One held session at which the person was expected. A cancelled session is no seat, nor is one before they joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    pub held_at: Moment,
    pub status: Status,
}

/// The group's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackRule {
    /// Session k: by the k-th session that the person attended, change should be reliable. From 1.
    pub by_session: u16,
    /// Misses in a row that are too many. From 1.
    pub misses: u16,
}

impl TrackRule {
    /// Two misses in a row. There is no default for session k: no source gives one for groups.
    pub const MISSES: u16 = 2;
}

/// Why somebody is off track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum OffTrack<'a> {
    /// Reliably worse than at the baseline, by the named set. `gain` in thousandths of a point, below 0.
    Deteriorated { set: &'a str, gain: i32 },
    /// No reliable change although the rule's session was reached. `attended` counts the sessions attended so far.
    NoReliableChange { set: &'a str, gain: i32, by_session: u16, attended: u16 },
    /// Absent from the last `missed` sessions, of which `excused` were announced.
    Missed { missed: u16, excused: u16, since: Moment },
}

/// Every reason why the person is off track now; empty when on track, or when nothing can be said.
///
/// `seats` in any order; they are sorted in place.
pub fn off_track<'a>(
    rule: TrackRule,
    yardstick: &Yardstick,
    set: &ReliableSet<'a>,
    trace: &Trace,
    seats: &mut [Seat],
) -> Vec<OffTrack<'a>> {
    seats.sort_unstable_by_key(|seat| (seat.held_at, seat.status));
    let mut reasons = Vec::new();
    if let Ok((first, last)) = trace.ends(yardstick) {
        let gain = yardstick.scale.gain(first.score, last.score);
        let attended = seats.iter().filter(|seat| seat.status.was_there()).count().min(u16::MAX.into()) as u16;
        match yardstick.state(set, first.score, last.score) {
            State::ReliablyDeteriorated => reasons.push(OffTrack::Deteriorated { set: set.id, gain }),
            State::NoReliableChange if attended >= rule.by_session => {
                let by_session = rule.by_session;
                reasons.push(OffTrack::NoReliableChange { set: set.id, gain, by_session, attended });
            }
            _ => {}
        }
    }
    reasons.extend(missed(rule, seats));
    reasons
}

/// The misses in a row that end in the newest seat, where they are too many. `seats` in order of time. It needs no
/// instrument: somebody who was never measured can be missing too.
pub fn missed<'a>(rule: TrackRule, seats: &[Seat]) -> Option<OffTrack<'a>> {
    let run = seats.iter().rev().take_while(|seat| !seat.status.was_there());
    let (mut missed, mut excused, mut since) = (0_u16, 0_u16, None);
    for seat in run {
        missed = missed.saturating_add(1);
        excused = excused.saturating_add(u16::from(seat.status == Status::Excused));
        since = Some(seat.held_at);
    }
    since.filter(|_| missed >= rule.misses.max(1)).map(|since| OffTrack::Missed { missed, excused, since })
}
