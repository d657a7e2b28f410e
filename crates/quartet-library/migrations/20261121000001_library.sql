-- The source of truth. Everything in index/ can be rebuilt from here.

CREATE TABLE collections (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    -- Counts up whenever what can be searched may have changed.
    generation INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);

-- One row per path ever given. A row that replaces another (changed content) stays out of
-- sight until it is complete; then the old row goes, in the same transaction.
CREATE TABLE documents (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    path          TEXT    NOT NULL,
    sha256        TEXT,
    title         TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    reason        TEXT,
    hint          TEXT,
    duplicate_of  INTEGER REFERENCES documents(id) ON DELETE SET NULL,
    replaces      INTEGER REFERENCES documents(id) ON DELETE SET NULL,
    pages         INTEGER NOT NULL DEFAULT 0,
    failed_pages  INTEGER NOT NULL DEFAULT 0,
    bytes         INTEGER NOT NULL DEFAULT 0,
    modified_ns   INTEGER NOT NULL DEFAULT 0,
    added_at      INTEGER NOT NULL
);
CREATE INDEX documents_by_collection ON documents(collection_id, path);
CREATE INDEX documents_by_content ON documents(collection_id, sha256);

CREATE TRIGGER documents_changed AFTER UPDATE OF status, replaces, duplicate_of ON documents BEGIN
    UPDATE collections SET generation = generation + 1 WHERE id = NEW.collection_id;
END;
CREATE TRIGGER documents_deleted AFTER DELETE ON documents BEGIN
    UPDATE collections SET generation = generation + 1 WHERE id = OLD.collection_id;
END;

-- Normalised text, which character spans refer to.
CREATE TABLE pages (
    document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    text        TEXT    NOT NULL,
    extractor   TEXT    NOT NULL,
    problems    TEXT    NOT NULL,
    PRIMARY KEY (document_id, number)
) WITHOUT ROWID;

CREATE TABLE chunks (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    ordinal     INTEGER NOT NULL,
    page        INTEGER NOT NULL,
    span_start  INTEGER NOT NULL,
    span_end    INTEGER NOT NULL,
    heading     TEXT,
    tokens      INTEGER NOT NULL,
    text        TEXT    NOT NULL,
    UNIQUE (document_id, ordinal)
);

-- Unit vectors as 32-bit floats, little endian. The key says which model made them.
CREATE TABLE vectors (
    chunk_id     INTEGER PRIMARY KEY REFERENCES chunks(id) ON DELETE CASCADE,
    embedder_key TEXT NOT NULL,
    row          BLOB NOT NULL
);

-- What changed, and when. Outlives the documents it tells of.
CREATE TABLE journal (
    id            INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    happened_at   INTEGER NOT NULL,
    change        TEXT    NOT NULL,
    path          TEXT    NOT NULL
);

CREATE TABLE jobs (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT    NOT NULL,
    collection_id INTEGER REFERENCES collections(id) ON DELETE CASCADE,
    state         TEXT    NOT NULL,
    request       TEXT    NOT NULL,
    progress      TEXT    NOT NULL,
    error         TEXT,
    wish          TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
);

CREATE TABLE chats (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    created_at    INTEGER NOT NULL
);

CREATE TABLE answers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    chat_id    INTEGER NOT NULL REFERENCES chats(id) ON DELETE CASCADE,
    method     TEXT    NOT NULL,
    model      TEXT    NOT NULL,
    question   TEXT    NOT NULL,
    answer     TEXT    NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX answers_by_chat ON answers(chat_id);
