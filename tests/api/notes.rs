//! The three kinds of notes: who is written about, what a signature fixes, who co-signs, and the wall between them.

use circlekeeper::values::Id;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    world::{Group, Member, World, accept},
};

const SECRET: &str = "Spoke of the flood of 2019.";

fn write_entry(server: &Server, by: &Person, group: &Group, member: &Member, session: Option<&str>) -> Answer {
    let body = json!({
        "member": member.id, "session": session, "occurred_at": server.db.clock.now(), "text": SECRET
    });
    server.post(by, &group.path("/progress-entries"), &body)
}

fn entry_path(group: &Group, id: &str) -> String {
    group.path(&format!("/progress-entries/{id}"))
}

/// Signs, co-signs or releases what stands at `path` now, as `reader` reads it.
fn act(server: &Server, by: &Person, path: &str, what: &str) -> Answer {
    let read = server.get(by, path);
    let version = read.header("etag").unwrap_or_else(|| "\"1\"".into());
    server.change(by, "POST", &format!("{path}/{what}"), &version, &json!({}))
}

fn ids(answer: Answer) -> Vec<String> {
    let listed = answer.expect(200);
    let items = listed["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn recorded_session(world: &World, attendance: Value) -> String {
    let (server, led) = (&world.server, &world.led);
    let session = world.session();
    let id = session["id"].as_str().unwrap().to_owned();
    let path = led.path(&format!("/sessions/{id}"));
    let version = server.version(&led.lead, &path);
    let now = server.db.clock.now();
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "attendance": attendance,
        "session_record": "Weighed thoughts in pairs."
    });
    server.change(&led.lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
    id
}

#[test]
fn an_absent_member_gets_no_entry_of_the_session() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let session = recorded_session(
        &world,
        json!([
            {"member": led.member.id, "status": "left_early"},
            {"member": led.second_member.id, "status": "no_show"}
        ]),
    );
    write_entry(server, &led.lead, led, &led.member, Some(&session)).expect(201);
    write_entry(server, &led.lead, led, &led.second_member, Some(&session)).refuses("/member");
    assert_eq!(ids(server.get(&led.lead, &led.path("/progress-entries"))).len(), 1);
    // Without the session, one can note that somebody called to excuse themselves.
    write_entry(server, &led.lead, led, &led.second_member, None).expect(201);
    write_entry(server, &led.lead, led, &world.other.member, None).refuses("/member");
    write_entry(server, &led.lead, led, &led.member, Some(&Id::random().to_string())).refuses("/session");
    let tomorrow = server.db.clock.now().plus_days(1);
    let body = json!({"member": led.member.id, "occurred_at": tomorrow, "text": "Not yet."});
    server.post(&led.lead, &led.path("/progress-entries"), &body).refuses("/occurred_at");
}

#[test]
fn a_signed_entry_never_changes() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let id = write_entry(server, &led.lead, led, &led.member, None).made();
    let path = entry_path(led, &id);
    let text = |text: &str| json!({"occurred_at": server.db.clock.now(), "text": text});
    // Drafts are their author's: nobody puts words into them, and nobody signs them for the author.
    let version = server.version(&led.lead, &path);
    server.change(&led.co_lead, "PUT", &path, &version, &text("In another hand.")).expect(409);
    act(server, &led.co_lead, &path, "signature").expect(404);
    server.change(&led.lead, "PUT", &path, &version, &text("As it was.")).expect(200);
    server.change(&led.lead, "PUT", &path, &version, &text("Older.")).expect(412);
    server.post(&led.lead, &format!("{path}/addenda"), &json!({"text": "Too early."})).expect(409);
    let signed = act(server, &led.lead, &path, "signature").expect(200);
    assert_eq!((&signed["state"], &signed["text"]), (&json!("signed"), &json!("As it was.")));
    assert_eq!(signed["signed_by"]["account"], led.lead.id.to_string());
    let version = server.version(&led.lead, &path);
    server.change(&led.lead, "PUT", &path, &version, &text("Later.")).expect(409);
    act(server, &led.lead, &path, "signature").expect(409);
    act(server, &led.lead, &path, "cosignature").expect(409);
    for (who, words) in [(&led.lead, "The diary came in later."), (&led.co_lead, "And agrees.")] {
        server.post(who, &format!("{path}/addenda"), &json!({"text": words})).expect(201);
    }
    let kept = server.get(&led.co_lead, &path).expect(200);
    assert_eq!(kept["text"], "As it was.");
    assert_eq!(kept["signed_at"], signed["signed_at"]);
    let addenda = kept["addenda"].as_array().unwrap();
    assert_eq!((addenda.len(), &addenda[1]["text"]), (2, &json!("And agrees.")));
    assert_eq!(addenda[1]["author"]["account"], led.co_lead.id.to_string());
}

