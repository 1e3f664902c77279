//! Emergency access over HTTP: it opens one record for a while, everybody who must know knows, and it widens nothing.

use std::thread;

use circlekeeper::{
    policy::{Action, Area, Kind, Reach, Standing, decide},
    rules::emergency_accesses::{MOST_RUNNING, Opened, check_opening},
    store::access_log::verify_at,
    values::Id,
};
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    harness::{Answer, PASSWORD, Person, Server, masters},
    leaving::found,
    scene::{measure, text},
    world::{self, Group, Member, World},
};

const MINUTE: i64 = 60_000;
const REASON: &str = "Brought to our waiting room in acute distress; no lead answers the telephone.";

/// Asks for an hour.
pub fn open(server: &Server, who: &Person, organization: Id, group: &str, member: &str) -> Answer {
    let body = json!({"group": group, "member": member, "reason": REASON, "minutes": 60});
    server.post(who, &format!("/v1/organizations/{organization}/emergency-accesses"), &body)
}

pub fn end(server: &Server, who: &Person, organization: Id, access: &str) -> Answer {
    let path = format!("/v1/organizations/{organization}/emergency-accesses/{access}/end");
    server.request("POST", &path).token(&who.token).send()
}

/// A clinician of another group, and a group with two members of whom much is known.
struct Case {
    world: World,
    /// Ids of what the first member has, and of what the second one has.
    own: Known,
    other: Known,
}

/// Ids of what is known about a member.
struct Known {
    measure: String,
    risk: String,
    signed: String,
    draft: String,
}

impl Case {
    fn new() -> Case {
        let world = World::new();
        let (own, other) = (know(&world, &world.led.member), know(&world, &world.led.second_member));
        Case { world, own, other }
    }

    fn server(&self) -> &Server {
        &self.world.server
    }

    fn led(&self) -> &Group {
        &self.world.led
    }

    fn clinician(&self) -> &Person {
        &self.world.other.lead
    }

    fn officer(&self) -> &Person {
        &self.world.privacy_officer
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/organizations/{}/emergency-accesses{rest}", self.world.organization)
    }

    fn open(&self) -> Answer {
        open(self.server(), self.clinician(), self.world.organization, &self.led().id, &self.led().member.id)
    }

    /// What the clinician is answered in the group.
    fn status(&self, rest: &str) -> u16 {
        self.server().get(self.clinician(), &self.led().path(rest)).status
    }

    fn reads(&self) -> bool {
        let measure = self.status(&format!("/measures/{}", self.own.measure));
        assert!(matches!(measure, 200 | 404), "{measure}");
        assert_eq!(self.status("/members"), measure, "all of it or nothing");
        measure == 200
    }

    fn review(&self, who: &Person, access: &str, finding: &str) -> Answer {
        let path = self.path(&format!("/{access}"));
        let version = self.server().version(self.officer(), &path);
        let body = json!({"finding": finding, "words": "The ward confirms it; the lead was told."});
        self.server().change(who, "POST", &format!("{path}/review"), &version, &body)
    }

    fn list(&self, who: &Person, query: &str) -> Vec<Value> {
        let listed = self.server().get(who, &self.path(query)).expect(200);
        listed["items"].as_array().expect("a list").clone()
    }
}

fn know(world: &World, member: &Member) -> Known {
    let (server, led) = (&world.server, &world.led);
    let taken = server.post(&member.person, &led.path("/measures"), &measure(None, 2)).made();
    let marks = server.get(&led.lead, &led.path(&format!("/risks?member={}", member.id))).expect(200);
    let entry = || {
        let now = server.db.clock.now();
        let body = json!({"member": member.id, "occurred_at": now, "text": format!("About {}.", member.person.name)});
        server.post(&led.lead, &led.path("/progress-entries"), &body).made()
    };
    let (signed, draft) = (entry(), entry());
    let path = led.path(&format!("/progress-entries/{signed}"));
    let version = server.version(&led.lead, &path);
    server.change(&led.lead, "POST", &format!("{path}/signature"), &version, &json!({})).expect(200);
    Known { measure: taken, risk: text(&marks["items"][0]["id"]), signed, draft }
}

/// Ends somebody's term in their own group.
fn end_term(case: &Case, who: &Person) {
    let (server, world) = (case.server(), &case.world);
    let terms = server.get(&world.administrator, &world.other.path("/terms")).expect(200);
    let is_own = |term: &&Value| term["account"] == who.id.to_string();
    let term = terms["items"].as_array().expect("terms").iter().find(is_own).expect("a term");
    let path = world.other.path(&format!("/terms/{}/end", text(&term["id"])));
    server.post(&world.administrator, &path, &json!({})).expect(204);
}

// What it opens.

