//! What lies in the columns: which are sealed, that each value opens in its own place alone, and that the files of the demo
//! tell nothing of its people.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hkdf,
};
use circlekeeper::{
    config::ServerConfig,
    demo,
    identity::hash_of,
    store::{
        backup,
        connection::{Clock, Db, Location},
    },
};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use serde_json::{Value, json};

use crate::{
    harness::{MASTER, PASSWORD, Server, fresh_database, masters},
    leaving::found,
    operations::operations,
    scene::Scene,
    sealing::seeded,
};

/// What stands in a column of text or bytes.
#[derive(Clone, Copy, Debug)]
enum Holds {
    /// Ciphertext under the data key of an owner, bound to a place and a row.
    Sealed(Sealed),
    /// A keyed hash, or a chain's: found again, and not guessed.
    Keyed,
    /// A digest of what is random and long, or a password's slow hash.
    Digest,
    /// A data key, wrapped under a master key.
    Wrapped,
    /// Words of the program's own lists, codes of standards (countries, languages, zones, currencies): no prose.
    Word,
    /// A day, a month, a quarter, or a wall time.
    Day,
    /// What an organization says of itself, its groups and its material, to whoever comes: of no member.
    Public,
    /// Figures about members that stay readable, because the database counts, sorts and sums them; docs/keys.md says so.
    Figures,
    /// A key of the client's own making.
    ClientKey,
}

/// How a column is sealed: whose key, and the row that it is bound to, as SQL over the row `t`.
#[derive(Clone, Copy, Debug)]
struct Sealed {
    /// `table.column` as it is bound; that of the column itself when empty. A former version stays bound as it was sealed.
    place: &'static str,
    owner: &'static str,
    row: Row,
}

