//! Small counts do not leave: which cells of a table are shown, when a mean is, which filters are answered, and when.
//!
//! Rule of the counts: the cell size suppression policy of the Centers for Medicare & Medicaid Services, as given by the
//! Research Data Assistance Center (resdac.org, "CMS Cell Size Suppression Policy"): no count from 1 to 10, and nothing
//! from which one can be derived, percentages included; a zero may be shown.
//!
//! # What holds within one table
//! [`gather`] and [`conceal`] guard against the reader who knows the procedure, runs it over everything that could be
//! meant, and even knows how many people stand in each row. Rows are populations of their own: each is shown with the
//! number of its people, or joins the others; no sum over rows is shown beside them. What they hide follows from the
//! values of a row alone, not from their order, so that whatever is hidden could as well stand in each other's places;
//! where that would change nothing, because all of it is alike, more is hidden. So each hidden cell, and each sum of
//! some hidden cells of a row but not all, has at least two possible values, and nobody's column is certain.
//!
//! The last column of a row is no finding: nothing could be computed of those people. Many know who was measured, as
//! whoever sat beside them does, and take the others away. So a row tells something, were it a zero, only where those of
//! whom something was found are k or more and stand in two columns at least; what is hidden among them is hidden as if
//! everybody knew the last column; and where that is too small to be shown, a neighbour shows the same: the row with one
//! person moved between the last column and a hidden one. Otherwise all cells are hidden, as they are of an instrument
//! that nobody used.
//!
//! Who leads a group knows its people exactly, and takes them away from whatever is shown. So a row stands only where
//! beside each leader's own people it has nobody or at least k, and what hides a cell of it is k and as many as one
//! leader knows of the row: however these are spread, k remain. It hangs on how many a leader knows and not on what
//! became of them: that would tell those who know the procedure about the others. A leader is all groups that they ever
//! led; who knows the whole row learns nothing from it.
//!
//! # What holds between reports
//! Two reports that differ by one person tell about that person. Therefore a report is no live query: people belong to
//! the [`Quarter`] of their baseline, once and for ever; a quarter is released once, as one table, at
//! [`Quarter::released_on`], and then stands as it was released. Quarters share nobody, and no two releases speak about
//! the same quarter. A year is the sum of what its quarters show. Then what is derived from many reports falls apart
//! into what is derived from each.
//!
//! # Limits
//! - Two tables about the same people, say by state and by age, must be one table with the finer columns: hidden apart,
//!   they could be solved together. Nothing here checks that; `store::outcomes` keeps a release, in one form alone.
//! - Who knows some of the people, or is one, knows more than the table; leaders who put what they know together do too.
//!   k guards against strangers, and against each leader alone, and each who lets people in.
//! - It counts people as it is given them. That they came, and were not made up, is for `store::outcomes` to know: it
//!   asks for what a group's leads recorded. Who makes up leads with people of their own can make up two.
//! - All people of a row in one column are shown when they are k or more: the column is then known of each of them.
//! - Smallest and largest values are values of one person. There is no rule for them, because they never leave.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::tz::TimeZone;
use serde::Serialize;
use thiserror::Error;

use crate::values::{Day, Moment};

/// The k of the policy: the smallest count that may be shown.
pub const SMALLEST_K: u32 = 11;

/// The k to use where a deployment sets its own: upward only.
pub fn threshold(configured: Option<u32>) -> u32 {
    configured.unwrap_or(SMALLEST_K).max(SMALLEST_K)
}

/// A cell as it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    Count(u32),
    /// Below k, or hidden to keep another from being derived: not said which.
    Hidden,
}

impl Cell {
    pub fn count(self) -> Option<u32> {
        match self {
            Cell::Count(count) => Some(count),
            Cell::Hidden => None,
        }
    }
}

/// Counts that a reader knows, by place in a list.
pub type Known = BTreeMap<usize, u32>;

