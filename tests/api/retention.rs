//! Retention over HTTP: nothing goes without a rule and a preview, what has to stay stays, and what is gone was never there.

use circlekeeper::store::access_log::verify_at;
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    emergency_accesses,
    harness::{Answer, Person, Server, masters},
    leaving::{found, places_of},
    scene::{Records, measure, text},
    world::{self, Group, World},
};

/// A run of the organization, for the access matrix: of no rules, so that it has nothing to do.
pub fn add_records(server: &Server, administrator: &Person, organization: &str, records: &mut Records) {
    let path = format!("/v1/organizations/{organization}");
    let shown = server.get(administrator, &format!("{path}/retention-rules/preview")).expect(200);
    let body = json!({"as_of": shown["as_of"], "preview": shown["preview"]});
    let run = server.post(administrator, &format!("{path}/retention-runs"), &body).made();
    records.add("run", &run, None, None);
}

fn path(world: &World, rest: &str) -> String {
    format!("/v1/organizations/{}{rest}", world.organization)
}

fn set(world: &World, who: &Person, items: &Value) -> Answer {
    let version = world.server.version(who, &path(world, "/retention-rules"));
    world.server.change(who, "PUT", &path(world, "/retention-rules"), &version, &json!({"items": items}))
}

fn clinical(years: i32, counted_from: &str) -> Value {
    json!([{"kind": "clinical_record", "keep_years": years, "counted_from": counted_from}])
}

fn preview(world: &World, who: &Person) -> Value {
    world.server.get(who, &path(world, "/retention-rules/preview")).expect(200)
}

fn begin(world: &World, who: &Person, shown: &Value, at_once: i32) -> Answer {
    let body = json!({"as_of": shown["as_of"], "preview": shown["preview"], "at_once": at_once});
    world.server.post(who, &path(world, "/retention-runs"), &body)
}

fn carry_on(world: &World, who: &Person, run: &str) -> Answer {
    world.server.post(who, &path(world, &format!("/retention-runs/{run}/continuation")), &json!({"at_once": 1}))
}

/// Without a risk mark.
fn answers(member: &str, first: i32) -> Value {
    let mut measure = measure(Some(member), first);
    measure["answers"]["phq-9.9"] = json!(0);
    measure
}

/// A course of two sessions for the group's three members, of whom the first and the second leave afterwards as well.
fn course(world: &World, group: &Group) {
    let server = &world.server;
    // Whoever left a group when the world began would be past as well: nobody but these three is.
    for group in [&world.led, &world.other] {
        world::move_to(server, &group.lead, &group.id, &group.former_member.id, "active");
    }
    server.travel_days(1);
    let all = [&group.member, &group.second_member, &group.former_member];
    for (week, first) in [(0, 3), (1, 1)] {
        let session = text(&world::plan(server, &group.lead, &group.id)["id"]);
        let now = server.db.clock.now();
        let said = |index: usize| if index == 1 && week == 1 { "no_show" } else { "attended" };
        let attendance: Vec<Value> =
            all.iter().enumerate().map(|(index, member)| json!({"member": member.id, "status": said(index)})).collect();
        let measures: Vec<Value> = all.iter().map(|member| answers(&member.id, first)).collect();
        let body = json!({
            "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "attendance": attendance,
            "measures": measures, "session_record": "The group practised."
        });
        let place = group.path(&format!("/sessions/{session}"));
        let version = server.version(&group.lead, &place);
        server.change(&group.lead, "PUT", &format!("{place}/recording"), &version, &body).expect(200);
        server.travel_days(1);
    }
    let entry = json!({"member": group.member.id, "occurred_at": server.db.clock.now(), "text": "Sleeps better."});
    server.post(&group.lead, &group.path("/progress-entries"), &entry).expect(201);
    let goal = json!({"member": group.member.id, "text": "Leave the house.", "weight": 1});
    server.post(&group.lead, &group.path("/goals"), &goal).expect(201);
    let homework = json!({"member": group.member.id, "text": "One walk."});
    server.post(&group.lead, &group.path("/homework"), &homework).expect(201);
    for member in all {
        world::leave(server, member, &group.id);
    }
}

