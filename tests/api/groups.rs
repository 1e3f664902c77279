//! Groups and their people: licences, prices, capacity, leads who go, transfers, consent, and the traps around them.

use circlekeeper::values::Id;
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    harness::{Answer, Person, Server},
    world::{self, Group, Member, World, accept, consent, member, move_to},
};

fn settings(capacity: Option<i32>) -> Value {
    json!({
        "title": "Tuesdays", "public_description": "Evenings.", "format": "in_person", "language": "en",
        "zone": "Europe/Berlin", "capacity": capacity
    })
}

fn new_group(world: &World, kind: &str, extra: &Value) -> Answer {
    let mut body = settings(None);
    body["kind"] = json!(kind);
    for (name, value) in extra.as_object().expect("an object") {
        body[name] = value.clone();
    }
    world.server.post(&world.administrator, &format!("/v1/organizations/{}/groups", world.organization), &body)
}

fn open(world: &World, group: &str) -> Answer {
    let path = format!("/v1/groups/{group}");
    let version = world.server.version(&world.administrator, &path);
    world.server.change(&world.administrator, "POST", &format!("{path}/opening"), &version, &json!({}))
}

fn invite_to_lead(server: &Server, by: &Person, group: &str, body: &Value) -> String {
    let invited = server.post(by, &format!("/v1/groups/{group}/terms"), body).expect(201);
    invited["code"].as_str().expect("a code").to_owned()
}

fn licence(world: &World, person: &Person, valid_from: &str, expires_on: &str, verified: bool) {
    let licences = format!("/v1/organizations/{}/licences", world.organization);
    let body = json!({
        "account": person.id, "licence_type": "LCSW", "number": "L-77", "body": "State board", "jurisdiction": "US-IL",
        "valid_from": valid_from, "expires_on": expires_on
    });
    let id = world.server.post(&world.administrator, &licences, &body).made();
    if verified {
        let path = format!("{licences}/{id}/verification");
        world.server.post(&world.administrator, &path, &json!({})).expect(200);
    }
}

fn term_of(server: &Server, group: &Group, person: &Person) -> String {
    let terms = server.get(&group.lead, &group.path("/terms")).expect(200);
    let items = terms["items"].as_array().expect("terms").clone();
    let term = items.into_iter().find(|term| term["account"] == person.id.to_string()).expect("a term");
    term["id"].as_str().expect("an id").to_owned()
}

fn end_term(server: &Server, by: &Person, group: &Group, term: &str, body: &Value) -> Answer {
    server.post(by, &group.path(&format!("/terms/{term}/end")), body)
}

fn try_move(server: &Server, by: &Person, group: &str, member: &str, body: &Value) -> Answer {
    let path = format!("/v1/groups/{group}/members/{member}");
    let version = server.version(by, &path);
    server.change(by, "POST", &format!("{path}/moves"), &version, body)
}

fn transfer(server: &Server, by: &Person, group: &Group, member: &Member, to: &Group) -> Answer {
    let path = group.path(&format!("/members/{}", member.id));
    let version = server.version(by, &path);
    server.change(by, "POST", &format!("{path}/transfer"), &version, &json!({"to_group": to.id}))
}

fn phq_2(server: &Server, who: &Person, group: &Group) -> Answer {
    let body = json!({"instrument": "phq-2", "answers": {"phq-2.1": 1, "phq-2.2": 2}});
    server.post(who, &group.path("/measures"), &body)
}

fn count(answer: Answer) -> usize {
    answer.expect(200)["items"].as_array().expect("items").len()
}

fn in_days(server: &Server, days: i64) -> Value {
    json!({"until_at": server.db.clock.now().plus_days(days)})
}

