//! An export as a page to print: one file that needs nothing else, in which nothing that was written can act, and which
//! somebody can read who knows neither ids nor codes.

use std::{
    collections::HashMap,
    fmt::{Display, Write},
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{Record, RedisclosureNotice, Table};
use crate::{
    rules::instruments::Registry,
    values::{Id, Moment},
};

/// What stands above the tables.
pub struct Heading<'a> {
    /// Shown on the page; the file's own title stays neutral, because windows and printers show it to others.
    pub title: &'a str,
    /// Label and value, line by line.
    pub facts: Vec<(&'static str, String)>,
    pub notice: Option<&'a RedisclosureNotice>,
}

/// What stands on paper for ids and moments: a session is its time and its title, a measure its instrument and its day,
/// and times are those of one zone. An id without a name is not shown.
pub struct Names {
    zone: TimeZone,
    names: HashMap<Id, String>,
}

impl Names {
    /// Nothing but the zone (IANA); UTC where it is not known.
    pub fn in_zone(zone: &str) -> Names {
        Names { zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC), names: HashMap::new() }
    }

    /// Those of a record. A member is named where there are several: of one alone, all is theirs.
    pub fn of(record: &Record, zone: &str) -> Names {
        let mut names = Names::in_zone(zone);
        for row in record.members.iter().filter(|_| record.members.len() > 1) {
            names.add(row.member, row.name.clone());
        }
        for row in &record.sessions {
            let at = names.time(row.starts_at);
            names.add(row.session, row.title.as_ref().map_or_else(|| at.clone(), |title| format!("{at}, {title}")));
        }
        for row in &record.measures {
            names.add_measure(row.measure, (&row.instrument, &row.instrument_version), row.taken_at);
        }
        for row in &record.risks {
            let measure = names.names.get(&row.measure).cloned();
            names.add(row.mark, measure.unwrap_or_else(|| names.time(row.raised_at)));
        }
        names
    }

    /// The goals of a record, by the wording that stands, where wordings are among its rows.
    pub fn add_goals(&mut self, record: &Record) {
        for goal in &record.worked_on.goals {
            let mut wordings = record.worked_on.goal_wordings.iter().filter(|wording| wording.goal == goal.goal);
            if let Some(stands) = wordings.find(|wording| wording.number == goal.wording) {
                self.add(goal.goal, stands.text.clone());
            }
        }
    }

    pub fn add_measure(&mut self, id: Id, instrument: (&str, &str), taken_at: Moment) {
        let known = Registry::built_in().find(instrument.0, instrument.1);
        let title = known.map_or(instrument.0, |known| short(&known.title));
        let day = taken_at.timestamp().to_zoned(self.zone.clone()).date();
        self.add(id, format!("{title}, {day}"));
    }

    pub fn add(&mut self, id: Id, name: String) {
        self.names.insert(id, name);
    }

    /// `2026-09-06 18:30`.
    pub fn time(&self, at: Moment) -> String {
        at.timestamp().to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// A value in words.
    fn words(&self, column: &str, value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::Bool(true) => "yes".into(),
            Value::Bool(false) => "no".into(),
            // `10.0` is ten.
            Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
            Value::String(text) => self.text(column, text),
            Value::Array(items) => items.iter().map(|item| self.words(column, item)).collect::<Vec<_>>().join("\n"),
            Value::Object(fields) => {
                let said = fields.iter().filter(|(_, value)| !value.is_null());
                let lines = said.map(|(name, value)| format!("{}: {}", title(name), self.words(name, value)));
                lines.collect::<Vec<_>>().join("\n")
            }
        }
    }

    fn text(&self, column: &str, text: &str) -> String {
        if let Some(id) = text.parse::<Id>().ok().filter(|_| text.len() == 36) {
            return self.names.get(&id).cloned().unwrap_or_default();
        }
        // As moments are written here, and nothing else.
        if let Some(at) = text.parse::<Timestamp>().ok().filter(|_| text.len() == 24 && text.ends_with('Z')) {
            return self.time(Moment::from(at));
        }
        match column {
            "instrument" => {
                Registry::built_in().current(text).map_or_else(|| text.to_owned(), |known| known.title.clone())
            }
            "item" => text.rsplit_once('.').map_or(text, |(_, number)| number).to_owned(),
            _ if CODES.contains(&column) => text.replace(['_', '-'], " "),
            _ => text.to_owned(),
        }
    }
}

