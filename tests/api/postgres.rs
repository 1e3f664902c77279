//! A throw-away PostgreSQL for one test process: found on the machine, started on first use, gone when the process is gone.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The superuser of the throw-away cluster; nobody outside its private directory can reach the socket.
const USER: &str = "circlekeeper";

/// Part of the socket's file name and nothing else: the server listens on no network address.
const PORT: &str = "5432";

/// What a directory must hold to be worth trying.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// The one cluster of this test process, or `None` where the machine has no PostgreSQL server,
/// in which case one line on stderr says so and the caller runs on SQLite.
///
/// # Panics
/// Where a server is installed and does not start, and, with `CIRCLEKEEPER_REQUIRE_POSTGRES=1`, where there is none.
pub fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Result<Cluster, Unavailable>> = OnceLock::new();
    let required = std::env::var("CIRCLEKEEPER_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
    let cluster = CLUSTER.get_or_init(|| {
        let started = Cluster::start(VOLATILE);
        if let (false, Err(Unavailable::Missing(reason))) = (required, &started) {
            // Not eprintln!, which the test harness would keep to itself.
            let line = format!("PostgreSQL: {reason}; running on SQLite instead\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        started
    });
    match cluster {
        Ok(cluster) => Some(cluster),
        Err(Unavailable::Missing(_)) if !required => None,
        Err(Unavailable::Missing(reason) | Unavailable::Broken(reason)) => {
            panic!("PostgreSQL: {reason}")
        }
    }
}

/// A cluster whose commits are on disk before they are answered: for what is measured, not for what is tested.
///
/// # Errors
/// One line that says why there is none.
#[allow(dead_code, reason = "the tests need nothing to last; benches/api does")]
pub fn durable_cluster() -> Result<Cluster, String> {
    durable_cluster_in(None)
}

/// The same, with its files in this directory, which everybody may write to.
///
/// # Errors
/// One line that says why there is none.
#[allow(dead_code, reason = "the tests run where there is room; proofs/ also where there is none")]
pub fn durable_cluster_in(parent: Option<&Path>) -> Result<Cluster, String> {
    Cluster::start_in(parent, DURABLE).map_err(|(Unavailable::Missing(reason) | Unavailable::Broken(reason))| reason)
}

/// A running server, reached through a socket in a directory that only its owner may enter.
pub struct Cluster {
    /// Parent of the data directory and of the socket.
    directory: PathBuf,
    psql: PathBuf,
    template: OnceLock<String>,
    databases: AtomicU32,
    /// The watchdog reads the other end. The kernel closes this one however the process ends.
    _lifeline: ChildStdin,
}

impl Cluster {
    /// Makes, once, the database that every later [`Cluster::fresh_database`] copies.
    ///
    /// `prepare` is given the URL of an empty database and brings it to the wanted state, migrations above all.
    pub fn template(&self, prepare: impl FnOnce(&str)) {
        self.template.get_or_init(|| {
            let name = self.next_name("template");
            self.execute(&format!("CREATE DATABASE {name}"));
            prepare(&self.url(&name));
            // A database is copied only while nobody is connected to it, and pools close late.
            self.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
            self.execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
            name
        });
    }

    /// A new database, a copy of the template if there is one, as a URL that libpq understands.
    pub fn fresh_database(&self) -> String {
        let name = self.next_name("test");
        let template = self.template.get().map_or("template1", String::as_str);
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        self.url(&name)
    }

    /// Gives back the room of one database, some eight megabytes, and ends whatever is still connected to it.
    pub fn discard(&self, url: &str) {
        let name = url.trim_start_matches("postgres:///").split('?').next().unwrap_or_default();
        self.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }

    /// Where its data is: only for its own user, and for root.
    #[allow(dead_code, reason = "the tests leave it alone; proofs/ breaks it")]
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// One of PostgreSQL's own programs, run as the user whom the server runs as.
    #[allow(dead_code, reason = "the tests need psql alone; proofs/ needs more")]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.psql.with_file_name(name));
        command.stdin(Stdio::null()).current_dir("/");
        if let (Some(0), Some((user, group))) = (id(&["-u"]), unprivileged_user()) {
            command.uid(user).gid(group);
        }
        forget_surroundings(&mut command);
        command
    }

    fn start(settings: &str) -> Result<Self, Unavailable> {
        Self::start_in(None, settings)
    }

    fn start_in(parent: Option<&Path>, settings: &str) -> Result<Self, Unavailable> {
        let programs = find_programs()
            .ok_or_else(|| Unavailable::Missing(format!("no directory holds {}", PROGRAMS.join(", "))))?;

        let mut watchdog = Command::new("/bin/sh");
        watchdog.args(["-c", WATCHDOG, "watchdog"]).arg(&programs).args([USER, PORT, settings]);
        watchdog.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // PostgreSQL refuses to run as root.
        if id(&["-u"]) == Some(0) {
            let (user, group) =
                unprivileged_user().ok_or_else(|| Unavailable::Missing("root has no user to run it as".into()))?;
            watchdog.uid(user).gid(group);
        }
        // A group of its own, so that Ctrl-C ends the tests and leaves the watchdog to clean up.
        watchdog.process_group(0).current_dir("/");
        forget_surroundings(&mut watchdog);
        if let Some(parent) = parent {
            watchdog.env("TMPDIR", parent);
        }

        let broken = |error: std::io::Error| Unavailable::Broken(format!("the watchdog does not start: {error}"));
        let mut watchdog = watchdog.spawn().map_err(broken)?;
        let lifeline = watchdog.stdin.take().expect("stdin is piped");
        let mut output = BufReader::new(watchdog.stdout.take().expect("stdout is piped"));
        let mut said = String::new();
        output.read_line(&mut said).map_err(broken)?;

        let Some(directory) = said.strip_prefix("ready ") else {
            let _ = output.read_to_string(&mut said);
            let _ = watchdog.wait();
            return Err(Unavailable::Broken(format!("{} does not start:\n{said}", programs.display())));
        };
        Ok(Self {
            directory: directory.trim_end_matches('\n').into(),
            psql: programs.join("psql"),
            template: OnceLock::new(),
            databases: AtomicU32::new(0),
            _lifeline: lifeline,
        })
    }

    fn next_name(&self, kind: &str) -> String {
        format!("{kind}_{}", self.databases.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn url(&self, database: &str) -> String {
        let host = percent_encoded(&self.directory.to_string_lossy());
        format!("postgres:///{database}?host={host}&port={PORT}&user={USER}")
    }

    /// SQL as the superuser of the cluster.
    pub fn execute(&self, statement: &str) {
        let mut psql = Command::new(&self.psql);
        psql.args(["--no-psqlrc", "--quiet", "--no-password", "--dbname"]).arg(self.url("postgres"));
        psql.args(["--set", "ON_ERROR_STOP=1", "--command", statement]).stdin(Stdio::null());
        forget_surroundings(&mut psql);
        let output = psql.output().expect("psql runs");
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

enum Unavailable {
    /// The machine has no server to start.
    Missing(String),
    /// It has one, and it does not start.
    Broken(String),
}

/// Starts the server, says `ready DIRECTORY`, and takes everything down when its stdin closes.
///
/// Every signal that could end it early is ignored, a closed stdout among them; it ends by itself within moments of the test process.
const WATCHDOG: &str = r#"
set -eu
trap '' HUP INT QUIT TERM PIPE
umask 077
programs=$1 user=$2 port=$3 settings=$4

# A socket's path holds about a hundred bytes.
parent=${TMPDIR:-/tmp}
if [ ! -w "$parent" ] || [ ${#parent} -gt 60 ]; then parent=/tmp; fi
directory=$(mktemp -d "${parent%/}/circlekeeper-postgres.XXXXXX")
data=$directory/data log=$directory/log started=

clean_up() {
    "$programs/pg_ctl" stop -s -w -m immediate -D "$data" >/dev/null 2>&1 || :
    rm -rf "$directory"
}
give_up() {
    [ -n "$started" ] || cat "$log" 2>/dev/null || :
    clean_up
}
trap give_up EXIT

"$programs/initdb" --pgdata "$data" --username "$user" --auth trust --encoding UTF8 --locale C --no-sync >"$log" 2>&1

# The odd time zone shows whoever relies on the server's own.
cat >>"$data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$directory'
port = $port
max_connections = 200
jit = off
timezone = '<+0545>-05:45'
$settings
CONF
"$programs/pg_ctl" start -s -w -t 60 -D "$data" -l "$log" >/dev/null 2>&1
started=yes
echo "ready $directory"
cat >/dev/null
"#;

/// Settings of a cluster that has nothing to keep over a power cut.
const VOLATILE: &str = "shared_buffers = 64MB
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
autovacuum = off";

/// Settings of a small production server.
const DURABLE: &str = "shared_buffers = 256MB
fsync = on
synchronous_commit = on
full_page_writes = on
max_wal_size = 2GB";

fn find_programs() -> Option<PathBuf> {
    let complete = |directory: &PathBuf| PROGRAMS.iter().all(|program| directory.join(program).is_file());
    on_path().into_iter().chain(named_by_pg_config()).chain(in_usual_places()).find(complete)
}

/// Where `initdb` on the search path really lives: it may be a link to one of several versions.
fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).find_map(|directory| directory.join("initdb").canonicalize().ok())?;
    found.parent().map(Path::to_path_buf)
}

fn named_by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().into())
}

/// Where Debian, Fedora's packagers and Homebrew put the programs of each version, newest first.
fn in_usual_places() -> Vec<PathBuf> {
    let parents = [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
    ];
    let mut found = Vec::new();
    for (parent, prefix) in parents {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(rest) = name.strip_prefix(prefix) {
                let version: u32 = rest.trim_start_matches('@').parse().unwrap_or(0);
                found.push((version, entry.path().join("bin")));
            }
        }
    }
    found.sort();
    found.into_iter().rev().map(|(_, directory)| directory).collect()
}

/// User and group that root lends the server: the packages' own user, or the one that owns nothing.
fn unprivileged_user() -> Option<(u32, u32)> {
    ["postgres", "nobody"].iter().find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)))
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// A developer's own `PGHOST`, `PGDATA` or `PGSERVICE` must not reach these programs.
fn forget_surroundings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C");
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
