//! What this program has open, as the operating system tells: its files and sockets, and those
//! of its workers.

use super::Desk;
use super::replies::{PrivacyView, ProcessView, SocketCount};
use super::requests::Nothing;
use quartet_types::Result;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

/// Files of the system say nothing about the user's data.
const SYSTEM: &[&str] = &[
    "/usr/", "/lib/", "/lib32/", "/lib64/", "/etc/", "/proc/", "/sys/", "/dev/", "/bin/", "/run/",
];

impl Desk {
    pub(super) async fn privacy(&self, _: Nothing) -> Result<PrivacyView> {
        let own = std::process::id();
        let processes = tokio::task::spawn_blocking(move || look_at(own)).await.unwrap_or_default();
        let internet_sockets = processes
            .iter()
            .flat_map(|process| &process.sockets)
            .filter(|sockets| sockets.family == "internet")
            .map(|sockets| sockets.count)
            .sum();
        Ok(PrivacyView {
            available: !processes.is_empty(),
            processes,
            internet_sockets,
            data_folder: self.quartet().paths().data.display().to_string(),
            verify: format!("strace -f -e trace=socket,connect,bind,listen -p {own}"),
        })
    }
}

/// This process and all below it; empty where the system has no `/proc`.
fn look_at(own: u32) -> Vec<ProcessView> {
    let families = socket_families();
    let mut parents: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    for id in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(parent) = parent_of(id) {
            parents.entry(parent).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    let mut waiting = vec![own];
    while let Some(id) = waiting.pop() {
        waiting.extend(parents.get(&id).into_iter().flatten());
        if let Some(process) = describe(id, own, &families) {
            found.push(process);
        }
    }
    found.sort_by_key(|process| process.id);
    found
}

fn parent_of(id: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

fn describe(id: u32, own: u32, families: &HashMap<String, &'static str>) -> Option<ProcessView> {
    let folder = format!("/proc/{id}");
    let mut files = BTreeSet::new();
    let mut sockets: BTreeMap<&str, u32> = BTreeMap::new();
    for entry in fs::read_dir(format!("{folder}/fd")).ok()?.flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy();
        if let Some(inode) = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'))
        {
            *sockets.entry(families.get(inode).copied().unwrap_or("other")).or_default() += 1;
        } else {
            files.insert(target.into_owned());
        }
    }
    // Model weights and indexes are mapped, not held open.
    let maps = fs::read_to_string(format!("{folder}/maps")).unwrap_or_default();
    let mapped =
        maps.lines().filter_map(|line| line.find('/').map(|start| line[start..].to_owned()));
    files.extend(mapped);
    files.retain(|path| {
        path.starts_with('/') && !SYSTEM.iter().any(|system| path.starts_with(system))
    });
    Some(ProcessView {
        id,
        name: name_of(&folder, id == own),
        files: files.into_iter().collect(),
        sockets: sockets
            .into_iter()
            .map(|(family, count)| SocketCount { family: family.to_owned(), count })
            .collect(),
    })
}

fn name_of(folder: &str, is_own: bool) -> String {
    let line = fs::read(format!("{folder}/cmdline")).unwrap_or_default();
    let words: Vec<&str> =
        line.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok()).collect();
    match words.as_slice() {
        [_, "worker", kind, ..] => (*kind).to_owned(),
        _ if is_own => "window".to_owned(),
        [program, ..] => Path::new(program)
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        [] => String::new(),
    }
}

/// The family of every socket on the system, by inode. The tables end or begin each line with
/// fields whose order `proc(5)` gives: `net/tcp` and its like have the inode tenth, `net/unix`
/// seventh, `net/netlink` last.
fn socket_families() -> HashMap<String, &'static str> {
    let mut families = HashMap::new();
    let tables: [(&str, &'static str, Option<usize>); 8] = [
        ("tcp", "internet", Some(9)),
        ("tcp6", "internet", Some(9)),
        ("udp", "internet", Some(9)),
        ("udp6", "internet", Some(9)),
        ("raw", "internet", Some(9)),
        ("raw6", "internet", Some(9)),
        ("unix", "unix", Some(6)),
        ("netlink", "netlink", None),
    ];
    for (table, family, column) in tables {
        let text = fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let mut fields = line.split_whitespace();
            let inode = match column {
                Some(column) => fields.nth(column),
                None => fields.next_back(),
            };
            if let Some(inode) = inode {
                families.insert(inode.to_owned(), family);
            }
        }
    }
    families
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn it_sees_its_own_files_and_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("private.txt");
        let _open = fs::File::create(&path).unwrap();
        let _pair = std::os::unix::net::UnixStream::pair().unwrap();
        let seen = look_at(std::process::id());
        let own = seen.iter().find(|process| process.id == std::process::id()).unwrap();
        assert_eq!(own.name, "window");
        assert!(own.files.contains(&path.display().to_string()), "{:?}", own.files);
        assert!(own.sockets.iter().any(|sockets| sockets.family == "unix" && sockets.count >= 2));
        assert!(own.sockets.iter().all(|sockets| sockets.family != "internet"));
    }
}
