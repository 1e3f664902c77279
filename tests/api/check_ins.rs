//! Check-ins: what stays with their author, what is shown and to whom, and one's own trend.

use circlekeeper::values::Id;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    scene::{Peers, Records, text},
    world::{self, Group, Member, World},
};

/// Records of this subject for the access matrix.
pub fn add_records(peers: &Peers, records: &mut Records) {
    for (person, _) in &peers.members {
        let id = check_in(&peers.world.server, person, &peers.world.peer, json!({"mood": "okay"})).made();
        records.add("check_in", &id, Some(person.id), None);
    }
}

pub fn check_in(server: &Server, who: &Person, group: &Group, body: Value) -> Answer {
    server.post(who, &group.path("/check-ins"), &body)
}

/// Published ground rules of the peer-led group, which these accept.
pub fn accept_rules(world: &World, members: &[&Person]) -> String {
    let (server, peer) = (&world.server, &world.peer);
    let rules = json!({"purpose": "ground_rules", "title": "Ground rules", "text": "What is said here stays here."});
    let agreement = server.post(&peer.lead, &peer.path("/agreements"), &rules).made();
    for member in members {
        server.post(member, &peer.path(&format!("/agreements/{agreement}/signatures")), &json!({})).expect(201);
    }
    agreement
}

/// A world in which the peer-led group's members have accepted its ground rules.
pub fn world_with_rules() -> World {
    let world = World::new();
    accept_rules(&world, &[&world.peer.member.person, &world.peer.second_member.person]);
    world
}

fn join(world: &World, person: &Person, name: &str) -> Member {
    let (server, peer) = (&world.server, &world.peer);
    let invited = server.post(&peer.lead, &peer.path("/members"), &json!({"name": name})).expect(201);
    world::accept(server, person, &text(&invited["code"]));
    let member = Member { person: person.clone(), id: text(&invited["id"]) };
    world::move_to(server, &peer.lead, &peer.id, &member.id, "active");
    member
}

fn items(answer: Answer) -> Vec<Value> {
    answer.expect(200)["items"].as_array().expect("a list").clone()
}

fn shared(world: &World, who: &Person) -> Vec<Value> {
    items(world.server.get(who, &world.peer.path("/shared-check-ins")))
}

fn texts(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["text"].as_str().unwrap_or("-")).collect()
}

fn show_to(world: &World, who: &Person, id: &str, visibility: &str) -> Answer {
    let path = world.peer.path(&format!("/check-ins/{id}"));
    let version = world.server.version(who, &path);
    let body = json!({"visibility": visibility});
    world.server.change(who, "PUT", &format!("{path}/visibility"), &version, &body)
}

/// Everything of an answer that a client sees.
fn whole(answer: &Answer) -> String {
    let is_of_moment = |name: &str| matches!(name, "date" | "request-id" | "x-request-id");
    let headers = answer.headers.iter().filter(|(name, _)| !is_of_moment(name.as_str()));
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    format!("{} {}\n{}", answer.status, headers.join("\n"), answer.text)
}

