//! Before the session, over HTTP: who comes first and why, whose data count, and what a kept review says.

use std::cmp::Ordering;

use circlekeeper::{
    policy::act,
    rules::{
        members::State,
        preparation::{Mark, Reason, by_need},
    },
    store::{agreements, members, permit::authorize},
    values::{Id, Moment},
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person},
    query_plans,
    scene::{plan_at, text},
    world::{self, Group, Member, World},
};

/// The therapist of the group, days later.
fn later(world: &World, days: i64) -> Person {
    world.server.travel_days(days);
    world.server.again(&world.led.lead)
}

/// Holds a session that began an hour and a half ago: a thought record is delivered, the closing round is skipped.
fn hold(world: &World, lead: &Person, attendance: &[(&str, &str)]) -> String {
    let server = &world.server;
    let session = world::plan(server, lead, &world.led.id);
    let start: Moment = serde_json::from_value(session["starts_at"].clone()).unwrap();
    let attendance: Vec<Value> =
        attendance.iter().map(|(member, status)| json!({"member": member, "status": status})).collect();
    let body = json!({
        "held_from": start, "held_until": start.plus_minutes(60), "attendance": attendance,
        "items": [
            {"item": session["agenda"][0]["id"], "delivered": "delivered", "minutes": 35},
            {"item": session["agenda"][1]["id"], "delivered": "skipped"}
        ]
    });
    let id = text(&session["id"]);
    let path = world.led.path(&format!("/sessions/{id}"));
    let version = server.version(lead, &path);
    server.change(lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
    id
}

/// Plans a session for tomorrow.
fn ahead(world: &World, lead: &Person) -> String {
    text(&plan_at(&world.server, lead, &world.led.id, world.server.db.clock.now().plus_days(1), 60)["id"])
}

/// Answers of the PHQ-9 that come to this score, 0 to 24; nothing is said to its risk item.
fn phq_9(score: i32) -> Value {
    let answers = (0..9).map(|item| (format!("phq-9.{}", item + 1), json!((score - 3 * item).clamp(0, 3))));
    Value::Object(answers.filter(|(item, _)| item != "phq-9.9").chain([("phq-9.9".into(), json!(0))]).collect())
}

fn take(world: &World, lead: &Person, member: &str, instrument: &str, answers: &Value) -> String {
    let body = json!({"member": member, "instrument": instrument, "answers": answers});
    world.server.post(lead, &world.led.path("/measures"), &body).made()
}

fn schedule(world: &World, lead: &Person, items: &Value) {
    let path = world.led.path("/measure-schedule");
    world.server.request("PUT", &path).token(&lead.token).json(&json!({"items": items})).send().expect(200);
}

fn ask(world: &World, who: &Person, session: &str, query: &str) -> Answer {
    world.server.get(who, &world.led.path(&format!("/sessions/{session}/preparation{query}")))
}

fn prepare(world: &World, lead: &Person, session: &str) -> Value {
    ask(world, lead, session, "").expect(200)
}

fn members_of(preparation: &Value) -> Vec<&str> {
    preparation["members"].as_array().unwrap().iter().map(|member| member["member"].as_str().unwrap()).collect()
}

#[track_caller]
fn of<'a>(preparation: &'a Value, member: &str) -> &'a Value {
    let mut members = preparation["members"].as_array().unwrap().iter();
    members.find(|row| row["member"] == member).unwrap_or_else(|| panic!("{member} is not in {preparation}"))
}

fn marks(member: &Value) -> Vec<&str> {
    member["marks"].as_array().unwrap().iter().map(|mark| mark["mark"].as_str().unwrap()).collect()
}

fn review(world: &World, who: &Person, session: &str, body: &Value) -> Answer {
    world.server.post(who, &world.led.path(&format!("/sessions/{session}/reviews")), body)
}

fn cancel(world: &World, lead: &Person, session: &str) {
    let path = world.led.path(&format!("/sessions/{session}"));
    let version = world.server.version(lead, &path);
    let body = json!({"reason": "Snow."});
    world.server.change(lead, "POST", &format!("{path}/cancellation"), &version, &body).expect(200);
}

