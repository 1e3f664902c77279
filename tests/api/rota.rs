//! Leadership in turn, over HTTP: proposals that give nobody away, and terms that change hands by consent alone.

use std::collections::{HashMap, HashSet};

use circlekeeper::{
    rules::rota::{Absence, Candidate, Slot, check_hand_over, propose},
    values::{Day, Id, Moment},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    scene::{Peers, Records, plan_at, text},
    world::{self, Group, Member, World, accept},
};

/// Records of this subject for the access matrix: an offer to each member, and a note of the session.
pub fn add_records(peers: &Peers, records: &mut Records) {
    let (server, peer) = (&peers.world.server, &peers.world.peer);
    let session = text(&plan_at(server, &peer.lead, &peer.id, server.db.clock.now().plus_days(14), 60)["id"]);
    for (person, member) in &peers.members {
        let offer = offer(server, &peer.lead, peer, &session, member).made();
        records.add("offer", &offer, Some(person.id), Some(peer.lead.id));
    }
    leave_note(server, &peer.lead, peer, &peers.session, "The key is at the front desk.").expect(200);
}

fn now(server: &Server) -> Moment {
    server.db.clock.now()
}

fn plan(server: &Server, group: &Group, days: i64) -> String {
    text(&plan_at(server, &group.lead, &group.id, now(server).plus_days(days), 60)["id"])
}

fn starts_at(server: &Server, by: &Person, group: &Group, session: &str) -> Moment {
    let planned = server.get(by, &group.path(&format!("/sessions/{session}"))).expect(200);
    serde_json::from_value(planned["starts_at"].clone()).unwrap()
}

/// Records a session that has been, as whoever leads it.
fn hold(server: &Server, by: &Person, group: &Group, session: &str) {
    let from = starts_at(server, by, group, session);
    let path = group.path(&format!("/sessions/{session}"));
    let body = json!({"held_from": from, "held_until": from.plus_minutes(60), "heads": 4});
    server.change(by, "PUT", &format!("{path}/meeting"), &server.version(by, &path), &body).expect(200);
}

fn willing(server: &Server, member: &Member, group: &Group, absences: &Value) -> Answer {
    let body = json!({"willing": true, "absences": absences});
    server.request("PUT", &group.path("/availability")).token(&member.person.token).json(&body).send()
}

fn proposals(server: &Server, who: &Person, group: &Group, seed: i32) -> Vec<Value> {
    let proposed = server.post(who, &group.path("/rota/proposals"), &json!({"seed": seed})).expect(200);
    proposed["items"].as_array().expect("items").clone()
}

fn offer(server: &Server, by: &Person, group: &Group, session: &str, to: &str) -> Answer {
    server.post(by, &group.path(&format!("/sessions/{session}/offers")), &json!({"to": to}))
}

fn swap(server: &Server, by: &Person, group: &Group, session: &str, to: &str, in_return: &str) -> Answer {
    let body = json!({"to": to, "in_return": in_return});
    server.post(by, &group.path(&format!("/sessions/{session}/offers")), &body)
}

fn answer(server: &Server, who: &Person, group: &Group, offer: &str, accept: bool) -> Answer {
    server.post(who, &group.path(&format!("/offers/{offer}/answer")), &json!({"accept": accept}))
}

/// Offers a session to a member, who takes it.
fn give(server: &Server, group: &Group, session: &str, to: &Member) {
    let offer = offer(server, &group.lead, group, session, &to.id).made();
    answer(server, &to.person, group, &offer, true).expect(200);
}

fn withdraw(server: &Server, who: &Person, group: &Group, offer: &str) -> Answer {
    server.post(who, &group.path(&format!("/offers/{offer}/withdrawal")), &json!({}))
}

fn offers(server: &Server, who: &Person, group: &Group) -> Vec<Value> {
    server.get(who, &group.path("/offers")).expect(200)["items"].as_array().expect("items").clone()
}

/// Who facilitates a session, as the rota shows it.
fn holders(server: &Server, group: &Group, session: &str) -> Vec<Value> {
    let rota = server.get(&group.lead, &group.path("/rota?limit=200")).expect(200);
    let items = rota["items"].as_array().expect("items").clone();
    let item = items.into_iter().find(|item| item["session"] == session).expect("the session");
    let holders = item["facilitators"].as_array().expect("facilitators").clone();
    assert_eq!(item["open"], holders.is_empty());
    holders
}

fn held_by(server: &Server, group: &Group, session: &str) -> Vec<Value> {
    holders(server, group, session).into_iter().map(|holder| holder["member"].clone()).collect()
}

fn leave_note(server: &Server, who: &Person, group: &Group, session: &str, note: &str) -> Answer {
    let path = group.path(&format!("/sessions/{session}/hand-over"));
    server.request("PUT", &path).token(&who.token).json(&json!({"text": note})).send()
}

#[test]
fn nobody_reads_when_somebody_else_is_away() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let path = peer.path("/availability");
    let nothing_said = json!({"willing": false, "absences": []});
    assert_eq!(server.get(&peer.member.person, &path).expect(200), nothing_said);
    let absences = json!([{"from_on": day(server, 2), "until_on": day(server, 2)}]);
    let kept = willing(server, &peer.member, peer, &absences).expect(200);
    assert_eq!(kept, json!({"willing": true, "absences": absences}));
    assert_eq!(server.get(&peer.member.person, &path).expect(200), kept);
    assert_eq!(server.get(&peer.second_member.person, &path).expect(200), nothing_said);
    for (who, status) in [(&peer.lead, 403), (peer.steward.as_ref().unwrap(), 403), (&world.administrator, 403)] {
        server.get(who, &path).expect(status);
    }
    server.get(&peer.former_member.person, &path).expect(403);
    // A second hat shows the wearer's own, and no more.
    let invited = server.post(&peer.co_lead, &peer.path("/members"), &json!({"name": "Lea"})).expect(201);
    accept(server, &peer.lead, invited["code"].as_str().unwrap());
    world::move_to(server, &peer.co_lead, &peer.id, &text(&invited["id"]), "active");
    assert_eq!(server.get(&peer.lead, &path).expect(200), nothing_said);
    // Neither what members show nor what leads read of them holds it.
    for rest in ["/members", &format!("/members/{}", peer.member.id)] {
        let shown = server.get(&peer.lead, &peer.path(rest)).text;
        assert!(!shown.contains("willing") && !shown.contains("absences"), "{shown}");
    }
}

