//! Breach reports, decisions in secret, consequences and appeals.

use circlekeeper::{
    policy::{Kind, Standing, act},
    rules::breaches::{
        BreachPolicy, Case, Choice, Closing, Consequence, Finding, Proposal, State, Subject, check_vote, folded,
        handlers, outcome, received_at,
    },
    store::{
        breaches::{self, Following},
        permit::authorize,
    },
    values::{Id, Moment},
};
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Person, Server},
    scene::{Peers, Records, plan_at, text},
    world::{self, Group, Member, World, member},
};

/// Records of this subject for the access matrix.
pub fn add_records(peers: &Peers, records: &mut Records) {
    let (world, server, peer) = (peers.world, &peers.world.server, &peers.world.peer);
    let steward = peer.steward.as_ref().expect("a steward");
    // Of one alone, reports would go past them.
    world::lead(server, &world.administrator, world.organization, &peer.id, "steward", "Stella Steward");
    let term = term_of(server, peer, steward);
    let reporter = &peers.members[5].0;
    let about_steward = report(server, reporter, peer, &json!({"term": term}), "The steward told it.");
    let two_hats = &peers.members[4].0;
    records.add_shared("breach_report", &about_steward, &[peer.lead.id, peer.co_lead.id, two_hats.id]);
    // Whoever is the subject of one may vote in the others.
    for (subject, id) in peers.members.iter().filter(|(person, _)| person.id != peer.former_member.person.id) {
        let by = if subject.id == reporter.id { &peer.member.person } else { reporter };
        let about = report(server, by, peer, &json!({"member": id}), "It was told outside.");
        records.add("breach_report", &about, None, Some(steward.id));
        let decision = open_vote(world, steward, &about, &["no_consequence", "note"]);
        let others: Vec<Id> =
            peers.members.iter().map(|(person, _)| person.id).filter(|person| *person != subject.id).collect();
        records.add_shared("decision", &decision, &others);
    }
    let unclear = json!({"name": "Nobody of that name"});
    let unclear = report(server, reporter, peer, &unclear, "A name that fits nobody.");
    records.add("breach_report", &unclear, None, Some(world.privacy_officer.id));
}

/// A report of the therapist-led group, and what would follow from one for its therapist: nobody votes there.
pub fn add_led_records(world: &World, records: &mut Records) {
    let (server, led) = (&world.server, &world.led);
    let about = json!({"term": term_of(server, led, &led.lead)});
    let made = report(server, &led.member.person, led, &about, "A list of names lay open.");
    records.add("breach_report", &made, None, None);
    let (officer, group, made): (_, Id, Id) =
        (world.privacy_officer.caller, led.id.parse().expect("an id"), made.parse().expect("an id"));
    let consequence = server.write(move |connection| {
        let permit = authorize::<act::HandleBreachReport>(connection, &officer, group)?;
        let kept = breaches::find(connection, &permit, made)?;
        let review_on = connection.now.plus_days(30).day_in("UTC");
        let note = Following { consequence: Consequence::Note, until_at: None, session: None };
        breaches::insert_consequence(connection, &permit, &kept, &note, review_on)
    });
    records.add("consequence", &consequence.to_string(), None, Some(led.lead.id));
}

pub fn add_other_records(world: &World, records: &mut Records) {
    let other = &world.other;
    let made = report(&world.server, &other.member.person, other, &json!({}), "A list of names lay open.");
    records.add("breach_report", &made, None, None);
}

fn term_of(server: &Server, group: &Group, person: &Person) -> String {
    let terms = server.get(&group.lead, &group.path("/terms")).expect(200);
    let found = terms["items"].as_array().expect("terms").iter().find(|term| term["account"] == person.id.to_string());
    text(&found.expect("a term")["id"])
}

fn report(server: &Server, who: &Person, group: &Group, about: &Value, words: &str) -> String {
    server.post(who, &group.path("/breach-reports"), &json!({"about": about, "text": words})).made()
}

fn path_of(world: &World, report: &str) -> String {
    world.peer.path(&format!("/breach-reports/{report}"))
}

/// The next step of a case, in the version that is there.
fn step(server: &Server, by: &Person, path: &str, step: &str, body: &Value) -> Answer {
    let version = server.version(by, path);
    server.change(by, "POST", &format!("{path}/{step}"), &version, body)
}

fn tell(server: &Server, by: &Person, path: &str) {
    step(server, by, path, "telling", &json!({"text": "Something was told outside."})).expect(200);
}

fn find_breach(server: &Server, by: &Person, path: &str) {
    tell(server, by, path);
    step(server, by, path, "finding", &json!({"finding": "breach", "text": "Both were heard."})).expect(200);
}

fn vote_body(server: &Server, options: &[&str]) -> Value {
    let mut body = json!({
        "closes_at": server.db.clock.now().plus_minutes(24 * 60 + 1), "question": "What shall follow?",
        "options": options
    });
    if options.contains(&"pause") {
        body["pause_days"] = json!(14);
    }
    body
}

/// Tells, finds a breach, and opens the vote. The decision's id.
fn open_vote(world: &World, handler: &Person, report: &str, options: &[&str]) -> String {
    let (server, path) = (&world.server, path_of(world, report));
    find_breach(server, handler, &path);
    let opened = step(server, handler, &path, "decision", &vote_body(server, options)).expect(200);
    assert_eq!(opened["state"], "voting");
    text(&opened["decision"]["id"])
}

fn cast(world: &World, who: &Person, decision: &str, choice: &str) -> Answer {
    let path = world.peer.path(&format!("/decisions/{decision}/ballots"));
    world.server.post(who, &path, &json!({"choice": choice}))
}

/// The world with a second steward: they handle reports.
fn stewarded() -> World {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    world::lead(server, &world.administrator, world.organization, &peer.id, "steward", "Peer Costeward");
    world
}

/// The peer-led group with five more members since yesterday: six may vote on the first one's breach.
fn circle() -> (World, Vec<Member>) {
    circle_of(stewarded())
}

fn circle_of(world: World) -> (World, Vec<Member>) {
    let (server, peer) = (&world.server, &world.peer);
    let more = ["Ben", "Cleo", "Dov", "Edda", "Fay"].map(|name| member(server, &peer.lead, &peer.id, name));
    server.travel_days(1);
    (world, more.into())
}

fn steward(world: &World) -> &Person {
    world.peer.steward.as_ref().expect("a steward")
}

/// Everything of an answer but when it was given.
fn whole(answer: &Answer) -> String {
    let is_kept = |name: &str| !matches!(name, "date" | "request-id" | "x-request-id");
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| is_kept(name.as_str()))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    format!("{} {}\n{}", answer.status, headers.join("\n"), answer.text)
}

/// A case about the group's first member that the other ones decided on: all of `choices` are voted for.
fn decided(world: &World, more: &[Member], options: &[&str], choices: &[&str]) -> (String, Value) {
    let (server, peer) = (&world.server, &world.peer);
    let about = json!({"member": peer.member.id});
    let made = report(server, &peer.second_member.person, peer, &about, "It was told at the market.");
    let closed = decide(world, more, &made, options, choices);
    (made, closed)
}

/// The same for a report that was made.
fn decide(world: &World, more: &[Member], made: &str, options: &[&str], choices: &[&str]) -> Value {
    let (server, peer) = (&world.server, &world.peer);
    let decision = open_vote(world, steward(world), made, options);
    let voters = [&peer.second_member].into_iter().chain(more).map(|member| &member.person);
    for (voter, choice) in voters.zip(choices) {
        cast(world, voter, &decision, choice).expect(204);
    }
    server.travel_days(2);
    step(server, steward(world), &path_of(world, made), "closing", &json!({})).expect(200)
}

/// A code for a term, or for a membership under a new name.
fn code(world: &World, standing: &str) -> String {
    let (server, peer) = (&world.server, &world.peer);
    let lead = server.again(&peer.lead);
    let invited = match standing {
        "member" => server.post(&lead, &peer.path("/members"), &json!({"name": format!("Guest {}", Id::random())})),
        _ => server.post(&lead, &peer.path("/terms"), &json!({"standing": standing})),
    };
    text(&invited.expect(201)["code"])
}

fn accept(world: &World, who: &Person, code: &str) -> Answer {
    world.server.post(who, "/v1/account/standings", &json!({"code": code}))
}

fn appeal(world: &World, who: &Person, closed: &Value) {
    let appeal = format!("/v1/account/cases/{}/appeal", text(&closed["consequence"]["id"]));
    world.server.post(who, &appeal, &json!({"text": "I was not there that evening."})).expect(200);
}

fn lift(world: &World, made: &str) {
    let decision = path_of(world, made) + "/appeal-decision";
    world.server.post(&world.privacy_officer, &decision, &json!({"outcome": "lifted"})).expect(200);
}

// Who handles a report.

#[test]
fn nobody_handles_a_report_of_their_own_or_about_themselves() {
    let [reporter, subject, one, two, lead] = std::array::from_fn(|_| Id::random());
    let sorted = |mut ids: Vec<Id>| {
        ids.sort_unstable();
        ids
    };
    let person = |account: Id| Subject::Person { account: Some(account), member: None };
    let no_account = Subject::Person { account: None, member: Some(Id::random()) };
    let peer = Kind::PeerLed;
    /// Kind, whom it is about, stewards, facilitators, who handles it.
    type Row = (Kind, Subject, Vec<Id>, Vec<Id>, Vec<Id>);
    let table: Vec<Row> = vec![
        (peer, person(subject), vec![one, two], vec![lead], vec![one, two]),
        (peer, Subject::Unnamed, vec![one, two], vec![lead], vec![one, two]),
        (peer, no_account, vec![one, two], vec![lead], vec![one, two]),
        (peer, person(subject), vec![one, subject, two], vec![lead], vec![one, two]),
        (peer, person(subject), vec![one, reporter], vec![lead], vec![one]),
        (peer, person(subject), vec![subject], vec![lead, two], vec![lead, two]),
        (peer, person(subject), vec![reporter], vec![lead, two], vec![lead, two]),
        (peer, person(subject), vec![one, subject], vec![lead, two], vec![lead, two]),
        (peer, person(subject), vec![subject, reporter], vec![lead, subject, two, reporter], vec![lead, two]),
        (peer, person(subject), vec![], vec![lead, two, two], vec![lead, two]),
        // One alone: nobody there could hear a report of theirs.
        (peer, person(subject), vec![one], vec![], vec![]),
        (peer, person(subject), vec![one, one], vec![lead], vec![]),
        (peer, person(subject), vec![subject], vec![subject, reporter], vec![]),
        (peer, person(subject), vec![], vec![], vec![]),
        // Each of them could be who is meant.
        (peer, Subject::Unclear, vec![one, two], vec![lead], vec![]),
        (Kind::TherapistLed, person(subject), vec![one], vec![lead], vec![]),
        (Kind::TherapistLed, Subject::Unnamed, vec![], vec![], vec![]),
    ];
    for (kind, about, stewards, facilitators, expected) in table {
        let found = handlers(kind, reporter, about, &stewards, &facilitators);
        assert_eq!(found, sorted(expected), "{about:?} {stewards:?} {facilitators:?}");
    }
}

