//! A standby of PostgreSQL that streams: promoted in the middle of writes, and read from while it lags.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::json;

use crate::{
    harness::{Database, Engine, Request, Run, Server, figure, wait_for},
    interrupted::control,
    load, postgres,
    stage::Stage,
};

/// A copy of a cluster that follows it; stopped with this value.
struct Standby {
    directory: PathBuf,
    primary: Arc<postgres::Cluster>,
}

impl Standby {
    /// Made of a running cluster, which then waits at each commit until the standby has it on disk.
    fn of(primary: &Arc<postgres::Cluster>, url: &str) -> Standby {
        primary.execute("ALTER SYSTEM SET wal_level = replica");
        primary.execute("ALTER SYSTEM SET max_wal_senders = 8");
        primary.execute("ALTER SYSTEM SET max_replication_slots = 8");
        control(primary, &["restart", "-w", "-m", "fast", "-l", "/dev/null"]);
        let socket = socket_of(url);
        let directory = PathBuf::from(&socket).join("standby");
        let mut copy = primary.program("pg_basebackup");
        copy.args([
            "--host",
            &socket,
            "--port",
            "5432",
            "--username",
            "circlekeeper",
            "--no-password",
            "--wal-method",
            "stream",
        ])
        .args(["--write-recovery-conf", "--checkpoint", "fast", "--pgdata"])
        .arg(&directory);
        let done = copy.output().expect("pg_basebackup runs");
        assert!(done.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&done.stderr));
        let standby = Standby { directory, primary: primary.clone() };
        let mut start = primary.program("pg_ctl");
        start.args(["start", "-w", "-s", "-l", "/dev/null", "-o", "-c port=5433 -c cluster_name=standby", "-D"]);
        let status = start.arg(&standby.directory).stdout(Stdio::null()).status().expect("pg_ctl runs");
        assert!(status.success(), "the standby starts: {status}");
        standby
    }

    /// The same database, on the standby.
    fn url(&self, url: &str) -> String {
        url.replace("port=5432", "port=5433")
    }

    fn control(&self, arguments: &[&str]) {
        let mut command: Command = self.primary.program("pg_ctl");
        command.args(arguments).args(["-s", "-D"]).arg(&self.directory).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().expect("pg_ctl runs").success(), "pg_ctl {arguments:?} of the standby");
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        let mut command: Command = self.primary.program("pg_ctl");
        command.args(["stop", "-m", "immediate", "-s", "-D"]).arg(&self.directory);
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The directory of the socket, as the URL names it.
fn socket_of(url: &str) -> String {
    let host = url.split("host=").nth(1).and_then(|rest| rest.split('&').next()).expect("a socket's directory");
    percent_encoding::percent_decode_str(host).decode_utf8_lossy().into_owned()
}

/// The primary is killed while everybody writes; the standby takes its place, and everybody asks again there.
pub fn prove_promotion(run: &Run, engine: Engine) -> String {
    let times = run.size(1, 5);
    let (mut acknowledged, mut resent, mut unheard) = (0, 0, 0);
    let mut log = String::new();
    for _ in 0..times {
        let cluster = Arc::new(postgres::durable_cluster().expect("a cluster"));
        let database = Database::on(cluster.clone());
        database.run(&["migrate"]).expect("the migrations run");
        let mut stage = Stage::build(&database, load::SIZE);
        let standby = Standby::of(&cluster, &database.url);
        cluster.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
        cluster.execute("ALTER SYSTEM SET synchronous_commit = 'on'");
        cluster.execute("SELECT pg_reload_conf()");
        let server = Server::start(&database);
        stage.sign_in(&server);
        let mut crew = load::crew(&stage, "promoted");
        load::note_what_is_there(&mut crew, &database);
        load::work_during(&mut crew, server.address, || {
            std::thread::sleep(Duration::from_secs(if run.full { 8 } else { 2 }));
            control(&cluster, &["stop", "-m", "immediate", "-w"]);
            standby.control(&["promote", "-w"]);
            std::thread::sleep(Duration::from_millis(500));
        });
        server.kill();
        let promoted = Database {
            engine,
            url: standby.url(&database.url),
            directory: tempfile::tempdir().expect("a directory"),
            cluster: None,
        };
        promoted.sql().run("ALTER SYSTEM SET synchronous_standby_names = ''; ");
        promoted.sql().run("SELECT pg_reload_conf()");
        unheard += load::check(&mut crew, &promoted);
        let server = Server::start(&promoted);
        let mut client = server.client();
        crew.iter_mut().for_each(|worker| worker.settle(&mut client));
        assert_eq!(load::check(&mut crew, &promoted), 0, "everything is acknowledged by now");
        log = promoted.verify_log().unwrap_or_else(|said| panic!("{said}"));
        server.stop();
        acknowledged += load::acknowledged(&crew);
        resent += crew.iter().map(|worker| worker.retried).sum::<usize>();
        std::mem::forget(database);
    }
    format!(
        "{times} times the primary was killed under load and the standby promoted (synchronous_commit = on): {} \
         acknowledged writes, 0 lost, 0 half done; {} sent again under their keys ({} of them had happened), each there once; \
         log whole ({log})",
        figure(acknowledged),
        figure(resent),
        figure(unheard),
    )
}

