//! The demo: its year can be lived through on whatever day and at whatever hour somebody starts it.

use circlekeeper::{
    config::ServerConfig,
    demo,
    store::connection::{Clock, Db},
};

use crate::harness::{fresh_database, masters};

#[test]
fn the_demo_can_be_started_at_any_time() {
    // Hours from now: other times of the day, and days on which clocks were or will be changed in between.
    for hours in [0, 7, 15, 24 * 110, 24 * 250] {
        let (location, _directory) = fresh_database();
        let clock = Clock::default();
        clock.shift(hours * 60 * 60 * 1000);
        let db = Db::open(&location, masters(), clock.clone()).expect("the database opens");
        let before = clock.now();
        let story = demo::fill(&db, &ServerConfig::default())
            .unwrap_or_else(|problem| panic!("{hours} hours from now: {problem:?}"));
        assert!((0..120).contains(&(clock.now().seconds() - before.seconds())), "the clock is not where it was");
        let told = story.told("127.0.0.1:8080".parse().unwrap());
        assert!(told.starts_with("listening on http://127.0.0.1:8080\n"), "{told}");
        assert!(told.lines().any(|line| line.starts_with("token (fuzz): ey")), "{told}");
    }
}
