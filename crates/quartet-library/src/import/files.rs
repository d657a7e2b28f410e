//! Which files an import is about.

use crate::store::documents::FileFacts;
use quartet_types::{Error, ErrorCode, Result};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use walkdir::WalkDir;

/// Files to read, and the folders whose whole content that is.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<FileFacts>,
    pub(super) folders: Vec<PathBuf>,
}

/// The paths as seen from anywhere.
pub(super) fn absolute(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    paths
        .iter()
        .map(|path| std::fs::canonicalize(path).map_err(|error| Error::from_io(&error, path)))
        .collect()
}

/// Files as given, and every `*.pdf` in folders as given, sorted by path.
///
/// A path that is not there is an error, except for a retry, where it is left out: the file
/// may have gone since it failed.
pub(super) fn find(paths: &[PathBuf], forgiving: bool) -> Result<Found> {
    let mut files = BTreeMap::new();
    let mut folders = Vec::new();
    for path in paths {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(_) if forgiving => continue,
            Err(error) => return Err(Error::from_io(&error, path)),
        };
        if metadata.is_dir() {
            folders.push(path.clone());
            // Links are not followed, so a link to a parent cannot make this endless.
            for entry in WalkDir::new(path).follow_links(false).into_iter().flatten() {
                let is_pdf = entry
                    .path()
                    .extension()
                    .is_some_and(|extension| extension.eq_ignore_ascii_case("pdf"));
                if is_pdf
                    && entry.file_type().is_file()
                    && let Ok(metadata) = entry.metadata()
                {
                    add(&mut files, entry.path(), &metadata);
                }
            }
        } else {
            add(&mut files, path, &metadata);
        }
    }
    if files.is_empty() && !forgiving {
        let folder = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(Error::new(ErrorCode::NotFound, "there is no PDF in it")
            .hint("Name a PDF, or a folder with files that end in .pdf.")
            .about(folder));
    }
    Ok(Found { files: files.into_values().collect(), folders })
}

/// The file's name without its ending.
pub(super) fn stem(path: &str) -> String {
    Path::new(path)
        .file_stem()
        .map_or_else(|| path.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn add(files: &mut BTreeMap<String, FileFacts>, path: &Path, metadata: &Metadata) {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified_ns = modified.map_or(0, |age| i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
    let path = path.to_string_lossy().into_owned();
    files.insert(path.clone(), FileFacts { path, bytes: metadata.len(), modified_ns });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &Found) -> Vec<String> {
        found
            .files
            .iter()
            .map(|file| Path::new(&file.path).file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn folders_are_searched_for_pdfs_and_files_are_taken_as_given() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("b/c")).unwrap();
        std::fs::create_dir(folder.path().join("folder.pdf")).unwrap();
        for name in ["z.pdf", "b/c/a.PDF", "b/notes.txt", ".pdf", "b/Größe 😀.pdf"] {
            std::fs::write(folder.path().join(name), "text").unwrap();
        }
        let found = find(&[folder.path().to_owned()], false).unwrap();
        assert_eq!(names(&found), ["Größe 😀.pdf", "a.PDF", "z.pdf"]);
        assert_eq!(found.folders, [folder.path()]);
        assert!(found.files.iter().all(|file| file.bytes == 4 && file.modified_ns > 0));

        // Given twice, in two ways: read once. A file that is named need not be called .pdf.
        let paths = [
            folder.path().join("z.pdf"),
            folder.path().join("b/notes.txt"),
            folder.path().to_owned(),
        ];
        assert_eq!(
            names(&find(&paths, false).unwrap()),
            ["Größe 😀.pdf", "a.PDF", "notes.txt", "z.pdf"]
        );
    }

    #[test]
    fn what_is_not_there_is_named_unless_it_is_a_retry() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent.pdf");
        let error = find(std::slice::from_ref(&absent), false).unwrap_err();
        assert_eq!(
            (error.code, error.subject.unwrap()),
            (ErrorCode::NotFound, absent.display().to_string())
        );
        assert!(find(std::slice::from_ref(&absent), true).unwrap().files.is_empty());
        let error = find(&[folder.path().to_owned()], false).unwrap_err();
        assert!(error.code == ErrorCode::NotFound && error.hint.unwrap().contains(".pdf"));
        assert_eq!(absolute(&[absent]).unwrap_err().code, ErrorCode::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_parent_does_not_make_it_endless() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.pdf"), "text").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        assert_eq!(names(&find(&[folder.path().to_owned()], false).unwrap()), ["a.pdf"]);
    }

    #[test]
    fn a_title_without_ending() {
        for (path, expected) in
            [("/a/Report 2.1.pdf", "Report 2.1"), ("/a/b", "b"), ("/", "/"), ("x.PDF", "x")]
        {
            assert_eq!(stem(path), expected);
        }
    }
}
