//! Risk marks over HTTP: nobody forgets one, nothing erases it, and nothing of it leaves.

use circlekeeper::{
    rules::{
        instruments::Risk,
        risks::{Disposition, Duty, State, raises_anew},
    },
    values::{Id, Moment},
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    scene::{Records, Scene, text},
    world::{Group, World},
};

const HOUR: i64 = 60 * 60 * 1000;

/// Records of this subject for the access matrix: of the group's members, people with the ids of their memberships.
pub fn add_records(world: &World, group: &Group, members: &[(Person, String)], records: &mut Records) {
    let marks = list(&world.server, &group.lead, group, "?limit=200");
    for (person, member) in members {
        let mark = marks.iter().find(|mark| mark["member"] == *member).expect("a mark of each member");
        records.add("risk", &text(&mark["id"]), Some(person.id), None);
    }
}

/// An answer to the PHQ-9 with this ninth item; null declines it.
fn answers(ninth: Value) -> Value {
    let mut answers = json!({"phq-9.1": 1, "phq-9.2": 0, "phq-9.3": 2});
    answers["phq-9.9"] = ninth;
    answers
}

fn answer(server: &Server, who: &Person, group: &Group, ninth: Value) -> Value {
    let body = json!({"instrument": "phq-9", "answers": answers(ninth)});
    server.post(who, &group.path("/measures"), &body).expect(201)
}

fn list(server: &Server, who: &Person, group: &Group, query: &str) -> Vec<Value> {
    let listed = server.get(who, &group.path(&format!("/risks{query}"))).expect(200);
    listed["items"].as_array().expect("a list").clone()
}

/// Answers a positive ninth item as a member, and returns the path of the mark that it raises.
fn raised(server: &Server, group: &Group) -> String {
    let measure = text(&answer(server, &group.member.person, group, json!(1))["id"]);
    let marks = list(server, &group.lead, group, "?limit=200");
    let mark = marks.iter().find(|mark| mark["measure"] == measure).expect("the mark");
    group.path(&format!("/risks/{}", text(&mark["id"])))
}

/// Does something about a mark in the version that is there now.
fn act(server: &Server, who: &Person, mark: &str, what: &str, body: &Value) -> Answer {
    let version = server.version(who, mark);
    let method = if what == "owner" { "PUT" } else { "POST" };
    server.change(who, method, &format!("{mark}/{what}"), &version, body)
}

/// What an assessment says.
fn found() -> Value {
    json!({"note": "Passive thoughts, no plan, no means."})
}

fn steps(server: &Server, who: &Person, mark: &str) -> Vec<String> {
    let read = server.get(who, mark).expect(200);
    read["steps"].as_array().expect("steps").iter().map(|step| text(&step["step"])).collect()
}

fn correct(server: &Server, group: &Group, measure: &str, ninth: Value) -> Answer {
    let path = group.path(&format!("/measures/{measure}"));
    let read = server.get(&group.lead, &path);
    let body = json!({
        "respondent": "member", "taken_at": read.json()["taken_at"], "answers": answers(ninth), "reason": "Misread."
    });
    server.change(&group.lead, "PUT", &path, &read.etag(), &body)
}

fn mark_error(server: &Server, group: &Group, measure: &str) -> Answer {
    let path = group.path(&format!("/measures/{measure}"));
    let version = server.version(&group.lead, &path);
    let body = json!({"reason": "Another person's sheet."});
    server.change(&group.lead, "POST", &format!("{path}/error-mark"), &version, &body)
}

fn later(moment: &Value, milliseconds: i64) -> Value {
    let moment: Moment = serde_json::from_value(moment.clone()).expect("a moment");
    json!(Moment(moment.0 + milliseconds))
}

fn accounts(people: &Value) -> Vec<String> {
    people.as_array().expect("people").iter().map(|person| text(&person["account"])).collect()
}

// Raised.

#[test]
fn trap_4_half_an_answer_and_a_declined_item_raise_a_mark() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    answer(server, &led.member.person, led, json!(0));
    assert_eq!(list(server, &led.lead, led, ""), Vec::<Value>::new());
    let half = answer(server, &led.member.person, led, json!(1));
    assert_eq!(half["score"], Value::Null);
    let declined = answer(server, &led.second_member.person, led, Value::Null);
    let marks = list(server, &led.lead, led, "");
    let seen: Vec<_> = marks.iter().map(|mark| (&mark["measure"], &mark["risk"], &mark["state"])).collect();
    let positive = json!("positive");
    let (refused, raised) = (json!("declined"), json!("raised"));
    assert_eq!(seen, [(&half["id"], &positive, &raised), (&declined["id"], &refused, &raised)]);
    assert_eq!(marks[0]["member"], led.member.id);
    let read = server.get(&led.lead, &led.path(&format!("/risks/{}", text(&marks[0]["id"])))).expect(200);
    assert_eq!(read["steps"][0]["risk"], "positive");
    assert_eq!(read["steps"][0]["by"], Value::Null, "a member's account stands in no clinical record");
    assert_eq!(read["steps"][0]["owner"]["account"], led.lead.id.to_string());
}