/// Hides counts of one list: those from 1 to `k − 1`, and the smallest of the rest until what is hidden is two counts or
/// more, `k` people or more, and cannot be told from its sum: not all ones, not all `k − 1`. The same holds of what
/// remains of the list for each of `readers`, who take away what they know of it. Equal counts are hidden together, so
/// that the order tells nothing. None where all of them are not enough.
fn hide(counts: &[u32], readers: &[Known], k: u32) -> Option<Vec<bool>> {
    let is_small = |count: u32| (1..k).contains(&count);
    let mut hidden: Vec<bool> = counts.iter().map(|count| is_small(*count)).collect();
    for (place, known) in readers.iter().flatten() {
        hidden[*place] |= is_small(counts[*place] - known);
    }
    hide_beside(counts, hidden, readers, k)
}

/// The same from what is hidden already.
fn hide_beside(counts: &[u32], mut hidden: Vec<bool>, readers: &[Known], k: u32) -> Option<Vec<bool>> {
    let one_less = u64::from(k) - 1;
    let is_certain = |cells: u64, people: u64| cells > 1 && (people == cells || people == cells * one_less);
    loop {
        let of_hidden = counts.iter().zip(&hidden).filter(|(count, is_hidden)| **count > 0 && **is_hidden);
        let (cells, people) =
            of_hidden.fold((0_u64, 0_u64), |(cells, people), (count, _)| (cells + 1, people + u64::from(*count)));
        let is_safe = cells == 0 || (cells > 1 && people > one_less && !is_certain(cells, people));
        // Hidden from a reader who knows nothing of it, it is hidden as from everybody.
        let is_safe_from = |known: &Known| {
            let own = known.iter().filter(|(place, _)| hidden[**place]);
            let (whole, known) = own.fold((0_u64, 0_u64), |(whole, sum), (place, known)| {
                (whole + u64::from(counts[*place] > 0 && counts[*place] == *known), sum + u64::from(*known))
            });
            let (cells, people) = (cells - whole, people - known);
            cells == 0 || (people > one_less && !is_certain(cells, people))
        };
        if is_safe && readers.iter().all(is_safe_from) {
            return Some(hidden);
        }
        let shown = counts.iter().zip(&hidden).filter(|(count, is_hidden)| **count > 0 && !**is_hidden);
        let smallest = *shown.map(|(count, _)| count).min()?;
        hidden.iter_mut().zip(counts).for_each(|(is_hidden, count)| *is_hidden |= *count == smallest);
    }
}

/// Which rows join the others, by how many people each has; `readers` are leaders, and how many people of each row they
/// know. `k` from [`threshold`]. None where no row may be shown, nor how many people there are. Rows without anybody are
/// not shown at all: nobody is told which of them joined.
pub fn gather(people: &[u32], readers: &[Known], k: u32) -> Option<Vec<bool>> {
    hide(people, readers, k)
}

/// One row as it leaves: its counts by column, whose sum may be shown beside it where [`gather`] shows the row. The last
/// column is those of whom nothing was found. All of it is hidden, zeros included, where the others are fewer than `k` or
/// in one column: it would be known of each of them. `known` is how many people of the row one reader knows at most; none
/// or all is nobody's secret.
pub fn conceal(counts: &[u32], known: u32, k: u32) -> Vec<Cell> {
    let k = k.saturating_add(known);
    let hidden = hide_row(counts, k).filter(|hidden| has_neighbour(counts, hidden, k));
    let cell = |(index, count): (usize, &u32)| match &hidden {
        Some(hidden) if !hidden[index] => Cell::Count(*count),
        _ => Cell::Hidden,
    };
    counts.iter().enumerate().map(cell).collect()
}

/// What [`conceal`] hides of a row for the row alone. None where that is all of it.
fn hide_row(counts: &[u32], k: u32) -> Option<Vec<bool>> {
    let (without, findings) = counts.split_last()?;
    let found = || findings.iter().copied().filter(|count| *count > 0);
    let smallest = found().min()?;
    if found().count() < 2 {
        return None;
    }
    let is_small = |count: u32| (1..k).contains(&count);
    // Fewer than `k` are hidden all, and not enough to hide each other: then nothing of the row is shown.
    // One hidden cell alone would follow from the sum of the row.
    let is_first = |count: u32| is_small(count) || (count == smallest && is_small(*without));
    let mut hidden = hide_beside(findings, findings.iter().map(|count| is_first(*count)).collect(), &[], k)?;
    hidden.push(is_small(*without));
    Some(hidden)
}