fn day(server: &Server, days: i64) -> String {
    now(server).plus_days(days).day_in("UTC").to_string()
}

#[test]
fn absences_that_make_no_sense_are_refused_and_past_ones_are_not_kept() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let set = |absences: Value| willing(server, &peer.member, peer, &absences);
    set(json!([{"from_on": day(server, 3), "until_on": day(server, 2)}])).refuses("/absences/0/until_on");
    let fine = json!({"from_on": day(server, 3), "until_on": day(server, 4)});
    set(json!([fine, {"from_on": day(server, 3), "until_on": "9999-12-31"}])).refuses("/absences/1/until_on");
    set(json!([{"from_on": "-009999-01-01", "until_on": day(server, 3)}])).refuses("/absences/0/from_on");
    set(json!([{"from_on": "yesterday", "until_on": day(server, 3)}])).refuses("/absences/0/from_on");
    set(json!(vec![fine.clone(); 21])).refuses("/absences");
    let over = json!({"from_on": day(server, -3), "until_on": day(server, -1)});
    let running = json!({"from_on": day(server, -3), "until_on": day(server, 0)});
    let kept = set(json!([over, fine, running])).expect(200);
    assert_eq!(kept["absences"], json!([running, fine]));
}

#[test]
fn nobody_is_proposed_who_is_not_willing_is_new_or_is_away() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let soon = plan(server, peer, 5);
    let [first, second] = [40, 47].map(|days| plan(server, peer, days));
    let by_session = || -> HashMap<String, Value> {
        proposals(server, &peer.lead, peer, 1).iter().map(|item| (text(&item["session"]), item.clone())).collect()
    };
    let nobody = |item: &Value| {
        assert_eq!((&item["member"], &item["reason"]), (&Value::Null, &json!("nobody can be proposed")), "{item}");
    };
    by_session().values().for_each(nobody);
    willing(server, &peer.member, peer, &json!([])).expect(200);
    let proposed = by_session();
    // Nobody has belonged for four weeks by then.
    nobody(&proposed[&soon]);
    for session in [&first, &second] {
        assert_eq!(
            (&proposed[session]["member"], &proposed[session]["reason"]),
            (&json!(peer.member.id), &Value::Null)
        );
    }
    // Two take turns.
    willing(server, &peer.second_member, peer, &json!([])).expect(200);
    let proposed = by_session();
    assert_ne!(proposed[&first]["member"], proposed[&second]["member"]);
    let away = json!([{"from_on": day(server, 40), "until_on": day(server, 40)}]);
    willing(server, &peer.member, peer, &away).expect(200);
    assert_eq!(by_session()[&first]["member"], json!(peer.second_member.id));
    willing(server, &peer.second_member, peer, &away).expect(200);
    nobody(&by_session()[&first]);
    // Who has left, or paused, is not asked.
    willing(server, &peer.second_member, peer, &json!([])).expect(200);
    world::put_into(server, &peer.second_member, "paused");
    nobody(&by_session()[&first]);
    assert_eq!(by_session()[&second]["member"], json!(peer.member.id));
}

#[test]
fn a_proposal_gives_away_neither_an_absence_nor_a_refusal() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = plan(server, peer, 40);
    let proposed = || proposals(server, &peer.lead, peer, 1);
    let unwilling = proposed();
    willing(server, &peer.member, peer, &json!([{"from_on": day(server, 40), "until_on": day(server, 40)}]))
        .expect(200);
    assert_eq!(proposed(), unwilling);
    willing(server, &peer.member, peer, &json!([])).expect(200);
    assert_eq!(proposed()[0]["member"], json!(peer.member.id));
    let offered = offer(server, &peer.lead, peer, &session, &peer.member.id).made();
    assert_eq!(proposed(), unwilling);
    answer(server, &peer.member.person, peer, &offered, false).expect(200);
    assert_eq!(proposed(), unwilling);
    for who in [&peer.member.person, &world.administrator] {
        server.post(who, &peer.path("/rota/proposals"), &json!({"seed": 1})).expect(403);
    }
}

#[test]
fn the_same_seed_and_the_same_facts_give_the_same_rota() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let members: Vec<Member> =
        (0..5).map(|number| world::member(server, &peer.lead, &peer.id, &format!("Turn {number}"))).collect();
    for member in &members {
        willing(server, member, peer, &json!([])).expect(200);
    }
    for days in 0..8 {
        plan(server, peer, 40 + 7 * days);
    }
    let rota = proposals(server, &peer.lead, peer, 42);
    assert_eq!(rota, proposals(server, peer.steward.as_ref().unwrap(), peer, 42));
    assert_eq!(rota.len(), 8);
    assert!((0..20).any(|seed| proposals(server, &peer.lead, peer, seed) != rota), "the seed decides nothing");
    // Nothing was kept, and nobody was asked.
    assert_eq!(offers(server, &peer.lead, peer), Vec::<Value>::new());
    let until = json!({"seed": 42, "until_on": day(server, 48)});
    let first = server.post(&peer.lead, &peer.path("/rota/proposals"), &until).expect(200);
    assert_eq!(first["items"].as_array().unwrap(), &rota[..2]);
    for (body, field) in [
        (json!({"seed": -1}), "/seed"),
        (json!({"seed": 1, "until_on": day(server, -1)}), "/until_on"),
        (json!({"seed": 1, "until_on": "0001-01-01"}), "/until_on"),
    ] {
        server.post(&peer.lead, &peer.path("/rota/proposals"), &body).refuses(field);
    }
}

