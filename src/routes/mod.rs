//! What a client can ask: one file per subject, one function per operation.

pub mod account;
pub mod agenda_templates;
pub mod agreements;
pub mod amendments;
pub mod attendances;
pub mod breaches;
pub mod check_ins;
pub mod command;
pub mod emergency_accesses;
pub mod exports;
pub mod feeds;
pub mod goals;
pub mod groups;
pub mod leaving;
pub mod measures;
pub mod meetings;
pub mod members;
pub mod operation;
pub mod organizations;
pub mod outcomes;
pub mod peer_settings;
pub mod preparation;
pub mod process_notes;
pub mod progress;
pub mod progress_entries;
pub mod questionnaires;
pub mod reference;
pub mod referrals;
pub mod retention;
pub mod risks;
pub mod rota;
pub mod session_records;
pub mod sessions;
pub mod tokens;
pub mod topics;
pub mod visits;

use operation::Api;

/// Registers every operation, in the order in which the docs show them.
pub fn register(api: &mut Api) {
    tokens::register(api);
    account::register(api);
    reference::register(api);
    organizations::register(api);
    agenda_templates::register(api);
    groups::register(api);
    members::register(api);
    agreements::register(api);
    sessions::register(api);
    attendances::register(api);
    measures::register(api);
    session_records::register(api);
    progress_entries::register(api);
    process_notes::register(api);
    peer_settings::register(api);
    rota::register(api);
    meetings::register(api);
    visits::register(api);
    check_ins::register(api);
    topics::register(api);
    breaches::register(api);
    referrals::register(api);
    feeds::register(api);
    leaving::register(api);
    risks::register(api);
    preparation::register(api);
    progress::register(api);
    goals::register(api);
    outcomes::register(api);
    exports::register(api);
    amendments::register(api);
    retention::register(api);
    emergency_accesses::register(api);
    questionnaires::register(api);
}
