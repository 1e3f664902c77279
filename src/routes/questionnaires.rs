//! Instruments and administrations as FHIR R4 questionnaires.

use super::operation::Api;

pub fn register(_: &mut Api) {}
