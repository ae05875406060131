//! A real NiFi for the demo and the tests: assembled from Maven artifacts ([`NifiHome`]), started in a folder of its
//! own ([`Nifi`]), driven over its REST API as a person would drive it in the browser ([`RestClient`]).
//!
//! Around it, what a user of the connector does: [`Connector`] imports the flow definition and fills in its
//! parameters, [`producer`] puts records onto a stream, [`SqlClient`] asks the table, [`audit`] compares the two.
//!
//! Everything listens on 127.0.0.1, without login. Processes started here end with the process that started them,
//! unless they are asked for as [`Lifetime::Detached`].

pub mod audit;
pub mod cache;
mod connector;
mod endpoints;
mod error;
mod home;
mod instance;
pub mod jdk;
mod maven;
mod nifi;
pub mod process;
pub mod producer;
mod reshard;
pub mod rest;
mod shape;
pub mod soak;
mod sql;

pub use connector::{Connector, Settings};
pub use endpoints::Endpoints;
pub use error::{Error, Result};
pub use home::{AssembleOptions, NifiHome};
pub use nifi::{Nifi, NifiOptions};
pub use process::Lifetime;
pub use rest::RestClient;
pub use shape::Shape;
pub use sql::{ResultSet, SqlClient};
