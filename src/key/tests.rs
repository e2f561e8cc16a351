//! Keys against what real Qt libraries made of them (`tests/vectors`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::generation::{crc_project_id, ftok, plain_project_id};
use super::*;
use crate::kernel::{FileKind, FileStat};

const VECTORS: &str = include_str!("../../tests/vectors/qt-keys.tsv");

/// What Qt up to 6.8 makes of UTF-16: lone surrogates become question marks.
fn utf8_as_qt(utf16_hex: &str) -> Vec<u8> {
    let units = utf16_hex
        .as_bytes()
        .chunks(4)
        .map(|digits| u16::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or('?'))
        .collect::<String>()
        .into_bytes()
}

/// Comparing paths would take `//x` for `/x`.
fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn stat(dev: u64, ino: u64) -> FileStat {
    FileStat {
        dev,
        ino,
        kind: FileKind::Regular,
        mode: 0o600,
        uid: 0,
        gid: 0,
        links: 1,
        size: 0,
        born: None,
    }
}

#[test]
fn every_row_of_the_vectors_is_reproduced() {
    let mut rows = BTreeMap::<&str, usize>::new();
    for line in VECTORS.lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        let [
            temp,
            version,
            utf16,
            created,
            error,
            native,
            segment,
            semaphore,
            segment_id,
            semaphore_id,
        ] = row[..]
        else {
            panic!("not ten columns: {line}");
        };
        *rows.entry(version).or_default() += 1;
        let key = Key::new(&utf8_as_qt(utf16), Path::new(temp));
        let (segment_file, semaphore_file) = (key.segment_file(), key.semaphore_file());
        assert_eq!(text(&segment_file), native, "{line}");

        if created == "0" {
            assert_eq!(error, "3", "{line}");
            assert!(name_too_long(&segment_file), "{line}");
            continue;
        }
        assert!(!name_too_long(&segment_file), "{line}");
        assert_eq!(text(&segment_file), format!("{temp}/{segment}"), "{line}");
        assert_eq!(
            text(&semaphore_file),
            format!("{temp}/{semaphore}"),
            "{line}"
        );
        // Of the CPUs that Qt tells apart, the rows come from one with the instruction.
        let generation = Generation::from_version(version).unwrap();
        let id = |file: &Path| match generation {
            Generation::Qt50 => crc_project_id(file),
            other => other.project_id(file),
        };
        assert_eq!(format!("{:02x}", id(&segment_file)), segment_id, "{line}");
        assert_eq!(
            format!("{:02x}", id(&semaphore_file)),
            semaphore_id,
            "{line}"
        );
        assert!(all_project_ids(&segment_file).contains(&id(&segment_file)));
    }
    let expected = ["5.15.8", "5.7.1", "5.9.1", "6.4.2", "6.8.2"].map(|version| (version, 26));
    assert_eq!(rows, BTreeMap::from(expected));
}

#[test]
fn empty_and_null_keys_lead_nowhere() {
    let empty = Key::new(b"", Path::new("/tmp"));
    let null = Key::null();
    assert_eq!((empty.is_null(), empty.is_empty()), (false, true));
    assert_eq!((null.is_null(), null.is_empty()), (true, true));
    assert_ne!(empty, null);
    for key in [empty, null] {
        assert_eq!(key.utf8(), b"");
        assert_eq!(text(&key.segment_file()), "");
        assert_eq!(text(&key.semaphore_file()), "");
    }
}

#[test]
fn the_temp_directory_goes_in_as_it_is() {
    let name = "qipc_sharedmemory_a86f7e437faa5a7fce15d1ddcb9eaeaea377667b8";
    for temp in ["/tmp", "", "/", "/a b/ü"] {
        let key = Key::new(b"a", Path::new(temp));
        assert_eq!(text(&key.segment_file()), format!("{temp}/{name}"));
    }
}

#[test]
fn the_longest_name_is_255_bytes() {
    // 18 bytes of prefix and 40 of hash leave 197 letters; 15 leave 200.
    let key = |letters| Key::new(&vec![b'x'; letters], Path::new("/tmp"));
    assert!(!name_too_long(&key(197).segment_file()));
    assert!(name_too_long(&key(198).segment_file()));
    assert!(!name_too_long(&key(200).semaphore_file()));
    assert!(name_too_long(&key(201).semaphore_file()));
}

