//! The tests, over HTTP, on the database that the features choose: SQLite, or PostgreSQL with `--features postgres`.

mod harness;
mod operations;
#[cfg(feature = "postgres")]
mod postgres;
mod scene;
mod world;

mod access_log;
mod access_matrix;
mod breaches;
mod check_ins;
mod command_line;
mod contract;
mod crisis_wording;
mod demo;
mod feeds;
mod groups;
mod identity;
mod instruments;
mod leaving;
mod measures;
mod meetings;
mod notes;
mod policy_table;
mod privacy;
mod query_plans;
mod reference;
mod referrals;
mod rota;
mod schema;
mod sealing;
mod sessions;
mod source_rules;
mod terms;
mod topics;
mod visits;
