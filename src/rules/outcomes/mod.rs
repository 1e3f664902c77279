//! Outcomes of groups of people: who was measured, what became of them, how much changed, who stayed, what they received.
//!
//! Everything here adds up person by person and merges, so that ten thousand people need no more memory than one. None
//! of it may leave as it is: `suppression` stands between these numbers and every reader but a group's own therapist.

mod dose;
mod effect;
mod figures;
mod gone;

use serde::{Deserialize, Serialize};

use super::{change::State, members, sessions::Delivered};
use crate::{rules::attendance::Status, words};

pub use dose::{Dose, Item};
pub use effect::{Effect, MeanGain, Nesting, Paired, Sums};
pub use figures::{Course, Figures, InstrumentFigures, PersonMeans, Presences, Taken, Visit, state_in_report};
pub use gone::Gone;

words! {
    /// How somebody's time in a group ended, or that it has not.
    pub enum Ending {
        /// Still a member, and not lost by the rule.
        Present = "present",
        /// Completed, transferred or discharged: agreed on.
        Planned = "planned",
        /// No attendance in the last k held sessions, those after they went included, without a planned ending.
        DroppedOut = "dropped_out",
        /// Left or was removed, before the rule would have counted it as a dropout.
        Left = "left",
    }
}

/// Dropout by rule. `state` is where the membership stands; `attended` says of each held session at which the person
/// was expected whether they were there, in order of time, cancelled sessions left out; `held_since` is how many were held
/// after they left or were removed; `misses` is the rule's k, from 1.
///
/// An excused absence is an absence here: k sessions without coming are k sessions without treatment. So is a session to
/// which somebody did not come because they had gone: who goes early, agreed with nobody, is the dropout that the rule is
/// about.
pub fn ending(
    state: members::State,
    attended: impl DoubleEndedIterator<Item = Status>,
    held_since: usize,
    misses: u16,
) -> Ending {
    use members::State;
    if matches!(state, State::Completed | State::Transferred | State::Discharged) {
        return Ending::Planned;
    }
    let has_gone = matches!(state, State::Left | State::Removed);
    let missed =
        attended.rev().take_while(|status| !status.was_there()).count() + if has_gone { held_since } else { 0 };
    if missed >= usize::from(misses.max(1)) {
        return Ending::DroppedOut;
    }
    if has_gone { Ending::Left } else { Ending::Present }
}

/// What is known of one member for a report on one instrument, by one parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// By the report's parameter set.
    pub state: State,
    /// Whether a scored administration exists at all.
    pub has_baseline: bool,
    /// Baseline and newest score in thousandths of a point, and the gain between them, up is better. None without two
    /// comparable administrations.
    pub pair: Option<Pair>,
    pub ending: Ending,
}

/// Two scores of one person, in thousandths of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub first: i32,
    pub later: i32,
    /// Up is better.
    pub gain: i32,
}

/// Counts and sums over people. Adding in any order, in any parts, gives the same to the last bit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Everybody who was a member, measured or not.
    pub members: u32,
    pub with_baseline: u32,
    /// With a baseline and a comparable follow-up.
    pub with_both: u32,
    /// In the order of [`State::WORDS`].
    pub states: [u32; 6],
    /// In the order of [`Ending::ALL`].
    pub endings: [u32; 4],
    pub paired: Paired,
}

impl Outcomes {
    pub fn add(&mut self, person: &Person) {
        self.members += 1;
        self.with_baseline += u32::from(person.has_baseline);
        self.states[person.state.index()] += 1;
        self.endings[person.ending as usize] += 1;
        if let Some(pair) = person.pair {
            self.with_both += 1;
            self.paired.add(pair);
        }
    }

    pub fn merge(&mut self, other: &Outcomes) {
        self.members += other.members;
        self.with_baseline += other.with_baseline;
        self.with_both += other.with_both;
        self.states.iter_mut().zip(other.states).for_each(|(mine, theirs)| *mine += theirs);
        self.endings.iter_mut().zip(other.endings).for_each(|(mine, theirs)| *mine += theirs);
        self.paired.merge(&other.paired);
    }

    /// Share of members with baseline and follow-up, 0 to 1: what the rest of the numbers does not speak about. None
    /// without members.
    pub fn coverage(&self) -> Option<f64> {
        share(self.with_both, self.members)
    }

    /// Share of those whose state could be computed that are in this one, 0 to 1. None where that is nobody.
    pub fn share_in(&self, state: State) -> Option<f64> {
        let computed: u32 = self.states[..5].iter().sum();
        match state {
            State::NotComputable(_) => share(self.states[5], self.members),
            _ => share(self.states[state.index()], computed),
        }
    }

    /// Share of members who dropped out by the rule, 0 to 1. None without members.
    pub fn dropout(&self) -> Option<f64> {
        share(self.endings[Ending::DroppedOut as usize], self.members)
    }
}

fn share(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

/// How much of an item counts towards the dose.
fn is_delivered(delivered: Delivered) -> bool {
    matches!(delivered, Delivered::Delivered | Delivered::Partly)
}

/// What an interval means, for whoever shows one: the words belong beside the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NestingNote {
    pub text: &'static str,
    pub source: &'static str,
}

/// Members share a group and its leaders, so their changes resemble each other.
pub const NESTING_NOTE: NestingNote = NestingNote {
    text: "Members are nested in groups: people of one group change more alike than people of different groups. The \
           interval is widened by the design effect 1 + (m - 1) × rho; with rho = 0 it is too narrow. A change from \
           first to last administration without a comparison group also holds regression to the mean and the course \
           of time.",
    source: "Kish L. Survey Sampling. Wiley 1965; Hedges LV, Citkowicz M. Estimating effect size when there is \
             clustering in one treatment group. Behav Res Methods 2015;47:1295-1308",
};
