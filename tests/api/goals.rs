//! Goals and homework over HTTP: agreed by both or not live, rated apart, never counted as zero, given to those expected.

use circlekeeper::{
    rules::goals::{Agreement, NoSummary, Outcome, Rated, Scaled, summary, t_score},
    values::{Id, Moment},
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    scene::{Records, text},
    world::{self, Group, World},
};

/// Records of this subject for the access matrix: of the group's members, people with the ids of their memberships.
pub fn add_records(world: &World, group: &Group, members: &[(Person, String)], records: &mut Records) {
    let (server, lead) = (&world.server, &group.lead);
    for (person, member) in members {
        let (about, by) = (Some(person.id), Some(lead.id));
        let goal = propose(server, lead, group, Some(member), 1).made();
        agree(server, person, group, &goal, 1).expect(200);
        records.add("goal", &goal, about, by);
        let rating = rate(server, person, group, &goal, 0).made();
        records.add("rating", &rating, about, None);
        records.add("homework", &set(server, lead, group, member).made(), about, by);
    }
}

fn propose(server: &Server, who: &Person, group: &Group, member: Option<&str>, weight: i32) -> Answer {
    let mut body = json!({"text": "Leave the house.", "levels": {"expected": "Three times a week"}, "weight": weight});
    if let Some(member) = member {
        body["member"] = json!(member);
    }
    server.post(who, &group.path("/goals"), &body)
}

fn agree(server: &Server, who: &Person, group: &Group, goal: &str, wording: i32) -> Answer {
    server.post(who, &group.path(&format!("/goals/{goal}/agreement")), &json!({"wording": wording}))
}

fn rate(server: &Server, who: &Person, group: &Group, goal: &str, level: i32) -> Answer {
    server.post(who, &group.path(&format!("/goals/{goal}/ratings")), &json!({"level": level}))
}

fn rate_at(server: &Server, who: &Person, group: &Group, goal: &str, level: i32, at: Moment) -> Answer {
    let body = json!({"level": level, "rated_at": at});
    server.post(who, &group.path(&format!("/goals/{goal}/ratings")), &body)
}

fn reword(server: &Server, who: &Person, group: &Group, goal: &str, text: &str) -> Answer {
    let path = group.path(&format!("/goals/{goal}"));
    let version = server.version(who, &path);
    server.change(who, "PUT", &path, &version, &json!({"text": text, "weight": 2}))
}

fn end(server: &Server, who: &Person, group: &Group, goal: &str, outcome: &str) -> Answer {
    let path = group.path(&format!("/goals/{goal}"));
    let version = server.version(who, &path);
    server.change(who, "POST", &format!("{path}/ending"), &version, &json!({"outcome": outcome}))
}

/// A goal of the group's member to which both agreed.
fn live(server: &Server, group: &Group, weight: i32) -> String {
    let goal = propose(server, &group.lead, group, Some(&group.member.id), weight).made();
    let agreed = agree(server, &group.member.person, group, &goal, 1).expect(200);
    assert_eq!(agreed["state"], "live", "{agreed}");
    goal
}

fn attainment(server: &Server, who: &Person, group: &Group) -> Value {
    let path = group.path(&format!("/members/{}/goal-attainment", group.member.id));
    server.get(who, &path).expect(200)
}

fn set(server: &Server, who: &Person, group: &Group, member: &str) -> Answer {
    let body = json!({"member": member, "text": "One walk before noon.", "due_on": "2030-01-01"});
    server.post(who, &group.path("/homework"), &body)
}

fn report(server: &Server, who: &Person, group: &Group, homework: &str, body: &Value) -> Answer {
    server.request("PUT", &group.path(&format!("/homework/{homework}/report"))).token(&who.token).json(body).send()
}

fn list(server: &Server, who: &Person, group: &Group, rest: &str) -> Vec<Value> {
    server.get(who, &group.path(rest)).expect(200)["items"].as_array().expect("a list").clone()
}

/// Says that a session was held.
fn hold(server: &Server, group: &Group, session: &str) {
    let path = group.path(&format!("/sessions/{session}"));
    let version = server.version(&group.lead, &path);
    server.change(&group.lead, "POST", &format!("{path}/holding"), &version, &json!({})).expect(200);
}

fn withdraw_consent(server: &Server, group: &Group) {
    let who = &group.member.person;
    let signature = text(&list(server, who, group, "/signatures")[0]["id"]);
    server.post(who, &group.path(&format!("/signatures/{signature}/withdrawal")), &json!({})).expect(204);
}