#[test]
fn sessions_that_somebody_facilitates_are_not_proposed() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let [taken, covered, open] = [40, 47, 54].map(|days| plan(server, peer, days));
    willing(server, &peer.member, peer, &json!([])).expect(200);
    willing(server, &peer.second_member, peer, &json!([])).expect(200);
    give(server, peer, &taken, &peer.second_member);
    let body = json!({"standing": "facilitator", "from_on": day(server, 46), "until_on": day(server, 49)});
    let guest = server.account("Gil Guest");
    let invited = server.post(&peer.lead, &peer.path("/terms"), &body).expect(201);
    accept(server, &guest, invited["code"].as_str().unwrap());
    let items = proposals(server, &peer.lead, peer, 3);
    assert_eq!(items.len(), 1);
    // The second member has had a term already.
    assert_eq!((&items[0]["session"], &items[0]["member"]), (&json!(open), &json!(peer.member.id)));
    assert_eq!(held_by(server, peer, &taken), [json!(peer.second_member.id)]);
    assert_eq!(holders(server, peer, &covered), [json!({"member": null, "name": "Gil Guest"})]);
    assert_eq!(holders(server, peer, &open), Vec::<Value>::new());
    assert_eq!(holders(server, peer, &taken)[0]["name"], "Peer Noor");
    // Whoever has left facilitates nothing that was given to a member.
    world::leave(server, &peer.second_member, &peer.id);
    assert_eq!(holders(server, peer, &taken), Vec::<Value>::new());
}

#[test]
fn the_rota_is_read_page_by_page_and_by_nobody_else() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let sessions: Vec<String> = [3, 1, 2].map(|days| plan(server, peer, days)).into();
    let path = peer.path(&format!("/sessions/{}", sessions[2]));
    let version = server.version(&peer.lead, &path);
    let reason = json!({"reason": "Closed."});
    server.change(&peer.lead, "POST", &format!("{path}/cancellation"), &version, &reason).expect(200);
    let first = server.get(&peer.member.person, &peer.path("/rota?limit=1")).expect(200);
    let next = format!("/rota?limit=1&cursor={}", text(&first["next"]));
    let second = server.get(&peer.member.person, &peer.path(&next)).expect(200);
    assert_eq!([&first["items"][0]["session"], &second["items"][0]["session"]], [&sessions[1], &sessions[0]]);
    assert_eq!(second["next"], Value::Null);
    for (who, status) in [(&peer.former_member.person, 403), (&world.administrator, 403), (&world.outsider, 404)] {
        server.get(who, &peer.path("/rota")).expect(status);
    }
}

#[test]
fn nobody_becomes_a_facilitator_without_saying_yes() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = plan(server, peer, 5);
    let (one, two) = (&peer.member, &peer.second_member);
    let steward = peer.steward.as_ref().unwrap();
    let offered = offer(server, steward, peer, &session, &one.id).expect(201);
    let id = text(&offered["id"]);
    assert_eq!(
        (&offered["state"], &offered["hands_over"], &offered["from"], &offered["to"]),
        (&json!("open"), &json!(false), &json!("Peer Steward"), &json!(one.id))
    );
    assert_eq!(held_by(server, peer, &session), Vec::<Value>::new());
    offer(server, steward, peer, &session, &one.id).expect(409);
    // Neither who offered it nor anybody else can say yes.
    answer(server, steward, peer, &id, true).expect(403);
    answer(server, &peer.lead, peer, &id, true).expect(403);
    answer(server, &two.person, peer, &id, true).expect(404);
    answer(server, &two.person, peer, &Id::random().to_string(), true).expect(404);
    assert_eq!(held_by(server, peer, &session), Vec::<Value>::new());
    // Who was not asked does not see it.
    assert_eq!(offers(server, &two.person, peer), Vec::<Value>::new());
    assert_eq!(offers(server, &one.person, peer), offers(server, &peer.lead, peer));
    let done = answer(server, &one.person, peer, &id, true).expect(200);
    assert_eq!(done["state"], "accepted");
    assert_eq!(held_by(server, peer, &session), [json!(one.id)]);
    answer(server, &one.person, peer, &id, true).expect(409);
    withdraw(server, steward, peer, &id).expect(409);
    // Both hats: the facilitator of the session stays a member.
    server.travel_days(4);
    let again = server.again(&one.person);
    server.get(&again, &peer.path("/availability")).expect(200);
    leave_note(server, &again, peer, &session, "The key is at the desk.").expect(200);
    leave_note(server, &server.again(&two.person), peer, &session, "The key is here.").expect(403);
}

#[test]
fn an_offer_that_was_declined_or_withdrawn_cannot_be_answered_again() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = plan(server, peer, 5);
    let declined = offer(server, &peer.lead, peer, &session, &peer.member.id).made();
    let done = answer(server, &peer.member.person, peer, &declined, false).expect(200);
    assert_eq!(done["state"], "declined");
    answer(server, &peer.member.person, peer, &declined, true).expect(409);
    server
        .post(
            &peer.member.person,
            &peer.path(&format!("/offers/{declined}/answer")),
            &json!({"accept": false, "reason": "No."}),
        )
        .refuses("/reason");
    let offered = offer(server, &peer.lead, peer, &session, &peer.member.id).made();
    withdraw(server, &peer.co_lead, peer, &offered).expect(409);
    withdraw(server, &peer.second_member.person, peer, &offered).expect(404);
    withdraw(server, &peer.member.person, peer, &offered).expect(409);
    assert_eq!(withdraw(server, &peer.lead, peer, &offered).expect(200)["state"], "withdrawn");
    withdraw(server, &peer.lead, peer, &offered).expect(409);
    answer(server, &peer.member.person, peer, &offered, true).expect(409);
    assert_eq!(held_by(server, peer, &session), Vec::<Value>::new());
}

