use anyhow::{Context, Result, ensure};
use federated_core::privacy::secagg::shamir::{evaluate, interpolate};

use super::{
    difference::{bytes, equal, equal_hex},
    schema,
};

/// Makes the shares from the file's coefficients, and the secret from as many of the shares as it takes.
pub(super) fn check_split(file: &schema::Split, at: &str) -> Result<()> {
    equal(&format!("{at}.polynomial"), &file.polynomial, &"0x11B".to_owned())?;
    equal(&format!("{at}.threshold"), &file.threshold, &(file.coefficients.len() + 1))?;
    let secret = bytes(&format!("{at}.secret"), &file.secret)?;
    let mut polynomial = vec![secret];
    for (nth, coefficient) in file.coefficients.iter().enumerate() {
        polynomial.push(bytes(&format!("{at}.coefficients[{nth}]"), coefficient)?);
    }
    let polynomial: Vec<&[u8]> = polynomial.iter().map(Vec::as_slice).collect();
    let mut value = vec![0; polynomial[0].len()];
    for (nth, share) in file.shares.iter().enumerate() {
        evaluate(&polynomial, share.x, &mut value).with_context(|| format!("{at}.coefficients"))?;
        equal_hex(&format!("{at}.shares[{nth}].y"), &share.y, &value)?;
    }
    check_secret(&file.shares, file.threshold, &file.secret, at)
}

/// Makes the secret from the shares.
pub(super) fn check_published(file: &schema::Published, at: &str) -> Result<()> {
    ensure!(file.shares.len() >= file.threshold, "{at}.shares: expected at least {}", file.threshold);
    check_secret(&file.shares, file.threshold, &file.secret, at)
}

/// Every `threshold` shares that follow one another, beginning with each of them, must give the secret.
fn check_secret(shares: &[schema::Share], threshold: usize, secret: &str, at: &str) -> Result<()> {
    let mut points = Vec::new();
    for (nth, share) in shares.iter().enumerate() {
        points.push((share.x, bytes(&format!("{at}.shares[{nth}].y"), &share.y)?));
    }
    let mut made = vec![0; bytes(&format!("{at}.secret"), secret)?.len()];
    for first in (0..points.len()).filter(|_| threshold <= points.len()) {
        let chosen = points.iter().cycle().skip(first).take(threshold);
        let chosen: Vec<(u8, &[u8])> = chosen.map(|(x, share)| (*x, share.as_slice())).collect();
        interpolate(&chosen, 0, &mut made).with_context(|| format!("{at}.shares"))?;
        equal_hex(&format!("{at}.secret"), secret, &made)?;
    }
    Ok(())
}
