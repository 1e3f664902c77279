//! The tests, over HTTP, on the database that the features choose: SQLite, or PostgreSQL with `--features postgres`.

mod harness;
mod operations;
#[cfg(feature = "postgres")]
mod postgres;
mod scene;
mod world;

mod access_log;
mod access_matrix;
mod amendments;
mod at_rest;
mod attacks;
mod breaches;
mod change;
mod charts;
mod check_ins;
mod command_line;
mod contract;
mod crisis_wording;
mod demo;
mod emergency_accesses;
mod exports;
mod feeds;
mod goals;
mod group_outcomes;
mod groups;
mod identity;
mod instruments;
mod keys;
mod leaving;
mod measures;
mod meetings;
mod notes;
mod outcomes;
mod policy_table;
mod preparation;
mod privacy;
mod progress;
mod query_plans;
mod reference;
mod referrals;
mod retention;
mod risks;
mod rota;
mod schema;
mod sealing;
mod sessions;
mod source_rules;
mod suppression;
mod terms;
mod topics;
mod visits;
#[cfg(feature = "postgres")]
mod wall;
