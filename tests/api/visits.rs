//! Session codes, drop-ins, claims and proofs of attendance.

use circlekeeper::values::{Id, Moment};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Server},
    meetings::{Evening, change_settings, choose, ids, keep, mode_of},
    scene::{self, Peers, Records, text},
    world::{self, Member, World},
};

/// Records of this subject for the access matrix.
pub fn add_records(_: &Peers, _: &mut Records) {}

/// As somebody without an account.
fn ask(server: &Server, path: &str, body: &Value) -> Answer {
    server.request("POST", &format!("/v1{path}")).json(body).send()
}

fn code(evening: &Evening) -> String {
    let path = format!("{}/code", evening.path);
    text(&evening.world.server.post(&evening.world.peer.lead, &path, &json!({})).expect(200)["code"])
}

fn drop_in(server: &Server, code: &str) -> String {
    text(&ask(server, "/visits", &json!({"code": code})).expect(201)["visit_code"])
}

fn claim(world: &World, member: &Member, visit: &str) -> Answer {
    world.server.post(&member.person, &world.peer.path("/visits"), &json!({"visit_code": visit}))
}

fn prove(evening: &Evening, member: &Member, body: &Value) -> Answer {
    evening.world.server.post(&member.person, &format!("{}/proofs", evening.path), body)
}

fn is_valid(server: &Server, proof: &Value, name: &str, on: &str) -> bool {
    let answer = ask(server, "/proofs/checks", &json!({"proof": proof, "name": name, "on": on})).expect(200);
    assert_eq!(answer.as_object().expect("an object").len(), 1, "{answer}");
    answer["valid"].as_bool().expect("yes or no")
}

#[test]
fn a_drop_in_is_asked_for_nothing_and_told_nothing() {
    let world = World::new();
    let server = &world.server;
    let evening = Evening::new(&world);
    let code = code(&evening);
    for extra in [("email", "sam@example.org"), ("name", "Sam")] {
        ask(server, "/visits", &json!({"code": code, (extra.0): extra.1})).expect(422);
    }
    // However it was typed.
    let typed = format!(" {}-{} ", code[..3].to_lowercase(), &code[3..]);
    let answer = ask(server, "/visits", &json!({"code": typed}));
    let text_of = format!("{:?} {}", answer.headers, answer.text);
    for secret in [&world.peer.id, &evening.session, "Peer group"] {
        assert!(!text_of.contains(secret), "{text_of}");
    }
    let body = answer.expect(201);
    assert_eq!(body.as_object().expect("an object").keys().collect::<Vec<_>>(), ["visit_code"]);
    assert_ne!(body["visit_code"].as_str().expect("a code"), drop_in(server, &code));
    let kept = evening.read();
    assert_eq!((&kept["drop_ins"], &kept["heads"]), (&json!(2), &Value::Null));
    assert_eq!(evening.record(3, &json!({})).expect(200)["extras"], 1);
    // Somebody may still drop in on their way home.
    drop_in(server, &code);
    drop_in(server, &code);
    let kept = evening.read();
    assert_eq!((&kept["heads"], &kept["drop_ins"], &kept["extras"]), (&json!(3), &json!(4), &json!(0)));
}

#[test]
fn one_phone_that_sends_the_code_again_and_again_makes_nobody_miscount() {
    let world = World::new();
    let evening = Evening::new(&world);
    let code = code(&evening);
    for _ in 0..30 {
        drop_in(&world.server, &code);
    }
    let counted = evening.record(9, &json!({})).expect(200);
    assert_eq!((&counted["heads"], &counted["drop_ins"], &counted["extras"]), (&json!(9), &json!(30), &json!(0)));
}