/// The world years later, with everybody signed in again who does something then.
fn years_later(mut world: World, years: i64) -> World {
    world.server.travel_days(years * 366);
    world.administrator = world.server.again(&world.administrator);
    world.privacy_officer = world.server.again(&world.privacy_officer);
    for group in [&mut world.led, &mut world.other, &mut world.peer] {
        group.lead = world.server.again(&group.lead);
        group.member.person = world.server.again(&group.member.person);
        group.second_member.person = world.server.again(&group.second_member.person);
    }
    world
}

fn after_seven_years() -> World {
    let world = World::new();
    course(&world, &world.led);
    years_later(world, 7)
}

fn outcomes(world: &World) -> Vec<Value> {
    let figured = [1, 2, 3, 10].map(|misses| format!("/outcomes?misses={misses}"));
    figured.iter().map(|rest| world.server.get(&world.led.lead, &world.led.path(rest)).expect(200)).collect()
}

fn is_there(world: &World, member: &str) -> bool {
    let answer = world.server.get(&world.led.lead, &world.led.path(&format!("/members/{member}")));
    assert!(matches!(answer.status, 200 | 404), "{}", answer.text);
    answer.status == 200
}

/// Every row of every table but the access log's; SQLite alone.
fn all_rows(server: &Server) -> Vec<String> {
    if server.location.is_postgres() {
        return Vec::new();
    }
    let tables = found(
        &server.location,
        "SELECT 'SELECT ''' || m.name || ' '' || ' || group_concat('quote(\"' || c.name || '\")', ' || ') || ' AS line FROM ' \
         || m.name AS line FROM sqlite_master m, pragma_table_info(m.name) c \
         WHERE m.type = 'table' AND m.name NOT LIKE 'access\\_%' ESCAPE '\\' GROUP BY m.name",
    );
    assert!(tables.len() > 50);
    let mut rows: Vec<String> = tables.iter().flat_map(|sql| found(&server.location, sql)).collect();
    rows.sort_unstable();
    rows
}

fn assert_log_is_whole(world: &World) {
    let verdict = verify_at(&world.server.location, &masters()).expect("a verdict");
    assert_eq!(verdict.faults, Vec::<String>::new());
}

#[test]
fn no_rule_falls_below_the_law_and_none_is_there_by_default() {
    let world = World::new();
    let (server, admin) = (&world.server, &world.administrator);
    let rules = server.get(&world.privacy_officer, &path(&world, "/retention-rules")).expect(200);
    assert_eq!((&rules["items"], &rules["version"]), (&json!([]), &json!(0)));
    assert!(text(&rules["floors"][0]["source"]).contains("164.530(j)"), "{rules}");
    let refused = set(&world, admin, &clinical(5, "end_of_membership")).refuses("/items/0/keep_years");
    assert!(refused.to_string().contains("45 CFR 164.530(j)(2)"), "{refused}");
    let one = |kind: &str, years: i32, from: &str| json!([{"kind": kind, "keep_years": years, "counted_from": from}]);
    set(&world, admin, &one("disclosures", 5, "creation")).refuses("/items/0/keep_years");
    set(&world, admin, &one("clinical_record", 7, "creation")).refuses("/items/0/counted_from");
    set(&world, admin, &one("peer_attendance", 1, "last_session")).refuses("/items/0/counted_from");
    set(&world, admin, &one("peer_attendance", 0, "creation")).refuses("/items/0/keep_months");
    let twice = json!([
        {"kind": "peer_attendance", "keep_years": 1, "counted_from": "creation"},
        {"kind": "peer_attendance", "keep_years": 2, "counted_from": "creation"}
    ]);
    set(&world, admin, &twice).refuses("/items/1/kind");
    set(&world, &world.privacy_officer, &clinical(10, "end_of_membership")).expect(403);
    for who in [&world.led.lead, &world.peer.lead] {
        server.get(who, &path(&world, "/retention-rules")).expect(403);
        server.get(who, &path(&world, "/retention-rules/preview")).expect(403);
    }
    let kept = set(&world, admin, &clinical(10, "last_session")).expect(200);
    assert_eq!((&kept["version"], &kept["items"][0]["keep_months"]), (&json!(1), &json!(0)));
    let stale = json!({"items": []});
    server.change(admin, "PUT", &path(&world, "/retention-rules"), "\"0\"", &stale).expect(412);
    // What is past tomorrow is not known today.
    let future = path(&world, "/retention-rules/preview?as_of=2090-01-01T00:00:00Z");
    server.get(admin, &future).refuses("/as_of");
}

