-- Before a session: who looked at whose measures, and when. A review is kept as it was made; another one is another row.

CREATE TABLE reviews (
    id UUID PRIMARY KEY NOT NULL,
    group_id UUID NOT NULL REFERENCES groups (id),
    session_id UUID NOT NULL REFERENCES sessions (id), -- before which
    member_id UUID NOT NULL REFERENCES members (id),
    reviewed_by UUID NOT NULL,
    reviewed_at BIGINT NOT NULL,
    as_of BIGINT NOT NULL, -- the moment of the preparation that was read
    CHECK (as_of <= reviewed_at)
);
CREATE INDEX reviews_of_session ON reviews (session_id, reviewed_at);
CREATE INDEX reviews_of_member ON reviews (member_id, reviewed_at);
