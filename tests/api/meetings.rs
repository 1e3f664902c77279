//! Meetings of a peer-led group: head counts, readings, attendance in three modes.

use std::collections::BTreeSet;

use circlekeeper::{
    server,
    store::backup,
    values::{Id, Moment},
};
use diesel::{Connection as _, QueryableByName, RunQueryDsl, SqliteConnection};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, PASSWORD, Person, Server},
    scene::{Peers, Records, plan_at, text},
    world::{self, Group, Member, World},
};

/// Records of this subject for the access matrix.
pub fn add_records(_: &Peers, _: &mut Records) {}

/// One session of the peer-led group, and the way to record it.
pub struct Evening<'a> {
    pub world: &'a World,
    pub session: String,
    pub path: String,
}

impl<'a> Evening<'a> {
    /// Began an hour and a half ago, and after everything that was agreed before.
    pub fn new(world: &'a World) -> Evening<'a> {
        world.server.db.clock.shift(91 * 60_000);
        Evening::at(world, world.server.db.clock.now().plus_minutes(-90))
    }

    pub fn at(world: &'a World, start: Moment) -> Evening<'a> {
        let session = text(&plan_at(&world.server, &world.peer.lead, &world.peer.id, start, 60)["id"]);
        let path = world.peer.path(&format!("/sessions/{session}"));
        Evening { world, session, path }
    }

    fn group(&self) -> &'a Group {
        &self.world.peer
    }

    /// So many heads, and whatever else is said.
    pub fn body(&self, heads: i32, rest: &Value) -> Value {
        let now = self.world.server.db.clock.now();
        let mut body = json!({
            "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "heads": heads
        });
        for (name, value) in rest.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    }

    pub fn send(&self, by: &Person, body: &Value) -> Answer {
        self.send_at(by, &self.world.server.version(by, &self.path), body)
    }

    fn send_at(&self, by: &Person, version: &str, body: &Value) -> Answer {
        self.world.server.change(by, "PUT", &format!("{}/meeting", self.path), version, body)
    }

    /// Recorded by the group's facilitator.
    pub fn record(&self, heads: i32, rest: &Value) -> Answer {
        self.send(&self.group().lead, &self.body(heads, rest))
    }

    pub fn read(&self) -> Value {
        self.world.server.get(&self.group().lead, &format!("{}/meeting", self.path)).expect(200)
    }

    fn versions(&self) -> Vec<Value> {
        let path = format!("{}/meeting/versions", self.path);
        self.world.server.get(&self.group().lead, &path).expect(200)["items"].as_array().expect("a list").clone()
    }
}

/// Sets what the group keeps, as its steward.
pub fn keep(world: &World, mode: &str) {
    change_settings(world, &json!({"attendance_mode": mode}));
}

pub fn change_settings(world: &World, changes: &Value) {
    let steward = world.peer.steward.as_ref().expect("a steward");
    let path = world.peer.path("/peer-settings");
    let read = world.server.get(steward, &path);
    let version = read.etag();
    let mut body = read.expect(200);
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    world.server.change(steward, "PUT", &path, &version, &body).expect(200);
}

/// What a member chooses for themselves.
pub fn choose(world: &World, member: &Member, body: &Value) -> Answer {
    let path = world.peer.path(&format!("/members/{}/attendance-mode", member.id));
    world.server.request("PUT", &path).token(&member.person.token).json(body).send()
}

pub fn mode_of(world: &World, member: &Member) -> Value {
    let path = world.peer.path(&format!("/members/{}/attendance-mode", member.id));
    world.server.get(&member.person, &path).expect(200)
}

pub fn ids(list: &Value) -> BTreeSet<String> {
    list.as_array().expect("a list").iter().map(|item| text(&item["id"])).collect()
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|item| text(&item["name"])).collect()
}

fn set<const N: usize>(members: [&Member; N]) -> BTreeSet<String> {
    members.iter().map(|member| member.id.clone()).collect()
}

fn publish_rules(world: &World, must_sign_again: bool) -> String {
    let body = json!({
        "purpose": "ground_rules", "title": "Ground rules", "text": "We listen, and give no advice.",
        "must_sign_again": must_sign_again
    });
    world.server.post(&world.peer.lead, &world.peer.path("/agreements"), &body).made()
}

