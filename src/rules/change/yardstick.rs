//! What the literature gives for one instrument, compiled to whole thousandths, and the judging of two scores by it.

use serde::Serialize;

use super::{BadParameters, Parameters, State};
use crate::{
    rules::instruments::{Change, ChangeKind, ChangeRule, CutOffRule, Direction, Instrument, Purpose},
    values::Moment,
    words,
};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// What is needed to read a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Lowest score, in thousandths of a point.
    pub min: i32,
    /// Highest score, in thousandths, above `min`.
    pub max: i32,
    pub direction: Direction,
    /// How many days the answers look back on, where that is a fixed number.
    pub recall_days: Option<u16>,
}

impl Scale {
    /// Place in the range, in thousandths: 0 at the lowest score, 1000 at the highest, half up.
    pub fn share(&self, score: i32) -> i32 {
        let width = i64::from(self.max) - i64::from(self.min);
        let above = i64::from(score) - i64::from(self.min);
        ((above * 2000 + width).div_euclid(2 * width.max(1))).clamp(0, 1000) as i32
    }

    /// `later` compared with `first`, in thousandths; up is better.
    pub fn gain(&self, first: i32, later: i32) -> i32 {
        match self.direction {
            Direction::HigherIsWorse => first.saturating_sub(later),
            Direction::HigherIsBetter => later.saturating_sub(first),
        }
    }

    /// Whether two administrations look back on the same days. Half a day of leeway: an instrument of 14 days taken
    /// every other Monday, once at nine and once at eight, repeats nothing.
    pub fn overlaps(&self, earlier: Moment, later: Moment) -> bool {
        let Some(days) = self.recall_days else { return false };
        later.0 - earlier.0 < i64::from(days) * DAY - DAY / 2
    }
}

/// Where the clinical range ends, in thousandths. The line itself belongs to the clinical side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A case has this score or a higher one.
    CaseFrom(i32),
    /// A case has this score or a lower one.
    CaseUpTo(i32),
}

impl Line {
    pub fn is_case(self, score: i32) -> bool {
        match self {
            Line::CaseFrom(line) => score >= line,
            Line::CaseUpTo(line) => score <= line,
        }
    }
}

/// One published way to tell reliable change, with the line of the same source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReliableSet<'a> {
    /// Id of the registry's change, or of the [`Parameters`].
    pub id: &'a str,
    pub sample: &'a str,
    pub source: &'a str,
    /// From this difference on a change is reliable, in thousandths.
    pub reliable_from: i32,
    /// From this one on the source leaves it open. Equal to `reliable_from` where it leaves nothing open.
    pub open_from: i32,
    /// Id and place of the line that recovery crosses. None where this source gives none: lines of other sources are
    /// not borrowed.
    pub line: Option<(&'a str, Line)>,
}

words! {
    /// What two scores say to one question.
    pub enum Finding {
        /// The threshold is reached, for the better.
        Better = "better",
        /// The threshold is reached, for the worse.
        Worse = "worse",
        /// Between the two ends that the source gives, for the better.
        OpenBetter = "open_better",
        /// Between the two ends that the source gives, for the worse.
        OpenWorse = "open_worse",
        NotReached = "not_reached",
        /// The question does not arise: recovery, response or remission of somebody who was no case at the start.
        NotApplicable = "not_applicable",
    }
}

/// One answer under its own name, with the parameter set and the source it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement<'a> {
    pub kind: ChangeKind,
    /// Id of the parameter set.
    pub set: &'a str,
    /// Id of the line, for clinically significant change.
    pub line: Option<&'a str>,
    pub sample: &'a str,
    pub source: &'a str,
    pub finding: Finding,
}

/// Everything by which change on one version of an instrument is judged.
#[derive(Clone, Debug)]
pub struct Yardstick<'a> {
    pub scale: Scale,
    pub version: u32,
    /// Side by side, in the order of the file. Which one a report uses, it says.
    pub reliable: Vec<ReliableSet<'a>>,
    /// Minimal important difference, response, remission.
    others: Vec<&'a Change>,
}

