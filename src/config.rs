//! Configuration: flags and environment, read once. Secrets print as `[REDACTED]`.

use std::{
    fs,
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{
    rules::{instruments::Registry, suppression::SMALLEST_K},
    store::{connection::Location, master_keys::KeySource, sealing::Masters},
};

/// Where the record is kept, and under which key.
#[derive(Args, Clone, Debug)]
pub struct StoreConfig {
    /// Database: a PostgreSQL URL, or sqlite: and a file
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite:circlekeeper.db", hide_env_values = true)]
    pub database_url: String,
    /// Connections to the database: for reading (SQLite), for all work (PostgreSQL)
    #[arg(long, env = "CIRCLEKEEPER_CONNECTIONS", default_value_t = 8)]
    pub connections: u32,
    /// A streaming standby of the same PostgreSQL; records are read there once it has what the primary has
    #[arg(long, env = "CIRCLEKEEPER_REPLICA_URL", hide_env_values = true)]
    pub replica_url: Option<String>,
    /// PostgreSQL is reached through a pooler that gives out connections for one transaction, such as PgBouncer
    #[arg(long, env = "CIRCLEKEEPER_TRANSACTION_POOLER")]
    pub transaction_pooler: bool,
    /// File with the master key, one `name:base64` line each, the newest first; made beside an embedded database when
    /// nothing is given. The key itself can also stand in CIRCLEKEEPER_MASTER_KEY
    #[arg(long, env = "CIRCLEKEEPER_MASTER_KEY_FILE")]
    pub master_key_file: Option<PathBuf>,
    /// Command that prints such lines within 10 seconds, instead of a file: a program and its arguments, parted at white
    /// space and run without a shell
    #[arg(long, env = "CIRCLEKEEPER_MASTER_KEY_COMMAND", value_name = "COMMAND", hide_env_values = true)]
    pub master_key_command: Option<String>,
    /// The master key itself, instead of a file; only from the environment
    #[arg(skip = std::env::var("CIRCLEKEEPER_MASTER_KEY").ok().map(SecretString::from))]
    pub master_key: Option<SecretString>,
}

impl StoreConfig {
    pub fn location(&self) -> Location {
        Location {
            replica: self.replica_url.clone().map(SecretString::from),
            pooler: self.transaction_pooler,
            ..Location::new(self.database_url.clone(), self.connections)
        }
    }

    /// Where the master keys come from: the one source that is named, or, for an embedded database, a key file beside it
    /// that is made with owner-only rights where there is none. The second value says where one was made.
    ///
    /// # Errors
    /// One line for people, when several are named, or none and there is none to be made.
    pub fn key_source(&self) -> Result<(KeySource, Option<PathBuf>), String> {
        let is_known = self.location().is_postgres() || self.database_url.starts_with("sqlite:");
        if !is_known && ["://", "password="].iter().any(|part| self.database_url.contains(part)) {
            return Err("the database is postgres://… or sqlite: and a file".into());
        }
        self.find_source(true)
    }

    /// The master keys of what is there already: none is made.
    pub fn kept_masters(&self) -> Result<Masters, String> {
        self.find_source(false)?.0.read()
    }

    fn named_source(&self) -> Result<Option<KeySource>, String> {
        let key = self.master_key.clone().map(|lines| ("CIRCLEKEEPER_MASTER_KEY", KeySource::Lines(lines)));
        let file = self.master_key_file.clone().map(|path| ("--master-key-file", KeySource::File(path)));
        let command = self.master_key_command.clone().map(|words| ("--master-key-command", KeySource::Command(words)));
        let mut named: Vec<_> = [key, file, command].into_iter().flatten().collect();
        match named.as_slice() {
            [_, _, ..] => {
                let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
                Err(format!("the master key can have one source, and {} are named", names.join(" and ")))
            }
            _ => Ok(named.pop().map(|(_, source)| source)),
        }
    }

    fn find_source(&self, makes: bool) -> Result<(KeySource, Option<PathBuf>), String> {
        if let Some(source) = self.named_source()? {
            return Ok((source, None));
        }
        let location = self.location();
        let Some(database) = location.file() else {
            return Err("PostgreSQL needs a master key: set CIRCLEKEEPER_MASTER_KEY, CIRCLEKEEPER_MASTER_KEY_FILE or \
                        CIRCLEKEEPER_MASTER_KEY_COMMAND (circlekeeper new-key prints a key)"
                .into());
        };
        let path = PathBuf::from(format!("{database}.key"));
        if Path::new(database).exists() && !path.exists() {
            return Err(format!(
                "the database exists, and its key file {} does not: nothing in it can be read without",
                path.display()
            ));
        }
        let made = makes && !path.exists();
        if made {
            write_secret(&path, &Masters::generate()).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok((KeySource::File(path.clone()), made.then_some(path)))
    }
}

/// Puts a new newest line into a key file. The file is replaced as a whole, so that a server that reads it meanwhile finds
/// the former lines or all of them; its owner and rights stay. Returns the name of the new key.
///
/// # Errors
/// One line for people, when the file is not there, holds no master keys, or cannot be replaced.
pub fn add_master(path: &Path) -> Result<String, String> {
    let said = |error: io::Error| format!("{}: {error}", path.display());
    // Where the name is a link, what it leads to is replaced.
    let file = fs::canonicalize(path).map_err(said)?;
    KeySource::File(file.clone()).read()?;
    let former = SecretString::from(fs::read_to_string(&file).map_err(said)?);
    let line = Masters::generate();
    let mut beside = file.clone().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let all = Zeroizing::new(format!("{line}\n{}", former.expose_secret().trim_end()));
    write_secret(&beside, &all).map_err(|error| format!("{}: {error}", beside.display()))?;
    let replaced = like(&file, &beside).and_then(|()| fs::rename(&beside, &file));
    if let Err(error) = replaced {
        let _ = fs::remove_file(&beside);
        return Err(said(error));
    }
    Ok(line.split(':').next().unwrap_or_default().to_owned())
}

/// Gives a file the owner and the rights of another: the server that reads it may run as somebody else.
fn like(other: &Path, file: &Path) -> io::Result<()> {
    let known = fs::metadata(other)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, chown};
        chown(file, Some(known.uid()), Some(known.gid()))?;
    }
    fs::set_permissions(file, known.permissions())
}