#[test]
fn whoever_reports_changes_nothing_in_who_else_handles_it() {
    let people: [Id; 5] = std::array::from_fn(|_| Id::random());
    let some = |bits: usize| -> Vec<Id> {
        (0..people.len()).filter(|index| bits >> index & 1 == 1).map(|index| people[index]).collect()
    };
    for (stewards, facilitators) in (0..1 << 5).flat_map(|bits| (0..1 << 5).map(move |more| (bits, more))) {
        let (stewards, facilitators) = (some(stewards), some(facilitators));
        for account in people {
            let about = Subject::Person { account: Some(account), member: None };
            let of = |reporter| handlers(Kind::PeerLed, reporter, about, &stewards, &facilitators);
            let anybodys = of(Id::random());
            for reporter in people {
                let but_them: Vec<Id> = anybodys.iter().copied().filter(|handler| *handler != reporter).collect();
                assert_eq!(of(reporter), but_them, "{stewards:?} {facilitators:?}");
            }
        }
    }
}

#[test]
fn a_report_does_not_say_by_its_way_that_a_steward_made_it() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let second = world::lead(server, &world.administrator, world.organization, &peer.id, "steward", "Second Steward");
    let about = json!({"term": term_of(server, peer, steward(&world))});
    let readers = [&peer.lead, &peer.co_lead, &second, steward(&world), &world.privacy_officer];
    for reporter in [&second, &peer.member.person] {
        let path = path_of(&world, &report(server, reporter, peer, &about, "The steward told it."));
        let read = readers.map(|reader| server.get(reader, &path).status);
        assert_eq!(read, [200, 200, 404, 404, 404], "of {}", reporter.name);
    }
}

#[test]
fn a_lone_steward_hears_nobody_else_either() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    for term in [&peer.lead, &peer.co_lead].map(|facilitator| term_of(server, peer, facilitator)) {
        server.post(&world.administrator, &peer.path(&format!("/terms/{term}/end")), &json!({})).expect(204);
    }
    let about = json!({"member": peer.second_member.id});
    for reporter in [steward(&world), &peer.member.person] {
        let path = path_of(&world, &report(server, reporter, peer, &about, "It was told outside."));
        server.get(steward(&world), &path).expect(404);
        server.get(&world.privacy_officer, &path).expect(200);
    }
}

#[test]
fn a_privacy_officer_handles_no_report_of_their_own_and_decides_no_appeal_in_it() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let reporter = &peer.second_member.person;
    let unclear = report(server, reporter, peer, &json!({"name": "Nobody of that name"}), "Who was it?");
    let (made, closed) = decided(&world, &more, &["no_consequence", "removal"], &["removal"; 6]);
    appeal(&world, &peer.member.person, &closed);
    // They leave, and watch over the organization from now on.
    world::leave(server, &peer.second_member, &peer.id);
    world::accept(server, reporter, &world::invite(server, world.organization, Standing::PrivacyOfficer));
    let decision = path_of(&world, &made) + "/appeal-decision";
    for (officer, count, status) in [(reporter, 0, 404), (&world.privacy_officer, 1, 200)] {
        for list in ["/breach-reports", "/appeals"] {
            let listed = server.get(officer, &peer.path(list)).expect(200);
            assert_eq!(listed["items"].as_array().map(Vec::len), Some(count), "{list} of {}", officer.name);
        }
        server.get(officer, &path_of(&world, &unclear)).expect(status);
        server.post(officer, &decision, &json!({"outcome": "lifted"})).expect(status);
    }
}

#[test]
fn a_leader_finds_nothing_of_a_report_about_themselves() {
    let world = stewarded();
    let (server, peer) = (&world.server, &world.peer);
    let stew = steward(&world);
    let reads = ["/breach-reports", "/decisions", "/members", "/terms"];
    let seen = |who: &Person| -> Vec<String> {
        let group = reads.iter().map(|read| whole(&server.get(who, &peer.path(read))));
        let own = ["/v1/account/cases", "/v1/account/access-log"].map(|read| whole(&server.get(who, read)));
        group.chain(own).collect()
    };
    let before = [seen(stew), seen(&peer.lead)];
    // Named by a term, by the name of a member or a leader, and by somebody who leads as well.
    let reporter = &peer.member.person;
    let term = term_of(server, peer, stew);
    let about_steward = report(server, reporter, peer, &json!({"term": term}), "By term.");
    let by_name = report(server, &peer.lead, peer, &json!({"name": " peer  STEWARD"}), "By name.");
    assert_eq!([seen(stew), seen(&peer.lead)][0], before[0], "the steward sees a report about themselves");
    for id in [&about_steward, &by_name] {
        let (path, nothing) = (path_of(&world, id), path_of(&world, &Id::random().to_string()));
        assert_eq!(whole(&server.get(stew, &path)), whole(&server.get(stew, &nothing)));
        let steps = [
            ("telling", json!({"text": "Nothing happened."})),
            ("finding", json!({"finding": "no_breach", "text": "Nothing happened."})),
            ("decision", vote_body(server, &["no_consequence", "note"])),
            ("closing", json!({})),
            ("outside-reports", json!({"made_to": "police", "made_on": "2026-01-01"})),
        ];
        for (step, body) in steps {
            let send = |path: &str| server.change(stew, "POST", &format!("{path}/{step}"), "\"1\"", &body);
            assert_eq!(send(&path).status, 404, "{step}");
            assert_eq!(whole(&send(&path)), whole(&send(&nothing)), "{step}");
        }
    }
    // It went around them: to the facilitators, and not to the one who reported.
    assert_eq!(server.get(&peer.lead, &path_of(&world, &about_steward)).status, 200);
    assert_eq!(server.get(&peer.co_lead, &path_of(&world, &by_name)).status, 200);
    server.get(&peer.lead, &path_of(&world, &by_name)).expect(404);
    server.get(&world.privacy_officer, &path_of(&world, &about_steward)).expect(404);
    server.get(&world.administrator, &path_of(&world, &about_steward)).expect(403);
    server.get(&peer.member.person, &path_of(&world, &about_steward)).expect(403);
    // About a facilitator: the steward's, and no facilitator sees it.
    let about_lead = report(server, reporter, peer, &json!({"name": "Peer Lead"}), "By name.");
    let read = server.get(stew, &path_of(&world, &about_lead)).expect(200);
    assert_eq!(read["about"], json!({"member": null, "name": "Peer Lead", "named_as": null}));
    for facilitator in [&peer.lead, &peer.co_lead] {
        server.get(facilitator, &path_of(&world, &about_lead)).expect(404);
    }
    let listed = server.get(stew, &peer.path("/breach-reports")).expect(200);
    assert_eq!(listed["items"].as_array().expect("a list").len(), 1, "{listed}");
}

#[test]
fn a_case_whose_handlers_have_gone_is_the_privacy_officers() {
    let world = World::new();
    let first = world::lead(
        &world.server,
        &world.administrator,
        world.organization,
        &world.peer.id,
        "steward",
        "First Steward",
    );
    let (server, peer) = (&world.server, &world.peer);
    let about = json!({"member": peer.second_member.id});
    let made = report(server, &peer.member.person, peer, &about, "It was told outside.");
    let path = path_of(&world, &made);
    server.get(&world.privacy_officer, &path).expect(404);
    let second = world::lead(server, &world.administrator, world.organization, &peer.id, "steward", "Second Steward");
    // A later steward is no handler of it.
    server.get(&second, &path).expect(404);
    for handler in [&first, steward(&world)] {
        server.get(&world.privacy_officer, &path).expect(404);
        let term = term_of(server, peer, handler);
        server.post(&world.administrator, &peer.path(&format!("/terms/{term}/end")), &json!({})).expect(204);
        server.get(handler, &path).expect(404);
    }
    server.get(&second, &path).expect(404);
    server.get(&world.privacy_officer, &path).expect(200);
    tell(server, &world.privacy_officer, &path);
}