impl<'a> Yardstick<'a> {
    /// Compiles what the registry's file gives. A range is no infinity: points beyond it were refused when it loaded.
    pub fn of(instrument: &'a Instrument) -> Yardstick<'a> {
        let scale = Scale {
            min: instrument.range.min.thousandths(),
            max: instrument.range.max.thousandths(),
            direction: instrument.direction,
            recall_days: instrument.recall.days,
        };
        let reliable = instrument.changes.iter().filter_map(|change| reliable_set(instrument, change)).collect();
        let is_other = |change: &&Change| {
            matches!(change.kind, ChangeKind::MinimalImportant | ChangeKind::Response | ChangeKind::Remission)
        };
        Yardstick {
            scale,
            // The registry refuses a version that is no number.
            version: instrument.version.parse().unwrap_or(0),
            reliable,
            others: instrument.changes.iter().filter(is_other).collect(),
        }
    }

    /// Adds a set that is computed from a sample's figures, beside those of the file.
    ///
    /// # Errors
    /// When the figures cannot be used with this instrument.
    pub fn with(mut self, parameters: &'a Parameters) -> Result<Yardstick<'a>, BadParameters> {
        let direction = self.scale.direction;
        parameters.check(direction)?;
        let reliable_from = parameters.smallest_reliable();
        let cut = parameters.cut_point.and_then(|point| Some((point, parameters.cut(point, direction)?)));
        // Casts saturate. A score on the line itself has not crossed it.
        let line = cut.map(|(point, cut)| match direction {
            Direction::HigherIsWorse => (point.as_str(), Line::CaseFrom((cut * 1000.0 - 1e-6).ceil() as i32)),
            Direction::HigherIsBetter => (point.as_str(), Line::CaseUpTo((cut * 1000.0 + 1e-6).floor() as i32)),
        });
        self.reliable.push(ReliableSet {
            id: &parameters.id,
            sample: &parameters.sample,
            source: &parameters.source,
            reliable_from,
            open_from: reliable_from,
            line,
        });
        Ok(self)
    }

    pub fn set(&self, id: &str) -> Option<&ReliableSet<'a>> {
        self.reliable.iter().find(|set| set.id == id)
    }

    /// What became of somebody who went from `first` to `later`, in thousandths, by one parameter set.
    pub fn state(&self, set: &ReliableSet, first: i32, later: i32) -> State {
        let gain = self.scale.gain(first, later);
        let was_case = set.line.map(|(_, line)| line.is_case(first));
        let is_case = set.line.map(|(_, line)| line.is_case(later));
        if gain <= -set.reliable_from {
            State::ReliablyDeteriorated
        } else if was_case == Some(false) {
            State::NotACaseAtStart
        } else if gain < set.reliable_from {
            State::NoReliableChange
        } else if is_case == Some(false) {
            State::Recovered
        } else {
            State::ReliablyImproved
        }
    }

    /// Every question, answered by every parameter set, for the way from `first` to `later`, in thousandths.
    pub fn judge(&self, first: i32, later: i32) -> impl Iterator<Item = Judgement<'a>> {
        let by_set = self.reliable.iter().flat_map(move |set| {
            let say = |kind, line, finding| Judgement {
                kind,
                set: set.id,
                line,
                sample: set.sample,
                source: set.source,
                finding,
            };
            let gain = self.scale.gain(first, later);
            let reliable = say(ChangeKind::Reliable, None, between(gain, set.open_from, set.reliable_from));
            let significant = set.line.map(|(id, line)| {
                let finding = crossed(line, gain >= set.reliable_from, first, later);
                say(ChangeKind::ClinicallySignificant, Some(id), finding)
            });
            std::iter::once(reliable).chain(significant)
        });
        by_set.chain(self.others.iter().map(move |change| Judgement {
            kind: change.kind,
            set: &change.id,
            line: None,
            sample: &change.sample,
            source: &change.source,
            finding: self.finding(change, first, later),
        }))
    }

