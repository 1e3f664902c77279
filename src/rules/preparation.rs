//! Who needs attention first before a session, with the reason for each mark.
//!
//! A mark says by which rule it was given, with figures that whoever reads it can check. No mark is a diagnosis, and
//! nobody without one is therefore well: what was not measured is not known.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    Refusal,
    attendance::Status,
    change::{OffTrack, Seat, Trace, TrackRule, Yardstick, missed, off_track},
    instruments::{Points, Risk},
    outcomes::{Dose, Item},
    progress::zone_of,
    risks,
    sessions::State,
};
use crate::{
    values::{Id, Moment},
    words,
};

words! {
    /// Why somebody needs attention. The order of the words is the order of need.
    pub enum Mark {
        /// A risk mark is open.
        Risk = "risk",
        /// Reliably worse than at the baseline.
        Deteriorated = "deteriorated",
        /// No reliable change by the session that the reader named.
        NoReliableChange = "no_reliable_change",
        /// Absent from too many sessions in a row.
        Missed = "missed",
        /// An instrument is to be answered.
        Due = "due",
    }
}

impl Mark {
    /// Id of the rule that gives the mark.
    pub fn rule(self) -> &'static str {
        match self {
            Mark::Risk => "open_risk",
            Mark::Deteriorated => "reliable_deterioration",
            Mark::NoReliableChange => "no_reliable_change_by_session",
            Mark::Missed => "misses_in_a_row",
            Mark::Due => "due_by_schedule",
        }
    }
}

/// What is asked of everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Session k, from 1. None: no source gives a session by which a group member should have changed, so nobody is
    /// judged by one that nobody named.
    pub by_session: Option<u16>,
    /// Misses in a row that are too many, from 1.
    pub misses: u16,
}

impl Rule {
    /// The order of need, the most urgent first, each with its rule in words.
    pub fn order(self) -> Vec<(Mark, String)> {
        let words = |mark| match mark {
            Mark::Risk => "A risk mark is raised and not closed.".to_owned(),
            Mark::Deteriorated => "Reliably worse than at the baseline, by a published parameter set.".to_owned(),
            Mark::NoReliableChange => match self.by_session {
                Some(session) => format!("No reliable change at attended session {session} or later."),
                None => "Not judged: no session was named (by_session).".to_owned(),
            },
            Mark::Missed => format!("Absent from the last {} held sessions or more.", self.misses),
            Mark::Due => "An instrument of the group's schedule is due when the session begins.".to_owned(),
        };
        Mark::ALL.iter().map(|mark| (*mark, words(*mark))).collect()
    }

    fn track(self) -> TrackRule {
        // Nobody attends so many sessions.
        TrackRule { by_session: self.by_session.unwrap_or(u16::MAX), misses: self.misses }
    }
}

/// A mark and why it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub mark: Mark,
    /// In plain words, with the figures.
    pub because: String,
    /// Id of the instrument that it rests on.
    pub instrument: Option<String>,
    /// Id of the parameter set that it rests on.
    pub set: Option<String>,
    /// Where the rule comes from.
    pub source: String,
}

/// What somebody answered of one instrument.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// Id of the instrument.
    pub instrument: &'a str,
    pub title: &'a str,
    pub yardstick: &'a Yardstick<'a>,
    pub trace: Trace<'a>,
}

/// An instrument that is to be answered by the beginning of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<'a> {
    /// Id of the instrument.
    pub instrument: &'a str,
    pub title: &'a str,
    pub due_at: Moment,
    pub last_taken_at: Option<Moment>,
}

/// A risk mark that is not closed. What was answered is no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRisk<'a> {
    /// Id of the instrument.
    pub instrument: &'a str,
    pub title: &'a str,
    pub taken_at: Moment,
    pub risk: Risk,
    pub state: risks::State,
    /// Until when the next step is wanted.
    pub due_at: Moment,
    pub is_overdue: bool,
}