#[test]
fn the_answer_to_a_report_does_not_tell_whether_a_name_is_known() {
    let world = stewarded();
    let (server, peer) = (&world.server, &world.peer);
    let who = &peer.member.person;
    server.post(&peer.lead, &peer.path("/members"), &json!({"name": "Sam Invited"})).expect(201);
    member(server, &peer.lead, &peer.id, "Ann Same");
    world::lead(server, &world.administrator, world.organization, &peer.id, "facilitator", "ann  same");
    let nobody = Id::random();
    let cases = [
        (json!({}), "steward"),
        (json!({"name": "peer NOOR"}), "steward"),
        (json!({"name": "Peer Noor"}), "steward"),
        (json!({"member": peer.second_member.id}), "steward"),
        (json!({"term": term_of(server, peer, &peer.lead)}), "steward"),
        // A name that means nobody, or several; who is only invited belongs to nobody yet.
        (json!({"name": "Peer No"}), "officer"),
        (json!({"name": "Noor"}), "officer"),
        (json!({"name": "Ann Same"}), "officer"),
        (json!({"name": "Sam Invited"}), "officer"),
        (json!({"member": nobody}), "officer"),
        (json!({"term": nobody}), "officer"),
        (json!({"member": world.led.member.id}), "officer"),
        (json!({"term": term_of(server, &world.led, &world.led.lead)}), "officer"),
    ];
    let mut answers = Vec::new();
    for (number, (about, handler)) in cases.iter().enumerate() {
        let body = json!({"about": about, "text": format!("Report {number}.")});
        let answer = server.post(who, &peer.path("/breach-reports"), &body);
        assert_eq!(answer.status, 201, "{about}: {}", answer.text);
        let id = text(&answer.json()["id"]);
        answers.push(whole(&answer).replace(&id, "…"));
        let path = path_of(&world, &id);
        let (theirs, others) = match *handler {
            "steward" => (steward(&world), &world.privacy_officer),
            _ => (&world.privacy_officer, steward(&world)),
        };
        server.get(theirs, &path).expect(200);
        server.get(others, &path).expect(404);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    // What was named stays readable for whoever handles it.
    let unclear = report(server, who, peer, &json!({"name": "Peer No"}), "Who is that?");
    let read = server.get(&world.privacy_officer, &path_of(&world, &unclear)).expect(200);
    assert_eq!(read["about"], json!({"member": null, "name": null, "named_as": "Peer No"}));
    let both = json!({"about": {"name": "Peer Noor", "member": peer.second_member.id}, "text": "Two."});
    server.post(who, &peer.path("/breach-reports"), &both).refuses("/about");
    let tomorrow = server.db.clock.now().plus_days(1).day_in("UTC");
    let early = json!({"text": "Not yet.", "happened_on": tomorrow});
    server.post(who, &peer.path("/breach-reports"), &early).refuses("/happened_on");
    server.post(who, &peer.path("/breach-reports"), &json!({"text": " "})).refuses("/text");
    assert_eq!(folded(" STRAẞE\tﬁn "), "straße fin");
}

#[test]
fn everybody_who_stands_or_stood_there_can_report_and_nobody_else() {
    let world = World::new();
    let (server, peer, led) = (&world.server, &world.peer, &world.led);
    let body = json!({"text": "A list of names lay open."});
    for who in [&peer.former_member.person, &peer.lead, steward(&world), &world.administrator] {
        server.post(who, &peer.path("/breach-reports"), &body).expect(201);
    }
    // Whoever handles reports of last resort makes none.
    server.post(&world.privacy_officer, &peer.path("/breach-reports"), &body).expect(403);
    for who in [&led.former_member.person, &led.lead, led.trainee.as_ref().expect("a trainee")] {
        server.post(who, &led.path("/breach-reports"), &body).expect(201);
    }
    for who in [&world.outsider, &led.member.person, &peer.former_lead] {
        server.post(who, &peer.path("/breach-reports"), &body).expect(404);
    }
}

// Who reported.

/// Every row of every table, column by column; only where the files are ours to read.
pub fn every_row(server: &Server) -> Option<Vec<(String, Vec<String>)>> {
    use diesel::{
        Connection as _, QueryableByName, RunQueryDsl, sql_query,
        sql_types::{Nullable, Text},
    };
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Nullable<Text>)]
        line: Option<String>,
    }
    let file = server.location.file()?;
    let mut connection = diesel::SqliteConnection::establish(file).expect("the database opens");
    let mut lines = |sql: String| -> Vec<String> {
        let rows: Vec<Line> = sql_query(sql).load(&mut connection).expect("the rows");
        rows.into_iter().map(|row| row.line.unwrap_or_default()).collect()
    };
    let tables = lines("SELECT name AS line FROM sqlite_master WHERE type = 'table'".into());
    let mut found = Vec::new();
    for table in tables {
        let columns = lines(format!("SELECT name AS line FROM pragma_table_info('{table}')"));
        let row: Vec<String> = columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
        for line in lines(format!("SELECT {} AS line FROM \"{table}\"", row.join(" || '|' || "))) {
            found.push((table.clone(), line.split('|').map(str::to_owned).collect()));
        }
    }
    Some(found)
}

fn hex(id: &str) -> String {
    id.replace('-', "").to_uppercase()
}

#[test]
fn nobody_reads_who_reported() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let reporter = &more[0];
    let moment = server.db.clock.now();
    let made = report(server, &reporter.person, peer, &json!({"member": peer.member.id}), "It was told outside.");
    let own = [reporter.person.id.to_string(), reporter.id.clone(), reporter.person.caller.sign_in.to_string()];
    if let Some(rows) = every_row(server) {
        let report_id = hex(&made);
        let mut joined = 0;
        for (table, columns) in &rows {
            if !columns.iter().any(|column| column.contains(&report_id)) {
                continue;
            }
            joined += 1;
            for column in columns {
                assert!(
                    own.iter().all(|id| !column.contains(&hex(id)) && !column.contains(id)),
                    "{table}: {columns:?}"
                );
                let is_moment = column.parse::<i64>().is_ok_and(|number| (number - moment.0).abs() < 60_000);
                let is_midnight = column.parse() == Ok(received_at(moment, "UTC").0);
                assert!(!is_moment || is_midnight, "{table} says when: {columns:?}");
            }
        }
        assert!(joined >= 3, "the report, its key and its handler: {joined}");
        let kept = rows.iter().filter(|(table, _)| table == "idempotent_answers").count();
        assert_eq!(kept, 0);
    }
    let path = path_of(&world, &made);
    let decision = open_vote(&world, steward(&world), &made, &["no_consequence", "pause"]);
    for who in more.iter().chain([&peer.second_member]) {
        cast(&world, &who.person, &decision, "pause").expect(204);
    }
    server.travel_days(2);
    step(server, steward(&world), &path, "closing", &json!({})).expect(200);
    // Neither the name nor any id of the reporter stands in what anybody reads of the case.
    let mut secrets = own.to_vec();
    secrets.push(reporter.person.name.clone());
    let case = ["/breach-reports".into(), format!("/breach-reports/{made}"), "/decisions".into(), "/appeals".into()];
    let mut readers = vec![&peer.member.person, &peer.second_member.person, steward(&world), &peer.lead];
    readers.extend([&world.privacy_officer, &world.administrator, &more[1].person, &world.outsider]);
    for reader in &readers {
        let group = case.iter().map(|read| peer.path(read));
        for read in group.chain(["/v1/account/cases".into(), "/v1/account/access-log".into()]) {
            let answer = whole(&server.get(reader, &read));
            assert!(secrets.iter().all(|secret| !answer.contains(secret)), "{} at {read}: {answer}", reader.name);
        }
    }
    // The log of the privacy officer knows nothing of it, whatever the reporter did.
    let log =
        server.get(&world.privacy_officer, &format!("/v1/organizations/{}/access-log?limit=200", world.organization));
    let log = log.expect(200);
    let entries = log["items"].as_array().expect("entries");
    assert!(entries.iter().any(|entry| entry["action"] == "HandleBreachReport"), "{log}");
    for entry in entries {
        assert!(entry["action"] != "ReportBreach" && entry["action"] != "CastBallot", "{entry}");
        assert!(entry["account"] != own[0] || entry["record"] != made, "{entry}");
    }
    // Only they themselves.
    let cases = server.get(&reporter.person, "/v1/account/cases").expect(200);
    assert_eq!(cases["reports"][0]["id"], made);
    assert_eq!(cases["reports"][0]["followed"], "something");
    assert_eq!(cases["cases"], json!([]));
    let subjects = server.get(&peer.member.person, "/v1/account/cases").expect(200);
    assert_eq!(subjects["reports"], json!([]));
    assert!(!subjects.to_string().contains(&made) && !subjects.to_string().contains("received"), "{subjects}");
}

#[test]
fn the_subject_learns_nothing_before_they_are_told() {
    let (world, _) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let subject = &peer.member.person;
    let reads = ["/v1/account/cases", "/v1/account/access-log", "/v1/account/standings"];
    let seen = || reads.map(|read| whole(&server.get(subject, read)));
    let before = seen();
    let about = json!({"member": peer.member.id});
    let path = path_of(&world, &report(server, &peer.second_member.person, peer, &about, "It was told outside."));
    server.get(steward(&world), &path).expect(200);
    server.get(steward(&world), &peer.path("/breach-reports")).expect(200);
    assert_eq!(seen(), before);
    tell(server, steward(&world), &path);
    let told = server.get(subject, "/v1/account/cases").expect(200);
    assert_eq!(told["cases"][0]["told"], "Something was told outside.");
    assert_eq!(told["cases"][0]["state"], "told");
    assert!(!told.to_string().contains("It was told outside."), "the report itself could say who wrote it: {told}");
}

#[test]
fn the_same_report_sent_again_is_the_first_one() {
    let world = stewarded();
    let (server, peer) = (&world.server, &world.peer);
    let body = json!({"about": {"name": "Peer Noor"}, "text": "It was told outside."});
    let send = |who: &Person, body: &Value| {
        let request = server.request("POST", &peer.path("/breach-reports")).token(&who.token);
        request.key("the-same-key").json(body).send()
    };
    let who = &peer.member.person;
    let first = send(who, &body);
    let count = |who: &Person| {
        let listed = server.get(who, &peer.path("/breach-reports")).expect(200);
        listed["items"].as_array().expect("a list").len()
    };
    std::thread::scope(|scope| {
        let again: Vec<_> = (0..4).map(|_| scope.spawn(|| send(who, &body))).collect();
        for answer in again {
            assert_eq!(whole(&answer.join().expect("an answer")), whole(&first));
        }
    });
    assert_eq!(count(steward(&world)), 1);
    // Of somebody else, or with other words, it is another one.
    let others = send(&peer.former_member.person, &body).made();
    assert_ne!(others, text(&first.json()["id"]));
    let more = json!({"about": {"name": "Peer Noor"}, "text": "It was told outside twice."});
    send(who, &more).expect(201);
    assert_eq!(count(steward(&world)), 3);
    for number in 0..18 {
        report(server, who, peer, &json!({}), &format!("Number {number}."));
    }
    server.post(who, &peer.path("/breach-reports"), &json!({"text": "One too many."})).expect(409);
}

// The course of a case.

#[test]
fn a_case_takes_no_step_before_its_turn() {
    let case = |kind, state, is_named, finding| Case { kind, state, is_named, is_named_by_handler: false, finding };
    let (peer, led) = (Kind::PeerLed, Kind::TherapistLed);
    let (breach, no_breach) = (Some(Finding::Breach), Some(Finding::NoBreach));
    use State::*;
    // (case, telling, finding, decision, closing)
    let table = [
        (case(peer, Received, true, None), true, false, false, None),
        (case(peer, Received, false, None), false, true, false, None),
        (case(peer, Told, true, None), false, true, false, None),
        (case(peer, Found, true, breach), false, false, true, Some(Closing::WhereTooFewCanVote)),
        (case(peer, Found, false, breach), false, false, false, Some(Closing::WithTheFinding)),
        (case(peer, Found, true, no_breach), false, false, false, Some(Closing::WithTheFinding)),
        (case(peer, Found, true, Some(Finding::Unclear)), false, false, false, Some(Closing::WithTheFinding)),
        (case(peer, Voting, true, breach), false, false, false, Some(Closing::OfTheVote)),
        (case(peer, Decided, true, breach), false, false, false, Some(Closing::AfterTheTimeForAppeals)),
        (case(peer, Appealed, true, breach), false, false, false, None),
        (case(peer, Closed, true, breach), false, false, false, None),
        (case(led, Received, true, None), true, false, false, None),
        (case(led, Told, true, None), false, true, false, None),
        (case(led, Found, true, breach), false, false, false, Some(Closing::WithTheFinding)),
        (case(led, Closed, true, breach), false, false, false, None),
    ];
    for (case, telling, finding, decision, closing) in table {
        assert_eq!(case.check_telling().is_ok(), telling, "telling {case:?}");
        assert_eq!(case.check_finding().is_ok(), finding, "finding {case:?}");
        assert_eq!(case.check_decision().is_ok(), decision, "decision {case:?}");
        assert_eq!(case.closing().ok(), closing, "closing {case:?}");
    }
}

