-- The practice system's own API for documents, where the clinic names one; all of them or none.
ALTER TABLE practice ADD COLUMN system_documents_api TEXT;           -- Where the practice system is opened.
ALTER TABLE practice ADD COLUMN system_documents_api_site TEXT;
ALTER TABLE practice ADD COLUMN system_documents_api_client TEXT;
ALTER TABLE practice ADD COLUMN system_documents_api_user TEXT;
ALTER TABLE practice ADD COLUMN system_documents_api_category TEXT;
