use super::{DistributedError, error::positive};

/// How many standard deviations of a coordinate of the sum the modulus holds on either side, for a probability of
/// 1e-4 of wrapping around.
pub const WRAP_MARGIN: f64 = 3.89;

/// How many steps a unit of the values is cut into (`s`): the finest at which the sum of `participants` vectors fits
/// a modulus of so many bits.
///
/// `s = sqrt(4^b - n k^2) / (2 k sqrt(c^2 n^2 / d + n s_l^2))`, for vectors clipped to `norm`, spread evenly over
/// `block` coordinates by a [`Rotation`](super::Rotation) (give its block, as one block may hold the whole vector),
/// shares of noise of standard deviation `share`, and `k` standard deviations of margin. `norm` and `share` are in
/// units of the values.
///
/// # Errors
/// [`DistributedError::NotPositive`]; [`DistributedError::Modulus`] when rounding alone fills the modulus.
pub fn scale(
    bits: u32,
    participants: u32,
    norm: f64,
    block: u32,
    share: f64,
    margin: f64,
) -> Result<f64, DistributedError> {
    let (n, k) = (f64::from(participants), positive("a margin", margin)?);
    positive("a block", f64::from(block))?;
    positive("participants", n)?;
    let coordinate = positive("a norm", norm)?.powi(2) * n * n / f64::from(block)
        + n * positive("a share of noise", share)?.powi(2);
    let room = 4.0_f64.powi(bits.min(64).cast_signed()) - n * k * k;
    if room <= 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of bits")]
        let least_bits = (n * k * k).log2().div_euclid(2.0) as u32;
        return Err(DistributedError::Modulus { least_bits, bits, participants });
    }
    Ok(room.sqrt() / (2.0 * k * coordinate.sqrt()))
}
