//! A listening port.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::{Connection, Connections, UnderWay};

/// Listens on a loopback port; 0 takes a free one.
pub(crate) async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port)).await
}

/// A port that is being served.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Connections,
    refusing: watch::Sender<bool>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Port {
    /// Serves HTTP/1.1 and HTTP/2 (prior knowledge, or ALPN on TLS) with `handler`.
    pub(crate) fn serve<H, F, B>(
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        handler: H,
    ) -> io::Result<Self>
    where
        H: Fn(Connection, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let address = listener.local_addr()?;
        let port = Self {
            address,
            connections: Connections::default(),
            refusing: watch::Sender::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (connections, stop, tasks) = (port.connections.clone(), port.stop.clone(), port.tasks.clone());
        let mut refusing = port.refusing.subscribe();
        let mut listener = listener;
        port.tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    () = told(&mut refusing, true) => {
                        drop(listener);
                        listener = tokio::select! {
                            () = stop.cancelled() => return,
                            listener = reopened(&mut refusing, address) => listener,
                        };
                        continue;
                    }
                    accepted = listener.accept() => accepted,
                };
                let Ok((socket, _)) = accepted else {
                    // Out of file descriptors or the like: the condition passes, accepting goes on.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                let (connections, stop, tls, handler) =
                    (connections.clone(), stop.clone(), tls.clone(), handler.clone());
                tasks.spawn(async move {
                    let (id, connection) = connections.open();
                    let conversation = converse(socket, tls, connection.clone(), handler);
                    // It is kept while silent: dropping it would close the socket.
                    let mut conversation = std::pin::pin!(conversation);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = connection.cut_happened() => {}
                        () = connection.idled() => {}
                        () = until_silent(conversation.as_mut(), &connection) => {}
                    }
                    connections.closed(id);
                });
            }
        });
        Ok(port)
    }

    /// Closes the listening socket, so that connections are refused, and opens it again.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.refusing.send_replace(refuse);
    }

    /// Runs a task for as long as the port is served.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Stops accepting, closes all connections and waits for their tasks.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Waits until connections are to be refused, or no longer.
async fn told(refusing: &mut watch::Receiver<bool>, refuse: bool) {
    if refusing.wait_for(|now| *now == refuse).await.is_err() {
        // The port's value is gone; its tasks go on as they are.
        std::future::pending::<()>().await;
    }
}

/// Waits until connections are to be accepted again, and listens.
async fn reopened(refusing: &mut watch::Receiver<bool>, address: SocketAddr) -> TcpListener {
    loop {
        told(refusing, false).await;
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Converses until the connection falls silent.
async fn until_silent(conversation: Pin<&mut impl Future<Output = ()>>, connection: &Connection) {
    tokio::select! {
        biased;
        () = connection.silenced() => std::future::pending().await,
        () = conversation => {}
    }
}

async fn converse<H, F, B>(socket: TcpStream, tls: Option<TlsAcceptor>, connection: Connection, handler: H)
where
    H: Fn(Connection, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = socket.set_nodelay(true);
    let metered = Metered { socket, connection: connection.clone() };
    match tls {
        None => http(metered, connection, handler).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(metered).await {
                http(stream, connection, handler).await;
            }
        }
    }
}

async fn http<S, H, F, B>(stream: S, connection: Connection, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Connection, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let handler = Arc::new(handler);
    let leaving = connection.clone();
    let service = service_fn(move |request| {
        let under_way = connection.begin();
        let answer = handler(connection.clone(), request);
        async move { Ok::<_, Infallible>(answer.await.map(|body| Sent { body, _under_way: under_way })) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1_000);
    // An error here is the peer's or the fault plan's doing: the connection is over either way.
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let left = tokio::select! {
        _ = served.as_mut() => false,
        () = leaving.leaving() => true,
    };
    if left {
        served.as_mut().graceful_shutdown();
        let _ = served.await;
    }
}

/// A body that is under way until it is sent.
struct Sent<B> {
    body: B,
    _under_way: UnderWay,
}

impl<B: Body + Unpin> Body for Sent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A socket that counts its bytes against the connection's fault plan.
struct Metered {
    socket: TcpStream,
    connection: Connection,
}

impl Drop for Metered {
    fn drop(&mut self) {
        if self.connection.is_cut() {
            // A peer must see a reset, not an orderly end.
            let _ = self.socket.set_zero_linger();
        }
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        let got = buf.filled().len() - before;
        let passed = self.connection.pass(got);
        buf.set_filled(before + passed);
        if passed < got { Poll::Ready(Err(reset())) } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.socket.poll_write_ready(cx))?;
        let passed = self.connection.pass(buf.len());
        if passed == 0 && !buf.is_empty() {
            return Poll::Ready(Err(reset()));
        }
        Pin::new(&mut self.socket).poll_write(cx, buf.get(..passed).unwrap_or_default())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
