//! People and groups to work with, made over HTTP a week ago by the server's clock.

use std::{net::SocketAddr, sync::mpsc::channel};

use circlekeeper::{
    config::ServerConfig,
    server,
    store::{
        connection::{Clock, Db, Location},
        sealing::Masters,
    },
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::harness::{Client, Database, MASTER, Request, Server, text};

pub const PASSWORD: &str = "plum orchard seven kites";

/// Days since everybody came.
const AGE_DAYS: i64 = 7;

/// Somebody with an account; signed in once [`Stage::sign_in`] was called.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub sign_in_name: String,
    pub account: String,
    pub token: String,
    pub refresh_token: String,
    pub sign_in: String,
    /// As a member of their group.
    pub member: String,
}

/// A group that is open, with its lead and its active members, who have signed what it asks for.
#[derive(Clone, Debug)]
pub struct Group {
    pub id: String,
    pub leads: Vec<Person>,
    pub members: Vec<Person>,
}

impl Group {
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/groups/{}{rest}", self.id)
    }

    pub fn lead(&self) -> &Person {
        &self.leads[0]
    }
}

/// How many of each.
#[derive(Clone, Copy)]
pub struct Size {
    pub led: usize,
    pub peer: usize,
    pub leads: usize,
    pub members: usize,
}

/// An organization's people and groups.
pub struct Stage {
    pub administrator: Person,
    /// Led by therapists.
    pub led: Vec<Group>,
    /// Led by facilitators.
    pub peer: Vec<Group>,
}

impl Stage {
    /// Fills a migrated database on which no server runs yet.
    pub fn build(database: &Database, size: Size) -> Stage {
        let said = database.run(&["account", "create-administrator", "--organization", "Riverside"]);
        let said = said.expect("an organization");
        let after = |mark: &str| {
            let rest = said.split(mark).nth(1).unwrap_or_default();
            rest.split_whitespace().next().unwrap_or_default().to_owned()
        };
        let (organization, code) = (after("organization "), after("one-time code "));
        let mut built = None;
        with_server_of(&database.location(), -AGE_DAYS * 86_400_000, |address, _| {
            built = Some(Builder { client: Client::new(address), organization, people: 0 }.build(&code, size));
        });
        built.expect("the server answered")
    }

    /// Signs everybody in.
    pub fn sign_in(&mut self, server: &Server) {
        let mut client = server.client();
        for person in self.people() {
            person.sign_in(&mut client);
        }
    }

    fn people(&mut self) -> impl Iterator<Item = &mut Person> {
        let of_groups = self.led.iter_mut().chain(&mut self.peer);
        std::iter::once(&mut self.administrator)
            .chain(of_groups.flat_map(|group| group.leads.iter_mut().chain(&mut group.members)))
    }
}

impl Person {
    pub fn credentials(&self) -> Value {
        json!({"sign_in_name": self.sign_in_name, "password": PASSWORD})
    }

    pub fn sign_in(&mut self, client: &mut Client) {
        let pair = client.ask(&Request::post("/v1/tokens", &self.credentials())).expect(201);
        self.token = text(&pair["access_token"]);
        self.refresh_token = text(&pair["refresh_token"]);
        self.sign_in = text(&pair["sign_in"]);
        self.account = text(&pair["account"]);
    }
}

/// Calls `work` with the address of a server in this process, whose clock stands so many milliseconds off, and with that
/// clock.
pub fn with_server_of(location: &Location, shifted: i64, work: impl FnOnce(SocketAddr, &Clock)) {
    let masters = Masters::read(&SecretString::from(MASTER)).expect("a master key");
    let clock = Clock::default();
    clock.shift(shifted);
    let db = Db::open(location, masters, clock.clone()).expect("the database opens");
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let config = ServerConfig { workers: Some(1), access_minutes: 1440, ..ServerConfig::default() };
            let running = server::start(db, &config).expect("a free port");
            sender.send((running.address, running.server.handle())).expect("somebody waits");
            running.server.await.expect("the server runs");
        });
    });
    let (address, handle) = receiver.recv().expect("the server starts");
    work(address, &clock);
    drop(handle.stop(false));
    thread.join().expect("the server stops");
}

struct Builder {
    client: Client,
    organization: String,
    people: usize,
}

