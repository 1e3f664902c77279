//! The program as it is run: commands, key files, help, and a stop that loses no request.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    access_log::tamper,
    harness::{MASTER, fresh_database},
};

/// The program without any setting of the machine that runs the tests.
pub fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_circlekeeper"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CIRCLEKEEPER_") || name == *"DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.current_dir(directory).stdin(Stdio::null());
    command
}

pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    program(directory).args(arguments).output().expect("the program runs")
}

#[track_caller]
pub fn succeeds(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Fails with one line for people that holds these words.
#[track_caller]
pub fn fails(output: Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].starts_with("circlekeeper: ") && lines[0].contains(words), "{said}");
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// A server that was started from the command line.
pub struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    pub fn start(mut command: Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Serving { child, address }
    }

    fn post(&self, path: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        write_post(&mut stream, path, body, "close");
        read_answer(&mut stream).expect("an answer")
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// The exit code, once the program is gone by itself.
    fn ended(&mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (status.code(), begun.elapsed());
            }
            assert!(begun.elapsed() < Duration::from_secs(25), "the program goes on after its signal");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_post(stream: &mut TcpStream, path: &str, body: &serde_json::Value, connection: &str) {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: {connection}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("a request is sent");
}

/// One whole answer: status and JSON body. None when the connection ended before it was whole.
fn read_answer(stream: &mut TcpStream) -> Option<(u16, serde_json::Value)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? == 0 {
            return None;
        }
        if header == "\r\n" {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((status, serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null)))
}

/// A server on the database that the features choose.
fn served(arguments: &[&str]) -> (Serving, Option<tempfile::TempDir>) {
    use secrecy::ExposeSecret;
    let (location, directory) = fresh_database();
    let mut command = program(&std::env::temp_dir());
    command.env("DATABASE_URL", location.url.expose_secret()).env("CIRCLEKEEPER_MASTER_KEY", MASTER);
    command.args(["serve", "--bind", "127.0.0.1:0"]).args(arguments);
    (Serving::start(command), directory)
}

#[cfg(unix)]
pub fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).expect("a file").permissions().mode() & 0o777
}

#[test]
fn an_administrator_gets_a_code_and_signs_up_with_a_password_of_their_own() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = program(directory.path())
        .args(["account", "create-administrator", "--organization", "Riverside Clinic"])
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(said.contains("circlekeeper.db.key"), "it says where the key is: {said}");
    let text = succeeds(made);
    let code = text.lines().find_map(|line| line.strip_prefix("one-time code ")).expect("a code");
    let code = code.split(' ').next().unwrap().to_owned();
    let key = directory.path().join("circlekeeper.db.key");
    #[cfg(unix)]
    assert_eq!(mode(&key), 0o600);
    let secret = std::fs::read_to_string(&key).unwrap();
    assert!(!text.contains(secret.trim()) && !said.contains(secret.trim()));
    let mut command = program(directory.path());
    command.args(["serve", "--bind", "127.0.0.1:0"]);
    let serving = Serving::start(command);
    let body = json!({"code": code, "sign_in_name": "ada", "password": "nine lanterns over granite", "name": "Ada"});
    assert_eq!(serving.post("/v1/accounts", &body).0, 201);
    let body = json!({"sign_in_name": "ada", "password": "nine lanterns over granite"});
    assert_eq!(serving.post("/v1/tokens", &body).0, 201);
    assert_eq!(std::fs::read_to_string(&key).unwrap(), secret, "the key is made once");
    // No way to give a password where everybody on the machine can read it.
    let refused = run(
        directory.path(),
        &["account", "create-administrator", "--organization", "Clinic", "--password", "nine lanterns over granite"],
    );
    assert_eq!(refused.status.code(), Some(2));
}

/// Requests under way on open connections when the signal comes: each is answered whole.
fn stops_gracefully(signal: &str) {
    let (mut serving, _directory) = served(&["--hashing", "1", "--workers", "2"]);
    let mut streams: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = TcpStream::connect(&serving.address).expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
            stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("a request");
            assert_eq!(read_answer(&mut stream).expect("an answer").0, 204);
            stream
        })
        .collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        let body = json!({"sign_in_name": format!("nobody-{number}"), "password": "one after the other"});
        write_post(stream, "/v1/tokens", &body, "keep-alive");
    }
    // One hash at a time: when the first is answered, the others are under way.
    assert_eq!(read_answer(&mut streams[0]).expect("an answer").0, 401);
    serving.signal(signal);
    for (number, stream) in streams.iter_mut().enumerate().skip(1) {
        let answer = read_answer(stream);
        assert_eq!(answer.map(|(status, _)| status), Some(401), "request {number} was lost");
    }
    drop(streams);
    let (code, _) = serving.ended();
    assert_eq!(code, Some(0));
    assert!(TcpStream::connect(&serving.address).is_err());
}

