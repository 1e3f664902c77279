//! The access log: what is written and when, who reads it, and that no change to it goes unseen.

use circlekeeper::{
    config::ServerConfig,
    store::{
        access_log::{Verdict, verify_at},
        connection::Location,
    },
    values::Id,
};
use diesel::{Connection as _, connection::SimpleConnection};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    harness::{Person, Server, fresh_database, masters},
    world::{World, accept, move_to},
};

/// SQL past the store, as somebody with the database's file or password would run it.
pub fn tamper(location: &Location, sql: &str) {
    let url = location.url.expose_secret();
    #[cfg(feature = "postgres")]
    if location.is_postgres() {
        let mut connection = diesel::PgConnection::establish(url).expect("the database opens");
        connection.batch_execute(sql).expect("the statement runs");
        return;
    }
    let mut connection =
        diesel::SqliteConnection::establish(url.trim_start_matches("sqlite:")).expect("the database opens");
    connection.batch_execute("PRAGMA busy_timeout = 10000").expect("a setting");
    connection.batch_execute(sql).expect("the statement runs");
}

/// An id as both databases read it in SQL.
pub fn literal(location: &Location, id: &str) -> String {
    match location.file() {
        Some(_) => format!("x'{}'", id.replace('-', "")),
        None => format!("'{id}'"),
    }
}

/// What the privacy officer reads, newest first.
fn log(world: &World) -> Vec<Value> {
    let mut entries = Vec::new();
    let mut query = String::new();
    loop {
        let path = format!("/v1/organizations/{}/access-log?limit=200{query}", world.organization);
        let page = world.server.get(&world.privacy_officer, &path).expect(200);
        entries.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("&cursor={next}");
    }
    entries
}

/// The entries of somebody's one action.
fn of<'a>(log: &'a [Value], who: &Person, action: &str) -> Vec<&'a Value> {
    log.iter().filter(|entry| entry["account"] == who.id.to_string() && entry["action"] == action).collect()
}

fn measure(world: &World) -> String {
    let body = json!({"instrument": "phq-9", "answers": {"phq-9.1": 2, "phq-9.9": 1}});
    world.server.post(&world.led.member.person, &world.led.path("/measures"), &body).made()
}

#[test]
fn every_reading_of_somebody_elses_record_is_there_when_the_answer_is() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let id = measure(&world);
    server.get(&led.lead, &led.path(&format!("/measures/{id}"))).expect(200);
    let after_one = log(&world);
    let read = of(&after_one, &led.lead, "ReadMeasures");
    assert_eq!(read.len(), 1);
    assert_eq!(
        (&read[0]["member"], &read[0]["record"], &read[0]["allowed"], &read[0]["standing"]),
        (&json!(led.member.id), &json!(id), &json!(true), &json!("therapist"))
    );
    assert_eq!(read[0]["group"], led.id);
    for (path, action) in [
        ("/measures".to_owned(), "ReadMeasures"),
        (format!("/members/{}", led.member.id), "ReadMembers"),
        (format!("/members/{}/attendances", led.member.id), "ReadAttendance"),
        (format!("/progress-entries?member={}", led.member.id), "ReadProgressEntries"),
        ("/signatures".to_owned(), "ReadSignatures"),
    ] {
        let before = of(&log(&world), &led.co_lead, action).len();
        server.get(&led.co_lead, &led.path(&path)).expect(200);
        assert_eq!(of(&log(&world), &led.co_lead, action).len(), before + 1, "{path}");
    }
    // Writing, too.
    let body = json!({"member": led.member.id, "occurred_at": server.db.clock.now(), "text": "Slept better."});
    let entry = server.post(&led.lead, &led.path("/progress-entries"), &body).made();
    let written = log(&world);
    assert_eq!(of(&written, &led.lead, "WriteProgressEntry")[0]["record"], entry);
}

#[test]
fn a_read_by_head_is_a_read() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let id = measure(&world);
    let path = led.path(&format!("/measures/{id}"));
    assert_eq!(server.request("HEAD", &path).token(&led.lead.token).send().status, 200);
    assert_eq!(of(&log(&world), &led.lead, "ReadMeasures").len(), 1);
}

