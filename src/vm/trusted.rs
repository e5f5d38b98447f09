//! Machine code that may run.

/// Compiled code of which is certain who made it: an engine of this process, or one whose code a cache has kept and checked.
/// Nothing else makes a value of this type. [`Engine::load`](super::Engine::load) takes it as the proof that the code may run.
pub struct TrustedCode {
    content: Vec<u8>,
    start: usize,
}

impl TrustedCode {
    /// What is in `content` from `start` on. Whoever calls this knows who made it: the compile cache alone does.
    pub(crate) fn of_checked(content: Vec<u8>, start: usize) -> TrustedCode {
        TrustedCode { content, start }
    }

    /// Whatever a test says.
    #[cfg(test)]
    pub(crate) fn of_test(bytes: &[u8]) -> TrustedCode {
        TrustedCode { content: bytes.to_vec(), start: 0 }
    }

    /// What [`Module::serialize`](super::Module::serialize) gave.
    pub fn bytes(&self) -> &[u8] {
        self.content.get(self.start..).unwrap_or_default()
    }
}
