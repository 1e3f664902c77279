//! The server's clock steps back an hour and a day, and crosses both changes of summer time while it serves.

use std::collections::HashSet;

use circlekeeper::store::connection::Clock;
use serde_json::json;

use crate::{
    harness::{Client, Database, Engine, Request, Run, figure, text},
    stage::{Group, PASSWORD, Person, Size, Stage, with_server_of},
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Zone, local time, and the instant that is meant (RFC 5545, 3.3.5): in the gap the offset before it counts, in the overlap
/// the first of the two.
const CHANGES: [(&str, &str, &str); 8] = [
    ("America/Chicago", "2027-03-14T01:59", "2027-03-14T07:59:00"),
    ("America/Chicago", "2027-03-14T02:30", "2027-03-14T08:30:00"),
    ("America/Chicago", "2027-03-14T03:30", "2027-03-14T08:30:00"),
    ("America/Chicago", "2027-11-07T01:30", "2027-11-07T06:30:00"),
    ("America/Chicago", "2027-11-07T02:30", "2027-11-07T08:30:00"),
    ("Europe/London", "2027-03-28T01:30", "2027-03-28T01:30:00"),
    ("Europe/London", "2027-10-31T01:30", "2027-10-31T00:30:00"),
    ("Australia/Lord_Howe", "2027-10-03T02:15", "2027-10-02T15:45:00"),
];

pub fn prove(run: &Run, engine: Engine) -> String {
    let each = run.size(15, 300);
    let database = Database::fresh(engine);
    let mut stage = Stage::build(&database, Size { led: 1, peer: 1, leads: 1, members: 3 });
    let mut found = None;
    with_server_of(&database.location(), 0, |address, clock| {
        found = Some(Course { client: Client::new(address), clock, made: Vec::new() }.run(&mut stage, each));
    });
    let made = found.expect("the server answered");
    let log = database.verify_log().unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(database.sql().faults(), Vec::<String>::new());
    format!(
        "{} check-ins before and after steps of an hour and a day back, and across both changes of summer time: ids unique, \
         pages complete, each retry the same; {} wall times of days with a change right; a pause after wrong passwords ends \
         within five minutes on the new clock, tokens go on and end when the sign-in does; log whole ({log})",
        figure(made),
        CHANGES.len()
    )
}

struct Course<'a> {
    client: Client,
    clock: &'a Clock,
    made: Vec<String>,
}

impl Course<'_> {
    fn run(mut self, stage: &mut Stage, each: usize) -> usize {
        let circle = stage.peer[0].clone();
        let (mut writer, mut wrong, mut lead) =
            (circle.members[0].clone(), circle.members[1].clone(), stage.led[0].lead().clone());
        writer.sign_in(&mut self.client);
        self.write(&circle, &writer, each);
        for step in [HOUR, DAY] {
            self.fail_to_sign_in(&wrong);
            self.clock.shift(-step);
            self.write(&circle, &writer, each);
            self.refresh(&mut writer);
            self.write(&circle, &writer, each);
            self.read_all(&circle, &writer);
            // The pause that was set by the clock of before must not last as long as the clock was off.
            self.clock.shift(5 * MINUTE + 1000);
            wrong.sign_in(&mut self.client);
            self.clock.shift(step - 5 * MINUTE - 1000);
        }
        // Twelve hours after it began, and whatever the clock did meanwhile, a sign-in has ended.
        self.clock.shift(12 * HOUR + MINUTE);
        let spent = Request::post("/v1/tokens/refresh", &json!({"refresh_token": writer.refresh_token}));
        assert_eq!(self.client.ask(&spent).status, 401, "a sign-in lives for ever");
        for (before, _) in [("2027-03-14T07:55:00Z", 0), ("2027-11-07T05:55:00Z", 1)] {
            self.travel_to(before);
            writer.sign_in(&mut self.client);
            // Past the change, a few minutes at a time, and back over it.
            for step in [0, 10, 60, -65, 70] {
                self.clock.shift(step * MINUTE);
                self.write(&circle, &writer, each / 5 + 1);
            }
            self.read_all(&circle, &writer);
        }
        self.travel_to("2026-12-01T12:00:00Z");
        lead.sign_in(&mut self.client);
        for (zone, wall, instant) in CHANGES {
            let plan = json!({"starts_local": wall, "zone": zone, "minutes": 60});
            let planned =
                self.client.ask(&Request::post(stage.led[0].path("/sessions"), &plan).by(&lead.token)).expect(201);
            assert!(text(&planned["starts_at"]).starts_with(instant), "{zone} {wall}: {planned}");
            assert_eq!(planned["starts_local"], wall, "{planned}");
        }
        self.made.len()
    }

    fn travel_to(&self, moment: &str) {
        let to: jiff::Timestamp = moment.parse().expect("a moment");
        self.clock.shift(to.as_millisecond() - self.clock.now().0);
    }

    fn write(&mut self, circle: &Group, who: &Person, count: usize) {
        for number in 0..count {
            let body = json!({"mood": "okay", "zone": "America/Chicago", "text": format!("Evening {number}.")});
            let key = format!("stepping-{}", self.made.len());
            let request = Request::post(circle.path("/check-ins"), &body).by(&who.token).key(key);
            let id = self.client.ask(&request).made();
            assert_eq!(self.client.ask(&request).made(), id, "sent again");
            self.made.push(id);
        }
    }

    /// Every page of the list holds what it should, each check-in once.
    fn read_all(&mut self, circle: &Group, who: &Person) {
        let mut seen = Vec::new();
        let mut path = circle.path("/check-ins?limit=7");
        loop {
            let page = self.client.ask(&Request::get(&path).by(&who.token)).expect(200);
            seen.extend(page["items"].as_array().expect("a page").iter().map(|one| text(&one["id"])));
            let Some(next) = page["next"].as_str() else { break };
            path = circle.path(&format!("/check-ins?limit=7&cursor={next}"));
        }
        let unique: HashSet<&String> = seen.iter().collect();
        assert_eq!(unique.len(), seen.len(), "one stands on two pages");
        assert_eq!(unique, self.made.iter().collect(), "the pages are not complete");
    }

    fn fail_to_sign_in(&mut self, who: &Person) {
        let wrong = json!({"sign_in_name": who.sign_in_name, "password": format!("{PASSWORD} no")});
        let statuses: Vec<u16> =
            (0..12).map(|_| self.client.ask(&Request::post("/v1/tokens", &wrong)).status).collect();
        assert!(statuses.contains(&429), "{statuses:?}");
    }

    fn refresh(&mut self, who: &mut Person) {
        let request = Request::post("/v1/tokens/refresh", &json!({"refresh_token": who.refresh_token}));
        let pair = self.client.ask(&request).expect(201);
        who.token = text(&pair["access_token"]);
        who.refresh_token = text(&pair["refresh_token"]);
    }
}