#[test]
fn refused_attempts_are_logged_too() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let id = measure(&world);
    let path = led.path(&format!("/measures/{id}"));
    for (who, status, standing) in [
        (&world.outsider, 404, Value::Null),
        (&led.former_lead, 404, Value::Null),
        (&world.administrator, 403, json!("administrator")),
        (&world.other.lead, 404, Value::Null),
        (&led.second_member.person, 404, json!("member")),
        (&led.former_member.person, 404, json!("former_member")),
    ] {
        server.get(who, &path).expect(status);
        let log = log(&world);
        let refused = of(&log, who, "ReadMeasures");
        assert_eq!(refused.len(), 1, "{}", who.name);
        assert_eq!((&refused[0]["allowed"], &refused[0]["standing"]), (&json!(false), &standing), "{}", who.name);
    }
    // Attempts to write, and those that one has no second factor for.
    let body = json!({"member": led.member.id, "occurred_at": server.db.clock.now(), "text": "Not mine to write."});
    server.post(&world.administrator, &led.path("/progress-entries"), &body).expect(403);
    assert_eq!(of(&log(&world), &world.administrator, "WriteProgressEntry")[0]["allowed"], false);
    let organization = format!("/v1/organizations/{}", world.organization);
    let version = server.version(&world.administrator, &organization);
    let body = json!({"name": "Riverside Clinic", "staff_second_factor": true});
    let version = server.change(&world.administrator, "PUT", &organization, &version, &body).etag();
    server.get(&led.lead, &path).expect(401);
    // The officer is staff as well: the log is read in the file.
    assert!(verify_at(&server.location, &masters()).expect("a verdict").faults.is_empty());
    let _ = version;
}

#[test]
fn an_attempt_is_noted_alike_whether_there_is_a_record_or_not() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    server.get(&led.second_member.person, &led.path(&format!("/measures/{}", Id::random()))).expect(404);
    let log = log(&world);
    assert_eq!(of(&log, &led.second_member.person, "ReadMeasures")[0]["allowed"], false);
}

#[test]
fn reading_ones_own_needs_no_entry() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let id = measure(&world);
    let who = &led.member.person;
    for rest in [format!("/measures/{id}"), "/measures".into(), format!("/members/{}", led.member.id)] {
        server.get(who, &led.path(&rest)).expect(200);
    }
    for path in ["/v1/account", "/v1/account/progress", "/v1/account/access-log"] {
        server.get(who, path).expect(200);
    }
    let log = log(&world);
    assert!(["ReadMeasures", "ReadMembers", "RecordMeasure"].iter().all(|action| of(&log, who, action).is_empty()));
}

#[test]
fn members_read_who_saw_theirs_and_nothing_about_others() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (one, other) = (&led.member, &led.second_member);
    let id = measure(&world);
    server.get(&led.lead, &led.path(&format!("/measures/{id}"))).expect(200);
    server.get(&led.co_lead, &led.path(&format!("/members/{}/attendances", other.id))).expect(200);
    server.get(&world.outsider, &led.path(&format!("/measures/{id}"))).expect(404);
    let own = |who: &Person| {
        let log = server.get(who, "/v1/account/access-log?limit=200").expect(200);
        log["items"].as_array().unwrap().clone()
    };
    let (mine, theirs) = (own(&one.person), own(&other.person));
    let seen = |log: &[Value], record: &str| log.iter().any(|entry| entry["record"] == record);
    assert!(seen(&mine, &id) && !seen(&theirs, &id));
    assert!(mine.iter().any(|entry| entry["name"] == "Led Lead"), "by name: {mine:?}");
    assert!(mine.iter().all(|entry| entry["member"] == one.id || entry["member"].is_null()), "{mine:?}");
    assert!(theirs.iter().any(|entry| entry["account"] == led.co_lead.id.to_string()));
    assert!(mine.iter().all(|entry| entry["allowed"] == true));
    assert_eq!(own(&world.other.member.person).iter().filter(|entry| entry["group"] == led.id).count(), 0);
}

#[test]
fn what_was_read_in_a_group_before_somebody_came_is_not_theirs() {
    let world = World::new();
    let (server, led, other) = (&world.server, &world.led, &world.other);
    let who = &led.member.person;
    server.get(&other.lead, &other.path("/measures")).expect(200);
    let invited = server.post(&other.lead, &other.path("/members"), &json!({"name": "Mira"})).expect(201);
    accept(server, who, invited["code"].as_str().unwrap());
    let of_other = || {
        let own = server.get(who, "/v1/account/access-log?limit=200").expect(200);
        let items = own["items"].as_array().unwrap().clone();
        items.iter().filter(|entry| entry["group"] == other.id && entry["action"] == "ReadMeasures").count()
    };
    assert_eq!(of_other(), 0);
    server.get(&other.lead, &other.path("/measures")).expect(200);
    assert_eq!(of_other(), 1);
}

