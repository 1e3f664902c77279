//! The second wall: what PostgreSQL itself shows and takes, asked past the server as the role that the server has.

use std::sync::atomic::{AtomicU32, Ordering};

use circlekeeper::{
    problem::Problem,
    store::{connection::Location, wall},
};
use diesel::{
    Connection as _, PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types,
};
use secrecy::ExposeSecret;

use crate::{
    command_line::{Serving, program},
    harness::{APPLICATION, MASTER, Server, as_application},
    scene::Scene,
    world::Group,
};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = sql_types::Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = sql_types::BigInt)]
    rows: i64,
}

/// A connection past the server.
fn connect(location: &Location) -> PgConnection {
    PgConnection::establish(location.url.expose_secret()).expect("the database opens")
}

fn lines(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    sql_query(sql).load::<Line>(connection).expect("the statement runs").into_iter().map(|row| row.line).collect()
}

fn count(connection: &mut PgConnection, sql: &str) -> i64 {
    sql_query(sql).get_result::<Count>(connection).expect("the statement runs").rows
}

/// The tables behind the wall.
fn walled(connection: &mut PgConnection) -> Vec<String> {
    lines(connection, "SELECT DISTINCT tablename::text AS line FROM pg_policies ORDER BY 1")
}

fn say(connection: &mut PgConnection, what: &str, value: &str) {
    connection
        .batch_execute(&format!("SELECT set_config('circlekeeper.{what}', '{value}', false)"))
        .expect("the scope is told");
}

/// As the owner of the tables, and as the role that the server has; none where the database is not PostgreSQL.
fn both(server: &Server) -> Option<(PgConnection, PgConnection)> {
    is_postgres(server).then(|| (connect(&server.location), connect(&as_application(&server.location))))
}

fn is_postgres(server: &Server) -> bool {
    server.location.is_postgres()
}

#[test]
fn without_a_scope_the_servers_role_sees_no_row_and_changes_none() {
    let scene = Scene::new();
    let server = &scene.world.server;
    let Some((mut owner, mut app)) = both(server) else { return };
    let tables = walled(&mut owner);
    assert!(tables.len() > 40, "{tables:?}");
    let mut filled = 0;
    for table in &tables {
        filled += usize::from(count(&mut owner, &format!("SELECT count(*) AS rows FROM {table}")) > 0);
        assert_eq!(count(&mut app, &format!("SELECT count(*) AS rows FROM {table}")), 0, "{table}");
        if table == "access_entries" {
            continue;
        }
        assert_eq!(sql_query(format!("DELETE FROM {table}")).execute(&mut app), Ok(0), "{table}");
        assert_eq!(sql_query(format!("UPDATE {table} SET group_id = group_id")).execute(&mut app), Ok(0), "{table}");
    }
    assert!(filled >= 25, "the scene fills {filled} of {} tables", tables.len());
    let group = &scene.world.led.id;
    let row = format!(
        "INSERT INTO reviews (id, group_id, session_id, member_id, reviewed_by, reviewed_at, as_of) \
         SELECT gen_random_uuid(), '{group}', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 1"
    );
    let refused = sql_query(row).execute(&mut app).expect_err("a row without a scope");
    assert!(refused.to_string().contains("row-level security"), "{refused}");
}

#[test]
fn the_program_serves_as_a_role_that_owns_nothing() {
    let scene = Scene::new();
    let server = &scene.world.server;
    if !is_postgres(server) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = program(directory.path());
    command.args(["serve", "--bind", "127.0.0.1:0"]).env("CIRCLEKEEPER_MASTER_KEY", MASTER);
    command.env("DATABASE_URL", as_application(&server.location).url.expose_secret());
    // It panics where the program does not say that it listens.
    drop(Serving::start(command));
}