#[test]
fn a_private_check_in_reaches_nobody_else() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let author = &peer.member.person;
    let steward = peer.steward.as_ref().expect("a steward");
    let others = [
        &peer.second_member.person,
        &peer.lead,
        &peer.co_lead,
        steward,
        &peer.former_lead,
        &peer.former_member.person,
        &world.administrator,
        &world.privacy_officer,
        &world.outsider,
        &world.led.lead,
        &world.led.member.person,
    ];
    // Lists that could tell of it, with their totals, tags and links.
    let lists = [
        peer.path("/shared-check-ins"),
        peer.path("/check-ins"),
        peer.path("/members"),
        "/v1/account/progress".into(),
        "/v1/account/check-ins/trend".into(),
        "/v1/account/access-log".into(),
    ];
    let read = || -> Vec<String> {
        others.iter().flat_map(|who| lists.iter().map(|list| whole(&server.get(who, list)))).collect()
    };
    read();
    let before = read();
    let said =
        json!({"mood": "awful", "words": ["heron-like"], "need": "Quiet.", "text": "The heron again.", "hope": 1});
    let id = check_in(server, author, peer, said).made();
    for (was, is) in before.iter().zip(read()) {
        // The administrator reads the members, and the log of that is each member's to read; nothing else moves.
        assert!(was == &is || is.contains("\"action\":\"ReadMembers\"") || is.contains("SharedCheckIns"), "{is}");
        assert!(!is.contains("heron") && !is.contains(&id), "{is}");
    }
    let nobodys = Id::random().to_string();
    for who in others {
        let ask = |method: &str, rest: &str, id: &str| {
            let request = server.request(method, &peer.path(&format!("/check-ins/{id}{rest}"))).token(&who.token);
            let request = request.version("\"1\"");
            match method {
                "PUT" => request.json(&json!({"visibility": "group"})).send(),
                _ => request.send(),
            }
        };
        for (method, rest) in [("GET", ""), ("PUT", "/visibility"), ("DELETE", "")] {
            let (theirs, missing) = (ask(method, rest, &id), ask(method, rest, &nobodys));
            assert!(matches!(theirs.status, 403 | 404), "{} {method}: {}", who.name, theirs.status);
            assert_eq!(whole(&theirs), whole(&missing), "{} {method}", who.name);
        }
    }
    let own = server.get(author, &peer.path(&format!("/check-ins/{id}"))).expect(200);
    assert_eq!((&own["text"], &own["visibility"]), (&json!("The heron again."), &json!("only_me")));
    assert_eq!((&own["mood"], &own["mood_number"]), (&json!("awful"), &json!(1)));
}

#[test]
fn a_facilitator_who_is_a_member_cannot_open_a_private_check_in_and_is_logged_as_a_facilitator() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    join(&world, &peer.co_lead, "Both");
    let author = &peer.member.person;
    let private = check_in(server, author, peer, json!({"text": "private"})).made();
    let told = check_in(server, author, peer, json!({"text": "told", "visibility": "facilitator"})).made();
    check_in(server, author, peer, json!({"text": "open", "visibility": "group"})).expect(201);
    for id in [&private, &told] {
        server.get(&peer.co_lead, &peer.path(&format!("/check-ins/{id}"))).expect(404);
    }
    // As a facilitator, neither more nor less than one who is nothing else.
    assert_eq!(texts(&shared(&world, &peer.co_lead)), ["open", "told"]);
    assert_eq!(shared(&world, &peer.co_lead), shared(&world, &peer.lead));
    assert_eq!(texts(&shared(&world, &peer.second_member.person)), ["open"]);
    let log = items(server.get(author, "/v1/account/access-log?limit=200"));
    let reads: Vec<&Value> = log.iter().filter(|entry| entry["action"] == "ReadSharedCheckIns").collect();
    // By the name in the group, where there is one.
    for name in ["Peer Lead", "Both"] {
        let entry = reads.iter().find(|entry| entry["name"] == name);
        let entry = entry.unwrap_or_else(|| panic!("{name} left no trace: {log:?}"));
        assert_eq!(entry["standing"], "facilitator");
    }
    // What a member reads of what was shown to all members is no entry.
    assert_eq!(reads.iter().filter(|entry| entry["standing"] != "facilitator").count(), 0, "{reads:?}");
    assert!(!reads.iter().any(|entry| entry["name"] == "Peer Noor"), "{reads:?}");
}

#[test]
fn a_changed_visibility_counts_for_the_next_request_of_a_token_that_is_used_again() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let (author, reader) = (&peer.member.person, &peer.second_member.person);
    let id = check_in(server, author, peer, json!({"text": "seen", "visibility": "group"})).made();
    assert_eq!(texts(&shared(&world, reader)), ["seen"]);
    let changed = show_to(&world, author, &id, "facilitator");
    assert_eq!(changed.etag(), "\"2\"");
    assert_eq!(changed.expect(200)["visibility"], "facilitator");
    assert!(shared(&world, reader).is_empty());
    assert_eq!(texts(&shared(&world, &peer.lead)), ["seen"]);
    show_to(&world, author, &id, "only_me").expect(200);
    assert!(shared(&world, &peer.lead).is_empty());
    // Not by an old version, nor by none.
    let path = peer.path(&format!("/check-ins/{id}/visibility"));
    let body = json!({"visibility": "group"});
    server.change(author, "PUT", &path, "\"1\"", &body).expect(412);
    server.request("PUT", &path).token(&author.token).json(&body).send().expect(428);
    server.change(author, "PUT", &path, "\"3\"", &json!({"visibility": "everybody"})).refuses("/visibility");
    server.change(author, "PUT", &path, "\"3\"", &json!({"visibility": "group", "text": "x"})).expect(422);
    assert!(shared(&world, &peer.lead).is_empty());
}