#[test]
fn a_t_score_is_that_of_kiresuk_and_sherman() {
    let score = |goals: &[(i32, i32)]| {
        let rated: Vec<Rated> = goals.iter().map(|&(weight, level)| Rated { weight, level }).collect();
        t_score(&rated).map(|points| points.thousandths())
    };
    // One goal: 50 + 10 x, whatever it weighs.
    for (level, expected) in [(-2, 30_000), (-1, 40_000), (0, 50_000), (1, 60_000), (2, 70_000)] {
        assert_eq!(score(&[(1, level)]), Some(expected));
        assert_eq!(score(&[(9, level)]), Some(expected));
    }
    // Two of one weight, one level above: 50 + 20 / sqrt(0.7 * 2 + 0.3 * 4).
    assert_eq!(score(&[(1, 1), (1, 1)]), Some(62_403));
    // Weights 3 and 1, levels 1 and -2: 50 + 10 / sqrt(0.7 * 10 + 0.3 * 16).
    assert_eq!(score(&[(3, 1), (1, -2)]), Some(52_911));
    // Six goals: 50 + 70 / sqrt(0.7 * 91 + 0.3 * 441).
    assert_eq!(score(&[(3, -2), (5, 0), (1, -1), (4, 2), (2, 0), (6, 1)]), Some(55_000));
    assert_eq!(score(&[]), None);
}

#[test]
fn a_goal_that_was_not_rated_is_never_counted_as_attained() {
    let both = Agreement { member_at: Some(Moment(1)), clinician_at: Some(Moment(2)) };
    let one = Agreement { member_at: Some(Moment(1)), clinician_at: None };
    let goal = |agreement, outcome, level| Scaled { weight: 1, agreement, outcome, level };
    let of = |goals: &[Scaled]| {
        let summary = summary(goals);
        (summary.t_score.map(|points| points.thousandths()), summary.no_score, summary.agreed, summary.rated)
    };
    assert_eq!(of(&[goal(both, None, Some(-2)), goal(both, None, None)]), (Some(30_000), None, 2, 1));
    assert_eq!(of(&[]), (None, Some(NoSummary::NothingAgreed), 0, 0));
    assert_eq!(of(&[goal(one, None, Some(2))]), (None, Some(NoSummary::NothingAgreed), 0, 0));
    assert_eq!(of(&[goal(both, None, None)]), (None, Some(NoSummary::NothingRated), 1, 0));
    let wrong = Some(Outcome::EnteredInError);
    assert_eq!(of(&[goal(both, wrong, Some(2))]), (None, Some(NoSummary::NothingAgreed), 0, 0));
    // Dropping what went badly raises nothing.
    let dropped = Some(Outcome::Dropped);
    assert_eq!(of(&[goal(both, dropped, Some(-1)), goal(both, None, Some(1))]), (Some(50_000), None, 2, 2));
}

#[test]
fn a_goal_of_one_side_alone_is_not_live() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let proposed = propose(server, who, led, None, 3).expect(201);
    let goal = text(&proposed["id"]);
    assert_eq!((&proposed["state"], &proposed["proposed_as"]), (&json!("proposed"), &json!("member")));
    assert_eq!(proposed["wording"]["levels"]["expected"], "Three times a week");
    assert!(proposed["wording"]["clinician_agreed_at"].is_null() && !proposed["wording"]["member_agreed_at"].is_null());
    // The member's own second agreement is none of the therapist.
    assert_eq!(agree(server, who, led, &goal, 1).expect(200)["state"], "proposed");
    rate(server, who, led, &goal, 1).expect(409);
    rate(server, &led.lead, led, &goal, 1).expect(409);
    let none = attainment(server, who, led);
    assert_eq!(none["by_member"]["no_score"], "nothing_agreed", "{none}");
    // A trainee agrees to nothing.
    agree(server, led.trainee.as_ref().unwrap(), led, &goal, 1).expect(403);
    let agreed = agree(server, &led.co_lead, led, &goal, 1).expect(200);
    assert_eq!((&agreed["state"], &agreed["wording"]["clinician_agreed_by"]), (&json!("live"), &json!(led.co_lead.id)));
    // Once more, also by another therapist, changes nothing.
    let path = led.path(&format!("/goals/{goal}"));
    let before = server.get(who, &path);
    agree(server, &led.lead, led, &goal, 1).expect(200);
    let after = server.get(who, &path);
    assert_eq!((before.etag(), &before.text), (after.etag(), &after.text));
    rate(server, who, led, &goal, 1).expect(201);
}

