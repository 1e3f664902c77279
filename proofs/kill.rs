//! `kill -9` at random moments under write load: nothing acknowledged is lost, nothing half done, nothing done twice.

use std::time::{Duration, Instant};

use crate::{
    harness::{Database, Engine, Random, Run, Server, figure},
    load,
    stage::Stage,
};

/// One kill in so many meets a server that is still starting.
const EARLY: usize = 10;

pub fn prove(run: &Run, engine: Engine) -> String {
    let kills = run.size(12, 200);
    let random = Random::new(run.seed);
    let database = Database::fresh(engine);
    let mut stage = Stage::build(&database, load::SIZE);
    let mut server = Some(Server::start(&database));
    stage.sign_in(server.as_ref().expect("it was just started"));
    let mut crew = load::crew(&stage, "kill");
    load::note_what_is_there(&mut crew, &database);
    let (mut unheard, mut slowest) = (0, Duration::ZERO);
    for kill in 1..=kills {
        if kill % EARLY == 0 {
            let (starting, _) = Server::spawned(database.program(&["serve"]), database.directory.path());
            std::thread::sleep(Duration::from_micros(random.below(80_000) as u64));
            starting.kill();
        }
        let started = Instant::now();
        let running = server.take().unwrap_or_else(|| Server::start(&database));
        slowest = slowest.max(started.elapsed());
        unheard += load::check(&mut crew, &database);
        let mut client = running.client();
        crew.iter_mut().for_each(|worker| worker.settle(&mut client));
        let address = running.address;
        load::work_during(&mut crew, address, || {
            std::thread::sleep(Duration::from_millis(30) + Duration::from_micros(random.below(400_000) as u64));
            running.kill();
        });
        // Of the log every link is read again, so that the whole of it costs the square of its length.
        if !run.full || kill % 20 == 0 {
            database.verify_log().unwrap_or_else(|said| panic!("after kill {kill}: {said}"));
        }
    }
    let last = Server::start(&database);
    unheard += load::check(&mut crew, &database);
    let mut client = last.client();
    crew.iter_mut().for_each(|worker| worker.settle(&mut client));
    assert_eq!(load::check(&mut crew, &database), 0, "everything is acknowledged by now");
    let log = database.verify_log().unwrap_or_else(|said| panic!("at the end: {said}"));
    last.stop();
    assert_eq!(database.sql().faults(), Vec::<String>::new(), "the file is not whole");
    let retried: usize = crew.iter().map(|worker| worker.retried).sum();
    format!(
        "{kills} kills ({} of them while it started), {} acknowledged writes, 0 lost, 0 half done; {} sent again \
         ({} of them had happened already), each there once; log whole ({log}); up again in {} ms at the most",
        kills / EARLY,
        figure(load::acknowledged(&crew)),
        figure(retried),
        figure(unheard),
        slowest.as_millis()
    )
}