#[test]
fn somebody_who_moved_on_is_not_told_who_read_the_group_later() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    move_to(server, &led.lead, &led.id, &led.member.id, "left");
    server.travel_days(1);
    let later = server.db.clock.now();
    server.get(&led.lead, &led.path("/measures")).expect(200);
    server.get(&led.lead, &led.path(&format!("/members/{}", led.member.id))).expect(200);
    let own = server.get(&led.member.person, "/v1/account/access-log?limit=200").expect(200);
    let since: Vec<&Value> = own["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| serde_json::from_value::<circlekeeper::values::Moment>(entry["at"].clone()).unwrap() >= later)
        .collect();
    // What names them still reaches them: their record stays theirs. The whole list may hold their record as well.
    assert!(since.iter().any(|entry| entry["member"] == led.member.id), "{since:?}");
}

#[test]
fn the_privacy_officer_reads_the_organizations_log_and_nobody_else_does() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    measure(&world);
    server.get(&led.lead, &led.path("/measures")).expect(200);
    let path = format!("/v1/organizations/{}/access-log", world.organization);
    for who in [&world.administrator, &led.lead] {
        server.get(who, &path).expect(403);
    }
    for who in [&world.outsider, &led.member.person] {
        server.get(who, &path).expect(404);
    }
    let concerning = server.get(&world.privacy_officer, &format!("{path}?member={}", led.member.id)).expect(200);
    assert!(concerning["items"].as_array().unwrap().iter().all(|entry| entry["member"] == led.member.id));
    // Reading the log is an access of its own.
    assert!(!of(&log(&world), &world.privacy_officer, "ReadAccessLog").is_empty());
    let refused = log(&world);
    assert!(of(&refused, &world.administrator, "ReadAccessLog").iter().all(|entry| entry["allowed"] == false));
}

#[test]
fn the_log_holds_no_content() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let id = measure(&world);
    let body = json!({"member": led.member.id, "occurred_at": server.db.clock.now(), "text": "Spoke of the flood."});
    server.post(&led.lead, &led.path("/progress-entries"), &body).expect(201);
    let path = led.path(&format!("/measures/{id}"));
    let version = server.version(&led.lead, &path);
    let reason = json!({"reason": "Entered for somebody else."});
    server.change(&led.lead, "POST", &format!("{path}/error-mark"), &version, &reason).expect(200);
    for entry in log(&world) {
        let fields: Vec<&String> = entry.as_object().unwrap().keys().collect();
        assert_eq!(
            fields.into_iter().collect::<std::collections::BTreeSet<_>>(),
            ["account", "action", "allowed", "at", "emergency_access", "group", "member", "name", "record", "standing"]
                .map(str::to_owned)
                .iter()
                .collect()
        );
        for content in ["flood", "phq", "Entered", "Mira"] {
            let mut entry = entry.clone();
            // Who acted is shown by name.
            entry["name"] = Value::Null;
            assert!(!entry.to_string().contains(content), "{entry}");
        }
    }
}

/// A log of a dozen entries, and what the statements make of it.
fn verdict_after(statements: impl FnOnce(&Location) -> String) -> Verdict {
    let server = Server::start();
    let somebody = server.account("Somebody");
    for _ in 0..12 {
        server.get(&somebody, &format!("/v1/groups/{}/members", Id::random())).expect(404);
    }
    let whole = verify_at(&server.location, &masters()).expect("a verdict");
    assert_eq!((whole.faults.as_slice(), whole.entries), ([].as_slice(), 12));
    let sql = statements(&server.location);
    tamper(&server.location, &sql);
    verify_at(&server.location, &masters()).expect("a verdict")
}

#[track_caller]
fn finds(verdict: &Verdict, words: &str) {
    assert!(verdict.faults.iter().any(|fault| fault.contains(words)), "{words:?} in {:?}", verdict.faults);
}

