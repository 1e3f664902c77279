//! Texts that the repository may not hold: a deployment with a licence supplies them, checked against the item ids.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Instrument, Item, LicenceClass, ResponseOption};

/// The texts of one version of one instrument: the content of one file. Nothing in it can change a score.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextPack {
    pub instrument: String,
    pub version: String,
    /// BCP 47 tag of the texts.
    pub language: String,
    /// What the licence asks to be shown beside the text.
    pub notice: Option<String>,
    pub instructions: String,
    pub stem: Option<String>,
    /// By item id.
    pub items: BTreeMap<String, String>,
    /// Labels by value, by the name of the list in [`Instrument::response_sets`].
    pub options: BTreeMap<String, BTreeMap<i32, String>>,
}

/// Why a pack was refused. Names the item or the option, never its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    #[error("{id} version {version} is not in the registry")]
    UnknownInstrument { id: String, version: String },
    #[error("{id} ships with its text already")]
    HasText { id: String },
    #[error("{instrument} has no item {item}")]
    UnknownItem { instrument: String, item: String },
    #[error("item {item} has no text")]
    ItemLacking { item: String },
    #[error("{instrument} has no list of options {list}")]
    UnknownList { instrument: String, list: String },
    #[error("list {list} has no option {value}")]
    UnknownOption { list: String, value: i32 },
    #[error("option {value} of list {list} has no label")]
    OptionLacking { list: String, value: i32 },
    #[error("{0} must not be empty")]
    Empty(&'static str),
}

impl TextPack {
    /// Puts the texts into the instrument that they are for, all of them or none.
    ///
    /// # Errors
    /// The first [`TextFault`].
    pub(super) fn supply(self, instruments: &mut [Instrument]) -> Result<(), TextFault> {
        let is_mine = |known: &&mut Instrument| known.id == self.instrument && known.version == self.version;
        let Some(instrument) = instruments.iter_mut().find(is_mine) else {
            return Err(TextFault::UnknownInstrument { id: self.instrument, version: self.version });
        };
        self.check(instrument)?;
        instrument.language = self.language;
        instrument.notice = self.notice.or_else(|| instrument.notice.take());
        instrument.instructions = Some(self.instructions);
        instrument.stem = self.stem;
        for Item { id, text, .. } in &mut instrument.items {
            *text = self.items.get(id).cloned();
        }
        for (list, options) in &mut instrument.response_sets {
            for ResponseOption { value, label, .. } in options {
                *label = self.options.get(list).and_then(|labels| labels.get(value)).cloned();
            }
        }
        Ok(())
    }

    fn check(&self, instrument: &Instrument) -> Result<(), TextFault> {
        if instrument.licence.class == LicenceClass::A {
            return Err(TextFault::HasText { id: instrument.id.clone() });
        }
        for (name, text) in [("language", &self.language), ("instructions", &self.instructions)] {
            if text.trim().is_empty() {
                return Err(TextFault::Empty(name));
            }
        }
        self.check_items(instrument)?;
        self.check_options(instrument)
    }

    fn check_items(&self, instrument: &Instrument) -> Result<(), TextFault> {
        if let Some(item) = self.items.keys().find(|item| instrument.item(item).is_none()) {
            return Err(TextFault::UnknownItem { instrument: instrument.id.clone(), item: item.clone() });
        }
        let lacks = |item: &&Item| self.items.get(&item.id).is_none_or(|text| text.trim().is_empty());
        match instrument.items.iter().find(lacks) {
            Some(item) => Err(TextFault::ItemLacking { item: item.id.clone() }),
            None => Ok(()),
        }
    }

    fn check_options(&self, instrument: &Instrument) -> Result<(), TextFault> {
        for (list, labels) in &self.options {
            let Some(options) = instrument.response_sets.get(list) else {
                return Err(TextFault::UnknownList { instrument: instrument.id.clone(), list: list.clone() });
            };
            let is_unknown = |value: &&i32| !options.iter().any(|option| option.value == **value);
            if let Some(value) = labels.keys().find(is_unknown) {
                return Err(TextFault::UnknownOption { list: list.clone(), value: *value });
            }
        }
        for (list, options) in &instrument.response_sets {
            let labels = self.options.get(list);
            let lacks = |option: &&ResponseOption| {
                labels.and_then(|labels| labels.get(&option.value)).is_none_or(|label| label.trim().is_empty())
            };
            if let Some(option) = options.iter().find(lacks) {
                return Err(TextFault::OptionLacking { list: list.clone(), value: option.value });
            }
        }
        Ok(())
    }
}
