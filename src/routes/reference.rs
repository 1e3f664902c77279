//! Reference: what everybody may read without signing in: instruments, techniques, crisis lines.

use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    command::{Answer, Query, Reply},
    operation::Api,
};
use crate::{
    policy::act,
    problem::Problem,
    rules::{
        crisis_lines::{self, CrisisLine},
        groups::check_country,
        instruments::Registry,
        techniques::{self, Factor, Technique},
    },
};

/// An instrument, as a list shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstrumentSummary {
    pub id: String,
    pub version: String,
    pub title: String,
    pub construct: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Instruments {
    pub items: Vec<InstrumentSummary>,
}

/// An instrument as its registry file says it: items, scoring, missing rule, bands, cut-offs, each with its source.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstrumentFile {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    file: serde_json::Value,
}

/// The vocabulary of agendas.
#[derive(Debug, Serialize, ToSchema)]
pub struct Vocabulary {
    pub techniques: Vec<Technique>,
    pub factors: Vec<Factor>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CrisisLines {
    /// Those of the country first, an international directory last. Nobody gets another country's number.
    pub items: Vec<CrisisLine>,
}

#[derive(Debug, Deserialize, IntoParams)]
pub struct InCountry {
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
}

pub fn register(api: &mut Api) {
    api.heading("Reference");
    api.get::<act::AskInPublic, _, _>("/instruments", "List the instruments", list_instruments).gives::<Instruments>();
    api.get::<act::AskInPublic, _, _>("/instruments/{instrument}", "Read an instrument", read_instrument)
        .gives::<InstrumentFile>();
    api.get::<act::AskInPublic, _, _>("/techniques", "Read the vocabulary of agendas", read_techniques)
        .gives::<Vocabulary>();
    api.get::<act::AskInPublic, _, _>("/crisis-lines", "Find somebody to talk to now", list_crisis_lines)
        .asks::<InCountry>()
        .gives::<CrisisLines>()
        .also(422);
}

async fn list_instruments(instruments: Data<Registry>) -> Answer {
    let items = instruments
        .all()
        .iter()
        .map(|instrument| InstrumentSummary {
            id: instrument.id.clone(),
            version: instrument.version.clone(),
            title: instrument.title.clone(),
            construct: instrument.construct.clone(),
        })
        .collect();
    Reply::ok(&Instruments { items })
}

async fn read_instrument(instruments: Data<Registry>, path: Path<String>) -> Answer {
    let instrument = instruments.current(&path).ok_or(Problem::NotFound)?;
    let file =
        serde_json::to_value(instrument).map_err(|_| Problem::Internal("an instrument cannot be written".into()))?;
    Reply::ok(&InstrumentFile { file })
}

async fn read_techniques() -> Answer {
    Reply::ok(&Vocabulary { techniques: techniques::all().to_vec(), factors: techniques::factors().to_vec() })
}

async fn list_crisis_lines(asked: Query<InCountry>) -> Answer {
    if let Some(country) = &asked.country {
        check_country(country, "country")?;
    }
    let items = crisis_lines::for_country(asked.country.as_deref()).into_iter().cloned().collect();
    Reply::ok(&CrisisLines { items })
}
