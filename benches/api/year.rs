//! Years of data: people through the store, because their names are sealed under keys of their own; their history in
//! bulk, because nothing that is measured opens it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use circlekeeper::{
    identity::{Caller, hash_password},
    policy::{Kind, Standing, act},
    problem::Problem,
    rules::{
        check_ins::{Mood, Said, Visibility},
        groups::{Format, RecordingPolicy},
        members::State,
    },
    store::{
        accounts::{self, Profile},
        check_ins,
        connection::{Clock, Connection, Db, Location},
        groups::{self, Settings},
        invitations::{self, Invited},
        members, migrations, organizations,
        permit::{Permit, authorize, authorize_in_organization},
        sealing::Masters,
        sessions::{self, Plan, Planned},
        sign_ins::{self, Lifetimes},
    },
    values::{Id, Moment},
};
use secrecy::SecretString;

use crate::bare::{Bare, Recording};

/// The master key of every database that this program fills.
pub const MASTER: &str = "bench:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The password of every account.
pub const PASSWORD: &str = "plum orchard seven kites";
const MEMBERS: usize = 10;
const DAY: i64 = 86_400_000;
/// A kept database that is older has lost sessions out of the year that is asked for.
const KEPT_FOR: Duration = Duration::from_secs(7 * 86_400);

/// How much a database is filled with.
#[derive(Clone)]
pub struct Extent {
    pub organizations: usize,
    /// Groups of ten that a therapist leads, spread over the organizations.
    pub groups: usize,
    /// Weeks with a session in each group, until today.
    pub weeks: usize,
    /// Everything that such weeks leave behind: every session with its agenda, looks and records in the access log, marks
    /// of risk, and in each organization one group that peers lead, with check-ins. Otherwise only what a year's
    /// operations read.
    pub whole: bool,
}

impl Extent {
    pub fn year(groups: usize) -> Extent {
        Extent { organizations: 1, groups, weeks: 52, whole: false }
    }

    /// Days before today on which everybody joined.
    fn days(&self) -> i64 {
        self.weeks as i64 * 7 + 7
    }

    fn organization_of(&self, group: usize) -> usize {
        group / self.groups.div_ceil(self.organizations)
    }
}

pub fn masters() -> Masters {
    Masters::read(&SecretString::from(MASTER)).expect("a master key")
}

pub fn open(location: &Location) -> Db {
    Db::open(location, masters(), Clock::default()).expect("the database opens")
}

/// A group with its lead and its members: account and member id each.
pub struct Group {
    pub id: Id,
    pub lead: Id,
    pub members: Vec<(Id, Id)>,
}

pub fn sign_in_name(group: usize, member: usize) -> String {
    format!("member-{group}-{member}")
}

/// A copy of the filled SQLite file; the filled one is kept, so that only the first run at a size has to fill.
pub fn embedded(directory: &Path, groups: usize) -> Location {
    std::fs::create_dir_all(directory).expect("a directory");
    let schema = include_str!("../../migrations/2026-11-23-000000_first/up.sql");
    let mark = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, schema.as_bytes());
    let mark = data_encoding::HEXLOWER.encode(&mark.as_ref()[..4]);
    let kept = directory.join(format!("year-{groups}-{mark}.db"));
    let age = std::fs::metadata(&kept).and_then(|data| data.modified()).map(|at| SystemTime::now().duration_since(at));
    if !matches!(age, Ok(Ok(age)) if age < KEPT_FOR) {
        let filling = directory.join("filling.db");
        remove(&filling);
        let location = at(&filling);
        migrations::run(&location).expect("the migrations run");
        fill(&location, &Extent::year(groups));
        Bare::open(&location).batch("PRAGMA wal_checkpoint(TRUNCATE)");
        remove(&kept);
        std::fs::rename(&filling, &kept).expect("one file system");
        remove(&filling);
    }
    let run = directory.join("run.db");
    remove(&run);
    std::fs::copy(&kept, &run).expect("room for a copy");
    let location = at(&run);
    // Tables that came after it was filled.
    migrations::run(&location).expect("the migrations run");
    location
}

