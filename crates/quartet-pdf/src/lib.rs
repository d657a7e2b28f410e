//! PDF to pages: text, character spans, problems
