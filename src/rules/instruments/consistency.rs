//! Whether an instrument file agrees with itself. A file that does not is never used to score anybody.

use std::collections::BTreeSet;

use super::{ChangeRule, CutOffRule, Instrument, Item, LicenceClass, MissingRule, Range, Scoring, score};

/// One contradiction in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the version must be a whole number from 1")]
    Version,
    #[error("{0} is empty")]
    Empty(&'static str),
    #[error("{list} names {id} twice")]
    Repeated { list: &'static str, id: String },
    #[error("item {item} uses response set {set}, which is unknown")]
    UnknownResponses { item: String, set: String },
    #[error("response set {set} has the value {value} twice")]
    RepeatedValue { set: String, value: i32 },
    #[error("response set {set} has no options")]
    NoOptions { set: String },
    #[error("class A ships its text, and {0} has none")]
    TextLacking(String),
    #[error("the licence keeps the text out, and {0} has one")]
    TextForbidden(String),
    #[error("{place} names item {item}, which is unknown")]
    UnknownItem { place: String, item: String },
    #[error("{place} names item {item}, which is not scored")]
    UnscoredItem { place: String, item: String },
    #[error("scored item {0} belongs to no subscale, though there are subscales")]
    OutsideSubscales(String),
    #[error("{place} names subscale {subscale}, which is unknown")]
    UnknownSubscale { place: String, subscale: String },
    #[error("the range is {stated_min} to {stated_max}, the items give {min} to {max}")]
    Range { stated_min: i32, stated_max: i32, min: i32, max: i32 },
    #[error("band {0} ends before it begins")]
    BandReversed(String),
    #[error("band {0} overlaps the one before it")]
    BandsOverlap(String),
    #[error("there is a hole in the bands before {0}")]
    BandsHole(String),
    #[error("the bands do not end where the range ends")]
    BandsEnd,
    #[error("{place}: {value} lies outside what can be reached, or is met by everybody")]
    OutOfRange { place: String, value: i32 },
    #[error("{place}: {value} is no option of {item}")]
    NoSuchOption { place: String, item: String, value: i32 },
    #[error("as many items may be missing as there are")]
    MissingAll,
    #[error("{0} gives no source")]
    NoSource(String),
    #[error("there is no worked example")]
    NoGolden,
    #[error("worked example {name} does not score as it says: {got}")]
    Golden { name: String, got: String },
}

/// All contradictions of a file. Worked examples are tried only when nothing else is wrong.
pub(super) fn check(instrument: &Instrument) -> Vec<Fault> {
    let mut faults = Vec::new();
    check_names(instrument, &mut faults);
    check_items(instrument, &mut faults);
    check_text(instrument, &mut faults);
    check_subscales(instrument, &mut faults);
    check_range(instrument, &mut faults);
    check_gate(instrument, &mut faults);
    check_missing_rule(instrument, &mut faults);
    check_bands(instrument, &mut faults);
    check_cut_offs(instrument, &mut faults);
    check_changes(instrument, &mut faults);
    check_risk_items(instrument, &mut faults);
    check_sources(instrument, &mut faults);
    if faults.is_empty() {
        check_golden(instrument, &mut faults);
    }
    faults
}

fn check_names(instrument: &Instrument, faults: &mut Vec<Fault>) {
    let version: Option<u32> = instrument.version.parse().ok();
    // "01" would be a second spelling of "1".
    if version.is_none_or(|n| n == 0 || n.to_string() != instrument.version) {
        faults.push(Fault::Version);
    }
    if instrument.id.trim().is_empty() {
        faults.push(Fault::Empty("id"));
    }
    if instrument.answered_by.is_empty() {
        faults.push(Fault::Empty("answered_by"));
    }
    if instrument.scored_items().next().is_none() {
        faults.push(Fault::Empty("items"));
    }
    let lists: [(&'static str, Vec<&str>); 5] = [
        ("items", names(&instrument.items, |item| &item.id)),
        ("subscales", names(&instrument.subscales, |s| &s.id)),
        ("bands", names(&instrument.bands, |band| &band.id)),
        ("cut_offs", names(&instrument.cut_offs, |c| &c.id)),
        ("changes", names(&instrument.changes, |c| &c.id)),
    ];
    for (list, ids) in lists {
        for id in repeated(&ids) {
            let id = id.to_owned();
            faults.push(Fault::Repeated { list, id });
        }
    }
}

fn check_items(instrument: &Instrument, faults: &mut Vec<Fault>) {
    for (set, options) in &instrument.response_sets {
        let values: Vec<i32> = options.iter().map(|option| option.value).collect();
        if values.is_empty() {
            faults.push(Fault::NoOptions { set: set.clone() });
        }
        for value in repeated(&values) {
            let set = set.clone();
            faults.push(Fault::RepeatedValue { set, value });
        }
    }
    for item in &instrument.items {
        if !instrument.response_sets.contains_key(&item.responses) {
            faults.push(Fault::UnknownResponses { item: item.id.clone(), set: item.responses.clone() });
        }
    }
}

/// The licence decides about the text of the whole file: instructions, items and labels alike.
fn check_text(instrument: &Instrument, faults: &mut Vec<Fault>) {
    let ships = instrument.licence.class == LicenceClass::A;
    let mut judge = |place: String, present: bool| match (ships, present) {
        (true, false) => faults.push(Fault::TextLacking(place)),
        (false, true) => faults.push(Fault::TextForbidden(place)),
        _ => {}
    };
    judge("instructions".into(), instrument.instructions.is_some());
    // Not every instrument has a stem, so only a forbidden one is a fault.
    judge("stem".into(), ships || instrument.stem.is_some());
    for item in &instrument.items {
        judge(item.id.clone(), item.text.is_some());
    }
    for (set, options) in &instrument.response_sets {
        for option in options {
            judge(format!("{set} {}", option.value), option.label.is_some());
        }
    }
    for item in &instrument.items {
        if item.text.is_none() && item.about.is_none() {
            faults.push(Fault::Empty("about, of an item without text"));
        }
    }
}

fn check_subscales(instrument: &Instrument, faults: &mut Vec<Fault>) {
    if instrument.subscales.is_empty() {
        return;
    }
    for subscale in &instrument.subscales {
        let place = format!("subscale {}", subscale.id);
        if subscale.items.is_empty() {
            faults.push(Fault::Empty("items of a subscale"));
        }
        for id in repeated(&names(&subscale.items, |id| id)) {
            let id = id.to_owned();
            faults.push(Fault::Repeated { list: "items of a subscale", id });
        }
        for id in &subscale.items {
            check_scored(instrument, &place, id, faults);
        }
    }
    for item in instrument.scored_items() {
        let belongs = |s: &super::Subscale| s.items.contains(&item.id);
        if !instrument.subscales.iter().any(belongs) {
            faults.push(Fault::OutsideSubscales(item.id.clone()));
        }
    }
}

fn check_scored(instrument: &Instrument, place: &str, id: &str, faults: &mut Vec<Fault>) {
    let (place, item) = (place.to_owned(), id.to_owned());
    match instrument.item(id) {
        None => faults.push(Fault::UnknownItem { place, item }),
        Some(known) if !known.scored => faults.push(Fault::UnscoredItem { place, item }),
        Some(_) => {}
    }
}

fn check_range(instrument: &Instrument, faults: &mut Vec<Fault>) {
    let Scoring::Sum {} = instrument.scoring;
    let stated = instrument.range;
    let reachable = reach(instrument, instrument.scored_items());
    if stated != reachable {
        faults.push(Fault::Range {
            stated_min: stated.min,
            stated_max: stated.max,
            min: reachable.min,
            max: reachable.max,
        });
    }
}

fn check_gate(instrument: &Instrument, faults: &mut Vec<Fault>) {
    let Some(gate) = &instrument.gate else {
        return;
    };
    let place = "gate".to_owned();
    check_option(instrument, &place, &gate.item, gate.value, faults);
    let is_scored = instrument.item(&gate.item).is_some_and(|item| item.scored);
    if is_scored {
        faults.push(Fault::Repeated { list: "gate and scored items", id: gate.item.clone() });
    }
    if !(instrument.range.min..=instrument.range.max).contains(&gate.score) {
        let value = gate.score;
        faults.push(Fault::OutOfRange { place, value });
    }
}

fn check_missing_rule(instrument: &Instrument, faults: &mut Vec<Fault>) {
    let allowed = usize::from(instrument.missing.allowed());
    if allowed >= instrument.scored_items().count() {
        faults.push(Fault::MissingAll);
    }
}

fn check_bands(instrument: &Instrument, faults: &mut Vec<Fault>) {
    if instrument.bands.is_empty() {
        return;
    }
    let mut next = instrument.range.min;
    for band in &instrument.bands {
        if band.to < band.from {
            faults.push(Fault::BandReversed(band.id.clone()));
        }
        if band.from < next {
            faults.push(Fault::BandsOverlap(band.id.clone()));
        }
        if band.from > next {
            faults.push(Fault::BandsHole(band.id.clone()));
        }
        next = band.to.saturating_add(1);
    }
    if next != instrument.range.max.saturating_add(1) {
        faults.push(Fault::BandsEnd);
    }
}

fn check_cut_offs(instrument: &Instrument, faults: &mut Vec<Fault>) {
    for cut_off in &instrument.cut_offs {
        let place = format!("cut-off {}", cut_off.id);
        match &cut_off.rule {
            CutOffRule::Total { at_least } => {
                check_threshold(&place, *at_least, instrument.range, faults);
            }
            CutOffRule::Subscale { subscale, at_least } => {
                if let Some(items) = subscale_items(instrument, &place, subscale, faults) {
                    let range = reach(instrument, items.into_iter());
                    check_threshold(&place, *at_least, range, faults);
                }
            }
            CutOffRule::Symptoms { item_at_least, needs } => {
                if needs.is_empty() {
                    faults.push(Fault::Empty("needs of a cut-off"));
                }
                for (subscale, needed) in needs {
                    let Some(items) = subscale_items(instrument, &place, subscale, faults) else {
                        continue;
                    };
                    let count = Range { min: 0, max: i32::try_from(items.len()).unwrap_or(i32::MAX) };
                    check_threshold(&place, i32::from(*needed), count, faults);
                    for item in items {
                        let range = reach(instrument, [item].into_iter());
                        check_threshold(&place, *item_at_least, range, faults);
                    }
                }
            }
        }
    }
}

fn check_threshold(place: &str, value: i32, range: Range, faults: &mut Vec<Fault>) {
    if value > range.min && value <= range.max {
        return;
    }
    let place = place.to_owned();
    faults.push(Fault::OutOfRange { place, value });
}

fn check_changes(instrument: &Instrument, faults: &mut Vec<Fault>) {
    let Range { min, max } = instrument.range;
    let width = Range { min: 0, max: max.saturating_sub(min) };
    for change in &instrument.changes {
        let place = format!("change {}", change.id);
        match change.rule {
            ChangeRule::Points { at_least } => check_threshold(&place, at_least, width, faults),
            ChangeRule::PointsBetween { from, to } => {
                check_threshold(&place, from, width, faults);
                check_threshold(&place, to, Range { min: from, ..width }, faults);
            }
            ChangeRule::Percent { at_least } => {
                check_threshold(&place, at_least, Range { min: 0, max: 100 }, faults);
            }
            ChangeRule::ScoreAtMost { at_most } => {
                // At the top of the range everybody would meet it.
                let reachable = Range { min: min.saturating_sub(1), max: max.saturating_sub(1) };
                check_threshold(&place, at_most, reachable, faults);
            }
        }
    }
}

fn check_risk_items(instrument: &Instrument, faults: &mut Vec<Fault>) {
    for risk in &instrument.risk_items {
        check_option(instrument, "risk item", &risk.item, risk.at_least, faults);
    }
}

fn check_option(instrument: &Instrument, place: &str, id: &str, value: i32, faults: &mut Vec<Fault>) {
    let (place, item) = (place.to_owned(), id.to_owned());
    let Some(known) = instrument.item(id) else {
        faults.push(Fault::UnknownItem { place, item });
        return;
    };
    let options = instrument.options(known);
    if !options.iter().any(|option| option.value == value) {
        faults.push(Fault::NoSuchOption { place, item, value });
    }
}

/// Every number that comes from the literature says from where.
fn check_sources(instrument: &Instrument, faults: &mut Vec<Fault>) {
    let mut needed: Vec<(String, &str)> = vec![("licence".into(), instrument.licence.source.as_str())];
    if !instrument.bands.is_empty() {
        let source = instrument.band_source.as_deref().unwrap_or("");
        needed.push(("bands".into(), source));
    }
    if let MissingRule::Prorate { source, .. } = &instrument.missing {
        needed.push(("missing".into(), source));
    }
    if let Some(gate) = &instrument.gate {
        needed.push(("gate".into(), &gate.source));
    }
    for subscale in &instrument.subscales {
        needed.push((format!("subscale {}", subscale.id), &subscale.source));
    }
    for cut_off in &instrument.cut_offs {
        needed.push((format!("cut-off {}", cut_off.id), &cut_off.source));
        needed.push((format!("sample of cut-off {}", cut_off.id), &cut_off.sample));
    }
    for change in &instrument.changes {
        needed.push((format!("change {}", change.id), &change.source));
        needed.push((format!("sample of change {}", change.id), &change.sample));
    }
    for risk in &instrument.risk_items {
        needed.push((format!("risk item {}", risk.item), &risk.source));
    }
    if instrument.loinc.panel.is_some() || instrument.loinc.total.is_some() {
        let source = instrument.loinc.source.as_deref().unwrap_or("");
        needed.push(("loinc".into(), source));
    }
    for (place, source) in needed {
        if source.trim().is_empty() {
            faults.push(Fault::NoSource(place));
        }
    }
}

fn check_golden(instrument: &Instrument, faults: &mut Vec<Fault>) {
    if instrument.golden.is_empty() {
        faults.push(Fault::NoGolden);
    }
    for golden in &instrument.golden {
        let got = match score(instrument, &golden.answers) {
            Ok(outcome) if outcome == golden.expect => continue,
            Ok(outcome) => format!("{outcome:?}"),
            Err(bad) => format!("{bad:?}"),
        };
        let name = golden.name.clone();
        faults.push(Fault::Golden { name, got });
    }
}

fn subscale_items<'a>(
    instrument: &'a Instrument,
    place: &str,
    id: &str,
    faults: &mut Vec<Fault>,
) -> Option<Vec<&'a Item>> {
    let Some(subscale) = instrument.subscales.iter().find(|s| s.id == id) else {
        faults.push(Fault::UnknownSubscale { place: place.to_owned(), subscale: id.to_owned() });
        return None;
    };
    let items = subscale.items.iter().filter_map(|id| instrument.item(id));
    Some(items.collect())
}

/// The lowest and the highest sum of some items.
fn reach<'a>(instrument: &Instrument, items: impl Iterator<Item = &'a Item>) -> Range {
    items.fold(Range { min: 0, max: 0 }, |range, item| {
        let values = || instrument.options(item).iter().map(|option| option.value);
        Range {
            min: range.min.saturating_add(values().min().unwrap_or(0)),
            max: range.max.saturating_add(values().max().unwrap_or(0)),
        }
    })
}

fn names<T>(list: &[T], id: impl Fn(&T) -> &String) -> Vec<&str> {
    list.iter().map(|entry| id(entry).as_str()).collect()
}

fn repeated<T: Ord + Copy>(values: &[T]) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    let twice = values.iter().filter(|value| !seen.insert(**value));
    twice.copied().collect()
}