#[test]
fn it_opens_one_member_and_nothing_of_another() {
    let case = Case::new();
    let (server, led, clinician) = (case.server(), case.led(), case.clinician());
    assert!(!case.reads());
    case.open().expect(201);
    assert!(case.reads());
    let (own, other) = (&led.member.id, &led.second_member.id);
    for (path, of) in [
        ("/members/{}", [own, other]),
        ("/members/{}/progress", [own, other]),
        ("/measures/{}", [&case.own.measure, &case.other.measure]),
        ("/measures/{}/versions", [&case.own.measure, &case.other.measure]),
        ("/measures/{}/questionnaire-response", [&case.own.measure, &case.other.measure]),
        ("/risks/{}", [&case.own.risk, &case.other.risk]),
        ("/progress-entries/{}", [&case.own.signed, &case.other.signed]),
    ] {
        assert_eq!(case.status(&path.replace("{}", of[0])), 200, "{path}");
        assert_eq!(case.status(&path.replace("{}", of[1])), 404, "{path} of another member");
    }
    // What is not signed is nobody's word yet.
    for draft in [&case.own.draft, &case.other.draft] {
        assert_eq!(case.status(&format!("/progress-entries/{draft}")), 404);
    }
    for list in ["/members", "/measures", "/risks", "/progress-entries", "/due-measures"] {
        let listed = server.get(clinician, &led.path(list));
        let items = listed.clone().expect(200)["items"].as_array().expect("a list").clone();
        for item in &items {
            let member = if list == "/members" { &item["id"] } else { &item["member"] };
            assert_eq!(member, own, "{list}");
        }
        assert!(!items.is_empty() || list == "/due-measures", "{list}: {}", listed.text);
        assert!(!listed.text.contains(other.as_str()), "{list}: {}", listed.text);
        if matches!(list, "/measures" | "/progress-entries" | "/risks") {
            let asked = server.get(clinician, &led.path(&format!("{list}?member={other}")));
            assert!(asked.status == 404 || asked.json()["items"] == json!([]), "{list}: {}", asked.text);
        }
    }
}

#[test]
fn process_notes_and_whatever_is_not_about_the_member_stay_closed() {
    let case = Case::new();
    let (server, led) = (case.server(), case.led());
    let note = server.post(&led.lead, &led.path("/process-notes"), &json!({"text": "For myself alone."})).made();
    let session = text(&case.world.session()["id"]);
    case.open().expect(201);
    for path in [
        "",
        "/terms",
        "/process-notes",
        &format!("/process-notes/{note}"),
        "/sessions",
        &format!("/sessions/{session}/session-record"),
        &format!("/sessions/{session}/attendances"),
        "/agreements",
        "/signatures",
        "/goals",
        "/progress",
        "/outcomes",
        "/referrals",
        "/emergency-notices",
        &format!("/members/{}/export", led.member.id),
    ] {
        let status = case.status(path);
        assert!(status == 403 || (status == 404 && path.ends_with("/export")), "{path}: {status}");
    }
    // Its holder writes as themselves in their own group, where it is no standing.
    assert_eq!(server.get(case.clinician(), &case.world.other.path("/process-notes")).status, 200);
}

#[test]
fn an_emergency_reads_and_changes_nothing() {
    let readable = |kind| -> Vec<Action> {
        let reached = |action: &&Action| decide(kind, Standing::Emergency, **action).is_some();
        Action::ALL.iter().filter(reached).copied().collect()
    };
    use Action::*;
    assert_eq!(readable(Kind::PeerLed), []);
    assert_eq!(readable(Kind::TherapistLed), [ReadMembers, ReadMeasures, ReadProgressEntries, ReadRisks, ReadProgress]);
    for action in readable(Kind::TherapistLed) {
        assert_eq!(decide(Kind::TherapistLed, Standing::Emergency, action), Some(Reach::Own));
        assert!(action.touches_records() && action.area() == Area::Group, "{action:?} is written down");
    }
    let case = Case::new();
    case.open().expect(201);
    let (server, led, clinician) = (case.server(), case.led(), case.clinician());
    for (method, path) in [
        ("POST", "/measures".to_owned()),
        ("POST", "/progress-entries".to_owned()),
        ("POST", "/process-notes".to_owned()),
        ("POST", format!("/risks/{}/acknowledgement", case.own.risk)),
        ("POST", format!("/members/{}/moves", led.member.id)),
        ("PUT", format!("/progress-entries/{}", case.own.signed)),
    ] {
        let request = server.request(method, &led.path(&path)).token(&clinician.token).version("\"1\"");
        request.json(&json!({"text": "Written from outside."})).send().expect(403);
    }
}

