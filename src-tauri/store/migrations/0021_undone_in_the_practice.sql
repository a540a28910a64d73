-- What staff undo in the practice: cancelled, deleted, moved, not attended.
--
-- New states: undone (the partner does not know yet), ended (it was told), not_attended (it was told that the patient
-- did not come).

ALTER TABLE booking ADD COLUMN undoing        TEXT; -- undone, ended: cancelled, deleted, moved; undone: did_not_attend.
ALTER TABLE booking ADD COLUMN moved_resource TEXT; -- With undoing = moved: with whom it stands now.
ALTER TABLE booking ADD COLUMN moved_starts   TEXT; -- The same: when, wall clock of the practice.

-- What is watched for changes in the practice.
CREATE INDEX booking_standing ON booking (practice, starts) WHERE state = 'confirmed';