#[test]
fn traps_7_and_10_a_late_joiner_is_judged_by_their_own_start() {
    let world = World::new();
    let server = &world.server;
    let (one, two) = (&world.led.member.id, &world.led.second_member.id);
    take(&world, &world.led.lead, one, "phq-9", &phq_9(15));
    hold(&world, &world.led.lead, &[(one, "attended"), (two, "attended")]);
    let lead = later(&world, 7);
    take(&world, &lead, one, "phq-9", &phq_9(14));
    hold(&world, &lead, &[(one, "attended"), (two, "no_show")]);
    // The late joiner comes after two sessions.
    let late = world::member(server, &lead, &world.led.id, "Led Late");
    let agreements = server.get(&late.person, &world.led.path("/agreements")).expect(200);
    let signing = world.led.path(&format!("/agreements/{}/signatures", text(&agreements["items"][0]["id"])));
    server.post(&late.person, &signing, &json!({})).expect(201);
    let lead = later(&world, 7);
    let sessions = [(one.as_str(), "attended"), (two, "attended"), (&late.id, "attended")];
    hold(&world, &lead, &sessions);
    // Filled in during their first session, which is the group's third.
    let at = server.db.clock.now().plus_minutes(-60);
    let body = json!({"member": late.id, "instrument": "phq-9", "taken_at": at, "answers": phq_9(12)});
    server.post(&lead, &world.led.path("/measures"), &body).made();
    let lead = later(&world, 7);
    take(&world, &lead, &late.id, "phq-9", &phq_9(11));
    hold(&world, &lead, &sessions[..2]);

    let prepared = prepare(&world, &lead, &ahead(&world, &lead));
    let joined = of(&prepared, &late.id);
    let change = &joined["instruments"][0]["change"];
    assert_eq!((&change["baseline"], &change["score"], &change["gain"]), (&json!(12.0), &json!(11.0), &json!(1.0)));
    assert_eq!(change["baseline_rule"], "at_or_before_first_session");
    // Two of the four sessions, one of which nothing was recorded of: neither a miss nor a missed module.
    let attendance = json!({"expected": 2, "attended": 1, "excused": 0, "no_show": 0, "unrecorded": 1});
    assert_eq!(joined["attendance"], attendance);
    assert_eq!((marks(joined), &joined["missed"]), (vec![], &json!([])));
    // The denominators of the others stay what they were.
    assert_eq!(of(&prepared, one)["attendance"]["expected"], 4);
    assert_eq!(of(&prepared, two)["attendance"]["expected"], 4);
    let missed = &of(&prepared, two)["missed"][0];
    assert_eq!((&missed["technique"], &missed["sessions"]), (&json!("thought-record"), &json!(1)));
    assert_eq!(missed["received_minutes"], 105);
    assert_eq!(of(&prepared, two)["missed"].as_array().unwrap().len(), 1, "what was skipped was missed by nobody");
}

#[test]
fn trap_8_the_roster_is_that_of_the_session() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (one, two) = (&led.member.id, &led.second_member.id);
    let today = text(&world.session()["id"]);
    let newcomer = world::member(server, &led.lead, &led.id, "Led Newcomer");
    world::leave(server, &led.member, &led.id);
    let tomorrow = ahead(&world, &led.lead);
    let sorted = |preparation: &Value| {
        let mut members: Vec<String> = members_of(preparation).into_iter().map(str::to_owned).collect();
        members.sort_unstable();
        members
    };
    let both = |a: &str, b: &str| {
        let mut both = [a.to_owned(), b.to_owned()];
        both.sort_unstable();
        both
    };
    assert_eq!(sorted(&prepare(&world, &led.lead, &today)), both(one, two));
    assert_eq!(sorted(&prepare(&world, &led.lead, &tomorrow)), both(two, &newcomer.id));
    // Nor is anybody reviewed before a session at which they are not expected.
    review(&world, &led.lead, &tomorrow, &json!({"members": [one]})).refuses("/members/0");
    review(&world, &led.lead, &today, &json!({"members": [two, newcomer.id]})).refuses("/members/1");
    review(&world, &led.lead, &today, &json!({"members": [one]})).expect(201);
}

#[test]
fn trap_9_a_cancelled_session_is_no_absence() {
    let world = World::new();
    let (one, two) = (&world.led.member.id, &world.led.second_member.id);
    hold(&world, &world.led.lead, &[(one, "no_show"), (two, "excused")]);
    let lead = later(&world, 7);
    cancel(&world, &lead, &text(&world::plan(&world.server, &lead, &world.led.id)["id"]));
    let lead = later(&world, 7);
    let next = ahead(&world, &lead);
    let prepared = prepare(&world, &lead, &next);
    assert_eq!((marks(of(&prepared, one)), marks(of(&prepared, two))), (vec![], vec![]));
    assert_eq!(of(&prepared, one)["attendance"]["expected"], 1);
    hold(&world, &lead, &[(one, "no_show"), (two, "no_show")]);
    let prepared = prepare(&world, &lead, &next);
    for member in [one, two] {
        let row = of(&prepared, member);
        assert_eq!(marks(row), ["missed"]);
        assert_eq!(row["attendance"]["expected"], 2);
        let because = row["marks"][0]["because"].as_str().unwrap();
        assert!(because.starts_with("Absent from the last 2 sessions, since "), "{because}");
    }
    let excused = of(&prepared, two)["marks"][0]["because"].as_str().unwrap();
    assert!(excused.contains("1 of 2 excused"), "{excused}");
    // Never had: no minute of it at any session.
    let missed = &of(&prepared, one)["missed"][0];
    assert_eq!((&missed["sessions"], &missed["received_minutes"]), (&json!(2), &json!(0)));
    // By another rule of the reader's, it is too many later.
    let three = ask(&world, &lead, &next, "?misses=3").expect(200);
    assert_eq!(marks(of(&three, one)), Vec::<&str>::new());
}

