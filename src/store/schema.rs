//! The tables, as the migrations make them. Written by the test `schema_is_what_the_migrations_make`.

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    data_keys (owner_id) {
        owner_id -> Uid,
        wrapped -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    accounts (id) {
        id -> Uid,
        sign_in_key -> Binary,
        sign_in_name -> Binary,
        name -> Binary,
        email -> Nullable<Binary>,
        country -> Nullable<Text>,
        language -> Text,
        zone -> Text,
        password -> Text,
        second_factor -> Nullable<Binary>,
        second_factor_on -> Bool,
        second_factor_step -> BigInt,
        created_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    recovery_codes (code_hash) {
        code_hash -> Binary,
        account_id -> Uid,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    sign_ins (id) {
        id -> Uid,
        account_id -> Uid,
        device -> Nullable<Binary>,
        second_factor -> Bool,
        started_at -> BigInt,
        last_used_at -> BigInt,
        ends_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        ended_because -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    refresh_tokens (token_hash) {
        token_hash -> Binary,
        sign_in_id -> Uid,
        issued_at -> BigInt,
        expires_at -> BigInt,
        used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    back_offs (subject) {
        subject -> Binary,
        failures -> Integer,
        failed_at -> BigInt,
        blocked_until -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    idempotent_answers (caller_id, key) {
        caller_id -> Uid,
        key -> Text,
        request_hash -> Binary,
        answer -> Binary,
        created_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    organizations (id) {
        id -> Uid,
        name -> Text,
        staff_second_factor -> Bool,
        created_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    groups (id) {
        id -> Uid,
        organization_id -> Uid,
        kind -> Text,
        state -> Text,
        title -> Text,
        public_description -> Text,
        private_description -> Nullable<Binary>,
        conditions -> Text,
        approaches -> Text,
        format -> Text,
        place -> Nullable<Text>,
        language -> Text,
        zone -> Text,
        capacity -> Nullable<Integer>,
        open_to_joining -> Bool,
        fee_minor -> Nullable<BigInt>,
        fee_currency -> Nullable<Text>,
        fee_period -> Nullable<Text>,
        insurance -> Nullable<Text>,
        part_2 -> Bool,
        recording_policy -> Text,
        created_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    standings (id) {
        id -> Uid,
        organization_id -> Uid,
        group_id -> Nullable<Uid>,
        account_id -> Uid,
        standing -> Text,
        supervisor_id -> Nullable<Uid>,
        from_at -> BigInt,
        until_at -> Nullable<BigInt>,
        created_by -> Uid,
        created_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    suspensions (id) {
        id -> Uid,
        organization_id -> Uid,
        account_id -> Uid,
        reason -> Binary,
        from_at -> BigInt,
        until_at -> Nullable<BigInt>,
        created_by -> Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    invitations (id) {
        id -> Uid,
        organization_id -> Uid,
        group_id -> Nullable<Uid>,
        member_id -> Nullable<Uid>,
        standing -> Text,
        supervisor_id -> Nullable<Uid>,
        from_at -> Nullable<BigInt>,
        until_at -> Nullable<BigInt>,
        code_hash -> Binary,
        expires_at -> BigInt,
        accepted_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        created_by -> Uid,
        created_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    licences (id) {
        id -> Uid,
        organization_id -> Uid,
        account_id -> Uid,
        licence_type -> Text,
        number -> Binary,
        body -> Text,
        jurisdiction -> Text,
        valid_from -> Text,
        expires_on -> Text,
        verified_by -> Nullable<Uid>,
        verified_at -> Nullable<BigInt>,
        created_by -> Uid,
        created_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    members (id) {
        id -> Uid,
        group_id -> Uid,
        account_id -> Nullable<Uid>,
        name -> Binary,
        state -> Text,
        state_from -> BigInt,
        created_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    membership_intervals (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        state -> Text,
        from_at -> BigInt,
        until_at -> Nullable<BigInt>,
        reason -> Nullable<Binary>,
        recorded_by -> Uid,
        recorded_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    agreements (id) {
        id -> Uid,
        group_id -> Uid,
        purpose -> Text,
        number -> Integer,
        title -> Text,
        text -> Text,
        must_sign_again -> Bool,
        published_by -> Uid,
        published_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    signatures (id) {
        id -> Uid,
        group_id -> Uid,
        agreement_id -> Uid,
        member_id -> Uid,
        on_paper -> Bool,
        signed_at -> BigInt,
        recorded_by -> Uid,
        withdrawn_at -> Nullable<BigInt>,
        withdrawn_by -> Nullable<Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    agenda_templates (id) {
        id -> Uid,
        organization_id -> Uid,
        title -> Text,
        items -> Text,
        created_by -> Uid,
        created_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    sessions (id) {
        id -> Uid,
        group_id -> Uid,
        state -> Text,
        title -> Nullable<Text>,
        modality -> Text,
        starts_local -> Text,
        zone -> Text,
        minutes -> Integer,
        starts_at -> BigInt,
        held_from -> Nullable<BigInt>,
        held_until -> Nullable<BigInt>,
        led_by -> Nullable<Uid>,
        cancelled_reason -> Nullable<Binary>,
        recording -> Text,
        recorded_by -> Nullable<Uid>,
        recorded_at -> Nullable<BigInt>,
        created_by -> Uid,
        created_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    agenda_items (id) {
        id -> Uid,
        group_id -> Uid,
        session_id -> Uid,
        position -> Integer,
        technique -> Text,
        objective -> Nullable<Binary>,
        factors -> Text,
        planned_minutes -> Integer,
        homework -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    agenda_deliveries (item_id) {
        item_id -> Uid,
        group_id -> Uid,
        session_id -> Uid,
        delivered -> Text,
        minutes -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    attendances (id) {
        id -> Uid,
        group_id -> Uid,
        session_id -> Uid,
        member_id -> Uid,
        status -> Text,
        modality -> Text,
        arrived_at -> Nullable<BigInt>,
        left_at -> Nullable<BigInt>,
        minutes -> Integer,
        starts_at -> BigInt,
        recorded_by -> Uid,
        recorded_at -> BigInt,
        reason -> Nullable<Binary>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    attendance_versions (attendance_id, version) {
        attendance_id -> Uid,
        group_id -> Uid,
        version -> Integer,
        status -> Text,
        modality -> Text,
        arrived_at -> Nullable<BigInt>,
        left_at -> Nullable<BigInt>,
        minutes -> Integer,
        recorded_by -> Uid,
        recorded_at -> BigInt,
        reason -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    measure_schedules (id) {
        id -> Uid,
        group_id -> Uid,
        instrument -> Text,
        every_days -> Integer,
        set_by -> Uid,
        set_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    measures (id) {
        id -> Uid,
        group_id -> Uid,
        session_id -> Nullable<Uid>,
        member_id -> Uid,
        instrument -> Text,
        instrument_version -> Text,
        respondent -> Text,
        taken_at -> BigInt,
        answers -> Binary,
        score -> Nullable<Integer>,
        no_score -> Nullable<Text>,
        prorated -> Bool,
        band -> Nullable<Text>,
        subscales -> Text,
        risk -> Text,
        flagged -> Bool,
        entered_in_error -> Bool,
        recorded_by -> Uid,
        recorded_at -> BigInt,
        reason -> Nullable<Binary>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    measure_versions (measure_id, version) {
        measure_id -> Uid,
        group_id -> Uid,
        version -> Integer,
        respondent -> Text,
        taken_at -> BigInt,
        answers -> Binary,
        score -> Nullable<Integer>,
        no_score -> Nullable<Text>,
        prorated -> Bool,
        band -> Nullable<Text>,
        subscales -> Text,
        risk -> Text,
        entered_in_error -> Bool,
        recorded_by -> Uid,
        recorded_at -> BigInt,
        reason -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    session_records (id) {
        id -> Uid,
        group_id -> Uid,
        session_id -> Uid,
        text -> Binary,
        state -> Text,
        author_id -> Uid,
        recorded_at -> BigInt,
        signed_by -> Nullable<Uid>,
        signed_at -> Nullable<BigInt>,
        cosigned_by -> Nullable<Uid>,
        cosigned_at -> Nullable<BigInt>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    session_record_addenda (id) {
        id -> Uid,
        group_id -> Uid,
        session_record_id -> Uid,
        text -> Binary,
        author_id -> Uid,
        recorded_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    progress_entries (id) {
        id -> Uid,
        group_id -> Uid,
        session_id -> Nullable<Uid>,
        member_id -> Uid,
        text -> Binary,
        state -> Text,
        author_id -> Uid,
        occurred_at -> BigInt,
        recorded_at -> BigInt,
        signed_by -> Nullable<Uid>,
        signed_at -> Nullable<BigInt>,
        cosigned_by -> Nullable<Uid>,
        cosigned_at -> Nullable<BigInt>,
        released_by -> Nullable<Uid>,
        released_at -> Nullable<BigInt>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    progress_entry_addenda (id) {
        id -> Uid,
        group_id -> Uid,
        progress_entry_id -> Uid,
        text -> Binary,
        author_id -> Uid,
        recorded_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    process_notes (id) {
        id -> Uid,
        group_id -> Uid,
        session_id -> Nullable<Uid>,
        author_id -> Uid,
        text -> Binary,
        state -> Text,
        recorded_at -> BigInt,
        signed_at -> Nullable<BigInt>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    process_note_addenda (id) {
        id -> Uid,
        group_id -> Uid,
        process_note_id -> Uid,
        author_id -> Uid,
        text -> Binary,
        recorded_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    access_chains (id) {
        id -> Uid,
        started_at -> BigInt,
        predecessors -> Text,
        length -> BigInt,
        head -> Binary,
        seal -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    access_entries (chain_id, sequence) {
        chain_id -> Uid,
        sequence -> BigInt,
        at -> BigInt,
        account_id -> Uid,
        action -> Text,
        allowed -> Bool,
        standing -> Nullable<Text>,
        organization_id -> Nullable<Uid>,
        group_id -> Nullable<Uid>,
        member_id -> Nullable<Uid>,
        record_id -> Nullable<Uid>,
        hash -> Binary,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    data_keys,
    accounts,
    recovery_codes,
    sign_ins,
    refresh_tokens,
    back_offs,
    idempotent_answers,
    organizations,
    groups,
    standings,
    suspensions,
    invitations,
    licences,
    members,
    membership_intervals,
    agreements,
    signatures,
    agenda_templates,
    sessions,
    agenda_items,
    agenda_deliveries,
    attendances,
    attendance_versions,
    measure_schedules,
    measures,
    measure_versions,
    session_records,
    session_record_addenda,
    progress_entries,
    progress_entry_addenda,
    process_notes,
    process_note_addenda,
    access_chains,
    access_entries,
);
