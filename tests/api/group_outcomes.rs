//! Outcome figures of groups and organizations, and somebody who tries to derive one value from many of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use circlekeeper::{
    config::ServerConfig,
    policy::act,
    rules::{
        members::State,
        suppression::{Cell, Part, Quarter, ReleasedRow, SMALLEST_K, conceal, gather, release},
    },
    store::{members, outcomes, permit::authorize},
    values::{Day, Id, Moment},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    check_ins::{accept_rules, check_in},
    harness::{Answer, PASSWORD, Person, Server},
    meetings::Evening,
    scene::text,
    world::{self, Group, World},
};

// ---- what the group's own leads read ----

fn outcomes_of(world: &World, who: &Person, group: &Group, query: &str) -> Value {
    world.server.get(who, &group.path(&format!("/outcomes{query}"))).expect(200)
}

/// A PHQ-9 that comes to this score.
fn phq_9(server: &Server, who: &Person, group: &Group, score: i32) -> Answer {
    let answers: serde_json::Map<String, Value> =
        (0..9).map(|item| (format!("phq-9.{}", item + 1), json!((score - item * 3).clamp(0, 3)))).collect();
    server.post(who, &group.path("/measures"), &json!({"instrument": "phq-9", "answers": answers}))
}

/// A session of the therapist-led group that was held now: who came, and who did not.
fn hold(world: &World, there: &[&str], absent: &[&str]) {
    hold_in(&world.server, &world.led, &world.led.lead, there, absent);
}

fn hold_in(server: &Server, group: &Group, lead: &Person, there: &[&str], absent: &[&str]) {
    let session = world::plan(server, lead, &group.id);
    let now = server.db.clock.now();
    let items: Vec<Value> = session["agenda"]
        .as_array()
        .expect("an agenda")
        .iter()
        .map(|item| json!({"item": item["id"], "delivered": "delivered", "minutes": 30}))
        .collect();
    let status = |member: &&str, status: &str| json!({"member": member, "status": status});
    let attendance: Vec<Value> = there
        .iter()
        .map(|member| status(member, "attended"))
        .chain(absent.iter().map(|member| status(member, "no_show")))
        .collect();
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "items": items,
        "attendance": attendance
    });
    let path = group.path(&format!("/sessions/{}", text(&session["id"])));
    let version = server.version(lead, &path);
    server.change(lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
}

#[test]
fn a_groups_leads_read_what_became_of_their_members() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (mira, noor) = (&led.member, &led.second_member);
    phq_9(server, &mira.person, led, 20).expect(201);
    phq_9(server, &noor.person, led, 15).expect(201);
    hold(&world, &[&mira.id, &noor.id], &[]);
    server.travel_days(3);
    hold(&world, &[&mira.id], &[&noor.id]);
    phq_9(server, &mira.person, led, 5).expect(201);
    // A cancelled session is nobody's absence.
    let cancelled = world::plan(server, &led.lead, &led.id);
    let path = led.path(&format!("/sessions/{}", text(&cancelled["id"])));
    let version = server.version(&led.lead, &path);
    let answer =
        server.change(&led.lead, "POST", &format!("{path}/cancellation"), &version, &json!({"reason": "Ice."}));
    assert!(answer.status < 300, "{answer:?}");

    let found = outcomes_of(&world, &led.lead, led, "?misses=1");
    assert_eq!(found["sessions"], json!({"held": 2, "cancelled": 1}));
    assert_eq!(found["attendance"], json!({"counted": 2, "visits": 3, "visits_per_session": 1.5}));
    assert_eq!(found["check_ins"], Value::Null);
    let treatment = &found["treatment"];
    assert_eq!(treatment["members"], 3, "the one who left counts: {treatment}");
    let presence = &treatment["presence"];
    assert_eq!((&presence["recorded"], &presence["no_show"], &presence["rate"]), (&json!(4), &json!(1), &json!(0.75)));
    let dropout = &treatment["dropout"];
    // Noor stayed away from the last, and who left has missed both that were held since.
    assert_eq!((&dropout["dropped_out"], &dropout["present"], &dropout["left"]), (&json!(2), &json!(1), &json!(0)));
    assert!(text(&dropout["rule"]).contains("last 1 held"), "{dropout}");
    let dose = treatment["dose"].as_array().expect("doses").iter().find(|dose| dose["technique"] == "thought-record");
    // Two sessions of half an hour each; Noor was at one of them.
    assert_eq!(dose.expect("a dose")["mean_minutes"], 45.0);
    let phq = &treatment["instruments"][0];
    assert_eq!((&phq["instrument"], &phq["members"]), (&json!("phq-9"), &json!(3)));
    assert_eq!((&phq["with_baseline"], &phq["with_both"]), (&json!(2), &json!(1)));
    assert_eq!((&phq["mean_gain"], &phq["effect"]), (&Value::Null, &Value::Null), "one person has no interval");
    let states = &phq["states"][0];
    assert_eq!(states["set"], "reliable-nhs");
    assert!(!text(&states["source"]).is_empty() && !text(&states["sample"]).is_empty());
    assert_eq!(states["states"][0], json!({"state": "recovered", "count": 1, "share": 1.0}));
    assert_eq!(states["states"][5]["count"], 2, "missing is not computable, never zero: {states}");
    assert!(text(&treatment["nesting"]["text"]).contains("nested"));

    phq_9(server, &noor.person, led, 12).expect(201);
    let found = outcomes_of(&world, &led.co_lead, led, "?rho=0.1");
    let phq = &found["treatment"]["instruments"][0];
    assert_eq!(phq["mean_gain"]["mean"], 9.0, "(15 + 3) / 2");
    let (low, high) =
        (phq["mean_gain"]["low"].as_f64().expect("low"), phq["mean_gain"]["high"].as_f64().expect("high"));
    // Gains of 15 and 3: variance 72, design effect 1.1, t with one degree of freedom 12.706.
    assert!((low - (9.0 - 12.7062 * (1.1_f64 * 72.0 / 2.0).sqrt())).abs() < 0.01 && low < high, "{phq}");
    let dropout = &found["treatment"]["dropout"];
    assert_eq!((&dropout["dropped_out"], &dropout["left"]), (&json!(0), &json!(1)), "three misses when not said");
    hold(&world, &[&mira.id, &noor.id], &[]);
    let dropout = &outcomes_of(&world, &led.lead, led, "")["treatment"]["dropout"];
    assert_eq!((&dropout["dropped_out"], &dropout["left"]), (&json!(1), &json!(0)), "three held without who left");
    let answer = server.get(&led.lead, &led.path("/outcomes?rho=1.5"));
    assert_eq!(answer.status, 400);
    assert_eq!(server.get(&led.lead, &led.path("/outcomes?misses=0")).status, 400);
    let row_of_one = [&mira.id, &noor.id].iter().any(|id| found.to_string().contains(id.as_str()));
    assert!(!row_of_one, "figures name nobody");
}

