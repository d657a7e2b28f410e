-- Conversations have turns: a question, and what each method made of it.

ALTER TABLE chats ADD COLUMN title TEXT;
ALTER TABLE chats ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE chats SET updated_at = created_at;

CREATE TABLE turns (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    chat_id    INTEGER NOT NULL REFERENCES chats(id) ON DELETE CASCADE,
    question   TEXT    NOT NULL,
    blind      INTEGER NOT NULL DEFAULT 0,
    -- Edited or asked again: out of sight, but not lost.
    superseded INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);
CREATE INDEX turns_by_chat ON turns(chat_id, superseded);

-- Answers from before get turns: one for each question of a conversation.
INSERT INTO turns (id, chat_id, question, created_at)
    SELECT MIN(id), chat_id, question, MIN(created_at) FROM answers GROUP BY chat_id, question;
ALTER TABLE answers ADD COLUMN turn_id INTEGER REFERENCES turns(id) ON DELETE CASCADE;
UPDATE answers SET turn_id =
    (SELECT id FROM turns WHERE turns.chat_id = answers.chat_id AND turns.question = answers.question);
CREATE INDEX answers_by_turn ON answers(turn_id);

-- Why a method has no answer, and what it had written by then.
CREATE TABLE failures (
    id         INTEGER PRIMARY KEY,
    turn_id    INTEGER NOT NULL REFERENCES turns(id) ON DELETE CASCADE,
    method     TEXT    NOT NULL,
    error      TEXT    NOT NULL,
    partial    TEXT,
    created_at INTEGER NOT NULL
);
CREATE INDEX failures_by_turn ON failures(turn_id);

-- Outlive the conversations: they hold no text.
CREATE TABLE votes (
    id         INTEGER PRIMARY KEY,
    turn_id    INTEGER UNIQUE REFERENCES turns(id) ON DELETE SET NULL,
    -- The methods that were compared, as a JSON list.
    methods    TEXT    NOT NULL,
    winner     TEXT,
    blind      INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);

-- Folders that are read again whenever something changes in them.
CREATE TABLE linked_folders (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    path          TEXT    NOT NULL,
    synced_at     INTEGER,
    UNIQUE (collection_id, path)
);
