//! Command line → configuration → store → serve; nothing else.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

use circlekeeper::{
    config::{ServerConfig, StoreConfig, add_master},
    demo,
    identity::hash_password,
    routes, server,
    store::{
        access_log::{self, Verdict},
        accounts, backup,
        connection::{Clock, Db},
        invitations, keys,
        master_keys::LiveMasters,
        migrations, organizations,
        sealing::Masters,
        wall,
    },
};
use clap::{Args, Parser, Subcommand};

const ENVIRONMENT: &str = "\
Also read from the environment:
  CIRCLEKEEPER_MASTER_KEY  the master key itself, instead of a file
  CIRCLEKEEPER_LOG         what is logged, such as info or circlekeeper=debug [default: info]";

const ROTATION: &str = "\
To change the master key while servers run (docs/keys.md has the whole of it):
  1. circlekeeper new-key --into FILE   or put a new first line into whatever prints or holds the lines
  2. wait two minutes                   every server reads its source again within one
  3. circlekeeper rewrap-keys           as often as it takes until nothing depends on an older master key
  4. wait for the longest access token  CIRCLEKEEPER_ACCESS_MINUTES: those of the older key still count until then
  5. take the older line away           and keep it offline, as long as copies are kept that were made before step 3
                                        and whose key files prune-keys has not brought up to date";

/// One record for therapist-led and peer-led groups, with a hard wall between them.
#[derive(Parser)]
#[command(name = "circlekeeper", version, after_help = ENVIRONMENT)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start on a fresh embedded database filled with a believable year, and print sign-ins
    Demo(DemoArgs),
    /// Start the server
    #[command(after_help = ENVIRONMENT)]
    Serve {
        #[command(flatten)]
        store: StoreConfig,
        #[command(flatten)]
        server: ServerConfig,
    },
    /// Bring the database to the newest schema
    ///
    /// In PostgreSQL this can be another role than the one that serves: whoever owns the tables runs it, and names the
    /// role as which the servers connect. That one then owns nothing, and sees only rows of the scope that a request
    /// has a right to (row-level security). Later migrations keep it so without being told again.
    Migrate {
        /// The role as which servers connect; it must be there, and own nothing
        #[arg(long, value_name = "ROLE")]
        application_role: Option<String>,
        #[command(flatten)]
        store: StoreConfig,
    },
    /// Accounts
    #[command(subcommand)]
    Account(Account),
    /// Print a new master key, or put it into a key file as the newest
    #[command(after_help = ROTATION)]
    NewKey {
        /// The key file, which must be there; running servers read it again within a minute
        #[arg(long, value_name = "FILE")]
        into: Option<PathBuf>,
    },
    /// Wrap every data key anew under the newest master key, while servers run
    #[command(after_help = ROTATION)]
    RewrapKeys {
        #[command(flatten)]
        store: StoreConfig,
    },
    /// Destroy, in the key files of older copies, the keys that the database has destroyed since
    ///
    /// Run it after an erasure, and after each backup: it is what makes an older copy open nothing of somebody who was
    /// erased. The keys that stay are taken over as they are wrapped now. Never name a database that was itself restored
    /// from an older copy than the files: it lacks the keys of whoever came after.
    PruneKeys {
        /// Key files, as backup makes them beside its copies
        #[arg(required = true, value_name = "FILE.keys")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        store: StoreConfig,
    },
    /// Copy an embedded database while the server runs; its data keys go to FILE.keys
    Backup {
        /// The copy; must not exist yet
        file: PathBuf,
        #[command(flatten)]
        store: StoreConfig,
    },
    /// Check that a copy is whole, opens, and holds an unbroken access log
    Verify {
        /// The copy, with its key file beside it
        file: PathBuf,
        #[command(flatten)]
        store: StoreConfig,
    },
    /// Put the data keys of FILE.keys back into the copy, so that a server can run on it
    Restore {
        /// The copy, with its key file beside it
        file: PathBuf,
    },
    /// Check the access log of the database: changed, removed, reordered and cut-off entries are found
    VerifyLog {
        #[command(flatten)]
        store: StoreConfig,
    },
}

#[derive(Args)]
struct DemoArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "CIRCLEKEEPER_BIND", default_value = "127.0.0.1:8080")]
    bind: std::net::SocketAddr,
    /// A PostgreSQL database to fill instead of an embedded one; it must be empty, and is yours to drop afterwards
    #[arg(long)]
    database_url: Option<String>,
}

#[derive(Subcommand)]
enum Account {
    /// Make an organization and print the one-time code with which its administrator signs up
    CreateAdministrator {
        /// The name of the organization
        #[arg(long)]
        organization: String,
        #[command(flatten)]
        store: StoreConfig,
    },
    /// Give somebody who forgot their password a new one, print it, and end their sign-ins
    ResetPassword {
        /// What they sign in with
        #[arg(long)]
        sign_in_name: String,
        #[command(flatten)]
        store: StoreConfig,
    },
}

