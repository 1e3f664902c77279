//! What those whose records are gone leave behind in a group's figures: counts and sums, and nothing of anybody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    Course, Ending, Figures, Item, Outcomes,
    figures::{begin, unmeasured},
};
use crate::{rules::members::State, values::Id};

/// No rule about dropping out asks for more missed sessions.
const MOST_MISSED: u16 = 100;

/// How somebody's time ended, as far as a rule with any number of misses has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Way {
    Planned,
    /// Went, with so many sessions missed at the end.
    Went(u16),
}

impl Way {
    fn of(course: &Course) -> Way {
        if matches!(course.state, State::Completed | State::Transferred | State::Discharged) {
            return Way::Planned;
        }
        let statuses = course.visits.iter().rev().map(|visit| visit.status);
        let missed = statuses.take_while(|status| !status.was_there()).count() + course.held_since;
        Way::Went(u16::try_from(missed).unwrap_or(MOST_MISSED).min(MOST_MISSED))
    }

    fn ending(self, misses: u16) -> Ending {
        match self {
            Way::Planned => Ending::Planned,
            Way::Went(missed) if missed >= misses.max(1) => Ending::DroppedOut,
            Way::Went(_) => Ending::Left,
        }
    }
}

/// Those who ended in one way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ended {
    way: Way,
    members: u32,
    withdrawn: u32,
    /// Without endings: which it is depends on who asks.
    unmeasured: Outcomes,
    /// By instrument, then by parameter set.
    instruments: BTreeMap<String, Vec<(Option<String>, Outcomes)>>,
}

/// Counts and sums over people whose records are gone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Gone {
    ended: Vec<Ended>,
    by_status: [u32; 5],
    /// Sessions at which somebody's attendance was recorded: not whose.
    recorded: BTreeSet<Id>,
    seconds: BTreeMap<String, i64>,
    missed: BTreeMap<String, u32>,
    offered: BTreeMap<String, u32>,
}

fn without_endings(outcomes: &Outcomes) -> Outcomes {
    Outcomes { endings: [0; 4], ..outcomes.clone() }
}

fn with_ending(outcomes: &Outcomes, ending: Ending) -> Outcomes {
    let mut whole = outcomes.clone();
    whole.endings[ending as usize] = whole.members;
    whole
}

impl Gone {
    /// Adds somebody before their record goes. `sessions`: as for [`Figures::new`].
    pub fn add(&mut self, course: &Course, sessions: &HashMap<Id, (Vec<Item>, i32)>) {
        let mut own = Figures::new(1, sessions);
        own.add(course);
        self.by_status.iter_mut().zip(own.presences.by_status).for_each(|(mine, theirs)| *mine += theirs);
        self.recorded.extend(course.visits.iter().map(|visit| visit.session));
        own.dose.seconds().for_each(|(technique, of_it)| *self.seconds.entry(technique.into()).or_default() += of_it);
        for (mine, theirs) in [(&mut self.missed, &own.missed), (&mut self.offered, &own.offered)] {
            theirs.iter().for_each(|(technique, count)| *mine.entry((*technique).into()).or_default() += count);
        }
        let ended = self.ended_in(Way::of(course));
        ended.members += 1;
        if course.is_withdrawn {
            ended.withdrawn += 1;
            return;
        }
        let mut nothing = Outcomes::default();
        nothing.add(&unmeasured(Ending::Left));
        let nothing = without_endings(&nothing);
        for (instrument, figures) in &own.instruments {
            let so_far = &ended.unmeasured;
            ended.instruments.entry(instrument.clone()).or_insert_with(|| {
                figures.by_set.iter().map(|(set, _)| (set.map(str::to_owned), so_far.clone())).collect()
            });
        }
        for (instrument, by_set) in &mut ended.instruments {
            let figures = own.instruments.get(instrument);
            for (set, outcomes) in by_set {
                let theirs = figures.and_then(|figures| figures.by_set.iter().find(|(id, _)| *id == set.as_deref()));
                outcomes.merge(&theirs.map_or_else(|| nothing.clone(), |(_, theirs)| without_endings(theirs)));
            }
        }
        ended.unmeasured.merge(&nothing);
    }

    fn ended_in(&mut self, way: Way) -> &mut Ended {
        let found = self.ended.iter().position(|ended| ended.way == way);
        let index = found.unwrap_or_else(|| {
            let (unmeasured, instruments) = (Outcomes::default(), BTreeMap::new());
            self.ended.push(Ended { way, members: 0, withdrawn: 0, unmeasured, instruments });
            self.ended.len() - 1
        });
        &mut self.ended[index]
    }
}

impl<'a> Figures<'a> {
    /// Adds those whose records are gone: the figures are what they were before.
    pub fn add_gone(&mut self, gone: &'a Gone) {
        self.presences.by_status.iter_mut().zip(gone.by_status).for_each(|(mine, theirs)| *mine += theirs);
        self.recorded.extend(&gone.recorded);
        gone.seconds.iter().for_each(|(technique, seconds)| self.dose.add_seconds(technique, *seconds));
        for (mine, theirs) in [(&mut self.missed, &gone.missed), (&mut self.offered, &gone.offered)] {
            theirs.iter().for_each(|(technique, count)| *mine.entry(technique).or_default() += count);
        }
        for ended in &gone.ended {
            let how = ended.way.ending(self.misses);
            self.members += ended.members;
            self.withdrawn += ended.withdrawn;
            self.endings[how as usize] += ended.members;
            for instrument in ended.instruments.keys() {
                if !self.instruments.contains_key(instrument) {
                    self.instruments.insert(instrument.clone(), begin(instrument, &self.unmeasured));
                }
            }
            let nothing = with_ending(&ended.unmeasured, how);
            for (instrument, figures) in &mut self.instruments {
                let theirs = ended.instruments.get(instrument);
                for (set, outcomes) in &mut figures.by_set {
                    // A parameter set that came later says nothing about them.
                    let of_set = theirs.and_then(|sets| sets.iter().find(|(id, _)| id.as_deref() == *set));
                    outcomes.merge(&of_set.map_or_else(|| nothing.clone(), |(_, theirs)| with_ending(theirs, how)));
                }
            }
            self.unmeasured.merge(&nothing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Way;
    use crate::{
        rules::{
            attendance::Status,
            members::State,
            outcomes::{Course, Visit, ending},
        },
        values::{Id, Moment},
    };

    #[test]
    fn a_way_ends_as_the_rule_says_for_every_number_of_misses() {
        for state in [State::Completed, State::Transferred, State::Discharged, State::Left, State::Removed] {
            for (came, after, held_since) in [(0, 0, 0), (3, 0, 0), (2, 4, 0), (2, 1, 5), (0, 6, 2)] {
                let visit = |status| Visit { session: Id::random(), starts_at: Moment(0), status, minutes: 60 };
                let visits: Vec<Visit> =
                    [vec![visit(Status::Attended); came], vec![visit(Status::NoShow); after]].concat();
                let course = Course { state, is_withdrawn: false, taken: Vec::new(), visits, held_since };
                for misses in 0..=100 {
                    let statuses = course.visits.iter().map(|visit| visit.status);
                    assert_eq!(Way::of(&course).ending(misses), ending(state, statuses, held_since, misses));
                }
            }
        }
    }
}
