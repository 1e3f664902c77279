//! Measures over HTTP: missing answers, risk before completeness, who answers for whom, corrections, what is due.

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    world::{Group, World},
};

fn answer(server: &Server, who: &Person, group: &Group, instrument: &str, answers: Value) -> Answer {
    server.post(who, &group.path("/measures"), &json!({"instrument": instrument, "answers": answers}))
}

/// PHQ-9 with these first answers; the rest is left out.
fn phq_9(values: &[Option<i32>]) -> Value {
    let answers = values.iter().enumerate().map(|(item, value)| (format!("phq-9.{}", item + 1), json!(value)));
    Value::Object(answers.collect())
}

/// All nine items, the last one as given.
fn phq_9_with(last: i32) -> Value {
    let mut values = [Some(1); 9];
    values[8] = Some(last);
    phq_9(&values)
}

fn list(server: &Server, who: &Person, group: &Group, query: &str) -> Vec<Value> {
    let listed = server.get(who, &group.path(&format!("/measures{query}"))).expect(200);
    listed["items"].as_array().unwrap().clone()
}

fn correct(server: &Server, who: &Person, group: &Group, id: &str, answers: &Value) -> Answer {
    let path = group.path(&format!("/measures/{id}"));
    let read = server.get(who, &path);
    let version = read.etag();
    let body = json!({
        "respondent": "member", "taken_at": read.json()["taken_at"], "answers": answers, "reason": "A misread line."
    });
    server.change(who, "PUT", &path, &version, &body)
}

fn mark_error(server: &Server, who: &Person, group: &Group, id: &str) -> Answer {
    let path = group.path(&format!("/measures/{id}"));
    let version = server.version(who, &path);
    server.change(who, "POST", &format!("{path}/error-mark"), &version, &json!({"reason": "Another person's sheet."}))
}

#[test]
fn a_missing_answer_is_never_zero() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let some = answer(server, who, led, "gad-7", json!({"gad-7.1": 3, "gad-7.2": 3})).expect(201);
    assert_eq!((&some["score"], &some["band"]), (&Value::Null, &Value::Null));
    assert_eq!(some["no_score"], json!({"reason": "too_many_missing", "missing": 5, "allowed": 0}));
    let none = answer(server, who, led, "phq-2", json!({"phq-2.1": null, "phq-2.2": null})).expect(201);
    assert_eq!(none["score"], Value::Null);
    assert!(none["no_score"].is_object(), "{none}");
    // A blank form is no administration: it would put off when the next one is due.
    answer(server, who, led, "phq-2", json!({})).refuses("/answers");
    let zero = answer(server, who, led, "phq-2", json!({"phq-2.1": 0, "phq-2.2": 0})).expect(201);
    assert_eq!((&zero["score"], &zero["no_score"]), (&json!(0.0), &Value::Null));
    // Two of nine may be missing, and the estimate says that it is one.
    let mut two_short = phq_9(&[Some(1), Some(2), Some(1), Some(0), Some(1), Some(1)]);
    two_short["phq-9.7"] = json!(1);
    two_short["phq-9.9"] = json!(0);
    two_short.as_object_mut().unwrap().remove("phq-9.4");
    let nearly = answer(server, who, led, "phq-9", two_short).expect(201);
    assert_eq!((&nearly["score"], &nearly["prorated"]), (&json!(9.0), &json!(true)));
    // Another instrument has another rule.
    let gad = json!({"gad-7.1": 1, "gad-7.2": 1, "gad-7.3": 1, "gad-7.4": 1, "gad-7.5": 1, "gad-7.6": 1});
    assert_eq!(answer(server, who, led, "gad-7", gad).expect(201)["score"], Value::Null);
}