impl Builder {
    fn build(mut self, code: &str, size: Size) -> Stage {
        let mut administrator = self.join(code);
        administrator.sign_in(&mut self.client);
        // Without somebody who hears of breaches no group opens.
        let invitations = format!("/v1/organizations/{}/invitations", self.organization);
        let invited = self.post(&administrator, &invitations, &json!({"standing": "privacy_officer"}));
        self.join(&text(&invited["code"]));
        let led = (0..size.led).map(|number| self.group(&administrator, "therapist_led", number, size)).collect();
        let peer = (0..size.peer).map(|number| self.group(&administrator, "peer_led", number, size)).collect();
        Stage { administrator, led, peer }
    }

    fn post(&mut self, by: &Person, path: &str, body: &Value) -> Value {
        self.client.ask(&Request::post(path, body).by(&by.token)).expect(201)
    }

    /// Makes an account of an invitation.
    fn join(&mut self, code: &str) -> Person {
        self.people += 1;
        let sign_in_name = format!("person-{}", self.people);
        let body = json!({
            "code": code, "sign_in_name": sign_in_name, "password": PASSWORD, "name": format!("Name {}", self.people)
        });
        let made = self.client.ask(&Request::post("/v1/accounts", &body)).expect(201);
        let member = made["member"].as_str().unwrap_or_default().to_owned();
        Person { sign_in_name, account: text(&made["account"]), member, ..Person::default() }
    }

    fn group(&mut self, administrator: &Person, kind: &str, number: usize, size: Size) -> Group {
        let is_led = kind == "therapist_led";
        let organization = format!("/v1/organizations/{}", self.organization);
        let described = json!({
            "kind": kind, "title": format!("{kind} {number}"), "public_description": "Evenings.", "format": "in_person",
            "language": "en", "zone": "UTC"
        });
        let id = text(&self.post(administrator, &format!("{organization}/groups"), &described)["id"]);
        let group = format!("/v1/groups/{id}");
        let mut leads = Vec::new();
        for _ in 0..size.leads {
            let standing = json!({"standing": if is_led { "therapist" } else { "facilitator" }});
            let invited = self.post(administrator, &format!("{group}/terms"), &standing);
            let mut lead = self.join(&text(&invited["code"]));
            if is_led {
                let licence = json!({
                    "account": lead.account, "licence_type": "LCSW", "number": "L-1234", "body": "State board",
                    "jurisdiction": "US-IL", "valid_from": "2020-01-01", "expires_on": "2035-12-31"
                });
                let licence = text(&self.post(administrator, &format!("{organization}/licences"), &licence)["id"]);
                let path = format!("{organization}/licences/{licence}/verification");
                let verified = self.client.ask(&Request::post(path, &json!({})).by(&administrator.token));
                assert!(verified.is_success(), "{}", verified.body);
            }
            lead.sign_in(&mut self.client);
            leads.push(lead);
        }
        if !is_led {
            let invited = self.post(administrator, &format!("{group}/terms"), &json!({"standing": "steward"}));
            self.join(&text(&invited["code"]));
        }
        let opening = Request::post(format!("{group}/opening"), &json!({}));
        self.client.change(&administrator.token, &group, opening).expect(200);
        let agreement = match is_led {
            true => json!({"purpose": "consent", "title": "Consent", "text": "What is recorded, and why."}),
            false => json!({"purpose": "ground_rules", "title": "Rules", "text": "What is said here stays here."}),
        };
        let agreement = text(&self.post(&leads[0], &format!("{group}/agreements"), &agreement)["id"]);
        let members = (0..size.members)
            .map(|member| {
                let name = json!({"name": format!("Member {member}")});
                let invited = self.post(&leads[0], &format!("{group}/members"), &name);
                let mut person = self.join(&text(&invited["code"]));
                person.member = text(&invited["id"]);
                person.sign_in(&mut self.client);
                let path = format!("{group}/members/{}", person.member);
                let request = Request::post(format!("{path}/moves"), &json!({"state": "active"}));
                self.client.change(&leads[0].token, &path, request).expect(201);
                self.post(&person, &format!("{group}/agreements/{agreement}/signatures"), &json!({}));
                person
            })
            .collect();
        Group { id, leads, members }
    }
}
