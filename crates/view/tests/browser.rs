//! The page in a real browser.

#[path = "support/chrome.rs"]
mod chrome;
#[path = "support/fixtures.rs"]
mod fixtures;

use chrome::Browser;
use cotangent_view::page;

#[test]
fn screenshots() {
    let Some(directory) = std::env::var_os("COTANGENT_SHOTS") else {
        return;
    };
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let directory = std::path::PathBuf::from(directory);
    std::fs::create_dir_all(&directory).unwrap();
    let html = page(&fixtures::whole()).unwrap();
    let places = [
        ("graph", "#graph"),
        ("graph-node", "#graph/0/4"),
        ("walk-forward", "#walk/1/3"),
        ("walk-back", "#walk/1/9"),
        ("walk-seed", "#walk/0/8"),
        ("walk-end", "#walk/1/99"),
        ("passes", "#passes/1"),
        ("memory", "#memory"),
        ("cost", "#cost"),
        ("training", "#training"),
        ("trouble", "#trouble"),
    ];
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for width in [1280, 390] {
            for (name, hash) in places {
                browser.size(width, if width > 600 { 800 } else { 844 });
                browser.open(&html, hash);
                let height = browser
                    .eval("document.documentElement.scrollHeight")
                    .as_u64()
                    .unwrap_or(800) as u32;
                let wanted = height.clamp(800, 3200);
                if !matches!(name, "graph" | "graph-node")
                    && !(width > 600 && name.starts_with("walk"))
                {
                    browser.size(width, wanted);
                }
                browser.eval("new Promise(r => setTimeout(() => r(0), 60))");
                let file = directory.join(format!("{name}-{width}-{scheme}.png"));
                std::fs::write(file, browser.shot(false)).unwrap();
                for trouble in browser.troubles() {
                    println!("{name} {width} {scheme}: {trouble}");
                }
            }
        }
    }
}
