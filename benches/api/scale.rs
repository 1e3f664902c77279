//! Size and time against growth: databases of three years at three sizes, filled once and asked by turns, so that what
//! else the machine does meanwhile falls on all of them alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Instant,
};

use circlekeeper::{
    identity::Tokens,
    policy::Standing,
    rules::suppression::Quarter,
    store::{
        backup,
        connection::{Clock, Location},
        migrations,
    },
    values::Id,
};

use crate::{
    Size, ask,
    bare::{Bare, Recording, Taken},
    bearer,
    load::{Bound, Client, Run, measure, request},
    recording_by,
    servers::{self, Process},
    sign_in_request, statements,
    year::{self, Extent, Group},
};

const YEARS: usize = 3;
const WEEKS: usize = YEARS * 52;
/// Groups that a therapist leads, in each organization.
const GROUPS: usize = 100;
/// How often every size is asked.
const ROUNDS: usize = 3;
/// Requests of a kind whose statements are timed, in each round and at each size.
const SAMPLES: usize = 40;
/// Different requests of a kind over HTTP.
const TURNS: usize = 512;
const CONNECTIONS: usize = 8;
/// Sessions recorded over HTTP in each round.
const RECORDINGS: usize = 160;
/// What grows while a group meets; everything else is there once for each person, group or organization.
const GROWING: [&str; 10] = [
    "sessions",
    "agenda_items",
    "agenda_deliveries",
    "attendances",
    "measures",
    "access_entries",
    "access_chains",
    "risks",
    "risk_steps",
    "check_ins",
];

/// Requests of one kind, each for another group.
struct Kind {
    name: &'static str,
    requests: Vec<Vec<u8>>,
    status: u16,
}

/// What one statement took.
#[derive(Default)]
struct Times {
    /// Of the requests in which it was sent.
    kinds: BTreeSet<&'static str>,
    /// As it was sent first.
    sql: String,
    micros: Vec<f64>,
}

