//! Outcomes: the change engine alone, and the memory and time of a report over everybody.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use circlekeeper::{
    identity::Tokens,
    policy::Standing,
    rules::{
        change::{Administration, Yardstick, trace},
        instruments::Registry,
        suppression::Quarter,
    },
    store::connection::{Clock, Location},
    values::{Id, Moment},
};

use crate::{
    bare::Bare,
    bearer,
    load::{Client, request},
    servers::Process,
    year,
};

/// Points of one person's series: a year of weekly administrations.
const POINTS: usize = 52;
const DAY: i64 = 86_400_000;

/// Series points per second on one core: traced, judged by every parameter set, and the state named. Beside it the bare
/// pass over the same points in the same run: sorted, and each compared with the first.
pub fn change_engine(seconds: f64) {
    let registry = Registry::built_in();
    let instrument = registry.current("phq-9").expect("the PHQ-9");
    let yardstick = Yardstick::of(instrument);
    let set = yardstick.reliable[0].id;
    let people: Vec<Vec<Administration>> = (0..1_000).map(series).collect();
    // Sorting happens in place: each pass works on a copy, which both passes pay for.
    let mut own: Vec<Administration> = Vec::with_capacity(POINTS);
    let bare = pass(seconds, &people, &mut own, |own| {
        own.sort_unstable_by_key(|administration| (administration.taken_at, administration.id));
        let first = own.first().and_then(|administration| administration.score.ok()).unwrap_or(0);
        let gains = own.iter().filter_map(|administration| Some(first - administration.score.ok()?));
        black_box(gains.filter(|gain| *gain >= 6_000).count());
    });
    let engine = pass(seconds, &people, &mut own, |own| {
        let trace = trace(&yardstick, own, Some(Moment(3 * DAY)));
        black_box(trace.state(&yardstick, set));
        if let (Some(first), Some(last)) = (trace.points.first(), trace.points.last()) {
            black_box(yardstick.judge(first.score, last.score).count());
        }
    });
    let met = if engine >= 1e6 { "yes" } else { "**no**" };
    println!("\n| outcomes, change engine | million points/s on one core | of the bare pass | aim | met |");
    println!("|---|--:|--:|--:|---|");
    println!("| trace, state and every judgement | {:.1} | {:.2} | 1.0 | {met} |\n", engine / 1e6, engine / bare);
}

/// Out of order, as a database gives them.
fn series(person: usize) -> Vec<Administration<'static>> {
    let week = |week: usize| Administration {
        id: Id::random(),
        taken_at: Moment((week * 31 % POINTS) as i64 * 7 * DAY),
        version: 1,
        score: Ok(((person * 7 + week * 5) % 28) as i32 * 1000),
        entered_in_error: false,
    };
    (0..POINTS).map(week).collect()
}

/// Points per second.
fn pass<'a>(
    seconds: f64,
    people: &[Vec<Administration<'a>>],
    own: &mut Vec<Administration<'a>>,
    mut work: impl FnMut(&mut [Administration<'a>]),
) -> f64 {
    let (begun, bound) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut points = 0;
    while begun.elapsed() < bound {
        for person in people {
            own.clear();
            own.extend_from_slice(person);
            work(own);
            points += person.len();
        }
    }
    points as f64 / begun.elapsed().as_secs_f64()
}

/// What a report over everybody takes: the memory of a fresh server before it and at the most, and the time of the first
/// asking, which counts, beside that of the second, which reads what is kept.
pub fn report(database: &str, location: &Location, people: usize) {
    let administrators = Bare::open(location).ids(&year::offices(location.file().is_some(), Standing::Administrator));
    let (account, organization, _) = administrators.into_iter().next().expect("an administrator");
    let token = {
        let db = year::open(location);
        let caller = year::sign_in(&db, vec![account]).swap_remove(0);
        Tokens::new(db.masters(), Clock::default(), 24 * 60).sign(caller, db.clock.now())
    };
    let now = Clock::default().now();
    let quarter = Quarter::of(now.plus_days(-371).day_in("UTC"));
    let path = format!("/v1/organizations/{organization}/outcome-report?quarter={quarter}");
    let asked = request("GET", &path, &[("authorization", &bearer(&token))], None);
    let server = Process::serve(location);
    let mut client = Client::connect(server.address);
    let small = request("GET", "/v1/crisis-lines?country=GB", &[], None);
    client.expect(&small, 200);
    let before = server.memory();
    let mut time = || {
        let begun = Instant::now();
        client.expect(&asked, 200);
        begun.elapsed().as_secs_f64() * 1000.0
    };
    let (first, second) = (time(), time());
    println!("\n| outcomes, report over {people} people, {database} | |\n|---|--:|");
    println!("| counted, ms | {first:.0} |\n| as it is kept, ms | {second:.1} |");
    if let (Some((before, _)), Some((_, most))) = (before, server.memory()) {
        println!("| MiB resident before | {before:.1} |\n| MiB at the most | {most:.1} |");
    }
    println!();
}