#[test]
fn a_recording_raises_every_mark_or_keeps_nothing() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let session = text(&world.session()["id"]);
    let path = led.path(&format!("/sessions/{session}"));
    let now = server.db.clock.now();
    let record = |key: &str, last: Value| {
        let measure =
            |member: &str, ninth: Value| json!({"member": member, "instrument": "phq-9", "answers": answers(ninth)});
        let body = json!({
            "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30),
            "measures": [measure(&led.member.id, json!(2)), measure(&led.second_member.id, last)]
        });
        let request = server.request("PUT", &format!("{path}/recording")).token(&led.trainee.as_ref().unwrap().token);
        request.version("\"1\"").key(key).json(&body).send()
    };
    record("a-key-of-its-own", json!(7)).expect(422);
    assert_eq!(list(server, &led.lead, led, ""), Vec::<Value>::new());
    record("another-key-here", Value::Null).expect(200);
    record("another-key-here", Value::Null).expect(200);
    let marks = list(server, &led.lead, led, "");
    assert_eq!(marks.len(), 2, "a retry raises nothing again: {marks:?}");
    let read = server.get(&led.lead, &led.path(&format!("/risks/{}", text(&marks[0]["id"])))).expect(200);
    assert_eq!(read["steps"][0]["by"]["account"], led.trainee.as_ref().unwrap().id.to_string());
}

#[test]
fn no_later_answer_takes_a_mark_away() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    let before = server.get(&led.lead, &mark);
    for _ in 0..3 {
        answer(server, &led.member.person, led, json!(0));
    }
    assert_eq!(server.get(&led.lead, &mark).text, before.text);
    assert_eq!(list(server, &led.lead, led, "").len(), 1);
}

#[test]
fn a_correction_says_so_on_the_mark_and_takes_none_away() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    let measure = text(&server.get(&led.lead, &mark).json()["measure"]);
    let version = server.version(&led.lead, &mark);
    correct(server, led, &measure, json!(0)).expect(200);
    let read = server.get(&led.lead, &mark).expect(200);
    assert_eq!((&read["state"], &read["risk"]), (&json!("raised"), &json!("positive")));
    assert_eq!(steps(server, &led.lead, &mark), ["raised", "corrected"]);
    assert_eq!((&read["steps"][1]["risk"], &read["steps"][1]["note"]), (&json!("none"), &Value::Null));
    assert_eq!(read["steps"][1]["by"]["account"], led.lead.id.to_string());
    // Nobody acts upon a mark that they have not seen corrected.
    server.change(&led.lead, "POST", &format!("{mark}/acknowledgement"), &version, &json!({})).expect(412);
    mark_error(server, led, &measure).expect(200);
    assert_eq!(steps(server, &led.lead, &mark), ["raised", "corrected", "entered_in_error"]);
    assert_eq!(list(server, &led.lead, led, "").len(), 1, "it stays to be closed");
    act(server, &led.lead, &mark, "acknowledgement", &json!({})).expect(200);
    let closed = act(server, &led.lead, &mark, "closing", &json!({"disposition": "entered_in_error"})).expect(200);
    assert_eq!((&closed["state"], &closed["disposition"]), (&json!("closed"), &json!("entered_in_error")));
    assert_eq!(list(server, &led.lead, led, ""), Vec::<Value>::new());
    assert_eq!(list(server, &led.lead, led, "?state=closed").len(), 1);
    // Taken in again, it counts again: the closed one says so, and a new one is raised.
    correct(server, led, &measure, json!(1)).expect(200);
    assert_eq!(steps(server, &led.lead, &mark).last().unwrap(), "corrected");
    assert_eq!(server.get(&led.lead, &mark).json()["state"], "closed");
    let open = list(server, &led.lead, led, "");
    assert_eq!((open.len(), &open[0]["measure"]), (1, &json!(measure)));
}

