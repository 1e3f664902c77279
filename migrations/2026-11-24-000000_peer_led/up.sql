-- Peer-led groups. The same types as in the first migration, for SQLite and PostgreSQL alike.

-- Terms can be bound to one session. The words of a standing are the program's own list, so the table is made anew
-- without its copy of them: SQLite cannot change a CHECK.
CREATE TABLE standings_next (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    group_id UUID REFERENCES groups (id),
    session_id UUID REFERENCES sessions (id),
    account_id UUID NOT NULL REFERENCES accounts (id),
    standing TEXT NOT NULL,
    supervisor_id UUID REFERENCES accounts (id),
    from_at BIGINT NOT NULL,
    until_at BIGINT,
    cut_short BOOLEAN NOT NULL DEFAULT FALSE, -- ended by hand: nothing is left to finish
    created_by UUID NOT NULL,
    created_at BIGINT NOT NULL,
    version INTEGER NOT NULL,
    CHECK (until_at IS NULL OR until_at >= from_at),
    CHECK ((group_id IS NULL) = (standing IN ('administrator', 'privacy_officer'))),
    CHECK (session_id IS NULL OR standing = 'facilitator')
);
INSERT INTO standings_next (id, organization_id, group_id, account_id, standing, supervisor_id, from_at, until_at, created_by, created_at, version)
SELECT id, organization_id, group_id, account_id, standing, supervisor_id, from_at, until_at, created_by, created_at, version FROM standings;
DROP TABLE standings;
ALTER TABLE standings_next RENAME TO standings;
CREATE INDEX standings_of_account ON standings (account_id, organization_id);
CREATE INDEX standings_of_group ON standings (group_id, id);
CREATE INDEX standings_of_organization ON standings (organization_id, id);
CREATE INDEX standings_of_session ON standings (session_id);

-- What a peer-led group has agreed about itself.
CREATE TABLE peer_settings (
    group_id UUID PRIMARY KEY NOT NULL REFERENCES groups (id),
    attendance_mode TEXT NOT NULL CHECK (attendance_mode IN ('count_only', 'pseudonym', 'named')),
    breach_policy TEXT NOT NULL CHECK (breach_policy IN ('graduated', 'zero_tolerance')),
    proofs BOOLEAN NOT NULL,
    preparing_hours INTEGER NOT NULL,
    finishing_hours INTEGER NOT NULL,
    reading_hours INTEGER NOT NULL,
    ballot_minimum INTEGER NOT NULL,
    quorum_percent INTEGER NOT NULL,
    version INTEGER NOT NULL
);
INSERT INTO peer_settings (group_id, attendance_mode, breach_policy, proofs, preparing_hours, finishing_hours, reading_hours, ballot_minimum, quorum_percent, version)
SELECT id, 'count_only', 'graduated', TRUE, 24, 72, 168, 5, 50, 1 FROM groups WHERE kind = 'peer_led';

ALTER TABLE invitations ADD COLUMN session_id UUID; -- to lead this one session
ALTER TABLE members ADD COLUMN attendance_mode TEXT; -- lowered by the member; the group's when null
ALTER TABLE members ADD COLUMN barred_until BIGINT; -- by a decision of the group
ALTER TABLE members ADD COLUMN willing BOOLEAN NOT NULL DEFAULT FALSE; -- to be proposed as a facilitator
ALTER TABLE accounts ADD COLUMN closed_at BIGINT; -- its owner has gone; only the id is left
ALTER TABLE members ADD COLUMN erased_at BIGINT; -- erased by its owner; the row waits until a case closes

-- Leadership in turn.

CREATE TABLE absences (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    from_on TEXT NOT NULL,
    until_on TEXT NOT NULL -- the last day
);
CREATE INDEX absences_of_member ON absences (member_id, from_on);
CREATE INDEX absences_of_group ON absences (group_id, until_on);

CREATE TABLE term_offers (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    session_id UUID NOT NULL REFERENCES sessions (id),
    to_member_id UUID NOT NULL REFERENCES members (id),
    term_id UUID, -- the term that would be handed over; null for a session that nobody facilitates yet
    in_return_id UUID, -- the term that the other would give for it
    state TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'declined', 'withdrawn')),
    offered_by UUID NOT NULL,
    offered_at BIGINT NOT NULL,
    answered_at BIGINT,
    version INTEGER NOT NULL
);
CREATE INDEX term_offers_of_group ON term_offers (group_id, offered_at, id);
CREATE INDEX term_offers_of_member ON term_offers (to_member_id, offered_at, id);
CREATE INDEX term_offers_of_session ON term_offers (session_id);

