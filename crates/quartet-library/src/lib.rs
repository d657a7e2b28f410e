//! Documents to chunks to search: SQLite, tantivy, vectors, jobs
