//! Looks at a module before it is compiled: whether its instances can be put back to an image of one, and how. The engine reaches
//! what is exported only, so a module gets an export for each global that can change. `mod.rs` calls this; nothing but the section
//! of exports is written anew, so that functions, and what debug information says of places in code, are where they were.

use std::borrow::Cow;
use std::ops::Range;

use wasmparser::{
    BinaryReaderError, Encoding, ExternalKind, GlobalType, MemoryType, Operator, Parser, Payload, TypeRef, ValType,
};

use crate::vm::sections::{self, write_number};

/// What the names of the exports begin with that are added; the number of the global follows, counted among those that can change.
pub(super) const GLOBAL: &str = "ngx-wasm:mutable-global:";

/// Compilers make a handful. With each one it takes longer to put an instance back.
const MOST_GLOBALS: usize = 256;

/// The numbers of sections, and of what is exported.
const EXPORT_SECTION: u8 = 7;
const GLOBAL_EXPORT: u8 = 3;

/// A module that is to be compiled.
pub(super) struct Instrumented<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// Why its instances cannot be put back.
    pub refusal: Option<String>,
}

/// Adds what is needed to put instances back, if they can be.
pub(super) fn instrument(bytes: &[u8]) -> Instrumented<'_> {
    let found = match look_at(bytes) {
        Ok(found) => found,
        // The compiler says it better.
        Err(err) => return Instrumented { bytes: bytes.into(), refusal: Some(format!("it cannot be read: {err}")) },
    };
    if let Some(refusal) = found.refusal() {
        return Instrumented { bytes: bytes.into(), refusal: Some(refusal) };
    }
    let bytes = if found.globals.is_empty() { bytes.into() } else { found.with_exports(bytes).into() };
    Instrumented { bytes, refusal: None }
}

/// What matters of a module.
#[derive(Default)]
struct Found {
    /// What keeps its instances from being put back, that which was found first.
    obstacle: Option<String>,
    imported_globals: u32,
    /// The numbers of those that can change.
    globals: Vec<u32>,
    memories: u32,
    exports_memory: bool,
    exports: Option<Exports>,
    /// Where the section of exports would be, if there were one.
    place: usize,
}

/// The section of exports.
struct Exports {
    /// With its head.
    section: Range<usize>,
    count: u32,
    /// Behind the count.
    entries: Range<usize>,
}

fn look_at(bytes: &[u8]) -> Result<Found, BinaryReaderError> {
    let mut found = Found::default();
    let mut globals = 0;
    // Behind the section before.
    let mut end = 8;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::Version { encoding: Encoding::Component, .. } => found.obstacle("it is a component"),
            // What such types are of is neither in memory nor in globals, and changes.
            Payload::TypeSection(section) if section.clone().into_iter_err_on_gc_types().any(|ty| ty.is_err()) => {
                found.obstacle("it has types that are collected as garbage");
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    found.import(import?.ty);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    found.memory(memory?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section.clone() {
                    found.global(globals, global?.ty);
                    globals += 1;
                }
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    found.exports_memory |= export.name == "memory" && export.kind == ExternalKind::Memory;
                    if export.name.starts_with(GLOBAL) {
                        found.obstacle(format!("its export \"{}\" has a name that this host gives", export.name));
                    }
                }
                let entries = section.original_position()..section.range().end;
                found.exports = Some(Exports { section: end..section.range().end, count: section.count(), entries });
            }
            Payload::CodeSectionEntry(body) if found.obstacle.is_none() => {
                let mut operators = body.get_operators_reader()?;
                while !operators.eof() {
                    found.operator(&operators.read()?);
                }
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            // Sections of other numbers come behind that of the exports, but those of users, and tags.
            if found.place == 0 && matches!(id, 8..=12) {
                found.place = end;
            }
            end = range.end;
        }
    }
    if found.place == 0 {
        found.place = end;
    }
    Ok(found)
}

impl Found {
    fn obstacle(&mut self, what: impl Into<String>) {
        if self.obstacle.is_none() {
            self.obstacle = Some(what.into());
        }
    }