#[test]
fn of_two_who_say_yes_at_once_one_facilitates() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = plan(server, peer, 5);
    let members = [&peer.member, &peer.second_member];
    let offers = members.map(|member| offer(server, &peer.lead, peer, &session, &member.id).made());
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let answers: Vec<_> = members
            .iter()
            .zip(&offers)
            .map(|(member, id)| scope.spawn(move || answer(server, &member.person, peer, id, true).status))
            .collect();
        answers.into_iter().map(|done| done.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(held_by(server, peer, &session).len(), 1);
    // A double click is one yes.
    let other = plan(server, peer, 6);
    let id = &offer(server, &peer.lead, peer, &other, &peer.member.id).made();
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let clicks: Vec<_> =
            (0..2).map(|_| scope.spawn(|| answer(server, &peer.member.person, peer, id, true).status)).collect();
        clicks.into_iter().map(|done| done.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(held_by(server, peer, &other), [json!(peer.member.id)]);
}

#[test]
fn only_whoever_holds_a_session_hands_it_over() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = plan(server, peer, 10);
    let (one, two) = (&peer.member, &peer.second_member);
    // Nobody facilitates it: who leads offers it, and members do not.
    offer(server, &one.person, peer, &session, &two.id).expect(403);
    give(server, peer, &session, one);
    for who in [&peer.lead, peer.steward.as_ref().unwrap()] {
        offer(server, who, peer, &session, &two.id).expect(409);
    }
    offer(server, &two.person, peer, &session, &two.id).expect(403);
    offer(server, &one.person, peer, &session, &one.id).refuses("/to");
    // Weeks before their hours of preparing.
    let handed = offer(server, &one.person, peer, &session, &two.id).expect(201);
    assert_eq!(handed["hands_over"], true);
    assert_eq!(offers(server, &one.person, peer).len(), 2);
    answer(server, &one.person, peer, &text(&handed["id"]), true).expect(404);
    assert_eq!(held_by(server, peer, &session), [json!(one.id)]);
    answer(server, &two.person, peer, &text(&handed["id"]), true).expect(200);
    assert_eq!(held_by(server, peer, &session), [json!(two.id)]);
    let terms = server.get(&peer.lead, &peer.path("/terms")).expect(200);
    let bound: Vec<&Value> =
        terms["items"].as_array().unwrap().iter().filter(|term| term["session"] == session).collect();
    assert_eq!((bound.len(), &bound[0]["account"]), (1, &json!(two.person.id)));
    // Whoever handed it over holds nothing any more.
    offer(server, &one.person, peer, &session, &peer.member.id).expect(403);
    server.travel_days(9);
    server.db.clock.shift(12 * 60 * 60 * 1000);
    leave_note(server, &server.again(&one.person), peer, &session, "Keys.").expect(403);
    leave_note(server, &server.again(&two.person), peer, &session, "Keys.").expect(200);
}

#[test]
fn a_guest_who_facilitates_one_session_can_hand_it_over_and_take_the_offer_back() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let [session, other] = [1, 2].map(|days| plan(server, peer, days));
    server.db.clock.shift(60 * 60 * 1000);
    let guest = server.account("Gil Guest");
    let body = json!({"standing": "facilitator", "session": session});
    let invited = server.post(&peer.lead, &peer.path("/terms"), &body).expect(201);
    accept(server, &guest, invited["code"].as_str().unwrap());
    offer(server, &guest, peer, &other, &peer.member.id).expect(403);
    offer(server, &guest, peer, &Id::random().to_string(), &peer.member.id).expect(403);
    let offered = offer(server, &guest, peer, &session, &peer.member.id).made();
    offer(server, &guest, peer, &session, &Id::random().to_string()).refuses("/to");
    let path = |session: &str| peer.path(&format!("/sessions/{session}/offers"));
    let take_back = |who: &Person, session: &str| server.request("DELETE", &path(session)).token(&who.token).send();
    // Of others, nothing is taken back.
    take_back(&peer.lead, &session).expect(204);
    assert_eq!(offers(server, &peer.member.person, peer)[0]["state"], "open");
    take_back(&guest, &other).expect(403);
    take_back(&guest, &session).expect(204);
    answer(server, &peer.member.person, peer, &offered, true).expect(409);
    let offered = offer(server, &guest, peer, &session, &peer.member.id).made();
    answer(server, &peer.member.person, peer, &offered, true).expect(200);
    // From the next request on.
    server.get(&guest, &peer.path("/rota")).expect(404);
    assert_eq!(held_by(server, peer, &session), [json!(peer.member.id)]);
}

#[test]
fn a_swap_exchanges_both_terms_or_none() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (one, two) = (&peer.member, &peer.second_member);
    let [first, second, third] = [10, 17, 24].map(|days| plan(server, peer, days));
    give(server, peer, &first, one);
    give(server, peer, &second, two);
    swap(server, &one.person, peer, &first, &two.id, &third).refuses("/in_return");
    swap(server, &one.person, peer, &first, &two.id, &first).refuses("/in_return");
    swap(server, &one.person, peer, &first, &two.id, &Id::random().to_string()).refuses("/in_return");
    swap(server, &peer.lead, peer, &third, &two.id, &second).refuses("/in_return");
    let offered = swap(server, &one.person, peer, &first, &two.id, &second).expect(201);
    assert_eq!((&offered["session"], &offered["in_return"]), (&json!(first), &json!(second)));
    answer(server, &two.person, peer, &text(&offered["id"]), true).expect(200);
    assert_eq!(held_by(server, peer, &first), [json!(two.id)]);
    assert_eq!(held_by(server, peer, &second), [json!(one.id)]);
    // The other way round, but one of the two is not there any more when it is answered.
    let back = swap(server, &two.person, peer, &first, &one.id, &second).made();
    let path = peer.path(&format!("/sessions/{second}"));
    let version = server.version(&peer.lead, &path);
    server
        .change(&peer.lead, "POST", &format!("{path}/cancellation"), &version, &json!({"reason": "Closed."}))
        .expect(200);
    answer(server, &one.person, peer, &back, true).expect(409);
    assert_eq!(held_by(server, peer, &first), [json!(two.id)]);
    // It is still open, and can be declined.
    answer(server, &one.person, peer, &back, false).expect(200);
}

