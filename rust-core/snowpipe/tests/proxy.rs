//! A network that only an authenticating proxy leads out of.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use snowpipe::State;
use support::{World, content, drive, sink};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// The only host name that the proxy knows.
const NAME: &str = "localhost";

#[derive(Default)]
struct Seen {
    tunnels: AtomicUsize,
    refused: AtomicUsize,
}

/// An HTTP proxy that takes `CONNECT` with a login and leads to `target`. Returns its port.
async fn proxy(target: u16, seen: Arc<Seen>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let login = format!("Basic {}", STANDARD.encode("out:p@ss:word"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tunnel(stream, target, login.clone(), Arc::clone(&seen)));
        }
    });
    port
}

async fn tunnel(mut client: TcpStream, target: u16, login: String, seen: Arc<Seen>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let known = head.lines().any(|line| {
        line.split_once(": ")
            .is_some_and(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == login)
    });
    if !head.starts_with("CONNECT ") || !known {
        seen.refused.fetch_add(1, Ordering::Relaxed);
        let _ = client
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            .await;
        return;
    }
    seen.tunnels.fetch_add(1, Ordering::Relaxed);
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// Properties of a sink whose direct way is blocked: nothing listens where the endpoint says, the proxy leads elsewhere.
fn properties(world: &World, proxy: u16, password: &str) -> std::collections::BTreeMap<String, String> {
    world.properties(&[
        ("Snowflake Endpoint Override URL", &format!("https://{NAME}:9")),
        ("Proxy Type", "HTTP"),
        ("Proxy Server Host", "127.0.0.1"),
        ("Proxy Server Port", &proxy.to_string()),
        ("Proxy User Name", "out"),
        ("Proxy User Password", password),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_goes_through_the_proxy() {
    let world = World::start().await;
    let target = world.cloud.endpoints().snowflake_url.rsplit(':').next().unwrap().parse().unwrap();
    let seen = Arc::new(Seen::default());
    let port = proxy(target, Arc::clone(&seen)).await;
    let through = Arc::new(sink(&properties(&world, port, "p@ss:word")));
    let upload = world.begin(&through, 1, 10, 0);
    let ended = drive(&through, upload, content(1, 10)).await;
    assert_eq!(ended.state, State::Committed, "{:?}", through.messages());
    assert!(seen.tunnels.load(Ordering::Relaxed) > 0 && seen.refused.load(Ordering::Relaxed) == 0);
    through.close(support::PATIENCE).await;

    let wrong = Arc::new(sink(&properties(&world, port, "wrong")));
    world.begin(&wrong, 11, 20, 10);
    let text = loop {
        if let Some(message) = wrong.messages().pop() {
            break message.text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(text.to_ascii_lowercase().contains("proxy"), "{text}");
    assert!(!text.contains("wrong"), "{text}");
    wrong.close(support::PATIENCE).await;
    world.stop().await;
}
