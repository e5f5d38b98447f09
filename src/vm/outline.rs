//! What a module imports and exports, read without compiling it: so that `supply` finds mistakes before the compiler takes its time.
//! Both engines ask here; what they say of a compiled module is the same, which a test and a fuzz target look after.

use wasmparser::{
    BinaryReaderError, CompositeInnerType, Encoding, ExternalKind, Parser, Payload, SubType, TypeRef, ValType as Wasm,
};

use super::{Export, ExternType, FuncType, Import, Outline, ValType};

/// The outline of a binary module, or of text in the WAT format. `None`: only the compiler can tell, mostly because it is broken.
pub(super) fn outline(bytes: &[u8]) -> Option<Outline> {
    let binary = wat::parse_bytes(bytes).ok()?;
    read(&binary).ok().flatten()
}

/// What the functions of a module are.
#[derive(Default)]
struct Functions {
    /// The types of the module; `None` is one that functions do not have.
    types: Vec<Option<FuncType>>,
    /// Of each function the number of its type, those first that are imported.
    own: Vec<u32>,
}

impl Functions {
    /// The type with this number.
    fn ty(&self, number: u32) -> Option<ExternType> {
        self.types.get(number as usize)?.clone().map(ExternType::Func)
    }
}

fn read(bytes: &[u8]) -> Result<Option<Outline>, BinaryReaderError> {
    let mut outline = Outline::default();
    let mut functions = Functions::default();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { encoding: Encoding::Component, .. } => return Ok(None),
            Payload::TypeSection(section) => {
                for group in section {
                    functions.types.extend(group?.into_types().map(|ty| func_type(&ty)));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let Some(ty) = imported(import.ty, &mut functions) else { return Ok(None) };
                    outline.imports.push(Import { module: import.module.into(), name: import.name.into(), ty });
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    functions.own.push(ty?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let Some(ty) = exported(export.kind, export.index, &functions) else { return Ok(None) };
                    outline.exports.push(Export { name: export.name.into(), ty });
                }
            }
            // Nothing of it stands behind the code.
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    Ok(Some(outline))
}

fn imported(ty: TypeRef, functions: &mut Functions) -> Option<ExternType> {
    Some(match ty {
        TypeRef::Func(number) | TypeRef::FuncExact(number) => {
            functions.own.push(number);
            functions.ty(number)?
        }
        TypeRef::Memory(_) => ExternType::Memory,
        TypeRef::Global(_) => ExternType::Other("global"),
        TypeRef::Table(_) => ExternType::Other("table"),
        TypeRef::Tag(_) => ExternType::Other("tag"),
    })
}

fn exported(kind: ExternalKind, index: u32, functions: &Functions) -> Option<ExternType> {
    Some(match kind {
        ExternalKind::Func | ExternalKind::FuncExact => functions.ty(*functions.own.get(index as usize)?)?,
        ExternalKind::Memory => ExternType::Memory,
        ExternalKind::Global => ExternType::Other("global"),
        ExternalKind::Table => ExternType::Other("table"),
        ExternalKind::Tag => ExternType::Other("tag"),
    })
}

fn func_type(ty: &SubType) -> Option<FuncType> {
    let CompositeInnerType::Func(ty) = &ty.composite_type.inner else { return None };
    let types = |types: &[Wasm]| types.iter().map(val_type).collect();
    Some(FuncType { params: types(ty.params()), results: types(ty.results()) })
}

fn val_type(ty: &Wasm) -> ValType {
    match ty {
        Wasm::I32 => ValType::I32,
        Wasm::I64 => ValType::I64,
        Wasm::F32 => ValType::F32,
        Wasm::F64 => ValType::F64,
        _ => ValType::Other,
    }
}
