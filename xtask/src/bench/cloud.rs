//! The local cloud of a bench, as a child process that obeys commands.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nifi_harness::Endpoints;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::error::{Error, Result, io};
use crate::place::Place;

/// The running process. It ends when this is dropped.
pub struct Cloud {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// Addresses and keys.
    pub endpoints: Endpoints,
}

impl Cloud {
    /// Starts it with options of the peer's command `cloud`.
    pub async fn start(place: &Place, folder: &Path, options: &[&str]) -> Result<Self> {
        let file = folder.join("endpoints.json");
        std::fs::create_dir_all(folder).map_err(io(format!("creating {}", folder.display())))?;
        let mut command = Command::new(place.program("bench-peer")?);
        command.arg("cloud").arg("--folder").arg(folder.join("cloud")).arg("--endpoints").arg(&file);
        command.args(options).kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(io("starting the local cloud"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::Other("the local cloud has no standard input".to_owned()));
        };
        let mut output = BufReader::new(output).lines();
        output.next_line().await.map_err(io("waiting for the local cloud"))?;
        let endpoints = Endpoints::read(&file, Duration::from_secs(10)).await?;
        Ok(Self { child, input, output, endpoints })
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Sends a command and gives its answer.
    pub async fn tell(&mut self, command: &Value) -> Result<Value> {
        let failed = || io(format!("telling the local cloud {command}"));
        self.input.write_all(format!("{command}\n").as_bytes()).await.map_err(failed())?;
        self.input.flush().await.map_err(failed())?;
        let line = self.output.next_line().await.map_err(failed())?.unwrap_or_default();
        let mut answer: Value = serde_json::from_str(&line)
            .map_err(|error| Error::Other(format!("the local cloud answered {line:?}: {error}")))?;
        match answer.get_mut("ok") {
            Some(value) => Ok(value.take()),
            None => Err(Error::Other(format!("the local cloud cannot {command}: {answer}"))),
        }
    }
}
