//! Terms over HTTP: what is left before and after one, who can go, and days in zones whose clocks change.

use circlekeeper::{
    identity::Caller,
    policy::{Area, Kind, Standing, act, decide},
    problem::Problem,
    rules::terms::{Phase, Term, Windows, start_of_day},
    store::{
        connection::Connection,
        permit::{Permit, authorize_own},
        standings,
    },
    values::{Day, Id, Moment},
};
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    feeds,
    harness::{Answer, Person, Server},
    operations::operations,
    scene::{plan_at, text},
    world::{self, Group, World, accept},
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Sets the server's clock.
fn at(server: &Server, moment: Moment) {
    server.db.clock.shift(moment.0 - server.db.clock.now().0);
}

fn plus(moment: Moment, milliseconds: i64) -> Moment {
    Moment(moment.0 + milliseconds)
}

fn now(server: &Server) -> Moment {
    server.db.clock.now()
}

fn steward(group: &Group) -> &Person {
    group.steward.as_ref().expect("a steward")
}

fn invite(server: &Server, by: &Person, group: &str, body: &Value) -> Answer {
    server.post(by, &format!("/v1/groups/{group}/terms"), body)
}

fn redeem(server: &Server, person: &Person, code: &str) -> Answer {
    server.post(person, "/v1/account/standings", &json!({"code": code}))
}

/// Somebody new with this term.
fn guest(server: &Server, by: &Person, group: &str, body: &Value) -> Person {
    let person = server.account("Gil Guest");
    let invited = invite(server, by, group, body).expect(201);
    accept(server, &person, invited["code"].as_str().expect("a code"));
    person
}

fn terms_of(server: &Server, reader: &Person, group: &str, person: &Person) -> Vec<Value> {
    let terms = server.get(reader, &format!("/v1/groups/{group}/terms")).expect(200);
    let items = terms["items"].as_array().expect("terms").clone();
    items.into_iter().filter(|term| term["account"] == person.id.to_string()).collect()
}

fn term_of(server: &Server, reader: &Person, group: &str, person: &Person) -> String {
    text(&terms_of(server, reader, group, person)[0]["id"])
}

fn end(server: &Server, by: &Person, group: &str, term: &str, body: &Value) -> Answer {
    server.post(by, &format!("/v1/groups/{group}/terms/{term}/end"), body)
}

fn set_windows(server: &Server, by: &Person, group: &str, preparing: i32, finishing: i32, reading: i32) {
    let path = format!("/v1/groups/{group}/peer-settings");
    let mut settings = server.get(by, &path).expect(200);
    settings["preparing_hours"] = json!(preparing);
    settings["finishing_hours"] = json!(finishing);
    settings["reading_hours"] = json!(reading);
    let version = server.version(by, &path);
    server.change(by, "PUT", &path, &version, &settings).expect(200);
}

fn set_zone(server: &Server, by: &Person, group: &Group, zone: &str) {
    let body = json!({
        "title": "Evenings", "public_description": "Evenings.", "format": "in_person", "language": "en", "zone": zone
    });
    let version = server.version(by, &group.path(""));
    server.change(by, "PUT", &group.path(""), &version, &body).expect(200);
}

/// An open peer-led group with nobody in it but a steward.
fn stewarded(world: &World) -> (String, Person) {
    let (server, administrator) = (&world.server, &world.administrator);
    let body = json!({
        "kind": "peer_led", "title": "Mornings", "public_description": "Mornings.", "format": "in_person",
        "language": "en", "zone": "UTC"
    });
    let id = server.post(administrator, &format!("/v1/organizations/{}/groups", world.organization), &body).made();
    let steward = world::lead(server, administrator, world.organization, &id, "steward", "Stu Steward");
    let version = server.version(administrator, &format!("/v1/groups/{id}"));
    server.change(administrator, "POST", &format!("/v1/groups/{id}/opening"), &version, &json!({})).expect(200);
    (id, steward)
}

/// Gives a term an end over which nobody was asked: over HTTP a steward's has none.
fn ends_in(server: &Server, term: &str, days: i64) {
    let (until, term) = (now(server).plus_days(days).0, literal(&server.location, term));
    tamper(&server.location, &format!("UPDATE standings SET until_at = {until} WHERE id = {term}"));
}

/// Opens a group, or closes it.
fn turn(server: &Server, by: &Person, group: &str, to: &str) -> Answer {
    let path = format!("/v1/groups/{group}");
    let version = server.version(by, &path);
    server.change(by, "POST", &format!("{path}/{to}"), &version, &json!({}))
}

/// Whether somebody may say that a session was held. Nothing is held: the version is not there.
fn may_hold(server: &Server, who: &Person, group: &str, session: &str) -> u16 {
    let path = format!("/v1/groups/{group}/sessions/{session}/holding");
    server.change(who, "POST", &path, "\"999999\"", &json!({})).status
}

