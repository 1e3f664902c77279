//! Small counts do not leave: means, filters and quarters. What rows and cells show is judged in `group_outcomes`.

use std::collections::BTreeMap;

use circlekeeper::{rules::suppression::*, values::Day};
use proptest::prelude::*;

const K: u32 = SMALLEST_K;

#[test]
fn k_goes_up_and_never_down() {
    assert_eq!([None, Some(0), Some(10), Some(11), Some(20)].map(threshold), [11, 11, 11, 11, 20]);
}

proptest! {
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
fn two_reports_that_differ_by_one_person_do_not_exist() {
    let today = day("2026-08-15");
    let mut people = population(4711, 400);
    let report = |people: &[Somebody]| -> BTreeMap<(i16, i8), Vec<u32>> {
        let released = quarters().into_iter().filter(|quarter| quarter.is_released(today));
        released.map(|quarter| ((quarter.year, quarter.quarter), counts(people, quarter))).collect()
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