#[test]
fn what_somebody_withdrew_consent_for_is_not_counted_any_more() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    phq_9(server, &led.member.person, led, 20).expect(201);
    phq_9(server, &led.second_member.person, led, 15).expect(201);
    let signatures = server.get(&led.member.person, &led.path("/signatures")).expect(200);
    let path = led.path(&format!("/signatures/{}/withdrawal", text(&signatures["items"][0]["id"])));
    let answer = server.post(&led.member.person, &path, &json!({}));
    assert!(answer.status < 300, "{answer:?}");
    let treatment = &outcomes_of(&world, &led.lead, led, "")["treatment"];
    assert_eq!((&treatment["members"], &treatment["consent_withdrawn"]), (&json!(3), &json!(1)));
    assert_eq!(treatment["instruments"][0]["with_baseline"], 1);
}

#[test]
fn members_are_read_a_page_at_a_time() {
    let world = World::new();
    let (server, lead) = (&world.server, world.led.lead.caller);
    let group: Id = world.led.id.parse().expect("an id");
    // One more than fills the pages: neither the last row is lost, nor an empty page a trap.
    let more = 3 * outcomes::PAGE - 3;
    join(server, &world.led.lead, &world.led.id, more);
    let (largest, all) = server.write(move |connection| {
        let permit = authorize::<act::ReadGroupOutcomes>(connection, &lead, group)?;
        let (mut largest, mut all) = (0, 0);
        outcomes::read_courses(connection, &permit, |courses| {
            largest = largest.max(courses.len());
            all += courses.len();
        })?;
        Ok((largest, all))
    });
    assert_eq!(all, more + 3);
    assert!(largest <= outcomes::PAGE, "{largest} people in memory at a time");
    assert_eq!(outcomes_of(&world, &world.led.lead, &world.led, "")["treatment"]["members"], more + 3);
}

// ---- the clock, and people in numbers ----

const DAY: i64 = 86_400_000;

fn today(server: &Server) -> Day {
    server.db.clock.now().day_in("UTC")
}

/// Moves the clock to some days after this quarter began.
fn travel_to(server: &Server, quarter: Quarter, days: i64) {
    let begin = quarter.begins_at("UTC").expect("a quarter").plus_days(days);
    server.db.clock.shift(begin.0 - server.db.clock.now().0);
}

/// So many new members, active from now on, without accounts.
fn join(server: &Server, lead: &Person, group: &str, count: usize) -> Vec<Id> {
    let caller = server.again(lead).caller;
    let group: Id = group.parse().expect("an id");
    server.write(move |connection| {
        let permit = authorize::<act::InviteMember>(connection, &caller, group)?;
        let now = connection.now;
        let insert = |_| Ok(members::insert(connection, &permit, "Somebody", State::Active, None, now)?.id);
        (0..count).map(insert).collect()
    })
}

/// Everybody of these consents, on paper, and is recorded at a session of the next day.
fn attend(server: &Server, group: &Group, people: &[Id]) {
    consent_all(server, group, people);
    come(server, group, people, &[]);
}

fn consent_all(server: &Server, group: &Group, people: &[Id]) {
    let lead = server.again(&group.lead);
    let body = json!({"purpose": "consent", "title": "Consent", "text": "What we record and why."});
    let agreement = server.post(&lead, &group.path("/agreements"), &body).made();
    for member in people {
        let signatures = group.path(&format!("/agreements/{agreement}/signatures"));
        server.post(&lead, &signatures, &json!({"member": member.to_string()})).expect(201);
    }
}