/// Everything that one member's marks rest on.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// The most urgent first. Whether or not the member consents: somebody has to act upon each.
    pub open_risks: Vec<OpenRisk<'a>>,
    /// Empty without live consent.
    pub series: Vec<Series<'a>>,
    /// Of the held sessions at which something was recorded of them.
    pub seats: Vec<Seat>,
    /// Empty without live consent.
    pub due: Vec<Due<'a>>,
}

const HOUSE: &str = "House rule";
const OWN_SESSION: &str = "the session is the reader's own: no published curve of expected response is applied, because the \
     trial behind the best known one left group therapy out (Delgadillo J, de Jong K, Lucock M, et al. Lancet Psychiatry \
     2018;5:564-572)";

/// Every mark of one member, the most urgent first. Days are those of the group's zone.
pub fn marks(rule: Rule, known: &mut Known, zone: &str) -> Vec<Reason> {
    let mut reasons = Vec::new();
    reasons.extend(of_risks(&known.open_risks, zone));
    for series in &known.series {
        for set in &series.yardstick.reliable {
            let found = off_track(rule.track(), series.yardstick, set, &series.trace, &mut known.seats);
            reasons.extend(found.into_iter().filter_map(|off| of_change(off, series, set.sample, set.source, zone)));
        }
    }
    known.seats.sort_unstable_by_key(|seat| (seat.held_at, seat.status));
    reasons.extend(missed(rule.track(), &known.seats).and_then(|off| of_misses(off, zone)));
    reasons.extend(known.due.iter().map(|due| of_due(due, zone)));
    // Stable: within a mark, the instruments stay in their order.
    reasons.sort_by_key(|reason| reason.mark);
    reasons
}

/// Which instrument and when, how far it has come, and until when somebody must act: of the most urgent mark.
fn of_risks(open: &[OpenRisk], zone: &str) -> Option<Reason> {
    let first = open.first()?;
    let count = match open.len() {
        1 => "1 risk mark is open".to_owned(),
        open => format!("{open} risk marks are open, the most urgent"),
    };
    let said = match first.risk {
        Risk::Declined => "declined",
        Risk::None | Risk::Positive => "positive",
    };
    let next = match first.state {
        risks::State::Raised => "not yet acknowledged",
        risks::State::Acknowledged => "not yet assessed",
        risks::State::Assessed | risks::State::Closed => "assessed and not yet closed",
    };
    let wanted = if first.is_overdue { "overdue since" } else { "wanted by" };
    let due = first.due_at.timestamp().to_zoned(zone_of(zone)).strftime("%Y-%m-%d %H:%M");
    let because =
        format!("{count}: {} of {}, {said}, {next}, {wanted} {due}.", first.title, first.taken_at.day_in(zone));
    let source = format!("{HOUSE}: a risk mark stays until somebody closes it; no later answer takes it away");
    Some(Reason { mark: Mark::Risk, because, instrument: Some(first.instrument.to_owned()), set: None, source })
}

fn of_change(off: OffTrack, series: &Series, sample: &str, source: &str, zone: &str) -> Option<Reason> {
    let (mark, id, tail, source) = match off {
        OffTrack::Deteriorated { set, .. } => {
            let from = reliable_from(series, set)?;
            let tail = format!("a change is reliable from {from} points on ({set})");
            (Mark::Deteriorated, set, tail, format!("{source}. Sample: {sample}"))
        }
        OffTrack::NoReliableChange { set, by_session, attended, .. } => {
            let from = reliable_from(series, set)?;
            let tail = format!(
                "a change is reliable from {from} points on ({set}) and was looked for by session {by_session}; {attended} \
                 sessions were attended"
            );
            (Mark::NoReliableChange, set, tail, format!("{source}. Sample: {sample}; {OWN_SESSION}"))
        }
        // Said once, whatever the number of instruments.
        OffTrack::Missed { .. } => return None,
    };
    let (first, last) = series.trace.ends(series.yardstick).ok()?;
    let gain = series.yardstick.scale.gain(first.score, last.score);
    let change = match gain {
        0 => "no change".to_owned(),
        gain => {
            let points = Points::from_thousandths(gain.saturating_abs());
            let word = if gain.abs() == 1_000 { "point" } else { "points" };
            format!("{points} {word} {}", if gain > 0 { "better" } else { "worse" })
        }
    };
    let because = format!(
        "{}: {} on {}, {} on {}, {change}; {tail}.",
        series.title,
        Points::from_thousandths(first.score),
        first.taken_at.day_in(zone),
        Points::from_thousandths(last.score),
        last.taken_at.day_in(zone),
    );
    Some(Reason { mark, because, instrument: Some(series.instrument.to_owned()), set: Some(id.to_owned()), source })
}

