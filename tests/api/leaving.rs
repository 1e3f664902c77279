//! Export, erasure and closing an account: everything of one's own, nothing of anybody else's, and no count changed.

use std::collections::BTreeSet;

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use circlekeeper::{
    policy::act,
    store::{access_log::verify_at, connection::Location, leaving, permit::authorize},
    values::{Id, Moment},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use diesel::{Connection as _, QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    at_rest,
    harness::{Answer, PASSWORD, Person, Server, masters},
    meetings::{Evening, joins, keep},
    scene::{Scene, plan_at, text},
    world::{self, Group, Member, World},
};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// What a statement finds, one text for each row.
pub fn found(location: &Location, sql: &str) -> Vec<String> {
    let url = location.url.expose_secret();
    #[cfg(feature = "postgres")]
    if location.is_postgres() {
        let mut connection = diesel::PgConnection::establish(url).expect("the database opens");
        return sql_query(sql).load::<Line>(&mut connection).expect("rows").into_iter().map(|row| row.line).collect();
    }
    let file = url.trim_start_matches("sqlite:");
    let mut connection = diesel::SqliteConnection::establish(file).expect("the database opens");
    sql_query(sql).load::<Line>(&mut connection).expect("rows").into_iter().map(|row| row.line).collect()
}

/// Bytes as both databases read them in SQL.
pub fn bytes(location: &Location, bytes: &[u8]) -> String {
    let hex = data_encoding::HEXLOWER.encode(bytes);
    if location.is_postgres() { format!("decode('{hex}', 'hex')") } else { format!("x'{hex}'") }
}

/// Seals as the store does, so that a row can be put there for which there is no operation.
fn sealed(server: &Server, owner: &str, place: &str, row: &str, text: &str) -> String {
    let raw = |id: &str| id.parse::<Id>().expect("an id").0.as_bytes().to_vec();
    let location = &server.location;
    let hex = if location.is_postgres() { "encode(wrapped, 'hex')" } else { "hex(wrapped)" };
    let sql = format!("SELECT {hex} AS line FROM \"data_keys\" WHERE owner_id = {}", literal(location, owner));
    let wrapped = HEXLOWER_PERMISSIVE.decode(found(location, &sql)[0].as_bytes()).expect("hex");
    let key = at_rest::open(&at_rest::wrapping_key(), &raw(owner), &wrapped[1 + wrapped[0] as usize..]);
    let key = key.expect("the key opens");
    let mut tagged = text.as_bytes().to_vec();
    let bound = [place.as_bytes(), &raw(row), &raw(owner)].concat();
    let key = RandomizedNonceKey::new(&AES_256_GCM, &key).expect("a key");
    let nonce = key.seal_in_place_append_tag(Aad::from(bound), &mut tagged).expect("sealed");
    bytes(location, &[&nonce.as_ref()[..], &tagged].concat())
}

/// A peer-led group in which a member has left a trace of every kind.
struct Traces<'a> {
    server: &'a Server,
    group: &'a Group,
    session: String,
    now: i64,
}

