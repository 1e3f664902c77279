//! Every operation of the contract, asked by everybody, in both kinds of group and in one that does not exist: each
//! status is derived from `policy::decide`, and the grid of what was seen is committed as `docs/access-matrix.md`.

use std::{collections::BTreeMap, fmt::Write, sync::Mutex, thread};

use circlekeeper::{
    policy::{Area, Reach, Standing, decide},
    values::Id,
};
use expect_test::expect_file;
use serde_json::json;

use crate::{
    feeds,
    harness::{Answer, Server},
    operations::{self, Operation},
    referrals,
    scene::{Caller, Place, Record, Records, Scene, record_kind},
};

/// What the policy makes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Unauthenticated,
    NotFound,
    Forbidden,
    Allowed(Reach, Option<Standing>),
}

/// What is sent. Authorization comes before the body and the precondition, so a request that nobody could carry out
/// shows who would have been allowed to, and changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// A read, or a change that takes neither body nor version: sent as it is.
    Plain,
    /// The contract's example, in the first version.
    Example,
    /// A body that no operation reads, in a version that is not there.
    Broken,
}

fn verdict(operation: &Operation, caller: &Caller, place: Place) -> Verdict {
    if operation.area == Area::Public {
        return Verdict::Allowed(Reach::All, None);
    }
    if !caller.is_signed_in {
        return Verdict::Unauthenticated;
    }
    if operation.area == Area::Account {
        return Verdict::Allowed(Reach::Own, None);
    }
    if caller.standings.is_empty() {
        return Verdict::NotFound;
    }
    let in_session = caller.in_session.iter().filter(|_| operation.parameters().contains(&"session"));
    let decided = caller
        .standings
        .iter()
        .chain(in_session)
        .filter_map(|standing| decide(place.kind(), *standing, operation.action).map(|reach| (reach, *standing)));
    match decided.max_by_key(|(reach, _)| *reach) {
        Some((reach, standing)) => Verdict::Allowed(reach, Some(standing)),
        None => Verdict::Forbidden,
    }
}

/// The probe that judges only the permission.
fn harmless(operation: &Operation) -> Probe {
    if operation.is_read() || (operation.example.is_none() && !operation.needs_version) {
        Probe::Plain
    } else {
        Probe::Broken
    }
}

/// One walk through operations of an area, in one place.
#[derive(Clone)]
struct Walk<'a> {
    server: &'a Server,
    /// The id of the group or the organization.
    id: String,
    place: Place,
    records: &'a Records,
    /// Where the place itself has no record of a kind.
    otherwise: &'a Records,
    /// Records of another group or organization.
    elsewhere: &'a Records,
    seen: &'a Mutex<Seen>,
}

/// Everything that was answered with 403 and 404: one answer each, byte for byte.
#[derive(Default)]
struct Seen {
    refusals: BTreeMap<u16, (String, String)>,
}

impl Seen {
    /// Holds a refusal against all others: status, headers and body tell nothing about what is there.
    fn compare(&mut self, answer: &Answer, what: &str) {
        if !matches!(answer.status, 403 | 404) {
            return;
        }
        let mut headers: Vec<String> = answer
            .headers
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "date" | "request-id" | "x-request-id"))
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        headers.sort();
        let bytes = format!("{}\n\n{}", headers.join("\n"), answer.text);
        let (first, of) = self.refusals.entry(answer.status).or_insert_with(|| (bytes.clone(), what.to_owned()));
        assert_eq!(&bytes, first, "{what} can be told from {of}");
    }
}

