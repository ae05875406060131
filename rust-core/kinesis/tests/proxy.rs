//! Networks that only a proxy with a login leads out of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cloud_support;
mod http_support;

use cloud_support::{Reader, Rig};
use http_support::read_head;
use local_cloud::{Options, Transport};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(20);
/// `user:p@ss:w%rd/` in the form of a header.
const LOGIN: &str = "Basic dXNlcjpwQHNzOncldmQv";
const PASSWORD: &str = "p@ss:w%vd/";
/// A port that nothing listens on: only the proxy knows the way.
const HIDDEN: &str = "localhost:1";

#[derive(Default)]
struct Seen {
    passed: AtomicUsize,
    refused: AtomicUsize,
}

/// An HTTP proxy with a login; whatever is asked for, it leads to `target`.
struct Proxy {
    port: u16,
    seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, seen) = (listener.local_addr().unwrap().port(), Arc::<Seen>::default());
        let counters = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(lead(socket, target, counters.clone()));
            }
        });
        Self { port, seen, task }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn lead(mut client: TcpStream, target: u16, seen: Arc<Seen>) {
    let Some(head) = read_head(&mut client).await else { return };
    let login = |line: &str| {
        line.split_once(": ")
            .is_some_and(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == LOGIN)
    };
    if !head.lines().any(login) {
        seen.refused.fetch_add(1, Ordering::Relaxed);
        let answer =
            b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let _ = client.write_all(answer).await;
        return;
    }
    assert!(head.contains(HIDDEN), "{head}");
    seen.passed.fetch_add(1, Ordering::Relaxed);
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    } else {
        // The target of the request line becomes a path; the same host is asked for all the time.
        server.write_all(head.replacen(&format!("http://{HIDDEN}"), "", 1).as_bytes()).await.unwrap();
    }
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

fn port_of(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.trim_end_matches('/').parse().unwrap()
}

async fn reads(transport: Transport, more: &[(&str, &str)]) {
    let options = Options { aws_transport: transport, ..Options::default() };
    let rig = Rig::start_with(options, 2).await;
    let endpoint = rig.cloud.aws_endpoint();
    let scheme = endpoint.split_once(':').unwrap().0;
    let proxy = Proxy::start(port_of(&endpoint)).await;
    let (hidden, port) = (format!("{scheme}://{HIDDEN}"), proxy.port.to_string());
    let authority = rig.cloud.ca_file();
    let network = [
        ("Endpoint Override URL", hidden.as_str()),
        ("CA Certificates File", authority.to_str().unwrap()),
        ("Proxy Type", "HTTP"),
        ("Proxy Server Host", "127.0.0.1"),
        ("Proxy Server Port", port.as_str()),
        ("Proxy User Name", "user"),
    ];
    let wrong = [&network[..], more, &[("Proxy User Password", "wrong")]].concat();
    let reader = Reader::start(rig.source("a", &wrong));
    let name = format!("through the proxy 127.0.0.1:{port}");
    reader.until_said(&["Kinesis", &name, "proxy"], SOON).await;
    assert!(reader.said().iter().all(|text| !text.contains("wrong")), "{:?}", reader.said());
    reader.stop().await;
    assert!(proxy.seen.refused.load(Ordering::Relaxed) > 0);
    assert_eq!(proxy.seen.passed.load(Ordering::Relaxed), 0);

    let right = [&network[..], more, &[("Proxy User Password", PASSWORD)]].concat();
    let reader = Reader::start(rig.source("a", &right));
    reader.until(&rig.put(50), SOON).await;
    reader.stop().await;
    assert!(proxy.seen.passed.load(Ordering::Relaxed) > 0);
    rig.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_without_tls_go_through_the_proxy() {
    reads(Transport::Plain, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polling_goes_through_a_tunnel_and_trusts_a_private_authority() {
    reads(Transport::Tls, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_go_through_a_tunnel() {
    reads(Transport::Tls, &[("Consumer Type", "ENHANCED_FAN_OUT")]).await;
}
