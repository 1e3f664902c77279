//! The demo: its year can be lived through on whatever day and at whatever hour somebody starts it.

use circlekeeper::{
    config::ServerConfig,
    demo,
    store::connection::{Clock, Db},
    values::Moment,
};
use expect_test::expect_file;
use serde_json::json;

use crate::harness::{PASSWORD, Server, fresh_database, masters};

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

#[test]
fn the_demos_outcome_report_shows_numbers_and_hides_the_small_ones() {
    let (location, directory) = fresh_database();
    let db = Db::open(&location, masters(), Clock::default()).expect("the database opens");
    demo::fill(&db, &ServerConfig::default()).unwrap_or_else(|problem| panic!("{problem:?}"));
    let server = Server::start_on(location, directory, ServerConfig::default());
    let sign_in = json!({"sign_in_name": "morgan.hale", "password": PASSWORD});
    let token = server.request("POST", "/v1/tokens").json(&sign_in).send().expect(201)["access_token"].clone();
    let get = |path: &str| server.request("GET", path).token(token.as_str().expect("a token")).send().expect(200);
    let organization = get("/v1/account/standings")["items"][0]["organization"].clone();
    let organization = organization.as_str().expect("an organization");
    let report = get(&format!("/v1/organizations/{organization}/outcome-report"))["report"].clone();
    assert_eq!(report["kinds"][0]["people"]["count"], 29);
    assert_eq!(report["kinds"][0]["visits"]["suppressed"], "small_count", "three were absent");
    let instruments = report["instruments"].as_array().expect("instruments");
    let phq = instruments.iter().find(|instrument| instrument["instrument"] == "phq-9").expect("the PHQ-9");
    let counts: Vec<_> =
        phq["rows"][0]["states"].as_array().expect("states").iter().map(|state| state["count"].as_u64()).collect();
    assert_eq!(counts, [Some(13), None, None, None, Some(0), None]);
    assert_eq!(report["kinds"][1]["people"], json!(null));
    // Hardly anybody answered the others, or nobody: which of both is not told.
    for instrument in instruments.iter().filter(|instrument| instrument["instrument"] != "phq-9") {
        let states = instrument["rows"][0]["states"].as_array().expect("states");
        assert!(states.iter().all(|state| state["suppressed"] == "small_count"), "{instrument}");
    }
}

#[test]
fn the_picture_of_the_readme_is_what_the_demo_gives_now() {
    // 2026-11-24T15:00:00Z: the picture names days, so the year is lived through up to the same one each time.
    const TODAY: Moment = Moment(1_795_532_400_000);
    let (location, directory) = fresh_database();
    let clock = Clock::default();
    clock.shift(TODAY.0 - clock.now().0);
    let db = Db::open(&location, masters(), clock).expect("the database opens");
    demo::fill(&db, &ServerConfig::default()).expect("the demo is filled");
    drop(db);
    let server = Server::start_on(location, directory, ServerConfig::default());
    server.db.clock.shift(TODAY.0 - server.db.clock.now().0);
    // The password of the demo is that of the tests.
    let body = json!({"sign_in_name": "ari.finch", "password": PASSWORD});
    let token = server.request("POST", "/v1/tokens").json(&body).send().expect(201);
    let token = token["access_token"].as_str().expect("a token");
    let drawn = server.request("GET", "/v1/account/progress").token(token).header("accept", "image/svg+xml").send();
    assert_eq!(drawn.status, 200, "{}", drawn.text);
    expect_file!["../../docs/progress.svg"].assert_eq(&drawn.text);
}
