//! Thousands of connections that say nothing, and clients that are slow on purpose: everybody else is answered meanwhile.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    harness::{Database, Engine, Request, Run, Server, figure, median_and_p99, read_times},
    stage::{Size, Stage},
};

/// Of each kind of slow client.
const SLOW: usize = 20;
/// How long a head may take, and a body, and how long a connection may stay without a request: see `server.rs`.
const HEAD: f64 = 15.0;
const BODY: f64 = 30.0;
const KEEP_ALIVE: f64 = 75.0;

pub fn prove(run: &Run, engine: Engine) -> String {
    let count = run.size(500, 10_000);
    let allowed = raise_limit(count + 500);
    let database = Database::fresh(engine);
    let mut stage = Stage::build(&database, Size { led: 0, peer: 1, leads: 1, members: 1 });
    let server = Server::start(&database);
    stage.sign_in(&server);
    let token = &stage.peer[0].members[0].token;
    let ordinary = Request::get("/v1/account").by(token);
    let seconds = Duration::from_secs(run.size(3, 10) as u64);
    read_times(server.address, std::slice::from_ref(&ordinary), Duration::from_secs(1));
    let measure = || median_and_p99(&read_times(server.address, std::slice::from_ref(&ordinary), seconds));
    let quiet = measure();
    let before = server.memory();
    let small = Request::get("/v1/crisis-lines?country=GB").bytes();
    let mut idle: Vec<TcpStream> = Vec::with_capacity(count);
    for number in 0..count {
        let stream = TcpStream::connect(server.address)
            .unwrap_or_else(|error| panic!("connection {number} of {count} (limit {allowed}): {error}"));
        // Every other one has asked for something before.
        if number % 2 == 0 {
            ask(&stream, &small);
        }
        idle.push(stream);
    }
    let each = (server.memory() - before) * 1024.0 / count as f64;
    let beside_idle = measure();
    let held = idle.iter().step_by(2).filter(|stream| is_open(stream)).count();
    let slow = std::thread::scope(|scope| {
        let spawn = |head: &'static str, then: &'static [u8]| {
            let address = server.address;
            (0..SLOW).map(|_| scope.spawn(move || dribble(address, head, then))).collect::<Vec<_>>()
        };
        let heads =
            spawn("", b"GET /v1/crisis-lines HTTP/1.1\r\nhost: proof\r\nx-slow: very very very very very slow\r\n");
        let bodies = spawn(
            "POST /v1/tokens HTTP/1.1\r\nhost: proof\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n",
            b"{\"sign_in_name\": \"somebody very slow\", \"password\": \"and this too\"}",
        );
        let deaf: Vec<TcpStream> = (0..SLOW).map(|_| never_read(server.address)).collect();
        let beside_slow = measure();
        let memory = server.memory();
        let ends = |threads: Vec<std::thread::ScopedJoinHandle<'_, (f64, u16)>>, longest: f64, known: &[u16]| {
            let mut latest: f64 = 0.0;
            for thread in threads {
                let (after, status) = thread.join().expect("a slow client");
                assert!(after < longest + 10.0, "a slow client was ended only after {after:.0} s");
                assert!(known.contains(&status), "a slow client was answered {status}");
                latest = latest.max(after);
            }
            latest
        };
        let heads = ends(heads, HEAD, &[408]);
        let bodies = ends(bodies, BODY, &[400, 408]);
        drop(deaf);
        (beside_slow, memory, heads, bodies)
    });
    let (beside_slow, memory, heads, bodies) = slow;
    let gone = if run.full {
        let begun = Instant::now();
        while begun.elapsed().as_secs_f64() < KEEP_ALIVE + 15.0 && idle.iter().any(is_open) {
            std::thread::sleep(Duration::from_secs(1));
        }
        let left = idle.iter().filter(|stream| is_open(stream)).count();
        assert_eq!(left, 0, "connections without a request stay for ever");
        format!("; all idle ones closed by the server after {KEEP_ALIVE:.0} s")
    } else {
        String::new()
    };
    drop(idle);
    let after = server.client().ask(&ordinary);
    assert_eq!(after.status, 200, "an ordinary request after all of them");
    server.stop();
    format!(
        "{} idle connections ({} of them still open after the measurement), {each:.1} KiB each; an ordinary read beside \
         them {:.1} times as long as in quiet at the median, {:.1} times at p99 ({:.1} → {:.1} ms); beside {SLOW} slow \
         heads, {SLOW} slow bodies and {SLOW} that never read: {:.1} and {:.1} times, {memory:.0} MiB in all; slow heads ended with \
         408 after {heads:.0} s, slow bodies with 400 after {bodies:.0} s{gone}",
        figure(count),
        figure(held),
        beside_idle.0 / quiet.0,
        beside_idle.1 / quiet.1,
        quiet.1,
        beside_idle.1,
        beside_slow.0 / quiet.0,
        beside_slow.1 / quiet.1,
    )
}

/// Lets this process and its children have so many files open. Returns how many they may have.
fn raise_limit(needed: usize) -> String {
    let own = std::process::id().to_string();
    let said = |arguments: &[&str]| {
        let output = Command::new("prlimit").args(["--pid", &own]).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let soft = said(&["--nofile", "--output", "SOFT", "--noheadings"]);
    if soft.parse().is_ok_and(|soft: usize| soft < needed) {
        said(&[&format!("--nofile={needed}:")]);
    }
    said(&["--nofile", "--output", "SOFT", "--noheadings"])
}

fn ask(mut stream: &TcpStream, request: &[u8]) {
    stream.write_all(request).expect("the server reads");
    let answer = crate::harness::read_answer(stream).expect("the server answers");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Whether the server has not closed it. A refusal that came before the end counts as closed.
fn is_open(mut stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    matches!(stream.read(&mut [0; 512]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Sends `head` at once and the rest a byte a second, until the server has had enough. Returns after how many seconds, and
/// with which status.
fn dribble(address: SocketAddr, head: &str, rest: &[u8]) -> (f64, u16) {
    let mut stream = TcpStream::connect(address).expect("the server takes connections");
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a stream");
    let begun = Instant::now();
    let _ = stream.write_all(head.as_bytes());
    let mut heard = Vec::new();
    for byte in rest.iter().cycle() {
        let sent = stream.write_all(&[*byte]);
        let mut chunk = [0; 1024];
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => heard.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && sent.is_ok() => {}
            _ => break,
        }
        if begun.elapsed().as_secs() > 120 || !heard.is_empty() {
            break;
        }
    }
    let status = heard.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    (begun.elapsed().as_secs_f64(), status.unwrap_or(0))
}

/// Asks for the largest answer again and again, and reads none of it.
fn never_read(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server takes connections");
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a stream");
    let request = Request::get("/openapi.json").bytes();
    (0..64).take_while(|_| stream.write_all(&request).is_ok()).for_each(drop);
    stream
}
