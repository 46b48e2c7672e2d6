//! The smallest server that a live page can speak to: it serves one page and answers questions by
//! a function. Every request is kept, so that tests can look at what was asked.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

pub type Answer = dyn Fn(&serde_json::Value) -> serde_json::Value + Send + Sync;

pub struct Server {
    pub address: String,
    /// The token and the body of each question, in order.
    pub asked: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
}

pub fn serve(html: String, answer: Box<Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (kept, html, answer) = (asked.clone(), Arc::new(html), Arc::<Answer>::from(answer));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (kept, html, answer) = (kept.clone(), html.clone(), answer.clone());
            std::thread::spawn(move || talk(stream, &html, &*answer, &kept));
        }
    });
    Server { address, asked }
}

fn talk(
    mut stream: TcpStream,
    html: &str,
    answer: &Answer,
    asked: &Mutex<Vec<(String, serde_json::Value)>>,
) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head = loop {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&buffer[..n]),
            _ => return,
        }
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_string();
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let (kind, body) = if text.starts_with("POST /api/show ") {
        let length: usize = field("content-length").unwrap().parse().unwrap();
        let mut body = bytes.split_off(head + 4);
        while body.len() < length {
            match stream.read(&mut buffer) {
                Ok(n) if n > 0 => body.extend_from_slice(&buffer[..n]),
                _ => return,
            }
        }
        let question: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let token = field("x-token").unwrap_or_default();
        asked.lock().unwrap().push((token, question.clone()));
        ("application/json", answer(&question).to_string())
    } else {
        ("text/html; charset=utf-8", html.to_owned())
    };
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}
