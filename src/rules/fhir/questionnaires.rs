//! Instruments as questionnaires, and administrations as questionnaire responses, out and in.

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{ASKED_DECLINED, DATA_ABSENT, LOINC, canonical, coding, option_coding, option_system, without_nothing};
use crate::{
    rules::{
        Refusal,
        instruments::{Answers, Instrument, Item, Registry},
        measures::Respondent,
    },
    values::{Few, Id, Moment, Text},
    words,
};

/// Items that only show something; they stand where the instrument has such words.
const INSTRUCTIONS: &str = "instructions";
const STEM: &str = "stem";

/// An instrument as a FHIR R4 Questionnaire. Texts that the licence keeps out are marked as masked; codes, options and
/// scoring weights are there all the same.
pub fn questionnaire(instrument: &Instrument) -> Value {
    let mut items: Vec<Value> = Vec::new();
    if let Some(text) = &instrument.instructions {
        items.push(json!({"linkId": INSTRUCTIONS, "text": text, "type": "display"}));
    }
    let gate = instrument.gate.as_ref();
    // The words that the items complete stand behind the question that decides whether they are asked.
    let mut stem = instrument.stem.as_ref();
    for item in &instrument.items {
        let is_gate = gate.is_some_and(|gate| gate.item == item.id);
        if let Some(text) = stem.take_if(|_| !is_gate) {
            let shown = json!({"linkId": STEM, "text": text, "type": "display", "enableWhen": when(instrument)});
            items.push(shown);
        }
        items.push(question(instrument, item, is_gate));
    }
    let name: String = capitalized(&instrument.id);
    without_nothing(json!({
        "resourceType": "Questionnaire",
        "id": format!("{}-{}", instrument.id, instrument.version),
        "language": instrument.language,
        "url": canonical(&instrument.id),
        "version": instrument.version,
        "name": name,
        "title": instrument.title,
        "status": "active",
        "subjectType": ["Patient"],
        "description": format!("{}, {}", instrument.construct, instrument.recall.words),
        "copyright": instrument.notice.as_ref().unwrap_or(&instrument.licence.terms),
        "code": instrument.loinc.panel.iter().map(|code| coding(LOINC, code)).collect::<Vec<_>>(),
        "item": items,
    }))
}

/// `phq-9` as `Phq9`: a name that machines take (invariant que-0).
fn capitalized(id: &str) -> String {
    id.split('-')
        .flat_map(|part| {
            let first = part.chars().next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(part.chars().skip(1))
        })
        .collect()
}

fn question(instrument: &Instrument, item: &Item, is_gate: bool) -> Value {
    let options: Vec<Value> = instrument
        .options(item)
        .iter()
        .map(|option| {
            let mut shown = option_coding(instrument, item, option);
            if item.scored {
                shown["extension"] = json!([{
                    "url": "http://hl7.org/fhir/StructureDefinition/ordinalValue",
                    "valueDecimal": instrument.points(item, option.value),
                }]);
            }
            json!({"valueCoding": shown})
        })
        .collect();
    let mut shown = json!({
        "linkId": item.id,
        "code": item.loinc.iter().map(|code| coding(LOINC, code)).collect::<Vec<_>>(),
        "text": item.text,
        "type": "choice",
        // Nothing is required: a declined item is an answer too, and a missing one is never zero.
        "required": false,
        "enableWhen": if is_gate { Value::Null } else { when(instrument) },
        "answerOption": options,
    });
    if item.text.is_none() {
        shown["_text"] = json!({"extension": [{"url": DATA_ABSENT, "valueCode": "masked"}]});
    }
    shown
}

/// When anything after the gate is asked; null without a gate.
fn when(instrument: &Instrument) -> Value {
    let Some(gate) = &instrument.gate else { return Value::Null };
    let Some(item) = instrument.item(&gate.item) else { return Value::Null };
    let Some(ends) = instrument.options(item).iter().find(|option| option.value == gate.value) else {
        return Value::Null;
    };
    json!([{"question": gate.item, "operator": "!=", "answerCoding": option_coding(instrument, item, ends)}])
}

/// A measure, as a questionnaire response needs it.
#[derive(Clone, Debug)]
pub struct Administration<'a> {
    pub id: Id,
    /// How the member is named: `Patient/…`, or the full URL within a bundle.
    pub subject: String,
    /// The session, as an encounter of the same bundle.
    pub encounter: Option<String>,
    pub instrument: &'a str,
    pub instrument_version: &'a str,
    pub respondent: Respondent,
    pub taken_at: Moment,
    pub entered_in_error: bool,
    /// Whether it was corrected since it was first kept.
    pub amended: bool,
    pub answers: &'a Answers,
}

