//! Whether an instrument file agrees with itself. A file that does not is never used to score anybody.

use std::collections::BTreeSet;

use super::{
    Band, ChangeRule, CutOffRule, Instrument, LicenceClass, MissingRule, Points, Range, Scoring, Subscale, score,
    totals::{ends, extremes, subscale, total},
};

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
    Range { stated_min: Points, stated_max: Points, min: Points, max: Points },
    #[error("the table has {entries} scores, and {sums} sums are possible")]
    TableLength { entries: usize, sums: usize },
    #[error("the table does not rise from entry to entry")]
    TableFalls,
    #[error("{0} cannot be prorated")]
    Prorating(&'static str),
    #[error("{0} needs subscales")]
    NoSubscales(&'static str),
    #[error("there is no total, and {0} needs one")]
    NoTotal(&'static str),
    #[error("{0} may be left out where it does not apply, and a subscale needs it")]
    PartOfSubscale(String),
    #[error("the sum is taken {0} times")]
    Times(i32),
    #[error("band {0} ends before it begins")]
    BandReversed(String),
    #[error("band {0} overlaps the one before it")]
    BandsOverlap(String),
    #[error("there is a hole in the bands before {0}")]
    BandsHole(String),
    #[error("the bands do not end where the range ends")]
    BandsEnd,
    #[error("{place}: {value} lies outside what can be reached, or is met by everybody")]
    OutOfRange { place: String, value: Points },
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
    check_scoring(instrument, &mut faults);
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
    let of_subscales = instrument.subscales.iter().map(|s| ("bands of a subscale", names(&s.bands, |band| &band.id)));
    for (list, ids) in lists.into_iter().chain(of_subscales) {
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
    // Not every instrument has instructions or a stem, so only a forbidden one is a fault.
    judge("instructions".into(), ships || instrument.instructions.is_some());
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
            if instrument.item(id).is_some_and(|item| item.if_it_applies) {
                faults.push(Fault::PartOfSubscale(id.clone()));
            }
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

fn check_scoring(instrument: &Instrument, faults: &mut Vec<Fault>) {
    match &instrument.scoring {
        Scoring::Sum { times, .. } if *times < 1 => faults.push(Fault::Times(*times)),
        Scoring::Sum { .. } | Scoring::Mean {} => {}
        Scoring::MeanOfSubscales {} => {
            if instrument.subscales.is_empty() {
                faults.push(Fault::NoSubscales("a mean of subscales"));
            }
        }
        Scoring::Table { scores, .. } => {
            let [fewest, most] = extremes(instrument);
            let width: i32 = most.values().sum::<i32>().saturating_sub(fewest.values().sum());
            let sums = usize::try_from(width).unwrap_or(0).saturating_add(1);
            if scores.len() != sums {
                faults.push(Fault::TableLength { entries: scores.len(), sums });
            }
            if scores.windows(2).any(|pair| pair[1] <= pair[0]) {
                faults.push(Fault::TableFalls);
            }
        }
        Scoring::SubscalesOnly {} => check_without_total(instrument, faults),
    }
    for subscale in &instrument.subscales {
        if let super::SubscaleScoring::Sum { times } = subscale.scoring
            && times < 1
        {
            faults.push(Fault::Times(times));
        }
    }
}

fn check_without_total(instrument: &Instrument, faults: &mut Vec<Fault>) {
    if instrument.subscales.is_empty() {
        faults.push(Fault::NoSubscales("an instrument without a total"));
    }
    let needs_total = |rule: &CutOffRule| matches!(rule, CutOffRule::Total { .. } | CutOffRule::TotalAtMost { .. });
    let wrong = [
        ("a band", !instrument.bands.is_empty()),
        ("a cut-off", instrument.cut_offs.iter().any(|cut_off| needs_total(&cut_off.rule))),
        ("a change threshold", !instrument.changes.is_empty()),
        ("a gate", instrument.gate.is_some()),
        ("prorating", instrument.missing.allowed() > 0),
    ];
    faults.extend(wrong.into_iter().filter(|(_, is_wrong)| *is_wrong).map(|(what, _)| Fault::NoTotal(what)));
}

fn check_range(instrument: &Instrument, faults: &mut Vec<Fault>) {
    if instrument.scoring == (Scoring::SubscalesOnly {}) {
        for subscale in &instrument.subscales {
            compare_range(instrument, subscale_reach(instrument, subscale), faults);
        }
        return;
    }
    let [fewest, most] = extremes(instrument).map(|given| total(instrument, &given, 0));
    // Where the total cannot be computed, another fault says why.
    if let (Some(fewest), Some(most)) = (fewest, most) {
        let range = Range { min: Points::from_thousandths(fewest), max: Points::from_thousandths(most) };
        compare_range(instrument, range, faults);
    }
}

fn compare_range(instrument: &Instrument, reachable: Range, faults: &mut Vec<Fault>) {
    let stated = instrument.range;
    if stated != reachable {
        faults.push(Fault::Range {
            stated_min: stated.min,
            stated_max: stated.max,
            min: reachable.min,
            max: reachable.max,
        });
    }
}

/// The lowest and the highest number of a subscale.
fn subscale_reach(instrument: &Instrument, part: &Subscale) -> Range {
    let [min, max] = extremes(instrument).map(|given| Points::from_thousandths(subscale(part, &given).unwrap_or(0)));
    Range { min, max }
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
    if !instrument.range.holds(gate.score.thousandths()) {
        faults.push(Fault::OutOfRange { place, value: gate.score });
    }
}

fn check_missing_rule(instrument: &Instrument, faults: &mut Vec<Fault>) {
    let allowed = usize::from(instrument.missing.allowed());
    if allowed >= instrument.scored_items().count() {
        faults.push(Fault::MissingAll);
    }
    if allowed == 0 {
        return;
    }
    if matches!(instrument.scoring, Scoring::Table { .. } | Scoring::MeanOfSubscales {}) {
        faults.push(Fault::Prorating("this scoring"));
    }
    // The answered items stand for the others only where all can give the same points.
    let mut all = instrument.scored_items().map(|item| ends(instrument, item));
    let first = all.next();
    if all.any(|ends| Some(ends) != first) || instrument.scored_items().any(|item| item.if_it_applies) {
        faults.push(Fault::Prorating("items of different weight"));
    }
}

fn check_bands(instrument: &Instrument, faults: &mut Vec<Fault>) {
    check_stretches(&instrument.bands, instrument.range, faults);
    for subscale in &instrument.subscales {
        if subscale.bands.is_empty() {
            continue;
        }
        compare_range(instrument, subscale_reach(instrument, subscale), faults);
        check_stretches(&subscale.bands, instrument.range, faults);
    }
}

/// Whether bands cover a range without overlap or hole.
fn check_stretches(bands: &[Band], range: Range, faults: &mut Vec<Fault>) {
    if bands.is_empty() {
        return;
    }
    let is_whole = bands.iter().all(|band| band.from.is_whole() && band.to.is_whole());
    let step = if is_whole { Points::whole(1) } else { Points::from_thousandths(1) };
    let after = |end: Points| end.thousandths().saturating_add(step.thousandths());
    let mut next = range.min.thousandths();
    for band in bands {
        if band.to < band.from {
            faults.push(Fault::BandReversed(band.id.clone()));
        }
        if band.from.thousandths() < next {
            faults.push(Fault::BandsOverlap(band.id.clone()));
        }
        if band.from.thousandths() > next {
            faults.push(Fault::BandsHole(band.id.clone()));
        }
        next = after(band.to);
    }
    if next != after(range.max) {
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
            CutOffRule::TotalAtMost { at_most } => check_ceiling(&place, *at_most, instrument.range, faults),
            CutOffRule::Subscale { subscale, at_least } => {
                if let Some(subscale) = find_subscale(instrument, &place, subscale, faults) {
                    check_threshold(&place, *at_least, subscale_reach(instrument, subscale), faults);
                }
            }
            CutOffRule::Symptoms { item_at_least, needs } => {
                if needs.is_empty() {
                    faults.push(Fault::Empty("needs of a cut-off"));
                }
                for (subscale, needed) in needs {
                    let Some(subscale) = find_subscale(instrument, &place, subscale, faults) else {
                        continue;
                    };
                    let items = i32::try_from(subscale.items.len()).unwrap_or(i32::MAX);
                    let count = Range { min: Points::whole(0), max: Points::whole(items) };
                    check_threshold(&place, Points::whole(i32::from(*needed)), count, faults);
                    for item in subscale.items.iter().filter_map(|id| instrument.item(id)) {
                        let (fewest, most) = ends(instrument, item);
                        let range = Range { min: Points::whole(fewest), max: Points::whole(most) };
                        check_threshold(&place, Points::whole(*item_at_least), range, faults);
                    }
                }
            }
        }
    }
}

fn check_threshold(place: &str, value: Points, range: Range, faults: &mut Vec<Fault>) {
    if value > range.min && value <= range.max {
        return;
    }
    let place = place.to_owned();
    faults.push(Fault::OutOfRange { place, value });
}

/// At the top of the range everybody would meet it.
fn check_ceiling(place: &str, value: Points, range: Range, faults: &mut Vec<Fault>) {
    if value >= range.min && value < range.max {
        return;
    }
    let place = place.to_owned();
    faults.push(Fault::OutOfRange { place, value });
}

fn check_changes(instrument: &Instrument, faults: &mut Vec<Fault>) {
    let Range { min, max } = instrument.range;
    let zero = Points::whole(0);
    let width = Range { min: zero, max: Points::from_thousandths(max.thousandths().saturating_sub(min.thousandths())) };
    for change in &instrument.changes {
        let place = format!("change {}", change.id);
        match change.rule {
            ChangeRule::Points { at_least } => check_threshold(&place, at_least, width, faults),
            ChangeRule::PointsBetween { from, to } => {
                check_threshold(&place, from, width, faults);
                check_threshold(&place, to, Range { min: from, ..width }, faults);
            }
            ChangeRule::Percent { at_least } => {
                let percent = Range { min: zero, max: Points::whole(100) };
                check_threshold(&place, Points::whole(at_least), percent, faults);
            }
            ChangeRule::ScoreAtMost { at_most } => check_ceiling(&place, at_most, instrument.range, faults),
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
    if let Scoring::Table { source, .. } = &instrument.scoring {
        needed.push(("table".into(), source));
    }
    if let Some(gate) = &instrument.gate {
        needed.push(("gate".into(), &gate.source));
    }
    for subscale in &instrument.subscales {
        needed.push((format!("subscale {}", subscale.id), &subscale.source));
        if !subscale.bands.is_empty() {
            let source = subscale.band_source.as_deref().unwrap_or("");
            needed.push((format!("bands of subscale {}", subscale.id), source));
        }
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

fn find_subscale<'a>(
    instrument: &'a Instrument,
    place: &str,
    id: &str,
    faults: &mut Vec<Fault>,
) -> Option<&'a Subscale> {
    let found = instrument.subscales.iter().find(|s| s.id == id);
    if found.is_none() {
        faults.push(Fault::UnknownSubscale { place: place.to_owned(), subscale: id.to_owned() });
    }
    found
}

fn names<T>(list: &[T], id: impl Fn(&T) -> &String) -> Vec<&str> {
    list.iter().map(|entry| id(entry).as_str()).collect()
}

fn repeated<T: Ord + Copy>(values: &[T]) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    let twice = values.iter().filter(|value| !seen.insert(**value));
    twice.copied().collect()
}
