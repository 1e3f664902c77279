//! Private calendar feeds over HTTP: when, and never what; and nothing any more once nobody stands there.

use std::{
    collections::BTreeSet,
    io::Write,
    sync::{Arc, Mutex, OnceLock},
};

use circlekeeper::values::Moment;
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    harness::{Answer, Person, Server},
    scene::{Records, plan_at, text},
    world::{self, World},
};

/// A live feed of this person, for the access matrix.
pub fn add_records(server: &Server, person: &Person, records: &mut Records) {
    let address = make(server, person);
    records.add("token", address.trim_start_matches("/v1/feeds/"), None, None);
}

pub fn make(server: &Server, who: &Person) -> String {
    text(&server.request("PUT", "/v1/account/feed").token(&who.token).send().expect(200)["address"])
}

fn read(server: &Server, address: &str) -> Answer {
    server.request("GET", address).send()
}

/// The beginnings of what a feed shows, as it writes them.
pub fn starts(server: &Server, address: &str) -> Vec<String> {
    let answer = read(server, address);
    assert_eq!(answer.status, 200, "{}", answer.text);
    lines(&answer.text, "DTSTART:")
}

fn lines(calendar: &str, name: &str) -> Vec<String> {
    calendar.lines().filter_map(|line| line.strip_prefix(name)).map(str::to_owned).collect()
}

fn utc(moment: Moment) -> String {
    moment.timestamp().strftime("%Y%m%dT%H%M00Z").to_string()
}

/// A session of the peer-led group so many days from now.
fn plan(world: &World, days: i64) -> (String, Moment) {
    let at = world.server.db.clock.now().plus_days(days);
    (text(&plan_at(&world.server, &world.peer.lead, &world.peer.id, at, 90)["id"]), at)
}

#[test]
fn a_feed_says_when_and_names_nothing() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (session, at) = plan(&world, 3);
    let local = at.timestamp().to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M").to_string();
    let body = json!({"title": "Grief circle", "starts_local": local, "zone": "UTC", "minutes": 60});
    server.post(&peer.lead, &peer.path("/sessions"), &body).expect(201);
    let address = make(server, &peer.member.person);
    let answer = server.request("GET", &address).header("accept", "text/calendar").send();
    assert_eq!(answer.header("content-type").as_deref(), Some("text/calendar; charset=utf-8"));
    assert_eq!(answer.header("content-disposition").as_deref(), Some("attachment; filename=\"calendar.ics\""));
    assert_eq!((answer.header("cache-control").as_deref(), answer.header("etag")), (Some("no-store"), None));
    let calendar = &answer.text;
    assert!(calendar.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n") && calendar.ends_with("END:VCALENDAR\r\n"));
    assert!(calendar.split("\r\n").all(|line| line.len() <= 75 && !line.contains('\n')), "{calendar}");
    assert_eq!(lines(calendar, "BEGIN:VEVENT").len(), 2);
    assert_eq!(lines(calendar, "SUMMARY:"), ["Meeting", "Meeting"]);
    assert_eq!(lines(calendar, "DTSTART:"), [utc(at), utc(at)]);
    assert!(lines(calendar, "DTEND:").contains(&utc(at.plus_minutes(90))), "{calendar}");
    let uids: BTreeSet<String> = lines(calendar, "UID:").into_iter().collect();
    assert_eq!((uids.len(), lines(calendar, "DTSTAMP:").len()), (2, 2));
    // Only these lines, so that nothing else can say more.
    let names: BTreeSet<&str> = calendar.lines().filter_map(|line| line.split(':').next()).collect();
    let known = [
        "BEGIN", "CALSCALE", "CLASS", "DTEND", "DTSTAMP", "DTSTART", "END", "PRODID", "SEQUENCE", "SUMMARY", "UID",
        "VERSION",
    ];
    assert_eq!(names, known.into());
    let everything = format!("{address} {:?} {calendar}", answer.headers).to_lowercase();
    let compact = session.replace('-', "");
    for secret in ["peer", "grief", "circle", "group", "riverside", "evenings", "therap", &session, &compact, &peer.id]
    {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[test]
fn a_feed_ends_with_the_standing_at_the_next_request() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (_, at) = plan(&world, 3);
    // Somebody without any standing has an empty calendar.
    let of_nobody = make(server, &world.outsider);
    assert!(starts(server, &of_nobody).is_empty());
    let of_former = make(server, &peer.former_lead);
    assert!(starts(server, &of_former).is_empty(), "a former facilitator still reads when the group meets");
    let of_member = make(server, &peer.member.person);
    let of_second = make(server, &peer.second_member.person);
    let of_lead = make(server, &peer.co_lead);
    let of_steward = make(server, peer.steward.as_ref().expect("a steward"));
    for address in [&of_member, &of_second, &of_lead, &of_steward] {
        assert_eq!(starts(server, address), [utc(at)]);
    }
    world::leave(server, &peer.member, &peer.id);
    assert!(starts(server, &of_member).is_empty());
    // Whoever is paused belongs to the group still.
    world::put_into(server, &peer.second_member, "paused");
    assert_eq!(starts(server, &of_second), [utc(at)]);
    // A member whom the group keeps out for a time has no standing in that time.
    let barred = server.db.clock.now().plus_days(1).0;
    let member = literal(&server.location, &peer.second_member.id);
    tamper(&server.location, &format!("UPDATE members SET barred_until = {barred} WHERE id = {member}"));
    assert!(starts(server, &of_second).is_empty());
    let terms = server.get(&peer.lead, &peer.path("/terms")).expect(200);
    let term = terms["items"].as_array().unwrap().iter().find(|term| term["account"] == peer.co_lead.id.to_string());
    let term = text(&term.expect("a term")["id"]);
    server.post(&world.administrator, &peer.path(&format!("/terms/{term}/end")), &json!({})).expect(204);
    assert!(starts(server, &of_lead).is_empty());
    let steward = peer.steward.as_ref().expect("a steward");
    let path = format!("/v1/organizations/{}/people/{}/suspension", world.organization, steward.id);
    let suspended = json!({"reason": "Under review."});
    server.request("PUT", &path).token(&world.administrator.token).json(&suspended).send().expect(204);
    assert!(starts(server, &of_steward).is_empty());
}

#[test]
fn a_term_that_runs_out_takes_the_feed_along() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let person = server.account("Timo Term");
    let until = server.db.clock.now().plus_days(2);
    let body = json!({"standing": "facilitator", "until_at": until});
    let invited = server.post(&peer.lead, &peer.path("/terms"), &body).expect(201);
    world::accept(server, &person, &text(&invited["code"]));
    plan(&world, 20);
    let address = make(server, &person);
    assert_eq!(starts(server, &address).len(), 1);
    // Three days are left to finish what was led; then reading alone shows nothing ahead.
    server.travel_days(4);
    assert_eq!(starts(server, &address).len(), 1);
    server.travel_days(2);
    assert!(starts(server, &address).is_empty());
}

