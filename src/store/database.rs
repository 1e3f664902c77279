//! The one connection type over both databases. Nothing else stands here: the derive looks at everything in scope.

use diesel::sqlite::SqliteConnection;

/// SQLite or PostgreSQL; chosen by the URL.
#[derive(diesel::MultiConnection)]
pub enum Database {
    #[cfg(feature = "postgres")]
    Postgres(diesel::pg::PgConnection),
    Sqlite(SqliteConnection),
}
