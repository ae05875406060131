//! The floor of reading: signed requests of an HTTP client, and a walk over the CBOR answer that copies nothing.
//! No retries, no credentials' refresh, no types: what a connector cannot go below.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use bytes::Bytes;
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::Outcome;
use super::read_sdk::{Count, Options, measure};

const CBOR: &str = "application/x-amz-cbor-1.1";

/// Runs one loop a shard and measures them.
pub async fn run(options: Options) -> Outcome<()> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let count = Count::default();
    let loops = tokio::task::LocalSet::new();
    for index in 0..options.shards {
        let (http, count, options) = (http.clone(), count.clone(), options.clone());
        loops.spawn_local(async move {
            if let Err(error) = poll(&http, &options, index, &count).await {
                eprintln!("the loop of shard {index} ended: {error}");
            }
        });
    }
    loops.run_until(measure(&count, options.seconds)).await
}

async fn poll(http: &reqwest::Client, options: &Options, index: u32, count: &Count) -> Outcome<()> {
    let shard = Options::shard(index);
    let members =
        [("StreamName", options.stream.as_str()), ("ShardId", &shard), ("ShardIteratorType", "TRIM_HORIZON")];
    let mut body = Encoder::new(Vec::new());
    body.map(3)?;
    for (name, value) in members {
        body.str(name)?.str(value)?;
    }
    let answer = call(http, options, "GetShardIterator", body.into_writer()).await?;
    let mut iterator = walk(&answer)?.iterator.ok_or("no iterator")?.to_owned();
    loop {
        let mut body = Encoder::new(Vec::new());
        body.map(2)?.str("ShardIterator")?.str(&iterator)?.str("Limit")?.i32(options.records)?;
        let answer = call(http, options, "GetRecords", body.into_writer()).await?;
        let page = walk(&answer)?;
        count.add(page.records, page.bytes);
        let Some(next) = page.iterator else { return Ok(()) };
        next.clone_into(&mut iterator);
    }
}

async fn call(http: &reqwest::Client, options: &Options, operation: &str, body: Vec<u8>) -> Outcome<Bytes> {
    let target = format!("Kinesis_20131202.{operation}");
    let url = format!("{}/", options.endpoint);
    let identity = Credentials::new(&options.key, &options.secret, None, None, "bench").into();
    let params = SigningParams::builder().identity(&identity).region(&options.region).name("kinesis");
    let params = params.time(SystemTime::now()).settings(SigningSettings::default()).build()?;
    let headers = [("content-type", CBOR), ("x-amz-target", target.as_str())];
    let request = SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(&body))?;
    let signed = sign(request, &params.into())?.into_parts().0;
    let mut request = http.post(&url).header("content-type", CBOR).header("x-amz-target", &target).body(body);
    for (name, value) in signed.headers() {
        request = request.header(name, value);
    }
    let answer = request.send().await?;
    if !answer.status().is_success() {
        return Err(format!("{operation}: {}", answer.status()).into());
    }
    Ok(answer.bytes().await?)
}

/// What a page says, borrowed from it.
#[derive(Default)]
struct Page<'b> {
    records: u64,
    bytes: u64,
    iterator: Option<&'b str>,
}

fn walk(body: &[u8]) -> Outcome<Page<'_>> {
    let mut page = Page::default();
    let mut decoder = Decoder::new(body);
    members(&mut decoder, |name, decoder| {
        match name {
            "ShardIterator" | "NextShardIterator" if decoder.datatype()? == Type::String => {
                page.iterator = Some(decoder.str()?);
            }
            "Records" => {
                let mut left = decoder.array()?;
                while more(decoder, &mut left)? {
                    page.records += 1;
                    members(decoder, |name, decoder| {
                        match name {
                            "Data" => page.bytes += u64::try_from(decoder.bytes()?.len())?,
                            "SequenceNumber" | "PartitionKey" => {
                                std::hint::black_box(decoder.str()?);
                            }
                            _ => decoder.skip()?,
                        }
                        Ok(())
                    })?;
                }
            }
            _ => decoder.skip()?,
        }
        Ok(())
    })?;
    Ok(page)
}

fn members<'b>(
    decoder: &mut Decoder<'b>,
    mut each: impl FnMut(&'b str, &mut Decoder<'b>) -> Outcome<()>,
) -> Outcome<()> {
    let mut left = decoder.map()?;
    while more(decoder, &mut left)? {
        let name = decoder.str()?;
        each(name, decoder)?;
    }
    Ok(())
}

/// Whether a map or an array goes on, of known length or not.
fn more(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Outcome<bool> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_known_and_unknown_length_are_walked() -> Outcome<()> {
        for definite in [true, false] {
            let mut body = Encoder::new(Vec::new());
            if definite {
                body.map(2)?.str("Records")?.array(2)?;
            } else {
                body.begin_map()?.str("Records")?.begin_array()?;
            }
            for _ in 0..2 {
                body.map(3)?.str("Data")?.bytes(b"12345")?.str("SequenceNumber")?.str("7")?;
                body.str("ApproximateArrivalTimestamp")?.i64(5)?;
            }
            if !definite {
                body.end()?;
            }
            body.str("NextShardIterator")?.str("next")?;
            if !definite {
                body.end()?;
            }
            let body = body.into_writer();
            let page = walk(&body)?;
            assert_eq!((page.records, page.bytes, page.iterator), (2, 10, Some("next")));
        }
        Ok(())
    }
}