    fn finding(&self, change: &Change, first: i32, later: i32) -> Finding {
        let gain = self.scale.gain(first, later);
        // The samples of response and remission are people who began as cases.
        let began_well = || !self.began_as_case(first);
        match (change.kind, &change.rule) {
            (ChangeKind::Response | ChangeKind::Remission, _) if began_well() => Finding::NotApplicable,
            (_, ChangeRule::Points { at_least }) => between(gain, at_least.thousandths(), at_least.thousandths()),
            (_, ChangeRule::PointsBetween { from, to }) => between(gain, from.thousandths(), to.thousandths()),
            (_, ChangeRule::Percent { .. }) if first <= 0 => Finding::NotApplicable,
            (_, ChangeRule::Percent { at_least }) => {
                reached(i64::from(gain) * 100 >= i64::from(*at_least) * i64::from(first))
            }
            (_, ChangeRule::ScoreAtMost { at_most }) if first <= at_most.thousandths() => Finding::NotApplicable,
            (_, ChangeRule::ScoreAtMost { at_most }) => reached(later <= at_most.thousandths()),
        }
    }

    /// By the first line that any set has; by none, everybody.
    fn began_as_case(&self, first: i32) -> bool {
        self.reliable.iter().find_map(|set| set.line).is_none_or(|(_, line)| line.is_case(first))
    }
}

fn reliable_set<'a>(instrument: &'a Instrument, change: &'a Change) -> Option<ReliableSet<'a>> {
    if change.kind != ChangeKind::Reliable {
        return None;
    }
    let (open_from, reliable_from) = match change.rule {
        ChangeRule::Points { at_least } => (at_least, at_least),
        ChangeRule::PointsBetween { from, to } => (from, to),
        // Neither is a difference: no such reliable change is known.
        ChangeRule::Percent { .. } | ChangeRule::ScoreAtMost { .. } => return None,
    };
    Some(ReliableSet {
        id: &change.id,
        sample: &change.sample,
        source: &change.source,
        reliable_from: reliable_from.thousandths(),
        open_from: open_from.thousandths(),
        line: line_of(instrument, &change.source),
    })
}

/// The line that a source gives: its clinically significant change, else its case at the start.
fn line_of<'a>(instrument: &'a Instrument, source: &str) -> Option<(&'a str, Line)> {
    // Both rules of the file look from below; for an instrument where up is better they draw no line.
    if instrument.direction == Direction::HigherIsBetter {
        return None;
    }
    let significant = instrument.changes.iter().find_map(|change| match change.rule {
        ChangeRule::ScoreAtMost { at_most }
            if change.kind == ChangeKind::ClinicallySignificant && change.source == source =>
        {
            Some((change.id.as_str(), Line::CaseFrom(at_most.thousandths().saturating_add(1))))
        }
        _ => None,
    });
    let case = || {
        instrument.cut_offs.iter().find_map(|cut_off| match cut_off.rule {
            CutOffRule::Total { at_least } if cut_off.purpose == Purpose::Case && cut_off.source == source => {
                Some((cut_off.id.as_str(), Line::CaseFrom(at_least.thousandths())))
            }
            _ => None,
        })
    };
    significant.or_else(case)
}

fn between(gain: i32, open_from: i32, reached_from: i32) -> Finding {
    if gain >= reached_from {
        Finding::Better
    } else if gain <= -reached_from {
        Finding::Worse
    } else if gain >= open_from {
        Finding::OpenBetter
    } else if gain <= -open_from {
        Finding::OpenWorse
    } else {
        Finding::NotReached
    }
}

fn crossed(line: Line, is_reliable: bool, first: i32, later: i32) -> Finding {
    if !line.is_case(first) { Finding::NotApplicable } else { reached(is_reliable && !line.is_case(later)) }
}

fn reached(is_reached: bool) -> Finding {
    if is_reached { Finding::Better } else { Finding::NotReached }
}