#[test]
fn no_group_opens_where_nobody_could_hear_of_a_breach_by_its_leads() {
    let world = World::new();
    let (server, organization) = (&world.server, world.organization);
    let people = server.get(&world.administrator, &format!("/v1/organizations/{organization}/people?limit=200"));
    let people = people.expect(200);
    let officer = world.privacy_officer.id.to_string();
    let officer = people["items"].as_array().unwrap().iter().find(|person| person["account"] == officer).unwrap();
    let office = officer["standings"][0]["id"].as_str().unwrap();
    let body = json!({
        "kind": "peer_led", "title": "Mornings", "public_description": "Mornings.", "format": "in_person",
        "language": "en", "zone": "UTC"
    });
    let groups = format!("/v1/organizations/{organization}/groups");
    let id = server.post(&world.administrator, &groups, &body).made();
    world::lead(server, &world.administrator, organization, &id, "steward", "Stu Steward");
    let open = || {
        let path = format!("/v1/groups/{id}");
        let version = server.version(&world.administrator, &path);
        server.change(&world.administrator, "POST", &format!("{path}/opening"), &version, &json!({}))
    };
    let id_of_office = literal(&server.location, office);
    tamper(&server.location, &format!("UPDATE standings SET until_at = from_at WHERE id = {id_of_office}"));
    let refused = open().expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("privacy officer"), "{refused}");
    tamper(&server.location, &format!("UPDATE standings SET until_at = NULL WHERE id = {id_of_office}"));
    open().expect(200);
}

#[test]
fn a_therapist_led_group_opens_only_under_a_verified_licence_that_is_valid_today() {
    let world = World::new();
    let server = &world.server;
    let group = new_group(&world, "therapist_led", &json!({})).made();
    open(&world, &group).expect(409);
    let therapist = server.account("Unlicensed");
    let code = invite_to_lead(server, &world.administrator, &group, &json!({"standing": "therapist"}));
    accept(server, &therapist, &code);
    open(&world, &group).expect(409);
    let today = server.db.clock.now().day_in("Europe/Berlin");
    let day = |shift: i64| server.db.clock.now().plus_days(shift).day_in("Europe/Berlin").to_string();
    licence(&world, &therapist, "2020-01-01", "2035-01-01", false);
    open(&world, &group).expect(409);
    licence(&world, &therapist, "2020-01-01", &day(-1), true);
    open(&world, &group).expect(409);
    licence(&world, &therapist, &day(1), "2035-01-01", true);
    open(&world, &group).expect(409);
    // The last day counts.
    licence(&world, &therapist, "2020-01-01", &today.to_string(), true);
    assert_eq!(open(&world, &group).expect(200)["state"], "open");
    open(&world, &group).expect(409);
}

#[test]
fn a_licence_of_somebody_who_no_longer_leads_opens_nothing() {
    let world = World::new();
    let server = &world.server;
    let group = new_group(&world, "therapist_led", &json!({})).made();
    let therapist = server.account("Unlicensed");
    let code = invite_to_lead(server, &world.administrator, &group, &json!({"standing": "therapist"}));
    accept(server, &therapist, &code);
    let co = world::lead(server, &world.administrator, world.organization, &group, "co_therapist", "Licensed");
    let terms = server.get(&world.administrator, &format!("/v1/groups/{group}/terms")).expect(200);
    let term = terms["items"].as_array().unwrap().iter().find(|term| term["account"] == co.id.to_string()).unwrap();
    let path = format!("/v1/groups/{group}/terms/{}/end", term["id"].as_str().unwrap());
    server.post(&world.administrator, &path, &json!({})).expect(204);
    open(&world, &group).expect(409);
}

#[test]
fn a_peer_led_group_is_free() {
    let world = World::new();
    let server = &world.server;
    let fee = json!({"fee": {"minor": 3500, "currency": "USD", "period": "session"}});
    new_group(&world, "peer_led", &fee).refuses("/fee");
    new_group(&world, "peer_led", &json!({"insurance": "accepted"})).refuses("/insurance");
    new_group(&world, "therapist_led", &fee).expect(201);
    let bad = json!({"fee": {"minor": 3500, "currency": "usd", "period": "session"}});
    new_group(&world, "therapist_led", &bad).refuses("/fee/currency");
    let path = world.peer.path("");
    let version = server.version(&world.peer.lead, &path);
    let mut body = settings(None);
    body["fee"] = fee["fee"].clone();
    server.change(&world.peer.lead, "PUT", &path, &version, &body).refuses("/fee");
    body["fee"] = Value::Null;
    body["insurance"] = json!("out_of_network");
    server.change(&world.peer.lead, "PUT", &path, &version, &body).refuses("/insurance");
}