#[test]
fn whoever_came_or_went_after_a_session_changes_nothing_about_who_was_expected() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    keep(&world, "named");
    let evening = Evening::new(&world);
    let newcomer = world::member(server, &peer.lead, &peer.id, "Newcomer");
    world::leave(server, &peer.second_member, &peer.id);
    let to_tick = evening.read()["to_tick"].clone();
    assert_eq!(ids(&to_tick["members"]), set([&peer.member, &peer.second_member]));
    assert_eq!(to_tick["counted_only"], false);
    let everybody = json!({"members": [peer.member.id, peer.second_member.id, newcomer.id]});
    evening.record(3, &everybody).refuses("/members/2");
    assert_eq!(evening.read()["heads"], Value::Null, "nothing half done");
    evening.record(3, &json!({"members": [peer.member.id, peer.second_member.id]})).expect(200);
    let kept = evening.read();
    assert_eq!(ids(&kept["present"]["members"]), set([&peer.member, &peer.second_member]));
    assert_eq!((&kept["heads"], &kept["extras"]), (&json!(3), &json!(1)));
    // A later correction still finds them on the list.
    let again = json!({"members": [peer.second_member.id], "reason": "One was counted twice."});
    evening.record(2, &again).expect(200);
    let own = server.get(&peer.member.person, &peer.path(&format!("/members/{}/attendances", peer.member.id)));
    assert_eq!(own.expect(200)["items"], json!([]));
}

#[test]
fn a_facilitator_cannot_tick_somebody_beyond_what_they_chose_nor_learn_what_that_is() {
    let world = World::new();
    let peer = &world.peer;
    let refused = |evening: &Evening, id: &str| {
        let answer = evening.record(5, &json!({"members": [id]}));
        answer.clone().refuses("/members/0");
        answer.text.replace(id, "…")
    };
    // Counted only, because the group keeps no more.
    let counted = Evening::new(&world);
    let stranger = refused(&counted, &Id::random().to_string());
    assert_eq!(refused(&counted, &peer.member.id), stranger);
    assert_eq!(counted.read()["to_tick"]["counted_only"], true);
    keep(&world, "named");
    let evening = Evening::new(&world);
    let third = world::member(&world.server, &peer.lead, &peer.id, "Third");
    let refusal = |id: &str| refused(&evening, id);
    choose(&world, &peer.member, &json!({"mode": "count_only"})).expect(200);
    choose(&world, &peer.second_member, &json!({"mode": "pseudonym", "pseudonym": "Heron"})).expect(200);
    assert_eq!(refusal(&peer.member.id), stranger);
    assert_eq!(refusal(&peer.second_member.id), stranger);
    assert_eq!(refusal(&third.id), stranger, "came after the session");
    assert_eq!(refusal(&world.led.member.id), stranger, "of another group");
    let to_tick = evening.read()["to_tick"].clone();
    assert_eq!(ids(&to_tick["members"]), BTreeSet::new());
    assert_eq!(names(&to_tick["pseudonyms"]), ["Heron"]);
    let heron = text(&to_tick["pseudonyms"][0]["id"]);
    assert_ne!(heron, peer.second_member.id);
    evening.record(5, &json!({"members": [heron]})).refuses("/members/0");
    evening.record(5, &json!({"pseudonyms": [peer.second_member.id]})).refuses("/pseudonyms/0");
    evening.record(5, &json!({"pseudonyms": [heron, heron]})).refuses("/pseudonyms/1");
    evening.record(5, &json!({"pseudonyms": [heron]})).expect(200);
    assert_eq!(names(&evening.read()["present"]["pseudonyms"]), ["Heron"]);
    assert_eq!(mode_of(&world, &peer.second_member)["meetings"], 1);
    assert_eq!(mode_of(&world, &peer.member)["meetings"], 0);
}

