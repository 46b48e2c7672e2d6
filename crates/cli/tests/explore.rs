//! The server of `cotangent explore`, spoken to as a browser would and as an attacker would.
//! Requests are written by hand, so that every header is what the test says.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use common::Folder;
use serde_json::{Value, json};

/// A running server, ended with the test.
struct Server {
    child: Child,
    /// `127.0.0.1:PORT`
    host: String,
    token: String,
    folder: Folder,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Server {
        let folder = Folder::new(name);
        let mut all = vec!["explore"];
        all.extend(arguments);
        let mut child = folder
            .command(&all)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let rest = line.trim().strip_prefix("http://").unwrap();
        let (host, token) = rest.split_once("/?token=").unwrap();
        assert!(
            host.starts_with("127.0.0.1:") && token.len() == 32,
            "{line}"
        );
        Server {
            host: host.to_owned(),
            token: token.to_owned(),
            child,
            folder,
        }
    }

    /// Status and body of the answer.
    fn send(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let mut head = format!("{line} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses a body may close before it has read all of it.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }

    fn ask(&self, question: &Value) -> (u16, Value) {
        let headers = [("host", &self.host[..]), ("x-token", &self.token)];
        let (status, body) = self.send("POST /api/show", &headers, question.to_string().as_bytes());
        let value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        (status, value)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn question(text: &str) -> Value {
    json!({"text": text, "inputs": [], "wrt": [], "mode": ""})
}

#[test]
fn the_page_is_for_those_who_know_the_token() {
    let server = Server::start("explore-token", &["--expr", "f(f(f(w)))"]);
    let host = ("host", &server.host[..]);
    let page = format!("GET /?token={}", server.token);
    let (status, html) = server.send(&page, &[host], b"");
    assert_eq!(status, 200);
    assert!(html.contains("connect-src 'self'") && html.contains("f(f(f(w)))"));
    for line in [
        "GET /",
        "GET /?token=",
        "GET /?token=0123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(server.send(line, &[host], b"").0, 403, "{line}");
    }
    // Another site's page, a name that another site gave this address, other paths and methods.
    let foreign = ("origin", "http://example.org");
    assert_eq!(server.send(&page, &[host, foreign], b"").0, 403);
    assert_eq!(server.send(&page, &[host, ("origin", "null")], b"").0, 403);
    assert_eq!(server.send(&page, &[("host", "example.org")], b"").0, 403);
    let own = format!("http://{}", server.host);
    assert_eq!(server.send(&page, &[host, ("origin", &own)], b"").0, 200);
    assert_eq!(server.send("GET /etc/passwd", &[host], b"").0, 404);
    assert_eq!(server.send("GET /../../etc/passwd", &[host], b"").0, 404);
    assert_eq!(server.send("PUT /", &[host], b"").0, 405);
    let body = question("fn f(x: f64) -> f64 { x }").to_string();
    for token in ["", "0123456789abcdef0123456789abcdef"] {
        let headers = [host, ("x-token", token)];
        assert_eq!(
            server.send("POST /api/show", &headers, body.as_bytes()).0,
            403
        );
    }
    let headers = [host, ("x-token", &server.token), foreign];
    assert_eq!(
        server.send("POST /api/show", &headers, body.as_bytes()).0,
        403
    );
}

#[test]
fn an_answer_has_the_values_that_run_prints() {
    let server = Server::start("explore-answer", &[]);
    let text = "fn f(w: f64[2], x: f64[2]) -> f64 { tanh(sum(w * x)) ** 2 }";
    let mut asked = question(text);
    asked["inputs"] =
        json!([{"name": "w", "text": "[0.5, -0.25]"}, {"name": "x", "text": "[1, 2.5]"}]);
    asked["wrt"] = json!(["w"]);
    let (status, page) = server.ask(&asked);
    assert_eq!(status, 200, "{page}");
    server.folder.write("f.ct", text);
    server
        .folder
        .run(&[
            "derive", "f.ct", "--mode", "grad", "--wrt", "w", "--out", "g.ct",
        ])
        .ok();
    let run = [
        "run",
        "g.ct",
        "--in",
        "w=[0.5, -0.25]",
        "--in",
        "x=[1, 2.5]",
    ];
    let printed = server.folder.run(&run).ok().trim().to_owned();
    let texts = page["walks"][0]["gradients"][0]["value"]["texts"]
        .as_array()
        .unwrap();
    let texts: Vec<&str> = texts.iter().map(|t| t.as_str().unwrap()).collect();
    let numbers = |text: &str| -> Vec<String> {
        let inner = text.trim_matches(['[', ']']);
        inner.split(',').map(|n| n.trim().to_owned()).collect()
    };
    assert_eq!(texts, numbers(&printed));
    assert!(
        page["live"]["derivative"]
            .as_str()
            .unwrap()
            .contains("fn f_grad(")
    );
    assert_eq!(page["live"]["mode"], "grad");
    for mode in ["jvp", "vjp", "jacobian", "hessian", "value_and_grad"] {
        asked["mode"] = json!(mode);
        let (status, page) = server.ask(&asked);
        assert_eq!(
            (status, &page["live"]["mode"]),
            (200, &json!(mode)),
            "{page}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    let server = Server::start("explore-errors", &[]);
    let (status, wrong) = server.ask(&question("fn f(x: f64) -> f64 {\n    sn(x)\n}"));
    assert_eq!(status, 200);
    assert_eq!(
        (&wrong["error"]["line"], &wrong["error"]["column"]),
        (&json!(2), &json!(5))
    );
    assert!(
        wrong["error"]["message"]
            .as_str()
            .unwrap()
            .contains("did you mean")
    );
    let mut asked = question("fn f(x: f64[2]) -> f64 { sum(x) }");
    asked["inputs"] = json!([{"name": "x", "text": "[1, 2, 3]"}]);
    assert_eq!(server.ask(&asked).1["error"]["input"], "x");
    asked["inputs"] = json!([]);
    asked["mode"] = json!("sideways");
    assert!(
        server.ask(&asked).1["error"]["message"]
            .as_str()
            .unwrap()
            .contains("sideways")
    );
    let headers = [("host", &server.host[..]), ("x-token", &server.token)];
    assert_eq!(server.send("POST /api/show", &headers, b"{").0, 400);
    let (status, body) = server.send("POST /api/show", &headers, &vec![b' '; 3 << 20]);
    assert!(
        status == 413 || (status == 0 && body.is_empty()),
        "{status}"
    );
    // Whichever way it was refused, the server goes on.
    let next = question("fn f(x: f64) -> f64 { x * x }");
    assert_eq!(server.ask(&next).0, 200);
}

#[test]
fn an_answer_takes_no_more_than_it_may() {
    let server = Server::start("explore-limits", &["--seconds", "2", "--memory", "64MiB"]);
    let endless = "
        fn more(n: i64, x: f64) -> bool { n < 1 }
        fn step(n: i64, x: f64) -> (i64, f64) { (n * 0, sin(x)) }
        fn f(x: f64) -> f64 { let s = while(0, x, test=more, body=step, carry=2); get(s, index=1) }";
    let begin = std::time::Instant::now();
    let (status, said) = server.ask(&question(endless));
    assert_eq!(status, 422, "{said}");
    assert!(
        said["error"]["message"]
            .as_str()
            .unwrap()
            .contains("stopped"),
        "{said}"
    );
    assert!(begin.elapsed().as_secs() < 20);
    // An array that does not fit is an error like any other, said where it is.
    let large = "fn f(x: f64) -> f64 { sum(broadcast(sin(x), shape=[8000, 8000], dims=[])) }";
    let (_, said) = server.ask(&question(large));
    let message = said["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("column 27") && message.contains("memory"),
        "{said}"
    );
    // The server itself goes on.
    assert_eq!(
        server.ask(&question("fn f(x: f64) -> f64 { x * x }")).0,
        200
    );
}