#[test]
fn missing_answers_are_never_zero() {
    let world = World::new();
    let (one, two) = (&world.led.member.id, &world.led.second_member.id);
    let lead = &world.led.lead;
    schedule(&world, lead, &json!([{"instrument": "phq-9", "every_days": 14}]));
    take(&world, lead, one, "phq-9", &phq_9(20));
    world.server.db.clock.shift(60_000);
    take(&world, lead, one, "phq-9", &json!({"phq-9.1": 0, "phq-9.9": 0}));
    let prepared = prepare(&world, lead, &ahead(&world, lead));
    let half = &of(&prepared, one)["instruments"][0];
    assert_eq!((&half["last"]["score"], &half["last"]["band"]), (&Value::Null, &Value::Null));
    assert_eq!(half["last"]["no_score"]["reason"], "too_many_missing");
    assert_eq!((&half["change"]["score"], &half["change"]["gain"]), (&json!(20.0), &json!(0.0)));
    assert_eq!(half["change"]["gain_since_previous"], Value::Null);
    assert_eq!(
        (&half["states"][0]["state"], &half["states"][0]["because"]),
        (&json!("not_computable"), &json!("no_score"))
    );
    // Who never answered has no numbers at all, and is asked to.
    let never = of(&prepared, two);
    let instrument = &never["instruments"][0];
    assert_eq!((&instrument["last"], &instrument["change"]), (&Value::Null, &Value::Null));
    assert_eq!(instrument["states"][0]["because"], "no_baseline");
    assert_eq!(marks(never), ["due"]);
    assert_eq!((&never["due"][0]["instrument"], &never["due"][0]["last_taken_at"]), (&json!("phq-9"), &Value::Null));
    assert!(never["marks"][0]["because"].as_str().unwrap().ends_with("never answered."), "{never}");
    // It was answered, however little of it: the list of due measures says so too.
    assert_eq!(of(&prepared, one)["due"], json!([]));
}

#[test]
fn what_was_entered_in_error_does_not_count() {
    let world = World::new();
    let (server, led, one) = (&world.server, &world.led, &world.led.member.id);
    schedule(&world, &led.lead, &json!([{"instrument": "phq-9", "every_days": 2}]));
    take(&world, &led.lead, one, "phq-9", &phq_9(5));
    let lead = later(&world, 3);
    let wrong = take(&world, &lead, one, "phq-9", &phq_9(20));
    let next = ahead(&world, &lead);
    let prepared = prepare(&world, &lead, &next);
    let worse = of(&prepared, one);
    assert_eq!(marks(worse), ["deteriorated"]);
    let mark = &worse["marks"][0];
    assert_eq!(
        (&mark["rule"], &mark["instrument"], &mark["set"]),
        (&json!("reliable_deterioration"), &json!("phq-9"), &json!("reliable-nhs"))
    );
    let because = mark["because"].as_str().unwrap();
    assert!(
        because.contains(": 5 on ") && because.contains(", 20 on ") && because.contains("15 points worse"),
        "{because}"
    );
    assert!(because.contains("reliable from 6 points on (reliable-nhs)"), "{because}");
    assert!(mark["source"].as_str().unwrap().contains("NHS Talking Therapies"), "{mark}");
    server.db.clock.shift(1_000);
    review(&world, &lead, &next, &json!({"members": [one]})).expect(201);
    server.db.clock.shift(1_000);
    let path = led.path(&format!("/measures/{wrong}"));
    let version = server.version(&lead, &path);
    server.change(&lead, "POST", &format!("{path}/error-mark"), &version, &json!({"reason": "Mixed up."})).expect(200);
    let prepared = prepare(&world, &lead, &next);
    let cleared = of(&prepared, one);
    assert_eq!(marks(cleared), ["due"]);
    let instrument = &cleared["instruments"][0];
    assert_eq!((&instrument["last"]["score"], &instrument["change"]["score"]), (&json!(5.0), &json!(5.0)));
    assert_eq!(instrument["states"][0]["because"], "only_one_administration");
    assert_eq!(cleared["review"]["is_newer_data"], true, "whoever looked saw another score");
}

