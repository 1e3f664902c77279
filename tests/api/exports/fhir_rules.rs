//! The rules of FHIR R4 (4.0.1) for the resources that leave here: which elements there are, which have to be, which
//! repeat, which words a code takes, and the invariants. Written down from the resource pages of the specification; a model
//! library (fhir-model; R4B left these resources as they were in R4) reads each of them too, and writes all of it again.

use std::collections::BTreeSet;

use fhir_model::r4b::resources::Resource;
use jiff::Timestamp;
use serde_json::Value;

/// `name`, `*` where it is required, `[]` where it repeats.
const BASE: &str = "resourceType* id meta implicitRules language";
const DOMAIN: &str = "text contained[] extension[] modifierExtension[]";

const RESOURCES: [(&str, &str); 10] = [
    ("Bundle", "identifier type* timestamp total link[] entry[] signature"),
    ("Organization", "identifier[] active type[] name alias[] telecom[] address[] partOf contact[] endpoint[]"),
    ("Group", "identifier[] active type* actual* code name quantity managingEntity characteristic[] member[]"),
    (
        "Patient",
        "identifier[] active name[] telecom[] gender birthDate deceasedBoolean deceasedDateTime address[] maritalStatus \
         multipleBirthBoolean multipleBirthInteger photo[] contact[] communication[] generalPractitioner[] \
         managingOrganization link[]",
    ),
    (
        "Encounter",
        "identifier[] status* statusHistory[] class* classHistory[] type[] serviceType priority subject episodeOfCare[] \
         basedOn[] participant[] appointment[] period length reasonCode[] reasonReference[] diagnosis[] account[] \
         hospitalization location[] serviceProvider partOf",
    ),
    (
        "QuestionnaireResponse",
        "identifier basedOn[] partOf[] questionnaire status* subject encounter authored author source item[]",
    ),
    (
        "Observation",
        "identifier[] basedOn[] partOf[] status* category[] code* subject focus[] encounter effectiveDateTime \
         effectivePeriod issued performer[] valueQuantity valueCodeableConcept valueString valueInteger dataAbsentReason \
         interpretation[] note[] bodySite method specimen device referenceRange[] hasMember[] derivedFrom[] component[]",
    ),
    (
        "Consent",
        "identifier[] status* scope* category[]* patient dateTime performer[] organization[] sourceAttachment \
         sourceReference policy[] policyRule verification[] provision",
    ),
    (
        "Provenance",
        "target[]* occurredPeriod occurredDateTime recorded* policy[] location reason[] activity agent[]* entity[] \
         signature[]",
    ),
    (
        "Questionnaire",
        "url identifier[] version name title derivedFrom[] status* experimental subjectType[] date publisher contact[] \
         description useContext[] jurisdiction[] purpose copyright approvalDate lastReviewDate effectivePeriod code[] \
         item[]",
    ),
];

/// Elements below a resource, by their path.
const BELOW: [(&str, &str); 10] = [
    ("Bundle.entry", "id extension[] link[] fullUrl resource search request response"),
    ("Group.member", "id extension[] entity* period inactive"),
    ("Provenance.agent", "id extension[] type role[] who* onBehalfOf"),
    ("QuestionnaireResponse.item", "id extension[] linkId* definition text answer[] item[]"),
    (
        "QuestionnaireResponse.item.answer",
        "id extension[] valueBoolean valueDecimal valueInteger valueDate valueDateTime valueTime valueString valueUri \
         valueAttachment valueCoding valueQuantity valueReference item[]",
    ),
    (
        "Questionnaire.item",
        "id extension[] linkId* definition code[] prefix text _text type* enableWhen[] enableBehavior required repeats \
         readOnly maxLength answerValueSet answerOption[] initial[] item[]",
    ),
    ("Questionnaire.item.answerOption", "id extension[] valueCoding* initialSelected"),
    ("Questionnaire.item.enableWhen", "id extension[] question* operator* answerCoding* "),
    (
        "Consent.provision",
        "id extension[] type period actor[] action[] securityLabel[] purpose[] class[] code[] dataPeriod data[] provision[]",
    ),
    ("Encounter.length", "id extension[] value comparator unit system code"),
];

