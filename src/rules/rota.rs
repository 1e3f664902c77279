//! Leadership in turn: who is proposed for which session, what can be offered, what a hand-over note may hold.

use std::collections::{BTreeMap, HashMap};

use unicode_normalization::UnicodeNormalization;

use super::{Refusal, sessions};
use crate::{
    values::{Day, Id, Moment},
    words,
};

words! {
    /// What became of an offer to facilitate.
    pub enum OfferState { Open = "open", Accepted = "accepted", Declined = "declined", Withdrawn = "withdrawn" }
}

words! {
    /// What a member does for a meeting beside facilitating it.
    pub enum Service { Greeted = "greeted", SetUp = "set_up" }
}

/// Days for which somebody belongs before they are proposed.
pub const NEWCOMER_DAYS: i32 = 28;
/// Days that are looked back on to be fair.
pub const FAIR_DAYS: i64 = 180;
/// How often a service is counted in one month: not more than there are days.
pub const MOST_SERVICES: i32 = 31;
/// Days ahead that an absence can reach.
pub const LONGEST_AHEAD_DAYS: i32 = 3 * 366;

/// Days on which somebody is away, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    pub from_on: Day,
    pub until_on: Day,
}

/// A member who could be asked to facilitate: active, with an account, and willing.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub member: Id,
    /// The first day on which they were active.
    pub active_on: Day,
    pub barred_until: Option<Moment>,
    pub absences: Vec<Absence>,
    /// Sessions for which they have been asked, and have not answered or have declined.
    pub asked: Vec<Id>,
    /// Terms that ended in the last [`FAIR_DAYS`], run, or are still to come.
    pub terms: usize,
}

/// A session of the rota.
#[derive(Clone, Debug)]
pub struct Slot {
    pub session: Id,
    pub starts_at: Moment,
    /// Its day in the group's zone.
    pub day: Day,
    /// Nobody facilitates it yet.
    pub is_open: bool,
    /// The members who do.
    pub facilitators: Vec<Id>,
}

/// Proposes somebody for each open session, in the order of `slots`, which is that of time. Whoever has had the fewest
/// terms comes first, those proposed here included; `seed` decides between equals. Nobody facilitates twice in a row
/// where somebody else could. `before` facilitated the session before the first one.
///
/// The same seed and the same facts give the same rota, on every machine and in whatever order the candidates come.
pub fn propose(slots: &[Slot], before: &[Id], candidates: &[Candidate], seed: u64) -> Vec<(Id, Option<Id>)> {
    let ranks = ranks(candidates, seed);
    let mut terms: HashMap<Id, usize> =
        candidates.iter().map(|candidate| (candidate.member, candidate.terms)).collect();
    let mut previous = before.to_vec();
    let mut proposed = Vec::new();
    for (index, slot) in slots.iter().enumerate() {
        if !slot.is_open {
            previous.clone_from(&slot.facilitators);
            continue;
        }
        let next = slots.get(index + 1).map_or(&[][..], |next| &next.facilitators);
        let able: Vec<Id> =
            candidates.iter().filter(|candidate| candidate.can_take(slot)).map(|candidate| candidate.member).collect();
        let is_rested = |member: &&Id| !previous.contains(member) && !next.contains(member);
        let place = |member: &&Id| (terms[*member], ranks[*member]);
        let chosen = able.iter().filter(is_rested).min_by_key(place).or_else(|| able.iter().min_by_key(place)).copied();
        if let Some(count) = chosen.and_then(|member| terms.get_mut(&member)) {
            *count += 1;
        }
        previous = chosen.into_iter().collect();
        proposed.push((slot.session, chosen));
    }
    proposed
}

impl Candidate {
    fn can_take(&self, slot: &Slot) -> bool {
        let belongs_for = self.active_on.0.until(slot.day.0).map_or(0, |span| span.get_days());
        let is_away = self.absences.iter().any(|away| away.from_on <= slot.day && slot.day <= away.until_on);
        belongs_for >= NEWCOMER_DAYS
            && !is_away
            && !self.asked.contains(&slot.session)
            && self.barred_until.is_none_or(|until| until <= slot.starts_at)
    }
}

