//! Records taken out: what is in them, what never is, whom the accounting names, and whether the FHIR is FHIR.

mod fhir_rules;

use std::collections::BTreeSet;

use circlekeeper::{
    policy::Kind,
    rules::{
        attendance::{Presence, Status},
        exports::{
            AttendanceRow, GroupOfRecord, MeasureRow, MemberRow, MembershipRow, PART_2_STATEMENT, Purpose, Record,
            SignatureRow, notice,
        },
        fhir::{Taken, bundle, questionnaire},
        instruments::{Answers, LicenceClass, Registry},
        leaving::cell,
        measures::Respondent,
        members::State,
    },
    values::{Id, Moment},
};
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    harness::{Answer, Person, Server},
    leaving::found,
    scene::{Scene, plan_at, text},
    world::{self, Group, World},
};

fn take_out(server: &Server, who: &Person, group: &Group, member: &str, body: &Value) -> Answer {
    server.post(who, &group.path(&format!("/members/{member}/exports")), body)
}

fn with_format(format: &str) -> Value {
    json!({"purpose": "treatment", "format": format})
}

/// Makes the group's records those of substance-use treatment.
fn under_part_2(server: &Server, group: &Group) {
    let id = literal(&server.location, &group.id);
    tamper(&server.location, &format!("UPDATE groups SET part_2 = TRUE WHERE id = {id}"));
}

fn accounted_for(world: &World) -> Vec<Value> {
    let path = format!("/v1/organizations/{}/disclosures", world.organization);
    let listed = world.server.get(&world.privacy_officer, &path).expect(200);
    listed["items"].as_array().expect("a list").clone()
}

fn own_accounting(server: &Server, who: &Person) -> Vec<Value> {
    server.get(who, "/v1/account/disclosures").expect(200)["items"].as_array().expect("a list").clone()
}

/// A member's record in all its forms.
fn every_form(server: &Server, who: &Person, path: &str, parts: &[&str]) -> Vec<Answer> {
    let mut answers: Vec<Answer> =
        ["json", "fhir", "html"].iter().map(|format| server.post(who, path, &with_format(format))).collect();
    for part in parts {
        answers.push(server.post(who, path, &json!({"purpose": "treatment", "format": "csv", "parts": [part]})));
    }
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    answers
}

const OF_A_MEMBER: [&str; 17] = [
    "members",
    "memberships",
    "signatures",
    "sessions",
    "agenda",
    "attendances",
    "measures",
    "answers",
    "subscales",
    "progress_entries",
    "goals",
    "goal_wordings",
    "goal_ratings",
    "homework",
    "risks",
    "risk_steps",
    "reviews",
];
const OF_A_GROUP: [&str; 1] = ["session_records"];

fn resources<'a>(bundle: &'a Value, kind: &str) -> Vec<&'a Value> {
    let entries = bundle["entry"].as_array().expect("entries").iter().map(|entry| &entry["resource"]);
    entries.filter(|resource| resource["resourceType"] == kind).collect()
}

#[test]
fn no_process_note_leaves_in_any_form() {
    let scene = Scene::new();
    let (server, led) = (&scene.world.server, &scene.world.led);
    let notes: Vec<&String> = scene.clinical_texts.iter().filter(|text| text.starts_with("For myself alone")).collect();
    let drafts: Vec<&String> =
        scene.clinical_texts.iter().filter(|text| text.starts_with("Draft of an entry")).collect();
    assert!(notes.len() > 4 && !drafts.is_empty());
    let member = led.path(&format!("/members/{}/exports", led.member.id));
    let mut answers = every_form(server, &led.lead, &member, &OF_A_MEMBER);
    let all: Vec<&str> = OF_A_MEMBER.iter().chain(&OF_A_GROUP).copied().collect();
    answers.extend(every_form(server, &led.lead, &led.path("/exports"), &all));
    for accept in ["application/json", "text/csv", "application/fhir+json", "text/html"] {
        for who in [&led.lead, &led.member.person] {
            answers.push(server.request("GET", "/v1/account/export").token(&who.token).header("accept", accept).send());
        }
    }
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!notes.iter().any(|note| answer.text.contains(*note)), "{}", answer.text);
        assert!(!drafts.iter().any(|draft| answer.text.contains(*draft)), "{}", answer.text);
        assert!(!answer.text.contains("process_note"), "{}", answer.text);
    }
}

#[test]
fn nobody_else_stands_in_a_members_record() {
    let scene = Scene::new();
    let (server, led) = (&scene.world.server, &scene.world.led);
    let own = led.member.person.id.to_string();
    let everybody = [&led.lead, &led.co_lead, led.trainee.as_ref().expect("a trainee"), &scene.world.administrator];
    for answer in every_form(server, &led.lead, &led.path(&format!("/members/{}/exports", led.member.id)), &OF_A_MEMBER)
    {
        for other in scene.secrets.iter().filter(|secrets| secrets.member != led.member.id) {
            let found: Vec<&String> = other.texts.iter().filter(|text| answer.text.contains(text.as_str())).collect();
            assert!(found.is_empty(), "{found:?} of {} in {}", other.person.name, answer.text);
        }
        for person in everybody {
            assert!(
                !answer.text.contains(&person.id.to_string()) && !answer.text.contains(&person.name),
                "{}",
                answer.text
            );
        }
        // Neither the account behind the member: the same one may stand in another group.
        assert!(!answer.text.contains(&own), "{}", answer.text);
        assert!(!answer.text.contains(&led.member.person.sign_in_name), "{}", answer.text);
        let name = answer.header("content-disposition").expect("a file name");
        let neutral = ["json", "csv", "html"].map(|form| format!("attachment; filename=\"export.{form}\""));
        assert!(neutral.contains(&name), "{name}");
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
        assert!(answer.header("etag").is_none());
    }
}

#[test]
fn a_members_bundle_is_fhir_and_holds_one_patient() {
    let scene = Scene::new();
    let (server, led) = (&scene.world.server, &scene.world.led);
    let answer = take_out(server, &led.lead, led, &led.member.id, &with_format("fhir"));
    assert_eq!(answer.header("content-type").as_deref(), Some("application/fhir+json"));
    let bundle = answer.expect(200);
    assert_eq!(fhir_rules::faults_of_bundle(&bundle), Vec::<String>::new());
    assert_eq!(resources(&bundle, "Patient").len(), 1, "{bundle}");
    assert_eq!(resources(&bundle, "Patient")[0]["id"], led.member.id);
    let group = resources(&bundle, "Group")[0];
    assert_eq!(group["member"].as_array().map(Vec::len), Some(1), "{group}");
    assert!(group["quantity"].is_null(), "how many there are is nobody's but the group's: {group}");
    for kind in ["Encounter", "QuestionnaireResponse", "Observation", "Consent", "Provenance"] {
        assert_eq!(resources(&bundle, kind).len(), 1, "{kind} in {bundle}");
    }
    let observation = resources(&bundle, "Observation")[0];
    assert_eq!(observation["code"]["coding"][0], json!({"system": "http://loinc.org", "code": "44261-6"}));
    assert_eq!(observation["valueQuantity"]["value"], 10.0);
    let response = resources(&bundle, "QuestionnaireResponse")[0];
    let subject = format!("urn:uuid:{}", led.member.id);
    assert_eq!(response["subject"]["reference"], subject);
    assert_eq!(
        response["encounter"]["reference"],
        bundle["entry"]
            .as_array()
            .expect("entries")
            .iter()
            .find(|entry| entry["resource"]["resourceType"] == "Encounter")
            .expect("an encounter")["fullUrl"]
    );
    let whole = server.post(&led.lead, &led.path("/exports"), &with_format("fhir")).expect(200);
    assert_eq!(fhir_rules::faults_of_bundle(&whole), Vec::<String>::new());
    assert!(resources(&whole, "Patient").len() >= 4, "{whole}");
    let own = server.request("GET", "/v1/account/export").token(&led.member.person.token);
    let own = own.header("accept", "application/fhir+json").send().expect(200);
    assert_eq!(fhir_rules::faults_of_bundle(&own), Vec::<String>::new());
    let patients: Vec<&Value> = resources(&own, "Patient").iter().map(|patient| &patient["id"]).collect();
    assert_eq!(patients, [&json!(led.member.id)]);
    // Somebody without a clinical record gets a bundle without resources, and a peer-led group is no care.
    let peer = server.request("GET", "/v1/account/export").token(&scene.world.peer.member.person.token);
    let peer = peer.header("accept", "application/fhir+json").send().expect(200);
    assert_eq!((&peer["resourceType"], &peer["entry"]), (&json!("Bundle"), &Value::Null));
}

