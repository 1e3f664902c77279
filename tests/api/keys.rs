//! Master keys: where they come from, their change while servers run, and keys that are destroyed in older copies too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use circlekeeper::{
    config::{ServerConfig, add_master},
    store::{
        backup, keys,
        master_keys::{KeySource, LiveMasters},
        sealing::Masters,
    },
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::{
    access_log::literal,
    command_line::{fails, program, run, succeeds},
    harness::{MASTER, Server, embedded, fresh_database},
    leaving::found,
    scene::text,
    world::{Member, World},
};

/// Another line, and a third.
const SECOND: &str = "second:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
const THIRD: &str = "third:/x4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

fn config() -> ServerConfig {
    ServerConfig { hashing: Some(1), access_minutes: 7 * 24 * 60, ..ServerConfig::default() }
}

fn live(file: &Path) -> LiveMasters {
    LiveMasters::of(KeySource::File(file.to_owned())).expect("the master keys")
}

fn key_file(directory: &Path, lines: &[&str]) -> PathBuf {
    let file = directory.join("master.key");
    fs::write(&file, format!("{}\n", lines.join("\n"))).expect("a key file");
    file
}

/// The master that a token names.
fn kid(token: &str) -> String {
    let header = BASE64URL_NOPAD.decode(token.split('.').next().expect("a header").as_bytes()).expect("base64url");
    text(&serde_json::from_slice::<Value>(&header).expect("JSON")["kid"])
}

#[test]
fn a_rotation_stops_no_server_and_ends_no_sign_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = key_file(directory.path(), &[MASTER]);
    let (location, database) = fresh_database();
    let first = Server::start_under(live(&file), location.clone(), database, config());
    let second = Server::start_under(live(&file), location.clone(), None, config());
    let before = first.account("Before");
    assert_eq!(kid(&before.token), "test");

    // The first server reads the new line, the second has not heard of it.
    let newest = add_master(&file).expect("a new key");
    first.db.masters().read_again();
    assert_eq!(second.db.masters().now().newest(), "test");
    let after = first.account("After");
    assert_eq!(kid(&after.token), newest);
    // A key wrapped under the new master is met first, under a token that the second server signed itself.
    let token = second.token_of(second.sign_in(before.id));
    assert_eq!(kid(&token), "test");
    let known = second.token_of(after.caller);
    assert_eq!((kid(&known), second.db.masters().now().newest()), ("test".into(), "test"));
    assert_eq!(second.request("GET", "/v1/account").token(&known).send().expect(200)["name"], "After");
    assert_eq!(second.db.masters().now().newest(), newest, "it read the source again at once");
    for server in [&first, &second] {
        for token in [&before.token, &token, &after.token] {
            server.request("GET", "/v1/account").token(token).send().expect(200);
        }
    }
    // Once more, and this time a token of the new master is what the second server meets first.
    let newest = add_master(&file).expect("a new key");
    first.db.masters().read_again();
    let token = first.token_of(before.caller);
    assert_eq!(kid(&token), newest);
    second.request("GET", "/v1/account").token(&token).send().expect(200);
    assert_eq!(second.db.masters().now().newest(), newest);

    // Everything is wrapped anew; a second run finds nothing to do.
    let masters = KeySource::File(file.clone()).read().expect("the keys");
    let done = keys::rewrap(&location, &masters).expect("wrapped anew");
    assert!(done.keys >= 3 && done.under_others.is_empty(), "{done:?}");
    assert_eq!(keys::rewrap(&location, &masters).expect("wrapped anew").keys, 0);
    let lines = fs::read_to_string(&file).expect("the lines");
    let line = lines.lines().next().expect("a line");
    // Only the newest line is left: nothing needs the others, and their tokens count no longer.
    fs::write(&file, line).expect("written");
    for server in [&first, &second] {
        server.db.masters().read_again();
        server.request("GET", "/v1/account").token(&before.token).send().expect(401);
        server.request("GET", "/v1/account").token(&token).send().expect(200);
        server.get(&server.again(&after), "/v1/account").expect(200);
    }
    let restarted = Server::start_under(live(&file), location.clone(), None, config());
    assert_eq!(restarted.get(&restarted.again(&before), "/v1/account").expect(200)["name"], "Before");
}