#[test]
fn without_a_rule_nothing_is_past() {
    let world = after_seven_years();
    let shown = preview(&world, &world.administrator);
    assert_eq!(shown["items"], json!([]));
    begin(&world, &world.administrator, &shown, 50).expect(201);
    assert!(is_there(&world, &world.led.member.id));
}

#[test]
fn the_dry_run_changes_nothing_and_the_run_does_what_it_showed() {
    let world = World::new();
    // One person in two groups, who stays in one of them.
    let person = &world.led.member.person;
    let invited = world.server.post(&world.other.lead, &world.other.path("/members"), &json!({"name": "Mira"}));
    let invited = invited.expect(201);
    world::accept(&world.server, person, &text(&invited["code"]));
    let stays = text(&invited["id"]);
    world::move_to(&world.server, &world.other.lead, &world.other.id, &stays, "active");
    course(&world, &world.led);
    let world = years_later(world, 7);
    let (server, admin) = (&world.server, &world.administrator);
    set(&world, admin, &clinical(6, "last_session")).expect(200);
    let report = path(&world, "/outcome-report");
    let (figures, released) = (outcomes(&world), server.get(admin, &report).expect(200));
    let rows = all_rows(server);
    let shown = preview(&world, admin);
    let same = format!("/retention-rules/preview?as_of={}", text(&shown["as_of"]));
    assert_eq!(server.get(&world.privacy_officer, &path(&world, &same)).expect(200), shown);
    assert_eq!(all_rows(server), rows, "looking changes nothing");
    // Three people: not a number to leave their group.
    let hidden = json!({"count": null, "suppressed": "small_count"});
    assert_eq!((&shown["items"][0]["records"], &shown["items"][0]["held_back"]["count"]), (&hidden, &json!(0)));
    assert!(shown["items"][0]["oldest_year"].is_null() && shown["items"][0]["rows"]["measures"].is_null(), "{shown}");
    begin(&world, &world.privacy_officer, &shown, 50).expect(403);
    let other = json!({"as_of": shown["as_of"], "preview": "0".repeat(64)});
    server.post(admin, &path(&world, "/retention-runs"), &other).expect(409);
    assert!(is_there(&world, &world.led.member.id));
    let key = |member: &str| {
        let sql = format!("SELECT 'x' AS line FROM data_keys WHERE owner_id = {}", literal(&server.location, member));
        found(&server.location, &sql).len()
    };
    assert_eq!(key(&world.led.member.id), 1);
    let run = begin(&world, admin, &shown, 50).expect(201);
    assert!(!run["finished_at"].is_null() && run["records"] == hidden, "{run}");
    let never = server.get(&world.led.lead, &world.led.path(&format!("/members/{}", uuid_of_nobody()))).text;
    for member in [&world.led.member, &world.led.second_member, &world.led.former_member] {
        let gone = server.get(&world.led.lead, &world.led.path(&format!("/members/{}", member.id)));
        assert_eq!((gone.status, &gone.text), (404, &never), "like one that never was");
        assert_eq!(key(&member.id), 0, "no older copy opens");
        let places = places_of(server, &member.id);
        assert!(places.iter().all(|place| place == "access_entries.member_id"), "{places:?}");
    }
    // Who stood here stands here no more, and in the other group as before.
    server.get(&world.led.member.person, &world.led.path("/measures")).expect(404);
    server.get(&world.led.member.person, &world.other.path(&format!("/members/{stays}"))).expect(200);
    assert_eq!(outcomes(&world), figures, "a group's figures are what they were");
    assert_eq!(server.get(admin, &report).expect(200), released);
    assert_eq!(figures[0]["treatment"]["members"], 3);
    let log = server.get(&world.privacy_officer, &path(&world, "/access-log?limit=200")).expect(200);
    let noted: Vec<&Value> = log["items"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["action"] == "RunRetention" && entry["member"].is_string())
        .collect();
    assert_eq!(noted.len(), 3, "an entry for each record");
    assert_log_is_whole(&world);
    // What it showed is done.
    let after = preview(&world, admin);
    assert_eq!(after["items"][0]["records"]["count"], 0);
    let runs = server.get(&world.privacy_officer, &path(&world, "/retention-runs")).expect(200);
    assert_eq!(runs["items"][0]["id"], run["id"]);
}

