//! A group's figures, member by member: what each was measured with, whether they came, what they received.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Dose, Ending, Item, Outcomes, Pair, Person, Sums, ending};
use crate::{
    rules::{
        attendance::Status,
        change::{Administration, State, Why, Yardstick, trace},
        check_ins::Said,
        instruments::{NoScore, Registry},
        members,
    },
    values::{Id, Moment},
};

/// One administration of an instrument, without its answers.
#[derive(Clone, Debug)]
pub struct Taken {
    pub id: Id,
    pub instrument: String,
    /// Version of the instrument, from 1.
    pub version: u32,
    pub taken_at: Moment,
    /// In thousandths of a point, or why there is none.
    pub score: Result<i32, NoScore>,
}

/// One recorded attendance of a held session.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    pub session: Id,
    /// When the session began, as planned.
    pub starts_at: Moment,
    pub status: Status,
    /// That the person was there.
    pub minutes: i32,
}

/// One membership, as far as figures need it. Nothing in it names anybody.
#[derive(Clone, Debug)]
pub struct Course {
    pub state: members::State,
    /// Whether a consent was withdrawn and none stands: what was measured is not used any more.
    pub is_withdrawn: bool,
    /// Those entered in error left out, in any order.
    pub taken: Vec<Taken>,
    /// In order of time.
    pub visits: Vec<Visit>,
    /// Sessions that were held since the membership is what it is now, and since they came last, with no attendance of
    /// theirs: of somebody who has gone, those that went on without them.
    pub held_since: usize,
}

/// How often people came, of the sessions at which their attendance was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presences {
    /// In the order of [`Status::ALL`].
    pub by_status: [u32; 5],
}

impl Presences {
    pub fn recorded(&self) -> u32 {
        self.by_status.iter().sum()
    }

    pub fn attended(&self) -> u32 {
        let there = Status::ALL.iter().filter(|status| status.was_there());
        there.map(|status| self.by_status[*status as usize]).sum()
    }
}

/// One instrument's outcomes, by each parameter set that the literature gives; by none, one without states.
#[derive(Clone, Debug)]
pub struct InstrumentFigures {
    pub by_set: Vec<(Option<&'static str>, Outcomes)>,
}

/// What a group's members came to. Grows with instruments, techniques and sessions, never with members.
pub struct Figures<'a> {
    pub(super) misses: u16,
    /// What was delivered at each held session, and the minutes that it took.
    sessions: &'a HashMap<Id, (Vec<Item<'a>>, i32)>,
    pub members: u32,
    /// Left out of the instruments: they withdrew their consent.
    pub withdrawn: u32,
    /// In the order of [`Ending::ALL`].
    pub endings: [u32; 4],
    pub presences: Presences,
    /// Minutes received, all members together.
    pub dose: Dose<'a>,
    /// By technique: members who were expected where it was delivered, and got nothing of it.
    pub missed: BTreeMap<&'a str, u32>,
    /// By technique: members who were expected where it was delivered.
    pub offered: BTreeMap<&'a str, u32>,
    pub instruments: BTreeMap<String, InstrumentFigures>,
    /// Held sessions at which attendance was recorded.
    pub(super) recorded: BTreeSet<Id>,
    /// Everybody so far as somebody without a measure: an instrument that turns up late begins with them.
    pub(super) unmeasured: Outcomes,
}

impl<'a> Figures<'a> {
    /// `misses`: of the rule for dropping out, from 1.
    pub fn new(misses: u16, sessions: &'a HashMap<Id, (Vec<Item<'a>>, i32)>) -> Figures<'a> {
        Figures {
            misses,
            sessions,
            members: 0,
            withdrawn: 0,
            endings: [0; 4],
            presences: Presences::default(),
            dose: Dose::default(),
            missed: BTreeMap::new(),
            offered: BTreeMap::new(),
            instruments: BTreeMap::new(),
            recorded: BTreeSet::new(),
            unmeasured: Outcomes::default(),
        }
    }

    pub fn add(&mut self, course: &Course) {
        self.members += 1;
        let statuses = course.visits.iter().map(|visit| visit.status);
        let ending = ending(course.state, statuses, course.held_since, self.misses);
        self.endings[ending as usize] += 1;
        for visit in &course.visits {
            self.presences.by_status[visit.status as usize] += 1;
            self.recorded.insert(visit.session);
        }
        self.add_dose(&course.visits);
        if course.is_withdrawn {
            self.withdrawn += 1;
            return;
        }
        for taken in &course.taken {
            if !self.instruments.contains_key(&taken.instrument) {
                self.instruments.insert(taken.instrument.clone(), begin(&taken.instrument, &self.unmeasured));
            }
        }
        for (instrument, figures) in &mut self.instruments {
            add_measured(instrument, figures, &course.taken, ending);
        }
        self.unmeasured.add(&unmeasured(ending));
    }

    /// Sessions at which attendance was recorded.
    pub fn counted(&self) -> usize {
        self.recorded.len()
    }

    fn add_dose(&mut self, visits: &[Visit]) {
        let mut own = Dose::default();
        for visit in visits {
            if let Some((items, held)) = self.sessions.get(&visit.session) {
                own.add_session(items, visit.minutes, *held);
            }
        }
        own.missed().for_each(|technique| *self.missed.entry(technique).or_default() += 1);
        own.minutes().for_each(|(technique, _)| *self.offered.entry(technique).or_default() += 1);
        self.dose.merge(&own);
    }
}