#[test]
fn a_correction_that_makes_it_worse_is_never_lost() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    // From nothing.
    let harmless = text(&answer(server, &led.member.person, led, json!(0))["id"]);
    correct(server, led, &harmless, Value::Null).expect(200);
    let marks = list(server, &led.lead, led, "");
    assert_eq!((marks.len(), &marks[0]["risk"]), (1, &json!("declined")));
    // Nobody has looked yet: it is the same mark, and shows the worse of both.
    correct(server, led, &harmless, json!(2)).expect(200);
    let marks = list(server, &led.lead, led, "");
    assert_eq!((marks.len(), &marks[0]["risk"]), (1, &json!("positive")));
    // Somebody has assessed a declined item, and then it turns out to be a positive one.
    let declined = text(&answer(server, &led.second_member.person, led, Value::Null)["id"]);
    let of_declined = || {
        let marks = list(server, &led.lead, led, "");
        marks.into_iter().filter(|mark| mark["measure"] == declined).collect::<Vec<_>>()
    };
    let first = led.path(&format!("/risks/{}", text(&of_declined()[0]["id"])));
    act(server, &led.lead, &first, "acknowledgement", &json!({})).expect(200);
    act(server, &led.lead, &first, "assessment", &found()).expect(200);
    correct(server, led, &declined, json!(3)).expect(200);
    let both = of_declined();
    let states: Vec<_> = both.iter().map(|mark| (&mark["state"], &mark["risk"])).collect();
    let words = |state: &str, risk: &str| (json!(state), json!(risk));
    let (new, old) = (words("raised", "positive"), words("assessed", "declined"));
    assert_eq!(states, [(&new.0, &new.1), (&old.0, &old.1)]);
    // Corrected in another item, it is not raised a third time.
    correct(server, led, &declined, json!(3)).expect(200);
    assert_eq!(of_declined().len(), 2);
}

#[test]
fn what_corrected_answers_raise_depends_on_what_was_acted_upon() {
    use Disposition::{EnteredInError, NoAcuteRisk};
    use Risk::{Declined, None as Harmless, Positive};
    let table = [
        (Harmless, Harmless, None, false),
        (Harmless, Declined, None, true),
        (Harmless, Positive, None, true),
        (Declined, Positive, Some((State::Raised, None)), false),
        (Declined, Positive, Some((State::Acknowledged, None)), true),
        (Positive, Positive, Some((State::Assessed, None)), false),
        (Positive, Declined, Some((State::Assessed, None)), false),
        (Positive, Harmless, Some((State::Closed, Some(NoAcuteRisk))), false),
        (Positive, Positive, Some((State::Closed, Some(NoAcuteRisk))), false),
        (Harmless, Positive, Some((State::Closed, Some(NoAcuteRisk))), true),
        (Positive, Positive, Some((State::Closed, Some(EnteredInError))), true),
        (Harmless, Harmless, Some((State::Closed, Some(EnteredInError))), false),
    ];
    for (before, corrected, newest, raises) in table {
        assert_eq!(raises_anew(before, corrected, newest), raises, "{before:?} -> {corrected:?}, {newest:?}");
    }
}

// Acted upon.

#[test]
fn a_mark_takes_no_step_before_its_turn() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    let close = |disposition: &str| json!({"disposition": disposition});
    for (what, body) in [("assessment", found()), ("closing", close("no_acute_risk"))] {
        act(server, &led.lead, &mark, what, &body).expect(409);
    }
    let acknowledged = act(server, &led.co_lead, &mark, "acknowledgement", &json!({"note": "Seen."})).expect(200);
    assert_eq!(acknowledged["state"], "acknowledged");
    act(server, &led.lead, &mark, "acknowledgement", &json!({})).expect(409);
    // Nobody closes what was not assessed, and no answer that counts is put away as an error.
    act(server, &led.lead, &mark, "closing", &close("safety_plan")).expect(409);
    act(server, &led.lead, &mark, "closing", &close("entered_in_error")).refuses("/disposition");
    server.db.clock.shift(HOUR);
    // Nor is anybody assessed without a word about them.
    for nothing in [json!({}), json!({"note": null}), json!({"note": ""}), json!({"note": " \n "})] {
        act(server, &led.lead, &mark, "assessment", &nothing).refuses("/note");
    }
    assert_eq!(steps(server, &led.lead, &mark), ["raised", "acknowledged"]);
    act(server, &led.lead, &mark, "assessment", &json!({"note": "No plan, no means."})).expect(200);
    act(server, &led.lead, &mark, "closing", &close("entered_in_error")).refuses("/disposition");
    act(server, &led.lead, &mark, "closing", &close("other")).refuses("/note");
    act(server, &led.lead, &mark, "closing", &close("forgotten")).refuses("/disposition");
    act(server, &led.lead, &mark, "closing", &json!({"note": "Done."})).refuses("/disposition");
    let body = json!({"disposition": "other", "note": "Moved in with a sister."});
    let closed = act(server, &led.lead, &mark, "closing", &body).expect(200);
    let none: Vec<String> = Vec::new();
    assert_eq!(
        (&closed["due_at"], &closed["overdue"], accounts(&closed["asked"])),
        (&Value::Null, &json!(false), none)
    );
    for (what, body) in [
        ("acknowledgement", json!({})),
        ("assessment", found()),
        ("closing", close("no_acute_risk")),
        ("owner", json!({"owner": led.co_lead.id})),
    ] {
        act(server, &led.lead, &mark, what, &body).expect(409);
    }
    // Each step with who and when.
    let read = server.get(&led.lead, &mark).expect(200);
    let kept = read["steps"].as_array().unwrap();
    assert_eq!(steps(server, &led.lead, &mark), ["raised", "acknowledged", "assessed", "closed"]);
    assert_eq!(kept[1]["by"]["account"], led.co_lead.id.to_string());
    assert_eq!(kept[2]["by"]["account"], led.lead.id.to_string());
    assert_ne!(kept[1]["at"], kept[2]["at"]);
    assert_eq!(kept[3]["note"], "Moved in with a sister.");
}

