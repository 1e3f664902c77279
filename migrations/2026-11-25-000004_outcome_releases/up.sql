-- A report of outcomes is released once and then stands: made anew, it would tell who joined, left or was corrected.
CREATE TABLE outcome_releases (
    id UUID PRIMARY KEY NOT NULL,
    scope_id UUID NOT NULL, -- the organization, or the peer-led group
    quarter TEXT NOT NULL, -- 2026-Q1
    smallest_count INTEGER NOT NULL, -- the k under which it was released
    figures BYTEA NOT NULL, -- sealed under the scope's key; small counts are hidden in it already
    released_at BIGINT NOT NULL,
    UNIQUE (scope_id, quarter)
);