#[test]
fn nobody_was_at_a_meeting_that_is_hours_away() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let at = server.db.clock.now().plus_minutes(3 * 60);
    let planned = scene::plan_at(server, &peer.lead, &peer.id, at, 60);
    let path = peer.path(&format!("/sessions/{}", text(&planned["id"])));
    let opened = server.post(&peer.lead, &format!("{path}/code"), &json!({})).expect(200);
    let starts_at: Moment = serde_json::from_value(planned["starts_at"].clone()).expect("a moment");
    assert_eq!(opened["opens_at"], json!(starts_at.plus_minutes(-60)));
    assert_eq!(opened["closes_at"], json!(starts_at.plus_minutes(60 + 180)));
    let code = text(&opened["code"]);
    let prove = || server.post(&peer.member.person, &format!("{path}/proofs"), &json!({"name": "Sam", "code": code}));
    ask(server, "/visits", &json!({"code": code})).refuses("/code");
    prove().expect(409);
    server.db.clock.shift(2 * 60 * 60_000);
    let visit = drop_in(server, &code);
    prove().expect(409);
    ask(server, "/proofs", &json!({"visit_code": visit, "name": "Sam"})).expect(409);
    server.db.clock.shift(60 * 60_000);
    prove().expect(201);
    ask(server, "/proofs", &json!({"visit_code": visit, "name": "Sam"})).expect(201);
    // Put off by a day before it begins, and the code with it.
    let at = server.db.clock.now().plus_minutes(30);
    let planned = scene::plan_at(server, &peer.lead, &peer.id, at, 60);
    let path = peer.path(&format!("/sessions/{}", text(&planned["id"])));
    let code = text(&server.post(&peer.lead, &format!("{path}/code"), &json!({})).expect(200)["code"]);
    drop_in(server, &code);
    let version = server.version(&peer.lead, &path);
    let local = at.plus_days(1).timestamp().to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M").to_string();
    let moved = json!({"title": planned["title"], "starts_local": local, "minutes": 60});
    server.change(&peer.lead, "PUT", &path, &version, &moved).expect(200);
    ask(server, "/visits", &json!({"code": code})).refuses("/code");
    let early = json!({"name": "Sam", "code": code});
    server.post(&peer.member.person, &format!("{path}/proofs"), &early).expect(409);
}

#[test]
fn codes_that_open_nothing_are_not_told_apart() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let refused = |code: &str| {
        let answer = ask(server, "/visits", &json!({"code": code}));
        answer.clone().refuses("/code");
        answer.text
    };
    let wrong = refused("AAAAAA");
    let (cancelled, evening) = (Evening::new(&world), Evening::new(&world));
    let (of_cancelled, of_evening) = (code(&cancelled), code(&evening));
    assert_ne!(of_cancelled, of_evening);
    assert!(of_evening.len() == 6 && of_evening.chars().all(|c| "ACEFHJKPRTWXY34679".contains(c)), "{of_evening}");
    drop_in(server, &of_cancelled);
    let version = server.version(&peer.lead, &cancelled.path);
    let reason = json!({"reason": "The boiler."});
    server.change(&peer.lead, "POST", &format!("{}/cancellation", cancelled.path), &version, &reason).expect(200);
    assert_eq!(refused(&of_cancelled), wrong);
    server.post(&peer.lead, &format!("{}/code", cancelled.path), &json!({})).expect(409);
    // The session ended half an hour ago: the code counts for two hours and a half more, and is the same all along.
    assert_eq!(code(&evening), of_evening);
    server.db.clock.shift(149 * 60_000);
    drop_in(server, &of_evening);
    assert_eq!(code(&evening), of_evening);
    server.db.clock.shift(60_000);
    assert_eq!(refused(&of_evening), wrong);
    server.post(&peer.lead, &format!("{}/code", evening.path), &json!({})).expect(409);
    server.post(&peer.member.person, &format!("{}/code", evening.path), &json!({})).expect(403);
}

#[test]
fn codes_cannot_be_guessed_and_a_whole_hall_gets_in() {
    let world = World::new();
    let server = &world.server;
    let evening = Evening::new(&world);
    let code = code(&evening);
    for _ in 0..40 {
        drop_in(server, &code);
    }
    let statuses: Vec<u16> = (0..12).map(|_| ask(server, "/visits", &json!({"code": "AAAAAA"})).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 11, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429));
    // A right one tells no guesser that it is right.
    let answer = ask(server, "/visits", &json!({"code": code}));
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    answer.expect(429);
    // Papers are counted for themselves, and so is everybody who signs in.
    assert!(!is_valid(server, &json!("aaaaa-aaaaa-aaaaa-aaaaa"), "Sam", "2026-11-17"));
    prove(&evening, &world.peer.member, &json!({"name": "Sam", "code": code})).expect(201);
    let guess = json!({"name": "Sam", "code": "AAAAAA"});
    let statuses: Vec<u16> = (0..12).map(|_| prove(&evening, &world.peer.member, &guess).status).collect();
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    prove(&evening, &world.peer.second_member, &json!({"name": "Sam", "code": code})).expect(201);
    let statuses: Vec<u16> =
        (0..12).map(|_| claim(&world, &world.peer.member, "aaaaa-aaaaa-aaaaa-aaaaa").status).collect();
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}