impl<'a> Traces<'a> {
    fn of(world: &'a World) -> Traces<'a> {
        let (server, group) = (&world.server, &world.peer);
        let now = server.db.clock.now();
        let session = text(&plan_at(server, &group.lead, &group.id, now.plus_minutes(-90), 60)["id"]);
        let traces = Traces { server, group, session, now: now.0 };
        traces.fill(world);
        traces
    }

    fn id(&self, id: &str) -> String {
        literal(&self.server.location, id)
    }

    fn run(&self, sql: &str) {
        tamper(&self.server.location, sql);
    }

    fn sealed(&self, owner: &str, place: &str, row: &str, text: &str) -> String {
        sealed(self.server, owner, place, row, text)
    }

    fn mark(&self, what: &str, member: &str) -> String {
        bytes(&self.server.location, &self.server.db.installation().index(what, member))
    }

    fn check_in(&self, member: &str, visibility: &str, content: &Value) {
        let row = Id::random().to_string();
        let content = self.sealed(member, "check_ins.content", &row, &content.to_string());
        self.run(&format!(
            "INSERT INTO check_ins (id, group_id, member_id, visibility, content, local_day, zone, recorded_at, version) \
             VALUES ({}, {}, {}, '{visibility}', {content}, '2026-03-01', 'UTC', {}, 1)",
            self.id(&row),
            self.id(&self.group.id),
            self.id(member),
            self.now
        ));
    }

    fn topic(&self, member: &str, said: &str, supporters: &[&str]) -> String {
        let row = Id::random().to_string();
        let sealed = self.sealed(&self.group.id, "topics.text", &row, said);
        let (topic, group) = (self.id(&row), self.id(&self.group.id));
        self.run(&format!(
            "INSERT INTO topics (id, group_id, text, state, owner, proposed_on, version) \
             VALUES ({topic}, {group}, {sealed}, 'proposed', {}, '2026-03-01', 1)",
            self.mark("topics", member)
        ));
        for supporter in supporters {
            let mark = self.mark("topic_supports", supporter);
            self.run(&format!(
                "INSERT INTO topic_supports (topic_id, owner, group_id) VALUES ({topic}, {mark}, {group})"
            ));
        }
        row
    }

    /// A report about somebody, in a state.
    fn report(&self, organization: Id, subject: Option<&Member>, state: &str, told: bool) -> String {
        let row = Id::random().to_string();
        let (account, member) = match subject {
            Some(subject) => (self.id(&subject.person.id.to_string()), self.id(&subject.id)),
            None => ("NULL".into(), "NULL".into()),
        };
        let told = if told { self.now.to_string() } else { "NULL".into() };
        self.run(&format!(
            "INSERT INTO breach_reports (id, organization_id, group_id, reporter, subject_account_id, \
             subject_member_id, text, state, received_at, told_at, version) \
             VALUES ({}, {}, {}, {}, {account}, {member}, {}, '{state}', {}, {told}, 1)",
            self.id(&row),
            self.id(&organization.to_string()),
            self.id(&self.group.id),
            self.mark("breach_reports", &self.group.second_member.person.id.to_string()),
            bytes(&self.server.location, b"sealed"),
            self.now
        ));
        row
    }

    fn fill(&self, world: &World) {
        let group = self.group;
        let (one, two) = (&group.member, &group.second_member);
        let (id, member, session, now) = (self.id(&group.id), self.id(&one.id), self.id(&self.session), self.now);
        let lead = self.id(&group.lead.id.to_string());
        let new = || self.id(&Id::random().to_string());
        let nothing = bytes(&self.server.location, b"sealed");
        self.check_in(&one.id, "only_me", &json!({"mood": "low", "hope": 2, "shame": 9, "text": "Alone again."}));
        self.check_in(&one.id, "group", &json!({"mood": "good", "hope": 7}));
        self.check_in(&one.id, "group", &json!({"pass": true}));
        self.check_in(&two.id, "group", &json!({"mood": "good", "hope": 4, "connection": 6}));
        self.run(&format!(
            "INSERT INTO head_counts (session_id, group_id, heads, recorded_by, recorded_at, version) \
             VALUES ({session}, {id}, 7, {lead}, {now}, 1)"
        ));
        let attendance = new();
        self.run(&format!(
            "INSERT INTO attendances (id, group_id, session_id, member_id, status, modality, minutes, starts_at, \
             recorded_by, recorded_at, version) \
             VALUES ({attendance}, {id}, {session}, {member}, 'attended', 'in_person', 60, {now}, {lead}, {now}, 2)"
        ));
        self.run(&format!(
            "INSERT INTO attendance_versions (attendance_id, group_id, version, status, modality, minutes, recorded_by, \
             recorded_at) VALUES ({attendance}, {id}, 1, 'no_show', 'in_person', 0, {lead}, {now})"
        ));
        let pseudonym = Id::random().to_string();
        let name = self.sealed(&group.id, "pseudonyms.name", &pseudonym, "Heron");
        let pseudonym = self.id(&pseudonym);
        self.run(&format!(
            "INSERT INTO pseudonyms (id, group_id, owner, name) VALUES ({pseudonym}, {id}, {}, {name}); \
             INSERT INTO pseudonym_attendances (session_id, pseudonym_id, group_id) \
             VALUES ({session}, {pseudonym}, {id})",
            self.mark("pseudonyms", &one.id)
        ));
        self.topic(&one.id, "Sleeping badly", &[&one.id, &two.id]);
        self.topic(&one.id, "Only I care about this", &[&one.id]);
        self.topic(&two.id, "Telling the family", &[&one.id, &two.id]);
        let tip = Id::random().to_string();
        let said = self.sealed(&group.id, "tips.text", &tip, "Walk before work");
        self.run(&format!(
            "INSERT INTO tips (id, group_id, text, owner, member_id, given_on, version) \
             VALUES ({}, {id}, {said}, {}, {member}, '2026-03-01', 1)",
            self.id(&tip),
            self.mark("tips", &one.id)
        ));
        self.run(&format!(
            "INSERT INTO absences (id, group_id, member_id, from_on, until_on) \
             VALUES ({}, {id}, {member}, '2026-04-01', '2026-04-14'); \
             INSERT INTO services (member_id, group_id, service, month, times) \
             VALUES ({member}, {id}, 'greeted', '2026-03', 2); \
             INSERT INTO term_offers (id, group_id, session_id, to_member_id, state, offered_by, offered_at, version) \
             VALUES ({}, {id}, {session}, {member}, 'declined', {lead}, {now}, 1)",
            new(),
            new()
        ));
        let report = self.id(&self.report(world.organization, Some(one), "closed", true));
        let decision = new();
        self.run(&format!(
            "INSERT INTO decisions (id, report_id, group_id, question, options, opened_at, closes_at, eligible, \
             ballot_minimum, quorum_percent, tally, outcome, closed_at, version) \
             VALUES ({decision}, {report}, {id}, {nothing}, '[]', {now}, {now}, 6, 5, 50, {nothing}, 'note', {now}, 2); \
             INSERT INTO decision_voters (decision_id, member_id, group_id, has_voted) \
             VALUES ({decision}, {member}, {id}, TRUE); \
             INSERT INTO consequences (id, report_id, group_id, member_id, account_id, consequence, from_at, \
             review_on, version) VALUES ({}, {report}, {id}, {member}, {}, 'note', {now}, '2026-06-01', 1)",
            new(),
            self.id(&one.person.id.to_string())
        ));
    }

    /// What the statistics of the group rest on: numbers of rows, heads, supporters and voters.
    fn counts(&self) -> Vec<String> {
        let id = self.id(&self.group.id);
        let count = |what: &str| {
            let sql = format!("SELECT CAST({what} AS TEXT) AS line");
            found(&self.server.location, &sql).remove(0)
        };
        [
            format!("(SELECT SUM(heads) FROM \"head_counts\" WHERE group_id = {id})"),
            format!("(SELECT COUNT(*) FROM \"topics\" WHERE group_id = {id})"),
            format!("(SELECT COUNT(*) FROM \"topic_supports\" WHERE group_id = {id})"),
            format!("(SELECT COUNT(*) FROM \"tips\" WHERE group_id = {id})"),
            format!("(SELECT SUM(eligible) FROM \"decisions\" WHERE group_id = {id})"),
        ]
        .map(|what| count(&what))
        .to_vec()
    }
}

/// Where a row holds an id, as bytes or as text: `table.column`. Nothing on PostgreSQL, which is asked elsewhere.
pub fn places_of(server: &Server, id: &str) -> BTreeSet<String> {
    if server.location.is_postgres() {
        return BTreeSet::new();
    }
    let columns = found(
        &server.location,
        "SELECT '\"' || m.name || '\".\"' || c.name || '\"' AS line FROM sqlite_master m, pragma_table_info(m.name) c \
         WHERE m.type = 'table'",
    );
    let hex = id.replace('-', "");
    let holds = |column: &&String| {
        let table = column.split('.').next().expect("a table");
        let sql = format!(
            "SELECT 'x' AS line FROM {table} WHERE instr(CAST({column} AS BLOB), x'{hex}') > 0 \
             OR instr(lower(CAST({column} AS TEXT)), '{id}') > 0 LIMIT 1"
        );
        !found(&server.location, &sql).is_empty()
    };
    columns.iter().filter(holds).map(|column| column.replace('"', "")).collect()
}

fn erase(server: &Server, who: &Person, group: Option<&str>) -> Answer {
    server.post(who, "/v1/account/erasures", &json!({"group": group, "understood": true}))
}

fn close(server: &Server, who: &Person) -> Answer {
    server.request("DELETE", "/v1/account").token(&who.token).json(&json!({"password": PASSWORD})).send()
}

fn export(server: &Server, who: &Person) -> Value {
    server.get(who, "/v1/account/export").expect(200)
}

fn is_valid(server: &Server, jws: &str) -> bool {
    let checked = server.request("POST", "/v1/statements/checks").json(&json!({"jws": jws})).send().expect(200);
    checked["valid"].as_bool().expect("a verdict")
}

/// Ends a term by hand, as an administrator.
fn end_term(world: &World, group: &Group, who: &Person) {
    let terms = world.server.get(&world.administrator, &group.path("/terms")).expect(200);
    let of = |term: &&Value| term["account"] == who.id.to_string();
    let term = text(&terms["items"].as_array().expect("terms").iter().find(of).expect("a term")["id"]);
    let path = group.path(&format!("/terms/{term}/end"));
    world.server.request("POST", &path).token(&world.administrator.token).json(&json!({})).send().expect(204);
}

#[test]
fn an_export_holds_nothing_that_the_pages_hide() {
    let scene = Scene::new();
    let (world, server) = (&scene.world, &scene.world.server);
    let led = &world.led;
    let path = led.path(&format!("/members/{}", led.member.id));
    let version = server.version(&led.lead, &path);
    let reason = "Quarrelled with Noor.";
    let moved = json!({"state": "paused", "reason": reason});
    server.change(&led.lead, "POST", &format!("{path}/moves"), &version, &moved).expect(201);
    let own = server.get(&led.member.person, "/v1/account/export");
    let released: Vec<&String> = scene.clinical_texts.iter().filter(|text| own.text.contains(*text)).collect();
    assert_eq!(released.len(), 1, "one entry was released: {released:?}");
    assert!(released[0].starts_with("Released entry"));
    assert!(!own.text.contains(reason) && !own.text.contains("Noor"), "{}", own.text);
    let body = own.json();
    assert_eq!(body["measures"][0]["instrument_version"], "1", "{}", body["measures"]);
    assert!(body["measures"][0]["answers"]["phq-9.1"].is_i64() && body["measures"][0]["score"].is_f64());
    assert!(body["attendances"].as_array().is_some_and(|items| items.len() == 1), "{}", body["attendances"]);
    assert_eq!(body["memberships"].as_array().map(Vec::len), Some(3), "{}", body["memberships"]);
    assert_eq!(body["account"]["sign_in_name"], led.member.person.sign_in_name);
    assert!(!own.text.contains("token"), "no token of a sign-in");
    // Those who saw the records, as the page of the log shows it.
    let log = server.get(&led.member.person, "/v1/account/access-log?limit=200").expect(200);
    assert_eq!(body["access_log"], log["items"]);
    let csv = server.request("GET", "/v1/account/export").token(&led.member.person.token).header("accept", "text/csv");
    let csv = csv.send().text;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let mut sections: Vec<String> = reader.records().map(|record| record.expect("a line")[0].to_owned()).collect();
    sections.dedup();
    let ends = (sections.first().map(String::as_str), sections.last().map(String::as_str));
    assert_eq!(ends, (Some("account"), Some("access_log")), "{sections:?}");
    // What clinicians wrote about others, or for themselves, is not about them.
    let lead = server.get(&led.lead, "/v1/account/export");
    assert!(scene.clinical_texts.iter().all(|text| !lead.text.contains(text)), "{}", lead.text);
    assert!(lead.json()["licences"][0]["number"] == "L-1234", "{}", lead.text);
}

#[test]
fn an_export_explains_every_field() {
    let scene = Scene::new();
    let (server, member) = (&scene.world.server, &scene.world.led.member.person);
    let body = export(server, member);
    let columns = body["columns"].as_object().expect("a dictionary");
    let sections =
        body.as_object().expect("sections").keys().filter(|name| !matches!(name.as_str(), "exported_at" | "columns"));
    for section in sections {
        let meant = columns.get(section).unwrap_or_else(|| panic!("{section} is not explained"));
        let records = match &body[section] {
            Value::Array(records) => records.clone(),
            one => vec![one.clone()],
        };
        for field in records.iter().filter_map(Value::as_object).flat_map(|record| record.keys()) {
            assert!(meant.get(field).is_some(), "{section}.{field} is not explained");
        }
        let silent = |name: &String| meant[name] == "";
        let unsaid: Vec<&String> = meant.as_object().expect("fields").keys().filter(|name| silent(name)).collect();
        assert!(unsaid.is_empty(), "{section}: {unsaid:?}");
    }
}

#[test]
fn an_export_runs_no_formula_and_its_name_tells_nothing() {
    let world = World::new();
    let server = &world.server;
    let member = &world.peer.member.person;
    let _ = Traces::of(&world);
    let version = server.version(member, "/v1/account");
    let profile = json!({"name": "=HYPERLINK(\"http://evil.example\";\"Click\")", "email": "@SUM(A1)", "language": "en", "zone": "UTC"});
    server.change(member, "PUT", "/v1/account", &version, &profile).expect(200);
    let ask =
        |accept: &str| server.request("GET", "/v1/account/export").token(&member.token).header("accept", accept).send();
    let csv = ask("text/csv");
    assert_eq!(csv.status, 200, "{}", csv.text);
    assert_eq!(csv.header("content-type").as_deref(), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(csv.header("content-disposition").as_deref(), Some("attachment; filename=\"export.csv\""));
    assert!(csv.text.starts_with("section,record,at,field,value\r\n"), "{}", csv.text);
    assert!(
        csv.text.contains("account,1,,name,\"'=HYPERLINK(\"\"http://evil.example\"\";\"\"Click\"\")\"\r\n"),
        "{}",
        csv.text
    );
    assert!(csv.text.contains("account,1,,email,'@SUM(A1)\r\n"), "{}", csv.text);
    let mut reader = csv::Reader::from_reader(csv.text.as_bytes());
    let mut fields = BTreeSet::new();
    for record in reader.records() {
        let record = record.expect("five cells");
        for cell in &record {
            let is_number = cell.parse::<f64>().is_ok();
            assert!(is_number || !cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{record:?}");
        }
        fields.insert(format!("{}.{}", &record[0], &record[3]));
    }
    for field in ["check_ins.content.hope", "topics.text", "tips.text", "services.times", "pseudonyms.name"] {
        assert!(fields.contains(field), "{field} is not in {fields:?}");
    }
    let plain = ask("*/*");
    assert_eq!(plain.header("content-disposition").as_deref(), Some("attachment; filename=\"export.json\""));
    assert_eq!(plain.header("content-type").as_deref(), Some("application/json"));
    for (accept, media) in [
        ("text/csv;q=0.5, application/json", "application/json"),
        ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8; header=present"),
        ("text/*", "text/csv; charset=utf-8; header=present"),
    ] {
        assert_eq!(ask(accept).header("content-type").as_deref(), Some(media), "{accept}");
    }
    for accept in ["text/plain", "text/csv;q=0"] {
        ask(accept).expect(406);
    }
    let elsewhere = server.request("GET", "/v1/account").token(&member.token).header("accept", "text/csv").send();
    elsewhere.expect(406);
}

#[test]
fn an_export_holds_ones_own_and_nothing_of_another_peer() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let _ = Traces::of(&world);
    let own = export(server, &peer.member.person);
    let lengths = [
        ("check_ins", 3),
        ("attendances", 1),
        ("pseudonyms", 1),
        ("topics", 2),
        ("topic_supports", 3),
        ("tips", 1),
        ("services", 1),
        ("absences", 1),
        ("term_offers", 1),
        ("consequences", 1),
        ("breach_reports", 0),
    ];
    for (section, length) in lengths {
        assert_eq!(own[section].as_array().map(Vec::len), Some(length), "{section}: {}", own[section]);
    }
    let second = server.get(&peer.second_member.person, "/v1/account/export");
    assert_eq!(second.json()["breach_reports"][0]["state"], "closed");
    for hidden in ["Alone again.", "Sleeping badly", "Walk before work", "Heron", &peer.member.id, "Mira"] {
        assert!(!second.text.contains(hidden), "{hidden} stands in another's export");
    }
    assert!(!second.text.contains(&peer.member.person.id.to_string()));
}

#[test]
fn leaving_quietly_tells_nobody() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let other = &peer.second_member.person;
    let read = |who: &Person, path: &str| {
        let answer = server.get(who, path);
        (answer.status, answer.header("etag"), answer.text)
    };
    let shown = ["", "/members", "/terms", "/sessions", "/agreements", "/signatures"].map(|rest| peer.path(rest));
    let own = ["/v1/account/standings", "/v1/account/access-log"].map(str::to_owned);
    let before: Vec<_> = shown.iter().chain(&own).map(|path| read(other, path)).collect();
    let path = peer.path(&format!("/members/{}", peer.member.id));
    let version = server.version(&peer.member.person, &path);
    let left = json!({"state": "left"});
    let moved = server.change(&peer.member.person, "POST", &format!("{path}/moves"), &version, &left).expect(201);
    assert_eq!(moved["state"], "left");
    let after: Vec<_> = shown.iter().chain(&own).map(|path| read(other, path)).collect();
    assert_eq!(before, after, "another member can tell");
    // The roster has changed, with no reason in it, and the log says nothing of somebody's own step.
    let member = server.get(&peer.lead, &path).expect(200);
    assert_eq!(member["state"], "left");
    assert!(member["intervals"].as_array().expect("intervals").iter().all(|interval| interval["reason"].is_null()));
    let log = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let log = server.get(&world.privacy_officer, &log).expect(200);
    let entries = log["items"].as_array().expect("entries");
    let moves = entries.iter().filter(|entry| entry["account"] == peer.member.person.id.to_string());
    assert!(moves.clone().all(|entry| entry["action"] != "MoveMember"), "{log}");
}

#[test]
fn an_erasure_changes_no_count_and_leaves_no_link() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let member = &peer.member;
    let traces = Traces::of(&world);
    let rules = json!({"purpose": "ground_rules", "title": "Rules", "text": "What is said here stays here."});
    let agreement = server.post(&peer.lead, &peer.path("/agreements"), &rules).made();
    let signing = peer.path(&format!("/agreements/{agreement}/signatures"));
    server.request("POST", &signing).token(&member.person.token).key("signed-once").json(&json!({})).send().expect(201);
    let before = traces.counts();
    let other = export(server, &peer.second_member.person);
    let is_there = places_of(server, &member.id);
    assert!(server.location.is_postgres() || is_there.contains("check_ins.member_id"), "{is_there:?}");
    let second = server.get(&peer.lead, &peer.path(&format!("/members/{}", peer.second_member.id))).expect(200);

