//! A server on 127.0.0.1 whose connections can be cut in the middle of anything.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running server. Dropping it stops it: the port is closed, answers in flight are finished, idle
/// connections end.
pub struct LoopbackServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: Option<JoinHandle<io::Result<()>>>,
}

/// Lets a request that is being delayed notice that the server stops.
#[derive(Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Returns once the server has been told to stop.
    pub async fn wait(&mut self) {
        // A closed channel means that the server's handle is gone, which is the same news.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

impl LoopbackServer {
    /// Listens on 127.0.0.1; port 0 takes any free one. `router` is called with the real address.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(port: u16, router: impl FnOnce(SocketAddr, Stopping) -> Router) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (stop, stopping) = watch::channel(false);
        let stopping = Stopping(stopping);
        let service =
            router(address, stopping.clone()).into_make_service_with_connect_info::<ConnectionCut>();
        let mut told = stopping;
        let serving = tokio::spawn(async move {
            axum::serve(CuttableListener(listener), service)
                .with_graceful_shutdown(async move { told.wait().await })
                .await
        });
        Ok(Self { address, stop, serving: Some(serving) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and returns once the port is free and every connection has ended.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(serving) = self.serving.take() {
            let _ = serving.await;
        }
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Cuts the connection that a request came in on: nothing more is written to it, and it is closed.
#[derive(Clone, Debug, Default)]
pub struct ConnectionCut(Arc<AtomicBool>);

impl ConnectionCut {
    /// Cuts it. Whatever the handler returns afterwards is lost.
    pub fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for ConnectionCut {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().cut.clone()
    }
}

struct CuttableListener(TcpListener);

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for Nagle's algorithm; failing to say so only costs time.
        let _ = stream.set_nodelay(true);
        (CuttableStream { stream, cut: ConnectionCut::default() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

struct CuttableStream {
    stream: TcpStream,
    cut: ConnectionCut,
}

impl CuttableStream {
    fn refuse_when_cut(&self) -> io::Result<()> {
        if self.cut.0.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Err(cut) = self.refuse_when_cut() {
            return Poll::Ready(Err(cut));
        }
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// True when a `Host` header names this computer. A page elsewhere whose name was pointed at 127.0.0.1
/// (DNS rebinding) still carries its own name there, and is refused by this.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}