#[test]
fn what_was_agreed_in_danger_is_read_and_no_reason_for_a_discharge() {
    let case = Case::new();
    let (server, led) = (case.server(), case.led());
    let risk = led.path(&format!("/risks/{}", case.own.risk));
    for (what, body) in
        [("acknowledgement", json!({})), ("assessment", json!({"note": "Brother keeps the tablets; safe tonight."}))]
    {
        let version = server.version(&led.lead, &risk);
        server.change(&led.lead, "POST", &format!("{risk}/{what}"), &version, &body).expect(200);
    }
    case.open().expect(201);
    let read = server.get(case.clinician(), &risk).expect(200);
    assert_eq!(read["steps"][2]["note"], "Brother keeps the tablets; safe tonight.");
    let member = server.get(case.clinician(), &led.path(&format!("/members/{}", led.member.id))).expect(200);
    assert!(member["intervals"].as_array().expect("intervals").iter().all(|interval| interval["reason"].is_null()));
}

#[test]
fn a_course_that_the_member_withdrew_is_not_drawn_in_an_emergency_either() {
    let case = Case::new();
    let (server, led) = (case.server(), case.led());
    let signatures = server.get(&led.member.person, &led.path("/signatures")).expect(200);
    let withdrawal = led.path(&format!("/signatures/{}/withdrawal", text(&signatures["items"][0]["id"])));
    server.post(&led.member.person, &withdrawal, &json!({})).expect(204);
    case.open().expect(201);
    let path = led.path(&format!("/members/{}/progress", led.member.id));
    let (seen, of_lead) = (server.get(case.clinician(), &path).expect(200), server.get(&led.lead, &path).expect(200));
    assert_eq!(seen["consents"], false);
    assert_eq!(seen["series"], of_lead["series"], "as whoever leads sees it");
}

// Who opens one, and of whom.

#[test]
fn nobody_but_a_clinician_opens_one_and_the_administrator_reads_no_reason() {
    let case = Case::new();
    let (server, world) = (case.server(), &case.world);
    let trainee = world.led.trainee.as_ref().expect("a trainee");
    let (led, organization) = (case.led(), world.organization);
    let open = |who: &Person| open(server, who, organization, &led.id, &led.member.id).status;
    for who in [&world.administrator, &world.privacy_officer, trainee, &world.peer.lead] {
        assert_eq!(open(who), 403, "{}", who.name);
    }
    for who in [&world.outsider, &led.member.person, &world.other.former_lead] {
        assert_eq!(open(who), 404, "{}", who.name);
    }
    let access = case.open().made();
    for path in [case.path(""), case.path(&format!("/{access}"))] {
        for who in [&world.administrator, trainee] {
            let refused = server.get(who, &path);
            assert!(!refused.text.contains("waiting room"));
            refused.expect(403);
        }
        assert_eq!(server.get(&world.outsider, &path).status, 404);
    }
    // Another clinician's is not there for a clinician.
    server.get(&led.lead, &case.path(&format!("/{access}"))).expect(404);
    end(server, &led.lead, organization, &access).expect(404);
    assert_eq!(case.list(&led.lead, ""), Vec::<Value>::new());
}

