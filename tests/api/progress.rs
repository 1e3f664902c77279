//! A member's progress: own across all groups, and as a therapist sees it in theirs.

use circlekeeper::{charts, values::Moment};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    world::{self, Group, Member, World},
};

const SVG: &str = "image/svg+xml";

/// PHQ-9 with a sum of this, none of it on the last item.
fn phq_9(sum: i32) -> Value {
    let answers = (1..=9).map(|item| {
        let value = if item == 9 { 0 } else { (sum - (item - 1) * 3).clamp(0, 3) };
        (format!("phq-9.{item}"), json!(value))
    });
    Value::Object(answers.collect())
}

fn answer(server: &Server, who: &Person, group: &Group, days_ago: i64, answers: Value) -> Value {
    let taken_at = server.db.clock.now().plus_days(-days_ago);
    let standings = server.get(who, "/v1/account/standings").expect(200);
    let mut standings = standings["items"].as_array().expect("standings").iter();
    let member = standings.find(|standing| standing["group"] == group.id).expect("a member of it")["member"].clone();
    // From paper: members themselves answer for these days.
    let body = json!({"member": member, "instrument": "phq-9", "taken_at": taken_at, "answers": answers});
    server.post(&group.lead, &group.path("/measures"), &body).expect(201)
}

fn drawn(server: &Server, who: &Person, path: &str) -> Answer {
    server.request("GET", path).token(&who.token).header("accept", SVG).send()
}

fn own(server: &Server, who: &Person, query: &str) -> Value {
    server.get(who, &format!("/v1/account/progress{query}")).expect(200)
}

fn path_of(group: &Group, member: &Member) -> String {
    group.path(&format!("/members/{}/progress", member.id))
}

fn scores(series: &Value) -> Vec<f64> {
    series["points"].as_array().expect("points").iter().map(|point| point["score"].as_f64().expect("a score")).collect()
}

/// Lets a person belong to another group, too, with consent.
fn join(server: &Server, group: &Group, person: &Person, name: &str) -> Member {
    let invited = server.post(&group.lead, &group.path("/members"), &json!({"name": name})).expect(201);
    world::accept(server, person, invited["code"].as_str().expect("a code"));
    let member = Member { person: person.clone(), id: invited["id"].as_str().expect("an id").to_owned() };
    world::move_to(server, &group.lead, &group.id, &member.id, "active");
    let agreements = server.get(person, &group.path("/agreements")).expect(200);
    if let Some(agreement) = agreements["items"][0]["id"].as_str() {
        server.post(person, &group.path(&format!("/agreements/{agreement}/signatures")), &json!({})).expect(201);
    }
    member
}

/// Takes back a member's consent.
fn withdraw(server: &Server, group: &Group, member: &Member) {
    let signed = server.get(&member.person, &group.path(&format!("/signatures?member={}", member.id))).expect(200);
    let signature = signed["items"][0]["id"].as_str().expect("a signature");
    let path = group.path(&format!("/signatures/{signature}/withdrawal"));
    server.post(&member.person, &path, &json!({})).expect(204);
}

/// Changes how an account reads.
fn speak(server: &Server, who: &Person, language: &str, zone: &str) {
    let version = server.version(who, "/v1/account");
    let body = json!({"name": who.name, "language": language, "zone": zone});
    server.change(who, "PUT", "/v1/account", &version, &body).expect(200);
}

