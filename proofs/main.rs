//! Programs that break what the server stands on, and show what holds: each prints one row of `docs/reliability.md`.

mod backup;
mod clock;
mod disk;
mod flood;
mod harness;
mod idle;
mod interrupted;
mod kill;
mod load;
mod malformed;
mod migration_crash;
mod pooler;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/api/postgres.rs"]
mod postgres;
mod serializable;
mod stage;
mod standby;
mod two_servers;
mod upgrade;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Parser;

use harness::{Engine, Run};

/// One proof: its name, what it shows, on which databases, and how.
struct Proof {
    name: &'static str,
    shows: &'static str,
    engines: &'static [Engine],
    prove: fn(&Run, Engine) -> String,
}

/// In the order of the table.
const PROOFS: &[Proof] = &[
    Proof {
        name: "kill",
        shows: "The server killed at random moments under write load loses nothing acknowledged and leaves nothing \
                half done",
        engines: &Engine::ALL,
        prove: kill::prove,
    },
    Proof {
        name: "malformed",
        shows: "Bodies, paths, headers and bytes that nobody should send are refused, and the server goes on",
        engines: &Engine::ALL,
        prove: malformed::prove,
    },
    Proof {
        name: "idle",
        shows: "Idle connections and slow clients cost little, are ended in time, and keep nobody else waiting",
        engines: &Engine::ALL,
        prove: idle::prove,
    },
    Proof {
        name: "flood",
        shows: "While everybody who can tries to sign in, those who are signed in read on",
        engines: &Engine::ALL,
        prove: flood::prove,
    },
    Proof {
        name: "disk",
        shows: "On a full disk writes are refused with 503, nothing acknowledged is lost, and room is all that it needs",
        engines: &Engine::ALL,
        prove: disk::prove,
    },
    Proof {
        name: "migration-crash",
        shows: "A migration that is killed has happened whole or not at all, and the next run finishes",
        engines: &Engine::ALL,
        prove: migration_crash::prove,
    },
    Proof {
        name: "backup",
        shows: "A backup under load is a consistent cut: everything acknowledged before is in it, and a server runs on it",
        engines: &Engine::ALL,
        prove: backup::prove,
    },
    Proof {
        name: "clock",
        shows: "A clock that steps back, and both changes to and from summer time, lose nothing and lock nobody in or out",
        engines: &Engine::ALL,
        prove: clock::prove,
    },
    Proof {
        name: "two-servers",
        shows: "Two servers on one database are as one: writes, retries, back-offs, standings, the last lead, the log",
        engines: &Engine::ALL,
        prove: two_servers::prove,
    },
    Proof {
        name: "upgrade",
        shows: "The former program serves on while the schema is expanded, and beside the new one",
        engines: &Engine::ALL,
        prove: upgrade::prove,
    },
    Proof {
        name: "interrupted",
        shows: "While the database is stopped, crashed or frozen, 503 with Retry-After; afterwards the same server goes on",
        engines: &Engine::ALL,
        prove: interrupted::prove,
    },
    Proof {
        name: "promotion",
        shows: "A standby is promoted while everybody writes: nothing acknowledged is lost, and retries are safe",
        engines: &[Engine::Postgres],
        prove: standby::prove_promotion,
    },
    Proof {
        name: "standby-reads",
        shows: "Records read from a standby are never older than what was acknowledged, whoever wrote it",
        engines: &[Engine::Postgres],
        prove: standby::prove_reading,
    },
    Proof {
        name: "pooler",
        shows: "A pooler in transaction mode stands between the server and PostgreSQL",
        engines: &[Engine::Postgres],
        prove: pooler::prove,
    },
    Proof {
        name: "serializable",
        shows: "Transactions that lose against others at the strictest level are done again",
        engines: &[Engine::Postgres],
        prove: serializable::prove,
    },
];

