//! Outcomes of groups: effect sizes against published figures, sums that merge exactly, dropout, coverage, dose.

use circlekeeper::rules::{
    attendance::Status::{self, *},
    change::{State, Why},
    members,
    outcomes::*,
    sessions::Delivered,
};
use proptest::prelude::*;

use super::change::TABLE_2;

const ALONE: [u32; 0] = [];

#[track_caller]
fn assert_near(got: f64, wanted: f64, within: f64) {
    assert!((got - wanted).abs() <= within, "{got} is not {wanted}");
}

fn pair(first: i32, later: i32) -> Pair {
    Pair { first, later, gain: later - first }
}

fn paired(pairs: &[(i32, i32)]) -> Paired {
    let mut paired = Paired::default();
    pairs.iter().for_each(|(first, later)| paired.add(pair(*first, *later)));
    paired
}

#[test]
fn the_effect_of_the_couples_comes_out_as_worked_out_apart() {
    // Table 2 of Jacobson & Truax 1991, worked out with Python's statistics module: mean change 16.467, SD before
    // 11.826, J 0.97391, g 1.35613, r 0.51772, interval 0.86494 to 1.84731.
    let points: Vec<(i32, i32)> = TABLE_2.iter().map(|(before, after)| (before * 100, after * 100)).collect();
    let paired = paired(&points);
    let effect = paired.effect(Nesting::new(ALONE, 0.0)).expect("30 couples");
    assert_eq!(effect.people, 30);
    assert_near(effect.mean_gain, 16.466_667, 1e-6);
    assert_near(effect.baseline_sd, 11.825_661, 1e-6);
    assert_near(paired.correlation().expect("30 couples"), 0.517_721, 1e-6);
    assert_near(effect.g, 1.356_127, 1e-6);
    assert_near(effect.low, 0.864_940, 1e-5);
    assert_near(effect.high, 1.847_315, 1e-5);
}

/// Pairs with these figures: `n` people, mean and SD before, mean and SD after, correlation. Scores in thousandths.
fn pairs_with(n: i32, before: (f64, f64), after: (f64, f64), r: f64) -> Vec<(i32, i32)> {
    // A trend and its square, made independent of each other and scaled to mean 0 and variance 1.
    let centre = f64::from(n - 1) / 2.0;
    let trend: Vec<f64> = (0..n).map(|index| f64::from(index) - centre).collect();
    let squares: Vec<f64> = trend.iter().map(|x| x * x).collect();
    let unit = |values: &[f64]| -> Vec<f64> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let sum: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        let sd = (sum / (values.len() - 1) as f64).sqrt();
        values.iter().map(|x| (x - mean) / sd).collect()
    };
    let (a, b) = (unit(&trend), unit(&squares));
    let scale = 1_000.0;
    a.iter()
        .zip(&b)
        .map(|(a, b)| {
            let mixed = r * a + (1.0 - r * r).sqrt() * b;
            let first = (before.0 + before.1 * a) * scale;
            let later = (after.0 + after.1 * mixed) * scale;
            (first.round() as i32, later.round() as i32)
        })
        .collect()
}

#[test]
fn effect_and_variance_are_those_of_morris_2008_as_metafor_gives_them() {
    // Treatment groups of Morris 2008, and what metafor's own tests expect for measure SMCR: n, mean and SD before, mean
    // after, r; then the effect and its variance. metafor takes the exact correction, which differs by less than 0.002.
    // The third group is printed with a standard deviation of 0.1: its scores are taken a thousand times larger.
    let published = [
        (20, (30.6, 15.0), 38.5, 0.47, 0.5056, 0.0594),
        (50, (23.5, 3.1), 26.8, 0.64, 1.0481, 0.0254),
        (9, (500.0, 100.0), 700.0, 0.77, 1.8054, 0.2322),
        (10, (53.4, 14.5), 75.9, 0.89, 1.4181, 0.1225),
        (14, (35.6, 4.7), 36.0, 0.44, 0.0801, 0.0802),
    ];
    for (n, before, after, r, wanted, variance) in published {
        let effect = paired(&pairs_with(n, before, (after, before.1), r)).effect(Nesting::new(ALONE, 0.0));
        let effect = effect.expect("enough people");
        assert_near(effect.g, wanted, 0.002);
        let se = (effect.high - effect.low) / (2.0 * 1.96);
        assert_near(se * se, variance, 0.0005);
    }
}

