//! Arguments of host functions.

/// The first `N` arguments as the 32-bit numbers that they are.
pub(crate) fn args<const N: usize>(args: &[u64]) -> [u32; N] {
    std::array::from_fn(|n| args.get(n).copied().unwrap_or_default() as u32)
}
