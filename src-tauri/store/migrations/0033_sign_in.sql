-- Where the browser comes back to after a person's sign-in at Provet Cloud. NULL is the integration's own account.
ALTER TABLE provet_account ADD COLUMN redirect_url TEXT;
ALTER TABLE registration ADD COLUMN redirect_url TEXT;