/// What a command ends with: nothing, or one line for people.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("circlekeeper: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Demo(args) => run_demo(&args),
        Command::Serve { store, server } => {
            log_to_stderr(server.log_json);
            // Before anything is opened or made: a pack that is refused stops the start and leaves nothing behind.
            server.instruments()?;
            let db = open(&store)?;
            serve(db, &server, |address| println!("listening on http://{address}"))
        }
        Command::Migrate { application_role, store } => {
            live_masters(&store)?;
            let location = store.location();
            let done = migrations::run(&location).map_err(inside)?;
            println!("{} migrations run", done.len());
            let role = match application_role {
                Some(role) => Some(role),
                None => wall::role(&location).map_err(inside)?,
            };
            if let Some(role) = role {
                wall::raise(&location, &role).map_err(inside)?;
                println!("{role} sees the rows of its scope alone");
            }
            Ok(())
        }
        Command::Account(Account::CreateAdministrator { organization, store }) => {
            create_administrator(&organization, &store)
        }
        Command::Account(Account::ResetPassword { sign_in_name, store }) => reset_password(&sign_in_name, &store),
        Command::NewKey { into: None } => {
            println!("{}", Masters::generate());
            Ok(())
        }
        Command::NewKey { into: Some(file) } => {
            let name = add_master(&file)?;
            println!("{name} is the newest master key in {}", file.display());
            println!("within a minute every running server has read it; then: circlekeeper rewrap-keys");
            Ok(())
        }
        Command::RewrapKeys { store } => rewrap_keys(&store),
        Command::PruneKeys { files, store } => {
            for file in files {
                let pruned = backup::prune(&store.location(), &file).map_err(inside)?;
                println!("{}: {} keys destroyed, {} kept", file.display(), pruned.destroyed, pruned.kept);
            }
            Ok(())
        }
        Command::Backup { file, store } => {
            backup::copy(&store.location(), &file).map_err(inside)?;
            println!("copied to {}, data keys to {}", file.display(), backup::keys_beside(&file).display());
            Ok(())
        }
        Command::Verify { file, store } => {
            let masters = store.kept_masters()?;
            report(&backup::verify(&file, &masters).map_err(inside)?)
        }
        Command::Restore { file } => {
            let keys = backup::join_keys(&file).map_err(inside)?;
            println!("{} holds its {keys} data keys again", file.display());
            Ok(())
        }
        Command::VerifyLog { store } => {
            let masters = store.kept_masters()?;
            report(&access_log::verify_at(&store.location(), &masters).map_err(inside)?)
        }
    }
}

/// A failure inside, in words for whoever runs the server.
fn inside(problem: circlekeeper::problem::Problem) -> String {
    match problem {
        circlekeeper::problem::Problem::Internal(cause) => cause,
        other => other.to_string(),
    }
}

fn log_to_stderr(json: bool) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("CIRCLEKEEPER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // A line that cannot be written, as on a full disk, is lost; to complain of it on the same stderr would panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    if json { lines.json().init() } else { lines.init() }
}

fn live_masters(store: &StoreConfig) -> Result<LiveMasters, String> {
    let (source, made) = store.key_source()?;
    if let Some(path) = made {
        eprintln!("made a master key in {}: keep a copy of it apart from the database", path.display());
    }
    LiveMasters::of(source)
}

fn rewrap_keys(store: &StoreConfig) -> Outcome {
    let done = keys::rewrap(&store.location(), &store.kept_masters()?).map_err(inside)?;
    println!("{} data keys wrapped anew under {}", done.keys, done.newest);
    for (name, keys) in &done.under_others {
        println!("{keys} still depend on {name}");
    }
    if !done.unknown.is_empty() {
        return Err(format!(
            "not among the master keys, so that nothing under them opens: {}",
            done.unknown.join(", ")
        ));
    }
    if !done.under_others.is_empty() {
        return Err("a server wrapped keys under an older master key meanwhile: run this again in a minute".into());
    }
    println!("nothing depends on an older master key now");
    println!(
        "a server that has not read the newest line yet may still make a key under an older one: run this again two \
         minutes after the line was added, and take older lines away only when it finds nothing to do"
    );
    Ok(())
}

