//! Listings and referrals over HTTP: who is asked reads what the sender chose, and the sender's own group nothing.

use circlekeeper::values::Id;
use diesel::{
    Connection, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{Integer, Text},
    sqlite::SqliteConnection,
};
use serde_json::{Value, json};

use crate::{
    access_log::tamper,
    harness::{Answer, Person, Server},
    scene::{Records, plan_at, text},
    world::{self, Group, World},
};

/// Lets everybody ask this group.
pub fn open_to_joining(server: &Server, administrator: &Person, group: &str) {
    change_group(server, administrator, group, &json!({"open_to_joining": true}));
}

/// Changes some settings of a group and leaves the others.
fn change_group(server: &Server, administrator: &Person, group: &str, changed: &Value) {
    let path = format!("/v1/groups/{group}");
    let read = server.get(administrator, &path);
    let (version, mut settings) = (read.etag(), read.expect(200));
    let fields = settings.as_object_mut().expect("settings");
    for name in ["id", "organization", "state"] {
        fields.remove(name);
    }
    for (name, value) in changed.as_object().expect("fields") {
        fields.insert(name.clone(), value.clone());
    }
    server.change(administrator, "PUT", &path, &version, &settings).expect(200);
}

/// A referral of a sender, for the access matrix. It is nobody's own in front of the group.
pub fn add_records(world: &World, group: &Group, sender: &Person, records: &mut Records) -> String {
    open_to_joining(&world.server, &world.administrator, &group.id);
    let id = send(&world.server, sender, &group.id, json!({"reason": "Something to work on."})).made();
    records.add("referral", &id, None, None);
    id
}

/// A referral of this person that is not answered yet: the one that there is, or a new one.
pub fn not_answered(server: &Server, person: &Person, group: &str) -> String {
    let sent = server.get(person, "/v1/account/referrals?limit=200").expect(200);
    let open = sent["items"].as_array().expect("a list").iter().find(|referral| referral["state"] == "sent");
    open.map_or_else(|| send(server, person, group, json!({})).made(), |referral| text(&referral["id"]))
}

fn send(server: &Server, who: &Person, group: &str, share: Value) -> Answer {
    server.post(who, "/v1/account/referrals", &json!({"to_group": group, "share": share}))
}

fn withdraw(server: &Server, who: &Person, referral: &str) -> Answer {
    server.request("POST", &format!("/v1/account/referrals/{referral}/withdrawal")).token(&who.token).send()
}

fn own(server: &Server, who: &Person, referral: &str) -> Answer {
    server.get(who, &format!("/v1/account/referrals/{referral}"))
}

fn answer(server: &Server, who: &Person, group: &Group, referral: &str, body: &Value) -> Answer {
    server.post(who, &group.path(&format!("/referrals/{referral}/answer")), body)
}

/// A world whose therapist-led group can be asked.
fn asked_world() -> World {
    let world = World::new();
    open_to_joining(&world.server, &world.administrator, &world.led.id);
    world
}

fn full_share() -> Value {
    json!({"name": "Ari", "contact": "ari@example.org", "reason": "I would like to work on my sleep."})
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Integer)]
    number: i32,
}

/// Every row of every table that belongs to a group, as text; nothing where the database is no file.
fn rows_of(server: &Server, group: &str) -> Vec<String> {
    let Some(file) = server.location.file() else { return Vec::new() };
    let mut connection = SqliteConnection::establish(file).expect("the database opens");
    let tables = "SELECT DISTINCT m.name AS line FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c \
                  WHERE m.type = 'table' AND c.name = 'group_id' ORDER BY 1";
    let tables: Vec<Line> = sql_query(tables).load(&mut connection).expect("the tables");
    assert!(tables.len() > 20, "{} tables of a group", tables.len());
    let mut rows = Vec::new();
    for Line { line: table } in tables {
        let columns = format!("SELECT name AS line FROM pragma_table_info('{table}') ORDER BY cid");
        let columns: Vec<Line> = sql_query(columns).load(&mut connection).expect("the columns");
        let columns: Vec<String> = columns.iter().map(|column| format!("quote(\"{}\")", column.line)).collect();
        let group = group.replace('-', "");
        let sql = format!(
            "SELECT '{table} ' || {} AS line FROM {table} WHERE group_id = x'{group}' ORDER BY 1",
            columns.join(" || ',' || ")
        );
        rows.extend(sql_query(sql).load::<Line>(&mut connection).expect("the rows").into_iter().map(|row| row.line));
    }
    rows
}

