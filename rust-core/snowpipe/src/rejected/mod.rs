//! Which rows the service rejected, one by one.
//!
//! The service counts rejected rows and names the append of the last one. The table's error table holds the rows themselves:
//! when it has as many of a channel's as were counted, these are they, and their offset tokens lead to them in the content
//! of their FlowFile, which is read once more. Whenever this does not work out, nothing is claimed: the rows of the
//! appends that may hold them stay what is known.

mod case;
mod examiner;
mod explain;
mod query;
mod scan;

pub(crate) use case::{Case, Exam, Fallback, Told};
pub(crate) use examiner::Examiner;
pub(crate) use query::{Source, error_query};