#[test]
fn capacity_holds_when_many_join_at_once() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let version = server.version(&led.lead, &led.path(""));
    server.change(&led.lead, "PUT", &led.path(""), &version, &settings(Some(5))).expect(200);
    // Two are active already.
    let invited: Vec<String> = (0..8)
        .map(|number| server.post(&led.lead, &led.path("/members"), &json!({"name": format!("New {number}")})).made())
        .collect();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let joins: Vec<_> = invited
            .iter()
            .map(|id| scope.spawn(move || try_move(server, &led.lead, &led.id, id, &json!({"state": "active"})).status))
            .collect();
        joins.into_iter().map(|done| done.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 5, "{statuses:?}");
    assert_eq!(count(server.get(&led.lead, &led.path("/members?state=active"))), 5);
    // A pause keeps the place, a departure gives it back.
    let waiting = &invited[statuses.iter().position(|status| *status == 409).unwrap()];
    move_to(server, &led.lead, &led.id, &led.member.id, "paused");
    try_move(server, &led.lead, &led.id, waiting, &json!({"state": "active"})).expect(409);
    move_to(server, &led.lead, &led.id, &led.second_member.id, "completed");
    try_move(server, &led.lead, &led.id, waiting, &json!({"state": "active"})).expect(201);
    transfer(server, &world.administrator, &world.other, &world.other.member, led).expect(409);
    let there = server.get(&world.other.lead, &world.other.path(&format!("/members/{}", world.other.member.id)));
    assert_eq!(there.expect(200)["state"], "active");
}

#[test]
fn the_last_lead_cannot_go() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (first, second) = (term_of(server, led, &led.lead), term_of(server, led, &led.co_lead));
    end_term(server, &led.co_lead, led, &second, &json!({})).expect(204);
    end_term(server, &led.lead, led, &first, &json!({})).expect(409);
    end_term(server, &world.administrator, led, &first, &json!({})).expect(409);
    // A trainee leads nobody.
    server.get(&led.lead, &led.path("")).expect(200);
}

#[test]
fn two_leads_who_name_later_days_leave_nobody_behind() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (first, second) = (term_of(server, led, &led.lead), term_of(server, led, &led.co_lead));
    end_term(server, &led.lead, led, &first, &in_days(server, 10)).expect(204);
    end_term(server, &led.co_lead, led, &second, &in_days(server, 20)).expect(409);
    end_term(server, &led.co_lead, led, &second, &in_days(server, 5)).expect(409);
}

#[test]
fn of_the_last_two_leads_who_go_at_once_one_stays() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let leads = [&led.lead, &led.co_lead].map(|lead| (lead, term_of(server, led, lead)));
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let ends: Vec<_> = leads
            .iter()
            .map(|(lead, term)| scope.spawn(move || end_term(server, lead, led, term, &json!({})).status))
            .collect();
        ends.into_iter().map(|done| done.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
}

#[test]
fn a_former_lead_reads_nothing_from_the_next_request_on() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let session = world.session();
    let path = led.path(&format!("/sessions/{}", session["id"].as_str().unwrap()));
    server.get(&led.co_lead, &path).expect(200);
    let term = term_of(server, led, &led.co_lead);
    end_term(server, &led.lead, led, &term, &json!({})).expect(204);
    let hidden = server.get(&led.co_lead, &path);
    let nowhere = server.get(&led.co_lead, &format!("/v1/groups/{}/sessions/{}", Id::random(), Id::random()));
    assert_eq!((hidden.status, &hidden.text), (404, &nowhere.text));
    for rest in ["", "/members", "/measures", "/progress-entries", "/process-notes", "/terms", "/sessions"] {
        server.get(&led.co_lead, &led.path(rest)).expect(404);
    }
}

