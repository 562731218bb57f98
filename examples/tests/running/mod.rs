//! Where the examples are that cargo builds with the tests.

use std::{error::Error, path::PathBuf};

/// The program of an example: `target/PROFILE/examples/NAME`.
pub fn example(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let test = std::env::current_exe()?;
    let profile = test.parent().and_then(|deps| deps.parent()).ok_or("the test lies in no target folder")?;
    Ok(profile.join("examples").join(name))
}