#[test]
fn a_key_made_under_the_former_master_meanwhile_is_found_by_the_next_run() {
    let (location, database) = fresh_database();
    // This server never hears of another master.
    let late = Server::start_on(location.clone(), database, config());
    late.account("First");
    let both = || Masters::read(&format!("{SECOND}\n{MASTER}").into()).expect("two keys");
    // Opens with the newest alone, and so cannot say what it does not know.
    let alone = Masters::read(&SECOND.to_owned().into()).expect("a key");
    let done = keys::rewrap(&location, &alone).expect("a look");
    assert_eq!((done.keys, &done.unknown[..]), (0, &["test".to_owned()][..]));
    let done = keys::rewrap(&location, &both()).expect("wrapped anew");
    assert!(done.keys > 1 && done.under_others.is_empty(), "{done:?}");
    late.account("Late");
    let under_others = || keys::rewrap(&location, &alone).expect("a look").under_others;
    assert_eq!(under_others(), [("test".to_owned(), 1)].into());
    assert_eq!(keys::rewrap(&location, &both()).expect("wrapped anew").keys, 1);
    assert_eq!(under_others(), [].into());
}

#[test]
fn keys_are_wrapped_anew_while_servers_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = key_file(directory.path(), &[MASTER]);
    let (location, database) = fresh_database();
    let server = Server::start_under(live(&file), location.clone(), database, config());
    let people: Vec<_> = (0..4).map(|number| server.account(&format!("Writer {number}"))).collect();
    let newest = add_master(&file).expect("a new key");
    let masters = KeySource::File(file.clone()).read().expect("the keys");
    let made = std::thread::scope(|scope| {
        let writers: Vec<_> = people
            .iter()
            .map(|person| {
                let server = &server;
                scope.spawn(move || {
                    (0..8).map(|number| server.account(&format!("{} {number}", person.name))).collect::<Vec<_>>()
                })
            })
            .collect();
        for _ in 0..5 {
            keys::rewrap(&location, &masters).expect("wrapped anew");
        }
        writers.into_iter().flat_map(|writer| writer.join().expect("accounts")).collect::<Vec<_>>()
    });
    server.db.masters().read_again();
    let done = keys::rewrap(&location, &masters).expect("wrapped anew");
    assert_eq!((done.newest.as_str(), done.under_others.len()), (newest.as_str(), 0));
    fs::write(&file, fs::read_to_string(&file).expect("the lines").lines().next().expect("a line")).expect("written");
    let restarted = Server::start_under(live(&file), location, None, config());
    for person in people.iter().chain(&made) {
        assert_eq!(restarted.get(&restarted.again(person), "/v1/account").expect(200)["name"], person.name);
    }
}

#[test]
fn a_source_that_cannot_be_read_leaves_the_masters_as_they_were() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = key_file(directory.path(), &[SECOND, MASTER]);
    let (location, database) = fresh_database();
    let server = Server::start_under(live(&file), location.clone(), database, config());
    let person = server.account("Steady");
    let names = || server.db.masters().now().names().map(str::to_owned).collect::<Vec<_>>();
    let other_key = SECOND.replace("second", "test");
    let broken =
        [&SECOND[..20], "", "second", &format!("{other_key}\n{SECOND}"), &format!("{SECOND}\n{SECOND}"), "k1:AAAA"];
    for lines in broken {
        fs::write(&file, lines).expect("written");
        server.db.masters().read_again();
        assert_eq!(names(), ["second", "test"], "{lines}");
        server.get(&person, "/v1/account").expect(200);
    }
    fs::remove_file(&file).expect("removed");
    server.db.masters().read_again();
    server.get(&person, "/v1/account").expect(200);
    // The newest line is taken away again, too early: what it wrapped opens here still, and it signs nothing any more.
    key_file(directory.path(), &[MASTER]);
    server.db.masters().read_again();
    assert_eq!(names(), ["test"]);
    server.request("GET", "/v1/account").token(&person.token).send().expect(401);
    let again = server.again(&person);
    assert_eq!(kid(&again.token), "test");
    server.get(&again, "/v1/account").expect(200);
    // Nor can the name come back with another key.
    key_file(directory.path(), &[MASTER, &THIRD.replace("third", "second")]);
    server.db.masters().read_again();
    assert_eq!(names(), ["test"]);
    // A server that starts now says which line is missing.
    let refused = circlekeeper::store::connection::Db::open(&location, live_of(MASTER), server.db.clock.clone());
    let problem = format!("{:?}", refused.err().expect("refused"));
    assert!(problem.contains("under the master key second"), "{problem}");
    // The way back is another order: the former one first, and everything wrapped anew.
    let back = Masters::read(&format!("{MASTER}\n{SECOND}").into()).expect("two keys");
    assert!(keys::rewrap(&location, &back).expect("wrapped anew").under_others.is_empty());
    circlekeeper::store::connection::Db::open(&location, live_of(MASTER), server.db.clock.clone()).expect("it opens");
}

