//! The way to the database: `Db::read`, `Db::write`, one connection type over SQLite and PostgreSQL.
//!
//! SQLite has exactly one writer, so it gets one writer thread: waiting jobs run as savepoints of one transaction
//! and are answered after the commit, so that many writers share one sync to disk. The same thread keeps this
//! server's chain of the access log on both databases.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Duration,
};

use diesel::{
    Connection as _, QueryResult, RunQueryDsl,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
    r2d2::{ManageConnection, Pool, PooledConnection},
    sqlite::SqliteConnection,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, oneshot};

use super::{
    access_log::{Chain, Entry},
    keys,
    master_keys::LiveMasters,
    permit::Permit,
    sealing::{InstallationKeys, Keys, random},
    wall,
};
use crate::{
    policy::Act,
    problem::Problem,
    values::{Id, Moment},
};

/// How many jobs one transaction of the SQLite writer takes at most.
const GROUP: usize = 128;
/// How many jobs wait for the writer before new ones are refused with 503.
const QUEUE: usize = 4096;
/// How long a request waits for a connection before it is refused with 503.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a request waits for its work in the database before it is told to try again: a database that is frozen, or gone
/// behind a cut cable, says nothing for minutes. Longer than a statement of PostgreSQL may take by itself.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long a reading request waits for a connection to the standby, and for the standby to catch up: then the primary is
/// quicker.
const STANDBY_PATIENCE: Duration = Duration::from_millis(50);
const STANDBY_LOOKS: usize = 5;
const STANDBY_PAUSE: Duration = Duration::from_millis(2);
/// How often a transaction that lost against another one is done again before its caller is told to.
const ATTEMPTS: u32 = 5;

pub(super) use super::database::Database;

type Transactions = <Database as diesel::Connection>::TransactionManager;

/// Inserts many rows. The derived connection cannot, so each database does it for itself: PostgreSQL with one statement for
/// one round trip. SQLite row by row: there is nothing to travel, the statement is prepared once and kept, and one of many
/// rows keeps a journal of its own to be taken back by.
macro_rules! insert_many {
    ($connection:expr, $table:expr, $rows:expr) => {{
        let rows = $rows;
        match $connection {
            $crate::store::connection::Database::Sqlite(connection) => rows.iter().try_fold(0, |done, row| {
                diesel::RunQueryDsl::execute(diesel::insert_into($table).values(row), connection).map(|one| done + one)
            }),
            #[cfg(feature = "postgres")]
            $crate::store::connection::Database::Postgres(connection) => {
                // A statement takes at most 65,535 values; the widest rows here have fewer than 32 columns.
                rows.chunks(500).try_fold(0, |done, rows| {
                    diesel::RunQueryDsl::execute(diesel::insert_into($table).values(rows), connection)
                        .map(|some| done + some)
                })
            }
        }
    }};
}
pub(super) use insert_many;

/// Loads the rows of a statement that every request sends, or that has many: on the connection that it is, where a statement
/// of one text is known by its type and a row needs no telling whose it is.
macro_rules! load {
    ($connection:expr, $query:expr) => {
        match $connection {
            $crate::store::connection::Database::Sqlite(connection) => diesel::RunQueryDsl::load($query, connection),
            #[cfg(feature = "postgres")]
            $crate::store::connection::Database::Postgres(connection) => diesel::RunQueryDsl::load($query, connection),
        }
    };
}
pub(super) use load;

/// Inserts a row unless one with its key is there: without a clash that would end a PostgreSQL transaction.
macro_rules! insert_unless_there {
    ($connection:expr, $table:expr, $row:expr) => {{
        let row = $row;
        match $connection {
            $crate::store::connection::Database::Sqlite(connection) => diesel::RunQueryDsl::execute(
                diesel::insert_into($table).values(row).on_conflict_do_nothing(),
                connection,
            ),
            #[cfg(feature = "postgres")]
            $crate::store::connection::Database::Postgres(connection) => diesel::RunQueryDsl::execute(
                diesel::insert_into($table).values(row).on_conflict_do_nothing(),
                connection,
            ),
        }
    }};
}
pub(super) use insert_unless_there;

