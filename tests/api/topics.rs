//! Topics and tips over HTTP: nobody is named who does not want to be, and only one's own is taken back.

use std::collections::BTreeSet;

use circlekeeper::values::Id;
use diesel::{Connection, QueryableByName, RunQueryDsl, sql_query, sql_types::Integer, sqlite::SqliteConnection};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    leaving::found,
    scene::{Peers, Records, Scene, plan_at, text},
    world::{self, Group, World},
};

/// Records of this subject for the access matrix.
pub fn add_records(peers: &Peers, records: &mut Records) {
    let (server, group) = (&peers.world.server, &peers.world.peer);
    for (person, _) in &peers.members {
        records.add("topic", &propose(server, person, group, "A quiet evening"), Some(person.id), None);
        let tip = json!({"text": "A walk before the first coffee."});
        records.add("tip", &server.post(person, &group.path("/tips"), &tip).made(), Some(person.id), None);
    }
}

fn propose(server: &Server, who: &Person, group: &Group, text: &str) -> String {
    server.post(who, &group.path("/topics"), &json!({"text": text})).made()
}

fn support(server: &Server, who: &Person, group: &Group, topic: &str, method: &str) -> Answer {
    server.request(method, &group.path(&format!("/topics/{topic}/support"))).token(&who.token).send()
}

fn topics(server: &Server, who: &Person, group: &Group, query: &str) -> Vec<Value> {
    let listed = server.get(who, &group.path(&format!("/topics{query}"))).expect(200);
    listed["items"].as_array().expect("a list").clone()
}

fn tips(server: &Server, who: &Person, group: &Group) -> Vec<Value> {
    server.get(who, &group.path("/tips")).expect(200)["items"].as_array().expect("a list").clone()
}

fn choose(server: &Server, who: &Person, group: &Group, topic: &str, session: &Value) -> Answer {
    server.post(who, &group.path(&format!("/topics/{topic}/choice")), &json!({"session": session}))
}

fn withdraw(server: &Server, who: &Person, group: &Group, what: &str) -> Answer {
    server.request("POST", &group.path(&format!("/{what}/withdrawal"))).token(&who.token).send()
}

/// A session a few days ahead.
fn coming(world: &World) -> String {
    let at = world.server.db.clock.now().plus_days(3);
    text(&plan_at(&world.server, &world.peer.lead, &world.peer.id, at, 60)["id"])
}

fn state_of(world: &World, topic: &str) -> (String, Value) {
    let states = ["proposed", "chosen", "talked_about", "withdrawn"];
    let all = states
        .iter()
        .flat_map(|state| topics(&world.server, &world.peer.lead, &world.peer, &format!("?state={state}")));
    let found = all.into_iter().find(|listed| listed["id"] == topic).expect("the topic");
    (text(&found["state"]), found["session"].clone())
}

#[test]
fn nobody_can_tell_who_proposed_or_supports_a_topic() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (one, two) = (&peer.member, &peer.second_member);
    let topic = propose(server, &one.person, peer, "Getting through the dark months");
    for member in [one, two] {
        support(server, &member.person, peer, &topic, "PUT").expect(204);
    }
    let readers = [&peer.lead, &peer.co_lead, peer.steward.as_ref().expect("a steward"), &one.person, &two.person];
    for reader in readers {
        let listed = server.get(reader, &peer.path("/topics"));
        for member in [one, two] {
            for secret in [&member.id, &member.person.name, &member.person.id.to_string()] {
                assert!(!listed.text.contains(secret), "{} reads {secret}: {}", reader.name, listed.text);
            }
        }
        let item = &listed.expect(200)["items"][0];
        let is_member = reader.id == one.person.id || reader.id == two.person.id;
        let expected = json!({
            "id": topic, "text": "Getting through the dark months", "state": "proposed", "session": null,
            "supporters": 2, "is_supported": is_member, "is_own": reader.id == one.person.id
        });
        assert_eq!(item, &expected, "{}", reader.name);
    }
    // Nor does the access log say so to whoever watches over it.
    let path = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let log = server.get(&world.privacy_officer, &path).expect(200);
    let of_topics = log["items"].as_array().expect("entries").iter().filter(|entry| {
        entry["action"].as_str().is_some_and(|action| action.ends_with("Topic") || action.ends_with("Topics"))
    });
    assert_eq!(of_topics.count(), 0, "{log}");
}

