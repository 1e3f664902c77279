//! The world with a record of every kind in it, and the cast that stands around each of its groups.

use std::collections::BTreeMap;

use circlekeeper::{
    identity::Tokens,
    policy::{Area, Kind, Reach, Standing, decide},
    store::{
        invitations::{self, Invited},
        organizations,
    },
    values::{Id, Moment},
};
use serde_json::{Value, json};

use crate::{
    amendments, breaches, check_ins, emergency_accesses, feeds, goals,
    harness::{Person, Server},
    meetings,
    operations::Operation,
    referrals, retention, risks, rota, topics, visits,
    world::{self, Group, Member, World},
};

/// The world, and more people in it.
pub struct Scene {
    pub world: World,
    /// Administrator of another organization.
    pub foreign_administrator: Person,
    /// Therapist of another group, and a member of both groups here.
    pub therapist_and_member: Person,
    /// Facilitator and member of the peer-led group.
    pub two_hats: Person,
    /// Member of the peer-led group who reported breaches of its other members.
    pub reporter: Person,
    /// Facilitators of one session each: of the first of the scene, of one last month, of one next week.
    pub session_facilitators: [Person; 3],
    pub suspended_therapist: Person,
    pub suspended_facilitator: Person,
    /// Co-therapist of another group, with an emergency access to the first member of the therapist-led one that runs.
    pub clinician: Person,
    pub led: Records,
    pub peer: Records,
    pub organization: Records,
    /// Another therapist-led group of the organization, and another organization: nothing in them is reached from here.
    pub other: Records,
    pub foreign_organization: Records,
    /// What members, leads and notes of the therapist-led group must not show to those who may not read it.
    pub secrets: Vec<Secrets>,
    /// Texts that only clinicians write and read.
    pub clinical_texts: Vec<String>,
}

/// What there is to be known about one member of the therapist-led group.
pub struct Secrets {
    pub person: Person,
    pub member: String,
    pub texts: Vec<String>,
}

/// A record that a path can name.
pub struct Record {
    pub id: String,
    /// Whose record it is, where it is a member's.
    pub about: Option<Id>,
    /// Who wrote or holds it.
    pub by: Option<Id>,
    /// Whose it is as well, whatever they are.
    pub shared: Vec<Id>,
    /// Made to be used up.
    pub is_spare: bool,
}

/// The records of one place, by kind.
#[derive(Default)]
pub struct Records(BTreeMap<&'static str, Vec<Record>>);

/// Somebody in front of one place, with what they are there.
pub struct Caller {
    pub column: &'static str,
    pub person: Option<Person>,
    pub token: Option<String>,
    /// Whether the token counts.
    pub is_signed_in: bool,
    pub standings: Vec<Standing>,
    /// What they are besides to the first session of the place's records.
    pub in_session: Vec<Standing>,
}

/// What the tests of a subject put records of theirs into.
pub struct Peers<'a> {
    pub world: &'a World,
    /// Active members with their ids, in the order of `people` in [`Scene::fill_peer`]: the group's first and second
    /// member, one who will have left, one who is a therapist elsewhere, one who facilitates too, the reporter.
    pub members: Vec<(Person, String)>,
    /// A session that was held today; it is the first of the records.
    pub session: String,
}

/// The kind of the record that an operation's path ends in.
pub fn record_kind(operation: &Operation) -> Option<&str> {
    if operation.path.contains("/session-record") {
        return Some("session-record");
    }
    if operation.path.contains("/attendances/{member}") {
        return Some("attendance");
    }
    operation.parameters().last().copied().filter(|name| !matches!(*name, "group" | "organization"))
}

impl Records {
    pub fn add(&mut self, kind: &'static str, id: &str, about: Option<Id>, by: Option<Id>) {
        self.0.entry(kind).or_default().push(Record {
            id: id.to_owned(),
            about,
            by,
            shared: Vec::new(),
            is_spare: false,
        });
    }

    /// A record of several people: each of them has it as their own, and nobody else.
    pub fn add_shared(&mut self, kind: &'static str, id: &str, shared: &[Id]) {
        let shared = shared.to_vec();
        self.0.entry(kind).or_default().push(Record {
            id: id.to_owned(),
            about: None,
            by: None,
            shared,
            is_spare: false,
        });
    }

