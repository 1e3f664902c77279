//! What holds for the score of every instrument, whatever is answered.

use circlekeeper::rules::instruments::*;
use proptest::{prelude::*, sample::Index};

/// An instrument, and a place in the options of each of its items.
fn answered() -> impl Strategy<Value = (&'static Instrument, Vec<Index>)> {
    let all = Registry::built_in().all();
    (0..all.len()).prop_flat_map(move |place| {
        let instrument = &all[place];
        (Just(instrument), prop::collection::vec(any::<Index>(), instrument.items.len()))
    })
}

/// Every item answered, and an open gate.
fn complete(instrument: &Instrument, places: &[Index]) -> Answers {
    let value = |(item, place): (&Item, &Index)| {
        let options = instrument.options(item);
        let value = options[place.index(options.len())].value;
        match &instrument.gate {
            Some(gate) if gate.item == item.id => options.iter().map(|o| o.value).find(|value| *value != gate.value),
            _ => Some(value),
        }
    };
    Answers(instrument.items.iter().zip(places).map(|pair| (pair.0.id.clone(), value(pair))).collect())
}

/// Every number of an outcome: the score, then the subscales.
fn numbers(outcome: &Outcome) -> Vec<Option<i32>> {
    std::iter::once(outcome.score).chain(outcome.subscales.values().copied()).collect()
}