    let body = json!({"group": peer.id, "understood": true});
    let ask = || {
        let request = server.request("POST", "/v1/account/erasures").token(&member.person.token);
        request.key("erase-me-once").json(&body).send()
    };
    let answer = ask().expect(200);
    assert_eq!(ask().expect(200), answer, "a retry gets the same statement");
    let statement = &answer["statement"];
    assert_eq!(statement["groups"], 1);
    assert_eq!(statement["totals_before"], statement["totals_after"]);
    for (kind, rows) in [("check_ins", 3), ("attendances", 1), ("topics", 2), ("topic_supports", 3), ("memberships", 1)]
    {
        assert_eq!(statement["removed"][kind], rows, "{statement}");
    }
    // The kept answer of what was signed is gone: the same key is a new request, to which nothing answers.
    let again = server.request("POST", &signing).token(&member.person.token).key("signed-once").json(&json!({})).send();
    again.expect(404);
    assert_eq!(traces.counts(), before);
    let left: BTreeSet<String> = ["access_entries.member_id".to_owned()].into();
    let places = places_of(server, &member.id);
    assert!(places.is_subset(&left), "{places:?}");
    // Nobody else's records are touched, and the roster is without the row.
    let mut after = export(server, &peer.second_member.person);
    after["exported_at"] = other["exported_at"].clone();
    after["access_log"] = other["access_log"].clone();
    assert_eq!(after, other);
    assert_eq!(server.get(&peer.lead, &peer.path(&format!("/members/{}", peer.second_member.id))).expect(200), second);
    server.get(&peer.lead, &peer.path(&format!("/members/{}", member.id))).expect(404);
    server.get(&member.person, &peer.path("")).expect(404);
    assert_eq!(export(server, &member.person)["check_ins"], json!([]));
    // A second member goes too: what both left behind adds up.
    let statement = erase(server, &peer.second_member.person, None).expect(200);
    assert_eq!(statement["statement"]["totals_before"], statement["statement"]["totals_after"]);
    assert_eq!(traces.counts(), before);
}