impl Walk<'_> {
    /// Names `record` at the end of the path, and one of `elsewhere` in the place of a parameter.
    fn send(
        &self,
        operation: &Operation,
        caller: &Caller,
        record: &str,
        probe: Probe,
        elsewhere: Option<(&str, &str)>,
    ) -> Answer {
        let of = |name: &str| {
            let records = if self.records.any(name).is_some() { self.records } else { self.otherwise };
            records.all(name).first().map_or_else(|| Id::random().to_string(), |record| record.id.clone())
        };
        let last = match record_kind(operation) {
            Some("session-record") => Some("session"),
            Some(_) => operation.parameters().last().copied(),
            None => None,
        };
        let path = operation.path_with(|name| match (name, elsewhere) {
            ("group" | "organization", _) => self.id.clone(),
            ("instrument", _) => "phq-9".into(),
            (_, Some((parameter, id))) if parameter == name => id.to_owned(),
            _ if Some(name) == last => record.to_owned(),
            _ => of(name),
        });
        let mut request = self.server.request(&operation.method, &path);
        if let Some(token) = &caller.token {
            request = request.token(token);
        }
        if operation.needs_version {
            request = request.version(if probe == Probe::Example { "\"1\"" } else { "\"999999\"" });
        }
        match (&operation.example, probe) {
            (Some(example), Probe::Example) => request = request.json(example),
            (Some(_), _) => request = request.json(&json!({"no_such_field": 1})),
            _ => {}
        }
        let answer = request.send();
        let what = format!("{} {} as {} in {:?}", operation.method, operation.path, caller.column, self.place);
        let status = answer.status;
        assert!(operation.statuses.contains(&status), "{what}: {status} is not in the contract: {}", answer.text);
        assert!(status < 500, "{what}: {}", answer.text);
        self.seen.lock().expect("no other failure").compare(&answer, &what);
        answer
    }

    /// Asks as one caller, holds the answer against the policy, and returns what the grid shows.
    fn ask(&self, operation: &Operation, caller: &Caller) -> String {
        let verdict = verdict(operation, caller, self.place);
        let what = format!("{} {} as {} in {:?}", operation.method, operation.path, caller.column, self.place);
        let kind = record_kind(operation);
        let known = |records: &Records| kind.and_then(|kind| records.any(kind).map(|record| record.id.clone()));
        // A kind of the other kind of group: an id that is nowhere, and still a path.
        let any = known(self.records).or_else(|| known(self.otherwise)).unwrap_or_else(|| Id::random().to_string());
        let refused = match verdict {
            Verdict::Unauthenticated => 401,
            Verdict::NotFound => 404,
            Verdict::Forbidden => 403,
            Verdict::Allowed(reach, standing) => return self.ask_allowed(operation, caller, reach, standing, &any),
        };
        // Neither a request that could be carried out nor one that cannot be read gets past the refusal.
        for probe in [harmless(operation), Probe::Example] {
            let answer = self.send(operation, caller, &any, probe, None);
            assert_eq!(answer.status, refused, "{what}, {probe:?}: {}", answer.text);
        }
        refused.to_string()
    }

    fn ask_allowed(
        &self,
        operation: &Operation,
        caller: &Caller,
        reach: Reach,
        standing: Option<Standing>,
        any: &str,
    ) -> String {
        let what = format!("{} {} as {} in {:?}", operation.method, operation.path, caller.column, self.place);
        let kind = record_kind(operation).filter(|kind| *kind != "instrument");
        let is_there = kind.is_none_or(|kind| self.records.any(kind).is_some());
        let (mut record, mut foreign) = (any.to_owned(), None);
        let is_personal = kind.is_some_and(|kind| self.records.is_personal(kind));
        if let (Reach::Own, true, Some(kind)) = (reach, is_personal, kind) {
            let account = caller.person.as_ref().map(|person| person.id).expect("an account");
            let standing = standing.unwrap_or(Standing::Trainee);
            let id = |record: Option<&Record>| record.map(|record| record.id.clone());
            record = id(self.records.own(kind, account, standing)).unwrap_or_else(|| panic!("{what}: no own {kind}"));
            foreign = id(self.records.foreign(kind, account, standing));
            assert!(foreign.is_some(), "{what}: no {kind} of anybody else");
        }
        let hidden = |answer: Answer, probe: Probe| {
            // What a rule refuses in a body may come first: it says nothing about the record.
            let is_hidden = answer.status == 404 || (probe == Probe::Broken && answer.status == 422);
            assert!(is_hidden, "{what}, not theirs or not here, {probe:?}: {} {}", answer.status, answer.text);
        };
        for probe in [harmless(operation), Probe::Example] {
            // Before one's own, which a change without a body may use up.
            if let Some(foreign) = &foreign {
                hidden(self.send(operation, caller, foreign, probe, None), probe);
            }
            for name in operation.parameters() {
                let elsewhere = self.elsewhere.any(name).map(|elsewhere| (name, elsewhere.id.as_str()));
                if elsewhere.is_none() {
                    continue;
                }
                let answer = self.send(operation, caller, &record, probe, elsewhere);
                // Who leads one session stands here as less in front of any other, whether it is there or not.
                if name == "session" && !caller.in_session.is_empty() && answer.status == 403 {
                    continue;
                }
                hidden(answer, probe);
            }
        }
        let answer = self.send(operation, caller, &record, harmless(operation), None);
        let status = answer.status;
        match (is_there, operation.is_read()) {
            (false, _) => assert_eq!(status, 404, "{what}: {}", answer.text),
            (true, true) => assert_eq!(status, 200, "{what}: {}", answer.text),
            (true, false) => {
                assert!(!matches!(status, 401 | 403 | 404), "{what}: {status} {}", answer.text);
                let is_harmless = harmless(operation) == Probe::Plain || (400..500).contains(&status);
                assert!(is_harmless, "{what}: a request that cannot be read was carried out: {status} {}", answer.text);
            }
        }
        match foreign {
            Some(_) => format!("{status} / 404"),
            None => status.to_string(),
        }
    }

    /// Asks for all of these as everybody of the cast: the rows of a grid. What changes nothing is asked by all at
    /// once; what is carried out comes afterwards, by one after the other.
    fn rows(&self, operations: &[&Operation], cast: &[Caller]) -> Rows {
        let (carried_out, harmless): (Vec<&Operation>, Vec<&Operation>) =
            operations.iter().partition(|operation| is_carried_out(operation));
        let asked: Vec<Vec<String>> = thread::scope(|scope| {
            let ask_all = |caller| harmless.iter().map(|operation| self.ask(operation, caller)).collect();
            let threads: Vec<_> = cast.iter().map(|caller| scope.spawn(move || ask_all(caller))).collect();
            threads.into_iter().map(|thread| thread.join().expect("the policy holds")).collect()
        });
        let rows = harmless.iter().enumerate().map(|(index, operation)| {
            (key(operation), (about(operation), asked.iter().map(|cells| cells[index].clone()).collect()))
        });
        let last = carried_out.iter().map(|operation| {
            (key(operation), (about(operation), cast.iter().map(|caller| self.ask(operation, caller)).collect()))
        });
        rows.chain(last).collect()
    }
}