#[test]
fn trap_28_the_day_is_the_members_own() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let author = &peer.member.person;
    let record = |zone: &str, time: &str| {
        // On to the next moment at which it is that time there.
        let zone_there = jiff::tz::TimeZone::get(zone).expect("a zone");
        let now = server.db.clock.now();
        let there = now.timestamp().to_zoned(zone_there.clone());
        let day = there.date().tomorrow().expect("a day");
        let at = day.to_datetime(time.parse().expect("a time")).to_zoned(zone_there).expect("a moment");
        server.db.clock.shift(at.timestamp().as_millisecond() - now.0);
        let kept = check_in(server, author, peer, json!({"mood": "good", "zone": zone})).expect(201);
        assert_eq!((&kept["local_day"], &kept["zone"]), (&json!(day.to_string()), &json!(zone)));
        let utc = server.db.clock.now().day_in("UTC").to_string();
        (day.to_string(), utc)
    };
    let (day, utc) = record("Pacific/Auckland", "00:30");
    assert_ne!(day, utc, "it is yesterday in UTC");
    let (day, utc) = record("Pacific/Auckland", "23:30");
    assert_eq!(day, utc);
    let (day, utc) = record("America/Los_Angeles", "23:30");
    assert_ne!(day, utc, "it is tomorrow in UTC");
    // Where nothing is said, the account's zone counts; and the kept day stays when the account moves on.
    let version = server.version(author, "/v1/account");
    let account = json!({"name": "Mira", "language": "en", "zone": "America/Los_Angeles"});
    server.change(author, "PUT", "/v1/account", &version, &account).expect(200);
    let kept = check_in(server, author, peer, json!({"mood": "good"})).expect(201);
    assert_eq!((&kept["local_day"], &kept["zone"]), (&json!(day), &json!("America/Los_Angeles")));
    let version = server.version(author, "/v1/account");
    let account = json!({"name": "Mira", "language": "en", "zone": "UTC"});
    server.change(author, "PUT", "/v1/account", &version, &account).expect(200);
    let own = items(server.get(author, &peer.path("/check-ins")));
    assert_eq!((own.len(), &own[0]["local_day"]), (4, &json!(day)));
    for zone in ["Nowhere/Atall", "EST5EDT,M3.2.0,M11.1.0", "local"] {
        check_in(server, author, peer, json!({"mood": "good", "zone": zone})).refuses("/zone");
    }
}

#[test]
fn nothing_is_taken_before_the_ground_rules_are_accepted() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let author = &peer.member.person;
    let said = json!({"mood": "okay"});
    let refused = check_in(server, author, peer, said.clone()).expect(409);
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("ground rules")), "{refused}");
    let agreement = accept_rules(&world, &[&peer.second_member.person]);
    // Somebody else's acceptance is not one's own.
    check_in(server, author, peer, said.clone()).expect(409);
    let signing = peer.path(&format!("/agreements/{agreement}/signatures"));
    let signature = server.post(author, &signing, &json!({})).made();
    check_in(server, author, peer, said.clone()).expect(201);
    // A new version that must be accepted ends the old acceptance; so does its withdrawal.
    let next = json!({
        "purpose": "ground_rules", "title": "Ground rules", "text": "No phones.", "must_sign_again": true
    });
    let next = server.post(&peer.lead, &peer.path("/agreements"), &next).made();
    check_in(server, author, peer, said.clone()).expect(409);
    let signing = peer.path(&format!("/agreements/{next}/signatures"));
    let again = server.post(author, &signing, &json!({})).made();
    check_in(server, author, peer, said.clone()).expect(201);
    for signature in [signature, again] {
        let path = peer.path(&format!("/signatures/{signature}/withdrawal"));
        server.post(author, &path, &json!({})).expect(204);
    }
    check_in(server, author, peer, said).expect(409);
    // What was said stands, and still is one's own.
    assert_eq!(items(server.get(author, &peer.path("/check-ins"))).len(), 2);
}

