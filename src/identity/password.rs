//! Passwords: argon2id off the request threads, bounded, and what a new password must be.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::{Output, PasswordHash},
};
use secrecy::{ExposeSecret, SecretString};
#[cfg(target_os = "linux")]
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use thread_priority::{ThreadPriority, set_current_thread_priority};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use unicode_normalization::UnicodeNormalization;

use crate::{problem::Problem, rules::Refusal};

/// OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
/// (OWASP Password Storage Cheat Sheet.)
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// How many requests may wait for their turn; more are answered with 503.
const WAITING: usize = 256;

/// How many turns there are for each hash that is computed at the same time: the hashing threads are kept busy while others
/// are looked up and written down.
const TURNS: usize = 2;

/// Bytes of a typed password beyond which it cannot be right.
const LONGEST: usize = 2048;

/// How much the first hashing thread may have beside what answers requests, of 99; niceness 9 where threads have one.
const PRIORITY: u8 = 25;

/// Hashes and verifies on threads of its own, so many at a time: each hash holds 19 MiB, so an unbounded flood would hold
/// gigabytes.
pub struct Passwords {
    tasks: mpsc::Sender<Task>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Verified for unknown accounts, so that they take the same time.
    dummy: String,
}

/// One of the few requests that may be about a password at a time, in the order in which they came. Whoever signs in holds it
/// from the first look at the database to the last: what a flood costs beside its hashes is bounded by it too.
pub struct Turn {
    _held: OwnedSemaphorePermit,
}

type Task = Box<dyn FnOnce(&mut Memory) + Send>;

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect("these parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

impl Passwords {
    /// `at_once`: how many hashes are computed at the same time.
    pub fn new(at_once: usize) -> Passwords {
        let (tasks, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..at_once.max(1) {
            let queue = queue.clone();
            std::thread::spawn(move || {
                give_way(number == 0);
                work_off(&queue);
            });
        }
        let dummy = hash("nobody's password").expect("a fixed password hashes");
        Passwords {
            tasks,
            turns: Arc::new(Semaphore::new(TURNS * at_once.max(1))),
            waiting: AtomicUsize::new(0),
            dummy,
        }
    }

    /// Waits until it is one's turn.
    ///
    /// # Errors
    /// `Busy` when too many wait already.
    pub async fn turn(&self) -> Result<Turn, Problem> {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= WAITING {
            return Err(Problem::Busy(2));
        }
        let held = self.turns.clone().acquire_owned().await;
        held.map(|held| Turn { _held: held }).map_err(|_| Problem::Internal("no more passwords are judged".into()))
    }

    /// Whether the password is the one that was hashed; always false for `None`, after the same work.
    pub async fn verify(&self, _: &Turn, password: SecretString, kept: Option<String>) -> Result<Verified, Problem> {
        let known = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.dummy.clone());
        self.off_the_request(move |memory| {
            // No kept password is longer than 128 characters: what is far beyond is not worth its normalization.
            let typed = password.expose_secret();
            let password = if typed.len() > LONGEST { String::new() } else { normalized(typed) };
            let Ok(parsed) = PasswordHash::new(&kept) else {
                return Err(Problem::Internal("a kept password hash cannot be read".into()));
            };
            let is_current = is_current(&parsed);
            let matches = match (is_current, &parsed.salt, &parsed.hash) {
                (true, Some(salt), Some(output)) => memory.verify(password.as_bytes(), salt, output)?,
                _ => argon2().verify_password(password.as_bytes(), &parsed).is_ok(),
            };
            if !(matches && known) {
                return Ok(Verified::No);
            }
            // Parameters are raised over the years: whoever signs in brings the password to hash it anew.
            if is_current {
                return Ok(Verified::Yes { rehashed: None });
            }
            Ok(Verified::Yes { rehashed: Some(hash(&password)?) })
        })
        .await
    }

    pub async fn hash(&self, _: &Turn, password: SecretString) -> Result<String, Problem> {
        self.off_the_request(move |_| hash_password(&password)).await
    }

    async fn off_the_request<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (sender, receiver) = oneshot::channel();
        let task = move |memory: &mut Memory| {
            // Whoever asked may have gone meanwhile.
            if !sender.is_closed() {
                let _ = sender.send(work(memory));
            }
        };
        let lost = || Problem::Internal("a hashing thread was lost".into());
        self.tasks.send(Box::new(task)).map_err(|_| lost())?;
        receiver.await.map_err(|_| lost())?
    }
}