/// Records a session of today.
fn hold(world: &World, group: &Group, attendance: impl Fn(Moment) -> Value) {
    let server = &world.server;
    let session = world::plan(server, &group.lead, &group.id);
    let id = session["id"].as_str().expect("an id").to_owned();
    let path = group.path(&format!("/sessions/{id}"));
    let now = server.db.clock.now();
    let items = session["agenda"].as_array().expect("an agenda");
    let delivered: Vec<Value> = items
        .iter()
        .zip([30, 20])
        .map(|(item, minutes)| json!({"item": item["id"], "delivered": "delivered", "minutes": minutes}))
        .collect();
    let body = json!({
        "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "attendance": attendance(now),
        "items": delivered
    });
    let version = server.version(&group.lead, &path);
    server.change(&group.lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
}

#[test]
fn a_therapist_sees_nothing_of_a_members_other_group() {
    let world = World::new();
    let (server, led, other) = (&world.server, &world.led, &world.other);
    let here = &led.member;
    let there = join(server, other, &here.person, "Mira Elsewhere");
    answer(server, &here.person, led, 14, phq_9(16));
    answer(server, &here.person, other, 7, phq_9(12));
    answer(server, &here.person, led, 0, phq_9(11));
    let mine = own(server, &here.person, "");
    assert_eq!(scores(&mine["series"][0]), [16.0, 12.0, 11.0]);
    let groups: Vec<&Value> =
        mine["series"][0]["points"].as_array().unwrap().iter().map(|point| &point["group"]).collect();
    assert_eq!(groups, [&json!(led.id), &json!(other.id), &json!(led.id)]);
    let in_led = server.get(&led.lead, &path_of(led, here));
    let in_other = server.get(&other.lead, &path_of(other, &there));
    assert_eq!(scores(&in_led.json()["series"][0]), [16.0, 11.0]);
    assert_eq!(scores(&in_other.json()["series"][0]), [12.0]);
    for (foreign, shown) in [(&other.id, &in_led), (&there.id, &in_led), (&led.id, &in_other), (&here.id, &in_other)] {
        assert!(!shown.text.contains(foreign.as_str()), "{}", shown.text);
    }
    // One score here: change is not judged by what was said elsewhere.
    assert_eq!(in_other.json()["series"][0]["change"]["not_judged"]["because"], "only_one_administration");
    for (lead, group, member) in [(&led.lead, other, &there), (&other.lead, led, here)] {
        server.get(lead, &path_of(group, member)).expect(404);
        server.get(lead, &group.path("/progress")).expect(404);
    }
    // The id of a member of the other group, in front of one's own.
    for path in
        [led.path(&format!("/members/{}/progress", there.id)), other.path(&format!("/members/{}/progress", here.id))]
    {
        let lead = if path.contains(&led.id) { &led.lead } else { &other.lead };
        assert_eq!(drawn(server, lead, &path).status, 404);
        server.get(lead, &path).expect(404);
    }
    let everybody = server.get(&led.lead, &led.path("/progress"));
    assert_eq!(everybody.status, 200);
    assert!(!everybody.text.contains(&other.id) && !everybody.text.contains("12.0"), "{}", everybody.text);
}

#[test]
fn a_member_sees_nobody_else_and_others_see_no_member() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    answer(server, &led.second_member.person, led, 0, phq_9(13));
    let path = path_of(led, &led.second_member);
    let nobody = led.path(&format!("/members/{}/progress", circlekeeper::values::Id::random()));
    let refused = server.get(&led.member.person, &path);
    assert_eq!((refused.status, refused.text.clone()), (404, server.get(&led.member.person, &nobody).text));
    assert_eq!(drawn(server, &led.member.person, &path).text, refused.text);
    for (who, status) in [
        (&world.administrator, 403),
        (&world.privacy_officer, 404),
        (&world.outsider, 404),
        (&led.former_lead, 404),
        (&world.other.lead, 404),
        (&world.other.member.person, 404),
        (&world.peer.lead, 404),
    ] {
        for path in [&path, &led.path("/progress")] {
            let found = server.get(who, path).status;
            // Who stands in the group without the right is told so; who does not stand there is told nothing.
            assert!(
                found == status || (found == 403 && status == 404 && who.id == world.privacy_officer.id),
                "{found} to {}",
                who.name
            );
        }
    }
    server.get(&led.member.person, &led.path("/progress")).expect(403);
    server.get(&led.trainee.clone().unwrap(), &path).expect(200);
    // Peer-led groups measure nothing.
    let peer = &world.peer;
    let stewards = peer.steward.iter();
    for who in [&peer.lead, &peer.co_lead, &peer.member.person, &peer.second_member.person].into_iter().chain(stewards)
    {
        for path in [path_of(peer, &peer.member), peer.path("/progress")] {
            server.get(who, &path).expect(403);
            assert_eq!(drawn(server, who, &path).status, 403, "{} sees a picture", who.name);
        }
    }
    // Whoever has left keeps their own.
    server.get(&led.former_member.person, &path_of(led, &led.former_member)).expect(200);
    server.get(&led.former_member.person, &path).expect(404);
}

