//! How fast the main jobs are, beside the limit that the same machine sets in the same run. README.md says what each
//! figure means.

mod bare;
mod load;
mod outcomes;
#[cfg(feature = "postgres")]
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/api/postgres.rs"]
mod postgres;
mod scale;
mod sealing;
mod servers;
mod statements;
mod year;

use std::{collections::HashMap, net::SocketAddr, path::PathBuf, time::Duration};

use bare::{Bare, Recording};
use circlekeeper::{
    identity::{Caller, Tokens},
    store::connection::{Clock, Db, Location},
    values::{Id, Moment},
};
use load::{Bound, Client, Run, measure, request};
use serde_json::json;
use servers::Process;
use statements::Overheard;
use year::Group;

const CONNECTIONS: [usize; 3] = [1, 8, 32];
/// How many people take turns in a measurement.
const TURNS: usize = 512;
/// How many of them have five years behind them.
const LONG: usize = 32;

/// How much is measured, from the environment.
struct Size {
    /// Groups of ten with a year of weekly sessions; 520 measures each.
    groups: usize,
    /// Seconds of each measurement.
    seconds: f64,
    /// Part of the name of what is measured; empty for everything.
    only: String,
}

impl Size {
    fn read() -> Size {
        let number = |name: &str, default: f64| {
            let text = std::env::var(name).ok();
            text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} takes a number, not {text}")))
        };
        Size {
            groups: (number("BENCH_GROUPS", 1000.0) as usize).max(1),
            seconds: number("BENCH_SECONDS", 2.0),
            only: std::env::var("BENCH_OPERATION").unwrap_or_default(),
        }
    }

    fn includes(&self, operation: &str) -> bool {
        operation.contains(&self.only)
    }

    fn whole(&self) -> Bound {
        Bound::For(Duration::from_secs_f64(self.seconds))
    }

    fn part(&self) -> Bound {
        Bound::For(Duration::from_secs_f64(self.seconds / 2.0))
    }

    /// Sessions that are recorded in one measurement.
    fn recordings(&self, connections: usize) -> usize {
        let most = match connections {
            1 => 250.0,
            8 => 500.0,
            _ => 1000.0,
        };
        ((most * self.seconds) as usize).max(connections)
    }
}

/// One line of the table.
struct Line {
    operation: &'static str,
    database: &'static str,
    connections: usize,
    run: Run,
    limit: f64,
    /// The least share of the limit; `None` where the issue asks for nothing.
    aim: Option<f64>,
}

impl Line {
    fn print(&self) {
        let ratio = self.run.rate() / self.limit;
        let (aim, met) = match self.aim {
            Some(aim) => (format!("{aim:.1}"), if ratio >= aim { "yes" } else { "**no**" }),
            None => ("-".into(), "-"),
        };
        println!(
            "| {} | {} | {} | {:.0} | {:.2} | {:.2} | {:.0} | {ratio:.2} | {aim} | {met} |",
            self.operation,
            self.database,
            self.connections,
            self.run.rate(),
            self.run.percentile(0.5),
            self.run.percentile(0.99),
            self.limit,
        );
    }
}

/// Everybody who takes part: the same people on each database.
struct Cast {
    groups: Vec<Group>,
    leads: Vec<(Caller, String)>,
    members: Vec<Member>,
}

struct Member {
    caller: Caller,
    group: Id,
    member: Id,
    token: String,
    sign_in_name: String,
}