/// The tables in which a row names one of these people and one of these places. None on PostgreSQL.
fn joined(server: &Server, people: &[String], places: &[&String]) -> BTreeSet<String> {
    let Some(file) = server.location.file() else { return BTreeSet::new() };
    let tables = places.iter().flat_map(|place| joins(file, people, place)).map(|(table, _)| table);
    tables.collect()
}

/// Somebody's account and membership of the peer-led group, as rows name them.
fn names_of(who: &Person, member: &str) -> [String; 2] {
    [who.id.to_string(), member.to_owned()]
}

/// A member who led the group for a while, and left a trace as its lead in every table that has one.
struct Led {
    who: Person,
    /// The recorded meeting first.
    sessions: Vec<String>,
}

impl Led {
    fn of(world: &World) -> Led {
        let (server, peer) = (&world.server, &world.peer);
        let (one, two) = (&peer.member, &peer.second_member);
        let who = one.person.clone();
        keep(world, "named");
        let invited = server.post(&peer.lead, &peer.path("/terms"), &json!({"standing": "facilitator"})).expect(201);
        world::accept(server, &who, &text(&invited["code"]));
        let rules = json!({"purpose": "ground_rules", "title": "Rules", "text": "We listen."});
        let rules = server.post(&who, &peer.path("/agreements"), &rules).made();
        // A newcomer whom they let in, and a code that nobody has used.
        let newcomer = world::member(server, &who, &peer.id, "Newcomer");
        server.post(&who, &peer.path("/terms"), &json!({"standing": "facilitator"})).expect(201);
        let evening = Evening::new(world);
        let meeting = |heads: i32, rest: &Value| evening.send(&who, &evening.body(heads, rest)).expect(200);
        meeting(7, &json!({"members": [two.id], "rules": {"agreement": rules, "acknowledged": 6}}));
        let corrected = json!({
            "held_from": server.db.clock.now().plus_minutes(-80), "members": [two.id], "reason": "It began later.",
            "rules": {"agreement": rules, "acknowledged": 6}
        });
        meeting(8, &corrected);
        let note = json!({"text": "The key is at the front desk."});
        let hand_over = format!("{}/hand-over", evening.path);
        server.request("PUT", &hand_over).token(&who.token).json(&note).send().expect(200);
        // One that they planned, and that is theirs to come.
        let later = server.db.clock.now().plus_days(3);
        let bound = text(&plan_at(server, &who, &peer.id, later, 60)["id"]);
        let body = json!({"standing": "facilitator", "session": bound});
        let invited = server.post(&peer.lead, &peer.path("/terms"), &body).expect(201);
        world::accept(server, &who, &text(&invited["code"]));
        let report = json!({"about": {"member": newcomer.id}, "text": "It was told outside."});
        server.post(&two.person, &peer.path("/breach-reports"), &report).made();
        end_whole_terms(world, &who);
        Led { who, sessions: vec![evening.session, bound] }
    }
}

