//! The tests, over HTTP, on the database that the features choose: SQLite, or PostgreSQL with `--features postgres`.

mod harness;
#[cfg(feature = "postgres")]
mod postgres;
mod world;

mod access_log;
mod command_line;
mod demo;
mod groups;
mod identity;
mod instruments;
mod measures;
mod notes;
mod reference;
mod sealing;
mod sessions;