#[derive(Clone, Copy, Debug)]
enum Row {
    Id(&'static str),
    /// A session and a version, bound as one.
    SessionVersion,
    /// The caller's key of a kept answer.
    ClientKey,
}

const fn own(owner: &'static str) -> Holds {
    Holds::Sealed(Sealed { place: "", owner, row: Row::Id("id") })
}

const fn at(owner: &'static str, row: &'static str) -> Holds {
    Holds::Sealed(Sealed { place: "", owner, row: Row::Id(row) })
}

const fn version_of(place: &'static str, owner: &'static str, row: &'static str) -> Holds {
    Holds::Sealed(Sealed { place, owner, row: Row::Id(row) })
}

use Holds::{ClientKey, Day, Digest, Figures, Keyed, Public, Word, Wrapped};

/// Every column that can hold what a person writes. A new one is said here by whoever adds it: there is no default.
const COLUMNS: &[(&str, Holds)] = &[
    ("data_keys.wrapped", Wrapped),
    ("accounts.sign_in_key", Keyed),
    ("accounts.sign_in_name", own("id")),
    ("accounts.name", own("id")),
    ("accounts.email", own("id")),
    ("accounts.country", Word),
    ("accounts.language", Word),
    ("accounts.zone", Word),
    ("accounts.password", Digest),
    ("accounts.second_factor", own("id")),
    ("recovery_codes.code_hash", Digest),
    ("sign_ins.device", own("account_id")),
    ("sign_ins.ended_because", Word),
    ("refresh_tokens.token_hash", Digest),
    ("back_offs.subject", Keyed),
    ("idempotent_answers.key", ClientKey),
    ("idempotent_answers.request_hash", Keyed),
    ("idempotent_answers.answer", Holds::Sealed(Sealed { place: "", owner: "caller_id", row: Row::ClientKey })),
    ("organizations.name", Public),
    ("groups.kind", Word),
    ("groups.state", Word),
    ("groups.title", Public),
    ("groups.public_description", Public),
    ("groups.private_description", own("id")),
    ("groups.conditions", Public),
    ("groups.approaches", Public),
    ("groups.format", Word),
    ("groups.place", Public),
    ("groups.language", Word),
    ("groups.zone", Word),
    ("groups.fee_currency", Word),
    ("groups.fee_period", Word),
    ("groups.insurance", Public),
    ("groups.recording_policy", Word),
    ("suspensions.reason", own("organization_id")),
    ("invitations.standing", Word),
    ("invitations.code_hash", Digest),
    ("licences.licence_type", Public),
    ("licences.number", own("account_id")),
    ("licences.body", Public),
    ("licences.jurisdiction", Public),
    ("licences.valid_from", Day),
    ("licences.expires_on", Day),
    ("members.name", own("id")),
    ("members.state", Word),
    ("members.attendance_mode", Word),
    ("membership_intervals.state", Word),
    ("membership_intervals.reason", own("member_id")),
    ("agreements.purpose", Word),
    ("agreements.title", Public),
    ("agreements.text", Public),
    ("agenda_templates.title", Public),
    ("agenda_templates.items", Public),
    ("sessions.state", Word),
    ("sessions.title", Public),
    ("sessions.modality", Word),
    ("sessions.starts_local", Day),
    ("sessions.zone", Word),
    ("sessions.cancelled_reason", own("group_id")),
    ("sessions.recording", Word),
    ("agenda_items.technique", Word),
    ("agenda_items.objective", own("group_id")),
    ("agenda_items.factors", Word),
    ("agenda_items.homework", own("group_id")),
    ("agenda_deliveries.delivered", Word),
    ("attendances.status", Word),
    ("attendances.modality", Word),
    ("attendances.reason", own("member_id")),
    ("attendance_versions.status", Word),
    ("attendance_versions.modality", Word),
    (
        "attendance_versions.reason",
        version_of(
            "attendances.reason",
            "(SELECT member_id FROM attendances WHERE id = t.attendance_id)",
            "attendance_id",
        ),
    ),
    ("measure_schedules.instrument", Word),
    ("measures.instrument", Word),
    ("measures.instrument_version", Word),
    ("measures.respondent", Word),
    ("measures.answers", own("member_id")),
    ("measures.no_score", Word),
    ("measures.band", Figures),
    ("measures.subscales", Figures),
    ("measures.risk", Word),
    ("measures.reason", own("member_id")),
    ("measure_versions.respondent", Word),
    (
        "measure_versions.answers",
        version_of("measures.answers", "(SELECT member_id FROM measures WHERE id = t.measure_id)", "measure_id"),
    ),
    ("measure_versions.no_score", Word),
    ("measure_versions.band", Figures),
    ("measure_versions.subscales", Figures),
    ("measure_versions.risk", Word),
    (
        "measure_versions.reason",
        version_of("measures.reason", "(SELECT member_id FROM measures WHERE id = t.measure_id)", "measure_id"),
    ),
    ("session_records.text", own("group_id")),
    ("session_records.state", Word),
    ("session_record_addenda.text", own("group_id")),
    ("progress_entries.text", own("member_id")),
    ("progress_entries.state", Word),
    ("progress_entry_addenda.text", own("(SELECT member_id FROM progress_entries WHERE id = t.progress_entry_id)")),
    ("process_notes.text", own("author_id")),
    ("process_notes.state", Word),
    ("process_note_addenda.text", own("author_id")),
    ("access_chains.predecessors", Digest),
    ("access_chains.head", Digest),
    ("access_chains.seal", Keyed),
    ("access_entries.action", Word),
    ("access_entries.standing", Word),
    ("access_entries.hash", Keyed),
    ("standings.standing", Word),
    ("peer_settings.attendance_mode", Word),
    ("peer_settings.breach_policy", Word),
    ("absences.from_on", Day),
    ("absences.until_on", Day),
    ("term_offers.state", Word),
    ("hand_overs.text", at("group_id", "session_id")),
    ("services.service", Word),
    ("services.month", Day),
    ("head_count_versions.reason", Holds::Sealed(Sealed { place: "", owner: "group_id", row: Row::SessionVersion })),
    ("pseudonyms.owner", Keyed),
    ("pseudonyms.name", own("group_id")),
    ("session_codes.code_key", Keyed),
    ("session_codes.code", at("group_id", "session_id")),
    ("visits.visit_key", Keyed),
    ("proofs.proof_key", Keyed),
    ("check_ins.visibility", Word),
    ("check_ins.content", own("member_id")),
    ("check_ins.local_day", Day),
    ("check_ins.zone", Word),
    ("erased_totals.totals", at("group_id", "group_id")),
    ("topics.text", own("group_id")),
    ("topics.state", Word),
    ("topics.owner", Keyed),
    ("topics.proposed_on", Day),
    ("topic_supports.owner", Keyed),
    ("tips.text", own("group_id")),
    ("tips.link", own("group_id")),
    ("tips.owner", Keyed),
    ("tips.given_on", Day),
    ("breach_reports.reporter", Keyed),
    ("breach_reports.text", own("id")),
    ("breach_reports.breach_policy", Word),
    ("breach_reports.state", Word),
    ("breach_reports.told", own("id")),
    ("breach_reports.finding", Word),
    ("breach_reports.finding_text", own("id")),
    ("outside_reports.made_to", Word),
    ("outside_reports.made_on", Day),
    ("outside_reports.reference", own("report_id")),
    ("decisions.question", own("group_id")),
    ("decisions.options", Word),
    ("decisions.tally", own("group_id")),
    ("decisions.outcome", Word),
    ("consequences.consequence", Word),
    ("consequences.review_on", Day),
    ("consequences.appeal", own("report_id")),
    ("consequences.appeal_outcome", Word),
    ("referrals.shared", own("id")),
    ("referrals.state", Word),
    ("referrals.answer", own("id")),
    ("referrals.code", own("id")),
    ("amendment_requests.record_kind", Word),
    ("amendment_requests.content", own("member_id")),
    ("amendment_requests.state", Word),
    ("amendment_steps.step", Word),
    ("amendment_steps.basis", Word),
    ("amendment_steps.words", own("(SELECT member_id FROM amendment_requests WHERE id = t.request_id)")),
    ("amendment_steps.disclosures", Word),
    ("emergency_accesses.reason", own("member_id")),
    ("emergency_accesses.finding", Word),
    ("emergency_accesses.words", own("member_id")),
    ("retention_rules.kind", Word),
    ("retention_rules.counted_from", Word),
    ("retention_targets.kind", Word),
    ("retention_holds.reason", own("member_id")),
    ("retired_outcomes.totals", at("group_id", "group_id")),
    ("feeds.token_hash", Digest),
    ("risks.risk", Word),
    ("risks.state", Word),
    ("risks.disposition", Word),
    ("risk_steps.step", Word),
    ("risk_steps.risk", Word),
    ("risk_steps.disposition", Word),
    ("risk_steps.note", own("(SELECT member_id FROM risks WHERE id = t.risk_id)")),
    ("goals.proposed_as", Word),
    ("goals.outcome", Word),
    ("goals.ended_as", Word),
    ("goals.ending_words", own("member_id")),
    ("goal_wordings.content", own("(SELECT member_id FROM goals WHERE id = t.goal_id)")),
    ("goal_wordings.written_as", Word),
    ("goal_ratings.rated_as", Word),
    ("goal_ratings.words", own("member_id")),
    ("goal_ratings.reason", own("member_id")),
    (
        "goal_rating_versions.words",
        version_of("goal_ratings.words", "(SELECT member_id FROM goal_ratings WHERE id = t.rating_id)", "rating_id"),
    ),
    (
        "goal_rating_versions.reason",
        version_of("goal_ratings.reason", "(SELECT member_id FROM goal_ratings WHERE id = t.rating_id)", "rating_id"),
    ),
    ("homework.text", own("member_id")),
    ("homework.due_on", Day),
    ("homework.withdrawn_reason", own("member_id")),
    ("homework_reports.said", Word),
    ("homework_reports.words", own("member_id")),
    ("homework_reports.reported_as", Word),
    ("homework_report_versions.said", Word),
    (
        "homework_report_versions.words",
        version_of(
            "homework_reports.words",
            "(SELECT member_id FROM homework_reports WHERE id = t.report_id)",
            "report_id",
        ),
    ),
    ("homework_report_versions.reported_as", Word),
    ("disclosures.purpose", Word),
    ("disclosures.recipient", own("member_id")),
    ("disclosures.parts", Word),
    ("outcome_releases.quarter", Day),
    ("outcome_releases.figures", own("scope_id")),
];

/// The columns of text and of bytes, as the schema has them.
fn columns_of_the_schema() -> BTreeSet<String> {
    let mut table = "";
    let mut columns = BTreeSet::new();
    for line in include_str!("../../src/store/schema.rs").lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            table = name;
        } else if let Some((name, kind)) = line.split_once(" -> ")
            && (kind.contains("Text") || kind.contains("Binary"))
        {
            columns.insert(format!("{table}.{name}"));
        }
    }
    columns
}

