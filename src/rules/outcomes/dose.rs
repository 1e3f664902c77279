//! Dose: how many minutes of each technique somebody received, from what was delivered and how long they were there.

use std::collections::BTreeMap;

use super::is_delivered;
use crate::rules::sessions::Delivered;

/// One agenda item of a held session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Id of the vocabulary.
    pub technique: &'a str,
    pub delivered: Delivered,
    /// As delivered, not as planned; 0 for a skipped item.
    pub minutes: i32,
}

/// Seconds of each technique. A technique that was delivered while the person was absent stands with 0: that is the
/// module they missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dose<'a> {
    seconds: BTreeMap<&'a str, i64>,
}

impl<'a> Dose<'a> {
    /// Adds a held session. `present`: minutes that the person was there, `held`: minutes that it took.
    ///
    /// Which item was on while somebody was out of the room is not recorded, so each item counts by the share of the
    /// session that the person was there: `minutes × present / held`, to the nearest second.
    pub fn add_session(&mut self, items: &[Item<'a>], present: i32, held: i32) {
        let held = i64::from(held.max(1));
        let present = i64::from(present).clamp(0, held);
        for item in items.iter().filter(|item| is_delivered(item.delivered)) {
            let seconds = (i64::from(item.minutes.max(0)) * 60 * present * 2 + held) / (2 * held);
            *self.seconds.entry(item.technique).or_default() += seconds;
        }
    }

    pub fn merge(&mut self, other: &Dose<'a>) {
        for (technique, seconds) in &other.seconds {
            *self.seconds.entry(technique).or_default() += seconds;
        }
    }

    /// Technique and seconds, as they are added up.
    pub fn seconds(&self) -> impl Iterator<Item = (&'a str, i64)> {
        self.seconds.iter().map(|(technique, seconds)| (*technique, *seconds))
    }

    pub fn add_seconds(&mut self, technique: &'a str, seconds: i64) {
        *self.seconds.entry(technique).or_default() += seconds;
    }

    /// Technique and whole minutes, half up, by the technique's id.
    pub fn minutes(&self) -> impl Iterator<Item = (&'a str, i64)> {
        self.seconds.iter().map(|(technique, seconds)| (*technique, (seconds + 30) / 60))
    }

    /// Techniques that were delivered and of which the person got nothing.
    pub fn missed(&self) -> impl Iterator<Item = &'a str> {
        self.seconds.iter().filter(|(_, seconds)| **seconds == 0).map(|(technique, _)| *technique)
    }
}