/// Ends the terms of somebody for the whole group by hand, as an administrator.
fn end_whole_terms(world: &World, who: &Person) {
    let peer = &world.peer;
    let terms = world.server.get(&world.administrator, &peer.path("/terms")).expect(200);
    let terms = terms["items"].as_array().expect("terms").clone();
    for term in terms.iter().filter(|term| term["account"] == who.id.to_string() && term["session"].is_null()) {
        let path = peer.path(&format!("/terms/{}/end", text(&term["id"])));
        world.server.request("POST", &path).token(&world.administrator.token).json(&json!({})).send().expect(204);
    }
}

/// How many rows each table of the group's own course has, and what they add up to.
fn course(server: &Server) -> Vec<String> {
    let tables =
        ["standings", "sessions", "head_counts", "head_count_versions", "readings", "hand_overs", "agreements"];
    let counts = tables.map(|table| format!("(SELECT COUNT(*) FROM {table})")).to_vec();
    let sums = ["(SELECT SUM(heads) FROM head_counts)", "(SELECT SUM(acknowledged) FROM readings)"].map(str::to_owned);
    let of_others = "(SELECT COUNT(*) FROM attendance_versions)".to_owned();
    let held = "(SELECT COUNT(*) FROM sessions WHERE led_by IS NOT NULL)".to_owned();
    let asked = counts.into_iter().chain(sums).chain([of_others, held]);
    asked.map(|what| found(&server.location, &format!("SELECT CAST({what} AS TEXT) AS line")).remove(0)).collect()
}

#[test]
fn an_erasure_leaves_no_link_to_what_somebody_led() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let led = Led::of(&world);
    let who = &led.who;
    let people = names_of(who, &peer.member.id);
    let places: Vec<&String> = led.sessions.iter().chain([&peer.id]).collect();
    let before = joined(server, &people, &places);
    let traces = [
        "access_entries",
        "agreements",
        "attendance_versions",
        "attendances",
        "breach_handlers",
        "head_count_versions",
        "head_counts",
        "hand_overs",
        "invitations",
        "members",
        "membership_intervals",
        "readings",
        "sessions",
        "standings",
    ];
    let missing: Vec<&str> = traces.into_iter().filter(|table| !before.contains(*table)).collect();
    assert!(server.location.is_postgres() || missing.is_empty(), "no trace in {missing:?}: {before:?}");
    let totals = course(server);

    let answer = erase(server, who, Some(&peer.id)).expect(200);
    assert_eq!(answer["statement"]["totals_before"], answer["statement"]["totals_after"]);
    assert_eq!(answer["statement"]["removed"]["terms"], 2, "{answer}");
    assert!(answer["statement"]["removed"]["links_as_lead"].as_i64().is_some_and(|links| links > 8), "{answer}");
    // The account is open, and nothing but what the statement names leads from it to the group.
    server.get(who, "/v1/account").expect(200);
    assert_eq!(course(server), totals);
    let left: BTreeSet<String> = ["access_entries".to_owned()].into();
    let after = joined(server, &people, &places);
    assert!(after.is_subset(&left), "{after:?}");
    assert_eq!(verify_at(&server.location, &masters()).expect("a verdict").faults, Vec::<String>::new());
    let own = export(server, who);
    assert_eq!((&own["standings"], &own["memberships"]), (&json!([]), &json!([])));

    // The group goes on: its meetings are read and corrected, and whoever comes next does not inherit who led.
    let session = peer.path(&format!("/sessions/{}", led.sessions[0]));
    let steward = peer.steward.as_ref().expect("a steward");
    for path in ["/meeting", "/meeting/versions", "/hand-over", "/attendances"] {
        server.get(&peer.lead, &format!("{session}{path}")).expect(200);
    }
    for path in ["/terms", "/rota", "/members", "/agreements", "/sessions", "/breach-reports"] {
        server.get(steward, &peer.path(path)).expect(200);
    }
    server.post(steward, &peer.path("/rota/proposals"), &json!({"seed": 1})).expect(200);
    let now = server.db.clock.now();
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "heads": 9,
        "members": [peer.second_member.id], "reason": "One more was there."
    });
    let version = server.version(&peer.lead, &session);
    server.change(&peer.lead, "PUT", &format!("{session}/meeting"), &version, &body).expect(200);
    let led_by = found(
        &server.location,
        &format!(
            "SELECT CAST(COUNT(*) AS TEXT) AS line FROM sessions WHERE led_by = {}",
            literal(&server.location, &peer.lead.id.to_string())
        ),
    );
    assert_eq!(led_by, ["0"]);
}