#[test]
fn a_swap_is_void_when_a_term_went_elsewhere_or_somebody_left() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let (one, two) = (&peer.member, &peer.second_member);
    let three = world::member(server, &peer.lead, &peer.id, "Peer Third");
    let [first, second] = [10, 17].map(|days| plan(server, peer, days));
    give(server, peer, &first, one);
    give(server, peer, &second, two);
    let offered = swap(server, &one.person, peer, &first, &two.id, &second).made();
    // Two gives the second session to the third member meanwhile.
    let handed = offer(server, &two.person, peer, &second, &three.id).made();
    answer(server, &three.person, peer, &handed, true).expect(200);
    answer(server, &two.person, peer, &offered, true).expect(409);
    assert_eq!(held_by(server, peer, &first), [json!(one.id)]);
    // Two gets it back: that is another term than the one that was to be swapped.
    let handed = offer(server, &three.person, peer, &second, &two.id).made();
    answer(server, &two.person, peer, &handed, true).expect(200);
    answer(server, &two.person, peer, &offered, true).expect(409);
    answer(server, &two.person, peer, &offered, false).expect(200);
    // Who pauses takes nothing, and is given nothing in return.
    let offered = swap(server, &one.person, peer, &first, &two.id, &second).made();
    world::put_into(server, two, "paused");
    answer(server, &two.person, peer, &offered, true).expect(409);
    world::put_into(server, two, "active");
    world::leave(server, one, &peer.id);
    answer(server, &two.person, peer, &offered, true).expect(409);
    assert_eq!(held_by(server, peer, &second), [json!(two.id)]);
    assert!(holders(server, peer, &first).is_empty());
}

#[test]
fn an_offer_counts_only_while_its_maker_leads_and_the_session_is_to_come() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let [first, second] = [3, 4].map(|days| plan(server, peer, days));
    let offered = offer(server, &peer.co_lead, peer, &first, &peer.member.id).made();
    let terms = server.get(&peer.lead, &peer.path("/terms")).expect(200);
    let account = json!(peer.co_lead.id);
    let term = terms["items"].as_array().unwrap().iter().find(|term| term["account"] == account).unwrap();
    let end = peer.path(&format!("/terms/{}/end", text(&term["id"])));
    server.post(&peer.co_lead, &end, &json!({})).expect(204);
    answer(server, &peer.member.person, peer, &offered, true).expect(409);
    withdraw(server, &peer.co_lead, peer, &offered).expect(404);
    let late = offer(server, &peer.lead, peer, &first, &peer.second_member.id).made();
    server.travel_days(3);
    answer(server, &peer.second_member.person, peer, &late, true).expect(409);
    offer(server, &peer.lead, peer, &first, &peer.second_member.id).expect(409);
    let path = peer.path(&format!("/sessions/{second}"));
    let version = server.version(&peer.lead, &path);
    server
        .change(&peer.lead, "POST", &format!("{path}/cancellation"), &version, &json!({"reason": "Closed."}))
        .expect(200);
    offer(server, &peer.lead, peer, &second, &peer.second_member.id).expect(409);
}

#[test]
fn a_session_is_offered_to_active_members_with_an_account_alone() {
    let world = World::new();
    let (server, peer, led) = (&world.server, &world.peer, &world.led);
    let session = plan(server, peer, 5);
    let invited = server.post(&peer.lead, &peer.path("/members"), &json!({"name": "Waiting"})).made();
    let nobody = Id::random().to_string();
    let detail = |to: &str| offer(server, &peer.lead, peer, &session, to).refuses("/to");
    let first = detail(&nobody);
    for to in [&invited, &peer.former_member.id, &led.member.id] {
        assert_eq!(detail(to), first);
    }
    // The same request again makes no second offer.
    let path = peer.path(&format!("/sessions/{session}/offers"));
    let body = json!({"to": peer.member.id});
    let send = || server.request("POST", &path).token(&peer.lead.token).key("offer-key-1").json(&body).send();
    assert_eq!(send().made(), send().made());
    assert_eq!(offers(server, &peer.lead, peer).len(), 1);
    // Nor is a session of another group.
    let elsewhere = text(&world.session()["id"]);
    offer(server, &peer.lead, peer, &elsewhere, &peer.member.id).expect(404);
    server.post(&led.lead, &led.path(&format!("/sessions/{elsewhere}/offers")), &body).expect(403);
}

