//! Types between Wasmtime's words and those of this crate. `module.rs` asks for them.

use wasmtime as wt;

use crate::vm::{ExternType, FuncType, ValType};

pub(super) fn extern_type(ty: &wt::ExternType) -> ExternType {
    match ty {
        wt::ExternType::Func(ty) => ExternType::Func(FuncType {
            params: ty.params().map(|ty| val_type(&ty)).collect(),
            results: ty.results().map(|ty| val_type(&ty)).collect(),
        }),
        wt::ExternType::Memory(_) => ExternType::Memory,
        wt::ExternType::Global(_) => ExternType::Other("global"),
        wt::ExternType::Table(_) => ExternType::Other("table"),
        wt::ExternType::Tag(_) => ExternType::Other("tag"),
    }
}

pub(super) fn val_type(ty: &wt::ValType) -> ValType {
    match ty {
        wt::ValType::I32 => ValType::I32,
        wt::ValType::I64 => ValType::I64,
        wt::ValType::F32 => ValType::F32,
        wt::ValType::F64 => ValType::F64,
        _ => ValType::Other,
    }
}

pub(super) fn wasmtime_type(ty: ValType) -> wt::ValType {
    match ty {
        ValType::I64 => wt::ValType::I64,
        ValType::F32 => wt::ValType::F32,
        ValType::F64 => wt::ValType::F64,
        // `Shape::of` refuses what is left.
        ValType::I32 | ValType::Other => wt::ValType::I32,
    }
}
