//! Access tokens and signed statements: nothing that was not signed here counts.
#![no_main]

use circlekeeper::identity::{Caller, Tokens};
use circlekeeper::store::connection::Clock;
use circlekeeper::values::Id;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let clock = Clock::default();
    let tokens = Tokens::new(vec![("k1".into(), vec![7; 32])], clock.clone(), 10);
    assert!(tokens.verify(text).is_none(), "{text}");
    // A true token with some of it replaced.
    let caller = Caller { account: Id::INSTALLATION, sign_in: Id::INSTALLATION };
    let token = tokens.sign(caller, clock.now());
    assert!(tokens.verify(&token).is_some());
    if let Some((place, rest)) = data.split_first() {
        let mut changed = token.clone().into_bytes();
        let from = usize::from(*place) % changed.len();
        for (byte, other) in changed[from..].iter_mut().zip(rest) {
            *byte = *other;
        }
        let changed = String::from_utf8_lossy(&changed);
        assert!(changed == token || tokens.verify(&changed).is_none(), "{changed}");
    }
});