/// The server's clock, which a test can move.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn now(&self) -> Moment {
        let now = Moment::from(jiff::Timestamp::now());
        Moment(now.0 + self.0.load(Ordering::Relaxed))
    }

    /// Moves the clock by so many milliseconds, forward or back.
    pub fn shift(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

/// Where the database is, and how it is used.
#[derive(Clone, Debug)]
pub struct Location {
    /// `postgres://…`, or `sqlite:` and a path.
    pub url: SecretString,
    /// Connections for reading (SQLite), or for all work (PostgreSQL).
    pub connections: u32,
    /// A standby of the same PostgreSQL, from which records are read.
    pub replica: Option<SecretString>,
    /// Whether a pooler stands before PostgreSQL that gives out connections for one transaction: nothing lasts longer than
    /// that there, no setting and no prepared statement.
    pub pooler: bool,
}

impl Location {
    pub fn new(url: impl Into<SecretString>, connections: u32) -> Location {
        Location { url: url.into(), connections, replica: None, pooler: false }
    }

    /// The standby, spoken to in the same way.
    fn of_replica(&self) -> Option<Location> {
        self.replica.clone().map(|url| Location { url, replica: None, ..self.clone() })
    }

    pub fn is_postgres(&self) -> bool {
        let url = self.url.expose_secret();
        url.starts_with("postgres://") || url.starts_with("postgresql://")
    }

    /// The file of an embedded database.
    pub fn file(&self) -> Option<&str> {
        (!self.is_postgres()).then(|| {
            let url = self.url.expose_secret();
            url.strip_prefix("sqlite:").unwrap_or(url)
        })
    }

    pub(super) fn connect(&self, writes: bool) -> Result<Database, diesel::ConnectionError> {
        match self.file() {
            Some(file) => {
                if writes {
                    make_private(file);
                }
                let mut connection = SqliteConnection::establish(file)?;
                let settings = if writes {
                    // Patience first: another process that closes the database holds it while this one asks for WAL.
                    "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA cache_size = -16384;"
                } else {
                    "PRAGMA busy_timeout = 10000; PRAGMA query_only = ON;"
                };
                connection.batch_execute(settings).map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                Ok(Database::Sqlite(connection))
            }
            #[cfg(feature = "postgres")]
            None => {
                let mut connection = diesel::pg::PgConnection::establish(&patient(self.url.expose_secret()))?;
                if self.pooler {
                    connection.set_prepared_statement_cache_size(diesel::connection::CacheSize::Disabled);
                } else {
                    connection
                        .batch_execute(&format!("SET {}; SET {}", LIMITS[0], LIMITS[1]))
                        .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                }
                Ok(Database::Postgres(connection))
            }
            #[cfg(not(feature = "postgres"))]
            None => Err(diesel::ConnectionError::BadConnection(
                "this program was built without PostgreSQL: build it with --features postgres".into(),
            )),
        }
    }

    /// The connection of the writer's thread. Its transactions are short: what a savepoint would take back of them is kept
    /// in memory, where SQLite would write a file for each and throw it away. A migration may sort a whole table, and does
    /// not do it there.
    fn connect_writer(&self) -> Result<Database, diesel::ConnectionError> {
        let mut database = self.connect(true)?;
        match &mut database {
            Database::Sqlite(sqlite) => sqlite
                .batch_execute("PRAGMA temp_store = MEMORY")
                .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?,
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => {}
        }
        Ok(database)
    }
}

/// What PostgreSQL ends by itself: a statement that takes too long, a transaction that somebody forgot.
#[cfg(feature = "postgres")]
const LIMITS: [&str; 2] = ["statement_timeout = '15s'", "idle_in_transaction_session_timeout = '60s'"];

/// A PostgreSQL URL that gives up on a server that is not reached, where the operator has not said when to.
#[cfg(feature = "postgres")]
fn patient(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [("connect_timeout", "5"), ("tcp_user_timeout", "15000"), ("keepalives_idle", "15")] {
        if !url.contains(&format!("{name}=")) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{name}={value}"));
        }
    }
    url
}

/// Makes the file of a new embedded database, for its owner alone; SQLite gives its companions the same rights.
fn make_private(file: &str) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // A file that is there already, or cannot be made, is SQLite's to judge.
    let _ = options.open(file);
}

