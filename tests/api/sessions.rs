//! A session from plan to record: the first main job, and the traps around it.

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    world::{Member, World, accept, member, move_to},
};

#[test]
fn a_therapist_records_a_session_in_one_request() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let session = world.session();
    let id = session["id"].as_str().unwrap();
    let items: Vec<&str> =
        session["agenda"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    let now = server.db.clock.now();
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30),
        "items": [
            {"item": items[0], "delivered": "delivered", "minutes": 35},
            {"item": items[1], "delivered": "skipped"}
        ],
        "attendance": [
            {"member": led.member.id, "status": "attended"},
            {"member": led.second_member.id, "status": "late", "arrived_at": now.plus_minutes(-70)}
        ],
        "measures": [{
            "member": led.member.id, "instrument": "phq-2", "answers": {"phq-2.1": 1, "phq-2.2": 2}
        }],
        "session_record": "Weighed thoughts in pairs.",
        "complete": true
    });
    let path = led.path(&format!("/sessions/{id}/recording"));
    let version = server.version(&led.lead, &led.path(&format!("/sessions/{id}")));
    let recorded = server.change(&led.lead, "PUT", &path, &version, &body).expect(200);
    assert_eq!(recorded["recording"], "complete");
    assert_eq!(recorded["attendance"].as_array().unwrap().len(), 2);
    assert_eq!(recorded["measures"][0]["score"], 3.0);
    let own = server.get(&led.member.person, &led.path("/measures")).expect(200);
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    let others = server.get(&led.second_member.person, &led.path("/measures")).expect(200);
    assert_eq!(others["items"].as_array().unwrap().len(), 0);
}

/// One session of the therapist-led group, and the way to record it.
struct Recording<'a> {
    world: &'a World,
    session: Value,
    path: String,
}

impl<'a> Recording<'a> {
    fn new(world: &'a World) -> Recording<'a> {
        let session = world.session();
        let path = world.led.path(&format!("/sessions/{}", session["id"].as_str().unwrap()));
        Recording { world, session, path }
    }

    /// The times and a request that says nothing else yet.
    fn body(&self) -> Value {
        let start: circlekeeper::values::Moment = serde_json::from_value(self.session["starts_at"].clone()).unwrap();
        json!({"held_from": start, "held_until": start.plus_minutes(60)})
    }

    fn with(&self, parts: &[(&str, Value)]) -> Value {
        let mut body = self.body();
        for (name, value) in parts {
            body[*name] = value.clone();
        }
        body
    }

    /// Everything that `complete` asks for.
    fn whole(&self) -> Value {
        let led = &self.world.led;
        self.with(&[
            ("items", self.items()),
            ("attendance", json!([there(&led.member), there(&led.second_member)])),
            ("complete", json!(true)),
        ])
    }

    fn items(&self) -> Value {
        let ids = self.session["agenda"].as_array().unwrap().iter().map(|item| item["id"].clone());
        ids.map(|id| json!({"item": id, "delivered": "delivered", "minutes": 20})).collect()
    }

    fn send(&self, by: &Person, body: &Value) -> Answer {
        let version = self.world.server.version(by, &self.path);
        self.send_at(by, &version, body)
    }

    fn send_at(&self, by: &Person, version: &str, body: &Value) -> Answer {
        self.world.server.change(by, "PUT", &format!("{}/recording", self.path), version, body)
    }

    fn read(&self, rest: &str) -> Answer {
        self.world.server.get(&self.world.led.lead, &format!("{}{rest}", self.path))
    }

    fn versions(&self, member: &Member) -> Vec<Value> {
        let versions = self.read(&format!("/attendances/{}/versions", member.id)).expect(200);
        versions["items"].as_array().unwrap().clone()
    }
}

fn there(member: &Member) -> Value {
    json!({"member": member.id, "status": "attended"})
}

fn attendance_of(world: &World, member: &Member) -> Value {
    let path = world.led.path(&format!("/members/{}/attendances", member.id));
    world.server.get(&world.led.lead, &path).expect(200)
}

#[test]
fn the_roster_is_that_of_the_session_and_not_of_today() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let recording = Recording::new(&world);
    // Both happen after the session: one comes, one goes.
    let newcomer = member(server, &led.lead, &led.id, "Newcomer");
    move_to(server, &led.lead, &led.id, &led.second_member.id, "left");
    let with_newcomer = json!([there(&led.member), there(&led.second_member), there(&newcomer)]);
    let body = recording.with(&[("attendance", with_newcomer)]);
    recording.send(&led.lead, &body).refuses("/attendance/2/member");
    let body = recording.with(&[
        ("items", recording.items()),
        ("attendance", json!([there(&led.member)])),
        ("complete", json!(true)),
    ]);
    recording.send(&led.lead, &body).refuses("/attendance");
    recording.send(&led.lead, &recording.whole()).expect(200);
    let correction = json!({"status": "attended", "reason": "Was there."});
    let path = format!("{}/attendances/{}", recording.path, newcomer.id);
    server.request("PUT", &path).token(&led.lead.token).json(&correction).send().expect(404);
}

