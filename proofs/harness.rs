//! What every proof stands on: a database of its own, the program as a process of its own, clients, and SQL past both.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use circlekeeper::store::connection::Location;
use diesel::{Connection as _, RunQueryDsl, connection::SimpleConnection, sql_types};
use serde_json::Value;
use tempfile::TempDir;

use crate::postgres::{self, Cluster};

/// The master key of every database here.
pub const MASTER: &str = "proof:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub const ALL: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

    pub fn name(self) -> &'static str {
        match self {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        }
    }
}

/// How much is done.
#[derive(Clone)]
pub struct Run {
    pub full: bool,
    /// The program of an earlier release.
    pub former: Option<PathBuf>,
    pub seed: u64,
}

impl Run {
    pub fn size(&self, short: usize, full: usize) -> usize {
        if self.full { full } else { short }
    }
}

/// Numbers at random, the same ones for the same seed.
pub struct Random(AtomicU64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(AtomicU64::new(seed))
    }

    /// SplitMix64: spread well enough to choose moments and bytes.
    pub fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn one<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// The one durable cluster of this run, where the machine has a PostgreSQL server.
pub fn cluster() -> Result<Arc<Cluster>, String> {
    static CLUSTER: OnceLock<Result<Arc<Cluster>, String>> = OnceLock::new();
    CLUSTER.get_or_init(|| postgres::durable_cluster().map(Arc::new)).clone()
}

/// A database of its own; gone with this value.
pub struct Database {
    pub engine: Engine,
    pub url: String,
    /// For files beside the database.
    pub directory: TempDir,
    pub cluster: Option<Arc<Cluster>>,
}

impl Database {
    /// Brought to the newest schema.
    pub fn fresh(engine: Engine) -> Database {
        let database = Database::empty(engine);
        database.run(&["migrate"]).expect("the migrations run");
        database
    }

    pub fn empty(engine: Engine) -> Database {
        Database::empty_in(engine, tempfile::tempdir().expect("a directory"))
    }

    /// With its files in this directory, where it is a file.
    pub fn empty_in(engine: Engine, directory: TempDir) -> Database {
        match engine {
            Engine::Sqlite => {
                let url = format!("sqlite:{}", directory.path().join("proof.db").display());
                Database { engine, url, directory, cluster: None }
            }
            Engine::Postgres => Database::of(cluster().expect("main asked for it before"), directory),
        }
    }

    /// An empty one on a cluster that a proof has for itself.
    pub fn on(cluster: Arc<Cluster>) -> Database {
        Database::of(cluster, tempfile::tempdir().expect("a directory"))
    }

    fn of(cluster: Arc<Cluster>, directory: TempDir) -> Database {
        Database { engine: Engine::Postgres, url: cluster.fresh_database(), directory, cluster: Some(cluster) }
    }

    /// The file of an embedded database.
    pub fn file(&self) -> PathBuf {
        self.url.strip_prefix("sqlite:").expect("an embedded database").into()
    }

    pub fn location(&self) -> Location {
        Location::new(self.url.clone(), 8)
    }

    pub fn sql(&self) -> Sql {
        Sql::open(&self.url)
    }

    /// The program with a subcommand, on this database.
    pub fn program(&self, arguments: &[&str]) -> Command {
        program_at(program(), &self.url, arguments)
    }

    /// Runs a subcommand to its end. Returns what it printed, or what it said on stderr when it failed.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        finished(self.program(arguments))
    }

    /// The check of the access log: chains and entries, or what is wrong.
    pub fn verify_log(&self) -> Result<String, String> {
        self.run(&["verify-log"]).map(|said| said.lines().next().unwrap_or_default().to_owned())
    }

    /// An id column as 32 hexadecimal digits.
    pub fn hex(&self, column: &str) -> String {
        match self.engine {
            Engine::Sqlite => format!("lower(hex({column}))"),
            Engine::Postgres => format!("replace({column}::text, '-', '')"),
        }
    }
}

/// An id as [`Database::hex`] reads it.
pub fn digits(id: &str) -> String {
    id.replace('-', "")
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(cluster) = &self.cluster
            && !std::thread::panicking()
        {
            cluster.discard(&self.url);
        }
    }
}

/// The program of this workspace, as it is built: beside this one.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let own = std::env::current_exe().expect("this program");
        own.parent().and_then(Path::parent).expect("target/debug/examples").join("circlekeeper")
    })
}

/// Refuses to prove anything about a program that is not the one of these sources.
pub fn check_program() -> Result<(), String> {
    let cure = "build it with: cargo build --features postgres";
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = std::fs::metadata(program()).and_then(|data| data.modified());
    let built = built.map_err(|_| format!("{} is not there; {cure}", program().display()))?;
    let mut waiting = vec![root.join("src"), root.join("migrations")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).map_err(|error| error.to_string())?;
            waiting.extend(entries.flatten().map(|entry| entry.path()));
        } else if std::fs::metadata(&path).and_then(|data| data.modified()).is_ok_and(|changed| changed > built) {
            return Err(format!("{} is older than {}; {cure}", program().display(), path.display()));
        }
    }
    Ok(())
}