/// Whether it is uncertain how many stand in the last column where that is hidden: a row that shows the same has one more
/// or one less there.
fn has_neighbour(counts: &[u32], hidden: &[bool], k: u32) -> bool {
    let last = counts.len() - 1;
    let is_alike = |from: usize, to: usize| {
        let mut other = counts.to_vec();
        other[from] -= 1;
        other[to] += 1;
        hide_row(&other, k).as_deref() == Some(hidden)
    };
    !hidden[last] || (0..last).any(|index| hidden[index] && (is_alike(index, last) || is_alike(last, index)))
}

/// The counts of some people of a row, whom a reader knows all or not at all.
#[derive(Clone, Debug)]
pub struct Part {
    pub row: usize,
    /// By table, by column, last those of whom nothing was found. The counts of each table add up to the people of the
    /// part.
    pub tables: Vec<Vec<u32>>,
}

impl Part {
    pub fn people(&self) -> u32 {
        self.tables.first().map_or(0, |counts| counts.iter().sum())
    }
}

/// A row as it leaves, alone or as the others together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasedRow {
    /// Which row; none for the others.
    pub row: Option<usize>,
    pub people: u32,
    /// By table, by column.
    pub tables: Vec<Vec<Cell>>,
}

/// Releases tables of different findings about the same people, all with the same rows, each row the sum of its parts.
/// `insiders` are readers who know some parts exactly, as who leads a group does, or let those people in: by reader, the
/// places of those parts.
/// None where nothing may be shown, not even how many there are.
///
/// # Panics
/// Where a part's tables differ in their people: they would be hidden apart, and could be solved together.
pub fn release(rows: usize, parts: &[Part], insiders: &[Vec<usize>], k: u32) -> Option<Vec<ReleasedRow>> {
    let add_up = |part: &Part| part.tables.iter().all(|counts| counts.iter().sum::<u32>() == part.people());
    assert!(parts.iter().all(add_up), "tables about different people");
    let by_row = |of: &mut dyn Iterator<Item = &Part>| {
        of.fold(Known::new(), |mut people, part| {
            *people.entry(part.row).or_default() += part.people();
            people
        })
    };
    let whole = by_row(&mut parts.iter());
    let people: Vec<u32> = (0..rows).map(|row| whole.get(&row).copied().unwrap_or(0)).collect();
    let readers: Vec<Known> =
        insiders.iter().map(|known| by_row(&mut known.iter().map(|part| &parts[*part]))).collect();
    let joins = gather(&people, &readers, k)?;
    let row = |row: Option<usize>, is_in: &dyn Fn(usize) -> bool| {
        let of_row: Vec<&Part> = parts.iter().filter(|part| is_in(part.row)).collect();
        let people = of_row.iter().map(|part| part.people()).sum();
        let own = |known: &Vec<usize>| {
            known.iter().map(|part| &parts[*part]).filter(|part| is_in(part.row)).map(Part::people).sum::<u32>()
        };
        let known = insiders.iter().map(own).filter(|own| *own < people).max().unwrap_or(0);
        let tables = of_row.first().map_or(0, |part| part.tables.len());
        let counts = |table: usize| {
            of_row.iter().map(|part| part.tables[table].clone()).reduce(|mut sum, counts| {
                sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                sum
            })
        };
        ReleasedRow { row, people, tables: (0..tables).filter_map(counts).map(|all| conceal(&all, known, k)).collect() }
    };
    let shown = (0..rows).filter(|index| people[*index] > 0 && !joins[*index]);
    let mut released: Vec<ReleasedRow> = shown.map(|index| row(Some(index), &|other| other == index)).collect();
    if joins.contains(&true) {
        released.push(row(None, &|index| joins[index]));
    }
    Some(released)
}

/// The k that a server works under; never below [`SMALLEST_K`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallestCount(u32);

