//! How each generation of Qt makes a `key_t` from a key file.
//!
//! All call ftok(3), with different project ids.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crc::{Algorithm, CRC_32_ISCSI, Crc};

use crate::kernel::{FileStat, IpcKey};

/// The project id where it is constant, and the start of the hash where it is one.
const PROJECT: u8 = b'Q';

/// CRC-32C as Qt uses the processor's instruction: started with the seed and inverted nowhere.
static RAW_CRC_32C: Crc<u32> = Crc::<u32>::new(&Algorithm {
    // An algorithm's start value is written with its highest bit first, also where the register
    // is reflected.
    init: (PROJECT as u32).reverse_bits(),
    xorout: 0,
    // Of "123456789".
    check: 0x0814_863a,
    residue: 0,
    ..CRC_32_ISCSI
});

/// Versions of Qt that make the same native keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Generation {
    /// 4.4 to 4.8.
    Qt4,
    /// 5.0 to 5.8: the project id is a hash of the path, so that each key file has its own.
    Qt50,
    /// 5.9 to 6.5.
    #[default]
    Qt59,
    /// 6.6 and later, for keys set by `setKey` or `legacyNativeKey`.
    Qt66,
}

impl Generation {
    /// The generation of a version such as `qVersion()` gives: `"5.15.8"`, `"4.8"`, `"6.9.0-rc"`.
    ///
    /// A major version alone means its last release, which is what people have who say "5" or
    /// "6". A version later than all known ones is taken for the newest. `None`: not a version,
    /// or one older than 4.
    ///
    /// ```
    /// # use qshm::key::Generation;
    /// assert_eq!(Generation::from_version("5.15.8"), Some(Generation::Qt59));
    /// assert_eq!(Generation::from_version("5.8"), Some(Generation::Qt50));
    /// assert_eq!(Generation::from_version("five"), None);
    /// ```
    pub fn from_version(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let major = number(parts.next()?)?;
        let minor = parts.next().map(number);
        // The patch level is not asked for, but rubbish there makes rubbish of the whole.
        if parts
            .next()
            .is_some_and(|patch| !patch.starts_with(|c: char| c.is_ascii_digit()))
        {
            return None;
        }
        let minor = match minor {
            Some(minor) => minor?,
            None => u32::MAX,
        };
        match (major, minor) {
            (0..=3, _) => None,
            (4, _) => Some(Self::Qt4),
            (5, 0..=8) => Some(Self::Qt50),
            (5, _) | (6, 0..=5) => Some(Self::Qt59),
            _ => Some(Self::Qt66),
        }
    }

    /// The project id that this generation gives to ftok(3) for a key file, on this CPU.
    pub fn project_id(self, path: &Path) -> u8 {
        match self {
            Self::Qt4 | Self::Qt59 | Self::Qt66 => PROJECT,
            Self::Qt50 if has_crc_instruction() => crc_project_id(path),
            Self::Qt50 => plain_project_id(path),
        }
    }
}

/// The `key_t` of a key file that was looked at already: ftok(3) without its stat(2).
///
/// The file's inode number goes in, so a key file made anew leads to another object.
pub fn ipc_key(generation: Generation, path: &Path, file: &FileStat) -> IpcKey {
    ftok(generation.project_id(path), file.dev, file.ino)
}

/// ftok(3) of a project id and a file's device and inode number.
pub fn ftok(project_id: u8, dev: u64, ino: u64) -> IpcKey {
    let inode = (ino & 0xffff) as u32;
    let device = (dev & 0xff) as u32;
    (u32::from(project_id) << 24 | device << 16 | inode) as IpcKey
}

/// The project ids that any Qt on any CPU may have used for a key file: the constant one, and
/// both of Qt 5.0 to 5.8. For diagnosis; some may be equal.
pub fn all_project_ids(path: &Path) -> [u8; 3] {
    [PROJECT, crc_project_id(path), plain_project_id(path)]
}

/// Qt 5.0 to 5.8 on a CPU with SSE4.2: the low byte of the raw CRC-32C of the path.
pub fn crc_project_id(path: &Path) -> u8 {
    (RAW_CRC_32C.checksum(path.as_os_str().as_bytes()) & 0xff) as u8
}

/// Qt 5.0 to 5.8 on other CPUs: the low byte of `h = 31 * h + byte`, for which the low bytes of
/// the steps before are enough.
pub fn plain_project_id(path: &Path) -> u8 {
    path.as_os_str()
        .as_bytes()
        .iter()
        .fold(PROJECT, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(*byte)
        })
}

/// What Qt asks before it chooses its hash.
fn has_crc_instruction() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("sse4.2");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    return false;
}

/// A number of digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}