#[test]
fn a_cancelled_session_is_no_absence() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let recording = Recording::new(&world);
    let version = server.version(&led.lead, &recording.path);
    let cancellation = format!("{}/cancellation", recording.path);
    let body = json!({"reason": "The heating is broken."});
    server.change(&led.lead, "POST", &cancellation, &version, &body).expect(200);
    let attendance = attendance_of(&world, &led.member);
    assert_eq!((&attendance["expected"], &attendance["unrecorded"]), (&json!(0), &json!(0)));
    recording.send(&led.lead, &recording.whole()).expect(409);
    assert_eq!(recording.read("").expect(200)["cancelled_reason"], "The heating is broken.");
    // Why is the leads' note.
    let own = server.get(&led.member.person, &recording.path).expect(200);
    assert_eq!((&own["state"], &own["cancelled_reason"]), (&json!("cancelled"), &Value::Null));
}

#[test]
fn late_joiners_and_early_leavers_change_no_past_denominator() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let first = Recording::new(&world);
    first.send(&led.lead, &first.whole()).expect(200);
    let newcomer = member(server, &led.lead, &led.id, "Newcomer");
    server.travel_days(1);
    let second = Recording::new(&world);
    let everybody =
        json!([there(&led.member), {"member": led.second_member.id, "status": "no_show"}, there(&newcomer)]);
    let mut body = second.whole();
    body["attendance"] = everybody;
    second.send(&led.lead, &body).expect(200);
    move_to(server, &led.lead, &led.id, &led.second_member.id, "left");
    server.travel_days(1);
    let third = Recording::new(&world);
    let mut body = third.whole();
    body["attendance"] = json!([there(&led.member), {"member": newcomer.id, "status": "excused"}]);
    third.send(&led.lead, &body).expect(200);
    let counts = |member: &Member| {
        let kept = attendance_of(&world, member);
        ["expected", "attended", "excused", "no_show", "unrecorded"].map(|name| kept[name].as_i64().unwrap())
    };
    assert_eq!(counts(&led.member), [3, 3, 0, 0, 0]);
    assert_eq!(counts(&led.second_member), [2, 1, 0, 1, 0]);
    assert_eq!(counts(&newcomer), [2, 1, 1, 0, 0]);
    assert_eq!(counts(&led.former_member), [0, 0, 0, 0, 0]);
    assert_eq!(attendance_of(&world, &led.member)["minutes"], 180);
}