/// `PHQ-9` of `Patient Health Questionnaire (PHQ-9)`.
fn short(title: &str) -> &str {
    title.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')).map_or(title, |(_, short)| short)
}

/// Columns that hold a word of a closed list, written with underscores or hyphens. What somebody wrote stays as it is.
const CODES: [&str; 30] = [
    "appeal_outcome",
    "band",
    "basis",
    "consequence",
    "delivered",
    "disposition",
    "ended_as",
    "kind",
    "modality",
    "mood",
    "no_score",
    "outcome",
    "parts",
    "proposed_as",
    "purpose",
    "rated_as",
    "record_kind",
    "reported_as",
    "respondent",
    "risk",
    "said",
    "service",
    "standing",
    "state",
    "status",
    "step",
    "subscale",
    "technique",
    "visibility",
    "written_as",
];

/// What a reader looks for first: whose, what about, when, what came of it. Other columns follow in their own order.
const FIRST: [&str; 51] = [
    "member",
    "group",
    "goal",
    "measure",
    "mark",
    "name",
    "at",
    "starts_at",
    "from_at",
    "from_on",
    "until_at",
    "until_on",
    "started_at",
    "made_at",
    "sent_at",
    "received_at",
    "taken_at",
    "occurred_at",
    "rated_at",
    "raised_at",
    "proposed_on",
    "given_on",
    "local_day",
    "disclosed_at",
    "set_at",
    "month",
    "session",
    "title",
    "number",
    "instrument",
    "item",
    "question",
    "value",
    "label",
    "subscale",
    "score",
    "band",
    "no_score",
    "step",
    "state",
    "status",
    "rated_as",
    "level",
    "text",
    "much_less",
    "less",
    "expected",
    "more",
    "much_more",
    "said",
    "words",
];

/// What says nothing on paper: versions and ids are for whoever reckons with the rows.
const LEFT_OUT: [&str; 3] = ["id", "version", "instrument_version"];

/// The column that names the rows of a part to the others, where other columns of the row say the same.
const OWN: [(&str, &str); 4] =
    [("members", "member"), ("sessions", "session"), ("measures", "measure"), ("risks", "mark")];

const STYLE: &str = "\
body{font:11pt/1.4 Georgia,serif;color:#111;background:#fff;margin:2rem auto;max-width:60rem;padding:0 1rem}\
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.15rem;margin:1.6rem 0 .4rem;break-after:avoid}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0}dt{font-weight:bold}dd{margin:0}\
aside{border:2px solid #111;padding:.6rem .8rem;margin:1rem 0}\
table{border-collapse:collapse;font:8.5pt/1.3 Arial,sans-serif}.wide table{font-size:7.5pt}\
th,td{border:1px solid #767676;padding:.15rem .3rem;text-align:left;vertical-align:top;white-space:pre-line;\
overflow-wrap:normal;hyphens:none}\
.number{white-space:nowrap}.long{min-width:14rem}.unbroken{overflow-wrap:anywhere;min-width:14rem}\
.meanings{font:8pt/1.35 Arial,sans-serif;margin:.3rem 0}\
thead{display:table-header-group}tr{break-inside:avoid}\
@page{size:A4 portrait;margin:15mm}@page wide{size:A4 landscape;margin:12mm}\
@media print{body{margin:0;max-width:none;padding:0}.wide{page:wide}}";

/// Columns from which a table is printed across.
const WIDE: usize = 7;

