//! The tests, over HTTP, on the database that the features choose: SQLite, or PostgreSQL with `--features postgres`.

mod harness;
#[cfg(feature = "postgres")]
mod postgres;
mod world;

mod demo;
mod instruments;
mod reference;