#[test]
fn check_ins_are_for_oneself_alone() {
    let world = World::new();
    let (server, led, peer) = (&world.server, &world.led, &world.peer);
    let who = &led.member;
    let rules = json!({"purpose": "ground_rules", "title": "Ground rules", "text": "What is said here stays here."});
    server.post(&peer.lead, &peer.path("/agreements"), &rules).expect(201);
    join(server, peer, &who.person, "Mira Peer");
    let said = json!({"mood": "low", "hope": 2, "words": ["worn"], "visibility": "group"});
    server.post(&who.person, &peer.path("/check-ins"), &said).expect(201);
    answer(server, &who.person, led, 0, phq_9(9));
    let mine = own(server, &who.person, "");
    assert_eq!(mine["check_in_trend"]["periods"][0]["mood"], json!({"mean": 3.0, "n": 1}));
    assert_eq!(mine["check_ins"].as_array().map(Vec::len), Some(1));
    let picture = drawn(server, &who.person, "/v1/account/progress");
    assert!(picture.text.contains("Mood") && !picture.text.contains("worn"));
    for path in [path_of(led, who), led.path("/progress")] {
        for shown in [server.get(&led.lead, &path), drawn(server, &led.lead, &path)] {
            assert_eq!(shown.status, 200);
            for word in ["check", "mood", "Mood", "hope", "Hope", "Peer", peer.id.as_str()] {
                assert!(!shown.text.contains(word), "{word} in {}", shown.text);
            }
        }
    }
    // Nor does the member's own view of that group hold what belongs to another.
    assert!(!server.get(&who.person, &path_of(led, who)).text.contains("check_in"));
}

#[test]
fn change_is_judged_by_each_set_in_the_readers_words() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member;
    assert_eq!(own(server, &who.person, "")["series"], json!([]));
    answer(server, &who.person, led, 14, phq_9(16));
    let one = own(server, &who.person, "");
    assert_eq!(one["series"][0]["change"]["not_judged"]["because"], "only_one_administration");
    assert_eq!(one["series"][0]["change"]["states"][0]["because"], "only_one_administration");
    assert_eq!(one["series"][0]["baseline"]["rule"], "no_session_attended");
    answer(server, &who.person, led, 0, phq_9(5));
    let series = own(server, &who.person, "")["series"][0].clone();
    assert_eq!((&series["up"], &series["direction"]), (&json!("worse"), &json!("Lower is better.")));
    let state = &series["change"]["states"][0];
    assert_eq!((&state["state"], &state["reliable_from"]), (&json!("recovered"), &json!(6.0)));
    assert!(state["source"].as_str().unwrap().contains("NHS"), "{state}");
    assert!(state["in_words"].as_str().unwrap().starts_with("From 16 to 5: reliably better"), "{state}");
    assert_eq!(series["change"]["gain"], 11.0);
    let kinds: Vec<&str> =
        series["change"]["judgements"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reliable", "clinically_significant", "minimal_important", "response", "remission"]);
    assert_eq!(series["bands"][3]["label"], "Moderately severe");
    assert_eq!((&series["points"][1]["band"], &series["points"][1]["gain"]), (&json!("mild"), &json!(11.0)));
    speak(server, &who.person, "de-CH", "Europe/Zurich");
    let german = own(server, &who.person, "");
    assert_eq!((&german["language"], &german["zone"]), (&json!("de"), &json!("Europe/Zurich")));
    let state = &german["series"][0]["change"]["states"][0]["in_words"];
    assert!(state.as_str().unwrap().starts_with("Von 16 auf 5: verlässlich besser"), "{state}");
    speak(server, &who.person, "fr", "Europe/Paris");
    assert_eq!(own(server, &who.person, "")["language"], "en");
    // Whoever leads reads in their own language, by the group's clock.
    let led_by = server.get(&led.lead, &path_of(led, who)).expect(200);
    assert_eq!((&led_by["language"], &led_by["zone"]), (&json!("en"), &json!("UTC")));
    let theirs = server.get(&who.person, &path_of(led, who)).expect(200);
    assert_eq!(theirs["zone"], "Europe/Paris");
}