#[test]
fn a_changed_wording_needs_agreement_anew() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let goal = live(server, led, 1);
    rate(server, who, led, &goal, 2).expect(201);
    let path = led.path(&format!("/goals/{goal}"));
    // The same words are no other wording.
    let same = json!({"text": "Leave the house.", "levels": {"expected": "Three times a week"}, "weight": 1});
    let version = server.version(&led.lead, &path);
    assert_eq!(server.change(&led.lead, "PUT", &path, &version, &same).expect(200)["state"], "live");
    let reworded = reword(server, &led.lead, led, &goal, "Leave the house with the dog.").expect(200);
    assert_eq!((&reworded["state"], &reworded["wording"]["number"]), (&json!("proposed"), &json!(2)));
    assert_eq!(reworded["earlier_wordings"][0]["text"], "Leave the house.");
    assert!(!reworded["earlier_wordings"][0]["member_agreed_at"].is_null());
    rate(server, who, led, &goal, 1).expect(409);
    // Neither the old agreement nor the old ratings stand for the new words.
    assert_eq!(attainment(server, who, led)["by_member"]["no_score"], "nothing_agreed");
    // Who read the first wording does not agree to the second.
    agree(server, who, led, &goal, 1).expect(409);
    agree(server, who, led, &goal, 3).expect(409);
    agree(server, who, led, &goal, 2).expect(200);
    let summed = attainment(server, who, led);
    assert_eq!(
        (&summed["by_member"]["no_score"], &summed["by_member"]["agreed"]),
        (&json!("nothing_rated"), &json!(1))
    );
    // Of two who reword the version that both read, one is told to read again.
    let version = server.version(who, &path);
    let body = json!({"text": "Leave the house at all."});
    server.change(who, "PUT", &path, &version, &body).expect(200);
    server.change(&led.lead, "PUT", &path, &version, &body).expect(412);
    server.request("PUT", &path).token(&who.token).json(&body).send().expect(428);
    let numbers: Vec<Value> = server.get(who, &path).expect(200)["earlier_wordings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|wording| wording["number"].clone())
        .collect();
    assert_eq!(numbers, [json!(1), json!(2)]);
}

#[test]
fn two_who_agree_at_once_both_agree() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let goal = live(server, led, 1);
    let reworded = reword(server, &led.co_lead, led, &goal, "Call a friend.").expect(200);
    assert_eq!(reworded["state"], "proposed");
    let goal = goal.as_str();
    std::thread::scope(|scope| {
        let asked = [&led.member.person, &led.lead, &led.member.person, &led.co_lead]
            .map(|who| scope.spawn(move || agree(server, who, led, goal, 2).status));
        for answer in asked {
            assert_eq!(answer.join().unwrap(), 200);
        }
    });
    let path = led.path(&format!("/goals/{goal}"));
    assert_eq!(server.get(&led.lead, &path).expect(200)["state"], "live");
    // Two who reword at once make one wording.
    let version = server.version(&led.lead, &path);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked = [&led.member.person, &led.lead].map(|who| {
            let (path, version) = (&path, &version);
            scope.spawn(move || server.change(who, "PUT", path, version, &json!({"text": who.name})).status)
        });
        asked.map(|answer| answer.join().unwrap()).into()
    });
    assert!(statuses.contains(&200) && statuses.contains(&412), "{statuses:?}");
    assert_eq!(server.get(&led.lead, &path).expect(200)["wording"]["number"], 3);
}

#[test]
fn what_the_member_says_and_what_the_therapist_says_never_mix() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let (first, second) = (live(server, led, 3), live(server, led, 1));
    assert_eq!(attainment(server, who, led)["by_member"]["no_score"], "nothing_rated");
    rate(server, who, led, &first, 1).expect(201);
    rate(server, who, led, &second, -2).expect(201);
    let by_lead = rate(server, &led.lead, led, &first, -1).expect(201);
    assert_eq!((&by_lead["rated_as"], &by_lead["recorded_by"]), (&json!("clinician"), &json!(led.lead.id)));
    for reader in [who, &led.lead, led.trainee.as_ref().unwrap()] {
        let summed = attainment(server, reader, led);
        assert_eq!((&summed["by_member"]["t_score"], &summed["by_member"]["rated"]), (&json!(52.911), &json!(2)));
        // The second goal is not rated by the therapist: left out, and said to be.
        let by_clinician = &summed["by_clinician"];
        assert_eq!(
            (&by_clinician["t_score"], &by_clinician["rated"], &by_clinician["agreed"]),
            (&json!(40.0), &json!(1), &json!(2))
        );
        assert_eq!(by_clinician["goals"][1]["level"], Value::Null);
    }
    // Ended goals go on counting; what never was a goal of theirs does not.
    end(server, who, led, &second, "dropped").expect(200);
    assert_eq!(attainment(server, who, led)["by_member"]["t_score"], 52.911);
    end(server, &led.lead, led, &first, "entered_in_error").expect(200);
    assert_eq!(attainment(server, who, led)["by_member"]["t_score"], 30.0);
    assert_eq!(attainment(server, who, led)["by_clinician"]["no_score"], "nothing_rated");
}

