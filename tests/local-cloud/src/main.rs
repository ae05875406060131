//! The local cloud as a program.

mod snowflake_flags;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use local_cloud::{Endpoints, Limits, LocalCloud, Options, Transport, sql};

use snowflake_flags::SnowflakeFlags;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Kinesis, DynamoDB and Snowflake on this machine's loopback interface.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the services and runs until it is stopped.
    Serve(Serve),
    /// Runs a SQL statement against a running local cloud and prints the result.
    Sql(Sql),
}

#[derive(Args)]
struct Serve {
    /// File that gets the addresses and credentials as JSON, once everything listens.
    #[arg(long)]
    endpoints: PathBuf,
    /// Port for Kinesis and DynamoDB; a free one by default.
    #[arg(long, default_value_t = 0)]
    aws_port: u16,
    /// Offers Kinesis and DynamoDB over TLS, with HTTP/2 or HTTP/1.1 as the client likes.
    #[arg(long)]
    aws_tls: bool,
    /// Port for Snowflake; a free one by default.
    #[arg(long, default_value_t = 0)]
    snowflake_port: u16,
    /// Port for the page; a free one by default.
    #[arg(long, default_value_t = 0)]
    page_port: u16,
    /// Folder for the certificate and the private key; a temporary one by default.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Folder that keeps streams, tables, channels, keys and certificates, so that the next start goes on.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Stream to make at the start unless it is there, as NAME or NAME:SHARDS. May be given several times.
    #[arg(long = "stream", value_name = "NAME[:SHARDS]")]
    streams: Vec<String>,
    /// Enforces what AWS enforces per shard and second: 1 MB and 1,000 records in, 5 calls and 2 MB out.
    #[arg(long)]
    limits: bool,
    #[command(flatten)]
    snowflake: SnowflakeFlags,
    /// Ends when this process is gone.
    #[arg(long)]
    parent_pid: Option<u32>,
}

#[derive(Args)]
struct Sql {
    /// Statement, or several separated by semicolons.
    statement: String,
    /// File that `serve` wrote.
    #[arg(long)]
    endpoints: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(serve) => run(serve).await,
        Command::Sql(sql) => print(sql).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "local-cloud: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(serve: Serve) -> Result<(), Failure> {
    let mut options = Options {
        aws_port: serve.aws_port,
        aws_transport: if serve.aws_tls { Transport::Tls } else { Transport::Plain },
        snowflake_port: serve.snowflake_port,
        page_port: serve.page_port,
        folder: serve.folder,
        state: serve.state,
        table_transition: Duration::from_millis(500),
        ..Options::default()
    };
    options.kinesis.limits = Limits { read: serve.limits, write: serve.limits };
    serve.snowflake.apply(&mut options.snowflake);
    // The handlers are in place before anyone can read the file and send a signal.
    let stop = stop_signal(serve.parent_pid)?;
    let cloud = LocalCloud::start(options).await?;
    for stream in &serve.streams {
        let (name, shards) = stream.split_once(':').unwrap_or((stream, "1"));
        if cloud.kinesis().status(name).is_none() {
            cloud.kinesis().create_stream(name, shards.parse()?)?;
        }
    }
    let endpoints = cloud.endpoints();
    endpoints.write(&serve.endpoints)?;
    let mut out = std::io::stdout();
    // Nobody may be reading standard output; the file has it all.
    let _ = writeln!(out, "Kinesis, DynamoDB  {}", endpoints.aws_endpoint);
    let _ = writeln!(out, "Snowflake          {}", endpoints.snowflake_url);
    let _ = writeln!(out, "Page               {}", endpoints.page_url);
    let _ = writeln!(out, "Endpoints          {}", serve.endpoints.display());
    stop.await;
    cloud.stop().await;
    forget(&serve.endpoints, &endpoints);
    Ok(())
}

/// Removes the file, unless another local cloud has written its own there.
fn forget(path: &Path, endpoints: &Endpoints) {
    if Endpoints::read(path).is_ok_and(|current| current == *endpoints) {
        let _ = std::fs::remove_file(path);
    }
}

/// Resolves at SIGINT, SIGTERM, or when the given process is gone.
fn stop_signal(parent: Option<u32>) -> Result<impl Future<Output = ()>, Failure> {
    #[cfg(unix)]
    let (mut terminate, mut interrupt) = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    Ok(async move {
        let gone = parent_gone(parent);
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = gone => {}
        }
        #[cfg(not(unix))]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = gone => {}
        }
    })
}

/// Looks for the process each second where the system shows processes as folders; elsewhere it never resolves.
async fn parent_gone(parent: Option<u32>) {
    let Some(folder) =
        parent.map(|pid| PathBuf::from(format!("/proc/{pid}"))).filter(|folder| folder.exists())
    else {
        return std::future::pending().await;
    };
    while folder.exists() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn print(request: Sql) -> Result<(), Failure> {
    let endpoints = Endpoints::read(&request.endpoints)
        .map_err(|error| format!("{}: {error}", request.endpoints.display()))?;
    let table = sql::query(&endpoints, &request.statement).await?;
    std::io::stdout().write_all(table.render().as_bytes())?;
    Ok(())
}