fn live_of(lines: &str) -> LiveMasters {
    LiveMasters::of(KeySource::Lines(lines.to_owned().into())).expect("the master keys")
}

#[test]
fn made_up_key_names_do_not_make_the_source_run_all_the_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let runs = directory.path().join("runs");
    let script = directory.path().join("print-key");
    let lines = format!("echo x >> {}\necho '{MASTER}'\n", runs.display());
    fs::write(&script, lines).expect("a script");
    let (location, database) = fresh_database();
    let source = KeySource::Command(format!("sh {}", script.display()));
    let server = Server::start_under(LiveMasters::of(source).expect("a key"), location, database, config());
    let person = server.account("Steady");
    let rest = person.token.split_once('.').expect("a token").1;
    for number in 0..40 {
        let header = BASE64URL_NOPAD
            .encode(format!("{{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"made-up-{number}\"}}").as_bytes());
        server.request("GET", "/v1/account").token(&format!("{header}.{rest}")).send().expect(401);
    }
    server.get(&person, "/v1/account").expect(200);
    let runs = fs::read_to_string(runs).expect("the runs").lines().count();
    assert!((2..=8).contains(&runs), "once at the start, and once in two seconds: {runs}");
}

#[cfg(unix)]
#[test]
fn a_command_prints_the_master_key_or_is_refused_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let script = |name: &str, text: &str| fs::write(at.join(name), text).expect("a script");
    script("good", &format!("echo '{MASTER}'\n"));
    script("failing", &format!("echo '{MASTER}'; echo hidden-words >&2; exit 3\n"));
    script("silent", "echo\n");
    script("unreadable", "echo 'hidden-words:and more of them'\n");
    script("binary", "printf '\\377\\376'\n");
    script("hanging", &format!("echo '{MASTER}'; exec sleep 60\n"));
    let with = |command: &str| {
        let mut program = program(at);
        program.env("CIRCLEKEEPER_MASTER_KEY_COMMAND", command).arg("migrate");
        program.output().expect("the program runs")
    };
    let refused = |command: &str, words: &str| {
        let output = with(command);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("hidden") && !said.contains("AAEC"), "{said}");
        fails(output, words);
    };
    refused("sh failing", "the master key command failed: exit status: 3");
    refused("sh silent", "printed nothing");
    refused("sh unreadable", "the master key command is of no use: line 1");
    refused("sh binary", "no text");
    refused("no-such-program at all", "cannot be started");
    refused("  ", "is empty");
    refused("sh hanging", "did not end within 10 seconds");
    // No shell reads the words.
    refused("sh good; echo x", "failed");
    assert!(!at.join("circlekeeper.db").exists(), "nothing is made before there is a key");
    succeeds(with("sh good"));
    succeeds(run(at, &["migrate", "--master-key-command", "sh good"]));
    // One source: which of two would count is not for anybody to guess.
    let mut both = program(at);
    both.env("CIRCLEKEEPER_MASTER_KEY", MASTER).args(["migrate", "--master-key-command", "sh good"]);
    fails(both.output().expect("the program runs"), "CIRCLEKEEPER_MASTER_KEY and --master-key-command are named");
    let three = ["migrate", "--master-key-command", "sh good", "--master-key-file", "good"];
    fails(run(at, &three), "--master-key-file and --master-key-command are named");
}

#[cfg(unix)]
#[test]
fn a_key_file_gets_a_new_newest_line_and_keeps_its_rights() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let file = key_file(at, &[MASTER]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("rights");
    std::os::unix::fs::symlink(&file, at.join("link")).expect("a link");
    let said = succeeds(run(at, &["new-key", "--into", "link"]));
    let lines = fs::read_to_string(&file).expect("the file");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, MASTER));
    assert!(!said.contains(lines[0]) && said.contains(lines[0].split(':').next().expect("a name")), "{said}");
    assert_eq!(crate::command_line::mode(&file), 0o640);
    assert!(fs::symlink_metadata(at.join("link")).expect("a link").is_symlink());
    let mut left: Vec<_> = fs::read_dir(at).expect("entries").map(|entry| entry.expect("one").file_name()).collect();
    left.sort();
    assert_eq!(left, ["link", "master.key"]);
    fails(run(at, &["new-key", "--into", "nowhere"]), "nowhere");
    fs::write(at.join("other"), "no key at all\n").expect("a file");
    fails(run(at, &["new-key", "--into", "other"]), "has no name before a colon");
    assert_eq!(fs::read_to_string(at.join("other")).expect("the file"), "no key at all\n");
}

