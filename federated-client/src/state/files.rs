//! Files and folders: private, and written so that a reader never sees a half.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use super::StateError;

/// What a file's name ends with until it is whole.
const TEMPORARY: &str = ".new";

/// Makes a folder, and those above it, that only its owner may enter.
pub(super) fn create_folder(path: &Path) -> Result<(), StateError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(StateError::write(path))
}

/// Writes the parts one after another under a temporary name, and puts them in place in one step.
///
/// The file survives the end of the process. After a failure of the machine it may be cut short, or absent. What is at
/// the temporary name, if anything, is written over: that is much faster than a new file.
pub(super) fn put(path: &Path, parts: &[&[u8]]) -> Result<(), StateError> {
    put_with(path, |file| write_parts(file, parts))
}

/// As [`put`], of what `write` writes; the file ends where it stops.
pub(super) fn put_with<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<T>,
) -> Result<T, StateError> {
    let put = || {
        let temporary = with_suffix(path, TEMPORARY);
        let mut file =
            private(OpenOptions::new().write(true).create(true).truncate(false)).open(&temporary)?;
        let written = write(&mut file)?;
        let length = file.stream_position()?;
        file.set_len(length)?;
        fs::rename(&temporary, path)?;
        Ok(written)
    };
    put().map_err(StateError::write(path))
}

/// Leaves a file that is no longer wanted for the next [`put`] at `next`. That it is absent is fine.
pub(super) fn recycle(path: &Path, next: &Path) -> Result<(), StateError> {
    match fs::rename(path, with_suffix(next, TEMPORARY)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::write(path)(error)),
        _ => Ok(()),
    }
}

/// As [`put`], and the file survives a failure of the machine too.
pub(super) fn replace(path: &Path, parts: &[&[u8]]) -> Result<(), StateError> {
    put_with(path, |file| {
        write_parts(file, parts)?;
        let length = file.stream_position()?;
        file.set_len(length)?;
        file.sync_all()
    })?;
    sync_folder(path).map_err(StateError::write(path))
}

/// Adds a line, which ends with a line feed, to the end of a file, and waits until it is on disk. A line before it that a
/// crash has cut short is ended first.
pub(super) fn append_line(path: &Path, line: &str) -> Result<(), StateError> {
    let append = || {
        let mut file = private(OpenOptions::new().read(true).append(true).create(true)).open(path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if let Some(end) = length.checked_sub(1) {
            file.seek(io::SeekFrom::Start(end))?;
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        if length == 0 { sync_folder(path) } else { Ok(()) }
    };
    append().map_err(StateError::write(path))
}

/// Makes the name of a new file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn write_parts(file: &mut File, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| file.write_all(part))
}

/// Removes a file that may be absent.
pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::write(path)(error)),
        _ => Ok(()),
    }
}

/// Removes a folder that may be absent, with all that is in it.
pub(super) fn remove_folder(folder: &Path) -> Result<(), StateError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StateError::write(folder)(error)),
        _ => Ok(()),
    }
}

/// The files in a folder that may be absent.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>, StateError> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listing => listing
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(StateError::read(folder)),
    }
}

/// Files hold what a site computed from its examples: nobody else reads them.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}
