//! Backups: a consistent copy while the server runs, its data keys apart, and the check that a copy is whole.
//!
//! The wrapped data keys go to a file of their own beside the copy. Who erases a member destroys that member's key in the
//! database, [`prune`] destroys it in the key files of older copies, and no older copy opens what belonged to them.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use diesel::{Connection as _, RunQueryDsl, connection::SimpleConnection, sqlite::SqliteConnection};

use secrecy::ExposeSecret;

use super::{
    access_log::{self, Verdict},
    connection::Location,
    sealing::Masters,
};
use crate::problem::Problem;

fn fault(error: impl std::fmt::Display) -> Problem {
    Problem::Internal(error.to_string())
}

/// Where the keys of a copy are.
pub fn keys_beside(file: &Path) -> std::path::PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".keys");
    name.into()
}

/// Copies the database to `file` and its data keys to the file beside it, while servers run. PostgreSQL is copied by
/// its own `pg_dump`, which must be installed.
///
/// # Errors
/// When a file of that name exists, or the database cannot be read.
pub fn copy(location: &Location, file: &Path) -> Result<(), Problem> {
    let keys = keys_beside(file);
    for target in [file, &keys] {
        if target.exists() {
            return Err(fault(format!("{} exists already", target.display())));
        }
    }
    let Some(source) = location.file() else { return dump(location, file, &keys) };
    if !Path::new(source).exists() {
        return Err(fault(format!("there is no database at {source}")));
    }
    let target = file.to_str().ok_or_else(|| fault("the name of the copy is not text"))?;
    let partial = format!("{target}.partial");
    let _ = fs::remove_file(&partial);
    let mut connection = SqliteConnection::establish(source).map_err(fault)?;
    connection.batch_execute("PRAGMA busy_timeout = 10000").map_err(fault)?;
    diesel::sql_query("VACUUM INTO ?")
        .bind::<diesel::sql_types::Text, _>(&partial)
        .execute(&mut connection)
        .map_err(fault)?;
    split_keys(&partial, &keys)?;
    restrict(Path::new(&partial))?;
    fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(fault)?;
    fs::rename(&partial, file).map_err(fault)
}

/// Dumps a PostgreSQL database: first all but the data keys, then the keys, so that no copied row lacks its key.
fn dump(location: &Location, file: &Path, keys: &Path) -> Result<(), Problem> {
    dump_part(location, file, "--exclude-table-data=data_keys")?;
    dump_part(location, keys, "--table=data_keys")?;
    restrict(file)?;
    restrict(keys)
}

fn dump_part(location: &Location, target: &Path, part: &str) -> Result<(), Problem> {
    let (url, password) = without_password(location.url.expose_secret());
    let mut command = Command::new("pg_dump");
    command.args(["--format=custom", "--no-password", part, "--file"]).arg(target).arg("--dbname").arg(&url);
    if part.starts_with("--table") {
        command.arg("--data-only");
    }
    // In the environment, because everybody on the machine can read a command line.
    if let Some(password) = &password {
        command.env("PGPASSWORD", password);
    }
    let done = command.output().map_err(|error| fault(format!("pg_dump: {error}")))?;
    if !done.status.success() {
        return Err(fault(format!("pg_dump: {}", String::from_utf8_lossy(&done.stderr).trim())));
    }
    Ok(())
}

/// A PostgreSQL URL without its password, and the password with its percent signs decoded.
fn without_password(url: &str) -> (String, Option<String>) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (user, host) = rest.split_once('@')?;
        let (name, password) = user.split_once(':')?;
        Some((
            format!("{scheme}://{name}@{host}"),
            percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned(),
        ))
    });
    parts.map_or_else(|| (url.to_owned(), None), |(url, password)| (url, Some(password)))
}

/// Whether a file is a PostgreSQL archive.
fn is_dump(file: &Path) -> bool {
    let mut start = [0; 5];
    fs::File::open(file).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start)).is_ok()
        && start == *b"PGDMP"
}

