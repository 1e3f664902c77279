//! What is kept, in the words of FHIR R4 (4.0.1, <https://hl7.org/fhir/R4>): questionnaires and bundles.
//!
//! Names of our own are URNs: `urn:circlekeeper:instrument:phq-9` is a questionnaire, and
//! `urn:circlekeeper:instrument:phq-9:1:frequency` one of its lists of options. LOINC codes stand where the registry has
//! confirmed one.

mod bundles;
mod questionnaires;

use serde_json::{Value, json};

use super::instruments::{Instrument, Item, ResponseOption};
use crate::values::Id;

pub use bundles::{Taken, bundle};
pub use questionnaires::{
    Administration, Coding, Extension, QuestionnaireResponse, Reference, ResourceType, Response, ResponseAnswer,
    ResponseItem, Status, questionnaire, questionnaire_response, read_response,
};

/// The media type of FHIR in JSON.
pub const MEDIA: &str = "application/fhir+json";

const LOINC: &str = "http://loinc.org";
const DATA_ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
/// Data absent reason: asked, and refused.
const ASKED_DECLINED: &str = "asked-declined";

/// The canonical name of an instrument, without its version.
fn canonical(instrument: &str) -> String {
    format!("urn:circlekeeper:instrument:{instrument}")
}

fn urn(id: Id) -> String {
    format!("urn:uuid:{id}")
}

fn reference(id: Id) -> Value {
    json!({"reference": urn(id)})
}

fn coding(system: &str, code: &str) -> Value {
    json!({"system": system, "code": code})
}

fn concept(system: &str, code: &str) -> Value {
    json!({"coding": [coding(system, code)]})
}

/// The code system of an item's list of options.
fn option_system(instrument: &Instrument, item: &Item) -> String {
    format!("{}:{}:{}", canonical(&instrument.id), instrument.version, item.responses)
}

/// An option as its LOINC answer where it has one, else under its value.
fn option_coding(instrument: &Instrument, item: &Item, option: &ResponseOption) -> Value {
    let mut shown = match &option.loinc {
        Some(code) => coding(LOINC, code),
        None => coding(&option_system(instrument, item), &option.value.to_string()),
    };
    if let Some(label) = &option.label {
        shown["display"] = json!(label);
    }
    shown
}

/// Leaves out what has no value: FHIR knows neither null nor an empty list.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, without_nothing(value)));
            Value::Object(fields.filter(|(_, value)| !is_nothing(value)).collect())
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().map(without_nothing).filter(|item| !is_nothing(item)).collect())
        }
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