#[test]
fn nothing_kept_of_a_topic_or_tip_joins_it_to_a_member() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let Some(file) = server.location.file() else { return };
    let topic = propose(server, &peer.member.person, peer, "Unmistakable subject");
    support(server, &peer.member.person, peer, &topic, "PUT").expect(204);
    server.post(&peer.member.person, &peer.path("/tips"), &json!({"text": "Unmistakable subject"})).made();
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = Integer)]
        number: i32,
    }
    let mut connection = SqliteConnection::establish(file).expect("the database opens");
    let mut count = |sql: &str| sql_query(sql).get_result::<Count>(&mut connection).expect("a count").number;
    let ids =
        format!("x'{}', x'{}'", peer.member.id.replace('-', ""), peer.member.person.id.to_string().replace('-', ""));
    for (table, owner) in [("topics", "owner"), ("topic_supports", "owner"), ("tips", "owner"), ("tips", "member_id")] {
        let sql = format!("SELECT count(*) AS number FROM {table} WHERE {owner} IN ({ids})");
        assert_eq!(count(&sql), 0, "{table}.{owner}");
    }
    // One member's marks in two tables are not the same.
    let sql = "SELECT count(DISTINCT owner) AS number FROM \
               (SELECT owner FROM topics UNION ALL SELECT owner FROM topic_supports UNION ALL SELECT owner FROM tips)";
    assert_eq!(count(sql), 3);
    let sql = "SELECT count(*) AS number FROM topics WHERE instr(CAST(text AS TEXT), 'Unmistakable') > 0";
    assert_eq!(count(sql), 0);
}

#[test]
fn support_sent_twice_or_at_once_counts_once() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let topic = propose(server, &peer.member.person, peer, "Sleep");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| support(server, &peer.member.person, peer, &topic, "PUT").expect(204));
        }
    });
    assert_eq!(topics(server, &peer.lead, peer, "")[0]["supporters"], 1);
    for _ in 0..2 {
        support(server, &peer.member.person, peer, &topic, "DELETE").expect(204);
    }
    let listed = &topics(server, &peer.member.person, peer, "")[0];
    assert_eq!((&listed["supporters"], &listed["is_supported"]), (&json!(0), &json!(false)));
}

#[test]
fn the_most_supported_come_first_and_no_page_repeats_or_leaves_out() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let old = propose(server, &peer.member.person, peer, "Old");
    server.travel_days(1);
    let ids: Vec<String> =
        (0..4).map(|number| propose(server, &peer.member.person, peer, &format!("Topic {number}"))).collect();
    support(server, &peer.member.person, peer, &ids[2], "PUT").expect(204);
    support(server, &peer.second_member.person, peer, &ids[2], "PUT").expect(204);
    support(server, &peer.member.person, peer, &ids[3], "PUT").expect(204);
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = server.get(&peer.second_member.person, &peer.path(&format!("/topics{query}"))).expect(200);
        seen.extend(page["items"].as_array().expect("a list").iter().map(|item| text(&item["id"])));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(&seen[..3], [ids[2].clone(), ids[3].clone(), old]);
    let all: BTreeSet<&String> = seen.iter().collect();
    assert_eq!((seen.len(), all.len()), (5, 5));
}

