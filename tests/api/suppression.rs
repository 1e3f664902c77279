//! Small counts do not leave: the attacker's view of what is shown, within one table and over many reports.

use std::collections::{BTreeMap, BTreeSet};

use circlekeeper::{rules::suppression::*, values::Day};
use proptest::prelude::*;

const K: u32 = SMALLEST_K;

fn table(rows: usize, columns: usize, counts: &[u32]) -> Table {
    Table::new(rows, columns, counts).expect("a table")
}

/// What is shown, row by row with totals; hidden cells as none.
fn shown(rows: usize, columns: usize, release: &Release) -> Vec<Option<u32>> {
    let cells = (0..=rows).flat_map(|row| (0..=columns).map(move |column| (row, column)));
    cells.map(|(row, column)| release.at(row, column).count()).collect()
}

/// The true counts in the same order.
fn with_totals(rows: usize, columns: usize, counts: &[u32]) -> Vec<u32> {
    let mut all = vec![0; (rows + 1) * (columns + 1)];
    for (index, count) in counts.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        for place in [(row, column), (row, columns), (rows, column), (rows, columns)] {
            all[place.0 * (columns + 1) + place.1] += count;
        }
    }
    all
}

// ---- the attacker ----

/// What an attacker knows: numbers of people, some of them known, and which of them add up to which.
#[derive(Default)]
struct Attacker {
    /// From and until, both included; no end is a very high one.
    bounds: Vec<(i64, i64)>,
    /// Parts, and the place of their sum.
    sums: Vec<(Vec<usize>, usize)>,
}

const NO_END: i64 = 1 << 40;

impl Attacker {
    /// A hidden count is known to be no zero: zeros are shown.
    fn learns(&mut self, count: Option<u32>) -> usize {
        self.bounds.push(count.map_or((1, NO_END), |count| (count.into(), count.into())));
        self.bounds.len() - 1
    }

    /// A released table: every cell, and that rows and columns add up. Answers the places of the cells.
    fn reads(&mut self, rows: usize, columns: usize, cells: &[Option<u32>]) -> Vec<usize> {
        let places: Vec<usize> = cells.iter().map(|cell| self.learns(*cell)).collect();
        let at = |row: usize, column: usize| places[row * (columns + 1) + column];
        for row in 0..=rows {
            self.sums.push(((0..columns).map(|column| at(row, column)).collect(), at(row, columns)));
        }
        for column in 0..=columns {
            self.sums.push(((0..rows).map(|row| at(row, column)).collect(), at(rows, column)));
        }
        places
    }

    /// Narrows every bound by every sum until nothing moves.
    fn thinks(&mut self) {
        loop {
            let before = self.bounds.clone();
            for (parts, whole) in &self.sums {
                let low: i64 = parts.iter().map(|part| self.bounds[*part].0).sum();
                let high: i64 = parts.iter().map(|part| self.bounds[*part].1).sum();
                self.bounds[*whole] = (self.bounds[*whole].0.max(low), self.bounds[*whole].1.min(high));
                let (from, until) = self.bounds[*whole];
                for part in parts {
                    let own = self.bounds[*part];
                    self.bounds[*part] = (own.0.max(from - (high - own.1)), own.1.min(until - (low - own.0)));
                }
            }
            assert!(self.bounds.iter().all(|(from, until)| from <= until), "what is shown contradicts itself");
            if self.bounds == before {
                return;
            }
        }
    }
}

/// The highest value of a hidden cell in any table of whole numbers that shows the same: no bound is tighter.
///
/// With totals as negative numbers every row and column adds up to nothing. Raising a cell pushes a flow from its row to
/// its column through the other hidden cells, of which each gives way until it reaches 1; the maximum flow is exact.
fn highest(rows: usize, columns: usize, truth: &[u32], cells: &[Option<u32>], row: usize, column: usize) -> i64 {
    let (height, width) = (rows + 1, columns + 1);
    let sign = |r: usize, c: usize| if (r == rows) == (c == columns) { 1 } else { -1 };
    // How far a change of this sign can go from here to there.
    let mut room = vec![vec![0_i64; height + width]; height + width];
    let hidden = cells.iter().zip(truth).enumerate().filter(|(_, (cell, _))| cell.is_none());
    for (place, (_, count)) in hidden.filter(|(place, _)| *place != row * width + column) {
        let (r, c) = (place / width, place % width);
        let room_to_fall = i64::from(*count) - 1;
        let is_alike = sign(r, c) == sign(row, column);
        (room[r][height + c], room[height + c][r]) =
            if is_alike { (room_to_fall, NO_END) } else { (NO_END, room_to_fall) };
    }
    let mut flow = 0;
    while flow < NO_END {
        let mut came_from = vec![None; height + width];
        let mut waiting = vec![row];
        while let Some(here) = waiting.pop() {
            for there in 0..height + width {
                if there != row && came_from[there].is_none() && room[here][there] > 0 {
                    came_from[there] = Some(here);
                    waiting.push(there);
                }
            }
        }
        let mut way = Vec::new();
        let mut here = height + column;
        while let Some(before) = came_from[here] {
            way.push((before, here));
            here = before;
        }
        let Some(step) = way.iter().map(|(from, to)| room[*from][*to]).min() else { break };
        for (from, to) in way {
            room[from][to] -= step;
            room[to][from] += step;
        }
        flow += step;
    }
    i64::from(truth[row * width + column]) + flow
}

