//! Loopback ports: accepting, serving HTTP/1.1 and HTTP/2, cutting connections.

mod connections;
mod listener;
mod tls;

pub(crate) use connections::Connection;
pub use connections::CutPlan;
pub(crate) use listener::{Port, bind};
pub(crate) use tls::{TlsError, acceptor, http1_only, user_key};
