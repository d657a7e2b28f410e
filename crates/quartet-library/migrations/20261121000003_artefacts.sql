-- What was trained. The files are below the data folder; a row without its files is stale.
CREATE TABLE artefacts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT    NOT NULL,
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    -- Name of the folder below artefacts/.
    folder        TEXT    NOT NULL UNIQUE,
    -- What it was made from and what it is worth, as JSON.
    manifest      TEXT    NOT NULL,
    created_at    INTEGER NOT NULL
);
CREATE INDEX artefacts_by_collection ON artefacts(collection_id, kind);