#[test]
fn a_rating_written_down_late_does_not_hide_a_later_event() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let goal = live(server, led, 1);
    let agreed_at = server.db.clock.now();
    server.travel_days(3);
    let now = server.db.clock.now();
    rate_at(server, who, led, &goal, 2, now).expect(201);
    let late = rate_at(server, who, led, &goal, -2, agreed_at.plus_days(1)).expect(201);
    assert_ne!(late["rated_at"], late["recorded_at"]);
    let summed = attainment(server, who, led);
    assert_eq!((&summed["by_member"]["t_score"], &summed["by_member"]["rated"]), (&json!(70.0), &json!(1)));
    // Neither before the agreement nor ahead of now.
    rate_at(server, who, led, &goal, 0, agreed_at.plus_days(-1)).refuses("/rated_at");
    rate_at(server, who, led, &goal, 0, now.plus_days(1)).refuses("/rated_at");
    for level in [json!(3), json!(-3), json!(0.5), Value::Null, json!("0")] {
        let path = led.path(&format!("/goals/{goal}/ratings"));
        server.post(who, &path, &json!({"level": level})).refuses("/level");
    }
    let path = format!("/goals/{goal}/ratings");
    let levels: Vec<Value> = list(server, &led.lead, led, &path).iter().map(|rating| rating["level"].clone()).collect();
    assert_eq!(levels, [json!(2), json!(-2)]);
    let page = server.get(who, &led.path(&format!("{path}?limit=1"))).expect(200);
    let next = led.path(&format!("{path}?limit=1&cursor={}", page["next"].as_str().unwrap()));
    let last = server.get(who, &next).expect(200);
    assert_eq!((&last["items"][0]["level"], &last["next"]), (&json!(-2), &Value::Null));
}

#[test]
fn a_corrected_rating_stays_in_its_history() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let goal = live(server, led, 1);
    let rating = rate(server, who, led, &goal, 2).expect(201);
    let path = led.path(&format!("/goal-ratings/{}", text(&rating["id"])));
    let body = |level: i32, is_error: bool| {
        json!({
            "level": level, "rated_at": rating["rated_at"], "words": "Twice.", "reason": "Counted wrong.",
            "entered_in_error": is_error
        })
    };
    // Nobody puts words into the other side's mouth, and nobody corrects what they did not read.
    assert_eq!(server.get(&led.lead, &path).etag(), "\"1\"");
    server.change(&led.lead, "PUT", &path, "\"1\"", &body(-2, false)).expect(409);
    server.change(who, "PUT", &path, "\"2\"", &body(1, false)).expect(412);
    server.request("PUT", &path).token(&who.token).json(&body(1, false)).send().expect(428);
    let corrected = server.change(who, "PUT", &path, "\"1\"", &body(1, false));
    let next = corrected.etag();
    let corrected = corrected.expect(200);
    assert_eq!((&corrected["level"], &corrected["version"]), (&json!(1), &json!(2)));
    assert_eq!(corrected["earlier_versions"][0]["level"], 2);
    server.change(who, "PUT", &path, "\"1\"", &body(0, false)).expect(412);
    assert_eq!(attainment(server, who, led)["by_member"]["t_score"], 60.0);
    server.change(who, "PUT", &path, &next, &body(1, true)).expect(200);
    assert_eq!(attainment(server, who, led)["by_member"]["no_score"], "nothing_rated");
    let kept = &list(server, &led.lead, led, &format!("/goals/{goal}/ratings"))[0];
    assert_eq!(kept["earlier_versions"].as_array().unwrap().len(), 2, "{kept}");
    assert_eq!((&kept["entered_in_error"], &kept["reason"]), (&json!(true), &json!("Counted wrong.")));
}

#[test]
fn a_goal_ends_with_an_outcome_and_is_not_deleted() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let goal = live(server, led, 1);
    let path = led.path(&format!("/goals/{goal}"));
    let old = server.version(who, &path);
    end(server, who, led, &goal, "given_up").refuses("/outcome");
    let ended = end(server, &led.lead, led, &goal, "partly_attained").expect(200);
    assert_eq!((&ended["state"], &ended["ending"]["ended_as"]), (&json!("ended"), &json!("clinician")));
    server.change(who, "POST", &format!("{path}/ending"), &old, &json!({"outcome": "attained"})).expect(412);
    end(server, who, led, &goal, "attained").expect(409);
    reword(server, who, led, &goal, "Another one.").expect(409);
    agree(server, who, led, &goal, 1).expect(409);
    rate(server, who, led, &goal, 1).expect(409);
    server.request("DELETE", &path).token(&led.lead.token).send().expect(405);
    assert_eq!(server.get(who, &path).expect(200)["ending"]["outcome"], "partly_attained");
}