#[test]
fn a_wrong_year_becomes_no_baseline() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let now = server.db.clock.now();
    let send = |who: &Person, days_ago: i64| {
        let answers = json!({"gad-2.1": 0, "gad-2.2": 1});
        let taken_at = now.plus_days(-days_ago);
        let body = json!({"member": led.member.id, "instrument": "gad-2", "taken_at": taken_at, "answers": answers});
        server.post(who, &led.path("/measures"), &body)
    };
    // Their own device may have been without a network; a therapist enters what was on paper, intake included.
    send(&led.member.person, 13).expect(201);
    send(&led.member.person, 15).refuses("/taken_at");
    send(&led.lead, 60).expect(201);
    send(&led.lead, 3_650).refuses("/taken_at");
    send(&led.member.person, 3_650).refuses("/taken_at");
    // Nor by a correction.
    let measure = send(&led.lead, 1).made();
    let path = led.path(&format!("/measures/{measure}"));
    let body = json!({
        "respondent": "member", "taken_at": now.plus_days(-3_650), "answers": {"gad-2.1": 0, "gad-2.2": 1},
        "reason": "A slip of the pen."
    });
    server.change(&led.lead, "PUT", &path, "\"1\"", &body).refuses("/taken_at");
}

#[test]
fn nobody_is_forced_to_answer() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let declined = phq_9(&[Some(1), None, Some(1), None, Some(0), None, Some(1), Some(1), Some(0)]);
    let kept = answer(server, who, led, "phq-9", declined.clone()).expect(201);
    assert_eq!((&kept["score"], &kept["risk"]), (&Value::Null, &json!("none")));
    // Declined stays declined: it is not the same as passed over.
    let path = led.path(&format!("/measures/{}", kept["id"].as_str().unwrap()));
    assert_eq!(server.get(who, &path).expect(200)["answers"], declined);
}

#[test]
fn risk_is_judged_before_completeness() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let half = answer(server, &led.member.person, led, "phq-9", json!({"phq-9.1": 2, "phq-9.9": 1})).expect(201);
    assert_eq!((&half["risk"], &half["flagged"], &half["score"]), (&json!("positive"), &json!(true), &Value::Null));
    assert!(half["crisis"]["lines"].as_array().is_some_and(|lines| !lines.is_empty()), "{half}");
    assert!(half["crisis"]["notice"].as_str().unwrap().contains("Nobody watches"), "{half}");
    let declined = answer(server, &led.member.person, led, "phq-9", json!({"phq-9.9": null})).expect(201);
    assert_eq!((&declined["risk"], &declined["flagged"]), (&json!("declined"), &json!(true)));
    assert!(declined["crisis"].is_object(), "{declined}");
    // Left out, it must not read as a clear "no".
    answer(server, &led.member.person, led, "phq-9", json!({"phq-9.1": 2})).refuses("/answers/phq-9.9");
    // In the recording of a session, too.
    let session = world.session();
    let path = led.path(&format!("/sessions/{}", session["id"].as_str().unwrap()));
    let version = server.version(&led.lead, &path);
    let now = server.db.clock.now();
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30),
        "measures": [
            {"member": led.member.id, "instrument": "gad-2", "answers": {"gad-2.1": 0, "gad-2.2": 0}},
            {"member": led.second_member.id, "instrument": "phq-9", "answers": {"phq-9.9": 3}}
        ]
    });
    let recorded = server.change(&led.lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
    assert_eq!(recorded["measures"][0]["member"], led.second_member.id, "the mark comes first: {recorded}");
    assert_eq!(recorded["measures"][0]["risk"], "positive");
}

#[test]
fn marked_measures_come_first_on_every_page() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    for (who, last) in [
        (&led.member, 1),
        (&led.member, 0),
        (&led.second_member, 2),
        (&led.second_member, 0),
        (&led.member, 0),
        (&led.member, 3),
        (&led.second_member, 0),
    ] {
        answer(server, &who.person, led, "phq-9", phq_9_with(last)).expect(201);
        server.db.clock.shift(60_000);
    }
    let whole = list(server, &led.lead, led, "");
    assert_eq!(
        whole.iter().map(|kept| kept["flagged"] == true).collect::<Vec<_>>(),
        [true, true, true, false, false, false, false]
    );
    let times: Vec<&str> = whole.iter().map(|kept| kept["taken_at"].as_str().unwrap()).collect();
    assert!(times[..3].is_sorted_by(|a, b| a > b) && times[3..].is_sorted_by(|a, b| a > b), "{times:?}");
    // Page by page, nothing is lost and nothing comes twice: over the seam between the two, and at it.
    for limit in [1, 2, 3, 4] {
        let mut paged = Vec::new();
        let mut query = format!("?limit={limit}");
        loop {
            let page = server.get(&led.lead, &led.path(&format!("/measures{query}"))).expect(200);
            paged.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            query = format!("?limit={limit}&cursor={next}");
        }
        assert_eq!(paged, whole, "pages of {limit}");
    }
    // A member's own list holds nothing of the other's.
    let own = list(server, &led.member.person, led, "");
    assert_eq!(own.len(), 4);
    assert!(own.iter().all(|kept| kept["member"] == led.member.id));
    assert_eq!(
        list(server, &led.member.person, led, &format!("?member={}", led.second_member.id)),
        Vec::<Value>::new()
    );
}