    fn add_spare(&mut self, kind: &'static str, id: &str, by: Option<Id>) {
        self.0.entry(kind).or_default().push(Record {
            id: id.to_owned(),
            about: None,
            by,
            shared: Vec::new(),
            is_spare: true,
        });
    }

    pub fn all(&self, kind: &str) -> &[Record] {
        self.0.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Whether records of a kind are somebody's; sessions and agreements, for instance, are the group's.
    pub fn is_personal(&self, kind: &str) -> bool {
        self.all(kind).iter().any(|record| record.about.is_some() || record.by.is_some() || !record.shared.is_empty())
    }

    /// A record for somebody who reaches all of them: a spare one where there is one.
    pub fn any(&self, kind: &str) -> Option<&Record> {
        self.all(kind).iter().find(|record| record.is_spare).or(self.all(kind).first())
    }

    /// A record of one's own: about oneself as a member, by oneself as anybody else.
    pub fn own(&self, kind: &str, account: Id, standing: Standing) -> Option<&Record> {
        self.all(kind).iter().find(|record| is_of(record, account, standing))
    }

    /// Another person's record; the newest, which nobody uses up before.
    pub fn foreign(&self, kind: &str, account: Id, standing: Standing) -> Option<&Record> {
        let is_foreign = |record: &&Record| !record.is_spare && !is_of(record, account, standing);
        self.all(kind).iter().rev().find(is_foreign)
    }
}

fn is_of(record: &Record, account: Id, standing: Standing) -> bool {
    let owner = if matches!(standing, Standing::Member | Standing::FormerMember) { record.about } else { record.by };
    owner == Some(account) || record.shared.contains(&account)
}

impl Scene {
    pub fn new() -> Scene {
        Scene::on(Server::start())
    }

    pub fn on(server: Server) -> Scene {
        let world = World::on(server);
        let server = &world.server;
        let (hillside, code, _) = server.write(|connection| organizations::found(connection, "Hillside Clinic"));
        let foreign_administrator = server.account("Fay Foreignadmin");
        world::accept(server, &foreign_administrator, &code);
        let therapist_and_member = world.other.lead.clone();
        let there = join(server, &world.led, &therapist_and_member, "Hatty Elsewhere");
        join(server, &world.peer, &therapist_and_member, "Hatty Elsewhere");
        let two_hats = server.account("Tia Twohats");
        let invited = server.post(&world.peer.lead, &world.peer.path("/terms"), &json!({"standing": "facilitator"}));
        world::accept(server, &two_hats, invited.expect(201)["code"].as_str().expect("a code"));
        join(server, &world.peer, &two_hats, "Tia");
        let reporter = server.account("Vera Voter");
        join(server, &world.peer, &reporter, "Vera");
        let suspended = |group: &Group, standing: &str, name: &str| {
            let person = world::lead(server, &world.administrator, world.organization, &group.id, standing, name);
            let path = format!("/v1/organizations/{}/people/{}/suspension", world.organization, person.id);
            let body = json!({"reason": "The licence is under review."});
            server.request("PUT", &path).token(&world.administrator.token).json(&body).send().expect(204);
            server.again(&person)
        };
        let suspended_therapist = suspended(&world.led, "co_therapist", "Sue Suspended");
        let suspended_facilitator = suspended(&world.peer, "facilitator", "Sal Suspended");
        let spare_suspended = suspended(&world.led, "co_therapist", "Sid Suspended");
        for group in [&world.led, &world.peer] {
            world::move_to(server, &group.lead, &group.id, &group.former_member.id, "active");
        }
        // The sessions of today find everybody on the roster.
        server.travel_days(1);
        let mut scene = Scene {
            foreign_administrator,
            therapist_and_member: therapist_and_member.clone(),
            session_facilitators: std::array::from_fn(|_| two_hats.clone()),
            two_hats,
            reporter,
            suspended_therapist,
            suspended_facilitator,
            clinician: therapist_and_member.clone(),
            led: Records::default(),
            peer: Records::default(),
            organization: Records::default(),
            other: Records::default(),
            foreign_organization: Records::default(),
            secrets: Vec::new(),
            clinical_texts: Vec::new(),
            world,
        };
        scene.fill_led(&there);
        scene.fill_peer();
        scene.fill_organization(&spare_suspended);
        scene.fill_other();
        scene.fill_foreign_organization(hillside);
        scene.open_emergencies();
        scene
    }

