//! What one member can learn of another: nothing. What offices can learn of anybody's records: nothing either.

use std::collections::BTreeMap;

use circlekeeper::{policy::Area, values::Id};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    meetings::{Evening, keep},
    operations::{Operation, operations},
    scene::{Records, Scene, Secrets, measure, text},
    world::{accept, move_to},
};

/// Every address that can be read, with every id that there is in every place where an id can stand.
fn addresses(scene: &Scene, operations: &[Operation]) -> Vec<(Area, String)> {
    let world = &scene.world;
    let mut found = Vec::new();
    for operation in operations.iter().filter(|operation| operation.is_read()) {
        let places: Vec<(String, &Records)> = match operation.area {
            Area::Group => vec![
                (world.led.id.clone(), &scene.led),
                (world.peer.id.clone(), &scene.peer),
                (world.other.id.clone(), &scene.led),
            ],
            Area::Organization => vec![(world.organization.to_string(), &scene.organization)],
            _ => vec![(String::new(), &scene.led)],
        };
        for (place, records) in places {
            let mut paths = vec![operation.path.clone()];
            for name in operation.parameters() {
                let ids = match name {
                    "group" | "organization" => vec![place.clone()],
                    "instrument" => vec!["phq-9".into()],
                    _ => ids(records, name, scene),
                };
                let fill =
                    |path: &String| ids.iter().map(|id| path.replace(&format!("{{{name}}}"), id)).collect::<Vec<_>>();
                paths = paths.iter().flat_map(fill).collect();
            }
            for path in paths {
                for name in &operation.queries {
                    let values = match name.as_str() {
                        "member" | "session" => ids(&scene.led, name, scene),
                        "state" => vec!["active".into(), "left".into()],
                        "instrument" => vec!["phq-9".into()],
                        "since" => vec!["2000-01-01T00:00:00Z".into()],
                        "limit" => vec!["1".into(), "200".into()],
                        _ => continue,
                    };
                    found.extend(values.into_iter().map(|value| (operation.area, format!("{path}?{name}={value}"))));
                }
                found.push((operation.area, path));
            }
        }
    }
    found
}