#[test]
fn no_column_is_added_of_which_nobody_said_what_it_holds() {
    let said: BTreeSet<String> = COLUMNS.iter().map(|(column, _)| (*column).to_owned()).collect();
    assert_eq!(said.len(), COLUMNS.len(), "a column is said twice");
    let there = columns_of_the_schema();
    let missing: Vec<_> = there.difference(&said).collect();
    assert!(
        missing.is_empty(),
        "say in tests/api/at_rest.rs what these hold, and seal what a person writes: {missing:?}"
    );
    let gone: Vec<_> = said.difference(&there).collect();
    assert!(gone.is_empty(), "{gone:?}");
}

/// One value that is kept sealed, with the place where it opens.
struct Kept {
    column: &'static str,
    place: String,
    row: [u8; 16],
    owner: [u8; 16],
    bytes: Vec<u8>,
}

/// Opens what is kept as the store does, from what the file holds and the master key alone: written apart from the store, so
/// that a slip there is no slip here.
struct Opener {
    keys: HashMap<[u8; 16], RandomizedNonceKey>,
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).expect("hex")
}

pub fn open(key: &RandomizedNonceKey, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_at_checked(12)?;
    let mut bytes = rest.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let length = key.open_in_place(nonce, Aad::from(bound), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// The key under which the master key of the tests wraps data keys.
pub fn wrapping_key() -> RandomizedNonceKey {
    let master = BASE64.decode(MASTER.split_once(':').expect("a name").1.as_bytes()).expect("base64");
    let mut wrapping = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"circlekeeper")
        .extract(&master)
        .expand(&[b"wrapping"], hkdf::HKDF_SHA256)
        .and_then(|material| material.fill(&mut wrapping))
        .expect("a key");
    RandomizedNonceKey::new(&AES_256_GCM, &wrapping).expect("a key")
}

impl Opener {
    fn of(location: &Location) -> Opener {
        let wrapping = wrapping_key();
        let (id, bytes) = (as_id(location, "owner_id"), as_bytes(location, "wrapped"));
        let rows = found(location, &format!("SELECT {id} || ' ' || {bytes} AS line FROM data_keys"));
        let keys = rows.iter().map(|row| {
            let (owner, wrapped) = row.split_once(' ').expect("two parts");
            let (owner, wrapped) = (hex(owner), hex(wrapped));
            let key = open(&wrapping, &owner, &wrapped[1 + wrapped[0] as usize..]).expect("a data key opens");
            (owner.try_into().expect("an id"), RandomizedNonceKey::new(&AES_256_GCM, &key).expect("a key"))
        });
        Opener { keys: keys.collect() }
    }

    fn open(&self, place: &str, row: &[u8; 16], owner: &[u8; 16], bytes: &[u8]) -> Option<Vec<u8>> {
        open(self.keys.get(owner)?, &[place.as_bytes(), row, owner].concat(), bytes)
    }

    fn text(&self, kept: &Kept) -> String {
        let opened = self.open(&kept.place, &kept.row, &kept.owner, &kept.bytes);
        let opened = opened.unwrap_or_else(|| panic!("a value of {} does not open in its place", kept.column));
        String::from_utf8(opened).expect("text")
    }
}

fn as_id(location: &Location, id: &str) -> String {
    if location.is_postgres() { format!("replace(({id})::text, '-', '')") } else { format!("lower(hex({id}))") }
}

fn as_bytes(location: &Location, bytes: &str) -> String {
    if location.is_postgres() { format!("encode({bytes}, 'hex')") } else { format!("lower(hex({bytes}))") }
}

/// Every sealed value of a database.
fn kept(location: &Location) -> Vec<Kept> {
    let mut kept = Vec::new();
    for (column, holds) in COLUMNS {
        let Holds::Sealed(sealed) = holds else { continue };
        let (table, name) = column.split_once('.').expect("a table");
        let qualified = |sql: &str| if sql.starts_with('(') { sql.to_owned() } else { format!("t.{sql}") };
        let owner = as_id(location, &qualified(sealed.owner));
        let row = match sealed.row {
            Row::Id(row) => as_id(location, &qualified(row)),
            Row::SessionVersion => {
                format!("{} || '/' || CAST(t.version AS TEXT)", as_id(location, "t.session_id"))
            }
            Row::ClientKey => "t.key".into(),
        };
        let bytes = as_bytes(location, &format!("t.\"{name}\""));
        let sql = format!(
            "SELECT {owner} || ' ' || {row} || ' ' || {bytes} AS line FROM \"{table}\" t WHERE length(t.\"{name}\") > 0"
        );
        for line in found(location, &sql) {
            let mut parts = line.split(' ');
            let mut part = || parts.next().expect("three parts");
            let (owner, row, bytes) = (part(), part(), part());
            let row: [u8; 16] = match sealed.row {
                Row::Id(_) => hex(row).try_into().expect("an id"),
                Row::SessionVersion => {
                    let (session, version) = row.split_once('/').expect("two parts");
                    let session = u128::from_be_bytes(hex(session).try_into().expect("an id"));
                    (session ^ version.parse::<u128>().expect("a version")).to_be_bytes()
                }
                Row::ClientKey => hash_of(row)[..16].try_into().expect("16 bytes"),
            };
            let place = if sealed.place.is_empty() { *column } else { sealed.place };
            let owner = hex(owner).try_into().expect("an id");
            kept.push(Kept { column, place: place.to_owned(), row, owner, bytes: hex(bytes) });
        }
    }
    kept
}

/// Sealed columns in which neither world need have anything: their operations refuse the contract's example there.
const RARE: &[&str] = &[
    "accounts.second_factor",
    "attendance_versions.reason",
    "session_record_addenda.text",
    "process_note_addenda.text",
    "head_count_versions.reason",
    "pseudonyms.name",
    "session_codes.code",
    "erased_totals.totals",
    "goal_ratings.words",
    "goal_ratings.reason",
    "goal_rating_versions.words",
    "goal_rating_versions.reason",
    "homework_reports.words",
    "homework_report_versions.words",
    "disclosures.recipient",
    "outcome_releases.figures",
    "retired_outcomes.totals",
];

/// Sends what the contract gives as an example of each change, as somebody who may: whatever comes of it, rows of many kinds
/// are left behind.
fn live_through_the_contract(scene: &Scene) {
    let server = &scene.world.server;
    const ENDS: [&str; 4] =
        ["/v1/account/erasures", "/v1/account/password", "/v1/organizations/{organization}", "revocation"];
    for operation in operations() {
        let ends = ENDS.iter().any(|end| operation.path.ends_with(end));
        let Some(example) = operation.example.as_ref().filter(|_| !ends && operation.method != "DELETE") else {
            continue;
        };
        let (who, path) = scene.allowed(&operation);
        let who = server.again(&who);
        let mut request = server.request(&operation.method, &path).token(&who.token).json(example);
        if operation.method == "POST" {
            request = request.key(&format!("once-{}", operation.id));
        }
        if operation.needs_version {
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            let version = [path.as_str(), above].iter().find_map(|path| server.get(&who, path).header("etag"));
            request = request.version(&version.unwrap_or_else(|| "\"1\"".into()));
        }
        request.send();
    }
}

/// Opens every sealed value where it belongs, and tries to everywhere else. Returns the columns that hold one.
fn opens_only_in_place(location: &Location) -> BTreeSet<&'static str> {
    /// Of many values alike, so many are tried.
    const TRIED: usize = 20;
    let kept = kept(location);
    let opener = Opener::of(location);
    let places: BTreeSet<&str> = kept.iter().map(|kept| kept.place.as_str()).collect();
    let owners: BTreeSet<[u8; 16]> = kept.iter().map(|kept| kept.owner).collect();
    for value in &kept {
        let text = opener.text(value);
        let plain = value.bytes.windows(text.len().max(4)).any(|window| window == text.as_bytes());
        assert!(!plain, "{} holds plain text", value.column);
        let moved = |place: &str, row: &[u8; 16], owner: &[u8; 16], to: &str| {
            let opened = opener.open(place, row, owner, &value.bytes);
            assert!(opened.is_none(), "a value of {} opens in {to}", value.column);
        };
        for place in places.iter().filter(|place| **place != value.place) {
            moved(place, &value.row, &value.owner, place);
        }
        let others = kept.iter().filter(|other| other.column == value.column && other.row != value.row);
        for other in others.take(TRIED) {
            moved(&value.place, &other.row, &value.owner, "another row of its owner");
            moved(&value.place, &other.row, &other.owner, "another row");
        }
        for owner in owners.iter().filter(|owner| **owner != value.owner).take(TRIED) {
            moved(&value.place, &value.row, owner, "its row, under another owner");
        }
    }
    kept.iter().map(|kept| kept.column).collect()
}

