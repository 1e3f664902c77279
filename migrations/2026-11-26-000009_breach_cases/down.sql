DROP INDEX consequences_of_session;
ALTER TABLE consequences DROP COLUMN session_id;
ALTER TABLE decisions DROP COLUMN session_id;
ALTER TABLE breach_reports DROP COLUMN named_at;
