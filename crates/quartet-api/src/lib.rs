//! Commands, events, jobs and settings: the only crate a shell may call
