//! Progress of one person: series with their change, attendance and dose as figures, and what they mean in plain words.
//!
//! Baseline and change are judged over everything that was taken, whatever window is looked at: a window that hides the
//! first score must not make a later one the baseline.

mod words;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use super::{
    attendance::Status,
    change::{Administration, BaselineRule, Judgement, Point, ReliableSet, Scale, State, Why, Yardstick, trace},
    instruments::{Band, Instrument, NoScore, Registry, Scoring, Subscale},
    outcomes::{Dose, Item},
};
use crate::{
    values::{Id, Moment},
    words,
};

pub(crate) use words::zone_of;

words! {
    /// A language that the sentences are written in.
    pub enum Language {
        English = "en",
        German = "de",
    }
}

/// The days that are looked at: from `since`, before `until`.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub since: Moment,
    pub until: Moment,
}

impl Window {
    pub fn holds(self, at: Moment) -> bool {
        (self.since..self.until).contains(&at)
    }
}

/// One administration, as it stands. What was entered in error is none.
#[derive(Clone, Debug)]
pub struct Taken {
    pub id: Id,
    pub group: Id,
    pub instrument: String,
    pub version: String,
    pub taken_at: Moment,
    /// Thousandths of a point.
    pub score: Option<i32>,
    pub no_score: Option<NoScore>,
    pub prorated: bool,
    /// Thousandths of a point by id of the subscale.
    pub subscales: HashMap<String, Option<i32>>,
}

/// One score of a series.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub point: Point,
    pub group: Id,
    /// Estimated from the answers that were given.
    pub prorated: bool,
    pub band: Option<&'a Band>,
}

/// An administration without a score: no point stands for it, and missing is never 0.
#[derive(Clone, Debug)]
pub struct Gap {
    pub administration: Id,
    pub group: Id,
    pub taken_at: Moment,
    pub why: NoPoint,
}

/// Why an administration makes no point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPoint {
    NoScore(NoScore),
    /// An answer of this subscale is missing.
    PartIncomplete,
}

/// What became of somebody on one scale.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The baseline and the newest score, or why they cannot be compared.
    pub ends: Result<(Point, Point), Why>,
    /// By each published parameter set, side by side.
    pub states: Vec<(ReliableSet<'a>, State)>,
    /// Every question under its own name, with the set and the source that it rests on.
    pub judgements: Vec<Judgement<'a>>,
}

impl Change<'_> {
    /// Why there is no state at all.
    pub fn why_none(&self) -> Option<Why> {
        self.ends.err().or(self.states.is_empty().then_some(Why::NoParameters))
    }
}

/// One scale over time: an instrument's total, or a subscale of an instrument that has no total.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    pub instrument: &'a Instrument,
    pub subscale: Option<&'a Subscale>,
    pub scale: Scale,
    pub bands: &'a [Band],
    pub band_source: Option<&'a str>,
    /// Those in the window, oldest first.
    pub points: Vec<Shown<'a>>,
    /// Those in the window, oldest first.
    pub gaps: Vec<Gap>,
    /// The earliest score of all, whether or not it lies in the window, and which rule made it the baseline.
    pub baseline: Option<(Point, BaselineRule)>,
    pub change: Change<'a>,
}

impl Series<'_> {
    pub fn title(&self) -> String {
        match self.subscale {
            Some(subscale) => format!("{}: {}", self.instrument.title, subscale.label),
            None => self.instrument.title.clone(),
        }
    }
}

/// The series of one person, those with the most points first. `first_session_until`: the end of the first session that
/// they attended. An administration from `until` on does not count, and neither does one of an unknown instrument.
pub fn series<'a>(
    registry: &'a Registry,
    taken: &[Taken],
    first_session_until: Option<Moment>,
    window: Window,
) -> Vec<Series<'a>> {
    let mut by_instrument: BTreeMap<&str, Vec<&Taken>> = BTreeMap::new();
    for taken in taken.iter().filter(|taken| taken.taken_at < window.until) {
        by_instrument.entry(&taken.instrument).or_default().push(taken);
    }
    let mut all = Vec::new();
    for (id, mut taken) in by_instrument {
        taken.sort_unstable_by_key(|taken| (taken.taken_at, taken.id));
        let newest = taken.last().and_then(|newest| registry.find(id, &newest.version));
        let Some(instrument) = newest.or_else(|| registry.current(id)) else { continue };
        match instrument.scoring {
            Scoring::SubscalesOnly {} => all.extend(
                instrument
                    .subscales
                    .iter()
                    .map(|subscale| series_of(instrument, Some(subscale), &taken, first_session_until, window)),
            ),
            _ => all.push(series_of(instrument, None, &taken, first_session_until, window)),
        }
    }
    all.retain(|series| !series.points.is_empty() || !series.gaps.is_empty());
    all.sort_by_key(|series| Reverse(series.points.len()));
    all
}