#[test]
fn crisis_lines_are_those_of_the_members_country_and_of_nobody_elses() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let lines = |country: Option<&str>| {
        let version = server.version(who, "/v1/account");
        let body = json!({"name": "Mira", "country": country, "language": "en", "zone": "UTC"});
        server.change(who, "PUT", "/v1/account", &version, &body).expect(200);
        let kept = answer(server, who, led, "phq-9", phq_9_with(1)).expect(201);
        kept["crisis"]["lines"].as_array().unwrap().clone()
    };
    let countries = |lines: &[Value]| lines.iter().map(|line| line["country"].clone()).collect::<Vec<_>>();
    let us = lines(Some("US"));
    assert!(countries(&us).contains(&json!("US")) && us.iter().any(|line| line.to_string().contains("988")), "{us:?}");
    for (country, only) in [(Some("DE"), json!("DE")), (Some("ZZ"), Value::Null), (None, Value::Null)] {
        let shown = lines(country);
        assert!(countries(&shown).iter().all(|line| *line == only || line.is_null()), "{country:?}: {shown:?}");
        assert!(!shown.iter().any(|line| line.to_string().contains("988")), "{country:?}: {shown:?}");
        assert!(!shown.is_empty());
    }
    // Only to the member, with their own answer: neither to the therapist nor in a later reading.
    let body = json!({
        "member": led.member.id, "instrument": "phq-9", "respondent": "clinician", "answers": phq_9_with(2)
    });
    let entered = server.post(&led.lead, &led.path("/measures"), &body).expect(201);
    assert_eq!((&entered["risk"], entered.get("crisis")), (&json!("positive"), None));
}

#[test]
fn a_therapist_enters_for_a_member_and_who_answered_is_kept() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let enter = |who: &Person, member: Option<&str>, respondent: &str| {
        let body = json!({
            "member": member, "instrument": "phq-2", "respondent": respondent, "answers": {"phq-2.1": 1, "phq-2.2": 1}
        });
        server.post(who, &led.path("/measures"), &body)
    };
    let entered = enter(&led.lead, Some(&led.member.id), "clinician").expect(201);
    assert_eq!((&entered["respondent"], &entered["member"]), (&json!("clinician"), &json!(led.member.id)));
    enter(&led.lead, Some(&led.member.id), "proxy").refuses("/respondent");
    enter(&led.lead, None, "clinician").refuses("/member");
    enter(&led.lead, Some(&world.other.member.id), "clinician").refuses("/member");
    enter(&led.member.person, None, "clinician").refuses("/respondent");
    enter(&led.member.person, None, "proxy").refuses("/respondent");
    let own = enter(&led.member.person, None, "member").expect(201);
    assert_eq!(own["respondent"], "member");
    let path = led.path(&format!("/measures/{}/versions", entered["id"].as_str().unwrap()));
    let versions = server.get(&led.member.person, &path).expect(200);
    assert_eq!(versions["items"][0]["recorded_by"], led.lead.id.to_string());
}

#[test]
fn a_member_answers_for_nobody_else_and_reads_nobody_else() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (one, other) = (&led.member, &led.second_member);
    let for_member = |member: &str| {
        let body = json!({"member": member, "instrument": "phq-2", "answers": {"phq-2.1": 1, "phq-2.2": 1}});
        server.post(&one.person, &led.path("/measures"), &body)
    };
    let nobody = circlekeeper::values::Id::random().to_string();
    let (theirs, nobodys) = (for_member(&other.id), for_member(&nobody));
    assert_eq!(theirs.text, nobodys.text);
    theirs.refuses("/member");
    assert_eq!(list(server, &led.lead, led, ""), Vec::<Value>::new());
    let theirs = answer(server, &other.person, led, "phq-9", phq_9_with(2)).made();
    for rest in ["", "/versions"] {
        let hidden = server.get(&one.person, &led.path(&format!("/measures/{theirs}{rest}")));
        let missing = server.get(&one.person, &led.path(&format!("/measures/{nobody}{rest}")));
        assert_eq!((hidden.status, &hidden.text), (404, &missing.text));
    }
    let own_due = server.get(&one.person, &led.path("/due-measures")).expect(200);
    assert!(!own_due.to_string().contains(&other.id));
}