fn main() {
    if std::env::var_os(servers::EMPTY).is_some() {
        return servers::run_empty();
    }
    let size = Size::read();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    println!(
        "{cores} cores, {} groups of ten, {} measures, {} s a measurement\n",
        size.groups,
        size.groups * 520,
        size.seconds
    );
    // A matter of an hour: only by its whole name.
    if size.only == "scale" {
        return scale::run(&size);
    }
    if size.includes("outcomes, change engine") {
        outcomes::change_engine(size.seconds);
    }
    let costs = size.includes("sealing").then(|| sealing::measure(size.seconds));
    if let Some(costs) = &costs {
        costs.print();
    }
    if size.only == "sealing" {
        return;
    }
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../bench");
    let only = std::env::var("BENCH_DATABASE").unwrap_or_default();
    if only != "postgres" {
        eprintln!("filling an embedded database, or copying the filled one");
        let location = year::embedded(&directory, size.groups);
        bench("SQLite", &location, &size, cores, costs.as_ref());
        year::remove(&directory.join("run.db"));
    }
    #[cfg(feature = "postgres")]
    if only != "sqlite" {
        match postgres::durable_cluster() {
            Err(reason) => println!("PostgreSQL: {reason}"),
            Ok(cluster) => {
                eprintln!("filling a PostgreSQL database");
                let location = Location::new(cluster.fresh_database(), 8);
                circlekeeper::store::migrations::run(&location).expect("the migrations run");
                year::fill(&location, &year::Extent::year(size.groups));
                if std::env::var_os(servers::WALL).is_some() {
                    let role = servers::APPLICATION;
                    cluster.execute(&format!("CREATE ROLE {role} LOGIN"));
                    circlekeeper::store::wall::raise(&location, role).expect("the wall stands");
                }
                bench("PostgreSQL", &location, &size, cores, costs.as_ref());
            }
        }
    }
}

fn bench(database: &'static str, location: &Location, size: &Size, cores: usize, costs: Option<&sealing::Costs>) {
    let mut recordings = None;
    let cast = cast(location);
    let planned = {
        let most: usize = CONNECTIONS.iter().map(|connections| 2 * size.recordings(*connections)).sum();
        let db = year::open(location);
        let leads: Vec<_> = cast.groups.iter().zip(&cast.leads).map(|(group, (caller, _))| (group, *caller)).collect();
        year::plan(&db, &leads, most + 2)
    };
    let heard = overheard(location, &cast, &planned);
    println!("| operation | database | connections | requests/s | p50 ms | p99 ms | limit/s | ratio | aim | met |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|---|");
    {
        let server = Process::serve(location);
        let empty = Process::empty();
        let mut next = 2;
        for connections in CONNECTIONS.into_iter().filter(|_| size.includes("record a session")) {
            let line = record(database, location, size, connections, &server, &cast, &planned, &mut next);
            line.print();
            recordings.get_or_insert_with(|| line.run.rate());
        }
        for (operation, requests, statements) in [
            (
                "a member's year",
                progress_requests(&cast),
                progress_statements(location, &cast.members, &heard.progress),
            ),
            ("a page of sessions", session_requests(&cast), session_statements(&cast, &heard)),
            ("a preparation", preparation_requests(&cast, &planned), preparation_statements(&cast, &planned, &heard)),
            ("a group's outcomes", outcome_requests(&cast), outcome_statements(&cast, &heard)),
        ] {
            for connections in CONNECTIONS.into_iter().filter(|_| size.includes(operation)) {
                let (run, limits) = read(location, size, connections, &server, &empty, &requests, &statements);
                let aim = (!operation.contains("outcomes")).then_some(0.4);
                Line { operation, database, connections, run, limit: limits.composed, aim }.print();
            }
        }
        for connections in CONNECTIONS.into_iter().filter(|_| size.includes("sign in")) {
            sign_in(database, size, connections, cores, &server, &cast).print();
        }
        // Last: nobody else's history grows.
        if size.includes(FIVE_YEARS) || size.includes(DRAWN) {
            five_years(database, location, size, &server, &empty, &cast);
        }
    }
    if let Some((costs, recordings)) = costs.zip(recordings) {
        costs.print_share(database, recordings);
    }
    if size.includes("memory") {
        memory(database, location, &cast);
    }
    if size.includes("outcomes, memory of a report") {
        outcomes::report(database, location, size.groups * 10);
    }
    if size.includes("plans") {
        plans(database, location, &heard);
    }
}

