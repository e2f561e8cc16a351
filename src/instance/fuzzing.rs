//! The readers of what others have written, for fuzzing (`fuzz/`): whatever the bytes, they end,
//! in bounds, with texts that do nothing to a terminal.

use super::live::record_in;
use super::name::{FileName, IN_FILE, Key, Part};
use super::record::{CLAIM, ClaimRecord, Header, presentable};
use super::scope::Numbering;

/// Reads bytes as a file of numbers and as one of claims.
pub fn read(bytes: &[u8]) {
    if let Some(header) = Header::parse(bytes) {
        check(&header.name);
        let again = Header::parse(&header.bytes());
        assert_eq!(again.map(|again| again.settled), Some(header.settled));
    }
    for record in (0..IN_FILE).filter_map(|number| record_in(bytes, number)) {
        assert!(record.pid > 0);
        check(&record.program);
    }
    for claim in bytes.chunks(CLAIM).filter_map(ClaimRecord::parse) {
        assert_eq!(claim.position % (1 << 16), 0);
        check(&claim.resource);
    }
}

fn check(text: &str) {
    assert_eq!(presentable(text), text);
}

/// Takes a text as a file's name, and as one to join by: that leads back to itself.
pub fn name(text: &str) {
    if let Some(file) = FileName::parse(text) {
        let _ = file.name;
    }
    let key = Key::new(text, &Numbering::User(1000));
    let file = key.file(Part::Numbers(0));
    assert!(file.len() < 200 && !file.contains('/') && file != "." && file != "..");
    let parsed = FileName::parse(&file);
    let name = parsed.and_then(|parsed| parsed.name);
    assert!(name.is_none_or(|name| name == text));
}
