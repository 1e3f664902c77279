//! Circlekeeper: one record for therapist-led and peer-led groups.
//!
//! # The walk of a request
//! `extract → authorize → rule → store → respond`. Folders stand in the order in which a request walks through them;
//! a subject has the same file name in every folder. Two subjects share a language: [`rules::fhir`] says measures and
//! exports in the words of FHIR R4.
//!
//! | folder | the question it answers |
//! |---|---|
//! | [`config`], [`server`] | how is it started, and what is it made of |
//! | [`demo`] | what does it look like after a year |
//! | [`problem`] | what does a failure look like to a client |
//! | [`identity`] | who is calling |
//! | [`routes`] | what can a client ask |
//! | [`policy`] | who may do what |
//! | [`rules`] | what does the domain allow |
//! | [`charts`] | what do figures look like as a picture |
//! | [`store`] | what is kept |
//! | [`values`] | the small words that all of them speak |
//!
//! Imports point one way: `routes → {identity, rules, store, problem}`,
//! `store → {policy, rules' types, identity::Caller, problem}`, `charts → rules`, `policy` and `rules` → `values` alone.
//!
//! # Invariants
//! Invariant: no SQL outside `store`, and none in it without a [`store::permit::Permit`], except through
//! `before_any_permit`, whose users a test pins.
//! Invariant: no status code outside `problem` and the success codes of `routes::command`.
//! Invariant: no clock in `rules`, `charts` and `policy`; one reading of it for each request.
//! Invariant: no record content, token, name or address in a log line, a metric or an error.
//! Invariant: somebody else's record leaves the server only once the access log holds the access on disk.
//! Invariant: what a client may not know of answers exactly like what does not exist.
//! Invariant: where a group counts heads alone, no row joins a person and a session: no attendance, no log entry, no
//! answer kept for a retry.
//! Invariant: an emergency opens one member's record for reading, for a while, with an entry for each look; never a
//! process note, never a peer-led group.
//! Invariant: who reported a breach and who cast which ballot can be read from no row, by nobody.

pub mod charts;
pub mod config;
pub mod demo;

pub mod identity;
pub mod policy;
pub mod problem;
pub mod routes;
pub mod rules;
pub mod server;
pub mod store;
pub mod values;
