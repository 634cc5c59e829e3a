//! Writes log lines to stderr in a separate thread, so that a log that cannot be written loses lines but
//! never stops mail.
//!
//! stderr can be a closed pipe, a file on a full disk, or a pipe that nobody reads. The first two fail, the
//! third blocks; none may stop a thread that logs. Lines wait in a bounded queue; what does not fit or cannot
//! be written is dropped and counted.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Most lines in the queue.
const WAITING: usize = 8_192;
/// How long logging an error waits until it is written, because the process may end right after it.
const ERROR_WAIT: Duration = Duration::from_millis(500);
/// How long the end of the process waits for the last lines.
const LAST_WAIT: Duration = Duration::from_secs(1);

static LINES: OnceLock<Lines> = OnceLock::new();

/// A job of the writing thread.
enum Job {
    /// A line, with its end.
    Line(Vec<u8>),
    /// Answers when everything before it has been written.
    Flush(SyncSender<()>),
}

/// The queue of a log, and the number of lines lost. Clones share both.
#[derive(Clone, Debug)]
pub struct Lines {
    queue: SyncSender<Job>,
    lost: Counter,
}

impl Lines {
    /// Starts the thread that writes to `target`.
    fn to(target: impl Write + Send + 'static) -> Self {
        Self::with_room(target, WAITING)
    }

    fn with_room(target: impl Write + Send + 'static, waiting: usize) -> Self {
        let (queue, jobs) = sync_channel(waiting);
        let lost = Counter::default();
        let counted = lost.clone();
        let writer = std::thread::Builder::new().name("log".to_owned());
        // without the thread every line is dropped and counted; the relay works without its log
        drop(writer.spawn(move || write_all(&jobs, target, &counted)));
        Self { queue, lost }
    }

    /// Waits until the queue has been written, up to `most`.
    fn flush(&self, most: Duration) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Job::Flush(done)).is_ok() {
            // on a timeout the lines are lost
            let _ = written.recv_timeout(most);
        }
    }
}

fn write_all(jobs: &Receiver<Job>, mut target: impl Write, lost: &Counter) {
    for job in jobs {
        match job {
            Job::Line(line) => {
                if target.write_all(&line).and_then(|()| target.flush()).is_err() {
                    lost.inc();
                }
            }
            // the receiver may have stopped waiting
            Job::Flush(done) => drop(done.try_send(())),
        }
    }
}

/// The log on stderr.
pub fn stderr() -> Lines {
    LINES.get_or_init(|| Lines::to(io::stderr())).clone()
}

/// Writes the queue before the process ends.
pub fn finish() {
    if let Some(lines) = LINES.get() {
        lines.flush(LAST_WAIT);
    }
}

/// Registers the metric that counts lost lines.
pub fn register(registry: &mut Registry) {
    let lost = LINES.get().map(|lines| lines.lost.clone()).unwrap_or_default();
    registry.register("log_lines_lost", "Log lines that could not be written", lost);
}

/// One log event on its way to the queue.
pub struct Line {
    lines: Lines,
    text: Vec<u8>,
    urgent: bool,
}

impl Write for Line {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.text.is_empty() {
            return;
        }
        if self.lines.queue.try_send(Job::Line(std::mem::take(&mut self.text))).is_err() {
            self.lines.lost.inc();
        } else if self.urgent {
            self.lines.flush(ERROR_WAIT);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { lines: self.clone(), text: Vec::new(), urgent: false }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line {
        let mut line = self.make_writer();
        line.urgent = *about.level() == Level::ERROR;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Instant;

    /// The kinds of log that cannot be written.
    enum Broken {
        Pipe,
        FullDisk,
        Stuck,
        Panics,
    }

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            match self {
                Self::Pipe => Err(io::ErrorKind::BrokenPipe.into()),
                Self::FullDisk => Err(io::ErrorKind::StorageFull.into()),
                Self::Stuck => {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a thread of the test, which is stuck on purpose"
                    )]
                    std::thread::sleep(Duration::from_hours(1));
                    Ok(0)
                }
                Self::Panics => panic!("as a log may"),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn say(lines: &Lines, times: usize) {
        let subscriber =
            tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).log_internal_errors(false);
        tracing::subscriber::with_default(subscriber.finish(), || {
            for number in 0..times {
                tracing::info!(number, "said");
            }
            tracing::error!("the last word");
        });
    }

    #[test]
    fn a_log_that_cannot_be_written_costs_its_lines_and_no_time() {
        for broken in [Broken::Pipe, Broken::FullDisk, Broken::Stuck, Broken::Panics] {
            let lines = Lines::with_room(broken, 10);
            let began = Instant::now();
            say(&lines, 100);
            assert!(began.elapsed() < Duration::from_secs(5));
            lines.flush(Duration::from_millis(10));
            assert!(lines.lost.get() >= 80, "{}", lines.lost.get());
        }
    }

    #[test]
    fn an_error_is_written_before_anything_else_happens() {
        let kept = Captured::default();
        let lines = Lines::to(kept.clone());
        say(&lines, 100);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 101);
        assert!(text.ends_with("the last word\n"), "{text}");
        assert_eq!(lines.lost.get(), 0);
    }
}