#[test]
fn two_who_act_at_once_do_not_act_twice() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    let path = format!("{mark}/acknowledgement");
    server.request("POST", &path).token(&led.lead.token).json(&json!({})).send().expect(428);
    let version = server.version(&led.lead, &mark);
    let people = [&led.lead, &led.co_lead, led.trainee.as_ref().unwrap(), &led.lead];
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let sent = people.map(|who| scope.spawn(|| server.change(who, "POST", &path, &version, &json!({})).status));
        sent.into_iter().map(|answer| answer.join().expect("an answer")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412]);
    assert_eq!(steps(server, &led.lead, &mark), ["raised", "acknowledged"]);
    // Sent again after a lost answer, it is refused too, and changes nothing.
    server.change(&led.lead, "POST", &path, &version, &json!({})).expect(412);
    let owner = json!({"owner": led.co_lead.id});
    act(server, &led.lead, &mark, "owner", &owner).expect(200);
    act(server, &led.lead, &mark, "owner", &owner).expect(200);
    assert_eq!(steps(server, &led.lead, &mark), ["raised", "acknowledged", "assigned"]);
}

// Due.

#[test]
fn a_mark_on_which_nobody_acts_is_escalated_to_the_minute() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    let read = || server.get(&server.again(&led.lead), &mark).expect(200);
    let waiting = |who: &Person| list(server, &server.again(who), led, "?waiting_for_me=true").len();
    let (lead, both) = (vec![led.lead.id.to_string()], vec![led.lead.id.to_string(), led.co_lead.id.to_string()]);
    let begun = read();
    assert_eq!(begun["due_at"], later(&begun["raised_at"], 24 * HOUR));
    assert_eq!((&begun["overdue"], accounts(&begun["asked"])), (&json!(false), lead.clone()));
    assert_eq!((waiting(&led.lead), waiting(&led.co_lead)), (1, 0));
    server.db.clock.shift(24 * HOUR - 60_000);
    assert_eq!((&read()["overdue"], accounts(&read()["asked"])), (&json!(false), lead.clone()));
    server.db.clock.shift(60_000);
    let overdue = read();
    assert_eq!((&overdue["overdue"], accounts(&overdue["asked"])), (&json!(true), both.clone()));
    assert_eq!((waiting(&led.lead), waiting(&led.co_lead)), (1, 1));
    assert_eq!(waiting(led.trainee.as_ref().unwrap()), 0, "a trainee answers for nothing");
    // A late acknowledgement gives no more time: both are counted from the raising.
    let acknowledged = act(server, &server.again(&led.co_lead), &mark, "acknowledgement", &json!({})).expect(200);
    assert_eq!(acknowledged["due_at"], later(&begun["raised_at"], 72 * HOUR));
    assert_eq!((&acknowledged["overdue"], waiting(&led.co_lead)), (&json!(false), 0));
    server.db.clock.shift(48 * HOUR);
    assert_eq!((&read()["overdue"], accounts(&read()["asked"])), (&json!(true), both.clone()));
    // From an assessment on, two weeks until it is closed or the person assessed again.
    let assess = || act(server, &server.again(&led.lead), &mark, "assessment", &found()).expect(200);
    let assessed = assess();
    assert_eq!(assessed["due_at"], later(&assessed["steps"][2]["at"], 14 * 24 * HOUR));
    server.travel_days(14);
    assert_eq!((&read()["overdue"], accounts(&read()["asked"])), (&json!(true), both));
    let again = assess();
    assert_eq!((&again["overdue"], &again["state"]), (&json!(false), &json!("assessed")));
    assert_eq!(again["due_at"], later(&again["steps"][3]["at"], 14 * 24 * HOUR));
}