    fn fill_led(&mut self, there: &str) {
        let (server, led) = (&self.world.server, &self.world.led);
        let trainee = led.trainee.clone().expect("a trainee");
        let members = [
            (led.member.person.clone(), led.member.id.clone()),
            (led.second_member.person.clone(), led.second_member.id.clone()),
            (led.former_member.person.clone(), led.former_member.id.clone()),
            (self.therapist_and_member.clone(), there.to_owned()),
        ];
        let mut records = Records::default();
        let agreements = server.get(&led.lead, &led.path("/agreements")).expect(200);
        let agreement = text(&agreements["items"][0]["id"]);
        records.add("agreement", &agreement, None, None);
        let signing = led.path(&format!("/agreements/{agreement}/signatures"));
        server.post(&self.therapist_and_member, &signing, &json!({})).expect(201);

        let session = text(&self.world.session()["id"]);
        let second_session = text(&world::plan(server, &trainee, &led.id)["id"]);
        records.add("session", &session, None, None);
        records.add("session", &second_session, None, None);
        let shared_text = format!("Shared by the clinicians {}.", Id::random());
        let now = server.db.clock.now();
        let attendance: Vec<Value> =
            members.iter().map(|(_, member)| json!({"member": member, "status": "attended"})).collect();
        let measures: Vec<Value> = members.iter().map(|(_, member)| measure(Some(member), 2)).collect();
        let body = json!({
            "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "attendance": attendance,
            "measures": measures, "session_record": shared_text
        });
        let place = led.path(&format!("/sessions/{session}"));
        let version = server.version(&led.lead, &place);
        let recorded = server.change(&led.lead, "PUT", &format!("{place}/recording"), &version, &body).expect(200);
        records.add("session-record", &session, None, Some(led.lead.id));
        let learning_text = format!("Begun by the trainee {}.", Id::random());
        let learning = led.path(&format!("/sessions/{second_session}/session-record"));
        let begun = server.request("PUT", &learning).token(&trainee.token).json(&json!({"text": learning_text})).send();
        begun.expect(200);
        records.add("session-record", &second_session, None, Some(trainee.id));
        self.clinical_texts.extend([shared_text, learning_text]);

        for (person, member) in &members {
            let about = Some(person.id);
            let of_member = |items: &Value, name: &str| {
                let items = items.as_array().expect("a list").iter().filter(|item| item["member"] == *member);
                items.map(|item| text(&item[name])).collect::<Vec<_>>()
            };
            records.add("member", member, about, None);
            records.add("attendance", member, about, None);
            let mut texts = vec![person.name.clone(), person.sign_in_name.clone(), person.id.to_string()];
            texts.push(member.clone());
            texts.push(person.caller.sign_in.to_string());
            texts.extend(of_member(&recorded["attendance"], "id"));
            for id in of_member(&recorded["measures"], "id") {
                records.add("measure", &id, about, None);
                texts.push(id);
            }
            let signatures = server.get(&led.lead, &led.path(&format!("/signatures?member={member}"))).expect(200);
            for id in of_member(&signatures["items"], "id") {
                records.add("signature", &id, about, None);
                texts.push(id);
            }
            let written = |author: &Person, label: &str| {
                let text = format!("{label} {}.", Id::random());
                let body = json!({"member": member, "session": session, "occurred_at": now, "text": text});
                (server.post(author, &led.path("/progress-entries"), &body).made(), text)
            };
            let (entry, released) = written(&led.lead, "Released entry");
            let path = led.path(&format!("/progress-entries/{entry}"));
            let version = server.version(&led.lead, &path);
            server.change(&led.lead, "POST", &format!("{path}/signature"), &version, &json!({})).expect(200);
            server.post(&led.lead, &format!("{path}/release"), &json!({})).expect(200);
            records.add("entry", &entry, about, Some(led.lead.id));
            texts.extend([entry, released.clone()]);
            self.clinical_texts.push(released);
            for author in [&led.co_lead, &trainee] {
                let (draft, unreleased) = written(author, "Draft of an entry");
                // Nobody owns a draft but who writes it: the member it is about cannot read it.
                records.add("entry", &draft, None, Some(author.id));
                texts.extend([draft, unreleased.clone()]);
                self.clinical_texts.push(unreleased);
            }
            self.secrets.push(Secrets { person: person.clone(), member: member.clone(), texts });
        }
        for author in [&led.lead, &led.co_lead, &trainee] {
            // A draft, and a signed one.
            for is_signed in [false, true] {
                let text = format!("For myself alone {}.", Id::random());
                let body = json!({"text": text, "session": session});
                let note = server.post(author, &led.path("/process-notes"), &body).made();
                let path = led.path(&format!("/process-notes/{note}"));
                if is_signed {
                    let version = server.version(author, &path);
                    server.change(author, "POST", &format!("{path}/signature"), &version, &json!({})).expect(200);
                }
                records.add("note", &note, None, Some(author.id));
                self.clinical_texts.push(text);
            }
        }
        server
            .request("PUT", &led.path("/measure-schedule"))
            .token(&led.lead.token)
            .json(&json!({"items": [{"instrument": "phq-9", "every_days": 14}]}))
            .send()
            .expect(200);
        add_terms(server, led, &mut records);
        referrals::add_records(&self.world, led, &self.world.outsider, &mut records);
        feeds::add_records(server, &led.member.person, &mut records);
        breaches::add_led_records(&self.world, &mut records);
        risks::add_records(&self.world, led, &members, &mut records);
        goals::add_records(&self.world, led, &members, &mut records);
        amendments::add_records(&self.world, led, &members, &mut records);
        world::move_to(server, &led.lead, &led.id, &led.former_member.id, "left");
        self.led = records;
    }