fn cast(location: &Location) -> Cast {
    let groups = year::groups(&mut Bare::open(location));
    let db = year::open(location);
    let tokens = Tokens::new(db.masters(), Clock::default(), 24 * 60);
    let token = |caller| tokens.sign(caller, db.clock.now());
    let leads = year::sign_in(&db, groups.iter().map(|group| group.lead).collect());
    let leads = leads.into_iter().map(|caller| (caller, token(caller))).collect();
    // One member of each group, so that no page is read again soon.
    let some = groups.iter().enumerate().take(TURNS).filter_map(|(number, group)| {
        let (account, member) = *group.members.first()?;
        Some((group.id, member, account, year::sign_in_name(number, number % 10)))
    });
    let members = members(&db, token, some.collect());
    Cast { groups, leads, members }
}

/// Signs people in: group, member, account and sign-in name each.
fn members(db: &Db, token: impl Fn(Caller) -> String, people: Vec<(Id, Id, Id, String)>) -> Vec<Member> {
    let callers = year::sign_in(db, people.iter().map(|(_, _, account, _)| *account).collect());
    let one = |((group, member, _, sign_in_name), caller)| Member {
        caller,
        group,
        member,
        token: token(caller),
        sign_in_name,
    };
    people.into_iter().zip(callers).map(one).collect()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn progress_request(member: &Member) -> Vec<u8> {
    request("GET", "/v1/account/progress", &[("authorization", &bearer(&member.token))], None)
}

fn progress_requests(cast: &Cast) -> Vec<Vec<u8>> {
    cast.members.iter().map(progress_request).collect()
}

fn session_requests(cast: &Cast) -> Vec<Vec<u8>> {
    let page = |(group, (_, token)): (&Group, &(Caller, String))| {
        request(
            "GET",
            &format!("/v1/groups/{}/sessions?limit=50", group.id),
            &[("authorization", &bearer(token))],
            None,
        )
    };
    cast.groups.iter().zip(&cast.leads).take(TURNS).map(page).collect()
}

fn outcome_requests(cast: &Cast) -> Vec<Vec<u8>> {
    let ask = |(group, (_, token)): (&Group, &(Caller, String))| {
        request("GET", &format!("/v1/groups/{}/outcomes", group.id), &[("authorization", &bearer(token))], None)
    };
    cast.groups.iter().zip(&cast.leads).take(TURNS).map(ask).collect()
}

/// The therapist's view of the roster before a session, for one planned session of each group.
fn preparation_requests(cast: &Cast, planned: &[Recording]) -> Vec<Vec<u8>> {
    let one = |planned: &Recording| {
        let path = format!("/v1/groups/{}/sessions/{}/preparation", planned.group, planned.session);
        request("GET", &path, &[("authorization", &bearer(&lead_of(cast, planned).1))], None)
    };
    planned.iter().take(TURNS.min(cast.groups.len())).map(one).collect()
}

fn lead_of<'a>(cast: &'a Cast, planned: &Recording) -> &'a (Caller, String) {
    cast.leads.iter().find(|(caller, _)| caller.account == planned.lead).expect("the lead")
}

fn recording_request(cast: &Cast, planned: &Recording, index: usize) -> Vec<u8> {
    let token = &cast.leads.iter().find(|(caller, _)| caller.account == planned.lead).expect("the lead").1;
    recording_by(token, planned, index)
}