#[test]
fn trap_15_after_consent_is_withdrawn_nothing_is_made_of_the_answers() {
    let world = World::new();
    let (server, led, one) = (&world.server, &world.led, &world.led.member);
    schedule(&world, &led.lead, &json!([{"instrument": "phq-9", "every_days": 7}]));
    take(&world, &led.lead, &one.id, "phq-9", &phq_9(5));
    let lead = later(&world, 7);
    take(&world, &lead, &one.id, "phq-9", &phq_9(20));
    let next = ahead(&world, &lead);
    assert_eq!(marks(of(&prepare(&world, &lead, &next), &one.id)), ["deteriorated"]);
    let member = server.again(&one.person);
    let signatures = server.get(&member, &led.path("/signatures")).expect(200);
    let path = led.path(&format!("/signatures/{}/withdrawal", text(&signatures["items"][0]["id"])));
    assert!(server.request("POST", &path).token(&member.token).send().status < 300);
    let prepared = prepare(&world, &lead, &next);
    let row = of(&prepared, &one.id);
    assert_eq!((&row["consents"], marks(row)), (&json!(false), vec![]));
    assert_eq!((&row["instruments"], &row["due"]), (&json!([]), &json!([])));
    // They come to the session all the same.
    assert_eq!(members_of(&prepared).len(), 2);
}

#[test]
fn those_most_in_need_come_first() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let member = |name: &str| world::member(server, &led.lead, &led.id, name);
    let [worse, stuck, absent, fine, due] = ["Led Worse", "Led Stuck", "Led Absent", "Led Fine", "Led Due"].map(member);
    world::consent(server, &led.lead, &led.id, &[&worse, &stuck, &absent, &fine, &due, &led.second_member]);
    world::leave(server, &led.member, &led.id);
    let twice = &led.second_member;
    schedule(&world, &led.lead, &json!([{"instrument": "phq-9", "every_days": 14}]));
    let answer = |lead: &Person, scores: [(&Member, i32); 5]| {
        for (member, score) in scores {
            take(&world, lead, &member.id, "phq-9", &phq_9(score));
        }
    };
    let lead = later(&world, 1);
    answer(&lead, [(&worse, 8), (&stuck, 14), (&absent, 14), (&fine, 14), (twice, 6)]);
    for _ in 0..2 {
        let lead = later(&world, 1);
        let here = [&worse, &stuck, &fine, &due].map(|member| (member.id.as_str(), "attended"));
        let gone = [&absent, twice].map(|member| (member.id.as_str(), "no_show"));
        hold(&world, &lead, &[&here[..], &gone[..]].concat());
    }
    let lead = later(&world, 1);
    answer(&lead, [(&worse, 14), (&stuck, 12), (&absent, 6), (&fine, 8), (twice, 12)]);
    let next = ahead(&world, &lead);
    let prepared = ask(&world, &lead, &next, "?by_session=2").expect(200);
    let expected = [
        // Two marks before one.
        (twice, vec!["deteriorated", "missed"]),
        (&worse, vec!["deteriorated"]),
        (&stuck, vec!["no_reliable_change"]),
        (&absent, vec!["missed"]),
        (&due, vec!["due"]),
        (&fine, vec![]),
    ];
    let found: Vec<(&str, Vec<&str>)> =
        prepared["members"].as_array().unwrap().iter().map(|row| (row["name"].as_str().unwrap(), marks(row))).collect();
    let named: Vec<(&str, Vec<&str>)> =
        expected.iter().map(|(member, marks)| (member.person.name.as_str(), marks.clone())).collect();
    assert_eq!(found, named);
    let because = of(&prepared, &stuck.id)["marks"][0]["because"].as_str().unwrap();
    assert!(
        because.contains("2 points better") && because.contains("by session 2; 2 sessions were attended"),
        "{because}"
    );
    let states = |member: &Member| of(&prepared, &member.id)["instruments"][0]["states"][0]["state"].clone();
    assert_eq!((states(&fine), states(&absent)), (json!("recovered"), json!("recovered")));
    // The order is said with the answer.
    let order: Vec<&str> =
        prepared["order"].as_array().unwrap().iter().map(|rule| rule["mark"].as_str().unwrap()).collect();
    assert_eq!(order, ["risk", "deteriorated", "no_reliable_change", "missed", "due"]);
    // Nobody is judged by a session that nobody named.
    let prepared = prepare(&world, &lead, &next);
    assert_eq!(marks(of(&prepared, &stuck.id)), Vec::<&str>::new());
    assert!(prepared["order"][2]["says"].as_str().unwrap().starts_with("Not judged"), "{prepared}");
    for query in ["?by_session=0", "?by_session=soon", "?misses=0", "?misses=51"] {
        assert_eq!(ask(&world, &lead, &next, query).status, 400, "{query}");
    }
    // Where the marks are the same, those whom nobody has looked at come first.
    let names =
        |prepared: &Value| members_of(prepared)[3..].to_vec().iter().map(|id| id.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&prepared), [due.id.clone(), fine.id.clone(), stuck.id.clone()]);
    review(&world, &lead, &next, &json!({"members": [fine.id]})).expect(201);
    assert_eq!(names(&prepare(&world, &lead, &next)), [due.id.clone(), stuck.id.clone(), fine.id.clone()]);
}

