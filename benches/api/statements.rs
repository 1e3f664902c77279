//! The statements of the server itself: overheard from one request, sent again on a bare connection, explained.

use std::{collections::HashMap, sync::Mutex, time::Instant};

use circlekeeper::values::Id;
use diesel::connection::{InstrumentationEvent, set_default_instrumentation};

use crate::bare::{Bare, Value};

/// What connections made from now on send, once somebody listens.
static OVERHEARD: Mutex<Option<Vec<Sent>>> = Mutex::new(None);

/// A statement as it was written, and what became of it.
struct Sent {
    text: String,
    micros: Option<f64>,
}

/// One statement with the values that it was sent with.
#[derive(Clone, Debug)]
pub struct Overheard {
    /// With `?` for each value.
    pub sql: String,
    /// As they were written; `None` where they are of no kind that can be sent again.
    pub values: Option<Vec<Value>>,
    /// Until the server had every row of it, decoded; `None` where it never did.
    pub micros: Option<f64>,
}

/// Lets connections that are made from now on be overheard.
pub fn begin() {
    set_default_instrumentation(|| {
        // Each connection sends one statement after the other.
        let mut sent: Option<(String, Instant)> = None;
        Some(Box::new(move |event: InstrumentationEvent<'_>| match event {
            InstrumentationEvent::StartQuery { query, .. } => {
                let text = query.to_string();
                // A pool may open a connection meanwhile: its settings belong to no request.
                if !text.starts_with("PRAGMA")
                    && !text.starts_with("SET ")
                    && let Some(heard) = OVERHEARD.lock().expect("nobody panics").as_mut()
                {
                    heard.push(Sent { text: text.clone(), micros: None });
                    sent = Some((text, Instant::now()));
                }
            }
            InstrumentationEvent::FinishQuery { .. } => {
                if let Some((text, begun)) = sent.take()
                    && let micros = begun.elapsed().as_secs_f64() * 1e6
                    && let Some(heard) = OVERHEARD.lock().expect("nobody panics").as_mut()
                    && let Some(one) = heard.iter_mut().rev().find(|one| one.text == text && one.micros.is_none())
                {
                    one.micros = Some(micros);
                }
            }
            _ => {}
        }))
    })
    .expect("nobody panics");
}

pub fn end() {
    set_default_instrumentation(|| None).expect("nobody panics");
}

/// The statements that were sent during `work`.
pub fn overhear(work: impl FnOnce()) -> Vec<Overheard> {
    *OVERHEARD.lock().expect("nobody panics") = Some(Vec::new());
    work();
    let heard = OVERHEARD.lock().expect("nobody panics").take().unwrap_or_default();
    heard.iter().map(read).collect()
}

fn read(sent: &Sent) -> Overheard {
    let text = sent.text.as_str();
    let (sql, values) = text.rsplit_once(" -- binds: ").unwrap_or((text, "[]"));
    let mut portable = String::new();
    let mut rest = sql;
    while let Some(at) = rest.find('$') {
        portable.push_str(&rest[..at]);
        portable.push('?');
        rest = rest[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    portable.push_str(rest);
    Overheard { sql: portable, values: values_of(values), micros: sent.micros }
}

impl Overheard {
    /// Whether a database has a plan for it.
    pub fn is_planned(&self) -> bool {
        let verb = self.sql.split_whitespace().next().unwrap_or_default();
        matches!(verb, "SELECT" | "UPDATE" | "DELETE" | "INSERT")
    }

    /// The same text for every length of a list of values.
    pub fn shape(&self) -> String {
        let mut shape = self.sql.clone();
        for (long, short) in
            [("?, ?", "?"), ("(?), (?)", "(?)"), ("?, NULL", "?"), ("NULL, ?", "?"), ("?, DEFAULT", "?")]
        {
            while shape.contains(long) {
                shape = shape.replace(long, short);
            }
        }
        while shape.contains("(?), (?)") {
            shape = shape.replace("(?), (?)", "(?)");
        }
        shape
    }
}

/// The parts of a list, lists in it left whole.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begun) = (Vec::new(), 0_usize, 0);
    if text.is_empty() {
        return parts;
    }
    for (at, letter) in text.char_indices() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 && text[at..].starts_with(", ") => {
                parts.push(&text[begun..at]);
                begun = at + 2;
            }
            _ => {}
        }
    }
    parts.push(&text[begun..]);
    parts
}