/// A program on a database, with nothing of the caller's own settings.
pub fn program_at(program: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CIRCLEKEEPER_") || name.starts_with("PG") {
            command.env_remove(&*name);
        }
    }
    command.args(arguments).env("DATABASE_URL", url).env("CIRCLEKEEPER_MASTER_KEY", MASTER).stdin(Stdio::null());
    command
}

/// Runs to the end. Returns stdout, or both outputs when it failed.
pub fn finished(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The program, serving; ends with this value.
pub struct Server {
    pub address: SocketAddr,
    pub child: Child,
    log: PathBuf,
}

impl Server {
    pub fn start(database: &Database) -> Server {
        Server::start_with(database, &[])
    }

    pub fn start_with(database: &Database, settings: &[(&str, &str)]) -> Server {
        let mut command = database.program(&["serve"]);
        command.envs(settings.iter().copied());
        Server::started(command, database.directory.path()).unwrap_or_else(|said| panic!("no server: {said}"))
    }

    /// Another program that serves: that of a former release, or one whose limits are set first.
    ///
    /// # Errors
    /// What it said when it ended before it listened.
    pub fn started(command: Command, directory: &Path) -> Result<Server, String> {
        let (mut server, mut lines) = Server::spawned(command, directory);
        match lines.find_map(|line| line.ok()?.strip_prefix("listening on http://")?.parse().ok()) {
            Some(address) => {
                server.address = address;
                Ok(server)
            }
            None => Err(server.said()),
        }
    }

    /// A server that may not listen yet, and what it prints.
    pub fn spawned(mut command: Command, directory: &Path) -> (Server, impl Iterator<Item = io::Result<String>>) {
        let log = directory.join("server.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        // Access tokens outlive the longest proof.
        for (name, value) in [
            ("CIRCLEKEEPER_BIND", "127.0.0.1:0"),
            ("CIRCLEKEEPER_LOG", "warn"),
            ("CIRCLEKEEPER_ACCESS_MINUTES", "1440"),
            ("CIRCLEKEEPER_IDLE_MINUTES", "1440"),
        ] {
            if !command.get_envs().any(|(known, value)| known == name && value.is_some()) {
                command.env(name, value);
            }
        }
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().expect("the program is there");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        (Server { address: SocketAddr::from(([0, 0, 0, 0], 0)), child, log }, lines)
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by its name, such as `TERM` or `STOP`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Ends it as an operator would, and waits for what is under way.
    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "told to stop, it ended with {status}: {}", self.said());
    }

    /// Mebibytes that are resident now.
    pub fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    }

    /// The end of its log.
    pub fn said(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a signal to a process.
pub fn signal(process: u32, name: &str) {
    let _ = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
}

/// A request, as it can be sent again.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    headers: Vec<(&'static str, String)>,
    pub body: Option<String>,
}

impl Request {
    pub fn new(method: &'static str, path: impl Into<String>) -> Request {
        Request { method, path: path.into(), headers: Vec::new(), body: None }
    }

    pub fn get(path: impl Into<String>) -> Request {
        Request::new("GET", path)
    }

    pub fn post(path: impl Into<String>, body: &Value) -> Request {
        Request::new("POST", path).json(body)
    }

    pub fn json(mut self, body: &Value) -> Request {
        self.body = Some(body.to_string());
        self.header("content-type", "application/json")
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }

    pub fn by(self, token: &str) -> Request {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub fn key(self, key: impl Into<String>) -> Request {
        self.header("idempotency-key", key)
    }

    pub fn version(self, etag: impl Into<String>) -> Request {
        self.header("if-match", etag)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nhost: proof\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() || self.method != "GET" {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        format!("{text}\r\n{body}").into_bytes()
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn etag(&self) -> String {
        self.header("etag").unwrap_or_default().to_owned()
    }

    /// The body, once the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.json()
    }

    /// The id of what was made.
    #[track_caller]
    pub fn made(self) -> String {
        text(&self.expect(201)["id"])
    }
}

#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// One connection that is kept alive, and made again after it broke.
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    pub patience: Duration,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        Client { address, stream: None, patience: Duration::from_secs(60) }
    }

    /// Sends a whole request and reads the whole answer. An error says only that no answer came: what was asked for may
    /// have happened.
    pub fn send(&mut self, request: &Request) -> io::Result<Answer> {
        self.send_bytes(&request.bytes())
    }

    pub fn send_bytes(&mut self, request: &[u8]) -> io::Result<Answer> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        (&stream).write_all(request)?;
        let answer = read_answer(&stream)?;
        if answer.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// Sends what must be answered.
    #[track_caller]
    pub fn ask(&mut self, request: &Request) -> Answer {
        match self.send(request) {
            Ok(answer) => answer,
            Err(error) => panic!("{} {}: no answer: {error}", request.method, request.path),
        }
    }

    /// Sends a change of what is at `path`, under the version that is there now.
    #[track_caller]
    pub fn change(&mut self, token: &str, path: &str, request: Request) -> Answer {
        let version = self.ask(&Request::get(path).by(token)).etag();
        self.ask(&request.by(token).version(version))
    }
}

/// Milliseconds of each request, in order of size, while two clients send these in turn, one after the other.
pub fn read_times(address: SocketAddr, requests: &[Request], long: Duration) -> Vec<f64> {
    let latencies: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let client = || {
            let mut client = Client::new(address);
            let (begun, mut latencies) = (Instant::now(), Vec::new());
            for request in requests.iter().cycle() {
                if begun.elapsed() >= long {
                    break;
                }
                let sent = Instant::now();
                assert_eq!(client.ask(request).status, 200);
                latencies.push(sent.elapsed().as_secs_f64() * 1000.0);
            }
            latencies
        };
        let both = [scope.spawn(client), scope.spawn(client)];
        both.map(|client| client.join().expect("every request is answered")).into()
    });
    let mut all = latencies.concat();
    all.sort_by(f64::total_cmp);
    all
}