#[test]
fn over_http_a_step_out_of_turn_is_a_conflict_and_an_old_version_is_stale() {
    let (world, _) = circle();
    let (server, peer, handler) = (&world.server, &world.peer, steward(&world));
    let about = json!({"member": peer.member.id});
    let path = path_of(&world, &report(server, &peer.second_member.person, peer, &about, "It was told outside."));
    let finding = json!({"finding": "breach", "text": "Both were heard."});
    let vote = vote_body(server, &["no_consequence", "note"]);
    step(server, handler, &path, "finding", &finding).expect(409);
    step(server, handler, &path, "decision", &vote).expect(409);
    step(server, handler, &path, "closing", &json!({})).expect(409);
    step(server, handler, &path, "outside-reports", &json!({"made_to": "board", "made_on": "2026-01-01"})).expect(409);
    step(server, handler, &path, "telling", &json!({"text": ""})).refuses("/text");
    let first = server.version(handler, &path);
    tell(server, handler, &path);
    step(server, handler, &path, "telling", &json!({"text": "Again."})).expect(409);
    server.change(handler, "POST", &format!("{path}/finding"), &first, &finding).expect(412);
    server.post(handler, &format!("{path}/finding"), &finding).expect(428);
    step(server, handler, &path, "decision", &vote).expect(409);
    step(server, handler, &path, "finding", &finding).expect(200);
    step(server, handler, &path, "finding", &finding).expect(409);
    // The group can decide, so nobody closes it past the group.
    step(server, handler, &path, "closing", &json!({})).expect(409);
    let refused = |change: &dyn Fn(&mut Value), pointer: &str| {
        let mut body = vote_body(server, &["no_consequence", "pause"]);
        change(&mut body);
        step(server, handler, &path, "decision", &body).refuses(pointer);
    };
    let now = server.db.clock.now();
    refused(&|body| body["closes_at"] = json!(now.plus_minutes(23 * 60)), "/closes_at");
    refused(&|body| body["closes_at"] = json!(now.plus_days(31)), "/closes_at");
    refused(&|body| body["pause_days"] = Value::Null, "/pause_days");
    refused(&|body| body["pause_days"] = json!(181), "/pause_days");
    refused(&|body| body["options"] = json!(["no_consequence", "note"]), "/pause_days");
    refused(&|body| body["options"] = json!(["pause", "removal"]), "/options");
    refused(&|body| body["options"] = json!(["no_consequence"]), "/options");
    refused(&|body| body["options"] = json!(["no_consequence", "exile"]), "/options/1");
    step(server, handler, &path, "decision", &vote).expect(200);
    step(server, handler, &path, "decision", &vote).expect(409);
    step(server, handler, &path, "closing", &json!({})).expect(409);
}

#[test]
fn two_handlers_take_a_step_once() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let about = json!({"term": term_of(server, peer, steward(&world))});
    let path = path_of(&world, &report(server, &peer.member.person, peer, &about, "The steward told it."));
    let version = server.version(&peer.lead, &path);
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let told = [&peer.lead, &peer.co_lead].map(|who| {
            let (path, version) = (format!("{path}/telling"), &version);
            scope.spawn(move || server.change(who, "POST", &path, version, &json!({"text": "Told."})).status)
        });
        told.into_iter().map(|told| told.join().expect("an answer")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[test]
fn in_a_therapist_led_group_the_privacy_officer_handles_it_and_nobody_votes() {
    let world = World::new();
    let (server, led, officer) = (&world.server, &world.led, &world.privacy_officer);
    let about = json!({"term": term_of(server, led, &led.lead)});
    let made = report(server, &led.member.person, led, &about, "A list of names lay open.");
    let path = led.path(&format!("/breach-reports/{made}"));
    for who in [&led.lead, &led.co_lead, &led.member.person, &world.administrator] {
        server.get(who, &path).expect(403);
    }
    server.get(&world.outsider, &path).expect(404);
    let outside = json!({"made_to": "regulator", "made_on": "2026-01-02", "reference": "R-7"});
    let before = server.version(officer, &path);
    server.post(officer, &format!("{path}/outside-reports"), &outside).made();
    assert_ne!(server.version(officer, &path), before);
    let tomorrow = server.db.clock.now().plus_days(1).day_in("UTC");
    let early = json!({"made_to": "board", "made_on": tomorrow});
    server.post(officer, &format!("{path}/outside-reports"), &early).refuses("/made_on");
    find_breach(server, officer, &path);
    step(server, officer, &path, "decision", &vote_body(server, &["no_consequence", "note"])).expect(409);
    let told = server.get(&led.lead, "/v1/account/cases").expect(200);
    assert_eq!(told["cases"][0]["told"], "Something was told outside.");
    let closed = step(server, officer, &path, "closing", &json!({})).expect(200);
    assert_eq!(closed["state"], "closed");
    assert_eq!(closed["outside_reports"][0]["reference"], "R-7");
    assert_eq!(closed["consequence"], Value::Null);
    server.get(&led.member.person, &led.path("/decisions")).expect(403);
}

// Deciding in secret.

#[test]
fn a_result_of_few_ballots_is_no_result_and_a_tie_is_the_milder() {
    use Choice::*;
    /// Ballots, how many may vote, the fewest ballots, the quorum in percent, what wins.
    type Row<'a> = (&'a [(Choice, u32)], i32, i32, i32, Option<Choice>);
    let table: Vec<Row> = vec![
        (&[(NoConsequence, 0), (Removal, 3)], 3, 3, 1, None),
        (&[(NoConsequence, 0), (Removal, 4)], 4, 5, 50, None),
        (&[(NoConsequence, 2), (Removal, 3)], 5, 5, 50, Some(Removal)),
        (&[(NoConsequence, 3), (Removal, 3)], 6, 5, 50, Some(NoConsequence)),
        (&[(NoConsequence, 1), (Note, 2), (Pause, 2), (Removal, 1)], 6, 5, 50, Some(Note)),
        (&[(NoConsequence, 0), (Removal, 5)], 11, 5, 50, None),
        (&[(NoConsequence, 0), (Removal, 5)], 10, 5, 50, Some(Removal)),
        (&[(NoConsequence, 0), (Removal, 9)], 10, 10, 50, None),
        (&[(NoConsequence, 0), (Removal, 9)], 10, 5, 100, None),
        (&[(NoConsequence, 0), (Removal, 0)], 10, 5, 1, None),
    ];
    for (ballots, eligible, minimum, quorum, expected) in table {
        assert_eq!(outcome(ballots, eligible, minimum, quorum), expected, "{ballots:?} of {eligible}");
    }
    let now = Moment(0);
    let proposal = |options: Option<&'static [Choice]>, pause_days| Proposal {
        options,
        pause_days,
        session_starts_at: None,
        closes_at: now.plus_days(2),
    };
    let check = |policy, options, pause_days| check_vote(policy, &proposal(options, pause_days), now).ok();
    let (graduated, zero) = (BreachPolicy::Graduated, BreachPolicy::ZeroTolerance);
    // To leave a session is one of them where a session is named.
    assert_eq!(check(graduated, None, Some(3)), Some(vec![NoConsequence, Note, Pause, Removal]));
    let with_session = Proposal { session_starts_at: Some(now.plus_days(3)), ..proposal(None, Some(3)) };
    assert_eq!(check_vote(graduated, &with_session, now).ok().as_deref(), Some(Choice::ALL));
    assert_eq!(check(zero, None, None), Some(vec![NoConsequence, Removal]));
    assert_eq!(check(zero, Some(&[NoConsequence, Note]), None), None);
    assert_eq!(check(graduated, Some(&[Note, NoConsequence, Note]), None), Some(vec![NoConsequence, Note]));
}

#[test]
fn while_a_vote_lasts_nothing_that_a_member_reads_changes_with_the_votes_of_others() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let about = json!({"member": peer.member.id});
    let made = report(server, &peer.second_member.person, peer, &about, "It was told outside.");
    let decision = open_vote(&world, steward(&world), &made, &["no_consequence", "note"]);
    let reads = [
        peer.path("/decisions"),
        peer.path(&format!("/decisions/{decision}")),
        peer.path(&format!("/breach-reports/{made}")),
        "/v1/account/cases".into(),
        "/v1/account/access-log".into(),
    ];
    let third = [&more[4].person, &peer.member.person, steward(&world), &peer.second_member.person];
    let seen = || -> Vec<String> {
        third.iter().flat_map(|who| reads.iter().map(|read| whole(&server.get(who, read)))).collect()
    };
    let before = seen();
    let stored = every_row(server);
    for voter in &more[..4] {
        cast(&world, &voter.person, &decision, "note").expect(204);
        assert_eq!(seen(), before);
    }
    assert!(before.iter().any(|answer| answer.contains("\"may_vote\":true")), "{before:#?}");
    // What is kept of a ballot: that somebody has voted, and a sum of the same length.
    if let (Some(before), Some(after)) = (stored, every_row(server)) {
        let of = |rows: &[(String, Vec<String>)], table: &str| -> Vec<Vec<String>> {
            rows.iter().filter(|(name, _)| name == table).map(|(_, columns)| columns.clone()).collect()
        };
        let (old, new) = (of(&before, "decisions").remove(0), of(&after, "decisions").remove(0));
        for (old, new) in old.iter().zip(&new).filter(|(old, new)| old != new) {
            assert_eq!(old.len(), new.len(), "{old} {new}");
            assert!(old.len() > 60, "only the sealed sum changes: {old} {new}");
        }
        for table in ["idempotent_answers", "decision_voters"] {
            assert_eq!(of(&before, table).len(), of(&after, table).len(), "{table}");
        }
        let ballots = of(&after, "access_entries").into_iter().flatten().any(|column| column.contains("CastBallot"));
        assert!(!ballots);
    }
    let own = server.get(&more[0].person, &reads[1]).expect(200);
    assert_eq!((own["may_vote"].clone(), own["has_voted"].clone()), (json!(false), json!(true)));
    assert_eq!(own["outcome"], Value::Null);
}