fn at(file: &Path) -> Location {
    Location::new(format!("sqlite:{}", file.display()), 8)
}

pub fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(PathBuf::from(format!("{}{suffix}", file.display())));
    }
}

/// Fills a migrated database.
pub fn fill(location: &Location, extent: &Extent) {
    let hash = hash_password(&SecretString::from(PASSWORD)).expect("a hash");
    let clock = Clock::default();
    clock.shift(-extent.days() * DAY);
    let db = Db::open(location, masters(), clock).expect("the database opens");
    let organizations: Vec<(Id, Caller)> =
        (0..extent.organizations).map(|number| insert_organization(&db, number, &hash)).collect();
    let mut first = 0;
    while first < extent.groups {
        let some = first..extent.groups.min(first + 50);
        let (inner, hash, extent, organizations) = (db.clone(), hash.clone(), extent.clone(), organizations.clone());
        wait(db.write({
            let some = some.clone();
            move |connection| {
                for number in some.clone() {
                    let (organization, administrator) = &organizations[extent.organization_of(number)];
                    insert_group(connection, &inner, *organization, administrator, number, &hash)?;
                }
                Ok(())
            }
        }));
        first = some.end;
    }
    if extent.whole {
        for (number, (organization, administrator)) in organizations.into_iter().enumerate() {
            let (inner, hash, weeks) = (db.clone(), hash.clone(), extent.weeks);
            wait(db.write(move |connection| {
                insert_peers(connection, &inner, organization, &administrator, number, &hash, weeks)
            }));
        }
    }
    drop(db);
    history(location, extent);
}

/// An organization with its administrator and its privacy officer.
fn insert_organization(db: &Db, number: usize, hash: &str) -> (Id, Caller) {
    let key = |name: &str| db.installation().index("sign-in", name);
    let names = [format!("administrator-{number}"), format!("officer-{number}")];
    let (keys, hash) = (names.clone().map(|name| key(&name)), hash.to_owned());
    wait(db.write(move |connection| {
        let organization = organizations::insert_first(connection, "Bench")?;
        let [administrator, officer] =
            [0, 1].map(|place| accounts::insert(connection, &names[place], &keys[place], &hash, &profile("Office")));
        let (administrator, officer) = (administrator?, officer?);
        stand(connection, organization, None, Standing::Administrator, administrator)?;
        stand(connection, organization, None, Standing::PrivacyOfficer, officer)?;
        Ok((organization, sign_ins::insert(connection, administrator, None, false, LIFETIMES)?.caller))
    }))
}

const LIFETIMES: Lifetimes = Lifetimes { idle_minutes: 24 * 60, longest_hours: 24 };

fn wait<T>(work: impl Future<Output = Result<T, Problem>>) -> T {
    actix_web::rt::System::new().block_on(work).unwrap_or_else(|problem| panic!("{problem:?}"))
}

fn profile(name: &str) -> Profile<'_> {
    Profile { name, email: None, country: None, language: "en", zone: "UTC" }
}

fn stand(
    connection: &mut Connection,
    organization: Id,
    group: Option<Id>,
    standing: Standing,
    account: Id,
) -> Result<(), Problem> {
    let invited = Invited {
        organization,
        group,
        member: None,
        standing,
        supervisor: None,
        session: None,
        from_at: None,
        until_at: None,
    };
    let (invitation, _) = invitations::insert_first(connection, &invited)?;
    invitations::accept(connection, &invitation, account)
}

/// What groups of one kind are, and who leads them under which sign-in name.
struct Founding {
    kind: Kind,
    standing: Standing,
    title: &'static str,
    lead: &'static str,
}

/// A group with its lead, and the lead's permit to invite.
fn found_group(
    connection: &mut Connection,
    db: &Db,
    organization: Id,
    administrator: &Caller,
    number: usize,
    hash: &str,
    founding: Founding,
) -> Result<Permit<act::InviteMember>, Problem> {
    let Founding { kind, standing, title, lead } = founding;
    let permit = authorize_in_organization::<act::CreateGroup>(connection, administrator, organization)?;
    let group = groups::insert(connection, &permit, kind, settings(format!("{title} {number}")))?.id;
    let lead = insert_account(connection, db, &format!("{lead}-{number}"), hash)?;
    stand(connection, organization, Some(group), standing, lead)?;
    let sign_in = sign_ins::insert(connection, lead, None, false, LIFETIMES)?.caller;
    authorize::<act::InviteMember>(connection, &sign_in, group)
}