/// Reads a PostgreSQL archive from end to end.
fn verify_dump(file: &Path) -> Result<Verdict, Problem> {
    let mut verdict = Verdict::default();
    for part in [file.to_owned(), keys_beside(file)] {
        let read = Command::new("pg_restore")
            .args(["--file", if cfg!(windows) { "NUL" } else { "/dev/null" }])
            .arg(&part)
            .output()
            .map_err(|error| fault(format!("pg_restore: {error}")))?;
        if !read.status.success() {
            verdict.faults.push(format!("{}: {}", part.display(), String::from_utf8_lossy(&read.stderr).trim()));
        }
    }
    Ok(verdict)
}

/// Moves the data keys out of the copy.
fn split_keys(copy: &str, keys: &Path) -> Result<(), Problem> {
    let keys_name = keys.to_str().ok_or_else(|| fault("the name of the key file is not text"))?;
    let mut connection = SqliteConnection::establish(copy).map_err(fault)?;
    diesel::sql_query("ATTACH DATABASE ? AS kept")
        .bind::<diesel::sql_types::Text, _>(keys_name)
        .execute(&mut connection)
        .map_err(fault)?;
    connection
        .batch_execute(
            "PRAGMA secure_delete = ON;
             CREATE TABLE kept.data_keys (owner_id UUID PRIMARY KEY NOT NULL, wrapped BYTEA NOT NULL, created_at BIGINT NOT NULL);
             INSERT INTO kept.data_keys SELECT owner_id, wrapped, created_at FROM data_keys;
             DELETE FROM data_keys;
             DETACH DATABASE kept;
             VACUUM;",
        )
        .map_err(fault)?;
    restrict(keys)
}

/// Puts the data keys back into a copy, so that a server can run on it. Returns how many keys the copy then holds.
///
/// # Errors
/// When the copy holds another key for an owner: then the two files do not belong together, and nothing is changed.
pub fn join_keys(copy: &Path) -> Result<i64, Problem> {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        number: i64,
    }
    let keys = keys_beside(copy);
    if !copy.exists() {
        return Err(fault(format!("there is no file {}", copy.display())));
    }
    if !keys.exists() {
        return Err(fault(format!("the key file {} is missing", keys.display())));
    }
    let (copy, keys) = (copy.to_string_lossy().into_owned(), keys.to_string_lossy().into_owned());
    let mut connection = SqliteConnection::establish(&copy).map_err(fault)?;
    diesel::sql_query("ATTACH DATABASE ? AS kept")
        .bind::<diesel::sql_types::Text, _>(&keys)
        .execute(&mut connection)
        .map_err(fault)?;
    let clashes: Count = diesel::sql_query(
        "SELECT count(*) AS number FROM main.data_keys JOIN kept.data_keys AS other USING (owner_id) \
         WHERE main.data_keys.wrapped <> other.wrapped",
    )
    .get_result(&mut connection)
    .map_err(fault)?;
    if clashes.number > 0 {
        return Err(fault("the copy holds other keys than its key file: the two do not belong together"));
    }
    connection
        .batch_execute("INSERT OR IGNORE INTO main.data_keys SELECT owner_id, wrapped, created_at FROM kept.data_keys; DETACH DATABASE kept;")
        .map_err(fault)?;
    let held: Count =
        diesel::sql_query("SELECT count(*) AS number FROM data_keys").get_result(&mut connection).map_err(fault)?;
    Ok(held.number)
}

/// What came of bringing a key file to the state of the database.
#[derive(Debug)]
pub struct Pruned {
    /// How many keys were destroyed in it.
    pub destroyed: usize,
    /// How many it holds now.
    pub kept: usize,
}