#[test]
fn too_many_right_codes_from_one_place_have_to_wait_too() {
    let world = World::new();
    let server = &world.server;
    let evening = Evening::new(&world);
    let code = code(&evening);
    let statuses: Vec<u16> = (0..70).map(|_| ask(server, "/visits", &json!({"code": code})).status).collect();
    let made = statuses.iter().filter(|status| **status == 201).count();
    assert!((60..65).contains(&made), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 201 | 429)), "{statuses:?}");
}

#[test]
fn a_visit_is_claimed_once_and_by_nobody_elsewhere() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let evening = Evening::new(&world);
    let visit = drop_in(server, &code(&evening));
    evening.record(5, &json!({})).expect(200);
    let before = evening.read();
    let wrong = claim(&world, &peer.member, "aaaaa-aaaaa-aaaaa-aaaaa");
    wrong.clone().refuses("/visit_code");
    // The other peer-led group of the organization.
    let group = json!({
        "kind": "peer_led", "title": "Elsewhere", "public_description": "Evenings.", "format": "in_person",
        "language": "en", "zone": "UTC"
    });
    let elsewhere =
        server.post(&world.administrator, &format!("/v1/organizations/{}/groups", world.organization), &group).made();
    let lead = world::lead(server, &world.administrator, world.organization, &elsewhere, "facilitator", "Ella");
    world::lead(server, &world.administrator, world.organization, &elsewhere, "steward", "Stella");
    let path = format!("/v1/groups/{elsewhere}");
    let version = server.version(&world.administrator, &path);
    server.change(&world.administrator, "POST", &format!("{path}/opening"), &version, &json!({})).expect(200);
    let stranger = world::member(server, &lead, &elsewhere, "Stranger");
    let body = json!({"visit_code": visit});
    let foreign = server.post(&stranger.person, &format!("{path}/visits"), &body);
    assert_eq!((foreign.status, &foreign.text), (422, &wrong.text));
    let claimed = claim(&world, &peer.member, &visit).expect(200);
    let today = server.db.clock.now().plus_minutes(-90).day_in("UTC").to_string();
    assert_eq!(claimed, json!({"starts_on": today}));
    for member in [&peer.member, &peer.second_member] {
        assert_eq!(claim(&world, member, &visit).text, wrong.text);
    }
    // Nothing about it shows, and nobody is kept.
    assert_eq!(evening.read(), before);
    assert_eq!(mode_of(&world, &peer.member)["meetings"], 0);
    server.post(&peer.lead, &peer.path("/visits"), &body).expect(403);
}

#[test]
fn a_claimed_visit_becomes_what_the_mode_allows_and_changes_no_count() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    keep(&world, "named");
    let evening = Evening::new(&world);
    let code = code(&evening);
    let visits = [0; 3].map(|_| drop_in(server, &code));
    // They joined after the session at which they dropped in.
    let newcomer = world::member(server, &peer.lead, &peer.id, "Newcomer");
    claim(&world, &newcomer, &visits[0]).expect(200);
    assert_eq!(ids(&evening.read()["present"]["members"]), [newcomer.id.clone()].into());
    evening.record(0, &json!({})).refuses("/heads");
    evening.record(1, &json!({"members": [peer.member.id]})).refuses("/heads");
    let counted = evening.record(4, &json!({"members": [peer.member.id]})).expect(200);
    assert_eq!((&counted["drop_ins"], &counted["extras"]), (&json!(2), &json!(0)));
    choose(&world, &peer.second_member, &json!({"mode": "pseudonym", "pseudonym": "Heron"})).expect(200);
    claim(&world, &peer.second_member, &visits[1]).expect(200);
    let kept = evening.read();
    assert_eq!((&kept["heads"], &kept["drop_ins"], &kept["extras"]), (&json!(4), &json!(1), &json!(0)));
    assert_eq!(kept["present"]["pseudonyms"][0]["name"], "Heron");
    assert_eq!(ids(&kept["present"]["members"]), [peer.member.id.clone(), newcomer.id.clone()].into());
    // A correction may name who claimed a visit, and may leave them out.
    let heron = kept["present"]["pseudonyms"][0]["id"].clone();
    let all = json!({"members": [peer.member.id, newcomer.id], "pseudonyms": [heron], "reason": "One more."});
    evening.record(5, &all).expect(200);
    let without = json!({"members": [peer.member.id], "reason": "A mistake."});
    evening.record(5, &without).expect(200);
    assert_eq!(mode_of(&world, &newcomer)["meetings"], 0);
    // Somebody who is kept there already is not counted twice.
    claim(&world, &peer.member, &visits[2]).expect(200);
    assert_eq!(ids(&evening.read()["present"]["members"]), [peer.member.id.clone()].into());
}