fn insert_account(connection: &mut Connection, db: &Db, name: &str, hash: &str) -> Result<Id, Problem> {
    let key = db.installation().index("sign-in", name);
    accounts::insert(connection, name, &key, hash, &profile(name))
}

fn insert_group(
    connection: &mut Connection,
    db: &Db,
    organization: Id,
    administrator: &Caller,
    number: usize,
    hash: &str,
) -> Result<(), Problem> {
    let founding = Founding { kind: Kind::TherapistLed, standing: Standing::Therapist, title: "Group", lead: "lead" };
    let permit = found_group(connection, db, organization, administrator, number, hash, founding)?;
    for member in 0..MEMBERS {
        let name = sign_in_name(number, member);
        let account = insert_account(connection, db, &name, hash)?;
        let now = connection.now;
        members::insert(connection, &permit, &name, State::Active, Some(account), now)?;
    }
    Ok(())
}

fn settings(title: String) -> Settings {
    Settings {
        title,
        public_description: "Thursdays".into(),
        private_description: None,
        conditions: vec!["depression".into()],
        approaches: vec!["cbt".into()],
        format: Format::InPerson,
        place: None,
        language: "en".into(),
        zone: "UTC".into(),
        capacity: Some(12),
        open_to_joining: true,
        fee: None,
        insurance: None,
        part_2: false,
        recording_policy: RecordingPolicy::Forbidden,
    }
}

/// A group of ten that peers lead, with a check-in of each member in each week, sealed as the store does it.
fn insert_peers(
    connection: &mut Connection,
    db: &Db,
    organization: Id,
    administrator: &Caller,
    number: usize,
    hash: &str,
    weeks: usize,
) -> Result<(), Problem> {
    let founding = Founding { kind: Kind::PeerLed, standing: Standing::Facilitator, title: "Peers", lead: "steward" };
    let permit = found_group(connection, db, organization, administrator, number, hash, founding)?;
    let begun = connection.now;
    for member in 0..MEMBERS {
        let name = format!("peer-{number}-{member}");
        let account = insert_account(connection, db, &name, hash)?;
        members::insert(connection, &permit, &name, State::Active, Some(account), begun)?;
        let sign_in = sign_ins::insert(connection, account, None, false, LIFETIMES)?.caller;
        let permit = authorize::<act::RecordCheckIn>(connection, &sign_in, permit.group())?;
        let said = Said {
            mood: Some(Mood::Low),
            words: vec!["tired".into(), "a bit hopeful".into()],
            connection: Some(4),
            text: Some("The week was long; the group was good.".into()),
            language: Some("en".into()),
            ..Said::default()
        };
        for week in 0..weeks {
            connection.now = Moment(begun.0 + (week as i64 * 7 + 1) * DAY);
            check_ins::insert(connection, &permit, &said, Visibility::Group, "UTC")?;
        }
        connection.now = begun;
    }
    Ok(())
}