#[test]
fn a_trainees_signature_waits_for_the_supervisor() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let trainee = led.trainee.as_ref().unwrap();
    let id = write_entry(server, trainee, led, &led.member, None).made();
    let path = entry_path(led, &id);
    act(server, &led.lead, &path, "cosignature").expect(409);
    assert_eq!(act(server, trainee, &path, "signature").expect(200)["state"], "awaiting_cosignature");
    // Neither changed nor released nor added to, meanwhile.
    let version = server.version(trainee, &path);
    let body = json!({"occurred_at": server.db.clock.now(), "text": "Later."});
    server.change(trainee, "PUT", &path, &version, &body).expect(409);
    act(server, &led.lead, &path, "release").expect(409);
    server.post(&led.lead, &format!("{path}/addenda"), &json!({"text": "Too early."})).expect(409);
    act(server, trainee, &path, "cosignature").expect(403);
    act(server, &led.co_lead, &path, "cosignature").expect(409);
    let signed = act(server, &led.lead, &path, "cosignature").expect(200);
    assert_eq!(signed["state"], "signed");
    assert_eq!(signed["signed_by"]["account"], trainee.id.to_string());
    assert_eq!(signed["cosigned_by"]["account"], led.lead.id.to_string());
    server.post(trainee, &format!("{path}/addenda"), &json!({"text": "Alone."})).expect(409);
    act(server, trainee, &path, "release").expect(403);
}

#[test]
fn a_session_record_is_signed_and_co_signed_by_the_same_rules() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let trainee = led.trainee.as_ref().unwrap();
    let session = recorded_session(&world, json!([]));
    let path = led.path(&format!("/sessions/{session}/session-record"));
    // A trainee signs only what they began.
    act(server, trainee, &path, "signature").expect(404);
    let version = server.version(&led.co_lead, &path);
    server.change(&led.co_lead, "PUT", &path, &version, &json!({"text": "In pairs; homework reviewed."})).expect(200);
    assert_eq!(act(server, &led.lead, &path, "signature").expect(200)["state"], "signed");
    let version = server.version(&led.lead, &path);
    server.change(&led.lead, "PUT", &path, &version, &json!({"text": "Other."})).expect(409);
    // The recording of the session does not go round the signature.
    let now = server.db.clock.now();
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "session_record": "Other."
    });
    let recording = led.path(&format!("/sessions/{session}"));
    let version = server.version(&led.lead, &recording);
    server.change(&led.lead, "PUT", &format!("{recording}/recording"), &version, &body).expect(409);
    assert_eq!(server.get(&led.lead, &path).expect(200)["text"], "In pairs; homework reviewed.");
    let second = world.session();
    let path = led.path(&format!("/sessions/{}/session-record", second["id"].as_str().unwrap()));
    let begun = server.request("PUT", &path).token(&trainee.token).json(&json!({"text": "Begun by a trainee."})).send();
    begun.expect(200);
    assert_eq!(act(server, trainee, &path, "signature").expect(200)["state"], "awaiting_cosignature");
    act(server, &led.co_lead, &path, "cosignature").expect(409);
    assert_eq!(act(server, &led.lead, &path, "cosignature").expect(200)["state"], "signed");
    for who in [&led.member.person, &world.administrator, &world.privacy_officer] {
        server.get(who, &path).expect(403);
    }
}

#[test]
fn a_member_reads_their_own_entries_once_signed_and_released() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (one, other) = (&led.member, &led.second_member);
    let id = write_entry(server, &led.lead, led, one, None).made();
    let path = entry_path(led, &id);
    let nowhere = server.get(&one.person, &entry_path(led, &Id::random().to_string()));
    let hidden = |who: &Member| {
        let read = server.get(&who.person, &path);
        assert_eq!((read.status, &read.text), (404, &nowhere.text));
        assert_eq!(ids(server.get(&who.person, &led.path("/progress-entries"))), Vec::<String>::new());
    };
    hidden(one);
    act(server, &led.lead, &path, "release").expect(409);
    act(server, &led.lead, &path, "signature").expect(200);
    hidden(one);
    act(server, &led.co_lead, &path, "release").expect(200);
    assert_eq!(server.get(&one.person, &path).expect(200)["text"], SECRET);
    assert_eq!(ids(server.get(&one.person, &led.path("/progress-entries"))), [id.as_str()]);
    hidden(other);
    let asked = server.get(&other.person, &led.path(&format!("/progress-entries?member={}", one.id)));
    asked.expect(404);
    // What was released stays readable to somebody who left.
    crate::world::move_to(server, &led.lead, &led.id, &one.id, "discharged");
    server.get(&one.person, &path).expect(200);
    hidden(other);
    for who in [&world.administrator, &world.privacy_officer, &world.peer.lead] {
        assert!([403, 404].contains(&server.get(who, &path).status));
    }
}