#[test]
fn of_two_co_leaders_who_record_at_once_one_is_told_to_read_again() {
    let world = World::new();
    let led = &world.led;
    let recording = Recording::new(&world);
    let version = world.server.version(&led.lead, &recording.path);
    let bodies = [
        (&led.lead, json!([there(&led.member), {"member": led.second_member.id, "status": "no_show"}])),
        (&led.co_lead, json!([{"member": led.member.id, "status": "no_show"}, there(&led.second_member)])),
    ]
    .map(|(who, attendance)| (who, recording.with(&[("attendance", attendance)])));
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let (recording, version) = (&recording, &version);
        let sent: Vec<_> = bodies
            .iter()
            .map(|(who, body)| scope.spawn(move || recording.send_at(who, version, body).status))
            .collect();
        sent.into_iter().map(|done| done.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let kept = recording.read("/attendances").expect(200);
    let there = kept["items"].as_array().unwrap().iter().filter(|entry| entry["status"] == "attended").count();
    assert_eq!(there, 1, "one of the two, not a mixture: {kept}");
}

#[test]
fn the_same_submission_twice_is_one_recording() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let recording = Recording::new(&world);
    let version = server.version(&led.lead, &recording.path);
    let measure = json!({"member": led.member.id, "instrument": "phq-2", "answers": {"phq-2.1": 1, "phq-2.2": 2}});
    let mut body = recording.whole();
    body["measures"] = json!([measure]);
    let send = |who: &Person, key: &str, body: &Value| {
        let path = format!("{}/recording", recording.path);
        server.request("PUT", &path).token(&who.token).version(&version).key(key).json(body).send()
    };
    let first = send(&led.co_lead, "recording-0001", &body);
    let again = send(&led.co_lead, "recording-0001", &body);
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.text, again.text);
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!(recording.versions(&led.member).len(), 1);
    let mut other = body.clone();
    other["session_record"] = json!("Something else.");
    send(&led.co_lead, "recording-0001", &other).refuses("Idempotency-Key");
    // Another caller's key is another key, and their version is old.
    send(&led.lead, "recording-0001", &body).expect(412);
    // Without the key, the same again under the present version changes nothing either.
    recording.send(&led.co_lead, &body).expect(200);
    assert_eq!(recording.versions(&led.member).len(), 1);
    assert_eq!(server.get(&led.lead, &led.path("/measures")).expect(200)["items"].as_array().unwrap().len(), 1);
    // Rights are not frozen in a kept answer.
    let terms = server.get(&led.lead, &led.path("/terms")).expect(200);
    let terms = terms["items"].as_array().unwrap();
    let term = terms.iter().find(|term| term["account"] == led.co_lead.id.to_string()).unwrap();
    let path = led.path(&format!("/terms/{}/end", term["id"].as_str().unwrap()));
    server.post(&led.lead, &path, &json!({})).expect(204);
    let refused = send(&led.co_lead, "recording-0001", &body);
    assert_eq!(refused.status, 404);
    assert!(!refused.text.contains(&led.member.id), "{}", refused.text);
}

#[test]
fn the_same_submission_twice_at_once_is_one_recording() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let recording = Recording::new(&world);
    let version = server.version(&led.lead, &recording.path);
    let body = recording.whole();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let sent: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let path = format!("{}/recording", recording.path);
                    let request = server.request("PUT", &path).token(&led.lead.token).version(&version);
                    request.key("recording-0002").json(&body).send().status
                })
            })
            .collect();
        sent.into_iter().map(|done| done.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200), "{statuses:?}");
    // Whoever does not get the kept answer is told to try again, and does not record a second time.
    assert!(statuses.iter().all(|status| [200, 409, 412].contains(status)), "{statuses:?}");
    assert_eq!(recording.versions(&led.member).len(), 1);
}

#[test]
fn a_recording_is_kept_whole_or_not_at_all() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let recording = Recording::new(&world);
    let mut body = recording.whole();
    body["session_record"] = json!("Weighed thoughts in pairs.");
    body["measures"] = json!([
        {"member": led.member.id, "instrument": "phq-2", "answers": {"phq-2.1": 1, "phq-2.2": 2}},
        {"member": led.second_member.id, "instrument": "phq-2", "answers": {"phq-2.1": 9, "phq-2.2": 2}}
    ]);
    recording.send(&led.lead, &body).refuses("/measures/1/answers/phq-2.1");
    let session = recording.read("").expect(200);
    assert_eq!((&session["state"], &session["recording"]), (&json!("scheduled"), &json!("none")));
    assert!(session["agenda"].as_array().unwrap().iter().all(|item| item["delivered"].is_null()));
    assert_eq!(recording.read("/attendances").expect(200)["items"], json!([]));
    recording.read("/session-record").expect(404);
    assert_eq!(server.get(&led.lead, &led.path("/measures")).expect(200)["items"], json!([]));
    for (change, pointer) in [
        (("attendance", json!([there(&led.member), there(&led.member)])), "/attendance/1/member"),
        (("attendance", json!([there(&world.other.member)])), "/attendance/0/member"),
        (("items", json!([{"item": recording.session["id"], "delivered": "skipped"}])), "/items/0/item"),
        (("held_until", recording.body()["held_from"].clone()), "/held_until"),
        (("held_from", json!(server.db.clock.now().plus_minutes(5))), "/held_from"),
        (("measures", json!([body["measures"][0], body["measures"][0]])), "/measures/1/instrument"),
    ] {
        recording.send(&led.lead, &recording.with(&[change])).refuses(pointer);
    }
    assert_eq!(recording.read("/attendances").expect(200)["items"], json!([]));
}