#[test]
fn a_meeting_that_was_counted_gets_no_names_when_the_group_keeps_more() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let began = server.db.clock.now().plus_minutes(-90);
    let [recorded, unrecorded] = [0; 2].map(|_| Evening::at(&world, began));
    let code = server.post(&peer.lead, &format!("{}/code", recorded.path), &json!({})).expect(200)["code"].clone();
    let visit = server.request("POST", "/v1/visits").json(&json!({"code": code})).send().expect(201);
    recorded.record(5, &json!({})).expect(200);
    keep(&world, "pseudonym");
    choose(&world, &peer.second_member, &json!({"mode": "pseudonym", "pseudonym": "Heron"})).expect(200);
    let heron = ids(&Evening::new(&world).read()["to_tick"]["pseudonyms"]).pop_first().expect("a pseudonym");
    keep(&world, "named");
    let member = &peer.member.id;
    for (evening, reason) in [(&recorded, json!("She was there.")), (&unrecorded, Value::Null)] {
        for (who, pointer) in
            [(json!({"members": [member]}), "/members/0"), (json!({"pseudonyms": [heron]}), "/pseudonyms/0")]
        {
            let mut body = evening.body(5, &who);
            body["reason"] = reason.clone();
            evening.send(&peer.lead, &body).refuses(pointer);
        }
        let to_tick = evening.read()["to_tick"].clone();
        assert_eq!((&to_tick["counted_only"], &to_tick["members"]), (&json!(true), &json!([])));
        assert_eq!(to_tick["pseudonyms"], json!([]));
        let kept = server.get(&peer.lead, &format!("{}/attendances", evening.path)).expect(200);
        assert_eq!(kept["items"], json!([]));
    }
    // Nor does moving a meeting that has begun to after the raising.
    let later = server.db.clock.now().plus_minutes(1).timestamp().to_zoned(jiff::tz::TimeZone::UTC);
    let plan = json!({"starts_local": later.strftime("%Y-%m-%dT%H:%M").to_string(), "zone": "UTC", "minutes": 60});
    let version = server.version(&peer.lead, &unrecorded.path);
    server.change(&peer.lead, "PUT", &unrecorded.path, &version, &plan).expect(409);
    // Their own word about a visit makes no more of it either.
    let claim = server.request("POST", &peer.path("/visits")).token(&peer.member.person.token);
    claim.json(&json!({"visit_code": visit["visit_code"]})).send().expect(200);
    assert_eq!(recorded.read()["present"]["members"], json!([]));
    assert_eq!(mode_of(&world, &peer.member)["meetings"], 0);
}

#[test]
fn a_meeting_is_not_named_because_it_is_said_to_have_begun_later() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let early = server.db.clock.now().plus_minutes(-5);
    server.db.clock.shift(60_000);
    keep(&world, "named");
    // Planned for after they agreed, and begun before.
    let evening = Evening::at(&world, server.db.clock.now().plus_minutes(2));
    server.db.clock.shift(60 * 60_000);
    let later = server.db.clock.now().plus_minutes(-50);
    let record = |held_from: Moment, rest: &Value| {
        let mut body = evening.body(4, rest);
        body["held_from"] = json!(held_from);
        evening.send(&peer.lead, &body)
    };
    let ticked = json!({"members": [peer.member.id]});
    record(early, &ticked).refuses("/members/0");
    record(early, &json!({})).expect(200);
    let mut again = ticked.clone();
    again["reason"] = json!("It began later.");
    record(later, &again).refuses("/members/0");
}

#[test]
fn what_was_agreed_again_holds_for_no_meeting_before() {
    let world = World::new();
    let peer = &world.peer;
    keep(&world, "named");
    let evening = Evening::new(&world);
    let ticked = json!({"members": [peer.member.id]});
    // What has nothing to do with it changes nothing about it.
    change_settings(&world, &json!({"attendance_mode": "named", "proofs": false}));
    assert_eq!(ids(&evening.read()["to_tick"]["members"]), set([&peer.member, &peer.second_member]));
    keep(&world, "pseudonym");
    keep(&world, "named");
    assert_eq!(evening.read()["to_tick"]["counted_only"], false, "pseudonyms were kept all the while");
    evening.record(3, &ticked).refuses("/members/0");
    let next = Evening::new(&world);
    next.record(3, &ticked).expect(200);
}

