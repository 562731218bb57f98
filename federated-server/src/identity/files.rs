//! Files and folders written so that nobody else reads a key, nothing is overwritten, and a reader never sees a half.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use super::IdentityError;

fn failed(path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Write { path, source }
}

/// Makes a folder, and those above it, that only its owner may enter.
pub(super) fn create_private_folder(path: &Path) -> Result<(), IdentityError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed(path))
}

/// Writes a new file that only its owner may read; an existing file is an error.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), IdentityError> {
    write_new(path, text, 0o600).map_err(failed(path))
}

/// Writes a new file that everyone may read; an existing file is an error.
pub(super) fn write_public(path: &Path, text: &str) -> Result<(), IdentityError> {
    write_new(path, text, 0o644).map_err(failed(path))
}

/// Replaces a private file in one step: whoever reads it meanwhile sees the old or the new text, also after a crash.
pub(super) fn replace_private(path: &Path, text: &str) -> Result<(), IdentityError> {
    replace(path, text, 0o600).map_err(failed(path))
}

/// As [`replace_private`], for a file that everyone may read.
pub(super) fn replace_public(path: &Path, text: &str) -> Result<(), IdentityError> {
    replace(path, text, 0o644).map_err(failed(path))
}

fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // A leftover of a crash must not stand in the way.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_new(&new, text, mode)?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

#[cfg_attr(not(unix), expect(unused_variables, reason = "file modes are a matter of Unix"))]
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes a rename in the folder of `path` durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
