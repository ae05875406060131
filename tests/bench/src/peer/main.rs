//! The other processes of `./dev bench`: the local cloud that it measures against, and the floors that it compares
//! with. Each measures itself and prints one JSON object a line.

mod cloud;
mod compress;
mod fan_out;
mod fill;
mod post;
mod read_bare;
mod read_core;
mod read_sdk;
mod rows;
mod trickle;
mod usage;

use clap::{Parser, Subcommand};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// The local cloud, with commands on its standard input; it ends with the input.
    Cloud(cloud::Options),
    /// Reads a stream with the AWS SDK for Rust as it comes.
    ReadSdk(read_sdk::Options),
    /// Reads a stream with an HTTP client and a decoder that borrows.
    ReadBare(read_sdk::Options),
    /// Reads a stream with the connector's core, without NiFi.
    ReadCore(read_sdk::Options),
    /// Compresses ready rows and posts them.
    Post(post::Options),
    /// Writes rows to a file.
    Rows(rows::Options),
    /// Fills the page cache with nothing of use.
    Fill(fill::Options),
    /// Compresses three kinds of rows at several levels.
    Compress,
}

fn main() -> Outcome<()> {
    match Arguments::parse().role {
        Role::Cloud(options) => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(cloud::run(options))
        }
        // One thread, as one task of NiFi's is one.
        Role::ReadSdk(options) => single(read_sdk::run(options)),
        Role::ReadBare(options) => single(read_bare::run(options)),
        Role::ReadCore(options) => read_core::run(&options),
        Role::Post(options) => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(post::run(options))
        }
        Role::Rows(options) => rows::run(&options),
        Role::Fill(options) => fill::run(&options),
        Role::Compress => compress::run(),
    }
}

fn single(work: impl Future<Output = Outcome<()>>) -> Outcome<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
