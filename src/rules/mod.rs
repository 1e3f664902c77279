//! What the domain allows. Pure: no I/O, no HTTP, no diesel, no clock.

pub mod agreements;
pub mod amendments;
pub mod attendance;
pub mod breaches;
pub mod change;
pub mod check_ins;
pub mod crisis_lines;
pub mod crisis_wording;
pub mod emergency_accesses;
pub mod exports;
pub mod fhir;
pub mod goals;
pub mod groups;
pub mod instruments;
pub mod leaving;
pub mod measures;
pub mod meetings;
pub mod members;
pub mod notes;
pub mod outcomes;
pub mod preparation;
pub mod progress;
pub mod referrals;
pub mod retention;
pub mod risks;
pub mod rota;
pub mod sessions;
pub mod suppression;
pub mod techniques;
pub mod terms;
pub mod topics;

use thiserror::Error;

/// Why a rule says no.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// One field of the request; `pointer` is a JSON pointer into the body.
    #[error("{pointer} {detail}")]
    Field { pointer: String, detail: String },
    /// Several fields.
    #[error("several fields")]
    Fields(Vec<(String, String)>),
    /// Not this request but the state of things.
    #[error("{0}")]
    Clash(String),
}

impl Refusal {
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Refusal {
        Refusal::Field { pointer: pointer.into(), detail: detail.into() }
    }

    pub fn clash(detail: impl Into<String>) -> Refusal {
        Refusal::Clash(detail.into())
    }
}
