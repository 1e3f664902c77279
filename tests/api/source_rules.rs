//! What the invariants of `lib.rs` say is absent, looked for in the sources as text.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A source file without its comments.
struct Source {
    /// Below `src/`.
    name: String,
    text: String,
    code: String,
}

impl Source {
    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.name == *folder || self.name.starts_with(&format!("{folder}/")))
    }

    /// Lines of code that hold one of these, for a message.
    fn lines_with(&self, needles: &[&str]) -> Vec<String> {
        let is_hit = |line: &&str| needles.iter().any(|needle| line.contains(needle));
        self.code.lines().filter(is_hit).map(|line| format!("{}: {}", self.name, line.trim())).collect()
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let read = |file: &PathBuf| {
        let text = fs::read_to_string(file).expect("a source file");
        let name = file.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
        Source { name, code: without_comments(&text), text }
    };
    files.iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Without whole-line comments and what follows ` // ` in a line.
fn without_comments(text: &str) -> String {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.map(|line| line.split(" // ").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Every name in the `use` declarations of a file.
fn imported(code: &str) -> Vec<&str> {
    code.split("use ")
        .skip(1)
        .flat_map(|rest| rest.split(';').next().unwrap_or("").split(|c: char| !c.is_alphanumeric() && c != '_'))
        .filter(|name| !name.is_empty())
        .collect()
}

#[track_caller]
fn assert_absent(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn no_sql_stands_outside_the_store() {
    const SQL: [&str; 6] = ["SELECT ", "INSERT INTO", "DELETE FROM", "UPDATE \"", "PRAGMA ", "sql_query"];
    let outside: Vec<Source> = sources().into_iter().filter(|source| !source.is_in(&["store"])).collect();
    assert_absent(outside.iter().flat_map(|source| source.lines_with(&SQL)).collect(), "SQL belongs into src/store");
    // `problem` turns a failure of the database into a `Problem`, and touches nothing else of diesel.
    let diesel = outside.iter().flat_map(|source| source.lines_with(&["diesel"])).filter(|line| {
        let is_failure = line.starts_with("problem.rs: ") && line.contains("diesel::result::");
        !is_failure
    });
    assert_absent(diesel.collect(), "diesel belongs into src/store");
}

#[test]
fn the_door_before_any_permit_is_used_where_it_is_known_to_be() {
    let used: BTreeMap<String, usize> = sources()
        .into_iter()
        .map(|source| (source.name, source.code.matches(".before_any_permit()").count()))
        .filter(|(_, count)| *count > 0)
        .collect();
    // Signing in, invitations that make accounts, the first organization, the look-up of standings, the public listing,
    // the feed whose token says who asks, and visitors who have no account. Whoever adds a use here says in review why
    // no permit can stand before it.
    let known = [
        ("store/accounts.rs", 6),
        ("store/feeds.rs", 2),
        ("store/invitations.rs", 6),
        ("store/organizations.rs", 1),
        ("store/referrals.rs", 1),
        ("store/sign_ins.rs", 13),
        ("store/standing.rs", 9),
        ("store/visits.rs", 5),
    ];
    assert_eq!(used, known.map(|(name, count)| (name.to_owned(), count)).into());
}

#[test]
fn statuses_are_paired_with_failures_in_one_place() {
    // The demo fills itself through the server's own operations: it reads statuses as a client does.
    const HOMES: [&str; 4] = ["problem.rs", "routes/command.rs", "server.rs", "demo.rs"];
    let found = sources()
        .into_iter()
        .filter(|source| !source.is_in(&HOMES))
        .flat_map(|source| source.lines_with(&["StatusCode", "HttpResponse::", "status_code("]));
    assert_absent(found.collect(), "statuses belong into src/problem.rs");
}

#[test]
fn imports_point_one_way() {
    let walls: [(&[&str], &[&str]); 4] = [
        (
            &["policy.rs", "rules", "charts", "values.rs"],
            &["routes", "store", "identity", "problem", "server", "config", "diesel", "actix_web"],
        ),
        (&["store"], &["routes", "server", "actix_web"]),
        (&["identity"], &["routes", "server", "policy"]),
        (&["problem.rs"], &["routes", "store", "server", "identity"]),
    ];
    for source in sources() {
        for (from, forbidden) in walls.iter().filter(|(from, _)| source.is_in(from)) {
            let names = imported(&source.code);
            for name in *forbidden {
                assert!(!names.contains(name), "{from:?} must not import {name}, as {} does", source.name);
                assert_absent(source.lines_with(&[&format!("crate::{name}::")]), "imports point one way");
            }
        }
    }
}

#[test]
fn rules_and_policy_read_no_clock() {
    let found = sources()
        .into_iter()
        .filter(|source| source.is_in(&["policy.rs", "rules", "charts", "values.rs"]))
        .flat_map(|source| source.lines_with(&["now()", "SystemTime", "Instant", "Clock"]));
    assert_absent(found.collect(), "a rule is told the time");
}

#[test]
fn only_the_program_itself_prints() {
    let prints = ["println!", "eprintln!", "print!(", "dbg!", "todo!", "unimplemented!"];
    let found = sources()
        .into_iter()
        .filter(|source| !source.is_in(&["main.rs", "demo.rs"]))
        .flat_map(|source| source.lines_with(&prints));
    assert_absent(found.collect(), "logs go through tracing");
}

#[test]
fn every_file_says_what_belongs_there() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! ")).map(|source| source.name);
    assert_absent(silent.collect(), "a file opens with a //! sentence");
}

/// A later migration that takes something away, with the earlier one that stopped its use a release before.
const CONTRACTIONS: [(&str, &str); 0] = [];

#[test]
fn a_migration_only_adds_while_the_former_program_serves() {
    // Made before anybody could have had a release.
    const FIRST: &str = "2026-11-25-000004";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).expect("migrations") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if name[..FIRST.len()] <= *FIRST || CONTRACTIONS.iter().any(|(contraction, _)| *contraction == name) {
            continue;
        }
        let says = fs::read_to_string(folder.join(&name).join("up.sql")).expect("a migration");
        found.extend(taking(&says).into_iter().map(|statement| format!("{name}: {statement}")));
    }
    assert_absent(found, "expand first, contract a release later, and name it in CONTRACTIONS");
    for (contraction, earlier) in CONTRACTIONS {
        assert!(earlier < contraction && folder.join(earlier).exists(), "{contraction} contracts nothing: {earlier}");
    }
}

#[test]
fn what_takes_something_away_is_known() {
    let taken = [
        "DROP TABLE members;",
        "ALTER TABLE members DROP COLUMN willing;",
        "ALTER TABLE members\n  RENAME COLUMN willing TO ready;",
        "alter table members rename to people;",
        "ALTER TABLE members ADD COLUMN later TEXT NOT NULL;",
        "DROP INDEX members_of_group;",
        "CREATE UNIQUE INDEX one_name ON members (group_id, name);",
    ];
    for statement in taken {
        assert_eq!(taking(statement).len(), 1, "{statement}");
    }
    let added = [
        "CREATE TABLE laters (id UUID PRIMARY KEY NOT NULL); -- DROP TABLE members",
        "ALTER TABLE members ADD COLUMN later TEXT; ALTER TABLE members ADD COLUMN last BIGINT NOT NULL DEFAULT 0;",
        "CREATE INDEX laters_of_member ON laters (member_id);",
        "CREATE TABLE laters (id UUID PRIMARY KEY NOT NULL, at BIGINT NOT NULL); CREATE UNIQUE INDEX one ON laters (at);",
    ];
    for statements in added {
        assert!(taking(statements).is_empty(), "{statements}");
    }
}

/// The statements of a migration that a program which does not know it could stumble over.
fn taking(says: &str) -> Vec<String> {
    let lines = says.lines().map(|line| line.split("--").next().unwrap_or(line));
    let code = lines.collect::<Vec<_>>().join(" ").to_ascii_uppercase();
    let statements: Vec<String> =
        code.split(';').map(|one| one.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    // The table that a statement of its own migration has just made is known to no former program.
    let made: Vec<&str> =
        statements.iter().filter_map(|one| one.strip_prefix("CREATE TABLE ")?.split(' ').next()).collect();
    let takes = |statement: &&String| {
        let words: Vec<&str> = statement.split(' ').collect();
        let adds_needed =
            statement.contains("ADD ") && statement.contains("NOT NULL") && !statement.contains("DEFAULT");
        match words.as_slice() {
            ["DROP", ..] => true,
            ["ALTER", "TABLE", table, verb, ..] if !made.contains(table) => {
                adds_needed || matches!(*verb, "DROP" | "RENAME" | "ALTER")
            }
            ["CREATE", "UNIQUE", "INDEX", _, "ON", table, ..] => !made.contains(table),
            _ => false,
        }
    };
    statements.iter().filter(takes).cloned().collect()
}
