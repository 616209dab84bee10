//! Threads that answer requests, each its own connections and with a runtime of its own.
//!
//! ```text
//! listener --accept--> in turn --> thread 1: a runtime of one thread: its connections, its epoll
//!                             \--> thread 2: ...
//! ```
//! A runtime of several threads hands its epoll from one to another: with each wake-up another thread is woken to watch for the
//! next. Most answers here take less time than that. A connection that stays with one thread costs one wake-up for a look. A
//! write costs two more (the writer's thread, and the answer), unless the connection is the only one of its thread that asks
//! for anything just now ([`is_alone`]): then the thread does the write itself, and waits for the disk.
//!
//! Only where the database is a file of ours: what waits for a database server waits in its thread
//! ([`store::Store::read_blocking`]), and other connections would wait with it; a runtime of several threads steps in there.

mod alone;

pub use alone::is_alone;

use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::thread;

use alone::Noted;
use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

/// An accepted connection on its way to the thread that will answer it.
type Accepted = (StdStream, SocketAddr);

/// How far the end of the server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It runs.
    Running,
    /// No new requests; those in flight are answered.
    Ending,
    /// What is still open is closed.
    Closing,
}

/// The threads. They end when told so by the stage; [`Workers::join`] waits for that.
pub struct Workers {
    queues: Vec<mpsc::UnboundedSender<Accepted>>,
    threads: Vec<(thread::JoinHandle<()>, oneshot::Receiver<()>)>,
}

impl Workers {
    /// Starts one per processor.
    pub fn start(router: &Router, stage: &watch::Receiver<Stage>) -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let mut workers = Self { queues: Vec::with_capacity(count), threads: Vec::with_capacity(count) };
        for _ in 0..count {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (queue, accepted) = mpsc::unbounded_channel();
            let (done, is_done) = oneshot::channel();
            let (router, stage) = (router.clone(), stage.clone());
            let thread = thread::Builder::new().name("api".to_owned()).spawn(move || {
                runtime.block_on(answer(accepted, router, stage));
                drop(done);
            })?;
            workers.queues.push(queue);
            workers.threads.push((thread, is_done));
        }
        Ok(workers)
    }

    /// Hands what a listener accepts to the threads, in turn, until the server ends.
    pub async fn share_out(queues: Vec<mpsc::UnboundedSender<Accepted>>, listener: TcpListener) {
        let mut listener = super::quick(listener);
        for queue in queues.iter().cycle() {
            // Waits out what is passing, such as too many open files.
            let (stream, address) = axum::serve::Listener::accept(&mut listener).await;
            match stream.into_std() {
                Ok(stream) => {
                    if queue.send((stream, address)).is_err() {
                        return;
                    }
                }
                Err(error) => tracing::warn!(%error, "a connection cannot be handed over"),
            }
        }
    }

    /// Where connections are put for the threads.
    pub fn queues(&self) -> Vec<mpsc::UnboundedSender<Accepted>> {
        self.queues.clone()
    }

    /// Waits until every thread has answered what it has begun.
    pub async fn finished(&mut self) {
        for (_, is_done) in &mut self.threads {
            // That the sender is gone is the sign.
            let _ = is_done.await;
        }
    }

    /// Waits for the end of the threads, which must have been told of it.
    pub fn join(self) {
        drop(self.queues);
        for (thread, _) in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread that answers requests ended by a panic");
            }
        }
    }
}

async fn answer(accepted: mpsc::UnboundedReceiver<Accepted>, router: Router, mut stage: watch::Receiver<Stage>) {
    let mut closing = stage.clone();
    let ending = async move { drop(stage.wait_for(|stage| *stage >= Stage::Ending).await) };
    let serve = axum::serve(Handed { accepted }, router).with_graceful_shutdown(ending).into_future();
    tokio::select! {
        served = serve => if let Err(error) = served {
            tracing::error!(%error, "a thread that answers requests ended");
        },
        _ = closing.wait_for(|stage| *stage >= Stage::Closing) => {}
    }
}

/// The connections that a thread is given, as a listener.
struct Handed {
    accepted: mpsc::UnboundedReceiver<Accepted>,
}

impl axum::serve::Listener for Handed {
    type Io = Noted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Noted, SocketAddr) {
        loop {
            let Some((stream, address)) = self.accepted.recv().await else {
                // Nobody will bring another; the end of the server ends this wait.
                return std::future::pending().await;
            };
            match TcpStream::from_std(stream) {
                Ok(stream) => return (Noted::new(stream), address),
                Err(error) => tracing::warn!(%error, "a connection cannot be taken over"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}