#[test]
fn a_paper_names_no_group_and_says_nothing_that_is_not_on_it() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    keep(&world, "named");
    choose(&world, &peer.second_member, &json!({"mode": "pseudonym", "pseudonym": "Heron"})).expect(200);
    let evening = Evening::new(&world);
    let code = code(&evening);
    prove(&evening, &peer.member, &json!({"name": "Sam"})).refuses("/code");
    prove(&evening, &peer.member, &json!({"name": "Sam", "code": "AAAAAA"})).refuses("/code");
    prove(&evening, &peer.member, &json!({"name": "Sam Rivers", "code": code})).refuses("/name");
    let other = Evening::at(&world, server.db.clock.now().plus_minutes(-90));
    prove(&other, &peer.member, &json!({"name": "Sam", "code": code})).refuses("/code");
    let answer = prove(&evening, &peer.member, &json!({"name": "Jose\u{301}", "code": code}));
    let whole = format!("{:?} {}", answer.headers, answer.text);
    for secret in [&peer.id, &evening.session, &peer.member.id, "Peer", "group"] {
        assert!(!whole.contains(secret), "{whole}");
    }
    let paper = answer.expect(201);
    let on = text(&paper["on"]);
    assert_eq!(on, server.db.clock.now().plus_minutes(-90).day_in("UTC").to_string());
    assert!(is_valid(server, &paper["proof"], "José", &on));
    let typed = json!(text(&paper["proof"]).to_uppercase().replace('-', " "));
    assert!(is_valid(server, &typed, "José", &on));
    assert!(!is_valid(server, &paper["proof"], "Josef", &on));
    assert!(!is_valid(server, &paper["proof"], "José", "2020-01-01"));
    assert!(!is_valid(server, &json!(Id::random().to_string()), "José", &on));
    // Once the code is closed, a paper needs a row of one's own.
    server.db.clock.shift(3 * 60 * 60_000);
    prove(&evening, &peer.member, &json!({"name": "Sam", "code": code})).refuses("/code");
    assert!(is_valid(server, &paper["proof"], "José", &on));
    let heron = evening.read()["to_tick"]["pseudonyms"][0]["id"].clone();
    evening.record(2, &json!({"members": [peer.member.id], "pseudonyms": [heron]})).expect(200);
    prove(&evening, &peer.member, &json!({"name": "M"})).expect(201);
    prove(&evening, &peer.second_member, &json!({"name": "N"})).expect(201);
    prove(&other, &peer.member, &json!({"name": "M"})).refuses("/code");
    server.post(&peer.lead, &format!("{}/proofs", evening.path), &json!({"name": "L", "code": code})).expect(403);
}

#[test]
fn a_drop_in_gets_a_paper_too_unless_the_group_makes_none() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let evening = Evening::new(&world);
    let code = code(&evening);
    let visit = drop_in(server, &code);
    ask(server, "/proofs", &json!({"visit_code": "aaaaa-aaaaa-aaaaa-aaaaa", "name": "S"})).refuses("/visit_code");
    ask(server, "/proofs", &json!({"visit_code": visit, "name": "S R"})).refuses("/name");
    let paper = ask(server, "/proofs", &json!({"visit_code": visit, "name": "S"})).expect(201);
    assert!(is_valid(server, &paper["proof"], "S", &text(&paper["on"])));
    // Claimed, it is still the visitor's own.
    claim(&world, &peer.member, &visit).expect(200);
    ask(server, "/proofs", &json!({"visit_code": visit, "name": "S"})).expect(201);
    change_settings(&world, &json!({"proofs": false}));
    ask(server, "/proofs", &json!({"visit_code": visit, "name": "S"})).expect(409);
    prove(&evening, &peer.member, &json!({"name": "Sam", "code": code})).expect(409);
    // What was made stays made.
    assert!(is_valid(server, &paper["proof"], "S", &text(&paper["on"])));
}