/// Lets the others on a core go first: a hash takes longer than whatever else is done here, and those who are signed in do not
/// wait for those who try to. One thread goes on, if slowly, however busy all cores are; the rest take what nobody else wants,
/// where the system knows such threads. Where it does not let them, hashes count as much as the rest.
fn give_way(goes_on: bool) {
    if !goes_on && cfg!(target_os = "linux") {
        #[cfg(target_os = "linux")]
        let _ = set_thread_priority_and_policy(
            thread_native_id(),
            ThreadPriority::Min,
            ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
        );
    } else if let Ok(priority) = PRIORITY.try_into() {
        let _ = set_current_thread_priority(ThreadPriority::Crossplatform(priority));
    }
}

/// Does one task after the other, until nobody is there any more who could ask.
fn work_off(queue: &Mutex<mpsc::Receiver<Task>>) {
    let mut memory = Memory::default();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return };
        // A thread that ended would be missed for ever; whoever waits for it is told.
        let _ = catch_unwind(AssertUnwindSafe(|| task(&mut memory)));
    }
}

/// What one thread hashes in, again and again. Asked for anew with each hash, it would stay behind in the allocator's arena:
/// hundreds of megabytes after a flood.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    /// Whether this password has this hash, under today's parameters.
    fn verify(&mut self, password: &[u8], salt: &[u8], kept: &Output) -> Result<bool, Problem> {
        let argon2 = argon2();
        self.0.resize(argon2.params().block_count(), Block::default());
        let mut output = zeroize::Zeroizing::new(vec![0; kept.len()]);
        let hashed = argon2.hash_password_into_with_memory(password, salt, &mut output, &mut self.0);
        hashed.map_err(|error| Problem::Internal(format!("a password cannot be hashed: {error}")))?;
        // `Output` compares in constant time.
        Ok(Output::new(&output).is_ok_and(|output| output == *kept))
    }
}

fn is_current(kept: &PasswordHash) -> bool {
    kept.algorithm.as_str() == "argon2id"
        && kept.version == Some(Version::V0x13.into())
        && Params::try_from(kept)
            .is_ok_and(|params| params.m_cost() == MEMORY_KIB && params.t_cost() == PASSES && params.p_cost() == 1)
}

/// What came of a verification.
pub enum Verified {
    No,
    /// `rehashed`: the same password under today's parameters, where they have changed.
    Yes {
        rehashed: Option<String>,
    },
}

/// The hash that is kept of a password.
///
/// # Errors
/// `Internal` when it cannot be computed.
pub fn hash_password(password: &SecretString) -> Result<String, Problem> {
    hash(&normalized(password.expose_secret()))
}

fn hash(password: &str) -> Result<String, Problem> {
    let hash: argon2::password_hash::phc::PasswordHash = argon2()
        .hash_password(password.as_bytes())
        .map_err(|error| Problem::Internal(format!("a password cannot be hashed: {error}")))?;
    Ok(hash.to_string())
}

/// The same text however it was typed: NFKC, so that a phone and a laptop agree.
pub fn normalized(text: &str) -> String {
    text.nfkc().collect()
}

/// What a new password must be: 8 to 128 characters after normalization, not guessable, and not one of the words
/// that belong to this account. No composition rules (NIST SP 800-63B).
pub fn check_new_password(password: &str, pointer: &str, own_words: &[&str]) -> Result<(), Refusal> {
    // One character can become eighteen: what is far too long is not normalized first.
    if password.len() > LONGEST {
        return Err(Refusal::field(pointer, format!("has {} bytes; 8 to 128 characters are allowed", password.len())));
    }
    let password = normalized(password);
    let length = password.chars().count();
    if !(8..=128).contains(&length) {
        return Err(Refusal::field(pointer, format!("has {length} characters; 8 to 128 are allowed")));
    }
    let mut words = vec!["circlekeeper", "circle", "keeper", "group", "therapy", "support"];
    words.extend(own_words);
    let estimate = zxcvbn::zxcvbn(&password, &words);
    // 2 of 4: more than a hundred million guesses on average.
    if (estimate.score() as u8) < 2 {
        return Err(Refusal::field(pointer, "is too easy to guess: take a longer phrase of unrelated words"));
    }
    Ok(())
}