fn write_note(server: &Server, by: &Person, group: &Group) -> String {
    server.post(by, &group.path("/process-notes"), &json!({"text": SECRET})).made()
}

#[test]
fn process_notes_are_their_authors_alone() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let id = write_note(server, &led.lead, led);
    let path = led.path(&format!("/process-notes/{id}"));
    let nowhere = server.get(&led.co_lead, &led.path(&format!("/process-notes/{}", Id::random())));
    for who in [&led.co_lead, led.trainee.as_ref().unwrap()] {
        let read = server.get(who, &path);
        assert_eq!((read.status, &read.text), (404, &nowhere.text));
        assert_eq!(ids(server.get(who, &led.path("/process-notes"))), Vec::<String>::new());
        server.change(who, "PUT", &path, "\"1\"", &json!({"text": "In another hand."})).expect(404);
        act(server, who, &path, "signature").expect(404);
        server.post(who, &format!("{path}/addenda"), &json!({"text": "More."})).expect(404);
        server.request("DELETE", &path).token(&who.token).send().expect(404);
    }
    for who in [&world.administrator, &world.privacy_officer, &led.member.person] {
        server.get(who, &path).expect(403);
        server.get(who, &led.path("/process-notes")).expect(403);
    }
    for who in [&world.outsider, &led.former_lead, &world.other.lead] {
        server.get(who, &path).expect(404);
    }
    assert_eq!(ids(server.get(&led.lead, &led.path("/process-notes"))), [id]);
    assert_eq!(server.get(&led.lead, &path).expect(200)["text"], SECRET);
    // In no other list, of nobody.
    for who in [&led.lead, &led.co_lead, &led.member.person] {
        for rest in ["/progress-entries", "/measures", "/sessions", "/members"] {
            let listed = server.get(who, &led.path(rest));
            assert_eq!(listed.status, 200);
            assert!(!listed.text.contains("flood"), "{rest}: {}", listed.text);
        }
        assert!(!server.get(who, "/v1/account/progress").text.contains("flood"));
        assert!(!server.get(who, "/v1/account/access-log").text.contains("ProcessNote"));
    }
}

#[test]
fn a_signed_process_note_stays_and_a_draft_can_be_thrown_away() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let trainee = led.trainee.as_ref().unwrap();
    let note = |by: &Person| led.path(&format!("/process-notes/{}", write_note(server, by, led)));
    let draft = note(trainee);
    server.request("DELETE", &draft).token(&trainee.token).send().expect(204);
    server.get(trainee, &draft).expect(404);
    // Nobody else may read it, so nobody co-signs it: a trainee's, too.
    let path = note(trainee);
    assert_eq!(act(server, trainee, &path, "signature").expect(200)["state"], "signed");
    let version = server.version(trainee, &path);
    server.change(trainee, "PUT", &path, &version, &json!({"text": "Later."})).expect(409);
    server.request("DELETE", &path).token(&trainee.token).send().expect(409);
    server.post(trainee, &format!("{path}/addenda"), &json!({"text": "For supervision."})).expect(201);
    let kept = server.get(trainee, &path).expect(200);
    assert_eq!((&kept["text"], &kept["addenda"][0]["text"]), (&json!(SECRET), &json!("For supervision.")));
}

#[test]
fn one_kind_of_note_is_not_found_as_another() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let entry = write_entry(server, &led.lead, led, &led.member, None).made();
    let note = write_note(server, &led.lead, led);
    server.get(&led.lead, &led.path(&format!("/process-notes/{entry}"))).expect(404);
    server.get(&led.lead, &led.path(&format!("/progress-entries/{note}"))).expect(404);
    server.get(&led.lead, &led.path(&format!("/sessions/{entry}/session-record"))).expect(404);
    // Nor in another group of the same clinician.
    let therapists = world.other.path("/terms");
    let invited = server.post(&world.other.lead, &therapists, &json!({"standing": "co_therapist"})).expect(201);
    accept(server, &led.lead, invited["code"].as_str().unwrap());
    server.get(&led.lead, &world.other.path(&format!("/process-notes/{note}"))).expect(404);
    server.get(&led.lead, &world.other.path(&format!("/progress-entries/{entry}"))).expect(404);
}

#[test]
fn a_peer_led_group_keeps_no_clinical_notes() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    write_entry(server, &peer.lead, peer, &peer.member, None).expect(403);
    server.post(&peer.lead, &peer.path("/process-notes"), &json!({"text": SECRET})).expect(403);
    server.get(&peer.lead, &peer.path("/progress-entries")).expect(403);
}
