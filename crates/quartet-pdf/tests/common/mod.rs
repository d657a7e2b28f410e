//! Test data, and the measures texts are compared with.

#![allow(dead_code, reason = "every test file uses its own part")]
#![allow(clippy::print_stderr, reason = "a skipped test should be seen")]

use std::collections::HashMap;
use std::path::PathBuf;
use unicode_normalization::UnicodeNormalization;

/// A folder of the shared test data; `None`, with a message, where it is absent.
pub(crate) fn data(folder: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    if root.is_dir() {
        return Some(root);
    }
    assert!(
        std::env::var_os("QUARTET_REQUIRE_DATA").is_none_or(|value| value != "1"),
        "the test data {folder} is absent and QUARTET_REQUIRE_DATA=1 is set"
    );
    eprintln!("skipped: the test data {folder} is absent");
    None
}

/// Sorted paths of a folder with the given ending.
pub(crate) fn files(folder: &std::path::Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

/// NFKC, hyphens at line ends removed, all blanks one space: what both sides of a
/// comparison go through.
pub(crate) fn comparable(text: &str) -> String {
    let text: String = text.nfkc().filter(|&c| c != '\u{ad}').collect();
    let text = text.replace("-\n", "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `1 - edits / (n + m)`, where `edits` is the least number of inserted and deleted
/// characters (Myers 1986, the greedy algorithm).
pub(crate) fn character_similarity(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let total = a.len() + b.len();
    if total == 0 {
        return 1.0;
    }
    1.0 - edits(&a, &b) as f64 / total as f64
}

fn edits(a: &[char], b: &[char]) -> usize {
    let (n, m) = (a.len() as isize, b.len() as isize);
    let most = (n + m) as usize;
    let offset = n + m + 1;
    let mut furthest = vec![0isize; 2 * most + 3];
    for d in 0..=most as isize {
        let mut k = -d;
        while k <= d {
            let index = (k + offset) as usize;
            let down = k == -d || (k != d && furthest[index - 1] < furthest[index + 1]);
            let mut x = if down { furthest[index + 1] } else { furthest[index - 1] + 1 };
            let mut y = x - k;
            while x < n && y < m && a[x as usize] == b[y as usize] {
                x += 1;
                y += 1;
            }
            furthest[index] = x;
            if x >= n && y >= m {
                return d as usize;
            }
            k += 2;
        }
    }
    most
}

/// F1 over the bags of words (lower case, letters and digits only).
pub(crate) fn word_f1(a: &str, b: &str) -> f64 {
    let bag = |text: &str| {
        let mut bag: HashMap<String, i64> = HashMap::new();
        for word in comparable(text).split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty())
        {
            *bag.entry(word.to_lowercase()).or_default() += 1;
        }
        bag
    };
    let (a, b) = (bag(a), bag(b));
    let common: i64 = a.iter().map(|(word, count)| *count.min(b.get(word).unwrap_or(&0))).sum();
    let total: i64 = a.values().sum::<i64>() + b.values().sum::<i64>();
    if total == 0 { 1.0 } else { 2.0 * common as f64 / total as f64 }
}
