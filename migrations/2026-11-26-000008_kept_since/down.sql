DROP INDEX invitations_of_maker;
DROP INDEX sessions_of_lead;
ALTER TABLE peer_settings DROP COLUMN named_since;
ALTER TABLE peer_settings DROP COLUMN pseudonym_since;