/// A connection of the pool; dropped when it met an error that a later request must not inherit.
struct Pooled {
    database: Option<Database>,
}

struct Opener {
    location: Location,
}

impl ManageConnection for Opener {
    type Connection = Pooled;
    type Error = diesel::ConnectionError;

    fn connect(&self) -> Result<Pooled, Self::Error> {
        self.location.connect(self.location.is_postgres()).map(|database| Pooled { database: Some(database) })
    }

    fn is_valid(&self, _: &mut Pooled) -> Result<(), Self::Error> {
        Ok(())
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        match &mut pooled.database {
            Some(database) => !alive(database),
            None => true,
        }
    }
}

/// Whose rows a connection may touch, as the second wall is told: row-level security in PostgreSQL repeats it. The
/// caller's own memberships are always open to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub account: Id,
    pub groups: Vec<Id>,
    pub organization: Option<Id>,
}

impl Scope {
    pub fn own(account: Id) -> Scope {
        Scope { account, groups: Vec::new(), organization: None }
    }

    /// The statement that tells PostgreSQL, until the transaction ends.
    #[cfg(feature = "postgres")]
    fn statement(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(Id::to_string).collect();
        format!(
            "SELECT set_config('circlekeeper.account', '{}', true), set_config('circlekeeper.groups', '{{{}}}', true), \
             set_config('circlekeeper.organization', '{}', true)",
            self.account,
            groups.join(","),
            self.organization.map_or_else(String::new, |id| id.to_string()),
        )
    }
}

/// Where a request reads records.
enum Source {
    /// Where it writes: for everybody without a standby, and for those whom the standby has failed.
    Primary,
    /// On the standby, once that has caught up with what the primary had kept when the permit was given.
    Undecided,
    Standby(PooledConnection<Opener>),
}

/// Tells PostgreSQL a scope; in a transaction that begins with it where none is open.
fn tell_to(database: &mut Database, scope: &Scope) -> QueryResult<()> {
    match database {
        #[cfg(feature = "postgres")]
        Database::Postgres(postgres) => match depth(postgres)? {
            None => AnsiTransactionManager::begin_transaction_sql(postgres, &format!("BEGIN; {}", scope.statement())),
            Some(_) => postgres.batch_execute(&scope.statement()),
        },
        Database::Sqlite(_) => {
            let _ = scope;
            Ok(())
        }
    }
}

#[cfg(feature = "postgres")]
fn depth(postgres: &mut diesel::pg::PgConnection) -> QueryResult<Option<std::num::NonZeroU32>> {
    AnsiTransactionManager::transaction_manager_status_mut(postgres).transaction_depth()
}

/// Begins the transaction of a request.
fn begin(database: &mut Database, shared: &Shared, only_reads: bool) -> QueryResult<()> {
    match database {
        #[cfg(feature = "postgres")]
        Database::Postgres(postgres) if shared.pooler => {
            let mode = if only_reads { " READ ONLY" } else { "" };
            let sql = format!("BEGIN{mode}; SET LOCAL {}; SET LOCAL {}", LIMITS[0], LIMITS[1]);
            AnsiTransactionManager::begin_transaction_sql(postgres, &sql)
        }
        _ => {
            let _ = (shared, only_reads);
            Transactions::begin_transaction(database)
        }
    }
}

/// Ends a transaction that a reading request may have begun.
fn end(database: &mut Database, commits: bool) -> QueryResult<()> {
    match Transactions::transaction_manager_status_mut(database).transaction_depth() {
        Ok(None) | Err(_) => Ok(()),
        Ok(Some(_)) if commits => Transactions::commit_transaction(database),
        Ok(Some(_)) => Transactions::rollback_transaction(database),
    }
}

/// One request's way to the database. It gives out the database only to `store`, and there only for a permit.
pub struct Connection {
    database: Database,
    shared: Arc<Shared>,
    source: Source,
    /// What PostgreSQL was told in this transaction.
    scope: Option<Scope>,
    /// Why the scope could not be told, or the standby not be asked: then the request ends with it, whatever it found.
    fault: Option<Problem>,
    /// What the access log must hold before this request may be answered. The writer's connection collects those of
    /// all jobs of a group.
    pub(super) entries: Vec<Entry>,
    /// Where the entries of the present request begin.
    pub(super) own_entries: usize,
    /// What the access log holds of this request if the caller reached for more than their own.
    pub(super) attempt: Option<Entry>,
    /// Kept when the work is refused, whatever for.
    pub(super) refusal: Option<Entry>,
    /// The moment of the request: one reading of the clock for all its parts.
    pub now: Moment,
}