impl Times {
    fn median(&self) -> f64 {
        let mut micros = self.micros.clone();
        micros.sort_unstable_by(f64::total_cmp);
        micros.get(micros.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// A filled database with what was found out about it.
struct Filled {
    location: Location,
    organizations: usize,
    members: usize,
    /// How long it took to fill.
    seconds: f64,
    taken: Vec<Taken>,
    /// Bytes of its file, or of the whole database.
    bytes: u64,
    /// Bytes and seconds of a backup; the largest database gets none, because there is no room for it twice.
    backup: Option<(u64, f64)>,
    reads: Vec<Kind>,
    writes: Vec<Recording>,
    tokens: BTreeMap<Id, String>,
    runs: BTreeMap<&'static str, Run>,
    times: BTreeMap<String, Times>,
}

pub fn run(size: &Size) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../bench");
    std::fs::create_dir_all(&directory).expect("a directory");
    let only = std::env::var("BENCH_DATABASE").unwrap_or_default();
    let is_kept = std::env::var_os("BENCH_KEEP").is_some();
    // One full organization, ten, a hundred; what was asked for is the largest.
    let smaller = std::iter::successors(Some(GROUPS), |groups| Some(groups * 10));
    let sizes: BTreeSet<usize> = smaller.take_while(|groups| *groups < size.groups).chain([size.groups]).collect();
    let extents: Vec<Extent> = sizes
        .into_iter()
        .map(|groups| Extent { organizations: groups.div_ceil(GROUPS), groups, weeks: WEEKS, whole: true })
        .collect();
    if only != "postgres" {
        let file = |extent: &Extent| directory.join(format!("scale-{}.db", extent.groups));
        let mut filled = Vec::new();
        for extent in &extents {
            let file = file(extent);
            let location = Location::new(format!("sqlite:{}", file.display()), 8);
            let is_there = is_kept && file.exists();
            if !is_there {
                year::remove(&file);
            }
            filled.push(fill(location, extent, is_there, &directory, extents.len() > 1 + filled.len()));
        }
        report("SQLite", filled, size);
        if !is_kept {
            extents.iter().for_each(|extent| year::remove(&file(extent)));
        }
    }
    #[cfg(feature = "postgres")]
    if only != "sqlite" {
        match crate::postgres::durable_cluster() {
            Err(reason) => println!("PostgreSQL: {reason}"),
            Ok(cluster) => {
                // What is only being filled may be lost with the power.
                let set = |value: &str| {
                    for setting in ["fsync", "full_page_writes"] {
                        cluster.execute(&format!("ALTER SYSTEM SET {setting} = {value}"));
                    }
                    cluster.execute("SELECT pg_reload_conf()");
                };
                set("off");
                let mut filled = Vec::new();
                for extent in &extents {
                    let location = Location::new(cluster.fresh_database(), 8);
                    filled.push(fill(location, extent, false, &directory, extents.len() > 1 + filled.len()));
                }
                cluster.execute("CHECKPOINT");
                set("on");
                report("PostgreSQL", filled, size);
            }
        }
    }
}

/// Fills a database, unless it is there already, and finds out how large it is.
fn fill(location: Location, extent: &Extent, is_there: bool, directory: &Path, has_backup: bool) -> Filled {
    eprintln!("filling {} groups", extent.groups);
    let begun = Instant::now();
    migrations::run(&location).expect("the migrations run");
    if !is_there {
        year::fill(&location, extent);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut bare = Bare::open(&location);
    let taken = bare.taken();
    let bytes = match location.file() {
        Some(file) => std::fs::metadata(file).expect("the file is there").len(),
        None => taken.iter().map(|table| table.bytes as u64).sum(),
    };
    eprintln!("{} groups: {seconds:.0} s, {:.0} MiB", extent.groups, bytes as f64 / 1_048_576.0);
    let backup = has_backup.then(|| {
        let copy = directory.join("scale.copy");
        let keys = backup::keys_beside(&copy);
        let remove = || [&copy, &keys].map(std::fs::remove_file);
        let _ = remove();
        let begun = Instant::now();
        backup::copy(&location, &copy).expect("a copy");
        let seconds = begun.elapsed().as_secs_f64();
        let length = |file: &Path| std::fs::metadata(file).map_or(0, |data| data.len());
        let bytes = length(&copy) + length(&keys);
        let _ = remove();
        (bytes, seconds)
    });
    let (reads, writes, tokens) = cast(&location, &mut bare);
    Filled {
        location,
        organizations: extent.organizations,
        members: extent.groups * 10 + extent.organizations * 10,
        seconds,
        taken,
        bytes,
        backup,
        reads,
        writes,
        tokens,
        runs: BTreeMap::new(),
        times: BTreeMap::new(),
    }
}

/// So many, spread evenly over all.
fn spread<T>(all: Vec<T>, count: usize) -> Vec<T> {
    let step = (all.len() / count).max(1);
    all.into_iter().step_by(step).take(count).collect()
}

/// Signs in people all over the database and makes their requests, and plans the sessions that are to be recorded.
fn cast(location: &Location, bare: &mut Bare) -> (Vec<Kind>, Vec<Recording>, BTreeMap<Id, String>) {
    let is_embedded = location.file().is_some();
    let hex = |column| year::hex(is_embedded, column);
    let literal = |id: Id| match (id.0.simple().to_string(), is_embedded) {
        (digits, true) => format!("x'{digits}'"),
        (digits, false) => format!("CAST('{digits}' AS UUID)"),
    };
    let groups: Vec<(usize, Group)> = spread(year::groups(bare).into_iter().enumerate().collect(), TURNS);
    let held: Vec<Id> = groups
        .iter()
        .map(|(_, group)| {
            let sql = format!(
                "SELECT {0} AS a, {0} AS b, {0} AS c FROM sessions WHERE group_id = {1} AND state = 'held' \
                 ORDER BY starts_at DESC LIMIT 1 OFFSET 5",
                hex("id"),
                literal(group.id)
            );
            bare.ids(&sql).first().expect("a session was held").0
        })
        .collect();
    let peers = format!(
        "SELECT {} AS a, {} AS b, {} AS c FROM members m JOIN groups g ON g.id = m.group_id \
         WHERE g.kind = 'peer_led' ORDER BY m.id",
        hex("m.group_id"),
        hex("m.account_id"),
        hex("m.id")
    );
    let peers = spread(bare.ids(&peers), TURNS);
    let administrators = bare.ids(&year::offices(is_embedded, Standing::Administrator));
    let officers = bare.ids(&year::offices(is_embedded, Standing::PrivacyOfficer));
    let db = year::open(location);
    let tokens = Tokens::new(db.masters(), Clock::default(), 24 * 60);
    let sign_in = |accounts: Vec<Id>| {
        let callers = year::sign_in(&db, accounts);
        callers.into_iter().map(|caller| (caller, tokens.sign(caller, db.clock.now()))).collect::<Vec<_>>()
    };
    let leads = sign_in(groups.iter().map(|(_, group)| group.lead).collect());
    let members = sign_in(groups.iter().map(|(_, group)| group.members[0].0).collect());
    let of_peers = sign_in(peers.iter().map(|(_, account, _)| *account).collect());
    let of_administrators = sign_in(administrators.iter().map(|(account, _, _)| *account).collect());
    let of_officers = sign_in(officers.iter().map(|(account, _, _)| *account).collect());

    let by_leads: Vec<_> = groups.iter().map(|(_, group)| group).zip(&leads).collect();
    let planned = year::plan(
        &db,
        &by_leads.iter().map(|(group, (caller, _))| (*group, *caller)).collect::<Vec<_>>(),
        groups.len() + ROUNDS * (SAMPLES + RECORDINGS),
    );
    let get = |path: String, token: &str| request("GET", &path, &[("authorization", &bearer(token))], None);
    let for_groups = |name, path: &dyn Fn(usize, &Group) -> String, from: &[(_, String)]| {
        let requests = groups.iter().zip(from).enumerate();
        let requests = requests.map(|(index, ((_, group), (_, token)))| get(path(index, group), token)).collect();
        Kind { name, requests, status: 200 }
    };
    let for_organizations = |name, path: &dyn Fn(Id) -> String, offices: &[(Id, Id, Id)], from: &[(_, String)]| {
        let requests = offices.iter().zip(from).map(|((_, id, _), (_, token))| get(path(*id), token)).collect();
        Kind { name, requests, status: 200 }
    };
    let joined = Quarter::of(db.clock.now().plus_days(-(WEEKS as i64 * 7 + 7)).day_in("UTC"));
    let reads = vec![
        for_groups("a member's progress", &|_, _| "/v1/account/progress".into(), &members),
        for_groups("a member's standings", &|_, _| "/v1/account/standings".into(), &members),
        for_groups("a member's own access log", &|_, _| "/v1/account/access-log".into(), &members),
        for_groups("a group's members", &|_, group| format!("/v1/groups/{}/members", group.id), &leads),
        for_groups("a page of sessions", &|_, group| format!("/v1/groups/{}/sessions?limit=50", group.id), &leads),
        for_groups(
            "a session's attendance",
            &|index, group| format!("/v1/groups/{}/sessions/{}/attendances", group.id, held[index]),
            &leads,
        ),
        for_groups(
            "a member's attendances",
            &|_, group| format!("/v1/groups/{}/members/{}/attendances", group.id, group.members[1].1),
            &leads,
        ),
        for_groups("a page of measures", &|_, group| format!("/v1/groups/{}/measures?limit=50", group.id), &leads),
        for_groups(
            "a member's progress, for the therapist",
            &|_, group| format!("/v1/groups/{}/members/{}/progress", group.id, group.members[2].1),
            &leads,
        ),
        for_groups(
            "a preparation",
            &|index, group| format!("/v1/groups/{}/sessions/{}/preparation", group.id, planned[index].session),
            &leads,
        ),
        for_groups("a group's outcomes", &|_, group| format!("/v1/groups/{}/outcomes", group.id), &leads),
        for_groups("measures that are due", &|_, group| format!("/v1/groups/{}/due-measures", group.id), &leads),
        for_groups("open marks of risk", &|_, group| format!("/v1/groups/{}/risks", group.id), &leads),
        for_groups("closed marks of risk", &|_, group| format!("/v1/groups/{}/risks?state=closed", group.id), &leads),
        Kind {
            name: "own check-ins",
            requests: peers
                .iter()
                .zip(&of_peers)
                .map(|((group, _, _), (_, token))| get(format!("/v1/groups/{group}/check-ins"), token))
                .collect(),
            status: 200,
        },
        for_organizations(
            "an organization's report",
            &|id| format!("/v1/organizations/{id}/outcome-report?quarter={joined}"),
            &administrators,
            &of_administrators,
        ),
        for_organizations(
            "a page of groups",
            &|id| format!("/v1/organizations/{id}/groups?limit=50"),
            &administrators,
            &of_administrators,
        ),
        for_organizations(
            "a page of people",
            &|id| format!("/v1/organizations/{id}/people?limit=50"),
            &administrators,
            &of_administrators,
        ),
        for_organizations(
            "a page of the access log",
            &|id| format!("/v1/organizations/{id}/access-log?limit=50"),
            &officers,
            &of_officers,
        ),
        Kind {
            name: "sign in",
            requests: groups
                .iter()
                .map(|(number, _)| sign_in_request(&year::sign_in_name(*number, number % 10)))
                .collect(),
            status: 201,
        },
    ];
    let tokens = leads.iter().map(|(caller, token)| (caller.account, token.clone())).collect();
    (reads, planned[groups.len()..].to_vec(), tokens)
}

const RECORD: &str = "record a session";

/// Asks every size by turns, and says what came of it.
fn report(database: &str, mut filled: Vec<Filled>, size: &Size) {
    for round in 0..ROUNDS {
        for one in &mut filled {
            eprintln!("{database}, round {}, {} members: reads", round + 1, one.members);
            hear_reads(one, round == 0);
            ask_reads(one, size);
        }
    }
    // Last: what is read stays three years.
    for round in 0..ROUNDS {
        for one in &mut filled {
            eprintln!("{database}, round {}, {} members: records", round + 1, one.members);
            record(one);
        }
    }
    println!("\n## {database}: {} years, {ROUNDS} rounds\n", YEARS);
    print_sizes(&filled);
    print_tables(&filled);
    print_requests(&filled);
    print_statements(&mut filled);
}

/// Hears what a server of this process sends for requests all over the database.
fn hear_reads(filled: &mut Filled, is_first: bool) {
    statements::begin();
    let db = year::open(&filled.location);
    let (kinds, times) = (&filled.reads, &mut filled.times);
    servers::with_own(db, |address| {
        let mut client = Client::connect(address);
        // Past the first housekeeping.
        std::thread::sleep(std::time::Duration::from_millis(200));
        for kind in kinds {
            let step = (kind.requests.len() / SAMPLES).max(1);
            let asked: Vec<&Vec<u8>> = kind.requests.iter().step_by(step).take(SAMPLES).collect();
            // What an organization is told first counts everybody, and is heard as well; then the answer is kept.
            if is_first && !kind.name.contains("report") {
                asked.iter().for_each(|request| client.expect(request, kind.status));
            }
            for request in asked {
                keep(times, kind.name, &statements::overhear(|| client.expect(request, kind.status)));
            }
        }
    });
    statements::end();
}

fn keep(times: &mut BTreeMap<String, Times>, kind: &'static str, heard: &[statements::Overheard]) {
    for statement in heard.iter().filter(|statement| statement.is_planned()) {
        let kept = times.entry(statement.shape()).or_default();
        kept.kinds.insert(kind);
        kept.micros.extend(statement.micros);
        if kept.sql.is_empty() {
            kept.sql.clone_from(&statement.sql);
        }
    }
}

fn ask_reads(filled: &mut Filled, size: &Size) {
    let server = Process::serve(&filled.location);
    for kind in &filled.reads {
        let run = ask(server.address, CONNECTIONS, &size.part(), &kind.requests, kind.status);
        let before = filled.runs.remove(kind.name).unwrap_or_default();
        filled.runs.insert(kind.name, before.and(run));
    }
}

/// Records sessions in this process, to hear their statements, and over HTTP.
fn record(filled: &mut Filled) {
    let mut take = |count: usize| -> Vec<Vec<u8>> {
        let rest = filled.writes.split_off(count);
        let some = std::mem::replace(&mut filled.writes, rest);
        some.iter().map(|planned| recording_by(&filled.tokens[&planned.lead], planned, 1)).collect()
    };
    let (heard, asked) = (take(SAMPLES), take(RECORDINGS));
    statements::begin();
    let db = year::open(&filled.location);
    let times = &mut filled.times;
    servers::with_own(db, |address| {
        let mut client = Client::connect(address);
        std::thread::sleep(std::time::Duration::from_millis(200));
        for request in &heard {
            keep(times, RECORD, &statements::overhear(|| client.expect(request, 200)));
        }
    });
    statements::end();
    let server = Process::serve(&filled.location);
    let run = measure(CONNECTIONS, &Bound::Each(0..asked.len()), || {
        let mut client = Client::connect(server.address);
        let asked = &asked;
        move |index: usize| client.expect(&asked[index], 200)
    });
    let before = filled.runs.remove(RECORD).unwrap_or_default();
    filled.runs.insert(RECORD, before.and(run));
}

const KIB: f64 = 1024.0;

fn print_sizes(filled: &[Filled]) {
    println!(
        "| members | organizations | filled in s | MiB | KiB a member | of it indexes | there once, KiB a member | \
         growth, KiB a member and year | backup, KiB a member | backup in s |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for one in filled {
        let members = one.members as f64;
        let sum = |of: &dyn Fn(&Taken) -> i64| one.taken.iter().map(of).sum::<i64>() as f64;
        let all = sum(&|table| table.bytes);
        let growing = sum(&|table| if GROWING.contains(&table.name.as_str()) { table.bytes } else { 0 });
        let (copied, seconds) = one.backup.map_or(("-".into(), "-".into()), |(bytes, seconds)| {
            (format!("{:.1}", bytes as f64 / KIB / members), format!("{seconds:.1}"))
        });
        println!(
            "| {} | {} | {:.0} | {:.0} | {:.1} | {:.0} % | {:.1} | {:.1} | {copied} | {seconds} |",
            one.members,
            one.organizations,
            one.seconds,
            one.bytes as f64 / KIB / KIB,
            one.bytes as f64 / KIB / members,
            100.0 * sum(&|table| table.indexes) / all,
            (all - growing) / KIB / members,
            growing / KIB / members / YEARS as f64,
        );
    }
    println!();
}

/// The five biggest tables.
fn print_tables(filled: &[Filled]) {
    let Some(largest) = filled.last() else { return };
    let columns: String = filled.iter().map(|one| format!(" {} members |", one.members)).collect();
    println!("| KiB a member, with indexes |{columns} of it indexes |");
    println!("|---|{}--:|", "--:|".repeat(filled.len()));
    for table in largest.taken.iter().take(5) {
        let cells: String = filled
            .iter()
            .map(|one| {
                let bytes = one.taken.iter().find(|other| other.name == table.name).map_or(0, |other| other.bytes);
                format!(" {:.1} |", bytes as f64 / KIB / one.members as f64)
            })
            .collect();
        println!("| {} |{cells} {:.0} % |", table.name, 100.0 * table.indexes as f64 / table.bytes as f64);
    }
    println!();
}

fn print_requests(filled: &[Filled]) {
    let (Some(smallest), Some(largest)) = (filled.first(), filled.last()) else { return };
    let columns: String = filled.iter().map(|one| format!(" {} members |", one.members)).collect();
    println!("| p50 / p99 ms, {CONNECTIONS} connections |{columns} p50, largest / smallest |");
    println!("|---|{}--:|", "--:|".repeat(filled.len()));
    let kinds = [RECORD].into_iter().chain(smallest.reads.iter().map(|kind| kind.name));
    for kind in kinds {
        let p50 = |one: &Filled| one.runs[kind].percentile(0.5);
        let cells: String =
            filled.iter().map(|one| format!(" {:.1} / {:.1} |", p50(one), one.runs[kind].percentile(0.99))).collect();
        println!("| {kind} |{cells} {:.2} |", p50(largest) / p50(smallest));
    }
    println!();
}

/// Every statement that was heard at every size, the one that grew most first.
fn print_statements(filled: &mut [Filled]) {
    let columns: String = filled.iter().map(|one| format!(" {} |", one.members)).collect();
    println!("| statement | asked by | plan | µs at{columns} largest / smallest |");
    println!("|---|---|---|{}--:|", "--:|".repeat(filled.len()));
    let Some((largest, smaller)) = filled.split_last_mut() else { return };
    let mut bare = Bare::open(&largest.location);
    let mut lines = Vec::new();
    for (shape, times) in &largest.times {
        let medians: Vec<f64> = smaller
            .iter()
            .map(|one| one.times.get(shape).map_or(f64::NAN, Times::median))
            .chain([times.median()])
            .collect();
        let ratio = times.median() / medians[0];
        let (_, scans) = statements::explain(&mut bare, &times.sql);
        let plan = match (scans, shape.starts_with("INSERT")) {
            (true, _) => "**scan**",
            (false, true) => "insert",
            (false, false) => "index",
        };
        let first = times.kinds.first().copied().unwrap_or_default();
        let kinds = match times.kinds.len() {
            1 => first.to_owned(),
            more => format!("{first} and {} more", more - 1),
        };
        let cells: String = medians.iter().map(|micros| format!(" {micros:.0} |")).collect();
        lines.push((ratio, format!("| `{}` | {kinds} | {plan} |{cells} {ratio:.2} |", brief(shape))));
    }
    // What one size alone was heard to send has no ratio, and comes last.
    lines.sort_by(|(one, _), (other, _)| other.total_cmp(one).then(std::cmp::Ordering::Equal));
    let (of_all, of_some): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(ratio, _)| ratio.is_finite());
    for (_, line) in of_all.iter().chain(&of_some) {
        println!("{line}");
    }
    let count = |least: f64| of_all.iter().filter(|(ratio, _)| *ratio >= least).count();
    println!(
        "\n{} statements; {} took 1.5 times as long or more at the largest size, {} twice as long or more.\n",
        of_all.len() + of_some.len(),
        count(1.5),
        count(2.0)
    );
}

/// A statement without its columns: what it reads or changes, and by what it finds that.
fn brief(sql: &str) -> String {
    let sql = sql.replace(['`', '"'], "").replace('|', "\\|");
    let brief = match (sql.strip_prefix("SELECT "), sql.split_once(" FROM ")) {
        (Some(_), Some((_, rest))) => format!("SELECT … FROM {rest}"),
        _ => match sql.split_once(" VALUES ").or(sql.split_once(" SET ")) {
            Some((head, _)) if sql.starts_with("INSERT") => head.split(" (").next().unwrap_or(head).to_owned(),
            Some((head, rest)) => {
                format!("{head} SET … WHERE {}", rest.split_once(" WHERE ").map_or("", |(_, found_by)| found_by))
            }
            None => sql.clone(),
        },
    };
    let table = brief.split(" FROM ").nth(1).and_then(|rest| rest.split([' ', ')']).next()).unwrap_or_default();
    let brief = if table.is_empty() { brief } else { brief.replace(&format!("{table}."), "") };
    match brief.char_indices().nth(150) {
        Some((end, _)) => format!("{}…", &brief[..end]),
        None => brief,
    }
}