#[test]
fn a_referral_leaves_no_trace_in_the_senders_own_group() {
    let world = asked_world();
    let (server, peer, led) = (&world.server, &world.peer, &world.led);
    let sender = &peer.member;
    let steward = peer.steward.as_ref().expect("a steward");
    let lists = [
        "",
        "/members",
        &format!("/members/{}", sender.id),
        "/terms",
        "/agreements",
        "/signatures",
        "/sessions",
        "/topics",
        "/tips",
        "/peer-settings",
        "/referrals",
    ]
    .map(|list| peer.path(list));
    let seen = || {
        let readers = [&peer.lead, &peer.co_lead, steward, &peer.second_member.person];
        let mut answers: Vec<String> = Vec::new();
        for reader in readers {
            answers.extend(lists.iter().map(|list| {
                let read = server.get(reader, list);
                format!("{} {list} {} {:?} {}", reader.name, read.status, read.header("etag"), read.text)
            }));
        }
        answers
    };
    // Reading writes the log: what was read before is the same in both pictures but for that.
    let before = (seen(), rows_of(server, &peer.id));
    let share = full_share();
    let referral = send(server, &sender.person, &led.id, share).made();
    server.get(&led.lead, &led.path(&format!("/referrals/{referral}"))).expect(200);
    answer(server, &led.lead, led, &referral, &json!({"accept": true, "message": "Welcome."})).expect(200);
    let code = text(&own(server, &sender.person, &referral).expect(200)["code"]);
    world::accept(server, &sender.person, &code);
    let second = send(server, &sender.person, &led.id, full_share());
    assert_eq!(second.status, 409, "{}", second.text);
    withdraw(server, &sender.person, &referral).expect(204);
    let after = rows_of(server, &peer.id);
    assert_eq!(before.1, after, "a row of the peer-led group, or an entry of its access log, has changed");
    assert_eq!(before.0, seen());
}

#[test]
fn a_withdrawn_referral_is_gone_for_its_receiver_at_the_next_request() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    let sender = &world.peer.member.person;
    let referral = send(server, sender, &led.id, full_share()).made();
    let path = led.path(&format!("/referrals/{referral}"));
    assert_eq!(server.get(&led.lead, &path).expect(200)["shared"], full_share());
    let accept = json!({"accept": true, "message": "Welcome."});
    let answering = || {
        let path = format!("{path}/answer");
        server.request("POST", &path).token(&led.lead.token).key("answer-0001").json(&accept).send()
    };
    answering().expect(200);
    answering().expect(200);
    let code = text(&own(server, sender, &referral).expect(200)["code"]);
    for _ in 0..2 {
        withdraw(server, sender, &referral).expect(204);
    }
    let nobodys = server.get(&led.lead, &led.path(&format!("/referrals/{}", Id::random())));
    let gone = server.get(&led.lead, &path);
    assert_eq!((gone.status, &gone.text), (404, &nobodys.text));
    // A retry gets no kept answer either.
    answering().expect(404);
    assert_eq!(server.get(&led.lead, &led.path("/referrals")).expect(200)["items"], json!([]));
    // Its sender reads that it was withdrawn, and the code opens nothing any more.
    let kept = own(server, sender, &referral).expect(200);
    assert_eq!((&kept["state"], &kept["code"], &kept["message"]), (&json!("withdrawn"), &Value::Null, &Value::Null));
    assert_eq!(kept["shared"], json!({"name": null, "contact": null, "reason": null}));
    server.post(sender, "/v1/account/standings", &json!({"code": code})).refuses("/code");
    // Nor does the name live on in the roster of the group that had accepted.
    let roster = server.get(&led.lead, &led.path("/members?limit=200"));
    assert!(!roster.text.contains("\"Ari\""), "{}", roster.text);
    assert_eq!(server.get(&led.lead, &led.path("/members?state=invited")).expect(200)["items"], json!([]));
    // The key went with the text, so that no older copy opens either.
    if let Some(file) = server.location.file() {
        let mut connection = SqliteConnection::establish(file).expect("the database opens");
        let id = referral.replace('-', "");
        let sql = format!(
            "SELECT (SELECT count(*) FROM data_keys WHERE owner_id = x'{id}') + (SELECT count(*) FROM referrals \
             WHERE id = x'{id}' AND (shared IS NOT NULL OR answer IS NOT NULL OR code IS NOT NULL)) AS number"
        );
        assert_eq!(sql_query(sql).get_result::<Count>(&mut connection).expect("a count").number, 0);
    }
}

