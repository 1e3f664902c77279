//! Instruments and administrations as FHIR R4 questionnaires.

use actix_web::web::{Data, Path};
use serde_json::json;

use super::{
    command::{Answer, Command, Reply},
    measures::{Administered, Measure, record},
    operation::Api,
};
use crate::{
    identity::Caller,
    policy::act,
    problem::{FieldProblem, Problem},
    rules::{
        fhir::{self, Administration, QuestionnaireResponse, questionnaire, questionnaire_response, read_response},
        instruments::Registry,
    },
    store::{connection::Db, measures, permit::authorize},
    values::{Id, Text},
};

pub fn register(api: &mut Api) {
    let item = |number: i32, code: &str| {
        json!({
            "linkId": format!("phq-9.{number}"),
            "answer": [{"valueCoding": {"system": "http://loinc.org", "code": code}}]
        })
    };
    let items: Vec<_> = (1..=9).map(|number| item(number, if number == 9 { "LA6568-5" } else { "LA6569-3" })).collect();
    api.heading("FHIR");
    api.get::<act::AskInPublic, _, _>(
        "/instruments/{instrument}/questionnaire",
        "Read an instrument as a FHIR questionnaire",
        read_questionnaire,
    )
    .gives_object(fhir::MEDIA);
    api.post::<act::RecordMeasure, _, _>(
        "/groups/{group}/questionnaire-responses",
        "Answer an instrument in FHIR",
        record_questionnaire_response,
    )
    .takes::<QuestionnaireResponse>(json!({
        "resourceType": "QuestionnaireResponse",
        "questionnaire": "urn:circlekeeper:instrument:phq-9",
        "status": "completed",
        "item": items,
    }))
    .also_taken_as(fhir::MEDIA)
    .creates::<Measure>();
    api.get::<act::ReadMeasures, _, _>(
        "/groups/{group}/measures/{measure}/questionnaire-response",
        "Read a measure as a FHIR questionnaire response",
        read_questionnaire_response,
    )
    .gives_object(fhir::MEDIA);
}

async fn read_questionnaire(instruments: Data<Registry>, path: Path<String>) -> Answer {
    let instrument = instruments.current(&path).ok_or(Problem::NotFound)?;
    Ok(Reply::text(fhir::MEDIA, questionnaire(instrument).to_string()))
}

async fn record_questionnaire_response(
    db: Data<Db>,
    caller: Caller,
    path: Path<Id>,
    command: Command<QuestionnaireResponse>,
) -> Answer {
    let group = path.into_inner();
    db.write(move |connection| {
        let permit = authorize::<act::RecordMeasure>(connection, &caller, group)?;
        command.once(connection, &permit, |connection, resource| {
            let response = read_response(&resource, Registry::built_in())?;
            let instrument =
                Text::new(&response.instrument).map_err(|detail| Problem::field("/questionnaire", detail))?;
            let administered = Administered {
                member: response.subject,
                instrument,
                respondent: response.respondent,
                taken_at: response.taken_at,
                answers: response.answers.clone(),
            };
            // The rules of measures speak of their own fields: their refusals name the resource's elements.
            record(connection, &permit, group, administered).map_err(|problem| match problem {
                Problem::Refused(fields) => Problem::Refused(
                    fields
                        .into_iter()
                        .map(|field| FieldProblem { pointer: response.element(&field.pointer), ..field })
                        .collect(),
                ),
                other => other,
            })
        })
    })
    .await
}

async fn read_questionnaire_response(db: Data<Db>, caller: Caller, path: Path<(Id, Id)>) -> Answer {
    let (group, id) = path.into_inner();
    db.read(move |connection| {
        let permit = authorize::<act::ReadMeasures>(connection, &caller, group)?;
        let (kept, answers) = measures::find(connection, &permit, id)?;
        let shown = questionnaire_response(&Administration {
            id: kept.id,
            subject: format!("Patient/{}", kept.member_id),
            encounter: None,
            instrument: &kept.instrument,
            instrument_version: &kept.instrument_version,
            respondent: kept.respondent,
            taken_at: kept.taken_at,
            entered_in_error: kept.entered_in_error,
            amended: kept.version > 1,
            answers: &answers,
        });
        Ok(Reply::text(fhir::MEDIA, shown.to_string()).version(kept.version))
    })
    .await
}