#[test]
fn a_recording_is_saved_in_part_and_finished_later() {
    let world = World::new();
    let led = &world.led;
    let recording = Recording::new(&world);
    let part = recording.with(&[("attendance", json!([there(&led.member)]))]);
    assert_eq!(recording.send(&led.lead, &part).expect(200)["recording"], "partial");
    let mut finish = recording.with(&[("items", recording.items()), ("complete", json!(true))]);
    let missing = recording.send(&led.co_lead, &finish).refuses("/attendance");
    assert!(missing.to_string().contains(&led.second_member.id), "{missing}");
    finish["attendance"] = json!([{"member": led.second_member.id, "status": "excused"}]);
    let mut without_items = finish.clone();
    without_items["items"] = json!([]);
    recording.send(&led.co_lead, &without_items).refuses("/items");
    let done = recording.send(&led.co_lead, &finish).expect(200);
    assert_eq!((&done["recording"], &done["attendance"].as_array().unwrap().len()), (&json!("complete"), &2));
    // A later addition leaves it complete.
    let later = recording.with(&[("session_record", json!("Weighed thoughts in pairs."))]);
    assert_eq!(recording.send(&led.lead, &later).expect(200)["recording"], "complete");
}

/// A co-therapist whose one licence is verified and ends on a day.
fn licensed_until(world: &World, expires_on: &str) -> Person {
    let (server, led) = (&world.server, &world.led);
    let person = server.account("Short Licence");
    let invited = server.post(&led.lead, &led.path("/terms"), &json!({"standing": "co_therapist"})).expect(201);
    accept(server, &person, invited["code"].as_str().unwrap());
    let licences = format!("/v1/organizations/{}/licences", world.organization);
    let body = json!({
        "account": person.id, "licence_type": "LCSW", "number": "L-9", "body": "State board", "jurisdiction": "US-IL",
        "valid_from": "2020-01-01", "expires_on": expires_on
    });
    let licence = server.post(&world.administrator, &licences, &body).made();
    let path = format!("{licences}/{licence}/verification");
    server.post(&world.administrator, &path, &json!({})).expect(200);
    person
}

#[test]
fn a_session_is_recorded_only_under_a_licence_that_was_valid_on_its_day() {
    let world = World::new();
    let server = &world.server;
    let recording = Recording::new(&world);
    let start: circlekeeper::values::Moment = serde_json::from_value(recording.session["starts_at"].clone()).unwrap();
    let expired = licensed_until(&world, &start.plus_days(-1).day_in("UTC").to_string());
    recording.send(&expired, &recording.whole()).expect(409);
    let version = server.version(&expired, &recording.path);
    let holding = format!("{}/holding", recording.path);
    server.change(&expired, "POST", &holding, &version, &json!({})).expect(409);
    let valid_that_day = licensed_until(&world, &start.day_in("UTC").to_string());
    server.travel_days(2);
    recording.send(&valid_that_day, &recording.whole()).expect(200);
    // A trainee records under the group's leads.
    recording.send(world.led.trainee.as_ref().unwrap(), &recording.whole()).expect(200);
}

