//! Files from the browser. Each upload has a fresh folder; a name can only lead below it.

use super::Server;
use super::replies::Failure;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path as Route, State};
use axum::http::{StatusCode, Uri};
use futures::StreamExt;
use quartet_api::desk::{Pick, PickKind};
use quartet_api::types::{Error, ErrorCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::fs::{self, OpenOptions};
use tokio::io::{AsyncWriteExt, BufWriter};

/// Longest name with its folders, and longest part of it, in bytes.
const LONGEST_NAME: usize = 1024;
const LONGEST_PART: usize = 255;
/// Most folders within one another.
const DEEPEST: usize = 32;
/// Bytes gathered before they are written.
const PIECE: usize = 256 * 1024;

/// Uploads that have begun: their folders by id. A file on its way holds a second reference.
#[derive(Default)]
pub(super) struct Uploads(Mutex<BTreeMap<String, Arc<PathBuf>>>);

impl Uploads {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Arc<PathBuf>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, id: &str) -> Result<Arc<PathBuf>, Error> {
        self.open().get(id).map(Arc::clone).ok_or_else(|| unknown(id))
    }

    /// Takes an upload off the list, so that no file can be added any more.
    fn close(&self, id: &str) -> Result<Arc<PathBuf>, Error> {
        let mut open = self.open();
        let folder = open.get(id).ok_or_else(|| unknown(id))?;
        if Arc::strong_count(folder) > 1 {
            return Err(Error::new(ErrorCode::Busy, "files of this upload are still on their way")
                .hint("Say that it is done when all of them have arrived."));
        }
        open.remove(id).ok_or_else(|| unknown(id))
    }
}

fn unknown(id: &str) -> Error {
    Error::new(ErrorCode::NotFound, "there is no such upload")
        .hint("Begin a new one; each can be used once.")
        .about(id)
}

/// `POST /api/uploads`: begins one.
pub(super) async fn begin(State(server): State<Server>) -> Result<Json<Value>, Failure> {
    let upload = server.desk.begin_upload()?;
    server.uploads.open().insert(upload.id.clone(), Arc::new(upload.folder));
    Ok(Json(json!({ "upload": upload.id })))
}

/// `PUT /api/uploads/{id}/{name}`: the bytes of a file, written as they arrive.
pub(super) async fn store(
    State(server): State<Server>,
    route: Result<Route<(String, String)>, PathRejection>,
    body: Body,
) -> Result<StatusCode, Failure> {
    let Route((id, name)) = route?;
    let folder = server.uploads.folder(&id)?;
    let parts = parts(&name)?;
    write(&folder, &parts, body).await.map_err(|error| Failure::from(error.about(name)))?;
    Ok(StatusCode::CREATED)
}

/// `POST /api/uploads/{id}/done?kind=files|folder|model`: makes a pick of what has arrived.
pub(super) async fn done(
    State(server): State<Server>,
    id: Result<Route<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Pick>, Failure> {
    let Route(id) = id?;
    let kind = match uri.query() {
        Some("kind=files") => PickKind::Files,
        Some("kind=folder") => PickKind::Folder,
        Some("kind=model") => PickKind::Model,
        _ => {
            let why = "say what the upload is: kind=files, kind=folder or kind=model";
            return Err(Error::new(ErrorCode::InvalidInput, why).into());
        }
    };
    let folder = server.uploads.close(&id)?;
    let pick = server.desk.finish_upload(&id, kind);
    if pick.is_err() {
        // Nothing was made of it: more files can be added.
        server.uploads.open().insert(id, folder);
    }
    Ok(Json(pick?))
}

/// The folders and the name a file is to have below its upload's folder.
fn parts(name: &str) -> Result<Vec<&str>, Error> {
    let refuse = |why: &str| {
        Err(Error::new(ErrorCode::InvalidInput, format!("a file may not be named so: {why}"))
            .hint("Rename the file and try again."))
    };
    if name.len() > LONGEST_NAME {
        return refuse("the name is too long");
    }
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() > DEEPEST {
        return refuse("too many folders");
    }
    for part in &parts {
        if part.is_empty() || *part == "." || *part == ".." {
            return refuse("the name is empty, `.` or `..`");
        }
        if part.len() > LONGEST_PART {
            return refuse("the name is too long");
        }
        if part.contains('\\') || part.chars().any(char::is_control) {
            return refuse("it has a backslash or a control character");
        }
        // On Windows `C:` is a drive and `a:b` a stream of `a`.
        let mut components = Path::new(part).components();
        let is_plain = matches!(components.next(), Some(Component::Normal(plain)) if plain == *part)
            && components.next().is_none()
            && !(cfg!(windows) && part.contains(':'));
        if !is_plain {
            return refuse("it leads elsewhere");
        }
    }
    Ok(parts)
}

/// A file that goes away again unless it has arrived whole.
struct Arriving {
    path: PathBuf,
    whole: bool,
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.whole {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn write(folder: &Path, parts: &[&str], body: Body) -> Result<(), Error> {
    let mut path = folder.to_owned();
    let (name, folders) =
        parts.split_last().ok_or_else(|| Error::internal("a name of no parts"))?;
    for part in folders {
        path.push(part);
        make_folder(&path).await?;
    }
    path.push(name);
    // Never follows a link and never writes over a file.
    let file =
        OpenOptions::new().write(true).create_new(true).open(&path).await.map_err(|error| {
            if error.kind() == ErrorKind::AlreadyExists {
                Error::new(ErrorCode::InvalidInput, "this upload has a file of this name already")
            } else {
                failed(&error)
            }
        })?;
    let mut arriving = Arriving { path, whole: false };
    let mut file = BufWriter::with_capacity(PIECE, file);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            Error::new(ErrorCode::Io, format!("the file did not arrive whole: {error}"))
                .hint("Upload it again.")
        })?;
        file.write_all(&piece).await.map_err(|error| failed(&error))?;
    }
    file.flush().await.map_err(|error| failed(&error))?;
    arriving.whole = true;
    Ok(())
}

