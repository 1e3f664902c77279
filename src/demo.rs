//! The demo: a believable year of a clinic, on a fresh embedded database, made by asking the server as its people would.

mod circle;
mod class;
mod course;

use std::{cell::Cell, net::SocketAddr, path::PathBuf, pin::Pin, rc::Rc};

use actix_web::{
    App,
    body::to_bytes,
    http::{Method, StatusCode, header},
    rt::{System, SystemRunner},
    test::{self, TestRequest},
};
use jiff::{ToSpan, Zoned};
use secrecy::SecretString;
use serde_json::{Value, json};

use self::circle::Circle;
use self::class::Class;
use self::course::{ENTRIES, EVENINGS, FORMER, FORMER_ITEMS, GOALS, Item, MEMBERS, Member, PASSWORD, REPORTS};
use crate::{
    config::ServerConfig,
    identity::{Tokens, hash_password},
    problem::Problem,
    server::Parts,
    store::{
        accounts::{self, Profile},
        connection::Db,
        organizations,
        sign_ins::{self, Lifetimes},
    },
    values::{Id, Moment},
};

const ZONE: &str = "America/Chicago";
/// Minutes of an evening.
const MINUTES: i64 = 90;
/// The week in which session 11 was; the weeks of the year are counted from session 1 on.
const LAST_WEEK: i64 = 11;
/// The week without a meeting.
const CANCELLED_WEEK: i64 = 6;
const FOUNDED_WEEK: i64 = -41;
const FORMER_WEEKS: std::ops::Range<i64> = -38..-30;
const BEGIN_WEEK: i64 = -3;
/// Days that the token for API tools lives.
const TOKEN_DAYS: i64 = 30;

/// A directory of its own for the demo's database and key.
pub fn fresh_directory() -> std::io::Result<PathBuf> {
    let directory = std::env::temp_dir().join(format!("circlekeeper-demo-{}", Id::random()));
    std::fs::create_dir(&directory)?;
    Ok(directory)
}

/// What is printed once the demo listens.
pub struct Story {
    sign_ins: Vec<(String, String)>,
    group: String,
    session: String,
    session_version: String,
    recording: String,
    own_member: String,
    other_member: String,
    token: String,
    stewards_token: String,
}

impl Story {
    pub fn told(&self, address: SocketAddr) -> String {
        let Story {
            group, session, session_version, recording, own_member, other_member, token, stewards_token, ..
        } = self;
        let base = format!("http://{address}");
        let width = self.sign_ins.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let people: String = self.sign_ins.iter().map(|(name, about)| format!("  {name:width$}  {about}\n")).collect();
        let sign_in = |name: &str| {
            format!(
                "curl -s {base}/v1/tokens -H 'content-type: application/json' \\\n  \
                 -d '{{\"sign_in_name\":\"{name}\",\"password\":\"{PASSWORD}\"}}' \\\n  \
                 | sed -n 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/p'"
            )
        };
        let (therapist, member) = (sign_in("dana.okafor"), sign_in(MEMBERS[course::ARI].sign_in_name));
        format!(
            r#"listening on {base}
docs         {base}/docs

Everybody's password is: {PASSWORD}
{people}
group        {group}
session 11   {session} (last evening, not recorded yet)

Five commands to paste, in this order:

# 1. Sign in as the therapist, and keep the token.
TOKEN=$({therapist})

# 2. See who belongs to the group, and what is planned.
curl -s -H "authorization: Bearer $TOKEN" '{base}/v1/groups/{group}/members?state=active'; echo
curl -s -H "authorization: Bearer $TOKEN" {base}/v1/groups/{group}/sessions/{session}; echo

# 3. Record session 11 in one request: agenda, attendance, measures, session record. All or nothing.
curl -s -X PUT {base}/v1/groups/{group}/sessions/{session}/recording \
  -H "authorization: Bearer $TOKEN" -H 'if-match: {session_version}' -H 'idempotency-key: session-11-first' \
  -H 'content-type: application/json' --data-binary @- <<'JSON'; echo
{recording}
JSON

# 4. Sign in as a member, and read your own course.
OWN=$({member})
curl -s -H "authorization: Bearer $OWN" {base}/v1/groups/{group}/members/{own_member}/attendances; echo
curl -s -H "authorization: Bearer $OWN" {base}/v1/account/progress; echo

# 5. Try the record of another member: 404, as if there were nobody.
curl -s -H "authorization: Bearer $OWN" {base}/v1/groups/{group}/members/{other_member}/attendances; echo

For API tools, signed in for {TOKEN_DAYS} days as the therapist, and as a steward who is a member as well:
token (fuzz): {token}
token (peer): {stewards_token}

Ctrl-C stops the demo and removes its database."#
        )
    }
}

/// Fills a fresh database. Afterwards the database's clock shows the real time again.
///
/// # Errors
/// `Internal` with the request and its answer when the server refuses a part of the story.
pub fn fill(db: &Db, config: &ServerConfig) -> Result<Story, Problem> {
    let house = House::open(db, config)?;
    let told = house.live_through_the_year();
    // Whatever became of it: the clock is shared with the server that starts next.
    house.return_to_now();
    told
}

/// Somebody with an account, signed in for the whole year.
#[derive(Clone)]
struct Person {
    id: Id,
    sign_in_name: &'static str,
    about: &'static str,
    token: String,
}

