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
        closed_at -> Nullable<BigInt>,
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
        scope_id -> Nullable<Uid>,
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
        session_id -> Nullable<Uid>,
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
        attendance_mode -> Nullable<Text>,
        barred_until -> Nullable<BigInt>,
        willing -> Bool,
        erased_at -> Nullable<BigInt>,
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
        emergency_id -> Nullable<Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    standings (id) {
        id -> Uid,
        organization_id -> Uid,
        group_id -> Nullable<Uid>,
        session_id -> Nullable<Uid>,
        account_id -> Uid,
        standing -> Text,
        supervisor_id -> Nullable<Uid>,
        from_at -> BigInt,
        until_at -> Nullable<BigInt>,
        cut_short -> Bool,
        created_by -> Uid,
        created_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    peer_settings (group_id) {
        group_id -> Uid,
        attendance_mode -> Text,
        breach_policy -> Text,
        proofs -> Bool,
        preparing_hours -> Integer,
        finishing_hours -> Integer,
        reading_hours -> Integer,
        ballot_minimum -> Integer,
        quorum_percent -> Integer,
        version -> Integer,
        pseudonym_since -> Nullable<BigInt>,
        named_since -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    absences (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        from_on -> Text,
        until_on -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    term_offers (id) {
        id -> Uid,
        group_id -> Uid,
        session_id -> Uid,
        to_member_id -> Uid,
        term_id -> Nullable<Uid>,
        in_return_id -> Nullable<Uid>,
        state -> Text,
        offered_by -> Uid,
        offered_at -> BigInt,
        answered_at -> Nullable<BigInt>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    hand_overs (session_id) {
        session_id -> Uid,
        group_id -> Uid,
        text -> Binary,
        written_by -> Uid,
        written_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    services (member_id, service, month) {
        member_id -> Uid,
        group_id -> Uid,
        service -> Text,
        month -> Text,
        times -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    head_counts (session_id) {
        session_id -> Uid,
        group_id -> Uid,
        heads -> Integer,
        recorded_by -> Uid,
        recorded_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    head_count_versions (session_id, version) {
        session_id -> Uid,
        group_id -> Uid,
        version -> Integer,
        heads -> Integer,
        recorded_by -> Uid,
        recorded_at -> BigInt,
        reason -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    readings (session_id) {
        session_id -> Uid,
        group_id -> Uid,
        agreement_id -> Uid,
        acknowledged -> Integer,
        recorded_by -> Uid,
        recorded_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    pseudonyms (id) {
        id -> Uid,
        group_id -> Uid,
        owner -> Binary,
        name -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    pseudonym_attendances (session_id, pseudonym_id) {
        session_id -> Uid,
        pseudonym_id -> Uid,
        group_id -> Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    session_codes (session_id) {
        session_id -> Uid,
        group_id -> Uid,
        code_key -> Binary,
        code -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    visits (visit_key) {
        visit_key -> Binary,
        session_id -> Uid,
        group_id -> Uid,
        claimed -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    proofs (proof_key) {
        proof_key -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    check_ins (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        visibility -> Text,
        content -> Binary,
        local_day -> Text,
        zone -> Text,
        recorded_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    erased_totals (group_id) {
        group_id -> Uid,
        totals -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    topics (id) {
        id -> Uid,
        group_id -> Uid,
        text -> Nullable<Binary>,
        state -> Text,
        session_id -> Nullable<Uid>,
        owner -> Nullable<Binary>,
        proposed_on -> Text,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    topic_supports (topic_id, owner) {
        topic_id -> Uid,
        owner -> Binary,
        group_id -> Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    tips (id) {
        id -> Uid,
        group_id -> Uid,
        text -> Nullable<Binary>,
        link -> Nullable<Binary>,
        owner -> Nullable<Binary>,
        member_id -> Nullable<Uid>,
        given_on -> Text,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    breach_reports (id) {
        id -> Uid,
        organization_id -> Uid,
        group_id -> Uid,
        reporter -> Binary,
        subject_account_id -> Nullable<Uid>,
        subject_member_id -> Nullable<Uid>,
        text -> Binary,
        breach_policy -> Nullable<Text>,
        ballot_minimum -> Nullable<Integer>,
        quorum_percent -> Nullable<Integer>,
        state -> Text,
        told -> Nullable<Binary>,
        finding -> Nullable<Text>,
        finding_text -> Nullable<Binary>,
        received_at -> BigInt,
        told_at -> Nullable<BigInt>,
        found_at -> Nullable<BigInt>,
        closed_at -> Nullable<BigInt>,
        version -> Integer,
        named_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    breach_handlers (report_id, account_id) {
        report_id -> Uid,
        account_id -> Uid,
        group_id -> Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    outside_reports (id) {
        id -> Uid,
        report_id -> Uid,
        group_id -> Uid,
        made_to -> Text,
        made_on -> Text,
        reference -> Nullable<Binary>,
        recorded_by -> Uid,
        recorded_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    decisions (id) {
        id -> Uid,
        report_id -> Uid,
        group_id -> Uid,
        question -> Binary,
        options -> Text,
        pause_days -> Nullable<Integer>,
        opened_at -> BigInt,
        closes_at -> BigInt,
        eligible -> Integer,
        ballot_minimum -> Integer,
        quorum_percent -> Integer,
        tally -> Binary,
        outcome -> Nullable<Text>,
        closed_at -> Nullable<BigInt>,
        version -> Integer,
        session_id -> Nullable<Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    decision_voters (decision_id, member_id) {
        decision_id -> Uid,
        member_id -> Uid,
        group_id -> Uid,
        has_voted -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    consequences (id) {
        id -> Uid,
        report_id -> Uid,
        group_id -> Uid,
        member_id -> Nullable<Uid>,
        account_id -> Nullable<Uid>,
        consequence -> Text,
        from_at -> BigInt,
        until_at -> Nullable<BigInt>,
        review_on -> Text,
        appeal -> Nullable<Binary>,
        appealed_at -> Nullable<BigInt>,
        appeal_outcome -> Nullable<Text>,
        appeal_decided_at -> Nullable<BigInt>,
        version -> Integer,
        session_id -> Nullable<Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    referrals (id) {
        id -> Uid,
        group_id -> Uid,
        account_id -> Uid,
        shared -> Nullable<Binary>,
        state -> Text,
        answer -> Nullable<Binary>,
        code -> Nullable<Binary>,
        sent_at -> BigInt,
        answered_at -> Nullable<BigInt>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    feeds (id) {
        id -> Uid,
        account_id -> Uid,
        token_hash -> Binary,
        made_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    risks (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        measure_id -> Uid,
        risk -> Text,
        state -> Text,
        owner_id -> Nullable<Uid>,
        raised_at -> BigInt,
        due_at -> Nullable<BigInt>,
        disposition -> Nullable<Text>,
        closed_at -> Nullable<BigInt>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    risk_steps (id) {
        id -> Uid,
        group_id -> Uid,
        risk_id -> Uid,
        step -> Text,
        by_id -> Nullable<Uid>,
        at -> BigInt,
        risk -> Nullable<Text>,
        owner_id -> Nullable<Uid>,
        disposition -> Nullable<Text>,
        note -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    risk_covers (id) {
        id -> Uid,
        group_id -> Uid,
        owner_id -> Uid,
        stand_in_id -> Uid,
        from_at -> BigInt,
        until_at -> BigInt,
        named_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    reviews (id) {
        id -> Uid,
        group_id -> Uid,
        session_id -> Uid,
        member_id -> Uid,
        reviewed_by -> Uid,
        reviewed_at -> BigInt,
        as_of -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    goals (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        proposed_by -> Uid,
        proposed_as -> Text,
        proposed_at -> BigInt,
        wording -> Integer,
        outcome -> Nullable<Text>,
        ended_by -> Nullable<Uid>,
        ended_as -> Nullable<Text>,
        ended_at -> Nullable<BigInt>,
        ending_words -> Nullable<Binary>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    goal_wordings (id) {
        id -> Uid,
        group_id -> Uid,
        goal_id -> Uid,
        number -> Integer,
        content -> Binary,
        weight -> Integer,
        written_by -> Uid,
        written_as -> Text,
        written_at -> BigInt,
        member_agreed_at -> Nullable<BigInt>,
        clinician_agreed_at -> Nullable<BigInt>,
        clinician_agreed_by -> Nullable<Uid>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    goal_ratings (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        goal_id -> Uid,
        wording -> Integer,
        rated_as -> Text,
        level -> Integer,
        rated_at -> BigInt,
        words -> Nullable<Binary>,
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

    goal_rating_versions (rating_id, version) {
        rating_id -> Uid,
        group_id -> Uid,
        version -> Integer,
        level -> Integer,
        rated_at -> BigInt,
        words -> Nullable<Binary>,
        entered_in_error -> Bool,
        recorded_by -> Uid,
        recorded_at -> BigInt,
        reason -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    homework (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        text -> Binary,
        due_on -> Nullable<Text>,
        set_by -> Uid,
        set_at -> BigInt,
        withdrawn_by -> Nullable<Uid>,
        withdrawn_at -> Nullable<BigInt>,
        withdrawn_reason -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    homework_reports (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        homework_id -> Uid,
        said -> Text,
        words -> Nullable<Binary>,
        reported_as -> Text,
        recorded_by -> Uid,
        recorded_at -> BigInt,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    homework_report_versions (report_id, version) {
        report_id -> Uid,
        group_id -> Uid,
        version -> Integer,
        said -> Text,
        words -> Nullable<Binary>,
        reported_as -> Text,
        recorded_by -> Uid,
        recorded_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    disclosures (id) {
        id -> Uid,
        organization_id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        purpose -> Text,
        recipient -> Binary,
        parts -> Text,
        withheld_until -> Nullable<BigInt>,
        disclosed_by -> Uid,
        disclosed_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    outcome_releases (id) {
        id -> Uid,
        scope_id -> Uid,
        quarter -> Text,
        smallest_count -> Integer,
        figures -> Binary,
        released_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    emergency_accesses (id) {
        id -> Uid,
        organization_id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        account_id -> Uid,
        reason -> Binary,
        from_at -> BigInt,
        until_at -> BigInt,
        ended_at -> Nullable<BigInt>,
        ended_by -> Nullable<Uid>,
        due_at -> BigInt,
        reviewed -> Bool,
        reviewed_by -> Nullable<Uid>,
        reviewed_at -> Nullable<BigInt>,
        finding -> Nullable<Text>,
        words -> Nullable<Binary>,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    amendment_requests (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        record_kind -> Text,
        record_id -> Uid,
        content -> Binary,
        state -> Text,
        asked_at -> BigInt,
        due_at -> BigInt,
        goes_along -> Bool,
        version -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    amendment_steps (id) {
        id -> Uid,
        group_id -> Uid,
        request_id -> Uid,
        step -> Text,
        by_id -> Nullable<Uid>,
        at -> BigInt,
        basis -> Nullable<Text>,
        words -> Nullable<Binary>,
        disclosures -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    retention_rule_sets (organization_id, version) {
        organization_id -> Uid,
        version -> Integer,
        set_by -> Uid,
        set_at -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    retention_rules (organization_id, version, kind) {
        organization_id -> Uid,
        version -> Integer,
        kind -> Text,
        keep_years -> Integer,
        keep_months -> Integer,
        counted_from -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    retention_runs (id) {
        id -> Uid,
        organization_id -> Uid,
        rules_version -> Integer,
        as_of -> BigInt,
        begun_by -> Uid,
        begun_at -> BigInt,
        finished_at -> Nullable<BigInt>,
        records -> Integer,
        held_back -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    retention_targets (run_id, kind, owner_id) {
        run_id -> Uid,
        kind -> Text,
        owner_id -> Uid,
        group_id -> Uid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    retention_holds (id) {
        id -> Uid,
        group_id -> Uid,
        member_id -> Uid,
        reason -> Binary,
        placed_by -> Uid,
        placed_at -> BigInt,
        ended_by -> Nullable<Uid>,
        ended_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::super::columns::Uid;

    retired_outcomes (group_id) {
        group_id -> Uid,
        totals -> Binary,
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
    standings,
    peer_settings,
    absences,
    term_offers,
    hand_overs,
    services,
    head_counts,
    head_count_versions,
    readings,
    pseudonyms,
    pseudonym_attendances,
    session_codes,
    visits,
    proofs,
    check_ins,
    erased_totals,
    topics,
    topic_supports,
    tips,
    breach_reports,
    breach_handlers,
    outside_reports,
    decisions,
    decision_voters,
    consequences,
    referrals,
    feeds,
    risks,
    risk_steps,
    risk_covers,
    reviews,
    goals,
    goal_wordings,
    goal_ratings,
    goal_rating_versions,
    homework,
    homework_reports,
    homework_report_versions,
    disclosures,
    outcome_releases,
    emergency_accesses,
    amendment_requests,
    amendment_steps,
    retention_rule_sets,
    retention_rules,
    retention_runs,
    retention_targets,
    retention_holds,
    retired_outcomes,
);
