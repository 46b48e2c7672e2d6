use super::*;
use crate::model::{Live, Picture};

fn hostile(text: &str) -> Page {
    Page {
        title: text.into(),
        pictures: vec![Picture {
            name: text.into(),
            ..Picture::default()
        }],
        ..Page::default()
    }
}

#[test]
fn data_cannot_leave_its_block() {
    let text = "</script><script>alert(1)</script><!--<script>&amp;\u{2028}\u{2029}{{script}}\"'`";
    let html = page(&hostile(text)).unwrap();
    let clean = page(&hostile("")).unwrap();
    for mark in ["<script", "</script", "<!--", "\u{2028}", "alert(1)</"] {
        assert_eq!(
            html.matches(mark).count(),
            clean.matches(mark).count(),
            "{mark}"
        );
    }
    let (_, after) = html.split_once("type=\"application/json\">").unwrap();
    let (data, _) = after.split_once("</script>").unwrap();
    let back: Page = serde_json::from_str(data).unwrap();
    assert_eq!(back, hostile(text));
}

#[test]
fn the_policy_names_exactly_what_stands_there() {
    let html = page(&Page::default()).unwrap();
    let between = |open: &str, close: &str| {
        let (_, after) = html.split_once(open).unwrap();
        after.split_once(close).unwrap().0.to_owned()
    };
    let policy = between("http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    assert!(policy.starts_with("default-src 'none'; "));
    assert!(!policy.contains("unsafe") && !policy.contains("connect-src"));
    assert!(policy.contains(&source(&between("<style>", "</style>"))));
    assert!(policy.contains(&source(&between("<script>", "</script>"))));
    assert_eq!(html.matches("<script").count(), 2);
    // Nothing of the page is asked of an address.
    assert!(!html.contains("src=\"") && !html.contains("@import") && !html.contains("url("));
}

#[test]
fn a_known_hash() {
    // FIPS 180-2, B.1: the digest of "abc".
    assert_eq!(
        source("abc"),
        "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    );
}

#[test]
fn a_live_page_may_speak_to_its_own_server_only() {
    let live = Page {
        live: Some(Live::default()),
        ..Page::default()
    };
    assert!(page(&live).unwrap().contains("connect-src 'self';"));
}

#[test]
fn numbers_that_are_not_finite_do_no_harm() {
    let with = Page {
        memory: Some(crate::model::Memory {
            curve: vec![crate::model::CurvePoint {
                bytes: 1,
                time: f64::NAN,
            }],
            ..Default::default()
        }),
        ..Page::default()
    };
    assert!(page(&with).unwrap().contains("\"time\":null"));
}