/// A measure as a FHIR R4 QuestionnaireResponse. A declined item stands without an answer and with the reason; an item
/// that was never answered does not stand there. Where answers are missing the status stays `completed`: what is there is
/// definitive, and no answer is still expected, which `in-progress` would say, or was broken off, which `stopped` would.
pub fn questionnaire_response(measure: &Administration) -> Value {
    // The texts of the repository alone: what a deployment's licence supplies stays with that deployment.
    let known = Registry::built_in().find(measure.instrument, measure.instrument_version);
    let status = match (measure.entered_in_error, measure.amended) {
        (true, _) => Status::EnteredInError,
        (false, true) => Status::Amended,
        (false, false) => Status::Completed,
    };
    let source = match measure.respondent {
        Respondent::Member => json!({"reference": measure.subject}),
        Respondent::Proxy => json!({"type": "RelatedPerson", "display": "A proxy of the member"}),
        Respondent::Clinician => json!({"type": "Practitioner", "display": "A clinician who asked the member"}),
    };
    without_nothing(json!({
        "resourceType": "QuestionnaireResponse",
        "id": measure.id,
        "questionnaire": format!("{}|{}", canonical(measure.instrument), measure.instrument_version),
        "status": status,
        "subject": {"reference": measure.subject},
        "encounter": measure.encounter.as_ref().map(|encounter| json!({"reference": encounter})),
        "authored": measure.taken_at,
        "source": source,
        "item": in_order(known, measure.answers).into_iter().map(|(id, value)| answered(known, id, value)).collect::<Vec<_>>(),
    }))
}

/// The answers in the order in which they are asked.
fn in_order<'a>(known: Option<&Instrument>, answers: &'a Answers) -> Vec<(&'a str, Option<i32>)> {
    let mut listed: Vec<(&str, Option<i32>)> = answers.0.iter().map(|(id, value)| (id.as_str(), *value)).collect();
    if let Some(known) = known {
        listed.sort_by_key(|(id, _)| known.items.iter().position(|item| item.id == *id));
    }
    listed
}

fn answered(known: Option<&Instrument>, id: &str, value: Option<i32>) -> Value {
    let asked = known.and_then(|known| Some((known, known.item(id)?)));
    let mut shown = json!({"linkId": id, "text": asked.and_then(|(_, item)| item.text.clone())});
    let option = |value| {
        asked.and_then(|(known, item)| {
            Some((known, item, known.options(item).iter().find(|option| option.value == value)?))
        })
    };
    match value {
        None => shown["extension"] = json!([{"url": DATA_ABSENT, "valueCode": ASKED_DECLINED}]),
        Some(value) => {
            shown["answer"] = match option(value) {
                Some((known, item, option)) => json!([{"valueCoding": option_coding(known, item, option)}]),
                None => json!([{"valueInteger": value}]),
            };
        }
    }
    shown
}

words! {
    /// The one resource that is read here.
    pub enum ResourceType { QuestionnaireResponse = "QuestionnaireResponse" }
}

words! {
    /// How far the answering has come (R4 value set questionnaire-answers-status).
    pub enum Status {
        InProgress = "in-progress",
        Completed = "completed",
        Amended = "amended",
        EnteredInError = "entered-in-error",
        Stopped = "stopped",
    }
}

/// A FHIR R4 QuestionnaireResponse, as far as it is read: answers to an instrument of the registry by `linkId`, each as the
/// option's coding or as its value. What a reader must not pass over (`modifierExtension`, `implicitRules`, `contained`)
/// and what R4 does not know is refused; identifiers, narrative and links to other systems' records are not kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "known to the specification, and not kept")]
pub struct QuestionnaireResponse {
    resource_type: ResourceType,
    #[schema(value_type = Option<String>)]
    id: Option<Value>,
    #[schema(value_type = Option<Object>)]
    meta: Option<Value>,
    #[schema(value_type = Option<String>)]
    language: Option<Value>,
    #[schema(value_type = Option<Object>)]
    text: Option<Value>,
    #[schema(value_type = Option<Object>)]
    identifier: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    based_on: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    part_of: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    extension: Option<Value>,
    #[schema(value_type = Option<Object>)]
    encounter: Option<Value>,
    #[schema(value_type = Option<Object>)]
    author: Option<Value>,
    /// `urn:circlekeeper:instrument:` and the instrument's id; a version after `|` has to be the current one.
    questionnaire: Text<1, 200>,
    /// `completed`, `amended` or `stopped`: what is still being answered is not taken.
    status: Status,
    /// `Patient/` and the member's id; oneself when not said, for a member.
    subject: Option<Reference>,
    /// When it was answered, with its offset; now when not said.
    authored: Option<Moment>,
    /// Who answered, by the type of the resource: a Patient, a RelatedPerson, a Practitioner. The subject when not said.
    source: Option<Reference>,
    #[serde(default)]
    item: Few<ResponseItem, 200>,
}

