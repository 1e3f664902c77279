//! Crisis wording: who says it gets crisis lines, at once and alone; nobody else learns of it, and nothing is kept.

use circlekeeper::rules::crisis_wording::notice_for;
use serde_json::{Value, json};

use crate::{
    check_ins::{check_in, world_with_rules},
    harness::{Answer, Person, Server},
    scene::text,
};

const SAID: &str = "I do not know, I want to die.";
const UNSAID: &str = "I do not know, I want to eat.";

/// `[language, text]`: those with crisis wording, or those without.
fn cases(kind: &str) -> Vec<(String, String)> {
    let cases: Value = serde_json::from_str(include_str!("crisis-wording-cases.json")).expect("JSON");
    let pair = |case: &Value| (text(&case[0]), text(&case[1]));
    cases[kind].as_array().expect("cases").iter().map(pair).collect()
}

fn set_account(server: &Server, who: &Person, country: Option<&str>, language: &str) {
    let version = server.version(who, "/v1/account");
    let body = json!({"name": "Mira", "country": country, "language": language, "zone": "UTC"});
    server.change(who, "PUT", "/v1/account", &version, &body).expect(200);
}

fn lines(kept: &Value) -> Vec<Value> {
    kept["crisis_lines"].as_array().cloned().unwrap_or_default()
}

#[test]
fn trap_34_crisis_wording_is_told_from_what_only_looks_like_it() {
    let (with, without) = (cases("true"), cases("false"));
    for cases in [&with, &without] {
        assert!(cases.len() >= 60, "{} cases", cases.len());
        for language in ["en", "es", "de", "fr", "pt"] {
            assert!(cases.iter().filter(|(of, _)| of == language).count() >= 10, "{language}");
        }
    }
    let holds = |(language, text): &&(String, String)| notice_for([text.as_str()], language).is_some();
    let missed: Vec<_> = with.iter().filter(|case| !holds(case)).collect();
    let needless: Vec<_> = without.iter().filter(holds).collect();
    assert!(missed.is_empty() && needless.is_empty(), "missed: {missed:#?}\nneedless: {needless:#?}");
}

#[test]
fn no_pattern_of_the_file_is_written_so_that_it_never_matches() {
    let book: Value = serde_json::from_str(include_str!("../../data/crisis-wording.json")).expect("JSON");
    for language in book["languages"].as_array().expect("languages") {
        for list in ["phrases", "innocent", "links", "doubts"] {
            for pattern in language[list].as_array().expect("patterns").iter().map(text) {
                let is_word = |word: &str| !word.is_empty() && word.chars().all(char::is_alphanumeric);
                let is_element = |element: &str| {
                    let gap = element.strip_prefix("..").is_some_and(|words| words.parse::<usize>().is_ok());
                    let words = element.strip_suffix('?').unwrap_or(element);
                    gap || matches!(element, "," | "$") || words.split('|').all(is_word)
                };
                assert!(pattern.split(' ').all(is_element), "{list} of {}: {pattern}", language["language"]);
                assert!(pattern.starts_with(char::is_alphanumeric), "{pattern}");
            }
        }
    }
}

#[test]
fn no_spelling_hides_crisis_wording_and_no_part_of_a_word_is_one() {
    for text in [
        "I WANT TO DIE",
        "i  want \t to\n die",
        "I *want* to die!!!",
        "“I want to die”",
        "I’m done.I want to die",
        "I wa\u{200b}nt to d\u{00ad}ie",
        "ｉ ｗａｎｔ ｔｏ ｄｉｅ",
        "i want to dieeeeee",
        "I don`t want to be here anymore",
        "I don´t want to be here anymore",
        "I do not want to be here anymore",
        "SELF-HARM",
        "self\u{2011}harm",
        "not ok 😭 i want to die",
        "Never mind.\nI want to die",
        "(I want to die)",
    ] {
        assert!(notice_for([text], "en").is_some(), "{text:?}");
    }
    for (text, language) in [
        ("studied", "en"),
        ("I want to diet", "en"),
        ("homicides", "en"),
        ("We want two dies for the game", "en"),
        ("suicidesquadfan99", "en"),
        ("Die, die, die Gruppe", "de"),
        ("", "en"),
        ("…", "fr"),
        ("💔", "pt"),
        ("....,,,''''----", "es"),
    ] {
        assert!(notice_for([text], language).is_none(), "{text:?}");
    }
    // Long, and made to be slow: it answers all the same.
    let long = "want to not to never de la de la want ".repeat(130);
    assert!(notice_for([long.as_str()], "en").is_none());
}

#[test]
fn whoever_says_it_gets_lines_of_their_own_country_and_never_of_another() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let who = &peer.member.person;
    let say = || check_in(server, who, peer, json!({"text": SAID})).expect(201);
    for (country, only) in
        [(Some("US"), Some("US")), (Some("DE"), Some("DE")), (Some("NZ"), Some("NZ")), (Some("ZZ"), None), (None, None)]
    {
        set_account(server, who, country, "en");
        let lines = lines(&say());
        assert!(!lines.is_empty(), "{country:?}");
        let is_theirs = |line: &&Value| line["country"].is_null() || line["country"].as_str() == only;
        assert!(lines.iter().all(|line| is_theirs(&line)), "{country:?}: {lines:?}");
        assert_eq!(lines.iter().any(|line| line.to_string().contains("988")), country == Some("US"), "{lines:?}");
        assert!(lines.last().is_some_and(|line| line["country"].is_null()), "the directory comes last: {lines:?}");
    }
}

