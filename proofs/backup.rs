//! A backup while everybody writes: restored, it is a consistent cut, and a server runs on it.

use std::{
    collections::HashSet,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    harness::{Database, Engine, Request, Run, Server, Sql, figure, finished},
    load,
    stage::Stage,
};

/// Tables whose rows are written once: a row of the copy must be there in the original, to the last byte.
const WRITTEN_ONCE: [&str; 8] = [
    "check_ins",
    "measures",
    "attendances",
    "session_records",
    "signatures",
    "access_entries",
    "idempotent_answers",
    "data_keys",
];

pub fn prove(run: &Run, engine: Engine) -> String {
    let times = run.size(2, 20);
    let database = Database::fresh(engine);
    let mut stage = Stage::build(&database, load::SIZE);
    let server = Server::start(&database);
    stage.sign_in(&server);
    let mut crew = load::crew(&stage, "backup");
    load::note_what_is_there(&mut crew, &database);
    let (mut rows, mut before_all, mut during_all) = (0, 0, 0);
    let mut slowest = Duration::ZERO;
    for time in 0..times {
        let file = database.directory.path().join(format!("copy-{time}.db"));
        // What a worker has heard before this is older than the backup.
        load::work_during(&mut crew, server.address, || std::thread::sleep(Duration::from_secs(1)));
        let mut client = server.client();
        crew.iter_mut().for_each(|worker| worker.settle(&mut client));
        load::check(&mut crew, &database);
        let before: Vec<usize> = crew.iter().map(|worker| worker.acknowledged).collect();
        load::work_during(&mut crew, server.address, || {
            let begun = Instant::now();
            database.run(&["backup", &file.display().to_string()]).unwrap_or_else(|said| panic!("{said}"));
            slowest = slowest.max(begun.elapsed());
            // Some writes come after it.
            std::thread::sleep(Duration::from_millis(300));
        });
        let after: usize = load::acknowledged(&crew);
        before_all = before.iter().sum();
        during_all += after - before_all;
        let restored = restore(&database, &file);
        load::check_copy(&crew, &before, &restored);
        rows = compare(&database, &restored);
        assert_eq!(restored.sql().faults(), Vec::<String>::new());
        restored.verify_log().unwrap_or_else(|said| panic!("the log of the copy: {said}"));
        // Somebody signs in there, and reads what is sealed.
        let other = Server::start(&restored);
        let mut person = stage.peer[0].members[0].clone();
        let mut client = other.client();
        person.sign_in(&mut client);
        let path = stage.peer[0].path("/check-ins?limit=200");
        let read = client.ask(&Request::get(path).by(&person.token)).expect(200);
        let texts = read["items"].as_array().expect("check-ins");
        assert!(texts.iter().all(|one| one["text"].as_str().is_some_and(|text| text.starts_with("Evening"))), "{read}");
        other.stop();
    }
    server.stop();
    format!(
        "{times} backups in {} ms at the most while {} writes were acknowledged; each restored: all of the up to {} acknowledged before \
         are there, none half done; {} rows of the last one compared byte by byte; references and log whole; a server opened the \
         sealed texts",
        slowest.as_millis(),
        figure(during_all),
        figure(before_all),
        figure(rows),
    )
}

fn restore(source: &Database, file: &std::path::Path) -> Database {
    let mut restored = Database::empty(source.engine);
    match &restored.cluster {
        None => {
            source.run(&["verify", &file.display().to_string()]).unwrap_or_else(|said| panic!("{said}"));
            source.run(&["restore", &file.display().to_string()]).unwrap_or_else(|said| panic!("{said}"));
            restored.url = format!("sqlite:{}", file.display());
        }
        Some(_) => {
            for part in [file.to_owned(), circlekeeper::store::backup::keys_beside(file)] {
                let mut command = Command::new("pg_restore");
                command.args(["--no-owner", "--exit-on-error", "--dbname", &restored.url]).arg(part);
                finished(command).unwrap_or_else(|said| panic!("{said}"));
            }
        }
    }
    restored
}

/// Every row of the copy stands in the original as it is. Returns how many were compared.
fn compare(original: &Database, copy: &Database) -> usize {
    let (mut theirs, mut ours) = (original.sql(), copy.sql());
    let mut compared = 0;
    for table in WRITTEN_ONCE {
        let all: HashSet<String> = rows(&mut theirs, table).into_iter().collect();
        let copied = rows(&mut ours, table);
        compared += copied.len();
        let strange: Vec<&String> = copied.iter().filter(|row| !all.contains(*row)).collect();
        assert!(strange.is_empty(), "{table}: {} rows of the copy were never in the original", strange.len());
    }
    compared
}

fn rows(sql: &mut Sql, table: &str) -> Vec<String> {
    let query = match sql {
        Sql::Sqlite(_) => {
            let columns = sql.texts(&format!("SELECT name AS v FROM pragma_table_info('{table}')"));
            let quoted: Vec<String> = columns.iter().map(|name| format!("quote(\"{name}\")")).collect();
            format!("SELECT {} AS v FROM {table}", quoted.join(" || ',' || "))
        }
        Sql::Postgres(_) => format!("SELECT whole::text AS v FROM {table} AS whole"),
    };
    sql.texts(&query)
}
