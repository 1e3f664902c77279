//! The second wall: row-level security in PostgreSQL, which repeats the scope of a permit for every table that holds rows
//! of a group.
//!
//! The server connects as a role that owns nothing. Before its statements it names the account that calls and, once there
//! is a permit, the group or the organization in which that holds; PostgreSQL shows and takes no other row, whatever the
//! statement says. A role without a scope sees none.

use super::connection::{Database, Location};
use crate::problem::Problem;

/// Whether PostgreSQL holds this connection to a scope.
pub(super) fn stands(database: &mut Database) -> Result<bool, Problem> {
    match database {
        Database::Sqlite(_) => Ok(false),
        #[cfg(feature = "postgres")]
        Database::Postgres(postgres) => postgres::stands(postgres),
    }
}

/// Grants a role what the server needs, and sets the wall before it. To be done again after each migration, as the owner
/// of the tables.
///
/// # Errors
/// When the database is not PostgreSQL, the role is not there, owns a table or goes past every wall by its rights.
pub fn raise(location: &Location, role: &str) -> Result<(), Problem> {
    let mut database = location.connect(true).map_err(|error| Problem::Internal(error.to_string()))?;
    match &mut database {
        Database::Sqlite(_) => Err(Problem::Internal(format!(
            "an embedded database has no role {role}: row-level security is for PostgreSQL"
        ))),
        #[cfg(feature = "postgres")]
        Database::Postgres(connection) => postgres::raise(connection, role),
    }
}