#[test]
fn a_group_or_member_that_cannot_be_opened_is_answered_alike() {
    let case = Case::new();
    let (server, world) = (case.server(), &case.world);
    let closed = &world.other;
    let nobody = Id::random().to_string();
    let mut answers = Vec::new();
    let who = &world.led.lead;
    let version = server.version(&world.administrator, &closed.path(""));
    server.change(&world.administrator, "POST", &closed.path("/closing"), &version, &json!({})).expect(200);
    for (group, member) in [
        (&nobody, &nobody),
        (&nobody, &world.other.member.id),
        (&world.other.id, &nobody),
        (&world.other.id, &world.led.member.id),
        (&world.peer.id, &world.peer.member.id),
        (&closed.id, &closed.member.id),
    ] {
        let answer = open(server, who, world.organization, group, member);
        answers.push((answer.status, answer.text));
    }
    assert_eq!(answers[0].0, 422, "{answers:?}");
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[test]
fn somebody_who_has_left_can_be_read_and_another_groups_record_cannot() {
    let case = Case::new();
    let (server, world, led) = (case.server(), &case.world, case.led());
    open(server, case.clinician(), world.organization, &led.id, &led.former_member.id).expect(201);
    assert_eq!(case.status(&format!("/members/{}", led.former_member.id)), 200);
    assert_eq!(case.status(&format!("/members/{}", led.member.id)), 404);
    assert_eq!(server.get(case.clinician(), &world.peer.path("/members")).status, 404);
}

#[test]
fn whoever_stands_in_the_group_needs_none_and_gets_none() {
    let case = Case::new();
    let (server, world, led) = (case.server(), &case.world, case.led());
    let open = |who: &Person| open(server, who, world.organization, &led.id, &led.second_member.id);
    open(&led.lead).expect(409);
    open(&led.co_lead).expect(409);
    // A therapist elsewhere who belongs to the circle here reads nobody of it, and belonging ends what was opened.
    let access = open(case.clinician()).made();
    assert_eq!(case.status(&format!("/members/{}", led.second_member.id)), 200);
    let invited = server.post(&led.lead, &led.path("/members"), &json!({"name": "Hatty"})).expect(201);
    world::accept(server, case.clinician(), invited["code"].as_str().expect("a code"));
    world::move_to(server, &led.lead, &led.id, &text(&invited["id"]), "active");
    assert_eq!(case.status(&format!("/members/{}", led.second_member.id)), 404);
    assert_eq!(case.status(&format!("/measures/{}", case.other.measure)), 404);
    assert_eq!(case.status("/risks"), 403);
    end(server, case.clinician(), world.organization, &access).expect(200);
    open(case.clinician()).expect(409);
}

#[test]
fn without_a_verified_licence_of_today_nothing_is_opened() {
    let case = Case::new();
    let (server, world) = (case.server(), &case.world);
    let unlicensed = server.account("Una Unlicensed");
    let body = json!({"standing": "co_therapist"});
    let invited = server.post(&world.administrator, &world.other.path("/terms"), &body).expect(201);
    world::accept(server, &unlicensed, invited["code"].as_str().expect("a code"));
    let ask = |who: &Person| open(server, who, world.organization, &case.led().id, &case.led().member.id);
    let refused = ask(&unlicensed).expect(409);
    // Nor is it told whose record could be opened, and that it was asked for stands in the log.
    let nobody = Id::random().to_string();
    assert_eq!(open(server, &unlicensed, world.organization, &nobody, &nobody).expect(409), refused);
    let log = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
    let log = server.get(&world.privacy_officer, &log).expect(200);
    let entries = log["items"].as_array().expect("entries").iter();
    let tried: Vec<&Value> = entries.filter(|entry| entry["account"] == unlicensed.id.to_string()).collect();
    let tried: Vec<_> = tried.iter().filter(|entry| entry["action"] == "OpenEmergencyAccess").collect();
    assert_eq!(tried.len(), 2, "{log}");
    assert!(tried.iter().all(|entry| entry["allowed"] == false), "{tried:?}");
    assert_eq!(tried.iter().filter(|entry| entry["member"] == case.led().member.id).count(), 1, "{tried:?}");
    world::license(server, &world.administrator, world.organization, &unlicensed);
    ask(&unlicensed).expect(201);
    server.travel_days(12 * 365);
    ask(&server.again(case.clinician())).expect(409);
}

#[test]
fn nothing_is_opened_where_nobody_else_could_review_it() {
    let case = Case::new();
    tamper(&case.server().location, "DELETE FROM standings WHERE standing = 'privacy_officer'");
    let refused = case.open().expect(409);
    assert!(refused.to_string().contains("privacy officer"), "{refused}");
    assert!(!case.reads());
}

#[test]
fn who_opened_one_stays_known_until_it_is_reviewed() {
    let case = Case::new();
    let (server, world) = (case.server(), &case.world);
    let access = case.open().made();
    end(server, case.clinician(), world.organization, &access).expect(200);
    end_term(&case, case.clinician());
    let close = || {
        let request = server.request("DELETE", "/v1/account").token(&case.clinician().token);
        request.json(&json!({"password": PASSWORD})).send()
    };
    let refused = close().expect(409);
    assert!(refused.to_string().contains("review"), "{refused}");
    case.review(case.officer(), &access, "justified").expect(200);
    close().expect(200);
}

#[test]
fn what_is_asked_for_is_bounded() {
    let case = Case::new();
    let (server, led) = (case.server(), case.led());
    let ask = |field: &str, value: Value| {
        let mut body = json!({"group": led.id, "member": led.member.id, "reason": REASON, "minutes": 60});
        body[field] = value;
        server.post(case.clinician(), &case.path(""), &body)
    };
    let spaces = " ".repeat(40);
    let unseen = "\u{200b}".repeat(40);
    for reason in ["", "short", spaces.as_str(), unseen.as_str(), &"x".repeat(1_001)] {
        ask("reason", json!(reason)).refuses("/reason");
    }
    for minutes in [json!(0), json!(14), json!(241), json!(1.5), json!(-60), json!("60"), json!(null)] {
        ask("minutes", minutes).refuses("/minutes");
    }
    ask("until_at", json!("2030-01-01T00:00:00Z")).expect(422);
    ask("account", json!(led.lead.id)).expect(422);
    assert!(!case.reads());
    assert_eq!(case.list(case.officer(), ""), Vec::<Value>::new());
}

#[test]
fn nobody_holds_many_and_in_one_group_never_two() {
    let case = Case::new();
    let (server, world, led) = (case.server(), &case.world, case.led());
    case.open().expect(201);
    case.open().expect(409);
    open(server, case.clinician(), world.organization, &led.id, &led.second_member.id).expect(409);
    let opened = || Opened { group: Id::random(), member: Id::random() };
    let mut running = Vec::new();
    for _ in 0..MOST_RUNNING {
        check_opening(&running, opened()).expect("one more");
        running.push(opened());
    }
    assert!(check_opening(&running, opened()).is_err());
}

#[test]
fn of_two_at_once_one_is_opened() {
    let case = Case::new();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| case.open().status)).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 5, "{statuses:?}");
}