    fn fill_peer(&mut self) {
        let (server, peer) = (&self.world.server, &self.world.peer);
        let mut records = Records::default();
        let rules =
            json!({"purpose": "ground_rules", "title": "Ground rules", "text": "What is said here stays here."});
        let agreement = server.post(&peer.lead, &peer.path("/agreements"), &rules).made();
        records.add("agreement", &agreement, None, None);
        let members = server.get(&peer.lead, &peer.path("/members")).expect(200);
        let people = [
            &peer.member.person,
            &peer.second_member.person,
            &peer.former_member.person,
            &self.therapist_and_member,
            &self.two_hats,
            &self.reporter,
        ];
        let began = server.db.clock.now().plus_minutes(-90);
        let session = text(&plan_at(server, &peer.lead, &peer.id, began, 180)["id"]);
        let path = peer.path(&format!("/sessions/{session}"));
        let version = server.version(&peer.lead, &path);
        server.change(&peer.lead, "POST", &format!("{path}/holding"), &version, &json!({})).expect(200);
        records.add("session", &session, None, None);
        let mut joined = Vec::new();
        for person in people {
            let own = server.get(person, &peer.path("/signatures"));
            assert_eq!(own.status, 200, "{}", own.text);
            let signing = peer.path(&format!("/agreements/{agreement}/signatures"));
            let signed = server.post(person, &signing, &json!({})).expect(201);
            records.add("signature", &text(&signed["id"]), Some(person.id), None);
            records.add("member", &text(&signed["member"]), Some(person.id), None);
            joined.push((person.clone(), text(&signed["member"])));
        }
        assert!(members["items"].as_array().is_some_and(|items| items.len() == people.len()), "{members}");
        let now = server.db.clock.now();
        self.session_facilitators = [("Today", 0), ("Lastmonth", -30), ("Nextweek", 7)].map(|(name, days)| {
            let id = match days {
                0 => session.clone(),
                days => text(&plan_at(server, &peer.lead, &peer.id, now.plus_days(days), 60)["id"]),
            };
            let person = server.account(&format!("Fin {name}"));
            let body = json!({"standing": "facilitator", "session": id});
            let invited = server.post(&peer.lead, &peer.path("/terms"), &body).expect(201);
            world::accept(server, &person, invited["code"].as_str().expect("a code"));
            person
        });
        let peers = Peers { world: &self.world, members: joined, session };
        rota::add_records(&peers, &mut records);
        meetings::add_records(&peers, &mut records);
        visits::add_records(&peers, &mut records);
        check_ins::add_records(&peers, &mut records);
        topics::add_records(&peers, &mut records);
        breaches::add_records(&peers, &mut records);
        add_terms(server, peer, &mut records);
        world::leave(server, &peer.former_member, &peer.id);
        self.peer = records;
    }

