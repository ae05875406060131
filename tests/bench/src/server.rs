//! The endpoint: one prepared page for every request, in the format of the request.

use super::{Outcome, page};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::{SocketAddr, TcpListener};
use tokio::sync::oneshot;

const CBOR: &str = "application/x-amz-cbor-1.1";
const JSON: &str = "application/x-amz-json-1.1";

#[derive(Clone)]
struct Pages {
    json: Bytes,
    cbor: Bytes,
}

/// Serves until dropped.
pub struct Endpoint {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Endpoint {
    pub fn start(records: usize, size: usize) -> Outcome<Self> {
        let pages =
            Pages { json: page::json(records, size)?.into(), cbor: page::cbor(records, size)?.into() };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    failure = serve(listener, pages) => eprintln!("the endpoint stopped: {failure:?}"),
                }
            });
        });
        Ok(Self { address, _stop: stop })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(listener: TcpListener, pages: Pages) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let pages = pages.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, pages.clone()));
            // The client may close at any time.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, pages: Pages) -> hyper::Result<Response<Full<Bytes>>> {
    let cbor = request.headers().get("content-type").is_some_and(|value| value == CBOR);
    // The connection can be used again only when the request was read to its end.
    request.into_body().collect().await?;
    let (format, page) = if cbor { (CBOR, pages.cbor) } else { (JSON, pages.json) };
    let mut response = Response::new(Full::new(page));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(format));
    Ok(response)
}