#[test]
fn a_pass_is_an_answer_and_says_nothing_else() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let author = &peer.member.person;
    let passed = check_in(server, author, peer, json!({"pass": true, "visibility": "group"})).expect(201);
    assert_eq!((&passed["pass"], &passed["mood"], &passed["text"]), (&json!(true), &Value::Null, &Value::Null));
    assert_eq!(passed["language"], Value::Null);
    for (field, value) in [
        ("mood", json!("good")),
        ("words", json!(["calm"])),
        ("connection", json!(0)),
        ("shame", json!(10)),
        ("need", json!("Rest.")),
        ("text", json!("But.")),
        ("occasion", json!("at")),
        ("language", json!("en")),
    ] {
        let mut body = json!({"pass": true});
        body[field] = value;
        check_in(server, author, peer, body).refuses(&format!("/{field}"));
    }
    for empty in [
        json!({}),
        json!({"pass": false}),
        json!({"words": []}),
        json!({"occasion": "before"}),
        json!({"language": "en", "visibility": "group", "zone": "UTC"}),
    ] {
        check_in(server, author, peer, empty).refuses("");
    }
    // Zero is something.
    let zero = check_in(server, author, peer, json!({"hope": 0})).expect(201);
    assert_eq!((&zero["hope"], &zero["connection"]), (&json!(0), &Value::Null));
    assert_eq!(items(server.get(author, &peer.path("/check-ins"))).len(), 2);
}

#[test]
fn a_bad_check_in_is_refused_by_the_name_of_its_field() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let author = &peer.member.person;
    let many: Vec<String> = (0..9).map(|word| format!("word {word}")).collect();
    let cases = [
        ("/mood", json!({"mood": "splendid"})),
        ("/connection", json!({"connection": 11})),
        ("/hope", json!({"hope": -1})),
        ("/confidence", json!({"confidence": 5.5})),
        ("/words", json!({"words": many})),
        ("/words/1", json!({"words": ["calm", ""]})),
        ("/words/0", json!({"words": ["x".repeat(41)]})),
        ("/need", json!({"need": "x".repeat(301)})),
        ("/text", json!({"text": "x".repeat(5001)})),
        ("/text", json!({"text": "   "})),
        ("/occasion", json!({"mood": "good", "occasion": "after"})),
        ("/visibility", json!({"mood": "good", "visibility": "world"})),
        ("/language", json!({"text": "x", "language": "Klingon!"})),
        ("/member", json!({"mood": "good", "member": peer.second_member.id})),
        ("/session", json!({"mood": "good", "session": Id::random()})),
        ("/recorded_at", json!({"mood": "good", "recorded_at": "2026-01-01T00:00:00Z"})),
    ];
    for (pointer, body) in cases {
        let answer = check_in(server, author, peer, body.clone());
        assert_eq!(answer.status, 422, "{pointer} {body}: {}", answer.text);
        assert!(answer.text.contains(pointer.trim_start_matches('/').split('/').next().unwrap()), "{}", answer.text);
    }
    assert!(items(server.get(author, &peer.path("/check-ins"))).is_empty());
    let all = json!({
        "mood": "great", "words": ["calm", "Glücklich", "😀", "a", "b", "c", "d", "e"], "connection": 10, "hope": 0,
        "confidence": 5, "belonging": 7, "shame": 3, "need": "x".repeat(300), "text": "ä".repeat(5000),
        "language": "ase", "occasion": "between", "visibility": "group", "zone": "Asia/Kathmandu"
    });
    let kept = check_in(server, author, peer, all.clone()).expect(201);
    for (field, value) in all.as_object().unwrap() {
        assert_eq!(&kept[field], value, "{field}");
    }
    let path = peer.path(&format!("/check-ins/{}", text(&kept["id"])));
    assert_eq!(server.get(author, &path).expect(200), kept);
}

