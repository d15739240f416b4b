//! What a file lies on: the one rule of what reaches no disk.

use rustix::fs::FsWord;

/// The file systems that live in memory only (`f_type` of statfs(2)).
const TMPFS: FsWord = 0x0102_1994;
const RAMFS: FsWord = 0x8584_58f6;

/// What a directory lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Memory alone: tmpfs or ramfs.
    Memory,
    /// What could be a disk.
    Disk,
}

impl Medium {
    /// By the kind of the file system, as the kernel numbers them.
    pub fn of(kind: FsWord) -> Self {
        if kind == TMPFS || kind == RAMFS { Self::Memory } else { Self::Disk }
    }
}