#[test]
fn a_missing_score_is_a_gap_with_its_reason_and_an_error_is_nothing() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    answer(server, who, led, 60, phq_9(16));
    answer(server, who, led, 40, json!({"phq-9.9": 0}));
    let wrong = answer(server, who, led, 20, phq_9(24));
    let path = led.path(&format!("/measures/{}", wrong["id"].as_str().unwrap()));
    let version = server.version(&led.lead, &path);
    let reason = json!({"reason": "Another person's sheet."});
    server.change(&led.lead, "POST", &format!("{path}/error-mark"), &version, &reason).expect(200);
    let series = own(server, who, "")["series"][0].clone();
    assert_eq!(scores(&series), [16.0]);
    let gaps = series["gaps"].as_array().unwrap();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0]["reason"], "No score: 8 answers are missing, and this measure allows for 2.");
    assert_eq!(series["change"]["not_judged"]["because"], "no_score");
    let picture = drawn(server, who, "/v1/account/progress").text;
    assert!(!picture.contains(": 24"), "{picture}");
    assert_eq!(picture.matches("<circle").count(), 1);
    // Nearly complete is an estimate, and says so.
    let mut nearly = phq_9(8);
    nearly.as_object_mut().unwrap().remove("phq-9.8");
    answer(server, who, led, 3, nearly);
    answer(server, who, led, 0, phq_9(8));
    let points = own(server, who, "")["series"][0]["points"].clone();
    assert_eq!((&points[1]["prorated"], &points[1]["is_repeat"]), (&json!(true), &json!(false)));
    assert_eq!((&points[2]["prorated"], &points[2]["is_repeat"]), (&json!(false), &json!(true)));
}

#[test]
fn a_withdrawn_consent_takes_nothing_back_and_lets_nothing_in() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member;
    answer(server, &who.person, led, 14, phq_9(16));
    withdraw(server, led, who);
    let again = json!({"instrument": "phq-9", "answers": phq_9(3)});
    assert!(server.post(&who.person, &led.path("/measures"), &again).status >= 400);
    // The member keeps what was answered under consent.
    assert_eq!(scores(&own(server, &who.person, "")["series"][0]), [16.0]);
    let theirs = server.get(&who.person, &path_of(led, who)).expect(200);
    assert_eq!((scores(&theirs["series"][0]), &theirs["consents"]), (vec![16.0], &json!(false)));
    for path in ["/v1/account/progress".to_owned(), path_of(led, who)] {
        assert!(drawn(server, &who.person, &path).text.contains(": 16"), "{path}");
    }
    // Whoever leads draws and judges nothing of it any more, and still reads the record.
    answer(server, &led.second_member.person, led, 14, phq_9(9));
    let mut group = server.get(&led.lead, &led.path("/progress")).expect(200);
    let members = group["members"].take();
    let of =
        |member: &Member| members.as_array().unwrap().iter().find(|row| row["member"] == member.id).unwrap().clone();
    for shown in [server.get(&led.lead, &path_of(led, who)).expect(200), of(who)] {
        assert_eq!((&shown["consents"], &shown["series"]), (&json!(false), &json!([])), "{shown}");
        assert!(shown["attendance"].is_array());
    }
    assert_eq!(
        (of(&led.second_member)["consents"].clone(), scores(&of(&led.second_member)["series"][0])),
        (json!(true), vec![9.0])
    );
    for (path, words) in [
        (path_of(led, who), "There is no consent: nothing is made of the answers."),
        (led.path("/progress"), "nothing is made of the answers of: Led Mira."),
    ] {
        let picture = drawn(server, &led.lead, &path).text;
        assert!(picture.contains(words) && !picture.contains(": 16") && !picture.contains("no-scores"), "{picture}");
    }
    let record = server.get(&led.lead, &led.path(&format!("/measures?member={}", who.id))).expect(200);
    assert_eq!(record["items"][0]["score"], 16.0);
    // Signed again, it is in use again.
    let agreements = server.get(&who.person, &led.path("/agreements")).expect(200);
    let signing = led.path(&format!("/agreements/{}/signatures", agreements["items"][0]["id"].as_str().unwrap()));
    server.post(&who.person, &signing, &json!({})).expect(201);
    let again = server.get(&led.lead, &path_of(led, who)).expect(200);
    assert_eq!((&again["consents"], scores(&again["series"][0])), (&json!(true), vec![16.0]));
}