#[test]
fn an_open_risk_comes_before_everything_else() {
    let marked = |marks: &[Mark]| -> Vec<Reason> {
        let reason = |mark: &Mark| Reason {
            mark: *mark,
            because: String::new(),
            instrument: None,
            set: None,
            source: String::new(),
        };
        marks.iter().map(reason).collect()
    };
    use Mark::{Deteriorated, Due, Missed, NoReliableChange, Risk};
    let ordered: [&[Mark]; 9] = [
        &[Risk, Deteriorated],
        &[Risk],
        &[Deteriorated, NoReliableChange, Missed, Due],
        &[Deteriorated, Due],
        &[Deteriorated],
        &[NoReliableChange],
        &[Missed],
        &[Due],
        &[],
    ];
    for (place, one) in ordered.iter().enumerate() {
        for (other_place, other) in ordered.iter().enumerate() {
            assert_eq!(by_need(&marked(one), &marked(other)), place.cmp(&other_place), "{one:?}, {other:?}");
        }
    }
    // Two instruments that say the same are one reason to come first.
    assert_eq!(by_need(&marked(&[Due, Due, Due]), &marked(&[Due])), Ordering::Equal);
}

#[test]
fn a_risk_mark_puts_its_member_first_until_it_is_closed() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (one, two) = (&led.member, &led.second_member);
    take(&world, &led.lead, &one.id, "phq-9", &phq_9(3));
    take(&world, &led.lead, &two.id, "phq-9", &phq_9(3));
    let lead = later(&world, 14);
    take(&world, &lead, &one.id, "phq-9", &phq_9(20));
    // Half an answer has no score, and is a reason all the same.
    let half = json!({"phq-9.1": 0, "phq-9.9": 1});
    let measure = take(&world, &lead, &two.id, "phq-9", &half);
    let next = ahead(&world, &lead);
    let prepared = prepare(&world, &lead, &next);
    assert_eq!(members_of(&prepared), [&two.id, &one.id]);
    let row = of(&prepared, &two.id);
    assert_eq!((&row["open_risks"], marks(row)[0]), (&json!(1), "risk"));
    let now = server.db.clock.now();
    let minute = |at: Moment| at.timestamp().strftime("%Y-%m-%d %H:%M").to_string();
    let day = now.day_in("UTC");
    let because = |marked: &Value| text(&marked["marks"][0]["because"]);
    let raised = format!(
        "1 risk mark is open: Patient Health Questionnaire-9 (PHQ-9) of {day}, positive, not yet acknowledged, wanted by {}.",
        minute(now.plus_days(1))
    );
    assert_eq!((because(row), &row["marks"][0]["instrument"]), (raised, &json!("phq-9")));
    assert_eq!(of(&prepared, &one.id)["open_risks"], 0);
    assert_eq!(marks(of(&prepared, &one.id)), ["deteriorated"]);

    let listed = server.get(&lead, &led.path("/risks")).expect(200);
    let risk = listed["items"].as_array().unwrap().iter().find(|risk| risk["measure"] == measure).expect("the mark");
    let path = led.path(&format!("/risks/{}", text(&risk["id"])));
    let act = |what: &str, body: &Value| {
        let version = server.version(&lead, &path);
        server.change(&lead, "POST", &format!("{path}/{what}"), &version, body).expect(200)
    };
    act("acknowledgement", &json!({}));
    let prepared = prepare(&world, &lead, &next);
    assert_eq!(members_of(&prepared), [&two.id, &one.id], "seen is not yet settled");
    let seen = because(of(&prepared, &two.id));
    assert!(seen.ends_with(&format!("positive, not yet assessed, wanted by {}.", minute(now.plus_days(3)))), "{seen}");
    // A second one, which is more urgent; later on it is late.
    take(&world, &lead, &two.id, "phq-9", &json!({"phq-9.1": 0, "phq-9.9": null}));
    let both = because(of(&prepare(&world, &lead, &next), &two.id));
    assert!(both.starts_with("2 risk marks are open, the most urgent: Patient Health Questionnaire-9"), "{both}");
    assert!(both.contains(", declined, not yet acknowledged, wanted by "), "{both}");
    let second = server.get(&lead, &led.path("/risks?state=raised")).expect(200)["items"][0].clone();
    server.db.clock.shift(24 * 60 * 60 * 1000);
    let late = because(of(&prepare(&world, &lead, &next), &two.id));
    assert!(late.contains("not yet acknowledged, overdue since "), "{late}");
    let other = led.path(&format!("/risks/{}", text(&second["id"])));
    for (what, body) in [
        ("acknowledgement", json!({})),
        ("assessment", json!({"note": "Did not want to say."})),
        ("closing", json!({"disposition": "no_acute_risk"})),
    ] {
        let version = server.version(&lead, &other);
        server.change(&lead, "POST", &format!("{other}/{what}"), &version, &body).expect(200);
    }
    act("assessment", &json!({"note": "Spoke by telephone."}));
    let assessed = because(of(&prepare(&world, &lead, &next), &two.id));
    assert!(assessed.contains("assessed and not yet closed, wanted by "), "{assessed}");
    assert!(!assessed.contains("telephone"), "{assessed}");
    act("closing", &json!({"disposition": "no_acute_risk"}));
    let prepared = prepare(&world, &lead, &next);
    assert_eq!(members_of(&prepared), [&one.id, &two.id]);
    let row = of(&prepared, &two.id);
    assert_eq!(row["open_risks"], 0);
    assert!(!marks(row).contains(&"risk"), "{row}");
}

