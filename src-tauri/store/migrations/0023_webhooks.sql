-- The public address that leads to our listener; NULL is polling alone.
ALTER TABLE healthengine_account ADD COLUMN webhook_url TEXT;