/// Asks every operation of a group as somebody with this standing, or with none.
fn ask_everything(server: &Server, who: &Person, group: &str, session: &str, standing: Option<Standing>, when: &str) {
    let nowhere = server.get(who, &format!("/v1/groups/{}", Id::random()));
    for operation in operations().into_iter().filter(|operation| operation.area == Area::Group) {
        let path = operation.path_with(|name| match name {
            "group" => group.to_owned(),
            "session" => session.to_owned(),
            "instrument" => "phq-9".into(),
            _ => Id::random().to_string(),
        });
        let mut request = server.request(&operation.method, &path).token(&who.token).version("\"999999\"");
        if operation.takes_body() {
            request = request.json(&json!({"no_such_field": 1}));
        }
        let answer = request.send();
        let what = format!("{when}: {} {}: {} {}", operation.method, path, answer.status, answer.text);
        match standing.map(|standing| decide(Kind::PeerLed, standing, operation.action)) {
            None => assert_eq!((answer.status, &answer.text), (404, &nowhere.text), "{what}"),
            Some(None) => assert_eq!(answer.status, 403, "{what}"),
            Some(Some(_)) => assert!(!matches!(answer.status, 401 | 403 | 500..), "{what}"),
        }
    }
}

#[test]
fn trap_21_a_former_facilitator_reads_and_writes_nothing_outside_the_windows() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    set_windows(server, steward(peer), &peer.id, 12, 24, 48);
    let session = text(&plan_at(server, &peer.lead, &peer.id, now(server).plus_days(1), 60)["id"]);
    let (from, until) = (now(server).plus_days(1), now(server).plus_days(2));
    // The token is older than all of it.
    let body = json!({"standing": "facilitator", "from_at": from, "until_at": until});
    let guest = guest(server, &peer.lead, &peer.id, &body);
    let (leads, reads) = (Some(Standing::Facilitator), Some(Standing::FormerFacilitator));
    let steps = [
        ("before preparing", plus(from, -12 * HOUR - MINUTE), None),
        ("preparing", plus(from, -12 * HOUR), leads),
        ("leading", from, leads),
        ("the end", until, leads),
        ("the last of finishing", plus(until, 24 * HOUR - MINUTE), leads),
        ("reading", plus(until, 24 * HOUR), reads),
        ("the last of reading", plus(until, 72 * HOUR - MINUTE), reads),
        ("nothing", plus(until, 72 * HOUR), None),
        ("nothing, later", plus(until, 73 * HOUR), None),
    ];
    for (when, moment, standing) in steps {
        at(server, moment);
        ask_everything(server, &guest, &peer.id, &session, standing, when);
    }
}

#[test]
fn trap_21_a_former_facilitator_of_one_session_reads_that_one_and_no_other() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    set_windows(server, steward(peer), &peer.id, 12, 24, 48);
    let began = now(server).plus_days(1);
    let [own, other] =
        [began, began.plus_minutes(60)].map(|moment| text(&plan_at(server, &peer.lead, &peer.id, moment, 60)["id"]));
    let began: Moment = serde_json::from_value(
        server.get(&peer.lead, &peer.path(&format!("/sessions/{own}"))).expect(200)["starts_at"].clone(),
    )
    .expect("a moment");
    let guest = guest(server, &peer.lead, &peer.id, &json!({"standing": "facilitator", "session": own}));
    let ended = began.plus_minutes(60);
    let read = |session: &str| server.get(&guest, &peer.path(&format!("/sessions/{session}"))).status;
    let hold = |session: &str| may_hold(server, &guest, &peer.id, session);
    let whole_group = || server.get(&guest, &peer.path("/members")).status;
    at(server, plus(began, -12 * HOUR - MINUTE));
    assert_eq!([read(&own), read(&other), hold(&own), hold(&other), whole_group()], [404; 5]);
    for moment in [plus(began, -12 * HOUR), began, ended, plus(ended, 24 * HOUR - MINUTE)] {
        at(server, moment);
        assert_eq!([read(&own), read(&other), hold(&own), hold(&other), whole_group()], [200, 200, 412, 403, 403]);
        // One that does not exist is refused alike.
        assert_eq!(hold(&Id::random().to_string()), 403);
    }
    for moment in [plus(ended, 24 * HOUR), plus(ended, 72 * HOUR - MINUTE)] {
        at(server, moment);
        assert_eq!([read(&own), read(&other), hold(&own), hold(&other), whole_group()], [200, 404, 403, 404, 404]);
    }
    at(server, plus(ended, 72 * HOUR));
    assert_eq!([read(&own), read(&other), hold(&own), hold(&other), whole_group()], [404; 5]);
}