fn recording_by(token: &str, planned: &Recording, index: usize) -> Vec<u8> {
    let answers: serde_json::Map<_, _> =
        (1..=9).map(|item| (format!("phq-9.{item}"), json!(if item == 9 { 0 } else { (item + index) % 4 }))).collect();
    let body = json!({
        "held_from": Moment(planned.now).plus_minutes(-90), "held_until": Moment(planned.now).plus_minutes(-30),
        "items": planned.items.iter()
            .map(|item| json!({"item": item, "delivered": "delivered", "minutes": 7})).collect::<Vec<_>>(),
        "attendance": planned.members.iter()
            .map(|member| json!({"member": member, "status": "attended"})).collect::<Vec<_>>(),
        "measures": planned.members.iter()
            .map(|member| json!({"member": member, "instrument": "phq-9", "answers": answers})).collect::<Vec<_>>(),
        "complete": true
    });
    let path = format!("/v1/groups/{}/sessions/{}/recording", planned.group, planned.session);
    request("PUT", &path, &[("authorization", &bearer(token)), ("if-match", "\"1\"")], Some(&body))
}

/// What the server sends to the database for one request of each kind.
struct Heard {
    record: Vec<Overheard>,
    progress: Vec<Overheard>,
    page: Vec<Overheard>,
    preparation: Vec<Overheard>,
    outcomes: Vec<Overheard>,
    sign_in: Vec<Overheard>,
}

fn overheard(location: &Location, cast: &Cast, planned: &[Recording]) -> Heard {
    statements::begin();
    let db = year::open(location);
    let mut found = None;
    servers::with_own(db, |address| {
        let mut client = Client::connect(address);
        // Past the first housekeeping.
        std::thread::sleep(Duration::from_millis(200));
        let mut hear = |request: Vec<u8>, status: u16| statements::overhear(|| client.expect(&request, status));
        let record = hear(recording_request(cast, &planned[0], 0), 200);
        let progress = hear(progress_request(&cast.members[0]), 200);
        let page = hear(session_requests(cast).swap_remove(0), 200);
        let preparation = hear(preparation_requests(cast, planned).swap_remove(0), 200);
        let outcomes = hear(outcome_requests(cast).swap_remove(0), 200);
        let sign_in = hear(sign_in_request(&cast.members[0].sign_in_name), 201);
        found = Some(Heard { record, progress, page, preparation, outcomes, sign_in });
    });
    statements::end();
    found.expect("the server answered")
}

type Sent = Vec<(String, Vec<bare::Value>)>;

/// The sessions of one group stand for those of another, newest for newest: the same number of rows is read.
fn progress_statements(location: &Location, members: &[Member], heard: &[Overheard]) -> Vec<Sent> {
    let (held, heard) = (year::held(&mut Bare::open(location)), reads(heard));
    let (first, none) = (&members[0], Vec::new());
    let sessions = |member: &Member| held.get(&member.group).unwrap_or(&none).iter().copied();
    let for_one = |one: &Member| {
        let people = [
            (first.caller.account, one.caller.account),
            (first.caller.sign_in, one.caller.sign_in),
            (first.member, one.member),
            (first.group, one.group),
        ];
        statements::again(&heard, &people.into_iter().chain(sessions(first).zip(sessions(one))).collect())
    };
    members.iter().map(for_one).collect()
}

const FIVE_YEARS: &str = "a member's five years";
const DRAWN: &str = "a member's five years, drawn";

/// Progress over five years and three instruments, as figures and as a picture, beside its bare statements: without the
/// empty handler, as the aim has it.
fn five_years(
    database: &'static str,
    location: &Location,
    size: &Size,
    server: &Process,
    empty: &Process,
    cast: &Cast,
) {
    let db = year::open(location);
    let tokens = Tokens::new(db.masters(), Clock::default(), 24 * 60);
    let now = db.clock.now();
    // The second member of a group: the first one's year stays a year.
    let people: Vec<(Id, Id, Id, String)> = cast
        .groups
        .iter()
        .take(LONG)
        .enumerate()
        .map(|(number, group)| (group.id, group.members[1].1, group.members[1].0, year::sign_in_name(number, 1)))
        .collect();
    let long: Vec<(Id, Id)> = people.iter().map(|(group, member, _, _)| (*group, *member)).collect();
    year::lengthen(location, &long, now.0);
    let members = members(&db, |caller| tokens.sign(caller, now), people);
    drop(db);
    let path = format!("/v1/account/progress?since={}", now.plus_days(-5 * 366));
    for (operation, media, aim) in [(FIVE_YEARS, "application/json", Some(0.5)), (DRAWN, "image/svg+xml", None)] {
        let one = |member: &Member| {
            request("GET", &path, &[("authorization", &bearer(&member.token)), ("accept", media)], None)
        };
        let requests: Vec<Vec<u8>> = members.iter().map(one).collect();
        let heard = hear(location, &requests[0]);
        let statements = progress_statements(location, &members, &heard);
        for connections in CONNECTIONS.into_iter().filter(|_| size.includes(operation)) {
            let (run, limits) = read(location, size, connections, server, empty, &requests, &statements);
            Line { operation, database, connections, run, limit: limits.bare, aim }.print();
        }
    }
}