#[test]
fn a_member_cannot_withdraw_another_members_topic() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let topic = propose(server, &peer.member.person, peer, "Sleep");
    let theirs = withdraw(server, &peer.second_member.person, peer, &format!("topics/{topic}"));
    let nobodys = withdraw(server, &peer.second_member.person, peer, &format!("topics/{}", Id::random()));
    assert_eq!((theirs.status, &theirs.text), (404, &nobodys.text));
    assert_eq!(topics(server, &peer.lead, peer, "").len(), 1);
    for _ in 0..2 {
        withdraw(server, &peer.member.person, peer, &format!("topics/{topic}")).expect(204);
    }
    for state in ["proposed", "chosen", "talked_about", "withdrawn"] {
        assert!(topics(server, &peer.member.person, peer, &format!("?state={state}")).is_empty(), "{state}");
    }
    support(server, &peer.member.person, peer, &topic, "PUT").expect(404);
    choose(server, &peer.lead, peer, &topic, &json!(coming(&world))).expect(404);
    // Whoever has left still takes back what is theirs.
    let topic = propose(server, &peer.second_member.person, peer, "Rain");
    world::leave(server, &peer.second_member, &peer.id);
    withdraw(server, &peer.second_member.person, peer, &format!("topics/{topic}")).expect(204);
}

#[test]
fn a_facilitator_withdraws_any_topic_and_the_log_keeps_it() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let topic = propose(server, &peer.member.person, peer, "About somebody");
    withdraw(server, &peer.lead, peer, &format!("topics/{topic}")).expect(204);
    assert!(topics(server, &peer.member.person, peer, "").is_empty());
    let path = format!("/v1/organizations/{}/access-log?limit=50", world.organization);
    let log = server.get(&world.privacy_officer, &path).expect(200);
    let entry = log["items"].as_array().expect("entries").iter().find(|entry| entry["action"] == "WithdrawTopic");
    let entry = entry.expect("an entry");
    assert_eq!((&entry["record"], &entry["member"]), (&json!(topic), &Value::Null));
    assert!(!log.to_string().contains("About somebody"));
}

#[test]
fn a_topic_is_not_chosen_for_a_session_that_is_over_or_elsewhere() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let topic = propose(server, &peer.member.person, peer, "Sleep");
    let session = coming(&world);
    let elsewhere = text(&world.session()["id"]);
    for foreign in [elsewhere, Id::random().to_string()] {
        choose(server, &peer.lead, peer, &topic, &json!(foreign)).refuses("/session");
    }
    choose(server, &peer.member.person, peer, &topic, &json!(session)).expect(403);
    let chosen = choose(server, &peer.lead, peer, &topic, &json!(session)).expect(200);
    assert_eq!((&chosen["state"], &chosen["session"]), (&json!("chosen"), &json!(session)));
    let waiting = choose(server, &peer.lead, peer, &topic, &Value::Null).expect(200);
    assert_eq!((&waiting["state"], &waiting["session"]), (&json!("proposed"), &Value::Null));
    // A cancelled session gives its topics back.
    choose(server, &peer.lead, peer, &topic, &json!(session)).expect(200);
    let path = peer.path(&format!("/sessions/{session}"));
    let version = server.version(&peer.lead, &path);
    let reason = json!({"reason": "The room is flooded."});
    server.change(&peer.lead, "POST", &format!("{path}/cancellation"), &version, &reason).expect(200);
    assert_eq!(state_of(&world, &topic), ("proposed".into(), Value::Null));
    choose(server, &peer.lead, peer, &topic, &json!(session)).refuses("/session");
    // A session that was held has talked about its topics.
    let at = server.db.clock.now().plus_minutes(-60);
    let session = text(&plan_at(server, &peer.lead, &peer.id, at, 60)["id"]);
    choose(server, &peer.lead, peer, &topic, &json!(session)).expect(200);
    let path = peer.path(&format!("/sessions/{session}"));
    let version = server.version(&peer.lead, &path);
    server.change(&peer.lead, "POST", &format!("{path}/holding"), &version, &json!({})).expect(200);
    assert_eq!(state_of(&world, &topic), ("talked_about".into(), json!(session)));
    choose(server, &peer.lead, peer, &topic, &Value::Null).expect(409);
    support(server, &peer.member.person, peer, &topic, "PUT").expect(409);
    let other = propose(server, &peer.member.person, peer, "Rain");
    choose(server, &peer.lead, peer, &other, &json!(session)).refuses("/session");
}