/// An answer of the server.
struct Answer {
    body: Value,
    version: Option<String>,
}

impl Answer {
    fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_default().to_owned()
    }

    fn id(&self) -> String {
        self.text("id")
    }
}

type Handled = Pin<Box<dyn Future<Output = Result<(StatusCode, Option<String>, String), String>>>>;

/// The server without a socket, and the year that passes in it.
struct House {
    system: SystemRunner,
    door: Box<dyn Fn(TestRequest) -> Handled>,
    db: Db,
    tokens: Tokens,
    password: String,
    /// How far the clock stands from the real time, in milliseconds.
    shifted: Cell<i64>,
    /// When session 11 began: the last evening that is over for half an hour.
    evening: Zoned,
}

impl House {
    fn open(db: &Db, config: &ServerConfig) -> Result<House, Problem> {
        let system = System::new();
        let parts = Parts::new(db, config);
        let service = system.block_on(test::init_service(App::new().configure(|app| parts.configure(app))));
        let service = Rc::new(service);
        let door = Box::new(move |request: TestRequest| -> Handled {
            let service = service.clone();
            Box::pin(async move {
                let response =
                    test::try_call_service(&*service, request.to_request()).await.map_err(|error| error.to_string())?;
                let status = response.status();
                let version = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
                let bytes = to_bytes(response.into_body()).await.map_err(|error| error.to_string())?;
                Ok((status, version, String::from_utf8_lossy(&bytes).into_owned()))
            })
        });
        // One hash for all: to hash a password for each of the people would take longer than the year.
        let password = hash_password(&SecretString::from(PASSWORD))?;
        Ok(House {
            door,
            db: db.clone(),
            tokens: Tokens::new(db.masters(), db.clock.clone(), 500 * 24 * 60),
            password,
            shifted: Cell::new(0),
            evening: last_evening(db.clock.now())?,
            system,
        })
    }

    fn shift(&self, milliseconds: i64) {
        self.db.clock.shift(milliseconds);
        self.shifted.set(self.shifted.get() + milliseconds);
    }

    /// The clock shows the real time again, to the millisecond.
    fn return_to_now(&self) {
        self.shift(-self.shifted.get());
    }

    /// What the clock will show again in the end.
    fn real_now(&self) -> Moment {
        Moment(self.db.clock.now().0 - self.shifted.get())
    }

    fn travel_to(&self, to: Moment) {
        self.shift(to.0 - self.db.clock.now().0);
    }

    /// Half past six, in the group's zone, on the group's weekday of a week.
    fn evening_of(&self, week: i64) -> Result<Zoned, Problem> {
        self.evening.checked_add((week - LAST_WEEK).weeks()).map_err(out_of_time)
    }

    /// Moves the clock forward to so many minutes after the beginning of a week's evening.
    fn travel(&self, week: i64, minutes: i64) -> Result<(), Problem> {
        let to = moment(&self.evening_of(week)?).plus_minutes(minutes);
        let now = self.db.clock.now();
        if to < now && week != FOUNDED_WEEK {
            return Err(Problem::Internal(format!("the demo goes back in time, from {now} to {to}")));
        }
        self.shift(to.0 - now.0);
        Ok(())
    }

    fn ask(
        &self,
        who: &Person,
        method: Method,
        path: &str,
        version: Option<&str>,
        body: &Value,
    ) -> Result<Answer, Problem> {
        let mut request = TestRequest::with_uri(path)
            .method(method.clone())
            .insert_header((header::AUTHORIZATION, format!("Bearer {}", who.token)));
        if let Some(version) = version {
            request = request.insert_header((header::IF_MATCH, version));
        }
        if !body.is_null() {
            request = request.set_json(body);
        }
        let (status, version, text) = self
            .system
            .block_on((self.door)(request))
            .map_err(|error| Problem::Internal(format!("the demo's {method} {path} failed: {error}")))?;
        if !status.is_success() {
            let by = who.sign_in_name;
            return Err(Problem::Internal(format!("the demo's {method} {path} by {by} was answered {status}: {text}")));
        }
        Ok(Answer { body: serde_json::from_str(&text).unwrap_or(Value::Null), version })
    }

    fn get(&self, who: &Person, path: &str) -> Result<Answer, Problem> {
        self.ask(who, Method::GET, path, None, &Value::Null)
    }

    fn post(&self, who: &Person, path: &str, body: &Value) -> Result<Answer, Problem> {
        self.ask(who, Method::POST, path, None, body)
    }

    /// A change below `path` under the version that is there now.
    fn change(&self, who: &Person, method: Method, path: &str, rest: &str, body: &Value) -> Result<Answer, Problem> {
        let version = self.get(who, path)?.version;
        self.ask(who, method, &format!("{path}{rest}"), version.as_deref(), body)
    }