#[test]
fn without_live_consent_nothing_is_taken() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let goal = live(server, led, 1);
    let proposed = propose(server, &led.lead, led, Some(&led.member.id), 1).made();
    let homework = set(server, &led.lead, led, &led.member.id).made();
    withdraw_consent(server, led);
    for by in [who, &led.lead] {
        let member = (by.id == led.lead.id).then_some(led.member.id.as_str());
        propose(server, by, led, member, 1).expect(409);
        agree(server, by, led, &proposed, 1).expect(409);
        reword(server, by, led, &goal, "Something else.").expect(409);
        rate(server, by, led, &goal, 1).expect(409);
        report(server, by, led, &homework, &json!({"said": "done"})).expect(409);
    }
    set(server, &led.lead, led, &led.member.id).expect(409);
    // What was taken before stays to be read, and a goal does not hang in the air.
    server.get(who, &led.path(&format!("/goals/{goal}"))).expect(200);
    end(server, &led.lead, led, &goal, "dropped").expect(200);
    assert_eq!(list(server, who, led, "/homework").len(), 1);
}

#[test]
fn a_membership_that_ended_is_over_and_stays_to_be_read() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let goal = live(server, led, 1);
    let homework = set(server, &led.lead, led, &led.member.id).made();
    server.travel_days(1);
    let last_day = server.db.clock.now();
    server.travel_days(1);
    world::leave(server, &led.member, &led.id);
    server.travel_days(1);
    propose(server, who, led, None, 1).expect(403);
    rate(server, who, led, &goal, 1).expect(403);
    agree(server, who, led, &goal, 1).expect(403);
    report(server, who, led, &homework, &json!({"said": "done"})).expect(403);
    server.get(who, &led.path(&format!("/goals/{goal}"))).expect(200);
    assert_eq!(list(server, who, led, "/homework").len(), 1);
    propose(server, &led.lead, led, Some(&led.member.id), 1).expect(409);
    reword(server, &led.lead, led, &goal, "Another one.").expect(409);
    set(server, &led.lead, led, &led.member.id).expect(409);
    report(server, &led.lead, led, &homework, &json!({"said": "done"})).expect(409);
    // What was seen before the end is written down afterwards, and nothing that was not.
    rate(server, &led.lead, led, &goal, 1).refuses("/rated_at");
    rate_at(server, &led.lead, led, &goal, 1, last_day).expect(201);
    assert_eq!(attainment(server, who, led)["by_clinician"]["t_score"], 60.0);
}

#[test]
fn nothing_of_one_member_reaches_another() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let other = &led.second_member.person;
    let goal = live(server, led, 1);
    let rating = rate(server, &led.member.person, led, &goal, 1).made();
    let homework = set(server, &led.lead, led, &led.member.id).made();
    let nobody = Id::random().to_string();
    let ask = |method: &str, path: &str, body: Option<Value>| {
        let request = server.request(method, &led.path(path)).token(&other.token).version("\"1\"");
        match body {
            Some(body) => request.json(&body).send(),
            None => request.send(),
        }
    };
    let wording = json!({"text": "Mine."});
    let correction = json!({"level": 0, "rated_at": "2026-01-01T00:00:00Z", "reason": "Mine."});
    let asked: [(&str, &str, &str, &str, Option<Value>); 11] = [
        ("GET", "/goals/", &goal, "", None),
        ("PUT", "/goals/", &goal, "", Some(wording)),
        ("POST", "/goals/", &goal, "/agreement", Some(json!({"wording": 1}))),
        ("POST", "/goals/", &goal, "/ending", Some(json!({"outcome": "dropped"}))),
        ("POST", "/goals/", &goal, "/ratings", Some(json!({"level": 0}))),
        ("GET", "/goals/", &goal, "/ratings", None),
        ("GET", "/goal-ratings/", &rating, "", None),
        ("PUT", "/goal-ratings/", &rating, "", Some(correction)),
        ("GET", "/members/", &led.member.id, "/goal-attainment", None),
        ("GET", "/homework/", &homework, "", None),
        ("PUT", "/homework/", &homework, "/report", Some(json!({"said": "done"}))),
    ];
    for (method, before, id, after, body) in asked {
        let theirs = ask(method, &format!("{before}{id}{after}"), body.clone());
        let nobodys = ask(method, &format!("{before}{nobody}{after}"), body);
        assert_eq!((theirs.status, &theirs.text), (404, &nobodys.text), "{method} {before}");
    }
    assert!(list(server, other, led, "/goals").is_empty() && list(server, other, led, "/homework").is_empty());
    for list in ["goals", "homework"] {
        ask("GET", &format!("/{list}?member={}", led.member.id), None).expect(404);
    }
    let theirs = propose(server, other, led, Some(&led.member.id), 1);
    assert_eq!(theirs.text, propose(server, other, led, Some(&nobody), 1).text);
    theirs.refuses("/member");
    // Nor does a therapist of another group reach it, or name somebody of another group.
    server.get(&world.other.lead, &led.path(&format!("/goals/{goal}"))).expect(404);
    server.get(&world.other.lead, &world.other.path(&format!("/goals/{goal}"))).expect(404);
    propose(server, &led.lead, led, Some(&world.other.member.id), 1).refuses("/member");
    propose(server, &led.lead, led, None, 1).refuses("/member");
    set(server, &led.lead, led, &world.other.member.id).refuses("/member");
    set(server, &led.member.person, led, &led.member.id).expect(403);
    // In a peer-led group there are none.
    server.get(&world.peer.lead, &world.peer.path("/goals")).expect(403);
}

