//! Comparing what the command prints with what it printed when it was right.

use std::fs;
use std::path::Path;

/// The text must be that of the file, once what differs from run to run is taken out.
///
/// Numbers of processes, all but the first byte of keys, and ages.
#[track_caller]
pub fn same(name: &str, text: &str) {
    let scrubbed = scrub(text);
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/command/snapshots")
        .join(name);
    if std::env::var_os("QSHM_BLESS").is_some_and(|value| !value.is_empty()) {
        fs::write(&file, &scrubbed).unwrap();
        return;
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        expected == scrubbed,
        "{name} differs (QSHM_BLESS=1 accepts it). Expected:\n{expected}\nFound:\n{scrubbed}"
    );
}

fn scrub(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut words: Vec<String> = Vec::new();
        // By spaces, so that the shape of a table stays.
        for word in line.split(' ') {
            words.push(scrub_word(word, words.last().map_or("", String::as_str)));
        }
        lines.push(words.join(" "));
    }
    // The command was run within the first seconds.
    let mut text = lines.join("\n");
    for second in 0..=9 {
        text = text.replace(&format!("  {second} s  "), "  N s  ");
        text = text.replace(&format!("made {second} second ago"), "made N seconds ago");
        text = text.replace(&format!("made {second} seconds ago"), "made N seconds ago");
    }
    text + "\n"
}

/// A pid, a key.
fn scrub_word(word: &str, before: &str) -> String {
    let start = word.find("0x").filter(|at| word.len() >= at + 10);
    if let Some(at) = start {
        // The first byte tells the version of Qt.
        return format!("{}------{}", &word[..at + 4], &word[at + 10..]);
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let trimmed = word.trim_matches(|c: char| !c.is_ascii_digit());
    if digits(trimmed) && (before == "pid" || before == "(pid") {
        return word.replace(trimmed, "PID");
    }
    // In a table: `holder-qt (1234, root)`, `logic (1234)`.
    let alone = word.strip_prefix('(') == Some(&format!("{trimmed},"))
        || word.strip_prefix('(') == Some(&format!("{trimmed})"));
    if digits(trimmed) && alone {
        return word.replace(trimmed, "PID");
    }
    if digits(word) && before == "last" {
        return "PID".to_owned();
    }
    if word.trim_end_matches(',') == alice() {
        return word.replace(&alice(), "ALICE");
    }
    word.to_owned()
}

/// The name of the user with number 1, which differs between systems.
fn alice() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(1));
    user.ok()
        .flatten()
        .map_or_else(|| "1".to_owned(), |user| user.name)
}