fn is_carried_out(operation: &Operation) -> bool {
    !operation.is_read() && harmless(operation) == Probe::Plain
}

type Rows = BTreeMap<(String, String), (String, Vec<String>)>;

fn grid(text: &mut String, cast: &[Caller], rows: &Rows) -> std::fmt::Result {
    let columns: Vec<&str> = cast.iter().map(|caller| caller.column).collect();
    writeln!(text, "| operation | action | sent | {} |", columns.join(" | "))?;
    writeln!(text, "|---|---|---|{}", "---|".repeat(columns.len()))?;
    for ((path, method), (about, cells)) in rows {
        writeln!(text, "| {method} {path} | {about} | {} |", cells.join(" | "))?;
    }
    Ok(())
}

fn about(operation: &Operation) -> String {
    let sent = match (harmless(operation), operation.is_read(), operation.example.is_some()) {
        (Probe::Plain, true, _) => "read",
        (Probe::Plain, false, _) => "for real",
        (_, _, true) => "broken body",
        (_, _, false) => "old version",
    };
    format!("{} | {sent}", operation.action.as_str())
}

fn key(operation: &Operation) -> (String, String) {
    (operation.path.trim_start_matches("/v1").to_owned(), operation.method.clone())
}

const INTRODUCTION: &str = "\
# The access matrix

Every operation of the contract was asked by everybody of the cast; the cells are the statuses that came back. A test
derives each of them from `policy::decide` (printed in `policy.md`), walks `/openapi.json` so that no route stands
outside, and fails where the server answers anything else. It prints this page, which is reviewed as a diff.

- **401** no token, or one that does not count · **403** a standing, without the right · **404** no standing: byte for
  byte the answer for a group that does not exist.
- Two statuses, as in `200 / 404`: the right reaches only what is one's own. The first is for a record of one's own, the
  second for another person's.
- **sent**: what those who are allowed sent. Reads are real reads. A change is sent as a *broken body*, or with an *old
  version* where there is no body, because authorization comes before both: 412, 422, 409 and the like mean *allowed*,
  and the group is unchanged for the next row. What takes neither is sent *for real*. Those who are refused sent the
  contract's own example as well, and were refused in the same way.
- Whoever is allowed also named a record of another group (or organization) on the path of this one: 404, each time.
- In a group and in an organization that do not exist, each row was asked again: 404 to everybody who is signed in, and
  401 to everybody else.
";

