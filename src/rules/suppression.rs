//! Small counts do not leave: which cells of a table are shown, when a mean is, which filters are answered, and when.
//!
//! Rule of the counts: the cell size suppression policy of the Centers for Medicare & Medicaid Services, as given by the
//! Research Data Assistance Center (resdac.org, "CMS Cell Size Suppression Policy"): no count from 1 to 10, and nothing
//! from which one can be derived, percentages included; a zero may be shown.
//!
//! # What holds within one table
//! No sum of cells that can be derived from what [`suppress`] shows is a count from 1 to k − 1. Why: for every hidden
//! count below k there is another table of whole numbers, equal in everything shown, with no hidden zero, in which that
//! cell is k or more. Take hidden cells whose sum can be derived. Were it from 1 to k − 1, one of them would be a count
//! from 1 to k − 1, and no table with the same sum could raise it to k. So there is no such sum; a single cell is the
//! smallest of them. This holds against everybody who knows what is shown, and that zeros never are hidden.
//!
//! [`pool`] shows less and guards against more: whole rows, and the others together as one. Whatever is derived from it
//! is a sum of counts that are 0 or at least k.
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
//!   they could be solved together. Nothing here checks that, nor that a release is kept and not made anew.
//! - Which cells [`suppress`] hides beside the small ones follows from the counts. Who runs this very procedure over all
//!   tables that could be meant can narrow a hidden count further, in tables of a few cells to a single value. Where
//!   readers are many, use [`pool`]: it tells such a reader far less, and a single value only at an edge, as when three
//!   rows of one column are pooled and together are 3 × (k − 1).
//! - Who knows some of the people, or is one, knows more than the table. k guards against strangers.
//! - All people of a row in one column are shown when they are k or more: the column is then known of each of them.
//! - Smallest and largest values are values of one person. There is no rule for them, because they never leave.

use std::{cmp::Reverse, collections::BinaryHeap};

use serde::Serialize;

use crate::values::Day;

/// The k of the policy: the smallest count that may be shown.
pub const SMALLEST_K: u32 = 11;

/// The k to use where a deployment sets its own: upward only.
pub fn threshold(configured: Option<u32>) -> u32 {
    configured.unwrap_or(SMALLEST_K).max(SMALLEST_K)
}

/// Counts of people by row and column. Each person stands in exactly one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    rows: usize,
    columns: usize,
    /// Row by row, with the totals as last row and last column.
    counts: Vec<u32>,
}

impl Table {
    /// `counts` row by row, without totals. None unless there are `rows × columns` of them, at least one, and their sum
    /// fits into 32 bits.
    pub fn new(rows: usize, columns: usize, counts: &[u32]) -> Option<Table> {
        if counts.is_empty() || rows.checked_mul(columns) != Some(counts.len()) {
            return None;
        }
        counts.iter().try_fold(0_u32, |sum, count| sum.checked_add(*count))?;
        let mut table = Table { rows, columns, counts: vec![0; (rows + 1) * (columns + 1)] };
        for (index, count) in counts.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            for (row, column) in [(row, column), (row, columns), (rows, column), (rows, columns)] {
                let place = table.place(row, column);
                table.counts[place] += count;
            }
        }
        Some(table)
    }

    fn place(&self, row: usize, column: usize) -> usize {
        row * (self.columns + 1) + column
    }

    /// Row and column totals are the negative of a sum: a total rises when a cell does. The grand total is both.
    fn is_total(&self, row: usize, column: usize) -> bool {
        (row == self.rows) != (column == self.columns)
    }
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

/// A table as it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    rows: usize,
    columns: usize,
    cells: Vec<Cell>,
}

impl Release {
    /// A cell; `row` and `column` equal to their number give the totals.
    ///
    /// # Panics
    /// Outside the table.
    pub fn at(&self, row: usize, column: usize) -> Cell {
        assert!(row <= self.rows && column <= self.columns, "outside the table");
        self.cells[row * (self.columns + 1) + column]
    }

    pub fn row_total(&self, row: usize) -> Cell {
        self.at(row, self.columns)
    }

    pub fn column_total(&self, column: usize) -> Cell {
        self.at(self.rows, column)
    }

    pub fn grand_total(&self) -> Cell {
        self.at(self.rows, self.columns)
    }

    /// Share of the row in whole per cent, half up. A percentage next to its base is the count itself: it is shown only
    /// where both are.
    pub fn percent_of_row(&self, row: usize, column: usize) -> Option<u32> {
        let (part, whole) = (self.at(row, column).count()?, self.row_total(row).count()?);
        let (part, whole) = (u64::from(part), u64::from(whole));
        (whole > 0).then(|| ((part * 200 + whole) / (2 * whole)) as u32)
    }
}

/// Hides every count from 1 to `k − 1`, totals included, and what else must go so that none can be derived. `k` from
/// [`threshold`]. What the result guarantees stands at the head of this file.
pub fn suppress(table: &Table, k: u32) -> Release {
    let mut hidden: Vec<bool> = table.counts.iter().map(|count| (1..k).contains(count)).collect();
    for row in 0..=table.rows {
        for column in 0..=table.columns {
            let count = table.counts[table.place(row, column)];
            if (1..k).contains(&count) {
                protect(table, &mut hidden, row, column, k - count);
            }
        }
    }
    let cell = |(count, is_hidden): (&u32, &bool)| if *is_hidden { Cell::Hidden } else { Cell::Count(*count) };
    let cells = table.counts.iter().zip(&hidden).map(cell).collect();
    Release { rows: table.rows, columns: table.columns, cells }
}