#[test]
fn versions_have_generations() {
    use Generation::{Qt4, Qt50, Qt59, Qt66};
    for (version, expected) in [
        ("4.4.0", Some(Qt4)),
        ("4.8", Some(Qt4)),
        ("4", Some(Qt4)),
        ("5.0.0", Some(Qt50)),
        ("5.7.1", Some(Qt50)),
        ("5.8", Some(Qt50)),
        ("5.9.0", Some(Qt59)),
        ("5.15.19", Some(Qt59)),
        ("5", Some(Qt59)),
        ("6.0.2", Some(Qt59)),
        ("6.5.3", Some(Qt59)),
        ("6.6.0", Some(Qt66)),
        ("6.6.0-beta4", Some(Qt66)),
        ("6.11.2", Some(Qt66)),
        ("6", Some(Qt66)),
        ("7.0.0", Some(Qt66)),
        ("3.3.8", None),
        ("0", None),
        ("", None),
        (".", None),
        ("6.", None),
        (".5", None),
        ("6.5.", None),
        ("6.5.x", None),
        ("5.x", None),
        ("+5.9", None),
        ("5.+9", None),
        ("-5", None),
        (" 5.9", None),
        ("5.9 ", None),
        ("Qt5", None),
        ("5,9", None),
        ("99999999999.1", None),
        ("6.99999999999", None),
    ] {
        assert_eq!(Generation::from_version(version), expected, "{version:?}");
    }
    assert_eq!(Generation::default(), Qt59);
}

#[test]
fn both_hashes_of_qt_5_0_start_from_q() {
    // Of nothing, both are their start value.
    assert_eq!(crc_project_id(Path::new("")), b'Q');
    assert_eq!(plain_project_id(Path::new("")), b'Q');
    // 31 * (31 * 0x51 + 'a') + 'b' = 0x13c32
    assert_eq!(plain_project_id(Path::new("ab")), 0x32);
    assert_eq!(crc_project_id(Path::new("123456789")), 0x3a);
    let path = Path::new("/tmp/x");
    assert_eq!(
        all_project_ids(path),
        [b'Q', crc_project_id(path), plain_project_id(path)],
    );
}

#[test]
fn one_of_both_hashes_is_chosen() {
    let path = Path::new("/tmp/qipc_systemsem_x");
    let chosen = Generation::Qt50.project_id(path);
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if std::arch::is_x86_feature_detected!("sse4.2") {
        assert_eq!(chosen, crc_project_id(path));
        return;
    }
    assert_eq!(chosen, plain_project_id(path));
}

#[test]
fn ftok_takes_low_bits_only() {
    for (id, dev, ino, key) in [
        (0x51, 0x08_01, 0x12_3456, 0x5101_3456_u32),
        (0x3b, 0x02, 0x40, 0x3b02_0040),
        (0x76, 0x02, 0x08, 0x7602_0008),
        (0xff, u64::MAX, u64::MAX, 0xffff_ffff),
        (0, 0x100, 0x1_0000, 0),
    ] {
        assert_eq!(ftok(id, dev, ino) as u32, key);
    }
    let path = Path::new("/tmp/f");
    assert_eq!(ipc_key(Generation::Qt66, path, &stat(2, 8)), 0x5102_0008);
    let id = u32::from(Generation::Qt50.project_id(path));
    assert_eq!(
        ipc_key(Generation::Qt50, path, &stat(2, 8)) as u32,
        id << 24 | 0x02_0008
    );
}

proptest! {
    /// Whatever the key, its names are harmless in a path: no slash, no NUL, never `..`.
    #[test]
    fn names_are_letters_and_a_hash(utf8 in prop::collection::vec(any::<u8>(), 1..80)) {
        let key = Key::new(&utf8, Path::new("/tmp"));
        for (file, prefix) in [
            (key.segment_file(), SEGMENT_PREFIX),
            (key.semaphore_file(), SEMAPHORE_PREFIX),
        ] {
            let name = text(&file).strip_prefix("/tmp/").unwrap().strip_prefix(prefix).unwrap();
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            prop_assert!(name.len() >= 40);
        }
        prop_assert_eq!(key.utf8(), &utf8[..]);
    }

    #[test]
    fn the_crc_is_the_one_of_the_definition(path in "/[a-z0-9_/]{0,90}") {
        let mut crc = u32::from(b'Q');
        for byte in path.bytes() {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            }
        }
        prop_assert_eq!(crc_project_id(Path::new(&path)), (crc & 0xff) as u8);
    }
}
