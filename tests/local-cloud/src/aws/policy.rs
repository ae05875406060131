//! Identity policies: a list of allowed actions on resources. What is not allowed is denied.

/// Actions allowed on resources. Both may contain `*`, which stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// `service:Action`.
    pub actions: Vec<String>,
    /// ARNs.
    pub resources: Vec<String>,
}

/// What an identity may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// One match allows.
    pub statements: Vec<Statement>,
}

/// Actions the connector needs on the stream, on its consumers and on its table.
const STREAM: &[&str] = &[
    "DescribeStream",
    "DescribeStreamConsumer",
    "GetRecords",
    "GetShardIterator",
    "ListShards",
    "RegisterStreamConsumer",
];
const CONSUMER: &[&str] = &["DeregisterStreamConsumer", "DescribeStreamConsumer", "SubscribeToShard"];
const TABLE: &[&str] =
    &["CreateTable", "DeleteTable", "DescribeTable", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"];

impl Policy {
    /// The documented least-privilege policy of the connector for one stream and one application name.
    #[must_use]
    pub fn connector(region: &str, account: &str, stream: &str, application: &str) -> Self {
        let stream = format!("arn:aws:kinesis:{region}:{account}:stream/{stream}");
        let table = format!("arn:aws:dynamodb:{region}:{account}:table/{application}");
        let statement = |service: &str, actions: &[&str], resources: &[String]| Statement {
            actions: actions.iter().map(|action| format!("{service}:{action}")).collect(),
            resources: resources.to_vec(),
        };
        Self {
            statements: vec![
                statement("kinesis", STREAM, std::slice::from_ref(&stream)),
                statement("kinesis", CONSUMER, &[format!("{stream}/consumer/*")]),
                statement("dynamodb", TABLE, &[table.clone(), format!("{table}_migration")]),
            ],
        }
    }

    /// The same policy without one action (`service:Action`) or without a table's statement part.
    #[must_use]
    pub fn without(mut self, action_or_resource: &str) -> Self {
        for statement in &mut self.statements {
            statement.actions.retain(|action| action != action_or_resource);
            statement.resources.retain(|resource| !resource.ends_with(action_or_resource));
        }
        self
    }

    /// Whether the action is allowed on the resource.
    #[must_use]
    pub fn allows(&self, action: &str, resource: &str) -> bool {
        let any = |patterns: &[String], text: &str| patterns.iter().any(|pattern| matches(pattern, text));
        self.statements
            .iter()
            .any(|statement| any(&statement.actions, action) && any(&statement.resources, resource))
    }
}

/// Whether `text` matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connector_policy_allows_its_actions_on_its_resources_only() {
        let policy = Policy::connector("us-west-2", "1", "orders", "app");
        let stream = "arn:aws:kinesis:us-west-2:1:stream/orders";
        let consumer = "arn:aws:kinesis:us-west-2:1:stream/orders/consumer/app:17";
        let table = "arn:aws:dynamodb:us-west-2:1:table/app";
        assert!(policy.allows("kinesis:GetRecords", stream));
        assert!(policy.allows("kinesis:SubscribeToShard", consumer));
        assert!(policy.allows("dynamodb:UpdateItem", table));
        assert!(policy.allows("dynamodb:PutItem", &format!("{table}_migration")));
        assert!(!policy.allows("kinesis:DescribeStreamSummary", stream));
        assert!(!policy.allows("kinesis:GetRecords", &format!("{stream}2")));
        assert!(!policy.allows("kinesis:SubscribeToShard", stream));
        assert!(!policy.allows("dynamodb:DeleteItem", table));
        let reduced = policy.without("_migration").without("dynamodb:DeleteTable");
        assert!(!reduced.allows("dynamodb:PutItem", &format!("{table}_migration")));
        assert!(!reduced.allows("dynamodb:DeleteTable", table));
        assert!(reduced.allows("dynamodb:Scan", table));
    }
}
