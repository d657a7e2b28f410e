-- Questions that a person sent to another route than the router did; each is one more
-- prototype of its route. Without a collection the route is the general one.
CREATE TABLE route_corrections (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    question      TEXT    NOT NULL UNIQUE,
    collection_id INTEGER REFERENCES collections(id) ON DELETE CASCADE,
    created_at    INTEGER NOT NULL
);
