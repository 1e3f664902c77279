//! The demo's peer-led group: a year of weekly meetings, led in turn, counted and not named.

use actix_web::http::Method;
use jiff::ToSpan;
use serde_json::{Value, json};

use super::{Answer, House, Person, ZONE, moment, out_of_time};
use crate::{
    problem::Problem,
    values::{Id, Moment},
};

/// The week of the first meeting; the last of the year is today's.
pub const FIRST_WEEK: i64 = -40;
/// The weeks in which trust broke, a finding was made and put to the vote, and the votes were counted.
const REPORTED_WEEK: i64 = -12;
const FOUND_WEEK: i64 = -11;
const DECIDED_WEEK: i64 = -10;
/// When nobody could appeal any more.
const CLOSED_WEEK: i64 = -5;
/// The week in which the rules were written anew.
const NEW_RULES_WEEK: i64 = -20;
const MINUTES: i64 = 75;
/// How long ago today's meeting began.
const BEGAN_MINUTES_AGO: i64 = 80;

/// Somebody of the circle with the name they use there.
struct Peer {
    person: Person,
    member: String,
    /// Mood on the seven points over the year: where it begins, where it ends, and how much it swings.
    mood: [i64; 3],
    /// Checks in every so many weeks.
    every: i64,
    visibility: &'static str,
}

pub struct Circle<'a> {
    house: &'a House,
    pub group: String,
    rules: String,
    peers: Vec<Peer>,
    kit: Person,
    report: String,
}

const MOODS: [&str; 7] = ["awful", "very_low", "low", "so_so", "okay", "good", "great"];
const WORDS: [&[&str]; 4] = [&["tired", "alone"], &["worried"], &["calmer", "hopeful"], &["connected", "grateful"]];

impl<'a> Circle<'a> {
    pub fn begin(
        house: &'a House,
        administrator: &Person,
        organization: Id,
        of_both: [(&'static str, &Person); 2],
    ) -> Result<Circle<'a>, Problem> {
        house.travel(FIRST_WEEK, 0)?;
        let group = house.post(
            administrator,
            &format!("/v1/organizations/{organization}/groups"),
            &json!({
                "kind": "peer_led", "title": "Evening Circle", "conditions": ["depression"], "format": "in_person",
                "public_description": "People who know low seasons meet every week. Free, no sign-up.",
                "place": "Harbour Street Library, reading room", "language": "en", "zone": ZONE, "open_to_joining": true
            }),
        )?;
        let group = group.id();
        let robin = house.person("Robin Vale", "robin.vale", "steward and member of the peer-led group")?;
        let sky = house.person("Sky Alder", "sky.alder", "steward and member of the peer-led group")?;
        for steward in [&robin, &sky] {
            house.appoint(administrator, &group, steward, &json!({"standing": "steward"}))?;
        }
        let kit =
            house.person("Kit Rowe", "kit.rowe", "facilitator of the peer-led group until it decided otherwise")?;
        house.appoint(&robin, &group, &kit, &json!({"standing": "facilitator"}))?;
        house.open_group(&robin, &group)?;
        let rules = house.post(&robin, &format!("/v1/groups/{group}/agreements"), &rules(1))?.id();
        let nico = house.person("Nico", "nico.bell", "member of the peer-led group; facilitates today")?;
        let wren = house.person("Wren", "wren.hall", "member of the peer-led group")?;
        let lou = house.person("Lou", "lou.marsh", "member of the peer-led group")?;
        let [(first_name, first), (second_name, second)] = of_both;
        let mut circle = Circle { house, group, rules, peers: Vec::new(), kit, report: String::new() };
        for (name, person, mood, every, visibility) in [
            ("Robin", robin, [4, 5, 1], 4, "group"),
            ("Sky", sky, [5, 5, 1], 6, "only_me"),
            (first_name, first.clone(), [2, 5, 2], 2, "facilitator"),
            (second_name, second.clone(), [3, 5, 1], 3, "only_me"),
            ("Nico", nico, [3, 4, 2], 2, "group"),
            ("Wren", wren, [2, 4, 1], 1, "only_me"),
            ("Lou", lou, [4, 6, 1], 5, "facilitator"),
        ] {
            circle.welcome(name, person, mood, every, visibility)?;
        }
        Ok(circle)
    }

    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.peers.iter().map(|peer| &peer.person).chain([&self.kit])
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/groups/{}{rest}", self.group)
    }

    fn robin(&self) -> &Person {
        &self.peers[0].person
    }

    pub fn sky(&self) -> &Person {
        &self.peers[1].person
    }