#[test]
fn two_who_led_and_went_are_the_same_nobody() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let led = Led::of(&world);
    let second = &peer.co_lead;
    let invited = server.post(&peer.lead, &peer.path("/members"), &json!({"name": "Finch"})).expect(201);
    world::accept(server, second, &text(&invited["code"]));
    let evening = Evening::new(&world);
    evening.send(second, &evening.body(3, &json!({}))).expect(200);
    // Whoever leads the group ends that first.
    erase(server, second, None).expect(409);
    end_whole_terms(&world, second);
    erase(server, &led.who, None).expect(200);
    erase(server, second, None).expect(200);
    let count = |sql: &str| found(&server.location, &format!("SELECT CAST(({sql}) AS TEXT) AS line")).remove(0);
    assert_eq!(count("SELECT COUNT(DISTINCT led_by) FROM sessions"), "1");
    assert_eq!(count("SELECT COUNT(*) FROM sessions WHERE led_by IS NOT NULL"), "2");
    // Of an account without a password.
    let terms =
        count("SELECT COUNT(*) FROM standings WHERE account_id IN (SELECT id FROM accounts WHERE password = '')");
    assert_eq!(terms, "3");
    let places: Vec<&String> = [&peer.id, &evening.session].into_iter().chain(&led.sessions).collect();
    for (who, member) in [(&led.who, &peer.member.id), (second, &text(&invited["id"]))] {
        let left = joined(server, &names_of(who, member), &places);
        assert!(left.is_empty() || left == ["access_entries".to_owned()].into(), "{left:?}");
    }
}

#[test]
fn a_statement_names_nobody_and_cannot_be_changed() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let member = &peer.member;
    let _ = Traces::of(&world);
    let answer = erase(server, &member.person, None).expect(200);
    let jws = text(&answer["jws"]);
    assert!(is_valid(server, &jws));
    let parts: Vec<&str> = jws.split('.').collect();
    let payload = BASE64URL_NOPAD.decode(parts[1].as_bytes()).expect("base64url");
    let payload: Value = serde_json::from_slice(&payload).expect("JSON");
    assert_eq!(payload, answer["statement"]);
    let whole = answer.to_string();
    let ids = [member.id.clone(), member.person.id.to_string(), peer.id.clone(), world.organization.to_string()];
    for name in ids.iter().map(String::as_str).chain(["Mira", "Peer group", "Riverside"]) {
        assert!(!whole.contains(name), "{name} stands in {whole}");
    }
    let mut changed = payload.clone();
    changed["removed"]["check_ins"] = json!(99);
    let changed = BASE64URL_NOPAD.encode(changed.to_string().as_bytes());
    assert!(!is_valid(server, &format!("{}.{changed}.{}", parts[0], parts[2])));
    // Neither without a signature, nor as the access token that it is not.
    let header = BASE64URL_NOPAD.encode(b"{\"alg\":\"none\"}");
    for forged in [format!("{header}.{}.", parts[1]), member.person.token.clone(), "x".into(), "a.b.c".into()] {
        assert!(!is_valid(server, &forged), "{forged}");
    }
    let key = server.request("GET", "/v1/statements/key").send().expect(200);
    let x = BASE64URL_NOPAD.decode(text(&key["x"]).as_bytes()).expect("base64url");
    let public = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, &x);
    let signature = BASE64URL_NOPAD.decode(parts[2].as_bytes()).expect("base64url");
    public.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature).expect("anybody can verify it");
    // Two statements over the same sums cannot be held against each other.
    let other = erase(server, &peer.former_member.person, None).expect(200);
    assert_ne!(other["statement"]["totals_after"], answer["statement"]["totals_after"]);
}

#[test]
fn an_erasure_is_refused_before_it_begins() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let member = &peer.member;
    let traces = Traces::of(&world);
    let unasked = server.post(&member.person, "/v1/account/erasures", &json!({"understood": false}));
    unasked.refuses("/understood");
    server.post(&member.person, "/v1/account/erasures", &json!({})).refuses("/understood");
    // A group of the other kind, of others, and one that does not exist are told apart by nothing.
    let nowhere = Id::random().to_string();
    let refused: Vec<String> =
        [&world.led.id, &nowhere].map(|group| erase(server, &member.person, Some(group)).text).to_vec();
    assert_eq!(refused[0], refused[1]);
    erase(server, &world.led.member.person, Some(&world.led.id)).refuses("/group");
    erase(server, &world.outsider, None).expect(200);
    // A told case first, though everything else is the same.
    let told = traces.report(world.organization, Some(member), "found", true);
    erase(server, &member.person, None).expect(409);
    assert_eq!(export(server, &member.person)["check_ins"].as_array().map(Vec::len), Some(3));
    traces.run(&format!("UPDATE breach_reports SET state = 'closed' WHERE id = {}", traces.id(&told)));
    // So does a term, also one to come.
    let path = peer.path("/terms");
    let body = json!({"standing": "facilitator", "from_at": server.db.clock.now().plus_days(20)});
    let code = server.post(&peer.lead, &path, &body).expect(201);
    world::accept(server, &member.person, code["code"].as_str().expect("a code"));
    erase(server, &member.person, None).expect(409);
    end_term(&world, peer, &member.person);
    erase(server, &member.person, None).expect(200);
}

