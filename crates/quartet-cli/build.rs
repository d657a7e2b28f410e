//! Puts the built pages of `ui/dist` into the program. Without them the program still builds;
//! `quartet serve` then says what to run.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the crate"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names a folder to write to"));
    let pages = here.join("../../ui/dist");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", pages.display());

    // Copies, so that pages which are built anew meanwhile cannot disturb the compiler.
    let copies = out.join("pages");
    let _ = fs::remove_dir_all(&copies);
    fs::create_dir(&copies).expect("a folder for copies");
    let mut files = Vec::new();
    if pages.is_dir() {
        collect(&pages, &pages, &mut files).expect("ui/dist can be read");
    }
    files.sort();
    let mut table = "&[\n".to_owned();
    for (number, (address, file)) in files.into_iter().enumerate() {
        let copy = copies.join(number.to_string());
        fs::copy(&file, &copy).expect("a page can be copied");
        let _ = writeln!(table, "    ({address:?}, include_bytes!({copy:?})),");
    }
    table.push_str("]\n");
    fs::write(out.join("pages.rs"), table).expect("the table can be written");
}

/// Adds every file below `folder` as (address on the server, path).
fn collect(folder: &Path, root: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&path, root, files)?;
        } else if kind.is_file() {
            let below = path.strip_prefix(root).map_err(io::Error::other)?;
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            files.push((format!("/{}", parts.join("/")), path));
        }
    }
    Ok(())
}
