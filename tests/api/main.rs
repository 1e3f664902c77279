//! The tests, over HTTP, on the database that the features choose: SQLite, or PostgreSQL with `--features postgres`.

mod harness;
mod operations;
#[cfg(feature = "postgres")]
mod postgres;
mod scene;
mod world;

mod access_log;
mod access_matrix;
mod command_line;
mod contract;
mod demo;
mod groups;
mod identity;
mod instruments;
mod measures;
mod notes;
mod policy_table;
mod privacy;
mod query_plans;
mod reference;
mod schema;
mod sealing;
mod sessions;
mod source_rules;