fn uuid_of_nobody() -> &'static str {
    "5f0c2a7e-9d41-4c3b-8a66-1f2e3d4c5b6a"
}

#[test]
fn who_came_back_is_not_past() {
    let world = after_seven_years();
    let (server, led) = (&world.server, &world.led);
    world::move_to(server, &led.lead, &led.id, &led.member.id, "active");
    set(&world, &world.administrator, &clinical(6, "last_session")).expect(200);
    let shown = preview(&world, &world.administrator);
    begin(&world, &world.administrator, &shown, 50).expect(201);
    assert!(is_there(&world, &led.member.id) && !is_there(&world, &led.second_member.id));
    // Who goes again counts from then on, whatever the last session was.
    world::leave(server, &led.member, &led.id);
    let shown = preview(&world, &world.administrator);
    begin(&world, &world.administrator, &shown, 50).expect(201);
    assert!(is_there(&world, &led.member.id));
}

#[test]
fn what_came_up_after_the_preview_stops_the_run() {
    let world = after_seven_years();
    let (server, led, admin) = (&world.server, &world.led, &world.administrator);
    set(&world, admin, &clinical(6, "end_of_membership")).expect(200);
    let shown = preview(&world, admin);
    // A hold between the preview and the run: the run is not what was shown.
    let hold = led.path(&format!("/members/{}/hold", led.member.id));
    let reason = json!({"reason": "Preservation letter, case 24-118."});
    for (who, status) in [(admin, 403), (&led.lead, 200), (&world.privacy_officer, 200)] {
        server.request("PUT", &hold).token(&who.token).json(&reason).send().expect(status);
    }
    begin(&world, admin, &shown, 50).expect(409);
    let again = preview(&world, admin);
    let run = begin(&world, admin, &again, 1).expect(201);
    assert!(run["finished_at"].is_null());
    // And one in the middle of it keeps the record.
    let second = led.path(&format!("/members/{}/hold", led.second_member.id));
    let former = led.path(&format!("/members/{}/hold", led.former_member.id));
    let still: Vec<&String> =
        [&led.second_member.id, &led.former_member.id].into_iter().filter(|member| is_there(&world, member)).collect();
    assert_eq!(still.len(), 1);
    let place = if *still[0] == led.second_member.id { &second } else { &former };
    server.request("PUT", place).token(&world.privacy_officer.token).json(&reason).send().expect(200);
    let run = text(&run["id"]);
    let finished = carry_on(&world, admin, &run).expect(200);
    assert!(!finished["finished_at"].is_null(), "{finished}");
    assert!(is_there(&world, &led.member.id) && is_there(&world, still[0]));
    // What a privacy officer holds, the one who leads does not release: it may be held for what they did.
    server.request("DELETE", &hold).token(&led.lead.token).send().expect(409);
    server.request("PUT", &hold).token(&led.lead.token).json(&reason).send().expect(409);
    // Once it is let go, it goes.
    server.request("DELETE", &hold).token(&world.privacy_officer.token).send().expect(204);
    assert_eq!(server.get(&led.lead, &hold).expect(200)["held"], false);
    let shown = preview(&world, admin);
    begin(&world, admin, &shown, 50).expect(201);
    assert!(!is_there(&world, &led.member.id) && is_there(&world, still[0]));
}

