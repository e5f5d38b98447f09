//! Counters, gauges and histograms.

use super::{Row, Run};

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_define_metric", types: &[("iiii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_increment_metric", types: &[("iI", "i")], run: Run::Unimplemented },
    Row { name: "proxy_record_metric", types: &[("iI", "i")], run: Run::Unimplemented },
    Row { name: "proxy_get_metric", types: &[("ii", "i")], run: Run::Unimplemented },
];
