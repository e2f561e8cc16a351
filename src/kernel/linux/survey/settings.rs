//! Settings of the kernel and of the system that decide about System V objects.

use std::fs;
use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};

use crate::kernel::survey::Limits;

fn setting(name: &str) -> Vec<u64> {
    fs::read_to_string(format!("/proc/sys/kernel/{name}"))
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map_while(|text| text.parse().ok())
        .collect()
}

/// The limits of this IPC namespace, see sysvipc(7) and proc(5).
pub fn limits() -> Limits {
    let page_size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    Limits {
        segments: setting("shmmni").first().copied(),
        pages: setting("shmall").first().copied(),
        semaphores: setting("sem").get(3).copied(),
        all_semaphores: setting("sem").get(1).copied(),
        page_size: page_size.map_or(4096, |size| size as u64),
    }
}

/// Whether logind removes a user's objects at logout, see logind.conf(5), `RemoveIPC`. `None`:
/// there is no logind.
pub fn remove_ipc() -> Option<bool> {
    if !Path::new("/run/systemd/seats").exists() {
        return None;
    }
    let mut files = Vec::new();
    for directory in ["/usr/lib/systemd", "/run/systemd", "/etc/systemd"] {
        let directory = Path::new(directory);
        files.push(directory.join("logind.conf"));
        let parts = fs::read_dir(directory.join("logind.conf.d"));
        let mut parts: Vec<_> = parts
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .collect();
        parts.sort();
        files.extend(parts);
    }
    let said = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .filter_map(|text| last_word(&text))
        .next_back();
    Some(said.unwrap_or(true))
}

/// What a configuration file says of `RemoveIPC`, if anything; the last line counts.
fn last_word(text: &str) -> Option<bool> {
    let mut values = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "RemoveIPC").then(|| value.trim().to_ascii_lowercase())
    });
    let value = values.next_back()?;
    match value.as_str() {
        "no" | "off" | "false" | "0" => Some(false),
        "yes" | "on" | "true" | "1" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_configuration_counts() {
        for (text, said) in [
            ("", None),
            ("[Login]\n#RemoveIPC=no\n", None),
            ("[Login]\nRemoveIPC=no\n", Some(false)),
            ("RemoveIPC = yes\n", Some(true)),
            ("RemoveIPC=yes\nRemoveIPC=off\n", Some(false)),
            ("RemoveIPC=perhaps\n", None),
        ] {
            assert_eq!(last_word(text), said, "{text:?}");
        }
    }

    #[test]
    fn this_machine_has_limits() {
        let limits = limits();
        assert!(limits.page_size >= 4096);
        assert!(limits.segments.is_some_and(|count| count > 0));
        assert!(limits.semaphores.is_some_and(|count| count > 0));
        assert!(limits.pages.is_some_and(|count| count > 0));
    }
}