/// Every table of whole numbers up to `most` that shows the same, hidden zeros left out, with totals.
fn all_that_show_the_same(rows: usize, columns: usize, cells: &[Option<u32>], most: u32) -> Vec<Vec<u32>> {
    let mut found = Vec::new();
    let mut counts = vec![0; rows * columns];
    fill(rows, columns, cells, most, 0, &mut counts, &mut found);
    found
}

fn fill(
    rows: usize,
    columns: usize,
    cells: &[Option<u32>],
    most: u32,
    index: usize,
    counts: &mut Vec<u32>,
    found: &mut Vec<Vec<u32>>,
) {
    if index == rows * columns {
        let all = with_totals(rows, columns, counts);
        if all.iter().zip(cells).all(|(count, cell)| cell.is_none_or(|cell| cell == *count)) {
            found.push(all);
        }
        return;
    }
    let cell = cells[index / columns * (columns + 1) + index % columns];
    let choices = cell.map_or(1..=most, |count| count..=count);
    for count in choices {
        counts[index] = count;
        fill(rows, columns, cells, most, index + 1, counts, found);
    }
}

// ---- one table ----

#[test]
fn counts_from_1_to_10_are_hidden_with_what_would_give_them_away() {
    let release = suppress(&table(1, 3, &[3, 20, 30]), K);
    // 53 − 30 − 20 would be 3.
    assert_eq!(shown(1, 3, &release)[..4], [None, None, Some(30), Some(53)]);

    // 27 − 20 would be 7 people who are in one of two states: that is a small count too.
    let release = suppress(&table(1, 3, &[3, 4, 20]), K);
    assert_eq!(shown(1, 3, &release)[..4], [None, None, None, Some(27)]);

    // Nothing small, nothing hidden; a zero is shown.
    let release = suppress(&table(2, 2, &[11, 0, 40, 12]), K);
    assert!(shown(2, 2, &release).iter().all(Option::is_some));

    // A small whole is hidden with all its parts.
    let release = suppress(&table(2, 2, &[1, 2, 3, 4]), K);
    assert!(shown(2, 2, &release).iter().all(Option::is_none));
    assert_eq!(release.grand_total(), Cell::Hidden);
}

#[test]
fn a_percentage_is_shown_only_beside_both_of_its_numbers() {
    let release = suppress(&table(2, 3, &[3, 20, 30, 15, 16, 17]), K);
    assert_eq!(release.percent_of_row(0, 0), None);
    assert_eq!(release.percent_of_row(0, 2), Some(57));
    assert_eq!(release.row_total(0), Cell::Count(53));
    assert!(release.percent_of_row(1, 0).is_none() || release.percent_of_row(1, 1).is_none(), "3 + 15 = 18");
    let empty = suppress(&table(1, 1, &[0]), K);
    assert_eq!(empty.percent_of_row(0, 0), None);
}

#[test]
fn k_goes_up_and_never_down() {
    assert_eq!([None, Some(0), Some(10), Some(11), Some(20)].map(threshold), [11, 11, 11, 11, 20]);
    let release = suppress(&table(1, 2, &[15, 30]), threshold(Some(20)));
    assert_eq!(shown(1, 2, &release)[..3], [None, None, Some(45)]);
}

#[test]
fn a_table_that_is_none_is_refused() {
    assert_eq!(Table::new(2, 2, &[1, 2, 3]), None);
    assert_eq!(Table::new(0, 3, &[]), None);
    assert_eq!(Table::new(1, 2, &[u32::MAX, 1]), None);
    assert!(Table::new(1, 2, &[u32::MAX - 1, 1]).is_some());
    // Eleven groups with one person each: 11 would say that each has one, because none has zero.
    let release = suppress(&table(11, 2, &[1, 30].repeat(11)), K);
    assert_eq!(release.column_total(0), Cell::Hidden);
    // No count is too large to be protected.
    let release = suppress(&table(1, 3, &[u32::MAX - 100, 3, 50]), K);
    assert_eq!(release.at(0, 1), Cell::Hidden);
}