impl SmallestCount {
    pub fn new(configured: u32) -> SmallestCount {
        SmallestCount(threshold(Some(configured)))
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

/// Which means may be shown: of parts that make up a whole, and of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Means {
    /// In the order of the parts.
    pub parts: Vec<bool>,
    pub whole: bool,
}

/// Judges the means, standard deviations and effect sizes of parts with so many people each. No mean of fewer than `k`
/// people is shown, nor can one be derived from the mean of the whole: those who are hidden together are nobody or at
/// least `k`.
pub fn means(people: &[u32], k: u32) -> Means {
    let mut parts: Vec<bool> = people.iter().map(|count| *count >= k).collect();
    let hidden = |parts: &[bool]| -> u64 {
        people.iter().zip(parts).filter(|(_, is_shown)| !**is_shown).map(|(count, _)| u64::from(*count)).sum()
    };
    if (1..u64::from(k)).contains(&hidden(&parts)) {
        let shown = people.iter().enumerate().filter(|(index, _)| parts[*index]);
        // The smallest of those that may be shown: the least is lost.
        if let Some(index) = shown.min_by_key(|(_, count)| **count).map(|(index, _)| index) {
            parts[index] = false;
        }
    }
    let all: u64 = people.iter().map(|count| u64::from(*count)).sum();
    Means { parts, whole: all >= u64::from(k) }
}

/// Whether a filter may be answered: what it leaves, and what it takes away, is nobody or at least `k` people. Answered
/// next to the whole, each of the two gives the other.
pub fn may_filter(left: u32, whole: u32, k: u32) -> bool {
    let is_small = |count: u32| (1..k).contains(&count);
    left <= whole && !is_small(left) && !is_small(whole - left)
}

/// A calendar quarter, the period of every report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Quarter {
    pub year: i16,
    /// 1 to 4.
    pub quarter: i8,
}

impl fmt::Display for Quarter {
    /// `2026-Q1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-Q{}", self.year, self.quarter)
    }
}

/// A text that names no quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is no quarter, written as 2026-Q1")]
pub struct NoQuarter;

impl FromStr for Quarter {
    type Err = NoQuarter;

    fn from_str(text: &str) -> Result<Quarter, NoQuarter> {
        let (year, quarter) = text.split_once("-Q").ok_or(NoQuarter)?;
        let is_plain = year.len() == 4 && year.bytes().all(|digit| digit.is_ascii_digit());
        let quarter = ["1", "2", "3", "4"].iter().position(|word| *word == quarter).ok_or(NoQuarter)?;
        let year = year.parse().ok().filter(|_| is_plain).ok_or(NoQuarter)?;
        Ok(Quarter { year, quarter: quarter as i8 + 1 })
    }
}

impl Quarter {
    /// The newest that may be shown on a day.
    pub fn newest_released(today: Day) -> Quarter {
        Quarter::of(today).previous().previous()
    }

    pub fn previous(self) -> Quarter {
        if self.quarter <= 1 {
            Quarter { year: self.year.saturating_sub(1), quarter: 4 }
        } else {
            Quarter { year: self.year, quarter: self.quarter - 1 }
        }
    }

    /// The quarter of a day. The day of the baseline puts a person into their cohort; what is found out about that day
    /// after the release changes no release.
    pub fn of(day: Day) -> Quarter {
        Quarter { year: day.0.year(), quarter: (day.0.month() - 1) / 3 + 1 }
    }

    pub fn next(self) -> Quarter {
        if self.quarter >= 4 {
            Quarter { year: self.year.saturating_add(1), quarter: 1 }
        } else {
            Quarter { year: self.year, quarter: self.quarter + 1 }
        }
    }

    /// None outside the years of the calendar.
    pub fn first_day(self) -> Option<Day> {
        jiff::civil::Date::new(self.year, (self.quarter - 1) * 3 + 1, 1).ok().map(Day)
    }

    /// Its first moment in a zone (IANA); in UTC where the zone is not known. None outside the years of the calendar.
    pub fn begins_at(self, zone: &str) -> Option<Moment> {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        self.first_day()?.0.to_zoned(zone).ok().map(|begin| Moment::from(begin.timestamp()))
    }

    /// The day on which its people are counted and shown, once: the whole next quarter is time for follow-ups, the late
    /// entries of both included. None outside the years of the calendar.
    pub fn released_on(self) -> Option<Day> {
        self.next().next().first_day()
    }

    /// Whether it may be shown on a day. The newest that may is the one two quarters before the day's own.
    pub fn is_released(self, today: Day) -> bool {
        self.released_on().is_some_and(|day| day <= today)
    }
}