fn id(last: u8) -> Id {
    format!("00000000-0000-4000-8000-0000000000{last:02x}").parse().expect("an id")
}

/// A record with a bit of everything, always the same.
fn sample() -> (Record, GroupOfRecord) {
    let at = |minutes: i64| Moment(1_780_000_000_000).plus_minutes(minutes);
    let group = GroupOfRecord {
        id: id(1),
        title: "Tuesday & <friends>".into(),
        kind: Kind::TherapistLed,
        organization: "Riverside Clinic".into(),
        organization_id: id(2),
        part_2: true,
        zone: "UTC".into(),
    };
    let member = id(3);
    let attendance = |number: u8, status, minutes| AttendanceRow {
        id: id(number),
        member,
        session: id(number + 16),
        starts_at: at(i64::from(number) * 10_080),
        status,
        modality: if number == 4 { Presence::InPerson } else { Presence::Online },
        arrived_at: None,
        left_at: None,
        minutes,
    };
    let measure = |number: u8, instrument: &str, score: Option<f64>, respondent| MeasureRow {
        measure: id(number),
        member,
        session: (number == 32).then(|| id(20)),
        taken_at: at(i64::from(number)),
        instrument: instrument.into(),
        instrument_version: "1".into(),
        respondent,
        score,
        no_score: score.is_none().then(|| "too_many_missing".into()),
        prorated: number == 32,
        band: score.map(|_| "moderate".into()),
        risk: "none".into(),
        recorded_at: at(i64::from(number) + 1),
        version: if number == 33 { 2 } else { 1 },
    };
    let mut record = Record {
        members: vec![MemberRow { member, name: "Mira \"M\"".into(), state: State::Left, state_from: at(90_000) }],
        memberships: vec![
            MembershipRow { member, state: State::Active, from_at: at(0), until_at: Some(at(90_000)) },
            MembershipRow { member, state: State::Left, from_at: at(90_000), until_at: None },
        ],
        signatures: vec![SignatureRow {
            id: id(9),
            member,
            title: "Consent".into(),
            number: 2,
            on_paper: false,
            signed_at: at(5),
            withdrawn_at: Some(at(6)),
        }],
        attendances: vec![attendance(4, Status::Late, 45), attendance(5, Status::NoShow, 0)],
        measures: vec![
            measure(32, "phq-9", Some(10.0), Respondent::Member),
            measure(33, "gad-7", None, Respondent::Clinician),
            measure(34, "who-5", Some(48.0), Respondent::Proxy),
        ],
        ..Record::default()
    };
    let answers = |given: &[(&str, Option<i32>)]| {
        Answers(given.iter().map(|(item, value)| ((*item).to_owned(), *value)).collect())
    };
    record.add_answers(member, id(32), ("phq-9", "1"), &answers(&[("phq-9.1", Some(3)), ("phq-9.2", None)]));
    record.add_answers(member, id(33), ("gad-7", "1"), &answers(&[("gad-7.7", Some(0))]));
    record.add_answers(member, id(34), ("who-5", "1"), &answers(&[("who-5.1", Some(5))]));
    (record, group)
}

#[test]
fn the_bundle_is_the_reviewed_one() {
    let (record, group) = sample();
    let groups = [group];
    let notice = notice(true, Purpose::Payment, Some("The course of 2026 & its scores"));
    let taken = Taken {
        at: Moment(1_790_000_000_000),
        purpose: Purpose::Payment,
        groups: &groups,
        record: &record,
        group_of: &|_| Some(id(1)),
        notice: notice.as_ref(),
    };
    let bundle = bundle(&taken);
    assert_eq!(fhir_rules::faults_of_bundle(&bundle), Vec::<String>::new());
    // A score without a LOINC code is no observation.
    assert_eq!(resources(&bundle, "Observation").len(), 2);
    expect_file!["exports/bundle.json"].assert_eq(&format!("{:#}\n", bundle));
}

/// Whoever judges has to be judged: a bundle that is broken in one place is not taken for a good one.
#[test]
fn the_rules_of_fhir_find_what_is_wrong() {
    let (record, group) = sample();
    let groups = [group];
    let taken = Taken {
        at: Moment(1_790_000_000_000),
        purpose: Purpose::Treatment,
        groups: &groups,
        record: &record,
        group_of: &|_| Some(id(1)),
        notice: None,
    };
    let good = bundle(&taken);
    assert_eq!(fhir_rules::faults_of_bundle(&good), Vec::<String>::new());
    let place = |kind: &str| {
        let entries = good["entry"].as_array().expect("entries");
        let index = entries.iter().position(|entry| entry["resource"]["resourceType"] == kind).expect("a resource");
        format!("/entry/{index}/resource")
    };
    for (kind, element, value) in [
        ("Observation", "status", json!("done")),
        ("Observation", "code", Value::Null),
        ("Observation", "colour", json!("blue")),
        ("Observation", "subject", json!({"reference": format!("urn:uuid:{}", Id::random())})),
        ("Observation", "dataAbsentReason", json!({"text": "unknown"})),
        ("Observation", "effectiveDateTime", json!("yesterday")),
        ("Encounter", "class", json!([{"code": "AMB"}])),
        ("Consent", "policyRule", Value::Null),
        ("Patient", "name", json!({"text": "Mira"})),
    ] {
        let mut broken = good.clone();
        let resource = broken.pointer_mut(&place(kind)).and_then(Value::as_object_mut).expect("a resource");
        match value {
            Value::Null => drop(resource.remove(element)),
            value => drop(resource.insert(element.to_owned(), value)),
        }
        assert_ne!(fhir_rules::faults_of_bundle(&broken), Vec::<String>::new(), "{kind}.{element}");
    }
}

#[test]
fn every_instrument_is_a_questionnaire_without_a_text_that_may_not_ship() {
    for instrument in Registry::built_in().all() {
        let shown = questionnaire(instrument);
        assert_eq!(fhir_rules::faults(&shown), Vec::<String>::new(), "{}", instrument.id);
        let questions: Vec<&Value> =
            shown["item"].as_array().expect("items").iter().filter(|item| item["type"] == "choice").collect();
        assert_eq!(questions.len(), instrument.items.len());
        let has_text = instrument.licence.class == LicenceClass::A;
        for item in questions {
            assert_eq!(item["text"].is_string(), has_text, "{item}");
            assert_eq!(item["_text"]["extension"][0]["valueCode"] == "masked", !has_text, "{item}");
            let has_label = item["answerOption"][0]["valueCoding"]["display"].is_string();
            assert_eq!(has_label, has_text, "{item}");
        }
    }
    let server = Server::start();
    let answer = server.request("GET", "/v1/instruments/phq-9/questionnaire").send();
    assert_eq!(answer.header("content-type").as_deref(), Some("application/fhir+json"));
    let shown = answer.expect(200);
    assert_eq!(shown["url"], "urn:circlekeeper:instrument:phq-9");
    assert_eq!(shown["code"], json!([{"system": "http://loinc.org", "code": "44249-1"}]));
    server.request("GET", "/v1/instruments/nothing/questionnaire").send().expect(404);
    // Behind a first question that ends it, everything waits for its answer; the first question itself does not.
    let gated = server.request("GET", "/v1/instruments/pc-ptsd-5/questionnaire").send().expect(200);
    let waits = |item: &&Value| !item["enableWhen"].is_null();
    let items = gated["item"].as_array().expect("items");
    assert_eq!(items.iter().filter(waits).count(), 6, "{gated}");
}

/// A questionnaire response to the PHQ-9 by value, with these answers.
fn response(answers: &[(&str, i32)]) -> Value {
    let item = |(id, value): &(&str, i32)| json!({"linkId": id, "answer": [{"valueInteger": value}]});
    json!({
        "resourceType": "QuestionnaireResponse", "questionnaire": "urn:circlekeeper:instrument:phq-9|1",
        "status": "completed", "item": answers.iter().map(item).collect::<Vec<_>>()
    })
}

fn nine(last: i32) -> Vec<(&'static str, i32)> {
    let mut answers: Vec<(&str, i32)> =
        ["phq-9.1", "phq-9.2", "phq-9.3", "phq-9.4", "phq-9.5", "phq-9.6", "phq-9.7", "phq-9.8"]
            .map(|id| (id, 1))
            .into();
    answers.push(("phq-9.9", last));
    answers
}

