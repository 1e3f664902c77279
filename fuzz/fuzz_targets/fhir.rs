//! A FHIR QuestionnaireResponse as somebody may send it: read or refused, and what was read can be scored.
#![no_main]

use circlekeeper::rules::{
    fhir::{QuestionnaireResponse, read_response},
    instruments::Registry,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(response) = serde_json::from_slice::<QuestionnaireResponse>(data) else { return };
    let _ = read_response(&response, Registry::built_in());
});