#[test]
fn a_term_ends_by_the_clock() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let guest = server.account("Guest");
    let mut body = in_days(server, 3);
    body["standing"] = json!("co_therapist");
    let code = invite_to_lead(server, &led.lead, &led.id, &body);
    accept(server, &guest, &code);
    server.travel_days(2);
    server.get(&guest, &led.path("/measures")).expect(200);
    server.travel_days(1);
    server.get(&guest, &led.path("/measures")).expect(404);
    server.get(&guest, &led.path("")).expect(404);
}

#[test]
fn nobody_is_therapist_and_member_of_one_group() {
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    let code = invite_to_lead(server, &world.administrator, &led.id, &json!({"standing": "co_therapist"}));
    server.post(&led.member.person, "/v1/account/standings", &json!({"code": code})).expect(409);
    server.get(&led.member.person, &led.path("/members")).expect(200);
    for person in [&led.lead, &led.co_lead, led.trainee.as_ref().unwrap()] {
        let invited = server.post(&led.lead, &led.path("/members"), &json!({"name": "Both"})).expect(201);
        server.post(person, "/v1/account/standings", &json!({"code": invited["code"]})).expect(409);
    }
    // Somebody who belonged once keeps a record here: they cannot lead either.
    server.post(&led.former_member.person, "/v1/account/standings", &json!({"code": code})).expect(409);
    // Therapist here and member there is fine.
    let invited = server.post(&world.other.lead, &world.other.path("/members"), &json!({"name": "Other"})).expect(201);
    accept(server, &led.lead, invited["code"].as_str().unwrap());
    // In a peer-led group, one person wears both hats.
    let invited = server.post(&peer.co_lead, &peer.path("/members"), &json!({"name": "Both"})).expect(201);
    accept(server, &peer.lead, invited["code"].as_str().unwrap());
    let code = invite_to_lead(server, &peer.lead, &peer.id, &json!({"standing": "facilitator"}));
    accept(server, &peer.member.person, &code);
}

#[test]
fn two_invitations_at_once_do_not_make_a_therapist_a_member() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let person = server.account("Both");
    let code = invite_to_lead(server, &world.administrator, &led.id, &json!({"standing": "co_therapist"}));
    let invited = server.post(&led.lead, &led.path("/members"), &json!({"name": "Both"})).expect(201);
    let codes = [json!(code), invited["code"].clone()];
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let accepts: Vec<_> = codes
            .iter()
            .map(|code| {
                let person = &person;
                scope.spawn(move || server.post(person, "/v1/account/standings", &json!({"code": code})).status)
            })
            .collect();
        accepts.into_iter().map(|done| done.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[test]
fn a_transfer_does_not_make_a_therapist_a_member_of_their_own_group() {
    let world = World::new();
    let (server, led, other) = (&world.server, &world.led, &world.other);
    let code = invite_to_lead(server, &world.administrator, &other.id, &json!({"standing": "co_therapist"}));
    accept(server, &led.member.person, &code);
    transfer(server, &world.administrator, led, &led.member, other).expect(409);
    let kept = server.get(&led.lead, &led.path(&format!("/members/{}", led.member.id))).expect(200);
    assert_eq!(kept["state"], "active");
}

#[test]
fn of_their_own_members_may_only_leave() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member;
    for state in ["paused", "completed", "discharged", "removed", "active", "screened"] {
        try_move(server, &who.person, &led.id, &who.id, &json!({"state": state})).refuses("/state");
    }
    try_move(server, &led.lead, &led.id, &who.id, &json!({"state": "transferred"})).refuses("/state");
    // Leaving counts from now: nobody takes themselves off past rosters.
    let yesterday = server.db.clock.now().plus_days(-1);
    try_move(server, &who.person, &led.id, &who.id, &json!({"state": "left", "from_at": yesterday}))
        .refuses("/from_at");
    try_move(server, &who.person, &led.id, &who.id, &json!({"state": "left"})).expect(201);
    let path = led.path(&format!("/members/{}", who.id));
    let version = server.version(&who.person, &path);
    server.change(&who.person, "POST", &format!("{path}/moves"), &version, &json!({"state": "active"})).expect(403);
    let others = led.path(&format!("/members/{}", led.second_member.id));
    server
        .change(&led.second_member.person, "POST", &format!("{path}/moves"), &version, &json!({"state": "left"}))
        .expect(404);
    server.get(&who.person, &others).expect(404);
}