#[test]
fn trap_21_what_a_facilitator_kept_opens_nothing_when_replayed_after_the_term() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let who = &peer.co_lead;
    let planned = plan_at(server, &peer.lead, &peer.id, now(server).plus_minutes(-90), 60);
    let path = peer.path(&format!("/sessions/{}", text(&planned["id"])));
    // Kept on the phone: the token, the version and the key of a request that went through, the address of a feed.
    let (etag, feed) = (server.version(who, &path), feeds::make(server, who));
    assert!(!feeds::starts(server, &feed).is_empty());
    let record = |who: &Person, group: &str| {
        let request = server.request("PUT", &format!("/v1/groups/{group}{}/meeting", &path[peer.path("").len()..]));
        let from: Moment = serde_json::from_value(planned["starts_at"].clone()).expect("a moment");
        let body = json!({"held_from": from, "held_until": from.plus_minutes(60), "heads": 5});
        request.token(&who.token).version(&etag).key("the-last-meeting").json(&body).send()
    };
    record(who, &peer.id).expect(200);
    record(who, &peer.id).expect(200);
    end(server, who, &peer.id, &term_of(server, who, &peer.id, who), &json!({})).expect(204);
    let nowhere = Id::random().to_string();
    assert_eq!(record(who, &peer.id).expect(404), record(who, &nowhere).expect(404));
    for path in [path.as_str(), &peer.path(""), &peer.path("/sessions"), &format!("{path}/meeting")] {
        for tag in [etag.as_str(), "*", "\"1\""] {
            let cached = server.request("GET", path).token(&who.token).header("if-none-match", tag).send();
            assert_eq!((cached.status, cached.header("etag")), (404, None), "{path} {tag}");
        }
    }
    assert!(feeds::starts(server, &feed).is_empty());
    // A new token knows no more.
    let again = server.again(who);
    server.get(&again, &path).expect(404);
    assert!(feeds::starts(server, &feeds::make(server, &again)).is_empty());
}

#[test]
fn a_term_that_was_cut_short_leaves_nothing_to_finish_and_nothing_to_read() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = text(&plan_at(server, &peer.lead, &peer.id, now(server).plus_days(1), 60)["id"]);
    let until = now(server).plus_days(3);
    let guest = guest(server, &peer.lead, &peer.id, &json!({"standing": "facilitator", "until_at": until}));
    ask_everything(server, &guest, &peer.id, &session, Some(Standing::Facilitator), "running");
    let term = term_of(server, &guest, &peer.id, &guest);
    end(server, &guest, &peer.id, &term, &json!({})).expect(204);
    ask_everything(server, &guest, &peer.id, &session, None, "ended");
    server.travel_days(1);
    ask_everything(server, &guest, &peer.id, &session, None, "ended, a day later");
}

#[test]
fn a_term_that_was_ended_before_it_began_leaves_no_hours_of_preparing() {
    let world = World::new();
    let server = &world.server;
    let (group, steward) = stewarded(&world);
    let path = |rest: &str| format!("/v1/groups/{group}{rest}");
    let session = text(&plan_at(server, &steward, &group, now(server).plus_minutes(120), 60)["id"]);
    let guest = guest(server, &steward, &group, &json!({"standing": "facilitator", "session": session}));
    assert_eq!(may_hold(server, &guest, &group, &session), 412);
    assert_eq!(may_hold(server, &steward, &group, &session), 403);
    let term = term_of(server, &steward, &group, &guest);
    end(server, &guest, &group, &term, &json!({})).expect(204);
    // Nobody facilitates it any more, so that the steward does.
    assert_eq!(may_hold(server, &guest, &group, &session), 404);
    assert_eq!(may_hold(server, &steward, &group, &session), 412);
    assert_eq!(terms_of(server, &steward, &group, &guest), Vec::<Value>::new());
    end(server, &world.administrator, &group, &term, &json!({})).expect(409);
    let rota = server.get(&steward, &path("/rota")).expect(200);
    assert_eq!(rota["items"][0]["open"], true);
}

#[test]
fn each_window_is_half_open() {
    let windows = Windows { preparing_hours: 24, finishing_hours: 72, reading_hours: 168 };
    let (from, until) = (Moment(1_900_000_000_000), Moment(1_900_000_000_000 + 2 * HOUR));
    let term = Term { from_at: from, until_at: Some(until), cut_short: false };
    let (finished, read) = (plus(until, 72 * HOUR), plus(until, (72 + 168) * HOUR));
    for (moment, phase) in [
        (plus(from, -24 * HOUR - 1), Phase::Outside),
        (plus(from, -24 * HOUR), Phase::Leading),
        (plus(until, -1), Phase::Leading),
        (until, Phase::Leading),
        (plus(finished, -1), Phase::Leading),
        (finished, Phase::Reading),
        (plus(read, -1), Phase::Reading),
        (read, Phase::Outside),
    ] {
        assert_eq!(term.phase(windows, moment), phase, "{moment}");
    }
    let cut = Term { cut_short: true, ..term };
    assert_eq!(cut.phase(windows, plus(until, -1)), Phase::Leading);
    assert_eq!(cut.phase(windows, until), Phase::Outside);
    let never = Term { until_at: Some(from), cut_short: true, ..term };
    for moment in [plus(from, -HOUR), from, plus(from, HOUR)] {
        assert_eq!(never.phase(windows, moment), Phase::Outside);
    }
    let none = Windows { preparing_hours: 0, finishing_hours: 0, reading_hours: 0 };
    for (moment, phase) in [(plus(from, -1), Phase::Outside), (from, Phase::Leading), (until, Phase::Outside)] {
        assert_eq!(term.phase(none, moment), phase);
    }
}

