//! Leaving quietly: what is counted of those who have gone, what stays and why, and how an export is written as CSV.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Refusal;

/// The dimensions of a check-in that are summed, each 0 to 10.
const DIMENSIONS: [&str; 5] = ["connection", "hope", "confidence", "belonging", "shame"];

/// How many said something, and what it adds up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    pub n: i64,
    pub sum: i64,
}

/// Counts and sums over check-ins of one visibility.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub check_ins: i64,
    /// Those in which somebody passed.
    pub passes: i64,
    /// How often each mood was named.
    pub moods: BTreeMap<String, i64>,
    pub dimensions: BTreeMap<String, Sum>,
}

/// A group's totals by the visibility of the check-ins: what only its author read never enters a sum of what the group
/// read. The maps are ordered, so that the same totals are always written alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupTotals(pub BTreeMap<String, Totals>);

impl GroupTotals {
    /// Counts one check-in. What was not said adds nothing: missing is never zero.
    pub fn count(&mut self, visibility: &str, check_in: &Value) {
        let totals = self.0.entry(visibility.to_owned()).or_default();
        totals.check_ins += 1;
        totals.passes += i64::from(check_in["pass"] == true);
        if let Some(mood) = check_in["mood"].as_str() {
            *totals.moods.entry(mood.to_owned()).or_default() += 1;
        }
        for dimension in DIMENSIONS {
            if let Some(value) = check_in[dimension].as_i64() {
                let sum = totals.dimensions.entry(dimension.to_owned()).or_default();
                sum.n += 1;
                sum.sum += value;
            }
        }
    }

    pub fn add(&mut self, other: &GroupTotals) {
        for (visibility, others) in &other.0 {
            let totals = self.0.entry(visibility.clone()).or_default();
            totals.check_ins += others.check_ins;
            totals.passes += others.passes;
            for (mood, n) in &others.moods {
                *totals.moods.entry(mood.clone()).or_default() += n;
            }
            for (dimension, other) in &others.dimensions {
                let sum = totals.dimensions.entry(dimension.clone()).or_default();
                sum.n += other.n;
                sum.sum += other.sum;
            }
        }
    }
}

/// Nothing brings back what is erased: whoever asks says that they know.
pub fn check_understood(understood: bool) -> Result<(), Refusal> {
    if understood {
        return Ok(());
    }
    Err(Refusal::field("/understood", "has to be true: nothing brings the records back, so take your export first"))
}

/// What stays after an erasure, and why. The same words for everybody, so that they tell nothing about anyone: whether
/// somebody has a clinical record, or is the subject of a report that they have not been told of, does not show.
pub const KEPT: [(&str, &str); 9] = [
    (
        "clinical_records",
        "Records of therapist-led groups are kept as long as the law asks. Once the account is closed, no account \
         leads to them: they keep the membership's own id.",
    ),
    ("decisions", "What a group decided stays, with how many could vote, and without your name."),
    ("head_counts", "How many were at a meeting never named anybody."),
    ("sums", "Counts and sums over check-ins stay as they were: nothing in them leads to a person."),
    ("texts", "Topics and tips that you gave the group stay as texts that belong to nobody."),
    (
        "terms",
        "That a group was led and when, and what was recorded as its lead (sessions, head counts, readings of the \
         rules, hand-over notes, who was let in), stays. In the peer-led groups that were erased it leads to nobody: \
         an id that is the same for everybody who has gone. In other groups and for an organization (licences, reports \
         handled or made, suspensions too) it is kept under the account's id, which names nobody once the account is \
         closed. Process notes of a closed account are kept and open to nobody.",
    ),
    (
        "access_log",
        "Entries of the access log form a chain that cannot be changed, and are kept for six years. They hold ids and \
         no names: the membership's, of what others did with your records; the account's, which is the same in every \
         group, of what you did as a lead or for an organization and of what you were refused. What you did as a \
         member is not among them.",
    ),
    (
        "open_cases",
        "While a report under a group's rules is open, the bare link to whom it is about stays until it is closed, \
         whether or not there is one. What a report says stays with its case. Whoever made it follows its course by a \
         keyed mark that tells nobody else who that is.",
    ),
    (
        "retries_and_backups",
        "Answers that others may ask for again are gone within a day. Older backups do not open what was yours, \
         where their keys are kept apart and replaced by the newest.",
    ),
];

/// What a formula begins with; the full-width forms are read like the others where such keyboards are used.
const FORMULA_SIGNS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// A value as a cell of a spreadsheet: one that a program would take for a formula begins with an apostrophe (OWASP, CSV
/// Injection), also where it hides behind characters that nobody sees. A plain number stays a number.
pub fn cell(value: &str) -> Cow<'_, str> {
    let is_risky =
        value.starts_with(['\t', '\r', '\n']) || value.trim_start_matches(is_unseen).starts_with(FORMULA_SIGNS);
    if is_risky && !is_plain_number(value) { format!("'{value}").into() } else { value.into() }
}

/// Blanks, byte order marks, zero-width characters and marks of direction.
fn is_unseen(letter: char) -> bool {
    let is_format = |letter| {
        let ranges = ['\u{200b}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2060}'..='\u{2069}'];
        ranges.iter().any(|range| range.contains(&letter))
    };
    letter.is_whitespace() || matches!(letter, '\u{ad}' | '\u{feff}') || is_format(letter)
}

/// `-2` and `47.5`; not `+49`, which would lose its sign, nor `-.5`.
fn is_plain_number(value: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.strip_prefix('-').unwrap_or(value);
    match number.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(number),
    }
}

/// One line of an export as a tidy table: which part, which record of it, when, which field, and its value.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub section: String,
    /// From 1 within its section.
    pub record: usize,
    /// The record's own time; empty where it has none.
    pub at: String,
    pub field: String,
    pub value: String,
}

/// The fields that say when a record was, the most telling first.
const TIMES: [&str; 19] = [
    "at",
    "taken_at",
    "occurred_at",
    "rated_at",
    "recorded_at",
    "starts_at",
    "signed_at",
    "from_at",
    "sent_at",
    "started_at",
    "received_at",
    "disclosed_at",
    "made_at",
    "proposed_at",
    "written_at",
    "set_at",
    "proposed_on",
    "given_on",
    "from_on",
];

/// The records of one part of an export: a part that is no list is one record.
pub fn records(part: &Value) -> &[Value] {
    match part {
        Value::Array(records) => records.as_slice(),
        one => std::slice::from_ref(one),
    }
}

/// The lines of one part of an export. A field that holds fields is written with a dot, and null as nothing at all.
pub fn lines(section: &str, part: &Value) -> Vec<Line> {
    let mut lines = Vec::new();
    for (index, record) in records(part).iter().enumerate() {
        let at = TIMES.iter().find_map(|name| record[*name].as_str()).unwrap_or_default();
        let mut fields = Vec::new();
        flatten(String::new(), record, &mut fields);
        lines.extend(fields.into_iter().map(|(field, value)| Line {
            section: section.to_owned(),
            record: index + 1,
            at: cell(at).into_owned(),
            field: cell(&field).into_owned(),
            value: cell(&value).into_owned(),
        }));
    }
    lines
}

fn flatten(name: String, value: &Value, fields: &mut Vec<(String, String)>) {
    let below = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Null => {}
        Value::Object(parts) => parts.iter().for_each(|(part, value)| flatten(below(part), value, fields)),
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(below(&(index + 1).to_string()), value, fields);
            }
        }
        Value::String(text) => fields.push((name, text.clone())),
        other => fields.push((name, other.to_string())),
    }
}