#[test]
fn a_group_that_cannot_be_asked_answers_as_one_that_does_not_exist() {
    let world = asked_world();
    let (server, led, other) = (&world.server, &world.led, &world.other);
    let sender = &world.outsider;
    let nobodys = send(server, sender, &Id::random().to_string(), json!({}));
    assert_eq!(nobodys.status, 422);
    open_to_joining(server, &world.administrator, &world.peer.id);
    let body = json!({
        "kind": "therapist_led", "title": "Forming", "public_description": "Soon.", "format": "online",
        "language": "en", "zone": "UTC", "open_to_joining": true
    });
    let path = format!("/v1/organizations/{}/groups", world.organization);
    let forming = server.post(&world.administrator, &path, &body).made();
    let version = server.version(&world.administrator, &led.path(""));
    // One that is peer-led, one that is full of itself, one that has not opened, one that has closed.
    server.change(&world.administrator, "POST", &led.path("/closing"), &version, &json!({})).expect(200);
    for group in [&world.peer.id, &other.id, &forming, &led.id] {
        let refused = send(server, sender, group, json!({}));
        assert_eq!((refused.status, &refused.text), (422, &nobodys.text), "{group}");
    }
    nobodys.refuses("/to_group");
}

#[test]
fn the_receiver_reads_what_was_shared_and_nothing_else_of_the_sender() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    let sender = &world.peer.member;
    let referral = send(server, &sender.person, &led.id, json!({"reason": "My sleep."})).made();
    let list = server.get(&led.lead, &led.path("/referrals"));
    let one = server.get(&led.co_lead, &led.path(&format!("/referrals/{referral}")));
    assert_eq!(one.json()["shared"], json!({"name": null, "contact": null, "reason": "My sleep."}));
    let declined = answer(server, &led.lead, led, &referral, &json!({"accept": false, "message": "We are full."}));
    for read in [&list, &one, &declined] {
        assert_eq!(read.status, 200, "{}", read.text);
        let person = &sender.person;
        for secret in [&person.id.to_string(), &person.name, &person.sign_in_name, &sender.id, &world.peer.id] {
            assert!(!read.text.contains(secret), "{secret} in {}", read.text);
        }
    }
    assert!(!list.text.contains("My sleep"), "{}", list.text);
    let kept = own(server, &sender.person, &referral).expect(200);
    assert_eq!(
        (&kept["state"], &kept["message"], &kept["code"]),
        (&json!("declined"), &json!("We are full."), &Value::Null)
    );
    // The log of the asked group holds that it was read, never by whom it was sent.
    let path = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let log = server.get(&world.privacy_officer, &path).expect(200);
    let about = log["items"].as_array().expect("entries").iter().filter(|entry| entry["record"] == referral);
    let about: Vec<&Value> = about.collect();
    assert_eq!(about.len(), 2, "{about:?}");
    assert!(about.iter().all(|entry| entry["account"] != sender.person.id.to_string()), "{about:?}");
}

