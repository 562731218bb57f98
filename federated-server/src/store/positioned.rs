use std::{fs::File, io};

/// Reads from `offset` until `buffer` is full, leaving alone where others read.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Reads from `offset` until `buffer` is full. Without a positioned read of the system's own, readers take turns.
#[cfg(not(unix))]
pub(super) fn read_exact_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let _turn = turn();
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}

/// Writes all of `bytes` at `offset`, whatever the file's position.
#[cfg(unix)]
pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Writes all of `bytes` at `offset`. Without a positioned write of the system's own, writers take turns.
#[cfg(not(unix))]
pub(super) fn write_all_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    let _turn = turn();
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Held while a file's position matters.
#[cfg(not(unix))]
fn turn() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