#[test]
fn parameter_sets_stand_side_by_side_and_where_there_is_none_it_is_said() {
    let world = World::new();
    let (lead, one) = (&world.led.lead, &world.led.member.id);
    let pcl_5 = |each: i32, extra: i32| -> Value {
        let answers = (1..=20).map(|item| (format!("pcl-5.{item}"), json!(each + i32::from(item <= extra))));
        Value::Object(answers.collect())
    };
    take(&world, lead, one, "pcl-5", &pcl_5(2, 0));
    take(&world, lead, one, "phq-2", &json!({"phq-2.1": 1, "phq-2.2": 1}));
    world.server.db.clock.shift(60_000);
    take(&world, lead, one, "pcl-5", &pcl_5(2, 16));
    take(&world, lead, one, "phq-2", &json!({"phq-2.1": 3, "phq-2.2": 3}));
    let prepared = prepare(&world, lead, &ahead(&world, lead));
    let row = of(&prepared, one);
    let instruments = row["instruments"].as_array().unwrap();
    let [pcl, phq] = &instruments[..] else { panic!("{instruments:?}") };
    let states = |instrument: &Value| {
        let states = instrument["states"].as_array().unwrap().clone();
        states.into_iter().map(|state| (state["set"].clone(), state["state"].clone())).collect::<Vec<_>>()
    };
    // 16 points worse: reliable by the sample of 15, not by that of 18.
    assert_eq!(
        states(pcl),
        [
            (json!("reliable-marx-2022-sample-1"), json!("reliably_deteriorated")),
            (json!("reliable-marx-2022-sample-2"), json!("no_reliable_change"))
        ]
    );
    assert_eq!(marks(row), ["deteriorated"]);
    assert_eq!(row["marks"][0]["set"], "reliable-marx-2022-sample-1");
    assert_eq!(states(phq), [(Value::Null, json!("not_computable"))]);
    assert_eq!((&phq["states"][0]["because"], &phq["change"]["gain"]), (&json!("no_parameters"), &json!(-4.0)));
}