/// Records are read from the standby, and nothing there is older than what the primary had kept.
pub fn prove_reading(run: &Run, engine: Engine) -> String {
    let rounds = run.size(20, 400);
    let cluster = Arc::new(postgres::durable_cluster().expect("a cluster"));
    let database = Database::on(cluster.clone());
    database.run(&["migrate"]).expect("the migrations run");
    let mut stage = Stage::build(&database, load::SIZE);
    let standby = Standby::of(&cluster, &database.url);
    let replica = standby.url(&database.url);
    let followed =
        Database { engine, url: replica.clone(), directory: tempfile::tempdir().expect("a directory"), cluster: None };
    let server = Server::start_with(&database, &[("CIRCLEKEEPER_REPLICA_URL", replica.as_str())]);
    stage.sign_in(&server);
    let reads = |database: &Database| {
        database.sql().number("SELECT sum(idx_scan)::bigint AS v FROM pg_stat_user_indexes WHERE relname = 'check_ins'")
    };
    let circle = stage.peer[0].clone();
    let (author, reader) = (circle.members[0].clone(), circle.members[1].clone());
    let mut client = server.client();
    let before = reads(&followed);
    let mut written = 0;
    // The standby follows: one's own writes, and what another withdrew, are there at the next request.
    for round in 0..rounds {
        if round == rounds / 2 {
            // From here on it stands still, and has to be passed by.
            followed.sql().run("SELECT pg_wal_replay_pause()");
        }
        let body = json!({"mood": "okay", "text": format!("Round {round}."), "visibility": "group"});
        let made = client.ask(&Request::post(circle.path("/check-ins"), &body).by(&author.token)).made();
        let path = circle.path(&format!("/check-ins/{made}"));
        let own = client.ask(&Request::get(&path).by(&author.token));
        assert_eq!(own.status, 200, "round {round}: one's own write is not there");
        let shown = client.ask(&Request::get(circle.path("/shared-check-ins?limit=1")).by(&reader.token));
        assert!(
            shown.body.contains(&format!("Round {round}.")),
            "round {round}: what was shown is not there: {}",
            shown.body
        );
        let hidden = Request::new("PUT", format!("{path}/visibility")).json(&json!({"visibility": "only_me"}));
        let hidden = client.ask(&hidden.by(&author.token).version(own.etag()));
        assert!(hidden.is_success(), "{}", hidden.body);
        let shown = client.ask(&Request::get(circle.path("/shared-check-ins?limit=1")).by(&reader.token));
        assert!(!shown.body.contains(&format!("Round {round}.")), "round {round}: what was withdrawn is still shown");
        written += 2;
    }
    let served = wait_for(Duration::from_secs(15), || reads(&followed) > before);
    assert!(served.is_some(), "the standby was never read from");
    followed.sql().run("SELECT pg_wal_replay_resume()");
    // It goes away, and nobody notices.
    standby.control(&["stop", "-m", "immediate", "-w"]);
    for _ in 0..5 {
        assert_eq!(client.ask(&Request::get(circle.path("/check-ins")).by(&author.token)).status, 200);
    }
    server.stop();
    format!(
        "{} writes, each read at once by its author and by another member, with the standby following, then stopped in its \
         replay, then gone: every write was there, nothing withdrawn was shown, and the standby answered while it followed",
        figure(written),
    )
}