#[test]
fn no_check_in_is_made_by_those_who_are_no_members_now() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let said = json!({"mood": "okay"});
    let steward = peer.steward.as_ref().expect("a steward");
    for (who, status) in [
        (&peer.lead, 403),
        (steward, 403),
        (&peer.former_member.person, 403),
        (&world.administrator, 403),
        (&world.outsider, 404),
        (&world.led.member.person, 404),
    ] {
        check_in(server, who, peer, said.clone()).expect(status);
    }
    // In a therapist-led group there are none.
    check_in(server, &world.led.member.person, &world.led, said.clone()).expect(403);
    // Paused members can say how they are.
    world::put_into(server, &peer.member, "paused");
    check_in(server, &peer.member.person, peer, said.clone()).expect(201);
    world::leave(server, &peer.member, &peer.id);
    check_in(server, &peer.member.person, peer, said).expect(403);
    // Whoever has left keeps what they said: to read, to take back, to remove.
    let own = items(server.get(&peer.member.person, &peer.path("/check-ins")));
    assert_eq!(own.len(), 1);
    show_to(&world, &peer.member.person, &text(&own[0]["id"]), "facilitator").expect(200);
    assert!(shared(&world, &peer.lead).is_empty());
    let path = peer.path(&format!("/check-ins/{}", text(&own[0]["id"])));
    server.request("DELETE", &path).token(&peer.member.person.token).send().expect(204);
}

#[test]
fn what_members_showed_is_gone_for_the_group_when_they_are() {
    for state in ["left", "removed", "completed"] {
        let world = world_with_rules();
        let (server, peer) = (&world.server, &world.peer);
        let (author, reader) = (&peer.member.person, &peer.second_member.person);
        check_in(server, author, peer, json!({"text": "open", "visibility": "group"})).expect(201);
        check_in(server, author, peer, json!({"text": "told", "visibility": "facilitator"})).expect(201);
        check_in(server, reader, peer, json!({"text": "mine", "visibility": "group"})).expect(201);
        assert_eq!(texts(&shared(&world, reader)), ["mine", "open"]);
        // Paused, they are still there for those who facilitate.
        world::put_into(server, &peer.member, "paused");
        assert_eq!(texts(&shared(&world, reader)), ["mine"]);
        assert_eq!(texts(&shared(&world, &peer.lead)), ["mine", "told", "open"]);
        world::put_into(server, &peer.member, state);
        assert_eq!(texts(&shared(&world, reader)), ["mine"], "{state}");
        assert_eq!(texts(&shared(&world, &peer.lead)), ["mine"], "{state}");
        // And the one who is gone reads nobody's.
        server.get(author, &peer.path("/shared-check-ins")).expect(403);
    }
}

#[test]
fn what_is_shared_tells_neither_the_hour_nor_the_zone_nor_to_members_an_id() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let author = &peer.member.person;
    let mut moments = Vec::new();
    for number in 0..5 {
        let visibility = if number % 2 == 0 { "group" } else { "facilitator" };
        let said = json!({"text": format!("{number}"), "visibility": visibility, "zone": "Asia/Kathmandu"});
        let kept = check_in(server, author, peer, said).expect(201);
        moments.push(text(&kept["recorded_at"]));
        server.db.clock.shift(61_000);
    }
    for (who, numbers) in
        [(&peer.second_member.person, vec!["4", "2", "0"]), (&peer.lead, vec!["4", "3", "2", "1", "0"])]
    {
        let is_lead = who.id == peer.lead.id;
        // Page by page, nothing is lost and nothing comes twice.
        for limit in [1, 2, 200] {
            let mut seen = Vec::new();
            let mut query = format!("?limit={limit}");
            loop {
                let answer = server.get(who, &peer.path(&format!("/shared-check-ins{query}")));
                let page = answer.clone().expect(200);
                let outside: Vec<String> =
                    page["next"].as_str().into_iter().filter_map(opened).chain([whole(&answer)]).collect();
                for (text, moment) in outside.iter().flat_map(|text| moments.iter().map(move |at| (text, at))) {
                    let millis = moment.parse::<jiff::Timestamp>().expect("a moment").as_millisecond();
                    let seconds = (millis / 1000).to_string();
                    assert!(!text.contains(&moment[11..]) && !text.contains(&seconds), "{moment} in {text}");
                    assert!(!text.contains("Kathmandu") && !text.contains("recorded_at"), "{text}");
                    assert_eq!(text.contains(&peer.member.id), is_lead && text.contains("\"items\":[{"), "{text}");
                }
                seen.extend(page["items"].as_array().expect("a list").clone());
                let Some(next) = page["next"].as_str() else { break };
                query = format!("?limit={limit}&cursor={next}");
            }
            assert_eq!(texts(&seen), numbers, "pages of {limit} for {}", who.name);
            assert!(seen.iter().all(|entry| entry["name"] == "Peer Mira" && entry["local_day"].is_string()));
        }
    }
    // A place in another group's list is none here.
    let own = server.get(author, &peer.path("/check-ins?limit=1")).expect(200);
    let cursor = text(&own["next"]);
    server.get(author, &peer.path(&format!("/shared-check-ins?cursor={cursor}"))).expect(400);
}