#[test]
fn a_vote_counts_once_in_time_and_from_those_who_were_there() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let about = json!({"member": peer.member.id});
    let made = report(server, &peer.second_member.person, peer, &about, "It was told outside.");
    let path = path_of(&world, &made);
    // Whoever is brought in before the subject is told, by a handler who has read it.
    let unheard = member(server, &peer.lead, &peer.id, "Brought In Early");
    find_breach(server, steward(&world), &path);
    // Whoever is brought in once the case is known, however it is dated, and whoever comes later still.
    let known = member(server, &peer.lead, &peer.id, "Brought In");
    let back = json!({"name": "Backdated", "since": server.db.clock.now().plus_days(-300)});
    let invited = server.post(&peer.lead, &peer.path("/members"), &back).expect(201);
    let backdated = server.account("Backdated");
    world::accept(server, &backdated, &text(&invited["code"]));
    let place = peer.path(&format!("/members/{}", text(&invited["id"])));
    let active = json!({"state": "active", "from_at": server.db.clock.now().plus_days(-299)});
    step(server, &peer.lead, &place, "moves", &active).expect(201);
    let opened = step(server, steward(&world), &path, "decision", &vote_body(server, &["no_consequence", "note"]));
    let decision = text(&opened.expect(200)["decision"]["id"]);
    let later = member(server, &peer.lead, &peer.id, "Came Later");
    for who in [&unheard.person, &known.person, &backdated, &later.person, &peer.member.person] {
        cast(&world, who, &decision, "note").expect(404);
        let read = server.get(who, &peer.path(&format!("/decisions/{decision}"))).expect(200);
        assert_eq!((&read["may_vote"], &read["has_voted"]), (&json!(false), &json!(false)));
    }
    cast(&world, &peer.lead, &decision, "note").expect(403);
    cast(&world, steward(&world), &decision, "note").expect(403);
    cast(&world, &world.administrator, &decision, "note").expect(403);
    cast(&world, &peer.former_member.person, &decision, "note").expect(403);
    cast(&world, &world.outsider, &decision, "note").expect(404);
    cast(&world, &more[0].person, &Id::random().to_string(), "note").expect(404);
    cast(&world, &more[0].person, &decision, "removal").refuses("/choice");
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let votes: Vec<_> = (0..6)
            .map(|number| {
                let (world, who, decision) = (&world, &more[0].person, &decision);
                let choice = if number % 2 == 0 { "note" } else { "no_consequence" };
                scope.spawn(move || cast(world, who, decision, choice).status)
            })
            .collect();
        votes.into_iter().map(|vote| vote.join().expect("an answer")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409, 409, 409, 409, 409]);
    // Four ballots in all: the second ones were not counted, so there is no result.
    for voter in &more[1..4] {
        cast(&world, &voter.person, &decision, "note").expect(204);
    }
    server.travel_days(2);
    cast(&world, &more[4].person, &decision, "note").expect(409);
    let closed = step(server, steward(&world), &path, "closing", &json!({})).expect(200);
    assert_eq!((&closed["state"], &closed["decision"]["outcome"]), (&json!("closed"), &Value::Null));
    assert_eq!(closed["consequence"], Value::Null);
    cast(&world, &more[4].person, &decision, "note").expect(409);
    step(server, steward(&world), &path, "closing", &json!({})).expect(409);
    let read = server.get(&more[4].person, &peer.path(&format!("/decisions/{decision}"))).expect(200);
    assert!(read["closed_at"].is_string() && read["outcome"].is_null(), "{read}");
    let allowed =
        ["id", "question", "options", "pause_days", "session", "opened_at", "closes_at", "may_vote", "has_voted"];
    for field in read.as_object().expect("a decision").keys() {
        assert!(allowed.contains(&field.as_str()) || ["closed_at", "outcome"].contains(&field.as_str()), "{field}");
    }
}

#[test]
fn everybody_votes_at_once_and_every_ballot_counts() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let about = json!({"member": peer.member.id});
    let made = report(server, &peer.second_member.person, peer, &about, "It was told outside.");
    let decision = open_vote(&world, steward(&world), &made, &["no_consequence", "note"]);
    std::thread::scope(|scope| {
        for voter in &more {
            let (world, decision) = (&world, &decision);
            scope.spawn(move || cast(world, &voter.person, decision, "note").expect(204));
        }
    });
    server.travel_days(2);
    // Five ballots are the fewest that have a result: none was lost.
    let closed = step(server, steward(&world), &path_of(&world, &made), "closing", &json!({})).expect(200);
    assert_eq!((&closed["state"], &closed["decision"]["outcome"]), (&json!("decided"), &json!("note")));
}

#[test]
fn a_group_too_small_for_a_secret_vote_closes_with_the_finding() {
    let world = stewarded();
    let (server, peer) = (&world.server, &world.peer);
    let about = json!({"member": peer.member.id});
    let path = path_of(&world, &report(server, &peer.second_member.person, peer, &about, "It was told outside."));
    find_breach(server, steward(&world), &path);
    let refused = step(server, steward(&world), &path, "decision", &vote_body(server, &["no_consequence", "note"]));
    assert!(refused.expect(409)["detail"].as_str().is_some_and(|detail| detail.contains("secret")));
    let closed = step(server, steward(&world), &path, "closing", &json!({})).expect(200);
    assert_eq!((&closed["state"], &closed["decision"]), (&json!("closed"), &Value::Null));
    let own = server.get(&peer.second_member.person, "/v1/account/cases").expect(200);
    assert_eq!(own["reports"][0]["followed"], "nothing");
}

#[test]
fn whom_it_is_about_cannot_change_the_rules_under_the_case() {
    let (world, more) = circle_of(World::new());
    let (server, peer) = (&world.server, &world.peer);
    let subject = steward(&world);
    let about = json!({"term": term_of(server, peer, subject)});
    let made = report(server, &peer.second_member.person, peer, &about, "The steward told it.");
    let settings = peer.path("/peer-settings");
    let mut body = server.get(subject, &settings).expect(200);
    body["ballot_minimum"] = json!(1000);
    body["quorum_percent"] = json!(100);
    body["breach_policy"] = json!("zero_tolerance");
    server.change(subject, "PUT", &settings, &server.version(subject, &settings), &body).expect(200);
    let decision = open_vote(&world, &peer.lead, &made, &["no_consequence", "note", "removal"]);
    for voter in &more {
        cast(&world, &voter.person, &decision, "removal").expect(204);
    }
    server.travel_days(2);
    let closed = step(server, &peer.lead, &path_of(&world, &made), "closing", &json!({})).expect(200);
    assert_eq!(closed["consequence"]["consequence"], "removal");
    // The last steward goes too: an administrator appoints another.
    server.get(subject, &peer.path("")).expect(404);
    let terms = server.get(&peer.lead, &peer.path("/terms")).expect(200);
    assert!(!terms.to_string().contains("\"steward\""), "{terms}");
    world::lead(server, &world.administrator, world.organization, &peer.id, "steward", "Next Steward");
}

// What follows.

#[test]
fn a_pause_bars_until_its_end_and_ends_by_itself() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let subject = &peer.member.person;
    // They lead as well.
    let invited = server.post(&peer.lead, &peer.path("/terms"), &json!({"standing": "facilitator"})).expect(201);
    world::accept(server, subject, &text(&invited["code"]));
    server.get(subject, &peer.path("/members")).expect(200);
    let (_, closed) = decided(&world, &more, &["no_consequence", "pause"], &["pause"; 6]);
    let consequence = &closed["consequence"];
    let now = server.db.clock.now();
    let days = |moment: &Value| serde_json::from_value::<Moment>(moment.clone()).expect("a moment").minutes_since(now);
    assert_eq!(consequence["consequence"], "pause");
    assert!((13 * 24 * 60..=14 * 24 * 60).contains(&days(&consequence["until_at"])), "{consequence}");
    assert_eq!(consequence["review_on"], now.plus_days(30).day_in("UTC").to_string());
    // Of their own they read on, and nothing of the group; the term is over, and with it what is left to do after one.
    server.get(subject, &peer.path(&format!("/members/{}", peer.member.id))).expect(200);
    server.get(subject, &peer.path("")).expect(403);
    let listed = server.get(subject, &peer.path("/members")).expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "only their own: {listed}");
    // No lead undoes it.
    server.travel_days(15);
    let subject = &server.again(subject);
    server.get(subject, &peer.path("")).expect(200);
    server.get(subject, &peer.path("/breach-reports")).expect(403);
}

#[test]
fn a_note_takes_nothing_away() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let (_, closed) = decided(&world, &more, &["no_consequence", "note", "pause", "removal"], &["note"; 6]);
    assert_eq!(closed["state"], "decided");
    assert_eq!(closed["consequence"]["until_at"], Value::Null);
    server.get(&peer.member.person, &peer.path("")).expect(200);
    let own = server.get(&peer.member.person, "/v1/account/cases").expect(200);
    assert_eq!(own["cases"][0]["consequence"]["consequence"], "note");
    assert_eq!(own["cases"][0]["finding"], "breach");
}

#[test]
fn no_consequence_closes_the_case() {
    let (world, more) = circle();
    let choices = ["no_consequence", "no_consequence", "no_consequence", "removal", "removal", "removal"];
    let (made, closed) = decided(&world, &more, &["no_consequence", "removal"], &choices);
    assert_eq!((&closed["state"], &closed["consequence"]), (&json!("closed"), &Value::Null));
    assert_eq!(closed["decision"]["outcome"], "no_consequence");
    world.server.get(&world.peer.member.person, &world.peer.path("")).expect(200);
    // Nothing is there to be appealed.
    let appeal = path_of(&world, &made) + "/appeal-decision";
    world.server.post(&world.privacy_officer, &appeal, &json!({"outcome": "lifted"})).expect(409);
}