#[test]
fn a_retry_gives_the_same_access_and_no_longer_one() {
    let case = Case::new();
    let (server, led) = (case.server(), case.led());
    let ask = |minutes: i32| {
        let body = json!({"group": led.id, "member": led.member.id, "reason": REASON, "minutes": minutes});
        let request = server.request("POST", &case.path("")).token(&case.clinician().token).key("emergency-of-tonight");
        request.json(&body).send()
    };
    let first = ask(30).expect(201);
    server.db.clock.shift(10 * MINUTE);
    assert_eq!(ask(30).expect(201), first);
    ask(240).expect(422);
    assert_eq!(case.list(case.officer(), "").len(), 1);
    server.db.clock.shift(20 * MINUTE);
    // Over, and asked for again as before: the first answer, which opens nothing any more.
    assert_eq!(ask(30).expect(201), first);
    assert!(!case.reads());
}

#[test]
fn where_staff_need_a_second_factor_an_emergency_does_too() {
    let case = Case::new();
    let (server, world) = (case.server(), &case.world);
    case.open().expect(201);
    let path = format!("/v1/organizations/{}", world.organization);
    let version = server.version(&world.administrator, &path);
    let body = json!({"name": "Riverside Clinic", "staff_second_factor": true});
    server.change(&world.administrator, "PUT", &path, &version, &body);
    assert_eq!(case.open().status, 401);
    assert_eq!(case.status("/measures"), 401);
}

// How it ends.

#[test]
fn it_ends_at_the_minute_whatever_a_client_kept() {
    let case = Case::new();
    let (server, led) = (case.server(), case.led());
    let body = json!({"group": led.id, "member": led.member.id, "reason": REASON, "minutes": 15});
    server.post(case.clinician(), &case.path(""), &body).expect(201);
    let path = led.path(&format!("/members/{}", led.member.id));
    let etag = server.version(case.clinician(), &path);
    server.db.clock.shift(14 * MINUTE);
    assert!(case.reads());
    server.db.clock.shift(MINUTE);
    assert!(!case.reads());
    let cached = server.request("GET", &path).token(&case.clinician().token).header("if-none-match", &etag).send();
    let hidden = server.get(case.clinician(), &format!("/v1/groups/{}/members/{}", Id::random(), led.member.id));
    assert_eq!((cached.status, cached.text), (404, hidden.text));
}

#[test]
fn it_ends_when_its_holder_or_the_privacy_officer_says_so() {
    for by_officer in [false, true] {
        let case = Case::new();
        let (server, organization) = (case.server(), case.world.organization);
        let access = case.open().made();
        let who = if by_officer { case.officer() } else { case.clinician() };
        let ended = end(server, who, organization, &access).expect(200);
        assert_eq!(ended["state"], "waiting");
        assert_eq!(ended["ended_by"]["account"], who.id.to_string());
        assert!(!case.reads());
        end(server, who, organization, &access).expect(409);
        // Another one is another reason, and another review.
        case.open().expect(201);
        assert_eq!(case.list(case.officer(), "?state=waiting").len(), 1);
    }
}

#[test]
fn it_ends_with_what_its_holder_is() {
    let case = Case::new();
    case.open().expect(201);
    end_term(&case, case.clinician());
    assert!(!case.reads());

    let case = Case::new();
    let (server, world) = (case.server(), &case.world);
    case.open().expect(201);
    let path = format!("/v1/organizations/{}/people/{}/suspension", world.organization, case.clinician().id);
    let body = json!({"reason": "Under review."});
    server.request("PUT", &path).token(&world.administrator.token).json(&body).send().expect(204);
    assert_eq!(case.status("/members"), 401, "their sign-ins have ended");
    let again = server.again(case.clinician());
    server.get(&again, &case.led().path("/members")).expect(404);
    server.get(&again, &case.led().path(&format!("/measures/{}", case.own.measure))).expect(404);
}

