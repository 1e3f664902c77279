//! What members write, looked through for crisis wording.
#![no_main]

use circlekeeper::rules::crisis_wording::notice_for;
use circlekeeper_fuzz::texts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let texts = texts(data);
    let (language, texts) = texts.split_first().expect("one at least");
    let notice = notice_for(texts.iter().copied(), language);
    // A text that is said again says no less.
    if notice.is_some() {
        assert!(notice_for(texts.iter().chain(texts).copied(), language).is_some());
    }
});
