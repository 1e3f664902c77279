//! The bare limits: statements on a connection of their own, a password hash without a server around it.

use circlekeeper::{
    store::{columns::Uid, connection::Location},
    values::Id,
};
use diesel::{
    QueryResult, QueryableByName, RunQueryDsl,
    backend::Backend,
    connection::{Connection, SimpleConnection},
    deserialize,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    row::{Field, NamedRow, Row},
    sql_types::{BigInt, Binary, Bool, Integer, Text, Untyped},
    sqlite::{Sqlite, SqliteConnection},
};
use secrecy::ExposeSecret;

/// A value of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Id(Id),
    /// A list in one value; only PostgreSQL has such.
    Ids(Vec<Id>),
    Big(i64),
    Int(i32),
    Text(String),
    Bool(bool),
    Blob(Vec<u8>),
}

/// A statement with `?` for each value; prepared once and kept, unlike what `diesel::sql_query` makes.
pub struct Statement<'a> {
    pub sql: &'a str,
    pub values: &'a [Value],
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

impl<C> RunQueryDsl<C> for Statement<'_> {}

macro_rules! statement_on {
    ($backend:ty, $ids:ident, $pass:ident => $push_ids:expr) => {
        impl QueryFragment<$backend> for Statement<'_> {
            fn walk_ast<'b>(&'b self, mut $pass: AstPass<'_, 'b, $backend>) -> QueryResult<()> {
                let mut pieces = self.sql.split('?');
                $pass.push_sql(pieces.next().unwrap_or_default());
                for (piece, value) in pieces.zip(self.values) {
                    match value {
                        Value::Id(value) => $pass.push_bind_param::<Uid, _>(value)?,
                        Value::Ids($ids) => $push_ids,
                        Value::Big(value) => $pass.push_bind_param::<BigInt, _>(value)?,
                        Value::Int(value) => $pass.push_bind_param::<Integer, _>(value)?,
                        Value::Text(value) => $pass.push_bind_param::<Text, _>(value)?,
                        Value::Bool(value) => $pass.push_bind_param::<Bool, _>(value)?,
                        Value::Blob(value) => $pass.push_bind_param::<Binary, _>(value)?,
                    }
                    $pass.push_sql(piece);
                }
                Ok(())
            }
        }
    };
}
statement_on!(Sqlite, ids, pass => unreachable!("SQLite has no lists: {ids:?}"));
#[cfg(feature = "postgres")]
statement_on!(diesel::pg::Pg, ids, pass => pass.push_bind_param::<diesel::sql_types::Array<Uid>, _>(ids)?);

/// A row of which every value is taken out, and nothing is made.
struct Fetched;

impl<DB: Backend> QueryableByName<DB> for Fetched {
    fn build<'a>(row: &impl NamedRow<'a, DB>) -> deserialize::Result<Self> {
        for index in 0..row.field_count() {
            std::hint::black_box(Row::get(row, index).is_some_and(|field| field.value().is_some()));
        }
        Ok(Fetched)
    }
}

/// A row of a plan of SQLite.
#[derive(QueryableByName)]
struct Detail {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// A row of a plan of PostgreSQL.
#[cfg(feature = "postgres")]
#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
struct PlanLine {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// A row of three ids, as 32 hexadecimal digits each.
#[derive(QueryableByName)]
pub struct Ids {
    #[diesel(sql_type = Text)]
    pub a: String,
    #[diesel(sql_type = Text)]
    pub b: String,
    #[diesel(sql_type = Text)]
    pub c: String,
}

/// What a table takes on disk, its indexes among it.
#[derive(Clone, QueryableByName)]
pub struct Taken {
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = BigInt)]
    pub bytes: i64,
    #[diesel(sql_type = BigInt)]
    pub indexes: i64,
}

/// A connection that nobody stands before.
pub enum Bare {
    Sqlite(SqliteConnection),
    #[cfg(feature = "postgres")]
    Postgres(diesel::pg::PgConnection),
}