/// A reference to a person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "known to the specification, and not kept")]
pub struct Reference {
    #[schema(value_type = Option<String>)]
    id: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    extension: Option<Value>,
    reference: Option<Text<1, 300>>,
    #[serde(rename = "type")]
    kind: Option<Text<1, 100>>,
    #[schema(value_type = Option<Object>)]
    identifier: Option<Value>,
    #[schema(value_type = Option<String>)]
    display: Option<Value>,
}

/// The answer to one item.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "known to the specification, and not kept")]
pub struct ResponseItem {
    #[schema(value_type = Option<String>)]
    id: Option<Value>,
    /// A declined item has no answer and the extension `data-absent-reason` with `asked-declined`.
    #[serde(default)]
    extension: Few<Extension, 20>,
    link_id: Text<1, 80>,
    #[schema(value_type = Option<String>)]
    definition: Option<Value>,
    #[schema(value_type = Option<String>)]
    text: Option<Value>,
    #[serde(default)]
    answer: Few<ResponseAnswer, 10>,
}

/// One value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "known to the specification, and not kept")]
pub struct ResponseAnswer {
    #[schema(value_type = Option<String>)]
    id: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    extension: Option<Value>,
    value_coding: Option<Coding>,
    value_integer: Option<i32>,
}

/// An option, by its LOINC answer code or by its value in the instrument's own list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "known to the specification, and not kept")]
pub struct Coding {
    #[schema(value_type = Option<String>)]
    id: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    extension: Option<Value>,
    system: Option<Text<1, 300>>,
    #[schema(value_type = Option<String>)]
    version: Option<Value>,
    code: Option<Text<1, 100>>,
    #[schema(value_type = Option<String>)]
    display: Option<Value>,
    #[schema(value_type = Option<bool>)]
    user_selected: Option<Value>,
}

/// An extension; those that nobody here knows are passed over, as the specification allows.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Extension {
    url: Text<1, 300>,
    #[schema(value_type = Option<String>)]
    value_code: Option<Value>,
}

/// What a questionnaire response says.
#[derive(Debug)]
pub struct Response {
    pub instrument: String,
    /// The member's id; `None` where no subject is named.
    pub subject: Option<Id>,
    pub respondent: Respondent,
    pub taken_at: Option<Moment>,
    pub answers: Answers,
    /// The item of the response in which each answer stands, for a refusal that names it.
    positions: Vec<(String, usize)>,
}

impl Response {
    /// Where in the resource something stands that a rule of measures refused under its own name.
    pub fn element(&self, pointer: &str) -> String {
        let answer = pointer.strip_prefix("/answers/");
        let position = |item| self.positions.iter().find(|(known, _)| known == item).map(|(_, index)| *index);
        match (pointer, answer.and_then(position)) {
            (_, Some(index)) => format!("/item/{index}"),
            ("/member", _) => "/subject".into(),
            ("/respondent", _) => "/source".into(),
            ("/taken_at", _) => "/authored".into(),
            ("/instrument", _) => "/questionnaire".into(),
            // An item that the response leaves out.
            _ if pointer.starts_with("/answers") => "/item".into(),
            (other, _) => other.to_owned(),
        }
    }
}