#[test]
fn only_the_sender_reads_the_code_and_joins_with_it() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    let sender = &world.outsider;
    let referral = send(server, sender, &led.id, json!({})).made();
    answer(server, &led.lead, led, &referral, &json!({"accept": true})).refuses("/name");
    let accept = json!({"accept": true, "message": "Welcome.", "name": "Ari"});
    let accepted = answer(server, &led.lead, led, &referral, &accept);
    assert_eq!(accepted.json()["state"], "accepted", "{}", accepted.text);
    answer(server, &led.lead, led, &referral, &json!({"accept": false})).expect(409);
    let kept = own(server, sender, &referral).expect(200);
    let code = text(&kept["code"]);
    let reads = [accepted, server.get(&led.lead, &led.path(&format!("/referrals/{referral}")))];
    assert!(reads.iter().all(|read| read.status == 200 && !read.text.contains(&code)), "{reads:?}");
    // Whoever leads the group cannot become its member with the code of another.
    server.post(&led.co_lead, "/v1/account/standings", &json!({"code": code})).expect(409);
    world::accept(server, sender, &code);
    let members = server.get(&led.lead, &led.path("/members?state=invited")).expect(200);
    let joined = &members["items"][0];
    assert_eq!((&joined["name"], &joined["has_account"]), (&json!("Ari"), &json!(true)));
    // Nothing of the group is theirs before they are active, as for everybody who is invited.
    server.get(sender, &led.path("")).expect(404);
    world::move_to(server, &led.lead, &led.id, &text(&joined["id"]), "active");
    server.get(sender, &led.path("")).expect(200);
    assert_eq!(send(server, sender, &led.id, json!({})).status, 409);
}

#[test]
fn withdrawing_ends_a_newer_code_too_and_no_membership_that_somebody_has() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    let accept = json!({"accept": true});
    let invited = |sender: &Person| {
        let referral = send(server, sender, &led.id, full_share()).made();
        answer(server, &led.lead, led, &referral, &accept).expect(200);
        let waiting = server.get(&led.lead, &led.path("/members?state=invited")).expect(200);
        let waiting = waiting["items"].as_array().expect("a list").iter().find(|member| member["has_account"] == false);
        (referral, text(&waiting.expect("a membership")["id"]))
    };
    let (referral, member) = invited(&world.outsider);
    let renewed = server.post(&led.lead, &led.path(&format!("/members/{member}/codes")), &json!({})).expect(201);
    withdraw(server, &world.outsider, &referral).expect(204);
    server.post(&world.outsider, "/v1/account/standings", &json!({"code": renewed["code"]})).refuses("/code");
    let intervals = server.get(&led.lead, &led.path(&format!("/members/{member}")));
    assert!(!intervals.text.contains(&world.outsider.id.to_string()), "{}", intervals.text);
    assert_eq!(intervals.expect(200)["state"], "left");
    // Whoever has joined stays a member; what they shared is gone all the same.
    let sender = &world.peer.member.person;
    let (referral, member) = invited(sender);
    world::accept(server, sender, &text(&own(server, sender, &referral).expect(200)["code"]));
    world::move_to(server, &led.lead, &led.id, &member, "active");
    withdraw(server, sender, &referral).expect(204);
    server.get(sender, &led.path("")).expect(200);
    server.get(&led.lead, &led.path(&format!("/referrals/{referral}"))).expect(404);
}

#[test]
fn a_full_group_takes_nobody_in_through_a_referral() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    change_group(server, &world.administrator, &led.id, &json!({"capacity": 2}));
    let referral = send(server, &world.outsider, &led.id, json!({"name": "Ari"})).made();
    answer(server, &led.lead, led, &referral, &json!({"accept": true})).expect(200);
    world::accept(server, &world.outsider, &text(&own(server, &world.outsider, &referral).expect(200)["code"]));
    let members = server.get(&led.lead, &led.path("/members?state=invited")).expect(200);
    let path = led.path(&format!("/members/{}", text(&members["items"][0]["id"])));
    let version = server.version(&led.lead, &path);
    server.change(&led.lead, "POST", &format!("{path}/moves"), &version, &json!({"state": "active"})).expect(409);
}

