//! Transactions at the level `serializable`, as distributed engines have them: those that lose are done again.

use std::time::Duration;

use crate::{
    harness::{Database, Engine, Run, Server, figure},
    load,
    stage::Stage,
};

pub fn prove(run: &Run, engine: Engine) -> String {
    let seconds = run.size(4, 60);
    let database = Database::fresh(engine);
    let mut stage = Stage::build(&database, load::SIZE);
    let name = database.url.trim_start_matches("postgres:///").split('?').next().unwrap_or_default().to_owned();
    database.sql().run(&format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"));
    let (one, other) = (Server::start(&database), Server::start(&database));
    stage.sign_in(&one);
    let mut crew = load::crew(&stage, "serializable");
    let mut same = load::crew(&stage, "beside");
    // The moves of one member cannot be counted twice; all else is written by both crews at once.
    same.truncate(4);
    let lost = |database: &Database| {
        database.sql().number(&format!(
            "SELECT (xact_rollback + conflicts)::bigint AS v FROM pg_stat_database WHERE datname = '{name}'"
        ))
    };
    let before = lost(&database);
    load::note_what_is_there(&mut crew, &database);
    load::work_during(&mut crew, one.address, || {
        load::work_during(&mut same, other.address, || std::thread::sleep(Duration::from_secs(seconds as u64)));
    });
    let mut client = one.client();
    crew.iter_mut().chain(&mut same).for_each(|worker| worker.settle(&mut client));
    std::thread::sleep(Duration::from_secs(1));
    let rolled_back = lost(&database) - before;
    let busy: usize = crew.iter().chain(&same).map(|worker| worker.busy).sum();
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    one.stop();
    other.stop();
    format!(
        "two servers, everything serializable: {} acknowledged writes, {} transactions rolled back and done again, {} told to \
         come again, none failed inside; log whole ({log})",
        figure(load::acknowledged(&crew) + load::acknowledged(&same)),
        figure(rolled_back.max(0) as usize),
        figure(busy),
    )
}
