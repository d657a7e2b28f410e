//! `--open`: shows the pages in the browser of this machine.
//!
//! A program's arguments can be read by every user of a machine, so the browser is not given
//! the address with its token but a page of one line in the data folder, which only its owner
//! can read and which leads there.

use crate::output::Output;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[cfg(target_os = "macos")]
const OPENER: &str = "open";
#[cfg(windows)]
const OPENER: &str = "explorer";
#[cfg(not(any(target_os = "macos", windows)))]
const OPENER: &str = "xdg-open";

/// The page that leads to the server; it goes away with this value.
pub(super) struct LeadingPage(PathBuf);

impl Drop for LeadingPage {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Opens the browser. Where that fails the address can still be opened by hand.
pub(super) fn open(url: &str, data: &Path, output: Output) -> Option<LeadingPage> {
    let path = data.join("open-in-browser.html");
    let opened = write(&path, url).and_then(|page| {
        let mut command = Command::new(OPENER);
        command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        // Collects the exit status, so that no zombie stays behind.
        std::thread::spawn(move || child.wait());
        Ok(page)
    });
    opened
        .inspect_err(|error| {
            output.remark(&format!("No browser could be started ({OPENER}: {error})."));
        })
        .ok()
}

fn write(path: &Path, url: &str) -> io::Result<LeadingPage> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let page = LeadingPage(path.to_owned());
    writeln!(
        file,
        "<!doctype html><meta charset=\"utf-8\"><title>Quartet</title>\
         <meta http-equiv=\"refresh\" content=\"0; url={url}\"><a href=\"{url}\">Quartet</a>"
    )?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leading_page_is_its_owners_alone_and_goes_away() {
        let path = std::env::temp_dir().join(format!("quartet-open-{}.html", std::process::id()));
        fs::write(&path, "left over").unwrap();
        let page = write(&path, "http://127.0.0.1:1/#token=ab").unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("url=http://127.0.0.1:1/#token=ab\""));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(page);
        assert!(!path.exists());
    }
}
