-- What the practice system answered last about consent, where the practice holds it there. Only a change of the answer
-- counts, so that what somebody recorded here later is not overwritten by what has stood there for years.
CREATE TABLE practice_answer (
    practice TEXT    NOT NULL,
    partner  TEXT    NOT NULL,
    patient  TEXT    NOT NULL, -- The practice system's key.
    yes      INTEGER NOT NULL, -- 1: agreed.
    digest   TEXT    NOT NULL, -- Differs whenever the answer does; empty where it said nothing any more.
    PRIMARY KEY (practice, partner, patient)
) STRICT, WITHOUT ROWID;