/// Of numbers in order of size.
pub fn median_and_p99(sorted: &[f64]) -> (f64, f64) {
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    (at(0.5), at(0.99))
}

/// Reads one answer, of a length that its head says.
pub fn read_answer(mut stream: impl Read) -> io::Result<Answer> {
    let mut buffer = Vec::with_capacity(4096);
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let status = head.get(9..12).and_then(|digits| digits.parse().ok());
            let mut answer = Answer { status: status.unwrap_or(0), head, body: String::new() };
            if answer.status == 100 {
                // Go on, it says, and the answer follows.
                buffer.drain(..end + 4);
                continue;
            }
            let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                answer.body = String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned();
                return Ok(answer);
            }
        }
        match stream.read(&mut chunk)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the answer was whole")),
            read => buffer.extend_from_slice(&chunk[..read]),
        }
    }
}

/// A connection to the database that no server stands before.
pub enum Sql {
    Sqlite(diesel::SqliteConnection),
    Postgres(diesel::PgConnection),
}

#[derive(diesel::QueryableByName)]
struct TextRow {
    #[diesel(sql_type = sql_types::Text)]
    v: String,
}

#[derive(diesel::QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = sql_types::BigInt)]
    v: i64,
}

macro_rules! on {
    ($sql:expr, $connection:ident => $work:expr) => {
        match $sql {
            Sql::Sqlite($connection) => $work,
            Sql::Postgres($connection) => $work,
        }
    };
}

impl Sql {
    pub fn open(url: &str) -> Sql {
        match url.strip_prefix("sqlite:") {
            Some(file) => {
                let mut connection = diesel::SqliteConnection::establish(file).expect("the database opens");
                connection.batch_execute("PRAGMA busy_timeout = 20000").expect("a known setting");
                Sql::Sqlite(connection)
            }
            None => Sql::Postgres(diesel::PgConnection::establish(url).expect("the database opens")),
        }
    }

    /// The texts of the one column, which is called `v`.
    #[track_caller]
    pub fn texts(&mut self, query: &str) -> Vec<String> {
        let rows: Vec<TextRow> = on!(self, connection => diesel::sql_query(query).load(connection))
            .unwrap_or_else(|e| panic!("{query}: {e}"));
        rows.into_iter().map(|row| row.v).collect()
    }

    /// The one number, of a column that is called `v`.
    #[track_caller]
    pub fn number(&mut self, query: &str) -> i64 {
        let row: NumberRow = on!(self, connection => diesel::sql_query(query).get_result(connection))
            .unwrap_or_else(|e| panic!("{query}: {e}"));
        row.v
    }

    pub fn try_run(&mut self, statements: &str) -> diesel::QueryResult<()> {
        on!(self, connection => connection.batch_execute(statements))
    }

    #[track_caller]
    pub fn run(&mut self, statements: &str) {
        self.try_run(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// What SQLite finds wrong with the file, and references that lead nowhere. PostgreSQL holds references by itself, and
    /// is read from end to end by `pg_amcheck`, where that is wanted.
    pub fn faults(&mut self) -> Vec<String> {
        let Sql::Sqlite(_) = self else { return Vec::new() };
        let mut found =
            self.texts("SELECT integrity_check AS v FROM pragma_integrity_check WHERE integrity_check <> 'ok'");
        found.extend(self.texts("SELECT \"table\" || ' refers to ' || parent AS v FROM pragma_foreign_key_check"));
        found
    }
}

/// Waits until something holds, so long at most. Returns how long it took.
pub fn wait_for(longest: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    loop {
        if holds() {
            return Some(begun.elapsed());
        }
        if begun.elapsed() > longest {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Figures with a comma at the thousands.
pub fn figure(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}