#[test]
fn an_administration_goes_in_and_out_as_it_was() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let path = led.path("/questionnaire-responses");
    let plain = server.post(who, &path, &response(&nine(0))).expect(201);
    assert_eq!((&plain["score"], &plain["member"]), (&json!(8.0), &json!(led.member.id)));
    let id = text(&plain["id"]);
    let read = server.get(who, &led.path(&format!("/measures/{id}/questionnaire-response")));
    assert_eq!(read.header("content-type").as_deref(), Some("application/fhir+json"));
    let resource = read.expect(200);
    assert_eq!(fhir_rules::faults(&resource), Vec::<String>::new());
    assert_eq!(resource["item"][0]["answer"][0]["valueCoding"]["code"], "LA6569-3");
    // What came out goes in again, under the media type of FHIR, and says the same.
    let again = server
        .request("POST", &path)
        .token(&who.token)
        .body(Some("application/fhir+json"), &resource.to_string())
        .send()
        .expect(201);
    assert_eq!((&again["answers"], &again["score"]), (&plain["answers"], &plain["score"]));
    assert_ne!(again["id"], plain["id"]);
    // A declined item is neither missing nor zero.
    let mut declined = response(&nine(0)[..7]);
    let reason =
        json!([{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "asked-declined"}]);
    declined["item"].as_array_mut().expect("items").push(json!({"linkId": "phq-9.9", "extension": reason}));
    let kept = server.post(who, &path, &declined).expect(201);
    assert_eq!((&kept["answers"]["phq-9.9"], &kept["risk"]), (&Value::Null, &json!("declined")));
    assert!(kept["answers"].get("phq-9.8").is_none(), "{kept}");
    let out =
        server.get(who, &led.path(&format!("/measures/{}/questionnaire-response", text(&kept["id"])))).expect(200);
    let last = out["item"].as_array().expect("items").last().expect("an item").clone();
    assert_eq!((&last["linkId"], &last["extension"], &last["answer"]), (&json!("phq-9.9"), &reason, &Value::Null));
}

#[test]
fn risk_is_judged_in_fhir_too_and_before_completeness() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path("/questionnaire-responses");
    let mut half = response(&[("phq-9.9", 1)]);
    half["status"] = json!("stopped");
    let kept = server.post(&led.member.person, &path, &half).expect(201);
    assert_eq!((&kept["score"], &kept["risk"]), (&Value::Null, &json!("positive")));
    assert!(kept["crisis"]["notice"].is_string(), "{kept}");
}

#[test]
fn fhir_is_no_way_around_the_rules_of_measures() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path("/questionnaire-responses");
    let of = |member: &str| {
        let mut body = response(&nine(0));
        body["subject"] = json!({"reference": format!("Patient/{member}")});
        body
    };
    // Another member's answers, another group's member, one without consent.
    server.post(&led.member.person, &path, &of(&led.second_member.id)).refuses("/subject");
    server.post(&led.lead, &path, &of(&world.other.member.id)).refuses("/subject");
    server.post(&led.lead, &path, &response(&nine(0))).refuses("/subject");
    let joined = world::member(server, &led.lead, &led.id, "Led Nina");
    server.post(&led.lead, &path, &of(&joined.id)).refuses("/subject");
    server.post(&joined.person, &path, &response(&nine(0))).refuses("/subject");
    let mut as_clinician = response(&nine(0));
    as_clinician["source"] = json!({"type": "Practitioner", "display": "A clinician"});
    server.post(&led.member.person, &path, &as_clinician).refuses("/source");
    let mut later = response(&nine(0));
    later["authored"] = json!(server.db.clock.now().plus_days(1));
    server.post(&led.member.person, &path, &later).refuses("/authored");
    for (who, status) in [(&world.administrator, 403), (&world.outsider, 404), (&world.other.lead, 404)] {
        server.post(who, &path, &response(&nine(0))).expect(status);
    }
    // Sent twice under one key, it is kept once.
    let twice = || {
        server
            .request("POST", &path)
            .token(&led.member.person.token)
            .key("one-evening")
            .json(&response(&nine(0)))
            .send()
    };
    assert_eq!(twice().expect(201)["id"], twice().expect(201)["id"]);
}

#[test]
fn bad_fhir_is_refused_by_the_name_of_its_element() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path("/questionnaire-responses");
    let broken = |pointer: &str, value: Value| {
        let mut body = response(&nine(0));
        match pointer.rsplit_once('/') {
            Some((parent, name)) => match body.pointer_mut(parent).expect("a parent") {
                Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
                fields => fields[name] = value,
            },
            None => body = value,
        }
        server.post(&led.member.person, &path, &body)
    };
    for (pointer, value, named) in [
        ("/resourceType", json!("Observation"), "/resourceType"),
        ("/status", json!("in-progress"), "/status"),
        ("/status", json!("entered-in-error"), "/status"),
        ("/status", json!("done"), "/status"),
        ("/questionnaire", json!("http://example.org/phq-9"), "/questionnaire"),
        ("/questionnaire", json!("urn:circlekeeper:instrument:phq-9|7"), "/questionnaire"),
        ("/authored", json!("2026-11-20"), "/authored"),
        ("/subject", json!({"reference": "Patient/you"}), "/subject/reference"),
        ("/source", json!({"reference": "Device/1"}), "/source"),
        ("/item/3/linkId", json!("phq-9.77"), "/item/3/linkId"),
        ("/item/3/linkId", json!("phq-9.1"), "/item/3/linkId"),
        ("/item/3/answer/0", json!({"valueInteger": 4}), "/item/3/answer/0/valueInteger"),
        (
            "/item/3/answer/0",
            json!({"valueCoding": {"system": "http://loinc.org", "code": "LA1-1"}}),
            "/item/3/answer/0/valueCoding",
        ),
        ("/item/3/answer/0", json!({"valueCoding": {"code": "LA6568-5"}}), "/item/3/answer/0/valueCoding"),
        ("/item/3/answer/0", json!({}), "/item/3/answer/0"),
        ("/item/3/answer", json!([{"valueInteger": 1}, {"valueInteger": 2}]), "/item/3/answer"),
    ] {
        broken(pointer, value).refuses(named);
    }
    // What must not be passed over is refused, whatever the pointer.
    for (pointer, value) in [
        ("/modifierExtension", json!([{"url": "http://example.org", "valueBoolean": true}])),
        ("/contained", json!([{"resourceType": "Patient"}])),
        ("/implicitRules", json!("http://example.org/rules")),
        ("/item/0/answer/0", json!({"valueString": "often"})),
        ("/no", json!(1)),
    ] {
        let refused = broken(pointer, value).expect(422);
        assert!(
            refused["errors"][0]["detail"].as_str().is_some_and(|detail| detail.starts_with("unknown field")),
            "{refused}"
        );
    }
    let nothing = server.get(&led.lead, &led.path("/measures")).expect(200);
    assert_eq!(nothing["items"], json!([]), "a refused resource keeps nothing");
}

#[test]
fn a_trainee_cannot_take_a_record_out() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let member = led.path(&format!("/members/{}/exports", led.member.id));
    let trainee = led.trainee.as_ref().expect("a trainee");
    for (who, of_member, of_group) in [
        (&led.lead, 200, 200),
        (&led.co_lead, 200, 403),
        (trainee, 403, 403),
        (&led.member.person, 403, 403),
        (&led.former_lead, 404, 404),
        (&world.administrator, 403, 403),
        (&world.privacy_officer, 403, 403),
        (&world.other.lead, 404, 404),
        (&world.outsider, 404, 404),
    ] {
        server.post(who, &member, &with_format("json")).expect(of_member);
        server.post(who, &led.path("/exports"), &with_format("json")).expect(of_group);
    }
    // A member of another group, and of none, is not there.
    for elsewhere in [world.other.member.id.clone(), Id::random().to_string()] {
        take_out(server, &led.lead, led, &elsewhere, &with_format("json")).expect(404);
    }
    // A peer-led group has no record to take out.
    let peer = &world.peer;
    take_out(server, &peer.lead, peer, &peer.member.id, &with_format("json")).expect(403);
    // The accounting is the privacy officer's.
    let path = format!("/v1/organizations/{}/disclosures", world.organization);
    for (who, status) in
        [(&world.privacy_officer, 200), (&world.administrator, 403), (&led.lead, 403), (&world.outsider, 404)]
    {
        server.get(who, &path).expect(status);
    }
}