#[test]
fn the_window_hides_points_and_keeps_the_baseline() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    for (days_ago, score) in [(42, 20), (28, 15), (14, 9)] {
        answer(server, who, led, days_ago, phq_9(score));
    }
    let now = server.db.clock.now();
    let recent = own(server, who, &format!("?since={}", now.plus_days(-20)));
    let series = &recent["series"][0];
    assert_eq!(scores(series), [9.0]);
    assert_eq!((&series["baseline"]["score"], &series["change"]["first"]), (&json!(20.0), &json!(20.0)));
    assert_eq!(recent["measures"].as_array().map(Vec::len), Some(1));
    let early = own(server, who, &format!("?until={}", now.plus_days(-20)));
    assert_eq!(scores(&early["series"][0]), [20.0, 15.0]);
    assert_eq!(early["series"][0]["change"]["last"], 15.0);
    server
        .post(who, &led.path("/measures"), &json!({"instrument": "gad-2", "answers": {"gad-2.1": 1, "gad-2.2": 2}}))
        .expect(201);
    let only = own(server, who, "?instrument=gad-2");
    assert_eq!(only["series"].as_array().map(Vec::len), Some(1));
    assert_eq!(only["series"][0]["change"]["not_judged"]["because"], "only_one_administration");
    for path in ["/v1/account/progress".to_owned(), path_of(led, &led.member), led.path("/progress")] {
        let asked = |query: &str| {
            server.get(
                if path.ends_with("/progress") && !path.contains("account") { &led.lead } else { who },
                &format!("{path}?{query}"),
            )
        };
        asked("instrument=phq-99").refuses("instrument");
        asked(&format!("since={now}&until={now}")).refuses("until");
        asked("since=yesterday").expect(400);
        asked(&format!("since={}", now.plus_days(1))).refuses("since");
        // What lies ahead has not happened: the year before now is shown, not a year of nothing.
        let until = "9000-01-01T00:00:00Z";
        let (ahead, today) = (asked(&format!("until={until}")).expect(200), asked("").expect(200));
        assert_eq!((&ahead["from_on"], &ahead["until_on"]), (&today["from_on"], &today["until_on"]));
        assert_eq!(ahead["series"], today["series"]);
    }
}