/// What a server sends to the database for one request.
fn hear(location: &Location, request: &[u8]) -> Vec<Overheard> {
    statements::begin();
    let db = year::open(location);
    let mut found = None;
    servers::with_own(db, |address| {
        let mut client = Client::connect(address);
        // Past the first housekeeping.
        std::thread::sleep(Duration::from_millis(200));
        found = Some(statements::overhear(|| client.expect(request, 200)));
    });
    statements::end();
    found.expect("the server answered")
}

fn session_statements(cast: &Cast, heard: &Heard) -> Vec<Sent> {
    let (first, (lead, _)) = (&cast.groups[0], &cast.leads[0]);
    let for_one = |(group, (caller, _)): (&Group, &(Caller, String))| {
        statements::again(
            &heard.page,
            &HashMap::from([(first.id, group.id), (lead.account, caller.account), (lead.sign_in, caller.sign_in)]),
        )
    };
    cast.groups.iter().zip(&cast.leads).take(TURNS).map(for_one).collect()
}

/// What only reads: the entry in the access log is the server's to write, and no part of a limit.
fn reads(heard: &[Overheard]) -> Vec<Overheard> {
    let is_read = |sql: &str| sql.starts_with("SELECT") && !sql.contains("access_");
    heard.iter().filter(|statement| is_read(&statement.sql)).cloned().collect()
}

fn outcome_statements(cast: &Cast, heard: &Heard) -> Vec<Sent> {
    let (first, (lead, _)) = (&cast.groups[0], &cast.leads[0]);
    let reads = reads(&heard.outcomes);
    let for_one = |(group, (caller, _)): (&Group, &(Caller, String))| {
        let members = first.members.iter().zip(&group.members).map(|((_, first), (_, other))| (*first, *other));
        let places = [(first.id, group.id), (lead.account, caller.account), (lead.sign_in, caller.sign_in)];
        statements::again(&reads, &members.chain(places).collect())
    };
    cast.groups.iter().zip(&cast.leads).take(TURNS).map(for_one).collect()
}

/// The agreement stays that of the first group: a member's signatures are looked up alike, and found to be of another.
fn preparation_statements(cast: &Cast, planned: &[Recording], heard: &Heard) -> Vec<Sent> {
    let (first, reads) = (&planned[0], reads(&heard.preparation));
    let for_one = |one: &Recording| {
        let [was, is] = [first, one].map(|planned| {
            let caller = lead_of(cast, planned).0;
            [planned.group, planned.session, planned.lead, caller.sign_in].into_iter().chain(planned.members.clone())
        });
        statements::again(&reads, &was.zip(is).collect())
    };
    planned.iter().take(TURNS.min(cast.groups.len())).map(for_one).collect()
}

fn ask(address: SocketAddr, connections: usize, bound: &Bound, requests: &[Vec<u8>], status: u16) -> Run {
    measure(connections, bound, || {
        let mut client = Client::connect(address);
        client.expect(&requests[0], status);
        move |index: usize| client.expect(&requests[index % requests.len()], status)
    })
}