/// Required value sets: resource, element, words.
const WORDS: [(&str, &str, &str); 9] = [
    (
        "Bundle",
        "type",
        "document message transaction transaction-response batch batch-response history searchset collection",
    ),
    ("Group", "type", "person animal practitioner device medication substance"),
    ("Encounter", "status", "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown"),
    ("QuestionnaireResponse", "status", "in-progress completed amended entered-in-error stopped"),
    ("Observation", "status", "registered preliminary final amended corrected cancelled entered-in-error unknown"),
    ("Consent", "status", "draft proposed active rejected inactive entered-in-error"),
    ("Questionnaire", "status", "draft active retired unknown"),
    (
        "Questionnaire.item",
        "type",
        "group display boolean decimal integer date dateTime time string text url choice open-choice attachment \
         reference quantity",
    ),
    ("Questionnaire.item.enableWhen", "operator", "exists = != > < >= <="),
];

/// Everything that is wrong with a resource.
pub fn faults(resource: &Value) -> Vec<String> {
    let kind = resource["resourceType"].as_str().unwrap_or("nothing");
    let Some((_, elements)) = RESOURCES.iter().find(|(known, _)| *known == kind) else {
        return vec![format!("{kind} is no resource that leaves here")];
    };
    let mut found = Vec::new();
    let base = if kind == "Bundle" { BASE.to_owned() } else { format!("{BASE} {DOMAIN}") };
    judge(kind, resource, &format!("{base} {elements}"), &mut found);
    no_nothing(kind, resource, &mut found);
    invariants(kind, resource, &mut found);
    found.extend(misread(resource).map(|why| format!("{kind}: {why}")));
    found
}

/// What the library makes of a resource, where it does not make the same.
fn misread(resource: &Value) -> Option<String> {
    let read: Resource = match serde_json::from_value(resource.clone()) {
        Ok(read) => read,
        Err(error) => return Some(format!("cannot be read: {error}")),
    };
    let written = serde_json::to_value(read).expect("what was read can be written");
    // An element that the library does not know is lost on the way.
    (!is_same(resource, &written)).then(|| format!("is written again as {written}"))
}

/// Alike but for the way in which moments are written.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => {
            let moment = |text: &str| text.parse::<Timestamp>().ok();
            one == other || moment(one).is_some_and(|moment_of_one| moment(other) == Some(moment_of_one))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| is_same(one, other)))
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

fn judge(path: &str, value: &Value, elements: &str, found: &mut Vec<String>) {
    let Some(fields) = value.as_object() else {
        found.push(format!("{path} is no object"));
        return;
    };
    let elements: Vec<(&str, bool, bool)> = elements
        .split_whitespace()
        .map(|word| (word.trim_end_matches('*').trim_end_matches("[]"), word.contains('*'), word.contains("[]")))
        .collect();
    for name in fields.keys() {
        if !elements.iter().any(|(known, ..)| known == name) {
            found.push(format!("{path}.{name} is no element"));
        }
    }
    for (name, is_required, repeats) in elements {
        let here = format!("{path}.{name}");
        match fields.get(name) {
            None if is_required => found.push(format!("{here} is missing")),
            None => {}
            Some(Value::Array(items)) if repeats => {
                for item in items {
                    below(&here, item, found);
                }
            }
            Some(_) if repeats => found.push(format!("{here} has to be a list")),
            Some(Value::Array(_)) => found.push(format!("{here} must not be a list")),
            Some(one) => below(&here, one, found),
        }
    }
    for (_, name, words) in WORDS.iter().filter(|(of, ..)| *of == path) {
        let word = value[*name].as_str().unwrap_or_default();
        if !words.split_whitespace().any(|known| known == word) {
            found.push(format!("{path}.{name} is {word:?}"));
        }
    }
}

fn below(path: &str, value: &Value, found: &mut Vec<String>) {
    if let Some((_, elements)) = BELOW.iter().find(|(known, _)| *known == path) {
        judge(path, value, elements, found);
    }
}

