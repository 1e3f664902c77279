//! What a client can ask: one file per subject, one function per operation.

pub mod account;
pub mod agenda_templates;
pub mod agreements;
pub mod attendances;
pub mod command;
pub mod groups;
pub mod measures;
pub mod members;
pub mod operation;
pub mod organizations;
pub mod process_notes;
pub mod progress_entries;
pub mod reference;
pub mod session_records;
pub mod sessions;
pub mod tokens;

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
}
