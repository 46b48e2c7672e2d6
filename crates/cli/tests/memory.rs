//! Memory budgets on the command line.

mod common;

use common::Folder;

/// A network of six layers; its gradient keeps what each layer gave.
fn network() -> String {
    let layers = 6;
    let weights: Vec<String> = (0..layers).map(|i| format!("w{i}: f64[16, 16]")).collect();
    let mut text = format!(
        "fn loss({}, x: f64[64, 16]) -> f64 {{\n",
        weights.join(", ")
    );
    text.push_str("    let h0 = x;\n");
    for i in 0..layers {
        text.push_str(&format!("    let h{} = tanh(h{i} @ w{i});\n", i + 1));
    }
    text.push_str(&format!("    sum(h{layers} * h{layers})\n}}\n"));
    text
}

#[test]
fn plans_and_curves_within_budgets_are_shown() {
    let folder = Folder::new("memory");
    folder.write("f.ct", network());
    folder
        .run(&["derive", "f.ct", "--mode", "grad", "-o", "g.ct"])
        .ok();
    let curve = folder.run(&["show", "g.ct", "--memory-curve"]);
    let rows: Vec<(usize, String)> = (curve.ok().lines().skip(1))
        .map(|line| {
            let bytes = line.split_whitespace().next().unwrap();
            (bytes.parse().unwrap(), line.to_owned())
        })
        .collect();
    assert!(
        rows.len() > 3 && rows.windows(2).all(|r| r[0].0 > r[1].0),
        "{rows:?}"
    );
    assert!(
        rows[0].1.contains("100.0%") && rows[0].1.contains("+0.0%"),
        "{rows:?}"
    );

    let half = rows[rows.len() / 2].0.to_string();
    let plan = folder.run(&["show", "g.ct", "--plan", "--memory", &half]);
    assert!(
        plan.ok().contains("run again for a memory budget"),
        "{}",
        plan.out
    );
    assert!(plan.ok().contains(" bytes, again"), "{}", plan.out);

    folder
        .run(&["show", "g.ct", "--memory-curve", "--svg", "curve.svg"])
        .ok();
    let svg = String::from_utf8(folder.read("curve.svg")).unwrap();
    assert!(
        svg.starts_with("<svg") && svg.contains("loss_grad: time for memory"),
        "{svg}"
    );
    folder
        .run(&["show", "g.ct", "--plan", "--memory", "1KiB"])
        .fails(1, "the smallest budget reached is");
    folder
        .run(&["show", "g.ct", "--memory", "1MiB"])
        .fails(2, "--plan");
}

#[test]
fn runs_and_training_keep_within_a_budget() {
    let folder = Folder::new("memory-run");
    folder.write(
        "f.ct",
        "fn f(x: f64[100]) -> f64[100] { let y = exp(x); let z = cumsum(y, axis=0); cumsum(z * y, axis=0) }",
    );
    let x = format!("x=[{}]", vec!["0.5"; 100].join(", "));
    let free = folder.run(&["run", "f.ct", "--in", &x]);
    let within = folder.run(&["run", "f.ct", "--in", &x, "--memory", "64KiB"]);
    assert_eq!(free.ok(), within.ok());
    folder
        .run(&["run", "f.ct", "--in", &x, "--memory", "0"])
        .fails(1, "does not fit in a memory budget of 0 bytes");

    folder.write("few.toml", "epochs = 2\n");
    let free = folder.run(&["train", "--config", "few.toml"]);
    let within = folder.run(&["train", "--config", "few.toml", "--memory", "1040KB"]);
    // All but the time.
    let accuracy = |out: &str| out.lines().next().map(str::to_owned);
    assert_eq!(accuracy(free.ok()), accuracy(within.ok()));
    assert!(
        within.err.starts_with("memory: a step holds "),
        "{}",
        within.err
    );
    folder
        .run(&["train", "--config", "few.toml", "--memory", "1KiB"])
        .fails(1, "`training_step` does not fit in a memory budget of 1024");
}

