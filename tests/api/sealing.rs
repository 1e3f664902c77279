//! What lies on the disk: raw files that tell nothing, ciphertext that opens only in its place, backups.

use std::path::{Path, PathBuf};

use circlekeeper::{
    config::ServerConfig,
    identity::hash_of,
    store::{backup, connection::Location, sealing::Masters},
};
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    harness::{Answer, Person, Server, masters},
    leaving::{bytes, found},
    world::{self, World},
};

/// Words that stand in one record each, and nowhere else.
const NAME: &str = "Quenby Featherstonehaugh";
const NARRATIVE: &str = "The heron stood in the flooded orchard.";
const PROCESS: &str = "I was the heron, for a moment.";
const RECORD: &str = "Twelve lanterns were lit in pairs.";
const REASON: &str = "The ferry was cancelled by fog.";
const OBJECTIVE: &str = "Weigh the thought about the ferry";
const DEVICE: &str = "Kitchen tablet of Quenby";
const EMAIL: &str = "quenby@featherstonehaugh.example";
const LICENCE: &str = "LIC-QF-90210";

pub struct Seeded {
    pub world: World,
    measure: String,
    entry: String,
    note: String,
}

/// A world with something of every kind that is to be sealed.
pub fn seeded() -> Seeded {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let member = led.path(&format!("/members/{}/name", led.member.id));
    let version = server.version(&led.lead, &led.path(&format!("/members/{}", led.member.id)));
    server.change(&led.lead, "PUT", &member, &version, &json!({"name": NAME})).expect(200);
    let version = server.version(&led.member.person, "/v1/account");
    let account = json!({"name": NAME, "email": EMAIL, "language": "en", "zone": "UTC"});
    server.change(&led.member.person, "PUT", "/v1/account", &version, &account).expect(200);
    let tokens = json!({
        "sign_in_name": led.member.person.sign_in_name, "password": crate::harness::PASSWORD, "device": DEVICE
    });
    server.request("POST", "/v1/tokens").json(&tokens).send().expect(201);
    let body = json!({"instrument": "phq-9", "answers": {"phq-9.1": 2, "phq-9.9": 1}});
    let measure = server.post(&led.member.person, &led.path("/measures"), &body).made();
    let path = led.path(&format!("/measures/{measure}"));
    let body = json!({
        "respondent": "member", "taken_at": server.db.clock.now(), "answers": {"phq-9.1": 3, "phq-9.9": 1},
        "reason": REASON
    });
    let version = server.version(&led.lead, &path);
    server.change(&led.lead, "PUT", &path, &version, &body).expect(200);
    let body = json!({"member": led.member.id, "occurred_at": server.db.clock.now(), "text": NARRATIVE});
    // Kept answers to a retry hold content as well.
    let request = server.request("POST", &led.path("/progress-entries")).token(&led.lead.token);
    let entry = request.key("progress-entry-1").json(&body).send().made();
    let note = server.post(&led.lead, &led.path("/process-notes"), &json!({"text": PROCESS})).made();
    let now = server.db.clock.now();
    let local = now.plus_minutes(-90).to_string().chars().take(16).collect::<String>();
    let plan = json!({
        "starts_local": local, "zone": "UTC", "minutes": 60,
        "agenda": [{"technique": "thought-record", "objective": OBJECTIVE, "planned_minutes": 30, "homework": OBJECTIVE}]
    });
    let session = server.post(&led.lead, &led.path("/sessions"), &plan).made();
    let path = led.path(&format!("/sessions/{session}"));
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "session_record": RECORD
    });
    let version = server.version(&led.lead, &path);
    server.change(&led.lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
    let cancelled = server.post(&led.lead, &led.path("/sessions"), &plan).made();
    let path = led.path(&format!("/sessions/{cancelled}"));
    let version = server.version(&led.lead, &path);
    server.change(&led.lead, "POST", &format!("{path}/cancellation"), &version, &json!({"reason": REASON})).expect(200);
    let body = json!({
        "account": led.lead.id, "licence_type": "LCSW", "number": LICENCE, "body": "State board",
        "jurisdiction": "US-IL", "valid_from": "2020-01-01", "expires_on": "2030-01-01"
    });
    let licences = format!("/v1/organizations/{}/licences", world.organization);
    server.post(&world.administrator, &licences, &body).expect(201);
    let suspension = format!("/v1/organizations/{}/people/{}/suspension", world.organization, led.co_lead.id);
    let suspended = server.request("PUT", &suspension).token(&world.administrator.token);
    suspended.json(&json!({"reason": REASON})).send().expect(204);
    Seeded { world, measure, entry, note }
}