#[test]
fn a_hand_over_note_names_nobody() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = plan(server, peer, 0);
    let note = |words: &str| leave_note(server, &peer.lead, peer, &session, words);
    for words in ["Peer Mira has the key.", "Ask peer mira's neighbour.", "The key: PEER NOOR!", "Peer-Noor"] {
        let refused = note(words).refuses("/text");
        assert!(!refused.to_string().to_lowercase().contains("mira"), "{refused}");
    }
    note("").refuses("/text");
    note(&"a".repeat(2001)).refuses("/text");
    let kept = note("The admiral and the key are in the drawer.").expect(200);
    assert_eq!(
        (&kept["session"], &kept["text"]),
        (&json!(session), &json!("The admiral and the key are in the drawer."))
    );
    // Whoever replaces it has read it.
    note("The key is at the desk.").expect(428);
    let path = peer.path(&format!("/sessions/{session}/hand-over"));
    let version = server.version(&peer.co_lead, &path);
    let body = json!({"text": "The key is at the desk."});
    server.change(&peer.co_lead, "PUT", &path, &version, &body).expect(200);
    server.change(&peer.lead, "PUT", &path, &version, &body).expect(412);
    let steward = peer.steward.as_ref().unwrap();
    assert_eq!(server.get(steward, &path).expect(200)["text"], body["text"]);
    // Somebody facilitates: the steward reads, and does not write.
    server.change(steward, "PUT", &path, &version, &body).expect(403);
    for who in [&peer.member.person, &world.administrator, &world.privacy_officer] {
        server.get(who, &path).expect(403);
        server.get(who, &peer.path("/hand-over")).expect(403);
    }
}

#[test]
fn a_hand_over_note_does_not_tell_who_belongs_no_more_or_not_yet() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    server.post(&peer.lead, &peer.path("/members"), &json!({"name": "Quentin Quiet"})).expect(201);
    world::put_into(server, &peer.second_member, "paused");
    let session = plan(server, peer, 0);
    leave_note(server, &peer.lead, peer, &session, "Peer Noor").refuses("/text");
    leave_note(server, &peer.lead, peer, &session, "Quentin Quiet, Peer Goran, Nobody Knows").expect(200);
}

#[test]
fn nobody_tries_names_against_a_hand_over_note() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = plan(server, peer, 0);
    let tried: Vec<u16> = (0..12).map(|_| leave_note(server, &peer.lead, peer, &session, "Peer Mira").status).collect();
    assert_eq!((tried.first(), tried.last()), (Some(&422), Some(&429)), "{tried:?}");
    // Not even one that nobody has; and whoever tried nothing still writes.
    leave_note(server, &peer.lead, peer, &session, "Peer Nobody").expect(429);
    leave_note(server, &peer.co_lead, peer, &session, "The key is at the desk.").expect(200);
}

#[test]
fn a_member_cannot_choose_a_name_that_keeps_notes_from_being_written() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let path = peer.path(&format!("/members/{}", peer.member.id));
    let version = server.version(&peer.member.person, &path);
    let name = json!({"name": "Key Kettle Room The"});
    server.change(&peer.member.person, "PUT", &format!("{path}/name"), &version, &name).expect(200);
    let session = plan(server, peer, 0);
    leave_note(server, &peer.lead, peer, &session, "The key to the room is in the kettle.").expect(200);
}

#[test]
fn a_name_is_found_as_a_whole_however_it_is_written() {
    let names = ["Mira Nguyễn", "Jo", "Ana-Maria", "Zoë", "—"];
    let is_refused = |text: &str| check_hand_over(text, names).is_err();
    for text in ["mira nguyễn", "MIRA  NGUYỄN's", "for ana maria", "Ana-Maria's", "zoe\u{308} has it", "(Zoë)"] {
        assert!(is_refused(text), "{text}");
    }
    for text in ["Jo has it", "mira", "Nguyễn Mira", "Maria", "Mira and Nguyễn", "Zoe", "the keys", "—"] {
        assert!(!is_refused(text), "{text}");
    }
}

#[test]
fn a_note_that_says_how_to_reach_somebody_is_refused() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let session = plan(server, peer, 0);
    for text in [
        "She cried last week; ring her on 312-555-0188.",
        "Ring (0)20 7946 0018 for the key.",
        "＋49 30 901820 has the key",
        "312_555‐0142 opens",
        "The key is at https://t.me/samk",
        "The key is with maria.k@example.org",
    ] {
        let refused = leave_note(server, &peer.lead, peer, &session, text).expect(422);
        assert_eq!(refused["errors"][0]["pointer"], "/text", "{refused}");
        server.get(&peer.lead, &peer.path(&format!("/sessions/{session}/hand-over"))).expect(404);
    }
    let fine = "The room is free on 2026-12-24 18:00–21:30, 24.12.2026 21:30 at the latest; door code 4711 @ the side entrance, locker 12 / 305.";
    leave_note(server, &peer.lead, peer, &session, fine).expect(200);
}

#[test]
fn the_next_facilitator_finds_the_note_and_nobody_finds_one_of_a_later_session() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    server.get(&peer.lead, &peer.path("/hand-over")).expect(404);
    let early = text(&plan_at(server, &peer.lead, &peer.id, now(server).plus_minutes(-120), 60)["id"]);
    let next = text(&plan_at(server, &peer.lead, &peer.id, now(server).plus_minutes(120), 60)["id"]);
    let last = text(&plan_at(server, &peer.lead, &peer.id, now(server).plus_minutes(240), 60)["id"]);
    leave_note(server, &peer.lead, peer, &early, "Early.").expect(200);
    leave_note(server, &peer.lead, peer, &last, "Much later.").expect(200);
    assert_eq!(server.get(&peer.lead, &peer.path("/hand-over")).expect(200)["text"], "Early.");
    let guest = server.account("Gil Guest");
    let body = json!({"standing": "facilitator", "session": next});
    let invited = server.post(&peer.lead, &peer.path("/terms"), &body).expect(201);
    accept(server, &guest, invited["code"].as_str().unwrap());
    let found = |session: &str| server.get(&guest, &peer.path(&format!("/hand-over?session={session}")));
    assert_eq!(found(&next).expect(200)["text"], "Early.");
    // In front of any other session, a facilitator of one is not its facilitator.
    for session in [&early, &last, &Id::random().to_string()] {
        found(session).expect(403);
        server.get(&guest, &peer.path(&format!("/sessions/{session}/hand-over"))).expect(403);
        leave_note(server, &guest, peer, session, "Mine.").expect(403);
    }
    server.get(&guest, &peer.path("/hand-over")).expect(403);
    server.get(&guest, &peer.path(&format!("/sessions/{next}/hand-over"))).expect(404);
    leave_note(server, &guest, peer, &next, "Bring tape.").expect(200);
    assert_eq!(
        server.get(&peer.lead, &peer.path(&format!("/hand-over?session={last}"))).expect(200)["text"],
        "Bring tape."
    );
    // Of another group, there is nothing.
    let elsewhere = text(&world.session()["id"]);
    server.get(&peer.lead, &peer.path(&format!("/hand-over?session={elsewhere}"))).expect(404);
    leave_note(server, &peer.lead, peer, &elsewhere, "Here.").expect(404);
}

