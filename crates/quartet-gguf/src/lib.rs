//! GGUF files: read, validate before use, write