#[test]
fn trap_23_the_last_steward_cannot_go() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let steward = steward(peer);
    let first = term_of(server, &peer.lead, &peer.id, steward);
    let in_days = |days: i64| json!({"until_at": now(server).plus_days(days)});
    // Facilitators are no stewards.
    end(server, steward, &peer.id, &first, &json!({})).expect(409);
    end(server, steward, &peer.id, &first, &in_days(20)).expect(409);
    end(server, &world.administrator, &peer.id, &first, &json!({})).expect(409);
    let second = guest(server, steward, &peer.id, &json!({"standing": "steward"}));
    ends_in(server, &term_of(server, &peer.lead, &peer.id, &second), 10);
    // She goes before the day that is named.
    end(server, steward, &peer.id, &first, &in_days(20)).expect(409);
    end(server, steward, &peer.id, &first, &json!({})).expect(409);
    guest(server, steward, &peer.id, &json!({"standing": "steward"}));
    end(server, steward, &peer.id, &first, &json!({})).expect(204);
    server.get(steward, &peer.path("")).expect(404);
    server.get(&second, &peer.path("")).expect(200);
}

#[test]
fn trap_23_no_peer_led_group_opens_without_a_steward_who_stays() {
    let world = World::new();
    let (server, administrator) = (&world.server, &world.administrator);
    let (group, first) = stewarded(&world);
    let facilitator = guest(server, &first, &group, &json!({"standing": "facilitator"}));
    // The only one closes the group, and then the account.
    turn(server, &first, &group, "closing").expect(200);
    leave(server, first.caller).expect("nothing is led any more");
    for who in [&facilitator, administrator] {
        let refused = turn(server, who, &group, "opening").expect(409);
        assert!(text(&refused["detail"]).contains("steward"), "{refused}");
    }
    // Whoever is left finds another; one with an end, or who has not begun, or may not act now, is none.
    let next = guest(server, &facilitator, &group, &json!({"standing": "steward"}));
    let term = term_of(server, &facilitator, &group, &next);
    ends_in(server, &term, 10);
    turn(server, &facilitator, &group, "opening").expect(409);
    let later = json!({"standing": "steward", "from_at": now(server).plus_days(1)});
    guest(server, administrator, &group, &later);
    turn(server, &next, &group, "opening").expect(409);
    let suspended = guest(server, administrator, &group, &json!({"standing": "steward"}));
    let path = format!("/v1/organizations/{}/people/{}/suspension", world.organization, suspended.id);
    let reason = json!({"reason": "Under review."});
    server.request("PUT", &path).token(&administrator.token).json(&reason).send().expect(204);
    turn(server, &facilitator, &group, "opening").expect(409);
    guest(server, administrator, &group, &json!({"standing": "steward"}));
    turn(server, &facilitator, &group, "opening").expect(200);
}

#[test]
fn trap_23_no_term_of_a_steward_has_an_end_that_the_clock_brings() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let soon = now(server).plus_days(10);
    for by in [steward(peer), &peer.lead, &world.administrator] {
        invite(server, by, &peer.id, &json!({"standing": "steward", "until_at": soon})).refuses("/until_at");
        let day = json!({"standing": "steward", "until_on": soon.day_in("UTC")});
        invite(server, by, &peer.id, &day).refuses("/until_on");
    }
}

#[test]
fn trap_23_a_facilitator_alone_opens_no_group_whether_their_term_ends_or_not() {
    let world = World::new();
    let (server, administrator) = (&world.server, &world.administrator);
    let body = json!({
        "kind": "peer_led", "title": "Mornings", "public_description": "Mornings.", "format": "in_person",
        "language": "en", "zone": "UTC"
    });
    let path = format!("/v1/organizations/{}/groups", world.organization);
    let group = server.post(administrator, &path, &body).made();
    let until = now(server).plus_days(10);
    for term in [json!({"standing": "facilitator", "until_at": until}), json!({"standing": "facilitator"})] {
        let facilitator = guest(server, administrator, &group, &term);
        for who in [&facilitator, administrator] {
            turn(server, who, &group, "opening").expect(409);
        }
    }
    guest(server, administrator, &group, &json!({"standing": "steward"}));
    turn(server, administrator, &group, "opening").expect(200);
}

#[test]
fn trap_23_a_steward_who_goes_while_the_group_is_opened_leaves_none_open_without_one() {
    for _ in 0..3 {
        let world = World::new();
        let server = &world.server;
        let (group, only) = stewarded(&world);
        turn(server, &only, &group, "closing").expect(200);
        let version = server.version(&world.administrator, &format!("/v1/groups/{group}"));
        let (opened, gone) = std::thread::scope(|scope| {
            let opening = scope.spawn(|| {
                let path = format!("/v1/groups/{group}/opening");
                server.change(&world.administrator, "POST", &path, &version, &json!({})).status
            });
            let going = scope.spawn(|| leave(server, only.caller).is_ok());
            (opening.join().expect("an answer"), going.join().expect("an answer"))
        });
        assert!((opened == 200) != gone, "opened: {opened}, gone: {gone}");
    }
}