#[test]
fn a_removal_holds_until_the_group_looks_again_or_it_is_lifted_on_appeal() {
    let (world, more) = circle();
    let (server, peer, officer) = (&world.server, &world.peer, &world.privacy_officer);
    let (made, closed) = decided(&world, &more, &["no_consequence", "removal"], &["removal"; 6]);
    let place = peer.path(&format!("/members/{}", peer.member.id));
    assert_eq!(server.get(&peer.lead, &place).expect(200)["state"], "removed");
    let subject = &peer.member.person;
    server.get(subject, &peer.path("")).expect(403);
    for lead in [&peer.lead, steward(&world), &world.administrator] {
        step(server, lead, &place, "moves", &json!({"state": "active"})).refuses("/state");
    }
    // Who handled it stays out of what the subject reads; what was done about them stands in their membership.
    let log = server.get(subject, "/v1/account/access-log").expect(200);
    assert!(!log.to_string().contains("HandleBreachReport"), "{log}");
    let consequence = text(&closed["consequence"]["id"]);
    let appeal = format!("/v1/account/cases/{consequence}/appeal");
    let words = json!({"text": "I was not there that evening."});
    for other in [&peer.second_member.person, steward(&world), officer, &world.outsider] {
        server.post(other, &appeal, &words).expect(404);
    }
    let decision = path_of(&world, &made) + "/appeal-decision";
    server.post(officer, &decision, &json!({"outcome": "lifted"})).expect(409);
    server.post(subject, &appeal, &json!({"text": ""})).refuses("/text");
    server.post(subject, &appeal, &words).expect(200);
    server.post(subject, &appeal, &words).expect(409);
    // The officer reads what it is against, and neither report nor finding.
    server.get(officer, &path_of(&world, &made)).expect(404);
    let appeals = server.get(officer, &peer.path("/appeals")).expect(200);
    assert_eq!(appeals["items"][0]["appeal"], "I was not there that evening.");
    assert_eq!(appeals["items"][0]["breach_report"], made);
    for words in ["told at the market", "Both were heard", "Something was told outside"] {
        assert!(!appeals.to_string().contains(words), "{appeals}");
    }
    step(server, steward(&world), &path_of(&world, &made), "closing", &json!({})).expect(409);
    for other in [steward(&world), &peer.lead, subject, &world.administrator] {
        server.post(other, &decision, &json!({"outcome": "lifted"})).expect(403);
        server.get(other, &peer.path("/appeals")).expect(403);
    }
    server.post(officer, &decision, &json!({"outcome": "lifted"})).expect(200);
    server.post(officer, &decision, &json!({"outcome": "upheld"})).expect(409);
    server.get(subject, &peer.path("")).expect(200);
    assert_eq!(server.get(&peer.lead, &place).expect(200)["state"], "active");
    let own = server.get(subject, "/v1/account/cases").expect(200);
    assert_eq!(own["cases"][0]["consequence"]["appeal_outcome"], "lifted");
    let reports = server.get(&peer.second_member.person, "/v1/account/cases").expect(200);
    assert_eq!(reports["reports"][0]["followed"], "nothing");
}

#[test]
fn no_lead_takes_back_alone_whom_the_group_removed() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let subject = &peer.member.person;
    let older = ["facilitator", "steward"].map(|standing| code(&world, standing));
    let (made, closed) = decided(&world, &more, &["no_consequence", "removal"], &["removal"; 6]);
    let codes = || ["facilitator", "steward"].map(|standing| code(&world, standing));
    for code in older.iter().chain(&codes()) {
        accept(&world, subject, code).expect(409);
    }
    accept(&world, subject, &code(&world, "member")).expect(409);
    server.get(subject, &peer.path("")).expect(403);
    // A code that was refused is not spent, and others may have it.
    accept(&world, &more[0].person, &older[0]).expect(201);
    // Lifted, everything is open to them again.
    appeal(&world, subject, &closed);
    lift(&world, &made);
    accept(&world, subject, &codes()[0]).expect(201);
}

#[test]
fn a_removed_member_leads_nothing_before_they_are_a_member_again() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    decided(&world, &more, &["no_consequence", "removal"], &["removal"; 6]);
    server.travel_days(31);
    let (subject, lead) = (&server.again(&peer.member.person), &server.again(&peer.lead));
    accept(&world, subject, &code(&world, "facilitator")).expect(409);
    let place = peer.path(&format!("/members/{}", peer.member.id));
    step(server, lead, &place, "moves", &json!({"state": "active"})).expect(201);
    accept(&world, subject, &code(&world, "facilitator")).expect(201);
}

#[test]
fn a_paused_member_leads_nothing_meanwhile() {
    let (world, more) = circle();
    let subject = &world.peer.member.person;
    let (made, closed) = decided(&world, &more, &["no_consequence", "pause"], &["pause"; 6]);
    accept(&world, subject, &code(&world, "facilitator")).expect(409);
    appeal(&world, subject, &closed);
    lift(&world, &made);
    accept(&world, subject, &code(&world, "facilitator")).expect(201);
}

#[test]
fn a_lead_who_was_sent_away_does_not_become_a_member_instead() {
    for (consequence, lifted) in [("removal", true), ("pause", false)] {
        let (world, more) = circle();
        let (server, peer) = (&world.server, &world.peer);
        let about = json!({"term": term_of(server, peer, &peer.co_lead)});
        let made = report(server, &peer.second_member.person, peer, &about, "The facilitator told it.");
        let closed = decide(&world, &more, &made, &["no_consequence", consequence], &[consequence; 6]);
        for standing in ["member", "facilitator"] {
            accept(&world, &peer.co_lead, &code(&world, standing)).expect(409);
        }
        server.get(&peer.co_lead, &peer.path("")).expect(404);
        if lifted {
            appeal(&world, &peer.co_lead, &closed);
            lift(&world, &made);
            accept(&world, &peer.co_lead, &code(&world, "member")).expect(201);
        }
    }
}

#[test]
fn a_decision_does_not_miss_who_became_a_member_after_the_report() {
    for consequence in ["removal", "pause"] {
        let (world, more) = circle();
        let (server, peer) = (&world.server, &world.peer);
        let subject = &peer.co_lead;
        let about = json!({"term": term_of(server, peer, subject)});
        let made = report(server, &peer.second_member.person, peer, &about, "The facilitator told it.");
        let invited = server.post(&peer.lead, &peer.path("/members"), &json!({"name": "Finch"})).expect(201);
        world::accept(server, subject, &text(&invited["code"]));
        let id = text(&invited["id"]);
        world::move_to(server, &peer.lead, &peer.id, &id, "active");
        let closed = decide(&world, &more, &made, &["no_consequence", consequence], &[consequence; 6]);
        server.get(subject, &peer.path("")).expect(403);
        let place = peer.path(&format!("/members/{id}"));
        if consequence == "removal" {
            assert_eq!(server.get(&peer.lead, &place).expect(200)["state"], "removed");
            step(server, &peer.lead, &place, "moves", &json!({"state": "active"})).refuses("/state");
        }
        appeal(&world, subject, &closed);
        lift(&world, &made);
        server.get(subject, &peer.path("")).expect(200);
    }
}

#[test]
fn whoever_left_before_the_count_is_not_taken_back_before_the_group_looks_again() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    world::leave(server, &peer.member, &peer.id);
    decided(&world, &more, &["no_consequence", "removal"], &["removal"; 6]);
    let place = peer.path(&format!("/members/{}", peer.member.id));
    step(server, &peer.lead, &place, "moves", &json!({"state": "active"})).refuses("/state");
    accept(&world, &peer.member.person, &code(&world, "facilitator")).expect(409);
}

#[test]
fn a_lifted_pause_ends_and_an_upheld_one_goes_on() {
    for (outcome, status) in [("lifted", 200), ("upheld", 403)] {
        let (world, more) = circle();
        let (server, peer) = (&world.server, &world.peer);
        let (made, closed) = decided(&world, &more, &["no_consequence", "pause"], &["pause"; 6]);
        let appeal = format!("/v1/account/cases/{}/appeal", text(&closed["consequence"]["id"]));
        server.post(&peer.member.person, &appeal, &json!({"text": "No."})).expect(200);
        let decision = path_of(&world, &made) + "/appeal-decision";
        server.post(&world.privacy_officer, &decision, &json!({"outcome": outcome})).expect(200);
        assert_eq!(server.get(&peer.member.person, &peer.path("")).status, status, "{outcome}");
    }
}

#[test]
fn after_thirty_days_nobody_appeals_and_the_case_can_be_closed() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let (made, closed) = decided(&world, &more, &["no_consequence", "removal"], &["removal"; 6]);
    let path = path_of(&world, &made);
    let handler = steward(&world);
    step(server, handler, &path, "closing", &json!({})).expect(409);
    server.travel_days(30);
    let (handler, subject, lead) = (server.again(handler), server.again(&peer.member.person), server.again(&peer.lead));
    let appeal = format!("/v1/account/cases/{}/appeal", text(&closed["consequence"]["id"]));
    server.post(&subject, &appeal, &json!({"text": "Too late."})).expect(409);
    assert_eq!(step(server, &handler, &path, "closing", &json!({})).expect(200)["state"], "closed");
    // The group has looked at it again: whoever leads can take them back.
    let place = peer.path(&format!("/members/{}", peer.member.id));
    step(server, &lead, &place, "moves", &json!({"state": "active"})).expect(201);
}

#[test]
fn in_a_peer_led_group_nobody_ends_or_interrupts_anothers_membership() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let place = peer.path(&format!("/members/{}", peer.member.id));
    let leads = [&peer.lead, steward(&world), &world.administrator];
    let mut refusals = Vec::new();
    for (round, state) in ["removed", "paused", "discharged", "left", "completed"].iter().enumerate() {
        for lead in leads {
            let refused = step(server, lead, &place, "moves", &json!({"state": state}));
            refusals.push((round, whole(&refused)));
            refused.refuses("/state");
        }
    }
    // Whether there is a case or not, whoever asks: the same words.
    report(server, &peer.member.person, peer, &json!({"name": "Peer Lead"}), "The facilitator told it.");
    for (round, state) in ["removed", "paused", "discharged", "left", "completed"].iter().enumerate() {
        for lead in leads {
            let refused = whole(&step(server, lead, &place, "moves", &json!({"state": state})));
            assert!(refusals.iter().filter(|(of, _)| *of == round).all(|(_, words)| *words == refused), "{refused}");
        }
    }
    // An invitation is taken back, and whoever cannot speak for themselves here has left.
    let invite =
        |name: &str| text(&server.post(&peer.lead, &peer.path("/members"), &json!({"name": name})).expect(201)["id"]);
    let place_of = |id: &str| peer.path(&format!("/members/{id}"));
    let waiting = place_of(&invite("Not yet"));
    step(server, &peer.lead, &waiting, "moves", &json!({"state": "removed"})).expect(201);
    let silent = place_of(&invite("No account"));
    step(server, &peer.lead, &silent, "moves", &json!({"state": "active"})).expect(201);
    step(server, &peer.lead, &silent, "moves", &json!({"state": "removed"})).refuses("/state");
    step(server, &peer.lead, &silent, "moves", &json!({"state": "left"})).expect(201);
    // Members leave themselves, those who lead as well too.
    step(server, &peer.member.person, &place, "moves", &json!({"state": "left"})).expect(201);
    let hats = member(server, &peer.lead, &peer.id, "Two Hats");
    let invited = server.post(&peer.lead, &peer.path("/terms"), &json!({"standing": "facilitator"})).expect(201);
    world::accept(server, &hats.person, &text(&invited["code"]));
    step(server, &hats.person, &place_of(&hats.id), "moves", &json!({"state": "left"})).expect(201);
    // A therapist decides on treatment.
    let led = &world.led;
    let place = led.path(&format!("/members/{}", led.member.id));
    step(server, &led.lead, &place, "moves", &json!({"state": "discharged"})).expect(201);
}

