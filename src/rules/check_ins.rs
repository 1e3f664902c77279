//! Check-ins of members of peer-led groups: what one can say, to whom it shows, and one's own trend.

use std::collections::{BTreeMap, HashSet};

use jiff::ToSpan;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::{Refusal, members::State};
use crate::{
    policy::Standing,
    values::{Day, Text, Whole},
    words,
};

words! {
    /// Mood at this moment, on seven points from 1 to 7. The words up to `good` are those of the Elation–Depression Scale
    /// (Wessman & Ricks 1966), in its order: "just awful", "very low", "spirits low", "just so-so", "OK", "very good";
    /// `great` closes the scale above them, in the place of that scale's three kinds of elation.
    pub enum Mood {
        /// 1.
        Awful = "awful",
        /// 2.
        VeryLow = "very_low",
        /// 3.
        Low = "low",
        /// 4, the middle.
        SoSo = "so_so",
        /// 5.
        Okay = "okay",
        /// 6.
        Good = "good",
        /// 7.
        Great = "great",
    }
}

impl Mood {
    /// 1 (awful) to 7 (great).
    pub fn number(self) -> i32 {
        self as i32 + 1
    }
}

words! {
    /// To whom an entry shows, beside its author.
    pub enum Visibility {
        OnlyMe = "only_me",
        /// To whoever facilitates the group at the time of reading.
        Facilitator = "facilitator",
        /// To facilitators, and to the group's active members.
        Group = "group",
    }
}

words! {
    /// When it was said, seen from the group's meetings. Which meeting is not kept.
    pub enum Occasion { Before = "before", At = "at", Between = "between" }
}

words! {
    /// What a trend counts together: weeks from Monday (ISO 8601), or calendar months.
    pub enum By { Week = "week", Month = "month" }
}

/// A feeling in a word or two.
pub type FeelingWord = Text<1, 40>;
/// 0 (not at all) to 10 (entirely).
pub type Degree = Whole<0, 10>;

/// What is said in a check-in; all of it is sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Said {
    /// "Pass": here, and saying nothing.
    pub pass: bool,
    pub mood: Option<Mood>,
    /// Feelings in the member's own words.
    pub words: Vec<String>,
    /// Connected to others: 0 to 10.
    pub connection: Option<i32>,
    /// Hopeful: 0 to 10.
    pub hope: Option<i32>,
    /// Confident: 0 to 10.
    pub confidence: Option<i32>,
    /// Belonging: 0 to 10.
    pub belonging: Option<i32>,
    /// Ashamed: 0 to 10. The one dimension of which less is better.
    pub shame: Option<i32>,
    /// What would help.
    pub need: Option<String>,
    pub text: Option<String>,
    pub occasion: Option<Occasion>,
    /// Language of the words (BCP-47); null in a pass.
    pub language: Option<String>,
}

impl Said {
    /// Everything that the member wrote in words of their own.
    pub fn own_words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().chain(&self.need).chain(&self.text).map(String::as_str)
    }

    /// The dimensions with what was given of each, 0 to 10.
    pub fn degrees(&self) -> [(&'static str, Option<i32>); 5] {
        [
            ("connection", self.connection),
            ("hope", self.hope),
            ("confidence", self.confidence),
            ("belonging", self.belonging),
            ("shame", self.shame),
        ]
    }
}

/// An entry says something, or it is a pass and says nothing else. `has_language`: whether the request named one.
pub fn check(said: &Said, has_language: bool) -> Result<(), Refusal> {
    let mut given: Vec<&str> =
        said.degrees().into_iter().filter(|(_, degree)| degree.is_some()).map(|(name, _)| name).collect();
    let others = [
        ("mood", said.mood.is_some()),
        ("words", !said.words.is_empty()),
        ("need", said.need.is_some()),
        ("text", said.text.is_some()),
    ];
    given.extend(others.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name));
    if !said.pass {
        let is_said = !given.is_empty();
        return if is_said { Ok(()) } else { Err(Refusal::field("", "says nothing: pass is an answer, too")) };
    }
    given.extend(said.occasion.map(|_| "occasion"));
    given.extend(has_language.then_some("language"));
    if given.is_empty() {
        return Ok(());
    }
    let refused = given.into_iter().map(|name| (format!("/{name}"), "is not said together with pass".to_owned()));
    Err(Refusal::Fields(refused.collect()))
}

