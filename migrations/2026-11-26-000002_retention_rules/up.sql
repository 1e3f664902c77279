-- How long what is kept, as an organization decided; what was removed by it; whose record is held. The same types as in
-- the first migration, for SQLite and PostgreSQL alike.

-- One row for each time that the rules were set: what stood before stays.
CREATE TABLE retention_rule_sets (
    organization_id UUID NOT NULL REFERENCES organizations (id),
    version INTEGER NOT NULL,
    set_by UUID NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, version)
);

CREATE TABLE retention_rules (
    organization_id UUID NOT NULL REFERENCES organizations (id),
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    keep_years INTEGER NOT NULL CHECK (keep_years >= 0),
    keep_months INTEGER NOT NULL CHECK (keep_months BETWEEN 0 AND 11),
    counted_from TEXT NOT NULL,
    PRIMARY KEY (organization_id, version, kind)
);

CREATE TABLE retention_runs (
    id UUID PRIMARY KEY NOT NULL,
    organization_id UUID NOT NULL REFERENCES organizations (id),
    rules_version INTEGER NOT NULL,
    as_of BIGINT NOT NULL,
    begun_by UUID NOT NULL,
    begun_at BIGINT NOT NULL,
    finished_at BIGINT,
    records INTEGER NOT NULL, -- whole records that are gone
    held_back INTEGER NOT NULL -- records that had to stay though they were on the list
);
CREATE INDEX retention_runs_of_organization ON retention_runs (organization_id, id);

-- What a run has still to do. A row goes with what it names: nothing here remembers who is gone.
CREATE TABLE retention_targets (
    run_id UUID NOT NULL REFERENCES retention_runs (id),
    kind TEXT NOT NULL,
    owner_id UUID NOT NULL, -- a member, or a group
    group_id UUID NOT NULL REFERENCES groups (id),
    PRIMARY KEY (run_id, kind, owner_id)
);

-- A record that nothing removes while somebody needs it, as a court does.
CREATE TABLE retention_holds (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    reason BYTEA NOT NULL, -- sealed under the member's key
    placed_by UUID NOT NULL,
    placed_at BIGINT NOT NULL,
    ended_by UUID,
    ended_at BIGINT
);
CREATE INDEX retention_holds_of_member ON retention_holds (member_id, ended_at);

-- What those whose records are gone leave behind in a group's figures.
CREATE TABLE retired_outcomes (
    group_id UUID PRIMARY KEY NOT NULL REFERENCES groups (id),
    totals BYTEA NOT NULL -- sealed under the group's key
);