    fn import(&mut self, ty: TypeRef) {
        match ty {
            TypeRef::Global(ty) => {
                self.imported_globals += 1;
                if ty.mutable {
                    self.obstacle("it imports a global that can change");
                }
            }
            TypeRef::Memory(_) => self.obstacle("it imports a memory"),
            TypeRef::Table(_) => self.obstacle("it imports a table"),
            TypeRef::Func(_) | TypeRef::FuncExact(_) | TypeRef::Tag(_) => {}
        }
    }

    fn memory(&mut self, ty: MemoryType) {
        self.memories += 1;
        if ty.shared {
            self.obstacle("its memory is shared by threads");
        }
        if self.memories > 1 {
            self.obstacle("it has more than one memory");
        }
    }

    /// Number `n` of those that it does not import.
    fn global(&mut self, n: u32, ty: GlobalType) {
        if !ty.mutable {
            return;
        }
        if ty.shared || matches!(ty.content_type, ValType::Ref(_)) {
            self.obstacle("it has a global that is a reference, and can change");
        }
        if self.globals.len() == MOST_GLOBALS {
            self.obstacle(format!("it has more than {MOST_GLOBALS} globals that can change"));
        } else {
            self.globals.push(self.imported_globals + n);
        }
    }

    fn operator(&mut self, operator: &Operator<'_>) {
        let name = match operator {
            Operator::TableSet { .. } => "table.set",
            Operator::TableGrow { .. } => "table.grow",
            Operator::TableFill { .. } => "table.fill",
            Operator::TableCopy { .. } => "table.copy",
            Operator::TableInit { .. } => "table.init",
            Operator::ElemDrop { .. } => "elem.drop",
            Operator::DataDrop { .. } => "data.drop",
            _ => return,
        };
        self.obstacle(format!("its code changes tables or segments ({name})"));
    }

    fn refusal(&self) -> Option<String> {
        if let Some(obstacle) = &self.obstacle {
            return Some(obstacle.clone());
        }
        let is_hidden = self.memories > 0 && !self.exports_memory;
        is_hidden.then(|| "its memory is not exported as \"memory\"".to_owned())
    }

    /// The module with exports for its globals.
    fn with_exports(&self, bytes: &[u8]) -> Vec<u8> {
        let none = Exports { section: self.place..self.place, count: 0, entries: 0..0 };
        let exports = self.exports.as_ref().unwrap_or(&none);
        let mut content = Vec::with_capacity(exports.entries.len() + self.globals.len() * (GLOBAL.len() + 8));
        write_number(&mut content, u64::from(exports.count) + self.globals.len() as u64);
        content.extend_from_slice(&bytes[exports.entries.clone()]);
        for (n, global) in self.globals.iter().enumerate() {
            let name = global_name(n);
            write_number(&mut content, name.len() as u64);
            content.extend_from_slice(name.as_bytes());
            content.push(GLOBAL_EXPORT);
            write_number(&mut content, u64::from(*global));
        }
        sections::replace(bytes, exports.section.clone(), EXPORT_SECTION, &content)
    }
}

/// The name of the export of global number `n` of those that can change.
pub(super) fn global_name(n: usize) -> String {
    format!("{GLOBAL}{n}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The engine refuses such modules today; it must not be what keeps them from being put back.
    #[test]
    fn what_is_collected_as_garbage_is_not_put_back() {
        for types in
            ["(type (struct (field (mut i32))))", "(type (array (mut i32)))", "(rec (type (func)) (type (struct)))"]
        {
            let module = wat::parse_str(format!("(module {types} (memory (export \"memory\") 1))")).unwrap();
            let refusal = instrument(&module).refusal;
            assert_eq!(refusal.as_deref(), Some("it has types that are collected as garbage"), "{types}");
        }
        let module = wat::parse_str("(module (type (func (param i32))) (memory (export \"memory\") 1))").unwrap();
        assert_eq!(instrument(&module).refusal, None);
    }
}
