-- Since when, without a break, a peer-led group has kept at least so much of who was at a meeting: what began before is
-- kept as it was agreed then. Null where the group keeps less now.
ALTER TABLE peer_settings ADD COLUMN pseudonym_since BIGINT;
ALTER TABLE peer_settings ADD COLUMN named_since BIGINT;
-- Of a group from before it is not known. What it has held so far gets no more names; what comes is kept as it agreed.
UPDATE peer_settings SET pseudonym_since = COALESCE((SELECT MAX(starts_at) + 1 FROM sessions WHERE sessions.group_id = peer_settings.group_id AND sessions.state = 'held'), 0)
WHERE attendance_mode IN ('pseudonym', 'named');
UPDATE peer_settings SET named_since = pseudonym_since WHERE attendance_mode = 'named';

-- Whoever led counts their own, and takes their name from it when they go.
CREATE INDEX sessions_of_lead ON sessions (led_by, group_id, starts_at);
CREATE INDEX invitations_of_maker ON invitations (created_by, group_id);