#[test]
fn one_account_asks_a_group_once_and_five_groups_at_once() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    let sender = &world.outsider;
    let first: Vec<u16> = std::thread::scope(|scope| {
        let sends: Vec<_> = (0..6).map(|_| scope.spawn(|| send(server, sender, &led.id, json!({})).status)).collect();
        sends.into_iter().map(|send| send.join().expect("an answer")).collect()
    });
    assert_eq!(first.iter().filter(|status| **status == 201).count(), 1, "{first:?}");
    assert!(first.iter().all(|status| matches!(status, 201 | 409)), "{first:?}");
    let path = format!("/v1/organizations/{}/groups", world.organization);
    let body = json!({
        "kind": "therapist_led", "title": "Another", "public_description": "Evenings.", "format": "online",
        "language": "en", "zone": "UTC", "open_to_joining": true
    });
    let groups: Vec<String> = (0..5)
        .map(|_| {
            let group = server.post(&world.administrator, &path, &body).made();
            let lead = world::lead(server, &world.administrator, world.organization, &group, "therapist", "Lee");
            assert_ne!(lead.id, sender.id);
            let path = format!("/v1/groups/{group}");
            let version = server.version(&world.administrator, &path);
            server.change(&world.administrator, "POST", &format!("{path}/opening"), &version, &json!({})).expect(200);
            group
        })
        .collect();
    let sent: Vec<Answer> = groups.iter().map(|group| send(server, sender, group, json!({}))).collect();
    let statuses: Vec<u16> = sent.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [201, 201, 201, 201, 409]);
    withdraw(server, sender, &text(&sent[0].json()["id"])).expect(204);
    send(server, sender, &groups[4], json!({})).expect(201);
    // What was withdrawn can be asked again, once there is room.
    send(server, sender, &groups[0], json!({})).expect(409);
}

#[test]
fn the_same_referral_sent_again_is_one_referral() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    let body = json!({"to_group": led.id, "share": full_share()});
    let send = || {
        let request = server.request("POST", "/v1/account/referrals").token(&world.outsider.token);
        request.key("referral-0001").json(&body).send()
    };
    let (first, again) = (send(), send());
    assert_eq!(first.text, again.text);
    // What is kept for the retry holds nothing of what was shared.
    assert!(!first.text.contains("ari@example.org"), "{}", first.text);
    assert_eq!(
        first.header("location").as_deref(),
        Some(&*format!("/v1/account/referrals/{}", text(&first.json()["id"])))
    );
    let listed = server.get(&world.outsider, "/v1/account/referrals").expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn nobody_else_reads_answers_or_withdraws_a_referral() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    let sender = &world.peer.member.person;
    let referral = send(server, sender, &led.id, full_share()).made();
    let steward = world.peer.steward.as_ref().expect("a steward");
    for stranger in [&world.outsider, &world.peer.lead, steward, &led.lead, &world.administrator] {
        let (theirs, nobodys) = (own(server, stranger, &referral), own(server, stranger, &Id::random().to_string()));
        assert_eq!((theirs.status, &theirs.text), (404, &nobodys.text), "{}", stranger.name);
        withdraw(server, stranger, &referral).expect(404);
        assert_eq!(server.get(stranger, "/v1/account/referrals").expect(200)["items"], json!([]));
    }
    let path = led.path(&format!("/referrals/{referral}"));
    let trainee = led.trainee.as_ref().expect("a trainee");
    for (who, status) in [
        (trainee, 403),
        (&led.member.person, 403),
        (&world.administrator, 403),
        (&world.privacy_officer, 403),
        (&led.former_lead, 404),
        (&world.other.lead, 404),
        (&world.peer.lead, 404),
        (sender, 404),
    ] {
        server.get(who, &path).expect(status);
        answer(server, who, led, &referral, &json!({"accept": false})).expect(status);
    }
    // Through another group of the organization it is not there.
    server.get(&world.other.lead, &world.other.path(&format!("/referrals/{referral}"))).expect(404);
    assert_eq!(own(server, sender, &referral).expect(200)["state"], "sent");
    // A link that only reads withdraws nothing.
    server.get(sender, &format!("/v1/account/referrals/{referral}/withdrawal")).expect(405);
}