    /// Invited by Robin, and Robin by Sky: nobody accepts a code of their own making.
    fn welcome(
        &mut self,
        name: &str,
        person: Person,
        mood: [i64; 3],
        every: i64,
        visibility: &'static str,
    ) -> Result<(), Problem> {
        let by = self.peers.first().map_or_else(|| self.kit.clone(), |robin| robin.person.clone());
        let member = self.house.member(&by, &self.group, name, Some(&person), &["active"])?;
        self.accept_rules(&person)?;
        let willing = json!({"willing": true, "absences": []});
        self.house.ask(&person, Method::PUT, &self.path("/availability"), None, &willing)?;
        self.peers.push(Peer { person, member, mood, every, visibility });
        Ok(())
    }

    fn accept_rules(&self, person: &Person) -> Result<(), Problem> {
        let signatures = self.path(&format!("/agreements/{}/signatures", self.rules));
        self.house.post(person, &signatures, &json!({})).map(drop)
    }

    pub fn live_through(&mut self, week: i64) -> Result<(), Problem> {
        let house = self.house;
        // Two days after the clinic's group.
        let starts = moment(&house.evening_of(week)?.checked_add(2.days()).map_err(out_of_time)?);
        house.travel_to(starts.plus_minutes(-20 * 60));
        let turn = (week - FIRST_WEEK) as usize;
        let (session, by) = self.plan(starts, turn)?;
        house.travel_to(starts.plus_minutes(MINUTES + 20));
        self.record(&by, &session, starts, 6 + (turn * 5 % 7) as i64)?;
        for index in 0..self.peers.len() {
            self.check_in(index, week)?;
        }
        self.talk(week)?;
        match week {
            NEW_RULES_WEEK => self.renew_rules(),
            REPORTED_WEEK => self.report(),
            FOUND_WEEK => self.find_and_ask(),
            DECIDED_WEEK | CLOSED_WEEK => self.close_report(),
            _ => Ok(()),
        }
    }

    /// A meeting with somebody to lead it, who agreed to.
    fn plan(&self, starts_at: Moment, turn: usize) -> Result<(String, Person), Problem> {
        let (house, robin) = (self.house, self.robin());
        let local = starts_at.timestamp().in_tz(ZONE).map_err(out_of_time)?.strftime("%Y-%m-%dT%H:%M").to_string();
        let plan = json!({"title": "Circle", "starts_local": local, "minutes": MINUTES});
        let session = house.post(robin, &self.path("/sessions"), &plan)?.id();
        let next = &self.peers[turn % self.peers.len()];
        let offers = self.path(&format!("/sessions/{session}/offers"));
        let offer = house.post(robin, &offers, &json!({"to": next.member}))?.id();
        house.post(&next.person, &self.path(&format!("/offers/{offer}/answer")), &json!({"accept": true}))?;
        Ok((session, next.person.clone()))
    }

    /// Heads alone: no row says who was there.
    fn record(&self, by: &Person, session: &str, from: Moment, heads: i64) -> Result<(), Problem> {
        let place = self.path(&format!("/sessions/{session}"));
        let meeting = json!({
            "held_from": from, "held_until": from.plus_minutes(MINUTES), "heads": heads,
            "rules": {"agreement": self.rules, "acknowledged": heads - heads % 3}
        });
        self.house.change(by, Method::PUT, &place, "/meeting", &meeting).map(drop)
    }

    fn check_in(&self, index: usize, week: i64) -> Result<(), Problem> {
        let peer = &self.peers[index];
        let turn = week - FIRST_WEEK;
        if (turn + index as i64) % peer.every != 0 {
            return Ok(());
        }
        let [begins, ends, swing] = peer.mood;
        let course = begins * 50 + (ends - begins) * turn;
        let mood = (course / 50 + (turn * 7 + index as i64 * 3) % (2 * swing + 1) - swing).clamp(1, 7);
        let said = json!({
            "mood": MOODS[(mood - 1) as usize], "words": WORDS[((mood - 1) / 2) as usize],
            "connection": (mood + turn / 20).min(10), "hope": mood, "belonging": (mood + turn / 15).min(10),
            "shame": (8 - mood).max(0), "visibility": peer.visibility, "occasion": "at"
        });
        self.house.post(&peer.person, &self.path("/check-ins"), &said).map(drop)
    }