    fn fill_organization(&mut self, spare_suspended: &Person) {
        let (world, server) = (&self.world, &self.world.server);
        let (administrator, organization) = (&world.administrator, world.organization);
        let path = |rest: &str| format!("/v1/organizations/{organization}{rest}");
        let trainee = world.led.trainee.clone().expect("a trainee");
        world::license(server, administrator, organization, &trainee);
        let mut records = Records::default();
        let licences = server.get(administrator, &path("/licences?limit=200")).expect(200);
        for licence in licences["items"].as_array().expect("licences") {
            records.add("licence", &text(&licence["id"]), None, text(&licence["account"]).parse().ok());
        }
        let template = json!({"title": "Week 3", "items": [{"technique": "closing-round", "planned_minutes": 10}]});
        records.add(
            "template",
            &server.post(&world.led.lead, &path("/agenda-templates"), &template).made(),
            None,
            None,
        );
        let invitation =
            server.post(administrator, &path("/invitations"), &json!({"standing": "privacy_officer"})).made();
        records.add("invitation", &invitation, None, Some(administrator.id));
        records.add_spare("account", &spare_suspended.id.to_string(), None);
        records.add("account", &world.led.co_lead.id.to_string(), None, None);
        // Offices to be ended: one of somebody else, and a second one of the privacy officer's own.
        let spare = server.account("Pat Spare");
        for person in [&spare, &world.privacy_officer] {
            let code = server.write(move |connection| {
                let invited = Invited {
                    organization,
                    group: None,
                    member: None,
                    standing: Standing::PrivacyOfficer,
                    supervisor: None,
                    session: None,
                    from_at: None,
                    until_at: None,
                };
                Ok(invitations::insert_first(connection, &invited)?.1)
            });
            world::accept(server, person, &code);
        }
        let people = server.get(administrator, &path("/people?limit=200")).expect(200);
        for person in people["items"].as_array().expect("people") {
            let account: Id = text(&person["account"]).parse().expect("an id");
            let offices = person["standings"].as_array().expect("standings").iter().rev();
            // The newest first: what a privacy officer ends of their own is the second one.
            for office in offices.filter(|standing| standing["group"].is_null()) {
                match account == spare.id {
                    true => records.add_spare("office", &text(&office["id"]), Some(account)),
                    false => records.add("office", &text(&office["id"]), None, Some(account)),
                }
            }
        }
        retention::add_records(server, administrator, &organization.to_string(), &mut records);
        self.organization = records;
    }

    fn fill_other(&mut self) {
        let (server, other) = (&self.world.server, &self.world.other);
        let (lead, member) = (&other.lead, &other.member);
        let mut records = Records::default();
        records.add("member", &member.id, Some(member.person.id), None);
        records.add("attendance", &member.id, Some(member.person.id), None);
        let session = text(&world::plan(server, lead, &other.id)["id"]);
        let path = other.path(&format!("/sessions/{session}"));
        let now = server.db.clock.now();
        let body = json!({
            "held_from": now.plus_minutes(-90), "held_until": now.plus_minutes(-30), "session_record": "Elsewhere.",
            "attendance": [{"member": member.id, "status": "attended"}], "measures": [measure(Some(&member.id), 1)]
        });
        let version = server.version(lead, &path);
        let recorded = server.change(lead, "PUT", &format!("{path}/recording"), &version, &body).expect(200);
        records.add("session", &session, None, None);
        records.add("session-record", &session, None, Some(lead.id));
        records.add("measure", &text(&recorded["measures"][0]["id"]), Some(member.person.id), None);
        let entry = json!({"member": member.id, "occurred_at": now, "text": "Elsewhere."});
        records.add("entry", &server.post(lead, &other.path("/progress-entries"), &entry).made(), None, Some(lead.id));
        let note = json!({"text": "Elsewhere."});
        records.add("note", &server.post(lead, &other.path("/process-notes"), &note).made(), None, Some(lead.id));
        for (kind, list) in [("agreement", "/agreements"), ("signature", "/signatures")] {
            let items = server.get(lead, &other.path(list)).expect(200);
            records.add(kind, &text(&items["items"][0]["id"]), None, None);
        }
        add_terms(server, other, &mut records);
        // Of its sender's own, in their account.
        let sender = &self.world.led.lead;
        let referral = referrals::add_records(&self.world, other, sender, &mut records);
        self.led.add("referral", &referral, None, Some(sender.id));
        breaches::add_other_records(&self.world, &mut records);
        let members = [(member.person.clone(), member.id.clone())];
        risks::add_records(&self.world, other, &members, &mut records);
        goals::add_records(&self.world, other, &members, &mut records);
        amendments::add_records(&self.world, other, &members, &mut records);
        self.other = records;
    }