#[test]
fn a_head_count_below_the_known_is_refused_and_zero_is_a_count() {
    let world = World::new();
    let peer = &world.peer;
    keep(&world, "named");
    let evening = Evening::new(&world);
    assert_eq!((&evening.read()["heads"], &evening.read()["extras"]), (&Value::Null, &Value::Null));
    let both = json!({"members": [peer.member.id, peer.second_member.id]});
    evening.record(1, &both).refuses("/heads");
    evening.record(-1, &json!({})).refuses("/heads");
    evening.record(1001, &json!({})).refuses("/heads");
    evening.send(&peer.lead, &json!({"held_from": "2026-01-01T10:00:00Z"})).expect(422);
    let counted = evening.record(0, &json!({})).expect(200);
    assert_eq!((&counted["heads"], &counted["extras"], &counted["drop_ins"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!(evening.read()["heads"], 0);
    let mut more = both.clone();
    more["reason"] = json!("Nobody was written down first.");
    assert_eq!(evening.record(9, &more).expect(200)["extras"], 7);
    let session = world.server.get(&peer.lead, &evening.path).expect(200);
    assert_eq!((&session["state"], &session["recording"]), (&json!("held"), &json!("complete")));
}

#[test]
fn of_two_facilitators_who_record_at_once_one_is_told_to_read_again() {
    let world = World::new();
    let peer = &world.peer;
    keep(&world, "named");
    let evening = Evening::new(&world);
    let version = world.server.version(&peer.lead, &evening.path);
    let bodies = [(&peer.lead, 4, &peer.member), (&peer.co_lead, 7, &peer.second_member)]
        .map(|(who, heads, member)| (who, evening.body(heads, &json!({"members": [member.id]}))));
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let (evening, version) = (&evening, &version);
        let sent: Vec<_> =
            bodies.iter().map(|(who, body)| scope.spawn(move || evening.send_at(who, version, body).status)).collect();
        sent.into_iter().map(|done| done.join().expect("an answer")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let kept = evening.read();
    assert_eq!(kept["present"]["members"].as_array().map(Vec::len), Some(1), "one of the two: {kept}");
    assert_eq!(evening.versions().len(), 1);
    let path = format!("{}/meeting", evening.path);
    world.server.request("PUT", &path).token(&peer.lead.token).json(&bodies[0].1).send().expect(428);
}

#[test]
fn the_same_submission_twice_is_one_meeting() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    keep(&world, "named");
    let evening = Evening::new(&world);
    let version = server.version(&peer.lead, &evening.path);
    let body = evening.body(4, &json!({"members": [peer.member.id]}));
    let send = |key: &str, body: &Value| {
        let request = server.request("PUT", &format!("{}/meeting", evening.path)).token(&peer.lead.token);
        request.version(&version).key(key).json(body).send()
    };
    let (first, again) = (send("meeting-0001", &body), send("meeting-0001", &body));
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!((&first.text, first.header("etag")), (&again.text, again.header("etag")));
    assert_eq!(evening.versions().len(), 1);
    send("meeting-0001", &evening.body(5, &json!({}))).refuses("Idempotency-Key");
    send("meeting-0002", &body).expect(412);
    // What is kept for a retry names nobody: they may have lowered their mode since.
    assert!(!first.text.contains(&peer.member.id), "{}", first.text);
}

#[test]
fn a_meeting_that_was_not_cannot_be_recorded() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let evening = Evening::new(&world);
    let now = server.db.clock.now();
    let tomorrow = Evening::at(&world, now.plus_days(1));
    tomorrow.record(3, &json!({})).expect(409);
    evening.record(3, &json!({"held_from": now.plus_minutes(30), "held_until": now.plus_minutes(60)})).expect(422);
    evening.record(3, &json!({"held_until": now.plus_minutes(60)})).refuses("/held_until");
    evening.record(3, &json!({"held_until": now.plus_minutes(-100)})).refuses("/held_until");
    let version = server.version(&peer.lead, &evening.path);
    let cancellation = format!("{}/cancellation", evening.path);
    server.change(&peer.lead, "POST", &cancellation, &version, &json!({"reason": "Snow."})).expect(200);
    evening.record(3, &json!({})).expect(409);
    assert_eq!(evening.read()["heads"], Value::Null);
}

#[test]
fn a_correction_says_why_and_keeps_what_stood() {
    let world = World::new();
    let peer = &world.peer;
    keep(&world, "named");
    let evening = Evening::new(&world);
    evening.record(4, &json!({"reason": "For no reason."})).refuses("/reason");
    evening.record(4, &json!({"members": [peer.member.id]})).expect(200);
    evening.record(5, &json!({"members": [peer.member.id]})).refuses("/reason");
    let corrected = json!({"members": [peer.second_member.id], "reason": "Took one for another."});
    evening.send(&peer.co_lead, &evening.body(5, &corrected)).expect(200);
    let kept = evening.read();
    assert_eq!(ids(&kept["present"]["members"]), set([&peer.second_member]));
    let versions = evening.versions();
    let of = |name: &str| versions.iter().map(|version| version[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("version"), [json!(1), json!(2)]);
    assert_eq!(of("heads"), [json!(4), json!(5)]);
    assert_eq!(of("reason"), [Value::Null, json!("Took one for another.")]);
    assert_eq!(of("recorded_by"), [json!(peer.lead.id), json!(peer.co_lead.id)]);
    let whole = json!({"members": [peer.second_member.id, peer.member.id], "reason": "Both were there."});
    evening.record(5, &whole).expect(200);
    assert_eq!(ids(&evening.read()["present"]["members"]), set([&peer.member, &peer.second_member]));
    assert_eq!(evening.versions()[2]["reason"], "Both were there.");
}

#[test]
fn rules_that_are_not_this_groups_are_not_read_out() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let evening = Evening::new(&world);
    assert_eq!(evening.read()["to_tick"]["rules"], Value::Null);
    let rules = publish_rules(&world, false);
    let foreign = server.get(&world.led.lead, &world.led.path("/agreements")).expect(200);
    let reading =
        |agreement: &str, acknowledged: i32| json!({"rules": {"agreement": agreement, "acknowledged": acknowledged}});
    evening.record(4, &reading(&text(&foreign["items"][0]["id"]), 1)).refuses("/rules/agreement");
    evening.record(4, &reading(&Id::random().to_string(), 1)).refuses("/rules/agreement");
    evening.record(4, &reading(&rules, 5)).refuses("/rules/acknowledged");
    evening.record(4, &reading(&rules, 0)).expect(200);
    let kept = evening.read();
    assert_eq!(kept["rules"], json!({"agreement": rules, "acknowledged": 0}));
    let shown = &kept["to_tick"]["rules"];
    assert_eq!((&shown["id"], &shown["number"]), (&json!(rules), &json!(1)));
    assert_eq!(shown["text"], "We listen, and give no advice.");
    evening.record(4, &json!({"reason": "They were not read out."})).expect(200);
    assert_eq!(evening.read()["rules"], Value::Null);
    server.get(&peer.member.person, &format!("{}/meeting", evening.path)).expect(403);
}

#[test]
fn a_new_version_of_the_rules_binds_nobody_before_they_have_signed_it() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let own = |member: &Member| {
        let body = server.get(&member.person, &peer.path("/ground-rules")).expect(200);
        (body["current"]["number"].as_i64(), body["accepted"].as_i64(), body["must_accept"] == json!(true))
    };
    let sign = |member: &Member, agreement: &str| {
        let path = peer.path(&format!("/agreements/{agreement}/signatures"));
        text(&server.post(&member.person, &path, &json!({})).expect(201)["id"])
    };
    assert_eq!(own(&peer.member), (None, None, false));
    let first = publish_rules(&world, false);
    assert_eq!(own(&peer.member), (Some(1), None, true));
    sign(&peer.member, &first);
    assert_eq!(own(&peer.member), (Some(1), Some(1), false));
    assert_eq!(own(&peer.second_member), (Some(1), None, true));
    let second = publish_rules(&world, false);
    assert_eq!(own(&peer.member), (Some(2), Some(1), false));
    publish_rules(&world, true);
    assert_eq!(own(&peer.member), (Some(3), Some(1), true));
    let signature = sign(&peer.member, &second);
    assert_eq!(own(&peer.member), (Some(3), Some(2), true), "older than the one that must be signed again");
    server
        .post(&peer.member.person, &peer.path(&format!("/signatures/{signature}/withdrawal")), &json!({}))
        .expect(204);
    assert_eq!(own(&peer.member), (Some(3), Some(1), true));
    // Who is no member has nothing to accept.
    let body = server.get(&peer.lead, &peer.path("/ground-rules")).expect(200);
    assert_eq!((&body["accepted"], &body["must_accept"]), (&Value::Null, &json!(false)));
}

#[test]
fn nobody_chooses_for_somebody_else_nor_more_than_the_group_keeps() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    choose(&world, &peer.member, &json!({"mode": "named"})).refuses("/mode");
    choose(&world, &peer.member, &json!({"mode": "pseudonym", "pseudonym": "Heron"})).refuses("/mode");
    choose(&world, &peer.member, &json!({"pseudonym": "Heron"})).refuses("/pseudonym");
    keep(&world, "pseudonym");
    choose(&world, &peer.member, &json!({"mode": "pseudonym"})).refuses("/pseudonym");
    choose(&world, &peer.member, &json!({"mode": "named"})).refuses("/mode");
    choose(&world, &peer.member, &json!({"mode": "pseudonym", "pseudonym": "Heron"})).expect(200);
    choose(&world, &peer.second_member, &json!({"pseudonym": " hERON "})).expect(409);
    assert_eq!(mode_of(&world, &peer.second_member)["pseudonym"], Value::Null);
    choose(&world, &peer.second_member, &json!({"pseudonym": "Egret"})).expect(200);
    // One's own name again is no clash, and another takes its place.
    choose(&world, &peer.member, &json!({"mode": "pseudonym", "pseudonym": "HERON"})).expect(200);
    let kept = mode_of(&world, &peer.member);
    assert_eq!(
        (&kept["mode"], &kept["effective"], &kept["pseudonym"]),
        (&json!("pseudonym"), &json!("pseudonym"), &json!("HERON"))
    );
    let others = peer.path(&format!("/members/{}/attendance-mode", peer.second_member.id));
    for who in [&peer.member.person, &peer.lead, peer.steward.as_ref().expect("a steward"), &world.administrator] {
        let status = if who.id == peer.member.person.id { 404 } else { 403 };
        server.get(who, &others).expect(status);
        server.request("PUT", &others).token(&who.token).json(&json!({"mode": "count_only"})).send().expect(status);
    }
    assert_eq!(mode_of(&world, &peer.second_member)["mode"], Value::Null);
    // The group's mode bounds whatever was chosen, and the choice outlives it.
    keep(&world, "count_only");
    let kept = mode_of(&world, &peer.member);
    assert_eq!(
        (&kept["mode"], &kept["effective"], &kept["pseudonym"]),
        (&json!("pseudonym"), &json!("count_only"), &Value::Null)
    );
}