#[test]
fn sigterm_loses_no_request() {
    stops_gracefully("-TERM");
}

#[test]
fn sigint_loses_no_request() {
    stops_gracefully("-INT");
}

#[test]
fn a_connection_that_only_waits_does_not_hold_up_the_stop() {
    let (mut serving, _directory) = served(&["--workers", "1"]);
    let mut idle = TcpStream::connect(&serving.address).expect("a connection");
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("a request");
    assert_eq!(read_answer(&mut idle).expect("an answer").0, 204);
    serving.signal("-TERM");
    let (code, took) = serving.ended();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(15), "it took {took:?}");
}

/// The names of environment variables in the sources.
fn variables() -> BTreeSet<&'static str> {
    let sources = [include_str!("../../src/config.rs"), include_str!("../../src/main.rs")];
    let mut names = BTreeSet::new();
    for source in sources {
        for part in source.split('"') {
            let is_name = part.starts_with("CIRCLEKEEPER_") || part == "DATABASE_URL";
            if is_name && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
                names.insert(part);
            }
        }
    }
    assert!(names.len() > 10, "{names:?}");
    names
}

#[test]
fn the_help_names_every_flag_and_variable_and_shows_no_secret() {
    let directory = std::env::temp_dir();
    let help = |arguments: &[&str]| {
        let output = program(&directory)
            .args(arguments)
            .arg("--help")
            .env("DATABASE_URL", "postgres://somebody:hunter2@localhost/records")
            .env("CIRCLEKEEPER_MASTER_KEY", MASTER)
            .output();
        let text = succeeds(output.expect("the program runs"));
        assert!(!text.contains("hunter2") && !text.contains(MASTER), "{text}");
        text
    };
    let serve = help(&["serve"]);
    let words: BTreeSet<&str> = serve.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').collect();
    for name in variables() {
        assert!(words.contains(name), "{name} is not in\n{serve}");
    }
    for flag in [
        "--database-url",
        "--connections",
        "--master-key-file",
        "--master-key-command",
        "--bind",
        "--workers",
        "--max-connections",
        "--access-minutes",
        "--idle-minutes",
        "--sign-in-hours",
        "--hashing",
        "--trusted-proxies",
        "--origins",
        "--log-json",
    ] {
        assert!(words.contains(flag), "{flag} is not in\n{serve}");
    }
    for command in ["migrate", "backup", "verify", "verify-log"] {
        let text = help(&[command]);
        assert!(text.contains("DATABASE_URL") && text.contains("CIRCLEKEEPER_MASTER_KEY_FILE"), "{text}");
    }
    let all = help(&[]);
    for command in ["demo", "serve", "migrate", "account", "new-key", "backup", "verify", "restore", "verify-log"]
        .into_iter()
        .chain(["rewrap-keys", "prune-keys"])
    {
        assert!(all.contains(&format!("  {command} ")), "{command} is not in\n{all}");
    }
    help(&["account", "create-administrator"]);
}

#[test]
fn migrations_run_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = succeeds(run(directory.path(), &["migrate"]));
    assert!(first.ends_with(" migrations run\n") && !first.starts_with("0 "), "{first}");
    assert_eq!(succeeds(run(directory.path(), &["migrate"])), "0 migrations run\n");
}