    fn fill_foreign_organization(&mut self, organization: Id) {
        let (server, administrator) = (&self.world.server, &self.foreign_administrator);
        let path = |rest: &str| format!("/v1/organizations/{organization}{rest}");
        let group = json!({
            "kind": "therapist_led", "title": "Hillside", "public_description": "Evenings.", "format": "online",
            "language": "en", "zone": "UTC"
        });
        let group = server.post(administrator, &path("/groups"), &group).made();
        let therapist = world::lead(server, administrator, organization, &group, "therapist", "Theo Hillside");
        let mut records = Records::default();
        let licences = server.get(administrator, &path("/licences")).expect(200);
        records.add("licence", &text(&licences["items"][0]["id"]), None, Some(therapist.id));
        let template = json!({"title": "Week 1", "items": [{"technique": "closing-round", "planned_minutes": 10}]});
        records.add("template", &server.post(&therapist, &path("/agenda-templates"), &template).made(), None, None);
        let invitation = json!({"standing": "administrator"});
        records.add("invitation", &server.post(administrator, &path("/invitations"), &invitation).made(), None, None);
        records.add("account", &therapist.id.to_string(), None, None);
        let people = server.get(administrator, &path("/people")).expect(200);
        let holds_office = |person: &&Value| person["account"] == administrator.id.to_string();
        let officer =
            people["items"].as_array().and_then(|people| people.iter().find(holds_office)).expect("an officer");
        records.add("office", &text(&officer["standings"][0]["id"]), None, Some(administrator.id));
        retention::add_records(server, administrator, &organization.to_string(), &mut records);
        // Another group of that organization, with somebody whose record its therapist opens in an emergency.
        let group = json!({
            "kind": "therapist_led", "title": "Hilltop", "public_description": "Evenings.", "format": "online",
            "language": "en", "zone": "UTC"
        });
        let group = server.post(administrator, &path("/groups"), &group).made();
        let lead = world::lead(server, administrator, organization, &group, "therapist", "Tess Hilltop");
        let member = server.post(&lead, &format!("/v1/groups/{group}/members"), &json!({"name": "Hal"})).made();
        let officer = server.account("Olga Hillside");
        world::accept(server, &officer, &world::invite(server, organization, Standing::PrivacyOfficer));
        let access = emergency_accesses::open(server, &therapist, organization, &group, &member).made();
        records.add("emergency_access", &access, None, Some(therapist.id));
        self.foreign_organization = records;
    }

    /// Opens one that runs, and two that are over, so that each clinician of the cast has one of their own.
    fn open_emergencies(&mut self) {
        let world = &self.world;
        let (server, organization, led, other) = (&world.server, world.organization, &world.led, &world.other);
        for lead in [&led.lead, &led.co_lead] {
            let access = emergency_accesses::open(server, lead, organization, &other.id, &other.member.id).made();
            emergency_accesses::end(server, lead, organization, &access).expect(200);
            self.organization.add("emergency_access", &access, None, Some(lead.id));
        }
        let administrator = &world.administrator;
        let clinician = world::lead(server, administrator, organization, &other.id, "co_therapist", "Emi Emergency");
        let access = emergency_accesses::open(server, &clinician, organization, &led.id, &led.member.id).made();
        self.organization.add("emergency_access", &access, None, Some(clinician.id));
        // What the access opens is the member's; in front of it, it counts as the clinician's own.
        let about = Some(led.member.person.id);
        for record in self.led.0.values_mut().flatten().filter(|record| record.about == about) {
            record.shared.push(clinician.id);
        }
        self.clinician = clinician;
    }