/// Sessions, attendance and measures of each week until today, in the order in which they would have come.
fn history(location: &Location, extent: &Extent) {
    let now = jiff::Timestamp::now().as_millisecond() - 3 * 3_600_000;
    let mut bare = Bare::open(location);
    let is_embedded = location.file().is_some();
    let (id, blob) = (|at: &str| id_at(is_embedded, at), |bytes| blob(is_embedded, bytes));
    // Everything that is put in refers to what is there: looking each up again would take most of the time.
    bare.batch_alone(if is_embedded {
        "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA secure_delete = OFF; \
         PRAGMA cache_size = -3000000; PRAGMA temp_store = MEMORY;"
    } else {
        "SET session_replication_role = replica; SET enable_hashjoin = off; SET enable_mergejoin = off"
    });
    let begun = now - extent.days() * DAY;
    let kept = if is_embedded { "BLOB" } else { "UUID" };
    let steps = [
        "UPDATE groups SET state = 'open'".to_owned(),
        format!(
            "INSERT INTO licences (id, organization_id, account_id, licence_type, number, body, jurisdiction, \
             valid_from, expires_on, verified_by, verified_at, created_by, created_at, version) \
             SELECT {id}, organization_id, account_id, 'LCSW', {blob}, 'State board', 'US-IL', '2020-01-01', \
             '2099-12-31', created_by, {begun}, created_by, {begun}, 1 FROM standings WHERE standing = 'therapist'",
            id = id(&begun.to_string()),
            blob = blob(140),
        ),
        format!(
            "INSERT INTO agreements (id, group_id, purpose, number, title, text, must_sign_again, published_by, \
             published_at) SELECT {id}, group_id, 'consent', 1, 'Consent', 'We agree.', FALSE, account_id, {begun} \
             FROM standings WHERE standing = 'therapist'",
            id = id(&begun.to_string()),
        ),
        format!(
            "INSERT INTO signatures (id, group_id, agreement_id, member_id, on_paper, signed_at, recorded_by) \
             SELECT {id}, m.group_id, a.id, m.id, FALSE, {begun}, m.account_id \
             FROM members m JOIN agreements a ON a.group_id = m.group_id",
            id = id(&begun.to_string()),
        ),
        // What one week is made of, and who is in it.
        format!("CREATE TEMPORARY TABLE week (id {kept}, group_id {kept}, organization_id {kept}, lead {kept})"),
        format!("CREATE TEMPORARY TABLE people (group_id {kept}, member_id {kept}, place BIGINT)"),
        "INSERT INTO people SELECT m.group_id, m.id, row_number() OVER (PARTITION BY m.group_id ORDER BY m.id) \
         FROM members m JOIN standings s ON s.group_id = m.group_id WHERE s.standing = 'therapist'"
            .to_owned(),
        "CREATE INDEX people_of_group ON people (group_id)".to_owned(),
    ];
    for step in steps {
        bare.batch(&step);
    }
    let log = extent.whole.then(|| begin_log(&mut bare, is_embedded, begun));
    for week in 0..extent.weeks {
        let start = now - (extent.weeks - 1 - week) as i64 * 7 * DAY;
        bare.batch("BEGIN");
        for step in one_week(week, start, is_embedded) {
            bare.batch(&step);
        }
        if extent.whole || start > now - 15 * DAY {
            for step in agendas(start, is_embedded, extent.whole) {
                bare.batch(&step);
            }
        }
        if let Some(log) = &log {
            for step in marks(week, start, now, is_embedded).into_iter().chain(looks(log, week, start, extent)) {
                bare.batch(&step);
            }
        }
        bare.batch("COMMIT");
        if week % 26 == 25 {
            eprintln!("{} of {} weeks", week + 1, extent.weeks);
        }
    }
    bare.batch("DROP TABLE week; DROP TABLE people");
    if is_embedded {
        bare.batch("PRAGMA journal_mode = WAL");
    } else {
        bare.batch("VACUUM ANALYZE");
    }
}