/// What a cursor holds, as text.
fn opened(cursor: &str) -> Option<String> {
    let bytes = data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn a_removed_check_in_is_gone_for_good_and_leaves_nothing() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let author = &peer.member.person;
    let said = json!({"text": "The orchard was flooded.", "mood": "low", "visibility": "group"});
    let send = || {
        let request = server.request("POST", &peer.path("/check-ins")).token(&author.token);
        request.key("check-in-0001").json(&said).send()
    };
    let first = send().expect(201);
    // The same request again is the same entry.
    assert_eq!(send().expect(201), first);
    // And no entry at all, when it says that it is something else.
    let request = server.request("POST", &peer.path("/check-ins")).token(&author.token).key("check-in-0001");
    request.body(Some("text/plain"), &said.to_string()).send().expect(415);
    assert_eq!(items(server.get(author, &peer.path("/check-ins"))).len(), 1);
    let id = text(&first["id"]);
    let path = peer.path(&format!("/check-ins/{id}"));
    let remove = || server.request("DELETE", &path).token(&author.token).send();
    remove().expect(204);
    let log = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let log = server.get(&world.privacy_officer, &log).text;
    assert!(!log.contains(&id) && !log.contains("ChangeCheckIn") && !log.contains("RecordCheckIn"));
    remove().expect(404);
    server.get(author, &path).expect(404);
    assert!(shared(&world, &peer.lead).is_empty());
    assert!(items(server.get(author, &peer.path("/check-ins"))).is_empty());
    let trend = server.get(author, "/v1/account/check-ins/trend").expect(200);
    assert_eq!((&trend["periods"], &trend["words"]), (&json!([]), &json!([])));
    // Sent again, it is not made again, and not told again.
    assert!(!send().expect(409).to_string().contains("orchard"));
    assert!(items(server.get(author, &peer.path("/check-ins"))).is_empty());
}

#[test]
fn what_was_said_lies_sealed_on_the_disk() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let said = json!({
        "text": "The heron stood there.", "words": ["heronlike"], "need": "Heron food.", "mood": "very_low",
        "occasion": "between"
    });
    let request = server.request("POST", &peer.path("/check-ins")).token(&peer.member.person.token);
    request.key("check-in-0001").json(&said).send().expect(201);
    let Some(file) = server.location.file() else { return };
    for end in ["", "-wal"] {
        let bytes = std::fs::read(format!("{file}{end}")).expect("the file");
        for secret in ["heron", "Heron", "very_low", "between\""] {
            let holds = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!holds, "the database{end} holds {secret}");
        }
    }
}