#[test]
fn the_most_urgent_mark_comes_first_on_every_page() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let marks: Vec<String> = (0..7)
        .map(|_| {
            server.db.clock.shift(HOUR);
            raised(server, led)
        })
        .collect();
    // Acknowledged, the first is due after all others.
    act(server, &led.lead, &marks[0], "acknowledgement", &json!({})).expect(200);
    for closed in &marks[5..] {
        server.db.clock.shift(HOUR);
        act(server, &led.lead, closed, "acknowledgement", &json!({})).expect(200);
        act(server, &led.lead, closed, "assessment", &found()).expect(200);
        act(server, &led.lead, closed, "closing", &json!({"disposition": "no_acute_risk"})).expect(200);
    }
    let order = |query: &str| {
        let marks = list(server, &led.lead, led, query);
        marks.iter().map(|mark| led.path(&format!("/risks/{}", text(&mark["id"])))).collect::<Vec<_>>()
    };
    let [first, second, third, fourth, fifth, sixth, seventh] = marks.try_into().unwrap();
    let open = [&second, &third, &fourth, &fifth, &first].map(String::clone);
    assert_eq!(order(""), open);
    assert_eq!(order("?state=acknowledged"), std::slice::from_ref(&first));
    assert_eq!(order("?state=raised"), open[..4]);
    assert_eq!(order("?state=closed"), [seventh, sixth]);
    assert_eq!(order(&format!("?member={}", led.second_member.id)), Vec::<String>::new());
    for (filter, whole) in [("", order("")), ("&state=closed", order("?state=closed"))] {
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = server.get(&led.lead, &led.path(&format!("/risks?limit=1{filter}{cursor}"))).expect(200);
            let items = page["items"].as_array().unwrap().clone();
            paged.extend(items.iter().map(|mark| led.path(&format!("/risks/{}", text(&mark["id"])))));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, whole);
    }
}

// Whose.

#[test]
fn a_mark_goes_to_nobody_who_does_not_lead() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    let nobody = Id::random();
    let give = |to: Id| act(server, &led.lead, &mark, "owner", &json!({"owner": to}));
    let words = give(nobody).text;
    for person in [
        led.trainee.as_ref().unwrap(),
        &led.member.person,
        &led.former_lead,
        &world.other.lead,
        &world.administrator,
        &world.outsider,
    ] {
        let refused = give(person.id);
        assert_eq!(refused.text, words, "{} can be told from nobody", person.name);
        refused.refuses("/owner");
    }
    assert_eq!(steps(server, &led.lead, &mark), ["raised"]);
    let given = give(led.co_lead.id).expect(200);
    assert_eq!(
        (&given["owner"]["account"], accounts(&given["asked"])),
        (&json!(led.co_lead.id.to_string()), vec![led.co_lead.id.to_string()])
    );
    assert_eq!(given["steps"][1]["by"]["account"], led.lead.id.to_string());
    assert_eq!(list(server, &led.lead, led, "?waiting_for_me=true"), Vec::<Value>::new());
    assert_eq!(list(server, &led.co_lead, led, "?waiting_for_me=true").len(), 1);
}

#[test]
fn a_mark_whose_owner_goes_is_nobodys_for_no_moment() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    let terms = server.get(&world.administrator, &led.path("/terms")).expect(200);
    let term = terms["items"].as_array().unwrap().iter().find(|term| term["account"] == led.lead.id.to_string());
    let path = led.path(&format!("/terms/{}/end", text(&term.unwrap()["id"])));
    server.post(&world.administrator, &path, &json!({})).expect(204);
    // Trap 21: the former lead is out with the next request.
    for read in [mark.clone(), led.path("/risks"), led.path("/risk-covers")] {
        server.get(&led.lead, &read).expect(404);
    }
    server.change(&led.lead, "POST", &format!("{mark}/acknowledgement"), "\"1\"", &json!({})).expect(404);
    let own = led.path("/risk-covers/own");
    server.request("DELETE", &own).token(&led.lead.token).send().expect(404);
    let read = server.get(&led.co_lead, &mark).expect(200);
    assert_eq!(read["owner"]["account"], led.co_lead.id.to_string());
    assert_eq!(accounts(&read["asked"]), [led.co_lead.id.to_string()]);
    assert_eq!(list(server, &led.co_lead, led, "?waiting_for_me=true").len(), 1);
    // What was done in the term stays under the name of who did it.
    assert_eq!(read["steps"][0]["owner"]["account"], led.lead.id.to_string());
    // A new mark is theirs from the beginning.
    answer(server, &led.member.person, led, json!(2));
    assert_eq!(list(server, &led.co_lead, led, "").len(), 2);
}