/// What all connections share.
pub(super) struct Shared {
    pub masters: Arc<LiveMasters>,
    pub installation: InstallationKeys,
    /// Whether PostgreSQL holds the server to the scope that it names.
    walled: bool,
    pooler: bool,
    standby: Option<Pool<Opener>>,
}

impl Connection {
    fn new(database: Database, shared: Arc<Shared>, now: Moment) -> Connection {
        Connection {
            database,
            shared,
            source: Source::Primary,
            scope: None,
            fault: None,
            entries: Vec::new(),
            own_entries: 0,
            attempt: None,
            refusal: None,
            now,
        }
    }

    /// The database, for work that a permit allows.
    pub(super) fn with<A: Act>(&mut self, permit: &Permit<A>) -> &mut Database {
        if self.shared.walled {
            self.tell(permit.scope());
        }
        if matches!(self.source, Source::Undecided) {
            self.source = self.choose();
        }
        let standby = match &mut self.source {
            Source::Standby(standby) => standby.database.as_mut(),
            Source::Primary | Source::Undecided => None,
        };
        standby.unwrap_or(&mut self.database)
    }

    /// Says for whom the standing is looked up, before there is a permit.
    pub(super) fn calls(&mut self, account: Id) {
        self.tell(&Scope::own(account));
    }

    /// Says that an invitation or an emergency lets an account into a group, before there is a permit that says so.
    pub(super) fn enters(&mut self, account: Id, group: Id) {
        self.tell(&Scope { groups: vec![group], ..Scope::own(account) });
    }

    /// Tells PostgreSQL whose rows are touched next, where it keeps to that.
    fn tell(&mut self, scope: &Scope) {
        if !self.shared.walled || self.scope.as_ref() == Some(scope) {
            return;
        }
        self.scope = Some(scope.clone());
        let mut told = tell_to(&mut self.database, scope);
        if let (Ok(()), Source::Standby(standby)) = (&told, &mut self.source) {
            told = standby.database.as_mut().map_or(Ok(()), |database| tell_to(database, scope));
        }
        if let Err(error) = told {
            self.fault = Some(error.into());
        }
    }

    /// The standby, if it has replayed everything that the primary had kept when it looked up the standing: rights that
    /// ended, consents that were withdrawn and one's own writes are all there then. Otherwise the primary.
    fn choose(&mut self) -> Source {
        match self.caught_up() {
            Some(standby) => Source::Standby(standby),
            None => Source::Primary,
        }
    }

    fn caught_up(&mut self) -> Option<PooledConnection<Opener>> {
        #[derive(diesel::QueryableByName)]
        struct Position {
            #[diesel(sql_type = diesel::sql_types::Text)]
            position: String,
        }
        #[derive(diesel::QueryableByName)]
        struct Caught {
            #[diesel(sql_type = diesel::sql_types::Bool)]
            up: bool,
        }
        let kept: Position = diesel::sql_query("SELECT pg_current_wal_flush_lsn()::text AS position")
            .get_result(&mut self.database)
            .ok()?;
        let mut standby = self.shared.standby.as_ref()?.get_timeout(STANDBY_PATIENCE).ok()?;
        let database = standby.database.as_mut()?;
        if self.shared.pooler && !self.shared.walled {
            begin(database, &self.shared, true).ok()?;
        }
        if let (true, Some(scope)) = (self.shared.walled, &self.scope) {
            tell_to(database, scope).ok()?;
        }
        for _ in 0..STANDBY_LOOKS {
            let caught: Caught =
                diesel::sql_query("SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= $1::pg_lsn AS up")
                    .bind::<diesel::sql_types::Text, _>(&kept.position)
                    .get_result(database)
                    .ok()?;
            if caught.up {
                return Some(standby);
            }
            std::thread::sleep(STANDBY_PAUSE);
        }
        let _ = end(database, true);
        None
    }