/// All ids of a kind; in a place without such records, those of the therapist-led group.
fn ids(records: &Records, name: &str, scene: &Scene) -> Vec<String> {
    let records = if records.any(name).is_some() { records } else { &scene.led };
    let mut ids: Vec<String> = records.all(name).iter().map(|record| record.id.clone()).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Everything of an answer that a client sees.
fn whole(answer: &Answer) -> String {
    let headers = answer.headers.iter().filter(|(name, _)| name.as_str() != "date");
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    // When an export was made differs from one to the next, and tells nothing about anybody.
    let text = match answer.text.strip_prefix("{\"exported_at\":") {
        Some(rest) => rest.split_once(',').map_or(rest, |(_, rest)| rest),
        None => &answer.text,
    };
    format!("{} {}\n{text}", answer.status, headers.join("\n"))
}

fn get_all(server: &Server, who: &Person, addresses: &[(Area, String)]) -> BTreeMap<String, String> {
    addresses.iter().map(|(_, address)| (address.clone(), whole(&server.get(who, address)))).collect()
}

#[test]
fn a_member_reads_nothing_about_another() {
    let scene = Scene::new();
    let server = &scene.world.server;
    let addresses = addresses(&scene, &operations());
    let mut own = 0;
    for reader in &scene.secrets {
        let seen = get_all(server, &reader.person, &addresses);
        for (address, answer) in &seen {
            own += usize::from(reader.texts.iter().any(|secret| answer.contains(secret)));
            for other in scene.secrets.iter().filter(|other| other.member != reader.member) {
                // What the reader put into the address comes back in nothing but their own link.
                for secret in other.texts.iter().filter(|secret| !address.contains(*secret)) {
                    assert!(!answer.contains(secret), "{} reads {secret} at {address}:\n{answer}", reader.person.name);
                }
            }
        }
    }
    assert!(own > 20, "members read hardly anything, so this proves nothing: {own}");
    let (world, peer) = (&scene.world, &scene.world.peer);
    let outsiders =
        [&world.outsider, &world.other.member.person, &world.led.former_lead, &peer.member.person, &peer.former_lead];
    for outsider in outsiders {
        // The members of another group know who leads it.
        let is_own_lead =
            |of: &&Secrets| outsider.id == world.other.member.person.id && of.person.id == world.other.lead.id;
        let secrets: Vec<&String> =
            scene.secrets.iter().filter(|of| !is_own_lead(of)).flat_map(|of| &of.texts).collect();
        for (address, answer) in get_all(server, outsider, &addresses) {
            for secret in secrets.iter().copied().filter(|secret| !address.contains(*secret)) {
                assert!(!answer.contains(secret), "{} reads {secret} at {address}:\n{answer}", outsider.name);
            }
        }
    }
}

#[test]
fn what_is_done_about_one_member_changes_nothing_that_another_reads() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let (led, reader, other) = (&world.led, &world.led.member, &world.led.second_member);
    let addresses = addresses(&scene, &operations());
    let before = get_all(server, &reader.person, &addresses);

    let lead = &led.lead;
    server.post(&other.person, &led.path("/measures"), &measure(None, 3)).expect(201);
    let kept =
        &scene.led.own("measure", other.person.id, circlekeeper::policy::Standing::Member).expect("a measure").id;
    let path = led.path(&format!("/measures/{kept}"));
    let correction = json!({
        "respondent": "member", "taken_at": server.db.clock.now().plus_minutes(-60), "reason": "Misread.",
        "answers": measure(None, 2)["answers"]
    });
    server.change(lead, "PUT", &path, &server.version(lead, &path), &correction).expect(200);
    let session = &scene.led.all("session-record")[0].id;
    let path = led.path(&format!("/sessions/{session}/attendances/{}", other.id));
    let version = server.version(lead, &format!("{path}/versions"));
    let absent = json!({"status": "no_show", "reason": "Was not there."});
    server.change(lead, "PUT", &path, &version, &absent).expect(200);
    let entry = json!({"member": other.id, "occurred_at": server.db.clock.now(), "text": "Spoke about the week."});
    let path =
        led.path(&format!("/progress-entries/{}", server.post(lead, &led.path("/progress-entries"), &entry).made()));
    let version = server.version(lead, &path);
    server.change(lead, "POST", &format!("{path}/signature"), &version, &json!({})).expect(200);
    server.post(lead, &format!("{path}/release"), &json!({})).expect(200);
    let agreement = &scene.led.all("agreement")[0].id;
    let signature =
        &scene.led.own("signature", other.person.id, circlekeeper::policy::Standing::Member).expect("one").id;
    server.post(&other.person, &led.path(&format!("/signatures/{signature}/withdrawal")), &json!({})).expect(204);
    server.post(&other.person, &led.path(&format!("/agreements/{agreement}/signatures")), &json!({})).expect(201);
    let path = led.path(&format!("/members/{}", other.id));
    let version = server.version(&other.person, &path);
    server.change(&other.person, "PUT", &format!("{path}/name"), &version, &json!({"name": "Nell"})).expect(200);
    let version = server.version(lead, &path);
    let paused = json!({"state": "paused", "reason": "A hard month."});
    server.change(lead, "POST", &format!("{path}/moves"), &version, &paused).expect(201);

    let after = get_all(server, &reader.person, &addresses);
    for (address, answer) in &before {
        assert_eq!(&after[address], answer, "{address} tells of what was done about somebody else");
    }
}

#[test]
fn another_members_id_is_answered_like_one_that_nobody_has() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let nobody = Id::random().to_string();
    for operation in operations().iter().filter(|operation| operation.area == Area::Group && operation.takes_body()) {
        let ask = |member: &str| {
            let path = operation.path_with(|name| match name {
                "group" => world.led.id.clone(),
                "member" => member.to_owned(),
                _ => scene.led.any(name).map(|record| record.id.clone()).unwrap_or_default(),
            });
            let mut body = operation.example.clone().expect("an example");
            body["member"] = json!(member);
            let request = server.request(&operation.method, &path).token(&world.led.member.person.token);
            whole(&request.version("\"1\"").json(&body).send()).replace(member, "…")
        };
        let (theirs, nobodys) = (ask(&world.led.second_member.id), ask(&nobody));
        assert_eq!(theirs, nobodys, "{} {} as a member", operation.method, operation.path);
        assert!(!theirs.starts_with('2'), "{} {}: {theirs}", operation.method, operation.path);
    }
}

#[test]
fn offices_read_no_record_content() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let addresses = addresses(&scene, &operations());
    // Both read the log, which names records and never holds them.
    let content = ["\"answers\"", "\"score\"", "\"band\"", "\"risk\"", "\"subscales\"", "\"minutes\"", "\"addenda\""];
    for officer in [&world.administrator, &world.privacy_officer] {
        let mut read = 0;
        for (area, address) in addresses.iter().filter(|(area, _)| *area != Area::Public) {
            let answer = whole(&server.get(officer, address));
            read += usize::from(answer.starts_with("200"));
            for text in &scene.clinical_texts {
                assert!(!answer.contains(text), "{} reads a note at {address}", officer.name);
            }
            // One's own course, in one's own account, is nobody's record but one's own.
            if *area != Area::Account {
                for field in content {
                    assert!(!answer.contains(field), "{} reads {field} at {address}:\n{answer}", officer.name);
                }
            }
        }
        assert!(read > 10, "{} reads hardly anything: {read}", officer.name);
    }
}