fn come(server: &Server, group: &Group, there: &[Id], absent: &[Id]) {
    server.travel_days(1);
    let names = |people: &[Id]| people.iter().map(Id::to_string).collect::<Vec<_>>();
    let (there, absent) = (names(there), names(absent));
    hold_in(
        server,
        group,
        &server.again(&group.lead),
        &there.iter().map(String::as_str).collect::<Vec<_>>(),
        &absent.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

/// So many people who came and consented, as the lead lets them in.
fn patients(server: &Server, group: &Group, count: usize) -> Vec<Id> {
    let people = join(server, &group.lead, &group.id, count);
    attend(server, group, &people);
    people
}

/// A PHQ-9 of somebody, taken so many days from now, as if it had been answered.
fn scored(server: &Server, group: &str, member: Id, days: i64, score: i32) {
    let location = &server.location;
    let id = |id: &str| literal(location, id);
    let blob = if location.is_postgres() { "decode('00', 'hex')" } else { "x'00'" };
    let at = server.db.clock.now().0 + days * DAY;
    tamper(
        location,
        &format!(
            "INSERT INTO measures (id, group_id, member_id, instrument, instrument_version, respondent, taken_at, \
             answers, score, prorated, subscales, risk, flagged, entered_in_error, recorded_by, recorded_at, version) \
             VALUES ({}, {}, {}, 'phq-9', '1', 'member', {at}, {blob}, {}, FALSE, '{{}}', 'none', FALSE, FALSE, {}, \
             {at}, 1)",
            id(&Id::random().to_string()),
            id(group),
            id(&member.to_string()),
            score * 1000,
            id(&member.to_string()),
        ),
    );
}

// ---- peer-led groups ----

#[test]
fn check_ins_of_a_few_are_no_number_and_a_released_number_never_moves() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let steward = peer.steward.as_ref().expect("a steward");
    let mut people: Vec<Person> = vec![peer.member.person.clone(), peer.second_member.person.clone()];
    people.extend((0..9).map(|number| world::member(server, &peer.lead, &peer.id, &format!("Peer {number}")).person));
    let evening = Evening::new(&world);
    evening.send(&peer.lead, &evening.body(14, &json!({}))).expect(200);
    accept_rules(&world, &people.iter().collect::<Vec<_>>());

    let first = Quarter::of(today(server)).next();
    travel_to(server, first, 9);
    let people: Vec<Person> = people.iter().map(|person| server.again(person)).collect();
    for (number, person) in people.iter().enumerate() {
        let mut said = json!({"connection": number % 2 * 4 + 3, "visibility": "facilitator"});
        if number < 10 {
            said["hope"] = json!(9);
        }
        check_in(server, person, peer, said).expect(201);
        // Whoever writes much counts once.
        if number == 0 {
            for _ in 0..3 {
                check_in(server, person, peer, json!({"connection": 3, "visibility": "group"})).expect(201);
            }
        }
        check_in(server, person, peer, json!({"connection": 10})).expect(201);
    }
    travel_to(server, first.next(), 9);
    let people: Vec<Person> = people.iter().map(|person| server.again(person)).collect();
    for person in &people[..10] {
        check_in(server, person, peer, json!({"connection": 1, "visibility": "group"})).expect(201);
    }
    let read = |who: &Person| outcomes_of(&world, &server.again(who), peer, "");
    let quarters = |found: &Value| found["check_ins"].as_array().expect("quarters").clone();
    let of = |found: &Value, quarter: Quarter| {
        quarters(found).into_iter().find(|shown| shown["quarter"] == quarter.to_string())
    };
    assert!(of(&read(&peer.lead), first).is_none(), "the quarter is not released yet");

    travel_to(server, first.next().next(), 1);
    let found = read(&peer.lead);
    let shown = of(&found, first).expect("a released quarter");
    assert_eq!(shown["people"], json!({"count": 11, "suppressed": null}));
    assert_eq!(shown["check_ins"], 14, "those that only their author reads are left out");
    // Six said 3, five said 7: 53 / 11. Hope was given by ten.
    assert_eq!(shown["means"], json!({"connection": 4.8}));
    assert_eq!(found["treatment"], Value::Null);
    assert_eq!(found["attendance"], json!({"counted": 1, "visits": 14, "visits_per_session": 14.0}));
    assert_eq!(read(steward), found, "a steward reads the same");

    // Somebody erases what is theirs, somebody leaves, somebody takes an entry back: what was released stands.
    let erasing = server.again(&people[3]);
    server.post(&erasing, "/v1/account/erasures", &json!({"group": peer.id, "understood": true})).expect(200);
    let leaving = world::Member { person: server.again(&people[1]), id: peer.second_member.id.clone() };
    world::leave(server, &leaving, &peer.id);
    let taking_back = server.again(&people[5]);
    let own = server.get(&taking_back, &peer.path("/check-ins")).expect(200);
    for entry in own["items"].as_array().expect("entries") {
        let path = peer.path(&format!("/check-ins/{}", text(&entry["id"])));
        let answer = server.request("DELETE", &path).token(&taking_back.token).send();
        assert!(answer.status < 300, "{answer:?}");
    }
    assert_eq!(read(&peer.lead), found);

    // Ten are too few, and nothing about them is said.
    travel_to(server, first.next().next().next(), 1);
    let shown = of(&read(&peer.lead), first.next()).expect("a released quarter");
    assert_eq!(shown["people"], json!({"count": null, "suppressed": "small_count"}));
    assert_eq!((&shown["check_ins"], &shown["means"]), (&Value::Null, &json!({})));
}

// ---- the organization's report ----

fn report_path(world: &World, query: &str) -> String {
    format!("/v1/organizations/{}/outcome-report{query}", world.organization)
}

/// Everything that may be asked, by everybody who may ask: statuses and bodies.
fn ask_everything(world: &World, quarters: &[Quarter]) -> Vec<(String, u16, Value)> {
    let mut answers = Vec::new();
    for (name, who) in [("administrator", &world.administrator), ("privacy officer", &world.privacy_officer)] {
        let who = world.server.again(who);
        for quarter in quarters {
            for condition in ["", "&condition=depression", "&condition=anxiety", "&condition=ocd"] {
                let query = format!("?quarter={quarter}{condition}");
                let answer = world.server.get(&who, &report_path(world, &query));
                assert!(matches!(answer.status, 200 | 422), "{answer:?}");
                answers.push((format!("{name}{query}"), answer.status, answer.json()["report"].clone()));
            }
        }
    }
    answers
}

/// No count of people from 1 to 10 stands anywhere in it.
fn assert_no_small_count(value: &Value) {
    match value {
        Value::Object(fields) => {
            for name in ["count", "people"] {
                if let Some(count) = fields.get(name).and_then(Value::as_u64) {
                    assert!(!(1..u64::from(SMALLEST_K)).contains(&count), "{value}");
                }
            }
            for name in ["min", "max", "minimum", "maximum", "mean"] {
                assert!(!fields.contains_key(name), "{value}");
            }
            fields.values().for_each(assert_no_small_count);
        }
        Value::Array(items) => items.iter().for_each(assert_no_small_count),
        _ => {}
    }
}

fn phq_rows(report: &Value) -> Vec<Value> {
    let instruments = report["instruments"].as_array().expect("instruments");
    let phq = instruments.iter().find(|instrument| instrument["instrument"] == "phq-9").expect("the PHQ-9");
    phq["rows"].as_array().expect("rows").clone()
}

fn cells(row: &Value) -> Vec<Option<u32>> {
    let states = row["states"].as_array().expect("states");
    states.iter().map(|state| state["count"].as_u64().map(|count| count as u32)).collect()
}

#[test]
fn many_reports_at_all_times_tell_no_value_of_anybody() {
    let world = World::new();
    let (server, led, other) = (&world.server, &world.led, &world.other);
    let founded = Quarter::of(today(server));
    hold(&world, &[&led.member.id, &led.second_member.id], &[]);
    for (group, condition) in [(led, "depression"), (other, "anxiety")] {
        let id = literal(&server.location, &group.id);
        tamper(&server.location, &format!("UPDATE groups SET conditions = '[\"{condition}\"]' WHERE id = {id}"));
    }
    // Before the first release there is nothing, and asking early tells nothing.
    let nothing = server.get(&world.administrator, &report_path(&world, "")).expect(200);
    assert_eq!((&nothing["report"], &nothing["released"]), (&Value::Null, &json!([])));
    server.get(&world.administrator, &report_path(&world, &format!("?quarter={founded}"))).refuses("quarter");
    for quarter in ["2026-Q5", "yesterda", "1999-Q1"] {
        let status = server.get(&world.administrator, &report_path(&world, &format!("?quarter={quarter}"))).status;
        assert!(matches!(status, 400 | 422), "{quarter}: {status}");
    }

    let quarter = founded.next();
    travel_to(server, quarter, 9);
    // 6 recover and 8 do not; of the others 12 deteriorate and 13 improve.
    let ours = patients(server, led, 14);
    for (number, member) in ours.iter().enumerate() {
        scored(server, &led.id, *member, 0, 20);
        scored(server, &led.id, *member, 30, if number < 6 { 3 } else { 19 });
    }
    let theirs = patients(server, other, 25);
    for (number, member) in theirs.iter().enumerate() {
        scored(server, &other.id, *member, 0, 16);
        scored(server, &other.id, *member, 30, if number < 12 { 25 } else { 10 });
    }
    // Whoever was somebody in a group before counts where they came first.
    let twice = server.again(&led.member.person);
    let invited =
        server.post(&server.again(&other.lead), &other.path("/members"), &json!({"name": "Again"})).expect(201);
    world::accept(server, &twice, &text(&invited["code"]));
    world::move_to(server, &server.again(&other.lead), &other.id, &text(&invited["id"]), "active");

    travel_to(server, quarter.next(), 40);
    let released = [founded, quarter];
    for (asked, status, _) in ask_everything(&world, &[quarter]) {
        assert_eq!(status, 422, "{asked} before its day");
    }
    travel_to(server, quarter.next().next(), 0);
    let before = ask_everything(&world, &released);
    before.iter().for_each(|(_, _, report)| assert_no_small_count(report));
    let (_, _, report) =
        before.iter().find(|(asked, ..)| *asked == format!("administrator?quarter={quarter}")).expect("one");
    assert_eq!(report["kinds"][0]["people"]["count"], 39);
    let rows = phq_rows(report);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!((&rows[0]["conditions"], &rows[0]["people"]), (&json!(["anxiety"]), &json!(25)));
    assert_eq!(cells(&rows[0]), [Some(0), Some(13), Some(0), Some(12), Some(0), Some(0)]);
    assert_eq!(
        rows[0]["states"][1],
        json!({"state": "reliably_improved", "count": 13, "percent": 52, "suppressed": null})
    );
    assert_eq!(cells(&rows[1]), [None, Some(0), None, Some(0), Some(0), Some(0)]);
    assert_eq!(rows[1]["states"][0]["suppressed"], "small_count");
    assert_eq!(report["kinds"][1]["people"], Value::Null, "nobody records whether a peer's membership is a person");
    // The quarter of the founding has two people in all: not even that is said.
    let (_, _, founding) = &before[0];
    assert_eq!(founding["kinds"][0]["people"], json!({"count": null, "suppressed": "small_count"}));
    assert!(phq_rows(founding).is_empty());
    // A filter shows rows of the same report; what nobody has is refused as what a few have is, in the same words.
    let status_of =
        |asked: &str| before.iter().find(|(found, ..)| found.ends_with(asked)).map(|(_, status, _)| *status);
    assert_eq!(status_of(&format!("{quarter}&condition=anxiety")), Some(200));
    let administrator = server.again(&world.administrator);
    let refused = |quarter: Quarter, condition: &str| {
        let path = report_path(&world, &format!("?quarter={quarter}&condition={condition}"));
        let mut problem = server.get(&administrator, &path).refuses("condition");
        problem.as_object_mut().expect("a problem").remove("instance");
        problem
    };
    assert_eq!(refused(quarter, "ocd"), refused(founded, "depression"));
    // There is one form: what somebody asks for first decides nothing.
    assert!(report.get("rows_by").is_none() && rows[0].get("group").is_none(), "{report}");

    // One joins, one leaves, two are corrected, one closes the account; the clock goes on; everything is asked again.
    let late = join(server, &led.lead, &led.id, 1)[0];
    scored(server, &led.id, late, -100, 20);
    scored(server, &led.id, late, -60, 2);
    let lead = server.again(&led.lead);
    world::move_to(server, &lead, &led.id, &ours[0].to_string(), "left");
    let location = &server.location;
    let of = |member: Id| literal(location, &member.to_string());
    tamper(location, &format!("UPDATE measures SET score = 24000 WHERE member_id = {} AND score < 10000", of(ours[1])));
    tamper(location, &format!("UPDATE measures SET entered_in_error = TRUE WHERE member_id = {}", of(theirs[2])));
    let closing = server.again(&led.second_member.person);
    let closed =
        server.request("DELETE", "/v1/account").token(&closing.token).json(&json!({"password": PASSWORD})).send();
    assert_eq!(closed.status, 200, "{closed:?}");
    assert_eq!(ask_everything(&world, &released), before);
    travel_to(server, quarter.next().next().next(), 3);
    assert_eq!(ask_everything(&world, &released), before);

    // The exact attacker: everything that the row could be, by somebody who knows the procedure and who is in the group.
    let shown = cells(&rows[1]);
    let could_be: Vec<Vec<u32>> = splits(14, 6)
        .into_iter()
        .filter(|counts| conceal(counts, 0, SMALLEST_K).iter().map(|cell| cell.count()).eq(shown.iter().copied()))
        .collect();
    assert!(could_be.contains(&vec![6, 0, 8, 0, 0, 0]));
    assert_ambiguous(&could_be, &shown);
}

#[test]
fn a_smallest_count_goes_up_and_takes_what_was_released_under_a_smaller_one_with_it() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let quarter = Quarter::of(today(server)).next();
    travel_to(server, quarter, 9);
    for (number, member) in patients(server, led, 26).into_iter().enumerate() {
        scored(server, &led.id, member, 0, 20);
        scored(server, &led.id, member, 30, if number < 13 { 3 } else { 19 });
    }
    travel_to(server, quarter.next().next(), 0);
    let administrator = server.again(&world.administrator);
    let shown = server.get(&administrator, &report_path(&world, "")).expect(200)["report"].clone();
    assert_eq!((&shown["smallest_count"], &shown["withheld"]), (&json!(11), &json!(false)));
    assert_eq!(cells(&phq_rows(&shown)[0])[0], Some(13));

    let config =
        ServerConfig { hashing: Some(1), access_minutes: 7 * 24 * 60, smallest_count: 20, ..ServerConfig::default() };
    let stricter = Server::start_on(server.location.clone(), None, config);
    stricter.db.clock.shift(server.db.clock.now().0 - stricter.db.clock.now().0);
    let shown = stricter.get(&administrator, &report_path(&world, "")).expect(200)["report"].clone();
    assert_eq!(shown["withheld"], true);
    assert!(phq_rows(&shown).is_empty());
    assert_eq!(shown["kinds"][0]["people"]["suppressed"], "small_count");
    // Kept alive: on PostgreSQL, a server that is dropped discards its database.
    std::mem::forget(stricter);

    let program = Command::new(env!("CARGO_BIN_EXE_circlekeeper")).args(["serve", "--smallest-count", "10"]).output();
    let program = program.expect("the program runs");
    assert!(!program.status.success(), "10 is too small");
}

