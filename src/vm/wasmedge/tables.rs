//! Tables, which WasmEdge lets grow as far as the system has memory: before a module is compiled its tables get the cap that they do
//! not have. Nothing else is written anew, so that functions are where they were.

use std::borrow::Cow;
use std::ops::Range;

use wasmparser::{BinaryReaderError, Parser, Payload, RefType, TableInit, TableType};

use crate::vm::sections::{self, write_number};

/// Compilers make one table, of the functions that are called through pointers: some ten thousand in large Go programs.
const MAX_TABLES: usize = 8;
const MAX_ELEMENTS: u64 = 1 << 20;

const TABLE_SECTION: u8 = 4;

/// The module with a cap for each of its tables. The error says why it has none.
pub fn capped(module: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    // What cannot be read was refused before, or has no tables that this module could have.
    let Ok(Some(found)) = find(module) else { return Ok(module.into()) };
    if found.types.len() > MAX_TABLES {
        return Err(format!("it has {} tables, and may have {MAX_TABLES}", found.types.len()));
    }
    if let Some(large) = found.types.iter().find(|ty| ty.initial > MAX_ELEMENTS) {
        return Err(format!("it has a table of {} elements, and may have {MAX_ELEMENTS}", large.initial));
    }
    let mut content = Vec::new();
    write_number(&mut content, found.types.len() as u64);
    for ty in &found.types {
        content.push(if ty.element_type == RefType::EXTERNREF { 0x6f } else { 0x70 });
        content.push(1);
        write_number(&mut content, ty.initial);
        write_number(&mut content, ty.maximum.unwrap_or(MAX_ELEMENTS).min(MAX_ELEMENTS));
    }
    Ok(sections::replace(module, found.section, TABLE_SECTION, &content).into())
}

/// The section of tables.
struct Tables {
    /// With its head.
    section: Range<usize>,
    types: Vec<TableType>,
}

fn find(module: &[u8]) -> Result<Option<Tables>, BinaryReaderError> {
    // Behind the section before.
    let mut end = 8;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::TableSection(section) = &payload {
            let mut types = Vec::new();
            for table in section.clone() {
                let table = table?;
                let is_plain = [RefType::FUNCREF, RefType::EXTERNREF].contains(&table.ty.element_type);
                if !is_plain || table.ty.table64 || table.ty.shared || !matches!(table.init, TableInit::RefNull) {
                    return Ok(None);
                }
                types.push(table.ty);
            }
            return Ok(Some(Tables { section: end..section.range().end, types }));
        }
        if let Some((_, range)) = payload.as_section() {
            end = range.end;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(wat: &str) -> Vec<(u64, Option<u64>)> {
        let module = wat::parse_str(wat).unwrap();
        let capped = capped(&module).unwrap();
        let found = find(&capped).unwrap();
        found.map_or(Vec::new(), |found| found.types.iter().map(|ty| (ty.initial, ty.maximum)).collect())
    }

    #[test]
    fn each_table_has_a_cap() {
        let wat =
            "(module (type (func)) (table 1 funcref) (table 200 300 externref) (table 2 0x7fffffff funcref) (memory 1)
            (elem (i32.const 0) $f) (func $f))";
        assert_eq!(types(wat), [(1, Some(MAX_ELEMENTS)), (200, Some(300)), (2, Some(MAX_ELEMENTS))]);
        assert!(types("(module (memory 1))").is_empty());
    }

    #[test]
    fn too_many_and_too_large_ones_are_refused() {
        let refused = |body: &str| capped(&wat::parse_str(format!("(module {body})")).unwrap()).unwrap_err();
        assert!(refused(&"(table 1 funcref)".repeat(9)).contains("9 tables"));
        assert!(refused("(table 0x7fffffff funcref)").contains("2147483647 elements"));
    }
}