#[test]
fn trap_23_of_the_last_two_stewards_who_go_at_once_one_stays() {
    for _ in 0..3 {
        let world = World::new();
        let (server, peer) = (&world.server, &world.peer);
        let other = guest(server, steward(peer), &peer.id, &json!({"standing": "steward"}));
        let stewards = [steward(peer), &other].map(|who| (who, term_of(server, &peer.lead, &peer.id, who)));
        let mut statuses: Vec<u16> = std::thread::scope(|scope| {
            let ends: Vec<_> = stewards
                .iter()
                .map(|(who, term)| scope.spawn(move || end(server, who, &peer.id, term, &json!({})).status))
                .collect();
            ends.into_iter().map(|done| done.join().unwrap()).collect()
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 409]);
        let terms = server.get(&peer.lead, &peer.path("/terms")).expect(200);
        let left = terms["items"].as_array().unwrap().iter().filter(|term| term["standing"] == "steward").count();
        assert_eq!(left, 1);
    }
}

#[test]
fn a_facilitator_goes_while_a_steward_or_another_facilitator_remains() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    for who in [&peer.co_lead, &peer.lead] {
        let term = term_of(server, who, &peer.id, who);
        end(server, who, &peer.id, &term, &json!({})).expect(204);
    }
    // Of a group without a steward, the last facilitator stays.
    let body = json!({
        "kind": "peer_led", "title": "Mornings", "public_description": "Mornings.", "format": "in_person",
        "language": "en", "zone": "UTC"
    });
    let path = format!("/v1/organizations/{}/groups", world.organization);
    let group = server.post(&world.administrator, &path, &body).made();
    let [one, two] = [0, 1].map(|_| guest(server, &world.administrator, &group, &json!({"standing": "facilitator"})));
    let (first, second) = (term_of(server, &one, &group, &one), term_of(server, &one, &group, &two));
    end(server, &one, &group, &first, &json!({})).expect(204);
    end(server, &two, &group, &second, &json!({})).expect(409);
}

#[test]
fn nobody_ends_the_term_of_somebody_else_but_an_administrator_who_does_not_stand_here() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let term = term_of(server, &peer.lead, &peer.id, &peer.co_lead);
    for who in [&peer.lead, steward(peer)] {
        end(server, who, &peer.id, &term, &json!({})).expect(404);
    }
    end(server, &peer.member.person, &peer.id, &term, &json!({})).expect(403);
    // An administrator who belongs to the group judges nobody in it.
    let invited = server.post(&peer.lead, &peer.path("/members"), &json!({"name": "Ada"})).expect(201);
    let member = text(&invited["id"]);
    accept(server, &world.administrator, invited["code"].as_str().unwrap());
    world::move_to(server, &peer.lead, &peer.id, &member, "active");
    end(server, &world.administrator, &peer.id, &term, &json!({})).expect(403);
    world::move_to(server, &world.administrator, &peer.id, &member, "left");
    end(server, &world.administrator, &peer.id, &term, &json!({})).expect(204);
    server.get(&peer.co_lead, &peer.path("")).expect(404);
}

#[test]
fn trap_27_a_term_in_days_begins_and_ends_when_the_day_does_in_the_groups_zone() {
    const ZONE: &str = "Africa/Cairo";
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    let begins = |day: Day| {
        let zone = jiff::tz::TimeZone::get(ZONE).expect("a zone");
        day.0.to_zoned(zone).expect("a day")
    };
    // In spring, Egypt has a day that begins at 01:00.
    let today = now(server).day_in(ZONE).0;
    let skipped = (2..400)
        .map(|days| Day(today.saturating_add(jiff::Span::new().days(days))))
        .find(|day| begins(*day).hour() != 0)
        .expect("Egypt changes its clocks");
    let start = Moment::from(begins(skipped).timestamp());
    assert_eq!(start_of_day(skipped, ZONE, ""), Ok(start));
    assert_eq!(start.day_in(ZONE), skipped);
    assert!(plus(start, -1).day_in(ZONE) < skipped);
    for (group, standing) in [(led, "co_therapist"), (peer, "facilitator")] {
        set_zone(server, &group.lead, group, ZONE);
        let until = guest(server, &group.lead, &group.id, &json!({"standing": standing, "until_on": skipped}));
        let from = guest(server, &group.lead, &group.id, &json!({"standing": standing, "from_on": skipped}));
        assert_eq!(terms_of(server, &group.lead, &group.id, &until)[0]["until_at"], json!(start));
        let kept = terms_of(server, &group.lead, &group.id, &from)[0].clone();
        assert_eq!((&kept["from_at"], &kept["until_at"]), (&json!(start), &Value::Null));
        let real = now(server);
        at(server, plus(start, -2 * MINUTE));
        let (until, from) = (server.again(&until), server.again(&from));
        server.get(&until, &group.path("/terms")).expect(200);
        if group.id == led.id {
            server.get(&from, &group.path("/terms")).expect(404);
        }
        at(server, start);
        server.get(&from, &group.path("/terms")).expect(200);
        // A therapist's term leaves no windows; a facilitator's does.
        server.get(&until, &group.path("/terms")).expect(if group.id == led.id { 404 } else { 200 });
        at(server, real);
    }
}