    /// Runs work that only reads, and leaves no transaction open.
    fn reading<T>(&mut self, work: &impl Fn(&mut Connection) -> Result<T, Problem>) -> Result<T, Problem> {
        if self.shared.pooler {
            begin(&mut self.database, &self.shared, true)?;
        }
        let found = work(self);
        let ended = match &mut self.source {
            Source::Standby(standby) => standby.database.as_mut().map_or(Ok(()), |database| end(database, true)),
            Source::Primary | Source::Undecided => Ok(()),
        }
        .and(end(&mut self.database, true));
        self.scope = None;
        match (self.fault.take(), ended) {
            (Some(fault), _) => Err(fault),
            (None, Err(error)) => found.and(Err(error.into())),
            (None, Ok(())) => found,
        }
    }

    /// The second door: for signing in, for looking up standings, for keeping the log. A test pins who uses it.
    pub(super) fn before_any_permit(&mut self) -> &mut Database {
        &mut self.database
    }

    /// Whether PostgreSQL holds this connection to the scope that it is told.
    pub(super) fn is_walled(&self) -> bool {
        self.shared.walled
    }

    /// The keyed hashes of the installation.
    pub fn installation(&self) -> &InstallationKeys {
        &self.shared.installation
    }

    /// The data keys of these owners, with one query.
    pub(super) fn keys(&mut self, owners: impl IntoIterator<Item = Id>) -> Result<Keys, Problem> {
        let shared = self.shared.clone();
        keys::load(&mut self.database, &shared.masters, owners)
    }

    /// Makes the data key of a new owner.
    pub(super) fn new_keys(&mut self, owners: &[Id]) -> Result<Keys, Problem> {
        self.new_keys_at(owners, self.now)
    }

    /// Makes the data key of a new owner, of which nobody shall read the hour.
    pub(super) fn new_keys_at(&mut self, owners: &[Id], at: Moment) -> Result<Keys, Problem> {
        let shared = self.shared.clone();
        keys::create(&mut self.database, &shared.masters, owners, at)
    }

    /// Forgets what an attempt would have put into the access log, for the next one.
    fn start_over(&mut self) {
        self.entries.clear();
        self.attempt = None;
        self.refusal = None;
    }

    /// Ends a request: whoever may reach only their own and was told that there is nothing has tried another's. What
    /// does not exist is noted alike, so that both take the same time.
    fn judged<T>(&mut self, result: Result<T, Problem>) -> Result<T, Problem> {
        let attempt = self.attempt.take();
        if let Some(refusal) = self.refusal.take().filter(|_| result.is_err()) {
            let own = self.entries.split_off(self.own_entries.min(self.entries.len()));
            self.entries.extend(own.into_iter().filter(|entry| entry.action != refusal.action));
            self.entries.push(refusal);
        }
        if matches!(result, Err(Problem::NotFound)) {
            // In an emergency as well: what is read under one is written down beforehand.
            let own = self.entries.iter_mut().skip(self.own_entries);
            own.filter(|entry| entry.emergency_id.is_some()).for_each(|entry| entry.allowed = false);
            self.entries.extend(attempt);
        }
        result
    }

    /// Runs `work` in a transaction, or in a savepoint where one is open already.
    fn transaction<T>(&mut self, work: impl FnOnce(&mut Connection) -> Result<T, Problem>) -> Result<T, Problem> {
        let shared = self.shared.clone();
        begin(&mut self.database, &shared, false)?;
        self.scope = None;
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        let done = match self.fault.take() {
            Some(fault) => Ok(Err(fault)),
            None => done,
        };
        match done {
            Ok(Ok(value)) => {
                Transactions::commit_transaction(&mut self.database)?;
                Ok(value)
            }
            Ok(Err(problem)) => match Transactions::rollback_transaction(&mut self.database) {
                Ok(()) => Err(problem),
                Err(error) => Err(error.into()),
            },
            Err(_) => {
                Transactions::rollback_transaction(&mut self.database)?;
                Err(Problem::Internal("a panic while working in the database".into()))
            }
        }
    }
}

/// Runs after the commit that its job was part of, or after that commit failed.
type Answer = Box<dyn FnOnce(Result<(), Problem>) + Send>;
/// Returns how to answer, and whether the work was done.
type Job = Box<dyn FnOnce(&mut Connection) -> (Answer, bool) + Send>;

