//! Where the master keys come from, and which of them are in force while a server runs.
//!
//! A source is read at the start, about once a minute, and at once when a name turns up that nobody here knows: so a new
//! newest line is taken up by running servers, and two servers need not read it at the same moment.

use std::{
    fs,
    io::Read,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, mpsc},
    time::{Duration, Instant},
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::sealing::{DataKey, Masters};
use crate::values::Id;

/// How long a key service may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a key service may print: some hundred keys.
const LONGEST: u64 = 64 * 1024;
/// How long a name that the source did not hold is not asked for again: a row must not make a command run all the time.
const PAUSE: Duration = Duration::from_secs(2);
/// How many names may wait for that at a time.
const MISSED: usize = 16;

/// Where the master keys are, as lines `name:base64`, the newest first.
pub enum KeySource {
    /// The lines themselves, from the environment: they do not change while the program runs.
    Lines(SecretString),
    File(PathBuf),
    /// A program with its arguments, which prints the lines: the client of a vault or of a cloud's key service. The words
    /// are parted at white space and no shell reads them: nothing in them is expanded, and an image without a shell will
    /// do. Who needs quotes or a pipe names a script.
    Command(String),
}

impl KeySource {
    /// # Errors
    /// One line that says what is wrong and shows nothing of what was read.
    pub fn read(&self) -> Result<Masters, String> {
        match self {
            KeySource::Lines(lines) => Masters::read(lines),
            KeySource::File(path) => {
                let lines = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
                Masters::read(&lines.into()).map_err(|what| format!("{}: {what}", path.display()))
            }
            KeySource::Command(words) => {
                let said = |what: String| format!("the master key command {what}");
                Masters::read(&printed(words).map_err(said)?).map_err(|what| said(format!("is of no use: {what}")))
            }
        }
    }

    fn can_change(&self) -> bool {
        !matches!(self, KeySource::Lines(_))
    }
}

/// What a command prints, within [`PATIENCE`]. What it says on stderr may hold a secret too, and goes nowhere.
fn printed(words: &str) -> Result<SecretString, String> {
    let until = Instant::now() + PATIENCE;
    let mut words = words.split_whitespace();
    let program = words.next().ok_or("is empty")?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        // A thread, because no pipe can be read with a time-out; it ends when the last one who holds the pipe does.
        std::thread::spawn(move || {
            let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
            let read = stdout.take(LONGEST).read_to_end(&mut bytes).map(|_| bytes);
            let _ = sender.send(read);
        });
    }
    let too_long = || format!("did not end within {} seconds", PATIENCE.as_secs());
    let status = ended(&mut child, until).ok_or_else(too_long)?;
    if !status.success() {
        return Err(format!("failed: {status}"));
    }
    let left = until.saturating_duration_since(Instant::now());
    let bytes = receiver.recv_timeout(left).map_err(|_| too_long())?;
    let bytes = bytes.map_err(|error| format!("cannot be heard: {error}"))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "printed something that is no text")?;
    if text.trim().is_empty() {
        return Err("printed nothing".into());
    }
    Ok(text.into())
}

/// How a program ended; none when it did not in time, and was stopped.
fn ended(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= until {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The master keys that are in force, and the source from which they are read again.
pub struct LiveMasters {
    source: Option<KeySource>,
    in_force: RwLock<Arc<Masters>>,
    missed: Mutex<Missed>,
}

/// The names for which the source was asked lately, in vain.
type Missed = Vec<(Vec<u8>, Instant)>;

impl From<Masters> for LiveMasters {
    /// Masters that stay as they are.
    fn from(masters: Masters) -> LiveMasters {
        LiveMasters { source: None, in_force: RwLock::new(Arc::new(masters)), missed: Mutex::default() }
    }
}

impl LiveMasters {
    /// # Errors
    /// Those of [`KeySource::read`].
    pub fn of(source: KeySource) -> Result<LiveMasters, String> {
        let masters = source.read()?;
        Ok(LiveMasters { source: Some(source), ..masters.into() })
    }

    pub fn now(&self) -> Arc<Masters> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether reading again can bring anything.
    pub fn can_change(&self) -> bool {
        self.source.as_ref().is_some_and(KeySource::can_change)
    }

    /// Reads the source again. What cannot be read, or takes the name of another key, changes nothing: those in force stay.
    pub fn read_again(&self) {
        self.renew(&self.missing());
    }

    fn missing(&self) -> MutexGuard<'_, Missed> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One reading at a time: whoever holds what was missed.
    fn renew(&self, _missed: &Missed) {
        let Some(source) = self.source.as_ref().filter(|source| source.can_change()) else { return };
        let former = self.now();
        let renewed = match source.read().and_then(|read| former.followed_by(read)) {
            Ok(renewed) => renewed,
            Err(what) => {
                tracing::warn!("the master keys stay as they were: {what}");
                return;
            }
        };
        if renewed.names().eq(former.names()) {
            return;
        }
        tracing::info!("master keys now: {}", renewed.names().collect::<Vec<_>>().join(", "));
        let gone: Vec<&str> = renewed.gone().collect();
        if !gone.is_empty() {
            tracing::warn!(
                "no longer among the master keys: {}. What is wrapped under them opens until this server stops, and not \
                 after that",
                gone.join(", ")
            );
        }
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(renewed);
    }

    /// Opens a data key. Where another server has wrapped it under a master of which this one has not heard, the source is
    /// read again first.
    pub(super) fn unwrap(&self, owner: Id, wrapped: &[u8]) -> Option<DataKey> {
        let masters = self.now();
        let (name, _) = Masters::named(wrapped)?;
        if masters.knows(name) {
            return masters.unwrap(owner, wrapped);
        }
        let mut missed = self.missing();
        let now = Instant::now();
        missed.retain(|(_, at)| now.duration_since(*at) < PAUSE);
        let is_asked = missed.iter().any(|(asked, _)| asked == name) || missed.len() >= MISSED;
        if !self.now().knows(name) && !is_asked {
            self.renew(&missed);
            if !self.now().knows(name) {
                missed.push((name.to_vec(), Instant::now()));
            }
        }
        self.now().unwrap(owner, wrapped)
    }
}
