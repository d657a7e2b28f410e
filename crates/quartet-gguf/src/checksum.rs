//! SHA-256 of a file, with progress.

use quartet_types::{Error, Result, Sha256};
use sha2::Digest;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

const PIECE_BYTES: usize = 1 << 20;

/// Digests the file at `path`. `on_progress` hears the share done, from 0 to 1, after every
/// mebibyte and stops the work by returning [`ControlFlow::Break`].
///
/// # Errors
/// `Cancelled` if stopped; an operating-system error if the file cannot be read.
pub fn sha256_of_file(
    path: &Path,
    mut on_progress: impl FnMut(f32) -> ControlFlow<()>,
) -> Result<Sha256> {
    let failed = |error: std::io::Error| Error::from_io(&error, path);
    let mut file = File::open(path).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len().max(1);
    let mut digest = sha2::Sha256::new();
    let mut piece = vec![0u8; PIECE_BYTES];
    let mut done = 0u64;
    loop {
        let length = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        digest.update(&piece[..length]);
        done += length as u64;
        if on_progress((done as f64 / total as f64).min(1.0) as f32).is_break() {
            return Err(Error::cancelled());
        }
    }
    Ok(hexadecimal(digest))
}

/// Digests bytes in memory.
#[must_use]
pub fn sha256_of_bytes(bytes: &[u8]) -> Sha256 {
    let mut digest = sha2::Sha256::new();
    digest.update(bytes);
    hexadecimal(digest)
}

fn hexadecimal(digest: sha2::Sha256) -> Sha256 {
    let mut text = String::with_capacity(64);
    for byte in digest.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Sha256(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_abc_is_the_published_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, b"abc").unwrap();
        let mut last = 0.0;
        let digest = sha256_of_file(&path, |share| {
            last = share;
            ControlFlow::Continue(())
        });
        // FIPS 180-2, appendix B.1.
        let published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.unwrap().0, published);
        assert_eq!(sha256_of_bytes(b"abc").0, published);
        assert_eq!(last, 1.0);
    }

    #[test]
    fn it_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        std::fs::write(&path, vec![0u8; 3 * PIECE_BYTES]).unwrap();
        let mut calls = 0;
        let result = sha256_of_file(&path, |_| {
            calls += 1;
            ControlFlow::Break(())
        });
        assert_eq!(result, Err(Error::cancelled()));
        assert_eq!(calls, 1);
    }
}