#[test]
fn service_is_counted_by_month_and_read_by_nobody_else() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let path = peer.path("/services");
    let count = |service: &str| server.post(&peer.member.person, &path, &json!({"service": service}));
    let empty = json!({"items": []});
    assert_eq!(server.get(&peer.member.person, &path).expect(200), empty);
    count("greeted").expect(200);
    let counted = count("greeted").expect(200);
    let month = now(server).day_in("UTC").to_string()[..7].to_owned();
    assert_eq!(
        counted,
        json!({"items": [{"month": month, "greeted": 2, "set_up": 0, "facilitated": 0}]}),
        "nothing finer than a month"
    );
    count("sang").refuses("/service");
    for _ in 0..31 {
        count("set_up").expect(200);
    }
    count("set_up").expect(409);
    assert_eq!(server.get(&peer.second_member.person, &path).expect(200), empty);
    for who in [&peer.lead, peer.steward.as_ref().unwrap(), &world.administrator] {
        server.get(who, &path).expect(403);
        server.post(who, &path, &json!({"service": "greeted"})).expect(403);
    }
    // The log of the organization keeps no hour of it either.
    let log =
        server.get(&world.privacy_officer, &format!("/v1/organizations/{}/access-log?limit=200", world.organization));
    let by_member = log.expect(200)["items"].as_array().unwrap().iter().any(|entry| {
        entry["account"] == json!(peer.member.person.id)
            && entry["action"] == "RecordService"
            && entry["allowed"] == true
    });
    assert!(!by_member);
    // A session that they led counts when it was held.
    let session = plan(server, peer, 1);
    let began = starts_at(server, &peer.lead, peer, &session);
    give(server, peer, &session, &peer.second_member);
    assert_eq!(server.get(&peer.second_member.person, &path).expect(200), empty);
    server.travel_days(2);
    assert_eq!(server.get(&peer.second_member.person, &path).expect(200), empty, "it was not held yet");
    hold(server, &peer.second_member.person, peer, &session);
    let month = &began.day_in("UTC").to_string()[..7];
    let served = server.get(&peer.second_member.person, &path).expect(200);
    assert_eq!(served, json!({"items": [{"month": month, "greeted": 0, "set_up": 0, "facilitated": 1}]}));
    // Who has left still reads their own, and adds nothing.
    world::leave(server, &peer.second_member, &peer.id);
    assert_eq!(server.get(&peer.second_member.person, &path).expect(200), served);
    server.post(&peer.second_member.person, &path, &json!({"service": "greeted"})).expect(403);
}

/// In months, how often one has facilitated.
fn facilitated(server: &Server, who: &Person, group: &Group) -> i64 {
    let services = server.get(who, &group.path("/services")).expect(200);
    services["items"].as_array().unwrap().iter().map(|month| month["facilitated"].as_i64().unwrap()).sum()
}

#[test]
fn a_meeting_counts_for_whoever_led_it_and_not_for_a_term_that_was_only_meant() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let join = |who: &Person, name: &str| {
        let invited = server.post(&peer.co_lead, &peer.path("/members"), &json!({"name": name})).expect(201);
        world::accept(server, who, &text(&invited["code"]));
        world::move_to(server, &peer.co_lead, &peer.id, &text(&invited["id"]), "active");
    };
    let steward = peer.steward.as_ref().unwrap();
    join(&peer.lead, "Lea");
    join(steward, "Stew");
    let [of_group, stood_in, never_held, called_off] = [1, 2, 3, 4].map(|days| plan(server, peer, days));
    for session in [&stood_in, &never_held, &called_off] {
        give(server, peer, session, &peer.second_member);
    }
    server.travel_days(6);
    let [lead, steward, meant] = [&peer.lead, steward, &peer.second_member.person].map(|who| server.again(who));
    // Whoever facilitates the whole group leads without a term for the one session; a steward stands in.
    hold(server, &lead, peer, &of_group);
    hold(server, &steward, peer, &stood_in);
    let path = peer.path(&format!("/sessions/{called_off}"));
    let version = server.version(&lead, &path);
    let body = json!({"reason": "Snow."});
    server.change(&lead, "POST", &format!("{path}/cancellation"), &version, &body).expect(200);
    let counted = [&lead, &steward, &meant].map(|who| facilitated(server, who, peer));
    assert_eq!(counted, [1, 1, 0]);
}

#[test]
fn a_therapist_led_group_has_no_rota() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    for rest in ["/rota", "/offers", "/availability", "/services", "/hand-over"] {
        for who in [&led.lead, &led.member.person] {
            server.get(who, &led.path(rest)).expect(403);
        }
    }
}

fn date(days: i32) -> Day {
    Day(jiff::civil::date(2027, 3, 1).saturating_add(jiff::Span::new().days(days)))
}