/// The sessions of a week, who came, and what they answered. One in fifty answers names a risk.
fn one_week(week: usize, start: i64, is_embedded: bool) -> [String; 5] {
    let (id, blob) = (id_at(is_embedded, &start.to_string()), blob(is_embedded, 140));
    [
        "DELETE FROM week".to_owned(),
        format!(
            "INSERT INTO week SELECT {id}, group_id, organization_id, account_id FROM standings \
             WHERE standing = 'therapist'"
        ),
        format!(
            "INSERT INTO sessions (id, group_id, state, title, modality, starts_local, zone, minutes, starts_at, \
             held_from, held_until, led_by, recording, recorded_by, recorded_at, created_by, created_at, version) \
             SELECT id, group_id, 'held', 'Session', 'in_person', '2026-01-01T18:30', 'UTC', 90, {start}, {start}, \
             {start} + 5400000, lead, 'complete', lead, {start} + 6000000, lead, {start} - {DAY}, 2 FROM week"
        ),
        format!(
            "INSERT INTO attendances (id, group_id, session_id, member_id, status, modality, minutes, starts_at, \
             recorded_by, recorded_at, version) SELECT {id}, w.group_id, w.id, p.member_id, 'attended', 'in_person', \
             90, {start}, w.lead, {start} + 6000000, 1 FROM week w JOIN people p ON p.group_id = w.group_id"
        ),
        format!(
            "INSERT INTO measures (id, group_id, session_id, member_id, instrument, instrument_version, respondent, \
             taken_at, answers, score, prorated, band, subscales, risk, flagged, entered_in_error, recorded_by, \
             recorded_at, version) SELECT {id}, w.group_id, w.id, p.member_id, 'phq-9', '1', 'member', {start}, {blob}, \
             9000, FALSE, 'mild', '{{}}', CASE WHEN {marked} THEN 'positive' ELSE 'none' END, {marked}, FALSE, \
             w.lead, {start} + 6000000, 1 FROM week w JOIN people p ON p.group_id = w.group_id",
            marked = marked(week),
        ),
    ]
}

/// Whether a member's answer names a risk in this week.
fn marked(week: usize) -> String {
    format!("(p.place + {week}) % 50 = 0")
}

/// Eight items for each session of the week, with what became of them.
fn agendas(start: i64, is_embedded: bool, has_words: bool) -> [String; 2] {
    let words = |bytes| if has_words { blob(is_embedded, bytes) } else { "NULL".to_owned() };
    [
        format!(
            "INSERT INTO agenda_items (id, group_id, session_id, position, technique, objective, factors, \
             planned_minutes, homework) \
             WITH RECURSIVE p(position) AS (SELECT 1 UNION ALL SELECT position + 1 FROM p WHERE position < 8) \
             SELECT {id}, w.group_id, w.id, p.position, 'thought-record', {objective}, '[]', 10, {homework} \
             FROM week w CROSS JOIN p",
            id = id_at(is_embedded, &start.to_string()),
            objective = words(80),
            homework = words(60),
        ),
        "INSERT INTO agenda_deliveries (item_id, group_id, session_id, delivered, minutes) \
         SELECT i.id, i.group_id, i.session_id, 'delivered', 10 FROM week w JOIN agenda_items i ON i.session_id = w.id"
            .to_owned(),
    ]
}

/// The marks of risk of a week: closed, but for the last four weeks.
fn marks(week: usize, start: i64, now: i64, is_embedded: bool) -> [String; 2] {
    let is_open = start > now - 28 * DAY;
    let (state, due, disposition, closed) = if is_open {
        ("raised", (start + DAY).to_string(), "NULL", "NULL".to_owned())
    } else {
        ("closed", "NULL".to_owned(), "'no_acute_risk'", (start + 2 * DAY).to_string())
    };
    [
        format!(
            "INSERT INTO risks (id, group_id, member_id, measure_id, risk, state, raised_at, due_at, disposition, \
             closed_at, version) SELECT me.id, me.group_id, me.member_id, me.id, 'positive', '{state}', \
             {start} + 6000000, {due}, {disposition}, {closed}, 1 FROM week w \
             JOIN people p ON p.group_id = w.group_id AND {marked} \
             JOIN measures me ON me.session_id = w.id AND me.member_id = p.member_id",
            marked = marked(week),
        ),
        format!(
            "INSERT INTO risk_steps (id, group_id, risk_id, step, at, risk) SELECT {id}, me.group_id, me.id, 'raised', \
             {start} + 6000000, 'positive' FROM week w JOIN people p ON p.group_id = w.group_id AND {marked} \
             JOIN measures me ON me.session_id = w.id AND me.member_id = p.member_id",
            id = id_at(is_embedded, &start.to_string()),
            marked = marked(week),
        ),
    ]
}