#[test]
fn a_report_is_no_way_round_who_may_read() {
    let world = World::new();
    let path = report_path(&world, "");
    for who in [&world.led.lead, &world.peer.lead] {
        world.server.get(who, &path).expect(403);
    }
    for who in [&world.outsider, &world.led.member.person] {
        world.server.get(who, &path).expect(404);
    }
    for who in [&world.administrator, &world.privacy_officer] {
        world.server.get(who, &world.led.path("/outcomes")).expect(403);
        world.server.get(who, &world.peer.path("/outcomes")).expect(403);
    }
    world.server.get(&world.led.member.person, &world.led.path("/outcomes")).expect(403);
    world.server.get(&world.other.lead, &world.led.path("/outcomes")).expect(404);
}

// ---- the attacker who counts every world ----

/// Every way in which so many people can stand in so many columns.
fn splits(people: u32, columns: usize) -> Vec<Vec<u32>> {
    if columns == 1 {
        return vec![vec![people]];
    }
    let with =
        |first: u32| splits(people - first, columns - 1).into_iter().map(move |rest| [vec![first], rest].concat());
    (0..=people).flat_map(with).collect()
}

/// What could be, seen from what is shown of a row: no hidden cell and no sum of some hidden cells is certain, nor is the
/// column of anybody of whom something was found. The last column is those of whom nothing was.
fn assert_ambiguous(could_be: &[Vec<u32>], shown: &[Option<u32>]) {
    let hidden: Vec<usize> = (0..shown.len()).filter(|column| shown[*column].is_none()).collect();
    for subset in 1..(1_u32 << hidden.len()).saturating_sub(1) {
        let sum = |counts: &Vec<u32>| -> u32 {
            let chosen = hidden.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1);
            chosen.map(|(_, column)| counts[*column]).sum()
        };
        let sums: BTreeSet<u32> = could_be.iter().map(sum).collect();
        assert!(sums.len() > 1, "{shown:?}: columns {hidden:?} & {subset:b} are {sums:?}");
    }
    assert!(columns_of(could_be).len() > 1, "{shown:?}: everybody is in {:?}", columns_of(could_be));
}

