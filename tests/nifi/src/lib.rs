//! A real NiFi for the demo and the tests: assembled from Maven artifacts ([`NifiHome`]), started in a folder of its
//! own ([`Nifi`]), driven over its REST API as a person would drive it in the browser ([`RestClient`]).
//!
//! Everything listens on 127.0.0.1, without login. Processes started here end with the process that started them,
//! unless they are asked for as [`Lifetime::Detached`].

pub mod cache;
mod error;
mod home;
mod instance;
pub mod jdk;
mod maven;
mod nifi;
pub mod process;
pub mod rest;

pub use error::{Error, Result};
pub use home::{AssembleOptions, NifiHome};
pub use nifi::{Nifi, NifiOptions};
pub use process::Lifetime;
pub use rest::RestClient;
