-- The accounts of practices whose book is kept at Provet Cloud. The client secret is a secret, and the host stands in
-- practice.system_url.
CREATE TABLE provet_account (
    practice    TEXT    NOT NULL PRIMARY KEY REFERENCES practice (id) ON DELETE CASCADE,
    provet_id   INTEGER NOT NULL, -- The number of the practice there.
    client_id   TEXT    NOT NULL,
    token_url   TEXT,             -- NULL is the usual place.
    webhook_url TEXT              -- The public address that leads to our listener. NULL is polling alone.
) STRICT, WITHOUT ROWID;
