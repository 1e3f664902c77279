//! A record as a FHIR R4 bundle of its resources, which name each other and nobody outside.

use aws_lc_rs::digest;
use serde_json::{Value, json};
use uuid::Builder;

use super::{
    LOINC, coding, concept,
    questionnaires::{Administration, questionnaire_response},
    reference, urn, without_nothing,
};
use crate::{
    policy::Kind,
    rules::{
        amendments::RecordKind,
        attendance::Presence,
        exports::{
            AttendanceRow, GroupOfRecord, MeasureRow, Purpose, Record, RedisclosureNotice, SignatureRow, escaped,
        },
        instruments::{Answers, Registry},
        members::State,
    },
    values::{Id, Moment},
};

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// A record that is taken out.
pub struct Taken<'a> {
    pub at: Moment,
    pub purpose: Purpose,
    pub groups: &'a [GroupOfRecord],
    pub record: &'a Record,
    /// The group of each member of the record.
    pub group_of: &'a dyn Fn(Id) -> Option<Id>,
    pub notice: Option<&'a RedisclosureNotice>,
}

/// An id that follows from another one: the same in each export, and nothing can be read out of it. Ids of rows tell when
/// they were made, and two resources of one row need two ids.
fn derived(kind: &str, id: Id) -> Id {
    let hash = digest::digest(&digest::SHA256, format!("circlekeeper:{kind}:{id}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    Id(Builder::from_custom_bytes(bytes).into_uuid())
}

/// What a reader has to know before they take the bundle for everything.
const NOT_THE_WHOLE: &str = "Not the whole record: goals, homework, progress entries, sessions, subscales, risk marks \
                             and reviews have no place in this bundle.";

/// The bundle: for each group an Organization, a Group, and for each member a Patient with what was recorded; at the end
/// a Provenance that says who put it together, when and what for. Members are named by the ids of their memberships: no
/// account stands in it, and the same person in two groups is two patients. A tag says that it is not the whole record.
pub fn bundle(taken: &Taken) -> Value {
    let mut resources: Vec<(Id, Value)> = Vec::new();
    for group in taken.groups {
        let first = resources.len();
        add_group(&mut resources, taken, group);
        let targets: Vec<Value> = resources[first..].iter().map(|(id, _)| reference(*id)).collect();
        let made_by = organization_id(&resources, group);
        resources.extend(made_by.map(|organization| provenance(taken, group, organization, targets)));
    }
    // Groups of one organization share its resource.
    let entries: Vec<Value> =
        resources.into_iter().map(|(id, resource)| json!({"fullUrl": urn(id), "resource": resource})).collect();
    let mut security = vec![json!({
        "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R", "display": "restricted"
    })];
    if taken.notice.is_some() {
        security.push(json!({"system": ACT_CODE, "code": "42CFRPart2", "display": "42 CFR Part2"}));
    }
    without_nothing(json!({
        "resourceType": "Bundle",
        "meta": {
            "security": security,
            "tag": [{"system": "urn:circlekeeper:scope", "code": "not-the-whole-record", "display": NOT_THE_WHOLE}],
        },
        "type": "collection",
        "timestamp": taken.at,
        "entry": entries,
    }))
}

fn organization_id(resources: &[(Id, Value)], group: &GroupOfRecord) -> Option<Id> {
    let id = derived("Organization", group.organization_id);
    resources.iter().any(|(known, _)| *known == id).then_some(id)
}

fn add_group(resources: &mut Vec<(Id, Value)>, taken: &Taken, group: &GroupOfRecord) {
    let record = taken.record;
    let is_here = |member: Id| (taken.group_of)(member) == Some(group.id);
    let organization = derived("Organization", group.organization_id);
    if organization_id(resources, group).is_none() {
        let shown = json!({"resourceType": "Organization", "id": organization, "name": group.organization});
        resources.push((organization, shown));
    }
    let belonging: Vec<Value> = record
        .members
        .iter()
        .filter(|row| is_here(row.member))
        .map(|row| {
            let stays = record.memberships.iter().filter(|stay| stay.member == row.member);
            let active: Vec<_> = stays.filter(|stay| stay.state.takes_a_place()).collect();
            let has_left = !row.state.takes_a_place();
            let end = active.last().filter(|_| has_left).and_then(|stay| stay.until_at);
            json!({
                "entity": reference(row.member),
                "period": {"start": active.first().map(|stay| stay.from_at), "end": end},
                "inactive": has_left,
            })
        })
        .collect();
    resources.push((
        group.id,
        json!({
            "resourceType": "Group",
            "id": group.id,
            "active": true,
            "type": "person",
            "actual": true,
            "code": {"text": if group.kind == Kind::TherapistLed { "Therapist-led group" } else { "Peer-led group" }},
            "name": group.title,
            "managingEntity": reference(organization),
            "member": belonging,
        }),
    ));
    for row in record.members.iter().filter(|row| is_here(row.member)) {
        resources.push((
            row.member,
            json!({
                "resourceType": "Patient",
                "id": row.member,
                "active": matches!(row.state, State::Active | State::Paused),
                "name": [{"text": row.name}],
                "managingOrganization": reference(organization),
            }),
        ));
    }
    for row in record.attendances.iter().filter(|row| is_here(row.member)) {
        let (id, mut shown) = encounter(row, organization);
        shown["text"] = amendments(record, RecordKind::Attendance, row.id);
        resources.push((id, shown));
    }
    for row in record.measures.iter().filter(|row| is_here(row.member)) {
        let met = record.attendances.iter().find(|met| Some(met.session) == row.session && met.member == row.member);
        add_measure(resources, record, row, met.map(|met| derived("Encounter", met.id)), organization);
    }
    for row in record.signatures.iter().filter(|row| is_here(row.member)) {
        resources.push(consent(row, organization));
    }
    for (_, resource) in resources.iter_mut() {
        *resource = without_nothing(resource.take());
    }
}

fn encounter(row: &AttendanceRow, organization: Id) -> (Id, Value) {
    let id = derived("Encounter", row.id);
    let was_there = row.status.was_there();
    let (code, display) = match row.modality {
        Presence::InPerson => ("AMB", "ambulatory"),
        Presence::Online => ("VR", "virtual"),
    };
    let end = row.left_at.unwrap_or(row.arrived_at.unwrap_or(row.starts_at).plus_minutes(i64::from(row.minutes)));
    let shown = json!({
        "resourceType": "Encounter",
        "id": id,
        // Cancelled: it ended before it began (R4 value set encounter-status).
        "status": if was_there { "finished" } else { "cancelled" },
        "class": {"system": ACT_CODE, "code": code, "display": display},
        "type": [{
            "coding": [coding("urn:circlekeeper:attendance", row.status.as_str())],
            "text": format!("Group session: {}", row.status.as_str().replace('_', " ")),
        }],
        "subject": reference(row.member),
        "period": {
            "start": row.arrived_at.unwrap_or(row.starts_at),
            "end": was_there.then_some(end),
        },
        "length": was_there.then(|| json!({
            "value": row.minutes, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"
        })),
        "serviceProvider": reference(organization),
    });
    (id, shown)
}

fn add_measure(
    resources: &mut Vec<(Id, Value)>,
    record: &Record,
    row: &MeasureRow,
    encounter: Option<Id>,
    organization: Id,
) {
    let given = record.answers.iter().filter(|answer| answer.measure == row.measure);
    let answers = Answers(given.map(|answer| (answer.item.clone(), answer.value)).collect());
    let mut response = questionnaire_response(&Administration {
        id: row.measure,
        subject: urn(row.member),
        encounter: encounter.map(urn),
        instrument: &row.instrument,
        instrument_version: &row.instrument_version,
        respondent: row.respondent,
        taken_at: row.taken_at,
        entered_in_error: false,
        amended: row.version > 1,
        answers: &answers,
    });
    response["text"] = amendments(record, RecordKind::Measure, row.measure);
    resources.push((row.measure, response));
    let known = Registry::built_in().find(&row.instrument, &row.instrument_version);
    // A score without a code that others know is no observation that they could use.
    let Some((title, code)) = known.and_then(|known| Some((&known.title, known.loinc.total.as_ref()?))) else { return };
    let id = derived("Observation", row.measure);
    let absent = row.score.is_none().then(|| {
        let mut reason = concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown");
        reason["text"] = json!(in_words(row.no_score.as_deref()));
        reason
    });
    resources.push((
        id,
        json!({
            "resourceType": "Observation",
            "id": id,
            "status": if row.version > 1 { "amended" } else { "final" },
            "category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", "survey")],
            "code": {"coding": [coding(LOINC, code)], "text": format!("{title}: total score")},
            "subject": reference(row.member),
            "encounter": encounter.map(reference),
            "effectiveDateTime": row.taken_at,
            "issued": row.recorded_at,
            "performer": [reference(organization)],
            "valueQuantity": row.score.map(|score| json!({
                "value": score, "unit": "{score}", "system": "http://unitsofmeasure.org", "code": "{score}"
            })),
            "dataAbsentReason": absent,
            "interpretation": row.band.iter().map(|band| json!({"text": band.replace('_', " ")})).collect::<Vec<_>>(),
            "note": row.prorated.then(|| json!([{"text": "Prorated: answers were missing."}])),
            "derivedFrom": [reference(row.measure)],
        }),
    ));
}

