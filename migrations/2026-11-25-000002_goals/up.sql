-- What a member and a therapist agreed to work on, how far it was attained, and homework.

CREATE TABLE goals (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    proposed_by UUID NOT NULL,
    proposed_as TEXT NOT NULL CHECK (proposed_as IN ('member', 'clinician')),
    proposed_at BIGINT NOT NULL,
    wording INTEGER NOT NULL, -- the number of the wording that stands
    outcome TEXT CHECK (outcome IN ('attained', 'partly_attained', 'not_attained', 'dropped', 'entered_in_error')),
    ended_by UUID,
    ended_as TEXT CHECK (ended_as IN ('member', 'clinician')),
    ended_at BIGINT,
    ending_words BYTEA, -- sealed
    version INTEGER NOT NULL,
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE INDEX goals_of_group ON goals (group_id, id);
CREATE INDEX goals_of_member ON goals (member_id, id);

-- Every wording that a goal had. It never changes: only who agreed to it is added.
CREATE TABLE goal_wordings (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    goal_id UUID NOT NULL REFERENCES goals (id),
    number INTEGER NOT NULL,
    content BYTEA NOT NULL, -- sealed: the text, and those of the five levels
    weight INTEGER NOT NULL CHECK (weight BETWEEN 1 AND 9),
    written_by UUID NOT NULL,
    written_as TEXT NOT NULL CHECK (written_as IN ('member', 'clinician')),
    written_at BIGINT NOT NULL,
    member_agreed_at BIGINT,
    clinician_agreed_at BIGINT,
    clinician_agreed_by UUID,
    UNIQUE (goal_id, number)
);

CREATE TABLE goal_ratings (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    goal_id UUID NOT NULL REFERENCES goals (id),
    wording INTEGER NOT NULL, -- the number of the wording that was rated
    rated_as TEXT NOT NULL CHECK (rated_as IN ('member', 'clinician')),
    level INTEGER NOT NULL CHECK (level BETWEEN -2 AND 2),
    rated_at BIGINT NOT NULL, -- of the event
    words BYTEA, -- sealed
    entered_in_error BOOLEAN NOT NULL,
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    reason BYTEA, -- sealed: of the correction that made this version
    version INTEGER NOT NULL
);
CREATE INDEX goal_ratings_of_goal ON goal_ratings (goal_id, rated_at, id);
CREATE INDEX goal_ratings_of_member ON goal_ratings (member_id, rated_at, id);

CREATE TABLE goal_rating_versions (
    rating_id UUID NOT NULL REFERENCES goal_ratings (id),
    group_id UUID NOT NULL,
    version INTEGER NOT NULL,
    level INTEGER NOT NULL,
    rated_at BIGINT NOT NULL,
    words BYTEA, -- sealed
    entered_in_error BOOLEAN NOT NULL,
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    reason BYTEA, -- sealed
    PRIMARY KEY (rating_id, version)
);

-- Homework for one member. What a session's agenda sets for all who were expected stays on the agenda.
CREATE TABLE homework (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    text BYTEA NOT NULL, -- sealed
    due_on TEXT,
    set_by UUID NOT NULL,
    set_at BIGINT NOT NULL,
    withdrawn_by UUID,
    withdrawn_at BIGINT,
    withdrawn_reason BYTEA, -- sealed
    CHECK ((withdrawn_at IS NULL) = (withdrawn_reason IS NULL))
);
CREATE INDEX homework_of_group ON homework (group_id, set_at, id);
CREATE INDEX homework_of_member ON homework (member_id, set_at, id);

CREATE TABLE homework_reports (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    homework_id UUID NOT NULL, -- of homework, or of agenda_items
    said TEXT NOT NULL CHECK (said IN ('done', 'partly', 'not_done', 'not_said')),
    words BYTEA, -- sealed
    reported_as TEXT NOT NULL CHECK (reported_as IN ('member', 'clinician')),
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (homework_id, member_id)
);
CREATE INDEX homework_reports_of_member ON homework_reports (member_id, homework_id);

CREATE TABLE homework_report_versions (
    report_id UUID NOT NULL REFERENCES homework_reports (id),
    group_id UUID NOT NULL,
    version INTEGER NOT NULL,
    said TEXT NOT NULL,
    words BYTEA, -- sealed
    reported_as TEXT NOT NULL,
    recorded_by UUID NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (report_id, version)
);