#[test]
fn trap_28_the_last_day_of_a_term_is_the_one_before_until_on() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    const ZONE: &str = "Pacific/Auckland";
    set_zone(server, &led.lead, led, ZONE);
    let today = now(server).day_in(ZONE).0;
    let day = |days: i64| Day(today.saturating_add(jiff::Span::new().days(days)));
    let start = |day: Day| start_of_day(day, ZONE, "").expect("a day");
    let body = json!({"standing": "co_therapist", "from_on": day(1), "until_on": day(2)});
    let guest = guest(server, &led.lead, &led.id, &body);
    let reads = || server.get(&guest, &led.path("/members")).status;
    assert_eq!(reads(), 404);
    at(server, start(day(1)));
    assert_eq!(reads(), 200);
    at(server, plus(start(day(2)), -MINUTE));
    assert_eq!(reads(), 200);
    at(server, start(day(2)));
    assert_eq!(reads(), 404);
}

#[test]
fn days_of_a_term_that_make_no_sense_are_refused() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let today = now(server).day_in("UTC").0;
    let day = |days: i64| today.saturating_add(jiff::Span::new().days(days)).to_string();
    let asked = |fields: Value| {
        let mut body = fields;
        body["standing"] = json!("facilitator");
        invite(server, &peer.lead, &peer.id, &body)
    };
    let moment = now(server).plus_days(3);
    asked(json!({"from_at": moment, "from_on": day(3)})).refuses("/from_on");
    asked(json!({"until_at": moment, "until_on": day(3)})).refuses("/until_on");
    asked(json!({"from_on": day(3), "until_on": day(3)})).refuses("/until_on");
    asked(json!({"from_on": day(4), "until_at": moment})).refuses("/until_at");
    asked(json!({"until_on": day(0)})).refuses("/until_on");
    asked(json!({"until_on": "0001-01-01"})).refuses("/until_on");
    asked(json!({"until_on": "9999-12-31"})).refuses("/until_on");
    asked(json!({"from_on": "2027-02-30"})).refuses("/from_on");
    asked(json!({"from_on": day(3), "until_on": day(4)})).expect(201);
    let session = text(&plan_at(server, &peer.lead, &peer.id, moment, 60)["id"]);
    asked(json!({"session": session, "until_on": day(4)})).refuses("/session");
    asked(json!({"session": Id::random()})).refuses("/session");
}

#[test]
fn an_invitation_to_a_term_that_is_over_by_now_gives_nothing() {
    let world = World::new();
    let (server, peer, led) = (&world.server, &world.peer, &world.led);
    let until = now(server).plus_days(2);
    let codes = [(peer, "facilitator"), (led, "co_therapist")].map(|(group, standing)| {
        let body = json!({"standing": standing, "until_at": until});
        text(&invite(server, &group.lead, &group.id, &body).expect(201)["code"])
    });
    server.travel_days(3);
    for code in codes {
        redeem(server, &world.outsider, &code).expect(409);
    }
    server.get(&world.outsider, &peer.path("")).expect(404);
}

#[test]
fn a_term_that_is_bound_to_a_session_goes_where_the_session_goes() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = plan_at(server, &peer.lead, &peer.id, now(server).plus_days(3), 60);
    let id = text(&session["id"]);
    let path = peer.path(&format!("/sessions/{id}"));
    let codes = [0, 1, 2].map(|_| {
        let body = json!({"standing": "facilitator", "session": id});
        text(&invite(server, &peer.lead, &peer.id, &body).expect(201)["code"])
    });
    let person = server.account("Gil Guest");
    redeem(server, &person, &codes[0]).expect(201);
    // Nobody facilitates one session twice over.
    redeem(server, &person, &codes[1]).expect(409);
    let move_to = |day: i64| {
        let local = now(server).plus_days(day).timestamp().to_zoned(jiff::tz::TimeZone::UTC);
        let local = local.strftime("%Y-%m-%dT%H:%M").to_string();
        let version = server.version(&peer.lead, &path);
        let body = json!({"starts_local": local, "zone": "UTC", "minutes": 90});
        server.change(&peer.lead, "PUT", &path, &version, &body).expect(200)
    };
    let moved = move_to(5);
    let kept = terms_of(server, &peer.lead, &peer.id, &person)[0].clone();
    assert_eq!((&kept["from_at"], &kept["session"]), (&moved["starts_at"], &json!(id)));
    // Who accepts after the move facilitates when the session is by now.
    let late = server.account("Lia Late");
    redeem(server, &late, &codes[1]).expect(201);
    assert_eq!(terms_of(server, &peer.lead, &peer.id, &late)[0]["from_at"], moved["starts_at"]);
    let version = server.version(&peer.lead, &path);
    let body = json!({"reason": "The building is closed."});
    server.change(&peer.lead, "POST", &format!("{path}/cancellation"), &version, &body).expect(200);
    redeem(server, &world.outsider, &codes[2]).expect(409);
    invite(server, &peer.lead, &peer.id, &json!({"standing": "facilitator", "session": id})).expect(409);
}

