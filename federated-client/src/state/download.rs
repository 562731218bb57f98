use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use federated_core::{
    ids::{Digest, DigestBuilder},
    model::{ModelError, ModelLayout, ModelParameters, bytes_of, bytes_of_mut},
};

use super::{StateError, StateFolder, files};

/// Models of at least so many bytes may be written to the folder while they arrive. Smaller ones are sooner fetched
/// again, even over a slow line, than every round's model is worth a file.
const WORTH_A_FILE: u64 = 16 << 20;
/// A download that takes longer than this is written. What comes faster is sooner fetched again than written each round.
pub(super) const WORTH_WRITING: Duration = Duration::from_secs(1);

/// A model's file begins with how many bytes of its values follow (`u64`, little-endian), written after them. What is
/// beyond may be of an earlier model, whose file is written over: that is much faster than a new file.
pub(super) const COUNT_BYTES: usize = 8;
/// What the file of a model that is no longer needed is called, beside the models.
pub(super) const SPARE: &str = "spare";

/// A model that is being downloaded: its values, as far as they have come.
///
/// When a large one takes its time, its bytes also go to `<digest>.part`, which becomes `<digest>` when all are there and the digest is
/// right.
pub(crate) struct PartialModel {
    layout: ModelLayout,
    values: Vec<f32>,
    digest: Digest,
    hasher: DigestBuilder,
    length: usize,
    path: PathBuf,
    file: Option<File>,
    /// When a file is begun, if it is not there yet.
    write_from: Option<Instant>,
}

impl PartialModel {
    /// Goes on with the bytes of an earlier download, or starts with none. `memory` is used for the values, whatever it
    /// holds.
    pub(super) fn open(
        path: &Path,
        digest: Digest,
        layout: &ModelLayout,
        memory: Vec<f32>,
        worth_writing: Duration,
    ) -> Result<Self, StateError> {
        let elements = usize::try_from(layout.elements()).map_err(|_| ModelError::LayoutSize {
            limit: "as many elements as this machine can address",
            found: layout.elements(),
        })?;
        let mut values = memory;
        if values.capacity() < elements {
            values = vec![0.0; elements];
        }
        values.resize(elements, 0.0);
        let mut partial = Self {
            layout: layout.clone(),
            values,
            digest,
            hasher: DigestBuilder::new(),
            length: 0,
            path: path.to_owned(),
            file: None,
            write_from: None,
        };
        if !Self::is_only_in_memory(layout) {
            partial.write_from = Some(Instant::now() + worth_writing);
            partial.read_beginning()?;
        }
        Ok(partial)
    }

    /// Takes up what an earlier process wrote.
    fn read_beginning(&mut self) -> Result<(), StateError> {
        let part = files::with_suffix(&self.path, ".part");
        let mut file = match OpenOptions::new().read(true).write(true).open(&part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(StateError::read(&part))?,
        };
        let mut read = || {
            let mut count = [0; COUNT_BYTES];
            file.read_exact(&mut count)?;
            let there = usize::try_from(u64::from_le_bytes(count)).unwrap_or(usize::MAX);
            let beginning = bytes_of_mut(&mut self.values).get_mut(..there).unwrap_or_default();
            file.read_exact(beginning).map(|()| beginning.len())
        };
        match read() {
            Ok(length) => {
                self.hasher.update(bytes_of(&self.values).get(..length).unwrap_or_default());
                self.length = length;
            }
            // It ended before its count was written, or a failure of the machine cut it short: none of it counts.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(StateError::read(&part)(error)),
        }
        self.file = Some(file);
        Ok(())
    }

    /// Begins the file, with all that is there.
    fn begin_file(&mut self) -> Result<(), StateError> {
        let part = files::with_suffix(&self.path, ".part");
        let begin = || begin_part(&part, &self.path.with_file_name(SPARE));
        self.file = Some(begin().map_err(StateError::write(&part))?);
        self.write(0)
    }

    /// Writes what came from `begin` on.
    fn write(&mut self, begin: usize) -> Result<(), StateError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let bytes = bytes_of(&self.values).get(begin..self.length).unwrap_or_default();
        let mut write = || {
            file.seek(SeekFrom::Start((COUNT_BYTES + begin) as u64))?;
            file.write_all(bytes)?;
            file.rewind()?;
            file.write_all(&(self.length as u64).to_le_bytes())
        };
        write().map_err(StateError::write(&self.path))
    }

    pub(super) const fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether a model of this layout gets no file.
    pub(crate) fn is_only_in_memory(layout: &ModelLayout) -> bool {
        layout.bytes() < WORTH_A_FILE
    }

    /// How many bytes are there: where the download goes on.
    pub(crate) const fn length(&self) -> u64 {
        self.length as u64
    }

    /// Adds the next bytes; whatever is beyond the model's end is left out.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let free = bytes_of_mut(&mut self.values).get_mut(self.length..).unwrap_or_default();
        let length = bytes.len().min(free.len());
        let (place, bytes) = (free.get_mut(..length), bytes.get(..length).unwrap_or_default());
        place.unwrap_or_default().copy_from_slice(bytes);
        self.hasher.update(bytes);
        let begin = self.length;
        self.length += length;
        if self.file.is_none() && self.write_from.is_some_and(|from| Instant::now() >= from) {
            return self.begin_file();
        }
        self.write(begin)
    }

    /// When all is there: checks the digest and hands the model over. A download with the wrong digest is thrown away;
    /// one that broke off is kept for when it goes on.
    pub(crate) fn finish(self, folder: &StateFolder) -> Result<(), StateError> {
        if self.length() < self.layout.bytes() {
            folder.shelve(self);
            return Ok(());
        }
        let part = files::with_suffix(&self.path, ".part");
        let (expected, found) = (self.digest, self.hasher.finish());
        if found != expected {
            files::remove(&part)?;
            return Err(StateError::Digest { expected, found });
        }
        let model = ModelParameters::new(self.layout, self.values)?;
        if let Some(file) = &self.file {
            // Not synced: after a power failure the digest tells whether it is whole.
            file.set_len((COUNT_BYTES + self.length) as u64)
                .and_then(|()| fs::rename(&part, &self.path))
                .map_err(StateError::write(&self.path))?;
        }
        folder.hand_over(expected, model);
        Ok(())
    }
}

/// Makes the file of a beginning, preferably of the spare file.
fn begin_part(part: &Path, spare: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = files::private(options.read(true).write(true));
    let (mut file, made) = match options.open(spare) {
        Ok(file) => (file, spare),
        Err(_) => (options.create(true).truncate(true).open(part)?, part),
    };
    // None of the model is there: the file must not have the new name before it says so.
    file.write_all(&[0; COUNT_BYTES])?;
    if made != part {
        fs::rename(made, part)?;
    }
    Ok(file)
}