#[test]
fn process_notes_reach_nobody_but_their_author() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let addresses = addresses(&scene, &operations());
    let trainee = world.led.trainee.as_ref().expect("a trainee");
    for reader in [&world.led.lead, &world.led.co_lead, trainee] {
        let seen = get_all(server, reader, &addresses);
        for note in scene.led.all("note") {
            let is_own = note.by == Some(reader.id);
            let holds = seen.iter().any(|(address, answer)| !address.contains(&note.id) && answer.contains(&note.id));
            assert_eq!(holds, is_own, "{} and note {}", reader.name, note.id);
        }
    }
}

#[test]
fn a_member_counts_only_themselves() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let session = &scene.led.all("session-record")[0].id;
    let lists = ["members", "measures", "progress-entries", "signatures", &format!("sessions/{session}/attendances")];
    for list in lists {
        let body: Value = server.get(&world.led.member.person, &world.led.path(&format!("/{list}"))).expect(200);
        let items = body["items"].as_array().expect("a list");
        assert_eq!(items.len(), 1, "{list}: {body}");
        let member = if list == "members" { &items[0]["id"] } else { &items[0]["member"] };
        assert_eq!(text(member), world.led.member.id, "{list}");
        assert!(body["next"].is_null(), "{list}: {body}");
    }
}

/// What each member of the peer-led group wrote: for nobody, for the facilitator, for the group.
struct Written {
    person: Person,
    texts: [String; 3],
}

fn write_check_ins(scene: &Scene) -> Vec<Written> {
    let (world, server) = (&scene.world, &scene.world.server);
    let people = [&world.peer.member.person, &world.peer.second_member.person, &scene.therapist_and_member];
    let written = people.map(|person| {
        let texts = ["only_me", "facilitator", "group"].map(|visibility| {
            let text = format!("Written for {visibility} {}.", Id::random());
            let body = json!({"mood": "okay", "text": text, "visibility": visibility});
            server.post(person, &world.peer.path("/check-ins"), &body).expect(201);
            text
        });
        Written { person: person.clone(), texts }
    });
    written.into()
}

#[test]
fn a_check_in_reaches_whom_its_author_chose_and_nobody_else() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let written = write_check_ins(&scene);
    let addresses = addresses(&scene, &operations());
    let steward = world.peer.steward.as_ref().expect("a steward");
    // How far each reader sees into what others wrote: not at all, the group's, the facilitator's as well.
    let readers: [(&Person, usize); 9] = [
        (&world.peer.member.person, 1),
        (&world.peer.second_member.person, 1),
        (&world.peer.lead, 2),
        (&scene.two_hats, 2),
        (steward, 0),
        (&world.administrator, 0),
        (&world.privacy_officer, 0),
        (&world.peer.former_member.person, 0),
        (&world.outsider, 0),
    ];
    for (reader, reach) in readers {
        let seen: Vec<(String, String)> = get_all(server, reader, &addresses).into_iter().collect();
        let reads = |text: &String| seen.iter().any(|(_, answer)| answer.contains(text));
        for author in written.iter().filter(|author| author.person.id != reader.id) {
            let [own, facilitators, groups] = &author.texts;
            assert!(!reads(own), "{} reads what {} wrote for themselves", reader.name, author.person.name);
            assert_eq!(reads(facilitators), reach == 2, "{} and what was for the facilitator", reader.name);
            assert_eq!(reads(groups), reach >= 1, "{} and what was for the group", reader.name);
            // A therapist's account is known to their own clinic.
            let is_staff = author.person.id == scene.therapist_and_member.id;
            for secret in [&author.person.sign_in_name, &author.person.id.to_string()] {
                assert!(is_staff || !reads(secret), "{} reads {secret}", reader.name);
            }
        }
    }
    for author in &written {
        let own = server.get(&author.person, &world.peer.path("/check-ins?limit=200")).text;
        assert!(author.texts.iter().all(|text| own.contains(text)), "{own}");
    }
}

/// An evening that was recorded under names, and corrected once.
fn record_evening(scene: &Scene) -> String {
    let (world, peer) = (&scene.world, &scene.world.peer);
    keep(world, "named");
    // A short one, after they agreed: whoever leads today's session still does.
    world.server.db.clock.shift(10 * 60_000);
    let now = world.server.db.clock.now();
    let evening = Evening::at(world, now.plus_minutes(-9));
    let members = [&peer.member.id, &peer.second_member.id];
    let record = |heads: i32, minutes: i64, rest: &Value| {
        let mut body = evening.body(heads, rest);
        (body["held_from"], body["held_until"]) = (json!(now.plus_minutes(-minutes)), json!(now));
        evening.send(&peer.lead, &body).expect(200);
    };
    record(4, 8, &json!({"members": members}));
    record(5, 6, &json!({"members": members, "reason": "It began later."}));
    evening.session
}