#[test]
fn what_the_law_asks_to_account_for_is_accounted_for_and_nothing_else() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let send = |body: Value| take_out(server, &led.lead, led, &led.member.id, &body).expect(200);
    for purpose in ["treatment", "payment", "operations"] {
        send(json!({"purpose": purpose}));
        send(json!({"purpose": purpose, "recipient": "Dr. Elsewhere"}));
    }
    send(json!({"purpose": "individual"}));
    send(json!({"purpose": "authorization", "recipient": "A lawyer"}));
    server.get(&led.member.person, "/v1/account/export").expect(200);
    assert_eq!(accounted_for(&world), Vec::<Value>::new());
    assert_eq!(own_accounting(server, &led.member.person), Vec::<Value>::new());

    let recipient = "County health department, 1 Main Street";
    send(json!({"purpose": "public_health", "recipient": recipient, "parts": ["measures"]}));
    let entries = accounted_for(&world);
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    let shown = [&entry["purpose"], &entry["recipient"], &entry["member"], &entry["disclosed_by"], &entry["parts"]];
    let expected =
        [&json!("public_health"), &json!(recipient), &json!(led.member.id), &json!(led.lead.id), &json!(["measures"])];
    assert_eq!(shown, expected);
    assert!(!entry.to_string().contains("Mira"), "no name and no content: {entry}");
    let own = own_accounting(server, &led.member.person);
    assert_eq!((own.len(), &own[0]["recipient"]), (1, &json!(recipient)));
    assert!(own[0].get("disclosed_by").is_none(), "{own:?}");
    assert_eq!(own_accounting(server, &led.second_member.person), Vec::<Value>::new());
    let export = server.get(&led.member.person, "/v1/account/export").expect(200);
    assert_eq!(export["disclosures"][0]["recipient"], recipient);

    // What the columns mean, and when the group met, are about none of them.
    for part in ["columns", "sessions", "agenda"] {
        let body = json!({"purpose": "research", "recipient": "An institute", "format": "csv", "parts": [part]});
        assert_eq!(server.post(&led.lead, &led.path("/exports"), &body).status, 200, "{part}");
    }
    assert_eq!(accounted_for(&world).len(), 1);
    // A group's record is a disclosure about each of its members.
    let whole = json!({"purpose": "health_oversight", "recipient": "State auditor"});
    server.post(&led.lead, &led.path("/exports"), &whole).expect(200);
    let about: BTreeSet<String> = accounted_for(&world)[..3].iter().map(|entry| text(&entry["member"])).collect();
    let members = [&led.member.id, &led.second_member.id, &led.former_member.id];
    assert_eq!(about, members.into_iter().cloned().collect());
    assert_eq!(own_accounting(server, &led.former_member.person).len(), 1);
    let path = format!("/v1/organizations/{}/disclosures?limit=1&member={}", world.organization, led.member.id);
    let first = server.get(&world.privacy_officer, &path).expect(200);
    let next = server.get(&world.privacy_officer, &format!("{path}&cursor={}", text(&first["next"]))).expect(200);
    assert_eq!(
        (&first["items"][0]["purpose"], &next["items"][0]["purpose"]),
        (&json!("health_oversight"), &json!("public_health"))
    );
}

#[test]
fn a_refused_export_leaves_no_entry() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let refused = |body: Value, pointer: &str| {
        take_out(server, &led.lead, led, &led.member.id, &body).refuses(pointer);
    };
    let soon = server.db.clock.now().plus_days(30);
    refused(json!({"purpose": "research"}), "/recipient");
    refused(json!({"purpose": "authorization"}), "/recipient");
    refused(json!({"purpose": "individual", "recipient": "A friend"}), "/recipient");
    refused(json!({"purpose": "curiosity"}), "/purpose");
    refused(json!({"purpose": "research", "recipient": ""}), "/recipient");
    refused(json!({"purpose": "research", "recipient": "An institute", "format": "csv"}), "/parts");
    refused(
        json!({"purpose": "research", "recipient": "An institute", "format": "csv", "parts": ["measures", "answers"]}),
        "/parts",
    );
    refused(
        json!({"purpose": "research", "recipient": "An institute", "parts": ["measures", "session_records"]}),
        "/parts/1",
    );
    refused(json!({"purpose": "research", "recipient": "An institute", "parts": ["columns"]}), "/parts/0");
    refused(
        json!({"purpose": "research", "recipient": "An institute", "format": "fhir", "parts": ["progress_entries"]}),
        "/parts/0",
    );
    refused(json!({"purpose": "research", "recipient": "An institute", "consent_scope": "All."}), "/consent_scope");
    refused(json!({"purpose": "research", "recipient": "An institute", "withheld_until": soon}), "/withheld_until");
    refused(
        json!({"purpose": "law_enforcement", "recipient": "A sheriff", "withheld_until": "2020-01-01T00:00:00Z"}),
        "/withheld_until",
    );
    server.post(&led.lead, &led.path("/exports"), &json!({"purpose": "individual"})).refuses("/purpose");
    assert_eq!(accounted_for(&world), Vec::<Value>::new());
}

#[test]
fn no_record_is_kept_as_an_answer_and_each_sending_is_a_disclosure() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let kept = || found(&server.location, "SELECT CAST(COUNT(*) AS TEXT) AS line FROM \"idempotent_answers\"");
    let before = kept();
    let body = json!({"purpose": "research", "recipient": "An institute"});
    for path in [led.path(&format!("/members/{}/exports", led.member.id)), led.path("/exports")] {
        let send = || server.request("POST", &path).token(&led.lead.token).key("for-the-institute").json(&body).send();
        send().expect(200);
        send().expect(200);
    }
    assert_eq!(kept(), before, "a copy of a whole record lies in the table of answers");
    // Two about the member alone, and two about each member of the group.
    assert_eq!(accounted_for(&world).len(), 2 + 2 * 3);
    let contract = server.request("GET", "/openapi.json").send().expect(200);
    for path in ["/v1/groups/{group}/exports", "/v1/groups/{group}/members/{member}/exports"] {
        let said = contract["paths"][path]["post"]["parameters"].to_string();
        assert!(said.contains("group") && !said.contains("Idempotency-Key"), "{said}");
    }
}

#[test]
fn a_groups_record_that_was_sent_before_does_not_go_out_again_with_somebody_who_has_withdrawn() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path("/exports");
    let send = || {
        let request = server.request("POST", &path).token(&led.lead.token).key("the-whole-group");
        request.json(&json!({"purpose": "treatment"})).send()
    };
    assert!(send().text.contains(&led.member.id));
    withdraw_consent(server, led);
    let again = send();
    assert!(again.status == 200 && !again.text.contains(&led.member.id), "{}", again.text);
}

#[test]
fn the_record_of_a_session_does_not_leave_without_an_entry_for_everybody_in_the_group() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let about = || {
        let entries = accounted_for(&world);
        entries.iter().map(|entry| (text(&entry["member"]), entry["parts"].clone())).collect::<Vec<_>>()
    };
    let everybody: BTreeSet<String> =
        [&led.member.id, &led.second_member.id, &led.former_member.id].into_iter().cloned().collect();
    let records = json!(["session_records"]);
    let body =
        json!({"purpose": "law_enforcement", "recipient": "A sheriff", "format": "csv", "parts": ["session_records"]});
    assert_eq!(server.post(&led.lead, &led.path("/exports"), &body).status, 200);
    let entries = about();
    assert_eq!(entries.iter().map(|entry| entry.0.clone()).collect::<BTreeSet<_>>(), everybody);
    assert!(entries.iter().all(|entry| entry.1 == records), "{entries:?}");
    // Of somebody who has withdrawn nothing else goes out for what rests on consent; what the group went through does.
    under_part_2(server, led);
    withdraw_consent(server, led);
    let body = json!({"purpose": "treatment", "recipient": "Dr. Elsewhere", "consent_scope": "The course of 2026"});
    server.post(&led.lead, &led.path("/exports"), &body).expect(200);
    let entries = about();
    assert_eq!(entries.len(), 6, "{entries:?}");
    for (member, parts) in &entries[..3] {
        assert_eq!(*parts == records, *member == led.member.id, "{member}: {parts}");
    }
}

#[test]
fn the_accounting_names_what_went_out() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let send = |body: Value| {
        assert_eq!(take_out(server, &led.lead, led, &led.member.id, &body).status, 200);
        let names =
            |entry: &Value| -> Vec<String> { entry["parts"].as_array().expect("parts").iter().map(text).collect() };
        assert_eq!(names(&accounted_for(&world)[0]), names(&own_accounting(server, &led.member.person)[0]));
        names(&accounted_for(&world)[0])
    };
    let whole = send(json!({"purpose": "court", "recipient": "County court"}));
    assert_eq!(whole.iter().map(String::as_str).collect::<BTreeSet<_>>(), OF_A_MEMBER.into_iter().collect());
    // Answers and subscales stand with their measures there.
    let bundle = send(json!({"purpose": "court", "recipient": "County court", "format": "fhir"}));
    assert_eq!(bundle, ["members", "memberships", "signatures", "attendances", "measures", "answers"]);
    let few = json!({"purpose": "court", "recipient": "County court", "parts": ["measures", "goals", "measures"]});
    assert_eq!(send(few), ["measures", "goals"]);
}

