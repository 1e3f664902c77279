//! Instruments as data: the form of a file in `instruments/`, one per instrument and version.
//!
//! A file says what is asked, how it is scored, and where each number comes from. [`Registry`]
//! refuses a file that contradicts itself; [`score`] turns [`Answers`] into an [`Outcome`].
//! Whatever in a file changes a score makes a new version: what was scored stays as it was.
//! Where a licence keeps the text out of the file, a deployment supplies it as a [`TextPack`].

mod consistency;
mod points;
mod registry;
mod scoring;
mod texts;
mod totals;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::measures::Respondent;

pub use consistency::Fault;
pub use points::Points;
pub use registry::{LoadError, Registry};
pub use scoring::{Answers, BadAnswer, Judged, NoScore, Outcome, Risk, score};
pub use texts::{TextFault, TextPack};

/// One instrument in one version. Points in the file are written as printed in the literature, with up to three
/// decimals where a mean or a table needs them; an [`Outcome`] counts in thousandths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instrument {
    /// Stable name in lower case, such as `phq-9`.
    pub id: String,
    /// A whole number from 1, as text. The highest is the current one.
    pub version: String,
    pub title: String,
    /// What the score stands for, such as `depression`.
    pub construct: String,
    pub licence: Licence,
    /// What the licence asks to be shown beside the text, word for word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// BCP 47 tag of the item texts.
    pub language: String,
    pub recall: Recall,
    /// What stands above the items, word for word. Absent where the licence keeps the text out, or there is nothing.
    pub instructions: Option<String>,
    /// The words that each scored item completes, shown above them, after the gate. Word for word.
    pub stem: Option<String>,
    /// Who may give the answers. A clinician reads the items out and records what the member says.
    pub answered_by: Vec<Respondent>,
    /// What must be recorded about the event that the answers refer to, where the instrument needs one.
    pub index_event: Option<String>,
    /// Lists of response options by name. An item names the one it uses.
    pub response_sets: BTreeMap<String, Vec<ResponseOption>>,
    /// In the order in which they are asked.
    pub items: Vec<Item>,
    pub gate: Option<Gate>,
    pub scoring: Scoring,
    pub missing: MissingRule,
    pub direction: Direction,
    /// Lowest and highest possible score; of each subscale, where there is no total.
    pub range: Range,
    pub subscales: Vec<Subscale>,
    /// Empty where no severity bands are published. Otherwise they cover the whole range.
    pub bands: Vec<Band>,
    pub band_source: Option<String>,
    pub cut_offs: Vec<CutOff>,
    pub changes: Vec<Change>,
    pub risk_items: Vec<RiskItem>,
    pub loinc: Loinc,
    /// Facts that could not be confirmed, or may not ship, each with the reason.
    pub left_out: Vec<LeftOut>,
    /// Worked examples that must score as they say.
    pub golden: Vec<Golden>,
}

impl Instrument {
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    /// The options of an item; none when the item names an unknown list, which a loaded file cannot.
    pub fn options(&self, item: &Item) -> &[ResponseOption] {
        self.response_sets.get(&item.responses).map_or(&[], Vec::as_slice)
    }

    pub fn scored_items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.scored)
    }

    /// The points that an answer gives, in whole points: the value itself unless the option says otherwise, mirrored in
    /// the middle of its list for a reversed item.
    pub fn points(&self, item: &Item, value: i32) -> i32 {
        let options = self.options(item);
        let given = options.iter().find(|option| option.value == value).map_or(value, ResponseOption::points);
        if !item.reverse {
            return given;
        }
        let all = || options.iter().map(ResponseOption::points);
        let ends = all().min().unwrap_or(0).saturating_add(all().max().unwrap_or(0));
        ends.saturating_sub(given)
    }

    pub fn cut_off(&self, id: &str) -> Option<&CutOff> {
        self.cut_offs.iter().find(|cut_off| cut_off.id == id)
    }

    /// The band of a score in thousandths. None where there are no bands, or outside the range.
    pub fn band(&self, thousandths: i32) -> Option<&Band> {
        band_of(&self.bands, self.range, thousandths)
    }
}