#[test]
fn whoever_leads_one_session_chooses_nothing_for_the_group() {
    let scene = Scene::new();
    let (server, peer) = (&scene.world.server, &scene.world.peer);
    let topic = &scene.peer.all("topic")[0].id;
    let today = &scene.session_facilitators[0];
    choose(server, today, peer, topic, &Value::Null).expect(403);
    server.get(today, &peer.path("/topics")).expect(200);
    server.post(today, &peer.path("/topics"), &json!({"text": "Mine"})).expect(403);
}

#[test]
fn whoever_does_not_belong_proposes_and_reads_nothing() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let body = json!({"text": "Sleep"});
    for (list, who, status) in [
        ("/topics", &world.outsider, 404),
        ("/tips", &world.outsider, 404),
        ("/topics", &peer.former_member.person, 403),
        ("/tips", &peer.former_member.person, 403),
        ("/topics", &world.administrator, 403),
        ("/tips", &world.privacy_officer, 403),
        ("/topics", &peer.former_lead, 404),
    ] {
        server.get(who, &peer.path(list)).expect(status);
        server.post(who, &peer.path(list), &body).expect(status);
    }
    // Facilitators read; what they would talk about themselves, they bring as members.
    server.post(&peer.lead, &peer.path("/topics"), &body).expect(403);
    server.get(&peer.lead, &peer.path("/topics")).expect(200);
    server.post(&world.led.member.person, &world.led.path("/topics"), &body).expect(403);
}

#[test]
fn what_does_not_fit_is_refused_and_nobody_fills_the_list_alone() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let who = &peer.member.person;
    let path = peer.path("/topics");
    for bad in ["", "   ", "two\nlines", &"x".repeat(201)] {
        server.post(who, &path, &json!({"text": bad})).refuses("/text");
    }
    server.post(who, &path, &json!({"text": "Sleep", "said_by": "Noor"})).refuses("/said_by");
    server.post(who, &path, &json!({})).refuses("/text");
    propose(server, who, peer, "Sleep");
    for number in 1..20 {
        propose(server, who, peer, &format!("Topic {number}"));
    }
    server.post(who, &path, &json!({"text": "One more"})).expect(409);
    propose(server, &peer.second_member.person, peer, "Another member's");
}

#[test]
fn no_answer_is_kept_that_joins_an_author_and_the_hour_of_a_text() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    for (list, key) in [("/topics", "topic-0001"), ("/tips", "tip-000001")] {
        let request = server.request("POST", &peer.path(list)).token(&peer.member.person.token).key(key);
        request.json(&json!({"text": "Sleep"})).send().expect(201);
    }
    let kept = found(&server.location, "SELECT key AS line FROM idempotent_answers");
    assert_eq!(kept, Vec::<String>::new());
}

#[test]
fn a_tip_shows_no_name_unless_its_author_wants_it() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (one, two) = (&peer.member, &peer.second_member);
    let give = |who: &Person, body: &Value| server.post(who, &peer.path("/tips"), body).expect(201);
    let quiet = give(&one.person, &json!({"text": "Cold water."}));
    assert_eq!((&quiet["by"], &quiet["is_own"]), (&Value::Null, &json!(true)));
    let named = give(&two.person, &json!({"text": "A diary.", "show_my_name": true}));
    assert_eq!(named["by"], two.person.name);
    for reader in [&one.person, &peer.lead] {
        let listed = server.get(reader, &peer.path("/tips"));
        for secret in [&one.id, &two.id, &one.person.name, &two.person.id.to_string(), &one.person.id.to_string()] {
            assert!(!listed.text.contains(secret), "{}", listed.text);
        }
        let listed = listed.expect(200);
        let of = |id: &Value| listed["items"].as_array().unwrap().iter().find(|tip| tip["id"] == *id).unwrap().clone();
        assert_eq!((&of(&quiet["id"])["by"], &of(&named["id"])["by"]), (&Value::Null, &json!(two.person.name)));
        assert_eq!(of(&quiet["id"])["is_own"], reader.id == one.person.id);
        let keys: BTreeSet<String> = of(&quiet["id"]).as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["by", "given_on", "id", "is_own", "link", "text"].map(str::to_owned).into());
        assert_eq!(text(&of(&quiet["id"])["given_on"]).len(), 10, "a day, and no hour");
    }
    // Whoever has left is named no more.
    world::leave(server, two, &peer.id);
    assert!(tips(server, &one.person, peer).iter().all(|tip| tip["by"].is_null()));
}