#[test]
fn lowering_a_mode_takes_away_what_was_kept_and_changes_no_count() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    keep(&world, "named");
    choose(&world, &peer.second_member, &json!({"mode": "pseudonym", "pseudonym": "Heron"})).expect(200);
    let evenings = [Evening::new(&world), Evening::new(&world)];
    for (evening, heads) in evenings.iter().zip([4, 6]) {
        let heron = text(&evening.read()["to_tick"]["pseudonyms"][0]["id"]);
        evening.record(heads, &json!({"members": [peer.member.id], "pseudonyms": [heron]})).expect(200);
    }
    // A version of somebody's attendance goes with it.
    let heron = text(&evenings[0].read()["to_tick"]["pseudonyms"][0]["id"]);
    let shorter = json!({
        "held_from": server.db.clock.now().plus_minutes(-80), "members": [peer.member.id], "pseudonyms": [heron],
        "reason": "It began later."
    });
    evenings[0].record(4, &shorter).expect(200);
    let counts = || evenings.each_ref().map(|evening| evening.read()["heads"].as_i64().expect("a count"));
    let present = |kind: &str| {
        evenings.each_ref().map(|evening| evening.read()["present"][kind].as_array().expect("a list").len())
    };
    let before = counts();
    assert_eq!((present("members"), present("pseudonyms")), ([1, 1], [1, 1]));
    let rows = |table: &str| rows(server, table).map(|rows| rows.len());
    choose(&world, &peer.member, &json!({"mode": "count_only"})).expect(200);
    assert_eq!((counts(), present("members"), present("pseudonyms")), (before, [0, 0], [1, 1]));
    assert!(rows("attendances").is_none_or(|rows| rows == 0));
    assert!(rows("attendance_versions").is_none_or(|rows| rows == 0));
    assert_eq!(evenings[1].read()["extras"], 5);
    // Raising it again brings nothing back.
    choose(&world, &peer.member, &json!({"mode": null})).expect(200);
    assert_eq!(present("members"), [0, 0]);
    assert_eq!(mode_of(&world, &peer.member)["meetings"], 0);
    let again = json!({"members": [peer.member.id], "pseudonyms": [heron], "reason": "She asks for it."});
    evenings[1].record(6, &again).expect(200);
    assert_eq!(present("members"), [0, 1]);
    // The group as a whole, a step at a time.
    keep(&world, "pseudonym");
    assert_eq!((counts(), present("members"), present("pseudonyms")), (before, [0, 0], [1, 1]));
    keep(&world, "count_only");
    assert_eq!((counts(), present("members"), present("pseudonyms")), (before, [0, 0], [0, 0]));
    for table in ["attendances", "attendance_versions", "pseudonyms", "pseudonym_attendances"] {
        assert!(rows(table).is_none_or(|rows| rows == 0), "{table}");
    }
    assert_eq!(evenings[0].versions().len(), 2);
}

