//! PgBouncer in transaction mode between the server and PostgreSQL.

use std::{
    os::unix::fs::PermissionsExt,
    process::{Child, Stdio},
    time::Duration,
};

use crate::{
    harness::{Database, Engine, Run, Server, figure},
    load,
    stage::Stage,
};

/// Connections that PgBouncer has to PostgreSQL: as many as both servers can use at once. With fewer, acts would hold all of them
/// while they wait for the one that writes the log.
const BEHIND: usize = 10;

struct Pooler {
    child: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Pooler {
    fn start(database: &Database) -> Option<Pooler> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())?;
        let directory = tempfile::Builder::new().prefix("pooler").tempdir_in("/tmp").expect("a directory");
        let host = database.url.split("host=").nth(1).and_then(|rest| rest.split('&').next()).expect("a socket");
        let host = percent_encoding::percent_decode_str(host).decode_utf8_lossy();
        let name = database.url.trim_start_matches("postgres:///").split('?').next().unwrap_or_default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let settings = directory.path().join("pgbouncer.ini");
        let users = directory.path().join("users");
        std::fs::write(&users, "\"circlekeeper\" \"\"\n").expect("a file");
        std::fs::write(
            &settings,
            format!(
                "[databases]\n{name} = host={host} port=5432 user=circlekeeper\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\nauth_type = any\nauth_file = {}\npool_mode = transaction\n\
                 default_pool_size = {BEHIND}\nmax_client_conn = 200\n",
                users.display()
            ),
        )
        .expect("a file");
        let cluster = database.cluster.as_ref().expect("a cluster");
        // As the user whom PostgreSQL runs as: it refuses root, and has to reach the socket.
        let mut command = cluster.program(program);
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("rights");
        let child = command
            .arg("--quiet")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_millis(500));
        Some(Pooler { child, port, _directory: directory })
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn prove(run: &Run, engine: Engine) -> String {
    let seconds = run.size(4, 60);
    let database = Database::fresh(engine);
    let Some(pooler) = Pooler::start(&database) else {
        return "left out: no pgbouncer on this machine".into();
    };
    let mut stage = Stage::build(&database, load::SIZE);
    let name = database.url.trim_start_matches("postgres:///").split('?').next().unwrap_or_default().to_owned();
    let url = format!("postgres://circlekeeper@127.0.0.1:{}/{name}", pooler.port);
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("CIRCLEKEEPER_TRANSACTION_POOLER", "true"),
        ("CIRCLEKEEPER_CONNECTIONS", "4"),
    ];
    let servers = [Server::start_with(&database, &settings), Server::start_with(&database, &settings)];
    stage.sign_in(&servers[0]);
    let mut crew = load::crew(&stage, "pooled");
    load::note_what_is_there(&mut crew, &database);
    let half = crew.len() / 2;
    let (here, there) = crew.split_at_mut(half);
    load::work_during(here, servers[0].address, || {
        load::work_during(there, servers[1].address, || std::thread::sleep(Duration::from_secs(seconds as u64)));
    });
    let mut client = servers[0].client();
    crew.iter_mut().for_each(|worker| worker.settle(&mut client));
    assert_eq!(load::check(&mut crew, &database), 0);
    let behind = database.sql().number(&format!("SELECT count(*) AS v FROM pg_stat_activity WHERE datname = '{name}'"));
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    servers.into_iter().for_each(Server::stop);
    format!(
        "two servers with 5 connections each over {BEHIND} of PgBouncer in transaction mode ({behind} at the end, this proof's \
         own among them): {} acknowledged writes, 0 lost, 0 half done; log whole ({log})",
        figure(load::acknowledged(&crew)),
    )
}