#[test]
fn nesting_widens_the_interval_by_the_design_effect() {
    let effect = Nesting::new([8, 8, 8], 0.05).design_effect();
    assert_near(effect, 1.35, 1e-12);
    // One large group counts for more than the mean of the sizes says: Σm² / Σm = 136 / 16 = 8.5.
    assert_near(Nesting::new([10, 6], 0.1).design_effect(), 1.0 + 7.5 * 0.1, 1e-12);
    assert_near(Nesting::new([1, 1, 1], 0.5).design_effect(), 1.0, 1e-12);
    assert_near(Nesting::new(ALONE, 0.5).design_effect(), 1.0, 1e-12);
    assert_near(Nesting::new([5], f64::NAN).design_effect(), 5.0, 1e-12);

    let people = paired(&pairs_with(24, (15.0, 4.0), (9.0, 4.0), 0.5));
    let narrow = people.effect(Nesting::new([8, 8, 8], 0.0)).expect("24 people");
    let wide = people.effect(Nesting::new([8, 8, 8], 0.05)).expect("24 people");
    assert_eq!(narrow.g, wide.g);
    assert!(wide.low < narrow.low && wide.high > narrow.high);
    assert!(NESTING_NOTE.text.contains("nested") && NESTING_NOTE.source.contains("Kish"));
}

#[test]
fn a_mean_of_few_has_the_wide_interval_of_student() {
    // 97.5 % points of Student's t, as printed in every table: by degrees of freedom.
    for (degrees, wanted) in [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (29, 2.045), (120, 1.980)] {
        let gains: Vec<(i32, i32)> = (0..=degrees).map(|index| (0, index * index % 7 * 1000)).collect();
        let people = paired(&gains);
        let gain = people.mean_gain(Nesting::new(ALONE, 0.0)).expect("two people");
        let se = (people.gain.variance().expect("two people") / f64::from(degrees + 1)).sqrt() / 1000.0;
        assert_near((gain.high - gain.mean) / se, wanted, 0.005);
        assert_near(gain.high - gain.mean, gain.mean - gain.low, 1e-9);
    }
    assert_eq!(paired(&[(4, 2)]).mean_gain(Nesting::new(ALONE, 0.0)), None);
}

#[test]
fn too_few_or_all_alike_give_no_effect() {
    let alone = Nesting::new(ALONE, 0.0);
    assert_eq!(paired(&[]).effect(alone), None);
    assert_eq!(paired(&[(1, 2), (3, 5)]).effect(alone), None);
    assert_eq!(paired(&[(4, 2), (4, 5), (4, 1)]).effect(alone), None);
    // Nobody's later score differs: no correlation, the widest interval.
    assert_eq!(paired(&[(4, 2), (5, 2), (6, 2)]).correlation(), Some(0.0));
    assert!(paired(&[(4, 2), (5, 2), (6, 2)]).effect(alone).is_some());
    assert_eq!((Sums::default().mean(), Sums::default().variance()), (None, None));
}

fn person(state: State, pair: Option<Pair>, ending: Ending) -> Person {
    Person { state, has_baseline: state != State::NotComputable(Why::NoBaseline), pair, ending }
}

#[test]
fn shares_name_whom_they_leave_out() {
    let mut all = Outcomes::default();
    all.add(&person(State::Recovered, Some(pair(1, 9)), Ending::Planned));
    all.add(&person(State::ReliablyDeteriorated, Some(pair(9, 1)), Ending::DroppedOut));
    all.add(&person(State::NotComputable(Why::NoBaseline), None, Ending::Left));
    all.add(&person(State::NotComputable(Why::OnlyOneAdministration), None, Ending::Present));
    assert_eq!((all.members, all.with_baseline, all.with_both), (4, 3, 2));
    assert_eq!(all.states, [1, 0, 0, 1, 0, 2]);
    assert_eq!(all.endings, [1, 1, 1, 1]);
    assert_eq!(all.coverage(), Some(0.5));
    assert_eq!(all.share_in(State::Recovered), Some(0.5), "of the two that could be computed");
    assert_eq!(all.share_in(State::NotComputable(Why::NoScore)), Some(0.5), "of all four");
    assert_eq!(all.dropout(), Some(0.25));
    let nobody = Outcomes::default();
    assert_eq!((nobody.coverage(), nobody.share_in(State::Recovered), nobody.dropout()), (None, None, None));
}

#[test]
fn dropout_is_counted_by_the_rule_alone() {
    let came_until = |state, statuses: &[Status], held_since| ending(state, statuses.iter().copied(), held_since, 3);
    let came = |state, statuses: &[Status]| came_until(state, statuses, 0);
    use members::State::*;
    assert_eq!(came(Active, &[Attended, NoShow, NoShow]), Ending::Present);
    assert_eq!(came(Active, &[Attended, NoShow, Excused, NoShow]), Ending::DroppedOut);
    assert_eq!(came(Active, &[NoShow, NoShow, NoShow, Late]), Ending::Present, "they came back");
    assert_eq!(came(Active, &[]), Ending::Present, "no session was held, none was missed");
    for planned in [Completed, Discharged, Transferred] {
        assert_eq!(came(planned, &[NoShow, NoShow, NoShow]), Ending::Planned);
    }
    assert_eq!(came(Left, &[Attended]), Ending::Left);
    assert_eq!(came(Left, &[Attended, NoShow, NoShow, NoShow]), Ending::DroppedOut);
    assert_eq!(came(Removed, &[Attended]), Ending::Left);
    // Who goes early does not come either: sessions that others had count on.
    for gone in [Left, Removed] {
        assert_eq!(came_until(gone, &[Attended], 2), Ending::Left);
        assert_eq!(came_until(gone, &[Attended], 3), Ending::DroppedOut);
        assert_eq!(came_until(gone, &[Attended, Excused], 2), Ending::DroppedOut);
    }
    assert_eq!(came_until(Completed, &[Attended], 9), Ending::Planned);
    assert_eq!(came_until(Active, &[Attended, NoShow], 9), Ending::Present, "nobody expected them there");
    assert_eq!(Ending::ALL.iter().position(|ending| *ending == Ending::Left), Some(Ending::Left as usize));
}