#[test]
fn nothing_is_withheld_for_ever() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let send = |purpose: &str, days: i64| {
        let until = server.db.clock.now().plus_days(days);
        let body = json!({"purpose": purpose, "recipient": "An agency", "withheld_until": until});
        take_out(server, &led.lead, led, &led.member.id, &body)
    };
    for purpose in ["law_enforcement", "health_oversight"] {
        for days in [367, 3_660, 2_000_000] {
            send(purpose, days).refuses("/withheld_until");
        }
        send(purpose, 366).expect(200);
    }
    for purpose in ["treatment", "court", "research", "required_by_law", "public_health", "authorization"] {
        send(purpose, 30).refuses("/withheld_until");
    }
    assert_eq!(accounted_for(&world).len(), 2);
    assert_eq!(own_accounting(server, &led.member.person), Vec::<Value>::new());
    server.travel_days(366);
    assert_eq!(own_accounting(server, &server.again(&led.member.person)).len(), 2);
}

#[test]
fn a_number_stays_a_number_and_no_disguise_makes_a_formula() {
    for number in ["-2", "0", "10", "-1.5", "47.5"] {
        assert_eq!(cell(number), number);
    }
    for formula in [
        "=1+1",
        "+1",
        "-1+1",
        "@SUM(A1)",
        "-",
        "--1",
        "-1.",
        "-.5",
        "-1.5.2",
        "\tx",
        "\rx",
        "\nx",
        "\u{ff1d}1+1",
        "\u{ff0b}1",
        "\u{ff0d}1+1",
        "\u{ff20}SUM(A1)",
        "\u{feff}=1+1",
        "\u{200b}=1+1",
        "\u{200f}\u{2060}@x",
        "  =1+1",
        " \t+1",
        "\u{a0}=1",
        "\u{feff}-2",
        "\u{202e}=1",
    ] {
        assert_eq!(cell(formula), format!("'{formula}"), "{formula:?}");
    }
    for text in ["", "Three = three", "a-b", "1-1", "  indented", "\u{feff}text"] {
        assert_eq!(cell(text), text);
    }
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    fill(&world);
    let body = json!({"purpose": "treatment", "format": "csv", "parts": ["goal_ratings"]});
    let answer = take_out(server, &led.lead, led, &led.member.id, &body);
    assert!(answer.text.contains(",clinician,-1,"), "{}", answer.text);
    let request = server.request("GET", "/v1/account/export").token(&led.member.person.token);
    let own = request.header("accept", "text/csv").send();
    assert!(own.text.contains(",level,-1\r\n"), "{}", own.text);
}

#[test]
fn a_member_is_not_told_while_an_agency_has_asked_for_it() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let until = server.db.clock.now().plus_days(2);
    let body = json!({"purpose": "law_enforcement", "recipient": "A sheriff", "withheld_until": until});
    take_out(server, &led.lead, led, &led.member.id, &body).expect(200);
    assert_eq!(accounted_for(&world).len(), 1);
    assert_eq!(own_accounting(server, &led.member.person), Vec::<Value>::new());
    let export = server.get(&led.member.person, "/v1/account/export").expect(200);
    assert_eq!(export["disclosures"], json!([]));
    server.travel_days(3);
    assert_eq!(own_accounting(server, &led.member.person).len(), 1);
}

#[test]
fn the_part_2_notice_goes_with_the_record_where_it_applies_and_only_there() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path(&format!("/members/{}/exports", led.member.id));
    for answer in every_form(server, &led.lead, &path, &OF_A_MEMBER) {
        assert!(!answer.text.contains(PART_2_STATEMENT) && !answer.text.contains("42CFRPart2"), "{}", answer.text);
    }
    under_part_2(server, led);
    // Work in the house carries the notice too, and is no disclosure.
    for answer in every_form(server, &led.lead, &path, &OF_A_MEMBER) {
        let is_empty_table = answer.header("content-type").is_some_and(|media| media.starts_with("text/csv"))
            && answer.text.lines().count() == 1;
        assert!(is_empty_table || answer.text.contains(PART_2_STATEMENT), "{}", answer.text);
    }
    assert_eq!(accounted_for(&world), Vec::<Value>::new());
    let own = take_out(server, &led.lead, led, &led.member.id, &json!({"purpose": "individual"}));
    assert!(!own.text.contains(PART_2_STATEMENT), "{}", own.text);
    // What goes out needs the written consent, and says what it covers.
    let mut body = json!({"purpose": "treatment", "recipient": "Dr. Elsewhere", "format": "fhir"});
    take_out(server, &led.lead, led, &led.member.id, &body).refuses("/consent_scope");
    body["consent_scope"] = json!("Scores of this course, until June");
    let bundle = take_out(server, &led.lead, led, &led.member.id, &body).expect(200);
    assert_eq!(fhir_rules::faults_of_bundle(&bundle), Vec::<String>::new());
    assert_eq!(bundle["meta"]["security"][1]["code"], "42CFRPart2");
    let said = text(&resources(&bundle, "Provenance")[0]["text"]["div"]);
    assert!(said.contains(PART_2_STATEMENT) && said.contains("Scores of this course, until June"), "{said}");
    for format in ["json", "html"] {
        body["format"] = json!(format);
        let answer = take_out(server, &led.lead, led, &led.member.id, &body);
        assert!(answer.text.contains("Scores of this course, until June"), "{}", answer.text);
    }
    // Treatment is accounted for here (42 CFR 2.25), as is what needs no consent (2.51).
    let emergency = json!({"purpose": "medical_emergency", "recipient": "Emergency room"});
    take_out(server, &led.lead, led, &led.member.id, &emergency).expect(200);
    assert_eq!(accounted_for(&world).len(), 4);
    for purpose in ["law_enforcement", "public_health", "payment"] {
        take_out(server, &led.lead, led, &led.member.id, &json!({"purpose": purpose, "recipient": "Somebody"}))
            .refuses("/consent_scope");
    }
}

fn is_no_formula(cell: &str) -> bool {
    !cell.starts_with(['=', '+', '-', '@', '\t', '\r']) || cell.parse::<f64>().is_ok()
}

#[test]
fn no_cell_is_a_formula_and_every_column_is_explained() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let name = "=HYPERLINK(\"http://evil.example\")";
    let path = led.path(&format!("/members/{}", led.member.id));
    let version = server.version(&led.lead, &path);
    server.change(&led.lead, "PUT", &format!("{path}/name"), &version, &json!({"name": name})).expect(200);
    server.post(&led.member.person, &led.path("/questionnaire-responses"), &response(&nine(0))).expect(201);
    let read = |path: &str, part: &str| {
        let body = json!({"purpose": "treatment", "format": "csv", "parts": [part]});
        let answer = server.post(&led.lead, path, &body);
        assert_eq!(answer.header("content-type").as_deref(), Some("text/csv; charset=utf-8; header=present"));
        let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
        let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
        let rows: Vec<Vec<String>> =
            reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect();
        assert!(rows.iter().flatten().all(|cell| is_no_formula(cell)), "{rows:?}");
        (header, rows)
    };
    let exports = format!("{path}/exports");
    let (header, rows) = read(&exports, "members");
    assert_eq!(header, ["member", "name", "state", "state_from"]);
    assert_eq!(rows[0][1], format!("'{name}"));
    let (_, dictionary) = read(&led.path("/exports"), "columns");
    assert!(dictionary.iter().all(|row| row.len() == 3 && !row[2].is_empty()), "{dictionary:?}");
    for part in OF_A_MEMBER.iter().chain(&OF_A_GROUP) {
        let (header, rows) = read(&led.path("/exports"), part);
        let explained: Vec<&String> = dictionary.iter().filter(|row| row[0] == **part).map(|row| &row[1]).collect();
        assert_eq!(explained, header.iter().collect::<Vec<_>>(), "{part}");
        assert!(rows.iter().all(|row| row.len() == header.len()));
    }
    let (header, rows) = read(&exports, "answers");
    let column = |name: &str| header.iter().position(|known| known == name).expect("a column");
    assert_eq!(rows.len(), 9);
    assert_eq!(rows[0][column("label")], "Several days");
    // JSON says the same.
    let body = take_out(server, &led.lead, led, &led.member.id, &json!({"purpose": "treatment"})).expect(200);
    assert_eq!(body["answers"].as_array().map(Vec::len), Some(9));
    assert_eq!(body["columns"]["answers"].as_object().map(serde_json::Map::len), Some(header.len()));
    let few = json!({"purpose": "payment", "parts": ["attendances"]});
    let few = take_out(server, &led.lead, led, &led.member.id, &few).expect(200);
    assert_eq!((&few["measures"], &few["answers"], &few["signatures"]), (&json!([]), &json!([]), &json!([])));
}

