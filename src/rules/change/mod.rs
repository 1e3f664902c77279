//! Change of one person on one instrument: the series, its baseline, and what became of it, each under its own name.
//!
//! Reliable change, clinically significant change, minimal important difference, response and remission answer five
//! questions and are never mixed. A [`Yardstick`] holds what the literature gives for one instrument; where it gives two
//! parameter sets, both are judged and stand side by side, each with its sample and source.
//!
//! Scores are in thousandths of a point. A *gain* is a difference of two scores, turned so that up is better whatever
//! the direction of the instrument.

mod jacobson_truax;
mod track;
mod yardstick;

use serde::Serialize;

use super::instruments::NoScore;
use crate::{
    values::{Id, Moment},
    words,
};

pub use jacobson_truax::{BadParameters, CutPoint, Parameters, Population, Z_95};
pub use track::{OffTrack, Seat, TrackRule, missed, off_track};
pub use yardstick::{Finding, Judgement, Line, ReliableSet, Scale, Yardstick};

/// One administration of the instrument, as its newest correction says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Administration<'a> {
    pub id: Id,
    pub taken_at: Moment,
    /// Version of the instrument, from 1.
    pub version: u32,
    /// In thousandths of a point, or why there is none. Missing is never 0.
    pub score: Result<i32, &'a NoScore>,
    /// Hidden from every trend; the history keeps it.
    pub entered_in_error: bool,
}

words! {
    /// Which rule gave the baseline. It is the earliest administration with a score; what differs is what that means.
    pub enum BaselineRule {
        /// Taken before the person's first attended session, or at it.
        AtOrBeforeFirstSession = "at_or_before_first_session",
        /// None was taken by then: change during the sessions before it is not seen.
        AfterFirstSession = "after_first_session",
        /// The person attended no session yet.
        NoSessionAttended = "no_session_attended",
    }
}

words! {
    /// Why no state can be computed.
    pub enum Why {
        /// Nothing was administered, or all of it was entered in error.
        NoBaseline = "no_baseline",
        OnlyOneAdministration = "only_one_administration",
        /// What would be the baseline or the follow-up has no score.
        NoScore = "no_score",
        /// The literature gives no reliable change for this instrument, or not the named set.
        NoParameters = "no_parameters",
        /// Baseline and follow-up were taken with different versions, whose scores may not be compared.
        DifferentVersions = "different_versions",
    }
}

/// What became of somebody, by one parameter set. Exactly one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "because", rename_all = "snake_case")]
pub enum State {
    /// A case at the start, reliably improved, and on the healthy side of the same source's line now.
    Recovered,
    ReliablyImproved,
    NoReliableChange,
    /// Looked at before the start is: who began below the line and got worse must not vanish behind it.
    ReliablyDeteriorated,
    /// Began on the healthy side, so there is nothing to recover from.
    NotACaseAtStart,
    NotComputable(Why),
}

impl State {
    /// The six states in the order of [`State::index`].
    pub const WORDS: [&'static str; 6] = [
        "recovered",
        "reliably_improved",
        "no_reliable_change",
        "reliably_deteriorated",
        "not_a_case_at_start",
        "not_computable",
    ];

    /// Place among the six, for counting.
    pub fn index(self) -> usize {
        match self {
            State::Recovered => 0,
            State::ReliablyImproved => 1,
            State::NoReliableChange => 2,
            State::ReliablyDeteriorated => 3,
            State::NotACaseAtStart => 4,
            State::NotComputable(_) => 5,
        }
    }
}

/// One point of a chart: an administration with a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    pub administration: Id,
    pub taken_at: Moment,
    pub version: u32,
    /// In thousandths of a point.
    pub score: i32,
    /// Place in the range, 0 at its lowest score and 1000 at its highest, so that instruments fit into one chart. None
    /// for another version than the yardstick's, which may have another range.
    pub share: Option<i32>,
    /// Since the baseline, in thousandths, up is better; 0 at the baseline. None where the versions differ.
    pub gain: Option<i32>,
    /// Looks back on days that the administration before it looked back on too. Marked, never dropped.
    pub is_repeat: bool,
}