/// What a member asked to have corrected in a record, as words on its resource: R4 has no resource for it.
fn amendments(record: &Record, kind: RecordKind, id: Id) -> Value {
    let of_record = record.amendments.iter().filter(|row| row.record_kind == kind && row.record == id);
    let lines: Vec<String> = of_record
        .flat_map(|row| row.in_words().lines().map(|line| format!("<p>{}</p>", escaped(line))).collect::<Vec<_>>())
        .collect();
    if lines.is_empty() {
        return Value::Null;
    }
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", lines.concat());
    json!({"status": "additional", "div": div})
}

/// Why there is no score.
fn in_words(no_score: Option<&str>) -> &'static str {
    match no_score {
        Some("too_many_missing") => "More answers are missing than the instrument allows for a score.",
        Some("gate_unanswered") => "The question that decides whether the others are asked has no answer.",
        Some("no_total") => "The instrument has no total score: it is read by its subscales.",
        _ => "There is no score.",
    }
}

fn consent(row: &SignatureRow, organization: Id) -> (Id, Value) {
    let id = derived("Consent", row.id);
    let shown = json!({
        "resourceType": "Consent",
        "id": id,
        "status": if row.withdrawn_at.is_some() { "inactive" } else { "active" },
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept(LOINC, "59284-0")],
        "patient": reference(row.member),
        "dateTime": row.signed_at,
        "organization": [reference(organization)],
        "policyRule": {"text": format!("{}, version {}", row.title, row.number)},
        "provision": {"period": {"start": row.signed_at, "end": row.withdrawn_at}},
    });
    (id, shown)
}