/// A check-in needs the group's ground rules, accepted.
pub fn check_rules(stands_under_rules: bool) -> Result<(), Refusal> {
    if stands_under_rules {
        return Ok(());
    }
    Err(Refusal::clash(
        "Accept the group's ground rules first: sign their newest version among its agreements. Where there is none \
         yet, a steward publishes them.",
    ))
}

/// What of a group's check-ins shows to whoever reads them with this standing: which visibilities, of members in which
/// states. Nobody's entries show once they have gone.
pub fn shown_to(standing: Option<Standing>) -> (&'static [Visibility], &'static [State]) {
    match standing {
        Some(Standing::Facilitator | Standing::SessionFacilitator) => {
            (&[Visibility::Facilitator, Visibility::Group], &[State::Active, State::Paused])
        }
        Some(Standing::Member) => (&[Visibility::Group], &[State::Active]),
        _ => (&[], &[]),
    }
}

/// A mean of what was given, to two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Mean {
    pub mean: f64,
    /// How many entries gave it.
    pub n: i64,
}

impl Mean {
    /// `None` of nothing: missing is never zero.
    fn of(values: impl Iterator<Item = i32>) -> Option<Mean> {
        let (n, sum) = values.fold((0, 0), |(n, sum), value| (n + 1, sum + i64::from(value)));
        (n > 0).then(|| Mean { mean: (sum as f64 / n as f64 * 100.0).round() / 100.0, n })
    }
}

/// One week or month in which something was entered. What nobody gave is absent.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TrendPeriod {
    /// Its Monday, or the first of the month.
    pub starts_on: Day,
    /// Entries, passes included.
    pub check_ins: i64,
    pub passes: i64,
    /// 1 (awful) to 7 (great).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mood: Option<Mean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Mean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hope: Option<Mean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Mean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub belonging: Option<Mean>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shame: Option<Mean>,
}

/// A feeling word, and in how many entries it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WordCount {
    /// In small letters.
    pub word: String,
    pub check_ins: i64,
}

/// Words of a trend at most.
const WORDS: usize = 50;

/// The first day of the week or month that a day lies in.
pub fn first_day(day: Day, by: By) -> Day {
    Day(match by {
        By::Week => day.0.saturating_sub(i64::from(day.0.weekday().to_monday_zero_offset()).days()),
        By::Month => day.0.first_of_month(),
    })
}

/// One person's own entries by period, oldest first; a period without any is absent.
pub fn trend(entries: &[(Day, Said)], by: By) -> Vec<TrendPeriod> {
    let mut periods: BTreeMap<Day, Vec<&Said>> = BTreeMap::new();
    for (day, said) in entries {
        periods.entry(first_day(*day, by)).or_default().push(said);
    }
    let period = |(starts_on, entries): (Day, Vec<&Said>)| {
        let mean = |value: fn(&Said) -> Option<i32>| Mean::of(entries.iter().filter_map(|said| value(said)));
        TrendPeriod {
            starts_on,
            check_ins: entries.len() as i64,
            passes: entries.iter().filter(|said| said.pass).count() as i64,
            mood: mean(|said| said.mood.map(Mood::number)),
            connection: mean(|said| said.connection),
            hope: mean(|said| said.hope),
            confidence: mean(|said| said.confidence),
            belonging: mean(|said| said.belonging),
            shame: mean(|said| said.shame),
        }
    };
    periods.into_iter().map(period).collect()
}

/// One person's own feeling words, the most frequent first; those as frequent by the alphabet.
pub fn count_words(entries: &[(Day, Said)]) -> Vec<WordCount> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for (_, said) in entries {
        let folded: HashSet<String> = said.words.iter().map(|word| word.to_lowercase().nfc().collect()).collect();
        for word in folded {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut words: Vec<WordCount> = counts.into_iter().map(|(word, check_ins)| WordCount { word, check_ins }).collect();
    words.sort_by_key(|counted| std::cmp::Reverse(counted.check_ins));
    words.truncate(WORDS);
    words
}
