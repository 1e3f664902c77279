//! Time as a way from left to right, with the days, months or years that are named on it.

use jiff::{ToSpan, civil::Date};

use super::{
    Frame,
    colours::Role,
    paper::{Anchor, Paper, Size, pen, width_of},
};
use crate::values::{Day, Moment};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// How many dates are named at most.
const TICKS: usize = 6;
/// What stays free between two labels.
const APART: f64 = 4.0;

/// From which moment to which, and where they stand.
#[derive(Clone, Copy)]
pub(super) struct Axis<'a> {
    frame: Frame<'a>,
    from: Moment,
    until: Moment,
    left: f64,
    right: f64,
}

/// A date that is named.
struct Tick {
    x: f64,
    label: String,
    /// Beside the first, and where one begins.
    year: Option<String>,
}

impl<'a> Axis<'a> {
    /// Over everything that is to be shown; a week to either side of a single moment.
    pub fn over(frame: Frame<'a>, moments: impl Iterator<Item = Moment>, left: f64, right: f64) -> Axis<'a> {
        let (mut from, mut until) =
            moments.fold((Moment::FAR, Moment(i64::MIN)), |(from, until), at| (from.min(at), until.max(at)));
        if from > until {
            (from, until) = (Moment(0), Moment(0));
        }
        if until.0 - from.0 < 2 * DAY {
            (from, until) = (from.plus_days(-7), until.plus_days(7));
        }
        Axis { frame, from, until, left, right }
    }

    /// The same time elsewhere on the sheet.
    pub fn between(self, left: f64, right: f64) -> Axis<'a> {
        Axis { left, right, ..self }
    }

    pub fn ends(&self) -> (f64, f64) {
        (self.left, self.right)
    }

    /// The first moment and the last.
    pub fn days(&self) -> (Moment, Moment) {
        (self.from, self.until)
    }

    pub fn x(&self, at: Moment) -> f64 {
        let share = (at.0 - self.from.0) as f64 / (self.until.0 - self.from.0) as f64;
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Where a day of the frame's zone begins.
    pub fn start_of(&self, day: Day) -> Moment {
        self.frame.start_of(day)
    }

    /// The dates below a line at `y`. Returns how far down they reach.
    pub fn draw(&self, paper: &mut Paper, y: f64) -> f64 {
        let ticks = self.ticks();
        let lines = if ticks.iter().any(|tick| tick.year.is_some()) { 2.0 } else { 1.0 };
        for Tick { x, label, year } in ticks {
            paper.line((x, y), (x, y + 4.0), pen(Role::Rule, 1.0, ""));
            paper.text((x, y + 16.0), Size::Small, Role::Muted, Anchor::Middle, &label);
            if let Some(year) = year {
                paper.text((x, y + 29.0), Size::Small, Role::Muted, Anchor::Middle, &year);
            }
        }
        4.0 + 13.0 * lines
    }

    fn ticks(&self) -> Vec<Tick> {
        let days = (self.until.0 - self.from.0) / DAY;
        let (first, last) = (self.frame.day(self.from).0, self.frame.day(self.until).0);
        if days <= 75 {
            // A day label is wider than a month.
            let step = [1, 2, 3, 7, 14, 21].into_iter().find(|step| days / step < 5).unwrap_or(28);
            let days = std::iter::successors(Some(first), |day| day.checked_add(step.days()).ok());
            // Each at the hour of the first: below what was taken on that day, not up to a day before it.
            let places = (0..).map(|index| Moment(self.from.0 + index * step * DAY));
            let days = days.take_while(|day| *day <= last).zip(places);
            return self.named(days, |day| self.frame.short_day(day), true);
        }
        let months = (days / 30) as usize;
        let step = [1, 2, 3, 6, 12, 24, 60, 120].into_iter().find(|step| months / step < TICKS).unwrap_or(240);
        let firsts = std::iter::successors(Some(first.first_of_month()), |day| day.checked_add(1.month()).ok());
        let index = |day: &Date| (i64::from(day.year()) * 12 + i64::from(day.month()) - 1) as usize;
        let named = firsts.take_while(|day| *day <= last).filter(|day| *day >= first && index(day) % step == 0);
        let named = named.map(|day| (day, self.start_of(Day(day))));
        match step {
            ..12 => self.named(named, |day| self.frame.language.month(day.month()).to_owned(), true),
            _ => self.named(named, |day| day.year().to_string(), false),
        }
    }

    /// The dates, or every second of them, or every third, until no label touches the next; `has_year`: with the year,
    /// where one begins.
    fn named(
        &self,
        days: impl Iterator<Item = (Date, Moment)>,
        label: impl Fn(Date) -> String,
        has_year: bool,
    ) -> Vec<Tick> {
        let days: Vec<(Date, Moment)> = days.collect();
        let every = |stride: usize| {
            let mut year = None;
            let tick = |(day, at): &(Date, Moment)| {
                let is_new = has_year && year.replace(day.year()) != Some(day.year());
                Tick { x: self.x(*at), label: label(*day), year: is_new.then(|| day.year().to_string()) }
            };
            days.iter().step_by(stride).map(tick).collect::<Vec<_>>()
        };
        let mut strides = (1..days.len()).map(every);
        strides.find(|ticks| are_apart(ticks)).unwrap_or_else(|| every(days.len().max(1)))
    }
}

/// Whether no label touches another, and no year another year.
fn are_apart(ticks: &[Tick]) -> bool {
    let has_room = |one: (f64, &str), other: (f64, &str)| {
        let widths = width_of(one.1, Size::Small) + width_of(other.1, Size::Small);
        other.0 - one.0 >= widths / 2.0 + APART
    };
    let years: Vec<(f64, &str)> = ticks.iter().filter_map(|tick| Some((tick.x, tick.year.as_deref()?))).collect();
    let labels: Vec<(f64, &str)> = ticks.iter().map(|tick| (tick.x, tick.label.as_str())).collect();
    [labels, years].iter().all(|row| row.windows(2).all(|pair| has_room(pair[0], pair[1])))
}
