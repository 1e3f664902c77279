//! A class for many, in the newest quarter that a report may show: enough people for numbers beside what is hidden.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::{FOUNDED_WEEK, House, LAST_WEEK, MINUTES, Person, ZONE, agenda, answers, attended, consent, moment};
use crate::{demo::course::Item, problem::Problem, rules::suppression::Quarter, values::Id};

/// How many weeks after the first evening the second was.
const BETWEEN_WEEKS: i64 = 6;

/// Scores of PHQ-9 on both evenings, and how many people had them; none on the second where they stayed away. By the
/// reliable change of the registry 13 recover, 7 improve, 4 stay as they were, 2 deteriorate, and of 3 it is not known.
const COURSES: [(i32, Option<i32>, usize); 5] =
    [(16, Some(6), 13), (21, Some(12), 7), (14, Some(13), 4), (12, Some(20), 2), (15, None, 3)];

const ITEMS: [Item; 2] = [
    super::course::item(
        "psychoeducation",
        "What low mood is, and what keeps it going",
        "imparting-information",
        60,
        None,
        60,
    ),
    super::course::item("closing-round", "One thing to take home", "hope", 20, None, 20),
];

pub struct Class<'a> {
    house: &'a House,
    leads: Person,
    /// The week of its first evening.
    week: i64,
    group: String,
    /// Each with the version since they joined.
    members: Vec<(String, Option<String>)>,
}

impl<'a> Class<'a> {
    /// The week of the first evening: the third of the newest quarter that may be shown.
    pub fn first_week(house: &House) -> i64 {
        let quarter = Quarter::newest_released(house.real_now().day_in("UTC"));
        let begin = quarter.begins_at(ZONE).unwrap_or(house.real_now()).plus_days(14);
        let weeks = (moment(&house.evening).0 - begin.0).div_euclid(7 * 24 * 60 * 60_000);
        (LAST_WEEK - weeks).max(FOUNDED_WEEK + 1)
    }

    /// Everybody joins on the evening before the first.
    pub fn begin(
        house: &'a House,
        by: &Person,
        leads: &Person,
        organization: Id,
        week: i64,
    ) -> Result<Class<'a>, Problem> {
        house.travel(week, -24 * 60)?;
        let body = json!({
            "kind": "therapist_led", "title": "Understanding low mood: a class", "conditions": ["depression"],
            "approaches": ["cbt"], "public_description": "Two evenings about low mood, for up to thirty people.",
            "format": "in_person", "place": "Lecture room", "language": "en", "zone": ZONE, "capacity": 30,
            "fee": {"minor": 2000, "currency": "USD", "period": "course"}, "insurance": "accepted"
        });
        let group = house.post(by, &format!("/v1/organizations/{organization}/groups"), &body)?.id();
        house.appoint(by, &group, leads, &json!({"standing": "therapist"}))?;
        house.open_group(by, &group)?;
        let consent = house.post(leads, &format!("/v1/groups/{group}/agreements"), &consent())?.id();
        let signatures = format!("/v1/groups/{group}/agreements/{consent}/signatures");
        let members_path = format!("/v1/groups/{group}/members");
        let people = COURSES.iter().map(|(.., people)| people).sum();
        let mut members = Vec::with_capacity(people);
        for number in 1..=people {
            let invited = house.post(leads, &members_path, &json!({"name": format!("Listener {number}")}))?;
            let member = invited.id();
            let moves = format!("{members_path}/{member}/moves");
            let active = json!({"state": "active"});
            let version = house.ask(leads, Method::POST, &moves, invited.version.as_deref(), &active)?.version;
            house.post(leads, &signatures, &json!({"member": member}))?;
            members.push((member, version));
        }
        Ok(Class { house, leads: leads.clone(), week, group, members })
    }

    pub fn live_through(&self, week: i64) -> Result<(), Problem> {
        if week == self.week {
            self.hold(week, |course| Some(course.0))?;
        }
        if week == self.week + BETWEEN_WEEKS {
            self.house.travel(week, -24 * 60)?;
            self.hold(week, |course| course.1)?;
        }
        Ok(())
    }

    fn hold(&self, week: i64, score: impl Fn(&(i32, Option<i32>, usize)) -> Option<i32>) -> Result<(), Problem> {
        let Class { house, leads, group, members, .. } = self;
        let number = if week == self.week { 1 } else { 2 };
        let session = house.plan(leads, group, week, &format!("Evening {number}"), agenda(&ITEMS))?;
        house.travel(week, MINUTES + 10)?;
        let from = moment(&house.evening_of(week)?);
        let scores = COURSES.iter().flat_map(|course| std::iter::repeat_n(score(course), course.2));
        let (mut attendance, mut measures) = (Vec::new(), Vec::new());
        for ((member, _), score) in members.iter().zip(scores) {
            attendance.push(attended(member, if score.is_some() { b'A' } else { b'N' }, from));
            measures.extend(score.map(|score| {
                let answers = answers("phq-9", &[3, 3, 2, 2, 1, 2, 2, 1], score);
                json!({"member": member, "instrument": "phq-9", "answers": answers})
            }));
        }
        let items: Vec<Value> = house.deliveries(leads, group, &session, &ITEMS)?;
        house.record(
            leads,
            group,
            &session,
            &json!({
                "held_from": from, "held_until": from.plus_minutes(MINUTES), "attendance": attendance,
                "measures": measures, "items": items, "session_record": "As planned.", "complete": true
            }),
        )?;
        if number == 2 {
            // The class is over for everybody at once.
            for (member, version) in members {
                let moves = format!("/v1/groups/{group}/members/{member}/moves");
                house.ask(leads, Method::POST, &moves, version.as_deref(), &json!({"state": "completed"}))?;
            }
            house.change(leads, Method::POST, &format!("/v1/groups/{group}"), "/closing", &Value::Null)?;
        }
        Ok(())
    }
}
