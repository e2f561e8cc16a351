//! States by a hash alone: there are too many to keep.

use std::hash::{Hash, Hasher};

/// Two states with the same 128 bits are taken for one.
pub fn fingerprint(value: &impl Hash) -> u128 {
    let mut hasher = Fold(0x9e37_79b9_7f4a_7c15, 0x2545_f491_4f6c_dd1d);
    value.hash(&mut hasher);
    u128::from(hasher.0) << 64 | u128::from(hasher.1)
}

/// A hasher of two halves that is faster than the standard one.
struct Fold(u64, u64);

impl Fold {
    fn fold(&mut self, word: u64) {
        let fold = |state: u64, by: u64| {
            let product = u128::from(state ^ word) * u128::from(by);
            (product as u64) ^ ((product >> 64) as u64)
        };
        (self.0, self.1) = (
            fold(self.0, 0xa076_1d64_78bd_642f).wrapping_add(0xe703_7ed1_a0b4_28db),
            fold(self.1.rotate_left(23), 0x8ebc_6af0_9c88_c6e3).wrapping_add(self.0),
        );
    }
}

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
        self.fold(bytes.len() as u64);
    }

    fn write_u8(&mut self, number: u8) {
        self.fold(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.fold(number as u64);
    }
}
