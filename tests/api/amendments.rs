//! Requests for a correction over HTTP: of what one reads oneself, decided by those who lead, and beside the record ever after.

use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    harness::{Answer, Person, Server},
    leaving::found,
    scene::{Records, Scene, measure, text},
    world::{Group, World},
};

/// Records of this subject for the access matrix: of the group's members, people with the ids of their memberships.
pub fn add_records(world: &World, group: &Group, members: &[(Person, String)], records: &mut Records) {
    for (person, _) in members {
        let goals = world.server.get(person, &group.path("/goals")).expect(200);
        let goal = text(&goals["items"][0]["id"]);
        let asked = ask(&world.server, person, group, "goal", &goal).made();
        records.add("amendment", &asked, Some(person.id), None);
    }
}

fn ask(server: &Server, who: &Person, group: &Group, kind: &str, id: &str) -> Answer {
    let body = json!({
        "record": {"kind": kind, "id": id}, "wrong": "It says that I do not work.", "asked": "I work two days a week.",
        "tell": "My family doctor."
    });
    server.post(who, &group.path("/amendment-requests"), &body)
}

fn path(group: &Group, request: &str, rest: &str) -> String {
    group.path(&format!("/amendment-requests/{request}{rest}"))
}

fn step(server: &Server, who: &Person, group: &Group, request: &str, name: &str, body: &Value) -> Answer {
    let version = server.version(who, &path(group, request, ""));
    server.change(who, "POST", &path(group, request, &format!("/{name}")), &version, body)
}

fn deny(server: &Server, group: &Group, request: &str) -> Value {
    let body = json!({
        "decision": "denied", "basis": "accurate_and_complete", "words": "It tells what was said on that evening."
    });
    step(server, &group.lead, group, request, "decision", &body).expect(200)
}

fn accept(server: &Server, group: &Group, request: &str) -> Value {
    step(server, &group.lead, group, request, "decision", &json!({"decision": "accepted"})).expect(200)
}

/// A signed entry about the group's member; the member reads it where it is released.
fn entry(server: &Server, group: &Group, is_released: bool) -> String {
    let body = json!({"member": group.member.id, "occurred_at": server.db.clock.now(), "text": "Does not work."});
    let id = server.post(&group.lead, &group.path("/progress-entries"), &body).made();
    let path = group.path(&format!("/progress-entries/{id}"));
    let version = server.version(&group.lead, &path);
    server.change(&group.lead, "POST", &format!("{path}/signature"), &version, &json!({})).expect(200);
    if is_released {
        server.post(&group.lead, &format!("{path}/release"), &json!({})).expect(200);
    }
    id
}

fn own_measure(server: &Server, group: &Group, who: &Person) -> String {
    server.post(who, &group.path("/measures"), &measure(None, 1)).made()
}

fn take_out(server: &Server, group: &Group, body: &Value) -> Answer {
    server.post(&group.lead, &group.path(&format!("/members/{}/exports", group.member.id)), body)
}

#[test]
fn what_is_not_theirs_to_read_cannot_be_asked_about_and_looks_like_nothing() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let member = &led.member.person;
    let released = entry(server, led, true);
    let unreleased = entry(server, led, false);
    let foreign = own_measure(server, led, &led.second_member.person);
    let nothing = "5f0c2a7e-9d41-4c3b-8a66-1f2e3d4c5b6a";
    ask(server, member, led, "progress_entry", &released).expect(201);
    let refusals: Vec<Value> = [("progress_entry", unreleased.as_str()), ("measure", &foreign), ("measure", nothing)]
        .iter()
        .map(|(kind, id)| ask(server, member, led, kind, id).refuses("/record/id"))
        .collect();
    assert!(refusals.iter().all(|refusal| refusal == &refusals[0]), "{refusals:?}");
    // One kind is not another.
    ask(server, member, led, "measure", &released).refuses("/record/id");
    ask(server, &led.second_member.person, led, "progress_entry", &released).refuses("/record/id");
    for who in [&led.lead, &world.administrator, &world.privacy_officer] {
        ask(server, who, led, "progress_entry", &released).expect(403);
    }
    // A peer-led group keeps no record of this kind.
    ask(server, &world.peer.member.person, &world.peer, "attendance", nothing).expect(403);
    let blank = json!({"record": {"kind": "progress_entry", "id": released}, "wrong": " ", "asked": "This."});
    server.post(member, &led.path("/amendment-requests"), &blank).refuses("/wrong");
}

