-- Differs whenever a patient may: whoever writes, with whichever tool, draws it anew. A random text and no count, because a
-- file that was copied back and changed again would come to the same count with other patients.

CREATE TABLE patients_changed (stamp TEXT NOT NULL);
INSERT INTO patients_changed VALUES (hex(randomblob(16)));

CREATE TRIGGER patient_inserted AFTER INSERT ON patient
BEGIN UPDATE patients_changed SET stamp = hex(randomblob(16)); END;

CREATE TRIGGER patient_updated AFTER UPDATE ON patient
BEGIN UPDATE patients_changed SET stamp = hex(randomblob(16)); END;

CREATE TRIGGER patient_deleted AFTER DELETE ON patient
BEGIN UPDATE patients_changed SET stamp = hex(randomblob(16)); END;
