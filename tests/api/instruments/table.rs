//! The registry printed as a page for whoever chooses an instrument, committed as `docs/instruments.md`.

use std::fmt::{Error, Write};

use circlekeeper::rules::{instruments::*, measures::Respondent};
use expect_test::expect_file;

#[test]
fn the_registry_is_printed_for_whoever_chooses_an_instrument() {
    expect_file!["../../../docs/instruments.md"].assert_eq(&page().expect("a text grows"));
}

const INTRODUCTION: &str = "\
# Instruments

This page is printed from the files in `instruments/` each time the tests run: what stands here is what the server does.

One file per instrument and version stands in `instruments/`. The files are compiled in and checked when they are loaded.
A file that contradicts itself is refused, and so is one whose worked examples do not score as they say.
What changes a score makes a new version. An administration stays pinned to the version it was answered in.

A score is no diagnosis. A cut-off holds for the sample it was found in; each names that sample.
What could not be confirmed at a source is left out, and the file says why.

## Licence classes

| class | item text | in the file |
|---|---|---|
| A | may ship: public domain, government work, or an explicit free grant | text of instructions, items and options |
| B | only as a separate pack under its own terms | scoring only; items are described in our own words |
| C | must not ship | scoring only; a deployment that holds a licence supplies the text |

The loader holds a file to its class: class A without item text is refused, and so is class B or C with text.

## Texts that a deployment supplies

`circlekeeper serve --instrument-texts DIR` (`CIRCLEKEEPER_INSTRUMENT_TEXTS`) reads one JSON file for each instrument of class B or C
for which the deployment has a licence. Other files in the folder are left alone. Scoring stays what it is.

```json
{
  \"instrument\": \"who-5\",
  \"version\": \"1\",
  \"language\": \"en\",
  \"notice\": \"what the licence asks to be shown beside the text, where it does\",
  \"instructions\": \"…\",
  \"items\": {\"who-5.1\": \"…\", \"who-5.2\": \"…\"},
  \"options\": {\"time\": {\"0\": \"…\", \"1\": \"…\"}}
}
```

Every item and every option must have its words, and nothing else may. A pack that names an unknown item, lacks one, or is for an
instrument that ships with its text stops the start, with a message that names the file and the item.

## All of them

`r` marks items that are scored the other way round.

";

const AFTER: &str = "\
## Instruments that are not in

| what | why |
|---|---|
| BDI, BAI, HADS, EPDS, PANSS, Y-BOCS, IES-R, PDSS, EQ-5D, ORS, SRS, GSRS, OQ-45, GQ, CTQ | text and often scoring belong to publishers; nobody asked for them yet |
| the algorithm of the PHQ-9 for major depression | copies of it disagree on which answers count, and a score of 10 finds more cases (Arroll et al. 2010, Ann Fam Med 8:348–353) |
| the CESD-R, the PSWQ for the past week, the ISI of clinicians and other versions | other instruments under similar names |
| OCD, mania, borderline symptoms, insomnia and group process with their text | nothing in class A was found |

## Reading a score

\"All needed\" means that a score needs every scored item. Then there is no score, no band, no judged cut-off, and a reason.
A missing answer never counts as zero. Declined (`null`) and passed over (absent) both count as missing; only the first is a decision.
An item that is asked only of some, such as item 4 of the PHQ-15, is not missing where it was left out; declined it is.
Where an instrument has no total, `score` is null with the reason `no_total`, and each complete subscale stands for itself.

Risk items are judged before completeness: one answered item is enough, and declining it is told apart from not having reached it.
An instrument without a risk item gives no all-clear. Use the PHQ-8 where no clinician can act on item 9 of the PHQ-9.

## How a file is built

The form is [instrument.schema.json](instrument.schema.json); the loader checks what a schema cannot say.

- `items` stand in the order asked. Each names a list in `response_sets`. `scored: false` is asked and kept, and never missed;
  `reverse` turns an item round; `if_it_applies` lets it be left out.
