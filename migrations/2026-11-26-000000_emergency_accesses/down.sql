DROP INDEX access_entries_of_emergency;
ALTER TABLE access_entries DROP COLUMN emergency_id;
DROP TABLE emergency_accesses;