#[test]
fn whoever_leads_one_session_sees_that_one_alone() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (session, at) = plan(&world, 1);
    plan(&world, 8);
    let person = server.account("Fin Facilitator");
    let body = json!({"standing": "facilitator", "session": session});
    let invited = server.post(&peer.lead, &peer.path("/terms"), &body).expect(201);
    world::accept(server, &person, &text(&invited["code"]));
    let address = make(server, &person);
    server.db.clock.shift(60 * 60 * 1000);
    assert_eq!(starts(server, &address), [utc(at)]);
    server.travel_days(6);
    assert!(starts(server, &address).is_empty());
}

#[test]
fn a_cancelled_session_and_a_far_one_are_not_there() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (cancelled, _) = plan(&world, 5);
    let (held, at) = plan(&world, -1);
    for days in [-31, 181] {
        plan(&world, days);
    }
    let path = peer.path(&format!("/sessions/{cancelled}"));
    let version = server.version(&peer.lead, &path);
    let reason = json!({"reason": "The room is flooded."});
    server.change(&peer.lead, "POST", &format!("{path}/cancellation"), &version, &reason).expect(200);
    let path = peer.path(&format!("/sessions/{held}"));
    let version = server.version(&peer.lead, &path);
    server.change(&peer.lead, "POST", &format!("{path}/holding"), &version, &json!({})).expect(200);
    let address = make(server, &peer.member.person);
    assert_eq!(starts(server, &address), [utc(at)]);
}

