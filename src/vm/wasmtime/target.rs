//! What modules are compiled to: machine code of this processor, or bytecode, which Wasmtime's interpreter runs. For bytecode nothing
//! has to be executable, and no signal tells of traps. All else is the same.

use wasmtime as wt;

use super::code_pages::CodePages;

/// What modules are compiled to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Machine code, which lies there.
    Processor(CodePages),
    /// Bytecode.
    #[cfg(feature = "pulley")]
    Pulley,
}

impl Target {
    /// The name that `wasm_vm` knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Target::Processor(_) => "wasmtime",
            #[cfg(feature = "pulley")]
            Target::Pulley => "pulley",
        }
    }

    /// Whether guests run in an interpreter, on stacks of their own.
    pub fn is_interpreted(self) -> bool {
        !matches!(self, Target::Processor(_))
    }

    /// Has an engine compile to it.
    pub fn configure(self, config: &mut wt::Config) -> wt::Result<()> {
        match self {
            Target::Processor(pages) => pages.configure(config),
            #[cfg(feature = "pulley")]
            Target::Pulley => drop(config.target(PULLEY)?),
        }
        Ok(())
    }
}

/// The bytecode for this machine: addresses and numbers in it are the machine's.
#[cfg(feature = "pulley")]
const PULLEY: &str = match (cfg!(target_pointer_width = "64"), cfg!(target_endian = "little")) {
    (true, true) => "pulley64",
    (true, false) => "pulley64be",
    (false, true) => "pulley32",
    (false, false) => "pulley32be",
};
