use ring::hmac;
use zeroize::Zeroizing;

/// Bytes of a SHA-256 digest.
const BLOCK: usize = 32;

/// HKDF with SHA-256: `N` bytes that look random to everyone without `secret`, other ones for every `salt` and `info`.
/// The parts of `info` are put one after another. That `N` is at most 8,160 is checked when this is compiled.
///
/// # References
/// RFC 5869, sections 2.2 and 2.3.
#[must_use]
pub fn hkdf_sha256<const N: usize>(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * BLOCK, "HKDF gives at most 255 digests") };
    let extract = hmac::Key::new(hmac::HMAC_SHA256, salt);
    let expand = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&extract, secret).as_ref());
    let mut output = Zeroizing::new([0; N]);
    let mut previous: Option<hmac::Tag> = None;
    for (counter, block) in (1..=u8::MAX).zip(output.chunks_mut(BLOCK)) {
        let mut context = hmac::Context::with_key(&expand);
        context.update(previous.as_ref().map_or(&[], hmac::Tag::as_ref));
        info.iter().for_each(|part| context.update(part));
        context.update(&[counter]);
        let tag = context.sign();
        block.iter_mut().zip(tag.as_ref()).for_each(|(byte, made)| *byte = *made);
        previous = Some(tag);
    }
    output
}