/// The database, for the whole server. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Pool<Opener>,
    places: Arc<Semaphore>,
    writer: SyncSender<Job>,
    shared: Arc<Shared>,
    pub clock: Clock,
    location: Location,
}

impl Db {
    /// Opens a migrated database and begins this server's chain of the access log.
    pub fn open(location: &Location, masters: impl Into<LiveMasters>, clock: Clock) -> Result<Db, Problem> {
        let masters = Arc::new(masters.into());
        let unreachable = |error: &dyn std::fmt::Display| {
            // libpq's messages name host and user, never the password.
            Problem::Internal(format!("the database cannot be opened: {error}"))
        };
        let mut database = location.connect_writer().map_err(|error| unreachable(&error))?;
        let walled = wall::stands(&mut database)?;
        let (installation, chain) = in_one(&mut database, |database| {
            let installation = keys::installation(database, &masters, clock.now())?;
            let chain = Chain::begin(database, &installation.log, clock.now())?;
            Ok((installation, chain))
        })?;
        let connections = location.connections.max(1);
        let open = |location: Location| {
            Pool::builder()
                .max_size(connections)
                .min_idle(Some(1))
                .test_on_check_out(false)
                .connection_timeout(Duration::from_secs(5))
                .build(Opener { location })
        };
        let pool = open(location.clone()).map_err(|error| unreachable(&error))?;
        let standby = location.of_replica().map(open).transpose().map_err(|error| unreachable(&error))?;
        let shared = Arc::new(Shared { masters, installation, walled, pooler: location.pooler, standby });
        let (writer, jobs) = sync_channel(QUEUE);
        let connection = Connection::new(database, shared.clone(), clock.now());
        let (clock_of_writer, location_of_writer) = (clock.clone(), location.clone());
        std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || keep_writing(connection, &jobs, chain, &clock_of_writer, &location_of_writer))
            .map_err(|error| Problem::Internal(format!("no thread for the writer: {error}")))?;
        let places = Arc::new(Semaphore::new(connections as usize));
        Ok(Db { pool, places, writer, shared, clock, location: location.clone() })
    }

    /// The master keys that are in force.
    pub fn masters(&self) -> Arc<LiveMasters> {
        self.shared.masters.clone()
    }

    /// The secrets that sign access tokens at this moment; see [`super::sealing::Masters::token_secrets`].
    pub fn token_secrets(&self) -> Vec<(String, Vec<u8>)> {
        self.shared.masters.now().token_secrets().map(|(name, secret)| (name.to_owned(), secret.to_vec())).collect()
    }

    pub fn installation(&self) -> &InstallationKeys {
        &self.shared.installation
    }

    /// Runs `work` on a connection that only reads. What it found leaves only after the access log is on disk.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (found, entries) = self
            .pooled(move |connection| {
                if connection.shared.standby.is_some() {
                    connection.source = Source::Undecided;
                }
                let mut found = connection.reading(&work);
                let asked_standby = matches!(connection.source, Source::Standby(_));
                if asked_standby && matches!(found, Err(Problem::Outrun | Problem::Busy(_))) {
                    // What the standby could not finish, as when it replays a clean-up, the primary can.
                    connection.source = Source::Primary;
                    connection.start_over();
                    found = connection.reading(&work);
                }
                let found = connection.judged(found);
                (found, std::mem::take(&mut connection.entries))
            })
            .await?;
        self.log(entries).await?;
        found
    }

    /// Runs `work` in one transaction: all of it happens, or nothing. Answers after the commit. A transaction that lost
    /// against another one is done again: `work` must not keep anything from an attempt to the next.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        if !self.location.is_postgres() {
            return self.queue(work).await;
        }
        let db = self.clone();
        let (done, entries) = self
            .pooled(move |connection| {
                let mut attempt = 1;
                let done = loop {
                    let done = connection.transaction(|connection| {
                        let value = work(connection)?;
                        // The entries are on disk before the act is: an act can never stand without its entry.
                        db.log_now(std::mem::take(&mut connection.entries))?;
                        Ok(value)
                    });
                    if !matches!(done, Err(Problem::Outrun)) || attempt == ATTEMPTS {
                        break done;
                    }
                    connection.start_over();
                    std::thread::sleep(pause(attempt));
                    attempt += 1;
                };
                let done = connection.judged(done);
                (done, std::mem::take(&mut connection.entries))
            })
            .await?;
        self.log(entries).await?;
        done
    }

    async fn pooled<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let place = tokio::time::timeout(PATIENCE, self.places.clone().acquire_owned())
            .await
            .map_err(|_| Problem::Busy(2))?
            .map_err(|_| Problem::Busy(2))?;
        let (pool, shared, now) = (self.pool.clone(), self.shared.clone(), self.clock.now());
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut pooled = pool.get().map_err(|_| Problem::Busy(2))?;
            let database = pooled.database.take().ok_or(Problem::Busy(1))?;
            let mut connection = Connection::new(database, shared, now);
            let result = catch_unwind(AssertUnwindSafe(|| work(&mut connection)));
            let mut database = connection.database;
            // A connection that the server closed answers nothing any more: it must not go back into the pool.
            if result.is_ok() && alive(&mut database) {
                pooled.database = Some(database);
            }
            result.map_err(|_| Problem::Internal("a panic while reading the database".into()))
        });
        // The thread goes on waiting and keeps its place: no more of them wait than there are connections.
        in_time(done).await?.map_err(|_| Problem::Internal("a database thread was lost".into()))?
    }

    async fn queue<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (sender, receiver) = oneshot::channel();
        self.send(Box::new(move |connection| {
            connection.own_entries = connection.entries.len();
            let result = connection.transaction(work);
            let result = connection.judged(result);
            let done = result.is_ok();
            let answer = move |committed: Result<(), Problem>| {
                let _ = sender.send(committed.and(result));
            };
            (Box::new(answer), done)
        }))?;
        in_time(receiver).await?.map_err(|_| Problem::Busy(1))?
    }

    /// Has an embedded database bring its log into the file, where what was removed is overwritten, and empty the log. Until
    /// then both hold it. As far as readers let it.
    pub async fn settle(&self) -> Result<(), Problem> {
        if self.location.is_postgres() {
            return Ok(());
        }
        let location = self.location.clone();
        let settled = tokio::task::spawn_blocking(move || match location.connect(true) {
            Ok(Database::Sqlite(mut connection)) => connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").is_ok(),
            _ => false,
        });
        if settled.await.unwrap_or(false) { Ok(()) } else { Err(Problem::Busy(1)) }
    }

    async fn log(&self, entries: Vec<Entry>) -> Result<(), Problem> {
        if entries.is_empty() {
            return Ok(());
        }
        let (sender, receiver) = oneshot::channel();
        self.send_entries(entries, move |committed| {
            let _ = sender.send(committed);
        })?;
        in_time(receiver).await?.map_err(|_| Problem::Busy(1))?
    }

    fn log_now(&self, entries: Vec<Entry>) -> Result<(), Problem> {
        if entries.is_empty() {
            return Ok(());
        }
        let (sender, receiver) = sync_channel(1);
        self.send_entries(entries, move |committed| {
            let _ = sender.send(committed);
        })?;
        receiver.recv_timeout(DEADLINE).map_err(|_| Problem::Busy(1))?
    }

    fn send_entries(
        &self,
        entries: Vec<Entry>,
        answer: impl FnOnce(Result<(), Problem>) + Send + 'static,
    ) -> Result<(), Problem> {
        self.send(Box::new(move |connection| {
            connection.entries.extend(entries);
            (Box::new(answer), true)
        }))
    }

    fn send(&self, job: Job) -> Result<(), Problem> {
        self.writer.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Problem::Busy(2),
            TrySendError::Disconnected(_) => Problem::Busy(5),
        })
    }

    /// Whether the database answers, to those who read and to the one who writes: for the readiness probe.
    pub async fn answers(&self) -> Result<(), Problem> {
        self.pooled(|connection| connection.database.batch_execute("SELECT 1")).await?.map_err(Problem::from)?;
        self.queue(|_| Ok(())).await
    }
}

