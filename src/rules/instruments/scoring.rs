//! From answers to an outcome, once: risk first, then completeness, then the number.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};

use super::{
    CutOffRule, Gate, Instrument, Item, Scoring, band_of,
    totals::{Given, given, subscale, total},
};

/// Answers by item id. An absent key was not answered (yet, or passed over); `null` was declined.
///
/// An item that is named twice is refused when it is read: the second value must not hide the first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Answers(pub BTreeMap<String, Option<i32>>);

impl<'de> Deserialize<'de> for Answers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Answers, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = Answers;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of values by item id")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Answers, A::Error> {
                let mut answers = BTreeMap::new();
                while let Some((item, value)) = entries.next_entry::<String, Option<i32>>()? {
                    if answers.contains_key(&item) {
                        return Err(A::Error::custom("names an item twice"));
                    }
                    answers.insert(item, value);
                }
                Ok(Answers(answers))
            }
        }
        deserializer.deserialize_map(Items)
    }
}

impl Answers {
    /// The value of an item; None when it was not answered or was declined.
    pub fn value(&self, item: &str) -> Option<i32> {
        self.0.get(item).copied().flatten()
    }

    /// Whether the item was shown and the answer refused.
    pub fn is_declined(&self, item: &str) -> bool {
        self.0.get(item) == Some(&None)
    }
}

/// What a set of answers amounts to. All numbers are thousandths of a point: 7 points are 7000.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// None exactly when `no_score` says why.
    pub score: Option<i32>,
    pub no_score: Option<NoScore>,
    /// The score was estimated from the answered items. Say so wherever it is shown.
    pub prorated: bool,
    /// Id of the band. None without a score, and where the instrument has no bands.
    pub band: Option<String>,
    /// Every subscale of the instrument; None where one of its items is missing.
    pub subscales: BTreeMap<String, Option<i32>>,
    /// Ids of the bands of those subscales that have bands and a number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub subscale_bands: BTreeMap<String, String>,
    /// Every cut-off of the instrument, in its order.
    pub positive: Vec<Judged>,
    pub risk: Risk,
    /// Scored items with a value.
    pub answered: u16,
    /// Items that the score lacks, in the order asked: passed over, not yet answered, or declined.
    pub missing: Vec<String>,
}

/// Why there is no score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case", deny_unknown_fields)]
pub enum NoScore {
    /// More scored items lack a value than the instrument's rule allows.
    TooManyMissing { missing: u16, allowed: u16 },
    /// The question that decides whether the others are asked has no answer.
    GateUnanswered { item: String },
    /// The instrument has none: read its subscales.
    NoTotal {},
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Id of the cut-off.
    pub cut_off: String,
    /// None when it could not be judged, which is neither yes nor no.
    pub met: Option<bool>,
}

/// What the risk items say, however little else is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Nothing to raise. That is no all-clear: the instrument may have no risk item, or the
    /// item may stand in `missing`, not answered yet.
    None,
    /// A risk item was declined.
    Declined,
    /// A risk item reached its threshold. Outweighs a declined one.
    Positive,
}

/// An answer that the instrument does not know. Never repeats the value: it is record content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{item}: {detail}")]
pub struct BadAnswer {
    pub item: String,
    pub detail: String,
}