#[test]
fn sessions_and_doses_count_while_somebody_was_there() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let (here, absent) = (&led.member, &led.second_member);
    answer(server, &here.person, led, 1, phq_9(12));
    hold(&world, led, |now| {
        json!([
            {"member": here.id, "status": "left_early", "left_at": now.plus_minutes(-60)},
            {"member": absent.id, "status": "no_show"}
        ])
    });
    server.travel_days(3);
    hold(&world, led, |_| json!([{"member": here.id, "status": "attended"}]));
    let of = |member: &Member| server.get(&led.lead, &path_of(led, member)).expect(200);
    let mine = of(here);
    assert_eq!(
        mine["attendance"],
        json!([{"group": led.id, "held": 2, "attended": 2, "excused": 0, "no_show": 0, "unrecorded": 0, "minutes": 90}])
    );
    // Half of 30 and of 20 minutes, and then all of them.
    let dose = |shown: &Value, technique: &str| {
        let doses = shown["doses"].as_array().expect("doses");
        doses.iter().find(|dose| dose["technique"] == technique).map(|dose| dose["minutes"].clone())
    };
    assert_eq!((dose(&mine, "thought-record"), dose(&mine, "closing-round")), (Some(json!(45)), Some(json!(30))));
    assert_eq!(mine["series"][0]["baseline"]["rule"], "at_or_before_first_session");
    // Missed is 0; not recorded is neither there nor absent.
    let theirs = of(absent);
    let places = &theirs["attendance"][0];
    assert_eq!(
        (&places["held"], &places["attended"], &places["no_show"], &places["unrecorded"]),
        (&json!(2), &json!(0), &json!(1), &json!(1))
    );
    assert_eq!(dose(&theirs, "thought-record"), Some(json!(0)));
    // A late joiner's first score comes after their first session, and the sessions before them were not theirs.
    let late = world::member(server, &led.lead, &led.id, "Lena Late");
    server.travel_days(1);
    let agreements = server.get(&late.person, &led.path("/agreements")).expect(200);
    let signing = led.path(&format!("/agreements/{}/signatures", agreements["items"][0]["id"].as_str().unwrap()));
    server.post(&late.person, &signing, &json!({})).expect(201);
    hold(&world, led, |_| json!([{"member": late.id, "status": "attended"}]));
    answer(server, &late.person, led, 0, phq_9(12));
    let shown = of(&late);
    assert_eq!(shown["attendance"][0]["held"], 1);
    assert_eq!(shown["series"][0]["baseline"]["rule"], "after_first_session");
    assert_eq!(dose(&shown, "thought-record"), Some(json!(30)));
}

#[test]
fn the_picture_comes_to_whoever_asks_for_it_and_runs_nothing() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    answer(server, who, led, 0, phq_9(16));
    let ask =
        |accept: &str| server.request("GET", "/v1/account/progress").token(&who.token).header("accept", accept).send();
    for (accept, media) in [
        (SVG, "image/svg+xml; charset=utf-8"),
        ("image/*", "image/svg+xml; charset=utf-8"),
        ("application/json;q=0.5, image/svg+xml", "image/svg+xml; charset=utf-8"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("image/svg+xml;q=0.1, application/json", "application/json"),
    ] {
        assert_eq!(ask(accept).header("content-type").as_deref(), Some(media), "{accept}");
    }
    // A form that nobody draws, refused ones, and both refused.
    for accept in ["image/png", "text/html", "image/svg+xml;q=0, application/json;q=0", "*/*;q=0"] {
        assert_eq!(ask(accept).status, 406, "{accept}");
    }
    for (who, path) in [
        (who, "/v1/account/progress".to_owned()),
        (&led.lead, path_of(led, &led.member)),
        (&led.lead, led.path("/progress")),
    ] {
        let picture = drawn(server, who, &path);
        assert_eq!(picture.status, 200);
        let document = roxmltree::Document::parse(&picture.text).expect("well-formed XML");
        let style = document.descendants().find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "style")));
        let style = style.and_then(|style| style.text()).expect("a style sheet");
        assert_eq!(style, charts::style());
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
        let hash = data_encoding::BASE64.encode(digest.as_ref());
        let policy = picture.header("content-security-policy").expect("a policy");
        assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "{policy}");
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("script-src")
        );
        // Nothing for a browser to name a file by, and nothing for a cache.
        assert_eq!((picture.header("content-disposition"), picture.header("etag")), (None, None));
        assert_eq!(picture.header("cache-control").as_deref(), Some("no-store"));
        // A cache that keeps it nonetheless does not give it to whoever asks for the other form.
        for either in [picture.header("vary"), server.get(who, &path).header("vary")] {
            assert_eq!(either.as_deref(), Some("accept"));
        }
    }
    assert_eq!(server.get(who, "/v1/account").header("vary"), None);
    // A refusal has one form: by nothing in it is a path that can be drawn told from one that there is not.
    assert_eq!(drawn(server, who, &path_of(led, &led.second_member)).header("vary"), None);
    // What is no picture keeps the strictest policy.
    let figures = server.get(who, "/v1/account/progress").header("content-security-policy");
    assert_eq!(
        figures.as_deref(),
        Some("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    );
}

#[test]
fn a_name_with_markup_is_shown_as_it_was_written() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let name = "<script>alert('x')</script> & \"Bo\"";
    let member = join(server, led, &world.outsider, name);
    answer(server, &member.person, led, 0, phq_9(11));
    for path in [path_of(led, &member), led.path("/progress")] {
        let picture = drawn(server, &led.lead, &path);
        let document = roxmltree::Document::parse(&picture.text).expect("well-formed XML");
        assert!(!document.descendants().any(|node| node.tag_name().name() == "script"));
        assert!(!picture.text.contains("<script"));
        let told: String = document.descendants().filter_map(|node| node.text()).collect();
        assert!(told.contains("<script>alert"), "{told}");
        assert_eq!(picture.header("content-disposition"), None);
    }
}

