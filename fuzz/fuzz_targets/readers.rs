//! The small readers: Accept, ids, moments, local times with their zones, languages, codes, texts, master keys, passwords.
#![no_main]

use circlekeeper::{
    identity::{check_new_password, normalized},
    routes::command::weight,
    rules::{
        groups::{check_country, check_language, check_zone},
        sessions::instant,
    },
    store::{invitations::read_code, sealing::Masters},
    values::{Day, Id, Moment, Prose, Title},
};
use circlekeeper_fuzz::texts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let texts = texts(data);
    let text = texts[0];
    let other = texts.get(1).copied().unwrap_or_default();
    for media in ["application/json", "text/csv", other] {
        let (weighed, closeness) = weight(Some(text), media);
        assert!(weighed <= 1000 && closeness <= 2);
    }
    if let Ok(id) = text.parse::<Id>() {
        assert_eq!(id.to_string().parse::<Id>().expect("its own words"), id);
    }
    if let Ok(moment) = serde_json::from_value::<Moment>(text.into()) {
        let again: Moment =
            serde_json::from_value(serde_json::to_value(moment).expect("words")).expect("its own words");
        assert_eq!(again, moment);
        let _ = moment.day_in(other);
    }
    if let Ok(day) = text.parse::<Day>() {
        assert_eq!(day.to_string().parse::<Day>().expect("its own words"), day);
    }
    let _ = instant(text, other);
    let _ = instant("2026-03-29T02:30", text);
    let _ = (check_language(text, "/l"), check_zone(text, "/z"), check_country(text, "/c"));
    let code = read_code(text);
    assert_eq!(read_code(&code), code);
    if let Ok(title) = Title::new(text) {
        assert!(!title.as_str().chars().any(char::is_control) && title.as_str().trim() == title.as_str());
    }
    let _ = Prose::new(text);
    let _ = Masters::read(&text.to_owned().into());
    let folded = normalized(text);
    assert_eq!(normalized(&folded), folded);
    // Judging a password takes a while: only some of them.
    if data.len().is_multiple_of(8) {
        let _ = check_new_password(text, "/password", &[other]);
    }
});
