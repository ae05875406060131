//! Window functions: those SQLite has.

use sqlparser::ast::WindowType;

use super::select::direction;
use super::typed::Typed;
use super::{Scope, Translator};
use crate::sql::SqlError;

impl Translator<'_> {
    pub(super) fn window(
        &mut self,
        scope: &Scope<'_>,
        name: &str,
        args: Vec<Typed>,
        star: bool,
        over: &WindowType,
    ) -> Result<Typed, SqlError> {
        let WindowType::WindowSpec(spec) = over else { return Err(SqlError::unsupported("named windows")) };
        let mut window = String::new();
        let mut keys = Vec::new();
        for key in &spec.partition_by {
            keys.push(self.expr(scope, key)?.group_key());
        }
        if !keys.is_empty() {
            window.push_str(&format!("PARTITION BY {}", keys.join(", ")));
        }
        let mut order = Vec::new();
        for item in &spec.order_by {
            order.push(format!("{}{}", self.expr(scope, &item.expr)?.sort_key(), direction(item)?));
        }
        if !order.is_empty() {
            window.push_str(&format!(" ORDER BY {}", order.join(", ")));
        }
        if spec.window_frame.is_some() {
            return Err(SqlError::unsupported("window frames"));
        }
        let first = args.first();
        let list = args.iter().map(|arg| arg.sql.clone()).collect::<Vec<_>>().join(", ");
        let call = match (name, first) {
            ("ROW_NUMBER" | "RANK" | "DENSE_RANK" | "NTILE", _) => {
                Typed::integer(format!("{}({list})", name.to_lowercase()))
            }
            ("COUNT", None) if star => Typed::integer("count(*)"),
            ("COUNT", Some(value)) => Typed::integer(format!("count({})", value.sql)),
            ("LAG" | "LEAD" | "FIRST_VALUE" | "LAST_VALUE" | "MIN" | "MAX", Some(value)) => {
                Typed { sql: format!("{}({list})", name.to_lowercase()), data_type: value.data_type.clone() }
            }
            ("SUM", Some(value)) if value.scale() == 0 && value.is_number() => {
                Typed::integer(format!("sum({list})"))
            }
            ("SUM" | "AVG", Some(value)) => {
                Typed::float(format!("{}({})", name.to_lowercase(), value.clone().into_float()))
            }
            _ => return Err(SqlError::unsupported(format!("{name} as a window function"))),
        };
        Ok(Typed { sql: format!("{} OVER ({window})", call.sql), ..call })
    }
}