#[test]
fn a_former_member_keeps_the_right_to_ask() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let asked = own_measure(server, led, &led.member.person);
    crate::world::leave(server, &led.member, &led.id);
    let request = ask(server, &led.member.person, led, "measure", &asked).made();
    deny(server, led, &request);
    let told = step(server, &led.member.person, led, &request, "statement", &json!({"text": "I do."})).expect(200);
    assert_eq!(told["steps"][1]["words"], "I do.");
}

#[test]
fn only_those_who_lead_decide_once_and_never_unread() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let trainee = led.trainee.as_ref().expect("a trainee");
    let record = entry(server, led, true);
    let request = ask(server, &led.member.person, led, "progress_entry", &record).made();
    let accepting = json!({"decision": "accepted"});
    for who in [trainee, &led.member.person, &world.administrator, &world.privacy_officer] {
        server.change(who, "POST", &path(led, &request, "/decision"), "\"1\"", &accepting).expect(403);
    }
    server.get(&led.second_member.person, &path(led, &request, "")).expect(404);
    for who in [&world.administrator, &world.privacy_officer] {
        server.get(who, &path(led, &request, "")).expect(403);
    }
    server.post(&led.lead, &path(led, &request, "/decision"), &accepting).expect(428);
    let decide = |body: &Value| step(server, &led.co_lead, led, &request, "decision", body);
    decide(&json!({"decision": "denied", "words": "No."})).refuses("/basis");
    decide(&json!({"decision": "denied", "basis": "not_open_to_access"})).refuses("/words");
    decide(&json!({"decision": "denied", "basis": "because", "words": "No."})).refuses("/basis");
    decide(&json!({"decision": "accepted", "basis": "not_created_here"})).refuses("/basis");
    let version = server.version(&led.lead, &path(led, &request, ""));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = |who| {
            let version = version.clone();
            let (path, accepting) = (path(led, &request, "/decision"), &accepting);
            scope.spawn(move || server.change(who, "POST", &path, &version, accepting).status)
        };
        let mut asked = [ask(&led.lead), ask(&led.co_lead)].map(|thread| thread.join().expect("a status")).to_vec();
        asked.sort_unstable();
        asked
    });
    assert_eq!(statuses, [200, 412], "of two who decide at once one is told to read again");
    decide(&accepting).expect(409);
    step(server, &led.lead, led, &request, "extension", &json!({"reason": "Later."})).expect(409);
    step(server, &led.member.person, led, &request, "statement", &json!({"text": "No."})).expect(409);
    step(server, &led.member.person, led, &request, "inclusion", &json!({})).expect(409);
}

#[test]
fn an_amendment_overwrites_nothing() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let record = entry(server, led, true);
    let place = led.path(&format!("/progress-entries/{record}"));
    let before = server.get(&led.member.person, &place).expect(200);
    assert_eq!(before["amendments"], json!([]));
    let request = ask(server, &led.member.person, led, "progress_entry", &record).made();
    accept(server, led, &request);
    let mut after = server.get(&led.member.person, &place).expect(200);
    assert_eq!(after["amendments"], json!([{"id": request, "state": "accepted"}]));
    after["amendments"] = json!([]);
    assert_eq!(before, after);
    // The measure and the goal carry theirs as well.
    let measured = own_measure(server, led, &led.member.person);
    let request = ask(server, &led.member.person, led, "measure", &measured).made();
    let shown = server.get(&led.lead, &led.path(&format!("/measures/{measured}"))).expect(200);
    assert_eq!(shown["amendments"], json!([{"id": request, "state": "received"}]));
}

