//! The instruments that a running server knows, each checked before it is used.

use std::sync::{Arc, OnceLock};

use super::{
    Instrument, TextFault, TextPack,
    consistency::{Fault, check},
};

macro_rules! built_in_file {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../instruments/", $name)))
    };
}

/// Checked instruments, every version that was ever in use: old scores stay readable. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    instruments: Arc<[Instrument]>,
}

/// Why a set of files was refused. Names the file as it was given to [`Registry::load`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("{file}: cannot be read: {why}")]
    Unreadable { file: String, why: String },
    #[error("{file}: contradicts itself: {}", listed(faults))]
    Inconsistent { file: String, faults: Vec<Fault> },
    #[error("{file}: {id} version {version} stands in another file too")]
    Duplicate { file: String, id: String, version: String },
    #[error("{file}: {fault}")]
    Text { file: String, fault: TextFault },
}

impl Registry {
    /// Reads and checks files, given as name and content.
    ///
    /// # Errors
    /// The first file that is no instrument, contradicts itself (see [`Fault`]), holds a worked
    /// example that does not score as it says, or repeats the id and version of another.
    pub fn load(files: &[(&str, &str)]) -> Result<Registry, LoadError> {
        let mut instruments: Vec<Instrument> = Vec::with_capacity(files.len());
        for (name, content) in files {
            let instrument = read(name, content)?;
            if is_known(&instruments, &instrument) {
                return Err(LoadError::Duplicate {
                    file: (*name).to_owned(),
                    id: instrument.id,
                    version: instrument.version,
                });
            }
            instruments.push(instrument);
        }
        instruments.sort_by(|a, b| (&a.id, number(a)).cmp(&(&b.id, number(b))));
        Ok(Registry { instruments: instruments.into() })
    }

    /// The same instruments, some with texts that a deployment supplies, given as name and content of its packs.
    /// Scoring stays as it is.
    ///
    /// # Errors
    /// The first pack that is none, that is for an instrument or a version that is not there, that names an unknown item
    /// or option, or lacks one.
    pub fn with_texts(&self, packs: &[(String, String)]) -> Result<Registry, LoadError> {
        let mut instruments = self.instruments.to_vec();
        let mut supplied: Vec<(String, String)> = Vec::new();
        for (file, content) in packs {
            let pack: TextPack = serde_json::from_str(content)
                .map_err(|error| LoadError::Unreadable { file: file.clone(), why: error.to_string() })?;
            let whose = (pack.instrument.clone(), pack.version.clone());
            if supplied.contains(&whose) {
                let (id, version) = whose;
                return Err(LoadError::Duplicate { file: file.clone(), id, version });
            }
            pack.supply(&mut instruments).map_err(|fault| LoadError::Text { file: file.clone(), fault })?;
            supplied.push(whose);
        }
        Ok(Registry { instruments: instruments.into() })
    }

    /// The instruments of this repository.
    ///
    /// # Panics
    /// When one of the files that were compiled in is refused. A test loads them all.
    pub fn built_in() -> &'static Registry {
        static BUILT_IN: OnceLock<Registry> = OnceLock::new();
        BUILT_IN.get_or_init(|| match Registry::load(&BUILT_IN_FILES) {
            Ok(registry) => registry,
            Err(error) => panic!("built-in instrument refused: {error}"),
        })
    }

    /// The highest version of an instrument.
    pub fn current(&self, id: &str) -> Option<&Instrument> {
        self.all().iter().rev().find(|known| known.id == id)
    }

    /// The version that an administration is pinned to.
    pub fn find(&self, id: &str, version: &str) -> Option<&Instrument> {
        self.all().iter().find(|known| known.id == id && known.version == version)
    }

    /// Every version of every instrument, by id and then version.
    pub fn all(&self) -> &[Instrument] {
        &self.instruments
    }
}

const BUILT_IN_FILES: [(&str, &str); 36] = [
    built_in_file!("asrm-1.json"),
    built_in_file!("audit-1.json"),
    built_in_file!("audit-c-1.json"),
    built_in_file!("barc-10-1.json"),
    built_in_file!("bsl-23-1.json"),
    built_in_file!("ces-d-1.json"),
    built_in_file!("core-10-1.json"),
    built_in_file!("dass-21-1.json"),
    built_in_file!("dast-10-1.json"),
    built_in_file!("eat-26-1.json"),
    built_in_file!("ede-q-1.json"),
    built_in_file!("gad-2-1.json"),
    built_in_file!("gad-7-1.json"),
    built_in_file!("gse-1.json"),
    built_in_file!("hrql-4-1.json"),
    built_in_file!("isi-1.json"),
    built_in_file!("k10-1.json"),
    built_in_file!("k6-1.json"),
    built_in_file!("oci-r-1.json"),
    built_in_file!("pc-ptsd-5-1.json"),
    built_in_file!("pcl-5-1.json"),
    built_in_file!("peg-1.json"),
    built_in_file!("phq-15-1.json"),
    built_in_file!("phq-2-1.json"),
    built_in_file!("phq-4-1.json"),
    built_in_file!("phq-8-1.json"),
    built_in_file!("phq-9-1.json"),
    built_in_file!("pswq-1.json"),
    built_in_file!("qpr-15-1.json"),
    built_in_file!("rosenberg-1.json"),
    built_in_file!("scoff-1.json"),
    built_in_file!("swemwbs-1.json"),
    built_in_file!("ucla-3-1.json"),
    built_in_file!("who-5-1.json"),
    built_in_file!("whodas-12-1.json"),
    built_in_file!("wsas-1.json"),
];

fn read(name: &str, content: &str) -> Result<Instrument, LoadError> {
    let instrument: Instrument = serde_json::from_str(content)
        .map_err(|error| LoadError::Unreadable { file: name.to_owned(), why: error.to_string() })?;
    let faults = check(&instrument);
    if faults.is_empty() {
        return Ok(instrument);
    }
    Err(LoadError::Inconsistent { file: name.to_owned(), faults })
}

fn is_known(known: &[Instrument], new: &Instrument) -> bool {
    known.iter().any(|old| old.id == new.id && old.version == new.version)
}

/// 10 comes after 9. The check has refused a version that is no number.
fn number(instrument: &Instrument) -> u32 {
    instrument.version.parse().unwrap_or(0)
}

fn listed(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("; ")
}