/// Reads a questionnaire response against the registry.
///
/// # Errors
/// Each element that does not fit, by its JSON pointer.
pub fn read_response(response: &QuestionnaireResponse, registry: &Registry) -> Result<Response, Refusal> {
    if !matches!(response.status, Status::Completed | Status::Amended | Status::Stopped) {
        return Err(Refusal::field(
            "/status",
            "has to be completed, amended or stopped: nothing else is kept as answered",
        ));
    }
    let instrument = find_instrument(response.questionnaire.as_str(), registry)?;
    let subject = response.subject.as_ref().map(find_member).transpose()?;
    let respondent = response.source.as_ref().map_or(Ok(Respondent::Member), find_respondent)?;
    let (mut answers, mut positions, mut bad) = (Answers::default(), Vec::new(), Vec::new());
    for (index, item) in response.item.0.iter().enumerate() {
        let id = item.link_id.as_str();
        let is_shown_only = matches!(id, INSTRUCTIONS | STEM) && item.answer.0.is_empty();
        if is_shown_only {
            continue;
        }
        let Some(known) = instrument.item(id) else {
            bad.push((format!("/item/{index}/linkId"), "is no item of this instrument".to_owned()));
            continue;
        };
        if answers.0.contains_key(id) || positions.iter().any(|(seen, _)| seen == id) {
            bad.push((format!("/item/{index}/linkId"), "is named twice".to_owned()));
            continue;
        }
        positions.push((id.to_owned(), index));
        match value(instrument, known, item) {
            Ok(Given::Nothing) => {}
            Ok(Given::Declined) => drop(answers.0.insert(id.to_owned(), None)),
            Ok(Given::Value(value)) => drop(answers.0.insert(id.to_owned(), Some(value))),
            Err((element, detail)) => bad.push((format!("/item/{index}{element}"), detail.to_owned())),
        }
    }
    if !bad.is_empty() {
        return Err(Refusal::Fields(bad));
    }
    Ok(Response {
        instrument: instrument.id.clone(),
        subject,
        respondent,
        taken_at: response.authored,
        answers,
        positions,
    })
}

fn find_instrument<'a>(named: &str, registry: &'a Registry) -> Result<&'a Instrument, Refusal> {
    let (url, version) = named.split_once('|').map_or((named, None), |(url, version)| (url, Some(version)));
    let id = url.strip_prefix(&canonical("")).unwrap_or_default();
    let Some(instrument) = registry.current(id) else {
        return Err(Refusal::field(
            "/questionnaire",
            "is none of this server's: GET /v1/instruments/{instrument}/questionnaire gives its url",
        ));
    };
    if version.is_some_and(|version| version != instrument.version) {
        return Err(Refusal::field("/questionnaire", format!("is not the current version, {}", instrument.version)));
    }
    Ok(instrument)
}

fn find_member(subject: &Reference) -> Result<Id, Refusal> {
    let named = subject.reference.as_ref().and_then(|reference| reference.as_str().strip_prefix("Patient/"));
    let id = named.and_then(|id| id.parse().ok());
    id.ok_or_else(|| Refusal::field("/subject/reference", "is not Patient/ and a member's id"))
}

fn find_respondent(source: &Reference) -> Result<Respondent, Refusal> {
    let named =
        source.reference.as_ref().and_then(|reference| reference.as_str().split_once('/')).map(|(kind, _)| kind);
    match source.kind.as_ref().map(Text::as_str).or(named) {
        Some("Patient") => Ok(Respondent::Member),
        Some("RelatedPerson") => Ok(Respondent::Proxy),
        Some("Practitioner" | "PractitionerRole") => Ok(Respondent::Clinician),
        _ => Err(Refusal::field("/source", "is neither a Patient nor a RelatedPerson nor a Practitioner")),
    }
}

enum Given {
    /// Passed over, or not answered yet.
    Nothing,
    Declined,
    Value(i32),
}

fn value(instrument: &Instrument, item: &Item, response: &ResponseItem) -> Result<Given, (&'static str, &'static str)> {
    let is_declined = response.extension.0.iter().any(|extension| {
        let reason = extension.value_code.as_ref().and_then(Value::as_str);
        extension.url.as_str() == DATA_ABSENT && reason == Some(ASKED_DECLINED)
    });
    let answer = match response.answer.0.as_slice() {
        [] => return Ok(if is_declined { Given::Declined } else { Given::Nothing }),
        [answer] if !is_declined => answer,
        [_] => return Err(("/extension", "says declined, and there is an answer")),
        _ => return Err(("/answer", "holds more than one answer")),
    };
    let options = instrument.options(item);
    match (&answer.value_coding, answer.value_integer) {
        (Some(coding), None) => {
            let (system, code) = (coding.system.as_ref().map(Text::as_str), coding.code.as_ref().map(Text::as_str));
            let own = option_system(instrument, item);
            let named = options.iter().find(|option| match system {
                Some(LOINC) => option.loinc.as_deref() == code && code.is_some(),
                Some(system) => system == own && code == Some(option.value.to_string().as_str()),
                None => false,
            });
            let option = named.ok_or(("/answer/0/valueCoding", "is no option of this item"))?;
            Ok(Given::Value(option.value))
        }
        (None, Some(value)) if options.iter().any(|option| option.value == value) => Ok(Given::Value(value)),
        (None, Some(_)) => Err(("/answer/0/valueInteger", "is no option of this item")),
        (Some(_), Some(_)) => Err(("/answer/0", "holds two values")),
        (None, None) => Err(("/answer/0", "holds neither a valueCoding nor a valueInteger")),
    }
}