    /// An account that is signed in for the whole year.
    fn person(&self, name: &'static str, sign_in_name: &'static str, about: &'static str) -> Result<Person, Problem> {
        let key = self.db.installation().index("sign-in", sign_in_name);
        let password = self.password.clone();
        let caller = self.system.block_on(self.db.write(move |connection| {
            let profile = Profile { name, email: None, country: Some("US"), language: "en", zone: ZONE };
            let account = accounts::insert(connection, sign_in_name, &key, &password, &profile)?;
            let lifetimes = Lifetimes { idle_minutes: 60, longest_hours: 500 * 24 };
            Ok(sign_ins::insert(connection, account, None, false, lifetimes)?.caller)
        }))?;
        let token = self.tokens.sign(caller, self.db.clock.now());
        Ok(Person { id: caller.account, sign_in_name, about, token })
    }

    fn accept(&self, who: &Person, code: &str) -> Result<(), Problem> {
        self.post(who, "/v1/account/standings", &json!({"code": code})).map(drop)
    }

    /// Gives somebody a term in a group.
    fn appoint(&self, by: &Person, group: &str, who: &Person, term: &Value) -> Result<(), Problem> {
        let invited = self.post(by, &format!("/v1/groups/{group}/terms"), term)?;
        self.accept(who, &invited.text("code"))
    }

    fn license(
        &self,
        by: &Person,
        organization: Id,
        who: &Person,
        number: &str,
        days: [i64; 2],
    ) -> Result<(), Problem> {
        let today = self.db.clock.now();
        let [from, until] = days.map(|days| today.plus_days(days).day_in(ZONE));
        let licences = format!("/v1/organizations/{organization}/licences");
        let licence = self.post(
            by,
            &licences,
            &json!({
                "account": who.id, "licence_type": "LCSW", "number": number, "jurisdiction": "US-IL",
                "body": "Illinois Department of Financial and Professional Regulation",
                "valid_from": from, "expires_on": until
            }),
        )?;
        self.post(by, &format!("{licences}/{}/verification", licence.id()), &Value::Null).map(drop)
    }

    fn open_group(&self, by: &Person, group: &str) -> Result<(), Problem> {
        self.change(by, Method::POST, &format!("/v1/groups/{group}"), "/opening", &Value::Null).map(drop)
    }

    /// A member, invited by `by` and followed through these states; with an account where there is one.
    fn member(
        &self,
        by: &Person,
        group: &str,
        name: &str,
        account: Option<&Person>,
        states: &[&str],
    ) -> Result<String, Problem> {
        let invited = self.post(by, &format!("/v1/groups/{group}/members"), &json!({"name": name}))?;
        if let Some(account) = account {
            self.accept(account, &invited.text("code"))?;
        }
        for state in states {
            self.move_to(by, group, &invited.id(), &json!({"state": state}))?;
        }
        Ok(invited.id())
    }

    fn move_to(&self, by: &Person, group: &str, member: &str, to: &Value) -> Result<(), Problem> {
        self.change(by, Method::POST, &format!("/v1/groups/{group}/members/{member}"), "/moves", to).map(drop)
    }

    fn plan(&self, by: &Person, group: &str, week: i64, title: &str, agenda: Value) -> Result<String, Problem> {
        let starts = self.evening_of(week)?.strftime("%Y-%m-%dT%H:%M").to_string();
        let mut plan = json!({"title": title, "starts_local": starts, "minutes": MINUTES});
        match agenda {
            Value::String(template) => plan["template"] = json!(template),
            agenda => plan["agenda"] = agenda,
        }
        Ok(self.post(by, &format!("/v1/groups/{group}/sessions"), &plan)?.id())
    }

    /// Records a session as `by`, who then signs its session record.
    fn record(&self, by: &Person, group: &str, session: &str, recording: &Value) -> Result<(), Problem> {
        let path = format!("/v1/groups/{group}/sessions/{session}");
        self.change(by, Method::PUT, &path, "/recording", recording)?;
        self.change(by, Method::POST, &format!("{path}/session-record"), "/signature", &Value::Null).map(drop)
    }

    /// What became of each agenda item of a session.
    fn deliveries(&self, by: &Person, group: &str, session: &str, items: &[Item]) -> Result<Vec<Value>, Problem> {
        let session = self.get(by, &format!("/v1/groups/{group}/sessions/{session}"))?;
        let kept = session.body["agenda"].as_array().cloned().unwrap_or_default();
        Ok(kept.iter().zip(items).map(|(kept, item)| delivery(&kept["id"], item)).collect())
    }

    fn live_through_the_year(&self) -> Result<Story, Problem> {
        let mut year = Year::begin(self)?;
        for week in FOUNDED_WEEK..=LAST_WEEK {
            year.live_through(week)?;
        }
        year.end()
    }
}

/// The clinic as the year goes by.
struct Year<'a> {
    house: &'a House,
    organization: Id,
    administrator: Person,
    privacy_officer: Person,
    therapist: Person,
    co_therapist: Person,
    trainee: Person,
    /// The accounts of [`MEMBERS`].
    people: Vec<Person>,
    former: Option<Former>,
    circle: Option<Circle<'a>>,
    class: Option<Class<'a>>,
    group: String,
    consent: String,
    /// The memberships of [`MEMBERS`], once they are in the group.
    members: Vec<Option<String>>,
    emils_signature: String,
    /// The goals of [`GOALS`], once both sides agreed to them.
    goals: Vec<String>,
    /// How many evenings were held.
    held: usize,
    /// Sessions 11 and 12, once they are planned.
    next: Vec<String>,
}

/// The course of last year.
struct Former {
    group: String,
    members: Vec<String>,
}