#[test]
fn a_stand_in_stands_in_for_no_longer_than_was_said() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    act(server, &led.lead, &mark, "acknowledgement", &json!({})).expect(200);
    let own = led.path("/risk-covers/own");
    let now = server.db.clock.now();
    let (from, until) = (now.plus_minutes(60), now.plus_minutes(180));
    let name = |who: &Person, body: &Value| server.request("PUT", &own).token(&who.token).json(body).send();
    let named = name(&led.lead, &json!({"stand_in": led.co_lead.id, "from_at": from, "until_at": until})).expect(200);
    assert_eq!(named["stand_in"]["name"], "Led Colead");
    let seen = || {
        let read = server.get(&led.lead, &mark).expect(200);
        assert_eq!(read["owner"]["account"], led.lead.id.to_string(), "a stand-in owns nothing");
        (read["stand_in"]["account"].as_str().map(str::to_owned), accounts(&read["asked"]))
    };
    let waiting = |who: &Person| list(server, who, led, "?waiting_for_me=true").len();
    let (lead, co_lead) = (led.lead.id.to_string(), led.co_lead.id.to_string());
    assert_eq!(seen(), (None, vec![lead.clone()]));
    server.db.clock.shift(HOUR);
    assert_eq!(seen(), (Some(co_lead.clone()), vec![co_lead.clone()]));
    assert_eq!((waiting(&led.lead), waiting(&led.co_lead)), (0, 1));
    // A new mark meanwhile belongs to the owner, and asks the stand-in.
    answer(server, &led.second_member.person, led, json!(1));
    assert_eq!((waiting(&led.lead), waiting(&led.co_lead)), (0, 2));
    server.db.clock.shift(2 * HOUR);
    assert_eq!(seen(), (None, vec![lead.clone()]));
    assert_eq!(server.get(&led.lead, &led.path("/risk-covers")).expect(200)["items"], json!([]));
    // Named anew, and taken back; twice does no harm.
    let until = server.db.clock.now().plus_days(7);
    name(&led.lead, &json!({"stand_in": led.co_lead.id, "until_at": until})).expect(200);
    name(&led.lead, &json!({"stand_in": led.co_lead.id, "until_at": until})).expect(200);
    let covers = server.get(led.trainee.as_ref().unwrap(), &led.path("/risk-covers")).expect(200);
    assert_eq!(covers["items"].as_array().unwrap().len(), 1, "the newer takes the older one's place: {covers}");
    // Both away, each for the other: it asks both, and neither is let go by the other's name.
    name(&led.co_lead, &json!({"stand_in": led.lead.id, "until_at": until})).expect(200);
    assert_eq!(seen(), (None, vec![lead.clone(), co_lead]));
    let open = list(server, &led.lead, led, "").len();
    assert_eq!((waiting(&led.lead), waiting(&led.co_lead)), (open, open));
    assert_eq!(waiting(led.trainee.as_ref().unwrap()), 0, "a trainee answers for nothing");
    for _ in 0..2 {
        server.request("DELETE", &own).token(&led.lead.token).send().expect(204);
    }
    assert_eq!(server.get(&led.lead, &led.path("/risk-covers")).expect(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(seen(), (None, vec![lead]));
}

#[test]
fn a_cover_that_covers_nothing_is_refused() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let own = led.path("/risk-covers/own");
    let now = server.db.clock.now();
    let name = |stand_in: Id, from_at: Moment, until_at: Moment| {
        let body = json!({"stand_in": stand_in, "from_at": from_at, "until_at": until_at});
        server.request("PUT", &own).token(&led.lead.token).json(&body).send()
    };
    name(led.lead.id, now, now.plus_days(1)).refuses("/stand_in");
    name(led.co_lead.id, now.plus_days(1), now.plus_days(1)).refuses("/until_at");
    name(led.co_lead.id, now.plus_days(-3), now.plus_days(-1)).refuses("/until_at");
    name(led.co_lead.id, now, now.plus_days(93)).refuses("/until_at");
    let words = name(Id::random(), now, now.plus_days(1)).text;
    for person in [led.trainee.as_ref().unwrap(), &led.former_lead, &led.member.person, &world.other.lead] {
        let refused = name(person.id, now, now.plus_days(1));
        assert_eq!(refused.text, words);
        refused.refuses("/stand_in");
    }
    assert_eq!(server.get(&led.lead, &led.path("/risk-covers")).expect(200)["items"], json!([]));
}