#[test]
fn it_ends_with_the_group_and_with_the_membership() {
    let case = Case::new();
    let (server, world, led) = (case.server(), &case.world, case.led());
    case.open().expect(201);
    // Erased meanwhile: there is nothing for a therapist-led record yet but what erasing does.
    let member = literal(&server.location, &led.member.id);
    tamper(&server.location, &format!("UPDATE members SET erased_at = 1 WHERE id = {member}"));
    assert!(!case.reads());
    tamper(&server.location, &format!("UPDATE members SET erased_at = NULL WHERE id = {member}"));
    assert!(case.reads());
    let version = server.version(&world.administrator, &led.path(""));
    server.change(&world.administrator, "POST", &led.path("/closing"), &version, &json!({})).expect(200);
    assert!(!case.reads());
}

#[test]
fn it_does_not_follow_a_member_into_another_group() {
    let case = Case::new();
    let (server, world, led) = (case.server(), &case.world, case.led());
    // Held by somebody who stands in neither of the groups.
    let body = json!({
        "kind": "therapist_led", "title": "Third", "public_description": "Evenings.", "format": "online",
        "language": "en", "zone": "UTC"
    });
    let path = format!("/v1/organizations/{}/groups", world.organization);
    let third = server.post(&world.administrator, &path, &body).made();
    let admin = &world.administrator;
    let clinician = world::lead(server, admin, world.organization, &third, "therapist", "Third Lead");
    open(server, &clinician, world.organization, &led.id, &led.member.id).expect(201);
    let member = led.path(&format!("/members/{}", led.member.id));
    let (version, body) = (server.version(admin, &member), json!({"to_group": world.other.id}));
    let there = server.change(admin, "POST", &format!("{member}/transfer"), &version, &body).made();
    assert_ne!(there, led.member.id);
    server.get(&clinician, &world.other.path(&format!("/members/{there}"))).expect(404);
    server.get(&clinician, &led.path(&format!("/members/{there}"))).expect(404);
    // What was written where they were is what it was opened for.
    server.get(&clinician, &led.path(&format!("/members/{}", led.member.id))).expect(200);
}

#[test]
fn a_token_from_before_reads_by_what_is_true_now() {
    let case = Case::new();
    let before = case.clinician().clone();
    let access = case.open().made();
    assert!(case.reads());
    end(case.server(), &before, case.world.organization, &access).expect(200);
    assert_eq!(case.server().get(&before, &case.led().path("/measures")).status, 404);
}

// Who learns of it.

#[test]
fn the_privacy_officer_learns_at_once_and_without_content() {
    let case = Case::new();
    let (server, world) = (case.server(), &case.world);
    let waiting = |who: &Person| {
        let standings = server.get(who, "/v1/account/standings").expect(200);
        assert!(!standings.to_string().contains("waiting room"), "{standings}");
        standings["emergency_reviews"].clone()
    };
    assert_eq!(waiting(case.officer()), json!([]));
    let access = case.open().made();
    let place = |running: i32, waits: i32, overdue: bool| {
        json!([{
            "organization": world.organization, "organization_name": "Riverside Clinic", "running": running,
            "waiting": waits, "overdue": overdue
        }])
    };
    assert_eq!(waiting(case.officer()), place(1, 0, false));
    for who in [&world.administrator, case.clinician(), &world.led.lead, &world.led.member.person] {
        assert_eq!(waiting(who), json!([]), "{}", who.name);
    }
    // The holder sees where they stand, and until when.
    let own = server.get(case.clinician(), "/v1/account/standings").expect(200);
    let standing = own["items"].as_array().expect("standings").last().expect("one").clone();
    assert_eq!((&standing["standing"], &standing["member"]), (&json!("emergency"), &json!(case.led().member.id)));
    server.db.clock.shift(60 * MINUTE);
    assert_eq!(waiting(case.officer()), place(0, 1, false));
    let own = server.get(case.clinician(), "/v1/account/standings").expect(200);
    assert!(!own.to_string().contains("emergency\""), "{own}");
    server.db.clock.shift(72 * 60 * MINUTE);
    assert_eq!(waiting(case.officer()), place(0, 1, true));
    assert_eq!(case.list(case.officer(), "")[0]["overdue"], true);
    case.review(case.officer(), &access, "justified").expect(200);
    assert_eq!(waiting(case.officer()), json!([]));
    assert_eq!(case.list(case.officer(), "")[0]["overdue"], false);
}