#[test]
fn the_kind_sentence_is_in_the_language_of_the_words() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let who = &peer.member.person;
    let notice = |body: Value| check_in(server, who, peer, body).expect(201)["crisis_notice"].clone();
    for (language, said, begins) in [
        ("en", "I want to die", "Nobody reads this"),
        ("en-GB", "I want to die", "Nobody reads this"),
        ("es-419", "Quiero morir", "Nadie lee esto"),
        ("de-CH", "Ich will sterben", "Niemand liest"),
        ("FR", "Je veux mourir", "Personne ne lit"),
        ("pt-BR", "Quero morrer", "Ninguém lê"),
        // A sign language stands for the language that its signers write in.
        ("gsg", "Ich will sterben", "Niemand liest"),
        ("sgn-bzs", "Quero morrer", "Ninguém lê"),
        // A language that is not known, and one that was not written in.
        ("it", "I want to die", "Nobody reads this"),
        ("en", "Quiero morir", "Nadie lee esto"),
        ("de", "I want to die", "Nobody reads this"),
    ] {
        let shown = notice(json!({"text": said, "language": language}));
        assert!(shown.as_str().is_some_and(|shown| shown.starts_with(begins)), "{language}, {said}: {shown}");
    }
    // The account's language, where none is said.
    set_account(server, who, None, "fr");
    assert!(notice(json!({"words": ["suicide"]})).as_str().is_some_and(|shown| shown.starts_with("Personne")));
    // Wherever it is said.
    set_account(server, who, None, "en");
    for body in [
        json!({"text": SAID}),
        json!({"need": "A way to stop wanting to hurt myself."}),
        json!({"words": ["calm", "Suicidal"]}),
        json!({"mood": "great", "text": SAID, "visibility": "group"}),
    ] {
        assert!(notice(body.clone()).is_string(), "{body}");
    }
    for body in [json!({"pass": true}), json!({"mood": "awful"}), json!({"text": UNSAID}), json!({"words": ["low"]})] {
        let kept = check_in(server, who, peer, body.clone()).expect(201);
        assert!(kept.get("crisis_notice").is_none() && kept.get("crisis_lines").is_none(), "{body}: {kept}");
    }
}

/// What can be seen of an answer without opening it.
fn outside(answer: &Answer) -> (u16, Vec<String>) {
    let names = answer.headers.keys().map(|name| name.as_str().to_owned());
    (answer.status, names.collect())
}

#[test]
fn a_retry_brings_the_lines_again_and_the_kept_answer_holds_nothing_of_them() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let who = &peer.member.person;
    set_account(server, who, Some("DE"), "en");
    let send = |key: &str, said: &str| {
        let request = server.request("POST", &peer.path("/check-ins")).token(&who.token);
        request.key(key).json(&json!({"text": said})).send()
    };
    let (first, other) = (send("with-crisis-1", SAID), send("without-it-01", UNSAID));
    assert_eq!(outside(&first), outside(&other));
    let (first, other) = (first.expect(201), other.expect(201));
    assert!(!lines(&first).is_empty() && lines(&other).is_empty());
    assert_eq!(send("with-crisis-1", SAID).expect(201), first);
    assert_eq!(send("without-it-01", UNSAID).expect(201), other);
    send("with-crisis-1", UNSAID).expect(422);
    // What is kept is as long for the one as for the other: neither the words nor the lines are in it.
    let Some(file) = server.location.file() else { return };
    use diesel::{Connection, QueryableByName, RunQueryDsl};
    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        size: i32,
    }
    let mut connection = diesel::SqliteConnection::establish(file).expect("the database opens");
    for sql in [
        "SELECT length(answer) AS size FROM idempotent_answers WHERE key IN ('with-crisis-1', 'without-it-01')",
        "SELECT length(content) AS size FROM check_ins",
    ] {
        let sizes: Vec<Kept> = diesel::sql_query(sql).load(&mut connection).expect("rows");
        assert_eq!((sizes.len(), sizes[0].size), (2, sizes[1].size), "{sql}");
        assert!(sizes[0].size < 700, "{sql}: {}", sizes[0].size);
    }
}

#[test]
fn nobody_else_is_told_and_nothing_is_flagged() {
    let world = world_with_rules();
    let (server, peer) = (&world.server, &world.peer);
    let who = &peer.member.person;
    let log = || {
        let path = format!("/v1/organizations/{}/access-log?limit=200", world.organization);
        let page = server.get(&world.privacy_officer, &path).expect(200);
        page["items"].as_array().map(Vec::len)
    };
    let entries = log();
    let id = text(&check_in(server, who, peer, json!({"text": SAID, "visibility": "group"})).expect(201)["id"]);
    // Reading the log is an entry of its own, and the only one.
    assert_eq!(log(), entries.map(|entries| entries + usize::from(entries > 0)));
    for reader in [&peer.second_member.person, &peer.lead] {
        let shared = server.get(reader, &peer.path("/shared-check-ins"));
        assert!(shared.text.contains("want to die"), "{}", shared.text);
        assert!(!shared.text.contains("crisis") && !shared.text.contains("flag"), "{}", shared.text);
    }
    // Nor is the author, when they read it again.
    for path in [format!("/check-ins/{id}"), "/check-ins".into()] {
        let own = server.get(who, &peer.path(&path));
        assert!(own.status == 200 && !own.text.contains("crisis"), "{}", own.text);
    }
    // The public page of crisis lines has a name of its own there, and nothing else has.
    let metrics = server.request("GET", "/metrics").send().text;
    let told: Vec<&str> =
        metrics.lines().filter(|line| line.contains("crisis") && !line.contains("/v1/crisis-lines\"")).collect();
    assert!(told.is_empty(), "{told:?}");
}