#[test]
fn a_case_of_which_nobody_was_told_shows_in_nothing() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let member = &peer.member;
    let traces = Traces::of(&world);
    let report = traces.report(world.organization, Some(member), "received", false);
    let with_case = erase(server, &member.person, None).expect(200);
    let without = erase(server, &peer.second_member.person, None).expect(200);
    let kinds = |answer: &Value| -> BTreeSet<String> {
        let removed = answer["statement"]["removed"].as_object().expect("counts");
        // A pseudonym, for instance, only one of them had.
        removed.keys().filter(|kind| !kind.starts_with("pseudonym")).cloned().collect()
    };
    assert_eq!(kinds(&with_case), kinds(&without));
    assert_eq!(with_case["statement"]["removed"]["memberships"], 1);
    assert_eq!(with_case["statement"]["kept"], without["statement"]["kept"]);
    server.get(&member.person, &peer.path("")).expect(404);
    assert_eq!(export(server, &member.person)["memberships"], json!([]));
    if !server.location.is_postgres() {
        let places = places_of(server, &member.id);
        let kept = ["access_entries", "breach_reports", "data_keys", "members", "membership_intervals"];
        assert!(places.iter().all(|place| kept.iter().any(|table| place.starts_with(table))), "{places:?}");
        assert!(places.contains("breach_reports.subject_member_id"));
    }
    let row = server.get(&peer.lead, &peer.path(&format!("/members/{}", member.id))).expect(200);
    assert_eq!(row["state"], "left", "to the others, somebody left");
    // While the case is open, the link stays; when it is closed, it goes.
    let (caller, group) = (peer.lead.caller, peer.id.parse().expect("an id"));
    let finish = || {
        server.write(move |connection| {
            let permit = authorize::<act::HandleBreachReport>(connection, &caller, group)?;
            leaving::finish_erasures(connection, &permit)
        });
    };
    finish();
    server.get(&peer.lead, &peer.path(&format!("/members/{}", member.id))).expect(200);
    traces.run(&format!("UPDATE breach_reports SET state = 'closed' WHERE id = {}", traces.id(&report)));
    finish();
    server.get(&peer.lead, &peer.path(&format!("/members/{}", member.id))).expect(404);
    let places = places_of(server, &member.id);
    assert!(places.iter().all(|place| place == "access_entries.member_id"), "{places:?}");
}

#[test]
fn what_waits_for_a_case_goes_with_the_step_that_closes_it() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let about = json!({"about": {"member": peer.member.id}, "text": "It was told outside."});
    let report = server.post(&peer.second_member.person, &peer.path("/breach-reports"), &about).made();
    erase(server, &peer.member.person, None).expect(200);
    let path = peer.path(&format!("/breach-reports/{report}"));
    let step = |name: &str, body: &Value| {
        let version = server.version(&peer.lead, &path);
        server.change(&peer.lead, "POST", &format!("{path}/{name}"), &version, body).expect(200)
    };
    step("telling", &json!({"text": "Something was told outside."}));
    step("finding", &json!({"finding": "unclear", "text": "Nobody knows any more."}));
    let member = peer.path(&format!("/members/{}", peer.member.id));
    server.get(&peer.lead, &member).expect(200);
    let closed = step("closing", &json!({}));
    assert_eq!((&closed["state"], &closed["about"]["member"]), (&json!("closed"), &Value::Null));
    server.get(&peer.lead, &member).expect(404);
}

#[test]
fn two_erasures_at_once_count_once() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let traces = Traces::of(&world);
    let before = traces.counts();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let people = [&peer.member.person, &peer.member.person, &peer.second_member.person];
        let asked = people.map(|who| scope.spawn(|| erase(server, who, None).expect(200)));
        asked.map(|thread| thread.join().expect("an answer")).to_vec()
    });
    let gone: i64 = answers.iter().map(|answer| answer["statement"]["groups"].as_i64().expect("a number")).sum();
    assert_eq!(gone, 2);
    let check_ins: i64 = answers.iter().filter_map(|answer| answer["statement"]["removed"]["check_ins"].as_i64()).sum();
    assert_eq!(check_ins, 4);
    assert_eq!(traces.counts(), before);
}

#[test]
fn an_erased_member_opens_from_no_older_copy() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let _ = Traces::of(&world);
    let keys = |id: &str| {
        let sql = format!("SELECT 'x' AS line FROM \"data_keys\" WHERE owner_id = {}", literal(&server.location, id));
        found(&server.location, &sql).len()
    };
    assert_eq!(keys(&peer.member.id), 1);
    erase(server, &peer.member.person, None).expect(200);
    assert_eq!((keys(&peer.member.id), keys(&peer.second_member.id), keys(&peer.id)), (0, 1, 1));
}

#[test]
fn a_closed_account_is_gone_and_its_clinical_record_stays() {
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    let person = peer.member.person.clone();
    // The same person is a member of both kinds of group, and sends a referral.
    let traces = Traces::of(&world);
    let invited = server.post(&led.lead, &led.path("/members"), &json!({"name": "Mira B."})).expect(201);
    world::accept(server, &person, invited["code"].as_str().expect("a code"));
    let member = text(&invited["id"]);
    world::move_to(server, &led.lead, &led.id, &member, "active");
    let agreements = server.get(&led.lead, &led.path("/agreements")).expect(200);
    let consent = text(&agreements["items"][0]["id"]);
    server.post(&person, &led.path(&format!("/agreements/{consent}/signatures")), &json!({})).expect(201);
    let answered = json!({"instrument": "phq-2", "answers": {"phq-2.1": 1, "phq-2.2": 1}});
    let measure = server.post(&person, &led.path("/measures"), &answered).made();
    let id = |id: &str| literal(&server.location, id);
    let (account, now) = (id(&person.id.to_string()), Moment(traces.now).0);
    let nothing = bytes(&server.location, b"sealed");
    tamper(
        &server.location,
        &format!(
            "INSERT INTO referrals (id, group_id, account_id, shared, state, sent_at, version) \
             VALUES ({0}, {1}, {account}, {nothing}, 'sent', {now}, 1); \
             INSERT INTO feeds (id, account_id, token_hash, made_at) VALUES ({0}, {account}, {nothing}, {now})",
            id(&Id::random().to_string()),
            id(&led.id)
        ),
    );
    server.get(&person, &led.path("/process-notes")).expect(403);
    let wrong = json!({"password": "not this one at all"});
    let refused = server.request("DELETE", "/v1/account").token(&person.token).json(&wrong).send();
    refused.refuses("/password");
    let answer = close(server, &person).expect(200);
    assert!(is_valid(server, &text(&answer["jws"])));
    let removed = &answer["statement"]["removed"];
    assert_eq!((&removed["feeds"], &removed["referrals"], &removed["memberships"]), (&json!(1), &json!(1), &json!(1)));
    for path in ["/v1/account", "/v1/account/export", "/v1/account/standings"] {
        server.get(&person, path).expect(401);
    }
    close(server, &person).expect(401);
    let tokens = json!({"sign_in_name": person.sign_in_name, "password": PASSWORD});
    server.request("POST", "/v1/tokens").json(&tokens).send().expect(401);
    // The clinic keeps its record, opens it, and finds nobody behind it.
    let row = server.get(&led.lead, &led.path(&format!("/members/{member}"))).expect(200);
    assert_eq!((&row["state"], &row["has_account"], &row["name"]), (&json!("left"), &json!(false), &json!("Mira B.")));
    server.get(&led.lead, &led.path(&format!("/measures/{measure}"))).expect(200);
    server.get(&led.lead, &led.path(&format!("/measures/{measure}/versions"))).expect(200);
    server.get(&led.lead, &led.path("/signatures")).expect(200);
    let places = places_of(server, &person.id.to_string());
    let kept: BTreeSet<String> =
        ["accounts.id", "access_entries.account_id", "referrals.account_id"].map(Into::into).into();
    assert!(places.is_subset(&kept), "{places:?}");
    assert!(places_of(server, &peer.member.id).iter().all(|place| place == "access_entries.member_id"));
    // The log of those who saw things still opens, without the name.
    let log = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let log = server.get(&world.privacy_officer, &log).expect(200);
    let own = log["items"].as_array().expect("entries").iter().find(|entry| entry["account"] == person.id.to_string());
    assert!(own.expect("an entry")["name"].is_null());
}