- An option counts its `value`, unless it has `points`.
- `scoring` has a `kind`: `sum` (with `times` and `at_most`), `mean`, `mean_of_subscales`, `table`, `subscales_only`.
- `missing` has a `kind`: `all_needed`, or `prorate` with `up_to` and a `rounding`.
- `instructions` stand above everything, `stem` above the scored items, which complete it.
- `gate` ends an instrument after its first question.
- `subscales` need all their items. Where there are subscales, every scored item belongs to one. They may have bands of their own.
- `bands` are empty, or cover the range without overlap or hole.
- `cut_offs` are judged for everybody; `applies_to` says whom one was found for. Kinds: `total`, `total_at_most`, `subscale`, `symptoms`.
- `changes` have one of five kinds that are never mixed: `reliable`, `clinically_significant`, `minimal_important`, `response`, `remission`.
- Thresholds in a file are points as printed in the literature. `golden` holds outcomes, which count in thousandths: 7 points are 7000.
- Every number from the literature has a `source`, and a threshold its `sample`.

LOINC is copyright of Regenstrief Institute, Inc. and the LOINC Committee, and available at no cost under the licence at loinc.org/license.
";

fn page() -> Result<String, Error> {
    let mut text = String::from(INTRODUCTION);
    let all = Registry::built_in().all();
    text.push_str("| id | what | time | licence | scoring | missing answers | better is | bands, cut-offs, change |\n");
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for instrument in all {
        writeln!(
            text,
            "| [{id}](#{id}) | {} | {} | {} | {} | {} | {} | {} |",
            instrument.construct,
            instrument.recall.words,
            licence(instrument.licence.class),
            scoring(instrument),
            missing(&instrument.missing),
            better(instrument.direction),
            thresholds(instrument),
            id = instrument.id,
        )?;
    }
    for instrument in all {
        section(&mut text, instrument)?;
    }
    text.push('\n');
    text.push_str(AFTER);
    Ok(text)
}

fn section(text: &mut String, instrument: &Instrument) -> Result<(), Error> {
    writeln!(text, "\n### {}\n", instrument.id)?;
    writeln!(text, "{}, version {}.\n", instrument.title, instrument.version)?;
    let Licence { class, terms, source } = &instrument.licence;
    writeln!(text, "- Licence {}: {terms} [{source}]", licence(*class))?;
    let who: Vec<&str> = instrument.answered_by.iter().map(|who| respondent(*who)).collect();
    writeln!(text, "- Answered by {}; time: {}", who.join(" or "), instrument.recall.words)?;
    if let Some(event) = &instrument.index_event {
        writeln!(text, "- Index event: {event}")?;
    }
    writeln!(text, "- Scoring: {}", scoring(instrument))?;
    if let Scoring::Table { source, .. } = &instrument.scoring {
        writeln!(text, "  - table [{source}]")?;
    }
    if let Some(gate) = &instrument.gate {
        writeln!(
            text,
            "- Gate: {} answered {} ends it with {} points [{}]",
            gate.item, gate.value, gate.score, gate.source
        )?;
    }
    write!(text, "- Missing answers: {}", missing(&instrument.missing))?;
    match &instrument.missing {
        MissingRule::AllNeeded {} => writeln!(text)?,
        MissingRule::Prorate { source, .. } => writeln!(text, " [{source}]")?,
    }
    for subscale in &instrument.subscales {
        let items: Vec<&str> = subscale.items.iter().map(|id| short(instrument, id)).collect();
        let how = match subscale.scoring {
            SubscaleScoring::Sum { times: 1 } => "sum".to_owned(),
            SubscaleScoring::Sum { times } => format!("sum × {times}"),
            SubscaleScoring::Mean {} => "mean".to_owned(),
        };
        writeln!(text, "- Subscale {}: {how} of {} [{}]", subscale.label, items.join(", "), subscale.source)?;
        if let Some(source) = &subscale.band_source {
            writeln!(text, "  - bands {} [{source}]", bands(&subscale.bands))?;
        }
    }
    if let Some(source) = &instrument.band_source {
        writeln!(text, "- Bands: {} [{source}]", bands(&instrument.bands))?;
    }
    for cut_off in &instrument.cut_offs {
        let CutOff { id, label, purpose, applies_to, rule, sample, source } = cut_off;
        let purpose = match purpose {
            Purpose::Screen => "screen",
            Purpose::Case => "case",
            Purpose::ProvisionalDiagnosis => "pattern of a diagnosis",
            Purpose::Favourable => "hoped for",
        };
        let whom = match applies_to {
            AppliesTo::Everyone => "",
            AppliesTo::Women => ", women",
            AppliesTo::Men => ", men",
        };
        writeln!(text, "- Cut-off `{id}`, {purpose}{whom}: {}. {label}. {sample} [{source}]", cut(rule))?;
    }
    for Change { id, kind, rule, sample, source } in &instrument.changes {
        writeln!(text, "- Change `{id}`, {}: {}. {sample} [{source}]", kind_of(*kind), change(rule))?;
    }
    for RiskItem { item, at_least, source } in &instrument.risk_items {
        writeln!(text, "- Risk item: {item} from {at_least} on [{source}]")?;
    }
    loinc(text, instrument)?;
    for LeftOut { what, why } in &instrument.left_out {
        let end = if what.ends_with(['.', '?']) { "" } else { "." };
        writeln!(text, "- Left out: {what}{end} {why}")?;
    }
    Ok(())
}

