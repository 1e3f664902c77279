//! Requests that nobody should send, over every operation of the contract, and bytes that are no HTTP at all.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use circlekeeper::{
    config::ServerConfig,
    demo,
    store::{
        connection::{Clock, Db},
        sealing::Masters,
    },
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Database, Engine, MASTER, Random, Request, Run, Server, figure, read_answer, text},
    stage::{PASSWORD, Person},
};

/// Clients at a time.
const CLIENTS: usize = 4;
/// Of so many requests, one is raw bytes.
const RAW: usize = 20;
/// Mebibytes by which the server may have grown in the end.
const GROWTH: f64 = 256.0;

/// The new password in the contract's example.
const CHANGED: &str = "nine lanterns over granite";

struct Operation {
    method: String,
    path: String,
    example: Option<Value>,
    queries: Vec<String>,
}

type Signed = (Person, &'static str);

/// What the generator draws from.
struct Field {
    operations: Vec<Operation>,
    /// Ids of what is there, by table.
    ids: HashMap<&'static str, Vec<String>>,
    /// With the password that fitted last.
    people: Vec<Mutex<Signed>>,
    address: SocketAddr,
}

pub fn prove(run: &Run, engine: Engine) -> String {
    let count = run.size(1_500, 100_000);
    let database = Database::fresh(engine);
    let mut people = demo_people(&database);
    let server = Server::start(&database);
    let mut client = server.client();
    people.iter_mut().for_each(|person| person.sign_in(&mut client));
    let field = Field {
        operations: operations(&mut client),
        ids: ids(&database),
        people: people.into_iter().map(|person| Mutex::new((person, PASSWORD))).collect(),
        address: server.address,
    };
    let before = server.memory();
    let (next, faults, tally) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (field, next, faults, tally) = (&field, &next, &faults, &tally);
            let random = Random::new(run.seed.wrapping_add(number as u64 * 7919));
            scope.spawn(move || {
                let mut own: BTreeMap<String, usize> = BTreeMap::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let outcome = match index % RAW {
                        0 => field.send_raw(&random),
                        _ => field.send_mutated(&random, index),
                    };
                    match outcome {
                        Ok(kind) => *own.entry(kind).or_default() += 1,
                        Err(fault) => faults.lock().expect("a list").push(fault),
                    }
                }
                let mut tally = tally.lock().expect("a tally");
                own.into_iter().for_each(|(kind, number)| *tally.entry(kind).or_insert(0) += number);
            });
        }
    });
    let faults = faults.into_inner().expect("a list");
    for fault in faults.iter().take(30) {
        eprintln!("{fault}");
    }
    assert!(faults.is_empty(), "{} requests were not answered as they should: {}", faults.len(), server.said());
    let after = server.memory();
    assert!(after - before < GROWTH, "the server grew from {before:.0} to {after:.0} MiB");
    let still = server.client().ask(&Request::get("/v1/crisis-lines?country=GB"));
    assert_eq!(still.status, 200, "a valid request after all the others");
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(database.sql().faults(), Vec::<String>::new());
    let tally = tally.into_inner().expect("a tally");
    let share = |status: &str| tally.get(status).copied().unwrap_or(0) as f64 / count as f64;
    assert!(share("401") < 0.3, "most were refused at the door, which proves little: {tally:?}");
    let told: Vec<String> = tally.iter().map(|(kind, number)| format!("{} × {kind}", figure(*number))).collect();
    format!(
        "{} requests over {} operations ({} raw): {}; none 5xx, none without an answer that was due; memory {before:.0} → \
         {after:.0} MiB; log whole ({log})",
        figure(count),
        field.operations.len(),
        figure(count / RAW),
        told.join(", "),
    )
}

/// Fills the database with the demo's year. Returns its people.
fn demo_people(database: &Database) -> Vec<Person> {
    let masters = Masters::read(&SecretString::from(MASTER)).expect("a master key");
    let db = Db::open(&database.location(), masters, Clock::default()).expect("the database opens");
    let story = demo::fill(&db, &ServerConfig::default()).expect("the demo is told");
    let told = story.told(SocketAddr::from(([127, 0, 0, 1], 80)));
    let of_people =
        told.split("password is: ").nth(1).expect("people").lines().skip(1).take_while(|line| !line.is_empty());
    let named = of_people.filter_map(|line| line.split_whitespace().next());
    named.map(|name| Person { sign_in_name: name.into(), ..Person::default() }).collect()
}

fn operations(client: &mut crate::harness::Client) -> Vec<Operation> {
    let contract = client.ask(&Request::get("/openapi.json")).expect(200);
    let mut found = Vec::new();
    for (path, methods) in contract["paths"].as_object().expect("paths") {
        for (method, page) in methods.as_object().expect("methods") {
            let queries = page["parameters"].as_array().into_iter().flatten();
            let queries = queries.filter(|one| one["in"] == "query").map(|one| text(&one["name"])).collect();
            let example = page["requestBody"]["content"]["application/json"].get("example").cloned();
            found.push(Operation { method: method.to_uppercase(), path: path.clone(), example, queries });
        }
    }
    found
}