#[test]
fn no_mark_asks_only_people_who_are_away() {
    let [first, second, third, gone] = [(); 4].map(|()| Id::random());
    let all = vec![first, second, third];
    let duty = |covers: &[(Id, Id)]| Duty { leads: all.clone(), covers: covers.iter().copied().collect() };
    // Covers, the owner, who is asked, and who stands in.
    type Case<'a> = (&'a [(Id, Id)], Option<Id>, Vec<Id>, Option<Id>);
    let table: [Case; 12] = [
        (&[], Some(second), vec![second], None),
        (&[], None, vec![first], None),
        (&[], Some(gone), vec![first], None),
        (&[(first, third)], Some(gone), vec![third], Some(third)),
        (&[(first, third)], Some(second), vec![second], None),
        // Stood in for in turn.
        (&[(second, third), (third, first)], Some(second), vec![second, third, first], Some(first)),
        (&[(third, first), (second, third)], Some(third), vec![first], Some(first)),
        // Each for the other, all around, or for themselves.
        (&[(second, third), (third, second)], Some(second), all.clone(), None),
        (&[(first, second), (second, third), (third, second)], Some(first), all.clone(), None),
        (&[(first, first)], Some(first), all.clone(), None),
        // The stand-in has gone, or went while others stood in.
        (&[(second, gone)], Some(second), all.clone(), None),
        (&[(first, second), (second, gone)], Some(first), all.clone(), None),
    ];
    for (covers, owner, asked, stand_in) in table {
        let duty = duty(covers);
        let found = (duty.asked(owner, false), duty.stand_in(owner));
        assert_eq!(found, (asked, stand_in), "{covers:?}, {owner:?}");
        assert_eq!(duty.asked(owner, true), all);
    }
    assert_eq!(Duty::default().asked(Some(first), false), Vec::<Id>::new());
}

// Who may, and what leaves.