#[test]
fn what_is_recorded_again_with_other_values_keeps_every_version() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let recording = Recording::new(&world);
    recording.send(&led.lead, &recording.whole()).expect(200);
    server.db.clock.shift(60_000);
    let mut changed = recording.whole();
    changed["attendance"][0]["status"] = json!("excused");
    recording.send(&led.co_lead, &changed).expect(200);
    let path = format!("{}/attendances/{}", recording.path, led.member.id);
    let corrected = json!({"status": "late", "reason": "Came in by the side door."});
    let version = recording.read(&format!("/attendances/{}/versions", led.member.id)).etag();
    server.request("PUT", &path).token(&led.lead.token).json(&corrected).send().expect(428);
    server.change(&led.lead, "PUT", &path, "\"1\"", &corrected).expect(412);
    server.change(&led.lead, "PUT", &path, &version, &corrected).expect(200);
    let versions = recording.versions(&led.member);
    let said: Vec<(&str, &str, Option<&str>)> = versions
        .iter()
        .map(|version| {
            let text = |name: &str| version[name].as_str();
            (text("status").unwrap(), text("recorded_by").unwrap(), text("reason"))
        })
        .collect();
    let (lead, co_lead) = (led.lead.id.to_string(), led.co_lead.id.to_string());
    assert_eq!(
        said,
        [
            ("attended", lead.as_str(), None),
            ("excused", co_lead.as_str(), Some("Recorded again.")),
            ("late", lead.as_str(), Some("Came in by the side door.")),
        ]
    );
    assert!(versions[0]["recorded_at"].as_str() < versions[1]["recorded_at"].as_str());
    assert_eq!(recording.versions(&led.second_member).len(), 1, "who stayed the same has one version");
    // Measures of a session are corrected one by one, never overwritten by a second recording.
    let measure = |first: i32| json!([{"member": led.member.id, "instrument": "phq-2", "answers": {"phq-2.1": first, "phq-2.2": 2}}]);
    recording.send(&led.lead, &recording.with(&[("measures", measure(1))])).expect(200);
    recording.send(&led.lead, &recording.with(&[("measures", measure(1))])).expect(200);
    recording.send(&led.lead, &recording.with(&[("measures", measure(2))])).expect(409);
}

#[test]
fn times_of_attendance_fit_the_session_and_give_the_minutes() {
    let world = World::new();
    let led = &world.led;
    let recording = Recording::new(&world);
    let start: circlekeeper::values::Moment = serde_json::from_value(recording.session["starts_at"].clone()).unwrap();
    let says = |entry: Value| {
        let mut entry = entry;
        entry["member"] = json!(led.member.id);
        recording.send(&led.lead, &recording.with(&[("attendance", json!([entry]))]))
    };
    says(json!({"status": "no_show", "arrived_at": start})).refuses("/attendance/0/arrived_at");
    says(json!({"status": "late", "arrived_at": start.plus_minutes(90)})).refuses("/attendance/0/arrived_at");
    says(json!({"status": "left_early", "left_at": start.plus_minutes(-1)})).refuses("/attendance/0/left_at");
    let late = says(json!({"status": "late", "arrived_at": start.plus_minutes(20)})).expect(200);
    assert_eq!(late["attendance"][0]["minutes"], 40);
    let early = says(json!({"status": "attended", "arrived_at": start.plus_minutes(-15)})).expect(200);
    assert_eq!(early["attendance"][0]["minutes"], 60);
    let excused = says(json!({"status": "excused"})).expect(200);
    assert_eq!(excused["attendance"][0]["minutes"], 0);
}

fn planned(server: &Server, lead: &Person, group: &str, local: &str, zone: Option<&str>) -> Answer {
    let mut body = json!({"starts_local": local, "minutes": 90});
    if let Some(zone) = zone {
        body["zone"] = json!(zone);
    }
    server.post(lead, &format!("/v1/groups/{group}/sessions"), &body)
}

#[test]
fn wall_times_become_instants_as_rfc_5545_says() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    for (local, zone, instant) in [
        ("2027-01-05T18:30", "America/Chicago", "2027-01-06T00:30:00.000Z"),
        ("2027-07-06T18:30", "America/Chicago", "2027-07-06T23:30:00.000Z"),
        // In the gap: with the offset before it.
        ("2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:30:00.000Z"),
        // In the overlap: the first of the two.
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00.000Z"),
        // Half an hour of summer time.
        ("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:45:00.000Z"),
        ("2027-04-04T01:45", "Australia/Lord_Howe", "2027-04-03T14:45:00.000Z"),
        ("2027-04-04T02:15", "Australia/Lord_Howe", "2027-04-03T15:45:00.000Z"),
        ("2027-01-01T09:00", "Asia/Kathmandu", "2027-01-01T03:15:00.000Z"),
    ] {
        let session = planned(server, &peer.lead, &peer.id, local, Some(zone)).expect(201);
        assert_eq!(session["starts_at"], instant, "{local} {zone}");
        assert_eq!(session["starts_local"], local);
    }
    for zone in ["Europe/Nowhere", "CET+1", "/etc/localtime", "local", "+02:00"] {
        planned(server, &peer.lead, &peer.id, "2027-01-05T18:30", Some(zone)).refuses("/zone");
    }
    for local in ["2027-02-30T18:30", "2027-01-05 18:30", "2027-01-05T25:30", "2027-01-05T18:3Z"] {
        planned(server, &peer.lead, &peer.id, local, None).refuses("/starts_local");
    }
}

