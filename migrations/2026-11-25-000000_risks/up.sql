-- Risk marks and what was done about them. The same types as in the first migration, for SQLite and PostgreSQL alike.

CREATE TABLE risks (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    measure_id UUID NOT NULL REFERENCES measures (id),
    risk TEXT NOT NULL CHECK (risk IN ('positive', 'declined')),
    state TEXT NOT NULL CHECK (state IN ('raised', 'acknowledged', 'assessed', 'closed')),
    owner_id UUID, -- an account; whoever leads the group, where it is nobody or has gone
    raised_at BIGINT NOT NULL,
    due_at BIGINT, -- null once closed
    disposition TEXT,
    closed_at BIGINT,
    version INTEGER NOT NULL,
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((due_at IS NULL) = (closed_at IS NOT NULL)),
    CHECK ((disposition IS NULL) = (closed_at IS NULL))
);
CREATE INDEX risks_of_group ON risks (group_id, due_at, id);
CREATE INDEX closed_risks_of_group ON risks (group_id, closed_at, id);
CREATE INDEX risks_of_measure ON risks (measure_id, id);

-- Everything that happened to a mark; never changed and never removed.
CREATE TABLE risk_steps (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    risk_id UUID NOT NULL REFERENCES risks (id),
    step TEXT NOT NULL,
    by_id UUID, -- an account that leads or learns here; null where the member's own answer did it
    at BIGINT NOT NULL,
    risk TEXT, -- what the answer said, where the step is about it
    owner_id UUID, -- to whom it was given
    disposition TEXT,
    note BYTEA -- sealed under the member's key
);
CREATE INDEX risk_steps_of_risk ON risk_steps (risk_id, id);

-- Who stands in for whom. One that is replaced or taken back is ended, and stays.
CREATE TABLE risk_covers (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    owner_id UUID NOT NULL,
    stand_in_id UUID NOT NULL,
    from_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    named_at BIGINT NOT NULL,
    ended_at BIGINT,
    CHECK (until_at > from_at)
);
CREATE INDEX risk_covers_of_group ON risk_covers (group_id, until_at);

-- What was marked before there was anything to do about it: raised, and waiting for somebody to say what was done.
INSERT INTO risks (id, group_id, member_id, measure_id, risk, state, raised_at, due_at, version)
SELECT measures.id, measures.group_id, measures.member_id, measures.id,
    CASE
        WHEN measures.risk = 'positive' THEN 'positive'
        WHEN EXISTS (SELECT 1 FROM measure_versions WHERE measure_versions.measure_id = measures.id AND measure_versions.risk = 'positive') THEN 'positive'
        ELSE 'declined'
    END,
    'raised', measures.recorded_at, measures.recorded_at + 86400000, 1
FROM measures INNER JOIN groups ON groups.id = measures.group_id
WHERE measures.flagged AND groups.state <> 'closed';
INSERT INTO risk_steps (id, group_id, risk_id, step, at, risk)
SELECT id, group_id, id, 'raised', raised_at, risk FROM risks;
