-- Patients at partners: who agreed to what, what is linked to what, and what left this computer.
--
-- A new leg: profiles. A new wish: resync_patients.

-- The VALD Hub account of a practice, where it has one; VALD calls it a tenant. Its credentials are secrets.
CREATE TABLE vald_account (
    practice         TEXT    NOT NULL PRIMARY KEY REFERENCES practice (id) ON DELETE CASCADE,
    tenant_id        TEXT    NOT NULL, -- VALD's id of the account. With another one, the links of this one are forgotten.
    region           TEXT    NOT NULL, -- Where its data lies: aue, use, euw.
    token_url        TEXT    NOT NULL,
    audience         TEXT    NOT NULL, -- What the tokens are for.
    profile_url      TEXT    NOT NULL,
    tenants_url      TEXT    NOT NULL,
    hub_url          TEXT,             -- The landing address with its placeholders; NULL hides the button.
    group_rules      TEXT    NOT NULL, -- JSON: a list of {group, resource or location or neither}.
    between_requests INTEGER NOT NULL, -- Microseconds from the beginning of one request to that of the next.
    sync_prefix      TEXT    NOT NULL, -- Stands before the patient's key in new sync ids. Never changes.
    staff_are_adults INTEGER NOT NULL CHECK (staff_are_adults IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Who agreed that a partner gets their details. Lines are appended and never changed: the last one about a patient and a
-- partner holds. They are the practice's proof, so they outlive the link of their practice, and the names in them, of a
-- guardian and of whoever wrote the line down, are kept as long as the line and not emptied after the retention time.
CREATE TABLE consent (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    practice        TEXT    NOT NULL,
    partner         TEXT    NOT NULL,
    patient         TEXT    NOT NULL, -- The practice system's key.
    given           INTEGER NOT NULL CHECK (given IN (0, 1)), -- 0: refused or withdrawn.
    guardian        TEXT,             -- A person's name: who agreed in place of a minor. NULL: the patient did.
    photo_and_video INTEGER NOT NULL CHECK (photo_and_video IN (0, 1)),
    how             TEXT    NOT NULL, -- desk, form, collected_before, practice_system
    recorded_by     TEXT    NOT NULL, -- A person's name, of the staff; or the practice system's.
    wording         TEXT    NOT NULL, -- The version that was agreed to; empty where nobody said.
    at              TEXT    NOT NULL
) STRICT;

-- The number stands at the end of every entry, so that the last line about somebody is found without the table.
CREATE INDEX consent_of ON consent (practice, patient, partner);

CREATE TRIGGER consent_stays BEFORE UPDATE ON consent BEGIN SELECT raise(ABORT, 'consent is appended only'); END;
CREATE TRIGGER consent_remains BEFORE DELETE ON consent BEGIN SELECT raise(ABORT, 'consent is appended only'); END;

-- Things here and the same things at partners. Holds ids, and no names. They say how far a partner's account knows us, so
-- they go when the practice is unlinked or the account is replaced by another one.
CREATE TABLE link (
    practice    TEXT NOT NULL,
    partner     TEXT NOT NULL,
    kind        TEXT NOT NULL, -- patient, practitioner, invoice
    local_id    TEXT NOT NULL, -- The practice system's key.
    told_as     TEXT NOT NULL, -- The name under which the partner was told of it: VALD's sync id.
    partner_id  TEXT,          -- What the partner calls it; NULL until that is known.
    state       TEXT NOT NULL, -- linked, pending, needs_person, conflict, failed, ended
    since       TEXT NOT NULL, -- When it came into this state.
    reason      TEXT,          -- Why it is not linked, in a sentence that names nobody.
    accepted    TEXT,          -- A digest of what the partner accepted last.
    refused     TEXT,          -- A digest of what it refused last, so that the same is not sent again.
    accepted_at TEXT,          -- When it accepted something last.
    PRIMARY KEY (practice, partner, kind, local_id)
) STRICT, WITHOUT ROWID;

-- One name means one thing, or two patients would share a profile.
CREATE UNIQUE INDEX link_told_as ON link (practice, partner, kind, told_as);

-- How many links stand in each state, so that nobody has to count hundreds of thousands of them every few seconds.
CREATE TABLE link_count (
    practice TEXT    NOT NULL,
    partner  TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    links    INTEGER NOT NULL CHECK (links >= 0),
    PRIMARY KEY (practice, partner, state)
) STRICT, WITHOUT ROWID;

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

-- What left this computer, about whom, to whom and under which consent: ids and names of fields, never what the fields
-- say. It outlives the link of its practice. Numbers follow one another without a gap from 1 on; the last one given out
-- is in sqlite_sequence, so that lines missing at the end show as well.
--
-- The digest is the SHA-256, in 64 small hexadecimal digits, of these bytes in UTF-8, one after another:
--   the digest of the line before, or 64 times the digit 0 before the first line;
--   the columns from number to done_by, in their order: each as its length in bytes in decimal digits, a colon, and its
--   text; numbers in decimal digits; a NULL is a minus sign alone.
-- Line 1 of nothing but "sent" about patient 77 begins "1:124:2026-11-20T03:04:05.678Z8:richmond4:vald2:774:sent".
CREATE TABLE audit (
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

CREATE INDEX audit_of ON audit (practice, patient, number);

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit trail is appended only'); END;
CREATE TRIGGER audit_remains BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit trail is appended only'); END;