pub(super) fn unmeasured(ending: Ending) -> Person {
    Person { state: State::NotComputable(Why::NoBaseline), has_baseline: false, pair: None, ending }
}

pub(super) fn begin(instrument: &str, so_far: &Outcomes) -> InstrumentFigures {
    let sets: Vec<&'static str> = Registry::built_in()
        .current(instrument)
        .map(|instrument| Yardstick::of(instrument).reliable.iter().map(|set| set.id).collect())
        .unwrap_or_default();
    let by_set = if sets.is_empty() { vec![None] } else { sets.into_iter().map(Some).collect() };
    InstrumentFigures { by_set: by_set.into_iter().map(|set| (set, so_far.clone())).collect() }
}

fn add_measured(id: &str, figures: &mut InstrumentFigures, taken: &[Taken], ending: Ending) {
    let mut series: Vec<Administration> = series(taken, id);
    let Some(instrument) = Registry::built_in().current(id).filter(|_| !series.is_empty()) else {
        return figures.by_set.iter_mut().for_each(|(_, outcomes)| outcomes.add(&unmeasured(ending)));
    };
    let yardstick = Yardstick::of(instrument);
    let trace = trace(&yardstick, &mut series, None);
    let pair = trace.ends(&yardstick).ok().map(|(first, last)| Pair {
        first: first.score,
        later: last.score,
        gain: yardstick.scale.gain(first.score, last.score),
    });
    let has_baseline = !trace.points.is_empty();
    for (set, outcomes) in &mut figures.by_set {
        let state = trace.state(&yardstick, set.unwrap_or_default());
        outcomes.add(&Person { state, has_baseline, pair, ending });
    }
}

fn series<'a>(taken: &'a [Taken], instrument: &str) -> Vec<Administration<'a>> {
    let of_it = taken.iter().filter(|taken| taken.instrument == instrument);
    of_it
        .map(|taken| Administration {
            id: taken.id,
            taken_at: taken.taken_at,
            version: taken.version,
            score: taken.score.as_ref().map(|score| *score),
            entered_in_error: false,
        })
        .collect()
}

/// What became of somebody on one instrument, as a report for those outside the group counts it: by the instrument's
/// first parameter set, because states by two sets say too much about each other to be hidden apart.
pub fn state_in_report(yardstick: &Yardstick, instrument: &str, taken: &[Taken]) -> State {
    let set = yardstick.reliable.first().map_or("", |set| set.id);
    trace(yardstick, &mut series(taken, instrument), None).state(yardstick, set)
}

/// Means over people of what each said in check-ins: everybody counts once, however often they wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonMeans {
    /// Who said anything, passes included.
    pub people: u32,
    pub check_ins: u32,
    /// Over the means of those who gave it, in thousandths.
    by_dimension: BTreeMap<&'static str, Sums>,
}

impl PersonMeans {
    /// Everything that one person said in the period.
    pub fn add(&mut self, said: &[Said]) {
        if said.is_empty() {
            return;
        }
        self.people += 1;
        self.check_ins += said.len() as u32;
        let mut own: BTreeMap<&'static str, (i64, i64)> = BTreeMap::new();
        for said in said {
            let mood = [("mood", said.mood.map(|mood| mood.number()))];
            for (dimension, value) in said.degrees().into_iter().chain(mood) {
                if let Some(value) = value {
                    let (n, sum) = own.entry(dimension).or_default();
                    (*n, *sum) = (*n + 1, *sum + i64::from(value));
                }
            }
        }
        for (dimension, (n, sum)) in own {
            self.by_dimension.entry(dimension).or_default().add((sum * 1000 / n) as i32);
        }
    }

    /// The means that may be shown: of `k` people or more, to one decimal, and without saying of how many.
    pub fn shown(&self, k: u32) -> BTreeMap<String, f64> {
        let shown = self.by_dimension.iter().filter(|(_, sums)| sums.count() >= k);
        shown
            .filter_map(|(dimension, sums)| Some(((*dimension).to_owned(), (sums.mean()? / 100.0).round() / 10.0)))
            .collect()
    }
}
