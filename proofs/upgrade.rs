//! A rolling upgrade: the former program serves on while the schema is brought to the new one, and both serve together.

use std::time::{Duration, Instant};

use crate::{
    harness::{Database, Engine, Run, Server, figure, finished, program, program_at},
    load,
    stage::Stage,
};

/// What a later release may add to tables that are there: all that a migration may do before a contraction.
const EXPANSION: [&str; 5] = [
    "ALTER TABLE check_ins ADD COLUMN later TEXT",
    "ALTER TABLE measures ADD COLUMN later INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE members ADD COLUMN later BOOLEAN NOT NULL DEFAULT FALSE",
    "CREATE INDEX sessions_later ON sessions (group_id, recorded_at, id)",
    "CREATE TABLE laters (id UUID PRIMARY KEY NOT NULL, group_id UUID NOT NULL REFERENCES groups (id), at BIGINT NOT NULL)",
];

pub fn prove(run: &Run, engine: Engine) -> String {
    let former = run.former.as_deref().unwrap_or(program());
    let database = Database::empty(engine);
    finished(program_at(former, &database.url, &["migrate"])).unwrap_or_else(|said| panic!("{said}"));
    let mut stage = Stage::build(&database, load::SIZE);
    let serve = |program: &std::path::Path| {
        let command = program_at(program, &database.url, &["serve"]);
        Server::started(command, database.directory.path()).unwrap_or_else(|said| panic!("no server: {said}"))
    };
    let old = serve(former);
    stage.sign_in(&old);
    let mut crew = load::crew(&stage, "upgrade");
    load::note_what_is_there(&mut crew, &database);
    let mut took = Duration::ZERO;
    let migrated = load::work_during(&mut crew, old.address, || {
        std::thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        let said = database.run(&["migrate"]).unwrap_or_else(|said| panic!("{said}"));
        if run.former.is_none() {
            let mut sql = database.sql();
            EXPANSION.iter().for_each(|step| sql.run(step));
        }
        took = begun.elapsed();
        std::thread::sleep(Duration::from_secs(2));
        said.trim().to_owned()
    });
    let mut client = old.client();
    crew.iter_mut().for_each(|worker| worker.settle(&mut client));
    load::check(&mut crew, &database);
    let under_old = load::acknowledged(&crew);
    // Then the new one joins, half of the clients go over to it, and the former one is told to stop.
    let new = serve(program());
    let half = crew.len() / 2;
    let (here, there) = crew.split_at_mut(half);
    load::work_during(here, old.address, || {
        load::work_during(there, new.address, || std::thread::sleep(Duration::from_secs(run.size(2, 20) as u64)));
    });
    let mut client = new.client();
    crew.iter_mut().for_each(|worker| worker.settle(&mut client));
    old.stop();
    load::work_during(&mut crew, new.address, || std::thread::sleep(Duration::from_secs(1)));
    crew.iter_mut().for_each(|worker| worker.settle(&mut client));
    assert_eq!(load::check(&mut crew, &database), 0);
    let busy: usize = crew.iter().map(|worker| worker.busy).sum();
    let slowest = crew.iter().flat_map(|worker| &worker.latencies).copied().fold(0.0, f64::max);
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(database.sql().faults(), Vec::<String>::new());
    new.stop();
    let how = match &run.former {
        Some(_) => format!("the program of the release before served while its database got {migrated}"),
        None => format!("the program served while {} expansions were made", EXPANSION.len()),
    };
    format!(
        "{how} ({} ms): {} writes acknowledged by it, then {} by both and the new one alone; {busy} told to come again, 0 lost, 0 half done, the \
         slowest {slowest:.0} ms; log whole ({log})",
        took.as_millis(),
        figure(under_old),
        figure(load::acknowledged(&crew) - under_old),
    )
}