/// Hides the cheapest cells that let this one rise by `rise` while every other cell shown stays as it is.
///
/// Each cell stands in one equation of its row and one of its column. A rise travels from the cell's row to its column
/// through cells that rise or fall by as much, in turn. So rows and columns are places, cells are roads between them, and
/// the cheapest journey is the one that hides least. A cell can fall to 1 and no further, and a zero is no road: a zero
/// would be shown, so a hidden cell is known to be none. Rising has no end.
fn protect(table: &Table, hidden: &mut [bool], row: usize, column: usize, rise: u32) {
    let (rows, columns) = (table.rows + 1, table.columns + 1);
    let (start, end) = (row, rows + column);
    let mut cost = vec![u64::MAX; rows + columns];
    let mut came_by: Vec<Option<usize>> = vec![None; rows + columns];
    let mut queue = BinaryHeap::from([Reverse((0_u64, start))]);
    cost[start] = 0;
    while let Some(Reverse((so_far, here))) = queue.pop() {
        if here == end {
            break;
        }
        if so_far > cost[here] {
            continue;
        }
        let is_row = here < rows;
        for other in 0..if is_row { columns } else { rows } {
            let (r, c, there) = if is_row { (here, other, rows + other) } else { (other, here - rows, other) };
            let place = table.place(r, c);
            // From a row a cell makes up for the change before it, from a column it passes it on; a total counts on the
            // other side of its equation, as the cell that is protected may.
            let falls = (table.is_total(r, c) == table.is_total(row, column)) == is_row;
            let is_itself = (r, c) == (row, column);
            let count = table.counts[place];
            if is_itself || count == 0 || (falls && count <= rise) {
                continue;
            }
            let next = so_far + if hidden[place] { 0 } else { price(table, r, c) };
            if next < cost[there] {
                cost[there] = next;
                came_by[there] = Some(here);
                queue.push(Reverse((next, there)));
            }
        }
    }
    // There always is a way: through the totals, which all can rise.
    let mut here = end;
    while let Some(before) = came_by[here] {
        let (r, c) = if before < rows { (before, here - rows) } else { (here, before - rows) };
        hidden[table.place(r, c)] = true;
        here = before;
    }
}

/// What hiding a cell costs: the people it tells about, and a total more than all cells together.
fn price(table: &Table, row: usize, column: usize) -> u64 {
    let count = u64::from(table.counts[table.place(row, column)]) + 1;
    let everything = u64::from(table.counts[table.place(table.rows, table.columns)]) + table.counts.len() as u64;
    if row == table.rows || column == table.columns { count + everything } else { count }
}

/// A table of whole rows as it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pooled {
    /// By row, without totals: its counts, or none where the row is among the others.
    pub rows: Vec<Option<Vec<u32>>>,
    /// The others together, by column. None where there are no others, or where they may not be shown even so.
    pub others: Option<Vec<u32>>,
    /// Everybody, by column. None where that may not be shown.
    pub everybody: Option<Vec<u32>>,
}

/// Shows each row that has no count from 1 to `k − 1` and at least `k` people, and puts the others together. Where that
/// leaves a small count among the others, the smallest rows join them until it leaves none.
pub fn pool(table: &Table, k: u32) -> Pooled {
    let row = |row: usize| -> &[u32] { &table.counts[table.place(row, 0)..table.place(row, table.columns)] };
    let is_clear = |counts: &[u32]| !counts.iter().any(|count| (1..k).contains(count));
    let total = |row: usize| table.counts[table.place(row, table.columns)];
    let mut is_shown: Vec<bool> = (0..table.rows).map(|index| is_clear(row(index)) && total(index) >= k).collect();
    // Of rows with as many people the first: the order must not hang on anything else.
    let mut by_size: Vec<usize> = (0..table.rows).filter(|index| is_shown[*index]).collect();
    by_size.sort_by_key(|index| total(*index));
    let together = |is_shown: &[bool]| -> Vec<u32> {
        let others = (0..table.rows).filter(|index| !is_shown[*index]);
        others.fold(vec![0; table.columns], |mut sums, index| {
            sums.iter_mut().zip(row(index)).for_each(|(sum, count)| *sum += count);
            sums
        })
    };
    for index in by_size {
        if is_clear(&together(&is_shown)) {
            break;
        }
        is_shown[index] = false;
    }
    let others = together(&is_shown);
    let is_whole = is_clear(&others);
    let everybody = is_whole.then(|| row(table.rows).to_vec());
    let has_others = is_shown.contains(&false);
    Pooled {
        rows: (0..table.rows).map(|index| is_shown[index].then(|| row(index).to_vec())).collect(),
        others: (is_whole && has_others).then_some(others),
        everybody,
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

impl Quarter {
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
