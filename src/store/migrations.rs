//! Bringing a database to the newest schema: one tree of migrations for both databases.

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::{Database, Location};
use crate::problem::Problem;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Runs what has not run yet; each migration in its own transaction. Returns their names.
pub fn run(location: &Location) -> Result<Vec<String>, Problem> {
    let fault = |error: &dyn std::fmt::Display| Problem::Internal(format!("the migration failed: {error}"));
    let mut database = location.connect(true).map_err(|error| fault(&error))?;
    let done = match &mut database {
        Database::Sqlite(connection) => connection.run_pending_migrations(MIGRATIONS).map(|done| names(&done)),
        #[cfg(feature = "postgres")]
        Database::Postgres(connection) => connection.run_pending_migrations(MIGRATIONS).map(|done| names(&done)),
    };
    done.map_err(|error| fault(&error))
}

/// Whether nothing has been made in a database yet.
pub fn is_untouched(location: &Location) -> Result<bool, Problem> {
    let fault = |error: &dyn std::fmt::Display| Problem::Internal(format!("the database cannot be opened: {error}"));
    let mut database = location.connect(true).map_err(|error| fault(&error))?;
    let applied = match &mut database {
        Database::Sqlite(connection) => connection.applied_migrations().map(|applied| applied.len()),
        #[cfg(feature = "postgres")]
        Database::Postgres(connection) => connection.applied_migrations().map(|applied| applied.len()),
    };
    Ok(applied.map_err(|error| fault(&error))? == 0)
}

/// Whether a database waits for migrations.
pub fn are_pending(location: &Location) -> Result<bool, Problem> {
    let fault = |error: &dyn std::fmt::Display| Problem::Internal(format!("the database cannot be opened: {error}"));
    let mut database = location.connect(true).map_err(|error| fault(&error))?;
    let pending = match &mut database {
        Database::Sqlite(connection) => connection.has_pending_migration(MIGRATIONS),
        #[cfg(feature = "postgres")]
        Database::Postgres(connection) => postgres::are_pending(connection),
    };
    pending.map_err(|error| fault(&error))
}

#[cfg(feature = "postgres")]
mod postgres {
    use diesel::{
        migration::{Migration, MigrationSource},
        pg::{Pg, PgConnection},
        prelude::*,
        result::{DatabaseErrorKind, Error},
    };

    diesel::table! {
        __diesel_schema_migrations (version) {
            version -> Text,
        }
    }

    /// Asked by a role that may own nothing: the harness would make its table first, where there is none.
    pub fn are_pending(connection: &mut PgConnection) -> diesel::migration::Result<bool> {
        use __diesel_schema_migrations::dsl;
        let applied: Vec<String> = match dsl::__diesel_schema_migrations.select(dsl::version).load(connection) {
            // PostgreSQL says so of a table that is not there, and has no kind of its own for it.
            Err(Error::DatabaseError(DatabaseErrorKind::Unknown, said))
                if said.message().contains("does not exist") =>
            {
                return Ok(true);
            }
            found => found?,
        };
        let known: Vec<Box<dyn Migration<Pg>>> = super::MIGRATIONS.migrations()?;
        Ok(known.iter().any(|migration| !applied.contains(&migration.name().version().to_string())))
    }
}

fn names(done: &[diesel::migration::MigrationVersion]) -> Vec<String> {
    done.iter().map(ToString::to_string).collect()
}
