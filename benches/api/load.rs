//! Load: so many threads that do one thing again and again, each timed; and a client that speaks just enough HTTP/1.1.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Range,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a measurement goes on.
#[derive(Clone)]
pub enum Bound {
    For(Duration),
    /// Each index once: for what can be done only once.
    Each(Range<usize>),
}

/// What a measurement came to.
#[derive(Clone, Default)]
pub struct Run {
    pub done: usize,
    pub elapsed: Duration,
    /// Microseconds each, in order of size.
    latencies: Vec<u32>,
}

impl Run {
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Milliseconds that this share of the work stayed below.
    pub fn percentile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.latencies.get(index).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }

    /// Both together, as if one had followed the other.
    pub fn and(mut self, other: Run) -> Run {
        self.done += other.done;
        self.elapsed += other.elapsed;
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
        self
    }
}

/// Does work on so many threads. `open` makes each thread's own worker, which is then called with an index again and
/// again; the clock runs once all are ready.
pub fn measure<W: FnMut(usize)>(threads: usize, bound: &Bound, open: impl Fn() -> W + Sync) -> Run {
    let (first, end) = match bound {
        Bound::For(_) => (0, usize::MAX),
        Bound::Each(range) => (range.start, range.end),
    };
    let next = AtomicUsize::new(first);
    let ready = Barrier::new(threads + 1);
    let (open, next, ready) = (&open, &next, &ready);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(move || {
                    let mut work = open();
                    let mut latencies = Vec::with_capacity(4096);
                    ready.wait();
                    let begun = Instant::now();
                    loop {
                        if matches!(bound, Bound::For(duration) if begun.elapsed() >= *duration) {
                            break;
                        }
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= end {
                            break;
                        }
                        let started = Instant::now();
                        work(index);
                        latencies.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    latencies
                })
            })
            .collect();
        ready.wait();
        let begun = Instant::now();
        let mut latencies: Vec<u32> =
            workers.into_iter().flat_map(|worker| worker.join().expect("a worker does its work")).collect();
        let elapsed = begun.elapsed();
        latencies.sort_unstable();
        Run { done: latencies.len(), elapsed, latencies }
    })
}

/// One connection that is kept alive.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("the server takes connections");
        stream.set_nodelay(true).expect("a TCP stream");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a TCP stream");
        Client { stream, buffer: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a whole request and reads the whole answer; returns its status.
    pub fn send(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).expect("the server reads");
        self.buffer.clear();
        let mut chunk = [0; 32 * 1024];
        let mut needed = usize::MAX;
        while self.buffer.len() < needed {
            let read = self.stream.read(&mut chunk).expect("the server answers");
            assert!(read > 0, "the server closed a connection");
            self.buffer.extend_from_slice(&chunk[..read]);
            if needed == usize::MAX
                && let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
                needed = end + 4 + length.unwrap_or(0);
            }
        }
        let status = self.buffer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        status.expect("a status line")
    }

    /// Sends, and stops the whole measurement where another status comes back.
    pub fn expect(&mut self, request: &[u8], status: u16) {
        let got = self.send(request);
        assert_eq!(got, status, "{}", String::from_utf8_lossy(&self.buffer));
    }
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Option<&serde_json::Value>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    match body {
        Some(body) => {
            let body = body.to_string();
            text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
        }
        None => text.push_str("\r\n"),
    }
    text.into_bytes()
}