#[test]
fn a_gap_falls_back_to_the_steward_until_somebody_facilitates() {
    let world = World::new();
    let server = &world.server;
    let (group, steward) = stewarded(&world);
    let path = |rest: &str| format!("/v1/groups/{group}{rest}");
    let planned = plan_at(server, &steward, &group, now(server).plus_minutes(-10), 60);
    let session = text(&planned["id"]);
    let hold = |who: &Person| may_hold(server, who, &group, &session);
    let note = |who: &Person| {
        let path = path(&format!("/sessions/{session}/hand-over"));
        server.change(who, "PUT", &path, "\"999999\"", &json!({"text": "The key is at the desk."})).status
    };
    assert_eq!((hold(&steward), note(&steward)), (412, 412));
    let facilitator = guest(server, &steward, &group, &json!({"standing": "facilitator"}));
    assert_eq!((hold(&steward), note(&steward)), (403, 403));
    assert_eq!((hold(&facilitator), note(&facilitator)), (412, 412));
    // Somebody who is suspended facilitates nothing.
    let suspension = format!("/v1/organizations/{}/people/{}/suspension", world.organization, facilitator.id);
    let suspended = server.request("PUT", &suspension).token(&world.administrator.token);
    suspended.json(&json!({"reason": "Under review."})).send().expect(204);
    assert_eq!((hold(&steward), note(&steward)), (412, 412));
    server.request("DELETE", &suspension).token(&world.administrator.token).send().expect(204);
    assert_eq!((hold(&steward), note(&steward)), (403, 403));
    let again = server.again(&facilitator);
    let term = term_of(server, &again, &group, &again);
    end(server, &again, &group, &term, &json!({})).expect(204);
    // One who facilitates another session alone leaves this one to the steward.
    let other = text(&plan_at(server, &steward, &group, now(server).plus_minutes(60), 60)["id"]);
    guest(server, &steward, &group, &json!({"standing": "facilitator", "session": other}));
    assert_eq!((hold(&steward), note(&steward)), (412, 412));
    assert_eq!(may_hold(server, &steward, &group, &other), 403);
    let this_one = guest(server, &steward, &group, &json!({"standing": "facilitator", "session": session}));
    assert_eq!((hold(&steward), hold(&this_one)), (403, 412));
}

/// Does something as an account that is being closed.
fn closing<T: Send + 'static>(
    server: &Server,
    caller: Caller,
    work: impl Fn(&mut Connection, &Permit<act::CloseAccount>) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    actix_web::rt::System::new().block_on(server.db.write(move |connection| {
        let permit = authorize_own::<act::CloseAccount>(connection, &caller)?;
        work(connection, &permit)
    }))
}

fn leave(server: &Server, caller: Caller) -> Result<(), Problem> {
    closing(server, caller, |connection, permit| {
        standings::check_can_go(connection, permit)?;
        standings::end_all_own(connection, permit)
    })
}

#[track_caller]
fn assert_kept(server: &Server, person: &Person, words: &str) {
    match leave(server, person.caller) {
        Err(Problem::Conflict(detail)) => {
            assert!(detail.contains(words), "{detail}");
            assert!(
                !detail.contains("group\"") && !detail.contains("Peer") && !detail.contains("Riverside"),
                "{detail}"
            );
        }
        other => panic!("{} could go: {other:?}", person.name),
    }
}

#[test]
fn trap_23_whoever_is_the_last_one_somewhere_cannot_close_their_account() {
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    assert_kept(server, &world.administrator, "last administrator");
    assert_kept(server, steward(peer), "last steward");
    // Two leads: one of them can go, and then the other cannot.
    leave(server, led.co_lead.caller).expect("somebody else leads");
    assert_kept(server, &led.lead, "last lead");
    server.get(&led.co_lead, &led.path("")).expect(404);
    // A steward stands in for facilitators, and nobody but a steward for a steward.
    leave(server, peer.lead.caller).expect("somebody else leads");
    leave(server, peer.co_lead.caller).expect("the steward is there");
    let second = guest(server, steward(peer), &peer.id, &json!({"standing": "steward"}));
    ends_in(server, &term_of(server, steward(peer), &peer.id, &second), 10);
    assert_kept(server, steward(peer), "last steward");
    guest(server, steward(peer), &peer.id, &json!({"standing": "steward"}));
    leave(server, steward(peer).caller).expect("another steward is there");
    // Who is nobody's last one goes freely.
    assert_kept(server, &world.privacy_officer, "last privacy officer");
    leave(server, led.member.person.caller).expect("no lead");
}

