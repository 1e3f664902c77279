//! What sealing costs: a value sealed and opened as the store does it, beside a bare loop of the same AEAD over the same
//! bytes.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use circlekeeper::{
    store::sealing::{DataKey, Place, random},
    values::Id,
};

const PLACE: &str = "measures.answers";
/// Recording a session as the benchmark does it: ten answered questionnaires, each under its member's key.
const FIELDS: f64 = 10.0;
/// What a wrapped data key comes to when it is opened.
const KEY: usize = 32;

/// Microseconds of each step, on one core.
pub struct Costs {
    seal: f64,
    open: f64,
    /// Opening a data key, and making it ready.
    unwrap: f64,
    bare_seal: f64,
    bare_open: f64,
}

/// Microseconds of one round of `work`.
fn each(seconds: f64, mut work: impl FnMut()) -> f64 {
    let (begun, bound) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut rounds = 0_u32;
    while begun.elapsed() < bound {
        // The clock is asked once in a hundred rounds, or it would be part of what is measured.
        for _ in 0..100 {
            work();
        }
        rounds += 100;
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
}

/// The nine answers of a PHQ-9, as they are kept.
fn answers() -> String {
    let answers: Vec<String> = (1..=9).map(|item| format!("\"phq-9.{item}\":{}", item % 4)).collect();
    format!("{{{}}}", answers.join(","))
}

pub fn measure(seconds: f64) -> Costs {
    let part = seconds / 5.0;
    let raw = random::<KEY>();
    let (owner, row, text) = (Id::random(), Id::random(), answers());
    let key = DataKey::new(owner, &raw).expect("32 bytes are a key");
    let sealed = key.seal(Place(PLACE, row), &text);
    let bare = RandomizedNonceKey::new(&AES_256_GCM, &raw).expect("32 bytes are a key");
    let bound = [PLACE.as_bytes(), row.0.as_bytes(), owner.0.as_bytes()].concat();
    let mut buffer = Vec::with_capacity(2 * text.len());
    let bare_sealed = |plain: &[u8]| {
        let mut bytes = plain.to_vec();
        let nonce = bare.seal_in_place_append_tag(Aad::from(&bound), &mut bytes).expect("sealed");
        [&nonce.as_ref()[..], &bytes].concat()
    };
    let (wrapped, kept) = (bare_sealed(&raw), bare_sealed(text.as_bytes()));
    let mut opened = Vec::with_capacity(kept.len());
    let bare_opens = |from: &[u8], into: &mut Vec<u8>| {
        into.clear();
        into.extend_from_slice(&from[12..]);
        let nonce = Nonce::try_assume_unique_for_key(&from[..12]).expect("a nonce");
        bare.open_in_place(nonce, Aad::from(&bound), into).expect("it opens").len()
    };
    Costs {
        seal: each(part, || drop(black_box(key.seal(Place(PLACE, row), black_box(&text))))),
        open: each(part, || drop(black_box(key.open(Place(PLACE, row), black_box(&sealed)).expect("it opens")))),
        unwrap: each(part, || {
            let length = bare_opens(black_box(&wrapped), &mut opened);
            drop(black_box(DataKey::new(owner, &opened[..length])));
        }),
        bare_seal: each(part, || {
            buffer.clear();
            buffer.extend_from_slice(text.as_bytes());
            let nonce = bare.seal_in_place_append_tag(Aad::from(&bound), &mut buffer).expect("sealed");
            black_box((&nonce, &buffer));
        }),
        bare_open: each(part, || {
            black_box(bare_opens(black_box(&kept), &mut opened));
        }),
    }
}

impl Costs {
    pub fn print(&self) {
        let Costs { seal, open, unwrap, bare_seal, bare_open } = self;
        println!("| sealing, one core | µs | bare AEAD µs | ratio |\n|---|--:|--:|--:|");
        println!("| a questionnaire's answers sealed | {seal:.2} | {bare_seal:.2} | {:.2} |", bare_seal / seal);
        println!("| opened | {open:.2} | {bare_open:.2} | {:.2} |", bare_open / open);
        println!("| a data key opened and made ready | {unwrap:.2} | - | - |\n");
    }

    /// What part of the time of a recording is sealing, at so many recordings a second on one connection. A member's year
    /// opens nothing: scores, times and attendance are kept for the database to sort and sum.
    pub fn print_share(&self, database: &str, recordings: f64) {
        let spent = FIELDS * (self.seal + self.unwrap) / 1e6;
        println!(
            "\nsealing in a recording, {database}: {:.1} % of {:.2} ms",
            spent * recordings * 100.0,
            1e3 / recordings
        );
    }
}
