//! Tests with silent, slow and many clients against a server with few slots.

use super::*;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn bounds() -> Bounds {
    Bounds { all: 8, per_address: 6, header: Duration::from_millis(300), ..Bounds::default() }
}

/// Starts a server on a free port; returns its address and metrics.
async fn desk(bounds: Bounds) -> (SocketAddr, Tally) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/", get(async || "ok"))
        .route("/slow", get(async || tokio::time::sleep(Duration::from_millis(500)).await))
        .route("/form", post(async |body: String| body));
    let tally = Tally::default();
    tokio::spawn(serve(listener, router, bounds, tally.clone()));
    (address, tally)
}

async fn says(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset ends it as well.
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn whoever_is_silent_or_slow_is_left() {
    let (address, _) = desk(bounds()).await;
    for began in ["", "GET", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = says(address, began).await;
        let start = Instant::now();
        let answer = all(&mut stream).await;
        assert!(start.elapsed() < Duration::from_secs(3), "{began:?} {:?}", start.elapsed());
        assert_eq!(answer.contains("200 OK"), began.ends_with("\r\n\r\n"), "{began:?} {answer}");
    }
}

#[tokio::test]
async fn the_one_that_waited_longest_makes_room() {
    let slow = Bounds { header: Duration::from_mins(1), ..bounds() };
    for per_address in [6, 100] {
        let (address, tally) = desk(Bounds { per_address, ..slow.clone() }).await;
        let mut silent = Vec::new();
        for number in 0..50 {
            silent.push(says(address, if number % 2 == 0 { "" } else { "POST /form HTTP/1.1\r\n" }).await);
            if number % 10 == 9 {
                assert!(all(&mut says(address, ASK).await).await.contains("200 OK"));
            }
        }
        assert!(tally.dropped.get() >= 50 - 8, "{}", tally.dropped.get());
        assert_eq!(all(&mut silent[0]).await, "");
    }
}

#[tokio::test]
async fn nothing_under_way_is_dropped_for_another() {
    let (address, _) = desk(Bounds { all: 4, ..bounds() }).await;
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(says(address, "GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(all(&mut says(address, "").await).await, "", "there is no room");
    for mut stream in busy {
        assert!(all(&mut stream).await.contains("200 OK"));
    }
    assert!(all(&mut says(address, ASK).await).await.contains("200 OK"));
}

#[test]
fn one_host_is_one_address() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(host(ip("2001:db8::1")), host(ip("2001:db8::ffff:1")));
    assert_ne!(host(ip("2001:db8:0:1::1")), host(ip("2001:db8:0:2::1")));
    assert_eq!(host(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    assert_ne!(host(ip("192.0.2.1")), host(ip("192.0.2.2")));
}