impl<'a> Year<'a> {
    /// The clinic is founded, with its officers and its first licences.
    fn begin(house: &'a House) -> Result<Year<'a>, Problem> {
        house.travel(FOUNDED_WEEK, -8 * 60)?;
        let founded = house.db.write(|connection| organizations::found(connection, "Harbour Street Clinic"));
        let (organization, code, _) = house.system.block_on(founded)?;
        let administrator = house.person("Morgan Hale", "morgan.hale", "administrator: no record content")?;
        house.accept(&administrator, &code)?;
        let privacy_officer = house.person("Priya Nair", "priya.nair", "privacy officer: the access log")?;
        let invited = house.post(
            &administrator,
            &format!("/v1/organizations/{organization}/invitations"),
            &json!({"standing": "privacy_officer"}),
        )?;
        house.accept(&privacy_officer, &invited.text("code"))?;
        let people = MEMBERS
            .iter()
            .map(|member| house.person(member.name, member.sign_in_name, member.about))
            .collect::<Result<_, _>>()?;
        Ok(Year {
            therapist: house.person("Dana Okafor", "dana.okafor", "therapist of the CBT group")?,
            co_therapist: house.person("Tomas Reid", "tomas.reid", "co-therapist; led last year's course")?,
            trainee: house.person("Jun Sato", "jun.sato", "trainee: Dana co-signs")?,
            house,
            organization,
            administrator,
            privacy_officer,
            people,
            former: None,
            circle: None,
            class: None,
            group: String::new(),
            consent: String::new(),
            members: vec![None; MEMBERS.len()],
            emils_signature: String::new(),
            goals: Vec::new(),
            held: 0,
            next: Vec::new(),
        })
    }

    fn live_through(&mut self, week: i64) -> Result<(), Problem> {
        match week {
            _ if week == FORMER_WEEKS.start - 1 => self.begin_former_course()?,
            _ if FORMER_WEEKS.contains(&week) => self.hold_former_course(week)?,
            _ if week == FORMER_WEEKS.end => self.end_former_course()?,
            BEGIN_WEEK => self.begin_group()?,
            -1 => self.welcome_members()?,
            CANCELLED_WEEK => self.cancel_session()?,
            0..LAST_WEEK => self.hold_session(week)?,
            LAST_WEEK => self.plan_last_sessions()?,
            _ => {}
        }
        if week == Class::first_week(self.house) {
            let (by, leads) = (&self.administrator, &self.co_therapist);
            self.class = Some(Class::begin(self.house, by, leads, self.organization, week)?);
        }
        if let Some(class) = &self.class {
            class.live_through(week)?;
        }
        if week == circle::FIRST_WEEK {
            let of_both = [("Finch", &self.people[course::ARI]), ("Fay", &self.people[course::FARAH])];
            self.circle = Some(Circle::begin(self.house, &self.administrator, self.organization, of_both)?);
        }
        if let Some(circle) = self.circle.as_mut().filter(|_| week < LAST_WEEK) {
            circle.live_through(week)?;
        }
        Ok(())
    }

    fn begin_former_course(&mut self) -> Result<(), Problem> {
        let (house, by, leads) = (self.house, &self.administrator, &self.co_therapist);
        house.travel(FORMER_WEEKS.start - 1, 0)?;
        let group = house.post(
            by,
            &format!("/v1/organizations/{}/groups", self.organization),
            &json!({
                "kind": "therapist_led", "title": "Managing worry", "conditions": ["anxiety"], "approaches": ["cbt"],
                "public_description": "Eight evenings against worry that does not stop.", "format": "in_person",
                "place": "Room 2", "language": "en", "zone": ZONE, "capacity": 8,
                "fee": {"minor": 24000, "currency": "USD", "period": "course"}, "insurance": "accepted"
            }),
        )?;
        let group = group.id();
        house.appoint(by, &group, leads, &json!({"standing": "therapist"}))?;
        house.license(by, self.organization, leads, "149.020881", [-400, 500])?;
        house.open_group(by, &group)?;
        let consent = house.post(leads, &format!("/v1/groups/{group}/agreements"), &consent())?.id();
        let mut members = Vec::new();
        for (name, ..) in &FORMER {
            let member = house.member(leads, &group, name, None, &["active"])?;
            // Without an account, they signed on paper.
            let signatures = format!("/v1/groups/{group}/agreements/{consent}/signatures");
            house.post(leads, &signatures, &json!({"member": member}))?;
            members.push(member);
        }
        self.former = Some(Former { group, members });
        Ok(())
    }

    fn hold_former_course(&self, week: i64) -> Result<(), Problem> {
        let Some(Former { group, members }) = &self.former else { return Ok(()) };
        let (house, leads) = (self.house, &self.co_therapist);
        let evening = (week - FORMER_WEEKS.start) as usize;
        house.travel(week, -24 * 60)?;
        let session = house.plan(leads, group, week, &format!("Session {}", evening + 1), agenda(&FORMER_ITEMS))?;
        house.travel(week, MINUTES + 10)?;
        let from = moment(&house.evening_of(week)?);
        let mut attendance = Vec::new();
        let mut measures = Vec::new();
        for (member, (_, letters, scores)) in members.iter().zip(&FORMER) {
            attendance.push(attended(member, letters.as_bytes()[evening], from));
            if scores[evening] > 0 {
                measures.push(json!({
                    "member": member, "instrument": "gad-7",
                    "answers": answers("gad-7", &[3, 3, 2, 2, 1, 1, 2], scores[evening])
                }));
            }
        }
        house.record(
            leads,
            group,
            &session,
            &json!({
                "held_from": from, "held_until": from.plus_minutes(MINUTES), "attendance": attendance,
                "measures": measures, "items": house.deliveries(leads, group, &session, &FORMER_ITEMS)?,
                "session_record": "Agenda kept. Steps on the ladder were shared in the round.", "complete": true
            }),
        )
    }

    fn end_former_course(&self) -> Result<(), Problem> {
        let Some(Former { group, members }) = &self.former else { return Ok(()) };
        let (house, leads) = (self.house, &self.co_therapist);
        house.travel(FORMER_WEEKS.end, 0)?;
        for member in members {
            house.move_to(leads, group, member, &json!({"state": "completed"}))?;
        }
        house.change(leads, Method::POST, &format!("/v1/groups/{group}"), "/closing", &Value::Null).map(drop)
    }

    fn begin_group(&mut self) -> Result<(), Problem> {
        let (house, by) = (self.house, &self.administrator);
        house.travel(BEGIN_WEEK, 0)?;
        let weekday = house.evening.strftime("%A");
        let group = house.post(
            by,
            &format!("/v1/organizations/{}/groups", self.organization),
            &json!({
                "kind": "therapist_led", "title": format!("CBT for depression, {weekday}s"),
                "public_description": "Twelve evenings of cognitive behavioural therapy, with homework.",
                "private_description": "Bring your workbook. The side door is open until 18:45.",
                "conditions": ["depression"], "approaches": ["cbt"], "format": "hybrid",
                "place": "Room 4, second floor", "language": "en", "zone": ZONE, "capacity": 8,
                "fee": {"minor": 3500, "currency": "USD", "period": "session"}, "insurance": "accepted"
            }),
        )?;
        self.group = group.id();
        let group = &self.group;
        house.appoint(by, group, &self.therapist, &json!({"standing": "therapist"}))?;
        house.appoint(by, group, &self.co_therapist, &json!({"standing": "co_therapist"}))?;
        let term = json!({"standing": "trainee", "supervisor": self.therapist.id});
        house.appoint(by, group, &self.trainee, &term)?;
        // One licence ended before the course, and the next one was recorded and verified for it.
        house.license(by, self.organization, &self.therapist, "149.012345", [-745, -15])?;
        house.license(by, self.organization, &self.therapist, "149.012345", [-14, 716])?;
        house.open_group(&self.therapist, group)?;
        self.consent = house.post(&self.therapist, &format!("/v1/groups/{group}/agreements"), &consent())?.id();
        let schedule =
            json!({"items": [{"instrument": "phq-9", "every_days": 7}, {"instrument": "gad-7", "every_days": 14}]});
        let path = format!("/v1/groups/{group}/measure-schedule");
        house.ask(&self.therapist, Method::PUT, &path, None, &schedule)?;
        let template = json!({"title": "CBT for depression, session 4", "items": agenda(EVENINGS[3].items)});
        let path = format!("/v1/organizations/{}/agenda-templates", self.organization);
        house.post(&self.therapist, &path, &template).map(drop)
    }

    fn welcome_members(&mut self) -> Result<(), Problem> {
        self.house.travel(-1, 0)?;
        for index in (0..MEMBERS.len()).filter(|index| *index != course::GUS) {
            self.welcome(index)?;
        }
        Ok(())
    }

    /// Screened, active, and with consent signed.
    fn welcome(&mut self, index: usize) -> Result<(), Problem> {
        let (house, group, person) = (self.house, &self.group, &self.people[index]);
        let states = ["screened", "active"];
        let member = house.member(&self.therapist, group, MEMBERS[index].name, Some(person), &states)?;
        let signatures = format!("/v1/groups/{group}/agreements/{}/signatures", self.consent);
        let signature = house.post(person, &signatures, &json!({}))?.id();
        if index == course::EMIL {
            self.emils_signature = signature;
        }
        self.members[index] = Some(member);
        Ok(())
    }

    fn cancel_session(&self) -> Result<(), Problem> {
        let (house, group, by) = (self.house, &self.group, &self.therapist);
        house.travel(CANCELLED_WEEK, -3 * 24 * 60)?;
        let session = house.plan(by, group, CANCELLED_WEEK, "Session 7", agenda(EVENINGS[6].items))?;
        house.travel(CANCELLED_WEEK, -5 * 60)?;
        let path = format!("/v1/groups/{group}/sessions/{session}");
        let reason = json!({"reason": "The heating failed and the building is closed; everybody was told by noon."});
        house.change(by, Method::POST, &path, "/cancellation", &reason).map(drop)
    }

    fn hold_session(&mut self, week: i64) -> Result<(), Problem> {
        let house = self.house;
        let (evening, number) = (self.held, self.held + 1);
        let plan = &EVENINGS[evening];
        house.travel(week, -3 * 24 * 60)?;
        if number == course::GUS_JOINS {
            self.welcome(course::GUS)?;
        }
        let session =
            house.plan(&self.therapist, &self.group, week, &format!("Session {number}"), self.agenda_of(evening)?)?;
        house.travel(week, -3 * 60)?;
        let from = moment(&house.evening_of(week)?);
        let mut attendance = Vec::new();
        let mut measures = Vec::new();
        for (index, member) in MEMBERS.iter().enumerate() {
            let (Some(id), letter) = (&self.members[index], member.attendance.as_bytes()[evening]) else { continue };
            if letter == b'-' {
                continue;
            }
            attendance.push(attended(id, letter, from));
            for (instrument, answers) in administered(index, evening) {
                let mut measure = json!({"instrument": instrument, "answers": answers});
                if member.answers_alone {
                    house.post(&self.people[index], &format!("/v1/groups/{}/measures", self.group), &measure)?;
                } else {
                    measure["member"] = json!(id);
                    measures.push(measure);
                }
            }
        }
        house.travel(week, MINUTES + 20)?;
        // The trainee writes the record now and then, and once the co-therapist stood in.
        let by = match number {
            5 | 10 => &self.trainee,
            6 => &self.co_therapist,
            _ => &self.therapist,
        };
        house.record(
            by,
            &self.group,
            &session,
            &json!({
                "held_from": from, "held_until": from.plus_minutes(MINUTES), "attendance": attendance,
                "measures": measures, "items": house.deliveries(by, &self.group, &session, plan.items)?,
                "session_record": plan.record, "complete": true
            }),
        )?;
        house.travel(week, 20 * 60)?;
        self.follow_up(number, &session, from)?;
        self.pursue_goals(number, &session)?;
        self.held += 1;
        Ok(())
    }

    fn agenda_of(&self, evening: usize) -> Result<Value, Problem> {
        if evening != 3 {
            return Ok(agenda(EVENINGS[evening].items));
        }
        // This one was kept as a template.
        let path = format!("/v1/organizations/{}/agenda-templates", self.organization);
        let templates = self.house.get(&self.therapist, &path)?;
        Ok(templates.body["items"][0]["id"].clone())
    }

    /// The day after: co-signature, entries, a process note, and whoever leaves or withdraws.
    fn follow_up(&self, number: usize, session: &str, from: Moment) -> Result<(), Problem> {
        let (house, group, by) = (self.house, &self.group, &self.therapist);
        if number == 5 {
            let record = format!("/v1/groups/{group}/sessions/{session}/session-record");
            house.change(by, Method::POST, &record, "/cosignature", &Value::Null)?;
        }
        for entry in ENTRIES.iter().filter(|entry| entry.evening == number) {
            let author = if entry.by_trainee { &self.trainee } else { by };
            let body = json!({
                "member": self.members[entry.member], "session": session, "occurred_at": from, "text": entry.text
            });
            let path = format!("/v1/groups/{group}/progress-entries");
            let path = format!("{path}/{}", house.post(author, &path, &body)?.id());
            house.change(author, Method::POST, &path, "/signature", &Value::Null)?;
            if entry.by_trainee {
                house.change(by, Method::POST, &path, "/cosignature", &Value::Null)?;
            }
            if entry.released {
                house.post(by, &format!("{path}/release"), &Value::Null)?;
            }
        }
        if number == course::HANA_LEAVES {
            let member = self.members[course::HANA].as_deref().unwrap_or_default();
            let left = json!({"state": "left", "reason": "The evenings clash with a new job."});
            house.move_to(&self.people[course::HANA], group, member, &left)?;
        }
        if number == course::EMIL_WITHDRAWS {
            let path = format!("/v1/groups/{group}/signatures/{}/withdrawal", self.emils_signature);
            house.post(&self.people[course::EMIL], &path, &Value::Null)?;
        }
        if number == course::DORA_AT_RISK {
            let risk = self.open_risk()?;
            house.change(by, Method::POST, &risk, "/acknowledgement", &json!({}))?;
            let assessed = json!({"note": "After the session: passive thoughts of death, no plan, no means."});
            house.change(by, Method::POST, &risk, "/assessment", &assessed)?;
            let note = json!({
                "session": session, "text": "I was afraid for a moment, and then too quick with plans. For supervision."
            });
            house.post(by, &format!("/v1/groups/{group}/process-notes"), &note)?;
        }
        if number == course::DORA_AT_RISK + 1 {
            let closed = json!({
                "disposition": "safety_plan", "note": "Plan written together and gone through again; both calls kept."
            });
            house.change(by, Method::POST, &self.open_risk()?, "/closing", &closed)?;
        }
        Ok(())
    }

    /// Where the group's most urgent risk mark is.
    fn open_risk(&self) -> Result<String, Problem> {
        let risks = format!("/v1/groups/{}/risks", self.group);
        let open = self.house.get(&self.therapist, &risks)?;
        Ok(format!("{risks}/{}", open.body["items"][0]["id"].as_str().unwrap_or_default()))
    }

    /// Goals are agreed on after the first evening and rated later on; homework is reported on the day after.
    fn pursue_goals(&mut self, number: usize, session: &str) -> Result<(), Problem> {
        let (house, therapist) = (self.house, &self.therapist);
        let path = format!("/v1/groups/{}/goals", self.group);
        if number == 1 {
            for goal in &GOALS {
                let member = &self.people[goal.member];
                let [much_less, less, expected, more, much_more] = goal.levels;
                let body = json!({
                    "member": self.members[goal.member], "text": goal.text, "weight": goal.weight,
                    "levels": {
                        "much_less": much_less, "less": less, "expected": expected, "more": more, "much_more": much_more
                    }
                });
                let (by, other) = if goal.by_member { (member, therapist) } else { (therapist, member) };
                let proposed = house.post(by, &path, &body)?.id();
                house.post(other, &format!("{path}/{proposed}/agreement"), &json!({"wording": 1}))?;
                self.goals.push(proposed);
            }
        }
        for (goal, id) in GOALS.iter().zip(&self.goals) {
            for (_, own, clinicians) in goal.ratings.iter().filter(|(evening, ..)| *evening == number) {
                for (by, level) in [(&self.people[goal.member], own), (therapist, clinicians)] {
                    house.post(by, &format!("{path}/{id}/ratings"), &json!({"level": level}))?;
                }
            }
        }
        let reports = REPORTS.iter().filter(|(evening, ..)| *evening == number);
        for (_, member, said, words) in reports {
            let by = &self.people[*member];
            let homework = house.get(by, &format!("/v1/groups/{}/homework?session={session}", self.group))?;
            let id = homework.body["items"][0]["id"].as_str().unwrap_or_default();
            let path = format!("/v1/groups/{}/homework/{id}/report", self.group);
            house.ask(by, Method::PUT, &path, None, &json!({"said": said, "words": words}))?;
        }
        Ok(())
    }

    /// Session 11 was last evening and waits to be recorded, as an answer that Dora gave before it waits for somebody to
    /// look at it; session 12 is to come, and the circle has just met.
    fn plan_last_sessions(&mut self) -> Result<(), Problem> {
        let (house, group, by) = (self.house, &self.group, &self.therapist);
        house.travel(LAST_WEEK, -3 * 24 * 60)?;
        let last = house.plan(by, group, LAST_WEEK, "Session 11", agenda(EVENINGS[10].items))?;
        let end = house.plan(by, group, LAST_WEEK + 1, "Session 12", agenda(EVENINGS[11].items))?;
        self.next = vec![last, end];
        house.travel(LAST_WEEK, -3 * 60)?;
        let mut before = answers("phq-9", &MEMBERS[course::DORA].complaints[0], 17);
        before["phq-9.9"] = json!(1);
        let measure = json!({"instrument": "phq-9", "answers": before});
        house.post(&self.people[course::DORA], &format!("/v1/groups/{group}/measures"), &measure)?;
        if let Some(circle) = &self.circle {
            circle.plan_last()?;
        }
        Ok(())
    }

    /// Everybody signs out, and what the demo prints is gathered.
    fn end(mut self) -> Result<Story, Problem> {
        let house = self.house;
        let session = std::mem::take(&mut self.next).swap_remove(0);
        let path = format!("/v1/groups/{}/sessions/{session}", self.group);
        let session_version = house.get(&self.therapist, &path)?.version.unwrap_or_default();
        let recording = self.recording_to_paste(&session)?;
        let mut people = vec![&self.therapist, &self.co_therapist, &self.trainee, &self.administrator];
        people.push(&self.privacy_officer);
        people.extend(&self.people);
        if let Some(circle) = &self.circle {
            // Those who belong to both groups are among the clinic's members already.
            people.extend(circle.people().filter(|person| self.people.iter().all(|known| known.id != person.id)));
        }
        for person in &people {
            house.ask(person, Method::DELETE, "/v1/sign-ins", None, &Value::Null)?;
        }
        let of = |index: usize| self.members[index].clone().unwrap_or_default();
        Ok(Story {
            sign_ins: people.iter().map(|person| (person.sign_in_name.to_owned(), person.about.to_owned())).collect(),
            session,
            session_version,
            recording,
            own_member: of(course::ARI),
            other_member: of(course::BEA),
            token: self.token_for_tools(&self.therapist)?,
            stewards_token: self
                .circle
                .as_ref()
                .map_or(Ok(String::new()), |circle| self.token_for_tools(circle.sky()))?,
            group: self.group,
        })
    }

    /// The body that records session 11, a line for each part.
    fn recording_to_paste(&self, session: &str) -> Result<String, Problem> {
        let house = self.house;
        let from = moment(&house.evening);
        let lines =
            |values: Vec<Value>| values.iter().map(|value| format!("    {value}")).collect::<Vec<_>>().join(",\n");
        let items = house.deliveries(&self.therapist, &self.group, session, EVENINGS[10].items)?;
        let expected = (0..MEMBERS.len()).filter(|index| *index != course::HANA);
        let attendance = expected
            .filter_map(|index| {
                let letter = if index == course::GUS { b'L' } else { b'A' };
                Some(attended(self.members[index].as_deref()?, letter, from))
            })
            .collect();
        let measure = |index: usize, score| {
            let answers = answers("phq-9", &MEMBERS[index].complaints[0], score);
            json!({"member": self.members[index], "instrument": "phq-9", "answers": answers})
        };
        let measures = vec![measure(course::ARI, 5), measure(course::BEA, 4)];
        Ok(format!(
            "{{\n  \"held_from\": \"{from}\", \"held_until\": \"{}\",\n  \"items\": [\n{}\n  ],\n  \
             \"attendance\": [\n{}\n  ],\n  \"measures\": [\n{}\n  ],\n  \"session_record\": \"{}\",\n  \
             \"complete\": true\n}}",
            from.plus_minutes(MINUTES),
            lines(items),
            lines(attendance),
            lines(measures),
            EVENINGS[10].record,
        ))
    }

    /// A token that outlives a long run of a tool.
    fn token_for_tools(&self, who: &Person) -> Result<String, Problem> {
        let (house, account) = (self.house, who.id);
        house.return_to_now();
        let caller = house.system.block_on(house.db.write(move |connection| {
            let lifetimes = Lifetimes { idle_minutes: TOKEN_DAYS * 24 * 60, longest_hours: TOKEN_DAYS * 24 };
            Ok(sign_ins::insert(connection, account, Some("API tools"), false, lifetimes)?.caller)
        }))?;
        let tokens = Tokens::new(house.db.masters(), house.db.clock.clone(), TOKEN_DAYS * 24 * 60);
        Ok(tokens.sign(caller, house.db.clock.now()))
    }
}

/// The beginning of the last evening at half past six that is over for half an hour.
fn last_evening(now: Moment) -> Result<Zoned, Problem> {
    let today = now.timestamp().in_tz(ZONE).map_err(out_of_time)?;
    let evening = today.date().at(18, 30, 0, 0).in_tz(ZONE).map_err(out_of_time)?;
    if moment(&evening).plus_minutes(MINUTES + 30) <= now {
        return Ok(evening);
    }
    evening.checked_sub(1.days()).map_err(out_of_time)
}

fn moment(zoned: &Zoned) -> Moment {
    Moment::from(zoned.timestamp())
}

fn out_of_time(error: jiff::Error) -> Problem {
    Problem::Internal(format!("the demo's calendar: {error}"))
}

fn consent() -> Value {
    json!({
        "purpose": "consent", "title": "Consent to group therapy",
        "text": "We record when you came, what we did, your answers to the questionnaires and our clinical entries. \
                 Your therapists read them; other members never do. You may withdraw at any time: from then on we take \
                 no more questionnaires from you."
    })
}

fn agenda(items: &[Item]) -> Value {
    items
        .iter()
        .map(|item| {
            json!({
                "technique": item.technique, "objective": item.objective, "factors": [item.factor],
                "planned_minutes": item.planned, "homework": item.homework
            })
        })
        .collect()
}

fn delivery(id: &Value, item: &Item) -> Value {
    match item.took {
        0 => json!({"item": id, "delivered": "skipped"}),
        took if 3 * took < 2 * item.planned => json!({"item": id, "delivered": "partly", "minutes": took}),
        took => json!({"item": id, "delivered": "delivered", "minutes": took}),
    }
}

/// One letter of a member's attendance, as the recording says it.
fn attended(member: &str, letter: u8, from: Moment) -> Value {
    match letter {
        b'L' => json!({"member": member, "status": "late", "arrived_at": from.plus_minutes(20)}),
        b'l' => json!({"member": member, "status": "left_early", "left_at": from.plus_minutes(60)}),
        b'O' => json!({"member": member, "status": "attended", "modality": "online"}),
        b'E' => json!({"member": member, "status": "excused"}),
        b'N' => json!({"member": member, "status": "no_show"}),
        _ => json!({"member": member, "status": "attended"}),
    }
}

/// What a member answered on an evening (from 0), where they were there.
fn administered(index: usize, evening: usize) -> Vec<(&'static str, Value)> {
    let Member { attendance, phq_9, gad_7, complaints, .. } = &MEMBERS[index];
    let was_there = matches!(attendance.as_bytes()[evening], b'A' | b'L' | b'l' | b'O');
    let mut taken = Vec::new();
    if !was_there || index == course::EMIL && evening >= course::EMIL_WITHDRAWS {
        return taken;
    }
    let mut depression = answers("phq-9", &complaints[0], phq_9[evening]);
    if index == course::DORA && evening + 1 == course::DORA_AT_RISK {
        depression = answers("phq-9", &complaints[0], phq_9[evening] - 1);
        depression["phq-9.9"] = json!(1);
    }
    taken.push(("phq-9", depression));
    if evening.is_multiple_of(2) {
        taken.push(("gad-7", answers("gad-7", &complaints[1][..7], gad_7[evening / 2])));
    }
    taken
}

/// Answers of 0 to 3 that sum to `score`, each item by its weight; the ninth item of PHQ-9 is 0.
fn answers(instrument: &str, weights: &[i32], score: i32) -> Value {
    let mut values = vec![0; weights.len()];
    for _ in 0..score {
        let open = (0..values.len()).filter(|&index| values[index] < 3);
        // Highest averages: the item whose weight is largest for what it would have then.
        let next =
            open.max_by_key(|&index| (60 * (1 + 2 * weights[index]) / (1 + values[index]), weights.len() - index));
        if let Some(next) = next {
            values[next] += 1;
        }
    }
    if instrument == "phq-9" {
        values.push(0);
    }
    values.iter().enumerate().map(|(index, value)| (format!("{instrument}.{}", index + 1), json!(value))).collect()
}