/// A series in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace<'a> {
    /// The first is the baseline.
    pub points: Vec<Point>,
    /// None without a point.
    pub baseline: Option<BaselineRule>,
    /// Administrations that make no point because they have no score, each with the reason, in order of time.
    pub unscored: Vec<(Id, &'a NoScore)>,
    /// Whether the newest administration is one of those.
    pub ends_unscored: bool,
}

/// Puts a person's administrations in order and measures each against the baseline.
///
/// `administrations` are those of one person, one instrument and one course, in any order; they are sorted in place.
/// `first_session_until` is the end of the first session that *this person* attended, not of the group's first: a
/// late joiner starts late, and a form filled in at the session still belongs to the start.
pub fn trace<'a>(
    yardstick: &Yardstick,
    administrations: &mut [Administration<'a>],
    first_session_until: Option<Moment>,
) -> Trace<'a> {
    // The id decides between two of the same moment, so that the order of the input never matters.
    administrations.sort_unstable_by_key(|administration| (administration.taken_at, administration.id));
    let mut trace = Trace {
        points: Vec::with_capacity(administrations.len()),
        baseline: None,
        unscored: Vec::new(),
        ends_unscored: false,
    };
    let mut last_taken_at: Option<Moment> = None;
    let mut first: Option<(u32, i32)> = None;
    for administration in administrations.iter().filter(|administration| !administration.entered_in_error) {
        let Administration { id, taken_at, version, score, .. } = *administration;
        let is_repeat = last_taken_at.is_some_and(|last| yardstick.scale.overlaps(last, taken_at));
        // An unscored one was asked and answered too: what follows it closely repeats it.
        last_taken_at = Some(taken_at);
        trace.ends_unscored = score.is_err();
        match score {
            Err(why) => trace.unscored.push((id, why)),
            Ok(score) => {
                let (first_version, first_score) = *first.get_or_insert((version, score));
                let is_ours = version == yardstick.version;
                trace.points.push(Point {
                    administration: id,
                    taken_at,
                    version,
                    score,
                    share: is_ours.then(|| yardstick.scale.share(score)),
                    gain: (is_ours && version == first_version).then(|| yardstick.scale.gain(first_score, score)),
                    is_repeat,
                });
            }
        }
    }
    trace.baseline = trace.points.first().map(|first| baseline_rule(first.taken_at, first_session_until));
    trace
}

fn baseline_rule(taken_at: Moment, first_session_until: Option<Moment>) -> BaselineRule {
    match first_session_until {
        None => BaselineRule::NoSessionAttended,
        Some(until) if taken_at <= until => BaselineRule::AtOrBeforeFirstSession,
        Some(_) => BaselineRule::AfterFirstSession,
    }
}

impl Trace<'_> {
    /// The baseline and the newest score after it.
    ///
    /// # Errors
    /// Why there are not two scores to compare. `yardstick` is the one that the trace was made with.
    pub fn ends(&self, yardstick: &Yardstick) -> Result<(Point, Point), Why> {
        let (first, last) = match self.points.as_slice() {
            [] if self.unscored.is_empty() => return Err(Why::NoBaseline),
            [] => return Err(Why::NoScore),
            [_] if self.ends_unscored => return Err(Why::NoScore),
            [_] => return Err(Why::OnlyOneAdministration),
            [first, .., last] => (*first, *last),
        };
        if first.version != last.version || last.version != yardstick.version {
            return Err(Why::DifferentVersions);
        }
        Ok((first, last))
    }

    /// What became of the person by one parameter set, named by its id. Compares the baseline with the newest score.
    pub fn state(&self, yardstick: &Yardstick, set: &str) -> State {
        let ends = self.ends(yardstick);
        match (ends, yardstick.set(set)) {
            (Err(why), _) => State::NotComputable(why),
            (Ok(_), None) => State::NotComputable(Why::NoParameters),
            (Ok((first, last)), Some(set)) => yardstick.state(set, first.score, last.score),
        }
    }
}