    /// Everybody in front of a group, or in front of the organization.
    pub fn cast(&self, place: Place) -> Vec<Caller> {
        let world = &self.world;
        let (group, is_led) = match place {
            Place::Peer => (&world.peer, false),
            _ => (&world.led, true),
        };
        let here = |standing: Standing| vec![standing];
        let [of_this_session, of_last_month, of_next_week] = &self.session_facilitators;
        let lead = if is_led { Standing::Therapist } else { Standing::Facilitator };
        let co_lead = if is_led { Standing::CoTherapist } else { Standing::Facilitator };
        let name = |led: &'static str, peer: &'static str| if is_led { led } else { peer };
        let mut cast = vec![
            signed_in("administrator", &world.administrator, here(Standing::Administrator)),
            signed_in("administrator elsewhere", &self.foreign_administrator, Vec::new()),
            signed_in("privacy officer", &world.privacy_officer, here(Standing::PrivacyOfficer)),
            signed_in(name("therapist", "facilitator"), &group.lead, here(lead)),
            signed_in(name("co-therapist", "second facilitator"), &group.co_lead, here(co_lead)),
        ];
        if let Some(trainee) = &group.trainee {
            cast.push(signed_in("trainee", trainee, here(Standing::Trainee)));
        }
        let suspended = if is_led { &self.suspended_therapist } else { &self.suspended_facilitator };
        cast.push(signed_in(name("former therapist", "former facilitator"), &group.former_lead, Vec::new()));
        cast.push(signed_in(name("suspended therapist", "suspended facilitator"), suspended, Vec::new()));
        if place == Place::Organization {
            cast.push(signed_in("facilitator", &world.peer.lead, here(Standing::Facilitator)));
            cast.push(signed_in("member", &group.member.person, Vec::new()));
        } else {
            let two_hats = vec![Standing::Facilitator, Standing::Member];
            cast.push(signed_in("therapist of another group", &world.other.co_lead, Vec::new()));
            cast.push(signed_in(
                "therapist elsewhere, member here",
                &self.therapist_and_member,
                here(Standing::Member),
            ));
            if is_led {
                cast.push(signed_in("clinician in an emergency", &self.clinician, here(Standing::Emergency)));
            }
            if !is_led {
                cast.push(signed_in("facilitator and member", &self.two_hats, two_hats));
                if let Some(steward) = &group.steward {
                    cast.push(signed_in("steward", steward, here(Standing::Steward)));
                }
                let mut of_session =
                    signed_in("facilitator of this session", of_this_session, here(Standing::SessionFacilitator));
                of_session.in_session = here(Standing::Facilitator);
                cast.push(of_session);
                cast.push(signed_in("facilitator of last month", of_last_month, Vec::new()));
                cast.push(signed_in("facilitator of next week", of_next_week, Vec::new()));
            }
            cast.push(signed_in("member", &group.member.person, here(Standing::Member)));
            // Reported in a case that is open; so are the others, but for who reported them.
            let second = name("second member", "subject of a report");
            cast.push(signed_in(second, &group.second_member.person, here(Standing::Member)));
            if !is_led {
                cast.push(signed_in("reporter", &self.reporter, here(Standing::Member)));
            }
            cast.push(signed_in("former member", &group.former_member.person, here(Standing::FormerMember)));
            cast.push(signed_in("member of another group", &world.other.member.person, Vec::new()));
        }
        cast.push(signed_in("outsider", &world.outsider, Vec::new()));
        // Those whose token does not count would otherwise have every right that a lead has.
        let nobody = |column, token| Caller {
            column,
            person: None,
            token,
            is_signed_in: false,
            standings: Vec::new(),
            in_session: Vec::new(),
        };
        // Whoever drops in has no account.
        cast.push(nobody(if place == Place::Peer { "drop-in, no token" } else { "no token" }, None));
        cast.push(nobody("expired token", Some(expired(&world.server, &group.lead))));
        cast.push(nobody("signed out", Some(signed_out(&world.server, &group.lead))));
        cast
    }