#[test]
fn after_a_transfer_the_outcome_follows_the_person_and_the_notes_stay() {
    let world = World::new();
    let (server, led, other) = (&world.server, &world.led, &world.other);
    let who = &led.member;
    let old = phq_2(server, &who.person, led).made();
    let written = |text: &str| {
        let body = json!({"member": who.id, "occurred_at": server.db.clock.now(), "text": text});
        server.post(&led.lead, &led.path("/progress-entries"), &body).made()
    };
    let entry = written("Spoke about the flood of 2019.");
    transfer(server, &led.lead, led, who, other).refuses("/to_group");
    let arrived = transfer(server, &world.administrator, led, who, other).expect(201);
    let new = arrived["id"].as_str().unwrap().to_owned();
    assert_eq!(arrived["state"], "active");
    assert_ne!(new, who.id);
    let moved = server.get(&led.lead, &led.path(&format!("/members/{}", who.id))).expect(200);
    assert_eq!(moved["state"], "transferred");
    // Consent was given to the first group.
    phq_2(server, &who.person, other).refuses("/member");
    let agreements = server.get(&who.person, &other.path("/agreements")).expect(200);
    let agreement = agreements["items"][0]["id"].as_str().unwrap();
    server.post(&who.person, &other.path(&format!("/agreements/{agreement}/signatures")), &json!({})).expect(201);
    phq_2(server, &who.person, other).expect(201);
    let progress = server.get(&who.person, "/v1/account/progress").expect(200);
    let groups: Vec<&str> =
        progress["measures"].as_array().unwrap().iter().map(|measure| measure["group"].as_str().unwrap()).collect();
    assert_eq!(groups, [led.id.as_str(), other.id.as_str()]);
    // The new therapist: only what is of their group.
    assert_eq!(count(server.get(&other.lead, &other.path("/measures"))), 1);
    assert_eq!(count(server.get(&other.lead, &other.path("/progress-entries"))), 0);
    server.get(&other.lead, &led.path(&format!("/progress-entries/{entry}"))).expect(404);
    server.get(&other.lead, &other.path(&format!("/progress-entries/{entry}"))).expect(404);
    server.get(&other.lead, &other.path(&format!("/measures/{old}"))).expect(404);
    server.get(&other.lead, &other.path(&format!("/members/{}", who.id))).expect(404);
    // The old one: nothing of the new group.
    assert_eq!(count(server.get(&led.lead, &led.path("/measures"))), 1);
    server.get(&led.lead, &other.path("")).expect(404);
    // And the member keeps what was theirs.
    server.get(&who.person, &led.path(&format!("/measures/{old}"))).expect(200);
    server.get(&who.person, &led.path("")).expect(403);
    transfer(server, &world.administrator, led, who, other).expect(409);
}

#[test]
fn somebody_who_left_can_return_and_every_interval_is_kept() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.former_member;
    server.travel_days(4);
    let path = led.path(&format!("/members/{}", who.id));
    let future = server.db.clock.now().plus_days(1);
    try_move(server, &led.lead, &led.id, &who.id, &json!({"state": "active", "from_at": future})).refuses("/from_at");
    let past = server.db.clock.now().plus_days(-60);
    try_move(server, &led.lead, &led.id, &who.id, &json!({"state": "active", "from_at": past})).refuses("/from_at");
    try_move(server, &led.lead, &led.id, &who.id, &json!({"state": "paused"})).expect(409);
    let body = json!({"state": "active", "reason": "Wanted to finish the course."});
    try_move(server, &led.lead, &led.id, &who.id, &body).expect(201);
    let kept = server.get(&led.lead, &path).expect(200);
    let intervals = kept["intervals"].as_array().unwrap();
    let states: Vec<&str> = intervals.iter().map(|interval| interval["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["invited", "active", "left", "active"]);
    for pair in intervals.windows(2) {
        assert_eq!(pair[0]["until_at"], pair[1]["from_at"]);
    }
    assert_eq!(intervals[3]["until_at"], Value::Null);
    assert_eq!(intervals[3]["reason"], "Wanted to finish the course.");
    // Why is the leads' note.
    let own = server.get(&who.person, &path).expect(200);
    assert!(own["intervals"].as_array().unwrap().iter().all(|interval| interval["reason"].is_null()));
    server.get(&who.person, &led.path("")).expect(200);
}

#[test]
fn two_moves_from_one_version_are_one_move() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path(&format!("/members/{}", led.member.id));
    let version = server.version(&led.lead, &path);
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let moves: Vec<_> = [(&led.lead, "paused"), (&led.co_lead, "completed")]
            .into_iter()
            .map(|(who, state)| {
                let (path, version) = (&path, &version);
                scope.spawn(move || {
                    server.change(who, "POST", &format!("{path}/moves"), version, &json!({"state": state})).status
                })
            })
            .collect();
        moves.into_iter().map(|done| done.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412]);
}

