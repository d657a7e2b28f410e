//! The commands and their types in TypeScript: `ui/src/lib/bindings.ts`, written by a test, so
//! that a page which asks for what is not there does not compile.

use super::commands;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use ts_rs::{Config, TS, TypeVisitor};

/// Ids and counts stay far below 2^53, so JavaScript's numbers hold them.
pub(super) fn config() -> Config {
    Config::new().with_large_int("number")
}

/// Collects declarations by name.
pub(super) struct Collector {
    config: Config,
    declarations: BTreeMap<String, String>,
}

impl Collector {
    pub(super) fn add<T: TS + 'static + ?Sized>(&mut self) {
        // Primitives, lists and options have no file of their own, hence no declaration.
        if T::output_path().is_some() {
            let name = T::ident(&self.config);
            if self.declarations.contains_key(&name) {
                return;
            }
            let comment = T::docs().unwrap_or_default();
            let declaration = tidy(&format!("{comment}export {}", T::decl(&self.config)));
            self.declarations.insert(name, declaration);
        }
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

impl TypeVisitor for Collector {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if T::output_path().is_some() {
            self.add::<T>();
        }
    }
}

/// One-line comments on one line, fields indented.
fn tidy(declaration: &str) -> String {
    let lines: Vec<&str> = declaration.lines().map(str::trim_end).collect();
    let mut text = String::new();
    let mut depth = 0_usize;
    let mut place = 0;
    while place < lines.len() {
        let line = match lines[place..] {
            ["/**", only, " */", ..] => {
                place += 2;
                format!("/** {} */", only.trim_start_matches(" * "))
            }
            _ => lines[place].to_owned(),
        };
        place += 1;
        let _ = writeln!(text, "{}{line}", "  ".repeat(depth));
        if !line.trim_start().starts_with(['/', '*']) {
            depth = (depth + line.matches('{').count()).saturating_sub(line.matches('}').count());
        }
    }
    text.trim_end().to_owned()
}

/// The whole file.
#[must_use]
pub fn typescript() -> String {
    let mut collector = Collector { config: config(), declarations: BTreeMap::new() };
    commands::visit_declarations(&mut collector);
    let mut text =
        "// Written by a test of quartet-api (desk/bindings.rs). Do not edit.\n\n".to_owned();
    for declaration in collector.declarations.values() {
        let _ = writeln!(text, "{declaration}\n");
    }
    text.push_str("/** Every command: what it is asked and what it replies. */\nexport interface Commands {\n");
    commands::visit_types(&mut |name, signature| {
        let _ = writeln!(
            text,
            "  {name}: {{ request: {}; reply: {} }};",
            signature.request, signature.reply
        );
    });
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Writes the file, so that a change of the types is one `cargo test` away from the pages;
    /// where it may not differ (`QUARTET_CHECK_BINDINGS`, set by CI), it only compares.
    #[test]
    fn the_pages_know_the_commands_of_today() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/lib/bindings.ts");
        let now = typescript();
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        if now == before {
            return;
        }
        assert!(
            std::env::var_os("QUARTET_CHECK_BINDINGS").is_none(),
            "ui/src/lib/bindings.ts is out of date: run `cargo test -p quartet-api bindings` and commit it"
        );
        std::fs::write(&path, now).unwrap();
    }

    #[test]
    fn every_number_fits_into_javascript() {
        assert!(!typescript().contains("bigint"));
    }
}