/// Looks at every table of this size with counts up to `most`, and at every other table that shows the same.
fn look_at_every_table(rows: usize, columns: usize, k: u32, most: u32) {
    let size = rows * columns;
    let mut counts = vec![0; size];
    // Tables that show the same are judged once.
    let mut judged = BTreeSet::new();
    for code in 0..(most + 1).pow(size as u32) {
        let mut rest = code;
        for count in &mut counts {
            *count = rest % (most + 1);
            rest /= most + 1;
        }
        let cells = shown(rows, columns, &suppress(&table(rows, columns, &counts), k));
        let truth = with_totals(rows, columns, &counts);
        for (count, cell) in truth.iter().zip(&cells) {
            assert!(cell.is_none_or(|shown| shown == *count && !(1..k).contains(&shown)), "{counts:?}");
            assert!(cell.is_some() || *count > 0, "{counts:?}: a hidden zero");
        }
        if !judged.insert(cells.clone()) {
            continue;
        }
        let same = all_that_show_the_same(rows, columns, &cells, most + k);
        let hidden: Vec<usize> = (0..cells.len()).filter(|place| cells[*place].is_none()).collect();
        // Every sum of hidden cells: an attacker who can derive it must not find a small count of people.
        for subset in 1..1_u32 << hidden.len() {
            let sum = |all: &Vec<u32>| -> u32 {
                let chosen = hidden.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1);
                chosen.map(|(_, place)| all[*place]).sum()
            };
            let first = sum(&same[0]);
            if (1..k).contains(&first) {
                assert!(same.iter().any(|all| sum(all) != first), "{counts:?}: {hidden:?} & {subset:b} is {first}");
            }
        }
    }
}

#[test]
fn no_sum_that_can_be_derived_from_a_small_table_is_a_small_count() {
    look_at_every_table(1, 3, 4, 7);
    look_at_every_table(2, 2, 3, 4);
    look_at_every_table(1, 4, 3, 4);
}

#[test]
fn a_pool_joins_the_small_rows_and_no_more_than_must_be() {
    // 3 and 9 make 12: nobody else is needed. The row of zeros has nobody to show.
    let pooled = pool(&table(4, 2, &[3, 12, 20, 0, 9, 11, 0, 0]), K);
    assert_eq!(pooled.rows, [None, Some(vec![20, 0]), None, None]);
    assert_eq!(pooled.others, Some(vec![12, 23]));
    assert_eq!(pooled.everybody, Some(vec![32, 23]));
    // 3 alone is too few: the smallest of the rest joins.
    let pooled = pool(&table(3, 1, &[3, 40, 20]), K);
    assert_eq!((pooled.rows, pooled.others), (vec![None, Some(vec![40]), None], Some(vec![23])));
    let pooled = pool(&table(1, 2, &[3, 40]), K);
    assert_eq!((pooled.others, pooled.everybody), (None, None));
    let pooled = pool(&table(1, 2, &[13, 40]), K);
    assert_eq!((pooled.others, pooled.everybody), (None, Some(vec![13, 40])));
}

#[test]
fn who_pools_every_table_of_two_rows_finds_no_single_small_count() {
    const MOST: u32 = 8;
    let mut by_release: BTreeMap<String, Vec<[u32; 4]>> = BTreeMap::new();
    for code in 0..(MOST + 1).pow(4) {
        let counts = [0, 1, 2, 3].map(|digit| code / (MOST + 1).pow(digit) % (MOST + 1));
        by_release.entry(format!("{:?}", pool(&table(2, 2, &counts), 3))).or_default().push(counts);
    }
    for tables in by_release.values() {
        for cell in 0..4 {
            let values: BTreeSet<u32> = tables.iter().map(|counts| counts[cell]).collect();
            assert!(values.len() > 1 || !values.iter().any(|value| (1..3).contains(value)), "{tables:?}");
        }
    }
}

fn any_table() -> impl Strategy<Value = (usize, usize, Vec<u32>)> {
    let count = prop_oneof![3 => 0..4_u32, 4 => 1..30_u32, 2 => 11..200_u32];
    (1..7_usize, 1..7_usize).prop_flat_map(move |(rows, columns)| {
        proptest::collection::vec(count.clone(), rows * columns).prop_map(move |counts| (rows, columns, counts))
    })
}