/// Opens the database. An embedded one is brought to the newest schema; PostgreSQL waits for `migrate`, so that several
/// servers do not race to change it.
fn open(store: &StoreConfig) -> Result<Db, String> {
    let location = store.location();
    let masters = live_masters(store)?;
    if location.is_postgres() {
        if migrations::are_pending(&location).map_err(inside)? {
            return Err("the database waits for migrations: run circlekeeper migrate first".into());
        }
    } else {
        migrations::run(&location).map_err(inside)?;
    }
    Db::open(&location, masters, Clock::default()).map_err(inside)
}

/// Serves until SIGTERM or SIGINT; then finishes what is under way.
fn serve(db: Db, config: &ServerConfig, ready: impl FnOnce(std::net::SocketAddr)) -> Outcome {
    actix_web::rt::System::new().block_on(async {
        let running =
            server::start(db, config).map_err(|error| format!("cannot listen on {}: {error}", config.bind))?;
        // Whoever is told that it listens may stop it at once: the signals are caught before.
        let stop = stop_signal().map_err(|error| format!("cannot wait for signals: {error}"))?;
        ready(running.address);
        let handle = running.server.handle();
        actix_web::rt::spawn(async move {
            stop.await;
            tracing::info!("stopping: requests under way are finished first");
            handle.stop(true).await;
        });
        running.server.await.map_err(|error| error.to_string())
    })
}

/// Waits for SIGTERM, SIGINT or SIGHUP, and catches them from now on.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

fn create_administrator(organization: &str, store: &StoreConfig) -> Outcome {
    let name = organization.trim().to_owned();
    if name.is_empty() || name.chars().count() > 200 {
        return Err("the name of an organization has 1 to 200 characters".into());
    }
    let db = open(store)?;
    let (id, code, expires_at) = actix_web::rt::System::new()
        .block_on(db.write(move |connection| organizations::found(connection, &name)))
        .map_err(inside)?;
    println!("organization {id}");
    println!("one-time code {code} (until {expires_at})");
    println!("sign up with POST /v1/accounts");
    Ok(())
}

fn reset_password(sign_in_name: &str, store: &StoreConfig) -> Outcome {
    let db = open(store)?;
    let key = db.installation().index("sign-in", &routes::tokens::folded(sign_in_name));
    let password = invitations::new_code();
    let hash = hash_password(&password.clone().into()).map_err(inside)?;
    let found = actix_web::rt::System::new()
        .block_on(db.write(move |connection| accounts::reset_password(connection, &key, &hash)))
        .map_err(inside)?;
    if !found {
        return Err("nobody signs in with this name".into());
    }
    println!("new password {password}");
    println!("hand it over by a way that you trust; PUT /v1/account/password changes it");
    Ok(())
}

fn run_demo(args: &DemoArgs) -> Outcome {
    let directory = demo::fresh_directory().map_err(|error| format!("no directory for the demo: {error}"))?;
    let outcome = serve_demo(args, &directory);
    // The demo's people are made up, and so they go with it.
    let _ = std::fs::remove_dir_all(&directory);
    outcome
}

fn serve_demo(args: &DemoArgs, directory: &Path) -> Outcome {
    let embedded = format!("sqlite:{}", directory.join("demo.db").display());
    let store = StoreConfig {
        database_url: args.database_url.clone().unwrap_or(embedded),
        connections: 8,
        replica_url: None,
        transaction_pooler: false,
        master_key_file: None,
        master_key_command: None,
        // The key is gone with the demo: nobody has to be told where it is.
        master_key: Some(Masters::generate().into()),
    };
    let masters = store.kept_masters()?;
    // Whoever names a database by mistake must find in it what they left there.
    if !migrations::is_untouched(&store.location()).map_err(inside)? {
        return Err("the demo fills an empty database, and this one is not".into());
    }
    migrations::run(&store.location()).map_err(inside)?;
    let db = Db::open(&store.location(), masters, Clock::default()).map_err(inside)?;
    // Nobody who reads the docs beside it should have to sign in again.
    let config =
        ServerConfig { bind: args.bind, access_minutes: 8 * 60, idle_minutes: 12 * 60, ..ServerConfig::default() };
    let story = demo::fill(&db, &config).map_err(inside)?;
    serve(db, &config, |address| println!("{}", story.told(address)))
}

fn report(verdict: &Verdict) -> Outcome {
    println!("{} chains, {} entries", verdict.chains, verdict.entries);
    if let Some((chain, length, head)) = &verdict.newest {
        println!("newest chain {chain}: {length} entries, head {head}");
    }
    if verdict.faults.is_empty() {
        println!("whole");
        return Ok(());
    }
    const SHOWN: usize = 10;
    for fault in verdict.faults.iter().take(SHOWN) {
        println!("fault: {fault}");
    }
    if verdict.faults.len() > SHOWN {
        println!("and {} more: one change breaks every link after it", verdict.faults.len() - SHOWN);
    }
    Err(format!("{} faults", verdict.faults.len()))
}