/// What must be in no file, in no form that a search for it would find.
fn secrets(world: &World) -> Vec<String> {
    let mut secrets: Vec<String> =
        [NAME, NARRATIVE, PROCESS, RECORD, REASON, OBJECTIVE, DEVICE, EMAIL, LICENCE, "phq-9.1"]
            .map(str::to_owned)
            .to_vec();
    let led = &world.led;
    for person in [&led.lead, &led.member.person, &led.second_member.person, &world.administrator, &world.outsider] {
        secrets.push(person.name.clone());
        secrets.push(person.sign_in_name.clone());
    }
    secrets
}

fn holds(file: &Path, secret: &str) -> bool {
    let bytes = std::fs::read(file).expect("the file");
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

fn beside(file: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", file.display()))
}

/// The database's file; none on PostgreSQL, whose files are not the store's.
fn embedded(server: &Server) -> Option<PathBuf> {
    server.location.file().map(PathBuf::from)
}

#[test]
fn raw_files_hold_no_record_content() {
    let seeded = seeded();
    let server = &seeded.world.server;
    let secrets = secrets(&seeded.world);
    let Some(file) = embedded(server) else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("copy.db");
    backup::copy(&server.location, &copy).expect("a copy");
    let files = [file.clone(), beside(&file, "-wal"), copy.clone(), backup::keys_beside(&copy)];
    for file in &files {
        assert!(std::fs::metadata(file).expect("a file").len() > 0, "{}", file.display());
        for secret in &secrets {
            assert!(!holds(file, secret), "{} holds {secret:?}", file.display());
        }
    }
    // The search finds what is there: the title of a group is public.
    assert!(holds(&copy, "Led group"));
}

#[test]
fn database_rows_hold_no_record_content() {
    let seeded = seeded();
    let Some(dump) = every_row(&seeded.world.server) else { return };
    for secret in secrets(&seeded.world) {
        assert!(!dump.contains(&secret), "{secret:?} stands in a row");
    }
    assert!(dump.contains("Led group"));
}

/// Every row of every table as text: on PostgreSQL, where the raw files belong to the server.
#[cfg(feature = "postgres")]
fn every_row(server: &Server) -> Option<String> {
    use diesel::{Connection as _, RunQueryDsl};
    use secrecy::ExposeSecret;
    #[derive(diesel::QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        line: String,
    }
    if !server.location.is_postgres() {
        return None;
    }
    let mut connection =
        diesel::PgConnection::establish(server.location.url.expose_secret()).expect("the database opens");
    let tables: Vec<Line> = diesel::sql_query(
        "SELECT table_name::text AS line FROM information_schema.tables WHERE table_schema = 'public'",
    )
    .load(&mut connection)
    .expect("the tables");
    let mut text = String::new();
    for table in tables {
        // Sealed bytes are shown escaped, so that plain text among them would be read.
        let rows: Vec<Line> = diesel::sql_query(format!("SELECT t::text AS line FROM \"{}\" t", table.line))
            .load(&mut connection)
            .expect("the rows");
        for row in rows {
            text.push_str(&row.line);
            text.push_str(&unescaped(&row.line));
        }
    }
    Some(text)
}

#[cfg(not(feature = "postgres"))]
fn every_row(_: &Server) -> Option<String> {
    None
}

/// The bytes behind PostgreSQL's `\x…`.
#[cfg(feature = "postgres")]
fn unescaped(row: &str) -> String {
    let hex = row.split("\\x").skip(1).map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_hexdigit).collect();
        data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).unwrap_or_default()
    });
    hex.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

/// A failure inside, of which nothing is shown.
#[track_caller]
fn does_not_open(answer: &Answer) {
    assert_eq!(answer.status, 500, "{}", answer.text);
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:circlekeeper:problem:internal");
    let mut fields: Vec<&String> = problem.as_object().expect("a problem").keys().collect();
    fields.sort();
    assert_eq!(fields, ["status", "title", "type"], "{}", answer.text);
}

