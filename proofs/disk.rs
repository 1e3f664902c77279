//! The disk is full: what must be written is refused with 503, what was acknowledged stays, and room is all it takes.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use crate::{
    harness::{Database, Engine, Request, Run, Server, figure, program, program_at, signal, wait_for},
    load, postgres,
    stage::Stage,
};

/// A file system of its own; gone with this value.
struct Small {
    directory: tempfile::TempDir,
}

impl Small {
    /// # Errors
    /// What stands against it, in one line: only root mounts.
    fn mount(mebibytes: usize) -> Result<Small, String> {
        let directory =
            tempfile::Builder::new().prefix("proof").tempdir_in("/tmp").map_err(|error| error.to_string())?;
        let options = format!("size={mebibytes}m,mode=1777");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(directory.path());
        crate::harness::finished(mount).map_err(|said| said.lines().next().unwrap_or("mount fails").to_owned())?;
        Ok(Small { directory })
    }

    /// Takes all the room that is left. Returns the file that takes it.
    fn fill(&self) -> PathBuf {
        let path = self.directory.path().join("ballast");
        let mut file = File::create(&path).expect("a file");
        for size in [1 << 20, 4096, 512] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.directory.path()).status();
    }
}

pub fn prove(run: &Run, engine: Engine) -> String {
    let times = run.size(1, 5);
    match (engine, Small::mount(if engine == Engine::Sqlite { 24 } else { 200 })) {
        (Engine::Sqlite, Ok(small)) => {
            let inside = tempfile::tempdir_in(small.directory.path()).expect("a directory");
            let database = Database::empty_in(engine, inside);
            database.run(&["migrate"]).expect("the migrations run");
            let with = format!("a file system of 24 MiB filled {times} times");
            let server = |database: &Database| Server::start(database);
            full(
                &database,
                times,
                &with,
                server,
                |_| small.fill(),
                |_, ballast| drop(std::fs::remove_file(ballast)),
                |_| {},
            )
        }
        (Engine::Sqlite, Err(_)) => {
            // The same by a limit on the size of files: SQLite's log reaches it.
            let database = Database::fresh(engine);
            let with =
                format!("a limit on the size of files, met {times} times (mounting a small file system needs root)");
            let limit = |server: &Server, bytes: &str| {
                let pid = server.child.id().to_string();
                let limited = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}")]).status();
                assert!(limited.is_ok_and(|status| status.success()), "prlimit sets a limit");
            };
            full(
                &database,
                times,
                &with,
                |database| {
                    // The limit kills unless its signal is ignored, as it is by a service manager that sets one.
                    let mut shell = program_at(Path::new("/bin/sh"), &database.url, &["-c"]);
                    shell.arg("trap '' XFSZ; exec \"$0\" serve").arg(program());
                    Server::started(shell, database.directory.path()).expect("the server starts")
                },
                |server| {
                    limit(server, "4096:unlimited");
                    PathBuf::new()
                },
                |server, _| limit(server, "unlimited:unlimited"),
                |_| {},
            )
        }
        (Engine::Postgres, Ok(small)) => {
            let cluster = postgres::durable_cluster_in(Some(small.directory.path())).expect("a cluster");
            let cluster = Arc::new(cluster);
            let database = Database::on(cluster.clone());
            database.run(&["migrate"]).expect("the migrations run");
            let with = format!("a file system of 200 MiB filled {times} times");
            let found = full(
                &database,
                times,
                &with,
                Server::start,
                |_| small.fill(),
                |_, ballast| drop(std::fs::remove_file(ballast)),
                // A PostgreSQL that could not even write its log has ended, and is started by whoever keeps it running.
                |_| {
                    let mut start = cluster.program("pg_ctl");
                    start.args(["start", "-s", "-w", "-D"]).arg(cluster.data()).arg("-l").arg("/dev/null");
                    let _ = start.output();
                },
            );
            drop(database);
            found
        }
        (Engine::Postgres, Err(reason)) => {
            eprintln!("proof: disk on PostgreSQL is left out: a small file system needs root ({reason})");
            format!("left out: {reason}")
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "each of them is another way to the same")]
fn full(
    database: &Database,
    times: usize,
    with: &str,
    start: impl Fn(&Database) -> Server,
    fill: impl Fn(&Server) -> PathBuf,
    make_room: impl Fn(&Server, &Path),
    revive: impl Fn(&Server),
) -> String {
    let mut stage = Stage::build(database, load::SIZE);
    let server = start(database);
    stage.sign_in(&server);
    let mut crew = load::crew(&stage, "disk");
    load::note_what_is_there(&mut crew, database);
    let (member, lead) = (&stage.peer[0].members[2], stage.led[0].lead());
    let own = Request::get("/v1/account").by(&member.token);
    let write = |key: String| {
        let body = serde_json::json!({"mood": "good"});
        Request::post(stage.peer[0].path("/check-ins"), &body).by(&member.token).key(key)
    };
    let logged =
        Request::get(stage.led[0].path(&format!("/members/{}", stage.led[0].members[0].member))).by(&lead.token);
    let (mut slowest, mut unlogged) = (Duration::ZERO, 0);
    for time in 0..times {
        load::work_during(&mut crew, server.address, || {
            std::thread::sleep(Duration::from_millis(700));
            let ballast = fill(&server);
            let mut client = server.client();
            let mut number = 0;
            // What is still free inside the database's own files is used up first.
            let refused = wait_for(Duration::from_secs(60), || {
                number += 1;
                let answer = client.ask(&write(format!("room-{time}-{number}")));
                assert!(
                    matches!(answer.status, 201 | 503),
                    "a write was answered {}: {}",
                    answer.status,
                    server.said()
                );
                answer.status == 503 && answer.header("retry-after").is_some()
            });
            assert!(refused.is_some(), "the disk is full, and writes are still taken");
            for _ in 0..10 {
                let answer = client.ask(&own);
                assert_eq!(answer.status, 200, "a read that is not logged: {}", answer.body);
                let answer = client.ask(&logged);
                assert!(matches!(answer.status, 200 | 503), "a logged read was answered {}", answer.status);
                unlogged += usize::from(answer.status == 503);
                std::thread::sleep(Duration::from_millis(100));
            }
            make_room(&server, &ballast);
            revive(&server);
            let mut last = String::new();
            let again = wait_for(Duration::from_secs(60), || {
                number += 1;
                let answer = client.ask(&write(format!("room-{time}-{number}")));
                last = format!("{} {}", answer.status, answer.body);
                answer.status == 201
            });
            slowest =
                slowest.max(again.unwrap_or_else(|| {
                    panic!("there is room, and writes are still refused: {last}; {}", server.said())
                }));
        });
        let mut client = server.client();
        crew.iter_mut().for_each(|worker| worker.settle(&mut client));
        load::check(&mut crew, database);
    }
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(database.sql().faults(), Vec::<String>::new());
    let busy: usize = crew.iter().map(|worker| worker.busy).sum();
    signal(server.child.id(), "CONT");
    server.stop();
    format!(
        "{with}: {} acknowledged writes, 0 lost; {} writes answered 503 with Retry-After, none 500; reads that are not logged went on, \
         {unlogged} logged ones 503; writes again {} ms after room was made, without a restart of the server; log whole ({log})",
        figure(load::acknowledged(&crew)),
        figure(busy),
        slowest.as_millis()
    )
}
