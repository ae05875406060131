//! Assembles an UpdateItem: update expression, condition and values.

use crate::item::Item;
use aws_sdk_dynamodb::types::AttributeValue;

/// One UpdateItem in the making. Values are named after their attribute.
#[derive(Default)]
pub(crate) struct Update {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    conditions: Vec<String>,
    values: Item,
}

impl Update {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// `SET name = :name`
    pub(crate) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        self.set.push(format!("{name} = :{name}"));
        self.value(name, value)
    }

    /// `SET name = if_not_exists(name, :name)`
    pub(crate) fn set_once(mut self, name: &str, value: AttributeValue) -> Self {
        self.set.push(format!("{name} = if_not_exists({name}, :{name})"));
        self.value(name, value)
    }

    /// `REMOVE name`
    pub(crate) fn remove(mut self, name: &str) -> Self {
        self.remove.push(name.to_owned());
        self
    }

    /// `ADD name :name`
    pub(crate) fn add(mut self, name: &str, value: AttributeValue) -> Self {
        self.add.push(format!("{name} :{name}"));
        self.value(name, value)
    }

    /// Another condition that must hold.
    pub(crate) fn when(mut self, condition: &str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    /// Defines `:name`.
    pub(crate) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(format!(":{name}"), value);
        self
    }

    /// Another condition: these attributes are exactly as they were seen; `None` was absent.
    pub(crate) fn when_seen<const N: usize>(self, fields: [(&str, Option<AttributeValue>); N]) -> Self {
        fields.into_iter().fold(self, |update, (name, value)| match value {
            Some(value) => {
                update.value(&format!("seen_{name}"), value).when(&format!("{name} = :seen_{name}"))
            }
            None => update.when(&format!("attribute_not_exists({name})")),
        })
    }

    /// Update expression, condition expression and values.
    pub(crate) fn parts(self) -> (String, Option<String>, Item) {
        let clauses = [("SET", self.set), ("REMOVE", self.remove), ("ADD", self.add)];
        let written = clauses.into_iter().filter(|(_, list)| !list.is_empty());
        let expression: Vec<String> =
            written.map(|(word, list)| format!("{word} {}", list.join(", "))).collect();
        let condition = (!self.conditions.is_empty()).then(|| self.conditions.join(" AND "));
        (expression.join(" "), condition, self.values)
    }
}