#[test]
fn budgets_and_sizes_that_cannot_be_are_told_before_anything_runs() {
    let folder = Folder::new("memory-bad");
    folder.write(
        "f.ct",
        "fn f(x: f64[100]) -> f64[100] { cumsum(exp(x), axis=0) }
         fn large() -> f64 { let a = full(0.5, shape=[60000, 6000000]); let b = cumsum(a, axis=0); sum(b * cumsum(b, axis=1)) }",
    );
    folder.write(
        "over.ct",
        "fn f(x: f64[3]) -> f64 { sum(broadcast(x, shape=[1000000000000, 1000000000000, 3], dims=[2])) }",
    );
    let x = format!("x=[{}]", vec!["0.5"; 100].join(", "));
    let f = |memory: &'static str| ["--fn", "f", "--memory", memory];
    let words = "(inputs, constants and outputs take 1600)";
    // Nothing, less than the input alone, and less than input and result.
    for memory in ["0", "799", "1500"] {
        let message = format!("does not fit in a memory budget of {memory} bytes: the smallest");
        for command in [
            &["run", "f.ct", "--in", &x][..],
            &["show", "f.ct", "--plan"],
        ] {
            let ran = folder.run(&[command, &f(memory)].concat());
            ran.fails(1, &message);
            ran.fails(1, words);
        }
    }
    for memory in ["-1", "x", "1.5", "99999999999TiB"] {
        for command in [
            &["run", "f.ct", "--in", &x][..],
            &["show", "f.ct", "--plan"],
            &["train"],
        ] {
            let given = [command, &["--memory", memory]].concat();
            folder.run(&given).fails(2, "--memory <SIZE>");
        }
    }
    folder
        .run(&["run", "f.ct", "--fn", "large"])
        .fails(1, "there is no memory for an arena of ");
    folder
        .run(&["run", "f.ct", "--fn", "large", "--memory", "1GiB"])
        .fails(1, "does not fit in a memory budget of 1073741824 bytes");
    for command in [
        &["run"][..],
        &["show", "--plan"],
        &["show", "--memory-curve"],
    ] {
        let given = [command, &["over.ct"]].concat();
        folder.run(&given).fails(1, "is larger than memory can be");
    }
}

#[test]
fn checkpoints_go_through_the_text_of_a_derivative() {
    let folder = Folder::new("checkpoints");
    folder.write(
        "f.ct",
        "fn layer(x: f64[1000]) -> f64[1000] { let y = sin(x); let z = cumsum(exp(y) * cos(x), axis=0); tanh(z * y) }
         fn f(x: f64[1000]) -> f64 {
             let a = custom(x, f=layer, checkpoint=layer);
             let b = custom(a, f=layer, checkpoint=layer);
             let c = custom(b, f=layer, checkpoint=layer);
             sum(c)
         }",
    );
    let derived = folder.run(&["derive", "f.ct", "--mode", "grad", "-o", "g.ct"]);
    derived.ok();
    let text = String::from_utf8(folder.read("g.ct")).unwrap();
    assert!(text.contains("#[checkpoint([0])] let"), "{text}");
    assert!(text.contains("#[checkpoint([0], way=[2])] let"), "{text}");
    let plan = folder.run(&["show", "g.ct", "--plan"]);
    assert!(
        plan.ok().contains("run again for checkpoints"),
        "{}",
        plan.out
    );
    // Without them the plan keeps more; what comes out is the same.
    let mut plain = text.clone();
    while let Some(start) = plain.find("#[") {
        let end = plain[start..].find(")]").unwrap() + 2;
        plain.replace_range(start..start + end, "");
    }
    folder.write("plain.ct", plain);
    let kept = folder.run(&["show", "plain.ct", "--plan"]);
    assert!(!kept.ok().contains("run again"), "{}", kept.out);
    let x = format!("x=[{}]", vec!["0.5"; 1000].join(","));
    let results = ["g.ct", "plain.ct"].map(|file| folder.run(&["run", file, "--in", &x]));
    assert_eq!(results[0].ok(), results[1].ok());
}

/// A loop that goes on for hours goes to a file; the process is killed as no process can take note of.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_run_leaves_nothing_of_its_loops() {
    let folder = Folder::new("killed");
    folder.write(
        "f.ct",
        "fn test(y: f64[1000], k: f64) -> bool { k < 1e12 }
         fn step(y: f64[1000], k: f64) -> (f64[1000], f64) { (y + sin(3 * y) * 1e-3, k + 1) }
         fn f(y: f64[1000]) -> f64 { let last = while(y, 0.0, test=test, body=step); sum(get(last, index=0)) }",
    );
    folder
        .run(&["derive", "f.ct", "--mode", "grad", "-o", "g.ct"])
        .ok();
    let states = folder.path("states");
    std::fs::create_dir(&states).unwrap();
    let left = || std::fs::read_dir(&states).unwrap().count();
    let y = format!("y=[{}]", vec!["0.5"; 1000].join(","));
    let run = ["run", "g.ct", "--in", &y, "--loop-directory", "states"];
    let mut child = folder.command(&run).spawn().unwrap();
    // What is mapped says when states are in a file.
    let maps = format!("/proc/{}/maps", child.id());
    let mapped = || {
        let maps = std::fs::read_to_string(&maps).unwrap_or_default();
        let name = states.to_string_lossy().into_owned();
        maps.lines().any(|line| line.contains(&name))
    };
    let began = std::time::Instant::now();
    while !mapped() && began.elapsed().as_secs() < 60 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(mapped(), "no state went to a file");
    assert_eq!(left(), 0, "while it runs");
    // On Unix this is SIGKILL.
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success());
    assert_eq!(left(), 0, "when it has been killed");
}
