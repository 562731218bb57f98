use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;

/// Digits: labels from 0 to 9.
pub(crate) const CLASSES: usize = 10;
/// What a file of images starts with: unsigned bytes, three dimensions.
const IMAGES: [u8; 4] = [0, 0, 8, 3];
/// What a file of labels starts with: unsigned bytes, one dimension.
const LABELS: [u8; 4] = [0, 0, 8, 1];
/// More than MNIST's largest file by far: a small file that unpacks into something huge is refused.
const MOST_BYTES: u64 = 1 << 30;

/// Images with their labels, as they stand in two IDX files.
///
/// # References
/// <http://yann.lecun.com/exdb/mnist/>, "File formats for the MNIST database". Numbers are big-endian.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Images {
    /// Rows and columns of an image.
    size: (u32, u32),
    /// Grey values, image after image, row after row.
    pixels: Vec<u8>,
    /// What digit each image shows.
    labels: Vec<u8>,
}

impl Images {
    /// The images in the contents of two files.
    pub(crate) fn parse(images: &[u8], labels: &[u8]) -> Result<Self> {
        let ([count, rows, columns], pixels) = parts(images, IMAGES).context("the file of images")?;
        let ([labelled], labels) = parts(labels, LABELS).context("the file of labels")?;
        ensure!(count == labelled, "expected as many labels as images, {count}, found {labelled}");
        let largest = labels.iter().copied().max().unwrap_or(0);
        ensure!(usize::from(largest) < CLASSES, "expected labels from 0 to 9, found {largest}");
        ensure!(rows > 0 && columns > 0, "expected images with pixels, found {rows} x {columns}");
        Ok(Self { size: (rows, columns), pixels: pixels.to_vec(), labels: labels.to_vec() })
    }

    /// Of these places, in their order. Places beyond the end are left out.
    pub(crate) fn select(&self, places: &[usize]) -> Self {
        let with_labels =
            places.iter().filter_map(|place| Some((self.image(*place)?, *self.labels.get(*place)?)));
        let (pixels, labels): (Vec<&[u8]>, Vec<u8>) = with_labels.unzip();
        Self { size: self.size, pixels: pixels.concat(), labels }
    }

    /// The contents of the two files.
    pub(crate) fn to_files(&self) -> Result<[Vec<u8>; 2]> {
        let count = u32::try_from(self.labels.len())?.to_be_bytes();
        let (rows, columns) = (self.size.0.to_be_bytes(), self.size.1.to_be_bytes());
        let images = [&IMAGES, &count, &rows, &columns, self.pixels.as_slice()].concat();
        Ok([images, [&LABELS, &count, self.labels.as_slice()].concat()])
    }

    /// How many pixels an image has.
    pub(crate) fn pixels_each(&self) -> usize {
        self.pixels.len().checked_div(self.labels.len()).unwrap_or(0)
    }

    /// The grey values, from 0 to 255.
    pub(crate) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The labels, image after image.
    pub(crate) fn labels(&self) -> &[u8] {
        &self.labels
    }

    fn image(&self, place: usize) -> Option<&[u8]> {
        let each = self.pixels_each();
        self.pixels.get(place.checked_mul(each)?..place.checked_add(1)?.checked_mul(each)?)
    }
}

/// A file's content, unpacked if its name ends with `.gz`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let content = || -> io::Result<Vec<u8>> {
        if path.extension().is_none_or(|extension| extension != "gz") {
            return fs::read(path);
        }
        let mut content = Vec::new();
        GzDecoder::new(File::open(path)?).take(MOST_BYTES).read_to_end(&mut content)?;
        Ok(content)
    };
    content().with_context(|| path.display().to_string())
}

/// The dimensions in a file's header, and its bytes, as many as the dimensions say.
fn parts<const DIMENSIONS: usize>(file: &[u8], magic: [u8; 4]) -> Result<([u32; DIMENSIONS], &[u8])> {
    let rest = file.strip_prefix(&magic).with_context(|| format!("expected it to start with {magic:?}"))?;
    let (header, bytes) = rest.split_at_checked(4 * DIMENSIONS).context("it ends within its header")?;
    let (numbers, _) = header.as_chunks::<4>();
    let mut sizes = [0; DIMENSIONS];
    sizes.iter_mut().zip(numbers).for_each(|(size, number)| *size = u32::from_be_bytes(*number));
    let expected = sizes.iter().try_fold(1_u64, |product, size| product.checked_mul(u64::from(*size)));
    ensure!(
        expected == Some(bytes.len() as u64),
        "expected {sizes:?} bytes after the header, found {}",
        bytes.len()
    );
    Ok((sizes, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images of 1 x 3 pixels, written down by hand.
    const IMAGE_FILE: &[u8] = &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 253, 254, 255];
    const LABEL_FILE: &[u8] = &[0, 0, 8, 1, 0, 0, 0, 2, 9, 0];

    #[test]
    fn files_are_read_and_written_as_they_were() {
        let images = Images::parse(IMAGE_FILE, LABEL_FILE).unwrap();
        assert_eq!((images.pixels_each(), images.labels()), (3, &[9, 0][..]));
        assert_eq!(images.to_files().unwrap(), [IMAGE_FILE, LABEL_FILE]);
        let second = images.select(&[1, 2]);
        assert_eq!((second.pixels(), second.labels()), (&[253, 254, 255][..], &[0][..]));
    }

    #[test]
    fn damaged_files_are_refused() {
        let refused =
            |images: &[u8], labels: &[u8]| format!("{:#}", Images::parse(images, labels).unwrap_err());
        assert!(refused(LABEL_FILE, LABEL_FILE).contains("the file of images: expected it to start with"));
        assert!(refused(&IMAGE_FILE[..6], LABEL_FILE).contains("it ends within its header"));
        assert!(refused(&IMAGE_FILE[..21], LABEL_FILE).contains("found 5"));
        let other = |at: usize, value: u8, file: &[u8]| {
            let mut file = file.to_vec();
            file[at] = value;
            file
        };
        assert!(refused(IMAGE_FILE, &other(8, 10, LABEL_FILE)).contains("found 10"));
        assert!(refused(IMAGE_FILE, &[&other(7, 1, LABEL_FILE)[..9]].concat()).contains("as many labels"));
        let huge = [&[0, 0, 8, 3][..], &[255; 12]].concat();
        assert!(refused(&huge, LABEL_FILE).contains("after the header"));
    }
}