#[test]
fn a_database_without_its_key_file_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    succeeds(run(directory.path(), &["migrate"]));
    let key = directory.path().join("circlekeeper.db.key");
    let elsewhere = directory.path().join("elsewhere");
    std::fs::rename(&key, &elsewhere).unwrap();
    let before = std::fs::read(directory.path().join("circlekeeper.db")).unwrap();
    for arguments in [
        &["serve", "--bind", "127.0.0.1:0"][..],
        &["migrate"],
        &["verify-log"],
        &["account", "create-administrator", "--organization", "Clinic"],
    ] {
        fails(run(directory.path(), arguments), "circlekeeper.db.key does not");
    }
    assert!(!key.exists());
    assert!(before == std::fs::read(directory.path().join("circlekeeper.db")).unwrap());
    // A named key file is never made, and a wrong one opens nothing.
    fails(run(directory.path(), &["verify-log", "--master-key-file", "nowhere.key"]), "nowhere.key");
    let other = succeeds(run(directory.path(), &["new-key"]));
    std::fs::write(directory.path().join("other.key"), other).unwrap();
    succeeds(run(
        directory.path(),
        &["account", "create-administrator", "--organization", "Clinic", "--master-key-file", "elsewhere"],
    ));
    let wrong = run(directory.path(), &["verify-log", "--master-key-file", "other.key"]);
    assert_eq!(wrong.status.code(), Some(1));
    succeeds(run(directory.path(), &["verify-log", "--master-key-file", "elsewhere"]));
}

#[test]
fn looking_makes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    for arguments in [&["verify-log"][..], &["verify", "copy.db"], &["backup", "copy.db"], &["restore", "copy.db"]] {
        let output = run(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(names(directory.path()), BTreeSet::new(), "{arguments:?} left something behind");
    }
}

#[test]
fn the_master_key_comes_from_the_environment_where_it_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = succeeds(run(directory.path(), &["new-key"]));
    let with_key = |arguments: &[&str]| {
        let mut command = program(directory.path());
        command.env("CIRCLEKEEPER_MASTER_KEY", key.trim()).args(arguments).output().expect("the program runs")
    };
    succeeds(with_key(&["account", "create-administrator", "--organization", "Clinic"]));
    succeeds(with_key(&["verify-log"]));
    assert!(!names(directory.path()).contains("circlekeeper.db.key"));
    let mut command = program(directory.path());
    let bad = command.env("CIRCLEKEEPER_MASTER_KEY", "k1:tooshort").args(["migrate"]).output().expect("it runs");
    assert_eq!(bad.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&bad.stderr).contains("tooshort"), "no part of a key is repeated");
}

#[test]
fn the_log_is_verified_from_the_command_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("circlekeeper.db");
    succeeds(run(directory.path(), &["account", "create-administrator", "--organization", "Clinic"]));
    let text = succeeds(run(directory.path(), &["verify-log"]));
    assert!(text.ends_with("whole\n") && text.contains("newest chain"), "{text}");
    let location = circlekeeper::store::connection::Location::new(format!("sqlite:{}", file.display()), 1);
    tamper(&location, "UPDATE access_chains SET length = 7");
    let output = run(directory.path(), &["verify-log"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("fault: chain"), "{text}");
    fails(output, "faults");
}

#[test]
fn a_copy_is_made_verified_and_restored_from_the_command_line() {
    let directory = tempfile::tempdir().expect("a directory");
    succeeds(run(directory.path(), &["account", "create-administrator", "--organization", "Clinic"]));
    succeeds(run(directory.path(), &["backup", "copy.db"]));
    fails(run(directory.path(), &["backup", "copy.db"]), "exists already");
    let text = succeeds(run(directory.path(), &["verify", "copy.db"]));
    assert!(text.ends_with("whole\n"), "{text}");
    #[cfg(unix)]
    assert_eq!(mode(&directory.path().join("copy.db.keys")), 0o600);
    // Restored under another name, with the master key that was kept apart.
    succeeds(run(directory.path(), &["restore", "copy.db"]));
    let mut command = program(directory.path());
    command.args(["serve", "--bind", "127.0.0.1:0", "--database-url", "sqlite:copy.db"]);
    command.args([OsStr::new("--master-key-file"), OsStr::new("circlekeeper.db.key")]);
    let mut serving = Serving::start(command);
    serving.signal("-TERM");
    assert_eq!(serving.ended().0, Some(0));
    let left: Vec<PathBuf> = names(directory.path()).into_iter().map(PathBuf::from).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn an_address_in_use_is_said_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().unwrap().to_string();
    succeeds(run(directory.path(), &["migrate"]));
    let mut command = program(directory.path());
    let output =
        command.env("CIRCLEKEEPER_LOG", "error").args(["serve", "--bind", &address]).output().expect("it runs");
    fails(output, &address);
}