fn provenance(taken: &Taken, group: &GroupOfRecord, organization: Id, targets: Vec<Value>) -> (Id, Value) {
    let id = derived(&format!("Provenance:{}", taken.at), group.id);
    let use_code = purpose_of_use(taken.purpose);
    let text = taken.notice.map(|notice| {
        let scope =
            notice.consent_scope.as_deref().map(|scope| format!("<p>Scope of the consent: {}</p>", escaped(scope)));
        json!({
            "status": "additional",
            "div": format!(
                "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>{}</p>{}</div>",
                escaped(notice.statement), scope.unwrap_or_default()
            ),
        })
    });
    let shown = without_nothing(json!({
        "resourceType": "Provenance",
        "id": id,
        "text": text,
        "target": targets,
        "recorded": taken.at,
        "reason": [{
            "coding": use_code.map(|code| vec![coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", code)]),
            "text": taken.purpose.as_str().replace('_', " "),
        }],
        "agent": [{
            "type": concept("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "assembler"),
            "who": reference(organization),
        }],
    }));
    (id, shown)
}

/// The code of v3 ActReason, where one says the same (R4 value set v3-PurposeOfUse).
fn purpose_of_use(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::Treatment => Some("TREAT"),
        Purpose::MedicalEmergency => Some("ETREAT"),
        Purpose::Payment => Some("HPAYMT"),
        Purpose::Operations => Some("HOPERAT"),
        Purpose::Individual => Some("PATRQT"),
        Purpose::PublicHealth => Some("PUBHLTH"),
        Purpose::Research => Some("HRESCH"),
        Purpose::Court => Some("HLEGAL"),
        _ => None,
    }
}
