//! What the AWS services have in common: one port, signatures, access rules, errors, faults, a journal.

pub(crate) mod cbor;
mod error;
mod faults;
mod front;
mod journal;
mod keys;
mod policy;
mod respond;
mod signature;

pub use error::AwsError;
pub use faults::{Action, EventTrouble, Faults, Rule, RuleId, When};
pub(crate) use front::Front;
pub use journal::{Call, Journal};
pub use keys::AccessKey;
pub(crate) use keys::Keyring;
pub use policy::{Policy, Statement};
