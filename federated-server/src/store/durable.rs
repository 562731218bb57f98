use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::StoreError;

/// Makes a folder and those above it, and makes the name of each durable.
pub(crate) fn folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder(parent)?;
    match fs::create_dir(path) {
        // Another thread made it meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.map_err(StoreError::io("make the folder", path))?,
    }
    sync_folder(parent)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(StoreError::io("sync", path))
}

/// Gives a finished, synced file its name. After this the file survives a crash, whole.
pub(super) fn publish(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(StoreError::io("rename to", to))?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Removes a file or a folder with all it holds; that it is not there is fine.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// What is in a folder; that the folder is not there is fine.
pub(crate) fn list(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        listing => listing
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(StoreError::io("list", path)),
    }
}