#[test]
fn a_term_that_was_given_for_a_session_ends_with_the_membership_and_with_the_session() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (one, two) = (&peer.member, &peer.second_member);
    let sessions = [10, 11, 12].map(|days| {
        let planned = plan_at(server, &peer.lead, &peer.id, now(server).plus_days(days), 60);
        text(&planned["id"])
    });
    let offered = [(&sessions[0], one), (&sessions[1], two), (&sessions[2], two)].map(|(session, member)| {
        let offers = peer.path(&format!("/sessions/{session}/offers"));
        let offer = server.post(&peer.lead, &offers, &json!({"to": member.id})).made();
        let answer = peer.path(&format!("/offers/{offer}/answer"));
        server.post(&member.person, &answer, &json!({"accept": true})).expect(200);
        offer
    });
    let facilitated = || {
        let rota = server.get(&peer.lead, &peer.path("/rota")).expect(200);
        let open = |session: &&String| {
            let listed = rota["items"].as_array().expect("a list").iter().find(|row| row["session"] == **session);
            listed.is_some_and(|row| row["open"] == json!(false))
        };
        sessions.iter().filter(open).count()
    };
    assert_eq!(facilitated(), 3);
    // Given back long before it begins, by whoever holds it and by nobody else.
    let give_back = |who: &Person| {
        let path = peer.path(&format!("/offers/{}/answer", offered[2]));
        server.post(who, &path, &json!({"accept": false}))
    };
    give_back(&one.person).expect(404);
    give_back(&two.person).expect(200);
    assert_eq!(facilitated(), 2);
    give_back(&two.person).expect(409);
    world::leave(server, one, &peer.id);
    assert_eq!(facilitated(), 1);
    let path = peer.path(&format!("/sessions/{}", sessions[1]));
    let version = server.version(&peer.lead, &path);
    server
        .change(&peer.lead, "POST", &format!("{path}/cancellation"), &version, &json!({"reason": "The boiler."}))
        .expect(200);
    assert_eq!(facilitated(), 0);
    // Nothing holds back who held them.
    server.post(&two.person, "/v1/account/erasures", &json!({"understood": true})).expect(200);
}

#[test]
fn where_nobody_comes_to_facilitate_the_steward_can() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let planned = plan_at(server, &peer.lead, &peer.id, now(server).plus_minutes(120), 60);
    let session = text(&planned["id"]);
    let offers = peer.path(&format!("/sessions/{session}/offers"));
    let offer = server.post(&peer.lead, &offers, &json!({"to": peer.member.id})).made();
    server
        .post(&peer.member.person, &peer.path(&format!("/offers/{offer}/answer")), &json!({"accept": true}))
        .expect(200);
    let path = peer.path(&format!("/sessions/{session}/meeting"));
    server.get(steward(peer), &path).expect(403);
    server.db.clock.shift(2 * HOUR + 40 * MINUTE);
    let (from, until) = (now(server).plus_minutes(-40), now(server));
    server.get(steward(peer), &path).expect(200);
    let version = server.version(steward(peer), &peer.path(&format!("/sessions/{session}")));
    let body = json!({"held_from": from, "held_until": until, "heads": 4});
    server.change(steward(peer), "PUT", &path, &version, &body).expect(200);
    // Recorded, it is again the facilitator's alone.
    server.get(steward(peer), &path).expect(403);
    server.get(&peer.member.person, &path).expect(200);
}

#[test]
fn a_closed_group_holds_nobody_back() {
    let world = World::new();
    let server = &world.server;
    let (group, steward) = stewarded(&world);
    assert_kept(server, &steward, "last steward");
    let path = format!("/v1/groups/{group}");
    let version = server.version(&steward, &path);
    server.change(&steward, "POST", &format!("{path}/closing"), &version, &json!({})).expect(200);
    leave(server, steward.caller).expect("nothing is led any more");
}

#[test]
fn trap_23_of_the_last_two_who_close_their_accounts_at_once_one_stays() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mut gone: Vec<bool> = std::thread::scope(|scope| {
        let leaving: Vec<_> = [led.lead.caller, led.co_lead.caller]
            .map(|caller| scope.spawn(move || leave(server, caller).is_ok()))
            .into();
        leaving.into_iter().map(|done| done.join().unwrap()).collect()
    });
    gone.sort_unstable();
    assert_eq!(gone, [false, true]);
}

#[test]
fn a_closed_account_has_no_term_left_to_begin_to_finish_or_to_read() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = text(&plan_at(server, &peer.lead, &peer.id, now(server).plus_minutes(60), 60)["id"]);
    let until = now(server).plus_days(1);
    let person = guest(server, &peer.lead, &peer.id, &json!({"standing": "facilitator", "until_at": until}));
    let code = text(
        &invite(server, &peer.lead, &peer.id, &json!({"standing": "facilitator", "session": session})).expect(201)["code"],
    );
    redeem(server, &person, &code).expect(201);
    server.travel_days(2);
    server.get(&person, &peer.path("")).expect(200);
    leave(server, person.caller).expect("no last one");
    ask_everything(server, &person, &peer.id, &session, None, "closed, where the windows were open");
    let ahead = text(&plan_at(server, &peer.lead, &peer.id, now(server).plus_minutes(60), 60)["id"]);
    let other = guest(server, &peer.lead, &peer.id, &json!({"standing": "facilitator", "session": ahead}));
    assert_eq!(may_hold(server, &other, &peer.id, &ahead), 412);
    leave(server, other.caller).expect("no last one");
    ask_everything(server, &other, &peer.id, &ahead, None, "closed before it began");
}
