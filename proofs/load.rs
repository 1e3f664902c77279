//! Clients that write without rest, remember what was acknowledged, and send again under the same `Idempotency-Key` what
//! was not; and the checks that nothing of it is lost, doubled or half done.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    harness::{Answer, Client, Database, Request, Sql, digits, text},
    stage::{Group, Person, Size, Stage},
};

/// What [`crew`] needs to stand on.
pub const SIZE: Size = Size { led: 3, peer: 1, leads: 1, members: 4 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// A member's own check-in: one row.
    CheckIn,
    /// An administration with its score: one row, and whatever its risk asks for.
    Measure,
    /// A session planned, and then recorded with everybody's attendance and measure and a session record.
    Record,
    /// A member paused and active in turn: one interval ends, one begins.
    Move,
}

/// One client with one kind of work.
pub struct Worker {
    work: Work,
    group: Group,
    who: Person,
    /// Whom it is about.
    member: String,
    keys: String,
    made: usize,
    /// A planned session that waits for its recording: its id and version.
    planned: Option<(String, String)>,
    is_paused: bool,
    pending: Option<Request>,
    /// Rows that were there before.
    base: i64,
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// What they made, since it was last looked for.
    fresh: Vec<String>,
    /// Milliseconds until each was acknowledged.
    pub latencies: Vec<f64>,
    /// Answers that said to come again.
    pub busy: usize,
    /// Retries of what had got no answer.
    pub retried: usize,
}

/// Eight clients that write everywhere at once. `keys` tells their keys from those of other crews.
pub fn crew(stage: &Stage, keys: &str) -> Vec<Worker> {
    let worker = |work: Work, group: &Group, who: &Person, member: &Person| Worker {
        work,
        group: group.clone(),
        who: who.clone(),
        member: member.member.clone(),
        keys: format!("{keys}-{work:?}-{}", digits(&member.member)),
        made: 0,
        planned: None,
        is_paused: false,
        pending: None,
        base: 0,
        acknowledged: 0,
        fresh: Vec::new(),
        latencies: Vec::new(),
        busy: 0,
        retried: 0,
    };
    let (first, circle) = (&stage.led[0], &stage.peer[0]);
    let mut crew = vec![
        worker(Work::CheckIn, circle, &circle.members[0], &circle.members[0]),
        worker(Work::CheckIn, circle, &circle.members[1], &circle.members[1]),
        worker(Work::Measure, first, first.lead(), &first.members[0]),
        worker(Work::Measure, first, &first.members[1], &first.members[1]),
        worker(Work::Move, first, first.lead(), &first.members[2]),
        worker(Work::Move, first, first.lead(), &first.members[3]),
    ];
    for group in &stage.led[1..] {
        crew.push(worker(Work::Record, group, group.lead(), &group.members[0]));
    }
    crew
}

impl Worker {
    /// What is asked next: the same again as long as it was not acknowledged.
    /// Nothing when the server is too busy to say what there is to change.
    fn request(&mut self, client: &mut Client) -> std::io::Result<Option<Request>> {
        if let Some(pending) = &self.pending {
            self.retried += 1;
            return Ok(Some(pending.clone()));
        }
        self.made += 1;
        let request = match self.work {
            Work::CheckIn => {
                let body = json!({"mood": "okay", "hope": self.made % 11, "text": format!("Evening {}.", self.made)});
                Request::post(self.group.path("/check-ins"), &body)
            }
            Work::Measure => {
                let body = json!({"member": self.member, "instrument": "gad-7", "answers": answers(self.made)});
                Request::post(self.group.path("/measures"), &body)
            }
            Work::Record => match &self.planned {
                None => {
                    let body = json!({"starts_local": local(-120), "zone": "UTC", "minutes": 60});
                    Request::post(self.group.path("/sessions"), &body)
                }
                Some((id, version)) => Request::new("PUT", self.group.path(&format!("/sessions/{id}/recording")))
                    .json(&self.recording())
                    .version(version),
            },
            Work::Move => {
                let path = self.group.path(&format!("/members/{}", self.member));
                let read = client.send(&Request::get(&path).by(&self.who.token))?;
                if read.status == 503 {
                    return Ok(None);
                }
                assert!(read.is_success(), "{path}: {} {}", read.status, read.body);
                let state = if self.is_paused { "active" } else { "paused" };
                Request::post(format!("{path}/moves"), &json!({"state": state})).version(read.etag())
            }
        };
        let request = request.by(&self.who.token).key(format!("{}-{}", self.keys, self.made));
        self.pending = Some(request.clone());
        Ok(Some(request))
    }