    /// Nobody stands in what does not exist.
    pub fn cast_of_nothing(&self, place: Place) -> Vec<Caller> {
        let mut cast = self.cast(place);
        for caller in &mut cast {
            caller.standings.clear();
            caller.in_session.clear();
        }
        cast
    }
}

impl Scene {
    /// Somebody who may do this in a group or the organization, and a path to a record that is there.
    pub fn allowed(&self, operation: &Operation) -> (Person, String) {
        let (world, id) = (&self.world, |id: Id| id.to_string());
        let candidates = [
            (&world.led.lead, Standing::Therapist),
            (&world.administrator, Standing::Administrator),
            (&world.privacy_officer, Standing::PrivacyOfficer),
            (&world.led.member.person, Standing::Member),
        ];
        let peers = [
            (&world.peer.lead, Standing::Facilitator),
            (world.peer.steward.as_ref().expect("a steward"), Standing::Steward),
            (&world.administrator, Standing::Administrator),
            (&world.privacy_officer, Standing::PrivacyOfficer),
            (&world.peer.member.person, Standing::Member),
        ];
        let decided = |kind: Kind, candidates: &[(&Person, Standing)]| {
            candidates.iter().find_map(|(person, standing)| {
                let reach = decide(kind, *standing, operation.action)?;
                Some(((*person).clone(), *standing, reach))
            })
        };
        let in_led = decided(Kind::TherapistLed, &candidates);
        let is_of_peers = in_led.is_none() && operation.area == Area::Group;
        let in_peer = decided(Kind::PeerLed, &peers).filter(|_| is_of_peers);
        let (person, standing, reach) =
            in_led.or(in_peer).unwrap_or((world.led.lead.clone(), Standing::Therapist, Reach::Own));
        let records = match operation.area {
            Area::Organization => &self.organization,
            _ if is_of_peers => &self.peer,
            _ => &self.led,
        };
        let path = operation.path_with(|name| match name {
            "group" if is_of_peers => world.peer.id.clone(),
            "group" => world.led.id.clone(),
            "organization" => id(world.organization),
            "instrument" => "phq-9".into(),
            "sign_in" => id(world.led.lead.caller.sign_in),
            _ => {
                let own = records.own(name, person.id, standing).filter(|_| reach == Reach::Own);
                let record = own.or(records.any(name)).unwrap_or_else(|| panic!("no {name} for {}", operation.path));
                record.id.clone()
            }
        });
        (person, path)
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Led,
    Peer,
    Organization,
}

impl Place {
    pub fn kind(self) -> Kind {
        if self == Place::Peer { Kind::PeerLed } else { Kind::TherapistLed }
    }
}

/// An administration of the PHQ-9 whose risk item is answered above its threshold.
pub fn measure(member: Option<&str>, first: i32) -> Value {
    let mut answers: BTreeMap<String, i32> = (1..=9).map(|item| (format!("phq-9.{item}"), 1)).collect();
    answers.insert("phq-9.1".into(), first);
    json!({"member": member, "instrument": "phq-9", "answers": answers})
}

fn signed_in(column: &'static str, person: &Person, standings: Vec<Standing>) -> Caller {
    let (person, token) = (Some(person.clone()), Some(person.token.clone()));
    Caller { column, person, token, is_signed_in: true, standings, in_session: Vec::new() }
}

fn expired(server: &Server, person: &Person) -> String {
    let clock = server.db.clock.clone();
    let now = clock.now();
    Tokens::new(server.db.masters(), clock, 0).sign(server.sign_in(person.id), now)
}

fn signed_out(server: &Server, person: &Person) -> String {
    let again = server.again(person);
    let path = format!("/v1/sign-ins/{}", again.caller.sign_in);
    server.request("DELETE", &path).token(&again.token).send().expect(204);
    again.token
}

/// Plans a session of so many minutes at a moment.
pub fn plan_at(server: &Server, lead: &Person, group: &str, at: Moment, minutes: i32) -> Value {
    let local = at.timestamp().to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M").to_string();
    let body = json!({"starts_local": local, "zone": "UTC", "minutes": minutes});
    server.post(lead, &format!("/v1/groups/{group}/sessions"), &body).expect(201)
}

fn join(server: &Server, group: &Group, person: &Person, name: &str) -> String {
    let invited = server.post(&group.lead, &group.path("/members"), &json!({"name": name})).expect(201);
    world::accept(server, person, invited["code"].as_str().expect("a code"));
    let member = Member { person: person.clone(), id: text(&invited["id"]) };
    world::move_to(server, &group.lead, &group.id, &member.id, "active");
    member.id
}

fn add_terms(server: &Server, group: &Group, records: &mut Records) {
    let terms = server.get(&group.lead, &group.path("/terms")).expect(200);
    for term in terms["items"].as_array().expect("terms") {
        records.add("term", &text(&term["id"]), None, text(&term["account"]).parse().ok());
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