#[test]
fn a_report_shows_what_was_written_and_lets_none_of_it_act() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path(&format!("/members/{}", led.member.id));
    let version = server.version(&led.lead, &path);
    let name = "<script>alert('x')</script>";
    server.change(&led.lead, "PUT", &format!("{path}/name"), &version, &json!({"name": name})).expect(200);
    let answer = take_out(server, &led.lead, led, &led.member.id, &with_format("html"));
    assert_eq!(answer.header("content-type").as_deref(), Some("text/html; charset=utf-8"));
    assert!(answer.text.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"), "{}", answer.text);
    for active in ["<script", "<img", "<link", "<a ", "http://", "https://", "javascript:", "url("] {
        assert!(!answer.text.contains(active), "{active} in {}", answer.text);
    }
    assert!(answer.text.contains("<title>Record</title>") && answer.text.contains("@media print"), "{}", answer.text);
    // One's own, to print: whose eyes were on it is in the other forms.
    let own = server
        .request("GET", "/v1/account/export")
        .token(&led.member.person.token)
        .header("accept", "text/html")
        .send();
    assert_eq!(own.header("content-type").as_deref(), Some("text/html; charset=utf-8"));
    assert!(own.text.contains(&led.member.person.sign_in_name), "{}", own.text);
    assert!(!own.text.contains(&led.lead.name) && !own.text.contains(&led.lead.id.to_string()), "{}", own.text);
}

#[test]
fn what_the_member_is_given_holds_what_was_released_to_them() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let write = |said: &str| {
        let body = json!({"member": led.member.id, "occurred_at": server.db.clock.now(), "text": said});
        let path = led.path(&format!(
            "/progress-entries/{}",
            server.post(&led.lead, &led.path("/progress-entries"), &body).made()
        ));
        let version = server.version(&led.lead, &path);
        server.change(&led.lead, "POST", &format!("{path}/signature"), &version, &json!({})).expect(200);
        path
    };
    write("Kept for the clinic.");
    let released = write("Read together.");
    server.post(&led.lead, &format!("{released}/release"), &json!({})).expect(200);
    let texts = |purpose: &str| {
        let body = take_out(server, &led.lead, led, &led.member.id, &json!({"purpose": purpose})).expect(200);
        body["progress_entries"]
            .as_array()
            .expect("entries")
            .iter()
            .map(|entry| text(&entry["text"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(texts("treatment"), ["Kept for the clinic.", "Read together."]);
    assert_eq!(texts("individual"), ["Read together."]);
    // The member sees that the record was taken out, and by whom.
    let log = server.get(&led.member.person, "/v1/account/access-log").expect(200);
    let took = |entry: &&Value| entry["action"] == "ExportMemberRecord" && entry["account"] == led.lead.id.to_string();
    assert_eq!(log["items"].as_array().expect("a log").iter().filter(took).count(), 2, "{log}");
}

fn rows<'a>(body: &'a Value, part: &str) -> &'a Vec<Value> {
    body[part].as_array().unwrap_or_else(|| panic!("no {part} in {body}"))
}

/// A goal and homework of the group's first member, and a risk mark about which something was noted.
fn fill(world: &World) {
    let (server, led) = (&world.server, &world.led);
    let (lead, who) = (&led.lead, &led.member.person);
    let goal = json!({"member": led.member.id, "text": "Leave the house.", "levels": {"expected": "Three times"}});
    let goal = server.post(lead, &led.path("/goals"), &goal).made();
    let path = led.path(&format!("/goals/{goal}"));
    let version = server.version(lead, &path);
    server.change(lead, "PUT", &path, &version, &json!({"text": "Go to the market.", "weight": 4})).expect(200);
    server.post(who, &format!("{path}/agreement"), &json!({"wording": 2})).expect(200);
    server.post(lead, &format!("{path}/ratings"), &json!({"level": -1, "words": "Once, with help."})).expect(201);
    server.post(who, &format!("{path}/ratings"), &json!({"level": 1, "words": "More than I hoped."})).expect(201);
    let mistaken = json!({"member": led.member.id, "text": "Meant for somebody else."});
    let mistaken = server.post(lead, &led.path("/goals"), &mistaken).made();
    let path = led.path(&format!("/goals/{mistaken}"));
    let version = server.version(lead, &path);
    server
        .change(lead, "POST", &format!("{path}/ending"), &version, &json!({"outcome": "entered_in_error"}))
        .expect(200);
    let set = |text: &str| {
        let body = json!({"member": led.member.id, "text": text});
        server.post(lead, &led.path("/homework"), &body).made()
    };
    let done = led.path(&format!("/homework/{}/report", set("One walk before noon.")));
    let report = json!({"said": "partly", "words": "Two of three."});
    server.request("PUT", &done).token(&who.token).json(&report).send().expect(200);
    let back = led.path(&format!("/homework/{}/withdrawal", set("Set by mistake.")));
    server.post(lead, &back, &json!({"reason": "Wrong member."})).expect(200);
    let session = led.path(&format!("/sessions/{}", text(&world.session()["id"])));
    let version = server.version(lead, &session);
    server.change(lead, "POST", &format!("{session}/holding"), &version, &json!({})).expect(200);
    server.post(who, &led.path("/questionnaire-responses"), &response(&nine(1))).expect(201);
    let mark = text(&server.get(lead, &led.path("/risks")).expect(200)["items"][0]["id"]);
    let mark = led.path(&format!("/risks/{mark}"));
    let version = server.version(lead, &mark);
    let noted = json!({"note": "Spoke with her on the phone."});
    server.change(lead, "POST", &format!("{mark}/acknowledgement"), &version, &noted).expect(200);
}

#[test]
fn a_whole_record_holds_goals_homework_and_marks_and_the_members_copy_no_marks() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    fill(&world);
    let take = |purpose: &str| take_out(server, &led.lead, led, &led.member.id, &json!({"purpose": purpose}));
    let body = take("treatment").expect(200);
    assert_eq!(rows(&body, "goals").len(), 1, "{body}");
    let goal = &rows(&body, "goals")[0];
    assert_eq!(
        (&goal["state"], &goal["wording"], &goal["proposed_as"]),
        (&json!("live"), &json!(2), &json!("clinician"))
    );
    let worded: Vec<(&Value, bool)> = rows(&body, "goal_wordings")
        .iter()
        .map(|wording| (&wording["text"], wording["member_agreed_at"].is_string()))
        .collect();
    assert_eq!(worded, [(&json!("Leave the house."), false), (&json!("Go to the market."), true)]);
    let mut rated: Vec<(String, i64)> = rows(&body, "goal_ratings")
        .iter()
        .map(|rating| (text(&rating["rated_as"]), rating["level"].as_i64().expect("a level")))
        .collect();
    rated.sort();
    assert_eq!(rated, [("clinician".to_owned(), -1), ("member".to_owned(), 1)]);
    let given = |body: &Value| {
        let mut texts: Vec<String> = rows(body, "homework").iter().map(|row| text(&row["text"])).collect();
        texts.sort();
        texts
    };
    assert_eq!(given(&body), ["One walk before noon.", "Set by mistake.", "Three thought records"]);
    let done = rows(&body, "homework").iter().find(|row| row["text"] == "One walk before noon.").expect("the walk");
    assert_eq!(
        (&done["said"], &done["words"], &done["reported_as"]),
        (&json!("partly"), &json!("Two of three."), &json!("member"))
    );
    assert_eq!(rows(&body, "risks")[0]["state"], "acknowledged");
    let steps: Vec<&Value> = rows(&body, "risk_steps").iter().map(|step| &step["step"]).collect();
    assert_eq!(steps, ["raised", "acknowledged"]);
    let own = take("individual").expect(200);
    assert_eq!(given(&own), ["One walk before noon.", "Three thought records"]);
    assert_eq!((rows(&own, "goals"), rows(&own, "goal_ratings")), (rows(&body, "goals"), rows(&body, "goal_ratings")));
    for part in ["risks", "risk_steps", "reviews"] {
        assert_eq!(rows(&own, part), &Vec::<Value>::new(), "{own}");
        let asked = json!({"purpose": "individual", "parts": [part]});
        take_out(server, &led.lead, led, &led.member.id, &asked).refuses("/parts/0");
    }
    // What a therapist noted for the other therapists, and what was entered in error, is in none of them.
    let mut answers =
        every_form(server, &led.lead, &led.path(&format!("/members/{}/exports", led.member.id)), &OF_A_MEMBER);
    answers.extend(every_form(server, &led.lead, &led.path("/exports"), &OF_A_MEMBER));
    for accept in ["application/json", "text/csv", "text/html"] {
        answers.push(
            server.request("GET", "/v1/account/export").token(&led.member.person.token).header("accept", accept).send(),
        );
        let last = answers.last().expect("an answer");
        for said in ["Go to the market.", "More than I hoped.", "Two of three.", "Three thought records"] {
            assert!(last.text.contains(said), "{said} in {}", last.text);
        }
        for kept in ["Set by mistake.", "acknowledged", "Wrong member."] {
            assert!(!last.text.contains(kept), "{kept} in {}", last.text);
        }
    }
    for answer in &answers {
        for hidden in ["Spoke with her on the phone.", "Meant for somebody else."] {
            assert!(!answer.text.contains(hidden), "{hidden} in {}", answer.text);
        }
    }
    let own = server.get(&led.member.person, "/v1/account/export").expect(200);
    for part in ["goals", "goal_wordings", "goal_ratings", "homework"] {
        let said = Value::from(rows(&own, part).clone()).to_string();
        assert!(!rows(&own, part).is_empty() && !said.contains(&led.lead.id.to_string()), "{said}");
        assert!(own["columns"][part].as_object().is_some_and(|columns| columns.len() > 5), "{part}");
    }
    // What a session gave to all stands with everybody; what was set for one stands with them alone.
    let other = server.get(&led.second_member.person, "/v1/account/export").expect(200);
    assert_eq!(given(&other), ["Three thought records"]);
    assert_eq!(rows(&other, "goals"), &Vec::<Value>::new());
    let other = take_out(server, &led.lead, led, &led.second_member.id, &json!({"purpose": "treatment"})).expect(200);
    assert_eq!((given(&other), rows(&other, "risks").len()), (vec!["Three thought records".to_owned()], 0));
}

