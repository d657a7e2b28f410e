//! What the end-to-end tests share: where the binary is, a throw-away data folder.