#[test]
fn a_correction_is_a_new_version_and_takes_no_mark_away() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let kept = answer(server, &led.member.person, led, "phq-9", phq_9_with(3)).expect(201);
    let id = kept["id"].as_str().unwrap();
    let corrected = correct(server, &led.lead, led, id, &phq_9_with(0)).expect(200);
    assert_eq!((&corrected["risk"], &corrected["score"]), (&json!("none"), &json!(8.0)));
    assert_eq!(corrected["instrument_version"], kept["instrument_version"]);
    assert_eq!(corrected["flagged"], true);
    let again = correct(
        server,
        &led.co_lead,
        led,
        id,
        &phq_9(&[Some(2), Some(2), Some(2), Some(2), Some(2), Some(2), Some(2), Some(2), Some(0)]),
    )
    .expect(200);
    assert_eq!(again["flagged"], true, "nor does a second correction");
    let path = led.path(&format!("/measures/{id}/versions"));
    let versions = server.get(&led.lead, &path).expect(200)["items"].as_array().unwrap().clone();
    let scores: Vec<&Value> = versions.iter().map(|version| &version["score"]).collect();
    assert_eq!(scores, [&json!(11.0), &json!(8.0), &json!(16.0)]);
    assert_eq!(versions[0]["answers"], phq_9_with(3));
    assert_eq!((&versions[0]["reason"], &versions[1]["reason"]), (&Value::Null, &json!("A misread line.")));
    assert_eq!(versions[2]["recorded_by"], led.co_lead.id.to_string());
    let own = server.get(&led.member.person, &path).expect(200);
    assert!(own["items"].as_array().unwrap().iter().all(|version| version["reason"].is_null()));
    // Under the version that was read, and never by the member.
    let body = json!({
        "respondent": "member", "taken_at": kept["taken_at"], "answers": phq_9_with(0), "reason": "Late."
    });
    let path = led.path(&format!("/measures/{id}"));
    server.change(&led.lead, "PUT", &path, "\"1\"", &body).expect(412);
    server.change(&led.member.person, "PUT", &path, "\"3\"", &body).expect(403);
    let bad = correct(server, &led.lead, led, id, &json!({"phq-9.1": 4}));
    bad.refuses("/answers/phq-9.1");
}

#[test]
fn what_was_entered_in_error_is_hidden_and_stays_in_the_history() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let wrong = answer(server, who, led, "phq-9", phq_9_with(2)).made();
    answer(server, who, led, "phq-9", phq_9_with(0)).expect(201);
    let marked = mark_error(server, &led.lead, led, &wrong).expect(200);
    assert_eq!((&marked["entered_in_error"], &marked["flagged"]), (&json!(true), &json!(false)));
    mark_error(server, &led.lead, led, &wrong).expect(409);
    assert_eq!(list(server, &led.lead, led, "").len(), 1);
    assert_eq!(list(server, who, led, "").len(), 1);
    let progress = server.get(who, "/v1/account/progress").expect(200);
    assert_eq!(progress["measures"].as_array().unwrap().len(), 1);
    let versions = server.get(&led.lead, &led.path(&format!("/measures/{wrong}/versions"))).expect(200);
    let versions = versions["items"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!((&versions[0]["risk"], &versions[0]["entered_in_error"]), (&json!("positive"), &json!(false)));
    assert_eq!(
        (&versions[1]["entered_in_error"], &versions[1]["reason"]),
        (&json!(true), &json!("Another person's sheet."))
    );
    // Whoever corrects it takes it in again, with its mark.
    let back = correct(server, &led.lead, led, &wrong, &phq_9_with(0)).expect(200);
    assert_eq!((&back["entered_in_error"], &back["flagged"]), (&json!(false), &json!(true)));
}