#[test]
fn a_ciphertext_opens_only_in_its_own_row_column_and_member() {
    let Seeded { world, measure, entry, note } = seeded();
    let (server, led) = (&world.server, &world.led);
    let id = |id: &str| literal(&server.location, id);
    let written = |member: &str, text: &str| {
        let body = json!({"member": member, "occurred_at": server.db.clock.now(), "text": text});
        server.post(&led.lead, &led.path("/progress-entries"), &body).made()
    };
    let read = |entry: &str| server.get(&led.lead, &led.path(&format!("/progress-entries/{entry}")));
    let moved = |into: &str, from: &str| {
        let (into, from) = (id(into), id(from));
        tamper(
            &server.location,
            &format!(
                "UPDATE progress_entries SET text = (SELECT text FROM progress_entries WHERE id = {from}) \
                 WHERE id = {into}"
            ),
        );
    };
    // Another row of the same member.
    let second = written(&led.member.id, "A second entry.");
    read(&second).expect(200);
    moved(&second, &entry);
    does_not_open(&read(&second));
    read(&entry).expect(200);
    // A row of another member.
    let others = written(&led.second_member.id, "Another member's entry.");
    moved(&others, &entry);
    does_not_open(&read(&others));
    // The row itself given to another member.
    let (row, other_member) = (id(&entry), id(&led.second_member.id));
    tamper(&server.location, &format!("UPDATE progress_entries SET member_id = {other_member} WHERE id = {row}"));
    does_not_open(&read(&entry));
    // Another column of the same row.
    let row = id(&measure);
    let path = led.path(&format!("/measures/{measure}"));
    server.get(&led.lead, &path).expect(200);
    tamper(&server.location, &format!("UPDATE measures SET answers = reason WHERE id = {row}"));
    does_not_open(&server.get(&led.lead, &path));
    does_not_open(&server.get(&led.member.person, &path));
    // Another author's key.
    let (row, co_lead) = (id(&note), id(&led.co_lead.id.to_string()));
    let path = led.path(&format!("/process-notes/{note}"));
    server.get(&led.lead, &path).expect(200);
    tamper(&server.location, &format!("UPDATE process_notes SET author_id = {co_lead} WHERE id = {row}"));
    server.get(&led.lead, &path).expect(404);
    let suspension = format!("/v1/organizations/{}/people/{}/suspension", world.organization, led.co_lead.id);
    server.request("DELETE", &suspension).token(&world.administrator.token).send().expect(204);
    does_not_open(&server.get(&server.again(&led.co_lead), &path));
}

#[test]
fn changed_ciphertext_and_a_missing_key_open_nothing() {
    let Seeded { world, entry, .. } = seeded();
    let (server, led) = (&world.server, &world.led);
    let path = led.path(&format!("/progress-entries/{entry}"));
    let (row, member) = (literal(&server.location, &entry), literal(&server.location, &led.member.id));
    let zeros = match server.location.file() {
        Some(_) => "zeroblob(64)",
        None => "decode(repeat('00', 64), 'hex')",
    };
    tamper(&server.location, &format!("UPDATE progress_entries SET text = {zeros} WHERE id = {row}"));
    does_not_open(&server.get(&led.lead, &path));
    // Without its data key, what belonged to a member is gone for good: that is what erasing one does.
    tamper(&server.location, &format!("DELETE FROM data_keys WHERE owner_id = {member}"));
    does_not_open(&server.get(&led.lead, &led.path(&format!("/members/{}", led.member.id))));
    server.get(&led.lead, &led.path(&format!("/members/{}", led.second_member.id))).expect(200);
}

