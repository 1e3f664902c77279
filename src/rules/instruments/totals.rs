//! From points to numbers in thousandths: totals and subscales, exact until the last step.

use std::collections::BTreeMap;

use super::{Answers, Instrument, Item, MissingRule, Rounding, Scoring, Subscale, SubscaleScoring};

/// Whole points by id of the scored items that have some.
pub(super) type Given<'a> = BTreeMap<&'a str, i32>;

/// What the answers give.
pub(super) fn given<'a>(instrument: &'a Instrument, answers: &Answers) -> Given<'a> {
    let points = |item: &'a Item| Some((item.id.as_str(), instrument.points(item, answers.value(&item.id)?)));
    instrument.scored_items().filter_map(points).collect()
}

/// The fewest and the most points that an item can give.
pub(super) fn ends(instrument: &Instrument, item: &Item) -> (i32, i32) {
    let points = || instrument.options(item).iter().map(|option| instrument.points(item, option.value));
    (points().min().unwrap_or(0), points().max().unwrap_or(0))
}

/// Every scored item at its fewest points, and every one at its most.
pub(super) fn extremes(instrument: &Instrument) -> [Given<'_>; 2] {
    let at = |which: fn((i32, i32)) -> i32| {
        instrument.scored_items().map(|item| (item.id.as_str(), which(ends(instrument, item)))).collect()
    };
    [at(|(fewest, _)| fewest), at(|(_, most)| most)]
}

/// The total in thousandths; None where there is none. Only asked when the missing rule allows a score: `lacking` items
/// are then prorated.
pub(super) fn total(instrument: &Instrument, given: &Given, lacking: u16) -> Option<i32> {
    let sum: i64 = given.values().copied().map(i64::from).sum();
    let answered = length(given.len());
    match &instrument.scoring {
        Scoring::Sum { times, at_most } => {
            let sum = match &instrument.missing {
                MissingRule::Prorate { rounding, .. } if lacking > 0 => {
                    let items = answered + i64::from(lacking);
                    match rounding {
                        Rounding::WholePoint => 1000 * i64::from(rounded(sum * items, answered)),
                        Rounding::Thousandth => i64::from(rounded(1000 * sum * items, answered)),
                    }
                }
                _ => 1000 * sum,
            };
            let total = rounded(sum * i64::from(*times), 1);
            Some(at_most.map_or(total, |most| total.min(most.thousandths())))
        }
        Scoring::Mean {} => Some(rounded(1000 * sum, answered)),
        Scoring::MeanOfSubscales {} => mean_of_subscales(instrument, given),
        Scoring::Table { scores, .. } => {
            let [fewest, _] = extremes(instrument);
            let lowest: i64 = fewest.values().copied().map(i64::from).sum();
            let place = usize::try_from(sum - lowest).ok()?;
            scores.get(place).map(|score| score.thousandths())
        }
        Scoring::SubscalesOnly {} => None,
    }
}

/// A subscale in thousandths; None when one of its items gives no points.
pub(super) fn subscale(subscale: &Subscale, given: &Given) -> Option<i32> {
    let (numerator, denominator) = fraction(subscale, given)?;
    Some(rounded(1000 * numerator, denominator))
}

/// Rounded once, at the end: the mean of rounded means would be another number.
fn mean_of_subscales(instrument: &Instrument, given: &Given) -> Option<i32> {
    let (mut numerator, mut denominator) = (0, 1);
    for part in &instrument.subscales {
        let (above, below) = fraction(part, given)?;
        numerator = numerator * below + above * denominator;
        denominator *= below;
    }
    Some(rounded(1000 * numerator, denominator * length(instrument.subscales.len())))
}

/// A subscale's points as a fraction.
fn fraction(subscale: &Subscale, given: &Given) -> Option<(i64, i64)> {
    let points: Option<Vec<i64>> =
        subscale.items.iter().map(|id| given.get(id.as_str()).copied().map(i64::from)).collect();
    let sum: i64 = points?.iter().sum();
    Some(match subscale.scoring {
        SubscaleScoring::Sum { times } => (sum * i64::from(times), 1),
        SubscaleScoring::Mean {} => (sum, length(subscale.items.len())),
    })
}

/// To the nearest whole number, half up. Nothing divided by nothing is nothing: the loader refuses such a file.
fn rounded(numerator: i64, denominator: i64) -> i32 {
    if denominator <= 0 {
        return 0;
    }
    let whole = (2 * numerator + denominator).div_euclid(2 * denominator);
    i32::try_from(whole).unwrap_or(if whole < 0 { i32::MIN } else { i32::MAX })
}

fn length(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