/// What a read is held against, in requests per second.
struct Limits {
    bare: f64,
    /// Of the bare statements and the empty handler, one after the other.
    composed: f64,
}

/// A read beside its limits: the empty handler and the bare statements, each before and after.
fn read(
    location: &Location,
    size: &Size,
    connections: usize,
    server: &Process,
    empty: &Process,
    requests: &[Vec<u8>],
    statements: &[Sent],
) -> (Run, Limits) {
    let bare = || {
        measure(connections, &size.part(), || {
            let mut bare = Bare::open(location);
            if matches!(bare, Bare::Sqlite(_)) {
                bare.batch("PRAGMA query_only = ON");
            }
            move |index: usize| {
                for (sql, values) in &statements[index % statements.len()] {
                    bare.fetch(sql, values);
                }
            }
        })
    };
    let nothing = || ask(empty.address, connections, &size.part(), requests, 200);
    let (bare_before, empty_before) = (bare(), nothing());
    let run = ask(server.address, connections, &size.whole(), requests, 200);
    let (bare, nothing) = (bare().and(bare_before).rate(), nothing().and(empty_before).rate());
    eprintln!("{connections}: empty {nothing:.0}/s, bare statements {bare:.0}/s");
    (run, Limits { bare, composed: 1.0 / (1.0 / nothing + 1.0 / bare) })
}

#[allow(clippy::too_many_arguments, reason = "one caller, and each of them is another thing")]
fn record(
    database: &'static str,
    location: &Location,
    size: &Size,
    connections: usize,
    server: &Process,
    cast: &Cast,
    planned: &[Recording],
    next: &mut usize,
) -> Line {
    let count = size.recordings(connections);
    let mut take = |count: usize| {
        let range = *next..*next + count;
        *next += count;
        range
    };
    let (before, between, after) = (take(count / 2), take(count), take(count / 2));
    let is_embedded = location.file().is_some();
    let bare = |range| {
        // SQLite has one writer: more of them would only wait for each other.
        measure(if is_embedded { 1 } else { connections }, &Bound::Each(range), || {
            let mut bare = Bare::open(location);
            move |index: usize| bare.record(&planned[index])
        })
    };
    let requests: Vec<Vec<u8>> = between.clone().map(|index| recording_request(cast, &planned[index], index)).collect();
    let limit = bare(before);
    let run = measure(connections, &Bound::Each(0..requests.len()), || {
        let mut client = Client::connect(server.address);
        let requests = &requests;
        move |index: usize| client.expect(&requests[index], 200)
    });
    let limit = limit.and(bare(after)).rate();
    let aim = match (is_embedded, connections) {
        (true, 32) => Some(1.0),
        (true, _) => None,
        (false, _) => Some(0.9),
    };
    Line { operation: "record a session", database, connections, run, limit, aim }
}

fn sign_in_request(name: &str) -> Vec<u8> {
    sign_in_with(name, year::PASSWORD)
}

fn sign_in_with(name: &str, password: &str) -> Vec<u8> {
    let body = json!({"sign_in_name": name, "password": password});
    request("POST", "/v1/tokens", &[], Some(&body))
}

fn sign_in(
    database: &'static str,
    size: &Size,
    connections: usize,
    cores: usize,
    server: &Process,
    cast: &Cast,
) -> Line {
    let hash = circlekeeper::identity::hash_password(&secrecy::SecretString::from(year::PASSWORD)).expect("a hash");
    let bare = || measure(connections.min(cores), &size.part(), || |_| bare::verify(year::PASSWORD, &hash));
    let requests: Vec<Vec<u8>> = cast.members.iter().map(|member| sign_in_request(&member.sign_in_name)).collect();
    // Fast and wrong would be worth nothing.
    let mut client = Client::connect(server.address);
    client.expect(&sign_in_with(&cast.members[0].sign_in_name, "plum orchard seven moths"), 401);
    client.expect(&sign_in_with("nobody", year::PASSWORD), 401);
    let before = bare();
    let run = ask(server.address, connections, &size.whole(), &requests, 201);
    let limit = before.and(bare()).rate();
    Line { operation: "sign in", database, connections, run, limit, aim: Some(0.9) }
}