fn withdraw_consent(server: &Server, group: &Group) {
    let who = &group.member.person;
    let signatures = server.get(who, &group.path("/signatures")).expect(200);
    let signature = text(&signatures["items"][0]["id"]);
    server.post(who, &group.path(&format!("/signatures/{signature}/withdrawal")), &json!({})).expect(204);
}

#[test]
fn nothing_that_rests_on_consent_goes_out_once_it_is_withdrawn() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path(&format!("/members/{}/exports", led.member.id));
    let body = json!({"purpose": "treatment"});
    let again = || server.request("POST", &path).token(&led.lead.token).key("before-it-was").json(&body).send();
    again().expect(200);
    withdraw_consent(server, led);
    // Not even under the key of one that went out before.
    again().expect(409);
    for purpose in ["treatment", "payment", "operations", "authorization"] {
        for format in ["json", "fhir", "html"] {
            let body = json!({"purpose": purpose, "recipient": "Dr. Elsewhere", "format": format});
            take_out(server, &led.lead, led, &led.member.id, &body).expect(409);
        }
    }
    assert_eq!(accounted_for(&world), Vec::<Value>::new());
    // A group's record goes out without theirs, and says so; the others' stands in it.
    let whole = server.post(&led.lead, &led.path("/exports"), &body).expect(200);
    assert_eq!(whole["members_left_out"], 1);
    assert!(!whole.to_string().contains(&led.member.id), "{whole}");
    assert!(whole.to_string().contains(&led.second_member.id), "{whole}");
    // What the law asks for it asks for all the same, and what is theirs stays theirs.
    for body in [json!({"purpose": "individual"}), json!({"purpose": "court", "recipient": "County court"})] {
        take_out(server, &led.lead, led, &led.member.id, &body).expect(200);
    }
    let court = json!({"purpose": "court", "recipient": "County court"});
    let whole = server.post(&led.lead, &led.path("/exports"), &court).expect(200);
    assert!(whole.to_string().contains(&led.member.id) && whole["members_left_out"] == 0, "{whole}");
    server.get(&led.member.person, "/v1/account/export").expect(200);
    server.post(&led.member.person, &led.path("/questionnaire-responses"), &response(&nine(0))).refuses("/subject");
}

#[test]
fn whoever_led_takes_nothing_out_after_their_term() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let paths = [led.path(&format!("/members/{}/exports", led.member.id)), led.path("/exports")];
    let take = |path: &str| {
        let request = server.request("POST", path).token(&led.lead.token).key("kept-from-then");
        request.json(&json!({"purpose": "treatment"})).send()
    };
    let both = || [&paths[0], &paths[1]].map(|path| take(path));
    assert_eq!(take(&paths[0]).status, 200);
    let terms = server.get(&world.administrator, &led.path("/terms")).expect(200);
    let terms = terms["items"].as_array().expect("terms");
    let term = terms.iter().find(|term| term["account"] == led.lead.id.to_string()).expect("the term");
    let path = led.path(&format!("/terms/{}/end", text(&term["id"])));
    server.post(&world.administrator, &path, &json!({})).expect(204);
    let nothing = server.post(&led.lead, "/v1/groups/018f3c5e-7a00-7000-8000-000000000000/exports", &json!({}));
    for answer in both() {
        assert_eq!((answer.status, &answer.text), (404, &nothing.text));
    }
    assert_eq!(accounted_for(&world), Vec::<Value>::new());
}

#[test]
fn a_form_that_nobody_knows_is_refused_and_keeps_nothing() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path(&format!("/members/{}/exports", led.member.id));
    take_out(server, &led.lead, led, &led.member.id, &with_format("pdf")).refuses("/format");
    let body = json!({"purpose": "research", "recipient": "An institute"});
    server.request("POST", &path).token(&led.lead.token).header("accept", "image/png").json(&body).send().expect(406);
    let as_text = server.request("POST", &path).token(&led.lead.token).body(Some("text/plain"), &body.to_string());
    as_text.send().expect(415);
    let own = server.request("GET", "/v1/account/export").token(&led.member.person.token);
    own.header("accept", "application/pdf").send().expect(406);
    let questionnaire = server.request("GET", "/v1/instruments/phq-9/questionnaire").header("accept", "text/csv");
    questionnaire.send().expect(406);
    assert_eq!(accounted_for(&world), Vec::<Value>::new());
}

#[test]
fn a_response_without_its_time_is_of_now_and_sent_twice_without_a_key_is_two() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (who, path) = (&led.member.person, led.path("/questionnaire-responses"));
    let before = server.db.clock.now();
    let first = server.post(who, &path, &response(&nine(0))).expect(201);
    let taken_at: Moment = serde_json::from_value(first["taken_at"].clone()).expect("a moment");
    assert!(taken_at >= before && taken_at <= server.db.clock.now(), "{first}");
    let mut then = response(&nine(0));
    then["authored"] = json!(before.plus_minutes(-30));
    let second = server.post(who, &path, &then).expect(201);
    assert_eq!(second["taken_at"], json!(before.plus_minutes(-30)));
    // Two evenings may say the same: without a key nobody can know that one was meant.
    let third = server.post(who, &path, &then).expect(201);
    assert_ne!(second["id"], third["id"]);
    assert_eq!(server.get(who, &led.path("/measures")).expect(200)["items"].as_array().map(Vec::len), Some(3));
    // One key for two different responses.
    let with_key = |body: &Value| server.request("POST", &path).token(&who.token).key("one-evening").json(body).send();
    with_key(&then).expect(201);
    with_key(&response(&nine(0))).refuses("Idempotency-Key");
    server.request("POST", &path).token(&who.token).body(Some("text/plain"), &then.to_string()).send().expect(415);
}