fn slots(count: i32) -> Vec<Slot> {
    (0..count)
        .map(|week| Slot {
            session: Id(uuid(1000 + week as u128)),
            starts_at: Moment(1_803_924_000_000).plus_days(i64::from(week) * 7),
            day: date(week * 7),
            is_open: true,
            facilitators: Vec::new(),
        })
        .collect()
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

fn candidate(number: u128) -> Candidate {
    Candidate {
        member: Id(uuid(number)),
        active_on: date(-28),
        barred_until: None,
        absences: Vec::new(),
        asked: Vec::new(),
        terms: 0,
    }
}

#[test]
fn a_seed_gives_this_rota_on_every_machine() {
    let candidates: Vec<Candidate> = (1..=4).map(candidate).collect();
    let line = |seed: u64| -> Vec<u128> {
        let rota = propose(&slots(4), &[], &candidates, seed);
        rota.into_iter().map(|(_, member)| member.expect("somebody").0.as_u128()).collect()
    };
    let lines: Vec<Vec<u128>> = [0, 1, 2, 3].map(line).into();
    expect_test::expect!["[[3, 1, 2, 4], [1, 2, 4, 3], [1, 2, 4, 3], [4, 2, 3, 1]]"].assert_eq(&format!("{lines:?}"));
}

#[test]
fn who_is_barred_or_new_is_not_proposed_before_their_day() {
    let slots = slots(3);
    let mut new = candidate(1);
    new.active_on = date(7 - 28);
    let propose_one = |candidate: Candidate| -> Vec<bool> {
        propose(&slots, &[], &[candidate], 1).into_iter().map(|(_, member)| member.is_some()).collect()
    };
    assert_eq!(propose_one(new), [false, true, true]);
    let mut barred = candidate(1);
    barred.barred_until = Some(slots[1].starts_at);
    assert_eq!(propose_one(barred), [false, true, true]);
    let mut asked = candidate(1);
    asked.asked = vec![slots[1].session];
    assert_eq!(propose_one(asked), [true, false, true]);
    let mut away = candidate(1);
    away.absences = vec![Absence { from_on: date(1), until_on: date(7) }];
    assert_eq!(propose_one(away), [true, false, true]);
}

#[test]
fn nobody_is_proposed_next_to_a_session_that_they_have() {
    let mut slots = slots(3);
    slots[1].is_open = false;
    slots[1].facilitators = vec![Id(uuid(1))];
    let mut other = candidate(2);
    other.terms = 9;
    for seed in 0..20 {
        let rota = propose(&slots, &[], &[candidate(1), other.clone()], seed);
        assert!(rota.iter().all(|(_, member)| *member == Some(Id(uuid(2)))), "{rota:?}");
    }
    // Where nobody else could, they do.
    let rota = propose(&slots, &[], &[candidate(1)], 1);
    assert_eq!(rota.iter().filter(|(_, member)| member.is_some()).count(), 2);
    // The last one before the first counts too.
    assert_eq!(propose(&slots[..1], &[Id(uuid(1))], &[candidate(1), other], 1)[0].1, Some(Id(uuid(2))));
}

/// The first active day, absences with their lengths, weeks that were asked for, terms.
type Facts = (i32, Vec<(i32, i32)>, Vec<u128>, usize);

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (
        -60..30i32,
        prop::collection::vec((-20..100i32, 0..30i32), 0..3),
        prop::collection::vec(0..12u128, 0..3),
        0..4usize,
    );
    prop::collection::vec(one, 0..6).prop_map(|list| {
        let build = |(number, (active, absences, asked, terms)): (usize, Facts)| Candidate {
            active_on: date(active),
            absences: absences
                .into_iter()
                .map(|(from, days)| Absence { from_on: date(from), until_on: date(from + days) })
                .collect(),
            asked: asked.into_iter().map(|week| Id(uuid(1000 + week))).collect(),
            terms,
            ..candidate(number as u128 + 1)
        };
        list.into_iter().enumerate().map(build).collect()
    })
}

fn can(candidate: &Candidate, slot: &Slot) -> bool {
    let known_for = candidate.active_on.0.until(slot.day.0).expect("days").get_days();
    let away = candidate.absences.iter().any(|away| (away.from_on..=away.until_on).contains(&slot.day));
    known_for >= 28 && !away && !candidate.asked.contains(&slot.session)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_rota_is_the_same_in_whatever_order_the_candidates_come(list in candidates(), seed in any::<u64>()) {
        let slots = slots(12);
        let mut turned = list.clone();
        turned.reverse();
        prop_assert_eq!(propose(&slots, &[], &list, seed), propose(&slots, &[], &turned, seed));
    }

    #[test]
    fn whoever_is_proposed_can_and_a_session_stays_open_only_where_nobody_can(list in candidates(), seed in any::<u64>()) {
        let slots = slots(12);
        let rota = propose(&slots, &[], &list, seed);
        prop_assert_eq!(rota.len(), slots.len());
        for (slot, (session, member)) in slots.iter().zip(&rota) {
            prop_assert_eq!(slot.session, *session);
            let able: HashSet<Id> = list.iter().filter(|one| can(one, slot)).map(|one| one.member).collect();
            prop_assert_eq!(member.is_none(), able.is_empty());
            prop_assert!(member.is_none_or(|member| able.contains(&member)));
        }
        for (index, pair) in rota.windows(2).enumerate() {
            if let (Some(first), true) = (pair[0].1, pair[0].1 == pair[1].1) {
                let others = list.iter().any(|one| one.member != first && can(one, &slots[index + 1]));
                prop_assert!(!others, "{first} twice in a row");
            }
        }
    }

    #[test]
    fn terms_are_shared_fairly(people in 2..7u128, weeks in 1..30i32, seed in any::<u64>()) {
        let list: Vec<Candidate> = (1..=people).map(candidate).collect();
        let mut counts: HashMap<Id, i32> = list.iter().map(|one| (one.member, 0)).collect();
        for (_, member) in propose(&slots(weeks), &[], &list, seed) {
            *counts.get_mut(&member.expect("somebody")).expect("a candidate") += 1;
        }
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        prop_assert!(most - least <= 1, "{counts:?}");
    }
}
