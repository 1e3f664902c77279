//! What answers: the program as a process of its own, a server that does nothing, and one in this process to overhear.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
};

use actix_web::{App, HttpResponse, HttpServer, web};
use circlekeeper::{
    config::ServerConfig,
    server,
    store::connection::{Db, Location},
};
use secrecy::ExposeSecret;

use crate::year::MASTER;

/// Says that this process is the server that does nothing.
pub const EMPTY: &str = "BENCH_IS_THE_EMPTY_SERVER";

/// Has PostgreSQL's rows kept behind row-level security, and the server work as this role.
#[cfg(feature = "postgres")]
pub const WALL: &str = "BENCH_WALL";
#[cfg(feature = "postgres")]
pub const APPLICATION: &str = "circlekeeper_app";

/// A server in a process of its own; ends with this value.
pub struct Process {
    pub address: SocketAddr,
    child: Child,
}

impl Process {
    /// The program, as it is built for production, with its own log level; the log goes nowhere.
    pub fn serve(location: &Location) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_circlekeeper"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CIRCLEKEEPER_") && name != "CIRCLEKEEPER_LOG" {
                command.env_remove(name);
            }
        }
        let url = location.url.expose_secret();
        #[cfg(feature = "postgres")]
        let url = match std::env::var_os(WALL) {
            Some(_) => &url.replace("user=circlekeeper", &format!("user={APPLICATION}")),
            None => url,
        };
        command
            .arg("serve")
            .env("DATABASE_URL", url)
            .env("CIRCLEKEEPER_MASTER_KEY", MASTER)
            .env("CIRCLEKEEPER_BIND", "127.0.0.1:0");
        for (ours, theirs) in [
            ("BENCH_CONNECTIONS", "CIRCLEKEEPER_CONNECTIONS"),
            ("BENCH_WORKERS", "CIRCLEKEEPER_WORKERS"),
            ("BENCH_HASHING", "CIRCLEKEEPER_HASHING"),
        ] {
            if let Ok(value) = std::env::var(ours) {
                command.env(theirs, value);
            }
        }
        Process::start(command)
    }

    /// An actix server with as many workers, whose one handler does nothing.
    pub fn empty() -> Process {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env(EMPTY, "1");
        Process::start(command)
    }

    fn start(mut command: Command) -> Process {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let said = lines.find_map(|line| line.ok()?.strip_prefix("listening on http://")?.parse().ok());
        Process { address: said.expect("the server listens"), child }
    }

    /// Mebibytes: what is resident now, and the most that ever was. Only Linux tells.
    pub fn memory(&self) -> Option<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
        };
        Some((of("VmRSS:")?, of("VmHWM:")?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the server that does nothing until the process is ended.
pub fn run_empty() {
    let workers = std::env::var("BENCH_WORKERS").ok().and_then(|workers| workers.parse().ok());
    let workers = workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from));
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(|| App::new().default_service(web::to(async || HttpResponse::Ok().body(""))))
            .workers(workers)
            .bind("127.0.0.1:0")
            .expect("a free port");
        println!("listening on http://{}", server.addrs()[0]);
        server.run().await.expect("the server runs");
    });
}

/// Calls `work` with the address of a server in this process.
pub fn with_own(db: Db, work: impl FnOnce(SocketAddr)) {
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let config = ServerConfig { workers: Some(1), ..ServerConfig::default() };
            let running = server::start(db, &config).expect("a free port");
            sender.send((running.address, running.server.handle())).expect("somebody waits");
            running.server.await.expect("the server runs");
        });
    });
    let (address, handle) = receiver.recv().expect("the server starts");
    work(address);
    drop(handle.stop(false));
    thread.join().expect("the server stops");
}