#[test]
fn a_members_record_holds_the_sessions_at_which_they_were_expected_and_no_others() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    fill(&world);
    plan_at(server, &led.lead, &led.id, server.db.clock.now().plus_days(7), 60);
    let joined = world::member(server, &led.lead, &led.id, "Led Nina");
    let take = |member: &str, purpose: &str| {
        take_out(server, &led.lead, led, member, &json!({"purpose": purpose})).expect(200)
    };
    for purpose in ["individual", "treatment"] {
        let body = take(&led.member.id, purpose);
        assert_eq!(rows(&body, "sessions").len(), 1, "{body}");
        let session = &rows(&body, "sessions")[0];
        assert_eq!((&session["title"], &session["minutes"]), (&json!("Session"), &json!(60)));
        let techniques: Vec<&Value> = rows(&body, "agenda").iter().map(|item| &item["technique"]).collect();
        assert_eq!(techniques, ["thought-record", "closing-round"]);
        assert!(rows(&body, "agenda").iter().all(|item| item["session"] == session["session"]), "{body}");
        let homework = rows(&body, "homework").iter().find(|row| row["session"].is_string()).expect("of the session");
        assert_eq!(homework["session"], session["session"]);
        assert_eq!(rows(&body, "session_records"), &Vec::<Value>::new());
        // Who came later, or had gone, was not expected.
        for other in [&joined.id, &led.former_member.id] {
            let body = take(other, purpose);
            assert_eq!((rows(&body, "sessions").len(), rows(&body, "agenda").len()), (0, 0), "{body}");
        }
    }
    for format in ["csv", "html"] {
        let body = json!({"purpose": "individual", "format": format, "parts": ["sessions"]});
        let answer = take_out(server, &led.lead, led, &led.member.id, &body);
        assert!(answer.status == 200 && answer.text.contains("Session"), "{}", answer.text);
    }
    // When somebody was expected is theirs: it is accounted for.
    let body = json!({"purpose": "court", "recipient": "County court", "format": "csv", "parts": ["sessions"]});
    assert_eq!(take_out(server, &led.lead, led, &led.member.id, &body).status, 200);
    assert_eq!(accounted_for(&world).len(), 1);
}

/// Words in a page that are an id or a moment to the millisecond.
fn unreadable(page: &str) -> Vec<&str> {
    let words = page.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-:.".contains(letter));
    let is_id = |word: &str| word.len() == 36 && word.parse::<Id>().is_ok();
    let is_moment = |word: &str| word.len() > 10 && word.parse::<jiff::Timestamp>().is_ok();
    words.filter(|word| is_id(word) || is_moment(word)).collect()
}

#[test]
fn a_page_to_print_has_no_ids_no_codes_and_no_seconds() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    fill(&world);
    let answers: Vec<(&str, i32)> = nine(2).into_iter().map(|(item, _)| (item, 2)).collect();
    server.post(&led.member.person, &led.path("/questionnaire-responses"), &response(&answers)).expect(201);
    let group = literal(&server.location, &led.id);
    tamper(&server.location, &format!("UPDATE groups SET zone = 'Asia/Tokyo' WHERE id = {group}"));
    let path = led.path(&format!("/members/{}/exports", led.member.id));
    let session = &rows(&server.post(&led.lead, &path, &with_format("json")).expect(200), "sessions")[0].clone();
    let starts_at: Moment = serde_json::from_value(session["starts_at"].clone()).expect("a moment");
    let in_zone = |zone: &str| {
        let zone = jiff::tz::TimeZone::get(zone).expect("a zone");
        starts_at.timestamp().to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string()
    };
    let of_member = server.post(&led.lead, &path, &with_format("html")).text;
    let of_group = server.post(&led.lead, &led.path("/exports"), &with_format("html")).text;
    let own = server.request("GET", "/v1/account/export").token(&led.member.person.token);
    let own = own.header("accept", "text/html").send().text;
    for page in [&of_member, &of_group, &own] {
        assert_eq!(unreadable(page), Vec::<&str>::new(), "{page}");
        for code in ["moderately_severe", "in_person", "therapist_led", "closing-round", "phq-9.1", "<td>true", ".0<"] {
            assert!(!page.contains(code), "{code} in {page}");
        }
        for words in ["moderately severe", "More than half the days", "Go to the market.", "(PHQ-9)"] {
            assert!(page.contains(words), "{words} is not in {page}");
        }
        let mut headings: Vec<&str> = page.split("<h2>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
        let place = |name: &str| headings.iter().position(|heading| *heading == name).expect("a part");
        assert!(place("Measures") < place("Answers"), "{headings:?}");
        assert!(!headings.contains(&"Progress entries"), "an empty part: {headings:?}");
        let all = headings.len();
        headings.sort_unstable();
        headings.dedup();
        assert_eq!(headings.len(), all, "{headings:?}");
        assert!(page.contains("overflow-wrap:normal") && page.contains("@page wide{size:A4 landscape"), "{page}");
    }
    for page in [&of_member, &of_group] {
        assert!(page.contains(&in_zone("Asia/Tokyo")) && page.contains("<dd>Asia/Tokyo</dd>"), "{page}");
        assert!(page.contains(&format!("{}, Session", in_zone("Asia/Tokyo"))), "{page}");
    }
    assert!(own.contains(&in_zone("UTC")) && own.contains("Led group"), "{own}");
    // Whose a row is, is said where there are several.
    assert!(of_group.contains("<td>Led Noor</td>") && !of_member.contains("<td>Led Noor</td>"), "{of_group}");
}

#[test]
fn nobody_takes_a_bundle_for_the_whole_record() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path("/questionnaire-responses");
    let answers: Vec<(&str, i32)> = nine(2).into_iter().map(|(item, _)| (item, 2)).collect();
    server.post(&led.member.person, &path, &response(&answers)).expect(201);
    server.post(&led.member.person, &path, &response(&nine(0)[6..])).expect(201);
    let bundle = take_out(server, &led.lead, led, &led.member.id, &with_format("fhir")).expect(200);
    assert_eq!(fhir_rules::faults_of_bundle(&bundle), Vec::<String>::new());
    let said = text(&bundle["meta"]["tag"][0]["display"]);
    for part in ["Not the whole record", "goals", "homework", "entries", "risk marks", "reviews"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let organization = format!("urn:uuid:{}", text(&resources(&bundle, "Organization")[0]["id"]));
    let observations = resources(&bundle, "Observation");
    assert_eq!(observations.len(), 2);
    assert!(observations.iter().all(|seen| seen["performer"][0]["reference"] == organization), "{observations:?}");
    let scored = observations.iter().find(|seen| !seen["valueQuantity"].is_null()).expect("a score");
    assert_eq!(scored["interpretation"][0]["text"], "moderately severe");
    let unscored = observations.iter().find(|seen| seen["valueQuantity"].is_null()).expect("no score");
    assert!(text(&unscored["dataAbsentReason"]["text"]).contains("answers are missing"), "{unscored}");
    assert!(resources(&bundle, "QuestionnaireResponse").iter().all(|response| response["status"] == "completed"));
}

#[test]
fn a_disclosure_that_is_withheld_shows_in_the_members_log_no_sooner_than_in_the_accounting() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let exports = |who: &Person| {
        let log = server.get(who, "/v1/account/access-log?limit=200").expect(200);
        let own = server.get(who, "/v1/account/export").expect(200);
        assert_eq!(log["items"].as_array().map(Vec::len), own["access_log"].as_array().map(Vec::len));
        let is_export = |entry: &&Value| text(&entry["action"]).starts_with("Export");
        log["items"].as_array().expect("entries").iter().filter(is_export).count()
    };
    take_out(server, &led.lead, led, &led.member.id, &json!({"purpose": "treatment"})).expect(200);
    assert_eq!(exports(who), 1);
    let until = server.db.clock.now().plus_days(3);
    let police = json!({"purpose": "law_enforcement", "recipient": "Police", "withheld_until": until});
    take_out(server, &led.lead, led, &led.member.id, &police).expect(200);
    server.post(&led.lead, &led.path("/exports"), &police).expect(200);
    assert_eq!((exports(who), own_accounting(server, who).len()), (1, 0));
    // The privacy officer reads both.
    let log = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let log = server.get(&world.privacy_officer, &log).expect(200).to_string();
    assert!(log.contains("ExportGroupRecord"));
    server.travel_days(4);
    assert_eq!((exports(who), own_accounting(server, who).len()), (3, 2));
}

#[test]
fn the_accounting_says_what_45_cfr_164_528_asks() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let before = server.db.clock.now();
    let to_court = json!({
        "purpose": "court", "recipient": "County court, 1 Main St, Springfield", "parts": ["measures", "attendances"]
    });
    take_out(server, &led.lead, led, &led.member.id, &to_court).expect(200);
    // Nearly six years later, and by the member who has gone.
    world::leave(server, &led.member, &led.id);
    server.travel_days(6 * 365);
    let own = own_accounting(server, &server.again(&led.member.person));
    assert_eq!(own.len(), 1);
    let at: Moment = serde_json::from_value(own[0]["disclosed_at"].clone()).expect("a moment");
    assert!(at >= before && at < before.plus_days(1), "the date (b)(2)(i)");
    assert_eq!(own[0]["recipient"], "County court, 1 Main St, Springfield", "name and address (b)(2)(ii)");
    assert_eq!(own[0]["parts"], json!(["attendances", "measures"]), "what (b)(2)(iii)");
    assert_eq!(own[0]["purpose"], "court", "what for (b)(2)(iv)");
    // Nobody else's, and nothing for those who have none.
    assert_eq!(own_accounting(server, &server.again(&led.second_member.person)), Vec::<Value>::new());
}
