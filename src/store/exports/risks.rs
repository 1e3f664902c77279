//! What those who lead a group know of risks and looked at, as it is taken out: without notes and without names.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;

use super::super::{
    connection::Connection,
    permit::Permit,
    schema::{reviews, risk_steps, risks},
};
use crate::{
    policy::area,
    problem::Problem,
    rules::{
        exports::{Record, ReviewRow, RiskRow, RiskStepRow},
        risks::{Disposition, State, Step},
    },
    values::{Id, Moment},
};

/// Adds the marks with their steps, and the reviews, of the members who stand in the record.
pub(super) fn add_what_leads_read<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    record: &mut Record,
) -> Result<(), Problem> {
    let whose: Vec<Id> = record.members.iter().map(|row| row.member).collect();
    if whose.is_empty() {
        return Ok(());
    }
    record.risks = list_risks(connection, permit, &whose)?;
    record.risk_steps = list_steps(connection, permit, &record.risks)?;
    record.reviews = list_reviews(connection, permit, &whose)?;
    Ok(())
}

fn list_risks<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
) -> Result<Vec<RiskRow>, Problem> {
    type Row = (Id, Id, Id, String, State, Moment, Option<Disposition>, Option<Moment>);
    let rows: Vec<Row> = risks::table
        .filter(risks::group_id.eq(permit.group()))
        .filter(risks::member_id.eq_any(whose))
        .order((risks::member_id, risks::raised_at, risks::id))
        .select((
            risks::id,
            risks::member_id,
            risks::measure_id,
            risks::risk,
            risks::state,
            risks::raised_at,
            risks::disposition,
            risks::closed_at,
        ))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(mark, member, measure, risk, state, raised_at, disposition, closed_at)| RiskRow {
            mark,
            member,
            measure,
            risk,
            state,
            raised_at,
            disposition,
            closed_at,
        })
        .collect())
}

fn list_steps<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    of: &[RiskRow],
) -> Result<Vec<RiskStepRow>, Problem> {
    type Row = (Id, Step, Moment, Option<String>, Option<Disposition>);
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let owners: HashMap<Id, Id> = of.iter().map(|row| (row.mark, row.member)).collect();
    let marks: BTreeSet<Id> = owners.keys().copied().collect();
    let rows: Vec<Row> = risk_steps::table
        .filter(risk_steps::risk_id.eq_any(marks))
        .filter(risk_steps::group_id.eq(permit.group()))
        .order((risk_steps::risk_id, risk_steps::id))
        .select((risk_steps::risk_id, risk_steps::step, risk_steps::at, risk_steps::risk, risk_steps::disposition))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(mark, step, at, risk, disposition)| RiskStepRow {
            member: owners[&mark],
            mark,
            step,
            at,
            risk,
            disposition,
        })
        .collect())
}

fn list_reviews<A: area::Group>(
    connection: &mut Connection,
    permit: &Permit<A>,
    whose: &[Id],
) -> Result<Vec<ReviewRow>, Problem> {
    let rows: Vec<(Id, Id, Moment, Moment)> = reviews::table
        .filter(reviews::member_id.eq_any(whose))
        .filter(reviews::group_id.eq(permit.group()))
        .order((reviews::member_id, reviews::reviewed_at, reviews::id))
        .select((reviews::member_id, reviews::session_id, reviews::reviewed_at, reviews::as_of))
        .load(connection.with(permit))?;
    Ok(rows
        .into_iter()
        .map(|(member, session, reviewed_at, as_of)| ReviewRow { member, session, reviewed_at, as_of })
        .collect())
}