#[test]
fn what_does_not_fit_in_a_referral_is_refused() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    let post = |body: &Value| server.post(&world.outsider, "/v1/account/referrals", body);
    post(&json!({})).refuses("/to_group");
    post(&json!({"to_group": "no-id"})).refuses("/to_group");
    post(&json!({"to_group": led.id, "share": {"from_group": world.peer.id}})).refuses("/share/from_group");
    post(&json!({"to_group": led.id, "share": {"contact": "x".repeat(201)}})).refuses("/share/contact");
    post(&json!({"to_group": led.id, "share": {"reason": ""}})).refuses("/share/reason");
    post(&json!({"to_group": led.id, "share": {"name": "\u{202e}gnat"}})).refuses("/share/name");
    let referral = send(server, &world.outsider, &led.id, json!({})).made();
    answer(server, &led.lead, led, &referral, &json!({})).refuses("/accept");
    answer(server, &led.lead, led, &referral, &json!({"accept": true, "name": ""})).refuses("/name");
    // Who leads or belongs there asks otherwise.
    for who in [&led.lead, &led.member.person, &led.former_member.person] {
        send(server, who, &led.id, json!({})).expect(409);
    }
}

fn listings(server: &Server, query: &str) -> Vec<Value> {
    let listed = server.request("GET", &format!("/v1/listings{query}")).send().expect(200);
    listed["items"].as_array().expect("a list").clone()
}

#[test]
fn a_group_that_is_not_open_to_joining_is_not_listed() {
    let world = World::new();
    let (server, administrator) = (&world.server, &world.administrator);
    assert!(listings(server, "").is_empty());
    open_to_joining(server, administrator, &world.led.id);
    open_to_joining(server, administrator, &world.peer.id);
    let listed: Vec<String> = listings(server, "").iter().map(|group| text(&group["id"])).collect();
    assert_eq!(listed, [world.led.id.clone(), world.peer.id.clone()]);
    let version = server.version(administrator, &world.led.path(""));
    server.change(administrator, "POST", &world.led.path("/closing"), &version, &json!({})).expect(200);
    change_group(server, administrator, &world.peer.id, &json!({"open_to_joining": false}));
    assert!(listings(server, "").is_empty());
}