#[test]
fn a_member_who_lowers_from_pseudonym_leaves_no_name_behind() {
    let world = World::new();
    let peer = &world.peer;
    keep(&world, "pseudonym");
    choose(&world, &peer.member, &json!({"pseudonym": "Heron"})).expect(200);
    choose(&world, &peer.second_member, &json!({"pseudonym": "Egret"})).expect(200);
    let evening = Evening::new(&world);
    let both: Vec<String> = ids(&evening.read()["to_tick"]["pseudonyms"]).into_iter().collect();
    evening.record(2, &json!({"pseudonyms": both})).expect(200);
    choose(&world, &peer.member, &json!({"mode": "count_only"})).expect(200);
    let kept = evening.read();
    assert_eq!(names(&kept["present"]["pseudonyms"]), ["Egret"]);
    assert_eq!(names(&kept["to_tick"]["pseudonyms"]), ["Egret"]);
    assert_eq!((&kept["heads"], &kept["extras"]), (&json!(2), &json!(1)));
    assert!(rows(&world.server, "pseudonyms").is_none_or(|rows| rows.len() == 1));
}

#[test]
fn who_leads_one_session_reaches_no_other_meeting() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (own, other) = (Evening::new(&world), Evening::new(&world));
    let person = server.account("Fin Once");
    let body = json!({"standing": "facilitator", "session": own.session});
    let invited = server.post(&peer.lead, &peer.path("/terms"), &body).expect(201);
    world::accept(server, &person, &text(&invited["code"]));
    own.send(&person, &own.body(3, &json!({}))).expect(200);
    server.get(&person, &format!("{}/meeting/versions", own.path)).expect(200);
    for path in ["/meeting", "/meeting/versions"] {
        server.get(&person, &format!("{}{path}", other.path)).expect(403);
    }
    server.post(&person, &format!("{}/code", other.path), &json!({})).expect(403);
    let body = other.body(3, &json!({}));
    server.change(&person, "PUT", &format!("{}/meeting", other.path), "\"1\"", &body).expect(403);
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