#[test]
fn a_changed_entry_is_found() {
    for change in
        ["allowed = (1 = 1)", "action = 'ReadGroup'", "at = at + 1", "record_id = account_id", "group_id = NULL"]
    {
        let verdict = verdict_after(|_| {
            format!("UPDATE access_entries SET {change} WHERE sequence = 5 AND group_id IS NOT NULL")
        });
        finds(&verdict, "entry 5 does not follow");
    }
    let whoever = verdict_after(|location| {
        let nobody = literal(location, &Id::random().to_string());
        format!("UPDATE access_entries SET account_id = {nobody} WHERE sequence = 5")
    });
    finds(&whoever, "entry 5 does not follow");
}

#[test]
fn a_removed_entry_is_found() {
    finds(&verdict_after(|_| "DELETE FROM access_entries WHERE sequence = 5".into()), "entries 5 to 5 are missing");
    finds(&verdict_after(|_| "DELETE FROM access_entries WHERE sequence = 1".into()), "entries 1 to 1 are missing");
    // Closing the gap does not hide it.
    let closed = verdict_after(|_| {
        "DELETE FROM access_entries WHERE sequence = 5; \
         UPDATE access_entries SET sequence = sequence + 100 WHERE sequence > 5; \
         UPDATE access_entries SET sequence = sequence - 101 WHERE sequence > 100"
            .into()
    });
    finds(&closed, "entry 5 does not follow");
}

#[test]
fn reordered_entries_are_found() {
    let verdict = verdict_after(|_| {
        "UPDATE access_entries SET sequence = 100 WHERE sequence = 5; \
         UPDATE access_entries SET sequence = 5 WHERE sequence = 6; \
         UPDATE access_entries SET sequence = 6 WHERE sequence = 100"
            .into()
    });
    finds(&verdict, "entry 5 does not follow");
}

#[test]
fn a_cut_off_end_is_found() {
    finds(&verdict_after(|_| "DELETE FROM access_entries WHERE sequence > 9".into()), "ends at entry 9 instead of 12");
    finds(&verdict_after(|_| "DELETE FROM access_entries".into()), "ends at entry 0 instead of 12");
    // The chain's own row cannot be made to agree without the key.
    let agreeing = verdict_after(|_| {
        "DELETE FROM access_entries WHERE sequence > 9; \
         UPDATE access_chains SET length = 9, head = (SELECT hash FROM access_entries WHERE sequence = 9)"
            .into()
    });
    finds(&agreeing, "was changed");
}

#[test]
fn an_entry_that_was_slipped_in_is_found() {
    let verdict = verdict_after(|_| {
        "INSERT INTO access_entries SELECT chain_id, 13, at, account_id, action, allowed, standing, organization_id, \
         group_id, member_id, record_id, hash, emergency_id FROM access_entries WHERE sequence = 12"
            .into()
    });
    finds(&verdict, "entry 13 does not follow");
}

#[test]
fn a_removed_chain_is_missed_by_the_next_one() {
    let (location, directory) = fresh_database();
    let somebody = {
        let server = Server::start_on(location.clone(), None, ServerConfig::default());
        let somebody = server.account("Somebody");
        for _ in 0..3 {
            server.get(&somebody, &format!("/v1/groups/{}/members", Id::random())).expect(404);
        }
        // Kept alive: on PostgreSQL, a server that is dropped discards its database.
        std::mem::forget(server);
        somebody
    };
    let server = Server::start_on(location.clone(), directory, ServerConfig::default());
    let token = server.token_of(somebody.caller);
    let path = format!("/v1/groups/{}/members", Id::random());
    server.request("GET", &path).token(&token).send().expect(404);
    let whole = verify_at(&location, &masters()).expect("a verdict");
    assert_eq!((whole.faults.as_slice(), whole.chains, whole.entries), ([].as_slice(), 2, 4));
    let (newest, length, _) = whole.newest.expect("a chain");
    assert_eq!(length, 1);
    let newest = literal(&location, &newest.to_string());
    tamper(
        &location,
        &format!(
            "DELETE FROM access_entries WHERE chain_id <> {newest}; DELETE FROM access_chains WHERE id <> {newest}"
        ),
    );
    finds(&verify_at(&location, &masters()).expect("a verdict"), "is gone");
}

#[test]
fn another_master_key_verifies_nothing() {
    let server = Server::start();
    let other = circlekeeper::store::sealing::Masters::read(&circlekeeper::store::sealing::Masters::generate().into());
    assert!(verify_at(&server.location, &other.expect("a key")).is_err());
}