#[test]
fn every_sealed_value_opens_in_its_own_place_and_in_no_other() {
    let scene = Scene::new();
    live_through_the_contract(&scene);
    let mut filled = opens_only_in_place(&scene.world.server.location);
    filled.extend(opens_only_in_place(&seeded().world.server.location));
    let sealed = COLUMNS.iter().filter(|(_, holds)| matches!(holds, Holds::Sealed(_))).map(|(column, _)| *column);
    let empty: Vec<&str> = sealed.filter(|column| !filled.contains(column)).collect();
    assert!(empty.iter().all(|column| RARE.contains(column)), "nothing was looked at in {empty:?}");
}

#[test]
fn what_is_not_sealed_is_no_prose() {
    let scene = Scene::new();
    let location = &scene.world.server.location;
    for (column, holds) in COLUMNS {
        let (table, name) = column.split_once('.').expect("a table");
        let sql = |value: &str| format!("SELECT {value} AS line FROM \"{table}\" WHERE \"{name}\" IS NOT NULL");
        match holds {
            Word | Day => {
                for value in found(location, &sql(&format!("\"{name}\""))) {
                    assert!(!value.contains(char::is_whitespace), "{column} holds {value:?}");
                    let is_day = value.chars().all(|c| c.is_ascii_digit() || "-:.TQ".contains(c));
                    assert!(matches!(holds, Word) || is_day, "{column} holds {value:?}");
                }
            }
            Keyed => {
                for value in found(location, &sql(&as_bytes(location, &format!("\"{name}\"")))) {
                    assert_eq!(value.len(), 64, "{column} is no hash");
                }
            }
            _ => {}
        }
    }
}