/// A chain of the access log that nobody verifies: its id as the database writes it.
fn begin_log(bare: &mut Bare, is_embedded: bool, begun: i64) -> String {
    let id = Id::in_order().0.simple().to_string();
    let id = if is_embedded { format!("x'{id}'") } else { format!("CAST('{id}' AS UUID)") };
    let empty = if is_embedded { "x''" } else { "''::bytea" };
    bare.batch(&format!(
        "INSERT INTO access_chains (id, started_at, predecessors, length, head, seal) \
         VALUES ({id}, {begun}, '[]', 0, {empty}, {empty})"
    ));
    id
}

/// Entries that a week of one group leaves in the access log: its recording, and three looks at records of others.
pub const ENTRIES: usize = 4;

fn looks(log: &str, week: usize, start: i64, extent: &Extent) -> [String; 1] {
    let hash = if log.starts_with('x') { "randomblob(32)" } else { "sha256(uuid_send(gen_random_uuid()))" };
    [format!(
        "INSERT INTO access_entries (chain_id, sequence, at, account_id, action, allowed, standing, organization_id, \
         group_id, record_id, hash) \
         WITH RECURSIVE e(entry) AS (SELECT 1 UNION ALL SELECT entry + 1 FROM e WHERE entry < {ENTRIES}) \
         SELECT {log}, {before} + row_number() OVER (), {start} + e.entry * 1000000, w.lead, \
         CASE e.entry WHEN 1 THEN 'RecordSession' ELSE 'ReadOutcomes' END, TRUE, 'therapist', w.organization_id, \
         w.group_id, CASE e.entry WHEN 1 THEN w.id END, {hash} FROM week w CROSS JOIN e",
        before = week * extent.groups * ENTRIES,
    )]
}

/// An id in order of time, as the store makes them.
fn id_at(is_embedded: bool, at: &str) -> String {
    if is_embedded {
        format!("unhex(printf('%012x', {at}) || '7' || substr(hex(randomblob(10)), 2))")
    } else {
        format!(
            "CAST(lpad(to_hex({at}), 12, '0') || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 19) AS UUID)"
        )
    }
}

/// What is sealed is as long as this, never opened, and no backup makes it smaller.
fn blob(is_embedded: bool, bytes: usize) -> String {
    if is_embedded {
        return format!("randomblob({bytes})");
    }
    let hash = "sha512(uuid_send(gen_random_uuid()))";
    format!("substr({}, 1, {bytes})", vec![hash; bytes.div_ceil(64)].join(" || "))
}