#[test]
fn what_somebody_still_needs_is_held_back() {
    let world = World::new();
    course(&world, &world.led);
    let led = &world.led;
    // An open risk mark of the second member, raised before they went.
    world::move_to(&world.server, &led.lead, &led.id, &led.second_member.id, "active");
    let risky = measure(Some(&led.second_member.id), 1);
    world.server.post(&led.lead, &led.path("/measures"), &risky).expect(201);
    world::leave(&world.server, &led.second_member, &led.id);
    let world = years_later(world, 7);
    let (server, led, admin) = (&world.server, &world.led, &world.administrator);
    // A request of the first; a disclosure of the third.
    let measured = server.get(&led.member.person, &led.path("/measures")).expect(200);
    let body = json!({
        "record": {"kind": "measure", "id": measured["items"][0]["id"]}, "wrong": "Twice the same.", "asked": "Once."
    });
    server.post(&led.member.person, &led.path("/amendment-requests"), &body).expect(201);
    let to_court = json!({"purpose": "court", "recipient": "County court"});
    let third = &led.former_member.id;
    server.post(&led.lead, &led.path(&format!("/members/{third}/exports")), &to_court).expect(200);
    set(&world, admin, &clinical(6, "end_of_membership")).expect(200);
    let shown = preview(&world, admin);
    assert_eq!(shown["items"][0]["records"]["count"], 0, "{shown}");
    assert_eq!(shown["items"][0]["held_back"]["suppressed"], "small_count", "and not for whom or why");
    begin(&world, admin, &shown, 50).expect(201);
    for member in [&led.member.id, &led.second_member.id, third] {
        assert!(is_there(&world, member));
    }
    assert_eq!(server.get(&led.member.person, "/v1/account/disclosures").expect(200)["items"], json!([]));
}

#[test]
fn a_record_that_was_opened_in_an_emergency_stays_until_that_is_reviewed_and_old() {
    let mut world = World::new();
    course(&world, &world.led);
    let former = world.led.former_member.id.clone();
    let open = |world: &World| {
        emergency_accesses::open(&world.server, &world.other.lead, world.organization, &world.led.id, &former)
    };
    let access = open(&world).made();
    world = years_later(world, 7);
    let (server, admin) = (&world.server, &world.administrator);
    set(&world, admin, &clinical(6, "end_of_membership")).expect(200);
    begin(&world, admin, &preview(&world, admin), 50).expect(201);
    assert!(is_there(&world, &former), "nobody has reviewed it");
    let path = format!("/v1/organizations/{}/emergency-accesses/{access}", world.organization);
    let version = server.version(&world.privacy_officer, &path);
    let found = json!({"finding": "justified", "words": "The ward confirms it."});
    let reviewed =
        server.change(&world.privacy_officer, "POST", &format!("{path}/review"), &version, &found).expect(200);
    assert_eq!(reviewed["words"], "The ward confirms it.");
    begin(&world, admin, &preview(&world, admin), 50).expect(201);
    assert!(!is_there(&world, &former));
}