/// Destroys, in the key file of an older copy, the keys that the database has destroyed since. The others are taken over as
/// they are wrapped now, so that the copy opens without the masters of its day. Of PostgreSQL, whose archives cannot be
/// changed, a new one takes the place of the old: it holds the keys of later owners too, which open nothing in the copy.
///
/// # Errors
/// When it is not a key file of this installation; then nothing is changed.
pub fn prune(location: &Location, keys: &Path) -> Result<Pruned, Problem> {
    if !keys.exists() {
        return Err(fault(format!("there is no file {}", keys.display())));
    }
    match location.file() {
        Some(database) => prune_file(database, keys),
        None => prune_dump(location, keys),
    }
}

#[derive(diesel::QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

fn number(connection: &mut SqliteConnection, sql: &str) -> Result<i64, Problem> {
    let row: Number = diesel::sql_query(sql).get_result(connection).map_err(fault)?;
    Ok(row.number)
}

const FOREIGN: &str = "is not a key file of this installation";

fn prune_file(database: &str, keys: &Path) -> Result<Pruned, Problem> {
    if !Path::new(database).exists() {
        return Err(fault(format!("there is no database at {database}")));
    }
    let foreign = || fault(format!("{} {FOREIGN}", keys.display()));
    let name = keys.to_str().ok_or_else(|| fault("the name of the key file is not text"))?;
    let mut connection = SqliteConnection::establish(name).map_err(fault)?;
    connection
        .batch_execute("PRAGMA busy_timeout = 10000; PRAGMA secure_delete = ON; PRAGMA synchronous = FULL;")
        .map_err(fault)?;
    // A key file holds this one table: a copy, or the database itself, was named by mistake.
    let tables = number(
        &mut connection,
        "SELECT count(*) + sum(name <> 'data_keys') AS number FROM sqlite_master WHERE type = 'table'",
    );
    if tables.ok() != Some(1) {
        return Err(foreign());
    }
    diesel::sql_query("ATTACH DATABASE ? AS live")
        .bind::<diesel::sql_types::Text, _>(database)
        .execute(&mut connection)
        .map_err(fault)?;
    // The moment at which the installation's key was made says whose file it is: it outlives every change of master.
    let same = number(
        &mut connection,
        "SELECT count(*) AS number FROM main.data_keys JOIN live.data_keys AS other USING (owner_id, created_at) \
         WHERE owner_id = zeroblob(16)",
    );
    if same? != 1 {
        return Err(foreign());
    }
    let gone = "FROM main.data_keys WHERE owner_id NOT IN (SELECT owner_id FROM live.data_keys)";
    let destroyed = connection.immediate_transaction(|connection| {
        let destroyed = diesel::sql_query(format!("DELETE {gone}")).execute(connection)?;
        connection.batch_execute(
            "UPDATE main.data_keys SET wrapped = (SELECT other.wrapped FROM live.data_keys AS other \
             WHERE other.owner_id = main.data_keys.owner_id)",
        )?;
        Ok::<_, diesel::result::Error>(destroyed)
    });
    let destroyed = destroyed.map_err(fault)?;
    connection.batch_execute("DETACH DATABASE live; VACUUM;").map_err(fault)?;
    let kept = number(&mut connection, "SELECT count(*) AS number FROM data_keys")?;
    Ok(Pruned { destroyed, kept: usize::try_from(kept).unwrap_or_default() })
}

/// The owners in an archive of keys, and when the installation's was made.
fn owners_in(archive: &Path) -> Result<(BTreeSet<String>, Option<String>), Problem> {
    let read = Command::new("pg_restore")
        .args(["--data-only", "--table=data_keys", "--file=-"])
        .arg(archive)
        .output()
        .map_err(|error| fault(format!("pg_restore: {error}")))?;
    if !read.status.success() {
        return Err(fault(format!("pg_restore: {}", String::from_utf8_lossy(&read.stderr).trim())));
    }
    let text = String::from_utf8_lossy(&read.stdout);
    let rows = text.lines().skip_while(|line| !line.starts_with("COPY ")).skip(1).take_while(|line| *line != "\\.");
    let installation = crate::values::Id::INSTALLATION.to_string();
    let (mut owners, mut made_at) = (BTreeSet::new(), None);
    for row in rows {
        let mut fields = row.split('\t');
        let owner = fields.next().unwrap_or_default().to_owned();
        if owner == installation {
            made_at = fields.next_back().map(str::to_owned);
        }
        owners.insert(owner);
    }
    Ok((owners, made_at))
}

