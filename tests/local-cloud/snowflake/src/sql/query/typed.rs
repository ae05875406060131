//! Translated expressions with their Snowflake type.

use crate::catalog::{DataType, Zone};

/// SQL for SQLite and the type of its value; no type for NULL and for what is not known.
#[derive(Clone, Debug)]
pub(in crate::sql) struct Typed {
    pub(in crate::sql) sql: String,
    pub(in crate::sql) data_type: Option<DataType>,
}

/// Text as an SQL literal.
pub(in crate::sql) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Typed {
    pub(super) fn new(sql: impl Into<String>, data_type: DataType) -> Self {
        Typed { sql: sql.into(), data_type: Some(data_type) }
    }

    pub(super) fn null() -> Self {
        Typed { sql: "NULL".into(), data_type: None }
    }

    pub(super) fn integer(sql: impl Into<String>) -> Self {
        Typed::new(sql, DataType::INTEGER)
    }

    pub(super) fn float(sql: impl Into<String>) -> Self {
        Typed::new(sql, DataType::Float)
    }

    pub(super) fn text(sql: impl Into<String>) -> Self {
        Typed::new(sql, DataType::TEXT)
    }

    pub(super) fn boolean(sql: impl Into<String>) -> Self {
        Typed::new(sql, DataType::Boolean)
    }

    pub(super) fn variant(sql: impl Into<String>) -> Self {
        Typed::new(sql, DataType::Variant)
    }

    /// The type, VARCHAR when there is none.
    pub(super) fn type_or_text(&self) -> DataType {
        self.data_type.clone().unwrap_or(DataType::TEXT)
    }

    /// The type's name as an SQL literal.
    pub(super) fn type_literal(&self) -> String {
        literal(&self.type_or_text().to_string())
    }

    pub(super) fn is_variant(&self) -> bool {
        self.data_type.as_ref().is_some_and(DataType::is_semi_structured)
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.data_type, Some(DataType::Number { .. }))
    }

    pub(super) fn is_float(&self) -> bool {
        matches!(self.data_type, Some(DataType::Float))
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.data_type, Some(DataType::Varchar(_)))
    }

    pub(super) fn is_temporal(&self) -> bool {
        matches!(self.data_type, Some(DataType::Date | DataType::Time(_) | DataType::Timestamp(..)))
    }

    /// Fraction digits of a NUMBER, 0 for anything else.
    pub(super) fn scale(&self) -> u8 {
        match self.data_type {
            Some(DataType::Number { scale, .. }) => scale,
            _ => 0,
        }
    }

    /// Converted to another type as a cast written in SQL does.
    pub(super) fn cast(self, to: &DataType) -> Typed {
        self.converted("sf_cast", to)
    }

    /// Converted, NULL when that fails.
    pub(super) fn try_cast(self, to: &DataType) -> Typed {
        self.converted("sf_try_cast", to)
    }

    /// Converted to be stored in a column.
    pub(in crate::sql) fn stored_as(self, to: &DataType) -> Typed {
        self.converted("sf_store", to)
    }

    fn converted(self, function: &str, to: &DataType) -> Typed {
        match &self.data_type {
            None => Typed { data_type: Some(to.clone()), ..self },
            Some(from) if from == to => self,
            Some(from) => {
                let (from, to_text) = (literal(&from.to_string()), literal(&to.to_string()));
                Typed::new(format!("{function}({}, {from}, {to_text})", self.sql), to.clone())
            }
        }
    }

    /// As a condition: 1, 0 or NULL.
    pub(in crate::sql) fn condition(self) -> String {
        match self.data_type {
            None | Some(DataType::Boolean) => self.sql,
            Some(_) => self.cast(&DataType::Boolean).sql,
        }
    }

    /// As plain text.
    pub(super) fn into_text(self) -> String {
        match self.data_type {
            None | Some(DataType::Varchar(_)) => self.sql,
            Some(_) => self.cast(&DataType::TEXT).sql,
        }
    }

    /// As a stored NUMBER of any scale.
    pub(super) fn into_number(self) -> String {
        match self.data_type {
            None | Some(DataType::Number { .. }) => self.sql,
            // Twelve digits after the point is the most that arithmetic keeps.
            Some(_) => self.cast(&DataType::Number { precision: 38, scale: 12 }).sql,
        }
    }

    /// As a floating-point number.
    pub(super) fn into_float(self) -> String {
        match self.data_type {
            None | Some(DataType::Float) => self.sql,
            Some(DataType::Number { .. }) => format!("sf_real({})", self.sql),
            Some(_) => self.cast(&DataType::Float).sql,
        }
    }

    /// As something that sorts and groups like the value does in Snowflake.
    pub(super) fn sort_key(self) -> String {
        match &self.data_type {
            Some(DataType::Number { .. }) => format!("sf_key({})", self.sql),
            Some(data_type) if data_type.is_semi_structured() => {
                format!("sf_key(sf_canonical({}))", self.sql)
            }
            _ => self.sql,
        }
    }

    /// As something that is equal exactly when the values are.
    pub(super) fn group_key(self) -> String {
        if self.is_variant() { format!("sf_canonical({})", self.sql) } else { self.sql }
    }
}

/// The type that values of both types have in common, as in CASE and UNION.
pub(super) fn common(a: Option<&DataType>, b: Option<&DataType>) -> Option<DataType> {
    let (a, b) = match (a, b) {
        (None, other) | (other, None) => return other.cloned(),
        (Some(a), Some(b)) => (a, b),
    };
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (DataType::Number { scale: a, .. }, DataType::Number { scale: b, .. }) => {
            DataType::Number { precision: 38, scale: *a.max(b) }
        }
        (DataType::Varchar(a), DataType::Varchar(b)) => DataType::Varchar(*a.max(b)),
        (a, b) if a.is_semi_structured() || b.is_semi_structured() => DataType::Variant,
        (DataType::Float, DataType::Number { .. }) | (DataType::Number { .. }, DataType::Float) => {
            DataType::Float
        }
        (DataType::Varchar(_), other) | (other, DataType::Varchar(_)) => other.clone(),
        (DataType::Date, DataType::Timestamp(..)) => b.clone(),
        (DataType::Timestamp(..), DataType::Date) => a.clone(),
        (DataType::Timestamp(Zone::Stored, _), _) => a.clone(),
        (_, DataType::Timestamp(Zone::Stored, _)) => b.clone(),
        (DataType::Timestamp(Zone::Local, _), _) | (_, DataType::Timestamp(Zone::Local, _)) => DataType::LTZ,
        (DataType::Timestamp(..), DataType::Timestamp(..)) => DataType::NTZ,
        (DataType::Time(_), DataType::Time(_)) => DataType::Time(9),
        _ => DataType::TEXT,
    })
}
