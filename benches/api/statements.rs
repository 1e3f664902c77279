//! The statements of the server itself: overheard from one request, sent again on a bare connection, explained.

use std::{collections::HashMap, sync::Mutex};

use circlekeeper::values::Id;
use diesel::connection::{InstrumentationEvent, set_default_instrumentation};

use crate::bare::{Bare, Value};

/// What connections made from now on send, once somebody listens.
static OVERHEARD: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// One statement with the values that it was sent with.
#[derive(Clone, Debug)]
pub struct Overheard {
    /// With `?` for each value.
    pub sql: String,
    /// As they were written; `None` where they are of no kind that can be sent again.
    pub values: Option<Vec<Value>>,
}

/// Lets connections that are made from now on be overheard.
pub fn begin() {
    set_default_instrumentation(|| {
        Some(Box::new(|event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event
                && let text = query.to_string()
                // A pool may open a connection meanwhile: its settings belong to no request.
                && !text.starts_with("PRAGMA") && !text.starts_with("SET ")
                && let Some(heard) = OVERHEARD.lock().expect("nobody panics").as_mut()
            {
                heard.push(text);
            }
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
    heard.iter().map(|text| read(text)).collect()
}

fn read(text: &str) -> Overheard {
    let (sql, values) = text.rsplit_once(" -- binds: ").unwrap_or((text, "[]"));
    let mut portable = String::new();
    let mut rest = sql;
    while let Some(at) = rest.find('$') {
        portable.push_str(&rest[..at]);
        portable.push('?');
        rest = rest[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    portable.push_str(rest);
    Overheard { sql: portable, values: values_of(values) }
}

/// Reads what `Debug` wrote of ids, moments, numbers, truth, text and words.
fn values_of(text: &str) -> Option<Vec<Value>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    // One list in one value, as PostgreSQL has them, holds commas of its own.
    let mut depth = 0;
    let parts = inner.split_inclusive(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    let parts = parts.map(|part| part.trim().trim_end_matches(',')).filter(|part| !part.is_empty());
    parts.map(value_of).collect()
}

fn value_of(part: &str) -> Option<Value> {
    let inside =
        |part: &str, name: &str| part.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')').map(str::to_owned);
    let some = inside(part, "Some");
    let part = some.as_deref().unwrap_or(part);
    if let Some(id) = inside(part, "Id") {
        return id.parse().ok().map(Value::Id);
    }
    if let Some(ids) = part.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let ids = ids.split(", ").map(|id| inside(id, "Id")?.parse().ok());
        return ids.collect::<Option<_>>().map(Value::Ids);
    }
    if let Some(moment) = inside(part, "Moment") {
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
    // A word of a closed list: `Held` is kept as `held`.
    if part.starts_with(|c: char| c.is_ascii_uppercase()) && part.chars().all(|c| c.is_ascii_alphabetic()) {
        return Some(Value::Text(part.to_ascii_lowercase()));
    }
    part.parse().ok().map(Value::Big)
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