fn loinc(text: &mut String, instrument: &Instrument) -> Result<(), Error> {
    let Loinc { panel, total, source } = &instrument.loinc;
    let items: Vec<&str> = instrument.items.iter().filter_map(|item| item.loinc.as_deref()).collect();
    let mut codes = Vec::new();
    codes.extend(panel.as_ref().map(|panel| format!("panel {panel}")));
    codes.extend(total.as_ref().map(|total| format!("total {total}")));
    if !items.is_empty() {
        codes.push(format!("items {}", items.join(", ")));
    }
    if codes.is_empty() {
        return Ok(());
    }
    let source = source.as_ref().map_or(String::new(), |source| format!(" [{source}]"));
    writeln!(text, "- LOINC: {}{source}", codes.join("; "))
}

fn licence(class: LicenceClass) -> &'static str {
    match class {
        LicenceClass::A => "A",
        LicenceClass::B => "B",
        LicenceClass::C => "C",
    }
}

fn respondent(who: Respondent) -> &'static str {
    match who {
        Respondent::Member => "the member",
        Respondent::Proxy => "a proxy",
        Respondent::Clinician => "a clinician who reads it out",
    }
}

fn better(direction: Direction) -> &'static str {
    match direction {
        Direction::HigherIsWorse => "lower",
        Direction::HigherIsBetter => "higher",
    }
}

/// The id of an item without that of its instrument.
fn short<'a>(instrument: &Instrument, id: &'a str) -> &'a str {
    id.strip_prefix(&instrument.id).and_then(|rest| rest.strip_prefix('.')).unwrap_or(id)
}

