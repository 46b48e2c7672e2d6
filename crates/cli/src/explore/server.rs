//! The server of the page: on this machine only, for those who know the token only.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use cotangent_view::model::{Fault, Live, Page, Question, Refusal};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::answer::Limits;
use crate::failure::Failure;
use crate::files;

/// The longest question, in bytes.
pub const MOST_BYTES: usize = 1 << 20;
/// How long to wait where a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(50);
/// How many questions are answered at a time.
const AT_ONCE: usize = 2;

/// What all answers need to know.
struct Site {
    address: SocketAddr,
    token: String,
    text: String,
    limits: Limits,
    turns: Semaphore,
}

/// Serves the page until the process is ended; prints its address on standard output.
pub fn serve(text: String, port: u16, limits: Limits) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let site = Arc::new(Site {
            address: listener.local_addr()?,
            token: token()?,
            text,
            limits,
            turns: Semaphore::new(AT_ONCE),
        });
        let url = format!("http://{}/?token={}", site.address, site.token);
        files::print(&format!("{url}\n"))?;
        eprintln!("open this address in a browser on this machine; Ctrl+C ends the server");
        loop {
            // One connection that fails is no reason to end.
            let Ok((stream, _)) = listener.accept().await else {
                // There may be no file left for it, until another one ends.
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let site = site.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let site = site.clone();
                    async move { Ok::<_, Infallible>(site.respond(request).await) }
                });
                let mut http = hyper::server::conn::http1::Builder::new();
                let _ = (http.timer(TokioTimer::new()))
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

/// 128 random bits from the system, as hexadecimal digits.
fn token() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

type Answer = Response<Full<Bytes>>;

impl Site {
    async fn respond(&self, request: Request<Incoming>) -> Answer {
        let mut answer = match self.suspicious(&request) {
            Some(reason) => plain(StatusCode::FORBIDDEN, reason),
            None => match (request.method(), request.uri().path()) {
                (&Method::GET, "/") => self.page(&request).await,
                (&Method::POST, "/api/show") => self.show(request).await,
                (_, "/" | "/api/show") => plain(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "expected GET of / or POST of /api/show",
                ),
                _ => plain(StatusCode::NOT_FOUND, "there is only the page itself"),
            },
        };
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }

    /// Why a request gets nothing: it comes from another site's page, or by a name that another site
    /// gave this address.
    fn suspicious(&self, request: &Request<Incoming>) -> Option<&'static str> {
        let port = self.address.port();
        let ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
        let known = |host: &[u8]| ours.iter().any(|own| own.as_bytes() == host);
        if !header(HOST).is_some_and(known) {
            return Some("the host is not this server");
        }
        let origin = header(ORIGIN)?;
        let own = origin.strip_prefix(b"http://").is_some_and(known);
        (!own).then_some("requests from other pages are refused")
    }

    async fn page(&self, request: &Request<Incoming>) -> Answer {
        let query = request.uri().query().unwrap_or("");
        let given = query
            .split('&')
            .find_map(|part| part.strip_prefix("token="));
        if !given.is_some_and(|given| same(given, &self.token)) {
            return plain(
                StatusCode::FORBIDDEN,
                "the token is missing; open the address that cotangent explore printed",
            );
        }
        let mut page = self.first().await;
        if let Some(live) = &mut page.live {
            live.token.clone_from(&self.token);
        }
        match cotangent_view::page(&page) {
            Ok(html) => typed(StatusCode::OK, "text/html; charset=utf-8", html.into()),
            Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// The page of the text that was given; where that cannot be shown, one on which it can be changed.
    async fn first(&self) -> Page {
        let question = Question {
            text: self.text.clone(),
            ..Question::default()
        };
        let answer = match serde_json::to_vec(&question) {
            Ok(question) => self.answer(&question).await,
            Err(error) => Err(error.to_string()),
        };
        let shown = answer
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        shown.unwrap_or_else(|| Page {
            title: "cotangent".to_owned(),
            about: "Type a function; everything below follows.".to_owned(),
            live: Some(Live {
                text: self.text.clone(),
                ..self.limits.live()
            }),
            ..Page::default()
        })
    }

    async fn show(&self, request: Request<Incoming>) -> Answer {
        let token = request
            .headers()
            .get("x-token")
            .and_then(|t| t.to_str().ok());
        if !token.is_some_and(|given| same(given, &self.token)) {
            return refused(
                StatusCode::FORBIDDEN,
                "the token is missing or wrong: reload the page",
            );
        }
        let Ok(body) = Limited::new(request.into_body(), MOST_BYTES)
            .collect()
            .await
        else {
            let message = format!("expected a question of at most {MOST_BYTES} bytes");
            return refused(StatusCode::PAYLOAD_TOO_LARGE, &message);
        };
        let body = body.to_bytes();
        if let Err(error) = serde_json::from_slice::<Question>(&body) {
            let message = format!("the question is not what was expected: {error}");
            return refused(StatusCode::BAD_REQUEST, &message);
        }
        match self.answer(&body).await {
            Ok(json) => typed(StatusCode::OK, "application/json", json.into()),
            Err(message) => refused(StatusCode::UNPROCESSABLE_ENTITY, &message),
        }
    }

    /// The answer of a process of its own, which is ended when it takes too long or nobody waits any
    /// more.
    async fn answer(&self, question: &[u8]) -> Result<Vec<u8>, String> {
        let told = |error: std::io::Error| format!("the answer could not be had: {error}");
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|error| error.to_string())?;
        let own = std::env::current_exe().map_err(told)?;
        let mut child = tokio::process::Command::new(own)
            .args(["explore", "--answer"])
            .arg(format!("--seconds={}", self.limits.time.as_secs()))
            .arg(format!("--memory={}", self.limits.bytes))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // The limit of a process counts the time of all its threads.
            .env("COTANGENT_THREADS", "1")
            .kill_on_drop(true)
            .spawn()
            .map_err(told)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A process that has ended does not read; its end says more than the failed write.
            let _ = stdin.write_all(question).await;
        }
        let seconds = self.limits.time.as_secs();
        let Ok(output) = tokio::time::timeout(self.limits.time, child.wait_with_output()).await
        else {
            return Err(format!("stopped: it took longer than {seconds} seconds"));
        };
        let output = output.map_err(told)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let message = String::from_utf8_lossy(&output.stderr);
        if message.contains("memory allocation") || message.contains("out of memory") {
            return Err(format!(
                "stopped: it took more than {} bytes of memory",
                self.limits.bytes
            ));
        }
        let last = message.lines().last().unwrap_or("");
        match last.strip_prefix("error: ") {
            Some(message) => Err(message.to_owned()),
            None => Err(format!(
                "stopped ({}): it took more time or memory than is allowed",
                output.status
            )),
        }
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(given: &str, own: &str) -> bool {
    let differ = given
        .bytes()
        .zip(own.bytes())
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == own.len() && differ == 0
}

fn refused(status: StatusCode, message: &str) -> Answer {
    let refusal = Refusal {
        error: Fault {
            message: message.to_owned(),
            ..Fault::default()
        },
    };
    let json = serde_json::to_vec(&refusal).unwrap_or_default();
    typed(status, "application/json", json.into())
}

fn plain(status: StatusCode, message: &str) -> Answer {
    typed(
        status,
        "text/plain; charset=utf-8",
        format!("{message}\n").into(),
    )
}

fn typed(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