fn series_of<'a>(
    instrument: &'a Instrument,
    subscale: Option<&'a Subscale>,
    taken: &[&Taken],
    first_session_until: Option<Moment>,
    window: Window,
) -> Series<'a> {
    const NONE: NoScore = NoScore::NoTotal {};
    let mut yardstick = Yardstick::of(instrument);
    if subscale.is_some() {
        // What is published for changes of an instrument was not found for a part of it.
        yardstick.reliable.clear();
    }
    let score = |taken: &Taken| match subscale {
        Some(subscale) => taken.subscales.get(&subscale.id).copied().flatten(),
        None => taken.score,
    };
    let mut administrations: Vec<Administration> = taken
        .iter()
        .map(|taken| Administration {
            id: taken.id,
            taken_at: taken.taken_at,
            version: taken.version.parse().unwrap_or(0),
            score: score(taken).ok_or(taken.no_score.as_ref().unwrap_or(&NONE)),
            entered_in_error: false,
        })
        .collect();
    let traced = trace(&yardstick, &mut administrations, first_session_until);
    let by_id: HashMap<Id, &Taken> = taken.iter().map(|taken| (taken.id, *taken)).collect();
    let bands = subscale.map_or(instrument.bands.as_slice(), |subscale| subscale.bands.as_slice());
    let points = traced.points.iter().filter(|point| window.holds(point.taken_at)).filter_map(|point| {
        let taken = by_id.get(&point.administration)?;
        let is_ours = point.version == yardstick.version;
        let band = bands.iter().rev().find(|band| is_ours && band.from.thousandths() <= point.score);
        Some(Shown { point: *point, group: taken.group, prorated: taken.prorated && subscale.is_none(), band })
    });
    let gaps = traced.unscored.iter().filter_map(|(id, why)| {
        let taken = by_id.get(id)?;
        let why = if subscale.is_some() { NoPoint::PartIncomplete } else { NoPoint::NoScore((*why).clone()) };
        Some(Gap { administration: *id, group: taken.group, taken_at: taken.taken_at, why })
    });
    let ends = traced.ends(&yardstick);
    let states = yardstick.reliable.iter().map(|set| (*set, traced.state(&yardstick, set.id))).collect();
    let judgements = match ends {
        Ok((first, last)) if subscale.is_none() => yardstick.judge(first.score, last.score).collect(),
        _ => Vec::new(),
    };
    Series {
        instrument,
        subscale,
        scale: yardstick.scale,
        bands,
        band_source: subscale.map_or(instrument.band_source.as_deref(), |subscale| subscale.band_source.as_deref()),
        points: points.collect(),
        gaps: gaps.filter(|gap| window.holds(gap.taken_at)).collect(),
        baseline: traced.points.first().copied().zip(traced.baseline),
        change: Change { ends, states, judgements },
    }
}

/// A held session of a group.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub session: Id,
    pub group: Id,
    pub starts_at: Moment,
    /// Its real end.
    pub until: Moment,
    /// Minutes that it took.
    pub minutes: i32,
}

/// What was recorded of one person at one session.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    pub session: Id,
    pub status: Status,
    pub minutes: i32,
}

/// One held session at which the person was expected.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub held: Held,
    /// None: nothing is recorded yet, which is no absence.
    pub recorded: Option<Recorded>,
}

/// One person's places in the sessions of one group, oldest first.
#[derive(Clone, Debug)]
pub struct Attendance {
    pub group: Id,
    pub places: Vec<Place>,
}

impl Attendance {
    pub fn count(&self, fits: impl Fn(Status) -> bool) -> usize {
        self.places.iter().filter(|place| place.recorded.is_some_and(|recorded| fits(recorded.status))).count()
    }

    pub fn attended(&self) -> usize {
        self.count(Status::was_there)
    }

    pub fn unrecorded(&self) -> usize {
        self.places.iter().filter(|place| place.recorded.is_none()).count()
    }

    /// Minutes that the person was there.
    pub fn minutes(&self) -> i32 {
        self.places.iter().filter_map(|place| place.recorded).map(|recorded| recorded.minutes).sum()
    }
}

/// The places of one person in the held sessions of one group. They were expected while they were active, and wherever
/// something was recorded of them. `counts_heads`: the group may leave out who was there, so that only what is recorded
/// says anything.
pub fn attendance(
    group: Id,
    held: &[Held],
    recorded: &[Recorded],
    active: &[(Moment, Option<Moment>)],
    counts_heads: bool,
) -> Attendance {
    let by_session: HashMap<Id, Recorded> = recorded.iter().map(|recorded| (recorded.session, *recorded)).collect();
    let was_active =
        |at: Moment| active.iter().any(|(from, until)| *from <= at && until.is_none_or(|until| at < until));
    let mut places: Vec<Place> = held
        .iter()
        .filter(|held| held.group == group)
        .map(|held| Place { held: *held, recorded: by_session.get(&held.session).copied() })
        .filter(|place| place.recorded.is_some() || (!counts_heads && was_active(place.held.starts_at)))
        .collect();
    places.sort_unstable_by_key(|place| (place.held.starts_at, place.held.session));
    Attendance { group, places }
}

/// When the first session ended that somebody attended, whichever group it was of.
pub fn first_session_until(attendance: &[Attendance]) -> Option<Moment> {
    let attended = attendance.iter().flat_map(|attendance| &attendance.places);
    let attended = attended.filter(|place| place.recorded.is_some_and(|recorded| recorded.status.was_there()));
    attended.map(|place| place.held).min_by_key(|held| held.starts_at).map(|held| held.until)
}

/// What somebody received of each technique, from what was delivered in these sessions, counted by the share of each
/// that they were there. A session of which nothing is recorded of them counts for nothing: missing is no absence.
pub fn dose<'a>(attendance: &[Attendance], delivered: &HashMap<Id, Vec<Item<'a>>>) -> Dose<'a> {
    let mut dose = Dose::default();
    for place in attendance.iter().flat_map(|attendance| &attendance.places) {
        if let (Some(recorded), Some(items)) = (place.recorded, delivered.get(&place.held.session)) {
            dose.add_session(items, recorded.minutes, place.held.minutes);
        }
    }
    dose
}

/// The same places, those in the window.
pub fn within(attendance: &[Attendance], window: Window) -> Vec<Attendance> {
    let part = |attendance: &Attendance| Attendance {
        group: attendance.group,
        places: attendance.places.iter().filter(|place| window.holds(place.held.starts_at)).copied().collect(),
    };
    attendance.iter().map(part).filter(|attendance| !attendance.places.is_empty()).collect()
}
