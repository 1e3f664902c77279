//! The database goes away under load: restarted, crashed, frozen. Who asks is told to come again, and all goes on once it is
//! back, without a restart of the server.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    harness::{Database, Engine, Request, Run, Server, figure, signal, wait_for},
    load, postgres,
    stage::Stage,
};

/// How long it is frozen: longer than the server waits for it.
const FROZEN: Duration = Duration::from_secs(24);

pub fn prove(run: &Run, engine: Engine) -> String {
    match engine {
        Engine::Sqlite => held(run),
        Engine::Postgres => gone(run),
    }
}

/// Another program holds the embedded database for itself.
fn held(run: &Run) -> String {
    let times = run.size(1, 5);
    let database = Database::fresh(Engine::Sqlite);
    let mut stage = Stage::build(&database, load::SIZE);
    let server = Server::start(&database);
    stage.sign_in(&server);
    let mut crew = load::crew(&stage, "held");
    load::note_what_is_there(&mut crew, &database);
    let mut slowest = Duration::ZERO;
    for _ in 0..times {
        let address = server.address;
        load::work_during(&mut crew, address, || {
            std::thread::sleep(Duration::from_millis(500));
            let mut sql = database.sql();
            sql.run("BEGIN EXCLUSIVE");
            slowest = slowest.max(answered_within(&server, &stage));
            std::thread::sleep(FROZEN.saturating_sub(Duration::from_secs(10)));
            sql.run("ROLLBACK");
            recovered(&server, &stage);
            std::thread::sleep(Duration::from_millis(500));
        });
        settled(&mut crew, &server, &database);
    }
    let busy: usize = crew.iter().map(|worker| worker.busy).sum();
    assert!(busy > 0, "nobody was told to come again");
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    server.stop();
    format!(
        "held by another program {times} times: {} told to come again with Retry-After, none failed inside, {} acknowledged \
         writes, 0 lost, 0 half done; a read was answered after {:.1} s at the most; the same server went on; log whole ({log})",
        figure(busy),
        figure(load::acknowledged(&crew)),
        slowest.as_secs_f64(),
    )
}

/// PostgreSQL restarted, crashed and frozen.
fn gone(run: &Run) -> String {
    let times = run.size(1, 5);
    let cluster = Arc::new(postgres::durable_cluster().expect("a cluster"));
    let database = Database::on(cluster.clone());
    database.run(&["migrate"]).expect("the migrations run");
    let mut stage = Stage::build(&database, load::SIZE);
    let server = Server::start(&database);
    stage.sign_in(&server);
    let mut crew = load::crew(&stage, "gone");
    load::note_what_is_there(&mut crew, &database);
    let mut slowest = Duration::ZERO;
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        for mode in ["fast", "immediate"] {
            let address = server.address;
            load::work_during(&mut crew, address, || {
                std::thread::sleep(Duration::from_millis(500));
                control(&cluster, &["stop", "-m", mode, "-w"]);
                slowest = slowest.max(answered_within(&server, &stage));
                assert_eq!(server.client().ask(&Request::get("/health/live")).status, 204);
                assert_eq!(server.client().ask(&Request::get("/health/ready")).status, 503);
                control(&cluster, &["start", "-w", "-l", "/dev/null"]);
                longest = longest.max(recovered(&server, &stage));
                std::thread::sleep(Duration::from_millis(500));
            });
            settled(&mut crew, &server, &database);
        }
        let address = server.address;
        load::work_during(&mut crew, address, || {
            std::thread::sleep(Duration::from_millis(500));
            let processes = processes(&cluster);
            processes.iter().for_each(|process| signal(*process, "STOP"));
            slowest = slowest.max(answered_within(&server, &stage));
            let begun = Instant::now();
            std::thread::sleep(FROZEN.saturating_sub(begun.elapsed()));
            processes.iter().for_each(|process| signal(*process, "CONT"));
            longest = longest.max(recovered(&server, &stage));
            std::thread::sleep(Duration::from_millis(500));
        });
        settled(&mut crew, &server, &database);
    }
    let busy: usize = crew.iter().map(|worker| worker.busy).sum();
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    server.stop();
    format!(
        "stopped, crashed and frozen for {} s, {times} times each: {} told to come again with Retry-After, none failed inside, \
         {} acknowledged writes, 0 lost, 0 half done; while it was gone a read was answered after {:.1} s at the most; back \
         within {:.1} s of its return; the same server went on; log whole ({log})",
        FROZEN.as_secs(),
        figure(busy),
        figure(load::acknowledged(&crew)),
        slowest.as_secs_f64(),
        longest.as_secs_f64(),
    )
}

/// How long somebody waits who asks now: told to come again, or answered.
fn answered_within(server: &Server, stage: &Stage) -> Duration {
    let begun = Instant::now();
    let group = &stage.led[0];
    let answer = server.client().ask(&Request::get(group.path("/measures")).by(&group.lead().token));
    assert!(matches!(answer.status, 200 | 503), "{} {}", answer.status, answer.body);
    if answer.status == 503 {
        assert!(answer.header("retry-after").is_some(), "503 without Retry-After");
    }
    begun.elapsed()
}

/// Waits until the server answers as before.
fn recovered(server: &Server, stage: &Stage) -> Duration {
    let group = &stage.led[0];
    let request = Request::get(group.path("/measures")).by(&group.lead().token);
    let took = wait_for(Duration::from_secs(60), || server.client().ask(&request).status == 200);
    took.unwrap_or_else(|| panic!("no recovery within a minute: {}", server.said()))
}

fn settled(crew: &mut [load::Worker], server: &Server, database: &Database) {
    load::check(crew, database);
    let mut client = server.client();
    crew.iter_mut().for_each(|worker| worker.settle(&mut client));
    assert_eq!(load::check(crew, database), 0, "everything is acknowledged by now");
}

pub fn control(cluster: &postgres::Cluster, arguments: &[&str]) {
    let mut command: Command = cluster.program("pg_ctl");
    command.args(arguments).args(["-s", "-D"]).arg(cluster.data()).stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    let status = command.status().expect("pg_ctl runs");
    assert!(status.success(), "pg_ctl {arguments:?}: {status}");
}

/// The postmaster and its children.
fn processes(cluster: &postgres::Cluster) -> Vec<u32> {
    let file = std::fs::read_to_string(cluster.data().join("postmaster.pid")).expect("a running cluster");
    let postmaster = file.lines().next().and_then(|line| line.trim().parse().ok()).expect("a process");
    let children =
        std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
    let mut processes: Vec<u32> = vec![postmaster];
    processes.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    processes
}
