//! A text pack of a deployment, and an instrument's own file.
#![no_main]

use circlekeeper::rules::instruments::Registry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = Registry::built_in().with_texts(&[("pack.json".to_owned(), text.to_owned())]);
    let _ = Registry::load(&[("instrument.json", text)]);
});