/// The columns in which something was found of somebody, in some of these rows.
fn columns_of(rows: &[Vec<u32>]) -> BTreeSet<usize> {
    rows.iter().flat_map(|counts| (0..counts.len() - 1).filter(|column| counts[*column] > 0)).collect()
}

/// The same for a reader who knows how many were measured, as who sat in the room does, and takes the others away. Where
/// anything is shown, a zero too, it is about `k` of the measured or more; no sum of hidden cells that follows is small,
/// and they are not known to be all in one column.
fn assert_ambiguous_beside(could_be: &[Vec<u32>], shown: &[Option<u32>], k: u32) {
    if shown.iter().all(Option::is_none) {
        return;
    }
    let last = shown.len() - 1;
    let mut by_measured: BTreeMap<u32, Vec<Vec<u32>>> = BTreeMap::new();
    for counts in could_be {
        by_measured.entry(counts[..last].iter().sum()).or_default().push(counts.clone());
    }
    let hidden: Vec<usize> = (0..last).filter(|column| shown[*column].is_none()).collect();
    for (measured, could_be) in by_measured {
        assert!(measured >= k, "{shown:?} is about {measured} people, as in {:?}", could_be[0]);
        assert!(columns_of(&could_be).len() > 1, "{shown:?}: all {measured} who were measured are in one column");
        for subset in 1..1_u32 << hidden.len() {
            let sum = |counts: &Vec<u32>| -> u32 {
                let chosen = hidden.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1);
                chosen.map(|(_, column)| counts[*column]).sum()
            };
            let sums: BTreeSet<u32> = could_be.iter().map(sum).collect();
            let is_small = sums.first().is_some_and(|sum| (1..k).contains(sum));
            assert!(sums.len() > 1 || !is_small, "{shown:?}: {hidden:?} & {subset:b} are {sums:?} of {measured}");
        }
    }
}

#[test]
fn who_runs_the_procedure_over_every_row_that_could_be_is_certain_of_nothing() {
    for (k, columns, most) in [(3, 3, 16), (3, 4, 14), (4, 4, 16), (3, 5, 11), (5, 4, 16), (11, 3, 50)] {
        for people in k..=most {
            let mut by_release: BTreeMap<Vec<Option<u32>>, Vec<Vec<u32>>> = BTreeMap::new();
            for counts in splits(people, columns) {
                let shown: Vec<Option<u32>> = conceal(&counts, 0, k).into_iter().map(Cell::count).collect();
                for (count, shown) in counts.iter().zip(&shown) {
                    assert!(shown.is_none_or(|shown| shown == *count && !(1..k).contains(&shown)), "{counts:?}");
                }
                by_release.entry(shown).or_default().push(counts);
            }
            for (shown, could_be) in &by_release {
                assert_ambiguous(could_be, shown);
                assert_ambiguous_beside(could_be, shown, k);
            }
        }
    }
}

#[test]
fn a_few_who_were_measured_are_hidden_with_the_zeros_beside_them() {
    let shown = |counts: [u32; 6]| conceal(&counts, 0, 11).into_iter().map(Cell::count).collect::<Vec<_>>();
    let nothing = vec![None; 6];
    // Three of 29 answered: zeros in the other columns would say that all three deteriorated.
    assert_eq!(shown([0, 0, 0, 3, 0, 26]), nothing);
    // Nor is it told that nobody answered, and so which instruments are used.
    assert_eq!(shown([0, 0, 0, 0, 0, 29]), nothing);
    assert_eq!(shown([4, 0, 0, 3, 0, 22]), nothing);
    assert_eq!(shown([20, 0, 0, 0, 0, 9]), nothing);
    assert_eq!(shown([20, 0, 0, 0, 0, 0]), nothing);
    assert_eq!(shown([13, 7, 4, 2, 0, 3]), [Some(13), None, None, None, Some(0), None]);
    assert_eq!(shown([6, 0, 8, 0, 0, 15]), [None, Some(0), None, Some(0), Some(0), Some(15)]);
    // Ten who are not computable, and nobody whose place one of them could take without showing it.
    assert_eq!(shown([11, 11, 12, 0, 0, 10]), nothing);
    // A leader who knows twelve of them has to be left with eleven.
    let known: Vec<_> = conceal(&[6, 0, 8, 0, 0, 15], 12, 11).into_iter().map(Cell::count).collect();
    assert_eq!(known, nothing);
}

#[test]
fn sizes_of_rows_that_join_the_others_are_not_told_either() {
    // 10 and 10, or eleven times 1, would follow from their sum.
    assert_eq!(gather(&[10, 10], &[], 11), None);
    assert_eq!(gather(&[10, 10, 30], &[], 11), Some(vec![true, true, true]));
    assert_eq!(gather(&[1; 11], &[], 11), None);
    assert_eq!(gather(&[3, 40, 20, 0], &[], 11), Some(vec![true, false, true, false]));
    assert_eq!(gather(&[12, 0, 40], &[], 11), Some(vec![false, false, false]));
    assert_eq!(gather(&[4, 5], &[], 11), None);
    assert_eq!(gather(&[], &[], 11), Some(vec![]));
    for sizes in splits(14, 3) {
        let Some(joins) = gather(&sizes, &[], 3) else { continue };
        let same = splits(14, 3).into_iter().filter(|other| {
            let shown = |sizes: &[u32], joins: &[bool]| -> Vec<u32> {
                let alone = sizes.iter().zip(joins).map(|(size, joins)| if *joins { 0 } else { *size });
                alone.collect()
            };
            gather(other, &[], 3).is_some_and(|theirs| shown(other, &theirs) == shown(&sizes, &joins))
        });
        let same: Vec<Vec<u32>> = same.collect();
        for row in (0..3).filter(|row| joins[*row]) {
            let values: BTreeSet<u32> = same.iter().map(|sizes| sizes[row]).collect();
            assert!(values.len() > 1, "{sizes:?}: row {row} is {values:?}");
        }
    }
}