#[test]
fn a_scope_shows_its_group_and_no_other() {
    let scene = Scene::new();
    let server = &scene.world.server;
    let Some((mut owner, mut app)) = both(server) else { return };
    let tables = walled(&mut owner);
    let of = |connection: &mut PgConnection, group: &Group, table: &str, is: &str| {
        count(connection, &format!("SELECT count(*) AS rows FROM {table} WHERE group_id {is} '{}'", group.id))
    };
    for group in [&scene.world.led, &scene.world.peer] {
        say(&mut app, "groups", &format!("{{{}}}", group.id));
        for table in &tables {
            assert_eq!(of(&mut app, group, table, "="), of(&mut owner, group, table, "="), "{table}");
            assert_eq!(of(&mut app, group, table, "<>"), 0, "{table}");
        }
    }
    // A member reaches their own rows in every group, and no other member's.
    say(&mut app, "groups", "{}");
    let member = &scene.world.led.member;
    say(&mut app, "account", &member.person.id.to_string());
    for table in ["measures", "attendances", "progress_entries", "goals", "signatures", "membership_intervals"] {
        let all = count(&mut app, &format!("SELECT count(*) AS rows FROM {table}"));
        let own = format!(
            "SELECT count(*) AS rows FROM {table} WHERE member_id IN (SELECT id FROM members WHERE account_id = '{}')",
            member.person.id
        );
        assert_eq!(all, count(&mut owner, &own), "{table}");
    }
    assert_eq!(
        count(&mut app, "SELECT count(*) AS rows FROM members"),
        count(&mut app, &format!("SELECT count(*) AS rows FROM members WHERE account_id = '{}'", member.person.id)),
    );
}

#[test]
fn every_table_that_names_a_member_stands_behind_the_wall() {
    let server = Server::start();
    if !is_postgres(&server) {
        return;
    }
    let mut owner = connect(&server.location);
    let open = lines(
        &mut owner,
        "SELECT DISTINCT table_name::text AS line FROM information_schema.columns \
         WHERE table_schema = current_schema() AND column_name IN ('group_id', 'member_id') \
         AND table_name NOT IN (SELECT tablename FROM pg_policies) ORDER BY 1",
    );
    // Read before there is a permit, or by everybody; an invitation names whose membership waits, by an id without a name.
    let known = ["agreements", "invitations", "peer_settings", "session_codes", "sessions", "standings", "visits"];
    assert_eq!(open, known);
}

#[test]
fn the_servers_role_owns_nothing_and_takes_nothing_down() {
    let server = Server::start();
    if !is_postgres(&server) {
        return;
    }
    let mut app = connect(&as_application(&server.location));
    assert_eq!(lines(&mut app, "SELECT current_user::text AS line"), [APPLICATION]);
    for refused in [
        "ALTER TABLE members DISABLE ROW LEVEL SECURITY",
        "DROP POLICY circlekeeper_scope ON members",
        "CREATE OR REPLACE FUNCTION circlekeeper_groups() RETURNS uuid[] LANGUAGE sql AS $$ SELECT NULL::uuid[] $$",
        "DROP TABLE measures",
        "TRUNCATE measures",
        "CREATE TABLE mine (id INTEGER)",
        "UPDATE access_entries SET allowed = true",
        "DELETE FROM access_entries",
        "UPDATE __diesel_schema_migrations SET version = '0'",
        "SET ROLE circlekeeper",
        "SET SESSION AUTHORIZATION circlekeeper",
    ] {
        assert!(sql_query(refused).execute(&mut app).is_err(), "{refused}");
    }
}

#[test]
fn the_wall_is_not_raised_before_a_role_that_would_look_over_it() {
    let server = Server::start();
    if !is_postgres(&server) {
        assert!(wall::raise(&server.location, "somebody").is_err());
        return;
    }
    for role in ["circlekeeper", "nobody-of-this-name"] {
        assert!(matches!(wall::raise(&server.location, role), Err(Problem::Internal(_))), "{role}");
    }
    // Again and again, as after each migration.
    wall::raise(&server.location, APPLICATION).expect("the wall stands");
    assert_eq!(wall::role(&server.location).expect("an answer").as_deref(), Some(APPLICATION));
}

#[test]
fn a_transaction_that_lost_is_done_again_and_not_for_ever() {
    let server = Server::start();
    let tries = std::sync::Arc::new(AtomicU32::new(0));
    let attempt = |loses: u32| {
        let tries = tries.clone();
        tries.store(0, Ordering::SeqCst);
        actix_web::rt::System::new().block_on(server.db.write(move |_| {
            match tries.fetch_add(1, Ordering::SeqCst) < loses {
                true => Err(Problem::Outrun),
                false => Ok(()),
            }
        }))
    };
    if !is_postgres(&server) {
        // SQLite has one writer, which loses against nobody.
        attempt(0).expect("the write succeeds");
        return;
    }
    attempt(3).expect("the fourth attempt succeeds");
    assert_eq!(tries.load(Ordering::SeqCst), 4);
    let lost = attempt(100).expect_err("it goes on losing");
    assert!(matches!(lost, Problem::Outrun));
    assert_eq!(tries.load(Ordering::SeqCst), 5);
    assert_eq!(lost.response().headers().get("retry-after").expect("a header"), "1");
}