#[test]
fn the_access_log_does_not_join_the_memberships_of_a_closed_account() {
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    let person = &peer.member.person;
    let invited = server.post(&led.lead, &led.path("/members"), &json!({"name": "Mira B."})).expect(201);
    world::accept(server, person, &text(&invited["code"]));
    let account = literal(&server.location, &person.id.to_string());
    let joins =
        format!("SELECT action AS line FROM access_entries WHERE account_id = {account} AND member_id IS NOT NULL");
    close(server, person).expect(200);
    assert_eq!(found(&server.location, &joins), Vec::<String>::new());
    // What others did with their records is still there.
    let member = literal(&server.location, &text(&invited["id"]));
    let seen = format!("SELECT action AS line FROM access_entries WHERE member_id = {member}");
    assert!(found(&server.location, &seen).contains(&"InviteMember".to_owned()));
}

#[test]
fn a_therapist_who_closes_leaves_a_group_that_works() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let leaver = &led.co_lead;
    let note = server.post(leaver, &led.path("/process-notes"), &json!({"text": "I was the heron."})).made();
    let body = json!({"member": led.member.id, "occurred_at": server.db.clock.now(), "text": "Spoke of the week."});
    let entry = server.post(leaver, &led.path("/progress-entries"), &body).made();
    let path = led.path(&format!("/progress-entries/{entry}"));
    let version = server.version(leaver, &path);
    server.change(leaver, "POST", &format!("{path}/signature"), &version, &json!({})).expect(200);
    close(server, leaver).expect(200);
    let notes = format!("SELECT 'x' AS line FROM \"process_notes\" WHERE id = {}", literal(&server.location, &note));
    assert_eq!(found(&server.location, &notes).len(), 1, "kept, and open to nobody");
    // What they wrote for the group is the group's.
    assert_eq!(server.get(&led.lead, &path).expect(200)["text"], "Spoke of the week.");
    let organization = |rest: &str| format!("/v1/organizations/{}{rest}", world.organization);
    for rest in ["/licences?limit=200", "/people?limit=200"] {
        server.get(&world.administrator, &organization(rest)).expect(200);
    }
    server.get(&world.privacy_officer, &organization("/access-log?limit=200")).expect(200);
    let terms = server.get(&led.lead, &led.path("/terms")).expect(200);
    assert!(!terms.to_string().contains(&leaver.id.to_string()), "{terms}");
    let log = server.get(&led.member.person, "/v1/account/access-log?limit=200").expect(200);
    assert!(!log.to_string().contains(&leaver.name), "{log}");
    // Now the other one is the last.
    close(server, &led.lead).expect(409);
    server.get(&led.lead, &led.path("")).expect(200);
}

#[test]
fn the_last_one_cannot_close_the_account() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let steward = peer.steward.as_ref().expect("a steward");
    for last in [steward, &world.administrator] {
        let answer = close(server, last);
        assert_eq!(answer.status, 409, "{}: {}", last.name, answer.text);
        server.get(last, "/v1/account").expect(200);
    }
    // A facilitator can: the steward stands in.
    close(server, &peer.co_lead).expect(200);
    let second = world::lead(server, &world.administrator, world.organization, &peer.id, "steward", "Stew Second");
    close(server, steward).expect(200);
    close(server, &second).expect(409);
}

#[test]
fn the_last_privacy_officer_cannot_close_the_account() {
    let world = World::new();
    close(&world.server, &world.privacy_officer).expect(409);
}

#[test]
fn of_two_stewards_who_close_at_once_one_stays() {
    for _ in 0..3 {
        let world = World::new();
        let (server, peer) = (&world.server, &world.peer);
        let steward = peer.steward.clone().expect("a steward");
        let second = world::lead(server, &world.administrator, world.organization, &peer.id, "steward", "Stew Second");
        let mut statuses: Vec<u16> = std::thread::scope(|scope| {
            let threads = [&steward, &second].map(|who| scope.spawn(|| close(server, who).status));
            threads.map(|thread| thread.join().expect("an answer")).to_vec()
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

#[test]
fn guessing_the_password_pauses_closing() {
    let world = World::new();
    let server = &world.server;
    let who = &world.outsider;
    let wrong = json!({"password": "not this one at all"});
    let guess = || server.request("DELETE", "/v1/account").token(&who.token).json(&wrong).send();
    for _ in 0..6 {
        guess().refuses("/password");
    }
    assert!(guess().expect(429)["status"] == 429);
    close(server, who).expect(429);
    server.travel_days(1);
    close(server, who).expect(200);
}

#[test]
fn a_closed_accounts_name_is_free_again_and_its_terms_are_over() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let gone = &peer.co_lead;
    close(server, gone).expect(200);
    let terms = server.get(&peer.lead, &peer.path("/terms")).expect(200);
    assert!(!terms.to_string().contains(&gone.id.to_string()), "{terms}");
    let name = gone.sign_in_name.clone();
    let key = server.db.installation().index("sign-in", &name);
    server.write(move |connection| {
        let profile = circlekeeper::store::accounts::Profile {
            name: "Somebody Else",
            email: None,
            country: None,
            language: "en",
            zone: "UTC",
        };
        circlekeeper::store::accounts::insert(connection, &name, &key, "$argon2id$", &profile)
    });
}

#[test]
fn a_told_case_holds_an_account_until_it_is_closed() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let traces = Traces::of(&world);
    let report = traces.report(world.organization, Some(&peer.member), "voting", true);
    close(server, &peer.member.person).expect(409);
    server.get(&peer.member.person, &peer.path("")).expect(200);
    traces.run(&format!("UPDATE breach_reports SET state = 'closed' WHERE id = {}", traces.id(&report)));
    close(server, &peer.member.person).expect(200);
}