#[test]
fn no_member_of_a_peer_led_group_reads_whose_account_stands_behind_a_name() {
    let mut scene = Scene::new();
    let evening = record_evening(&scene);
    scene.peer.add("session", &evening, None, None);
    let (world, server, peer) = (&scene.world, &scene.world.server, &scene.world.peer);
    let steward = peer.steward.as_ref().expect("a steward");
    let [of_this_session, _, of_next_week] = &scene.session_facilitators;
    // Whoever leads belongs here too, under a name of their own. One of them has left again.
    for (person, name) in [(&peer.lead, "Finch"), (steward, "Wren"), (of_this_session, "Dove"), (of_next_week, "Robin")]
    {
        let invited = server.post(&peer.co_lead, &peer.path("/members"), &json!({"name": name})).expect(201);
        accept(server, person, &text(&invited["code"]));
        move_to(server, &peer.co_lead, &peer.id, &text(&invited["id"]), "active");
        if name == "Robin" {
            move_to(server, person, &peer.id, &text(&invited["id"]), "left");
        }
    }
    let path = peer.path(&format!("/sessions/{evening}/attendances/{}/versions", peer.member.id));
    let versions = |who: &Person| server.get(who, &path).expect(200)["items"].clone();
    assert_eq!(versions(&peer.co_lead)[0]["recorded_by"], json!(peer.lead.id), "those who lead know it");
    assert_eq!(versions(&peer.member.person)[0]["recorded_by"], Value::Null);
    for reader in [steward, &peer.lead] {
        for path in [format!("/members/{}", peer.member.id), format!("/members/{}", peer.second_member.id)] {
            server.get(reader, &peer.path(&path)).expect(200);
        }
    }
    let addresses = addresses(&scene, &operations());
    let others = [&peer.lead, &peer.co_lead, steward, of_this_session, of_next_week, &scene.two_hats];
    let others =
        others.into_iter().chain([&scene.therapist_and_member, &peer.second_member.person, &peer.member.person]);
    let others: Vec<&Person> = others.collect();
    // The others are called here as their accounts are.
    let renamed =
        [&peer.lead, steward, of_this_session, of_next_week, &scene.therapist_and_member].map(|person| person.id);
    for reader in [&peer.member.person, &peer.second_member.person, &peer.former_member.person] {
        let seen = get_all(server, reader, &addresses);
        for other in others.iter().filter(|other| other.id != reader.id) {
            let mut secrets = vec![other.id.to_string(), other.sign_in_name.clone()];
            secrets.extend(renamed.contains(&other.id).then(|| other.name.clone()));
            for (address, answer) in &seen {
                for secret in secrets.iter().filter(|secret| !address.contains(*secret)) {
                    assert!(!answer.contains(secret), "{} reads {secret} at {address}:\n{answer}", reader.name);
                }
            }
        }
    }
    // By the name in the group they are there, and those who run it find whose term it is.
    let terms = |who: &Person| {
        let terms = server.get(who, &peer.path("/terms")).expect(200);
        terms["items"].as_array().expect("terms").clone()
    };
    for who in [&peer.member.person, of_this_session, &peer.co_lead, steward, &world.administrator] {
        let names: Vec<Value> = terms(who).iter().map(|term| term["name"].clone()).collect();
        // Robin's term was bound to a session, and went with the membership.
        assert!(!names.contains(&json!("Robin")), "{names:?}");
        for name in ["Finch", "Wren", "Dove", "Peer Colead"] {
            assert!(names.contains(&json!(name)), "{name} in {names:?}");
        }
    }
    let accounts = |who: &Person| -> Vec<Value> { terms(who).iter().map(|term| term["account"].clone()).collect() };
    assert!(accounts(&peer.member.person).iter().all(Value::is_null));
    assert!(terms(&peer.member.person).iter().any(|term| term["name"] == "Finch" && term["member"].is_string()));
    for who in [&peer.co_lead, steward, &world.administrator] {
        assert!(accounts(who).contains(&json!(peer.lead.id)), "{}", who.name);
    }
    // One's own term is one's own.
    let shown: Vec<Value> = accounts(of_this_session).into_iter().filter(|account| !account.is_null()).collect();
    assert_eq!(shown, [json!(of_this_session.id)]);
    let offered = server.get(&peer.member.person, &peer.path("/offers")).expect(200);
    assert_eq!(offered["items"][0]["from"], "Finch", "{offered}");
    let log = server.get(&peer.member.person, "/v1/account/access-log?limit=200").expect(200);
    assert!(log["items"].as_array().expect("entries").iter().any(|entry| entry["name"] == "Finch"), "{log}");
}
