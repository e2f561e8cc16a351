//! What is in a file, and so in the memory that it is mapped to.

use std::collections::BTreeMap;

/// Bytes, of which most are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    pub size: u64,
    /// What is not zero, in words of eight bytes, by the offset.
    words: BTreeMap<usize, u64>,
}

impl Memory {
    pub fn new(size: u64, words: &[u64]) -> Self {
        let mut memory = Self {
            size,
            words: BTreeMap::new(),
        };
        for (index, word) in words.iter().enumerate() {
            memory.set_word(8 * index, *word);
        }
        memory
    }

    pub fn word(&self, offset: usize) -> u64 {
        self.words.get(&offset).copied().unwrap_or(0)
    }

    /// The words that are not zero, and where.
    pub fn stored(&self) -> impl Iterator<Item = (usize, u64)> {
        self.words.iter().map(|(offset, word)| (*offset, *word))
    }

    pub fn set_word(&mut self, offset: usize, word: u64) {
        if word == 0 {
            self.words.remove(&offset);
        } else {
            self.words.insert(offset, word);
        }
    }

    /// What is cut off is zero when it comes back.
    pub fn resize(&mut self, size: u64) {
        for offset in size..self.size.min(size.next_multiple_of(8)) {
            self.set_byte(offset as usize, 0);
        }
        self.words.retain(|offset, _| (*offset as u64) < size);
        self.size = size;
    }

    pub fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        let end = (offset + length).min(self.size as usize);
        (offset..end)
            .map(|at| self.word(at / 8 * 8).to_ne_bytes()[at % 8])
            .collect()
    }

    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            self.set_byte(offset + index, *byte);
        }
        self.size = self.size.max((offset + bytes.len()) as u64);
    }

    fn set_byte(&mut self, at: usize, byte: u8) {
        let mut word = self.word(at / 8 * 8).to_ne_bytes();
        word[at % 8] = byte;
        self.set_word(at / 8 * 8, u64::from_ne_bytes(word));
    }
}

/// Bytes as words, the last one filled up with zeros.
pub fn words(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    };
    bytes.chunks(8).map(word).collect()
}
