//! Sign-ins by the hundred, right ones and wrong ones: a hash costs more than everything else, and must not cost the others.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::json;

use crate::{
    harness::{Client, Database, Engine, Request, Run, Server, figure, median_and_p99, read_times},
    stage::{Person, Size, Stage},
};

/// Connections that sign in without a pause.
const FLOODING: usize = 64;
/// How many times as long a read may take at p99 as in quiet. Held in the full run, where each side has a minute.
const ALLOWED: f64 = 3.0;

/// How many sign-ins were answered with what.
#[derive(Default)]
struct Counts {
    signed_in: AtomicUsize,
    refused: AtomicUsize,
    paused: AtomicUsize,
    busy: AtomicUsize,
}

pub fn prove(run: &Run, engine: Engine) -> String {
    let seconds = Duration::from_secs(run.size(2, 15) as u64);
    let database = Database::fresh(engine);
    let mut stage = Stage::build(&database, Size { led: 1, peer: 1, leads: 1, members: 4 });
    let server = Server::start(&database);
    stage.sign_in(&server);
    let (led, member) = (&stage.led[0], &stage.peer[0].members[0]);
    let reads = [
        Request::get("/v1/account").by(&member.token),
        Request::get("/v1/account/progress").by(&member.token),
        Request::get(led.path("/sessions?limit=50")).by(&led.lead().token),
        Request::get(led.path("/members")).by(&led.lead().token),
    ];
    read_times(server.address, &reads, Duration::from_secs(1));
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    let counts = Counts::default();
    // In turns, so that what else the machine does falls on both.
    for turn in 0..4 {
        quiet.extend(read_times(server.address, &reads, seconds));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..FLOODING {
                let (counts, over, person) = (&counts, &over, &led.members[number % led.members.len()]);
                let address = server.address;
                scope.spawn(move || flood(address, turn * FLOODING + number, person, counts, over));
            }
            std::thread::sleep(Duration::from_millis(500));
            beside.extend(read_times(server.address, &reads, seconds));
            over.store(true, Ordering::Relaxed);
        });
    }
    quiet.sort_by(f64::total_cmp);
    beside.sort_by(f64::total_cmp);
    let ((quiet_median, quiet_p99), (median, p99)) = (median_and_p99(&quiet), median_and_p99(&beside));
    let [signed_in, refused, paused, busy] =
        [&counts.signed_in, &counts.refused, &counts.paused, &counts.busy].map(|count| count.load(Ordering::Relaxed));
    assert!(signed_in > 0 && refused > 0 && paused > 0, "a flood of {signed_in}, {refused} and {paused} sign-ins");
    if run.full {
        assert!(p99 <= ALLOWED * quiet_p99, "p99 of reads {quiet_p99:.1} ms in quiet, {p99:.1} ms in the flood");
    }
    let memory = server.memory();
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    server.stop();
    format!(
        "{FLOODING} connections that sign in without a pause: {} signed in, {} refused after a whole hash, {} told to wait for \
         their name, {} told that too many wait (503 with Retry-After); meanwhile {} reads, none refused, {:.1} times as long \
         as in quiet at the median and {:.1} times at p99 ({quiet_p99:.1} → {p99:.1} ms); {memory:.0} MiB; log whole ({log})",
        figure(signed_in),
        figure(refused),
        figure(paused),
        figure(busy),
        figure(beside.len()),
        median / quiet_median,
        p99 / quiet_p99,
    )
}

/// In turn the right password, a wrong one for one name, and one for a name that nobody has.
fn flood(address: SocketAddr, number: usize, person: &Person, counts: &Counts, over: &AtomicBool) {
    let mut client = Client::new(address);
    for attempt in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let credentials = match attempt % 3 {
            0 => person.credentials(),
            1 => json!({"sign_in_name": format!("flooded-{}", number % 8), "password": "not this one, I fear"}),
            _ => json!({"sign_in_name": format!("nobody-{number}-{attempt}"), "password": "not this one, I fear"}),
        };
        let answer = client.ask(&Request::post("/v1/tokens", &credentials));
        let count = match answer.status {
            201 => &counts.signed_in,
            401 => &counts.refused,
            429 => &counts.paused,
            503 => &counts.busy,
            _ => panic!("a sign-in was answered {}: {}", answer.status, answer.body),
        };
        if matches!(answer.status, 429 | 503) {
            assert!(answer.header("retry-after").is_some(), "{} without Retry-After", answer.status);
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}