fn has_total(instrument: &Instrument) -> bool {
    instrument.scoring != (Scoring::SubscalesOnly {})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_complete_instrument_has_a_score_in_its_range((instrument, places) in answered()) {
        let outcome = score(instrument, &complete(instrument, &places)).unwrap();
        prop_assert_eq!(outcome.score.is_some(), has_total(instrument));
        prop_assert!(outcome.score.is_none_or(|score| instrument.range.holds(score)), "{}", instrument.id);
        if !has_total(instrument) {
            prop_assert!(outcome.subscales.values().all(|number| number.is_some_and(|n| instrument.range.holds(n))));
            prop_assert_eq!(outcome.no_score, Some(NoScore::NoTotal {}));
        }
        prop_assert_eq!(outcome.band.is_some(), outcome.score.is_some() && !instrument.bands.is_empty());
        prop_assert!(!outcome.prorated && outcome.missing.is_empty());
        prop_assert!(outcome.positive.iter().all(|judged| judged.met.is_some()));
    }

    #[test]
    fn more_points_for_one_answer_never_give_a_lower_score(
        (instrument, places) in answered(), which in any::<Index>(), to in any::<Index>(),
    ) {
        let before = complete(instrument, &places);
        let scored: Vec<&Item> = instrument.scored_items().collect();
        let item = scored[which.index(scored.len())];
        let options = instrument.options(item);
        let (old, new) = (before.value(&item.id).unwrap(), options[to.index(options.len())].value);
        let mut after = before.clone();
        after.0.insert(item.id.clone(), Some(new));

        // A reversed item has its sign the other way round.
        let sign = if item.reverse { -1 } else { 1 };
        let points = |value| instrument.points(item, value);
        if options.iter().all(|option| option.points.is_none()) {
            prop_assert_eq!((points(new) - points(old)).signum(), sign * (new - old).signum());
        }
        let (before, after) = (score(instrument, &before).unwrap(), score(instrument, &after).unwrap());
        for (lower, higher) in numbers(&before).into_iter().zip(numbers(&after)) {
            let (lower, higher) = if points(new) >= points(old) { (lower, higher) } else { (higher, lower) };
            prop_assert!(lower <= higher, "{} {}", instrument.id, item.id);
        }
        // Without a ceiling, every point counts.
        let is_capped = matches!(instrument.scoring, Scoring::Sum { at_most: Some(_), .. });
        if points(new) != points(old) && !is_capped {
            prop_assert_ne!(numbers(&before), numbers(&after), "{} {}", &instrument.id, &item.id);
        }
    }

    #[test]
    fn the_order_in_which_answers_come_does_not_matter((instrument, places) in answered()) {
        let answers = complete(instrument, &places);
        let written = |pairs: Vec<(&String, &Option<i32>)>| {
            let fields: Vec<String> =
                pairs.into_iter().map(|(id, value)| format!("\"{id}\":{}", value.unwrap_or_default())).collect();
            format!("{{{}}}", fields.join(","))
        };
        let forwards: Answers = serde_json::from_str(&written(answers.0.iter().collect())).unwrap();
        let backwards: Answers = serde_json::from_str(&written(answers.0.iter().rev().collect())).unwrap();
        prop_assert_eq!(score(instrument, &forwards), score(instrument, &backwards));
    }

    #[test]
    fn missing_answers_beyond_the_rule_leave_no_score_and_within_it_a_marked_one(
        (instrument, places) in answered(), from in any::<Index>(), more in 0_usize..4, declined in any::<bool>(),
    ) {
        let mut answers = complete(instrument, &places);
        let asked: Vec<&Item> = instrument.scored_items().filter(|item| !item.if_it_applies).collect();
        let missing = (usize::from(instrument.missing.allowed()) + more).min(asked.len());
        let first = from.index(asked.len());
        for item in asked.iter().cycle().skip(first).take(missing) {
            answers.0.remove(&item.id);
            if declined {
                answers.0.insert(item.id.clone(), None);
            }
        }
        let outcome = score(instrument, &answers).unwrap();
        prop_assert_eq!(outcome.missing.len(), missing);
        if missing > usize::from(instrument.missing.allowed()) {
            prop_assert_eq!(outcome.score, None, "{}", &instrument.id);
            prop_assert!(outcome.no_score.is_some() && outcome.band.is_none());
            if has_total(instrument) {
                prop_assert!(outcome.positive.iter().all(|judged| judged.met.is_none()));
            }
        } else if has_total(instrument) {
            prop_assert!(outcome.score.is_some_and(|score| instrument.range.holds(score)), "{}", instrument.id);
            prop_assert_eq!(outcome.prorated, missing > 0);
        }
        for subscale in &instrument.subscales {
            let is_whole = subscale.items.iter().all(|id| answers.value(id).is_some());
            prop_assert_eq!(outcome.subscales[&subscale.id].is_some(), is_whole);
        }
    }

    #[test]
    fn sums_means_tables_and_doubled_sums_follow_from_the_points((instrument, places) in answered()) {
        let answers = complete(instrument, &places);
        let outcome = score(instrument, &answers).unwrap();
        let points = |id: &String| {
            let item = instrument.item(id).unwrap();
            i64::from(instrument.points(item, answers.value(id).unwrap()))
        };
        let ids: Vec<&String> = instrument.scored_items().map(|item| &item.id).collect();
        let sum: i64 = ids.iter().map(|id| points(id)).sum();
        let total = outcome.score.map(i64::from);
        // A mean is within half a thousandth of the exact one.
        let is_mean = |mean: i64, sum: i64, count: usize| (2 * (mean * count as i64 - 1000 * sum)).abs() <= count as i64;
        match &instrument.scoring {
            Scoring::Sum { times, at_most } => {
                let most = at_most.map_or(i64::MAX, |most| i64::from(most.thousandths()));
                prop_assert_eq!(total, Some((1000 * sum * i64::from(*times)).min(most)));
            }
            Scoring::Mean {} => prop_assert!(is_mean(total.unwrap(), sum, ids.len())),
            Scoring::MeanOfSubscales {} => {
                let parts: i64 = outcome.subscales.values().map(|part| i64::from(part.unwrap())).sum();
                let count = instrument.subscales.len() as i64;
                // Each part is rounded by itself, the whole only once.
                prop_assert!((total.unwrap() * count - parts).abs() <= count);
            }
            Scoring::Table { scores, .. } => {
                let lowest: i64 = ids.iter().map(|id| {
                    let item = instrument.item(id).unwrap();
                    instrument.options(item).iter().map(|o| i64::from(instrument.points(item, o.value))).min().unwrap()
                }).sum();
                let entry = scores[usize::try_from(sum - lowest).unwrap()];
                prop_assert_eq!(total, Some(i64::from(entry.thousandths())));
            }
            Scoring::SubscalesOnly {} => prop_assert_eq!(total, None),
        }
        for subscale in &instrument.subscales {
            let number = i64::from(outcome.subscales[&subscale.id].unwrap());
            let sum: i64 = subscale.items.iter().map(points).sum();
            match subscale.scoring {
                SubscaleScoring::Sum { times } => prop_assert_eq!(number, 1000 * sum * i64::from(times)),
                SubscaleScoring::Mean {} => prop_assert!(is_mean(number, sum, subscale.items.len())),
            }
        }
    }

    #[test]
    fn points_are_written_and_read_without_loss(thousandths in -100_000..100_000_i32) {
        let points = Points::from_thousandths(thousandths);
        let text = serde_json::to_string(&points).unwrap();
        prop_assert_eq!(serde_json::from_str::<Points>(&text).unwrap(), points);
        prop_assert_eq!(text.contains('.'), !points.is_whole());
    }
}

#[test]
fn points_with_four_decimals_or_without_end_are_refused() {
    for text in ["0.0001", "1.0005", "1e9", "9999999", "\"3\"", "null"] {
        assert!(serde_json::from_str::<Points>(text).is_err(), "{text}");
    }
    assert_eq!(serde_json::from_str::<Points>("2.5").unwrap(), Points::from_thousandths(2500));
}