#[test]
fn a_run_that_broke_off_goes_on_and_two_do_not_run_at_once() {
    let world = after_seven_years();
    let (server, led, admin) = (&world.server, &world.led, &world.administrator);
    set(&world, admin, &clinical(6, "end_of_membership")).expect(200);
    let figures = outcomes(&world);
    let shown = preview(&world, admin);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads = [0, 1].map(|_| scope.spawn(|| begin(&world, admin, &shown, 1).status));
        let mut statuses = threads.map(|thread| thread.join().expect("a status")).to_vec();
        statuses.sort_unstable();
        statuses
    });
    assert_eq!(statuses, [201, 409]);
    let left = || {
        let all = [&led.member.id, &led.second_member.id, &led.former_member.id];
        all.into_iter().filter(|member| is_there(&world, member)).count()
    };
    assert_eq!((left(), outcomes(&world)), (2, figures.clone()));
    // Another one waits for this one, also with a preview of its own.
    begin(&world, admin, &preview(&world, admin), 1).expect(409);
    let runs = server.get(admin, &path(&world, "/retention-runs")).expect(200);
    let run = text(&runs["items"][0]["id"]);
    // What fails in the middle of a record leaves all of it: a row that nobody told the program of hangs on it.
    if !server.location.is_postgres() {
        tamper(
            &server.location,
            "CREATE TABLE snag (member_id BLOB REFERENCES members (id)); INSERT INTO snag SELECT id FROM members",
        );
        let rows = all_rows(server);
        assert!(carry_on(&world, admin, &run).status >= 400);
        assert_eq!(all_rows(server), rows);
        tamper(&server.location, "DROP TABLE snag");
    }
    carry_on(&world, admin, &run).expect(200);
    assert_eq!((left(), outcomes(&world)), (1, figures.clone()));
    let finished = carry_on(&world, admin, &run).expect(200);
    assert!(!finished["finished_at"].is_null());
    assert_eq!((left(), outcomes(&world)), (0, figures));
    // Asked once more, it does nothing.
    assert_eq!(carry_on(&world, admin, &run).expect(200), finished);
    assert_log_is_whole(&world);
}

#[test]
fn old_names_of_meetings_go_and_head_counts_stay() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let id = |id: &str| literal(&server.location, id);
    let session = text(&world::plan(server, &peer.lead, &peer.id)["id"]);
    let now = server.db.clock.now().0;
    tamper(
        &server.location,
        &format!(
            "INSERT INTO attendances (id, group_id, session_id, member_id, status, modality, minutes, starts_at, \
             recorded_by, recorded_at, version) VALUES ({0}, {1}, {0}, {2}, 'attended', 'in_person', 60, {now}, {2}, {now}, 1); \
             INSERT INTO head_counts (session_id, group_id, heads, recorded_by, recorded_at, version) \
             VALUES ({0}, {1}, 7, {2}, {now}, 1)",
            id(&session),
            id(&peer.id),
            id(&peer.member.id)
        ),
    );
    let rule = json!([{"kind": "peer_attendance", "keep_years": 0, "keep_months": 1, "counted_from": "creation"}]);
    set(&world, &world.administrator, &rule).expect(200);
    let held = |table: &str| found(&server.location, &format!("SELECT 'x' AS line FROM {table}")).len();
    let shown = preview(&world, &world.administrator);
    begin(&world, &world.administrator, &shown, 50).expect(201);
    assert_eq!(held("attendances"), 1, "a day old");
    let world = years_later(world, 1);
    let shown = preview(&world, &world.administrator);
    assert_eq!(shown["items"][0]["records"]["suppressed"], "small_count");
    begin(&world, &world.administrator, &shown, 50).expect(201);
    let held = |table: &str| found(&world.server.location, &format!("SELECT 'x' AS line FROM {table}")).len();
    assert_eq!((held("attendances"), held("head_counts")), (0, 1));
}

#[test]
fn the_accounting_of_disclosures_is_kept_for_six_years_and_no_longer_than_a_rule_says() {
    let world = World::new();
    let led = &world.led;
    let to_court = json!({"purpose": "court", "recipient": "County court"});
    let place = led.path(&format!("/members/{}/exports", led.member.id));
    world.server.post(&led.lead, &place, &to_court).expect(200);
    let world = years_later(world, 7);
    let (server, admin) = (&world.server, &world.administrator);
    let place = world.led.path(&format!("/members/{}/exports", world.led.member.id));
    server.post(&world.led.lead, &place, &to_court).expect(200);
    let rule = json!([{"kind": "disclosures", "keep_years": 6, "counted_from": "creation"}]);
    set(&world, admin, &rule).expect(200);
    let own = || server.get(&world.led.member.person, "/v1/account/disclosures").expect(200)["items"].clone();
    assert_eq!(own().as_array().map(Vec::len), Some(2));
    begin(&world, admin, &preview(&world, admin), 50).expect(201);
    assert_eq!(own().as_array().map(Vec::len), Some(1));
}