fn reliable_from(series: &Series, set: &str) -> Option<Points> {
    series.yardstick.set(set).map(|set| Points::from_thousandths(set.reliable_from))
}

fn of_misses(off: OffTrack, zone: &str) -> Option<Reason> {
    let OffTrack::Missed { missed, excused, since } = off else { return None };
    let sessions = if missed == 1 { "session".to_owned() } else { format!("{missed} sessions") };
    let because = format!(
        "Absent from the last {sessions}, since {}; {excused} of {missed} excused. Cancelled sessions are left out.",
        since.day_in(zone)
    );
    let source = format!("{HOUSE}: the number of misses is the reader's own, two when not said");
    Some(Reason { mark: Mark::Missed, because, instrument: None, set: None, source })
}

fn of_due(due: &Due, zone: &str) -> Reason {
    let last = match due.last_taken_at {
        Some(last) => format!("last answered on {}", last.day_in(zone)),
        None => "never answered".to_owned(),
    };
    let because = format!("{}: due on {}, {last}.", due.title, due.due_at.day_in(zone));
    let source = "The group's own measure schedule".to_owned();
    Reason { mark: Mark::Due, because, instrument: Some(due.instrument.to_owned()), set: None, source }
}

/// Who comes first: by the most urgent mark, then by the next most urgent one, and so on; where one list of marks goes
/// on when the other ends, the longer one. A mark that was given twice counts once.
pub fn by_need(one: &[Reason], other: &[Reason]) -> Ordering {
    let distinct = |reasons: &[Reason]| reasons.iter().map(|reason| reason.mark).collect::<BTreeSet<_>>();
    let (one, other) = (distinct(one), distinct(other));
    let first_difference = one.iter().zip(&other).map(|(one, other)| one.cmp(other)).find(|order| order.is_ne());
    first_difference.unwrap_or_else(|| other.len().cmp(&one.len()))
}

/// One held session, with what was delivered at it.
#[derive(Clone, Debug)]
pub struct HeldSession<'a> {
    pub id: Id,
    /// When it was to begin: who was active then was expected.
    pub starts_at: Moment,
    pub until: Moment,
    /// Minutes that it took.
    pub minutes: i32,
    pub items: Vec<Item<'a>>,
}

/// One member's place at a held session at which they were expected.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub session: &'a HeldSession<'a>,
    /// What was recorded of them, with the minutes that they were there; None: nothing yet, which is no absence.
    pub recorded: Option<(Status, i32)>,
}

/// The end of the first session that somebody attended, not of the group's first: a late joiner starts late.
pub fn first_session_until(places: &[Place]) -> Option<Moment> {
    let attended = places.iter().filter(|place| place.recorded.is_some_and(|(status, _)| status.was_there()));
    attended.map(|place| (place.session.starts_at, place.session.until)).min().map(|(_, until)| until)
}

/// The places of which something is recorded.
pub fn seats(places: &[Place]) -> Vec<Seat> {
    let seat = |place: &Place| Some(Seat { held_at: place.session.starts_at, status: place.recorded?.0 });
    places.iter().filter_map(seat).collect()
}

