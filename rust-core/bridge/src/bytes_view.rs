//! Rust's bytes as Java's: the same eight bits, unsigned here and signed there.

/// A view for copying out of Rust.
pub(crate) fn signed(bytes: &[u8]) -> &[i8] {
    // SAFETY: u8 and i8 have the same size and alignment, every bit pattern is valid for both, and the view borrows
    // `bytes` for its whole life.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// A view for copying into Rust.
pub(crate) fn signed_mut(bytes: &mut [u8]) -> &mut [i8] {
    // SAFETY: as in `signed`; the view borrows `bytes` mutably, so it is the only one.
    unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_stay_the_same() {
        let mut bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(signed(&bytes)[255], -1);
        assert_eq!(signed(&bytes)[127], 127);
        signed_mut(&mut bytes)[0] = -128;
        assert_eq!(bytes[0], 128);
        assert!(signed(&[]).is_empty());
    }
}