#[test]
fn a_link_that_is_no_https_page_is_refused() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let give = |link: &str| {
        server.post(&peer.member.person, &peer.path("/tips"), &json!({"text": "Read this.", "link": link}))
    };
    for bad in [
        "http://example.org",
        "javascript:alert(1)",
        "data:text/html,<script>",
        "https://",
        "https:///path",
        "https://user:secret@example.org/",
        "https://user@example.org/",
        "https://example.org\\@evil.example",
        "example.org",
        "/relative",
        "https://exa mple.org",
        "https://example.org/\nSet-Cookie: a=b",
        "ftp://example.org",
        "https://..",
        "",
    ] {
        give(bad).refuses("/link");
    }
    for good in
        ["https://example.org", "https://example.org:8443/a/b?c=d#e", "HTTPS://EXAMPLE.ORG/", "https://[2001:db8::1]/"]
    {
        assert_eq!(give(good).expect(201)["link"], good);
    }
}

#[test]
fn markup_in_a_tip_stays_text_in_json() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let markup = "<script>alert(1)</script> [x](javascript:alert(1)) {{7*7}}";
    server.post(&peer.member.person, &peer.path("/tips"), &json!({"text": markup})).expect(201);
    let listed = server.get(&peer.second_member.person, &peer.path("/tips"));
    assert_eq!(listed.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(listed.header("x-content-type-options").as_deref(), Some("nosniff"));
    assert_eq!(listed.expect(200)["items"][0]["text"], markup);
}

#[test]
fn a_member_cannot_withdraw_another_members_tip() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let body = json!({"text": "A diary.", "show_my_name": true, "link": "https://example.org"});
    let tip = server.post(&peer.member.person, &peer.path("/tips"), &body).made();
    let theirs = withdraw(server, &peer.second_member.person, peer, &format!("tips/{tip}"));
    let nobodys = withdraw(server, &peer.second_member.person, peer, &format!("tips/{}", Id::random()));
    assert_eq!((theirs.status, &theirs.text), (404, &nobodys.text));
    assert_eq!(tips(server, &peer.lead, peer).len(), 1);
    for _ in 0..2 {
        withdraw(server, &peer.member.person, peer, &format!("tips/{tip}")).expect(204);
    }
    assert!(tips(server, &peer.member.person, peer).is_empty());
    let tip = server.post(&peer.member.person, &peer.path("/tips"), &body).made();
    withdraw(server, peer.steward.as_ref().expect("a steward"), peer, &format!("tips/{tip}")).expect(204);
    assert!(tips(server, &peer.member.person, peer).is_empty());
}

#[test]
fn the_newest_tips_come_first_and_nobody_loses_one_between_pages() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let give = |text: &str| server.post(&peer.member.person, &peer.path("/tips"), &json!({"text": text})).made();
    let old = give("Old");
    server.travel_days(1);
    let new: BTreeSet<String> = (0..4).map(|number| give(&format!("Tip {number}"))).collect();
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = server.get(&peer.second_member.person, &peer.path(&format!("/tips{query}"))).expect(200);
        seen.extend(page["items"].as_array().expect("a list").iter().map(|item| text(&item["id"])));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!((seen.pop(), seen.into_iter().collect::<BTreeSet<_>>()), (Some(old), new));
}