/// FHIR in JSON has no null, no empty list, no empty object and no empty text.
fn no_nothing(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(format!("{path} is null")),
        Value::String(text) if text.trim().is_empty() => found.push(format!("{path} is empty")),
        Value::Array(items) if items.is_empty() => found.push(format!("{path} is an empty list")),
        Value::Object(fields) if fields.is_empty() => found.push(format!("{path} is an empty object")),
        Value::Array(items) => items.iter().for_each(|item| no_nothing(path, item, found)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| no_nothing(&format!("{path}.{name}"), field, found));
        }
        _ => {}
    }
}

fn invariants(kind: &str, resource: &Value, found: &mut Vec<String>) {
    let mut must = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{kind}: {what}"));
        }
    };
    let id = resource["id"].as_str().unwrap_or("none-needed");
    let is_id =
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    must(is_id, "an id has up to 64 letters, digits, hyphens and dots");
    let has = |name: &str| !resource[name].is_null();
    match kind {
        "Organization" => must(has("name") || has("identifier"), "org-1: a name or an identifier"),
        "Group" => must(resource["actual"] == true || !has("member"), "grp-1: members only where the group is actual"),
        "Observation" => {
            must(!(has("dataAbsentReason") && has("valueQuantity")), "obs-6: a reason only where there is no value");
            must(has("dataAbsentReason") || has("valueQuantity"), "a value, or why there is none");
        }
        "Consent" => must(has("policy") || has("policyRule"), "ppc-1: a policy or a policy rule"),
        "QuestionnaireResponse" => {
            let items = resource["item"].as_array().cloned().unwrap_or_default();
            let links: BTreeSet<&str> = items.iter().filter_map(|item| item["linkId"].as_str()).collect();
            must(links.len() == items.len(), "each linkId once");
            let single = items.iter().filter_map(|item| item["answer"].as_array()).flatten().all(|answer| {
                answer
                    .as_object()
                    .is_some_and(|answer| answer.keys().filter(|name| name.starts_with("value")).count() == 1)
            });
            must(single, "one value in each answer");
        }
        "Questionnaire" => {
            let name = resource["name"].as_str().unwrap_or_default();
            let is_machine_name = name.starts_with(|first: char| first.is_ascii_uppercase())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            must(is_machine_name, "que-0: a name that machines take");
            let items = resource["item"].as_array().cloned().unwrap_or_default();
            let links: BTreeSet<&str> = items.iter().filter_map(|item| item["linkId"].as_str()).collect();
            must(links.len() == items.len(), "que-2: each linkId once");
            for item in &items {
                let is_display = item["type"] == "display";
                must(!is_display || item["code"].is_null(), "que-3: a display item has no code");
                must(
                    item["type"] == "choice" || item["answerOption"].is_null(),
                    "que-5: options only where one chooses",
                );
                must(!is_display || item["required"].is_null(), "que-6: a display item is not required");
                let conditions = item["enableWhen"].as_array().map_or(0, Vec::len);
                must(conditions < 2, "que-12: more than one condition needs enableBehavior");
                for condition in item["enableWhen"].as_array().into_iter().flatten() {
                    must(
                        links.contains(condition["question"].as_str().unwrap_or_default()),
                        "a condition on an item that is there",
                    );
                }
            }
        }
        "Bundle" => {
            let urls: Vec<&str> = resource["entry"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|entry| entry["fullUrl"].as_str())
                .collect();
            let distinct: BTreeSet<&&str> = urls.iter().collect();
            must(distinct.len() == urls.len(), "bdl-7: each full URL once");
        }
        _ => {}
    }
}

/// What a bundle is wrong in: its resources, and references that lead out of it.
pub fn faults_of_bundle(bundle: &Value) -> Vec<String> {
    let mut found = faults(bundle);
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let there: BTreeSet<&str> = entries.iter().filter_map(|entry| entry["fullUrl"].as_str()).collect();
    for entry in &entries {
        let resource = &entry["resource"];
        found.extend(faults(resource));
        let id = resource["id"].as_str().unwrap_or_default();
        if entry["fullUrl"] != format!("urn:uuid:{id}") {
            found.push(format!("{} is not the resource {id}", entry["fullUrl"]));
        }
        let mut references = Vec::new();
        collect(resource, &mut references);
        let outside = references.iter().filter(|reference| !there.contains(reference.as_str()));
        found.extend(outside.map(|reference| format!("{reference} leads out of the bundle")));
    }
    found
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("reference").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| collect(field, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