/// Attendance so far, out of the held sessions at which somebody was expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attended {
    pub expected: usize,
    pub attended: usize,
    pub excused: usize,
    pub no_show: usize,
    /// Expected, and nothing recorded yet.
    pub unrecorded: usize,
}

pub fn attended(places: &[Place]) -> Attended {
    let count = |fits: fn(Option<Status>) -> bool| {
        places.iter().filter(|place| fits(place.recorded.map(|(status, _)| status))).count()
    };
    Attended {
        expected: places.len(),
        attended: count(|status| status.is_some_and(Status::was_there)),
        excused: count(|status| status == Some(Status::Excused)),
        no_show: count(|status| status == Some(Status::NoShow)),
        unrecorded: count(|status| status.is_none()),
    }
}

/// A technique that was delivered while somebody was absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedTechnique<'a> {
    /// Id of the vocabulary.
    pub technique: &'a str,
    /// Held sessions with it from which they were absent.
    pub sessions: usize,
    pub last_missed_at: Moment,
    /// Minutes of it that they had at other sessions; 0: they never had it.
    pub received_minutes: i64,
}

/// What somebody missed of the agenda: first what they never had, then what they missed last. Sessions of which nothing
/// is recorded for them say nothing.
pub fn missed_of_agenda<'a>(places: &[Place<'a>]) -> Vec<MissedTechnique<'a>> {
    let mut dose = Dose::default();
    let mut missed: BTreeMap<&str, (usize, Moment)> = BTreeMap::new();
    for place in places {
        let Some((_, minutes)) = place.recorded else { continue };
        let mut of_session = Dose::default();
        of_session.add_session(&place.session.items, minutes, place.session.minutes);
        dose.merge(&of_session);
        if minutes > 0 {
            continue;
        }
        for technique in of_session.missed() {
            let (sessions, last) = missed.entry(technique).or_insert((0, place.session.starts_at));
            *sessions += 1;
            *last = (*last).max(place.session.starts_at);
        }
    }
    let received: BTreeMap<&str, i64> = dose.minutes().collect();
    let mut missed: Vec<MissedTechnique> = missed
        .into_iter()
        .map(|(technique, (sessions, last_missed_at))| MissedTechnique {
            technique,
            sessions,
            last_missed_at,
            received_minutes: received.get(technique).copied().unwrap_or(0),
        })
        .collect();
    missed.sort_by_key(|missed| (missed.received_minutes > 0, std::cmp::Reverse(missed.last_missed_at)));
    missed
}

/// Whether something was recorded after the preparation that a review rests on was read. Of what came in the same
/// millisecond nobody knows whether it was seen: it counts as newer.
pub fn is_newer(last_recorded_at: Option<Moment>, as_of: Moment) -> bool {
    last_recorded_at.is_some_and(|recorded| recorded >= as_of)
}

/// Hours after which a preparation was read too long ago for a review to rest on. This software's own number: a day,
/// because what was read yesterday evening is reviewed this morning.
pub const READ_HOURS: i64 = 24;

/// Judges a review before a session: of one that was held or called off, nobody prepares any more.
///
/// `as_of` is the moment of the preparation that was read. The newest review takes the place of the one before it, so one
/// that rests on an old reading would say again that nobody has looked since then.
pub fn check_review(session: State, as_of: Moment, now: Moment) -> Result<(), Refusal> {
    match session {
        State::Scheduled => {}
        State::Held => return Err(Refusal::clash("The session was held: a review is made before it.")),
        State::Cancelled => return Err(Refusal::clash("The session is cancelled.")),
    }
    if as_of > now {
        return Err(Refusal::field("/as_of", "lies in the future"));
    }
    if as_of < now.plus_minutes(-60 * READ_HOURS) {
        return Err(Refusal::field("/as_of", format!("lies more than {READ_HOURS} hours back: read it again")));
    }
    Ok(())
}