fn prune_dump(location: &Location, keys: &Path) -> Result<Pruned, Problem> {
    let foreign = || fault(format!("{} {FOREIGN}", keys.display()));
    if !is_dump(keys) {
        return Err(foreign());
    }
    let (former, made_at) = owners_in(keys)?;
    let mut beside = keys.as_os_str().to_owned();
    beside.push(".partial");
    let beside = std::path::PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    dump_part(location, &beside, "--table=data_keys")?;
    let (present, made_now) = owners_in(&beside)?;
    if made_at.is_none() || made_at != made_now {
        let _ = fs::remove_file(&beside);
        return Err(foreign());
    }
    restrict(&beside)?;
    fs::File::open(&beside).and_then(|file| file.sync_all()).map_err(fault)?;
    fs::rename(&beside, keys).map_err(fault)?;
    Ok(Pruned { destroyed: former.difference(&present).count(), kept: present.len() })
}

#[cfg(unix)]
fn restrict(file: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).map_err(fault)
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> Result<(), Problem> {
    Ok(())
}

/// Checks a copy without changing it: the file is whole, every reference holds, the installation's key opens under the
/// master key, and the access log's chains are unbroken. Of a PostgreSQL archive only that it reads from end to end: its
/// log is checked with `verify-log` once it is restored.
pub fn verify(file: &Path, masters: &Masters) -> Result<Verdict, Problem> {
    if !file.exists() {
        return Err(fault(format!("there is no file {}", file.display())));
    }
    if is_dump(file) {
        return verify_dump(file);
    }
    // The copy itself stays as it is: the check works on a copy of the copy.
    let scratch = std::env::temp_dir().join(format!("circlekeeper-verify-{}", crate::values::Id::random()));
    fs::create_dir(&scratch).map_err(fault)?;
    let verdict = verify_in(file, &scratch, masters);
    let _ = fs::remove_dir_all(&scratch);
    verdict
}

fn verify_in(file: &Path, scratch: &Path, masters: &Masters) -> Result<Verdict, Problem> {
    #[derive(diesel::QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        integrity_check: String,
    }
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        broken: i64,
    }
    let copy = scratch.join("copy.db");
    fs::copy(file, &copy).map_err(fault)?;
    if keys_beside(file).exists() {
        fs::copy(keys_beside(file), keys_beside(&copy)).map_err(fault)?;
        join_keys(&copy)?;
    }
    let url = format!("sqlite:{}", copy.display());
    let location = Location::new(url, 1);
    let mut faults = Vec::new();
    {
        let mut connection = SqliteConnection::establish(&copy.to_string_lossy()).map_err(fault)?;
        let lines: Vec<Line> = diesel::sql_query("PRAGMA integrity_check").load(&mut connection).map_err(fault)?;
        faults.extend(lines.into_iter().map(|line| line.integrity_check).filter(|line| line != "ok"));
        let broken: Count = diesel::sql_query("SELECT count(*) AS broken FROM pragma_foreign_key_check")
            .get_result(&mut connection)
            .map_err(fault)?;
        if broken.broken > 0 {
            faults.push(format!("{} rows refer to rows that are not there", broken.broken));
        }
    }
    let mut verdict = access_log::verify_at(&location, masters)?;
    faults.append(&mut verdict.faults);
    verdict.faults = faults;
    Ok(verdict)
}