// Whom it is about, and the others.

/// The administrator as a member of the group, with a second one beside them. The membership, and the second one.
fn two_administrators(world: &World) -> (String, Person) {
    let (server, peer) = (&world.server, &world.peer);
    let invited = server.post(&peer.lead, &peer.path("/members"), &json!({"name": "Ada"})).expect(201);
    world::accept(server, &world.administrator, &text(&invited["code"]));
    let member = text(&invited["id"]);
    world::move_to(server, &peer.lead, &peer.id, &member, "active");
    let other = server.account("Second Administrator");
    world::accept(server, &other, &world::invite(server, world.organization, Standing::Administrator));
    (member, other)
}

fn suspend(world: &World, by: &Person, whom: Id) -> Answer {
    let path = format!("/v1/organizations/{}/people/{whom}/suspension", world.organization);
    world.server.request("PUT", &path).token(&by.token).json(&json!({"reason": "Under review."})).send()
}

#[test]
fn an_administrator_whom_a_case_is_about_silences_nobody_of_the_group() {
    let (world, more) = circle();
    let (server, peer, subject) = (&world.server, &world.peer, &world.administrator);
    let (member, other) = two_administrators(&world);
    let people = [more[0].person.id, peer.second_member.person.id, peer.lead.id, peer.former_member.person.id];
    // Before anything was reported, and as long as the subject knows nothing: the same words.
    let refused = || people[..3].iter().map(|person| whole(&suspend(&world, subject, *person))).collect::<Vec<_>>();
    let before = refused();
    assert!(before.iter().all(|answer| answer.starts_with("409") && *answer == before[0]), "{before:#?}");
    let about = json!({"member": member});
    let path = path_of(&world, &report(server, &more[0].person, peer, &about, "The administrator told it."));
    assert_eq!(refused(), before);
    tell(server, steward(&world), &path);
    assert_eq!(refused(), before);
    // Nor by leaving the group first, nor those who left it, nor whoever watches over the case.
    world::move_to(server, subject, &peer.id, &member, "left");
    for person in people.iter().chain([&world.privacy_officer.id]) {
        suspend(&world, subject, *person).expect(409);
    }
    let terms = server.get(subject, &peer.path("/terms")).expect(200);
    for term in terms["items"].as_array().expect("terms") {
        let end = peer.path(&format!("/terms/{}/end", text(&term["id"])));
        server.post(subject, &end, &json!({})).expect(409);
    }
    let listed = server.get(subject, &format!("/v1/organizations/{}/people?limit=200", world.organization)).expect(200);
    let officer = world.privacy_officer.id.to_string();
    let officer = listed["items"].as_array().expect("people").iter().find(|person| person["account"] == officer);
    let office = text(&officer.expect("the officer")["standings"][0]["id"]);
    let office = format!("/v1/organizations/{}/offices/{office}", world.organization);
    server.request("DELETE", &office).token(&subject.token).send().expect(409);
    server.get(&more[0].person, &peer.path("")).expect(200);
    // Nobody at all, so that no refusal tells who belongs to the group; everybody by somebody else.
    suspend(&world, subject, world.led.co_lead.id).expect(409);
    suspend(&world, subject, Id::random()).expect(409);
    suspend(&world, &other, more[1].person.id).expect(204);
    // When it is over, so is this.
    step(server, steward(&world), &path, "finding", &json!({"finding": "no_breach", "text": "Both were heard."}))
        .expect(200);
    step(server, steward(&world), &path, "closing", &json!({})).expect(200);
    suspend(&world, subject, more[2].person.id).expect(204);
}

#[test]
fn the_last_who_hears_of_reports_cannot_go_nor_be_sent_away() {
    let world = World::new();
    let (server, officer) = (&world.server, &world.privacy_officer);
    let people = format!("/v1/organizations/{}/people?limit=200", world.organization);
    let listed = server.get(&world.administrator, &people).expect(200);
    let id = officer.id.to_string();
    let held = listed["items"].as_array().expect("people").iter().find(|person| person["account"] == id);
    let office = text(&held.expect("the officer")["standings"][0]["id"]);
    let office = format!("/v1/organizations/{}/offices/{office}", world.organization);
    let end = |who: &Person| server.request("DELETE", &office).token(&who.token).send();
    for who in [officer, &world.administrator] {
        end(who).expect(409);
    }
    suspend(&world, &world.administrator, officer.id).expect(409);
    let second = server.account("Paul Privacy");
    world::accept(server, &second, &world::invite(server, world.organization, Standing::PrivacyOfficer));
    end(officer).expect(204);
    suspend(&world, &world.administrator, second.id).expect(409);
}

#[test]
fn nobody_whom_a_case_is_about_closes_the_group_under_it_or_renames_anybody() {
    let (world, _) = circle_of(World::new());
    let (server, peer, subject) = (&world.server, &world.peer, steward(&world));
    let about = json!({"term": term_of(server, peer, subject)});
    let made = report(server, &peer.second_member.person, peer, &about, "The steward told it.");
    let turn = |who: &Person, to: &str| {
        let version = server.version(who, &peer.path(""));
        server.change(who, "POST", &peer.path(&format!("/{to}")), &version, &json!({}))
    };
    // Before the telling a refusal would tell.
    turn(subject, "closing").expect(200);
    turn(subject, "opening").expect(200);
    open_vote(&world, &peer.lead, &made, &["no_consequence", "note"]);
    turn(subject, "closing").expect(409);
    // Nor does a name give away whom they take for the reporter.
    let reporter = peer.path(&format!("/members/{}", peer.second_member.id));
    let version = server.version(subject, &reporter);
    server.change(subject, "PUT", &format!("{reporter}/name"), &version, &json!({"name": "Traitor"})).expect(409);
    turn(&world.administrator, "closing").expect(200);
}

#[test]
fn no_administrator_sends_a_member_of_a_peer_led_group_to_another_one() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    let place = peer.path(&format!("/members/{}", peer.member.id));
    let to = json!({"to_group": world.led.id});
    step(server, &world.administrator, &place, "transfer", &to).expect(403);
    assert_eq!(server.get(&peer.lead, &place).expect(200)["state"], "active");
}

// Zero tolerance.

fn without_tolerance(world: &World) {
    let (server, settings) = (&world.server, world.peer.path("/peer-settings"));
    let mut body = server.get(steward(world), &settings).expect(200);
    body["breach_policy"] = json!("zero_tolerance");
    server.change(steward(world), "PUT", &settings, &server.version(steward(world), &settings), &body).expect(200);
}

#[test]
fn under_zero_tolerance_nothing_lies_between_no_consequence_and_removal() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    // What was reported before is judged by the rules of its day.
    let about = json!({"member": peer.member.id});
    let earlier = report(server, &more[0].person, peer, &about, "It was told at work.");
    without_tolerance(&world);
    let made = report(server, &peer.second_member.person, peer, &about, "It was told at the market.");
    open_vote(&world, steward(&world), &earlier, &["no_consequence", "note"]);
    let path = path_of(&world, &made);
    find_breach(server, steward(&world), &path);
    let opens = |body: &Value| step(server, steward(&world), &path, "decision", body);
    for milder in ["note", "asked_to_leave", "pause"] {
        opens(&vote_body(server, &["no_consequence", milder])).refuses("/options");
        opens(&vote_body(server, &["no_consequence", milder, "removal"])).refuses("/options");
    }
    opens(&vote_body(server, &["removal"])).refuses("/options");
    let mut unsaid = vote_body(server, &[]);
    unsaid.as_object_mut().expect("an object").remove("options");
    let with = |name: &str, value: Value| {
        let mut body = unsaid.clone();
        body[name] = value;
        body
    };
    opens(&with("pause_days", json!(14))).refuses("/pause_days");
    let session = text(&plan_at(server, &peer.lead, &peer.id, server.db.clock.now().plus_days(3), 60)["id"]);
    opens(&with("session", json!(session))).refuses("/session");
    let decision = text(&opens(&unsaid).expect(200)["decision"]["id"]);
    let read = server.get(&more[0].person, &peer.path(&format!("/decisions/{decision}"))).expect(200);
    assert_eq!(read["options"], json!(["no_consequence", "removal"]));
    for milder in ["note", "asked_to_leave", "pause"] {
        cast(&world, &more[0].person, &decision, milder).refuses("/choice");
    }
    let voters = [&peer.second_member].into_iter().chain(&more);
    for (voter, choice) in voters.zip(["removal", "removal", "removal", "removal", "no_consequence", "no_consequence"])
    {
        cast(&world, &voter.person, &decision, choice).expect(204);
    }
    server.travel_days(2);
    let closed = step(server, steward(&world), &path, "closing", &json!({})).expect(200);
    assert_eq!(closed["consequence"]["consequence"], "removal");
    let place = peer.path(&format!("/members/{}", peer.member.id));
    assert_eq!(server.get(&peer.lead, &place).expect(200)["state"], "removed");
    server.get(&peer.member.person, &peer.path("")).expect(403);
}

#[test]
fn under_zero_tolerance_a_tie_is_no_removal_either() {
    let (world, more) = circle();
    without_tolerance(&world);
    let choices = ["removal", "removal", "removal", "no_consequence", "no_consequence", "no_consequence"];
    let (_, closed) = decided(&world, &more, &["no_consequence", "removal"], &choices);
    assert_eq!((&closed["state"], &closed["consequence"]), (&json!("closed"), &Value::Null));
    world.server.get(&world.peer.member.person, &world.peer.path("")).expect(200);
}

// Naming whom it is about.

fn name(server: &Server, by: &Person, path: &str, body: &Value) -> Answer {
    step(server, by, path, "naming", body)
}