/// Resident memory of a fresh server: with a thousand idle connections, and while everybody signs in at once.
fn memory(database: &str, location: &Location, cast: &Cast) {
    let server = Process::serve(location);
    let Some((fresh, _)) = server.memory() else {
        println!("\nMemory: only Linux tells (/proc/PID/status).\n");
        return;
    };
    println!(
        "\n| memory, {database} | MiB resident | aim | met |\n|---|--:|--:|---|\n| just started | {fresh:.1} | - | - |"
    );
    let show = |what: &str, mebibytes: f64, aim: f64| {
        if aim.is_infinite() {
            return println!("| {what} | {mebibytes:.1} | - | - |");
        }
        let met = if mebibytes < aim { "yes" } else { "**no**" };
        println!("| {what} | {mebibytes:.1} | {aim:.0} | {met} |");
    };
    let mut idle: Vec<Client> = (0..1000).map(|_| Client::connect(server.address)).collect();
    let small = vec![request("GET", "/v1/crisis-lines?country=GB", &[], None)];
    for (what, requests, aim) in [
        ("1,000 idle connections, each after one small answer", small, 64.0),
        ("the same 1,000, after a page of sessions each", session_requests(cast), f64::INFINITY),
        ("the same 1,000, after a member's year each", progress_requests(cast), f64::INFINITY),
    ] {
        for (client, request) in idle.iter_mut().zip(requests.iter().cycle()) {
            client.expect(request, 200);
        }
        std::thread::sleep(Duration::from_millis(500));
        if let Some((now, _)) = server.memory() {
            show(what, now, aim);
        }
    }
    drop(idle);
    let requests: Vec<Vec<u8>> = cast.members.iter().map(|member| sign_in_request(&member.sign_in_name)).collect();
    let refused = std::sync::atomic::AtomicUsize::new(0);
    let run = measure(256, &Bound::For(Duration::from_secs(4)), || {
        let mut client = Client::connect(server.address);
        let (requests, refused) = (&requests, &refused);
        move |index: usize| {
            if client.send(&requests[index % requests.len()]) == 503 {
                refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    if let Some((_, most)) = server.memory() {
        show("256 connections that sign in, at the most", most, 256.0);
    }
    println!("\nThe flood: {} answers, {} of them 503.\n", run.done, refused.into_inner());
}

/// The statements of each operation, and whether one of them goes through a whole table.
fn plans(database: &str, location: &Location, heard: &Heard) {
    let mut bare = Bare::open(location);
    let verbose = std::env::var_os("BENCH_PLANS").is_some();
    println!("| {database} | statements | without an index |\n|---|--:|---|");
    let mut shown = String::new();
    for (operation, statements) in [
        ("record a session", &heard.record),
        ("a member's year", &heard.progress),
        ("a page of sessions", &heard.page),
        ("a preparation", &heard.preparation),
        ("a group's outcomes", &heard.outcomes),
        ("sign in", &heard.sign_in),
    ] {
        let mut without = Vec::new();
        for statement in statements {
            if !statement.is_planned() {
                continue;
            }
            let (plan, scans) = statements::explain(&mut bare, &statement.sql);
            if scans {
                without.push(format!("`{}`", statement.sql.chars().take(120).collect::<String>()));
            }
            shown.push_str(&format!("{operation}: {}\n    {}\n", statement.sql, plan.join("\n    ")));
        }
        let without = if without.is_empty() { "none".to_owned() } else { without.join(", ") };
        println!("| {operation} | {} | {without} |", statements.len());
    }
    println!();
    if verbose {
        println!("{shown}");
    }
}