#[test]
fn the_same_request_sent_twice_has_one_effect() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let send = |by: &Person, path: &str, key: &str, body: &Value| {
        server.request("POST", &led.path(path)).token(&by.token).key(key).json(body).send()
    };
    let goal_body = json!({"text": "Call a friend."});
    let goal = send(who, "/goals", "a-goal-of-mine", &goal_body).made();
    assert_eq!(send(who, "/goals", "a-goal-of-mine", &goal_body).made(), goal);
    send(who, "/goals", "a-goal-of-mine", &json!({"text": "Another."})).expect(422);
    agree(server, &led.lead, led, &goal, 1).expect(200);
    let path = format!("/goals/{goal}/ratings");
    let rating = send(who, &path, "a-rating-of-mine", &json!({"level": 1})).made();
    assert_eq!(send(who, &path, "a-rating-of-mine", &json!({"level": 1})).made(), rating);
    let homework_body = json!({"member": led.member.id, "text": "A walk."});
    let homework = send(&led.lead, "/homework", "homework-for-mira", &homework_body).made();
    assert_eq!(send(&led.lead, "/homework", "homework-for-mira", &homework_body).made(), homework);
    for (list_path, count) in [("/goals", 1), (path.as_str(), 1), ("/homework", 1)] {
        assert_eq!(list(server, who, led, list_path).len(), count, "{list_path}");
    }
}

#[test]
fn homework_reaches_those_who_were_expected_and_nobody_else() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (present, absent) = (&led.member, &led.second_member);
    let first = world.session();
    let (session, item) = (text(&first["id"]), text(&first["agenda"][0]["id"]));
    // A plan gives nothing yet.
    assert!(list(server, &present.person, led, "/homework").is_empty());
    let path = led.path(&format!("/sessions/{session}"));
    let version = server.version(&led.lead, &path);
    let now = server.db.clock.now();
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30),
        "attendance": [
            {"member": present.id, "status": "attended"}, {"member": absent.id, "status": "no_show"}
        ]
    });
    server.change(&led.lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
    let late = world::member(server, &led.lead, &led.id, "Late Lina");
    for member in [present, absent] {
        let seen = list(server, &member.person, led, "/homework");
        assert_eq!((seen.len(), &seen[0]["text"]), (1, &json!("Three thought records")));
        let given = seen[0]["given"].as_array().unwrap();
        assert_eq!((given.len(), &given[0]["member"]), (1, &json!(member.id)));
    }
    // Who joins later has missed it, and gets what is given from then on.
    assert!(list(server, &late.person, led, "/homework").is_empty());
    server.get(&late.person, &led.path(&format!("/homework/{item}"))).expect(404);
    report(server, &late.person, led, &item, &json!({"said": "done"})).expect(404);
    report(server, &led.lead, led, &item, &json!({"member": late.id, "said": "done"})).refuses("/member");
    server.travel_days(1);
    let second = world.session();
    let later = text(&second["agenda"][0]["id"]);
    hold(server, led, &text(&second["id"]));
    assert_eq!(list(server, &late.person, led, "/homework")[0]["id"], json!(later));
    assert_eq!(list(server, &present.person, led, "/homework").len(), 2);
    // The one who was not expected on the first evening is in nobody's list of it.
    let of_first = &list(server, &led.lead, led, &format!("/homework?session={session}"))[0];
    let given: Vec<&Value> = of_first["given"].as_array().unwrap().iter().map(|given| &given["member"]).collect();
    assert!(given.contains(&&json!(absent.id)) && !given.contains(&&json!(late.id)), "{of_first}");
    // Left since, and still theirs.
    world::leave(server, absent, &led.id);
    assert_eq!(list(server, &absent.person, led, "/homework").len(), 2);
}

