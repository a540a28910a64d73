-- Links are counted where they change, and lines missing from the end of the trail show.

-- How many links stand in each state, so that nobody has to count hundreds of thousands of them every few seconds.
CREATE TABLE link_count (
    practice TEXT    NOT NULL,
    partner  TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    links    INTEGER NOT NULL CHECK (links >= 0),
    PRIMARY KEY (practice, partner, state)
) STRICT, WITHOUT ROWID;

INSERT INTO link_count (practice, partner, state, links)
    SELECT practice, partner, state, count(*) FROM link GROUP BY practice, partner, state;

DROP INDEX link_in_state;

CREATE TRIGGER link_begins AFTER INSERT ON link BEGIN
    INSERT INTO link_count (practice, partner, state, links) VALUES (NEW.practice, NEW.partner, NEW.state, 1)
        ON CONFLICT (practice, partner, state) DO UPDATE SET links = links + 1;
END;
CREATE TRIGGER link_moves AFTER UPDATE ON link WHEN OLD.state <> NEW.state BEGIN
    UPDATE link_count SET links = links - 1
        WHERE practice = OLD.practice AND partner = OLD.partner AND state = OLD.state;
    INSERT INTO link_count (practice, partner, state, links) VALUES (NEW.practice, NEW.partner, NEW.state, 1)
        ON CONFLICT (practice, partner, state) DO UPDATE SET links = links + 1;
END;
CREATE TRIGGER link_goes AFTER DELETE ON link BEGIN
    UPDATE link_count SET links = links - 1
        WHERE practice = OLD.practice AND partner = OLD.partner AND state = OLD.state;
END;

-- The number stands at the end of every entry, so that the last line about somebody is found without the table.
DROP INDEX consent_of;
CREATE INDEX consent_of ON consent (practice, patient, partner);

-- What left this computer, about whom, to whom and under which consent: ids and names of fields, never what the fields
-- say. It outlives the link of its practice. Numbers follow one another without a gap from 1 on; the last one given out
-- is in sqlite_sequence, so that lines missing at the end show as well.
--
-- The digest is the SHA-256, in 64 small hexadecimal digits, of these bytes in UTF-8, one after another:
--   the digest of the line before, or 64 times the digit 0 before the first line;
--   the columns from number to done_by, in their order: each as its length in bytes in decimal digits, a colon, and its
--   text; numbers in decimal digits; a NULL is a minus sign alone.
-- Line 1 of nothing but "sent" about patient 77 begins "1:124:2026-11-20T03:04:05.678Z8:richmond4:vald2:774:sent".
CREATE TABLE kept_audit (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    at       TEXT    NOT NULL,
    practice TEXT    NOT NULL,
    partner  TEXT    NOT NULL,
    patient  TEXT,             -- The practice system's key; NULL: about all of them.
    what     TEXT    NOT NULL, -- consent_given, consent_withdrawn, sent, not_sent, refused, opened, ended,
                               -- former_links_removed
    fields   TEXT    NOT NULL, -- The names of the fields that left, with a space between them.
    consent  INTEGER,          -- The number of the consent under which they left.
    told_as  TEXT,             -- Under which name the partner was told of the patient, or which account was meant.
    done_by  TEXT,             -- A person's name, of the staff, where a person did it. Kept as long as the line.
    digest   TEXT    NOT NULL
) STRICT;

INSERT INTO kept_audit SELECT number, at, practice, partner, patient, what, fields, consent, told_as, done_by, digest
    FROM audit ORDER BY number;
DROP TABLE audit;
ALTER TABLE kept_audit RENAME TO audit;

CREATE INDEX audit_of ON audit (practice, patient, number);

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit trail is appended only'); END;
CREATE TRIGGER audit_remains BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit trail is appended only'); END;
