-- Emergency access (break-glass): who read whose record, for how long, why, and what the privacy officer found. The same
-- types as in the first migration, for SQLite and PostgreSQL alike.

CREATE TABLE emergency_accesses (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL, -- refers to nothing: that it happened stays when the membership is erased
    account_id UUID NOT NULL, -- who holds it
    reason BYTEA NOT NULL, -- sealed under the member's key: it says something about them, and goes with them
    from_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    ended_at BIGINT, -- before its time
    ended_by UUID,
    due_at BIGINT NOT NULL, -- until when it has to be reviewed
    reviewed BOOLEAN NOT NULL,
    reviewed_by UUID,
    reviewed_at BIGINT,
    finding TEXT,
    words BYTEA, -- sealed under the member's key; none where that is gone by then
    version INTEGER NOT NULL,
    CHECK (until_at > from_at),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CHECK (reviewed = (reviewed_at IS NOT NULL)),
    CHECK (reviewed = (reviewed_by IS NOT NULL)),
    CHECK (reviewed = (finding IS NOT NULL)),
    CHECK (reviewed OR words IS NULL)
);
CREATE INDEX emergency_accesses_of_organization ON emergency_accesses (organization_id, reviewed, id DESC);
CREATE INDEX emergency_accesses_of_account ON emergency_accesses (account_id, organization_id, reviewed, id DESC);
CREATE INDEX running_emergency_accesses ON emergency_accesses (account_id, group_id, until_at);
CREATE INDEX emergency_accesses_of_group ON emergency_accesses (group_id, id);

-- Under which emergency access something was read. Hashed where it stands, so that older entries keep their hash.
ALTER TABLE access_entries ADD COLUMN emergency_id UUID;
CREATE INDEX access_entries_of_emergency ON access_entries (emergency_id, at) WHERE emergency_id IS NOT NULL;