async fn make_folder(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path).await.map_err(|error| failed(&error))?;
            if found.is_dir() {
                Ok(())
            } else {
                Err(Error::new(ErrorCode::InvalidInput, "a part of the name is not a folder"))
            }
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Without the path: pages learn nothing about where things are on this machine.
fn failed(error: &std::io::Error) -> Error {
    let mut error = Error::from_io(error, Path::new(""));
    error.subject = None;
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_below_the_folder_only() {
        assert_eq!(parts("a.pdf").unwrap(), ["a.pdf"]);
        assert_eq!(
            parts("Börse/Q1 2024/b: c.pdf").map(|parts| parts.len()).ok(),
            cfg!(not(windows)).then_some(3)
        );
        assert_eq!(parts("...").unwrap(), ["..."]);
        let long = "x".repeat(256);
        let deep = "a/".repeat(32) + "b";
        for name in [
            "", ".", "..", "../a", "a/../b", "a/..", "a//b", "/a", "a/", "a\\b", "..\\a", "a\0b",
            "a\nb", "a\u{7f}", "\u{85}", &long, &deep,
        ] {
            let error = parts(name).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidInput, "{name:?}");
        }
    }

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("quartet-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    #[tokio::test]
    async fn files_are_written_once_and_whole() {
        let folder = scratch("written-once");
        write(&folder, &["sub", "a.pdf"], Body::from("one")).await.unwrap();
        let again = write(&folder, &["sub", "a.pdf"], Body::from("two")).await.unwrap_err();
        assert_eq!(again.code, ErrorCode::InvalidInput);
        assert_eq!(std::fs::read(folder.join("sub/a.pdf")).unwrap(), b"one");
        let below_a_file = write(&folder, &["sub", "a.pdf", "b"], Body::from("x")).await;
        assert_eq!(below_a_file.unwrap_err().code, ErrorCode::InvalidInput);

        let broken = futures::stream::iter([Ok("half"), Err(std::io::Error::other("gone"))]);
        let error = write(&folder, &["half.pdf"], Body::from_stream(broken)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Io);
        assert!(!folder.join("half.pdf").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_are_not_followed() {
        let (folder, elsewhere) = (scratch("links"), scratch("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, folder.join("link")).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("new"), folder.join("file")).unwrap();
        for parts in [&["link", "a.pdf"][..], &["file"]] {
            let error = write(&folder, parts, Body::from("x")).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidInput, "{parts:?}");
        }
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
        std::fs::remove_dir_all(folder).unwrap();
        std::fs::remove_dir_all(elsewhere).unwrap();
    }

    #[test]
    fn an_upload_is_closed_once_and_not_while_files_are_on_their_way() {
        let uploads = Uploads::default();
        uploads.open().insert("a".to_owned(), Arc::new(PathBuf::from("folder")));
        let on_its_way = uploads.folder("a").unwrap();
        assert_eq!(uploads.close("a").unwrap_err().code, ErrorCode::Busy);
        drop(on_its_way);
        uploads.close("a").unwrap();
        assert_eq!(uploads.close("a").unwrap_err().code, ErrorCode::NotFound);
        assert_eq!(uploads.folder("a").unwrap_err().code, ErrorCode::NotFound);
    }
}