/// The last band that has begun, so that a score between two whole points has a band too.
fn band_of(bands: &[Band], range: Range, thousandths: i32) -> Option<&Band> {
    if !range.holds(thousandths) {
        return None;
    }
    bands.iter().rev().find(|band| band.from.thousandths() <= thousandths)
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    pub class: LicenceClass,
    pub terms: String,
    pub source: String,
}

/// Whether the item texts may stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LicenceClass {
    /// Public domain, government work or an explicit free grant: the text ships.
    A,
    /// Text only as a separate pack under its own terms: the scoring ships, the text does not.
    B,
    /// Text must not ship: a deployment that holds a licence supplies it.
    C,
}

/// The time that the answers look back on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// Such as `the last 2 weeks`.
    pub words: String,
    /// Absent where the window is no fixed number of days.
    pub days: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Stable across versions as long as the question stays the same, such as `phq-9.1`.
    pub id: String,
    /// Word for word. Absent exactly where the licence keeps the text out.
    pub text: Option<String>,
    /// What is asked, in the project's own words, where the text is absent.
    pub about: Option<String>,
    /// Name of a list in [`Instrument::response_sets`].
    pub responses: String,
    /// Counts towards the score. Unscored items are asked and kept, and never missed.
    pub scored: bool,
    /// Scored the other way round: the highest option gives the points of the lowest.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reverse: bool,
    /// Asked only of whom it applies to, as the form says in its text. Left out of the answers it was not asked: it adds
    /// nothing and is not missed. Declined it is missed like any other.
    #[serde(default, skip_serializing_if = "is_false")]
    pub if_it_applies: bool,
    pub loinc: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseOption {
    /// What an answer holds.
    pub value: i32,
    /// What the answer counts, in whole points, where that is not its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<i32>,
    /// Word for word. Absent exactly where the licence keeps the text out.
    pub label: Option<String>,
    pub loinc: Option<String>,
}

impl ResponseOption {
    /// Whole points, before an item reverses them.
    pub fn points(&self) -> i32 {
        self.points.unwrap_or(self.value)
    }
}

/// A first question that ends the instrument: answered with `value`, the score is `score`,
/// and nothing after it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    pub item: String,
    pub value: i32,
    pub score: Points,
    pub source: String,
}

/// How the points of the answers become a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scoring {
    /// The points of the scored items, added, times `times`, and never above `at_most`.
    Sum {
        #[serde(default = "one", skip_serializing_if = "is_one")]
        times: i32,
        /// Where the sum counts something that has an end, such as days of a month.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_most: Option<Points>,
    },
    /// The mean of the scored items, to the nearest thousandth.
    Mean {},
    /// The mean of the subscales, to the nearest thousandth of a point.
    MeanOfSubscales {},
    /// The sum, looked up: the first entry is the score of the lowest possible sum, and each sum has one.
    Table { scores: Vec<Points>, source: String },
    /// There is no total. Each subscale stands for itself.
    SubscalesOnly {},
}

/// What an unanswered scored item does. There is no rule for all: each file names its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MissingRule {
    /// No score unless every scored item is answered.
    AllNeeded {},
    /// Up to `up_to` missing items: sum × items / answered, rounded half up; a mean is the mean of what was answered.
    Prorate {
        up_to: u16,
        #[serde(default, skip_serializing_if = "Rounding::is_whole_point")]
        rounding: Rounding,
        source: String,
    },
}

impl MissingRule {
    /// The number of missing scored items that still leaves a score.
    pub fn allowed(&self) -> u16 {
        match self {
            MissingRule::AllNeeded {} => 0,
            MissingRule::Prorate { up_to, .. } => *up_to,
        }
    }
}

/// To what a prorated sum is rounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    #[default]
    WholePoint,
    /// The source multiplies a mean and does not round it.
    Thousandth,
}