fn signature(server: &Server, group: &Group, who: &Member) -> String {
    let signed = server.get(&who.person, &group.path("/signatures")).expect(200);
    signed["items"][0]["id"].as_str().expect("a signature").to_owned()
}

#[test]
fn without_live_consent_no_measure_is_taken_and_the_former_ones_stay() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member;
    phq_2(server, &who.person, led).expect(201);
    let session = world.session();
    let id = session["id"].as_str().unwrap();
    let signature = signature(server, led, who);
    let withdrawal = led.path(&format!("/signatures/{signature}/withdrawal"));
    server.post(&led.second_member.person, &withdrawal, &json!({})).expect(404);
    server.post(&who.person, &withdrawal, &json!({})).expect(204);
    phq_2(server, &who.person, led).refuses("/member");
    let now = server.db.clock.now();
    let answers = json!({"phq-2.1": 1, "phq-2.2": 2});
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30),
        "measures": [
            {"member": led.second_member.id, "instrument": "phq-2", "answers": answers},
            {"member": who.id, "instrument": "phq-2", "answers": answers}
        ]
    });
    let path = led.path(&format!("/sessions/{id}"));
    let version = server.version(&led.lead, &path);
    server.change(&led.lead, "PUT", &format!("{path}/recording"), &version, &body).refuses("/measures/1/member");
    assert_eq!(count(server.get(&led.lead, &led.path("/measures"))), 1, "all or nothing, and the former one stays");
    assert_eq!(server.get(&who.person, "/v1/account/progress").expect(200)["measures"].as_array().unwrap().len(), 1);
    let agreements = server.get(&who.person, &led.path("/agreements")).expect(200);
    let agreement = agreements["items"][0]["id"].as_str().unwrap();
    server.post(&who.person, &led.path(&format!("/agreements/{agreement}/signatures")), &json!({})).expect(201);
    phq_2(server, &who.person, led).expect(201);
}

#[test]
fn a_version_that_must_be_signed_again_ends_the_older_consent() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let publish = |again: bool| {
        let body = json!({"purpose": "consent", "title": "Consent", "text": "Anew.", "must_sign_again": again});
        server.post(&led.lead, &led.path("/agreements"), &body).made()
    };
    let sign = |agreement: &str| {
        server.post(who, &led.path(&format!("/agreements/{agreement}/signatures")), &json!({})).expect(201)
    };
    let second = publish(false);
    phq_2(server, who, led).expect(201);
    let third = publish(true);
    phq_2(server, who, led).refuses("/member");
    sign(&second);
    phq_2(server, who, led).refuses("/member");
    sign(&third);
    phq_2(server, who, led).expect(201);
    // A later small change asks for nothing.
    publish(false);
    phq_2(server, who, led).expect(201);
    server.post(who, &led.path(&format!("/agreements/{third}/signatures")), &json!({})).expect(409);
}