/// The page. Every text is escaped; there is no script, no link and no picture in it. Parts and columns that say nothing
/// are left out.
pub fn report(heading: &Heading, tables: &[Table], names: &Names) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Record</title>\n",
    );
    add(&mut page, format_args!("<style>{STYLE}</style>\n</head>\n<body>\n<header>\n"));
    add(&mut page, format_args!("<h1>{}</h1>\n<dl>\n", escaped(heading.title)));
    for (label, value) in &heading.facts {
        add(&mut page, format_args!("<dt>{label}</dt><dd>{}</dd>\n", escaped(value)));
    }
    page.push_str("</dl>\n</header>\n");
    if let Some(notice) = heading.notice {
        add(&mut page, format_args!("<aside><strong>{}</strong>", escaped(notice.statement)));
        if let Some(scope) = &notice.consent_scope {
            add(&mut page, format_args!("<p>Scope of the consent: {}</p>", escaped(scope)));
        }
        page.push_str("</aside>\n");
    }
    page.push_str("<main>\n");
    for table in tables {
        section(&mut page, table, names);
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Writing into a string cannot fail.
fn add(page: &mut String, text: impl Display) {
    let _ = write!(page, "{text}");
}

/// A column as it is printed.
struct Column<'a> {
    name: &'a str,
    meaning: &'a str,
    cells: Vec<String>,
}

/// The columns that say something, in the order in which they are read.
fn columns<'a>(table: &'a Table, names: &Names) -> Vec<Column<'a>> {
    let is_own = |column: &str| OWN.contains(&(table.name.as_str(), column));
    let mut columns: Vec<Column> = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| !LEFT_OUT.contains(&name.as_str()) && !is_own(name))
        .map(|(index, (name, meaning))| Column {
            name,
            meaning,
            cells: table.rows.iter().map(|row| names.words(name, &row[index])).collect(),
        })
        .filter(|column| column.cells.iter().any(|cell| !cell.is_empty()))
        .collect();
    let session = columns.iter().position(|column| column.name == "session");
    // A session says when it was.
    if session.is_some_and(|index| columns[index].cells.iter().all(|cell| !cell.is_empty())) {
        columns.retain(|column| column.name != "starts_at");
    }
    columns.sort_by_key(|column| FIRST.iter().position(|name| *name == column.name).unwrap_or(FIRST.len()));
    columns
}

fn section(page: &mut String, table: &Table, names: &Names) {
    let columns = columns(table, names);
    if columns.is_empty() {
        return;
    }
    let class = if columns.len() > WIDE { " class=\"wide\"" } else { "" };
    add(page, format_args!("<section{class}>\n<h2>{}</h2>\n<table>\n<thead><tr>", escaped(&title(&table.name))));
    for column in &columns {
        add(page, format_args!("<th scope=\"col\">{}</th>", escaped(&title(column.name))));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in 0..table.rows.len() {
        page.push_str("<tr>");
        for column in &columns {
            let cell = &column.cells[row];
            add(page, format_args!("<td{}>{}</td>", class_of(cell), escaped(cell)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n<p class=\"meanings\">");
    for column in &columns {
        add(page, format_args!("<b>{}:</b> {} ", escaped(&title(column.name)), escaped(column.meaning)));
    }
    page.push_str("</p>\n</section>\n");
}

/// How a cell breaks: numbers and times never, sentences between words, and inside alone what is longer than any word.
fn class_of(cell: &str) -> &'static str {
    let is_number = cell.bytes().all(|byte| byte.is_ascii_digit() || b" -:.".contains(&byte));
    let is_unbroken = || cell.split_whitespace().any(|word| word.chars().count() > 40);
    match cell.chars().count() {
        1.. if is_number => " class=\"number\"",
        1.. if is_unbroken() => " class=\"unbroken\"",
        60.. => " class=\"long\"",
        _ => "",
    }
}

/// `taken_at` as `Taken at`.
fn title(name: &str) -> String {
    let mut letters = name.replace('_', " ").chars().collect::<Vec<_>>().into_iter();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Text in which nothing is markup (OWASP, Cross Site Scripting Prevention: the five characters).
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