const TABLES: [&str; 21] = [
    "groups",
    "organizations",
    "sessions",
    "members",
    "measures",
    "progress_entries",
    "process_notes",
    "check_ins",
    "topics",
    "tips",
    "breach_reports",
    "decisions",
    "referrals",
    "risks",
    "goals",
    "homework",
    "agreements",
    "signatures",
    "licences",
    "agenda_templates",
    "standings",
];

fn ids(database: &Database) -> HashMap<&'static str, Vec<String>> {
    let mut sql = database.sql();
    let mut of = |table: &'static str| {
        let digits = sql.texts(&format!("SELECT {} AS v FROM {table} ORDER BY id LIMIT 200", database.hex("id")));
        let dashed = digits.iter().map(|id| [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-"));
        (table, dashed.collect())
    };
    TABLES.iter().map(|table| of(table)).collect()
}

/// Where the ids of a path parameter are kept.
fn table_of(name: &str) -> &'static str {
    match name {
        "entry" => "progress_entries",
        "note" => "process_notes",
        "template" => "agenda_templates",
        "term" | "office" => "standings",
        "homework" => "homework",
        other => TABLES.iter().find(|table| table.trim_end_matches('s') == other).copied().unwrap_or("members"),
    }
}

/// Values that no field asks for.
fn odd_value(random: &Random) -> Value {
    match random.below(22) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(i64::MAX),
        4 => json!(u64::MAX),
        5 => json!(1e308),
        6 => json!(-0.000_000_1),
        7 => json!(""),
        8 => json!("\u{0}"),
        9 => json!("a\u{0}b\r\nX-Header: y"),
        10 => json!("é\u{301}\u{202e}\u{feff}\u{1f9d1}\u{200d}\u{1f680}"),
        11 => json!("x".repeat(random.below(70_000))),
        12 => json!("' OR 1=1; DROP TABLE members; --"),
        13 => json!("=cmd|' /C calc'!A0"),
        14 => json!([]),
        15 => json!({}),
        16 => json!(vec![json!({"a": 1}); random.below(3_000)]),
        17 => (0..random.below(120)).fold(json!(1), |inner, _| json!([inner])),
        18 => json!("9999-12-31T23:59:59.999999999Z"),
        19 => json!("-9999-01-01"),
        20 => json!("00000000-0000-0000-0000-000000000000"),
        _ => json!("2026-13-45T99:99"),
    }
}

/// Changes one place of a value.
fn mutate(value: &mut Value, random: &Random) {
    match value {
        Value::Object(fields) if !fields.is_empty() && random.below(5) > 0 => {
            let names: Vec<String> = fields.keys().cloned().collect();
            let name = random.one(&names);
            match random.below(8) {
                0 => drop(fields.remove(name)),
                1 => drop(fields.insert(format!("{name}_"), odd_value(random))),
                _ => mutate(fields.get_mut(name).expect("one of them"), random),
            }
        }
        Value::Array(items) if !items.is_empty() && random.below(4) > 0 => match random.below(5) {
            0 => items.extend(items.clone()),
            1 => drop(items.pop()),
            _ => {
                let index = random.below(items.len());
                mutate(&mut items[index], random);
            }
        },
        Value::Number(number) if random.below(2) == 0 => {
            let odd = [-1, 0, 1, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN, 32_768, 256];
            *value = json!(number.as_i64().unwrap_or(1).wrapping_add(*random.one(&odd)));
        }
        _ => *value = odd_value(random),
    }
}

/// Changes the bytes of a body, past what JSON could say.
fn mangle(body: &mut Vec<u8>, random: &Random) {
    let place = random.below(body.len());
    match random.below(9) {
        0 => body.truncate(place),
        1 => body.insert(place, 0),
        2 => body.splice(place..place, [0xff, 0xfe, 0xc0, 0x80]).for_each(drop),
        3 => *body = format!("{}{}", "[".repeat(random.below(60_000)), String::from_utf8_lossy(body)).into_bytes(),
        4 => *body = "{\"a\":".repeat(random.below(20_000)).into_bytes(),
        5 => *body = vec![b'x'; 1024 * 1024 - 1 + random.below(3)],
        6 => {
            // Every field twice.
            let inner = String::from_utf8_lossy(body).into_owned();
            if let Some(inner) = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                *body = format!("{{{inner},{inner}}}").into_bytes();
            }
        }
        7 => body.extend_from_slice(b"\n{}trailing"),
        _ => *body = format!("{{\"n\":1{}}}", "0".repeat(random.below(5_000))).into_bytes(),
    }
}