#[test]
fn a_trend_is_ones_own_over_all_groups_and_means_only_what_was_given() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let author = &peer.member.person;
    // On to a Monday, so that the weeks are known.
    let now = server.db.clock.now().timestamp().to_zoned(jiff::tz::TimeZone::UTC);
    let days = 7 - i64::from(now.weekday().to_monday_zero_offset());
    server.travel_days(days);
    let author = server.again(author);
    let second = Group { id: second_group(&world, &author), ..peer_of(&world) };
    let monday = server.db.clock.now().day_in("UTC");
    let say = |group: &Group, body: Value| check_in(server, &author, group, body).expect(201);
    say(peer, json!({"mood": "awful", "hope": 2, "words": ["Tired", "tired"]}));
    say(&second, json!({"mood": "okay", "words": ["TIRED", "calm"]}));
    say(peer, json!({"pass": true}));
    say(peer, json!({"mood": "so_so", "hope": 5, "text": "Only a text."}));
    // Somebody else's count for nobody but themselves.
    let other = server.again(&peer.second_member.person);
    check_in(server, &other, peer, json!({"mood": "great", "shame": 10, "words": ["proud"]})).expect(201);
    // A week without any, then one more.
    server.travel_days(15);
    let author = server.again(&author);
    check_in(server, &author, peer, json!({"shame": 7, "words": ["calm"]})).expect(201);
    let trend = |query: &str| server.get(&author, &format!("/v1/account/check-ins/trend{query}"));
    let weeks = trend("").expect(200);
    let day = |days: i64| json!(monday.0.checked_add(jiff::Span::new().days(days)).expect("a day").to_string());
    let expected = json!([
        {"starts_on": day(0), "check_ins": 4, "passes": 1, "mood": {"mean": 3.33, "n": 3}, "hope": {"mean": 3.5, "n": 2}},
        {"starts_on": day(14), "check_ins": 1, "passes": 0, "shame": {"mean": 7.0, "n": 1}}
    ]);
    assert_eq!((&weeks["by"], &weeks["periods"]), (&json!("week"), &expected));
    let words = json!([{"word": "calm", "check_ins": 2}, {"word": "tired", "check_ins": 2}]);
    assert_eq!(weeks["words"], words);
    let months = trend("?by=month").expect(200);
    let months = months["periods"].as_array().expect("periods");
    assert!(months.iter().all(|month| text(&month["starts_on"]).ends_with("-01")), "{months:?}");
    assert_eq!(months.iter().map(|month| month["check_ins"].as_i64().unwrap()).sum::<i64>(), 5);
    let early = trend(&format!("?until={}", text(&day(1)))).expect(200);
    assert_eq!(early["periods"].as_array().map(Vec::len), Some(1));
    let late = trend(&format!("?since={}", text(&day(1)))).expect(200);
    assert_eq!(late["words"], json!([{"word": "calm", "check_ins": 1}]));
    trend("?since=2026-02-02&until=2026-02-01").refuses("until");
    trend("?by=year").expect(400);
    trend("?since=yesterday").expect(400);
    // Their own progress, beside measures and attendance.
    let progress = server.get(&author, "/v1/account/progress").expect(200);
    let points = progress["check_ins"].as_array().expect("check-ins");
    assert_eq!(points.len(), 5);
    assert_eq!((&points[0]["day"], &points[0]["mood_number"], &points[0]["hope"]), (&day(0), &json!(1), &json!(2)));
    assert_eq!((&points[1]["group"], &points[1]["hope"]), (&json!(second.id), &Value::Null));
    assert!(points.iter().all(|point| point.get("text").is_none()));
    let since = server.db.clock.now().plus_days(-1);
    let recent = server.get(&author, &format!("/v1/account/progress?since={since}")).expect(200);
    assert_eq!(recent["check_ins"].as_array().map(Vec::len), Some(1));
}

fn peer_of(world: &World) -> Group {
    let peer = &world.peer;
    let member = |member: &Member| Member { person: member.person.clone(), id: member.id.clone() };
    Group {
        id: peer.id.clone(),
        lead: peer.lead.clone(),
        co_lead: peer.co_lead.clone(),
        trainee: None,
        former_lead: peer.former_lead.clone(),
        steward: peer.steward.clone(),
        member: member(&peer.member),
        second_member: member(&peer.second_member),
        former_member: member(&peer.former_member),
    }
}

/// Another peer-led group, with this member in it under its rules.
fn second_group(world: &World, member: &Person) -> String {
    let server = &world.server;
    let administrator = server.again(&world.administrator);
    let body = json!({
        "kind": "peer_led", "title": "Second", "public_description": "Mornings.", "format": "online", "language": "en",
        "zone": "UTC"
    });
    let path = format!("/v1/organizations/{}/groups", world.organization);
    let group = server.post(&administrator, &path, &body).made();
    let lead = world::lead(server, &administrator, world.organization, &group, "facilitator", "Second Lead");
    world::lead(server, &administrator, world.organization, &group, "steward", "Second Steward");
    let at = |rest: &str| format!("/v1/groups/{group}{rest}");
    let version = server.version(&administrator, &at(""));
    server.change(&administrator, "POST", &at("/opening"), &version, &json!({})).expect(200);
    let invited = server.post(&lead, &at("/members"), &json!({"name": "Mira"})).expect(201);
    world::accept(server, member, &text(&invited["code"]));
    world::move_to(server, &lead, &group, &text(&invited["id"]), "active");
    let rules = json!({"purpose": "ground_rules", "title": "Rules", "text": "Be kind."});
    let agreement = server.post(&lead, &at("/agreements"), &rules).made();
    server.post(member, &at(&format!("/agreements/{agreement}/signatures")), &json!({})).expect(201);
    group
}