/// The texts in an answer: what has a space in it, or is somebody's name; and the items of an instrument that were answered.
fn texts_of(value: &Value, name: &str, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.contains(' ') || name.contains("name") => {
            texts.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| texts_of(value, name, texts)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name.contains('.') {
                    texts.insert(format!("\"{name}\""));
                }
                texts_of(value, name, texts);
            }
        }
        _ => {}
    }
}

/// What the people of the demo read of themselves and of each other.
fn told_to(server: &Server, sign_in_names: &[String]) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for sign_in_name in sign_in_names {
        let body = json!({"sign_in_name": sign_in_name, "password": PASSWORD});
        let token = server.request("POST", "/v1/tokens").json(&body).send().expect(201);
        let token = token["access_token"].as_str().expect("a token").to_owned();
        let mut get = |path: &str| {
            let answer = server.request("GET", path).token(&token).send();
            let body = answer.json();
            if answer.status == 200 {
                texts_of(&body, "", &mut texts);
            }
            (answer.status == 200).then_some(body)
        };
        let mut groups = BTreeSet::new();
        for path in ["", "/export", "/check-ins/trend", "/referrals", "/disclosures", "/cases"] {
            get(&format!("/v1/account{path}"));
        }
        for standing in get("/v1/account/standings").expect("standings")["items"].as_array().expect("a list") {
            groups.extend(standing["group"].as_str().map(str::to_owned));
            if let Some(organization) = standing["organization"].as_str() {
                get(&format!("/v1/organizations/{organization}/people?limit=200"));
                get(&format!("/v1/organizations/{organization}/licences?limit=200"));
            }
        }
        for group in groups {
            let mut of_group = |path: &str| get(&format!("/v1/groups/{group}/{path}"));
            let lists = [
                "members",
                "process-notes",
                "check-ins",
                "shared-check-ins",
                "topics",
                "tips",
                "goals",
                "homework",
                "risks",
                "hand-over",
                "referrals",
                "breach-reports",
                "decisions",
                "appeals",
                "terms",
            ];
            for list in lists {
                of_group(&format!("{list}?limit=200")).or_else(|| of_group(list));
            }
            if of_group("progress-entries?limit=200").is_none() {
                continue;
            }
            let Some(sessions) = of_group("sessions?limit=200") else { continue };
            for session in sessions["items"].as_array().into_iter().flatten() {
                let id = session["id"].as_str().expect("an id");
                of_group(&format!("sessions/{id}"));
                of_group(&format!("sessions/{id}/session-record"));
            }
            for kind in ["measures", "goals"] {
                for item in of_group(&format!("{kind}?limit=200")).iter().flat_map(|page| page["items"].as_array()) {
                    for id in item.iter().take(20).filter_map(|item| item["id"].as_str()) {
                        of_group(&format!("{kind}/{id}"));
                    }
                }
            }
        }
    }
    texts
}