/// Gives one member of each of these groups five years: 260 weekly sessions with eight delivered items each, all of them
/// attended, and PHQ-9, GAD-7 and WHO-5 at each.
pub fn lengthen(location: &Location, people: &[(Id, Id)], now: i64) {
    let mut bare = Bare::open(location);
    let is_embedded = location.file().is_some();
    let (id, blob) = (|at: &str| id_at(is_embedded, at), blob(is_embedded, 140));
    let list = |ids: &mut dyn Iterator<Item = Id>| {
        let ids: Vec<String> = ids
            .map(|id| match (id.0.simple().to_string(), is_embedded) {
                (hex, true) => format!("x'{hex}'"),
                (hex, false) => format!("CAST('{hex}' AS UUID)"),
            })
            .collect();
        ids.join(", ")
    };
    let groups = list(&mut people.iter().map(|(group, _)| *group));
    let members = list(&mut people.iter().map(|(_, member)| *member));
    let start = format!("({now} - w.week * CAST({} AS BIGINT))", 7 * DAY);
    let (year_ago, lately) = (now - 364 * DAY + DAY / 2, now - 15 * DAY);
    let measures = |instrument: &str, lowest: i32, band: &str, sessions: &str| {
        format!(
            "INSERT INTO measures (id, group_id, session_id, member_id, instrument, instrument_version, respondent, \
             taken_at, answers, score, prorated, band, subscales, risk, flagged, entered_in_error, recorded_by, \
             recorded_at, version) SELECT {id}, s.group_id, s.id, m.id, '{instrument}', '1', 'member', s.starts_at, \
             {blob}, {lowest} + (s.starts_at / {week}) % 5 * 1000, FALSE, {band}, '{{}}', 'none', FALSE, FALSE, \
             s.created_by, s.starts_at + 6000000, 1 FROM sessions s JOIN members m ON m.group_id = s.group_id \
             WHERE m.id IN ({members}) AND s.group_id IN ({groups}) AND s.state = 'held' AND {sessions} \
             ORDER BY s.starts_at, s.id",
            id = id("s.starts_at"),
            week = 7 * DAY,
        )
    };
    let steps = [
        format!(
            "INSERT INTO sessions (id, group_id, state, title, modality, starts_local, zone, minutes, starts_at, \
             held_from, held_until, led_by, recording, recorded_by, recorded_at, created_by, created_at, version) \
             WITH RECURSIVE w(week) AS (SELECT 52 UNION ALL SELECT week + 1 FROM w WHERE week < 259) \
             SELECT {id}, s.group_id, 'held', 'Session', 'in_person', '2026-01-01T18:30', 'UTC', 90, {start}, {start}, \
             {start} + 5400000, s.account_id, 'complete', s.account_id, {start} + 6000000, s.account_id, \
             {start} - {DAY}, 2 FROM w CROSS JOIN standings s WHERE s.standing = 'therapist' \
             AND s.group_id IN ({groups}) ORDER BY w.week DESC",
            id = id(&start),
        ),
        format!(
            "INSERT INTO agenda_items (id, group_id, session_id, position, technique, factors, planned_minutes) \
             WITH RECURSIVE p(position) AS (SELECT 1 UNION ALL SELECT position + 1 FROM p WHERE position < 8) \
             SELECT {id}, s.group_id, s.id, p.position, 'thought-record', '[]', 10 FROM sessions s CROSS JOIN p \
             WHERE s.group_id IN ({groups}) AND s.state = 'held' AND s.starts_at <= {lately}",
            id = id("s.starts_at"),
        ),
        format!(
            "INSERT INTO agenda_deliveries (item_id, group_id, session_id, delivered, minutes) \
             SELECT i.id, i.group_id, i.session_id, 'delivered', 10 FROM agenda_items i \
             JOIN sessions s ON s.id = i.session_id \
             WHERE s.group_id IN ({groups}) AND s.state = 'held' AND s.starts_at <= {lately}"
        ),
        format!(
            "INSERT INTO attendances (id, group_id, session_id, member_id, status, modality, minutes, starts_at, \
             recorded_by, recorded_at, version) SELECT {id}, s.group_id, s.id, m.id, 'attended', 'in_person', 90, \
             s.starts_at, s.created_by, s.starts_at + 6000000, 1 \
             FROM sessions s JOIN members m ON m.group_id = s.group_id WHERE m.id IN ({members}) \
             AND s.group_id IN ({groups}) AND s.state = 'held' AND s.starts_at < {year_ago} ORDER BY s.starts_at, s.id",
            id = id("s.starts_at"),
        ),
        measures("phq-9", 5000, "'mild'", &format!("s.starts_at < {year_ago}")),
        measures("gad-7", 5000, "'mild'", "TRUE"),
        measures("who-5", 40000, "NULL", "TRUE"),
    ];
    bare.batch("BEGIN");
    for step in steps {
        bare.batch(&step);
    }
    bare.batch("COMMIT");
    if !is_embedded {
        bare.batch("VACUUM ANALYZE");
    }
}

/// The held sessions of each group, newest first.
pub fn held(bare: &mut Bare) -> HashMap<Id, Vec<Id>> {
    let is_embedded = bare_kind(bare);
    let hex = |column| hex(is_embedded, column);
    let sql = format!(
        "SELECT {} AS a, {} AS b, {} AS c FROM sessions WHERE state = 'held' ORDER BY group_id, starts_at DESC, id",
        hex("group_id"),
        hex("id"),
        hex("id")
    );
    let mut held: HashMap<Id, Vec<Id>> = HashMap::new();
    for (group, session, _) in bare.ids(&sql) {
        held.entry(group).or_default().push(session);
    }
    held
}

