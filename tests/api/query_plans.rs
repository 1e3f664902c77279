//! Every statement of the server finds its rows by an index, so that its cost stays flat while the tables grow.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, Once},
};

use circlekeeper::{
    config::ServerConfig,
    store::{connection::Location, migrations, sign_ins},
};
use diesel::{
    Connection, QueryableByName, RunQueryDsl,
    connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation},
    sql_types::Text,
    sqlite::SqliteConnection,
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    harness::{Server, embedded},
    operations::operations,
    scene::Scene,
};

/// By the database.
static STATEMENTS: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());
/// How many were looked up, by the database.
static READS: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

/// Collects the statements of every connection that is opened from now on.
pub fn collect() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_default_instrumentation(|| {
            let mut database = String::new();
            let collector = move |event: InstrumentationEvent<'_>| match event {
                InstrumentationEvent::StartEstablishConnection { url, .. } => database = url.to_owned(),
                InstrumentationEvent::StartQuery { query, .. } => {
                    let text = query.to_string();
                    let sql = text.split(" -- binds").next().unwrap_or_default().trim().to_owned();
                    if sql.starts_with("SELECT") {
                        *READS.lock().expect("no panic while collecting").entry(database.clone()).or_default() += 1;
                    }
                    let mut statements = STATEMENTS.lock().expect("no panic while collecting");
                    statements.entry(database.clone()).or_default().insert(sql);
                }
                _ => {}
            };
            Some(Box::new(collector) as Box<dyn Instrumentation>)
        })
        .expect("the instrumentation is set");
    });
}

/// How many look-ups a database was asked for since its connections are collected.
pub fn reads(location: &Location) -> usize {
    READS.lock().expect("no panic while collecting").get(name(location)).copied().unwrap_or(0)
}

fn name(location: &Location) -> &str {
    location.file().unwrap_or_else(|| location.url.expose_secret())
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// What is wrong with a statement's plan on a database without rows: SQLite plans by its indexes alone then.
fn fault(connection: &mut SqliteConnection, sql: &str) -> Option<String> {
    let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(connection).ok()?;
    // Read when a server starts, never by a request.
    let is_of_start = sql.contains("_migrations`") || sql.starts_with("SELECT `access_chains`");
    // Asked for none of a list: no row is ever looked at.
    let asks_for_none = sql.contains("WHERE (1=0)") || sql.contains("((1=0) AND");
    let is_of_rows = |detail: &str| detail.starts_with("SCAN ") && !detail.ends_with("VALUES CLAUSE");
    let scan = steps.iter().find(|step| is_of_rows(&step.detail) && !is_of_start && !asks_for_none);
    let sorts_a_page = sql.contains(" LIMIT ?")
        && !sql.contains("`access_")
        && steps.iter().any(|step| step.detail.contains("TEMP B-TREE FOR ORDER"));
    match scan {
        Some(step) => Some(format!("{}\n    {sql}", step.detail)),
        None if sorts_a_page => Some(format!("sorts before it takes a page\n    {sql}")),
        None => None,
    }
}

#[test]
fn every_statement_finds_its_rows_by_an_index() {
    collect();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("plans.db");
    let location = embedded(&file);
    migrations::run(&location).expect("the migrations run");
    let server =
        Server::start_on(location, None, ServerConfig { access_minutes: 7 * 24 * 60, ..ServerConfig::default() });
    let scene = Scene::on(server);
    let server = &scene.world.server;
    server.write(sign_ins::remove_expired);
    let (led, peer) = (&scene.world.led, &scene.world.peer);
    let callers = [
        (led, &scene.led, &led.lead),
        (led, &scene.led, &led.member.person),
        (led, &scene.led, &scene.world.administrator),
        (led, &scene.led, &scene.world.privacy_officer),
        (peer, &scene.peer, &peer.lead),
        (peer, &scene.peer, peer.steward.as_ref().expect("a steward")),
        (peer, &scene.peer, &peer.member.person),
    ];
    for operation in operations() {
        for (group, records, caller) in callers {
            let path = operation.path_with(|name| match name {
                "group" => group.id.clone(),
                "organization" => scene.world.organization.to_string(),
                kind => records
                    .any(kind)
                    .or(scene.led.any(kind))
                    .or(scene.organization.any(kind))
                    .map_or_else(String::new, |record| record.id.clone()),
            });
            let request = server.request(&operation.method, &path).token(&caller.token).version("\"1\"");
            // Reads as they are, with every filter; changes up to the point where the example ends them.
            let request = if operation.is_read() {
                request
            } else {
                request.json(&operation.example.clone().unwrap_or(json!({})))
            };
            if operation.id != "sign_out_everywhere" {
                request.send();
            }
        }
    }
    // Reports count people only when their quarter is released.
    server.travel_days(300);
    for (who, path) in [
        (&scene.world.administrator, format!("/v1/organizations/{}/outcome-report", scene.world.organization)),
        (&peer.lead, peer.path("/outcomes")),
    ] {
        server.get(&server.again(who), &path).expect(200);
    }
    let mut connection = SqliteConnection::establish(&file.to_string_lossy()).expect("the database opens");
    // Other tests read whole tables, such as a backup and what looks into one.
    let statements = STATEMENTS.lock().expect("no panic while collecting")[name(&server.location)].clone();
    assert!(statements.len() > 100, "only {} statements were seen", statements.len());
    let faults: Vec<String> = statements.iter().filter_map(|sql| fault(&mut connection, sql)).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), statements.len(), faults.join("\n"));
}