#[test]
fn the_group_shows_who_was_active_in_that_time() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    for (member, score) in [(&led.member, 16), (&led.second_member, 9)] {
        answer(server, &member.person, led, 0, phq_9(score));
    }
    let shown = server.get(&led.lead, &led.path("/progress")).expect(200);
    let names = |shown: &Value| {
        let members = shown["members"].as_array().expect("members").iter();
        members.map(|member| member["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    // The one who left was there in that year.
    assert_eq!(names(&shown), ["Led Goran", "Led Mira", "Led Noor"]);
    assert_eq!(scores(&shown["members"][1]["series"][0]), [16.0]);
    server.travel_days(30);
    let lead = server.again(&led.lead);
    let since = server.db.clock.now().plus_days(-7);
    let lately = server.get(&lead, &led.path(&format!("/progress?since={since}")));
    assert_eq!(names(&lately.expect(200)), ["Led Mira", "Led Noor"]);
    let picture = drawn(server, &server.again(&led.co_lead), &led.path("/progress")).text;
    assert!(picture.contains("Led Mira") && picture.contains("Led Noor") && !picture.contains("Led Goran,"));
    let group = server.get(&server.again(&led.co_lead), &led.path("")).expect(200);
    assert!(picture.contains(group["title"].as_str().expect("a title")));
    let left: Vec<&Value> = shown["members"].as_array().unwrap().iter().map(|member| &member["has_left"]).collect();
    assert_eq!(left, [&json!(true), &json!(false), &json!(false)]);
}

#[test]
fn a_therapists_look_is_in_the_members_log_and_ones_own_is_not() {
    let world = World::new();
    let (server, led) = (&world.server, &world.led);
    let who = &led.member.person;
    let entries = |action: &str| {
        let log = server.get(who, "/v1/account/access-log?limit=200").expect(200);
        log["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == action).count()
    };
    own(server, who, "");
    server.get(who, &path_of(led, &led.member)).expect(200);
    assert_eq!(entries("ReadProgress"), 0);
    drawn(server, &led.lead, &path_of(led, &led.member));
    server.get(&led.lead, &path_of(led, &led.second_member)).expect(200);
    assert_eq!(entries("ReadProgress"), 1);
    drawn(server, &led.lead, &led.path("/progress"));
    assert_eq!(entries("ReadGroupProgress"), 1);
}