#[test]
fn every_operation_answers_everybody_as_the_policy_says() {
    let scene = Scene::new();
    let server = &scene.world.server;
    let document = server.request("GET", "/openapi.json").send().expect(200);
    let operations = operations::read(&document);
    assert!(operations.len() > 80, "the contract has grown thin");
    let seen = Mutex::new(Seen::default());
    let in_area = |area| operations.iter().filter(|operation| operation.area == area).collect::<Vec<_>>();
    let mut text = INTRODUCTION.to_owned();
    let places = [
        ("A therapist-led group", Area::Group, Place::Led, scene.world.led.id.clone(), &scene.led),
        ("A peer-led group", Area::Group, Place::Peer, scene.world.peer.id.clone(), &scene.peer),
        (
            "An organization",
            Area::Organization,
            Place::Organization,
            scene.world.organization.to_string(),
            &scene.organization,
        ),
    ];
    for (title, area, place, id, records) in places {
        let elsewhere = match place {
            Place::Led => &scene.other,
            Place::Peer => &scene.led,
            Place::Organization => &scene.foreign_organization,
        };
        let id_of_nothing = Id::random().to_string();
        let nowhere = Walk { server, id: id_of_nothing, place, records, otherwise: &scene.led, elsewhere, seen: &seen };
        let nobodies = scene.cast_of_nothing(place);
        for (about, (_, cells)) in nowhere.rows(&in_area(area), &nobodies) {
            for (caller, cell) in nobodies.iter().zip(&cells) {
                assert_eq!(cell, if caller.is_signed_in { "404" } else { "401" }, "{about:?} as {}", caller.column);
            }
        }
        let cast = scene.cast(place);
        let rows = Walk { id, ..nowhere }.rows(&in_area(area), &cast);
        write!(text, "\n## {title}\n\n").expect("a text grows");
        grid(&mut text, &cast, &rows).expect("a text grows");
    }
    let cast = scene.cast(Place::Organization);
    for (title, area) in [("One's own account", Area::Account), ("In public", Area::Public)] {
        let rows = rows_of_oneself(&scene, &in_area(area), &cast, &seen);
        write!(text, "\n## {title}\n\n").expect("a text grows");
        grid(&mut text, &cast, &rows).expect("a text grows");
    }
    let refusals: Vec<u16> = seen.lock().expect("no failure").refusals.keys().copied().collect();
    assert_eq!(refusals, [403, 404], "each was seen, and each is one answer");
    expect_file!["../../docs/access-matrix.md"].assert_eq(&text);
}

/// Rows of what needs no standing. Each row acts with a sign-in of its own, which it may end.
fn rows_of_oneself(scene: &Scene, operations: &[&Operation], cast: &[Caller], seen: &Mutex<Seen>) -> Rows {
    let mut rows = Rows::new();
    let nothing = Records::default();
    for operation in operations {
        let ask = |caller: &Caller| {
            let (records, token) = own_sign_ins(scene, caller);
            let (standings, in_session) = (Vec::new(), Vec::new());
            let caller = Caller { token, standings, in_session, person: caller.person.clone(), ..*caller };
            let (server, place, elsewhere) = (&scene.world.server, Place::Organization, &nothing);
            Walk { server, id: String::new(), place, records: &records, otherwise: &nothing, elsewhere, seen }
                .ask(operation, &caller)
        };
        rows.insert(key(operation), (about(operation), cast.iter().map(ask).collect()));
    }
    rows
}

/// Two new sign-ins of a caller, one to act with and one to end, and a referral, beside those of somebody else; and a
/// live feed.
fn own_sign_ins(scene: &Scene, caller: &Caller) -> (Records, Option<String>) {
    let server = &scene.world.server;
    let mut records = Records::default();
    let foreign = &scene.foreign_administrator;
    let is_foreign = caller.person.as_ref().is_some_and(|person| person.id == foreign.id);
    let other = if is_foreign { &scene.world.outsider } else { foreign };
    records.add("sign_in", &other.caller.sign_in.to_string(), None, Some(other.id));
    let group = &scene.world.other.id;
    let other = server.again(other);
    records.add("referral", &referrals::not_answered(server, &other, group), None, Some(other.id));
    feeds::add_records(server, &other, &mut records);
    let Some(person) = &caller.person else { return (records, caller.token.clone()) };
    records.add("referral", &referrals::not_answered(server, &server.again(person), group), None, Some(person.id));
    let spare = server.sign_in(person.id);
    records.add("sign_in", &spare.sign_in.to_string(), None, Some(person.id));
    (records, Some(server.again(person).token))
}