fn lines(file: &str, sql: &str) -> Vec<String> {
    let mut connection = SqliteConnection::establish(file).expect("the database opens");
    let lines: Vec<Line> = diesel::sql_query(sql).load(&mut connection).expect("the lines");
    lines.into_iter().map(|line| line.line).collect()
}

/// Every row of a table as text, bytes as hexadecimal digits.
fn rows_of(file: &str, table: &str) -> Vec<String> {
    let columns = lines(file, &format!("SELECT name AS line FROM pragma_table_info('{table}')"));
    let quoted: Vec<String> = columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
    lines(file, &format!("SELECT {} AS line FROM \"{table}\"", quoted.join(" || ' ' || ")))
}

/// None on PostgreSQL.
fn rows(server: &Server, table: &str) -> Option<Vec<String>> {
    server.location.file().map(|file| rows_of(file, table))
}

/// Whether a row names this id, as bytes or as text.
fn names_id(row: &str, id: &str) -> bool {
    let row = row.to_lowercase();
    row.contains(&id.replace('-', "")) || row.contains(id)
}

/// Every row that names one of these people and the session: `(table, row)`.
pub fn joins(file: &str, people: &[String], session: &str) -> Vec<(String, String)> {
    let tables = lines(file, "SELECT name AS line FROM sqlite_master WHERE type = 'table'");
    let found = tables.iter().flat_map(|table| rows_of(file, table).into_iter().map(move |row| (table.clone(), row)));
    found.filter(|(_, row)| names_id(row, session) && people.iter().any(|id| names_id(row, id))).collect()
}