/// Calls the same on whichever connection it is.
macro_rules! on {
    ($bare:expr, $connection:ident => $work:expr) => {
        match $bare {
            Bare::Sqlite($connection) => $work,
            #[cfg(feature = "postgres")]
            Bare::Postgres($connection) => $work,
        }
    };
}

impl Bare {
    /// With the settings of the server's own connections.
    pub fn open(location: &Location) -> Bare {
        match location.file() {
            Some(file) => {
                let mut connection = SqliteConnection::establish(file).expect("the database opens");
                connection
                    .batch_execute(
                        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                         PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA cache_size = -16384; \
                         PRAGMA temp_store = MEMORY;",
                    )
                    .expect("the settings are known");
                Bare::Sqlite(connection)
            }
            #[cfg(feature = "postgres")]
            None => Bare::Postgres(
                diesel::pg::PgConnection::establish(location.url.expose_secret()).expect("the database opens"),
            ),
            #[cfg(not(feature = "postgres"))]
            None => panic!("{} needs --features postgres", location.url.expose_secret()),
        }
    }

    pub fn batch(&mut self, sql: &str) {
        on!(self, connection => connection.batch_execute(sql)).unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// The same, once other connections are gone: a pool closes late.
    pub fn batch_alone(&mut self, sql: &str) {
        for _ in 0..50 {
            if on!(self, connection => connection.batch_execute(sql)).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        self.batch(sql);
    }

    /// Runs a statement that answers with rows, and fetches all of them.
    pub fn fetch(&mut self, sql: &str, values: &[Value]) -> usize {
        let rows: Vec<Fetched> = on!(self, connection => Statement { sql, values }.load(connection))
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
        rows.len()
    }

    /// Runs a statement that changes rows.
    pub fn execute(&mut self, sql: &str, values: &[Value]) -> usize {
        on!(self, connection => Statement { sql, values }.execute(connection))
            .unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    /// The lines of a plan.
    pub fn details(&mut self, sql: &str) -> Vec<String> {
        match self {
            Bare::Sqlite(connection) => {
                let rows: Vec<Detail> =
                    diesel::sql_query(sql).load(connection).unwrap_or_else(|error| panic!("{error}: {sql}"));
                rows.into_iter().map(|row| row.detail).collect()
            }
            #[cfg(feature = "postgres")]
            Bare::Postgres(connection) => {
                let rows: Vec<PlanLine> =
                    diesel::sql_query(sql).load(connection).unwrap_or_else(|error| panic!("{error}: {sql}"));
                rows.into_iter().map(|row| row.line).collect()
            }
        }
    }

    /// Every table, the biggest first.
    pub fn taken(&mut self) -> Vec<Taken> {
        let sql = match self {
            Bare::Sqlite(_) => {
                "SELECT m.tbl_name AS name, SUM(d.pgsize) AS bytes, \
                 SUM(CASE WHEN m.type = 'index' THEN d.pgsize ELSE 0 END) AS indexes \
                 FROM dbstat d JOIN sqlite_master m ON m.name = d.name WHERE d.aggregate = TRUE \
                 GROUP BY m.tbl_name ORDER BY bytes DESC"
            }
            #[cfg(feature = "postgres")]
            Bare::Postgres(_) => {
                "SELECT relname::text AS name, pg_total_relation_size(oid) AS bytes, pg_indexes_size(oid) AS indexes \
                 FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY bytes DESC"
            }
        };
        on!(self, connection => diesel::sql_query(sql).load(connection))
            .unwrap_or_else(|error| panic!("{error}: {sql}"))
    }

    pub fn ids(&mut self, sql: &str) -> Vec<(Id, Id, Id)> {
        let rows: Vec<Ids> = on!(self, connection => diesel::sql_query(sql).load(connection))
            .unwrap_or_else(|error| panic!("{error}: {sql}"));
        let id = |text: &str| text.parse().expect("32 digits");
        rows.into_iter().map(|row| (id(&row.a), id(&row.b), id(&row.c))).collect()
    }

    /// What one recording writes, in one transaction: rows of a kind with one statement.
    pub fn record(&mut self, recording: &Recording) {
        self.batch(match self {
            Bare::Sqlite(_) => "BEGIN IMMEDIATE",
            #[cfg(feature = "postgres")]
            Bare::Postgres(_) => "BEGIN",
        });
        let Recording { group, session, lead, items, members, now } = recording;
        let (held_from, held_until) = (Value::Big(now - 5_400_000), Value::Big(now - 1_800_000));
        let changed = self.execute(
            "UPDATE sessions SET state = 'held', held_from = ?, held_until = ?, led_by = ?, recording = 'complete', \
             recorded_by = ?, recorded_at = ?, version = 2 WHERE id = ? AND group_id = ? AND version = 1",
            &[
                held_from.clone(),
                held_until,
                Value::Id(*lead),
                Value::Id(*lead),
                Value::Big(*now),
                Value::Id(*session),
                Value::Id(*group),
            ],
        );
        assert_eq!(changed, 1, "each session is recorded once");
        let (session, group, lead, now) = (Value::Id(*session), Value::Id(*group), Value::Id(*lead), Value::Big(*now));
        let rows: Vec<Value> =
            items.iter().flat_map(|item| [Value::Id(*item), group.clone(), session.clone(), Value::Int(10)]).collect();
        self.execute(
            &many(
                "INSERT INTO agenda_deliveries (item_id, group_id, session_id, minutes, delivered) VALUES",
                "(?, ?, ?, ?, 'delivered')",
                items.len(),
            ),
            &rows,
        );
        let rows: Vec<Value> = members
            .iter()
            .flat_map(|member| {
                [
                    Value::Id(Id::in_order()),
                    group.clone(),
                    session.clone(),
                    Value::Id(*member),
                    Value::Int(60),
                    held_from.clone(),
                    lead.clone(),
                    now.clone(),
                ]
            })
            .collect();
        self.execute(
            &many(
                "INSERT INTO attendances (id, group_id, session_id, member_id, minutes, starts_at, recorded_by, \
                 recorded_at, status, modality, version) VALUES",
                "(?, ?, ?, ?, ?, ?, ?, ?, 'attended', 'in_person', 1)",
                members.len(),
            ),
            &rows,
        );
        let rows: Vec<Value> = members
            .iter()
            .flat_map(|member| {
                [
                    Value::Id(Id::in_order()),
                    group.clone(),
                    session.clone(),
                    Value::Id(*member),
                    held_from.clone(),
                    Value::Blob(vec![7; 140]),
                    lead.clone(),
                    now.clone(),
                ]
            })
            .collect();
        self.execute(
            &many(
                "INSERT INTO measures (id, group_id, session_id, member_id, taken_at, answers, recorded_by, \
                 recorded_at, instrument, instrument_version, respondent, score, prorated, band, subscales, risk, \
                 flagged, entered_in_error, version) VALUES",
                "(?, ?, ?, ?, ?, ?, ?, ?, 'phq-9', '1', 'member', 9000, FALSE, 'mild', '{}', 'none', FALSE, FALSE, 1)",
                members.len(),
            ),
            &rows,
        );
        self.batch("COMMIT");
    }
}

fn many(head: &str, row: &str, rows: usize) -> String {
    format!("{head} {}", vec![row; rows].join(", "))
}

/// A planned session that waits to be recorded.
#[derive(Clone)]
pub struct Recording {
    pub group: Id,
    pub session: Id,
    pub lead: Id,
    pub items: Vec<Id>,
    pub members: Vec<Id>,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// Verifies a password against its hash, with whatever parameters the hash names.
pub fn verify(password: &str, hash: &str) {
    use argon2::{Argon2, PasswordVerifier, password_hash::phc::PasswordHash};
    let hash = PasswordHash::new(hash).expect("a PHC string");
    Argon2::default().verify_password(password.as_bytes(), &hash).expect("the right password");
}
