//! The cast: an organization with groups of both kinds, and everybody who stands somewhere in it or nowhere.

use circlekeeper::store::{
    invitations::{self, Invited},
    organizations,
};
use circlekeeper::{policy::Standing, values::Id};
use serde_json::{Value, json};

use crate::{
    access_log::{literal, tamper},
    harness::{Person, Server},
};

/// Everybody, and the two groups that they stand around.
pub struct World {
    pub server: Server,
    pub organization: Id,
    pub administrator: Person,
    pub privacy_officer: Person,
    pub outsider: Person,
    pub led: Group,
    pub peer: Group,
    /// Another therapist-led group of the same organization, with its own therapist and member.
    pub other: Group,
}

/// One group with its people.
pub struct Group {
    pub id: String,
    /// Therapist, or facilitator of a peer-led group.
    pub lead: Person,
    pub co_lead: Person,
    /// Only in a therapist-led group.
    pub trainee: Option<Person>,
    pub former_lead: Person,
    /// Only in a peer-led group.
    pub steward: Option<Person>,
    pub member: Member,
    pub second_member: Member,
    pub former_member: Member,
}

/// A member with the account behind it.
pub struct Member {
    pub person: Person,
    pub id: String,
}

impl Group {
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/groups/{}{rest}", self.id)
    }
}

impl World {
    pub fn new() -> World {
        World::on(Server::start())
    }

    pub fn on(server: Server) -> World {
        let (organization, code, _) = server.write(|connection| organizations::found(connection, "Riverside Clinic"));
        let administrator = server.account("Ada Admin");
        accept(&server, &administrator, &code);
        let privacy_officer = server.account("Pia Privacy");
        let code = invite(&server, organization, Standing::PrivacyOfficer);
        accept(&server, &privacy_officer, &code);
        let outsider = server.account("Olu Outsider");
        let led = group(&server, organization, &administrator, "therapist_led", "Led");
        let peer = group(&server, organization, &administrator, "peer_led", "Peer");
        let other = group(&server, organization, &administrator, "therapist_led", "Other");
        // Sessions of today begin after everybody came.
        server.travel_days(1);
        World { server, organization, administrator, privacy_officer, outsider, led, peer, other }
    }

    /// A session of the therapist-led group that was held today, with two agenda items.
    pub fn session(&self) -> Value {
        plan(&self.server, &self.led.lead, &self.led.id)
    }
}

/// Plans a session that began an hour and a half ago.
pub fn plan(server: &Server, lead: &Person, group: &str) -> Value {
    let start = server.db.clock.now().plus_minutes(-90).timestamp();
    let local = start.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M").to_string();
    let agenda = json!([
        {"technique": "thought-record", "objective": "Weigh one thought", "planned_minutes": 30, "homework": "Three thought records"},
        {"technique": "closing-round", "planned_minutes": 10}
    ]);
    let mut body = json!({"title": "Session", "starts_local": local, "zone": "UTC", "minutes": 60, "agenda": agenda});
    let answer = server.post(lead, &format!("/v1/groups/{group}/sessions"), &body);
    if answer.status == 422 {
        body["agenda"] = json!([]);
        return server.post(lead, &format!("/v1/groups/{group}/sessions"), &body).expect(201);
    }
    answer.expect(201)
}

pub fn accept(server: &Server, person: &Person, code: &str) -> Value {
    server.post(person, "/v1/account/standings", &json!({"code": code})).expect(201)
}

/// A code for an office.
pub fn invite(server: &Server, organization: Id, standing: Standing) -> String {
    server.write(move |connection| {
        let invited = Invited {
            organization,
            group: None,
            member: None,
            standing,
            supervisor: None,
            session: None,
            from_at: None,
            until_at: None,
        };
        Ok(invitations::insert_first(connection, &invited)?.1)
    })
}

/// Somebody with a term in a group, invited by `by` and licensed where the group needs it.
pub fn lead(server: &Server, by: &Person, organization: Id, group: &str, standing: &str, name: &str) -> Person {
    let person = server.account(name);
    let invited = server.post(by, &format!("/v1/groups/{group}/terms"), &json!({"standing": standing})).expect(201);
    accept(server, &person, invited["code"].as_str().expect("a code"));
    if matches!(standing, "therapist" | "co_therapist") {
        license(server, by, organization, &person);
    }
    person
}

/// A verified licence, recorded and verified by an administrator.
pub fn license(server: &Server, administrator: &Person, organization: Id, person: &Person) {
    let licence = server
        .post(
            administrator,
            &format!("/v1/organizations/{organization}/licences"),
            &json!({
                "account": person.id, "licence_type": "LCSW", "number": "L-1234", "body": "State board",
                "jurisdiction": "US-IL", "valid_from": "2020-01-01", "expires_on": "2035-12-31"
            }),
        )
        .made();
    let path = format!("/v1/organizations/{organization}/licences/{licence}/verification");
    let verified = server.post(administrator, &path, &json!({}));
    assert!(verified.status < 300, "{}", verified.text);
}