/// Breaks what the server stands on, and shows what holds.
#[derive(Parser)]
struct Asked {
    /// Which proofs; all when not said
    names: Vec<String>,
    /// A few minutes for all of them; so it is when nothing is said
    #[arg(long)]
    #[allow(dead_code, reason = "it is what is done when nothing is said")]
    short: bool,
    /// The numbers of the table
    #[arg(long, conflicts_with = "short")]
    full: bool,
    /// Only on this database
    #[arg(long, value_enum)]
    database: Option<Engine>,
    /// Put the rows into docs/reliability.md
    #[arg(long)]
    write: bool,
    /// The program of an earlier release, for the upgrade
    #[arg(long)]
    former: Option<PathBuf>,
    /// For moments and bytes at random
    #[arg(long, default_value_t = 20_261_123)]
    seed: u64,
}

fn main() -> ExitCode {
    let asked = Asked::parse();
    if let Some(name) = asked.names.iter().find(|name| PROOFS.iter().all(|proof| proof.name != **name)) {
        let known: Vec<&str> = PROOFS.iter().map(|proof| proof.name).collect();
        eprintln!("proof: there is no {name}; there are {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    if let Err(reason) = harness::check_program() {
        eprintln!("proof: {reason}");
        return ExitCode::FAILURE;
    }
    let wants_postgres = asked.database != Some(Engine::Sqlite);
    let has_postgres = match wants_postgres.then(harness::cluster) {
        None => false,
        Some(Ok(_)) => true,
        Some(Err(reason)) => {
            eprintln!("proof: no PostgreSQL: {reason}; its rows are left out");
            if std::env::var("CIRCLEKEEPER_REQUIRE_POSTGRES").is_ok_and(|value| value == "1") {
                return ExitCode::FAILURE;
            }
            false
        }
    };
    // What was found, and where; the way there says nothing.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
    let run = Run { full: asked.full, former: asked.former, seed: asked.seed };
    let mut failed = Vec::new();
    for proof in
        PROOFS.iter().filter(|proof| asked.names.is_empty() || asked.names.iter().any(|name| name == proof.name))
    {
        for engine in proof.engines.iter().copied().filter(|engine| asked.database.is_none_or(|only| only == *engine)) {
            if engine == Engine::Postgres && !has_postgres {
                continue;
            }
            let begun = Instant::now();
            // What fails has said so already; the others go on.
            let Ok(found) = catch_unwind(AssertUnwindSafe(|| (proof.prove)(&run, engine))) else {
                eprintln!("FAILED: {} on {}", proof.name, engine.name());
                failed.push(format!("{} on {}", proof.name, engine.name()));
                continue;
            };
            let form = if run.full { "full" } else { "short" };
            let row = Row {
                key: format!("| {} | {} |", proof.name, engine.name()),
                rest: format!(
                    " {} | {found} | {} | {} | `proof -- {} --{form} --database {}` |",
                    proof.shows,
                    begun.elapsed().as_secs(),
                    jiff::Zoned::now().date(),
                    proof.name,
                    if engine == Engine::Sqlite { "sqlite" } else { "postgres" },
                ),
            };
            println!("{}{}", row.key, row.rest);
            // A row that left itself out was not run.
            if asked.write && !found.starts_with("left out") {
                row.write();
            }
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("proof: {} failed: {}", failed.len(), failed.join(", "));
    ExitCode::FAILURE
}

/// A row of the table: its first two cells name it.
struct Row {
    key: String,
    rest: String,
}

impl Row {
    fn write(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
        let text = std::fs::read_to_string(&path).expect("docs/reliability.md");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let row = format!("{}{}", self.key, self.rest);
        match lines.iter().position(|line| line.starts_with(&self.key)) {
            Some(old) => lines[old] = row,
            None => {
                let end = lines.iter().rposition(|line| line.starts_with('|')).expect("a table");
                lines.insert(end + 1, row);
            }
        }
        std::fs::write(&path, lines.join("\n") + "\n").expect("docs/reliability.md can be written");
    }
}
