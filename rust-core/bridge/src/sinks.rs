//! What Java does with an open sink, without JNI.

use std::collections::BTreeMap;
use std::time::Duration;

use snowpipe::{Progress, Sink, SinkConfig, State, UploadRequest};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::registry::Open;

/// A sink.
pub(crate) struct OpenSink {
    pub(crate) sink: Sink,
}

impl OpenSink {
    pub(crate) fn start(config: SinkConfig, runtime: &Handle) -> Self {
        Self { sink: Sink::start(config, runtime) }
    }

    pub(crate) fn abandon(&self, upload: &str) -> Result<(), Error> {
        let id = upload
            .parse()
            .map_err(|_| Error::Argument("abandon needs the number of an upload".to_owned()))?;
        self.sink.abandon(id);
        Ok(())
    }
}

fn upload_id(upload: i64) -> Result<u64, Error> {
    u64::try_from(upload).map_err(|_| Error::Argument(format!("{upload} is no upload")))
}

/// An absent text is empty: no offset token is.
fn piece(piece: snowpipe::Piece) -> [String; 7] {
    let (first, last) = piece.tokens.unwrap_or_default();
    let kind = if piece.kind == State::Failed { "FAILED" } else { "INVALID" };
    [
        kind.to_owned(),
        piece.offset.to_string(),
        piece.length.to_string(),
        piece.rows.to_string(),
        first,
        last,
        piece.reason,
    ]
}

impl Open<OpenSink> {
    /// Rows of an upload that take another way than the rest, seven texts each.
    pub(crate) fn pieces(&self, upload: &str) -> Result<Vec<String>, Error> {
        let id: i64 =
            upload.parse().map_err(|_| Error::Argument("pieces needs the number of an upload".to_owned()))?;
        let progress = self.advance(id, Duration::ZERO)?;
        Ok(progress.pieces.into_iter().flat_map(piece).collect())
    }

    pub(crate) fn begin(&self, properties: &BTreeMap<String, String>) -> Result<i64, Error> {
        let _context = self.runtime.handle().enter();
        let upload = self.value.sink.begin(UploadRequest::from_properties(properties)?)?;
        i64::try_from(upload).map_err(|_| Error::Argument(format!("upload {upload} has no Java number")))
    }

    pub(crate) fn advance(&self, upload: i64, wait: Duration) -> Result<Progress, Error> {
        Ok(self.runtime.handle().block_on(self.value.sink.advance(upload_id(upload)?, wait))?)
    }

    /// Numbers of uploads that want data or have ended, as texts; waits up to `wait` while there is none.
    pub(crate) fn ready(&self, most: u32, wait: Duration) -> Vec<String> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let ids = self.runtime.handle().block_on(self.value.sink.ready(most, wait));
        ids.iter().map(ToString::to_string).collect()
    }

    /// Content of an upload, or its end.
    pub(crate) fn write(&self, upload: i64, content: Option<&[u8]>) -> Result<(), Error> {
        let _context = self.runtime.handle().enter();
        match content {
            Some(bytes) => self.value.sink.write(upload_id(upload)?, bytes)?,
            None => self.value.sink.finish_data(upload_id(upload)?)?,
        }
        Ok(())
    }
}
