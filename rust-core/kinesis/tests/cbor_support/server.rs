//! A Kinesis endpoint on loopback that answers as a script says and remembers what it was asked.

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|v| v.to_str().unwrap()).unwrap_or_default()
    }
}

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

pub enum Body {
    Whole(Vec<u8>),
    /// Announces one byte more than it sends, then closes the connection.
    Cut(Vec<u8>),
    /// Announces one byte more than it sends, then keeps the connection open.
    Stalled(Vec<u8>),
}

pub fn reply(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, headers: vec![("content-type", content_type.to_owned())], body: Body::Whole(body.into()) }
}

impl Reply {
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn cut(self) -> Self {
        self.change(Body::Cut)
    }

    pub fn stalled(self) -> Self {
        self.change(Body::Stalled)
    }

    fn change(mut self, change: impl FnOnce(Vec<u8>) -> Body) -> Self {
        if let Body::Whole(bytes) = self.body {
            self.body = change(bytes);
        }
        self
    }
}

pub struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Connections live in a set inside this task and end with it.
        self.accepting.abort();
    }
}

type Script = Arc<dyn Fn(usize, &Asked) -> Reply + Send + Sync>;

impl Server {
    /// `script` gets the number of the request, from 0, and the request.
    pub async fn start(script: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&asked), Arc::new(script)));
        Self { port, asked, accepting }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, asked: Arc<Mutex<Vec<Asked>>>, script: Script) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (asked, script) = (Arc::clone(&asked), Arc::clone(&script));
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&asked), Arc::clone(&script)));
            // A client that goes away is part of some scripts.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Sent = BoxBody<Bytes, io::Error>;

async fn answer(
    request: Request<Incoming>,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Script,
) -> Result<Response<Sent>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let request =
        Asked { method: parts.method.to_string(), path: parts.uri.to_string(), headers: parts.headers, body };
    let number = {
        let mut asked = asked.lock().unwrap();
        asked.push(request.clone());
        asked.len() - 1
    };
    let reply = script(number, &request);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    if let Body::Cut(bytes) | Body::Stalled(bytes) = &reply.body {
        response = response.header("content-length", bytes.len() + 1);
    }
    Ok(response.body(send(reply.body)).unwrap())
}

fn send(body: Body) -> Sent {
    use futures::{StreamExt, stream};
    let (bytes, end) = match body {
        Body::Whole(bytes) => return Full::from(bytes).map_err(|never| match never {}).boxed(),
        Body::Cut(bytes) => (bytes, stream::iter([Err(io::Error::other("cut"))]).left_stream()),
        Body::Stalled(bytes) => (bytes, stream::pending().right_stream()),
    };
    let start = stream::iter([Ok(Frame::data(Bytes::from(bytes)))]);
    BodyExt::boxed(StreamBody::new(start.chain(end)))
}