impl Field {
    /// Something of the contract, changed in one place or in many.
    fn send_mutated(&self, random: &Random, index: usize) -> Result<String, String> {
        let operation = &self.operations[index % self.operations.len()];
        let person = (random.below(20) > 0).then(|| &self.people[random.below(self.people.len())]);
        let path = self.path_of(operation, random);
        let mut head = format!("{} {path} HTTP/1.1\r\nhost: proof\r\nconnection: close\r\n", operation.method);
        if let Some(person) = person {
            head.push_str(&format!("authorization: Bearer {}\r\n", person.lock().expect("a person").0.token));
        }
        let mut body = match &operation.example {
            Some(example) => {
                let mut example = example.clone();
                (0..random.below(4)).for_each(|_| mutate(&mut example, random));
                example.to_string().into_bytes()
            }
            None if random.below(5) == 0 => odd_value(random).to_string().into_bytes(),
            None => Vec::new(),
        };
        if !body.is_empty() && random.below(3) == 0 {
            mangle(&mut body, random);
        }
        odd_headers(&mut head, random);
        let media =
            ["application/json", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"];
        let media = if random.below(6) > 0 { media[0] } else { random.one(&media) };
        if !body.is_empty() {
            head.push_str(&format!("content-type: {media}\r\n"));
        }
        let mut request = head.into_bytes();
        // Whether the request is one at all, so that an answer is due.
        let mut is_whole = true;
        match random.below(12) {
            0 if !body.is_empty() => {
                request.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for chunk in body.chunks(1 + random.below(4096)) {
                    request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                    request.extend_from_slice(chunk);
                    request.extend_from_slice(b"\r\n");
                }
                let end = random.below(3);
                // Where a chunk is broken, nobody knows where the request ends: the connection may be closed (RFC 9112, 8).
                is_whole = end == 2;
                match end {
                    0 => request.extend_from_slice(b"zz\r\nno chunk\r\n"),
                    1 => {}
                    _ => request.extend_from_slice(b"0\r\n\r\n"),
                }
            }
            1 if !body.is_empty() => {
                // Less than it promises.
                is_whole = false;
                request.extend(format!("content-length: {}\r\n\r\n", body.len() + 1 + random.below(9)).into_bytes());
                request.extend_from_slice(&body);
            }
            _ => {
                request.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
                request.extend_from_slice(&body);
            }
        }
        let shown = || {
            let shown = String::from_utf8_lossy(&request).into_owned();
            let shown: String = shown.chars().filter(|c| *c != '\r').take(1500).collect();
            let at = shown.find("authorization").unwrap_or(shown.len());
            format!("{}…{}", &shown[..at], shown[at..].split_once('\n').map_or("", |(_, rest)| rest))
        };
        match exchange(self.address, &request) {
            Ok(answer) if answer.status >= 500 => Err(format!("{}: {}\n{}\n", answer.status, answer.body, shown())),
            Ok(answer) => {
                if answer.status == 401
                    && let Some(person) = person
                {
                    self.sign_in_again(person);
                }
                Ok(answer.status.to_string())
            }
            Err(_) if !is_whole => Ok("cut off and closed".into()),
            Err(error) => Err(format!("no answer: {error}\n{}\n", shown())),
        }
    }

    /// Some requests end the sign-ins of who sends them, and then nothing would come past 401 any more.
    fn sign_in_again(&self, person: &Mutex<Signed>) {
        let mut person = person.lock().expect("a person");
        // The contract's own example of a new password may have been taken. The one that fitted last comes first: wrong ones
        // make a pause.
        for _ in 0..2 {
            let request = json!({"sign_in_name": person.0.sign_in_name, "password": person.1});
            let request = Request::post("/v1/tokens", &request).header("connection", "close");
            match exchange(self.address, &request.bytes()) {
                Ok(answer) if answer.status == 201 => {
                    person.0.token = text(&answer.json()["access_token"]);
                    return;
                }
                Ok(answer) if answer.status == 401 => person.1 = if person.1 == PASSWORD { CHANGED } else { PASSWORD },
                _ => return,
            }
        }
    }

    fn path_of(&self, operation: &Operation, random: &Random) -> String {
        let mut path = String::new();
        for part in operation.path.split('/').skip(1) {
            path.push('/');
            let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
                path.push_str(part);
                continue;
            };
            let known = self.ids.get(table_of(name)).filter(|ids| !ids.is_empty());
            match (random.below(8), known) {
                (0, _) => path.push_str(&odd_text(random)),
                (1, _) => path.push_str("01890000-0000-7000-8000-000000000000"),
                (_, _) if name == "instrument" => path.push_str("phq-9"),
                // The first ones are of the groups in which most happens.
                (2..=5, Some(ids)) => path.push_str(&ids[random.below(ids.len().min(4))]),
                (_, Some(ids)) => path.push_str(&ids[random.below(ids.len())]),
                (_, None) => path.push_str("01890000-0000-7000-8000-000000000000"),
            }
        }
        let mut separator = '?';
        for name in &operation.queries {
            if random.below(3) == 0 {
                path.push_str(&format!("{separator}{name}={}", odd_text(random)));
                separator = '&';
            }
        }
        if random.below(25) == 0 {
            path.push_str(&format!("{separator}{}={}", odd_text(random), odd_text(random)));
        }
        path
    }