#[test]
fn dose_is_minutes_delivered_times_the_share_one_was_there() {
    let items = [
        Item { technique: "thought-record", delivered: Delivered::Delivered, minutes: 40 },
        Item { technique: "behavioural-activation", delivered: Delivered::Partly, minutes: 20 },
        Item { technique: "homework-review", delivered: Delivered::Skipped, minutes: 0 },
    ];
    let mut dose = Dose::default();
    dose.add_session(&items, 90, 90);
    assert_eq!(dose.minutes().collect::<Vec<_>>(), [("behavioural-activation", 20), ("thought-record", 40)]);
    dose.add_session(&items[..1], 45, 90);
    assert_eq!(dose.minutes().last(), Some(("thought-record", 60)));
    // Longer than the session is the session; nothing divides by nothing.
    dose.add_session(&items[..1], 500, 90);
    dose.add_session(&items[..1], 0, 0);
    assert_eq!(dose.minutes().last(), Some(("thought-record", 100)));

    let mut absent = Dose::default();
    absent.add_session(&items, 0, 90);
    assert_eq!(absent.missed().collect::<Vec<_>>(), ["behavioural-activation", "thought-record"]);
    absent.merge(&dose);
    assert_eq!(absent, dose);
}

fn any_person() -> impl Strategy<Value = Person> {
    let states = [
        State::Recovered,
        State::ReliablyImproved,
        State::NoReliableChange,
        State::ReliablyDeteriorated,
        State::NotACaseAtStart,
        State::NotComputable(Why::NoScore),
    ];
    let scores = proptest::option::of((i32::MIN / 2..i32::MAX / 2, i32::MIN / 2..i32::MAX / 2));
    (0..6_usize, scores, 0..4_usize).prop_map(move |(state, scores, ending)| {
        person(states[state], scores.map(|(first, later)| pair(first, later)), Ending::ALL[ending])
    })
}

proptest! {
    #[test]
    fn any_split_and_any_order_add_up_to_the_same(
        people in proptest::collection::vec(any_person(), 0..60), cut in 0..60_usize, second in 0..60_usize,
    ) {
        let add = |people: &[Person]| {
            let mut outcomes = Outcomes::default();
            people.iter().for_each(|person| outcomes.add(person));
            outcomes
        };
        let whole = add(&people);
        let cut = cut.min(people.len());
        let (one, rest) = people.split_at(cut);
        let (two, three) = rest.split_at(second.min(rest.len()));
        let (one, two, three) = (add(one), add(two), add(three));
        let mut left = one.clone();
        left.merge(&two);
        left.merge(&three);
        prop_assert_eq!(&left, &whole);
        let mut right = three;
        right.merge(&one);
        right.merge(&two);
        prop_assert_eq!(&right, &whole);
        let mut reversed = people;
        reversed.reverse();
        prop_assert_eq!(&add(&reversed), &whole);
    }

    #[test]
    fn the_variance_is_that_of_two_passes(values in proptest::collection::vec(0..100_000_i32, 2..200)) {
        let mut sums = Sums::default();
        values.iter().for_each(|value| sums.add(*value));
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        let sum: f64 = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
        let variance = sum / (values.len() - 1) as f64;
        prop_assert!((sums.variance().expect("two values") - variance).abs() <= 1e-9 * (1.0 + variance));
        prop_assert!((sums.mean().expect("a value") - mean).abs() <= 1e-9 * (1.0 + mean.abs()));
    }

    #[test]
    fn turning_the_scale_round_turns_the_effect_round(
        pairs in proptest::collection::vec((0..27_000_i32, 0..27_000_i32), 3..50),
    ) {
        let alone = Nesting::new(ALONE, 0.0);
        let turned: Vec<(i32, i32)> = pairs.iter().map(|(a, b)| (27_000 - a, 27_000 - b)).collect();
        match (paired(&pairs).effect(alone), paired(&turned).effect(alone)) {
            (Some(one), Some(other)) => {
                prop_assert!((one.g + other.g).abs() < 1e-9);
                prop_assert!((one.low + other.high).abs() < 1e-6);
                prop_assert!(one.low <= one.g && one.g <= one.high);
            }
            (one, other) => prop_assert_eq!(one, other),
        }
    }
}
