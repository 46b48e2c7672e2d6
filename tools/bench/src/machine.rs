//! The machine: what it is, and what a process may use of it.

use std::fs;

/// One line that says what was measured on.
pub fn line() -> String {
    let cpu =
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").and_then(|m| kib(&m));
    let memory = memory.map_or(String::new(), |kib| {
        format!(", {:.1} GiB", kib / (1024.0 * 1024.0))
    });
    let flags = field("/proc/cpuinfo", "flags").unwrap_or_default();
    let widest = ["avx512f", "avx2"].into_iter();
    let widest = widest.filter(|name| flags.split(' ').any(|flag| flag == *name));
    let vectors = widest.take(1).map(|name| format!(", {name}"));
    let vectors: String = vectors.collect();
    let pages = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let pages = pages.ok().and_then(|text| {
        let chosen = text.split(['[', ']']).nth(1)?;
        Some(format!(", huge pages: {chosen}"))
    });
    format!(
        "{cpu}{vectors}, {cores} cores{memory}, {} {}{}",
        std::env::consts::OS,
        std::env::consts::ARCH,
        pages.unwrap_or_default()
    )
}

/// The most memory that this process has held so far, in megabytes (2^20), where the system says.
pub fn peak_mb() -> Option<f64> {
    Some(kib(&field("/proc/self/status", "VmHWM")?)? / 1024.0)
}

/// Leaves this process the first of the cores that it may use.
pub fn limit_cores(count: usize) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
        let allowed = sched_getaffinity(None)?;
        let cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let mut chosen = CpuSet::new();
        cores.take(count).for_each(|core| chosen.set(core));
        sched_setaffinity(None, &chosen)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = count;
    Ok(())
}

/// The text after a name and a colon in a file of such lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// The number of a text such as `123 kB`.
fn kib(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    #[test]
    fn the_system_says_what_is_used() {
        assert!(super::peak_mb().unwrap() > 1.0);
        assert!(super::line().contains("cores"));
    }
}