#[test]
fn a_cancelled_session_and_a_skipped_item_give_no_homework() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let cancelled = world.session();
    let path = led.path(&format!("/sessions/{}", text(&cancelled["id"])));
    let version = server.version(&led.lead, &path);
    let reason = json!({"reason": "The building is closed."});
    server.change(&led.lead, "POST", &format!("{path}/cancellation"), &version, &reason).expect(200);
    let skipped = world.session();
    let item = text(&skipped["agenda"][0]["id"]);
    let path = led.path(&format!("/sessions/{}", text(&skipped["id"])));
    let version = server.version(&led.lead, &path);
    let now = server.db.clock.now();
    let record = |delivered: &Value| json!({"held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "items": [delivered]});
    let body = record(&json!({"item": item, "delivered": "skipped"}));
    server.change(&led.lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
    assert!(list(server, who, led, "/homework").is_empty());
    assert!(list(server, &led.lead, led, "/homework").is_empty());
    let of_cancelled = text(&cancelled["agenda"][0]["id"]);
    for item in [&of_cancelled, &item] {
        report(server, who, led, item, &json!({"said": "not_done"})).expect(404);
    }
    // An item without homework gives none either, and a correction of the recording counts.
    report(server, who, led, &text(&skipped["agenda"][1]["id"]), &json!({"said": "done"})).expect(404);
    let version = server.version(&led.lead, &path);
    let body = record(&json!({"item": item, "delivered": "partly", "minutes": 5}));
    server.change(&led.lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
    assert_eq!(list(server, who, led, "/homework").len(), 1);
}

#[test]
fn a_report_is_never_overwritten_unseen() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let session = world.session();
    let item = text(&session["agenda"][0]["id"]);
    hold(server, led, &text(&session["id"]));
    let path = led.path(&format!("/homework/{item}"));
    report(server, who, led, &item, &json!({"said": "some"})).refuses("/said");
    // The therapist says of whom; a member speaks for nobody else.
    report(server, &led.lead, led, &item, &json!({"said": "done"})).refuses("/member");
    let for_other = json!({"member": led.second_member.id, "said": "done"});
    report(server, who, led, &item, &for_other).refuses("/member");
    let first = report(server, who, led, &item, &json!({"said": "not_said"}));
    let read = first.etag();
    assert_eq!(first.expect(200)["given"][0]["report"]["reported_as"], "member");
    report(server, who, led, &item, &json!({"said": "done"})).expect(428);
    let by_lead = json!({"member": led.member.id, "said": "partly", "words": "Two of three."});
    let put = led.path(&format!("/homework/{item}/report"));
    server.change(&led.lead, "PUT", &put, "\"0\"", &by_lead).expect(412);
    server.change(&led.lead, "PUT", &put, &read, &by_lead).expect(200);
    server.change(who, "PUT", &put, &read, &json!({"said": "done"})).expect(412);
    let seen = server.get(who, &path);
    let version = seen.etag();
    let seen = seen.expect(200);
    let kept = &seen["given"][0]["report"];
    assert_eq!((&kept["said"], &kept["reported_as"]), (&json!("partly"), &json!("clinician")));
    assert_eq!(kept["earlier_versions"][0]["said"], "not_said");
    assert_eq!(version, "\"2\"");
    // What one member says is not said of another.
    let all = server.get(&led.lead, &path).expect(200);
    let given = all["given"].as_array().unwrap();
    assert_eq!(given.iter().filter(|given| !given["report"].is_null()).count(), 1, "{all}");
    let of_other = server.get(&led.lead, &format!("{path}?member={}", led.second_member.id));
    assert_eq!(of_other.expect(200)["given"][0]["report"], Value::Null);
    // Of two first reports at once, one is kept.
    let homework = set(server, &led.lead, led, &led.member.id).made();
    let (homework, said) = (homework.as_str(), &json!({"said": "done"}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked = [who, &led.lead].map(|who| scope.spawn(move || report(server, who, led, homework, said).status));
        asked.map(|answer| answer.join().unwrap()).into()
    });
    assert!(statuses.contains(&200) && statuses.iter().any(|status| matches!(status, 412 | 428)), "{statuses:?}");
}

#[test]
fn homework_set_by_mistake_is_taken_back() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let trainee = led.trainee.as_ref().unwrap();
    let homework = set(server, trainee, led, &led.member.id).made();
    let path = led.path(&format!("/homework/{homework}"));
    let reason = json!({"reason": "Meant for somebody else."});
    server.post(who, &format!("{path}/withdrawal"), &reason).expect(403);
    let withdrawn = server.post(&led.lead, &format!("{path}/withdrawal"), &reason).expect(200);
    server.post(&led.co_lead, &format!("{path}/withdrawal"), &json!({"reason": "Twice."})).expect(200);
    assert!(list(server, who, led, "/homework").is_empty());
    server.get(who, &path).expect(404);
    report(server, who, led, &homework, &json!({"said": "done"})).expect(404);
    report(server, &led.lead, led, &homework, &json!({"said": "done"})).expect(409);
    let kept = server.get(&led.lead, &path).expect(200);
    assert_eq!(kept["withdrawn_reason"], "Meant for somebody else.");
    assert_eq!(kept["withdrawn_at"], withdrawn["withdrawn_at"]);
    // What was answered already stays.
    let answered = set(server, &led.lead, led, &led.member.id).made();
    report(server, who, led, &answered, &json!({"said": "done", "words": "Both days."})).expect(200);
    server.post(&led.lead, &led.path(&format!("/homework/{answered}/withdrawal")), &reason).expect(409);
    // Page by page, nothing is lost: over homework of sessions and of one's own.
    server.travel_days(1);
    let session = world.session();
    hold(server, led, &text(&session["id"]));
    let page = server.get(who, &led.path("/homework?limit=1")).expect(200);
    let next = led.path(&format!("/homework?limit=1&cursor={}", page["next"].as_str().unwrap()));
    let last = server.get(who, &next).expect(200);
    assert_eq!((&last["items"][0]["id"], &last["next"]), (&json!(answered), &Value::Null));
}

#[test]
fn what_is_written_of_goals_lies_in_no_database_in_the_clear() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    const SECRET: &str = "quince marmalade";
    let body = json!({"text": SECRET, "levels": {"more": SECRET}});
    let goal = server.post(who, &led.path("/goals"), &body).made();
    agree(server, &led.lead, led, &goal, 1).expect(200);
    let rated = json!({"level": 1, "words": SECRET});
    let rating = server.post(who, &led.path(&format!("/goals/{goal}/ratings")), &rated).expect(201);
    let corrected = json!({"level": 0, "rated_at": rating["rated_at"], "words": SECRET, "reason": SECRET});
    let path = led.path(&format!("/goal-ratings/{}", text(&rating["id"])));
    server.change(who, "PUT", &path, "\"1\"", &corrected).expect(200);
    let homework = json!({"member": led.member.id, "text": SECRET});
    let homework = server.post(&led.lead, &led.path("/homework"), &homework).made();
    report(server, who, led, &homework, &json!({"said": "partly", "words": SECRET})).expect(200);
    let path = led.path(&format!("/goals/{goal}"));
    let version = server.version(who, &path);
    let ending = json!({"outcome": "attained", "words": SECRET});
    server.change(who, "POST", &format!("{path}/ending"), &version, &ending).expect(200);
    if let Some(file) = server.location.file() {
        for end in ["", "-wal"] {
            let bytes = std::fs::read(format!("{file}{end}")).unwrap_or_default();
            assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "in {file}{end}");
        }
    }
}