#[test]
fn a_backup_is_made_while_people_write() {
    let seeded = seeded();
    let (world, server) = (&seeded.world, &seeded.world.server);
    if embedded(server).is_none() {
        return;
    }
    let led = &world.led;
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("copy.db");
    let done = std::sync::atomic::AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut written = 0;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) || written < 3 {
                        let body = json!({"instrument": "phq-2", "answers": {"phq-2.1": 1, "phq-2.2": 1}});
                        server.post(&led.member.person, &led.path("/measures"), &body).expect(201);
                        server.get(&led.lead, &led.path("/measures")).expect(200);
                        written += 1;
                    }
                    written
                })
            })
            .collect();
        backup::copy(&server.location, &copy).expect("a copy");
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum::<usize>()
    });
    assert!(written >= 9);
    let verdict = backup::verify(&copy, &masters()).expect("a verdict");
    assert_eq!(verdict.faults, [""; 0]);
    assert!(verdict.entries > 0);
    // Nothing is written over, and the check leaves the copy as it is.
    assert!(backup::copy(&server.location, &copy).is_err());
    let before = std::fs::read(&copy).unwrap();
    backup::verify(&copy, &masters()).expect("a verdict");
    assert!(before == std::fs::read(&copy).unwrap());
    let other = Masters::read(&Masters::generate().into()).expect("a key");
    assert!(backup::verify(&copy, &other).is_err());
}

fn location_of(file: &Path) -> Location {
    Location::new(format!("sqlite:{}", file.display()), 2)
}

#[test]
fn a_copys_keys_lie_apart_and_without_them_it_tells_nothing() {
    let seeded = seeded();
    let server = &seeded.world.server;
    if embedded(server).is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("copy.db");
    backup::copy(&server.location, &copy).expect("a copy");
    let keys = backup::keys_beside(&copy);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let elsewhere = directory.path().join("elsewhere.keys");
    std::fs::rename(&keys, &elsewhere).unwrap();
    assert!(backup::verify(&copy, &masters()).is_err(), "the data keys are not in the copy");
    assert!(backup::join_keys(&copy).is_err());
    std::fs::rename(&elsewhere, &keys).unwrap();
    backup::join_keys(&copy).expect("the keys");
    let restored = Server::start_on(location_of(&copy), None, ServerConfig { hashing: Some(1), ..Default::default() });
    let led = &seeded.world.led;
    let again = restored.again(&led.lead);
    let read = restored.get(&again, &led.path(&format!("/progress-entries/{}", seeded.entry)));
    assert_eq!(read.expect(200)["text"], NARRATIVE);
    let body = json!({"sign_in_name": led.lead.sign_in_name, "password": crate::harness::PASSWORD});
    restored.request("POST", "/v1/tokens").json(&body).send().expect(201);
}

#[test]
fn a_tampered_copy_is_found() {
    let seeded = seeded();
    let server = &seeded.world.server;
    if embedded(server).is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let faults_after = |name: &str, change: &dyn Fn(&Path)| {
        let copy = directory.path().join(name);
        backup::copy(&server.location, &copy).expect("a copy");
        assert_eq!(backup::verify(&copy, &masters()).expect("a verdict").faults, [""; 0]);
        change(&copy);
        match backup::verify(&copy, &masters()) {
            Ok(verdict) => verdict.faults,
            Err(problem) => vec![problem.to_string()],
        }
    };
    let sql = |statement: &'static str| move |copy: &Path| tamper(&location_of(copy), statement);
    for (name, statement) in [
        ("log.db", "DELETE FROM access_entries WHERE sequence = 3"),
        ("reference.db", "PRAGMA foreign_keys = OFF; DELETE FROM members"),
        ("keys.db", "PRAGMA foreign_keys = OFF; DELETE FROM access_chains"),
    ] {
        assert!(!faults_after(name, &sql(statement)).is_empty(), "{statement}");
    }
    let cut = |copy: &Path| {
        let bytes = std::fs::read(copy).unwrap();
        std::fs::write(copy, &bytes[..bytes.len() / 2]).unwrap();
    };
    assert!(!faults_after("cut.db", &cut).is_empty());
    let scribbled = |copy: &Path| {
        let mut bytes = std::fs::read(copy).unwrap();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 64].fill(0xff);
        std::fs::write(copy, bytes).unwrap();
    };
    assert!(!faults_after("scribbled.db", &scribbled).is_empty());
    let keys_lost = |copy: &Path| {
        let keys = backup::keys_beside(copy);
        tamper(&location_of(&keys), "DELETE FROM data_keys WHERE owner_id <> x'00000000000000000000000000000000'");
    };
    let _ = faults_after("lost.db", &keys_lost);
}

