//! Runs the example `mnist` as its reader would, on small images made here: real processes, real TLS, real gzip files.

mod running;

use std::{
    error::Error,
    fs::File,
    io::Write,
    path::Path,
    process::{Command, Output},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

type Outcome = Result<(), Box<dyn Error>>;

/// Rows and columns of an image.
const SIZE: u32 = 5;

fn write(folder: &Path, name: &str, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = GzEncoder::new(File::create(folder.join(format!("{name}.gz")))?, Compression::fast());
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.finish()?.sync_all()
}

/// Images in the four files of MNIST: a digit is where the image is brightest, and the rest is a pattern without sense.
fn images() -> std::io::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for (set, count) in [("train", 400_u32), ("t10k", 100)] {
        let labels: Vec<u8> = (0..count).map(|number| (number * 7 % 10) as u8).collect();
        let pixel = |(label, place): (u8, u32)| {
            if u32::from(label) * 2 == place { 255 } else { (u32::from(label) * 31 + place * 53) as u8 % 128 }
        };
        let places = labels.iter().flat_map(|label| (0..SIZE * SIZE).map(|place| (*label, place)));
        let pixels: Vec<u8> = places.map(pixel).collect();
        let [count, size] = [count, SIZE].map(u32::to_be_bytes);
        let images = format!("{set}-images-idx3-ubyte");
        write(folder.path(), &images, &[&[0, 0, 8, 3], &count, &size, &size, &pixels])?;
        write(folder.path(), &format!("{set}-labels-idx1-ubyte"), &[&[0, 0, 8, 1], &count, &labels])?;
    }
    Ok(folder)
}

fn mnist(data: &Path, arguments: &[&str]) -> Result<Output, Box<dyn Error>> {
    let mut command = Command::new(running::example("mnist")?);
    Ok(command.arg("--data").arg(data).args(arguments).output()?)
}

/// What a run with two participants prints, and what it writes as JSON.
fn trained(data: &Path, arguments: &[&str]) -> Result<(String, Value), Box<dyn Error>> {
    let json = data.join("result.json");
    let file = json.to_string_lossy();
    let all = [&["--unverified", "--participants", "2", "--json", &file], arguments].concat();
    let output = mnist(data, &all)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok((String::from_utf8(output.stdout)?, serde_json::from_slice(&std::fs::read(json)?)?))
}

#[test]
fn two_rounds_learn_and_the_same_seed_ends_with_the_same_model() -> Outcome {
    let data = images()?;
    let run = |seed| {
        let recipe = ["--rounds", "2", "--local-epochs", "3", "--seed", seed, "--compression", "top-k:0.1"];
        Ok::<_, Box<dyn Error>>(trained(data.path(), &recipe)?.1[0].clone())
    };
    let first = run("1")?;
    let accuracy = first["accuracy"].as_f64().ok_or("no accuracy")?;
    assert!(accuracy > 0.9, "{first}");
    assert_eq!(first["rounds"].as_array().map(Vec::len), Some(2));
    assert!(first["model_digest"].as_str().is_some_and(|digest| digest.len() == 64), "{first}");
    assert_eq!(first["model_digest"], run("1")?["model_digest"]);
    assert_ne!(first["model_digest"], run("2")?["model_digest"]);
    Ok(())
}

#[test]
fn encodings_are_compared_in_a_table() -> Outcome {
    let data = images()?;
    let arguments = ["--rounds", "1", "--partition", "shards", "--compare", "f32,int8,top-k:0.01"];
    let (table, json) = trained(data.path(), &arguments)?;
    let shares: Vec<f64> = table
        .lines()
        .skip(2)
        .filter_map(|row| row.trim_end_matches(" |").rsplit_once("| ")?.1.parse().ok())
        .collect();
    let [plain, int8, top_k] = shares[..] else {
        return Err(format!("three rows expected:\n{table}").into());
    };
    assert_eq!(plain, 100.0);
    assert!(int8 <= 26.0 && top_k <= 3.0, "{table}");
    assert_eq!(json.as_array().map(Vec::len), Some(3));
    Ok(())
}

#[test]
fn a_folder_without_mnist_says_which_files_are_missing_and_where_they_are() -> Outcome {
    let folder = tempfile::tempdir()?;
    let said = |folder: &Path| -> Result<String, Box<dyn Error>> {
        let output = mnist(folder, &[])?;
        assert!(!output.status.success());
        Ok(String::from_utf8(output.stderr)?)
    };
    let empty = said(folder.path())?;
    for part in ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "https://", "--data"] {
        assert!(empty.contains(part), "{empty}");
    }
    let other = said(images()?.path())?;
    assert!(other.contains("expected the SHA-256 ba891046") && other.contains("--unverified"), "{other}");
    Ok(())
}