/// The role before which the wall stands, where one does.
pub fn role(location: &Location) -> Result<Option<String>, Problem> {
    let mut database = location.connect(true).map_err(|error| Problem::Internal(error.to_string()))?;
    match &mut database {
        Database::Sqlite(_) => Ok(None),
        #[cfg(feature = "postgres")]
        Database::Postgres(connection) => postgres::role(connection),
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::collections::{BTreeMap, BTreeSet};

    use diesel::{
        Connection as _, QueryableByName, RunQueryDsl, connection::SimpleConnection, pg::PgConnection, sql_query,
        sql_types,
    };

    use super::Problem;

    /// Tables with a `group_id` that are read before there is a permit: to find out whether there may be one, for the
    /// public listing, for visitors without an account. They hold who leads, plans, settings, published rules and
    /// hashes of codes; of members no more than that an invitation was for one, and when it was accepted.
    const BEFORE_ANY_PERMIT: [&str; 7] =
        ["standings", "invitations", "sessions", "peer_settings", "agreements", "session_codes", "visits"];

    /// What is added to and never changed: the access log.
    const APPEND_ONLY: &str = "access_entries";

    #[derive(QueryableByName)]
    struct Column {
        #[diesel(sql_type = sql_types::Text)]
        table_name: String,
        #[diesel(sql_type = sql_types::Text)]
        column_name: String,
    }

    #[derive(QueryableByName)]
    struct Name {
        #[diesel(sql_type = sql_types::Text)]
        name: String,
    }

    #[derive(QueryableByName)]
    struct Answer {
        #[diesel(sql_type = sql_types::Bool)]
        yes: bool,
    }

    fn fault(error: &diesel::result::Error) -> Problem {
        Problem::Internal(format!("row-level security: {error}"))
    }

    pub fn stands(connection: &mut PgConnection) -> Result<bool, Problem> {
        let answer: Answer = sql_query("SELECT row_security_active('members') AS yes").get_result(connection)?;
        Ok(answer.yes)
    }

    pub fn role(connection: &mut PgConnection) -> Result<Option<String>, Problem> {
        let names: Vec<Name> = sql_query(
            "SELECT unnest(roles)::text AS name FROM pg_policies \
             WHERE schemaname = current_schema() AND tablename = 'members' AND policyname = 'circlekeeper_scope'",
        )
        .load(connection)
        .map_err(|error| fault(&error))?;
        Ok(names.into_iter().next().map(|row| row.name))
    }

    pub fn raise(connection: &mut PgConnection, role: &str) -> Result<(), Problem> {
        if !role.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
            return Err(Problem::Internal("the name of a role has letters, digits, _ and - here".into()));
        }
        let found: Vec<Answer> = sql_query("SELECT rolsuper OR rolbypassrls AS yes FROM pg_roles WHERE rolname = $1")
            .bind::<sql_types::Text, _>(role)
            .load(connection)
            .map_err(|error| fault(&error))?;
        match found.first() {
            None => return Err(Problem::Internal(format!("there is no role {role}: CREATE ROLE … LOGIN makes one"))),
            Some(Answer { yes: true }) => {
                return Err(Problem::Internal(format!("the role {role} is not held by row-level security")));
            }
            Some(_) => {}
        }
        let owned: Answer = sql_query(
            "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tableowner = $1) AS yes",
        )
        .bind::<sql_types::Text, _>(role)
        .get_result(connection)
        .map_err(|error| fault(&error))?;
        if owned.yes {
            return Err(Problem::Internal(format!("the role {role} owns a table, and an owner is not held")));
        }
        let statements = statements(connection, role)?;
        connection.transaction(|connection| connection.batch_execute(&statements)).map_err(|error| fault(&error))
    }

    /// Every table and its columns that a scope can be read from.
    fn tables(connection: &mut PgConnection) -> Result<BTreeMap<String, BTreeSet<String>>, Problem> {
        let columns: Vec<Column> = sql_query(
            "SELECT table_name::text, column_name::text FROM information_schema.columns \
             WHERE table_schema = current_schema()",
        )
        .load(connection)
        .map_err(|error| fault(&error))?;
        let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for Column { table_name, column_name } in columns {
            tables.entry(table_name).or_default().insert(column_name);
        }
        Ok(tables)
    }

    fn statements(connection: &mut PgConnection, role: &str) -> Result<String, Problem> {
        let quoted = format!("\"{role}\"");
        let mut sql = format!(
            "CREATE OR REPLACE FUNCTION circlekeeper_scope(what text) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE \
             AS $$ SELECT nullif(current_setting('circlekeeper.' || what, true), '')::uuid $$;\n\
             CREATE OR REPLACE FUNCTION circlekeeper_groups() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE \
             AS $$ SELECT nullif(current_setting('circlekeeper.groups', true), '')::uuid[] $$;\n\
             GRANT EXECUTE ON FUNCTION circlekeeper_scope(text), circlekeeper_groups() TO {quoted};\n"
        );
        sql.push_str(&format!(
            "DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {quoted}', current_schema()); END $$;\n"
        ));
        for (table, columns) in tables(connection)? {
            if table.starts_with("__diesel") {
                sql.push_str(&format!("GRANT SELECT ON {table} TO {quoted};\n"));
                continue;
            }
            let rights = if table == APPEND_ONLY { "SELECT, INSERT" } else { "SELECT, INSERT, UPDATE, DELETE" };
            sql.push_str(&format!("REVOKE ALL ON {table} FROM {quoted}; GRANT {rights} ON {table} TO {quoted};\n"));
            if !columns.contains("group_id") && table != "members" || BEFORE_ANY_PERMIT.contains(&table.as_str()) {
                continue;
            }
            let scope = scope(&table, &columns);
            sql.push_str(&format!(
                "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n\
                 DROP POLICY IF EXISTS circlekeeper_scope ON {table};\n\
                 DROP POLICY IF EXISTS circlekeeper_append ON {table};\n"
            ));
            if table == APPEND_ONLY {
                // The log is kept by one thread for all requests, so that it has no scope of its own.
                sql.push_str(&format!(
                    "CREATE POLICY circlekeeper_scope ON {table} FOR SELECT TO {quoted} USING ({scope});\n\
                     CREATE POLICY circlekeeper_append ON {table} FOR INSERT TO {quoted} WITH CHECK (true);\n"
                ));
            } else {
                sql.push_str(&format!(
                    "CREATE POLICY circlekeeper_scope ON {table} TO {quoted} USING ({scope}) WITH CHECK ({scope});\n"
                ));
            }
        }
        Ok(sql)
    }

    /// Which rows of a table a scope reaches: each part is evaluated once for a statement, not once for a row.
    fn scope(table: &str, columns: &BTreeSet<String>) -> String {
        let named = |what: &str| format!("(SELECT circlekeeper_scope('{what}'))");
        let mut reaches = vec![
            "group_id = ANY ((SELECT circlekeeper_groups())::uuid[])".to_owned(),
            format!("group_id IN (SELECT id FROM groups WHERE organization_id = {})", named("organization")),
        ];
        // The log also holds what was done in no group: with offices, licences, reports.
        if columns.contains("organization_id") {
            reaches.push(format!("organization_id = {}", named("organization")));
        }
        // Also whom a report is about, and not only whose row it is.
        for account in columns.iter().filter(|column| column.ends_with("account_id")) {
            reaches.push(format!("{account} = {}", named("account")));
        }
        let mut names_a_member = table == "members";
        for member in columns.iter().filter(|column| column.ends_with("member_id")) {
            names_a_member = true;
            reaches.push(format!("{member} IN (SELECT id FROM members WHERE account_id = {})", named("account")));
        }
        // What names no member is the group's: of those who belong to it. Entries of the log are both.
        if !names_a_member || table == APPEND_ONLY {
            reaches.push(format!("group_id IN (SELECT group_id FROM members WHERE account_id = {})", named("account")));
        }
        reaches.join(" OR ")
    }
}