/// Waits for the database no longer than a client should.
async fn in_time<F: Future>(work: F) -> Result<F::Output, Problem> {
    tokio::time::timeout(DEADLINE, work).await.map_err(|_| Problem::Busy(5))
}

/// How long a transaction that lost waits before it is done again: a little longer each time, and never in step.
fn pause(attempt: u32) -> Duration {
    let [chance] = random::<1>();
    Duration::from_millis(u64::from(attempt) * (5 + u64::from(chance) / 8))
}

/// Does work without a request in one transaction.
fn in_one<T>(database: &mut Database, work: impl FnOnce(&mut Database) -> Result<T, Problem>) -> Result<T, Problem> {
    Transactions::begin_transaction(database)?;
    let done = work(database);
    match &done {
        Ok(_) => Transactions::commit_transaction(database)?,
        Err(_) => Transactions::rollback_transaction(database)?,
    }
    done
}

/// Whether the other end is still there: asked of PostgreSQL after each use, without a round trip.
fn alive(database: &mut Database) -> bool {
    match database {
        #[cfg(feature = "postgres")]
        Database::Postgres(connection) => {
            !diesel::r2d2::R2D2Connection::is_broken(connection) && {
                // The transaction state is kept in this process: an error that closed the connection leaves it broken.
                Transactions::transaction_manager_status_mut(database).transaction_depth().is_ok()
            }
        }
        Database::Sqlite(_) => true,
    }
}