/// Every world with so many people in each row: by person of each row, their column. Small enough to count all of them.
fn worlds(sizes: &[u32], columns: usize) -> Vec<Vec<Vec<u32>>> {
    sizes.iter().fold(vec![Vec::new()], |worlds, size| {
        let rows = splits(*size, columns);
        worlds
            .iter()
            .flat_map(|world| rows.iter().map(move |row| [world.clone(), vec![row.clone()]].concat()))
            .collect()
    })
}

/// Rows of the report, all of its rows as the filters show them, and their shares: whatever a reader can get.
type Answers = Option<Vec<(ReleasedRow, Vec<Option<u32>>)>>;

fn answers(world: &[Vec<u32>], k: u32) -> Answers {
    let row = |(row, counts): (usize, &Vec<u32>)| Part { row, tables: vec![counts.clone()] };
    answers_of(world.len(), &world.iter().enumerate().map(row).collect::<Vec<_>>(), &[], k)
}

fn answers_of(rows: usize, parts: &[Part], insiders: &[Vec<usize>], k: u32) -> Answers {
    let percent = |row: &ReleasedRow| -> Vec<Option<u32>> {
        row.tables[0].iter().map(|cell| cell.count().map(|count| count * 100 / row.people)).collect()
    };
    Some(release(rows, parts, insiders, k)?.into_iter().map(|row| (row.clone(), percent(&row))).collect())
}