/// A member's check-in that their group's facilitator may read.
fn checked_in(world: &World, member: &Member, words: &str) -> String {
    let path = world.peer.path("/check-ins");
    let body = json!({"mood": "low", "text": words, "visibility": "only_me"});
    world.server.post(&member.person, &path, &body).made()
}

fn under_rules(world: &World) {
    let (server, peer) = (&world.server, &world.peer);
    let rules = json!({"purpose": "ground_rules", "title": "Rules", "text": "What is said here stays here."});
    let agreement = server.post(&peer.lead, &peer.path("/agreements"), &rules).made();
    for member in [&peer.member, &peer.second_member] {
        let signing = peer.path(&format!("/agreements/{agreement}/signatures"));
        server.post(&member.person, &signing, &json!({})).expect(201);
    }
}

#[test]
fn an_older_copy_opens_nothing_of_who_was_erased_and_everything_of_the_others() {
    let world = World::new();
    let (server, peer) = (&world.server, &world.peer);
    under_rules(&world);
    let (gone, kept) = (&peer.member, &peer.second_member);
    let (erased, stays) = (checked_in(&world, gone, "A heron stood there."), checked_in(&world, kept, "A kite flew."));
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let copy = at.join("older.db");
    backup::copy(&server.location, &copy).expect("a copy");
    let keys = backup::keys_beside(&copy);
    let file = key_file(at, &[MASTER]);
    let database = {
        use secrecy::ExposeSecret;
        server.location.url.expose_secret().to_owned()
    };
    let with = |arguments: &[&str]| {
        let mut program = program(at);
        program.env("DATABASE_URL", &database).env("CIRCLEKEEPER_MASTER_KEY_FILE", &file).args(arguments);
        program.output().expect("the program runs")
    };
    let keys_name = keys.to_str().expect("a name");
    let text = succeeds(with(&["prune-keys", keys_name]));
    assert!(text.contains(": 0 keys destroyed"), "{text}");

    let body = json!({"group": null, "understood": true});
    server.post(&gone.person, "/v1/account/erasures", &body).expect(200);
    // The master is changed too: the file is brought to what the database holds.
    add_master(&file).expect("a new key");
    let text = succeeds(with(&["rewrap-keys"]));
    assert!(text.contains("nothing depends on an older master key now") && text.contains("run this again"), "{text}");
    let text = succeeds(with(&["prune-keys", keys_name]));
    assert!(text.contains(": 1 keys destroyed"), "{text}");
    let lines = fs::read_to_string(&file).expect("the lines");
    let newest = lines.lines().next().expect("a line");
    // Neither another installation's file, nor a copy, nor the database itself is touched.
    let (elsewhere, _elsewhere) = fresh_database();
    let other = Server::start_on(elsewhere, None, config());
    let foreign = at.join("foreign.db");
    backup::copy(&other.location, &foreign).expect("a copy");
    for name in [backup::keys_beside(&foreign), copy.clone(), foreign.clone(), file.clone()] {
        let before = fs::read(&name).expect("a file");
        fails(with(&["prune-keys", name.to_str().expect("a name")]), "");
        assert!(before == fs::read(&name).expect("a file"), "{} was changed", name.display());
    }
    if server.location.is_postgres() {
        // The archive of keys was made anew from the database, in which the key is gone.
        let sql =
            format!("SELECT 'x' AS line FROM \"data_keys\" WHERE owner_id = {}", literal(&server.location, &gone.id));
        assert!(found(&server.location, &sql).is_empty());
        return;
    }
    succeeds(with(&["restore", copy.to_str().expect("a name")]));
    let newest = Masters::read(&newest.to_owned().into()).expect("the newest alone");
    let restored = Server::start_under(newest, embedded(&copy), None, config());
    let own = |id: &str| peer.path(&format!("/check-ins/{id}"));
    let (erased_person, kept_person) = (restored.again(&gone.person), restored.again(&kept.person));
    assert_eq!(restored.get(&erased_person, &own(&erased)).status, 500);
    assert_eq!(restored.get(&kept_person, &own(&stays)).expect(200)["text"], "A kite flew.");
    assert_eq!(restored.get(&kept_person, "/v1/account").expect(200)["name"], kept.person.name);
    let others = world.led.path(&format!("/members/{}", world.led.member.id));
    restored.get(&restored.again(&world.led.lead), &others).expect(200);
    restored.get(&restored.again(&world.led.lead), &world.led.path("/members")).expect(200);
    let verdict = backup::verify(&copy, &KeySource::File(file).read().expect("the keys")).expect("a verdict");
    assert_eq!(verdict.faults, [""; 0]);
}