    /// What the circle wants to talk about, and what helped somebody.
    fn talk(&self, week: i64) -> Result<(), Problem> {
        const TOPICS: [(i64, usize, &str); 4] = [
            (-36, 4, "How to answer \"how are you\""),
            (-8, 5, "Asking for help before it is late"),
            (6, 6, "Evenings alone"),
            (9, 2, "When a friend goes quiet"),
        ];
        const TIPS: [(i64, usize, &str); 3] = [
            (-30, 1, "A walk before breakfast, whatever the weather."),
            (-5, 4, "I keep a list of three people I can ring, on paper, on the fridge."),
            (8, 6, "The library lends daylight lamps for a month."),
        ];
        for (_, index, text) in TOPICS.iter().filter(|(of, ..)| *of == week) {
            let topic =
                self.house.post(&self.peers[*index].person, &self.path("/topics"), &json!({"text": text}))?.id();
            for supporter in self.peers.iter().skip(index % 3).step_by(2) {
                let support = self.path(&format!("/topics/{topic}/support"));
                self.house.ask(&supporter.person, Method::PUT, &support, None, &Value::Null)?;
            }
        }
        for (_, index, text) in TIPS.iter().filter(|(of, ..)| *of == week) {
            self.house.post(&self.peers[*index].person, &self.path("/tips"), &json!({"text": text}))?;
        }
        Ok(())
    }

    fn renew_rules(&mut self) -> Result<(), Problem> {
        self.rules = self.house.post(self.robin(), &self.path("/agreements"), &rules(2))?.id();
        for peer in &self.peers {
            self.accept_rules(&peer.person)?;
        }
        Ok(())
    }

    fn report(&mut self) -> Result<(), Problem> {
        let wren = &self.peers[5].person;
        let report = json!({
            "about": {"name": "Kit Rowe"},
            "text": "Kit spoke about one of us by name at work. I heard it from somebody who is not in the circle."
        });
        self.report = self.house.post(wren, &self.path("/breach-reports"), &report)?.id();
        Ok(())
    }

    fn find_and_ask(&self) -> Result<(), Problem> {
        let house = self.house;
        let told = json!({"text": "It is said that somebody was named outside who is known from here."});
        self.handle("/telling", &told)?;
        let finding = json!({"finding": "breach", "text": "Kit says that it happened, and that it will happen again."});
        self.handle("/finding", &finding)?;
        let ask = json!({
            "closes_at": house.db.clock.now().plus_days(5), "question": "Somebody was named outside. What follows?",
            "options": ["no_consequence", "note", "removal"]
        });
        let decision = self.handle("/decision", &ask)?.body["decision"]["id"].as_str().unwrap_or_default().to_owned();
        for (index, peer) in self.peers.iter().enumerate().skip(1) {
            let choice = json!({"choice": if index == 3 { "note" } else { "removal" }});
            house.post(&peer.person, &self.path(&format!("/decisions/{decision}/ballots")), &choice)?;
        }
        Ok(())
    }

    /// The vote first, and the case when nobody can appeal any more.
    fn close_report(&self) -> Result<(), Problem> {
        self.handle("/closing", &json!({})).map(drop)
    }

    fn handle(&self, step: &str, body: &Value) -> Result<Answer, Problem> {
        let place = self.path(&format!("/breach-reports/{}", self.report));
        self.house.change(self.robin(), Method::POST, &place, step, body)
    }

    /// Today's meeting began a while ago, and three more are to come. Returns today's.
    pub fn plan_last(&self) -> Result<String, Problem> {
        let house = self.house;
        let now = house.real_now();
        house.travel_to(now.plus_minutes(-BEGAN_MINUTES_AGO - 60));
        let began = Moment(now.plus_minutes(-BEGAN_MINUTES_AGO).0 / 60_000 * 60_000);
        let (session, _) = self.plan(began, 4)?;
        for weeks in 1..=3 {
            let starts = began.plus_days(7 * weeks);
            let local = starts.timestamp().in_tz(ZONE).map_err(out_of_time)?.strftime("%Y-%m-%dT%H:%M").to_string();
            let plan = json!({"title": "Circle", "starts_local": local, "minutes": MINUTES});
            house.post(self.robin(), &self.path("/sessions"), &plan)?;
        }
        Ok(session)
    }
}

fn rules(version: i32) -> Value {
    let first = "We speak of ourselves. We ask before we advise. What we hear we try to keep here; nobody can promise \
                 it. Passing is always an answer.";
    let text = match version {
        1 => first.to_owned(),
        _ => format!("{first} Phones stay in the bag."),
    };
    json!({"purpose": "ground_rules", "title": "Our ground rules", "text": text, "must_sign_again": version > 1})
}