#[test]
fn a_former_address_answers_like_one_that_never_was() {
    let world = World::new();
    let (server, who) = (&world.server, &world.peer.member.person);
    assert_eq!(server.get(who, "/v1/account/feed").expect(200), json!({"made_at": null}));
    let first = make(server, who);
    let second = make(server, who);
    assert_ne!(first, second);
    assert_eq!(read(server, &second).status, 200);
    let never = read(server, &format!("/v1/feeds/{}", "x".repeat(43)));
    let elsewhere = server.get(who, "/v1/no-such-thing");
    assert_eq!((never.status, &never.text), (404, &elsewhere.text));
    let same = |address: &str| {
        let gone = read(server, address);
        assert_eq!((gone.status, &gone.text), (404, &never.text));
        let headers = |answer: &Answer| {
            answer
                .headers
                .iter()
                .filter(|(name, _)| name.as_str() != "date")
                .map(|(n, v)| format!("{n}{v:?}"))
                .collect()
        };
        let (of_gone, of_never): (BTreeSet<String>, BTreeSet<String>) = (headers(&gone), headers(&never));
        assert_eq!(of_gone, of_never);
    };
    same(&first);
    let kept = server.get(who, "/v1/account/feed");
    assert!(!kept.text.contains(second.trim_start_matches("/v1/feeds/")), "{}", kept.text);
    assert!(kept.expect(200)["made_at"].is_string());
    // A tag that a client made up of an older answer changes nothing.
    let conditional = |address: &str| server.request("GET", address).header("if-none-match", "*").send().status;
    assert_eq!(conditional(&second), 200);
    for _ in 0..2 {
        server.request("DELETE", "/v1/account/feed").token(&who.token).send().expect(204);
    }
    same(&second);
    assert_eq!(conditional(&second), 404);
    assert_eq!(server.get(who, "/v1/account/feed").expect(200)["made_at"], Value::Null);
    // Whoever closed their account has no feed either.
    let third = make(server, who);
    let account = literal(&server.location, &who.id.to_string());
    let now = server.db.clock.now().0;
    tamper(&server.location, &format!("UPDATE accounts SET closed_at = {now} WHERE id = {account}"));
    same(&third);
}

#[test]
fn of_two_who_make_a_feed_at_once_one_is_left() {
    let world = World::new();
    let (server, who) = (&world.server, &world.peer.member.person);
    let made: Vec<String> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..6).map(|_| scope.spawn(|| make(server, who))).collect();
        makers.into_iter().map(|maker| maker.join().expect("an address")).collect()
    });
    let live = made.iter().filter(|address| read(server, address).status == 200).count();
    assert_eq!(live, 1);
}

#[test]
fn reading_a_feed_changes_nothing() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    plan(&world, 3);
    let address = make(server, &peer.member.person);
    let (first, again) = (read(server, &address), read(server, &address));
    assert_eq!((first.status, &first.text), (200, &again.text));
    server.travel_days(1);
    assert_eq!(first.text, read(server, &address).text, "the same sessions are the same calendar tomorrow");
    for method in ["POST", "PUT", "DELETE"] {
        server.request(method, &address).send().expect(405);
    }
    // The log says nothing of who looks at their calendar, and when.
    let path = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let log = server.get(&world.privacy_officer, &path).expect(200);
    assert!(!log.to_string().contains(&peer.member.person.id.to_string()) || !log.to_string().contains("Feed"));
}

#[test]
fn the_calendars_of_two_members_cannot_be_compared() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    plan(&world, 3);
    let uids = |who: &Person| lines(&read(server, &make(server, who)).text, "UID:");
    let (one, again, two) = (uids(&peer.member.person), uids(&peer.member.person), uids(&peer.second_member.person));
    assert_eq!(one.len(), 1);
    assert_eq!(one, again, "a new address shows the same entries, not new ones");
    assert_ne!(one, two);
}

/// What the program would have logged, of all tests of this process.
fn logged() -> Arc<Mutex<Vec<u8>>> {
    #[derive(Clone)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic while logging").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log(Arc::default());
        let written = log.0.clone();
        let subscriber = tracing_subscriber::fmt().json().with_env_filter("info").with_writer(move || log.clone());
        subscriber.try_init().expect("no other test listens to the log");
        written
    })
    .clone()
}

#[test]
fn no_log_and_no_database_holds_the_address_of_a_feed() {
    let log = logged();
    let world = World::new();
    let (server, who) = (&world.server, &world.peer.member.person);
    let address = make(server, who);
    let token = address.trim_start_matches("/v1/feeds/").to_owned();
    assert_eq!(read(server, &address).status, 200);
    read(server, &format!("{address}x")).expect(404);
    let log = String::from_utf8_lossy(&log.lock().expect("no panic while logging")).into_owned();
    assert!(log.contains("/v1/feeds/{token}"), "the reading was not logged at all, so this proves nothing");
    assert!(!log.contains(&token), "the log holds the address");
    if let Some(file) = server.location.file() {
        for file in [file.to_owned(), format!("{file}-wal")] {
            let bytes = std::fs::read(&file).unwrap_or_default();
            assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()), "{file} holds the address");
        }
    }
}