CREATE TABLE hand_overs (
    session_id UUID PRIMARY KEY NOT NULL REFERENCES sessions (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    text BYTEA NOT NULL, -- sealed under the group's key
    written_by UUID NOT NULL,
    written_at BIGINT NOT NULL,
    version INTEGER NOT NULL
);

-- Counted by month: a day would say at which session somebody was.
CREATE TABLE services (
    member_id UUID NOT NULL REFERENCES members (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    service TEXT NOT NULL CHECK (service IN ('greeted', 'set_up')),
    month TEXT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (member_id, service, month)
);

-- Meetings: how many came, and no more than the group and each member chose to keep.

CREATE TABLE head_counts (
    session_id UUID PRIMARY KEY NOT NULL REFERENCES sessions (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    heads INTEGER NOT NULL CHECK (heads >= 0),
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    version INTEGER NOT NULL
);
CREATE INDEX head_counts_of_group ON head_counts (group_id, session_id);

CREATE TABLE head_count_versions (
    session_id UUID NOT NULL REFERENCES sessions (id),
    group_id UUID NOT NULL,
    version INTEGER NOT NULL,
    heads INTEGER NOT NULL,
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    reason BYTEA, -- sealed under the group's key: why the next version took its place
    PRIMARY KEY (session_id, version)
);

CREATE TABLE readings (
    session_id UUID PRIMARY KEY NOT NULL REFERENCES sessions (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    agreement_id UUID NOT NULL REFERENCES agreements (id),
    acknowledged INTEGER NOT NULL CHECK (acknowledged >= 0),
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL
);
CREATE INDEX readings_of_agreement ON readings (agreement_id);

CREATE TABLE pseudonyms (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    owner BYTEA NOT NULL, -- keyed hash of the member: no row joins the two
    name BYTEA NOT NULL, -- sealed under the group's key
    UNIQUE (group_id, owner)
);

CREATE TABLE pseudonym_attendances (
    session_id UUID NOT NULL REFERENCES sessions (id),
    pseudonym_id UUID NOT NULL REFERENCES pseudonyms (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    PRIMARY KEY (session_id, pseudonym_id)
);
CREATE INDEX pseudonym_attendances_of_pseudonym ON pseudonym_attendances (pseudonym_id);

CREATE TABLE session_codes (
    session_id UUID PRIMARY KEY NOT NULL REFERENCES sessions (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    code_key BYTEA NOT NULL UNIQUE, -- keyed hash
    code BYTEA NOT NULL -- sealed under the group's key
);

CREATE TABLE visits (
    visit_key BYTEA PRIMARY KEY NOT NULL, -- keyed hash of the visitor's code
    session_id UUID NOT NULL REFERENCES sessions (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    claimed BOOLEAN NOT NULL
);
CREATE INDEX visits_of_session ON visits (session_id);

-- Nothing but that such a paper was made: neither for whom nor of which session.
CREATE TABLE proofs (
    proof_key BYTEA PRIMARY KEY NOT NULL -- keyed hash over what stands on the paper
);

-- Check-ins.

CREATE TABLE check_ins (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    visibility TEXT NOT NULL CHECK (visibility IN ('only_me', 'facilitator', 'group')),
    content BYTEA NOT NULL, -- sealed
    local_day TEXT NOT NULL, -- in the member's zone
    zone TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    version INTEGER NOT NULL
);
CREATE INDEX check_ins_of_member ON check_ins (member_id, recorded_at, id);
CREATE INDEX check_ins_of_group ON check_ins (group_id, visibility, recorded_at, id);

-- What those who have gone leave behind in counts and sums.
CREATE TABLE erased_totals (
    group_id UUID PRIMARY KEY NOT NULL REFERENCES groups (id),
    totals BYTEA NOT NULL -- sealed under the group's key
);

-- Topics and tips. Whose they are is a keyed hash, so that a member can take back their own and nobody can look it up.

CREATE TABLE topics (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    text BYTEA, -- sealed under the group's key; gone when it is withdrawn
    state TEXT NOT NULL CHECK (state IN ('proposed', 'chosen', 'talked_about', 'withdrawn')),
    session_id UUID REFERENCES sessions (id),
    owner BYTEA,
    proposed_on TEXT NOT NULL, -- in the group's zone: a moment would say who was here then
    version INTEGER NOT NULL
);
CREATE INDEX topics_of_group ON topics (group_id, state, id);
CREATE INDEX topics_of_session ON topics (session_id);

CREATE TABLE topic_supports (
    topic_id UUID NOT NULL REFERENCES topics (id),
    owner BYTEA NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    PRIMARY KEY (topic_id, owner)
);

CREATE TABLE tips (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    text BYTEA, -- sealed under the group's key; gone when it is withdrawn
    link BYTEA, -- sealed under the group's key
    owner BYTEA,
    member_id UUID REFERENCES members (id), -- only where the author wants to be named
    given_on TEXT NOT NULL, -- in the group's zone
    version INTEGER NOT NULL
);
CREATE INDEX tips_of_group ON tips (group_id, given_on, id);
CREATE INDEX tips_of_member ON tips (member_id);

-- When trust breaks.

CREATE TABLE breach_reports (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    reporter BYTEA NOT NULL, -- keyed hash of the account
    subject_account_id UUID REFERENCES accounts (id),
    subject_member_id UUID REFERENCES members (id),
    text BYTEA NOT NULL, -- sealed under the report's own key
    -- The group's own rules on the day of the report: whom it is about cannot change them under the case.
    breach_policy TEXT CHECK (breach_policy IN ('graduated', 'zero_tolerance')),
    ballot_minimum INTEGER,
    quorum_percent INTEGER,
    state TEXT NOT NULL CHECK (state IN ('received', 'told', 'found', 'voting', 'decided', 'appealed', 'closed')),
    told BYTEA, -- sealed: what the subject is told that it is about
    finding TEXT CHECK (finding IN ('breach', 'no_breach', 'unclear')),
    finding_text BYTEA, -- sealed
    received_at BIGINT NOT NULL, -- when the day began in the group's zone: the hour would say who reported
    told_at BIGINT,
    found_at BIGINT,
    closed_at BIGINT,
    version INTEGER NOT NULL
);
CREATE INDEX breach_reports_of_group ON breach_reports (group_id, id);
CREATE INDEX breach_reports_of_reporter ON breach_reports (reporter, received_at, id);
CREATE INDEX breach_reports_of_subject ON breach_reports (subject_account_id);
CREATE INDEX breach_reports_of_subject_member ON breach_reports (subject_member_id);

-- To whom a report was routed; to the privacy officers where nobody stands here.
CREATE TABLE breach_handlers (
    report_id UUID NOT NULL REFERENCES breach_reports (id),
    account_id UUID NOT NULL REFERENCES accounts (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    PRIMARY KEY (report_id, account_id)
);
CREATE INDEX breach_handlers_of_account ON breach_handlers (account_id, group_id);

CREATE TABLE outside_reports (
    id UUID PRIMARY KEY NOT NULL,
    report_id UUID NOT NULL REFERENCES breach_reports (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    made_to TEXT NOT NULL CHECK (made_to IN ('board', 'regulator', 'police', 'other')),
    made_on TEXT NOT NULL,
    reference BYTEA, -- sealed under the report's key
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL
);
CREATE INDEX outside_reports_of_report ON outside_reports (report_id, id);

-- A secret vote. Voters and ballots stand apart: who may vote and has voted here, how it went only as one sealed sum.
CREATE TABLE decisions (
    id UUID PRIMARY KEY NOT NULL,
    report_id UUID NOT NULL REFERENCES breach_reports (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    question BYTEA NOT NULL, -- sealed under the group's key: what the voters read
    options TEXT NOT NULL,
    pause_days INTEGER,
    opened_at BIGINT NOT NULL,
    closes_at BIGINT NOT NULL,
    eligible INTEGER NOT NULL,
    ballot_minimum INTEGER NOT NULL,
    quorum_percent INTEGER NOT NULL,
    tally BYTEA NOT NULL, -- sealed under the group's key
    outcome TEXT, -- at the close
    closed_at BIGINT,
    version INTEGER NOT NULL
);
CREATE INDEX decisions_of_group ON decisions (group_id, id);
CREATE INDEX decisions_of_report ON decisions (report_id, id);

CREATE TABLE decision_voters (
    decision_id UUID NOT NULL REFERENCES decisions (id),
    member_id UUID NOT NULL REFERENCES members (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    has_voted BOOLEAN NOT NULL,
    PRIMARY KEY (decision_id, member_id)
);
CREATE INDEX decision_voters_of_member ON decision_voters (member_id);

CREATE TABLE consequences (
    id UUID PRIMARY KEY NOT NULL,
    report_id UUID NOT NULL REFERENCES breach_reports (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID REFERENCES members (id),
    account_id UUID REFERENCES accounts (id),
    consequence TEXT NOT NULL CHECK (consequence IN ('note', 'asked_to_leave', 'pause', 'removal')),
    from_at BIGINT NOT NULL,
    until_at BIGINT,
    review_on TEXT NOT NULL,
    appeal BYTEA, -- sealed under the report's key
    appealed_at BIGINT,
    appeal_outcome TEXT CHECK (appeal_outcome IN ('upheld', 'lifted')),
    appeal_decided_at BIGINT,
    version INTEGER NOT NULL
);
CREATE INDEX consequences_of_report ON consequences (report_id);
CREATE INDEX consequences_of_member ON consequences (member_id);
CREATE INDEX consequences_of_account ON consequences (account_id);
CREATE INDEX consequences_of_group ON consequences (group_id, id);

-- Both together.

CREATE TABLE referrals (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id), -- the one that is asked; where the sender comes from is not kept
    account_id UUID NOT NULL REFERENCES accounts (id),
    shared BYTEA, -- sealed under the referral's own key; gone when it is withdrawn
    state TEXT NOT NULL CHECK (state IN ('sent', 'accepted', 'declined', 'withdrawn')),
    answer BYTEA, -- sealed
    code BYTEA, -- sealed: the invitation, for the sender alone
    sent_at BIGINT NOT NULL,
    answered_at BIGINT,
    version INTEGER NOT NULL
);
CREATE INDEX referrals_of_group ON referrals (group_id, id);
CREATE INDEX referrals_of_account ON referrals (account_id, id);

CREATE TABLE feeds (
    id UUID PRIMARY KEY NOT NULL,
    account_id UUID NOT NULL REFERENCES accounts (id),
    token_hash BYTEA NOT NULL UNIQUE,
    made_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX feeds_of_account ON feeds (account_id, id);

CREATE INDEX groups_open_to_joining ON groups (open_to_joining, state, id);
