-- One tree for SQLite and PostgreSQL: only types that mean the same in both.
-- BIGINT moments are milliseconds since 1970-01-01T00:00:00Z. BYTEA columns marked "sealed" hold AEAD ciphertext
-- under the data key of the owner. TEXT days are written 2026-03-29.

CREATE TABLE data_keys (
    owner_id UUID PRIMARY KEY NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- Who is calling.

CREATE TABLE accounts (
    id UUID PRIMARY KEY NOT NULL,
    sign_in_key BYTEA NOT NULL UNIQUE, -- keyed hash of the sign-in name
    sign_in_name BYTEA NOT NULL, -- sealed
    name BYTEA NOT NULL, -- sealed
    email BYTEA, -- sealed
    country TEXT,
    language TEXT NOT NULL,
    zone TEXT NOT NULL,
    password TEXT NOT NULL,
    second_factor BYTEA, -- sealed
    second_factor_on BOOLEAN NOT NULL,
    second_factor_step BIGINT NOT NULL, -- the last time step whose code was used
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL
);

CREATE TABLE recovery_codes (
    code_hash BYTEA PRIMARY KEY NOT NULL,
    account_id UUID NOT NULL REFERENCES accounts (id),
    used_at BIGINT
);
CREATE INDEX recovery_codes_of_account ON recovery_codes (account_id);

CREATE TABLE sign_ins (
    id UUID PRIMARY KEY NOT NULL,
    account_id UUID NOT NULL REFERENCES accounts (id),
    device BYTEA, -- sealed
    second_factor BOOLEAN NOT NULL,
    started_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    ended_at BIGINT,
    ended_because TEXT
);
CREATE INDEX sign_ins_of_account ON sign_ins (account_id, started_at);

CREATE TABLE refresh_tokens (
    token_hash BYTEA PRIMARY KEY NOT NULL,
    sign_in_id UUID NOT NULL REFERENCES sign_ins (id),
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX refresh_tokens_of_sign_in ON refresh_tokens (sign_in_id);
CREATE INDEX refresh_tokens_by_age ON refresh_tokens (expires_at);

CREATE TABLE back_offs (
    subject BYTEA PRIMARY KEY NOT NULL, -- keyed hash of a sign-in name or an address
    failures INTEGER NOT NULL,
    failed_at BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);
CREATE INDEX back_offs_by_age ON back_offs (failed_at);

CREATE TABLE idempotent_answers (
    caller_id UUID NOT NULL,
    key TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    answer BYTEA NOT NULL, -- sealed
    created_at BIGINT NOT NULL,
    PRIMARY KEY (caller_id, key)
);
CREATE INDEX idempotent_answers_by_age ON idempotent_answers (created_at);

-- Organizations and who stands where.

CREATE TABLE organizations (
    id UUID PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    staff_second_factor BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL
);

CREATE TABLE groups (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    kind TEXT NOT NULL CHECK (kind IN ('therapist_led', 'peer_led')),
    state TEXT NOT NULL CHECK (state IN ('forming', 'open', 'closed')),
    title TEXT NOT NULL,
    public_description TEXT NOT NULL,
    private_description BYTEA, -- sealed
    conditions TEXT NOT NULL,
    approaches TEXT NOT NULL,
    format TEXT NOT NULL,
    place TEXT,
    language TEXT NOT NULL,
    zone TEXT NOT NULL,
    capacity INTEGER CHECK (capacity > 0),
    open_to_joining BOOLEAN NOT NULL,
    fee_minor BIGINT CHECK (fee_minor >= 0),
    fee_currency TEXT,
    fee_period TEXT,
    insurance TEXT,
    part_2 BOOLEAN NOT NULL,
    recording_policy TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL,
    CHECK (kind = 'therapist_led' OR (fee_minor IS NULL AND insurance IS NULL))
);
CREATE INDEX groups_of_organization ON groups (organization_id, id);

CREATE TABLE standings (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    group_id UUID REFERENCES groups (id),
    account_id UUID NOT NULL REFERENCES accounts (id),
    standing TEXT NOT NULL CHECK (standing IN ('administrator', 'privacy_officer', 'therapist', 'co_therapist', 'trainee', 'facilitator')),
    supervisor_id UUID REFERENCES accounts (id),
    from_at BIGINT NOT NULL,
    until_at BIGINT,
    created_by UUID NOT NULL,
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL,
    CHECK (until_at IS NULL OR until_at >= from_at),
    CHECK ((group_id IS NULL) = (standing IN ('administrator', 'privacy_officer')))
);
CREATE INDEX standings_of_account ON standings (account_id, organization_id);
CREATE INDEX standings_of_group ON standings (group_id, id);
CREATE INDEX standings_of_organization ON standings (organization_id, id);

CREATE TABLE suspensions (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    account_id UUID NOT NULL REFERENCES accounts (id),
    reason BYTEA NOT NULL, -- sealed
    from_at BIGINT NOT NULL,
    until_at BIGINT,
    created_by UUID NOT NULL
);
CREATE INDEX suspensions_of_account ON suspensions (account_id, organization_id);

CREATE TABLE invitations (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    group_id UUID REFERENCES groups (id),
    member_id UUID,
    standing TEXT NOT NULL,
    supervisor_id UUID REFERENCES accounts (id),
    from_at BIGINT,
    until_at BIGINT,
    code_hash BYTEA NOT NULL UNIQUE,
    expires_at BIGINT NOT NULL,
    accepted_at BIGINT,
    revoked_at BIGINT,
    created_by UUID NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX invitations_of_organization ON invitations (organization_id, id);
CREATE INDEX invitations_of_member ON invitations (member_id);

CREATE TABLE licences (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    account_id UUID NOT NULL REFERENCES accounts (id),
    licence_type TEXT NOT NULL,
    number BYTEA NOT NULL, -- sealed
    body TEXT NOT NULL,
    jurisdiction TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    expires_on TEXT NOT NULL,
    verified_by UUID,
    verified_at BIGINT,
    created_by UUID NOT NULL,
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL
);
CREATE INDEX licences_of_account ON licences (organization_id, account_id);
CREATE INDEX licences_of_organization ON licences (organization_id, id);

-- Members of a group.

CREATE TABLE members (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    account_id UUID REFERENCES accounts (id),
    name BYTEA NOT NULL, -- sealed
    state TEXT NOT NULL CHECK (state IN ('invited', 'screened', 'active', 'paused', 'completed', 'left', 'transferred', 'discharged', 'removed')),
    state_from BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (group_id, account_id)
);
CREATE INDEX members_of_group ON members (group_id, id);
CREATE INDEX members_of_account ON members (account_id);

CREATE TABLE membership_intervals (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    state TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    until_at BIGINT,
    reason BYTEA, -- sealed
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL
);
CREATE INDEX membership_intervals_of_group ON membership_intervals (group_id, from_at);
CREATE INDEX membership_intervals_of_member ON membership_intervals (member_id, from_at);

CREATE TABLE agreements (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    purpose TEXT NOT NULL CHECK (purpose IN ('consent', 'ground_rules')),
    number INTEGER NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    must_sign_again BOOLEAN NOT NULL,
    published_by UUID NOT NULL,
    published_at BIGINT NOT NULL,
    UNIQUE (group_id, purpose, number)
);

CREATE TABLE signatures (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    agreement_id UUID NOT NULL REFERENCES agreements (id),
    member_id UUID NOT NULL REFERENCES members (id),
    on_paper BOOLEAN NOT NULL,
    signed_at BIGINT NOT NULL,
    recorded_by UUID NOT NULL,
    withdrawn_at BIGINT,
    withdrawn_by UUID
);
CREATE INDEX signatures_of_group ON signatures (group_id, id);
CREATE INDEX signatures_of_member ON signatures (member_id, id);
CREATE INDEX signatures_of_agreement ON signatures (agreement_id, id);

-- Sessions.

CREATE TABLE agenda_templates (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    title TEXT NOT NULL,
    items TEXT NOT NULL,
    created_by UUID NOT NULL,
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL
);
CREATE INDEX agenda_templates_of_organization ON agenda_templates (organization_id, id);

CREATE TABLE sessions (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    state TEXT NOT NULL CHECK (state IN ('scheduled', 'held', 'cancelled')),
    title TEXT,
    modality TEXT NOT NULL,
    starts_local TEXT NOT NULL, -- wall time in the zone, the truth
    zone TEXT NOT NULL,
    minutes INTEGER NOT NULL,
    starts_at BIGINT NOT NULL, -- derived from the two above
    held_from BIGINT,
    held_until BIGINT,
    led_by UUID,
    cancelled_reason BYTEA, -- sealed
    recording TEXT NOT NULL CHECK (recording IN ('none', 'partial', 'complete')),
    recorded_by UUID,
    recorded_at BIGINT,
    created_by UUID NOT NULL,
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL
);
CREATE INDEX sessions_of_group ON sessions (group_id, starts_at, id);

CREATE TABLE agenda_items (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    session_id UUID NOT NULL REFERENCES sessions (id),
    position INTEGER NOT NULL,
    technique TEXT NOT NULL,
    objective BYTEA, -- sealed
    factors TEXT NOT NULL,
    planned_minutes INTEGER NOT NULL,
    homework BYTEA, -- sealed
    UNIQUE (session_id, position)
);

-- What became of an item: apart from the plan, so that a recording is one insert of many rows.
CREATE TABLE agenda_deliveries (
    item_id UUID PRIMARY KEY NOT NULL REFERENCES agenda_items (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    session_id UUID NOT NULL REFERENCES sessions (id),
    delivered TEXT NOT NULL CHECK (delivered IN ('delivered', 'partly', 'skipped')),
    minutes INTEGER NOT NULL
);
CREATE INDEX agenda_deliveries_of_session ON agenda_deliveries (session_id);

CREATE TABLE attendances (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    session_id UUID NOT NULL REFERENCES sessions (id),
    member_id UUID NOT NULL REFERENCES members (id),
    status TEXT NOT NULL CHECK (status IN ('attended', 'late', 'left_early', 'excused', 'no_show')),
    modality TEXT NOT NULL,
    arrived_at BIGINT,
    left_at BIGINT,
    minutes INTEGER NOT NULL,
    starts_at BIGINT NOT NULL, -- of the session, so that a member's years read in one range
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    reason BYTEA, -- sealed
    version INTEGER NOT NULL,
    UNIQUE (session_id, member_id)
);
CREATE INDEX attendances_of_member ON attendances (member_id, starts_at, id);
CREATE INDEX attendances_of_group ON attendances (group_id, starts_at, id);

CREATE TABLE attendance_versions (
    attendance_id UUID NOT NULL REFERENCES attendances (id),
    group_id UUID NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    modality TEXT NOT NULL,
    arrived_at BIGINT,
    left_at BIGINT,
    minutes INTEGER NOT NULL,
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    reason BYTEA, -- sealed
    PRIMARY KEY (attendance_id, version)
);

-- Measures.

CREATE TABLE measure_schedules (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    instrument TEXT NOT NULL,
    every_days INTEGER NOT NULL CHECK (every_days > 0),
    set_by UUID NOT NULL,
    set_at BIGINT NOT NULL,
    UNIQUE (group_id, instrument)
);

CREATE TABLE measures (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    session_id UUID REFERENCES sessions (id),
    member_id UUID NOT NULL REFERENCES members (id),
    instrument TEXT NOT NULL,
    instrument_version TEXT NOT NULL,
    respondent TEXT NOT NULL CHECK (respondent IN ('member', 'proxy', 'clinician')),
    taken_at BIGINT NOT NULL,
    answers BYTEA NOT NULL, -- sealed
    score INTEGER, -- thousandths
    no_score TEXT,
    prorated BOOLEAN NOT NULL,
    band TEXT,
    subscales TEXT NOT NULL,
    risk TEXT NOT NULL CHECK (risk IN ('none', 'positive', 'declined')),
    flagged BOOLEAN NOT NULL, -- risk is not none, and not entered in error: comes first in lists
    entered_in_error BOOLEAN NOT NULL,
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    reason BYTEA, -- sealed
    version INTEGER NOT NULL,
    CHECK (score IS NULL OR no_score IS NULL)
);
CREATE INDEX measures_of_member ON measures (member_id, taken_at, id);
CREATE INDEX measures_of_group ON measures (group_id, flagged, taken_at, id);
CREATE INDEX measures_of_session ON measures (session_id);

CREATE TABLE measure_versions (
    measure_id UUID NOT NULL REFERENCES measures (id),
    group_id UUID NOT NULL,
    version INTEGER NOT NULL,
    respondent TEXT NOT NULL,
    taken_at BIGINT NOT NULL,
    answers BYTEA NOT NULL, -- sealed
    score INTEGER,
    no_score TEXT,
    prorated BOOLEAN NOT NULL,
    band TEXT,
    subscales TEXT NOT NULL,
    risk TEXT NOT NULL,
    entered_in_error BOOLEAN NOT NULL,
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    reason BYTEA, -- sealed
    PRIMARY KEY (measure_id, version)
);

-- Three kinds of notes, three tables: the wall between them starts here.

CREATE TABLE session_records (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    session_id UUID NOT NULL UNIQUE REFERENCES sessions (id),
    text BYTEA NOT NULL, -- sealed
    state TEXT NOT NULL CHECK (state IN ('draft', 'awaiting_cosignature', 'signed')),
    author_id UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    signed_by UUID,
    signed_at BIGINT,
    cosigned_by UUID,
    cosigned_at BIGINT,
    version INTEGER NOT NULL
);

CREATE TABLE session_record_addenda (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    session_record_id UUID NOT NULL REFERENCES session_records (id),
    text BYTEA NOT NULL, -- sealed
    author_id UUID NOT NULL,
    recorded_at BIGINT NOT NULL
);
CREATE INDEX session_record_addenda_of_record ON session_record_addenda (session_record_id, id);

CREATE TABLE progress_entries (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    session_id UUID REFERENCES sessions (id),
    member_id UUID NOT NULL REFERENCES members (id),
    text BYTEA NOT NULL, -- sealed
    state TEXT NOT NULL CHECK (state IN ('draft', 'awaiting_cosignature', 'signed')),
    author_id UUID NOT NULL,
    occurred_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    signed_by UUID,
    signed_at BIGINT,
    cosigned_by UUID,
    cosigned_at BIGINT,
    released_by UUID,
    released_at BIGINT,
    version INTEGER NOT NULL
);
CREATE INDEX progress_entries_of_group ON progress_entries (group_id, id);
CREATE INDEX progress_entries_of_member ON progress_entries (member_id, id);

CREATE TABLE progress_entry_addenda (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    progress_entry_id UUID NOT NULL REFERENCES progress_entries (id),
    text BYTEA NOT NULL, -- sealed
    author_id UUID NOT NULL,
    recorded_at BIGINT NOT NULL
);
CREATE INDEX progress_entry_addenda_of_entry ON progress_entry_addenda (progress_entry_id, id);

CREATE TABLE process_notes (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    session_id UUID REFERENCES sessions (id),
    author_id UUID NOT NULL REFERENCES accounts (id),
    text BYTEA NOT NULL, -- sealed under the author's key
    state TEXT NOT NULL CHECK (state IN ('draft', 'signed')),
    recorded_at BIGINT NOT NULL,
    signed_at BIGINT,
    version INTEGER NOT NULL
);
CREATE INDEX process_notes_of_author ON process_notes (group_id, author_id, id);

CREATE TABLE process_note_addenda (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    process_note_id UUID NOT NULL REFERENCES process_notes (id),
    author_id UUID NOT NULL,
    text BYTEA NOT NULL, -- sealed under the author's key
    recorded_at BIGINT NOT NULL
);
CREATE INDEX process_note_addenda_of_note ON process_note_addenda (process_note_id, id);

-- Who did what. One chain for each run of a server.

CREATE TABLE access_chains (
    id UUID PRIMARY KEY NOT NULL,
    started_at BIGINT NOT NULL,
    predecessors TEXT NOT NULL, -- the heads of the other chains when this one began
    length BIGINT NOT NULL,
    head BYTEA NOT NULL,
    seal BYTEA NOT NULL -- keyed hash of all the above
);

CREATE TABLE access_entries (
    chain_id UUID NOT NULL REFERENCES access_chains (id),
    sequence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    account_id UUID NOT NULL,
    action TEXT NOT NULL,
    allowed BOOLEAN NOT NULL,
    standing TEXT,
    organization_id UUID,
    group_id UUID,
    member_id UUID,
    record_id UUID,
    hash BYTEA NOT NULL,
    PRIMARY KEY (chain_id, sequence)
);
CREATE INDEX access_entries_of_organization ON access_entries (organization_id, at);
CREATE INDEX access_entries_of_group ON access_entries (group_id, at);