#[test]
fn a_zone_that_changes_mid_series_moves_no_session_that_was_planned() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let zone = |name: &str| {
        let body = json!({
            "title": "Evenings", "public_description": "Evenings.", "format": "online", "language": "en", "zone": name
        });
        let version = server.version(&peer.lead, &peer.path(""));
        server.change(&peer.lead, "PUT", &peer.path(""), &version, &body).expect(200);
    };
    zone("Europe/Berlin");
    let before = planned(server, &peer.lead, &peer.id, "2027-06-01T18:30", None).expect(201);
    zone("America/New_York");
    let after = planned(server, &peer.lead, &peer.id, "2027-06-01T18:30", None).expect(201);
    assert_eq!(before["starts_at"], "2027-06-01T16:30:00.000Z");
    assert_eq!(after["starts_at"], "2027-06-01T22:30:00.000Z");
    let kept = server.get(&peer.lead, &peer.path(&format!("/sessions/{}", before["id"].as_str().unwrap())));
    assert_eq!(kept.expect(200), before);
}

#[test]
fn a_session_goes_on_across_midnight() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    server.travel_days(1);
    // Yesterday at 23:30 in New York, for two hours.
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    let day = server.db.clock.now().plus_minutes(-180).timestamp().to_zoned(zone).date().yesterday().unwrap();
    let body = json!({"starts_local": format!("{day}T23:30"), "zone": "America/New_York", "minutes": 120});
    let session = server.post(&led.lead, &led.path("/sessions"), &body).expect(201);
    let path = led.path(&format!("/sessions/{}", session["id"].as_str().unwrap()));
    let recording = Recording { world: &world, session, path };
    let start: circlekeeper::values::Moment = serde_json::from_value(recording.session["starts_at"].clone()).unwrap();
    let left = json!({"member": led.member.id, "status": "left_early", "left_at": start.plus_minutes(75)});
    let body = recording.with(&[("held_until", json!(start.plus_minutes(120))), ("attendance", json!([left]))]);
    let recorded = recording.send(&led.lead, &body).expect(200);
    assert_eq!(recorded["attendance"][0]["minutes"], 75);
    let range = |from: i64, until: i64| {
        let (from, until) = (start.plus_minutes(from), start.plus_minutes(until));
        let listed = server.get(&led.lead, &led.path(&format!("/sessions?from={from}&until={until}"))).expect(200);
        listed["items"].as_array().unwrap().len()
    };
    assert_eq!((range(0, 1), range(1, 60), range(-60, 0)), (1, 0, 0));
}

#[test]
fn trap_17_the_reason_of_a_correction_stays_with_the_leads() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let session = world.session()["id"].as_str().unwrap().to_owned();
    let path = led.path(&format!("/sessions/{session}"));
    let version = server.version(&led.lead, &path);
    let now = server.db.clock.now();
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30),
        "attendance": [{"member": led.member.id, "status": "no_show"}]
    });
    server.change(&led.lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
    let place = format!("{path}/attendances/{}", led.member.id);
    let body = json!({"status": "attended", "reason": "Mixed up with somebody else."});
    server.change(&led.lead, "PUT", &place, "\"1\"", &body).expect(200);
    let leads = server.get(&led.lead, &format!("{place}/versions")).expect(200);
    assert_eq!(leads["items"][1]["reason"], "Mixed up with somebody else.");
    let own = server.get(&led.member.person, &format!("{place}/versions")).expect(200);
    assert_eq!(own["items"][1]["status"], "attended");
    assert!(own["items"][1]["reason"].is_null());
}