    fn recording(&self) -> serde_json::Value {
        let now = jiff::Timestamp::now();
        let at = |minutes: i64| (now - jiff::SignedDuration::from_mins(minutes)).to_string();
        let there = |person: &Person| json!({"member": person.member, "status": "attended"});
        let measured =
            |person: &Person| json!({"member": person.member, "instrument": "gad-7", "answers": answers(self.made)});
        json!({
            "held_from": at(120), "held_until": at(60), "session_record": "Weighed thoughts in pairs.",
            "attendance": self.group.members.iter().map(there).collect::<Vec<_>>(),
            "measures": self.group.members.iter().map(measured).collect::<Vec<_>>(), "complete": true
        })
    }

    /// One write. Returns whether it was acknowledged; `Err` when no answer came.
    pub fn step(&mut self, client: &mut Client) -> std::io::Result<bool> {
        let Some(request) = self.request(client)? else {
            self.busy += 1;
            return Ok(false);
        };
        let begun = Instant::now();
        let answer = client.send(&request)?;
        self.latencies.push(begun.elapsed().as_secs_f64() * 1000.0);
        if matches!(answer.status, 429 | 503) {
            self.busy += 1;
            assert!(answer.header("retry-after").is_some(), "{} without Retry-After", answer.status);
            return Ok(false);
        }
        assert!(answer.is_success(), "{} {}: {} {}", request.method, request.path, answer.status, answer.body);
        self.took(&answer);
        Ok(true)
    }

    fn took(&mut self, answer: &Answer) {
        self.pending = None;
        self.acknowledged += 1;
        match self.work {
            Work::CheckIn | Work::Measure => self.fresh.push(digits(&text(&answer.json()["id"]))),
            Work::Move => self.is_paused = !self.is_paused,
            Work::Record if self.planned.is_some() => self.planned = None,
            Work::Record => {
                let id = text(&answer.json()["id"]);
                self.fresh.push(digits(&id));
                self.planned = Some((id, answer.etag()));
            }
        }
    }