#[test]
fn a_trainee_reads_and_acknowledges_and_nothing_else() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let trainee = led.trainee.as_ref().unwrap();
    let mark = raised(server, led);
    act(server, trainee, &mark, "acknowledgement", &json!({"note": "I told Led Lead."})).expect(200);
    act(server, &led.lead, &mark, "assessment", &json!({"note": "For therapists alone."})).expect(200);
    let until = server.db.clock.now().plus_days(1);
    for (what, body) in [
        ("assessment", found()),
        ("closing", json!({"disposition": "no_acute_risk"})),
        ("owner", json!({"owner": led.lead.id})),
    ] {
        act(server, trainee, &mark, what, &body).expect(403);
    }
    let own = led.path("/risk-covers/own");
    let body = json!({"stand_in": led.lead.id, "until_at": until});
    server.request("PUT", &own).token(&trainee.token).json(&body).send().expect(403);
    server.request("DELETE", &own).token(&trainee.token).send().expect(403);
    let notes = |who: &Person| {
        let read = server.get(who, &mark).expect(200);
        read["steps"].as_array().unwrap().iter().map(|step| step["note"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(notes(trainee), [Value::Null, json!("I told Led Lead."), Value::Null]);
    assert_eq!(notes(&led.co_lead), [Value::Null, json!("I told Led Lead."), json!("For therapists alone.")]);
}

#[test]
fn nobody_outside_the_groups_clinicians_meets_a_mark() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    let changes = [
        ("acknowledgement", json!({})),
        ("assessment", found()),
        ("closing", json!({"disposition": "no_acute_risk"})),
        ("owner", json!({"owner": led.lead.id})),
    ];
    let insiders = [&led.member.person, &led.second_member.person, &world.administrator];
    let outsiders = [&led.former_lead, &world.other.lead, &world.other.member.person, &world.outsider];
    for (people, status) in [(&insiders[..], 403), (&outsiders[..], 404)] {
        for who in people {
            for read in [mark.clone(), led.path("/risks"), led.path("/risk-covers")] {
                server.get(who, &read).expect(status);
            }
            for (what, body) in &changes {
                let method = if *what == "owner" { "PUT" } else { "POST" };
                server.change(who, method, &format!("{mark}/{what}"), "\"1\"", body).expect(status);
            }
        }
    }
    // A mark of another group under the path of one's own is not there, as if it were nowhere.
    let id = mark.rsplit('/').next().unwrap();
    let elsewhere = world.other.path(&format!("/risks/{id}"));
    let nowhere = server.get(&world.other.lead, &world.other.path(&format!("/risks/{}", Id::random())));
    assert_eq!(server.get(&world.other.lead, &elsewhere).text, nowhere.text);
    for (what, body) in &changes {
        let method = if *what == "owner" { "PUT" } else { "POST" };
        server.change(&world.other.lead, method, &format!("{elsewhere}/{what}"), "\"1\"", body).expect(404);
    }
    assert_eq!(steps(server, &led.lead, &mark), ["raised"]);
    // Nor does a peer-led group have any.
    server.get(&world.peer.lead, &world.peer.path("/risks")).expect(403);
}

#[test]
fn nothing_of_a_mark_leaves_the_clinicians() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let measure = answer(server, who, led, json!(1));
    let marks = list(server, &led.lead, led, "");
    let mark = led.path(&format!("/risks/{}", text(&marks[0]["id"])));
    let note = format!("Means locked away by a neighbour {}", Id::random());
    act(server, &led.lead, &mark, "acknowledgement", &json!({})).expect(200);
    act(server, &led.lead, &mark, "assessment", &json!({"note": note})).expect(200);
    let body = json!({"disposition": "emergency_services", "note": note});
    let closed = act(server, &led.lead, &mark, "closing", &body);
    assert!(closed.etag().trim_matches('"').parse::<i32>().is_ok(), "an ETag is a number: {}", closed.etag());
    assert_eq!(closed.header("location"), None);
    let read = server.get(who, &led.path(&format!("/measures/{}", text(&measure["id"]))));
    let own = [
        measure.to_string(),
        read.text,
        server.get(who, &led.path("/measures")).text,
        server.get(who, "/v1/account/progress").text,
        server.get(who, "/v1/account/access-log?limit=200").text,
        server.get(who, "/v1/account/export").text,
    ];
    assert!(own.iter().all(|text| !text.contains("AssessRisk") && !text.contains(mark.rsplit('/').next().unwrap())));
    let officer = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let log = server.get(&world.privacy_officer, &officer);
    assert!(log.text.contains("AssessRisk"), "{}", log.text);
    for text in own.iter().chain([&log.text]) {
        for secret in [note.as_str(), "emergency_services", "disposition", "acknowledged"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    // On the disk neither.
    if let Some(file) = server.location.file() {
        for file in [file.to_owned(), format!("{file}-wal")] {
            let bytes = std::fs::read(&file).unwrap_or_default();
            let is_there = bytes.windows(note.len()).any(|window| window == note.as_bytes());
            assert!(!is_there, "the note lies open in {file}");
        }
    }
}

#[test]
fn a_members_own_log_tells_who_looked_and_not_that_there_is_a_mark() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let mark = raised(server, led);
    server.get(&led.co_lead, &mark).expect(200);
    act(server, &led.co_lead, &mark, "acknowledgement", &json!({})).expect(200);
    act(server, &led.lead, &mark, "assessment", &found()).expect(200);
    act(server, &led.lead, &mark, "owner", &json!({"owner": led.co_lead.id})).expect(200);
    let session = text(&crate::world::plan(server, &led.lead, &led.id)["id"]);
    let review = led.path(&format!("/sessions/{session}/reviews"));
    server.post(&led.lead, &review, &json!({"members": [led.member.id]})).expect(201);
    let id = mark.rsplit('/').next().unwrap();
    let own = |path: &str| server.get(&led.member.person, path).expect(200);
    let shown = own("/v1/account/access-log?limit=200")["items"].clone();
    let exported = own("/v1/account/export")["access_log"].clone();
    for log in [&shown, &exported] {
        let words = log.to_string();
        for told in ["Risk", id, session.as_str()] {
            assert!(!words.contains(told), "{told} in {words}");
        }
        let looks: Vec<&Value> =
            log.as_array().unwrap().iter().filter(|entry| entry["action"] == "ReviewMember").collect();
        for who in [&led.lead, &led.co_lead] {
            let is_theirs = |look: &&&Value| look["account"] == who.id.to_string() && look["member"] == led.member.id;
            let look = looks.iter().find(is_theirs).expect("who looked");
            assert!(look["at"].is_string() && look["name"] == who.name && look["record"].is_null(), "{look}");
        }
        assert!(looks.iter().all(|look| look["record"].is_null()), "{words}");
    }
    // The privacy officer reads what was done, and on which mark.
    let officer = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let exact = server.get(&world.privacy_officer, &officer).expect(200);
    for action in ["ReadRisks", "AcknowledgeRisk", "AssessRisk", "AssignRisk"] {
        let is_exact = |entry: &&Value| entry["action"] == action && entry["record"] == id;
        assert!(exact["items"].as_array().unwrap().iter().any(|entry| is_exact(&entry)), "{action} in {exact}");
    }
}

#[test]
fn a_mark_outlives_who_answered() {
    let scene = Scene::new();
    let (server, led) = (&scene.world.server, &scene.world.led);
    let mark = led.path(&format!("/risks/{}", scene.led.all("risk")[0].id));
    let before = server.get(&led.lead, &mark).text;
    let close = json!({"password": crate::harness::PASSWORD});
    server.request("DELETE", "/v1/account").token(&led.member.person.token).json(&close).send().expect(200);
    assert_eq!(server.get(&led.lead, &mark).text, before);
    act(server, &led.lead, &mark, "acknowledgement", &json!({"note": "The account is closed; called at home."}))
        .expect(200);
    assert_eq!(steps(server, &led.lead, &mark), ["raised", "acknowledged"]);
}
