-- For tests: what changes from 7.0.3 to 8.1 in the tables of tables.sql. Run it after that one.
SET SESSION sql_mode = '';
UPDATE version SET v_major = 8, v_minor = 1, v_patch = 1, v_database = 540;
CREATE INDEX idx_patient_name ON patient_data (lname, fname);
CREATE INDEX idx_patient_dob ON patient_data (DOB);
ALTER TABLE openemr_postcalendar_events MODIFY pc_eventDate DATE NOT NULL, MODIFY pc_endDate DATE;
UPDATE openemr_postcalendar_events SET pc_endDate = NULL WHERE pc_endDate = '0000-00-00';
