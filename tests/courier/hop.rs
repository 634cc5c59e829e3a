//! A next hop over a socket that rejects mail at one stage, and accepts the reports about it.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The contents of accepted mails.
pub(crate) type Letters = Arc<Mutex<Vec<String>>>;

/// Starts a server that replies with `reply` at this stage (`MAIL`, `RCPT`, `DATA` or `.`) of every
/// transaction except those with the null sender. Returns its port, and what it accepted.
pub(crate) async fn start(stage: &'static str, reply: &'static str) -> (u16, Letters) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let letters = Letters::default();
    let taken = Arc::clone(&letters);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, stage, reply, Arc::clone(&taken)));
        }
    });
    (port, letters)
}

async fn serve(stream: TcpStream, stage: &str, reply: &str, letters: Letters) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut refuses = false;
    write.write_all(b"220 hop.example.net\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let line = line.to_ascii_uppercase();
        let verb = line.split([' ', ':']).next().unwrap_or_default();
        if verb == "MAIL" {
            refuses = !line.contains("FROM:<>");
        }
        let mut answer = if refuses && verb == stage { reply } else { "250 ok" };
        if verb == "DATA" && answer == "250 ok" {
            write.write_all(b"354 go on\r\n").await.unwrap();
            let mut content = String::new();
            while let Ok(Some(line)) = lines.next_line().await {
                if line == "." {
                    break;
                }
                content.push_str(line.strip_prefix('.').unwrap_or(&line));
                content.push_str("\r\n");
            }
            if refuses && stage == "." {
                answer = reply;
            } else {
                letters.lock().unwrap().push(content);
            }
        }
        if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() || verb == "QUIT" {
            return;
        }
    }
}