/// The writer's thread: takes what waits, does it in one transaction, chains the log, commits, answers.
fn keep_writing(mut connection: Connection, jobs: &Receiver<Job>, chain: Chain, clock: &Clock, location: &Location) {
    let mut chain = Some(chain);
    while let Ok(first) = jobs.recv() {
        let mut waiting = vec![first];
        while waiting.len() < GROUP {
            match jobs.try_recv() {
                Ok(job) => waiting.push(job),
                Err(_) => break,
            }
        }
        connection.now = clock.now();
        if chain.is_none() {
            chain = reopen(&mut connection, location);
        }
        let Some(current) = &mut chain else {
            // Jobs that are dropped tell their callers to try again.
            continue;
        };
        let mut answers = Vec::with_capacity(waiting.len());
        let written = catch_unwind(AssertUnwindSafe(|| write_group(&mut connection, waiting, current, &mut answers)));
        // The thread outlives whatever goes wrong in it: without it nobody writes any more.
        let outcome = written.unwrap_or_else(|_| Err(Problem::Internal("a panic while writing".into())));
        if let Err(problem) = &outcome {
            tracing::warn!(%problem, "a group of writes was not committed");
            connection.entries.clear();
            // Whether the commit arrived is not known, so this chain's end is not either: the next group begins another.
            chain = None;
        }
        for answer in answers {
            answer(outcome.clone().map_err(|_| Problem::Busy(1)));
        }
    }
}

/// A new connection and a new chain, after a group that failed.
fn reopen(connection: &mut Connection, location: &Location) -> Option<Chain> {
    connection.database = location.connect_writer().ok()?;
    let shared = connection.shared.clone();
    let now = connection.now;
    in_one(&mut connection.database, |database| Chain::begin(database, &shared.installation.log, now)).ok()
}

fn write_group(
    connection: &mut Connection,
    jobs: Vec<Job>,
    chain: &mut Chain,
    answers: &mut Vec<Answer>,
) -> Result<(), Problem> {
    let begun = match &mut connection.database {
        // The write lock is taken up front: read first and then write would lose against another writer.
        // The savepoint shows whether it is still open: on some errors SQLite takes all of it back by itself.
        Database::Sqlite(sqlite) => {
            AnsiTransactionManager::begin_transaction_sql(sqlite, "BEGIN IMMEDIATE; SAVEPOINT jobs")
        }
        #[cfg(feature = "postgres")]
        database @ Database::Postgres(_) => begin(database, &connection.shared, false),
    };
    begun?;
    // Jobs that are not run are dropped: their callers are told to try again.
    for job in jobs {
        let (answer, done) = job(connection);
        answers.push(answer);
        if !done && let Database::Sqlite(sqlite) = &mut connection.database {
            sqlite.batch_execute("RELEASE jobs; SAVEPOINT jobs")?;
        }
    }
    let entries = std::mem::take(&mut connection.entries);
    chain.append(&mut connection.database, &connection.shared.installation.log, entries)?;
    Transactions::commit_transaction(&mut connection.database)?;
    Ok(())
}
