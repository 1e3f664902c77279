//! `kill -9` in the middle of the migrations: each has happened whole or not at all, and the next run finishes.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::{
    harness::{Database, Engine, Random, Run, figure, wait_for},
    postgres::Cluster,
};

/// A migration: its version, as it is noted, and what it says.
struct Step {
    version: String,
    says: String,
}

pub fn prove(run: &Run, engine: Engine) -> String {
    let (kills, rows) = (run.size(5, 100), run.size(10_000, 100_000));
    let random = Random::new(run.seed);
    let steps = steps();
    // What the schema is after each step, and after all of them by the program's own hand.
    let growing = Database::empty(engine);
    let mut sql = growing.sql();
    let mut schemas = vec![schema(&growing)];
    for step in &steps {
        sql.run(&step.says);
        schemas.push(schema(&growing));
    }
    drop(sql);
    let fresh = Database::fresh(engine);
    assert_eq!(schema(&fresh), schemas[steps.len()], "the program makes another schema than the migrations say");
    let old = Database::empty(engine);
    fill(&old, &steps[0], rows);
    // How long it takes undisturbed says from which moments to choose.
    let whole = {
        let copy = copy_of(&old);
        let begun = Instant::now();
        copy.run(&["migrate"]).unwrap_or_else(|said| panic!("{said}"));
        begun.elapsed()
    };
    let mut reached = vec![0; steps.len() + 1];
    for kill in 0..kills {
        let database = copy_of(&old);
        let mut command = database.program(&["migrate"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program is there");
        std::thread::sleep(Duration::from_micros(random.below(whole.as_micros() as usize) as u64));
        let _ = child.kill();
        let _ = child.wait();
        if let Some(cluster) = &database.cluster {
            wait_until_alone(cluster, &database.url);
        }
        let done = applied(&database);
        assert_eq!(schema(&database), schemas[done], "kill {kill}: after {done} of {} migrations", steps.len());
        assert_eq!(count(&database), rows as i64, "kill {kill}: rows of the large table");
        reached[done] += 1;
        // Now and then the next run is killed too.
        if kill % 4 == 3 {
            let mut again = database
                .program(&["migrate"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it is there");
            std::thread::sleep(Duration::from_micros(random.below(whole.as_micros() as usize) as u64));
            let _ = again.kill();
            let _ = again.wait();
        }
        database.run(&["migrate"]).unwrap_or_else(|said| panic!("kill {kill}: the next run: {said}"));
        assert_eq!(schema(&database), schemas[steps.len()], "kill {kill}: after the next run");
        assert_eq!(count(&database), rows as i64, "kill {kill}: rows after the next run");
        assert_eq!(database.sql().faults(), Vec::<String>::new());
    }
    let stages: Vec<String> = reached
        .iter()
        .enumerate()
        .filter(|(_, times)| **times > 0)
        .map(|(done, times)| format!("{times} after {done}"))
        .collect();
    format!(
        "{kills} kills in {} migrations over a table of {} rows that is made anew ({} ms undisturbed): {}; each whole or not at all, \
         the next run finished, schema as a fresh one, no row lost",
        steps.len(),
        figure(rows),
        whole.as_millis(),
        stages.join(", ")
    )
}

fn steps() -> Vec<Step> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("migrations")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let step = |name: &String| Step {
        version: name.split('_').next().unwrap_or_default().replace('-', ""),
        says: std::fs::read_to_string(folder.join(name).join("up.sql")).expect("a migration"),
    };
    names.iter().map(step).collect()
}

/// The database as the first release left it, with one large table that a later migration makes anew.
fn fill(database: &Database, first: &Step, rows: usize) {
    let mut sql = database.sql();
    sql.run(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
         run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    );
    sql.run(&first.says);
    let (id, bytes, made, numbers) = match database.engine {
        Engine::Sqlite => (
            "x'01890000000070008000000000000001'",
            "x'00'",
            "randomblob(16)",
            format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n"
            ),
        ),
        Engine::Postgres => (
            "'01890000-0000-7000-8000-000000000001'::uuid",
            "'\\x00'",
            "gen_random_uuid()",
            format!("SELECT i FROM generate_series(1, {rows}) AS n (i)"),
        ),
    };
    sql.run(&format!(
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('{}');
         INSERT INTO organizations (id, name, staff_second_factor, created_at, version) VALUES ({id}, 'Large', FALSE, 1, 1);
         INSERT INTO accounts (id, sign_in_key, sign_in_name, name, language, zone, password, second_factor_on, second_factor_step, created_at, version)
         VALUES ({id}, {bytes}, {bytes}, {bytes}, 'en', 'UTC', '', FALSE, 0, 1, 1);
         INSERT INTO standings (id, organization_id, account_id, standing, from_at, created_by, created_at, version)
         SELECT {made}, {id}, {id}, 'administrator', i, {id}, i, 1 FROM ({numbers}) AS numbers;",
        first.version
    ));
}

fn copy_of(old: &Database) -> Database {
    let copy = Database::empty(old.engine);
    match &old.cluster {
        None => {
            old.sql().run("PRAGMA wal_checkpoint(TRUNCATE)");
            std::fs::copy(old.file(), copy.file()).expect("room for a copy");
        }
        Some(cluster) => {
            wait_until_alone(cluster, &old.url);
            let (from, to) = (name_of(&old.url), name_of(&copy.url));
            let mut sql = crate::harness::Sql::open(&old.url.replace(from, "postgres"));
            sql.run(&format!("DROP DATABASE {to}"));
            sql.run(&format!("CREATE DATABASE {to} TEMPLATE {from}"));
        }
    }
    copy
}

fn name_of(url: &str) -> &str {
    url.trim_start_matches("postgres:///").split('?').next().unwrap_or_default()
}

/// PostgreSQL ends a statement whose client is gone only when it next looks.
fn wait_until_alone(_: &Cluster, url: &str) {
    let name = name_of(url);
    let mut sql = crate::harness::Sql::open(&url.replace(name, "postgres"));
    let others = format!("SELECT count(*) AS v FROM pg_stat_activity WHERE datname = '{name}'");
    wait_for(Duration::from_secs(60), || sql.number(&others) == 0).expect("nobody else is connected");
}

fn applied(database: &Database) -> usize {
    database.sql().number("SELECT count(*) AS v FROM __diesel_schema_migrations") as usize
}

fn count(database: &Database) -> i64 {
    database.sql().number("SELECT count(*) AS v FROM standings")
}

/// Every table, column, constraint and index, but for the list of migrations.
pub fn schema(database: &Database) -> Vec<String> {
    let query = match database.engine {
        Engine::Sqlite => {
            "SELECT type || ' ' || name || ': ' || coalesce(sql, '') AS v FROM sqlite_master \
             WHERE tbl_name NOT LIKE '%diesel_schema%' ORDER BY 1"
        }
        Engine::Postgres => {
            "SELECT v FROM ( \
             SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') AS v \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '%diesel_schema%' \
             UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE '%diesel_schema%' \
             UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE '%diesel_schema%') AS parts ORDER BY v"
        }
    };
    database.sql().texts(query)
}
