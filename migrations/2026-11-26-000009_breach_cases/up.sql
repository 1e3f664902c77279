-- When a handler named the subject of a report that named nobody, or nobody who was found.
ALTER TABLE breach_reports ADD COLUMN named_at BIGINT;
-- The one session that the group can ask somebody to leave, and asked them to.
ALTER TABLE decisions ADD COLUMN session_id UUID REFERENCES sessions (id);
ALTER TABLE consequences ADD COLUMN session_id UUID REFERENCES sessions (id);
CREATE INDEX consequences_of_session ON consequences (session_id);