#[test]
fn counting_heads_leaves_no_row_that_joins_a_person_and_a_session() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let Some(file) = server.location.file().map(str::to_owned) else { return };
    let evening = Evening::new(&world);
    let rules = publish_rules(&world, false);
    let code = server.post(&peer.lead, &format!("{}/code", evening.path), &json!({})).expect(200)["code"].clone();
    let members = [&peer.member, &peer.second_member];
    for member in members {
        let person = &member.person;
        let tokens = json!({"sign_in_name": person.sign_in_name, "password": PASSWORD, "device": "Phone"});
        server.request("POST", "/v1/tokens").json(&tokens).send().expect(201);
        let signing = peer.path(&format!("/agreements/{rules}/signatures"));
        server.request("POST", &signing).token(&person.token).key("signature-1").json(&json!({})).send().expect(201);
        for path in [
            "/v1/account".to_owned(),
            evening.path.clone(),
            peer.path("/sessions"),
            peer.path("/ground-rules"),
            peer.path(&format!("/members/{}", member.id)),
            peer.path(&format!("/members/{}/attendance-mode", member.id)),
            peer.path(&format!("/members/{}/attendances", member.id)),
            format!("{}/attendances", evening.path),
        ] {
            server.get(person, &path).expect(200);
        }
        choose(&world, member, &json!({"mode": "count_only"})).expect(200);
        // Refused attempts leave a row in the access log: not one of this session.
        server.get(person, &format!("{}/meeting", evening.path)).expect(403);
        let dropped_in = server.request("POST", "/v1/visits").json(&json!({"code": code})).send().expect(201);
        let visit = &dropped_in["visit_code"];
        let by_visit = json!({"visit_code": visit, "name": "S"});
        server.request("POST", "/v1/proofs").json(&by_visit).send().expect(201);
        let claims = server.request("POST", &peer.path("/visits")).token(&person.token).key("claim-0001");
        claims.json(&json!({"visit_code": visit})).send().expect(200);
        let proofs = server.request("POST", &format!("{}/proofs", evening.path)).token(&person.token);
        let proof = proofs.key("proof-0001").json(&json!({"name": "Sam", "code": code})).send().expect(201);
        let check = json!({"proof": proof["proof"], "name": "Sam", "on": proof["on"]});
        assert_eq!(server.request("POST", "/v1/proofs/checks").json(&check).send().expect(200)["valid"], true);
    }
    let body = evening.body(7, &json!({"rules": {"agreement": rules, "acknowledged": 7}}));
    let version = server.version(&peer.lead, &evening.path);
    let request = server.request("PUT", &format!("{}/meeting", evening.path)).token(&peer.lead.token);
    request.version(&version).key("meeting-0001").json(&body).send().expect(200);
    evening.read();
    let people: Vec<String> =
        members.iter().flat_map(|member| [member.id.clone(), member.person.id.to_string()]).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("copy.db");
    backup::copy(&server.location, &copy).expect("a copy");
    for file in [file.clone(), copy.display().to_string()] {
        assert_eq!(joins(&file, &people, &evening.session), []);
        // Whoever leads is known to have led: that is their office, and the search would find them.
        let led: BTreeSet<String> =
            joins(&file, &[peer.lead.id.to_string()], &evening.session).into_iter().map(|(table, _)| table).collect();
        assert_eq!(led, ["access_entries", "head_counts", "readings", "sessions"].map(str::to_owned).into());
    }
    // A member's own acts leave nothing in the access log but what was refused, and that names no session.
    let entries = rows_of(&file, "access_entries");
    assert!(
        entries
            .iter()
            .filter(|row| names_id(row, &evening.session))
            .all(|row| names_id(row, &peer.lead.id.to_string()))
    );
    // Whatever the group agrees later, that meeting was counted.
    keep(&world, "named");
    for member in members {
        choose(&world, member, &json!({"mode": null})).expect(200);
    }
    let both = json!({"members": [peer.member.id, peer.second_member.id]});
    let mut again = both.clone();
    again["reason"] = json!("They want to be kept.");
    evening.record(7, &again).refuses("/members/0");
    assert_eq!(joins(&file, &people, &evening.session), []);
    // The search finds what is there, at a meeting that began after they agreed.
    let next = Evening::new(&world);
    next.record(7, &both).expect(200);
    let found: BTreeSet<String> = joins(&file, &people, &next.session).into_iter().map(|(table, _)| table).collect();
    assert_eq!(found, ["attendances".to_owned()].into());
    assert_eq!(joins(&file, &people, &evening.session), []);
}

#[test]
fn a_pseudonym_and_its_owner_stand_in_no_row_together() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let Some(file) = server.location.file() else { return };
    keep(&world, "pseudonym");
    choose(&world, &peer.member, &json!({"pseudonym": "Heron"})).expect(200);
    let evening = Evening::new(&world);
    let heron = text(&evening.read()["to_tick"]["pseudonyms"][0]["id"]);
    evening.record(2, &json!({"pseudonyms": [heron]})).expect(200);
    let own = [peer.member.id.clone(), peer.member.person.id.to_string()];
    assert_eq!(joins(file, &own, &heron), []);
    assert_eq!(joins(file, &own, &evening.session), []);
    assert_eq!(joins(file, std::slice::from_ref(&heron), &evening.session).len(), 1);
}

#[test]
fn the_contract_promises_no_peer_what_others_will_do() {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(&server::contract()).expect("JSON");
    let mut texts = Vec::new();
    collect(&document, &mut texts);
    for text in texts {
        let promise = text.to_lowercase();
        for word in ["confidential", "private conversation", "guarantee", "stays in the room", "stays here"] {
            assert!(!promise.contains(word), "{word:?} is promised: {text}");
        }
    }
}