/// The groups of a filled database that a therapist leads.
pub fn groups(bare: &mut Bare) -> Vec<Group> {
    let is_embedded = bare_kind(bare);
    let hex = |column| hex(is_embedded, column);
    let leads = format!(
        "SELECT {} AS a, {} AS b, {} AS c FROM standings WHERE standing = 'therapist' ORDER BY id",
        hex("group_id"),
        hex("account_id"),
        hex("id")
    );
    let belonging = format!(
        "SELECT {} AS a, {} AS b, {} AS c FROM members ORDER BY group_id, id",
        hex("group_id"),
        hex("account_id"),
        hex("id")
    );
    let mut groups: Vec<Group> =
        bare.ids(&leads).into_iter().map(|(id, lead, _)| Group { id, lead, members: Vec::new() }).collect();
    let place: HashMap<Id, usize> = groups.iter().enumerate().map(|(index, group)| (group.id, index)).collect();
    for (group, account, member) in bare.ids(&belonging) {
        if let Some(index) = place.get(&group) {
            groups[*index].members.push((account, member));
        }
    }
    groups
}

/// An id as 32 hexadecimal digits.
pub fn hex(is_embedded: bool, column: &str) -> String {
    if is_embedded { format!("lower(hex({column}))") } else { format!("replace({column}::text, '-', '')") }
}

/// The statement that finds those who hold an office: account, organization and standing each.
pub fn offices(is_embedded: bool, standing: Standing) -> String {
    let hex = |column| hex(is_embedded, column);
    format!(
        "SELECT {} AS a, {} AS b, {} AS c FROM standings WHERE standing = '{standing}' ORDER BY id",
        hex("account_id"),
        hex("organization_id"),
        hex("id")
    )
}

fn bare_kind(bare: &Bare) -> bool {
    matches!(bare, Bare::Sqlite(_))
}

/// Signs accounts in, past their passwords.
pub fn sign_in(db: &Db, accounts: Vec<Id>) -> Vec<Caller> {
    wait(db.write(move |connection| {
        accounts
            .iter()
            .map(|&account| Ok(sign_ins::insert(connection, account, None, false, LIFETIMES)?.caller))
            .collect()
    }))
}

/// Plans `count` sessions with eight agenda items, an hour and a half ago, in the groups of these leads by turns.
pub fn plan(db: &Db, groups: &[(&Group, Caller)], count: usize) -> Vec<Recording> {
    let mut planned = Vec::with_capacity(count);
    while planned.len() < count {
        let some: Vec<(Id, Caller, Vec<Id>)> = (planned.len()..count.min(planned.len() + 500))
            .map(|index| {
                let (group, caller) = &groups[index % groups.len()];
                (group.id, *caller, group.members.iter().map(|(_, member)| *member).collect())
            })
            .collect();
        planned.extend(wait(db.write(move |connection| {
            some.iter()
                .map(|(group, caller, members)| {
                    let (group, members) = (*group, members.clone());
                    let (session, items) = plan_one(connection, caller, group)?;
                    let now = connection.now.0;
                    Ok(Recording { group, session, lead: caller.account, items, members, now })
                })
                .collect::<Result<Vec<_>, Problem>>()
        })));
    }
    planned
}

fn plan_one(connection: &mut Connection, caller: &Caller, group: Id) -> Result<(Id, Vec<Id>), Problem> {
    let permit = authorize::<act::PlanSession>(connection, caller, group)?;
    let starts_at = connection.now.plus_minutes(-90);
    let plan = Plan {
        title: Some("Session".into()),
        modality: Format::InPerson,
        starts_local: "2026-01-01T18:30".into(),
        zone: "UTC".into(),
        minutes: 60,
        starts_at,
    };
    let item = Planned {
        technique: "thought-record".into(),
        objective: Some("Catch one automatic thought and weigh the evidence".into()),
        factors: vec!["universality".into()],
        planned_minutes: 10,
        homework: Some("Fill in three thought records".into()),
    };
    let session = sessions::insert(connection, &permit, plan, &vec![item; 8])?;
    let items = sessions::list_items(connection, &permit, session.id)?;
    Ok((session.id, items.into_iter().map(|item| item.id).collect()))
}