#[test]
fn a_session_can_be_measured_again_after_an_entry_in_error() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let session = world.session();
    let path = led.path(&format!("/sessions/{}", session["id"].as_str().unwrap()));
    let now = server.db.clock.now();
    let record = |first: i32| {
        let answers = json!({"phq-2.1": first, "phq-2.2": 1});
        let body = json!({
            "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30),
            "measures": [{"member": led.member.id, "instrument": "phq-2", "answers": answers}]
        });
        let version = server.version(&led.lead, &path);
        server.change(&led.lead, "PUT", &format!("{path}/recording"), &version, &body)
    };
    let recorded = record(3).expect(200);
    mark_error(server, &led.lead, led, recorded["measures"][0]["id"].as_str().unwrap()).expect(200);
    let again = record(1).expect(200);
    assert_eq!(again["measures"].as_array().unwrap().len(), 1);
    assert_eq!(again["measures"][0]["score"], 2.0);
}

#[test]
fn measures_fall_due_by_the_groups_schedule() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let path = led.path("/measure-schedule");
    let set = |items: Value| server.request("PUT", &path).token(&led.lead.token).json(&json!({"items": items})).send();
    set(json!([{"instrument": "phq-99", "every_days": 7}])).refuses("/items/0/instrument");
    set(json!([{"instrument": "phq-2", "every_days": 7}, {"instrument": "phq-2", "every_days": 9}]))
        .refuses("/items/1/instrument");
    set(json!([{"instrument": "phq-2", "every_days": 2}])).expect(200);
    let due = |who: &Person| {
        let due = server.get(who, &led.path("/due-measures")).expect(200);
        due["items"].as_array().unwrap().clone()
    };
    // Active members only, each for each instrument.
    assert_eq!(due(&led.lead).len(), 2);
    assert_eq!(due(&led.member.person).len(), 1);
    let taken = answer(server, &led.member.person, led, "phq-2", json!({"phq-2.1": 1, "phq-2.2": 1})).expect(201);
    let own = &due(&led.member.person)[0];
    assert_eq!((&own["last_taken_at"], &own["overdue"]), (&taken["taken_at"], &json!(false)));
    let taken_at: circlekeeper::values::Moment = serde_json::from_value(taken["taken_at"].clone()).unwrap();
    assert_eq!(own["due_at"], json!(taken_at.plus_days(2)));
    server.travel_days(1);
    assert_eq!(due(&led.member.person)[0]["overdue"], false);
    server.travel_days(2);
    assert_eq!(due(&led.member.person)[0]["overdue"], true);
    // One entered in error was never taken.
    mark_error(server, &led.lead, led, taken["id"].as_str().unwrap()).expect(200);
    assert_eq!(due(&led.member.person)[0]["last_taken_at"], Value::Null);
}

#[test]
fn a_bad_answer_is_named_and_not_repeated() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let refused = answer(server, who, led, "phq-2", json!({"phq-2.1": 77, "phq-9.9": 1, "phq-2.2": 0}));
    assert!(!refused.text.contains("77"), "{}", refused.text);
    let refused = refused.refuses("/answers/phq-2.1");
    assert!(refused["errors"].as_array().unwrap().iter().any(|error| error["pointer"] == "/answers/phq-9.9"));
    answer(server, who, led, "phq-2", json!({"phq-2.1": "a lot"})).refuses("/answers/phq-2.1");
    answer(server, who, led, "phq-2", json!({"phq-2.1": 1.5})).refuses("/answers/phq-2.1");
    answer(server, who, led, "nothing", json!({})).refuses("/instrument");
    let tomorrow = server.db.clock.now().plus_days(1);
    let body = json!({"instrument": "phq-2", "answers": {}, "taken_at": tomorrow});
    server.post(who, &led.path("/measures"), &body).refuses("/taken_at");
    assert_eq!(list(server, who, led, ""), Vec::<Value>::new());
}

#[test]
fn trap_4_an_item_named_twice_hides_no_answer() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let body = r#"{"instrument": "phq-9", "answers": {"phq-9.9": 3, "phq-9.9": 0}}"#;
    let answer = server.request("POST", &led.path("/measures")).token(&led.member.person.token).raw(body).send();
    answer.refuses("/answers");
}