impl Rounding {
    // serde asks with a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_whole_point(&self) -> bool {
        *self == Rounding::WholePoint
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    HigherIsWorse,
    HigherIsBetter,
}

/// Both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub min: Points,
    pub max: Points,
}

impl Range {
    /// Whether a score in thousandths lies in the range.
    pub fn holds(&self, thousandths: i32) -> bool {
        (self.min.thousandths()..=self.max.thousandths()).contains(&thousandths)
    }
}

/// A part with its own number. It needs all its items: a missing one leaves it without a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscale {
    pub id: String,
    pub label: String,
    pub items: Vec<String>,
    #[serde(default, skip_serializing_if = "SubscaleScoring::is_plain_sum")]
    pub scoring: SubscaleScoring,
    /// Empty where none are published for this part. Otherwise they cover its whole range.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<Band>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band_source: Option<String>,
    pub source: String,
}

/// How the points of a subscale's items become its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SubscaleScoring {
    /// The points of its items, added, times `times`.
    Sum {
        #[serde(default = "one", skip_serializing_if = "is_one")]
        times: i32,
    },
    /// The mean of its items, to the nearest thousandth.
    Mean {},
}

impl Default for SubscaleScoring {
    fn default() -> Self {
        SubscaleScoring::Sum { times: 1 }
    }
}

impl SubscaleScoring {
    // serde asks with a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_plain_sum(&self) -> bool {
        *self == SubscaleScoring::default()
    }
}

/// A named stretch of the range, both ends included. Where every end is a whole point, the next one begins a point
/// later, else a thousandth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    pub id: String,
    pub label: String,
    pub from: Points,
    pub to: Points,
}

/// A threshold for one administration. It holds for its sample; the reader sees which that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutOff {
    pub id: String,
    pub label: String,
    pub purpose: Purpose,
    pub applies_to: AppliesTo,
    pub rule: CutOffRule,
    pub sample: String,
    pub source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Worth a closer look by a clinician.
    Screen,
    /// A case at the start, against which recovery is counted.
    Case,
    /// Matches the pattern of a diagnosis. It never is one.
    ProvisionalDiagnosis,
    /// The side that is hoped for: reaching it is good news.
    Favourable,
}

/// Whom a cut-off was found for. Each is judged for everybody: who reads it knows the member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppliesTo {
    Everyone,
    Women,
    Men,
}

/// When a cut-off is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CutOffRule {
    Total {
        at_least: Points,
    },
    /// Where a low score is the one to look at.
    TotalAtMost {
        at_most: Points,
    },
    Subscale {
        subscale: String,
        at_least: Points,
    },
    /// In each named subscale, at least so many items that give at least so many whole points.
    Symptoms {
        item_at_least: i32,
        needs: BTreeMap<String, u16>,
    },
}

/// A threshold for the change between two administrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub id: String,
    pub kind: ChangeKind,
    pub rule: ChangeRule,
    pub sample: String,
    pub source: String,
}

/// Five names for change that are never mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Reliable,
    ClinicallySignificant,
    MinimalImportant,
    Response,
    Remission,
}

/// Points, or per cent of the first score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ChangeRule {
    /// A difference of at least so many points, either way.
    Points { at_least: Points },
    /// The source gives a range: below `from` no, from `to` on yes, in between it is open.
    PointsBetween { from: Points, to: Points },
    /// An improvement of at least this share of the first score.
    Percent { at_least: i32 },
    /// The later score is this or lower.
    ScoreAtMost { at_most: Points },
}

/// An item whose answer asks for a person's attention at once, whatever the rest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskItem {
    pub item: String,
    pub at_least: i32,
    pub source: String,
}

/// LOINC codes that were confirmed. Items and options carry their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loinc {
    pub panel: Option<String>,
    pub total: Option<String>,
    pub source: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub what: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    pub name: String,
    pub answers: Answers,
    pub expect: Outcome,
}

const fn one() -> i32 {
    1
}

// serde asks with references.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_one(times: &i32) -> bool {
    *times == 1
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}