/// An active member with an account.
pub fn member(server: &Server, by: &Person, group: &str, name: &str) -> Member {
    let person = server.account(name);
    let invited = server.post(by, &format!("/v1/groups/{group}/members"), &json!({"name": name})).expect(201);
    accept(server, &person, invited["code"].as_str().expect("a code"));
    let id = invited["id"].as_str().expect("an id").to_owned();
    let member = Member { person, id };
    move_to(server, by, group, &member.id, "active");
    member
}

pub fn move_to(server: &Server, by: &Person, group: &str, member: &str, state: &str) {
    let path = format!("/v1/groups/{group}/members/{member}");
    let version = server.version(by, &path);
    server.change(by, "POST", &format!("{path}/moves"), &version, &json!({"state": state})).expect(201);
}

/// A member goes by themselves.
pub fn leave(server: &Server, member: &Member, group: &str) {
    move_to(server, &member.person, group, &member.id, "left");
}

/// Puts a member of a peer-led group into a state that nobody else may put them in over HTTP, but a decision of the
/// group, or their own word.
pub fn put_into(server: &Server, member: &Member, state: &str) {
    let id = literal(&server.location, &member.id);
    tamper(&server.location, &format!("UPDATE members SET state = '{state}', version = version + 1 WHERE id = {id}"));
}

/// A published consent that every member of the list has signed.
pub fn consent(server: &Server, lead: &Person, group: &str, members: &[&Member]) {
    let agreement = server
        .post(
            lead,
            &format!("/v1/groups/{group}/agreements"),
            &json!({"purpose": "consent", "title": "Consent", "text": "What we record and why."}),
        )
        .made();
    for member in members {
        server
            .post(&member.person, &format!("/v1/groups/{group}/agreements/{agreement}/signatures"), &json!({}))
            .expect(201);
    }
}

fn group(server: &Server, organization: Id, administrator: &Person, kind: &str, prefix: &str) -> Group {
    let is_led = kind == "therapist_led";
    let id = server
        .post(
            administrator,
            &format!("/v1/organizations/{organization}/groups"),
            &json!({
                "kind": kind, "title": format!("{prefix} group"), "public_description": "Evenings.",
                "private_description": "Bring your workbook.", "format": "in_person", "language": "en", "zone": "UTC"
            }),
        )
        .made();
    let (first, second) = if is_led { ("therapist", "co_therapist") } else { ("facilitator", "facilitator") };
    let new_lead = |standing: &str, name: String| lead(server, administrator, organization, &id, standing, &name);
    let first_lead = new_lead(first, format!("{prefix} Lead"));
    let co_lead = new_lead(second, format!("{prefix} Colead"));
    let former_lead = new_lead(second, format!("{prefix} Formerlead"));
    let terms = server.get(administrator, &format!("/v1/groups/{id}/terms")).expect(200);
    let term =
        terms["items"].as_array().expect("terms").iter().find(|term| term["account"] == former_lead.id.to_string());
    let term = term.expect("the term")["id"].as_str().expect("an id").to_owned();
    server
        .request("POST", &format!("/v1/groups/{id}/terms/{term}/end"))
        .token(&administrator.token)
        .json(&json!({}))
        .send()
        .expect(204);
    let steward = (!is_led).then(|| new_lead("steward", format!("{prefix} Steward")));
    let trainee = is_led.then(|| {
        let person = server.account(&format!("{prefix} Trainee"));
        let body = json!({"standing": "trainee", "supervisor": first_lead.id});
        let invited = server.post(administrator, &format!("/v1/groups/{id}/terms"), &body).expect(201);
        accept(server, &person, invited["code"].as_str().expect("a code"));
        person
    });
    let version = server.version(administrator, &format!("/v1/groups/{id}"));
    server.change(administrator, "POST", &format!("/v1/groups/{id}/opening"), &version, &json!({})).expect(200);
    let new_member = |name: &str| member(server, &first_lead, &id, &format!("{prefix} {name}"));
    let (one, two, gone) = (new_member("Mira"), new_member("Noor"), new_member("Goran"));
    if is_led {
        consent(server, &first_lead, &id, &[&one, &two, &gone]);
    }
    leave(server, &gone, &id);
    Group {
        id,
        lead: first_lead,
        co_lead,
        trainee,
        former_lead,
        steward,
        member: one,
        second_member: two,
        former_member: gone,
    }
}