#[test]
fn kept_answers_to_a_retry_open_only_for_their_own_key() {
    let Seeded { world, .. } = seeded();
    let (server, led) = (&world.server, &world.led);
    let body = |text: &str| json!({"member": led.member.id, "occurred_at": "2026-01-01T00:00:00Z", "text": text});
    let send = |key: &str, text: &str| {
        let request = server.request("POST", &led.path("/progress-entries")).token(&led.lead.token);
        request.key(key).json(&body(text)).send()
    };
    let (first, second): (Value, Value) =
        (send("kept-key-1", "One.").expect(201), send("kept-key-2", "Two.").expect(201));
    assert_eq!(send("kept-key-1", "One.").expect(201), first);
    assert_eq!(send("kept-key-2", "Two.").expect(201), second);
    tamper(
        &server.location,
        "UPDATE idempotent_answers SET answer = (SELECT answer FROM idempotent_answers WHERE key = 'kept-key-1') \
         WHERE key = 'kept-key-2'",
    );
    does_not_open(&send("kept-key-2", "Two."));
}

#[test]
fn a_kept_answer_does_not_bring_back_what_was_removed() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let send = |who: &Person, path: &str, key: &str, body: &Value| {
        server.request("POST", &peer.path(path)).token(&who.token).key(key).json(body).send()
    };
    let author = &peer.member.person;
    let rules = json!({"purpose": "ground_rules", "title": "Rules", "text": "What is said here stays here."});
    let agreement = server.post(&peer.lead, &peer.path("/agreements"), &rules).made();
    server.post(author, &peer.path(&format!("/agreements/{agreement}/signatures")), &json!({})).expect(201);
    let body = json!({"mood": "low", "text": "The walrus again."});
    let check_in = send(author, "/check-ins", "check-in-0001", &body).made();
    let roster = json!({"name": "Ernest Nickname"});
    let added = send(&peer.lead, "/members", "roster-0001", &roster).expect(201);
    send(&peer.lead, "/members", "roster-0001", &roster).expect(201);
    let path = peer.path(&format!("/check-ins/{check_in}"));
    let version = server.version(author, &path);
    server.request("DELETE", &path).token(&author.token).version(&version).send().expect(204);
    let again = send(author, "/check-ins", "check-in-0001", &body);
    assert!(!again.text.contains("walrus"), "{}", again.text);
    again.expect(409);
    // Nor what somebody else was answered about a member who erased everything.
    let newcomer = server.account("Ernest Else");
    world::accept(server, &newcomer, added["code"].as_str().expect("a code"));
    let erasure = json!({"group": peer.id, "understood": true});
    server.post(&newcomer, "/v1/account/erasures", &erasure).expect(200);
    let again = send(&peer.lead, "/members", "roster-0001", &roster);
    assert!(!again.text.contains("Ernest"), "{}", again.text);
    again.expect(409);
    let left = found(&server.location, "SELECT key AS line FROM idempotent_answers WHERE length(answer) > 0");
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn what_was_sent_cannot_be_guessed_from_what_is_kept_for_a_retry() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let rules = json!({"purpose": "ground_rules", "title": "Rules", "text": "What is said here stays here."});
    let agreement = server.post(&peer.lead, &peer.path("/agreements"), &rules).made();
    let who = &peer.member.person;
    server.post(who, &peer.path(&format!("/agreements/{agreement}/signatures")), &json!({})).expect(201);
    let path = peer.path("/check-ins");
    let body = json!({"mood": "low"});
    let send = |body: &Value| server.request("POST", &path).token(&who.token).key("check-in-0001").json(body).send();
    let first = send(&body).made();
    // Whoever holds the file and guesses what was said has no way to see that they are right.
    let mut guessed = hash_of(&format!("POST {path}"));
    guessed.extend(hash_of(&body.to_string()));
    let guessed = bytes(&server.location, &guessed);
    let hits = format!("SELECT key AS line FROM idempotent_answers WHERE request_hash = {guessed}");
    assert_eq!(found(&server.location, &hits), Vec::<String>::new());
    assert_eq!(found(&server.location, "SELECT key AS line FROM idempotent_answers"), ["check-in-0001"]);
    assert_eq!(send(&body).made(), first);
    send(&json!({"mood": "good"})).refuses("Idempotency-Key");
}
