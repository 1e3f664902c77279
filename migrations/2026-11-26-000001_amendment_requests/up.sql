-- What members ask to have corrected, and what was said about it. The record itself is never touched from here. The same
-- types as in the first migration, for SQLite and PostgreSQL alike.

CREATE TABLE amendment_requests (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    member_id UUID NOT NULL REFERENCES members (id),
    record_kind TEXT NOT NULL,
    record_id UUID NOT NULL, -- a row of the table that the kind names
    content BYTEA NOT NULL, -- sealed under the member's key: what is wrong, what it should say, whom to tell
    state TEXT NOT NULL CHECK (state IN ('received', 'accepted', 'denied')),
    asked_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL, -- of the decision, as it stood when it was made
    goes_along BOOLEAN NOT NULL, -- with every disclosure of the record from now on
    version INTEGER NOT NULL
);
CREATE INDEX amendment_requests_of_group ON amendment_requests (group_id, state, due_at, id);
CREATE INDEX amendment_requests_of_member ON amendment_requests (member_id, id);
CREATE INDEX amendment_requests_of_record ON amendment_requests (record_id, id);

-- Everything that followed a request; never changed and never removed alone.
CREATE TABLE amendment_steps (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    request_id UUID NOT NULL REFERENCES amendment_requests (id),
    step TEXT NOT NULL,
    by_id UUID, -- an account that leads here; null where the member did it
    at BIGINT NOT NULL,
    basis TEXT, -- of a denial (45 CFR 164.526(a)(2))
    words BYTEA, -- sealed under the member's key
    disclosures TEXT -- ids of those whose receivers were told, as a JSON list
);
CREATE INDEX amendment_steps_of_request ON amendment_steps (request_id, id);