/// A place in line for everybody: those of a shuffle (Fisher and Yates) of the ids in their order.
fn ranks(candidates: &[Candidate], seed: u64) -> BTreeMap<Id, usize> {
    let mut line: Vec<Id> = candidates.iter().map(|candidate| candidate.member).collect();
    line.sort_unstable();
    let mut state = seed;
    for last in (1..line.len()).rev() {
        let other = (u128::from(next_random(&mut state)) * (last as u128 + 1)) >> 64;
        line.swap(last, other as usize);
    }
    line.into_iter().enumerate().map(|(rank, member)| (member, rank)).collect()
}

/// SplitMix64 (Steele, Lea and Flood 2014): it decides between equals, and hides nothing.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Judges absences: `today` is that of the group's zone.
pub fn check_absences(absences: &[Absence], today: Day) -> Result<(), Refusal> {
    let latest = today.0.saturating_add(jiff::Span::new().days(LONGEST_AHEAD_DAYS));
    for (index, absence) in absences.iter().enumerate() {
        let refuse = |field: &str, detail: &str| Err(Refusal::field(format!("/absences/{index}/{field}"), detail));
        if absence.until_on < absence.from_on {
            return refuse("until_on", "is before from_on");
        }
        if absence.from_on.0.year() < 1900 {
            return refuse("from_on", "is before the year 1900");
        }
        if absence.until_on.0 > latest {
            return refuse("until_on", "is more than three years ahead");
        }
    }
    Ok(())
}

/// Only a session that is still to come can be offered, and changes hands.
pub fn check_to_come(state: sessions::State, starts_at: Moment, now: Moment) -> Result<(), Refusal> {
    sessions::check_plannable(state)?;
    if starts_at <= now {
        return Err(Refusal::clash("The session has begun."));
    }
    Ok(())
}

/// An offer is answered once.
pub fn check_open(state: OfferState) -> Result<(), Refusal> {
    match state {
        OfferState::Open => Ok(()),
        OfferState::Accepted => Err(Refusal::clash("The offer was accepted already.")),
        OfferState::Declined => Err(Refusal::clash("The offer was declined already.")),
        OfferState::Withdrawn => Err(Refusal::clash("The offer was withdrawn.")),
    }
}

/// Letters that a name has at least to be looked for.
const SHORTEST_NAME: usize = 3;

/// A hand-over note is about keys, room and material, and about nobody: it holds no member's name as a whole, word for
/// word. A part of one is often an ordinary word. What was found is not repeated.
pub fn check_hand_over<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Result<(), Refusal> {
    let said: Vec<String> = whole_words(text);
    let is_said = |name: &str| {
        let name = whole_words(name);
        let letters: usize = name.iter().map(|word| word.chars().count()).sum();
        letters >= SHORTEST_NAME && said.windows(name.len()).any(|words| words == name)
    };
    if names.into_iter().any(is_said) {
        return Err(Refusal::field("/text", "names a member: write of keys, room and material, and of nobody"));
    }
    Ok(())
}

/// Digits in a row from which on they are taken for a telephone number: a date has eight, a door fewer.
const SHORTEST_NUMBER: usize = 9;

/// A hand-over note says how to reach nobody: it holds no e-mail address and no telephone number, however it is spaced.
pub fn check_reaches_nobody(text: &str) -> Result<(), Refusal> {
    let text: String = text.nfkc().collect();
    let is_address = |word: &str| {
        let parts = word.split_once('@');
        parts.is_some_and(|(name, place)| name.ends_with(char::is_alphanumeric) && place.contains('.'))
    };
    // A time ends the row: a day is often said right before one.
    let is_time =
        |word: &str| word.contains(':') && word.chars().all(|letter| letter.is_numeric() || ":,;.–-".contains(letter));
    let rows = text.split_whitespace().map(|word| if is_time(word) { ";" } else { word }).collect::<Vec<_>>().join(" ");
    let is_between = |letter: char| letter.is_whitespace() || "+-‐‑–—./()_=*~".contains(letter);
    let rows = rows.split(|letter: char| !letter.is_numeric() && !is_between(letter));
    let longest = rows.map(|row| row.chars().filter(|letter| letter.is_numeric()).count()).max();
    if text.contains("://") || text.split_whitespace().any(is_address) || longest >= Some(SHORTEST_NUMBER) {
        return Err(Refusal::field(
            "/text",
            "says how to reach somebody: write of keys, room and material, and of nobody",
        ));
    }
    Ok(())
}

fn whole_words(text: &str) -> Vec<String> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).nfc().collect();
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The month of a day, as `2026-03`.
pub fn month_of(day: Day) -> String {
    format!("{:04}-{:02}", day.0.year(), day.0.month())
}
