use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use federated_client::dataset::TabularDataset;
use federated_core::ids::Fingerprint;

use crate::mnist::idx::{self, Images};

/// The files of MNIST, each with the SHA-256 of its unpacked content.
const TRAIN: [(&str, &str); 2] = [
    ("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    ("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
];
const TEST: [(&str, &str); 2] = [
    ("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    ("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
];

/// The images that are trained on and those that are tested on.
#[derive(Debug)]
pub(crate) struct Data {
    /// Divided among the participants.
    pub(crate) train: Images,
    /// Seen by no participant.
    pub(crate) test: Images,
}

impl Data {
    /// Reads the four files, packed with gzip, and checks that they are MNIST's, or only that they fit together if
    /// `unverified`.
    pub(crate) fn read(folder: &Path, unverified: bool) -> Result<Self> {
        let missing: Vec<String> = TRAIN
            .iter()
            .chain(&TEST)
            .map(|(name, _)| format!("{name}.gz"))
            .filter(|name| !folder.join(name).is_file())
            .collect();
        ensure!(
            missing.is_empty(),
            "expected MNIST's four files in the folder {}, found no {}. They are not part of this repository: \
             download them, for instance from https://storage.googleapis.com/cvdf-datasets/mnist/, and name their \
             folder with --data",
            folder.display(),
            missing.join(", no ")
        );
        let read = |files: [(&str, &str); 2]| -> Result<Images> {
            let [images, labels] = files.map(|(name, digest)| {
                let path = folder.join(format!("{name}.gz"));
                let content = idx::read(&path)?;
                let found = Fingerprint::of(&content).to_string();
                ensure!(
                    unverified || found == digest,
                    "{}: expected the SHA-256 {digest} of the unpacked content, found {found}; --unverified takes \
                     data that is not MNIST",
                    path.display()
                );
                Ok(content)
            });
            Images::parse(&images?, &labels?).with_context(|| folder.display().to_string())
        };
        let data = Self { train: read(TRAIN)?, test: read(TEST)? };
        let (train, test) = (data.train.pixels_each(), data.test.pixels_each());
        ensure!(
            train > 0 && train == test,
            "expected images of one size to train and to test on, found {train} and {test} pixels"
        );
        Ok(data)
    }
}

/// Writes a participant's images into its folder.
pub(crate) fn write_own(folder: &Path, images: &Images) -> Result<()> {
    for ((name, _), content) in TRAIN.iter().zip(images.to_files()?) {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Reads a participant's images from its folder.
pub(crate) fn read_own(folder: &Path) -> Result<Images> {
    let [images, labels] = TRAIN.map(|(name, _)| idx::read(&folder.join(name)));
    Images::parse(&images?, &labels?).with_context(|| folder.display().to_string())
}

/// The images as a table: a row each, grey values from 0 to 1.
pub(crate) fn table(images: &Images) -> Result<TabularDataset> {
    let values = images.pixels().iter().map(|grey| f32::from(*grey) / 255.0).collect();
    let labels = images.labels().iter().copied().map(u32::from).collect();
    Ok(TabularDataset::new(images.pixels_each(), values, labels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participant_reads_what_was_put_into_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[0, 51, 102, 255]].concat();
        let images = Images::parse(&images, &[0, 0, 8, 1, 0, 0, 0, 2, 7, 3]).unwrap();
        write_own(folder.path(), &images).unwrap();
        let own = read_own(folder.path()).unwrap();
        assert_eq!(own, images);
        let expected = TabularDataset::new(2, vec![0.0, 0.2, 0.4, 1.0], vec![7, 3]).unwrap();
        assert_eq!(table(&own).unwrap(), expected);
    }
}
