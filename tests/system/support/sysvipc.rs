//! The System V objects of the namespace that the calling thread is in.

use std::fs;

/// A line of `/proc/sysvipc/shm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub key: u32,
    pub id: i32,
    pub mode: u32,
    pub size: u64,
    pub creator_pid: i32,
    pub last_pid: i32,
    pub attached: u64,
    pub uid: u32,
    pub gid: u32,
}

/// A line of `/proc/sysvipc/sem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semaphore {
    pub key: u32,
    pub id: i32,
    pub mode: u32,
    pub count: u64,
    pub uid: u32,
    pub gid: u32,
}

pub fn segments() -> Vec<Segment> {
    table("shm")
        .iter()
        .map(|row| Segment {
            key: key(&row[0]),
            id: number(&row[1]),
            mode: octal(&row[2]) & 0o777,
            size: number(&row[3]),
            creator_pid: number(&row[4]),
            last_pid: number(&row[5]),
            attached: number(&row[6]),
            uid: number(&row[7]),
            gid: number(&row[8]),
        })
        .collect()
}

pub fn semaphores() -> Vec<Semaphore> {
    table("sem")
        .iter()
        .map(|row| Semaphore {
            key: key(&row[0]),
            id: number(&row[1]),
            mode: octal(&row[2]) & 0o777,
            count: number(&row[3]),
            uid: number(&row[4]),
            gid: number(&row[5]),
        })
        .collect()
}

fn table(kind: &str) -> Vec<Vec<String>> {
    let path = format!("/proc/sysvipc/{kind}");
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// A `key_t` is printed as a signed number.
fn key(text: &str) -> u32 {
    u32::from_ne_bytes(number::<i32>(text).to_ne_bytes())
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|_| panic!("{text}: not a number"))
}

fn octal(text: &str) -> u32 {
    u32::from_str_radix(text, 8).unwrap_or_else(|_| panic!("{text}: not an octal number"))
}
