//! How much memory this process may still take.

/// Memory available now, in bytes: what the kernel says, or what is left of the control
/// group's limit if that is less. `None` where the system does not say.
#[must_use]
pub fn available_memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    available_memory_from(
        read("/proc/meminfo").as_deref()?,
        read("/sys/fs/cgroup/memory.max").as_deref(),
        read("/sys/fs/cgroup/memory.current").as_deref(),
        read("/sys/fs/cgroup/memory.stat").as_deref(),
    )
}

/// The same from the texts of `/proc/meminfo` and of a control group's `memory.max`,
/// `memory.current` and `memory.stat`.
#[must_use]
pub fn available_memory_from(
    meminfo: &str,
    group_limit: Option<&str>,
    group_usage: Option<&str>,
    group_facts: Option<&str>,
) -> Option<u64> {
    let kibibytes: u64 = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .ok()?;
    let available = kibibytes.saturating_mul(1024);
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let Some(limit) = group_limit.and_then(number) else { return Some(available) };
    let used = group_usage.and_then(number).unwrap_or(0);
    // File pages that nobody touched lately count as used but are given back on demand.
    let reclaimable = group_facts
        .and_then(|facts| facts.lines().find_map(|line| line.strip_prefix("inactive_file ")))
        .and_then(number)
        .unwrap_or(0);
    let left = limit.saturating_sub(used.saturating_sub(reclaimable));
    Some(available.min(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:  8000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\n";

    #[test]
    fn the_smaller_of_machine_and_group_counts() {
        let machine = Some(4000 * 1024);
        assert_eq!(available_memory_from(MEMINFO, None, None, None), machine);
        assert_eq!(available_memory_from(MEMINFO, Some("max\n"), Some("5\n"), None), machine);
        let group = available_memory_from(
            MEMINFO,
            Some("1000000\n"),
            Some("800000\n"),
            Some("anon 1\ninactive_file 300000\n"),
        );
        assert_eq!(group, Some(500_000));
        assert_eq!(available_memory_from("nothing here", None, None, None), None);
    }
}