/// Scores answers by the rules of the instrument.
///
/// A missing answer is never zero. Below the instrument's missing rule there is no score, no band
/// and no judged cut-off, and the reason stands in [`Outcome::no_score`]. Risk is judged all the same.
/// Where an instrument has no total, each complete subscale is judged by itself.
///
/// # Errors
/// Every answer to an unknown item, every value that is no option of its item, and every value
/// given behind a gate that was answered with "stop here".
pub fn score(instrument: &Instrument, answers: &Answers) -> Result<Outcome, Vec<BadAnswer>> {
    refuse_bad_answers(instrument, answers)?;
    let risk = judge_risk(instrument, answers);

    if let Some(gate) = &instrument.gate {
        match answers.value(&gate.item) {
            None => return Ok(outcome_without_gate(instrument, gate, answers, risk)),
            Some(value) if value == gate.value => {
                return Ok(outcome_at_gate(instrument, gate, risk));
            }
            Some(_) => {}
        }
    }

    let (answered, missing) = completeness(instrument, answers);
    let given = given(instrument, answers);
    let subscales = subscale_numbers(instrument, &given);
    let outcome = Outcome {
        score: None,
        no_score: None,
        prorated: false,
        band: None,
        subscale_bands: subscale_bands(instrument, &subscales),
        subscales,
        positive: unjudged(instrument),
        risk,
        answered,
        missing,
    };

    if instrument.scoring == (Scoring::SubscalesOnly {}) {
        return Ok(Outcome {
            no_score: Some(NoScore::NoTotal {}),
            positive: judge_cut_offs(instrument, &given, None, &outcome.subscales),
            ..outcome
        });
    }

    let lacking = count(outcome.missing.len());
    let allowed = instrument.missing.allowed();
    let score = if lacking > allowed || answered == 0 { None } else { total(instrument, &given, lacking) };
    let Some(score) = score else {
        let no_score = NoScore::TooManyMissing { missing: lacking, allowed };
        return Ok(Outcome { no_score: Some(no_score), ..outcome });
    };

    Ok(Outcome {
        score: Some(score),
        prorated: lacking > 0,
        band: instrument.band(score).map(|band| band.id.clone()),
        positive: judge_cut_offs(instrument, &given, Some(score), &outcome.subscales),
        ..outcome
    })
}

fn refuse_bad_answers(instrument: &Instrument, answers: &Answers) -> Result<(), Vec<BadAnswer>> {
    let bad: Vec<BadAnswer> = answers
        .0
        .iter()
        .filter_map(|(id, value)| {
            let detail = objection(instrument, answers, id, *value)?;
            let item = id.clone();
            Some(BadAnswer { item, detail })
        })
        .collect();
    if bad.is_empty() { Ok(()) } else { Err(bad) }
}

fn objection(instrument: &Instrument, answers: &Answers, id: &str, value: Option<i32>) -> Option<String> {
    let Some(item) = instrument.item(id) else {
        return Some(format!("is no item of {}", instrument.id));
    };
    let value = value?;
    let options = instrument.options(item);
    if !options.iter().any(|option| option.value == value) {
        let known: Vec<String> = options.iter().map(|o| o.value.to_string()).collect();
        return Some(format!("must be one of {}, or null", known.join(", ")));
    }
    // A value here contradicts the gate. To drop it in silence would lose a "yes".
    let gate = instrument.gate.as_ref()?;
    let closed = answers.value(&gate.item) == Some(gate.value);
    (closed && item.scored).then(|| format!("is not asked when {} is {}", gate.item, gate.value))
}

fn judge_risk(instrument: &Instrument, answers: &Answers) -> Risk {
    instrument
        .risk_items
        .iter()
        .map(|risk| match answers.value(&risk.item) {
            Some(value) if value >= risk.at_least => Risk::Positive,
            None if answers.is_declined(&risk.item) => Risk::Declined,
            _ => Risk::None,
        })
        .max()
        .unwrap_or(Risk::None)
}

fn outcome_without_gate(instrument: &Instrument, gate: &Gate, answers: &Answers, risk: Risk) -> Outcome {
    let (answered, mut missing) = completeness(instrument, answers);
    missing.insert(0, gate.item.clone());
    let item = gate.item.clone();
    Outcome {
        score: None,
        no_score: Some(NoScore::GateUnanswered { item }),
        prorated: false,
        band: None,
        subscales: no_subscales(instrument),
        subscale_bands: BTreeMap::new(),
        positive: unjudged(instrument),
        risk,
        answered,
        missing,
    }
}

