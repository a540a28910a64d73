-- Whose patients gave the consents of a practice: a patient's key means something only within its practice system. What
-- the first consent was recorded with holds for all of them, because no practice changes its system afterwards.
CREATE TABLE consent_system (
    practice TEXT NOT NULL PRIMARY KEY,
    profile  TEXT  -- The practice system's profile; NULL where the practice was not linked, so that nobody knows.
) STRICT, WITHOUT ROWID;

INSERT INTO consent_system (practice, profile)
    SELECT DISTINCT consent.practice, practice.system_profile
    FROM consent LEFT JOIN practice ON practice.id = consent.practice;

CREATE TRIGGER consent_begins AFTER INSERT ON consent BEGIN
    INSERT INTO consent_system (practice, profile)
        VALUES (NEW.practice, (SELECT system_profile FROM practice WHERE id = NEW.practice))
        ON CONFLICT (practice) DO NOTHING;
END;
