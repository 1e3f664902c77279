//! Texts that a deployment supplies: what a pack must hold, what stops the start, and what clients are shown.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use circlekeeper::{config::ServerConfig, rules::instruments::*};
use serde_json::{Value, json};

use crate::harness::Server;

/// A pack that fits, with made-up words.
fn pack(id: &str) -> Value {
    let instrument = Registry::built_in().current(id).unwrap();
    let items: BTreeMap<&str, String> =
        instrument.items.iter().map(|item| (item.id.as_str(), format!("Words of {}", item.id))).collect();
    let labels = |options: &Vec<ResponseOption>| -> BTreeMap<String, String> {
        options.iter().map(|option| (option.value.to_string(), format!("Label {}", option.value))).collect()
    };
    let options: BTreeMap<&String, _> =
        instrument.response_sets.iter().map(|(list, options)| (list, labels(options))).collect();
    json!({
        "instrument": id, "version": instrument.version, "language": "en", "notice": "By permission.",
        "instructions": "Think of the last two weeks.", "items": items, "options": options
    })
}

fn supply(packs: &[Value]) -> Result<Registry, String> {
    let files: Vec<(String, String)> =
        packs.iter().enumerate().map(|(n, pack)| (format!("{n}.json"), pack.to_string())).collect();
    Registry::built_in().with_texts(&files).map_err(|error| error.to_string())
}

#[test]
fn every_instrument_whose_text_stays_out_takes_a_pack_and_scores_as_before() {
    for instrument in Registry::built_in().all() {
        let supplied = supply(&[pack(&instrument.id)]);
        if instrument.licence.class == LicenceClass::A {
            assert_eq!(supplied.err().unwrap(), format!("0.json: {} ships with its text already", instrument.id));
            continue;
        }
        let registry = supplied.unwrap();
        let with_text = registry.current(&instrument.id).unwrap();
        assert!(with_text.instructions.is_some() && with_text.items.iter().all(|item| item.text.is_some()));
        let mut labels = with_text.response_sets.values().flatten().map(|option| &option.label);
        assert!(labels.all(Option::is_some), "{}", instrument.id);
        assert_eq!(with_text.notice.as_deref(), Some("By permission."));
        for golden in &instrument.golden {
            assert_eq!(score(with_text, &golden.answers).as_ref(), Ok(&golden.expect), "{}", instrument.id);
        }
        // The built-in ones are as they were.
        assert_eq!(Registry::built_in().current(&instrument.id), Some(instrument));
    }
}

#[test]
fn a_pack_that_does_not_fit_is_refused_and_says_what_is_wrong() {
    type Change = fn(&mut Value);
    let changed = |change: Change| {
        let mut pack = pack("who-5");
        change(&mut pack);
        supply(&[pack]).err().unwrap()
    };
    let refused: [(Change, &str); 10] = [
        (|p| p["instrument"] = json!("who-6"), "0.json: who-6 version 1 is not in the registry"),
        (|p| p["version"] = json!("2"), "0.json: who-5 version 2 is not in the registry"),
        (|p| p["items"]["who-5.6"] = json!("More"), "0.json: who-5 has no item who-5.6"),
        (|p| drop(p["items"].as_object_mut().unwrap().remove("who-5.3")), "0.json: item who-5.3 has no text"),
        (|p| p["items"]["who-5.4"] = json!(" "), "0.json: item who-5.4 has no text"),
        (|p| p["options"]["often"] = json!({}), "0.json: who-5 has no list of options often"),
        (|p| p["options"]["time"]["6"] = json!("Beyond"), "0.json: list time has no option 6"),
        (
            |p| drop(p["options"]["time"].as_object_mut().unwrap().remove("2")),
            "0.json: option 2 of list time has no label",
        ),
        (|p| p["instructions"] = json!(""), "0.json: instructions must not be empty"),
        (|p| p["language"] = json!(""), "0.json: language must not be empty"),
    ];
    for (change, message) in refused {
        assert_eq!(changed(change), message);
    }
    assert!(changed(|p| p["scoring"] = json!({"kind": "sum"})).contains("unknown field `scoring`"));
    let twice = supply(&[pack("isi"), pack("isi")]).err().unwrap();
    assert_eq!(twice, "1.json: isi version 1 stands in another file too");
}

/// The program, told to serve with the packs of this folder, on a database that is not there yet.
fn serve(directory: &Path, texts: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_circlekeeper"))
        .args(["serve", "--bind", "127.0.0.1:0", "--instrument-texts"])
        .arg(texts)
        .current_dir(directory)
        .env_remove("DATABASE_URL")
        .env_remove("CIRCLEKEEPER_MASTER_KEY")
        .env_remove("CIRCLEKEEPER_MASTER_KEY_FILE")
        .output()
        .expect("the program runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_bad_pack_stops_the_start_with_its_file_and_its_item_and_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let texts = directory.path().join("texts");
    let refuses = |words: &[&str]| {
        let (code, said) = serve(directory.path(), &texts);
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.starts_with("circlekeeper: ") && words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!directory.path().join("circlekeeper.db").exists());
    };
    refuses(&["texts"]);
    fs::create_dir(&texts).unwrap();
    refuses(&["texts", "holds no text pack"]);
    fs::write(texts.join("licence.txt"), "Not a pack.").unwrap();
    fs::write(texts.join("isi.json"), pack("isi").to_string()).unwrap();
    let mut bad = pack("who-5");
    bad["items"]["who-5.6"] = json!("More");
    fs::write(texts.join("who-5.json"), bad.to_string()).unwrap();
    refuses(&["who-5.json", "who-5.6"]);
    fs::write(texts.join("who-5.json"), "{").unwrap();
    refuses(&["who-5.json", "cannot be read"]);
}

#[test]
fn supplied_texts_are_shown_and_the_others_stay_out() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("isi.json"), pack("isi").to_string()).unwrap();
    let instrument_texts = Some(directory.path().to_path_buf());
    let server = Server::start_with(ServerConfig { instrument_texts, ..ServerConfig::default() });
    let read = |id: &str| server.request("GET", &format!("/v1/instruments/{id}")).send().expect(200);
    let isi = read("isi");
    assert_eq!(isi["items"][0]["text"], json!("Words of isi.1"));
    assert_eq!(isi["response_sets"]["severity"][4]["label"], json!("Label 4"));
    assert_eq!((&isi["notice"], &isi["licence"]["class"]), (&json!("By permission."), &json!("C")));
    let who_5 = read("who-5");
    assert_eq!(who_5["items"][0].get("text"), Some(&Value::Null));
    assert_eq!(who_5["items"][1]["about"], json!("Calm"));
}