#[test]
fn a_closed_account_leads_to_no_goal() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let goal = propose(server, who, led, None, 1).made();
    agree(server, &led.lead, led, &goal, 1).expect(200);
    let rating = rate(server, who, led, &goal, 1).expect(201);
    let correction = json!({"level": 0, "rated_at": rating["rated_at"], "reason": "Less."});
    let path = led.path(&format!("/goal-ratings/{}", text(&rating["id"])));
    server.change(who, "PUT", &path, "\"1\"", &correction).expect(200);
    let homework = set(server, &led.lead, led, &led.member.id).made();
    report(server, who, led, &homework, &json!({"said": "partly"})).expect(200);
    let put = led.path(&format!("/homework/{homework}/report"));
    server.change(who, "PUT", &put, "\"1\"", &json!({"said": "done"})).expect(200);
    end(server, who, led, &goal, "attained").expect(200);
    let password = json!({"password": crate::harness::PASSWORD});
    server.request("DELETE", "/v1/account").token(&who.token).json(&password).send().expect(200);
    let account = who.id.to_string();
    for rest in [
        format!("/goals/{goal}"),
        format!("/goals/{goal}/ratings"),
        format!("/homework/{homework}"),
        format!("/members/{}/goal-attainment", led.member.id),
    ] {
        let kept = server.get(&led.lead, &led.path(&rest));
        assert_eq!(kept.status, 200, "{rest}: {}", kept.text);
        assert!(!kept.text.contains(&account), "{rest}: {}", kept.text);
    }
}