/// Of worlds that answer alike, whether what was found of some person is the same in all of them, if anything was; who is
/// in which row is known.
fn knows_somebody(alike: &[&Vec<Vec<u32>>]) -> bool {
    let rows = alike[0].len();
    (0..rows).any(|row| {
        let of_row: Vec<Vec<u32>> =
            alike.iter().map(|world| world[row].clone()).filter(|row| !row.is_empty()).collect();
        columns_of(&of_row).len() == 1
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn in_every_small_world_everybody_stays_in_doubt(sizes in proptest::collection::vec(0..6_u32, 1..4), k in 3..5_u32) {
        let all = worlds(&sizes, 3);
        let mut alike: BTreeMap<String, Vec<&Vec<Vec<u32>>>> = BTreeMap::new();
        for world in &all {
            alike.entry(format!("{:?}", answers(world, k))).or_default().push(world);
        }
        for (answer, worlds) in &alike {
            prop_assert!(!knows_somebody(worlds), "{:?}: {}", sizes, answer);
        }
    }
}

/// Of these worlds, whether somebody who leads a group gets to know a column of anybody outside it, or a count from 1 to
/// k − 1 of people outside it. `row_of` names the row of each group, `insiders` whom the rule spares.
fn a_leader_learns(sizes: &[u32], row_of: &[usize], insiders: &[Vec<usize>], k: u32) -> Option<String> {
    let rows = row_of.iter().max().map_or(0, |most| most + 1);
    let all = worlds(sizes, 3);
    for leader in 0..sizes.len() {
        let mut alike: BTreeMap<String, Vec<&Vec<Vec<u32>>>> = BTreeMap::new();
        for world in &all {
            let part = |(group, counts): (usize, &Vec<u32>)| Part { row: row_of[group], tables: vec![counts.clone()] };
            let parts: Vec<Part> = world.iter().enumerate().map(part).collect();
            let answer = answers_of(rows, &parts, insiders, k);
            for (row, _) in answer.iter().flatten() {
                let is_own = row.row.is_some_and(|row| row == row_of[leader]);
                for (column, cell) in row.tables[0].iter().enumerate() {
                    let rest = cell.count().map(|count| count - if is_own { world[leader][column] } else { 0 });
                    if rest.is_some_and(|rest| (1..k).contains(&rest)) {
                        return Some(format!("{world:?}: {leader} takes away their own and is left with {rest:?}"));
                    }
                }
            }
            // What they know and what they read: worlds alike in both are all that could be.
            alike.entry(format!("{:?} {answer:?}", world[leader])).or_default().push(world);
        }
        for (found, worlds) in &alike {
            let others = |world: &&Vec<Vec<u32>>| {
                let mut others = (*world).clone();
                others[leader] = Vec::new();
                others
            };
            let others: Vec<Vec<Vec<u32>>> = worlds.iter().map(others).collect();
            if knows_somebody(&others.iter().collect::<Vec<_>>()) {
                return Some(format!("{sizes:?} {row_of:?}: {leader} knows {found}, and so somebody"));
            }
        }
    }
    None
}

#[test]
fn who_leads_a_group_cannot_take_it_away_from_a_report_and_keep_somebody() {
    let sizes = [(vec![9, 2], vec![0, 0]), (vec![4, 5], vec![0, 0]), (vec![6, 6], vec![0, 0])];
    let more = [(vec![5, 4, 3], vec![0, 0, 1]), (vec![4, 4, 4], vec![0, 0, 0]), (vec![6, 2, 5], vec![0, 1, 2])];
    let most = [(vec![3, 3, 3, 3], vec![0, 0, 1, 1]), (vec![8, 3, 3], vec![0, 1, 1]), (vec![8, 9], vec![0, 0])];
    let all: Vec<(Vec<u32>, Vec<usize>)> = sizes.into_iter().chain(more).chain(most).collect();
    for (sizes, row_of) in &all {
        let insiders: Vec<Vec<usize>> = (0..sizes.len()).map(|group| vec![group]).collect();
        assert_eq!(a_leader_learns(sizes, row_of, &insiders, 3), None);
    }
    // The same leaders against a report that knows of no leaders: so the attack is one.
    assert!(all.iter().any(|(sizes, row_of)| a_leader_learns(sizes, row_of, &[], 3).is_some()));
}

#[test]
fn a_row_stands_only_beside_everybodys_own() {
    let part = |row: usize, [one, other]: [u32; 2]| Part { row, tables: vec![vec![one, other, 0]] };
    let people = |parts: &[Part], insiders: &[Vec<usize>]| -> Option<Vec<(Option<usize>, u32)>> {
        Some(release(2, parts, insiders, 11)?.into_iter().map(|row| (row.row, row.people)).collect())
    };
    let alone = [vec![0], vec![1], vec![2]];
    // 30 and 5 in one row: whoever leads the thirty would know how many the others are.
    let parts = [part(0, [15, 15]), part(0, [3, 2]), part(1, [20, 20])];
    assert_eq!(people(&parts, &[]), Some(vec![(Some(0), 35), (Some(1), 40)]));
    assert_eq!(people(&parts, &alone), Some(vec![(None, 75)]));
    assert_eq!(people(&parts[..2], &alone[..2]), None);
    // Who leads two groups takes both away.
    let parts = [part(0, [15, 15]), part(0, [12, 12]), part(0, [3, 3])];
    assert_eq!(people(&parts, &alone), Some(vec![(Some(0), 60)]));
    assert_eq!(people(&parts, &[vec![0, 1], vec![2]]), None);
    // 14, of whom a leader could know 12: only beside people of many others is a cell shown.
    let parts = [part(0, [12, 13]), part(0, [2, 13])];
    let cells = |insiders: &[Vec<usize>]| release(1, &parts, insiders, 11).expect("a release")[0].tables[0].clone();
    assert_eq!(cells(&[]), [Cell::Count(14), Cell::Count(26), Cell::Count(0)]);
    assert_eq!(cells(&[vec![0], vec![1]])[..2], [Cell::Hidden, Cell::Hidden]);
    assert_eq!(cells(&[vec![0, 1]])[..2], [Cell::Count(14), Cell::Count(26)], "who knows all of it learns nothing");
}

/// One row of people over two quarters of asking: who is corrected from which column to which, who is gone, who came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Course {
    /// By person: the column at the release.
    at_release: Vec<usize>,
    /// The column of person 0 after a correction. Person 1 is erased then, and somebody joined.
    corrected: usize,
    joined: usize,
}

fn counts(columns: impl Iterator<Item = usize>) -> Vec<Vec<u32>> {
    let mut counts = vec![0; 3];
    columns.for_each(|column| counts[column] += 1);
    vec![counts]
}

/// What is read at each of three times: at the release, after the correction, after the erasure and the newcomer.
fn asked_three_times(course: &Course, is_kept: bool) -> Vec<Answers> {
    let corrected = |index: usize, column: usize| if index == 0 { course.corrected } else { column };
    let first = answers(&counts(course.at_release.iter().copied()), 3);
    if is_kept {
        return vec![first.clone(), first.clone(), first];
    }
    let people = || course.at_release.iter().enumerate().map(|(index, column)| (index, corrected(index, *column)));
    let second = answers(&counts(people().map(|(_, column)| column)), 3);
    let third = people().filter(|(index, _)| *index != 1).map(|(_, column)| column).chain([course.joined]);
    vec![first, second, answers(&counts(third), 3)]
}

/// Whether anybody's column is certain in some world, for somebody who asks at all times and knows who was corrected.
fn somebody_is_known(people: u32, is_kept: bool) -> bool {
    let mut alike: BTreeMap<String, Vec<Course>> = BTreeMap::new();
    for code in 0..1_usize << (people + 2) {
        let bit = |place: u32| code >> place & 1;
        let course =
            Course { at_release: (0..people).map(bit).collect(), corrected: bit(people), joined: bit(people + 1) };
        alike.entry(format!("{:?}", asked_three_times(&course, is_kept))).or_default().push(course);
    }
    let values =
        |courses: &[Course], of: &dyn Fn(&Course) -> usize| courses.iter().map(of).collect::<BTreeSet<_>>().len();
    alike.values().any(|courses| {
        let of_person = |person: usize| move |course: &Course| course.at_release[person];
        (0..people as usize).any(|person| values(courses, &of_person(person)) == 1)
            || values(courses, &|course| course.corrected) == 1
            || values(courses, &|course| course.joined) == 1
    })
}

#[test]
fn asking_again_while_people_are_corrected_erased_and_join_tells_nothing() {
    for people in 3..9 {
        assert!(!somebody_is_known(people, true), "{people} people");
    }
    // The same attacker against a report that is made anew each time: so the attack is one.
    assert!((3..9).any(|people| somebody_is_known(people, false)));
}

#[test]
fn the_first_moment_of_a_quarter_is_that_of_its_zone() {
    let quarter: Quarter = "2026-Q1".parse().expect("a quarter");
    assert_eq!(quarter.to_string(), "2026-Q1");
    let moment = |text: &str| Moment::from(text.parse::<jiff::Timestamp>().expect("a time"));
    assert_eq!(quarter.begins_at("Pacific/Auckland"), Some(moment("2025-12-31T11:00:00Z")));
    assert_eq!(quarter.previous(), Quarter { year: 2025, quarter: 4 });
    assert_eq!(Quarter::newest_released("2026-07-01".parse().expect("a day")), quarter);
    assert_eq!(Quarter::newest_released("2026-06-30".parse().expect("a day")).to_string(), "2025-Q4");
    for text in ["2026-Q0", "2026-Q5", "2026Q1", "+026-Q1", "26-Q1", "2026-Q01", ""] {
        assert!(text.parse::<Quarter>().is_err(), "{text}");
    }
}

#[test]
fn who_leads_most_of_an_organization_is_not_told_of_the_few_others() {
    let world = World::new();
    let (server, led, other) = (&world.server, &world.led, &world.other);
    let groups = [led, other].map(|group| literal(&server.location, &group.id)).join(", ");
    tamper(&server.location, &format!("UPDATE groups SET conditions = '[\"depression\"]' WHERE id IN ({groups})"));
    let few = Quarter::of(today(server)).next();
    let quarters = [few, few.next()];
    for (quarter, others) in quarters.into_iter().zip([5, 40]) {
        travel_to(server, quarter, 9);
        for (number, member) in patients(server, led, 30).into_iter().enumerate() {
            scored(server, &led.id, member, 0, 20);
            scored(server, &led.id, member, 20, if number < 15 { 3 } else { 19 });
        }
        for member in patients(server, other, others) {
            scored(server, &other.id, member, 0, 20);
            scored(server, &other.id, member, 20, 3);
        }
    }
    travel_to(server, quarters[1].next().next(), 0);
    let administrator = server.again(&world.administrator);
    let [few, many] = quarters.map(|quarter| {
        server.get(&administrator, &report_path(&world, &format!("?quarter={quarter}"))).expect(200)["report"].clone()
    });
    // 35 people, of whom the lead knows 30.
    assert_eq!(few["kinds"][0]["people"], json!({"count": null, "suppressed": "small_count"}));
    assert!(phq_rows(&few).is_empty(), "{few}");
    // 70 people: 55 recovered, 40 of them elsewhere. The 15 are fewer than 11 beside the 40 that a lead could know.
    let rows = phq_rows(&many);
    assert_eq!((rows.len(), &rows[0]["people"]), (1, &json!(70)));
    assert_eq!(cells(&rows[0])[0], None);
    assert_eq!(cells(&rows[0])[2], None);
    assert_eq!(cells(&rows[0])[3], Some(0));
}

// ---- the attacker who makes people up ----

/// A PHQ-9 of 20 of each of these, and a later one of so much.
fn answered(server: &Server, group: &Group, people: &[Id], later: i32) {
    for member in people {
        scored(server, &group.id, *member, 0, 20);
        scored(server, &group.id, *member, 20, later);
    }
}

#[test]
fn memberships_that_an_administrator_makes_up_count_nobody() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let first = Quarter::of(today(server)).next();
    let quarters: Vec<Quarter> = std::iter::successors(Some(first), |quarter| Some(quarter.next())).take(7).collect();
    let after = |quarter: Quarter| quarter.next().next().begins_at("UTC").expect("a day").plus_days(1).0;
    // In each quarter one real person, and twelve others who lack something.
    let mut people = Vec::new();
    for (kind, quarter) in quarters.iter().enumerate() {
        travel_to(server, *quarter, 9);
        let real = patients(server, led, 1);
        answered(server, led, &real, 3);
        let made_up = if kind == 4 { Vec::new() } else { join(server, &led.lead, &led.id, 12) };
        match kind {
            0 => {
                consent_all(server, led, &made_up);
                come(server, led, &real, &made_up);
            }
            1 => come(server, led, &made_up, &[]),
            4 => {}
            _ => attend(server, led, &made_up),
        }
        answered(server, led, &made_up, 19);
        people.push(made_up);
    }
    let change = |table: &str, change: &str, who: &str, people: &[Id]| {
        let all: Vec<String> = people.iter().map(|member| literal(&server.location, &member.to_string())).collect();
        tamper(&server.location, &format!("UPDATE {table} SET {change} WHERE {who} IN ({})", all.join(", ")));
    };
    let late = |column: &str, quarter: usize| format!("{column} = {}", after(quarters[quarter]));
    change("attendances", &late("recorded_at", 2), "member_id", &people[2]);
    change("members", &late("created_at", 3), "id", &people[3]);
    change("membership_intervals", &late("recorded_at", 5), "member_id", &people[5]);

    // As it was done: after the quarter's release, before anybody asked.
    travel_to(server, quarters[4].next().next(), 1);
    let administrator = server.again(&world.administrator);
    let since = quarters[4].begins_at("UTC").expect("a quarter").plus_days(3);
    for number in 0..12 {
        let body = json!({"name": format!("Nobody {number}"), "since": since});
        let invited = server.post(&administrator, &led.path("/members"), &body).expect(201);
        let path = led.path(&format!("/members/{}", text(&invited["id"])));
        let version = server.version(&administrator, &path);
        let active = json!({"state": "active", "from_at": since});
        server.change(&administrator, "POST", &format!("{path}/moves"), &version, &active).expect(201);
    }
    travel_to(server, quarters[6].next().next(), 1);
    let administrator = server.again(&world.administrator);
    let read = |quarter: Quarter| {
        server.get(&administrator, &report_path(&world, &format!("?quarter={quarter}"))).expect(200)["report"].clone()
    };
    let lacks = ["an attendance", "a consent", "an attendance in time", "a membership in time", "everything", "a day"];
    for (quarter, lacking) in quarters.iter().zip(lacks) {
        let report = read(*quarter);
        assert_eq!(
            report["kinds"][0]["people"],
            json!({"count": null, "suppressed": "small_count"}),
            "twelve without {lacking} counted"
        );
        assert!(phq_rows(&report).is_empty(), "{report}");
    }
    // Who lacks nothing counts.
    let report = read(quarters[6]);
    assert_eq!(report["kinds"][0]["people"]["count"], 13, "{report}");
    // Absences of people who never came do not hide those of the others among them, nor show how many there are.
    assert_eq!(read(quarters[0])["kinds"][0]["visits"]["suppressed"], "small_count");
}