proptest! {
    #[test]
    fn an_attacker_cannot_tell_that_a_hidden_count_is_small((rows, columns, counts) in any_table(), k in 11..30_u32) {
        let cells = shown(rows, columns, &suppress(&table(rows, columns, &counts), k));
        let truth = with_totals(rows, columns, &counts);
        let mut attacker = Attacker::default();
        let places = attacker.reads(rows, columns, &cells);
        attacker.thinks();
        for ((place, count), cell) in places.iter().zip(&truth).zip(&cells) {
            let (from, until) = attacker.bounds[*place];
            prop_assert!(from <= i64::from(*count) && i64::from(*count) <= until);
            if (1..k).contains(count) {
                prop_assert!(cell.is_none());
                prop_assert!(until >= i64::from(k), "{} lies from {} to {}", count, from, until);
            }
            if cell.is_none() {
                prop_assert!(from < until, "{} is derived", count);
            }
        }
    }

    #[test]
    fn even_the_tightest_bound_leaves_a_small_count_large((rows, columns, counts) in any_table(), k in 11..30_u32) {
        let cells = shown(rows, columns, &suppress(&table(rows, columns, &counts), k));
        let truth = with_totals(rows, columns, &counts);
        for (place, count) in truth.iter().enumerate().filter(|(_, count)| (1..k).contains(*count)) {
            let until = highest(rows, columns, &truth, &cells, place / (columns + 1), place % (columns + 1));
            prop_assert!(until >= i64::from(k), "{} is at most {}", count, until);
        }
    }

    #[test]
    fn a_pool_shows_only_counts_of_nobody_or_many((rows, columns, counts) in any_table(), k in 11..30_u32) {
        let pooled = pool(&table(rows, columns, &counts), k);
        let mut rest = with_totals(rows, columns, &counts)[rows * (columns + 1)..][..columns].to_vec();
        let everybody = rest.clone();
        for (row, shown) in pooled.rows.iter().enumerate().filter_map(|(row, shown)| Some((row, shown.as_ref()?))) {
            prop_assert_eq!(&counts[row * columns..][..columns], shown.as_slice());
            prop_assert!(shown.iter().sum::<u32>() >= k);
            rest.iter_mut().zip(shown).for_each(|(rest, count)| *rest -= count);
        }
        let shown = pooled.rows.iter().flatten().chain(&pooled.others).chain(&pooled.everybody);
        for count in shown.flatten() {
            prop_assert!(*count == 0 || *count >= k, "{} is shown", count);
        }
        // Everybody less the shown rows are the others: shown together or not at all.
        let has_others = pooled.rows.contains(&None);
        match &pooled.everybody {
            Some(all) => {
                prop_assert_eq!(all, &everybody);
                prop_assert_eq!(&pooled.others, &has_others.then_some(rest));
            }
            None => prop_assert!(pooled.others.is_none() && pooled.rows.iter().all(Option::is_none)),
        }
    }

    #[test]
    fn means_of_few_are_neither_shown_nor_left_over(people in proptest::collection::vec(0..40_u32, 1..12), k in 11..20_u32) {
        let means = means(&people, k);
        let hidden: u32 = people.iter().zip(&means.parts).filter(|(_, shown)| !**shown).map(|(count, _)| count).sum();
        for (count, is_shown) in people.iter().zip(&means.parts) {
            prop_assert!(!is_shown || *count >= k);
        }
        // The mean of the whole, less the means of the parts, is the mean of those who are left.
        prop_assert!(!means.whole || hidden == 0 || hidden >= k);
        prop_assert!(means.whole || people.iter().sum::<u32>() < k);
    }

    #[test]
    fn a_filter_and_its_complement_are_both_nobody_or_many(left in 0..60_u32, whole in 0..60_u32) {
        let may = may_filter(left, whole, K);
        prop_assert_eq!(may, left <= whole && (left == 0 || left >= K) && (whole - left == 0 || whole - left >= K));
    }
}

// ---- many reports ----

fn day(text: &str) -> Day {
    text.parse().expect("a day")
}

#[test]
fn quarters_are_released_whole_and_late() {
    let quarter = Quarter::of(day("2026-02-28"));
    assert_eq!(quarter, Quarter { year: 2026, quarter: 1 });
    assert_eq!(Quarter::of(day("2026-12-31")).next(), Quarter { year: 2027, quarter: 1 });
    assert_eq!(Quarter::of(day("2026-04-01")).first_day(), Some(day("2026-04-01")));
    assert_eq!(quarter.released_on(), Some(day("2026-07-01")));
    assert_eq!(Quarter::of(day("2026-09-30")).released_on(), Some(day("2027-01-01")));
    assert!(!quarter.is_released(day("2026-06-30")));
    assert!(quarter.is_released(day("2026-07-01")));
}