/// The instrument ends here by its own rule: the score is given, and nothing is missing.
fn outcome_at_gate(instrument: &Instrument, gate: &Gate, risk: Risk) -> Outcome {
    let score = gate.score.thousandths();
    let subscales = no_subscales(instrument);
    Outcome {
        score: Some(score),
        no_score: None,
        prorated: false,
        band: instrument.band(score).map(|band| band.id.clone()),
        positive: judge_cut_offs(instrument, &Given::new(), Some(score), &subscales),
        subscales,
        subscale_bands: BTreeMap::new(),
        risk,
        answered: 0,
        missing: Vec::new(),
    }
}

/// How many scored items have a value, and which are missed.
fn completeness(instrument: &Instrument, answers: &Answers) -> (u16, Vec<String>) {
    let (given, lacking): (Vec<&Item>, Vec<&Item>) =
        instrument.scored_items().partition(|item| answers.value(&item.id).is_some());
    // What does not apply was not asked. To decline it is to say that it does.
    let is_missed = |item: &&Item| !item.if_it_applies || answers.is_declined(&item.id);
    let missing = lacking.into_iter().filter(is_missed).map(|item| item.id.clone()).collect();
    (count(given.len()), missing)
}

fn subscale_numbers(instrument: &Instrument, given: &Given) -> BTreeMap<String, Option<i32>> {
    instrument.subscales.iter().map(|part| (part.id.clone(), subscale(part, given))).collect()
}

fn subscale_bands(instrument: &Instrument, numbers: &BTreeMap<String, Option<i32>>) -> BTreeMap<String, String> {
    let band = |part: &super::Subscale| {
        let number = numbers.get(&part.id).copied().flatten()?;
        // The loader has made the range of every subscale with bands that of the instrument.
        band_of(&part.bands, instrument.range, number).map(|band| (part.id.clone(), band.id.clone()))
    };
    instrument.subscales.iter().filter_map(band).collect()
}

fn no_subscales(instrument: &Instrument) -> BTreeMap<String, Option<i32>> {
    let ids = instrument.subscales.iter().map(|s| s.id.clone());
    ids.map(|id| (id, None)).collect()
}

fn unjudged(instrument: &Instrument) -> Vec<Judged> {
    let ids = instrument.cut_offs.iter().map(|c| c.id.clone());
    ids.map(|cut_off| Judged { cut_off, met: None }).collect()
}

fn judge_cut_offs(
    instrument: &Instrument,
    given: &Given,
    score: Option<i32>,
    subscales: &BTreeMap<String, Option<i32>>,
) -> Vec<Judged> {
    instrument
        .cut_offs
        .iter()
        .map(|cut_off| Judged {
            cut_off: cut_off.id.clone(),
            met: match &cut_off.rule {
                CutOffRule::Total { at_least } => score.map(|score| score >= at_least.thousandths()),
                CutOffRule::TotalAtMost { at_most } => score.map(|score| score <= at_most.thousandths()),
                CutOffRule::Subscale { subscale, at_least } => {
                    subscales.get(subscale).copied().flatten().map(|number| number >= at_least.thousandths())
                }
                CutOffRule::Symptoms { item_at_least, needs } => has_symptoms(instrument, given, *item_at_least, needs),
            },
        })
        .collect()
}

/// None as soon as a needed subscale is incomplete: an unanswered symptom is not an absent one.
fn has_symptoms(
    instrument: &Instrument,
    given: &Given,
    item_at_least: i32,
    needs: &BTreeMap<String, u16>,
) -> Option<bool> {
    let mut met = true;
    for (id, needed) in needs {
        let subscale = instrument.subscales.iter().find(|s| s.id == *id)?;
        let points: Option<Vec<i32>> = subscale.items.iter().map(|item| given.get(item.as_str()).copied()).collect();
        let present = points?.iter().filter(|points| **points >= item_at_least).count();
        met &= count(present) >= *needed;
    }
    Some(met)
}

/// The loader keeps an instrument far below 65,535 items.
fn count(items: usize) -> u16 {
    u16::try_from(items).unwrap_or(u16::MAX)
}
