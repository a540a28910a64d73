-- The accounts with partners whose form is drawn from their card. What the card calls a secret is a secret.
CREATE TABLE partner_account (
    practice TEXT NOT NULL REFERENCES practice (id) ON DELETE CASCADE,
    partner  TEXT NOT NULL, -- The name of its folder.
    fields   TEXT NOT NULL, -- JSON: texts by the keys of the card.
    PRIMARY KEY (practice, partner)
) STRICT, WITHOUT ROWID;