#[test]
fn a_listing_says_what_one_asks_before_joining_and_names_nobody() {
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    let changed = json!({
        "open_to_joining": true, "conditions": ["Depression", "chronic pain"], "approaches": ["cbt"], "capacity": 12,
        "place": "Room 4", "language": "en-GB", "zone": "America/Chicago",
        "fee": {"minor": 3500, "currency": "USD", "period": "session"}, "insurance": "out_of_network"
    });
    change_group(server, &world.administrator, &led.id, &changed);
    let online = json!({"open_to_joining": true, "format": "online", "place": "https://meet.example/secret-room"});
    change_group(server, &world.administrator, &peer.id, &online);
    for number in 1..=2 {
        let rules = json!({
            "purpose": "ground_rules", "title": format!("Our rules {number}"), "text": "What is said here stays here."
        });
        server.post(&peer.lead, &peer.path("/agreements"), &rules).made();
    }
    let soon = server.db.clock.now().plus_days(2);
    let later = text(&plan_at(server, &peer.lead, &peer.id, soon.plus_days(7), 90)["id"]);
    let next = plan_at(server, &peer.lead, &peer.id, soon, 60);
    let answer = server.request("GET", "/v1/listings").send();
    let body = answer.text.clone();
    assert!(body.starts_with("{\"crisis_directory\":{\"id\":\"international-directory\""), "{body}");
    let listed = answer.expect(200);
    let (of_led, of_peer) = (&listed["items"][0], &listed["items"][1]);
    assert_eq!(of_led["conditions"], json!(["Depression", "chronic pain"]));
    assert_eq!(of_led["fee"], json!({"minor": 3500, "currency": "USD", "period": "session"}));
    assert_eq!((&of_led["insurance"], &of_led["place"]), (&json!("out_of_network"), &json!("Room 4")));
    assert_eq!(of_led["recording_policy"], "forbidden");
    let consent = &of_led["privacy"]["agreements"][0];
    assert_eq!(
        (&consent["purpose"], &consent["title"], &consent["number"]),
        (&json!("consent"), &json!("Consent"), &json!(1))
    );
    assert_eq!(text(&consent["published_on"]).len(), 10);
    assert_eq!(of_led["privacy"]["breach_policy"], Value::Null);
    assert_eq!((&of_peer["fee"], &of_peer["insurance"], &of_peer["place"]), (&Value::Null, &Value::Null, &Value::Null));
    let rules = of_peer["privacy"]["agreements"].as_array().expect("agreements");
    assert_eq!((rules.len(), &rules[0]["title"], &rules[0]["number"]), (1, &json!("Our rules 2"), &json!(2)));
    assert_eq!(of_peer["privacy"]["breach_policy"], "graduated");
    assert_eq!(of_peer["next_session"]["starts_at"], next["starts_at"]);
    assert_eq!((&of_peer["next_session"]["minutes"], &of_led["next_session"]), (&json!(60), &Value::Null));
    let mut secrets = vec!["secret-room".to_owned(), "workbook".into(), "stays here".into(), "capacity".into(), later];
    for group in [led, peer] {
        for person in [&group.lead, &group.co_lead, &group.member.person, &group.second_member.person] {
            secrets.extend([person.name.clone(), person.id.to_string()]);
        }
        secrets.push(group.member.id.clone());
    }
    secrets.push(world.organization.to_string());
    for secret in secrets {
        assert!(!body.contains(&secret), "{secret} in {body}");
    }
    let found = |query: &str| listings(server, query).iter().map(|group| text(&group["id"])).collect::<Vec<_>>();
    let (of_led, of_peer) = (vec![led.id.clone()], vec![peer.id.clone()]);
    assert_eq!(found("?kind=therapist_led"), of_led);
    assert_eq!(found("?condition=DEPRESSION"), of_led);
    assert_eq!(found("?condition=chronic%20pain&language=en-gb"), of_led);
    assert_eq!(found("?condition=depress"), Vec::<String>::new());
    assert_eq!(found("?language=en"), [of_led.clone(), of_peer.clone()].concat());
    assert_eq!(found("?language=e"), Vec::<String>::new());
    assert_eq!(found("?format=online"), of_peer);
    assert_eq!(found("?language=%C3%A9%C3%A9"), Vec::<String>::new());
    server.request("GET", "/v1/listings?kind=any").send().expect(400);
}

#[test]
fn the_listing_is_read_page_by_page() {
    let world = World::new();
    let server = &world.server;
    for group in [&world.led.id, &world.peer.id, &world.other.id] {
        open_to_joining(server, &world.administrator, group);
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=1".to_owned());
    loop {
        let page = server.request("GET", &format!("/v1/listings{query}")).send().expect(200);
        assert_eq!(page["crisis_directory"]["id"], "international-directory");
        seen.extend(page["items"].as_array().expect("a list").iter().map(|group| text(&group["id"])));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=1&cursor={next}");
    }
    assert_eq!(seen, [world.led.id.clone(), world.peer.id.clone(), world.other.id.clone()]);
}

#[test]
fn a_referral_that_was_moved_to_another_row_does_not_open() {
    let world = asked_world();
    let (server, led) = (&world.server, &world.led);
    let (one, two) = (&world.outsider, &world.peer.member.person);
    let first = send(server, one, &led.id, json!({"reason": "First."})).made();
    let second = send(server, two, &led.id, json!({"reason": "Second."})).made();
    let literal = |id: &str| crate::access_log::literal(&server.location, id);
    tamper(
        &server.location,
        &format!(
            "UPDATE referrals SET shared = (SELECT shared FROM referrals WHERE id = {}) WHERE id = {}",
            literal(&first),
            literal(&second)
        ),
    );
    assert_eq!(server.get(&led.lead, &led.path(&format!("/referrals/{second}"))).status, 500);
    server.get(&led.lead, &led.path(&format!("/referrals/{first}"))).expect(200);
}
