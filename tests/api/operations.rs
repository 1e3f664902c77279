//! The operations, as the contract names them: what a test walks so that no route stands outside it.

use std::collections::BTreeSet;

use circlekeeper::{
    policy::{Action, Area},
    server,
};
use serde_json::Value;

/// One operation of the contract.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: String,
    /// In capitals.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
    pub summary: String,
    pub action: Action,
    pub area: Area,
    pub example: Option<Value>,
    pub needs_version: bool,
    /// Names of the query parameters.
    pub queries: Vec<String>,
    /// The statuses that it says it answers.
    pub statuses: BTreeSet<u16>,
}

/// Those of the document that every server serves.
pub fn operations() -> Vec<Operation> {
    read(&serde_json::from_str(&server::contract()).expect("the contract is JSON"))
}

/// Those of a document, in its order.
pub fn read(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().expect("methods").iter().map(move |(method, page)| operation(method, path, page))
        })
        .collect()
}

fn operation(method: &str, path: &str, page: &Value) -> Operation {
    let text = |name: &str| page[name].as_str().unwrap_or_else(|| panic!("{method} {path} has no {name}")).to_owned();
    let find_action = |name: &str| Action::ALL.iter().copied().find(|action| action.as_str() == name);
    let action = find_action(&text("x-action")).unwrap_or_else(|| panic!("{method} {path} names no action"));
    let parameters = page["parameters"].as_array().cloned().unwrap_or_default();
    let named = |place: &str| {
        let of_place = parameters.iter().filter(|parameter| parameter["in"] == place);
        of_place.filter_map(|parameter| parameter["name"].as_str()).map(str::to_owned).collect::<Vec<_>>()
    };
    Operation {
        id: text("operationId"),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text("summary"),
        action,
        area: text("x-area").parse().unwrap_or_else(|error| panic!("{method} {path}: {error}")),
        example: page.pointer("/requestBody/content/application~1json/example").cloned(),
        needs_version: named("header").iter().any(|name| name == "If-Match"),
        queries: named("query"),
        statuses: page["responses"].as_object().expect("responses").keys().filter_map(|key| key.parse().ok()).collect(),
    }
}

impl Operation {
    pub fn is_read(&self) -> bool {
        self.method == "GET"
    }

    pub fn takes_body(&self) -> bool {
        self.example.is_some()
    }

    /// The names in braces, in order.
    pub fn parameters(&self) -> Vec<&str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
    }

    /// The path with each parameter replaced by what `fill` knows of it.
    pub fn path_with(&self, fill: impl Fn(&str) -> String) -> String {
        let parts =
            self.path.split('/').map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => fill(name),
                None => part.to_owned(),
            });
        parts.collect::<Vec<_>>().join("/")
    }
}