#[test]
fn a_review_says_who_looked_when_and_whether_it_is_out_of_date() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (one, two, lead) = (&led.member.id, &led.second_member.id, &led.lead);
    let next = ahead(&world, lead);
    take(&world, lead, one, "phq-9", &phq_9(9));
    server.db.clock.shift(1_000);
    let read = prepare(&world, lead, &next);
    assert_eq!((&of(&read, one)["review"], &of(&read, one)["last_review"]), (&Value::Null, &Value::Null));
    server.db.clock.shift(1_000);
    let body = json!({"members": [one, two], "as_of": read["as_of"]});
    let kept = review(&world, &led.co_lead, &next, &body);
    assert_eq!(kept.header("location"), Some(led.path(&format!("/sessions/{next}/preparation"))));
    let kept = kept.expect(201);
    assert_eq!(kept["reviewed_by"], led.co_lead.id.to_string());
    let prepared = prepare(&world, lead, &next);
    for member in [one, two] {
        let row = of(&prepared, member);
        let shown = &row["review"];
        assert_eq!((&shown["reviewed_by"], &shown["reviewed_at"]), (&kept["reviewed_by"], &kept["reviewed_at"]));
        assert_eq!(shown["reviewed_by_name"], led.co_lead.name);
        assert_eq!((&shown["as_of"], &shown["is_newer_data"]), (&read["as_of"], &json!(false)));
        assert_eq!(row["last_review"], *shown);
    }
    // Something new of one of them.
    take(&world, lead, one, "phq-9", &phq_9(10));
    let prepared = prepare(&world, lead, &next);
    assert_eq!(of(&prepared, one)["review"]["is_newer_data"], true);
    assert_eq!(of(&prepared, two)["review"]["is_newer_data"], false);
    // It came after the page was read, and before the review was sent: it does not pass for seen.
    server.db.clock.shift(1_000);
    review(&world, lead, &next, &json!({"members": [one], "as_of": prepared["as_of"]})).expect(201);
    assert_eq!(of(&prepare(&world, lead, &next), one)["review"]["is_newer_data"], false);
    review(&world, lead, &next, &json!({"members": [one], "as_of": read["as_of"]})).expect(201);
    assert_eq!(of(&prepare(&world, lead, &next), one)["review"]["is_newer_data"], true);
    // Before another session nobody has looked yet, and the last time is known.
    let another = prepare(&world, lead, &ahead(&world, lead));
    assert_eq!(of(&another, two)["review"], Value::Null);
    assert_eq!(of(&another, two)["last_review"]["session"], next);
    // Sent again under the same key, it is one review.
    let path = led.path(&format!("/sessions/{next}/reviews"));
    let send = || server.request("POST", &path).token(&lead.token).key("review-once").json(&json!({"members": [two]}));
    let first = send().send().expect(201);
    server.db.clock.shift(1_000);
    assert_eq!(send().send().expect(201), first);
    assert_eq!(of(&prepare(&world, lead, &next), two)["review"]["reviewed_at"], first["reviewed_at"]);
    // The access log shows the members that they were looked at.
    let seen = server.get(&led.second_member.person, "/v1/account/access-log").expect(200).to_string();
    assert!(seen.contains("ReviewMember") && seen.contains("ReadPreparation"), "{seen}");
}

#[test]
fn a_review_is_refused_where_there_is_nothing_to_prepare() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (one, two, lead) = (&led.member.id, &led.second_member.id, &led.lead);
    let next = ahead(&world, lead);
    review(&world, lead, &next, &json!({"members": []})).refuses("/members");
    review(&world, lead, &next, &json!({"members": [one, one]})).refuses("/members/1");
    let (theirs, nobody) = (&world.other.member.id, Id::random().to_string());
    let foreign = review(&world, lead, &next, &json!({"members": [theirs]}));
    assert_eq!(foreign.text, review(&world, lead, &next, &json!({"members": [nobody]})).text);
    foreign.refuses("/members/0");
    let tomorrow = server.db.clock.now().plus_days(1);
    let day = 24 * 60 * 60 * 1000;
    let now = server.db.clock.now();
    let long_ago = [Moment(now.0 - day - 1_000), now.plus_days(-2_300)];
    for as_of in [tomorrow, Moment(now.0 + 60_000)].into_iter().chain(long_ago) {
        review(&world, lead, &next, &json!({"members": [one], "as_of": as_of})).refuses("/as_of");
    }
    assert_eq!(of(&prepare(&world, lead, &next), one)["review"], Value::Null);
    review(&world, lead, &next, &json!({"members": [two], "as_of": Moment(now.0 - day + 1_000)})).expect(201);
    review(&world, lead, &next, &json!({"members": [one], "note": "Fine."})).expect(422);
    let held = hold(&world, lead, &[(one, "attended")]);
    review(&world, lead, &held, &json!({"members": [one]})).expect(409);
    cancel(&world, lead, &next);
    review(&world, lead, &next, &json!({"members": [one]})).expect(409);
    assert_eq!(of(&prepare(&world, lead, &next), one)["last_review"], Value::Null);
}