#[test]
fn a_review_shows_what_was_read_and_what_was_tried() {
    let case = Case::new();
    let (server, led) = (case.server(), case.led());
    let access = case.open().made();
    case.status(&format!("/measures/{}", case.own.measure));
    case.status("/risks");
    case.status(&format!("/measures/{}", case.other.measure));
    case.status("/process-notes");
    let read = server.get(case.officer(), &case.path(&format!("/{access}"))).expect(200);
    assert_eq!(read["reason"], REASON);
    assert_eq!(read["has_more_accesses"], false);
    let seen: Vec<(Value, Value, Value)> = read["accesses"]
        .as_array()
        .expect("accesses")
        .iter()
        .inspect(|entry| {
            assert_eq!((&entry["standing"], &entry["member"]), (&json!("emergency"), &json!(led.member.id)))
        })
        .map(|entry| (entry["action"].clone(), entry["allowed"].clone(), entry["record"].clone()))
        .collect();
    let nothing = Value::Null;
    assert_eq!(
        seen,
        [
            (json!("ReadMeasures"), json!(true), json!(case.own.measure)),
            (json!("ReadRisks"), json!(true), nothing.clone()),
            (json!("ReadMeasures"), json!(false), nothing.clone()),
            (json!("ReadProcessNotes"), json!(false), nothing),
        ]
    );
    let log = format!("/v1/organizations/{}/access-log?emergency_access={access}", case.world.organization);
    let log = server.get(case.officer(), &log).expect(200);
    assert_eq!(log["items"].as_array().expect("entries").len(), seen.len());
    assert!(log["items"].as_array().expect("entries").iter().all(|entry| entry["emergency_access"] == access));
    assert_eq!(verify_at(&server.location, &masters()).expect("a verdict").faults, Vec::<String>::new());
    tamper(&server.location, "UPDATE access_entries SET emergency_id = NULL WHERE action = 'ReadProcessNotes'");
    assert!(!verify_at(&server.location, &masters()).expect("a verdict").faults.is_empty(), "the reference is covered");
}

#[test]
fn a_review_is_given_once_and_of_all_that_was_read() {
    let case = Case::new();
    let (server, world) = (case.server(), &case.world);
    let access = case.open().made();
    let path = case.path(&format!("/{access}"));
    case.review(case.officer(), &access, "justified").expect(409);
    let first = server.version(case.officer(), &path);
    end(server, case.clinician(), world.organization, &access).expect(200);
    let body = json!({"finding": "unclear", "words": "Asked the ward; no answer yet."});
    let request = || server.request("POST", &format!("{path}/review")).token(&case.officer().token);
    request().json(&body).send().expect(428);
    request().version(&first).json(&body).send().expect(412);
    case.review(case.officer(), &access, "fine").refuses("/finding");
    for who in [&world.administrator, &world.led.lead, case.clinician()] {
        case.review(who, &access, "justified").expect(403);
    }
    let reviewed = case.review(case.officer(), &access, "not_justified").expect(200);
    assert_eq!((&reviewed["state"], &reviewed["finding"]), (&json!("reviewed"), &json!("not_justified")));
    case.review(case.officer(), &access, "justified").expect(409);
    // The holder reads what was found.
    let own = server.get(case.clinician(), &path).expect(200);
    assert_eq!(own["words"], "The ward confirms it; the lead was told.");
}

#[test]
fn a_clinician_who_becomes_privacy_officer_does_not_review_their_own() {
    let case = Case::new();
    let (server, world) = (case.server(), &case.world);
    let access = case.open().made();
    end_term(&case, case.clinician());
    world::accept(server, case.clinician(), &world::invite(server, world.organization, Standing::PrivacyOfficer));
    end(server, case.clinician(), world.organization, &access).expect(200);
    let own = case.review(case.clinician(), &access, "justified").expect(409);
    assert!(own.to_string().contains("their own"), "{own}");
    let waiting = |who: &Person| server.get(who, "/v1/account/standings").expect(200)["emergency_reviews"].clone();
    assert_eq!(waiting(case.clinician()), json!([]), "it asks another one");
    assert_eq!(waiting(case.officer())[0]["waiting"], 1);
    case.review(case.officer(), &access, "justified").expect(200);
}