/// Such as `16 × 1–5 (r 1, 3), sum, 16–80`.
fn scoring(instrument: &Instrument) -> String {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for item in instrument.scored_items() {
        let points: Vec<i32> =
            instrument.options(item).iter().map(|option| instrument.points(item, option.value)).collect();
        let mut distinct = points.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let (least, most) = (distinct.first().copied().unwrap_or(0), distinct.last().copied().unwrap_or(0));
        let is_row = distinct.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let listed: Vec<String> = distinct.iter().map(i32::to_string).collect();
        let kind = if is_row { format!("{least}–{most}") } else { listed.join("/") };
        match kinds.iter_mut().find(|known| known.0 == kind) {
            Some(known) => known.1 += 1,
            None => kinds.push((kind, 1)),
        }
    }
    let kinds: Vec<String> = kinds.into_iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    let reversed: Vec<&str> =
        instrument.items.iter().filter(|item| item.reverse).map(|item| short(instrument, &item.id)).collect();
    let reversed = if reversed.is_empty() { String::new() } else { format!(" (r {})", reversed.join(", ")) };
    let how = match &instrument.scoring {
        Scoring::Sum { times: 1, at_most: None } => "sum".to_owned(),
        Scoring::Sum { times: 1, at_most: Some(most) } => format!("sum, at most {most}"),
        Scoring::Sum { times, .. } => format!("sum × {times}"),
        Scoring::Mean {} => "mean".to_owned(),
        Scoring::MeanOfSubscales {} => "mean of the subscales' means".to_owned(),
        Scoring::Table { .. } => "sum looked up in a table".to_owned(),
        Scoring::SubscalesOnly {} => "no total, each subscale".to_owned(),
    };
    format!("{}{reversed}, {how}, {}–{}", kinds.join(" and "), instrument.range.min, instrument.range.max)
}

fn missing(rule: &MissingRule) -> String {
    match rule {
        MissingRule::AllNeeded {} => "all needed".to_owned(),
        MissingRule::Prorate { up_to, rounding, .. } => {
            let rounding = match rounding {
                Rounding::WholePoint => "to a whole point",
                Rounding::Thousandth => "not rounded",
            };
            format!("up to {up_to}, prorated {rounding}")
        }
    }
}

fn thresholds(instrument: &Instrument) -> String {
    let mut parts = Vec::new();
    if !instrument.bands.is_empty() {
        let edges: Vec<String> = instrument.bands.iter().map(stretch).collect();
        parts.push(edges.join(", "));
    }
    if instrument.subscales.iter().any(|subscale| !subscale.bands.is_empty()) {
        parts.push("bands by subscale".to_owned());
    }
    parts.extend(instrument.cut_offs.iter().map(|cut_off| cut(&cut_off.rule)));
    parts.extend(instrument.changes.iter().map(|one| format!("{} {}", kind_of(one.kind), change(&one.rule))));
    if parts.is_empty() { "–".to_owned() } else { parts.join("; ") }
}

fn bands(bands: &[Band]) -> String {
    let shown: Vec<String> = bands.iter().map(|band| format!("{} {}", stretch(band), band.label)).collect();
    shown.join("; ")
}

fn stretch(band: &Band) -> String {
    if band.from == band.to { band.from.to_string() } else { format!("{}–{}", band.from, band.to) }
}

fn cut(rule: &CutOffRule) -> String {
    match rule {
        CutOffRule::Total { at_least } => format!("≥ {at_least}"),
        CutOffRule::TotalAtMost { at_most } => format!("≤ {at_most}"),
        CutOffRule::Subscale { subscale, at_least } => format!("{subscale} ≥ {at_least}"),
        CutOffRule::Symptoms { item_at_least, needs } => {
            let needs: Vec<String> = needs.iter().map(|(subscale, count)| format!("{count} {subscale}")).collect();
            format!("items ≥ {item_at_least}: at least {}", needs.join(", "))
        }
    }
}

fn kind_of(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Reliable => "reliable",
        ChangeKind::ClinicallySignificant => "clinically significant",
        ChangeKind::MinimalImportant => "minimal important",
        ChangeKind::Response => "response",
        ChangeKind::Remission => "remission",
    }
}

fn change(rule: &ChangeRule) -> String {
    match rule {
        ChangeRule::Points { at_least } => at_least.to_string(),
        ChangeRule::PointsBetween { from, to } => format!("{from} to {to}"),
        ChangeRule::Percent { at_least } => format!("{at_least} %"),
        ChangeRule::ScoreAtMost { at_most } => format!("≤ {at_most}"),
    }
}