#[test]
fn what_came_after_a_session_began_is_not_what_was_known_before_it() {
    let world = World::new();
    let (lead, one, two) = (&world.led.lead, &world.led.member.id, &world.led.second_member.id);
    let at = |minutes: i64, score: i32| {
        let at = world.server.db.clock.now().plus_minutes(minutes);
        let body = json!({"member": one, "instrument": "phq-9", "taken_at": at, "answers": phq_9(score)});
        world.server.post(lead, &world.led.path("/measures"), &body).made();
    };
    at(-120, 9);
    let held = hold(&world, lead, &[(one, "no_show"), (two, "attended")]);
    at(-10, 17);
    let before = prepare(&world, lead, &held);
    assert_eq!(of(&before, one)["instruments"][0]["last"]["score"], 9.0);
    assert_eq!(of(&before, one)["attendance"]["expected"], 0);
    assert_eq!(of(&before, one)["missed"], json!([]));
    let now = prepare(&world, lead, &ahead(&world, lead));
    assert_eq!(of(&now, one)["instruments"][0]["last"]["score"], 17.0);
    assert_eq!(of(&now, one)["attendance"]["no_show"], 1);
}

#[test]
fn nobody_prepares_a_session_that_is_not_theirs() {
    let world = World::new();
    let (server, led, other) = (&world.server, &world.led, &world.other);
    let here = ahead(&world, &led.lead);
    let in_other = text(&world::plan(server, &other.lead, &other.id)["id"]);
    let nobody = Id::random().to_string();
    let both = |who: &Person, group: &Group, session: &str| {
        let read = server.get(who, &group.path(&format!("/sessions/{session}/preparation")));
        let body = json!({"members": [led.member.id]});
        let sent = server.post(who, &group.path(&format!("/sessions/{session}/reviews")), &body);
        [read, sent]
    };
    let missing = both(&led.lead, led, &nobody);
    for (who, group, session) in [
        (&led.lead, led, &in_other),
        (&led.lead, other, &in_other),
        (&led.lead, other, &here),
        (&other.lead, led, &here),
        (&led.former_lead, led, &here),
        (&world.outsider, led, &here),
    ] {
        for (answer, missing) in both(who, group, session).iter().zip(&missing) {
            assert_eq!((answer.status, &answer.text), (404, &missing.text), "{}", who.name);
        }
    }
    for who in [&led.member.person, &world.administrator] {
        for answer in both(who, led, &here) {
            assert_eq!(answer.status, 403, "{}", answer.text);
        }
    }
    // A trainee prepares too.
    assert_eq!(both(led.trainee.as_ref().unwrap(), led, &here).map(|answer| answer.status), [200, 201]);
    // Peers are not prepared for.
    let peer = &world.peer;
    let session = text(&world::plan(server, &peer.lead, &peer.id)["id"]);
    for who in [&peer.lead, &peer.member.person, peer.steward.as_ref().unwrap()] {
        for answer in both(who, peer, &session) {
            assert_eq!(answer.status, 403, "{}", answer.text);
        }
    }
}

#[test]
fn two_hundred_members_take_no_more_statements_than_two() {
    query_plans::collect();
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (lead, one) = (&led.lead, &led.member.id);
    schedule(&world, lead, &json!([{"instrument": "phq-9", "every_days": 7}]));
    take(&world, lead, one, "phq-9", &phq_9(9));
    hold(&world, lead, &[(one, "attended")]);
    let next = ahead(&world, lead);
    review(&world, lead, &next, &json!({"members": [one]})).expect(201);
    // The least of three: the server's housekeeping may fall into one.
    let reads = || {
        let counted = (0..3).map(|_| {
            let before = query_plans::reads(&server.location);
            prepare(&world, lead, &next);
            query_plans::reads(&server.location) - before
        });
        counted.min().unwrap()
    };
    let of_two = reads();
    let (caller, group): (_, Id) = (lead.caller, led.id.parse().unwrap());
    let agreements = server.get(lead, &led.path("/agreements")).expect(200);
    let agreement: Id = text(&agreements["items"][0]["id"]).parse().unwrap();
    let more: Vec<Id> = server.write(move |connection| {
        let permit = authorize::<act::InviteMember>(connection, &caller, group)?;
        let signing = authorize::<act::SignAgreement>(connection, &caller, group)?;
        let now = connection.now;
        (0..198)
            .map(|number| {
                let name = format!("Member {number}");
                let member = members::insert(connection, &permit, &name, State::Active, None, now)?.id;
                agreements::insert_signature(connection, &signing, agreement, member, true, now)?;
                Ok(member)
            })
            .collect()
    });
    review(&world, &led.co_lead, &next, &json!({"members": more})).expect(201);
    for member in more.iter().step_by(20) {
        take(&world, lead, &member.to_string(), "phq-9", &phq_9(12));
    }
    let prepared = prepare(&world, lead, &next);
    assert_eq!(prepared["members"].as_array().unwrap().len(), 200);
    assert_eq!(reads(), of_two);
    assert!(of_two <= 30, "{of_two} look-ups");
}