#[test]
fn the_queue_keeps_what_nobody_reviewed_in_front() {
    let case = Case::new();
    let (server, organization) = (case.server(), case.world.organization);
    let mut ids = Vec::new();
    for _ in 0..4 {
        let access = case.open().made();
        end(server, case.clinician(), organization, &access).expect(200);
        ids.push(access);
    }
    ids.push(case.open().made());
    case.review(case.officer(), &ids[2], "justified").expect(200);
    case.review(case.officer(), &ids[3], "justified").expect(200);
    let order = [4, 1, 0, 3, 2].map(|index: usize| json!(ids[index]));
    let shown = |query: &str| -> Vec<Value> {
        case.list(case.officer(), query).iter().map(|access| access["id"].clone()).collect()
    };
    assert_eq!(shown(""), order);
    assert_eq!(shown("?state=running"), order[..1]);
    assert_eq!(shown("?state=waiting"), order[1..3]);
    assert_eq!(shown("?state=reviewed"), order[3..]);
    let mut paged = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = server.get(case.officer(), &case.path(&query)).expect(200);
        paged.extend(page["items"].as_array().expect("a page").iter().map(|access| access["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    assert_eq!(paged, order);
    server.get(case.officer(), &case.path("?state=open")).expect(400);
}

#[test]
fn the_member_and_the_leads_learn_that_it_happened_and_not_why() {
    let case = Case::new();
    let (server, led) = (case.server(), case.led());
    let access = case.open().made();
    case.status(&format!("/measures/{}", case.own.measure));
    case.status("/risks");
    case.status(&format!("/measures/{}", case.other.measure));
    end(server, case.clinician(), case.world.organization, &access).expect(200);
    case.review(case.officer(), &access, "justified").expect(200);
    let own_log = |member: &Member| {
        let log = server.get(&member.person, "/v1/account/access-log?limit=200").expect(200);
        assert!(!log.to_string().contains("waiting room"), "{log}");
        log["items"].as_array().expect("entries").clone()
    };
    let by_clinician = |entry: &&Value| entry["account"] == case.clinician().id.to_string();
    let log = own_log(&led.member);
    let seen: Vec<(&Value, &Value)> =
        log.iter().filter(by_clinician).map(|entry| (&entry["action"], &entry["standing"])).collect();
    let (emergency, therapist) = (json!("emergency"), json!("therapist"));
    let actions =
        ["EndEmergencyAccess", "ReviewMember", "ReadMeasures", "OpenEmergencyAccess"].map(|action| json!(action));
    // Whoever looked at risk marks, in an emergency too, is shown without saying that there are any.
    assert_eq!(
        seen,
        [(&actions[0], &therapist), (&actions[1], &emergency), (&actions[2], &emergency), (&actions[3], &therapist)]
    );
    let opened = log.iter().rfind(by_clinician).expect("the opening");
    assert_eq!((&opened["name"], &opened["record"]), (&json!("Other Lead"), &json!(access)));
    assert!(log.iter().any(|entry| entry["action"] == "ReviewEmergencyAccess"));
    assert_eq!(own_log(&led.second_member).iter().find(by_clinician), None, "it was not about them");
    for who in [&led.lead, &led.co_lead] {
        let notices = server.get(who, &led.path("/emergency-notices"));
        assert!(!notices.text.contains("waiting room"), "{}", notices.text);
        let notices = notices.expect(200);
        assert_eq!(notices["items"][0]["member"], led.member.id);
        assert_eq!(notices["items"][0]["holder"]["name"], "Other Lead");
    }
    for who in [&led.member.person, led.trainee.as_ref().expect("a trainee"), &case.world.administrator] {
        server.get(who, &led.path("/emergency-notices")).expect(403);
    }
}

#[test]
fn the_words_go_with_the_member_and_the_fact_stays() {
    let case = Case::new();
    let (server, led) = (case.server(), case.led());
    let access = case.open().made();
    end(server, case.clinician(), case.world.organization, &access).expect(200);
    if !server.location.is_postgres() {
        let readable = "SELECT 'x' AS line FROM emergency_accesses WHERE instr(reason, CAST('distress' AS BLOB)) > 0";
        assert_eq!(found(&server.location, readable), Vec::<String>::new());
    }
    let member = literal(&server.location, &led.member.id);
    tamper(&server.location, &format!("DELETE FROM data_keys WHERE owner_id = {member}"));
    let read = server.get(case.officer(), &case.path(&format!("/{access}"))).expect(200);
    assert_eq!((&read["reason"], &read["holder"]["name"]), (&Value::Null, &json!("Other Lead")));
    let reviewed = case.review(case.officer(), &access, "unclear").expect(200);
    assert_eq!((&reviewed["finding"], &reviewed["words"]), (&json!("unclear"), &Value::Null));
}

#[test]
fn a_hidden_group_costs_what_one_costs_that_does_not_exist() {
    crate::query_plans::collect();
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let cost = |path: &str, status: u16, who: &Person| {
        let before = crate::query_plans::reads(&server.location);
        server.get(who, path).expect(status);
        crate::query_plans::reads(&server.location) - before
    };
    let nowhere = format!("/v1/groups/{}/measures", Id::random());
    assert_eq!(cost(&led.path("/measures"), 404, &world.outsider), cost(&nowhere, 404, &world.outsider));
    // What is allowed looks up no emergency: as many as for somebody who is asked about nothing else.
    assert_eq!(cost(&led.path("/measures"), 200, &led.lead), cost(&led.path("/measures"), 200, &led.member.person));
}