#[test]
fn consent_is_given_for_oneself_or_recorded_from_paper() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let newcomer = member(server, &led.lead, &led.id, "Newcomer");
    phq_2(server, &newcomer.person, led).refuses("/member");
    let agreements = server.get(&newcomer.person, &led.path("/agreements")).expect(200);
    let path = led.path(&format!("/agreements/{}/signatures", agreements["items"][0]["id"].as_str().unwrap()));
    server.post(&led.member.person, &path, &json!({"member": newcomer.id})).refuses("/member");
    let tomorrow = server.db.clock.now().plus_days(1);
    server.post(&led.lead, &path, &json!({"member": newcomer.id, "signed_at": tomorrow})).refuses("/signed_at");
    let signed = server.post(&led.lead, &path, &json!({"member": newcomer.id})).expect(201);
    assert_eq!(signed["on_paper"], true);
    phq_2(server, &newcomer.person, led).expect(201);
    server.post(&newcomer.person, &path, &json!({})).expect(409);
}

#[test]
fn ground_rules_are_no_clinical_consent() {
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    let body = json!({"purpose": "consent", "title": "Consent", "text": "Clinical."});
    server.post(&peer.lead, &peer.path("/agreements"), &body).refuses("/purpose");
    let newcomer = member(server, &led.lead, &led.id, "Newcomer");
    let body = json!({"purpose": "ground_rules", "title": "Rules", "text": "Be on time."});
    let rules = server.post(&led.lead, &led.path("/agreements"), &body).made();
    let path = led.path(&format!("/agreements/{rules}/signatures"));
    server.post(&newcomer.person, &path, &json!({})).expect(201);
    phq_2(server, &newcomer.person, led).refuses("/member");
    consent(server, &led.lead, &led.id, &[&newcomer]);
    phq_2(server, &newcomer.person, led).expect(201);
}

#[test]
fn nobody_joins_and_no_session_is_planned_in_a_closed_group() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let version = server.version(&peer.lead, &peer.path(""));
    server.change(&peer.lead, "POST", &peer.path("/closing"), &version, &json!({})).expect(200);
    server.post(&peer.lead, &peer.path("/members"), &json!({"name": "Late"})).expect(409);
    let plan = json!({"starts_local": "2027-01-05T18:30", "minutes": 60});
    server.post(&peer.lead, &peer.path("/sessions"), &plan).expect(409);
    server.get(&peer.member.person, &peer.path("")).expect(200);
}

#[test]
fn a_lost_code_is_replaced_and_the_old_one_opens_nothing() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let invited = server.post(&led.lead, &led.path("/members"), &json!({"name": "Zoe"})).expect(201);
    let (id, old) = (invited["id"].as_str().unwrap(), invited["code"].as_str().unwrap());
    let codes = led.path(&format!("/members/{id}/codes"));
    let renewed = server.post(&led.lead, &codes, &json!({})).expect(201);
    let person = server.account("Zoe");
    server.post(&person, "/v1/account/standings", &json!({"code": old})).refuses("/code");
    accept(server, &person, renewed["code"].as_str().unwrap());
    server.post(&led.lead, &codes, &json!({})).expect(409);
    server.post(&led.trainee.clone().unwrap(), &codes, &json!({})).expect(403);
}

#[test]
fn whoever_is_removed_before_signing_up_cannot_sign_up_any_more() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let invited = server.post(&led.lead, &led.path("/members"), &json!({"name": "Zoe"})).expect(201);
    move_to(server, &led.lead, &led.id, invited["id"].as_str().unwrap(), "removed");
    let person = server.account("Zoe");
    server.post(&person, "/v1/account/standings", &json!({"code": invited["code"]})).refuses("/code");
}

#[test]
fn an_administrator_cannot_give_themselves_the_records() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let body = json!({"standing": "co_therapist"});
    let code = invite_to_lead(server, &world.administrator, &led.id, &body);
    let own = server.post(&world.administrator, "/v1/account/standings", &json!({"code": code}));
    assert_eq!(own.status, 409, "{}", own.text);
    // Nor through somebody else who may invite, nor as their own watcher.
    let code = invite_to_lead(server, &led.lead, &led.id, &body);
    server.post(&world.administrator, "/v1/account/standings", &json!({"code": code})).expect(409);
    server.post(&world.privacy_officer, "/v1/account/standings", &json!({"code": code})).expect(409);
    server.get(&world.administrator, &led.path("/measures")).expect(403);
    // A stranger still can, and the privacy officer reads who accepted what.
    accept(server, &world.outsider, &code);
    let log = server.get(&world.privacy_officer, &format!("/v1/organizations/{}/access-log", world.organization));
    let accepted = log.expect(200)["items"]
        .as_array()
        .unwrap()
        .iter()
        .any(|entry| entry["action"] == "AcceptInvitation" && entry["account"] == world.outsider.id.to_string());
    assert!(accepted);
}

