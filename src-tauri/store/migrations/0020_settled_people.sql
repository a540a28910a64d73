-- Whose record the bookings of some people go to, so that nobody is asked twice about one person.

CREATE TABLE settled_person (
    practice TEXT NOT NULL,
    person   BLOB NOT NULL, -- HMAC-SHA-256 of names, birth date, phones and e-mail as they are compared; the key is in
                            -- meta under person_key. Says nothing to whoever lacks it.
    how      TEXT NOT NULL, -- by_person: somebody at the desk said so. by_record_made: a booking of theirs made it.
    patient  TEXT,          -- The record; NULL where somebody said that a new one is to be made.
    at       TEXT NOT NULL,
    PRIMARY KEY (practice, person, how)
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('person_key', hex(randomblob(32)));