    /// Bytes that are no HTTP, or not quite.
    fn send_raw(&self, random: &Random) -> Result<String, String> {
        let mut noise: Vec<u8> = (0..random.below(3_000)).map(|_| random.next() as u8).collect();
        // The second value says whether it ends like a request, so that a refusal is due.
        let (bytes, is_due): (Vec<u8>, bool) = match random.below(16) {
            0 => (noise, false),
            1 => (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".iter().copied().chain(noise).collect(), false),
            2 => (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), true),
            3 => (b"GET / HTTP/9.9\r\n\r\n".to_vec(), true),
            4 => (b"GET /v1/crisis-lines HTTP/1.1\r\nhost proof\r\n\r\n".to_vec(), true),
            5 => (b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\nhello".to_vec(), true),
            6 => (b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!".to_vec(), true),
            7 => (
                b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
                true,
            ),
            8 => (b"GET /v1/crisis-lines HTTP/1.1\r\nhost: a\r\nx: \x00\r\n\r\n".to_vec(), true),
            9 => (b"GET http://elsewhere/v1/account HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".to_vec(), true),
            10 => (b"\n\n\nGET  /v1/account  HTTP/1.1\n\n".to_vec(), false),
            11 => (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(300_000)).into_bytes(), true),
            12 => {
                let many: String = (0..400).map(|number| format!("x-{number}: y\r\n")).collect();
                (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n").into_bytes(), true)
            }
            13 => (format!("GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "a/".repeat(30_000)).into_bytes(), true),
            14 => (b"POST /v1/tokens HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked, identity\r\n\r\nff".to_vec(), true),
            _ => {
                noise.retain(|byte| !matches!(byte, b'\r' | b'\n'));
                (b"GET /".iter().copied().chain(noise).chain(*b" HTTP/1.1\r\nhost: a\r\n\r\n").collect(), true)
            }
        };
        match exchange(self.address, &bytes) {
            Ok(answer) if answer.status >= 500 => Err(format!("{} to {:?}", answer.status, head_of(&bytes))),
            Ok(answer) => Ok(answer.status.to_string()),
            Err(error) if is_due => Err(format!("no answer ({error}) to {:?}", head_of(&bytes))),
            Err(_) => Ok("no HTTP and closed".into()),
        }
    }
}

fn head_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned()
}

/// Text for a place in a path or a query.
fn odd_text(random: &Random) -> String {
    match random.below(14) {
        0 => "%00".into(),
        1 => "%ff%fe".into(),
        2 => "..%2f..%2fetc%2fpasswd".into(),
        3 => "a".repeat(1 + random.below(5_000)),
        4 => "-1".into(),
        5 => "99999999999999999999".into(),
        6 => "0".into(),
        7 => "%".into(),
        8 => "'%22;--".into(),
        9 => "2026-02-30".into(),
        10 => "%F0%9F%A7%91".into(),
        11 => "null".into(),
        12 => "NaN".into(),
        _ => format!("{:x}", random.next()),
    }
}

fn odd_headers(head: &mut String, random: &Random) {
    for _ in 0..random.below(4) {
        let header = match random.below(13) {
            0 => "if-match: \"1\"".into(),
            1 => format!("if-match: {}", odd_text(random)),
            2 => format!("idempotency-key: {:016x}", random.next()),
            3 => format!("idempotency-key: {}", "k".repeat(random.below(300))),
            4 => "accept: image/svg+xml".into(),
            5 => format!("accept: {}", ";q=,*/*;".repeat(random.below(200))),
            6 => "content-encoding: gzip".into(),
            7 => format!("cookie: {}", "c=1; ".repeat(random.below(2_000))),
            8 => "expect: 100-continue".into(),
            9 => "x-forwarded-for: 1.2.3.4, \u{e9}, ::1".into(),
            10 => "accept-language: \u{ff}\u{fe}".into(),
            11 => "authorization: Bearer eyJhbGciOiJub25lIn0.e30.".into(),
            _ => "origin: null".into(),
        };
        head.push_str(&format!("{header}\r\n"));
    }
}

/// Sends bytes on a connection of their own, and reads what comes back.
fn exchange(address: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    // A server that has refused already need not read on.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    read_answer(&stream)
}