/// Somebody made up: their group, the day of their baseline, what became of them.
#[derive(Clone, Copy, Debug)]
struct Somebody {
    group: usize,
    baseline_on: Day,
    state: usize,
}

const GROUPS: usize = 6;
const STATES: usize = 6;

fn population(seed: u64, size: usize) -> Vec<Somebody> {
    let mut state = seed | 1;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    (0..size)
        .map(|_| {
            let (month, date) = (next(12) + 1, next(28) + 1);
            // Two large groups, and smaller ones down to a handful.
            let group = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5][next(12) as usize];
            let state = [0, 0, 1, 1, 2, 2, 2, 3, 4, 5][next(10) as usize];
            Somebody { group, baseline_on: day(&format!("2026-{month:02}-{date:02}")), state }
        })
        .collect()
}

fn counts(people: &[Somebody], quarter: Quarter) -> Vec<u32> {
    let mut counts = vec![0; GROUPS * STATES];
    for somebody in people.iter().filter(|somebody| Quarter::of(somebody.baseline_on) == quarter) {
        counts[somebody.group * STATES + somebody.state] += 1;
    }
    counts
}

fn quarters() -> Vec<Quarter> {
    (1..=4).map(|quarter| Quarter { year: 2026, quarter }).collect()
}

#[test]
fn an_attacker_with_every_report_of_a_year_derives_no_small_count() {
    for seed in 1..30_u64 {
        let people = population(seed * 7919, 150 + (seed as usize * 37) % 600);
        let mut attacker = Attacker::default();
        let mut truth = Vec::new();
        let mut tables = Vec::new();
        for quarter in quarters() {
            let counts = counts(&people, quarter);
            let cells = shown(GROUPS, STATES, &suppress(&table(GROUPS, STATES, &counts), K));
            tables.push((attacker.reads(GROUPS, STATES, &cells), cells));
            truth.extend(with_totals(GROUPS, STATES, &counts));
        }
        // Reports that overlap: each group's own, each half year's, the year's. Each is a sum of what quarters show, so
        // it is shown where all its parts are.
        for cell in 0..(GROUPS + 1) * (STATES + 1) {
            for span in [0..2, 2..4, 1..3, 0..4] {
                let parts = &tables[span];
                let sum: Option<u32> = parts.iter().map(|(_, cells)| cells[cell]).sum();
                let places = parts.iter().map(|(places, _)| places[cell]).collect();
                let whole = attacker.learns(sum);
                attacker.bounds[whole].0 = sum.map_or(0, i64::from);
                attacker.sums.push((places, whole));
            }
        }
        attacker.thinks();
        for (place, count) in truth.iter().enumerate() {
            let (from, until) = attacker.bounds[place];
            assert!(from <= i64::from(*count) && i64::from(*count) <= until);
            if (1..K).contains(count) {
                assert!(until >= i64::from(K), "seed {seed}: {count} lies from {from} to {until}");
            }
        }
    }
}

#[test]
fn two_reports_that_differ_by_one_person_do_not_exist() {
    let today = day("2026-08-15");
    let mut people = population(4711, 400);
    let report = |people: &[Somebody]| -> BTreeMap<(i16, i8), Vec<Option<u32>>> {
        let released = quarters().into_iter().filter(|quarter| quarter.is_released(today));
        let read = |quarter: Quarter| suppress(&table(GROUPS, STATES, &counts(people, quarter)), K);
        released.map(|q| ((q.year, q.quarter), shown(GROUPS, STATES, &read(q)))).collect()
    };
    let before = report(&people);
    assert_eq!(before.keys().collect::<Vec<_>>(), [&(2026, 1)]);
    // Whoever joins now belongs to a quarter of which nothing is shown yet.
    people.push(Somebody { group: 5, baseline_on: today, state: 0 });
    assert_eq!(report(&people), before);

    // A live report would have told: its counts before and after give the newcomer's state.
    let live = |people: &[Somebody]| {
        let mut all = vec![0; STATES];
        people.iter().for_each(|somebody| all[somebody.state] += 1);
        all
    };
    let (with, without): (Vec<u32>, Vec<u32>) = (live(&people), live(&people[..people.len() - 1]));
    let told: Vec<u32> = with.iter().zip(&without).map(|(with, without)| with - without).collect();
    assert_eq!(told, [1, 0, 0, 0, 0, 0]);
}