    /// Sends what was not acknowledged until it is.
    pub fn settle(&mut self, client: &mut Client) {
        for _ in 0..200 {
            if self.pending.is_none() {
                return;
            }
            if !self.step(client).unwrap_or(false) {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        panic!("{}: sent again and again, and never acknowledged", self.keys);
    }

    /// Rows that each of its writes adds one to.
    fn rows(&self, database: &Database, sql: &mut Sql) -> i64 {
        let is = |column: &str, id: &str| format!("{} = '{}'", database.hex(column), digits(id));
        let query = match self.work {
            Work::CheckIn => {
                format!("SELECT count(*) AS v FROM check_ins WHERE {}", is("member_id", &self.member))
            }
            Work::Measure => {
                format!(
                    "SELECT count(*) AS v FROM measures WHERE session_id IS NULL AND {}",
                    is("member_id", &self.member)
                )
            }
            Work::Record => format!(
                "SELECT count(*) + count(CASE WHEN recording = 'complete' THEN 1 END) AS v FROM sessions WHERE {}",
                is("group_id", &self.group.id)
            ),
            Work::Move => {
                format!("SELECT count(*) AS v FROM membership_intervals WHERE {}", is("member_id", &self.member))
            }
        };
        sql.number(&query)
    }

    fn table(&self) -> &'static str {
        match self.work {
            Work::CheckIn => "check_ins",
            Work::Measure => "measures",
            _ => "sessions",
        }
    }
}

/// Notes what is there before the first write.
pub fn note_what_is_there(crew: &mut [Worker], database: &Database) {
    let mut sql = database.sql();
    for worker in crew {
        worker.base = worker.rows(database, &mut sql);
    }
}

/// Nothing acknowledged is lost, nothing is doubled, nothing half done. What was not acknowledged may be there or not.
/// Returns how many unacknowledged writes had happened all the same.
#[track_caller]
pub fn check(crew: &mut [Worker], database: &Database) -> usize {
    let mut sql = database.sql();
    let mut unheard = 0;
    for worker in crew.iter_mut() {
        let rows = worker.rows(database, &mut sql) - worker.base;
        let least = worker.acknowledged as i64;
        let most = least + i64::from(worker.pending.is_some());
        assert!(
            (least..=most).contains(&rows),
            "{}: {rows} rows after {least} acknowledged writes, {} pending",
            worker.keys,
            most - least
        );
        unheard += (rows - least) as usize;
        for some in worker.fresh.chunks(500) {
            let column = database.hex("id");
            let list = some.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
            let query = format!("SELECT count(*) AS v FROM {} WHERE {column} IN ({list})", worker.table());
            let kept = sql.number(&query);
            assert_eq!(kept as usize, some.len(), "{}: acknowledged, and not there", worker.keys);
        }
        worker.fresh.clear();
        if worker.work == Work::Record {
            check_recordings(worker, database, &mut sql);
        }
    }
    // A key is kept with its write, or neither is: one that is kept alone would swallow a retry.
    let keys = crew.first().map_or("", |worker| worker.keys.split('-').next().unwrap_or_default());
    let kept = sql.number(&format!("SELECT count(*) AS v FROM idempotent_answers WHERE key LIKE '{keys}-%'"));
    let acknowledged: usize = crew.iter().map(|worker| worker.acknowledged).sum();
    assert_eq!(kept as usize, acknowledged + unheard, "answers kept for a retry, beside the writes that happened");
    unheard
}

/// A session has all of its recording or nothing of it.
#[track_caller]
fn check_recordings(worker: &Worker, database: &Database, sql: &mut Sql) {
    let members = worker.group.members.len();
    let count = |table: &str| format!("(SELECT count(*) FROM {table} t WHERE t.session_id = s.id)");
    let (attendances, measures, records) = (count("attendances"), count("measures"), count("session_records"));
    let whole =
        format!("s.recording = 'complete' AND {attendances} = {members} AND {measures} = {members} AND {records} = 1");
    let nothing = format!("s.recording = 'none' AND {attendances} + {measures} + {records} = 0");
    let half = sql.texts(&format!(
        "SELECT {} AS v FROM sessions s WHERE {} = '{}' AND NOT ({whole}) AND NOT ({nothing})",
        database.hex("s.id"),
        database.hex("s.group_id"),
        digits(&worker.group.id)
    ));
    assert!(half.is_empty(), "half recorded: {half:?}");
}

/// Works until `stop`, or until a client gets no answer.
pub fn work(crew: &mut [Worker], address: SocketAddr, stop: &AtomicBool) {
    std::thread::scope(|scope| {
        for worker in crew {
            scope.spawn(move || {
                let mut client = Client::new(address);
                while !stop.load(Ordering::Relaxed) {
                    match worker.step(&mut client) {
                        Ok(true) => {}
                        Ok(false) => std::thread::sleep(Duration::from_millis(50)),
                        Err(_) => break,
                    }
                }
            });
        }
    });
}

/// Works for as long as `meanwhile` takes.
pub fn work_during<T>(crew: &mut [Worker], address: SocketAddr, meanwhile: impl FnOnce() -> T) -> T {
    let stop = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let working = scope.spawn(move || work(crew, address, stop));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        stop.store(true, Ordering::Relaxed);
        working.join().expect("the clients work");
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

pub fn acknowledged(crew: &[Worker]) -> usize {
    crew.iter().map(|worker| worker.acknowledged).sum()
}

/// Local time in UTC, so many minutes from now.
pub fn local(minutes: i64) -> String {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// Answers to the GAD-7.
fn answers(number: usize) -> serde_json::Value {
    (1..=7).map(|item| (format!("gad-7.{item}"), json!((number + item) % 4))).collect::<serde_json::Map<_, _>>().into()
}

/// A copy that was begun once so many writes of each were acknowledged: these are there, and nothing half done.
#[track_caller]
pub fn check_copy(crew: &[Worker], acknowledged: &[usize], copy: &Database) {
    let mut sql = copy.sql();
    let mut kept = 0;
    for (worker, before) in crew.iter().zip(acknowledged) {
        let rows = worker.rows(copy, &mut sql) - worker.base;
        let most = worker.acknowledged as i64 + i64::from(worker.pending.is_some());
        assert!((*before as i64..=most).contains(&rows), "{}: {rows} rows, {before} acknowledged before", worker.keys);
        kept += rows;
        if worker.work == Work::Record {
            check_recordings(worker, copy, &mut sql);
        }
    }
    let keys = crew.first().map_or("", |worker| worker.keys.split('-').next().unwrap_or_default());
    let answers = sql.number(&format!("SELECT count(*) AS v FROM idempotent_answers WHERE key LIKE '{keys}-%'"));
    assert_eq!(answers, kept, "answers kept for a retry, beside the writes of the copy");
}