/// Writes a file that only its owner can read.
fn write_secret(path: &Path, line: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{line}")?;
    file.sync_all()
}

/// How the server answers.
#[derive(Args, Clone, Debug)]
pub struct ServerConfig {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "CIRCLEKEEPER_BIND", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,
    /// Threads that answer requests; as many as the machine has cores when not said
    #[arg(long, env = "CIRCLEKEEPER_WORKERS")]
    pub workers: Option<usize>,
    /// Connections at a time; more wait
    #[arg(long, env = "CIRCLEKEEPER_MAX_CONNECTIONS", default_value_t = 25_000)]
    pub max_connections: usize,
    /// Minutes that an access token lives
    #[arg(long, env = "CIRCLEKEEPER_ACCESS_MINUTES", default_value_t = 10)]
    pub access_minutes: i64,
    /// Minutes without use after which a sign-in ends
    #[arg(long, env = "CIRCLEKEEPER_IDLE_MINUTES", default_value_t = 60)]
    pub idle_minutes: i64,
    /// Hours after which a sign-in ends in any case
    #[arg(long, env = "CIRCLEKEEPER_SIGN_IN_HOURS", default_value_t = 12)]
    pub sign_in_hours: i64,
    /// Passwords that are hashed at the same time, 19 MiB each; as many as the machine has cores when not said
    #[arg(long, env = "CIRCLEKEEPER_HASHING")]
    pub hashing: Option<usize>,
    /// Addresses of proxies whose X-Forwarded-For is believed, separated by commas
    #[arg(long, env = "CIRCLEKEEPER_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpAddr>,
    /// Origins of browser clients that may call the API, separated by commas; none when not said
    #[arg(long, env = "CIRCLEKEEPER_ORIGINS", value_delimiter = ',')]
    pub origins: Vec<String>,
    /// Folder of text packs, one JSON file for an instrument whose licence keeps its text out of this program; only the
    /// built-in texts when not said
    #[arg(long, env = "CIRCLEKEEPER_INSTRUMENT_TEXTS", value_name = "DIR")]
    pub instrument_texts: Option<PathBuf>,
    /// The smallest count of people that leaves a group's own leaders; 11 at least
    #[arg(long, env = "CIRCLEKEEPER_SMALLEST_COUNT", default_value_t = SMALLEST_K,
          value_parser = clap::value_parser!(u32).range(i64::from(SMALLEST_K)..=1_000))]
    pub smallest_count: u32,
    /// Log as JSON lines instead of text; CIRCLEKEEPER_LOG says how much (error, warn, info, debug)
    #[arg(long, env = "CIRCLEKEEPER_LOG_JSON")]
    pub log_json: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: None,
            max_connections: 25_000,
            access_minutes: 10,
            idle_minutes: 60,
            sign_in_hours: 12,
            hashing: None,
            trusted_proxies: Vec::new(),
            origins: Vec::new(),
            instrument_texts: None,
            smallest_count: SMALLEST_K,
            log_json: false,
        }
    }
}

impl ServerConfig {
    /// The instruments that the server shows: the built-in ones, with the texts of the folder that was named.
    ///
    /// # Errors
    /// One line that names the file, and the item or option in it, for the first pack that is refused. A folder without
    /// any pack is refused too: it was named for a reason.
    pub fn instruments(&self) -> Result<Registry, String> {
        let Some(folder) = &self.instrument_texts else {
            return Ok(Registry::built_in().clone());
        };
        let packs = read_packs(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        if packs.is_empty() {
            return Err(format!("{}: holds no text pack, that is no file that ends in .json", folder.display()));
        }
        let packs: Vec<(String, String)> =
            packs.into_iter().map(|(path, content)| (path.display().to_string(), content)).collect();
        Registry::built_in().with_texts(&packs).map_err(|error| error.to_string())
    }
}

/// The JSON files of a folder, by name. Others, such as a licence beside them, are left alone.
fn read_packs(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: PathBuf| {
        let content = fs::read_to_string(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.file_name().unwrap_or_default().display()))
        })?;
        Ok((path, content))
    };
    paths.into_iter().map(read).collect()
}
