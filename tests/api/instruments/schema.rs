//! `docs/instrument.schema.json` against every file, and against the types that read the files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use circlekeeper::rules::instruments::Registry;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// As much of JSON Schema as the schema uses; anything else in it is an error, not a rule that is passed over.
struct Schema {
    whole: Value,
    /// The properties that were met, by where their object stands in the schema.
    met: BTreeMap<String, BTreeSet<String>>,
}

impl Schema {
    fn read() -> Schema {
        let text = fs::read_to_string(root().join("docs/instrument.schema.json")).expect("the schema");
        Schema { whole: serde_json::from_str(&text).expect("JSON"), met: BTreeMap::new() }
    }

    fn check(&mut self, value: &Value) -> Result<(), String> {
        self.fits("", value, "")
    }

    /// Whether a value fits the schema at a pointer; the error says where it does not.
    fn fits(&mut self, pointer: &str, value: &Value, place: &str) -> Result<(), String> {
        let schema = self.whole.pointer(pointer).expect("a pointer into the schema").clone();
        let is_any = |types: &Value| match types {
            Value::Array(types) => types.iter().any(|one| is_of(one, value)),
            one => is_of(one, value),
        };
        let fault = |what: &str| Err(format!("{place}: {what}"));
        for (keyword, rule) in schema.as_object().expect("an object") {
            match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "required" | "properties" => {}
                "$ref" => {
                    let target = rule.as_str().and_then(|rule| rule.strip_prefix('#')).expect("a local reference");
                    self.fits(target, value, place)?;
                }
                "type" if !is_any(rule) => return fault(&format!("is no {rule}")),
                "type" => {}
                "enum" if !rule.as_array().expect("a list").contains(value) => return fault("is none of those known"),
                "enum" => {}
                "const" if rule != value => return fault(&format!("is not {rule}")),
                "const" => {}
                "minLength" if value.as_str().is_some_and(|text| text.trim().is_empty()) => return fault("is empty"),
                "minLength" => {}
                "minItems" if value.as_array().is_some_and(|list| (list.len() as u64) < rule.as_u64().unwrap()) => {
                    return fault("has too few entries");
                }
                "minItems" => {}
                "minimum" if value.as_i64().is_some_and(|number| number < rule.as_i64().unwrap()) => {
                    return fault("is too small");
                }
                "minimum" => {}
                "items" => {
                    for (index, entry) in value.as_array().into_iter().flatten().enumerate() {
                        self.fits(&format!("{pointer}/items"), entry, &format!("{place}/{index}"))?;
                    }
                }
                "oneOf" => {
                    let branches = 0..rule.as_array().expect("a list").len();
                    let met = self.met.clone();
                    let mut fitting = Vec::new();
                    for branch in branches {
                        // Only the branch that fits counts as met.
                        self.met.clone_from(&met);
                        if self.fits(&format!("{pointer}/oneOf/{branch}"), value, place).is_ok() {
                            fitting.push((branch, self.met.clone()));
                        }
                    }
                    self.met = met;
                    let [(_, met)] = fitting.as_slice() else {
                        return fault(&format!("fits {} of the known forms", fitting.len()));
                    };
                    self.met.clone_from(met);
                }
                "additionalProperties" => self.properties(pointer, &schema, value, place)?,
                other => panic!("the test does not know the keyword {other}"),
            }
        }
        Ok(())
    }

    fn properties(&mut self, pointer: &str, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let Some(object) = value.as_object() else {
            return Ok(());
        };
        for required in schema["required"].as_array().into_iter().flatten() {
            let name = required.as_str().expect("a name");
            if !object.contains_key(name) {
                return Err(format!("{place}: lacks {name}"));
            }
        }
        for (name, value) in object {
            let place = format!("{place}/{name}");
            if schema["properties"].get(name).is_some() {
                self.met.entry(pointer.to_owned()).or_default().insert(name.clone());
                self.fits(&format!("{pointer}/properties/{name}"), value, &place)?;
            } else if schema["additionalProperties"].is_object() {
                self.fits(&format!("{pointer}/additionalProperties"), value, &place)?;
            } else {
                return Err(format!("{place}: is not in the schema"));
            }
        }
        Ok(())
    }
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("no type {other}"),
    }
}

fn files() -> Vec<(String, Value)> {
    let entries = fs::read_dir(root().join("instruments")).expect("the folder");
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a file");
        (path.file_name().unwrap().to_string_lossy().into_owned(), serde_json::from_str(&text).expect("JSON"))
    };
    entries.map(read).collect()
}

#[test]
fn every_file_fits_the_schema_and_is_compiled_in() {
    let files = files();
    assert_eq!(files.len(), Registry::built_in().all().len());
    for (name, file) in files {
        assert_eq!(Schema::read().check(&file), Ok(()), "{name}");
        let (id, version) = (file["id"].as_str().unwrap(), file["version"].as_str().unwrap());
        assert_eq!(name, format!("{id}-{version}.json"));
        assert!(Registry::built_in().find(id, version).is_some(), "{name}");
    }
}

#[test]
fn what_the_server_shows_fits_the_schema_and_uses_each_of_its_properties() {
    let mut schema = Schema::read();
    for instrument in Registry::built_in().all() {
        let shown = serde_json::to_value(instrument).unwrap();
        assert_eq!(schema.check(&shown), Ok(()), "{}", instrument.id);
    }
    // A field that the types lack would never be met, and one that the schema lacks does not fit.
    let mut stated = BTreeMap::new();
    collect(&schema.whole, "", &mut stated);
    for (pointer, properties) in stated {
        assert_eq!(schema.met.get(&pointer), Some(&properties), "{pointer}");
    }
}

fn collect(schema: &Value, pointer: &str, stated: &mut BTreeMap<String, BTreeSet<String>>) {
    if let (Some(properties), true) = (schema["properties"].as_object(), schema.get("type").is_some()) {
        stated.insert(pointer.to_owned(), properties.keys().cloned().collect());
    }
    match schema {
        Value::Object(object) => {
            object.iter().for_each(|(key, inner)| collect(inner, &format!("{pointer}/{key}"), stated))
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, inner)| collect(inner, &format!("{pointer}/{index}"), stated));
        }
        _ => {}
    }
}

#[test]
fn the_schema_refuses_what_does_not_fit() {
    let (_, good) = files().into_iter().find(|(name, _)| name == "phq-9-1.json").unwrap();
    type Change = fn(&mut Value);
    let wrong: [(&str, Change); 6] = [
        ("an unknown field", |file| file["surprise"] = json!(1)),
        ("a field that is missing", |file| drop(file.as_object_mut().unwrap().remove("title"))),
        ("a word that is none of those", |file| file["licence"]["class"] = json!("D")),
        ("text for a number", |file| file["range"]["max"] = json!("27")),
        ("a rule of no kind", |file| file["scoring"]["kind"] = json!("product")),
        ("an empty name", |file| file["title"] = json!("")),
    ];
    for (what, change) in wrong {
        let mut file = good.clone();
        change(&mut file);
        assert!(Schema::read().check(&file).is_err(), "{what}");
    }
}