/// The files in which PostgreSQL keeps this database, and its log of changes.
#[cfg(feature = "postgres")]
fn files_of_cluster(location: &Location) -> Vec<PathBuf> {
    let Some(cluster) = crate::postgres::cluster() else { return Vec::new() };
    // What it remembers has to be in its files first.
    cluster.execute("CHECKPOINT");
    let directory = cluster.data();
    let folder = found(location, "SELECT oid::text AS line FROM pg_database WHERE datname = current_database()");
    let mut files = Vec::new();
    for folder in [directory.join("base").join(&folder[0]), directory.join("pg_wal")] {
        // Whoever runs the tests as another user than the cluster's may not look.
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        files.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    files
}

#[cfg(not(feature = "postgres"))]
fn files_of_cluster(_: &Location) -> Vec<PathBuf> {
    Vec::new()
}

fn holds(file: &Path, secrets: &BTreeSet<String>) -> Vec<String> {
    let bytes = std::fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    secrets.iter().filter(|secret| text.contains(secret.as_str())).cloned().collect()
}

#[test]
fn the_demos_files_hold_none_of_its_names_texts_and_answers() {
    let (location, directory) = fresh_database();
    let db = Db::open(&location, masters(), Clock::default()).expect("the database opens");
    let story = demo::fill(&db, &ServerConfig::default()).unwrap_or_else(|problem| panic!("{problem:?}"));
    drop(db);
    let config = ServerConfig { hashing: Some(2), ..ServerConfig::default() };
    let server = Server::start_on(location, directory, config);
    let location = &server.location;
    let told = story.told("127.0.0.1:8080".parse().expect("an address"));
    let lines = told.lines().skip_while(|line| !line.starts_with("Everybody's")).skip(1);
    let people: Vec<String> = lines
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    assert!(people.len() > 5, "{told}");
    let mut secrets = told_to(&server, &people);
    let read = secrets.len();
    secrets.extend(people.iter().cloned());
    opens_only_in_place(location);
    // And whatever is sealed, whoever may read it.
    let opener = Opener::of(location);
    for kept in kept(location) {
        let text = opener.text(&kept);
        match serde_json::from_str::<Value>(&text) {
            Ok(value) if value.is_object() || value.is_array() => texts_of(&value, "", &mut secrets),
            _ => drop(secrets.insert(text)),
        }
    }
    // What an organization says to everybody is no secret; and of four letters some are found in any file.
    let mut open: BTreeMap<&str, String> = BTreeMap::new();
    for (column, _) in COLUMNS.iter().filter(|(_, holds)| matches!(holds, Public | Word | Day | Figures)) {
        let (table, name) = column.split_once('.').expect("a table");
        let sql = format!("SELECT \"{name}\" AS line FROM \"{table}\" WHERE \"{name}\" IS NOT NULL");
        let mut values = found(location, &sql);
        values.sort();
        values.dedup();
        open.insert(column, values.join("\n"));
    }
    secrets.retain(|secret| secret.len() >= 6 && !open.values().any(|text| text.contains(secret.as_str())));
    assert!(read > 100 && secrets.len() > 300, "{read} texts were read, {} are looked for", secrets.len());
    for sure in ["ari.finch", "\"phq-9.1\"", "Dana Okafor"] {
        assert!(secrets.contains(sure), "{sure:?} is not among what is looked for");
    }
    let mut files = Vec::new();
    let scratch = tempfile::tempdir().expect("a directory");
    match location.file() {
        Some(file) => {
            let copy = scratch.path().join("copy.db");
            backup::copy(location, &copy).expect("a copy");
            files.extend([PathBuf::from(file), PathBuf::from(format!("{file}-wal")), backup::keys_beside(&copy), copy]);
        }
        None => files.extend(files_of_cluster(location)),
    }
    let mut looked_at = 0;
    for file in &files {
        looked_at += std::fs::metadata(file).map_or(0, |data| data.len());
        let found = holds(file, &secrets);
        assert!(found.is_empty(), "{} holds {found:?}", file.display());
    }
    assert!(looked_at > 500_000 || location.is_postgres(), "{looked_at} bytes");
    // The search finds what is there.
    let public: BTreeSet<String> = ["Consent to group therapy".to_owned()].into();
    assert!(files.is_empty() || files.iter().any(|file| !holds(file, &public).is_empty()));
}