fn id_of(text: &str) -> Option<Id> {
    text.strip_prefix("Id(")?.strip_suffix(')')?.parse().ok()
}

/// A word as the database spells it: `NoShow` is kept as `no_show`.
fn word_of(name: &str) -> Option<String> {
    let is_name = name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric());
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    is_name.then_some(word)
}

/// Reads what `Debug` wrote of ids, moments, numbers, truth, words and text.
fn values_of(text: &str) -> Option<Vec<Value>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    parts(inner)
        .into_iter()
        .map(|part| {
            let part = part.strip_prefix("Some(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(part);
            if let Some(id) = id_of(part) {
                return Some(Value::Id(id));
            }
            if let Some(list) = part.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                return parts(list).into_iter().map(id_of).collect::<Option<_>>().map(Value::Ids);
            }
            if let Some(moment) = part.strip_prefix("Moment(").and_then(|rest| rest.strip_suffix(')')) {
                return moment.parse().ok().map(Value::Big);
            }
            match part {
                "true" => return Some(Value::Bool(true)),
                "false" => return Some(Value::Bool(false)),
                _ => {}
            }
            if let Some(text) = part.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
                return Some(Value::Text(text.to_owned()));
            }
            part.parse().ok().map(Value::Big).or_else(|| word_of(part).map(Value::Text))
        })
        .collect()
}

/// The same statements for other people: ids that are named are put in place of those that were overheard.
pub fn again(heard: &[Overheard], replaced: &HashMap<Id, Id>) -> Vec<(String, Vec<Value>)> {
    heard
        .iter()
        .map(|statement| {
            let values = statement.values.as_ref().unwrap_or_else(|| panic!("cannot be sent again: {statement:?}"));
            let values = values
                .iter()
                .map(|value| match value {
                    Value::Id(id) => Value::Id(*replaced.get(id).unwrap_or(id)),
                    Value::Ids(ids) => Value::Ids(ids.iter().map(|id| *replaced.get(id).unwrap_or(id)).collect()),
                    other => other.clone(),
                })
                .collect();
            (statement.sql.clone(), values)
        })
        .collect()
}

/// What a database says of how it runs a statement, and whether it goes through a whole table.
pub fn explain(bare: &mut Bare, sql: &str) -> (Vec<String>, bool) {
    match bare {
        Bare::Sqlite(_) => {
            let plan = bare.details(&format!("EXPLAIN QUERY PLAN {sql}"));
            let scans = plan
                .iter()
                .any(|line| line.starts_with("SCAN") && !line.contains("CONSTANT") && !line.contains("VALUES"));
            (plan, scans)
        }
        #[cfg(feature = "postgres")]
        Bare::Postgres(_) => {
            let mut numbered = String::new();
            for (index, piece) in sql.split('?').enumerate() {
                if index > 0 {
                    numbered.push_str(&format!("${index}"));
                }
                numbered.push_str(piece);
            }
            bare.batch("SET plan_cache_mode = force_generic_plan");
            bare.batch(&format!("PREPARE explained AS {numbered}"));
            let values = vec!["NULL"; sql.matches('?').count()].join(", ");
            let execute = if values.is_empty() { "explained".to_owned() } else { format!("explained({values})") };
            let plan = bare.details(&format!("EXPLAIN (COSTS OFF) EXECUTE {execute}"));
            bare.batch("DEALLOCATE explained");
            // A table of a few rows is read whole with good reason.
            let tables: Vec<&str> =
                plan.iter().filter_map(|line| line.split_once("Seq Scan on ")?.1.split_whitespace().next()).collect();
            let scans = tables.iter().any(|table| {
                let sql = format!("SELECT 1 FROM pg_class WHERE relname = '{table}' AND reltuples > 1000");
                bare.fetch(&sql, &[]) > 0
            });
            (plan, scans)
        }
    }
}