#[test]
fn what_is_recorded_after_the_release_changes_no_report() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let quarter = Quarter::of(today(server)).next();
    travel_to(server, quarter, 9);
    let people = patients(server, led, 29);
    answered(server, led, &people[..13], 3);
    answered(server, led, &people[13..], 19);
    // The answers of five come in afterwards, with the dates of before.
    let late = quarter.next().next().begins_at("UTC").expect("a day").0;
    let five: Vec<String> = people[24..].iter().map(|member| literal(&server.location, &member.to_string())).collect();
    let sql = format!("UPDATE measures SET recorded_at = {late} WHERE member_id IN ({})", five.join(", "));
    tamper(&server.location, &sql);
    travel_to(server, quarter.next().next(), 1);
    let administrator = server.again(&world.administrator);
    let report = server.get(&administrator, &report_path(&world, "")).expect(200)["report"].clone();
    let rows = phq_rows(&report);
    assert_eq!(rows[0]["people"], 29);
    // 13, 11 and five of whom nothing was found: the five would follow from the others.
    assert_eq!(cells(&rows[0]), [None, Some(0), None, Some(0), Some(0), None]);
    // Nobody answered anything else: that is not told.
    for instrument in report["instruments"].as_array().expect("instruments") {
        if instrument["instrument"] != "phq-9" {
            assert_eq!(cells(&instrument["rows"][0]), [None; 6], "{instrument}");
        }
    }
}

#[test]
fn who_let_people_in_takes_them_away_from_a_report() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let first = Quarter::of(today(server)).next();
    let quarters = [first, first.next(), first.next().next()];
    // By the administrator, by the lead.
    for (quarter, (by_administrator, by_lead)) in quarters.into_iter().zip([(25, 5), (15, 30), (30, 0)]) {
        travel_to(server, quarter, 9);
        let mut people = join(server, &world.administrator, &led.id, by_administrator);
        people.extend(join(server, &led.lead, &led.id, by_lead));
        attend(server, led, &people);
        let (some, others) = people.split_at(people.len() / 2);
        answered(server, led, some, 3);
        answered(server, led, others, 19);
    }
    travel_to(server, quarters[2].next().next(), 1);
    let administrator = server.again(&world.administrator);
    let [few, many, own] = quarters.map(|quarter| {
        server.get(&administrator, &report_path(&world, &format!("?quarter={quarter}"))).expect(200)["report"].clone()
    });
    assert_eq!(few["kinds"][0]["people"]["suppressed"], "small_count", "beside the 25 are five");
    assert!(phq_rows(&few).is_empty(), "{few}");
    // 22 and 23 of 45, of whom one reader knows 15: fewer than 26 are hidden.
    assert_eq!((&many["kinds"][0]["people"]["count"], cells(&phq_rows(&many)[0])[0]), (&json!(45), None));
    // Who let everybody in knows of nobody else.
    assert_eq!((&own["kinds"][0]["people"]["count"], cells(&phq_rows(&own)[0])[0]), (&json!(30), Some(15)));
}