#[test]
fn a_request_is_due_after_sixty_days_and_can_be_put_off_once() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let first = ask(server, &led.member.person, led, "progress_entry", &entry(server, led, true)).expect(201);
    let id = text(&first["id"]);
    let days = |from: &Value, until: &Value| {
        let at = |value: &Value| text(value).parse::<jiff::Timestamp>().expect("a moment");
        at(until).duration_since(at(from)).as_secs() / 86_400
    };
    assert_eq!(days(&first["asked_at"], &first["due_at"]), 60);
    server.travel_days(3);
    let second = ask(server, &led.member.person, led, "progress_entry", &entry(server, led, true)).made();
    let put_off =
        step(server, &led.lead, led, &id, "extension", &json!({"reason": "Who wrote it is away."})).expect(200);
    assert_eq!(days(&put_off["asked_at"], &put_off["due_at"]), 90);
    step(server, &led.lead, led, &id, "extension", &json!({"reason": "Again."})).expect(409);
    // What is due first stands first, and the member reads why it takes longer.
    let queue = server.get(&led.lead, &led.path("/amendment-requests")).expect(200);
    assert_eq!((&queue["items"][0]["id"], &queue["items"][1]["id"]), (&json!(second), &json!(id)));
    let own = server.get(&led.member.person, &path(led, &id, "")).expect(200);
    assert_eq!(own["steps"][0]["words"], "Who wrote it is away.");
    // The tokens of the tests last a week.
    server.travel_days(61);
    let (lead, member) = (server.again(&led.lead), server.again(&led.member.person));
    step(server, &lead, led, &second, "extension", &json!({"reason": "Too late."})).expect(409);
    let late = server.get(&lead, &path(led, &second, "")).expect(200);
    assert_eq!(late["overdue"], true);
    // Overdue is not undecided for ever, and no decision makes it late again.
    let decided = step(server, &lead, led, &second, "decision", &json!({"decision": "accepted"})).expect(200);
    assert_eq!(decided["overdue"], false);
    let own = server.get(&member, &led.path("/amendment-requests")).expect(200);
    assert_eq!(own["items"].as_array().map(Vec::len), Some(2), "a member sees theirs in every state");
    assert_eq!(
        server.get(&lead, &led.path("/amendment-requests")).expect(200)["items"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_denial_goes_out_only_where_the_member_has_it_go() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let record = entry(server, led, true);
    let request = ask(server, &led.member.person, led, "progress_entry", &record).made();
    let to_court = json!({"purpose": "court", "recipient": "County court, 1 Main St"});
    let amendments = |body: &Value| take_out(server, led, body).expect(200)["amendments"].clone();
    let in_house = json!({"purpose": "treatment"});
    assert_eq!(amendments(&to_court), json!([]), "nothing is decided yet");
    assert_eq!(amendments(&in_house)[0]["wrong"], "It says that I do not work.");
    let denied = deny(server, led, &request);
    assert!(text(&denied["what_you_may_do"]).contains("statement of disagreement"), "{denied}");
    assert!(denied["received_by"].is_null());
    assert_eq!(amendments(&to_court), json!([]));
    assert_eq!(amendments(&json!({"purpose": "individual"}))[0]["basis"], "accurate_and_complete");
    step(server, &led.lead, led, &request, "rebuttal", &json!({"text": "Too early."})).expect(409);
    step(server, &led.member.person, led, &request, "inclusion", &json!({})).expect(200);
    step(server, &led.member.person, led, &request, "inclusion", &json!({})).expect(409);
    assert_eq!(amendments(&to_court)[0]["decision_words"], "It tells what was said on that evening.");
    step(server, &led.member.person, led, &request, "statement", &json!({"text": "I said it twice."})).expect(200);
    step(server, &led.member.person, led, &request, "statement", &json!({"text": "Thrice."})).expect(409);
    step(server, &led.member.person, led, &request, "rebuttal", &json!({"text": "Mine."})).expect(403);
    step(server, &led.lead, led, &request, "rebuttal", &json!({"text": "It was said once."})).expect(200);
    step(server, &led.lead, led, &request, "rebuttal", &json!({"text": "And again."})).expect(409);
    let copy = server.get(&led.member.person, &path(led, &request, "")).expect(200);
    assert_eq!(copy["steps"].as_array().and_then(|steps| steps.last()).expect("a step")["words"], "It was said once.");
    let went = amendments(&to_court);
    assert_eq!(
        (&went[0]["statement"], &went[0]["rebuttal"]),
        (&json!("I said it twice."), &json!("It was said once."))
    );
    // What was left out of the wish goes all the same with the record that it is about, and not with another one.
    let with = |part: &str| amendments(&json!({"purpose": "court", "recipient": "Court", "parts": [part]}));
    assert_eq!(with("progress_entries").as_array().map(Vec::len), Some(1));
    assert_eq!(with("measures"), json!([]));
    let path = format!("/v1/organizations/{}/disclosures", world.organization);
    let accounted = server.get(&world.privacy_officer, &path).expect(200);
    let parts = |index: usize| accounted["items"][index]["parts"].as_array().expect("parts").clone();
    assert!(!parts(0).contains(&json!("amendments")));
    assert!(parts(1).contains(&json!("amendments")) && parts(2).contains(&json!("amendments")));
}

#[test]
fn every_form_of_an_export_carries_what_was_asked_and_answered() {
    let scene = Scene::new();
    let (server, led) = (&scene.world.server, &scene.world.led);
    let who = &led.member.person;
    let session = server.get(who, &led.path("/measures")).expect(200);
    let measured = text(&session["items"][0]["id"]);
    let entries = server.get(who, &led.path("/progress-entries")).expect(200);
    let entry = text(&entries["items"][0]["id"]);
    for (kind, id) in [("measure", &measured), ("progress_entry", &entry)] {
        let request = ask(server, who, led, kind, id).made();
        deny(server, led, &request);
        step(server, who, led, &request, "statement", &json!({"text": "I said <b>it</b> twice."})).expect(200);
    }
    let out = |form: &str, part: Option<&str>| {
        let mut body = json!({"purpose": "court", "recipient": "Court", "format": form});
        if let Some(part) = part {
            body["parts"] = json!([part]);
        }
        let answer = take_out(server, led, &body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    };
    let says = |text: &str, statement: &str| {
        for words in ["It says that I do not work.", "I work two days a week.", "It tells what was said", statement] {
            assert!(text.contains(words), "{words} is not in {text}");
        }
    };
    says(&out("json", None), "I said <b>it</b> twice.");
    says(&out("html", None), "I said &lt;b&gt;it&lt;/b&gt; twice.");
    says(&out("fhir", None), "I said &lt;b&gt;it&lt;/b&gt; twice.");
    for part in ["measures", "progress_entries", "amendments"] {
        says(&out("csv", Some(part)), "I said <b>it</b> twice.");
    }
    assert!(!out("csv", Some("attendances")).contains("I work two days"));
    for accept in ["application/json", "text/csv", "text/html", "application/fhir+json"] {
        let own = server.request("GET", "/v1/account/export").token(&who.token).header("accept", accept).send();
        let escaped = matches!(accept, "text/html" | "application/fhir+json");
        says(&own.text, if escaped { "I said &lt;b&gt;it&lt;/b&gt; twice." } else { "I said <b>it</b> twice." });
        // Those of others do not.
        let other = server.request("GET", "/v1/account/export").token(&led.second_member.person.token);
        assert!(!other.header("accept", accept).send().text.contains("twice"));
    }
}

#[test]
fn those_who_had_the_record_are_named_to_whoever_decides_and_to_nobody_else() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let until = server.db.clock.now().plus_days(30);
    let police = json!({
        "purpose": "law_enforcement", "recipient": "Police, 2 Main St", "parts": ["progress_entries"],
        "withheld_until": until
    });
    let record = entry(server, led, true);
    take_out(server, led, &police).expect(200);
    let of_measures = json!({"purpose": "court", "recipient": "Court", "parts": ["measures"]});
    take_out(server, led, &of_measures).expect(200);
    let request = ask(server, who, led, "progress_entry", &record).made();
    let accepted = accept(server, led, &request);
    let received = accepted["received_by"].as_array().expect("a list");
    assert_eq!((received.len(), &received[0]["recipient"]), (1, &json!("Police, 2 Main St")));
    let disclosure = text(&received[0]["id"]);
    let foreign = json!({"disclosures": ["5f0c2a7e-9d41-4c3b-8a66-1f2e3d4c5b6a"]});
    step(server, &led.lead, led, &request, "notices", &foreign).refuses("/disclosures/0");
    step(server, &led.lead, led, &request, "notices", &json!({"disclosures": []})).refuses("/disclosures");
    let before = server.get(who, &path(led, &request, ""));
    let told = step(server, &led.lead, led, &request, "notices", &json!({"disclosures": [disclosure]})).expect(200);
    assert_eq!(told["steps"][1]["disclosures"], json!([disclosure]));
    // The member is not to know before the time is over that anything went out: neither by a step nor by a version.
    let after = server.get(who, &path(led, &request, ""));
    assert_eq!((before.text.clone(), before.etag()), (after.text.clone(), after.etag()));
    assert!(!after.text.contains("Police"));
    let trainee = server.get(led.trainee.as_ref().expect("a trainee"), &path(led, &request, ""));
    assert!(!trainee.text.contains("Police"));
}

#[test]
fn what_is_asked_is_sealed_under_the_members_key_and_logged_without_words() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let request = ask(server, who, led, "progress_entry", &entry(server, led, true)).made();
    deny(server, led, &request);
    let log = server.get(who, "/v1/account/access-log?limit=200").expect(200);
    let entries = log["items"].as_array().expect("entries");
    let decided = entries.iter().find(|entry| entry["action"] == "DecideAmendment").expect("an entry");
    assert_eq!((&decided["member"], &decided["record"]), (&json!(led.member.id), &json!(request)));
    if !server.location.is_postgres() {
        let raw = "SELECT hex(content) AS line FROM amendment_requests UNION SELECT hex(words) FROM amendment_steps";
        let sealed = found(&server.location, raw);
        let plain = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
        assert!(sealed.len() == 2 && sealed.iter().all(|line| !line.contains(&plain("work"))), "{sealed:?}");
    }
    // Words that were moved to another request do not open.
    let other = ask(server, who, led, "progress_entry", &entry(server, led, true)).made();
    let (one, two) = (literal(&server.location, &request), literal(&server.location, &other));
    tamper(
        &server.location,
        &format!(
            "UPDATE amendment_requests SET content = (SELECT content FROM amendment_requests WHERE id = {one}) WHERE id = {two}"
        ),
    );
    server.get(who, &path(led, &other, "")).expect(500);
}

#[test]
fn the_same_request_sent_again_is_one_request() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let record = entry(server, led, true);
    let body = json!({"record": {"kind": "progress_entry", "id": record}, "wrong": "This.", "asked": "That."});
    let send = || {
        let request = server.request("POST", &led.path("/amendment-requests")).token(&led.member.person.token);
        request.key("the-same-key").json(&body).send().made()
    };
    assert_eq!(send(), send());
    let own = server.get(&led.member.person, &led.path("/amendment-requests")).expect(200);
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1));
}