#[test]
fn a_code_counts_only_while_its_maker_could_make_it() {
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    let code = invite_to_lead(server, &peer.co_lead, &peer.id, &json!({"standing": "facilitator"}));
    let term = term_of(server, peer, &peer.co_lead);
    end_term(server, &world.administrator, peer, &term, &json!({})).expect(204);
    server.post(&peer.co_lead, "/v1/account/standings", &json!({"code": code})).expect(409);
    server.post(&world.outsider, "/v1/account/standings", &json!({"code": code})).refuses("/code");
    let code = invite_to_lead(server, &led.lead, &led.id, &json!({"standing": "co_therapist"}));
    let path = format!("/v1/organizations/{}/people/{}/suspension", world.organization, led.lead.id);
    let suspended =
        server.request("PUT", &path).token(&world.administrator.token).json(&json!({"reason": "Under review."}));
    suspended.send().expect(204);
    server.post(&world.outsider, "/v1/account/standings", &json!({"code": code})).refuses("/code");
}

#[test]
fn in_a_peer_led_group_nobody_takes_a_name_that_is_somebody_elses() {
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    let rename = |who: &Person, group: &Group, member: &str, name: &str| {
        let path = group.path(&format!("/members/{member}"));
        let version = server.version(who, &path);
        server.change(who, "PUT", &format!("{path}/name"), &version, &json!({"name": name}))
    };
    let invite = |name: &str| server.post(&peer.lead, &peer.path("/members"), &json!({"name": name}));
    invite("Ari").expect(201);
    let own = &peer.member;
    // A member's, one who is invited, one who has left, a lead's: by whomever, and however it is typed.
    for name in ["Peer Noor", " peer  NOOR", "ari", "Peer Goran", "Peer Colead"] {
        rename(&own.person, peer, &own.id, name).refuses("/name");
        rename(&peer.lead, peer, &own.id, name).refuses("/name");
        invite(name).refuses("/name");
    }
    // One's own may change its letters, and what nobody uses any more is free.
    rename(&own.person, peer, &own.id, "PEER Mira").expect(200);
    rename(&own.person, peer, &own.id, "Finch").expect(200);
    invite("Peer Mira").expect(201);
    // Who leads may be called in the group as they are called elsewhere.
    let invited = invite("Wren").expect(201);
    accept(server, &peer.co_lead, invited["code"].as_str().unwrap());
    rename(&peer.lead, peer, invited["id"].as_str().unwrap(), "Peer Colead").expect(200);
    // In a therapist-led group nobody is reported by a name that two have.
    rename(&led.member.person, led, &led.member.id, "Led Noor").expect(200);
}

#[test]
fn nobody_tries_many_names_to_see_who_is_there() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let path = peer.path(&format!("/members/{}", peer.member.id));
    let rename = |name: &str| {
        let version = server.version(&peer.member.person, &path);
        server.change(&peer.member.person, "PUT", &format!("{path}/name"), &version, &json!({"name": name})).status
    };
    let tried: Vec<u16> = (0..12).map(|_| rename("Peer Noor")).collect();
    assert_eq!(tried.iter().filter(|status| **status == 422).count(), 11, "{tried:?}");
    assert_eq!((tried[11], rename("Somebody new")), (429, 429));
}

#[test]
fn of_two_who_are_invited_at_once_under_one_name_one_is() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let invited = [&peer.lead, &peer.co_lead]
            .map(|who| scope.spawn(move || server.post(who, &peer.path("/members"), &json!({"name": "Ari"})).status));
        invited.into_iter().map(|invited| invited.join().expect("an answer")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422]);
}