#[test]
fn a_report_with_a_misspelled_name_is_no_dead_end() {
    let world = stewarded();
    let (server, peer, officer) = (&world.server, &world.peer, &world.privacy_officer);
    let reporter = &peer.second_member.person;
    let words = "It was told outside.";
    let made = report(server, reporter, peer, &json!({"name": "Peer Mirra"}), words);
    let path = path_of(&world, &made);
    step(server, officer, &path, "telling", &json!({"text": "It was told."})).expect(409);
    let nobody = Id::random();
    name(server, officer, &path, &json!({"name": "Peer Mirra"})).refuses("/name");
    name(server, officer, &path, &json!({"member": nobody})).refuses("/member");
    name(server, officer, &path, &json!({"member": world.led.member.id})).refuses("/member");
    name(server, officer, &path, &json!({"term": nobody})).refuses("/term");
    name(server, officer, &path, &json!({})).refuses("");
    name(server, officer, &path, &json!({"name": "Peer Mira", "member": peer.member.id})).refuses("");
    server.post(officer, &format!("{path}/naming"), &json!({"name": "Peer Mira"})).expect(428);
    server.change(officer, "POST", &format!("{path}/naming"), "\"7\"", &json!({"name": "Peer Mira"})).expect(412);
    // Whoever does not handle it finds nothing, or may not.
    for other in [steward(&world), &peer.lead] {
        server
            .change(other, "POST", &format!("{path}/naming"), "\"1\"", &json!({"member": peer.member.id}))
            .expect(404);
    }
    for other in [&peer.member.person, &world.administrator] {
        server
            .change(other, "POST", &format!("{path}/naming"), "\"1\"", &json!({"member": peer.member.id}))
            .expect(403);
    }
    name(server, officer, &path, &json!({"name": " peer MIRA"})).expect(204);
    // It goes to whom it would have gone with that name.
    server.get(officer, &path).expect(404);
    let read = server.get(steward(&world), &path).expect(200);
    assert_eq!(read["about"], json!({"member": peer.member.id, "name": "Peer Mira", "named_as": "Peer Mirra"}));
    assert!(read["named_at"].is_string(), "{read}");
    // The reporter's own, sent once more, is still the same one.
    assert_eq!(report(server, reporter, peer, &json!({"name": "Peer Mirra"}), words), made);
    // The subject learns nothing before they are told; then the case takes its course.
    assert_eq!(server.get(&peer.member.person, "/v1/account/cases").expect(200)["cases"], json!([]));
    let log = server.get(&peer.member.person, "/v1/account/access-log").expect(200);
    assert!(!log.to_string().contains("HandleBreachReport"), "{log}");
    // A slip of the handler's own can be set right until then.
    name(server, steward(&world), &path, &json!({"member": peer.former_member.id})).expect(204);
    name(server, steward(&world), &path, &json!({"member": peer.member.id})).expect(204);
    find_breach(server, steward(&world), &path);
    name(server, steward(&world), &path, &json!({"member": peer.former_member.id})).expect(409);
}

#[test]
fn a_handler_who_is_named_handles_it_no_more() {
    let world = stewarded();
    let (server, peer) = (&world.server, &world.peer);
    let unnamed = report(server, &peer.member.person, peer, &json!({}), "Somebody told it.");
    let path = path_of(&world, &unnamed);
    let term = term_of(server, peer, steward(&world));
    name(server, steward(&world), &path, &json!({"term": term})).expect(204);
    // One steward alone is left: it is the facilitators' now.
    let nothing = path_of(&world, &Id::random().to_string());
    assert_eq!(whole(&server.get(steward(&world), &path)), whole(&server.get(steward(&world), &nothing)));
    for facilitator in [&peer.lead, &peer.co_lead] {
        server.get(facilitator, &path).expect(200);
    }
    server.get(&world.privacy_officer, &path).expect(404);
    // A facilitator who made a report is sent it by no naming.
    let unclear = report(server, &peer.lead, peer, &json!({"name": "The steward"}), "The steward told it.");
    let path = path_of(&world, &unclear);
    name(server, &world.privacy_officer, &path, &json!({"term": term})).expect(204);
    server.get(&peer.lead, &path).expect(404);
    server.get(&peer.co_lead, &path).expect(200);
    server.get(steward(&world), &path).expect(404);
}

#[test]
fn no_handler_puts_another_in_the_place_of_whom_the_report_names() {
    let world = stewarded();
    let (server, peer) = (&world.server, &world.peer);
    let about = json!({"member": peer.member.id});
    let path = path_of(&world, &report(server, &peer.second_member.person, peer, &about, "It was told outside."));
    name(server, steward(&world), &path, &json!({"member": peer.former_member.id})).expect(409);
    // What was found about nobody stays so.
    let path = path_of(&world, &report(server, &peer.second_member.person, peer, &json!({}), "Who was it?"));
    let unclear = json!({"finding": "unclear", "text": "Nobody knows."});
    step(server, steward(&world), &path, "finding", &unclear).expect(200);
    name(server, steward(&world), &path, &about).expect(409);
}

#[test]
fn nobody_names_the_only_one_who_could_handle_it() {
    let world = World::new();
    let (server, led, officer) = (&world.server, &world.led, &world.privacy_officer);
    // The officer takes part in the group.
    let invited = server.post(&led.lead, &led.path("/members"), &json!({"name": "Olli"})).expect(201);
    world::accept(server, officer, &text(&invited["code"]));
    let made = report(server, &led.member.person, led, &json!({"name": "Ollie"}), "A list of names lay open.");
    let path = led.path(&format!("/breach-reports/{made}"));
    name(server, officer, &path, &json!({"member": text(&invited["id"])})).expect(409);
    let second = server.account("Second Officer");
    world::accept(server, &second, &world::invite(server, world.organization, Standing::PrivacyOfficer));
    name(server, officer, &path, &json!({"member": text(&invited["id"])})).expect(204);
    server.get(officer, &path).expect(404);
    server.get(&second, &path).expect(200);
}

// Asked to leave one session.

#[test]
fn whoever_is_asked_to_leave_a_session_has_no_part_in_it_until_it_ends() {
    let (world, more) = circle();
    let (server, peer) = (&world.server, &world.peer);
    let subject = &peer.member.person;
    let starts_at = server.db.clock.now().plus_days(3);
    let session = text(&plan_at(server, &peer.lead, &peer.id, starts_at, 60)["id"]);
    let other = text(&plan_at(server, &peer.lead, &peer.id, starts_at.plus_days(1), 60)["id"]);
    // They were to facilitate both.
    for session in [&session, &other] {
        let body = json!({"standing": "facilitator", "session": session});
        let invited = server.post(&peer.lead, &peer.path("/terms"), &body).expect(201);
        world::accept(server, subject, &text(&invited["code"]));
    }
    let about = json!({"member": peer.member.id});
    let made = report(server, &peer.second_member.person, peer, &about, "It was told at the market.");
    let path = path_of(&world, &made);
    find_breach(server, steward(&world), &path);
    let opens = |session: Value, options: &[&str]| {
        let mut body = vote_body(server, options);
        body["session"] = session;
        step(server, steward(&world), &path, "decision", &body)
    };
    let asked = ["no_consequence", "asked_to_leave"];
    opens(Value::Null, &asked).refuses("/session");
    opens(json!(session), &["no_consequence", "note"]).refuses("/session");
    opens(json!(Id::random()), &asked).refuses("/session");
    let soon = text(&plan_at(server, &peer.lead, &peer.id, server.db.clock.now().plus_minutes(60), 60)["id"]);
    opens(json!(soon), &asked).refuses("/session");
    let decision = text(&opens(json!(session), &asked).expect(200)["decision"]["id"]);
    let read = server.get(&more[0].person, &peer.path(&format!("/decisions/{decision}"))).expect(200);
    assert_eq!(read["session"], session);
    for voter in &more {
        cast(&world, &voter.person, &decision, "asked_to_leave").expect(204);
    }
    server.travel_days(2);
    let closed = step(server, steward(&world), &path, "closing", &json!({})).expect(200);
    let ends_at = starts_at.plus_minutes(60);
    let kept = &closed["consequence"];
    assert_eq!((&kept["consequence"], &kept["session"]), (&json!("asked_to_leave"), &json!(session)));
    let until: Moment = serde_json::from_value(kept["until_at"].clone()).expect("a moment");
    assert_eq!(until.0 / 60_000, ends_at.0 / 60_000);
    let own = server.get(subject, "/v1/account/cases").expect(200);
    assert_eq!(own["cases"][0]["consequence"]["session"], session);
    // That session alone, in everything.
    let at = |session: &str, rest: &str| peer.path(&format!("/sessions/{session}{rest}"));
    server.get(subject, &at(&session, "")).expect(403);
    server.get(subject, &at(&session, "/meeting")).expect(403);
    server.post(subject, &at(&session, "/proofs"), &json!({"name": "M"})).expect(403);
    let offer = server.post(&peer.lead, &at(&session, "/offers"), &json!({"to": peer.member.id})).made();
    let answer = peer.path(&format!("/offers/{offer}/answer"));
    let refused = server.post(subject, &answer, &json!({"accept": true})).expect(409);
    assert!(text(&refused["detail"]).contains("stay away"), "{refused}");
    server.get(subject, &at(&other, "")).expect(200);
    server.get(subject, &peer.path("")).expect(200);
    server.get(&more[0].person, &at(&session, "")).expect(200);
    // It moves with the session, and ends by itself.
    let moved = starts_at.plus_minutes(30);
    let local = moved.timestamp().to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M").to_string();
    let plan = json!({"starts_local": local, "minutes": 60});
    let version = server.version(&peer.lead, &at(&session, ""));
    server.change(&peer.lead, "PUT", &at(&session, ""), &version, &plan).expect(200);
    server.db.clock.shift(ends_at.0 - server.db.clock.now().0);
    server.get(subject, &at(&session, "")).expect(403);
    server.db.clock.shift(30 * 60_000);
    server.get(subject, &at(&session, "")).expect(200);
}

#[test]
fn a_session_that_is_cancelled_asks_nobody_to_leave_and_a_lifted_one_neither() {
    for lifted in [false, true] {
        let (world, more) = circle();
        let (server, peer) = (&world.server, &world.peer);
        let subject = &peer.member.person;
        let starts_at = server.db.clock.now().plus_days(4);
        let session = text(&plan_at(server, &peer.lead, &peer.id, starts_at, 60)["id"]);
        let about = json!({"member": peer.member.id});
        let made = report(server, &peer.second_member.person, peer, &about, "It was told at the market.");
        let path = path_of(&world, &made);
        find_breach(server, steward(&world), &path);
        let mut body = vote_body(server, &["no_consequence", "asked_to_leave"]);
        body["session"] = json!(session);
        let opened = step(server, steward(&world), &path, "decision", &body).expect(200);
        for voter in &more {
            cast(&world, &voter.person, &text(&opened["decision"]["id"]), "asked_to_leave").expect(204);
        }
        server.travel_days(2);
        let closed = step(server, steward(&world), &path, "closing", &json!({})).expect(200);
        let place = peer.path(&format!("/sessions/{session}"));
        server.get(subject, &place).expect(403);
        if lifted {
            appeal(&world, subject, &closed);
            lift(&world, &made);
        } else {
            step(server, &peer.lead, &place, "cancellation", &json!({"reason": "Snow."})).expect(200);
        }
        server.get(subject, &place).expect(200);
    }
}
